"""The first Architectures of a search for all budgets: spread over the range of latencies."""

import random
from collections.abc import Container

from hat.search.algorithms.feasible import draw_feasible
from hat.search.problem import Problem
from hat.space.architecture import Architecture


def spread_over_budgets(
    problem: Problem, count: int, exclude: Container[Architecture], rng: random.Random
) -> list[Architecture]:
    """Different Architectures: the fastest, the largest where it is feasible, and equally many drawn under each budget.

    Args:
        problem: space and budgets.
        count: how many are wanted; fewer only where there are no more.
        exclude: Architectures that are not wanted.
        rng: source of randomness.
    """
    ends = problem.feasible([problem.fastest, problem.space.largest])
    found = dict.fromkeys(point for point in ends if point not in exclude)
    for number, budget in enumerate(problem.budgets_ms):
        wanted = round((count - len(found)) / (len(problem.budgets_ms) - number))
        if wanted > 0:
            refused = _Either(found, exclude)
            found.update(dict.fromkeys(draw_feasible(problem.under(budget), wanted, refused, rng)))
    return list(found)[:count]


class _Either:
    def __init__(self, *containers: Container[Architecture]) -> None:
        self._containers = containers

    def __contains__(self, architecture: object) -> bool:
        return any(architecture in container for container in self._containers)

"""The first Architectures of a search for all budgets, spread over the range of latencies."""

import random
from collections.abc import Container

from hat.search.algorithms.feasible import draw_feasible
from hat.search.problem import Problem
from hat.space.architecture import Architecture


def spread_over_budgets(
    problem: Problem, count: int, exclude: Container[Architecture], rng: random.Random
) -> list[Architecture]:
    """Return different Architectures: the fastest, the largest if feasible, and equally many drawn under each budget.

    Args:
        problem: space and budgets.
        count: number of Architectures; fewer are returned only if no more can be found.
        exclude: Architectures not to return.
        rng: source of randomness.
    """
    ends = problem.feasible([problem.fastest, problem.space.largest])
    found = dict.fromkeys(point for point in ends if point not in exclude)
    for index, budget in enumerate(problem.budgets_ms):
        wanted = round((count - len(found)) / (len(problem.budgets_ms) - index))
        if wanted > 0:
            refused = _Either(found, exclude)
            found.update(dict.fromkeys(draw_feasible(problem.under(budget), wanted, refused, rng)))
    return list(found)[:count]


class _Either:
    """The union of containers, without copying them."""

    def __init__(self, *containers: Container[Architecture]) -> None:
        self._containers = containers

    def __contains__(self, architecture: object) -> bool:
        return any(architecture in container for container in self._containers)

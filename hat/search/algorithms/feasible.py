"""Random Architectures within a budget, however tight."""

import random
from collections.abc import Callable, Container

from hat.search.problem import Problem
from hat.space.architecture import Architecture
from hat.space.moves import neighbours

BATCH = 512
# Plain draws end after this many batches, or this many in a row without a new Architecture.
DRAWN_BATCHES = 40
DRY_BATCHES = 4
# A space of at most this many Architectures is enumerated.
SMALL_SPACE = 4096
# The walk gathers this many times the wanted Architectures and samples from them, to depend less on its start.
GATHER = 8
# Breeding ends after this many rounds in a row without a new Architecture.
DRY_ROUNDS = 8


def draw_feasible(
    problem: Problem, count: int, exclude: Container[Architecture], rng: random.Random
) -> list[Architecture]:
    """Draw different Architectures within the budget; fewer than ``count`` only if no more can be found.

    Random Architectures are kept if they meet the budget, as published. If too few do, the rest come from a random
    walk through the feasible region, which reaches everything that single changes connect with the fastest
    Architecture. In a small space the rest come from the whole space instead.

    Args:
        problem: space and budget.
        count: number of Architectures to draw.
        exclude: Architectures not to return.
        rng: source of randomness.
    """
    found: dict[Architecture, None] = {}
    dry = 0
    for _ in range(DRAWN_BATCHES):
        if len(found) >= count or dry == DRY_BATCHES:
            break
        before = len(found)
        for point in problem.feasible([problem.space.sample(rng) for _ in range(BATCH)]):
            if point not in exclude:
                found[point] = None
        dry = dry + 1 if len(found) == before else 0
    chosen = list(found)[:count]
    if len(chosen) < count:
        known = set(chosen)
        if problem.space.size <= SMALL_SPACE:
            reachable = problem.feasible(list(problem.space.enumerate()))
        else:
            reachable = _walk(problem, GATHER * count, chosen, rng, exclude)
        more = [point for point in reachable if point not in known and point not in exclude]
        chosen += rng.sample(more, min(len(more), count - len(chosen)))
    return chosen


def _walk(
    problem: Problem, count: int, starts: list[Architecture], rng: random.Random, exclude: Container[Architecture]
) -> list[Architecture]:
    """Return about ``count`` Architectures outside ``exclude``, by single changes from ``starts`` and the fastest."""
    frontier = list(dict.fromkeys([problem.fastest, *starts]))
    reached = dict.fromkeys(frontier)
    wanted = [point for point in frontier if point not in exclude]
    while frontier and len(wanted) < count:
        position = rng.randrange(len(frontier))
        frontier[position], frontier[-1] = frontier[-1], frontier[position]
        new = [point for point in neighbours(problem.space, frontier.pop()) if point not in reached]
        for point in problem.feasible(new):
            reached[point] = None
            frontier.append(point)
            if point not in exclude:
                wanted.append(point)
    return wanted


def breed_feasible(
    problem: Problem, count: int, exclude: Container[Architecture], breed: Callable[[], Architecture]
) -> list[Architecture]:
    """Breed different children within the budget; fewer than ``count`` if breeding stops giving new ones.

    Args:
        problem: space and budget.
        count: number of children.
        exclude: Architectures not to return.
        breed: returns a random child.
    """
    found: dict[Architecture, None] = {}
    dry = 0
    while len(found) < count and dry < DRY_ROUNDS:
        before = len(found)
        for child in problem.feasible([breed() for _ in range(2 * count)]):
            if child not in exclude:
                found.setdefault(child)
        dry = dry + 1 if len(found) == before else 0
    return list(found)[:count]

"""Random Architectures within a budget, however tight it is."""

import random
from collections.abc import Callable, Container

from hat.search.problem import Problem
from hat.space.architecture import Architecture
from hat.space.moves import neighbours

BATCH = 512
# Batches drawn at most, and batches in a row without a new Architecture, before the budget counts as too
# tight for plain draws.
DRAWN_BATCHES = 40
DRY_BATCHES = 4
# A space of so many Architectures is looked through rather than walked through.
SMALL_SPACE = 4096
# The walk gathers so many times what is wanted, and picks from that, to be less bound to where it began.
GATHER = 8
# Rounds without a new Architecture after which children are given up.
DRY_ROUNDS = 8


def draw_feasible(
    problem: Problem, count: int, exclude: Container[Architecture], rng: random.Random
) -> list[Architecture]:
    """Different Architectures within the budget; fewer than ``count`` only where there are no more to be found.

    Plain draws are kept where they meet the budget (the published way); where too few do, the rest come from
    a walk through the feasible region, which reaches all of it that single changes connect with the fastest
    Architecture, or from all there are, in a small space.

    Args:
        problem: space and budget.
        count: how many are wanted.
        exclude: Architectures that are not wanted.
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
            others = problem.feasible(list(problem.space.enumerate()))
        else:
            others = _walk(problem, GATHER * count, chosen, rng, exclude)
        more = [point for point in others if point not in known and point not in exclude]
        chosen += rng.sample(more, min(len(more), count - len(chosen)))
    return chosen


def _walk(
    problem: Problem, count: int, starts: list[Architecture], rng: random.Random, exclude: Container[Architecture]
) -> list[Architecture]:
    """About ``count`` feasible Architectures outside ``exclude``, by single changes from the starts and the fastest."""
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
    """Different children within the budget; fewer than ``count`` where breeding brings no new ones any more.

    Args:
        problem: space and budget.
        count: how many are wanted.
        exclude: Architectures that are not wanted.
        breed: makes a child.
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

"""The search algorithms by name."""

from importlib import import_module
from typing import cast

from hat.config.algorithms import ALGORITHMS
from hat.config.search import Search
from hat.search.problem import Algorithm, Problem


def make_algorithm(name: str, problem: Problem, settings: Search, seed: int) -> Algorithm:
    """Create the search algorithm of this name.

    Args:
        name: a key of :data:`hat.config.algorithms.ALGORITHMS`.
        problem: objective, constraints and space.
        settings: settings of the search.
        seed: seed of all random choices.
    """
    facts = ALGORITHMS[name]
    return cast(Algorithm, getattr(import_module(facts.module), facts.class_name)(problem, settings, seed))

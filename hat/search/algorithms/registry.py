"""The search algorithms by name."""

from collections.abc import Callable, Mapping

from hat.config.search import Search
from hat.search.algorithms.genetic import GeneticSearch
from hat.search.algorithms.pareto import ParetoSearch
from hat.search.algorithms.random_search import RandomSearch
from hat.search.algorithms.surrogate import SurrogateSearch
from hat.search.problem import Algorithm, Problem

ALGORITHMS: Mapping[str, Callable[[Problem, Search, int], Algorithm]] = {
    "surrogate": SurrogateSearch,
    "pareto": ParetoSearch,
    "genetic": GeneticSearch,
    "random": RandomSearch,
}

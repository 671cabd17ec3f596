"""The search algorithms by name."""

from collections.abc import Callable, Mapping

from hat.config_search import Search
from hat.search.genetic import GeneticSearch
from hat.search.pareto import ParetoSearch
from hat.search.problem import Algorithm, Problem
from hat.search.random import RandomSearch
from hat.search.surrogate import SurrogateSearch

ALGORITHMS: Mapping[str, Callable[[Problem, Search, int], Algorithm]] = {
    "surrogate": SurrogateSearch,
    "pareto": ParetoSearch,
    "genetic": GeneticSearch,
    "random": RandomSearch,
}

"""Facts about each search algorithm, in one table."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal


@dataclass(frozen=True, kw_only=True)
class AlgorithmFacts:
    """Facts about a search algorithm that do not require importing it.

    Attributes:
        module: where it is implemented.
        class_name: its class there; see :class:`hat.search.problem.Algorithm`.
        all_budgets: one search serves all budgets of a device.
        what: its description in the documentation, after its name.
    """

    module: str
    class_name: str
    all_budgets: bool
    what: str


# By name, in the order of the configuration's documentation.
ALGORITHMS: Mapping[str, AlgorithmFacts] = {
    "surrogate": AlgorithmFacts(
        module="hat.search.algorithms.surrogate",
        class_name="SurrogateSearch",
        all_budgets=True,
        what="a model of the loss proposes candidates for all budgets",
    ),
    "pareto": AlgorithmFacts(
        module="hat.search.algorithms.pareto",
        class_name="ParetoSearch",
        all_budgets=True,
        what="NSGA-II, for all budgets",
    ),
    "genetic": AlgorithmFacts(
        module="hat.search.algorithms.genetic",
        class_name="GeneticSearch",
        all_budgets=False,
        what="the published search, for one budget",
    ),
    "random": AlgorithmFacts(
        module="hat.search.algorithms.random_search",
        class_name="RandomSearch",
        all_budgets=False,
        what="random candidates, for one budget",
    ),
}
if TYPE_CHECKING:
    AlgorithmName = str
else:
    # Type checkers accept no Literal that is made from a table.
    AlgorithmName = Literal[tuple(ALGORITHMS)]

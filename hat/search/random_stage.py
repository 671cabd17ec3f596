"""The stage that draws random candidates to compare the search of a budget with."""

from pathlib import Path

from hat.artifacts.files import only_one, provenance
from hat.artifacts.missing import require_artifact
from hat.artifacts.table import RANDOM_SEARCH, SEARCH
from hat.config.scope import BudgetScope
from hat.config.settings import budget_ms
from hat.latency.dataset import write_parquet
from hat.search.algorithms.random_search import RandomSearch
from hat.search.context import SearchContext
from hat.search.problem import run
from hat.search.tables import read_candidates, table
from hat.system.progress import progress

# Added to the seed: the search itself may begin with random candidates of the seed.
OTHER_DRAWS = 1_000_003


def random_search(scope: BudgetScope) -> Path:
    """Write BUDGET/random-search.parquet with as many random candidates as the search of the budget evaluated.

    The number includes evaluations for other budgets that the search could use. Candidates are different Architectures
    within the budget, fully evaluated through the task's cache.

    Raises:
        HatError: the budget cannot be met, or a loss is not a number.
        InputError: the budget is no budget, or the search, the predictor or the SuperTransformer is missing.
    """
    limit_ms, folder = budget_ms(scope.budget), scope.folder
    objective = scope.task_settings.search.objective
    searched = read_candidates(require_artifact(folder / SEARCH), objective)
    setting = SearchContext(scope)
    chosen = setting.chosen.model_copy(update={"evaluations": 1 + max(found.order for found in searched)})
    with only_one(folder, f"Drawing for {scope.budget}"), setting.evaluator() as evaluator:
        name = f"{scope.budget} on device {scope.device!r}"
        problem = setting.problem(evaluator, [limit_ms], setting.predictor, name, halving=False)
        algorithm = RandomSearch(problem, chosen, scope.settings.seed + OTHER_DRAWS)
        with progress(f"Drawing at random for {scope.budget}", algorithm.planned) as tracker:
            candidates = run(problem, algorithm, tracker)
        made_from = {**setting.made_from(), "budget_ms": limit_ms, "evaluations": algorithm.planned}
        made = provenance(seed=scope.settings.seed, settings=made_from)
        path = folder / RANDOM_SEARCH
        write_parquet(path, table(candidates, objective), {"budget": scope.budget, "provenance": made})
    return path

"""What exists and what is stale: an overview of everything, and one budget in detail."""

from collections.abc import Sequence

from hat.artifacts.layout import Results
from hat.artifacts.table import KINDS
from hat.config.scope import DeviceScope, TaskScope
from hat.config.settings import Settings
from hat.report.rows import model_names, places
from hat.report.summary import Row
from hat.workflow.snakemake import state

STAGES = {kind.stage: kind.names[0] for kind in KINDS if kind.stage is not None}


def overview(settings: Settings, results: Results, task: str | None = None, device: str | None = None) -> list[Row]:
    """Which stages of each task, device and budget are there.

    Args:
        settings: the configuration.
        results: where the artifacts are.
        task: this task alone.
        device: this device alone.

    Returns:
        One row for each budget or baseline, and one of a device without any: ``data``, ``supertransformer``,
        ``latency``, ``predictor``, ``searched``, ``trained``, ``exported``, ``measured``, ``scored``.
    """
    rows: list[Row] = []
    for name in settings.tasks if task is None else [task]:
        settings.task(name)
        own = [place for place in places(settings, results) if place.task == name and device in (None, place.device)]
        rows += [row for place in own for row in _place(place)]
        if not own and results.data(name).exists():
            rows.append({"task": name, "device": device or "", "model": ""} | _task(TaskScope(settings, results, name)))
    return rows


def _task(scope: TaskScope) -> Row:
    return {
        "data": (scope.data / "binary" / "counts.json").exists(),
        "supertransformer": (scope.supertransformer / "checkpoint.pt").exists(),
    }


def _place(place: DeviceScope) -> list[Row]:
    results = place.results
    common = _task(place) | {
        "latency": (results.latency(place.task, place.device) / "dataset.parquet").exists(),
        "predictor": (results.predictor(place.task, place.device) / "predictor.json").exists(),
    }
    found = []
    for name in model_names(place) or [""]:
        row: Row = {"task": place.task, "device": place.device, "model": name} | common
        if name:
            folder = results.budget(place.task, place.device, name)
            baseline = name in place.settings.baselines
            trained = results.trained(place.task, place.device, name, baseline=baseline) / "checkpoint.pt"
            stages = {stage: (folder / file).exists() for stage, file in STAGES.items()}
            row |= {"searched": None if baseline else stages.pop("searched"), "trained": trained.exists()} | stages
        found.append(row)
    return found


def detail(scope: DeviceScope, budgets: Sequence[str]) -> list[dict[str, str]]:
    """State of every artifact behind the scores and latencies of budgets, as Snakemake sees it.

    Args:
        scope: the task and the device.
        budgets: budgets or baselines.

    Returns:
        As :func:`hat.workflow.snakemake.state`.

    Raises:
        InputError: a name is unknown, or there is no Snakefile here.
    """
    scope.check()
    targets = []
    for budget in budgets:
        scope.settings.limit_ms(budget)
        targets += [str(scope.of(budget).folder / name) for name in ("bleu.txt", "latency.json")]
    return state(targets)

"""Which artifacts exist and which are out of date: an overview, and one budget in detail."""

from collections.abc import Sequence

from hat.artifacts.layout import Results
from hat.artifacts.table import KINDS
from hat.config.scope import DeviceScope, TaskScope
from hat.config.settings import Settings
from hat.report.rows import Row, device_scopes, model_names
from hat.workflow.snakemake import state

STAGES = {kind.stage: kind.names[0] for kind in KINDS if kind.stage is not None}


def overview(settings: Settings, results: Results, task: str | None = None, device: str | None = None) -> list[Row]:
    """Return which stages of each task, device and budget are done.

    Args:
        settings: the configuration.
        results: where the artifacts are.
        task: task to include; default: all.
        device: device to include; default: all.

    Returns:
        One row per budget or baseline, and one for a device without any: ``data``, ``supertransformer``, ``latency``,
        ``predictor``, ``searched``, ``trained``, ``exported``, ``measured``, ``scored``.
    """
    rows: list[Row] = []
    for name in settings.tasks if task is None else [task]:
        settings.task(name)
        scopes = [one for one in device_scopes(settings, results) if one.task == name and device in (None, one.device)]
        rows += [row for scope in scopes for row in _device_rows(scope)]
        if not scopes and results.data(name).exists():
            stages = _task_stages(TaskScope(settings, results, name))
            rows.append({"task": name, "device": device or "", "model": ""} | stages)
    return rows


def _task_stages(scope: TaskScope) -> Row:
    return {
        "data": (scope.data / "binary" / "counts.json").exists(),
        "supertransformer": (scope.supertransformer / "checkpoint.pt").exists(),
    }


def _device_rows(scope: DeviceScope) -> list[Row]:
    common = _task_stages(scope) | {
        "latency": (scope.latency / "dataset.parquet").exists(),
        "predictor": (scope.predictor / "predictor.json").exists(),
    }
    found = []
    for name in model_names(scope) or [""]:
        row: Row = {"task": scope.task, "device": scope.device, "model": name} | common
        if name:
            model = scope.of(name)
            stages = {stage: (model.folder / file).exists() for stage, file in STAGES.items()}
            searched = None if model.is_baseline else stages.pop("searched")
            row |= {"searched": searched, "trained": (model.trained / "checkpoint.pt").exists()} | stages
        found.append(row)
    return found


def detail(scope: DeviceScope, budgets: Sequence[str]) -> list[dict[str, str]]:
    """Return the state of every artifact behind the scores and latencies of budgets, as Snakemake sees it.

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

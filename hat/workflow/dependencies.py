"""Which settings each stage depends on: a change of any other re-runs nothing.

A stage names only what it reads itself; what its inputs depend on reaches it through them.
"""

from collections.abc import Mapping
from functools import reduce
from pathlib import Path
from typing import Any

from hat.artifacts.files import digest, read_json
from hat.config.base import Section, effective, effective_part
from hat.config.settings import Settings, budget_ms
from hat.config.sources import FileSource
from hat.config.task import Task
from hat.data.sources.configured import configured_sources

LANGUAGES = ("task.source_language", "task.target_language")
MEASUREMENT = (
    *("latency.precision", "latency.min_passes", "latency.passes", "latency.warmup", "latency.repeats"),
    *("latency.seconds", "latency.interference", "latency.drift"),
    *("latency.source_length", "latency.target_length", "latency.lengths"),
)
# Of one search for all budgets; the rest of `search` is about single budgets.
SEARCH = tuple(
    f"task.search.{name}"
    for name in ("algorithm", "objective", "validation_sentences", "limits", "evaluations", "levels", "halving")
)
RANDOM = tuple(f"task.search.{name}" for name in ("objective", "validation_sentences", "limits"))
# The deployed folder says how it translates; its beam is the device's.
DEPLOYED_DECODING = ("task.scoring.length_penalty", "task.scoring.max_length_ratio", "task.scoring.max_length_extra")
DEPLOYED = ("device", "device.threads", "task.data_licence", *LANGUAGES, *DEPLOYED_DECODING)
STAGES: Mapping[str, tuple[str, ...]] = {
    "fetch": ("task.corpus", "task.data"),
    "extract": ("task.corpus", "task.data", "extracted_tokenisation", *LANGUAGES),
    "tokenise": ("task.tokenisation", *LANGUAGES),
    "binarise": ("task.tokenisation", *LANGUAGES),
    "supertransformer": ("seed", "space", "task.network", "task.supertransformer"),
    "shortlist": ("space", "task.network", "task.shortlist", *LANGUAGES, *DEPLOYED_DECODING),
    "choose": ("seed", "measured_space", "latency.samples", "latency.shards", "latency.choice"),
    "sample": (
        *("seed", "space", "measured_space", "task.network", "device", "device.threads"),
        *("latency.target_error", *MEASUREMENT),
    ),
    "collect": ("latency.shards", "device.latency"),
    "fit": ("seed", "space", "latency.held_out", "latency.models", "latency.confidence"),
    "budgets": ("seed", "confined_space", "demo.count"),
    "front": ("seed", "space", "confined_space", "task.network", *SEARCH),
    "search": ("seed", "space", "confined_space", "task.network", "task.search"),
    "random_search": ("seed", "space", "confined_space", "task.network", *RANDOM),
    "translate": ("space", "task.network", "task.subtransformer.teacher", *DEPLOYED_DECODING),
    "subtransformer": ("seed", "space", "task.network", "task.subtransformer"),
    "export": ("space", "task.network", *DEPLOYED),
    "export_form": ("space", "task.network", "task.compression", *DEPLOYED),
    "measure": ("device", "device.threads", "device.power", *MEASUREMENT),
    "score": ("seed", "task.scoring", "device"),
}
# What stages read beside that in some configurations alone: these leave the digests of others as they are.
SEARCHES = frozenset({"front", "search", "random_search"})
# Latencies from a file are taken for those of a workload on a device, with no stage before that measures there.
EXTERNAL = (
    *("space", "confined_space", "task.network", "device", "device.threads"),
    *("latency.source_length", "latency.target_length", "latency.lengths"),
)
# What differs where a baseline stands in place of a budget: of the networks of its task it shares the embeddings alone.
BASELINE = ("baseline.network", "task.network.share_embeddings")
BASELINE_STAGES: Mapping[str, tuple[str, ...]] = {
    **STAGES,
    "baseline": ("seed", *BASELINE, "baseline.training"),
    "export": (*BASELINE, *DEPLOYED),
    "export_form": (*BASELINE, "task.compression", *DEPLOYED),
}


def stage_settings(
    settings: Settings, stage: str, task: str, device: str | None = None, baseline: str | None = None
) -> dict[str, Any]:
    """The resolved settings that a stage depends on, by their dotted names.

    Args:
        settings: the whole configuration.
        stage: a key of ``STAGES``, or with a baseline of ``BASELINE_STAGES``.
        task: name of the task.
        device: name of the device, for stages that have one.
        baseline: name of the baseline, where there is one instead of a budget.
    """
    chosen = settings.task(task)
    names = _names(settings, stage, task, device, baseline)
    roots: dict[str, Any] = {
        "seed": settings.seed,
        "demo": settings.configuration.demo,
        "task": chosen,
        "latency": chosen.latency,
        # Words are counted, and so made, where the text is extracted.
        "extracted_tokenisation": chosen.tokenisation if chosen.tokenisation.limits == "words" else None,
        "space": settings.space_of(task),
    }
    if device is not None:
        roots["device"] = settings.device(device)
        if "measured_space" in names:
            roots["measured_space"] = settings.measured_space_on(task, device)
        if "confined_space" in names:
            roots["confined_space"] = settings.space_on(task, device)
    if baseline is not None:
        roots["baseline.network"] = settings.baseline(baseline).network
        roots["baseline.training"] = settings.baseline_training(task, baseline)
    return {name: _named(roots, name) for name in names}


def _names(settings: Settings, stage: str, task: str, device: str | None, baseline: str | None) -> list[str]:
    """Dotted names of what a stage reads."""
    names = [*(STAGES if baseline is None else BASELINE_STAGES)[stage]]
    if stage in SEARCHES and settings.task(task).search.objective == "bleu":
        names += DEPLOYED_DECODING
    if stage == "collect" and device is not None and settings.device(device).latency is not None:
        names += EXTERNAL
    return names


def _named(roots: Mapping[str, Any], name: str) -> Any:
    """JSON-like form of what a dotted name stands for."""
    if name in roots:
        return effective(roots[name]) if isinstance(roots[name], Section) else roots[name]
    root, *path = name.split(".")
    parent: Section = reduce(getattr, path[:-1], roots[root])
    return effective_part(getattr(parent, path[-1]), parent.model_dump(mode="json", warnings=False)[path[-1]])


def stage_digest(
    settings: Settings, stage: str, task: str, device: str | None = None, baseline: str | None = None
) -> str:
    """Digest of :func:`stage_settings`; a rule that has it among its params re-runs when it changes."""
    return digest(stage_settings(settings, stage, task, device, baseline))


def own_files(task: Task) -> list[str]:
    """Files of this machine that a task's text comes from, those that exist; the data stage names a missing one."""
    return [
        source.path
        for source in configured_sources(task)
        if isinstance(source, FileSource) and Path(source.path).is_file()
    ]


def wanted_budgets(settings: Settings, task: str, device: str, chosen: Path) -> list[str]:
    """Budgets of the summary: those in budgets.json, and those that config.yaml asks for beside them.

    Args:
        settings: the configuration.
        task: name of the task.
        device: name of the device.
        chosen: budgets.json of the task and device.

    Returns:
        Names from the smallest budget to the largest.
    """
    demo = settings.configuration.demo
    further = demo.budgets if (task, device) == (demo.task, demo.device) else ()
    return sorted({*read_json(chosen)["budgets"], *further}, key=budget_ms)

"""The settings that each stage depends on; changes of other settings do not re-run it.

A stage lists only the settings that it reads itself. Settings of earlier stages reach it through its inputs.
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
# Settings of the search for all budgets; the other keys of `search` are for single budgets.
SEARCH = tuple(
    f"task.search.{name}"
    for name in ("algorithm", "objective", "validation_sentences", "limits", "evaluations", "levels", "halving")
)
RANDOM = tuple(f"task.search.{name}" for name in ("objective", "validation_sentences", "limits"))
# Decoding as recorded in the deployed folder, except for the beam size, which belongs to the device.
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
# Further settings that stages read only in some configurations, so that the digests of all others stay as they are.
SEARCHES = frozenset({"front", "search", "random_search"})
# Latencies from a file hold for a workload on a device; no earlier stage has these settings, since nothing is measured.
EXTERNAL = (
    *("space", "confined_space", "task.network", "device", "device.threads"),
    *("latency.source_length", "latency.target_length", "latency.lengths"),
)
# Differences for baselines, which share only the embeddings' settings with the networks of their task.
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
    """Return the resolved settings that a stage depends on, by their dotted names.

    Args:
        settings: the whole configuration.
        stage: a key of ``STAGES``; for a baseline, of ``BASELINE_STAGES``.
        task: name of the task.
        device: name of the device, for stages that have one.
        baseline: name of the baseline, if it takes the place of a budget.
    """
    chosen = settings.task(task)
    names = _names(settings, stage, task, device, baseline)
    roots: dict[str, Any] = {
        "seed": settings.seed,
        "demo": settings.configuration.demo,
        "task": chosen,
        "latency": chosen.latency,
        # Extraction counts words, so it tokenises text itself.
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
    """Return the dotted names of the settings that a stage reads."""
    names = [*(STAGES if baseline is None else BASELINE_STAGES)[stage]]
    if stage in SEARCHES and settings.task(task).search.objective == "bleu":
        names += DEPLOYED_DECODING
    if stage == "collect" and device is not None and settings.device(device).latency is not None:
        names += EXTERNAL
    return names


def _named(roots: Mapping[str, Any], name: str) -> Any:
    """Return the JSON-like value of a dotted name."""
    if name in roots:
        return effective(roots[name]) if isinstance(roots[name], Section) else roots[name]
    root, *path = name.split(".")
    parent: Section = reduce(getattr, path[:-1], roots[root])
    return effective_part(getattr(parent, path[-1]), parent.model_dump(mode="json", warnings=False)[path[-1]])


def stage_digest(
    settings: Settings, stage: str, task: str, device: str | None = None, baseline: str | None = None
) -> str:
    """Return the digest of :func:`stage_settings`; a rule with it among its params re-runs when it changes."""
    return digest(stage_settings(settings, stage, task, device, baseline))


def own_files(task: Task) -> list[str]:
    """Return the existing local files that a task's text comes from; the data stage reports missing ones."""
    return [
        source.path
        for source in configured_sources(task)
        if isinstance(source, FileSource) and Path(source.path).is_file()
    ]


def wanted_budgets(settings: Settings, task: str, device: str, chosen: Path) -> list[str]:
    """Return the budgets of the summary: those in budgets.json, and those that config.yaml adds.

    Args:
        settings: the configuration.
        task: name of the task.
        device: name of the device.
        chosen: path of budgets.json of the task and device.

    Returns:
        Their names, ascending.
    """
    demo = settings.configuration.demo
    further = demo.budgets if (task, device) == (demo.task, demo.device) else ()
    return sorted({*read_json(chosen)["budgets"], *further}, key=budget_ms)

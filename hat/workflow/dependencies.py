"""Which settings each stage depends on: a change of any other re-runs nothing.

A stage names only what it reads itself; what its inputs depend on reaches it through them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hat.artifacts.files import digest, read_json
from hat.config.corpus import FileSource
from hat.config.effects import WITHOUT_EFFECT
from hat.config.settings import Settings, budget_ms
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
DEPLOYED = ("device", "device.threads", *LANGUAGES, *DEPLOYED_DECODING)
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
    sections: dict[str, Any] = {
        "seed": settings.seed,
        "demo": settings.configuration.demo.model_dump(mode="json"),
        "task": chosen.model_dump(mode="json"),
        "latency": chosen.latency.model_dump(mode="json"),
        # Words are counted, and so made, where the text is extracted.
        "extracted_tokenisation": chosen.tokenisation.model_dump(mode="json")
        if chosen.tokenisation.limits == "words"
        else None,
        "space": settings.space_of(task).model_dump(mode="json"),
    }
    names = (STAGES if baseline is None else BASELINE_STAGES)[stage]
    if device is not None:
        # Another form than what is deployed may have a precision that no file of a device has.
        sections["device"] = settings.device(device).model_dump(mode="json", warnings=False)
        if "measured_space" in names:
            sections["measured_space"] = settings.measured_space_on(task, device).model_dump(mode="json")
        if "confined_space" in names:
            sections["confined_space"] = settings.space_on(task, device).model_dump(mode="json")
    if baseline is not None:
        network, training = settings.baseline(baseline).network, settings.baseline_training(task, baseline)
        sections["baseline"] = {
            "network": network.model_dump(mode="json"),
            "training": training.model_dump(mode="json"),
        }
    found = {}
    for name in names:
        value: Any = sections
        for part in name.split("."):
            value = value[part]
        found[name] = _without_effectless(value)
    return found


def stage_digest(
    settings: Settings, stage: str, task: str, device: str | None = None, baseline: str | None = None
) -> str:
    """Digest of :func:`stage_settings`; a rule that has it among its params re-runs when it changes."""
    return digest(stage_settings(settings, stage, task, device, baseline))


def _without_effectless(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: _without_effectless(entry) for key, entry in value.items() if key not in WITHOUT_EFFECT}


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

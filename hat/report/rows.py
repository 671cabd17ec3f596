"""Rows of results, gathered from artifacts: tasks, devices, models, and the measurements and scores of each model."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hat.artifacts.files import digest, read_json, read_jsonl, write_json
from hat.artifacts.layout import Results
from hat.artifacts.missing import require_artifact
from hat.artifacts.table import reserved
from hat.config.scope import BudgetScope, DeviceScope
from hat.config.settings import BUDGET, Settings, budget_ms
from hat.data.significance import compare
from hat.data.task_shape import task_shape
from hat.data.text.text import read_pairs
from hat.deploy.folder import DESCRIPTION
from hat.errors import InputError
from hat.space.architecture import Architecture
from hat.space.kinds import AnyArchitecture, configured_architecture
from hat.space.profile import PUBLISHED_SHAPE, Profile
from hat.workflow.dependencies import wanted_budgets

Row = dict[str, Any]
# Artifacts of a model that is measured and scored.
MEASURED = ("latency.json", "score.json")
KINDS = {"transformer": "Transformer", "evolved": "Evolved Transformer"}
HAT = "HAT"
# Keys of a row of the summary, beside `budget`, the model's name.
SUMMARY_KEYS = (
    *("budget_ms", "latency_ms", "latency_low_ms", "latency_high_ms", "spread_ms", "energy_j", "predicted_latency_ms"),
    *("within_budget", "bleu", "chrf", "validation_loss", "inherited_loss", "untrained_loss", "unigram_loss"),
    *("params_m", "training_s", "sentences", "bleu_signature", "chrf_signature"),
)
# Keys that rows of other tables do not have.
SUMMARY_ONLY = frozenset(
    {"spread_ms", "untrained_loss", "unigram_loss", "sentences", "bleu_signature", "chrf_signature"}
)


def model_names(scope: DeviceScope, among: Sequence[str] = ()) -> list[str]:
    """Return the names of a task's models on a device: budgets ascending, then baselines.

    Args:
        scope: the task and the device.
        among: models to include; all if empty.
    """
    if not scope.device_folder.is_dir():
        return []
    inside = {path.name for path in scope.device_folder.iterdir() if path.is_dir()} - reserved("TASK", "DEVICE")
    if among:
        inside &= set(among)
    budgets = sorted((name for name in inside if BUDGET.match(name)), key=budget_ms)
    return budgets + [name for name in scope.settings.baselines if name in inside]


def known_architecture(scope: BudgetScope) -> AnyArchitecture | None:
    """Return the network of a budget or baseline; None if no search has found it yet."""
    if scope.budget in scope.settings.baselines:
        return configured_architecture(scope.settings.baseline(scope.budget).network)
    path = scope.folder / "architecture.json"
    if not path.exists():
        return None
    content = read_json(path)
    return Architecture.from_dict(content["architecture"], str(path)) if "architecture" in content else None


def device_scopes(settings: Settings, results: Results) -> list[DeviceScope]:
    """Return the tasks and devices that the report covers and that have artifacts.

    Raises:
        InputError: the configuration names an unknown task or device.
    """
    chosen = settings.configuration.report
    tasks, devices = chosen.tasks or tuple(settings.tasks), chosen.devices or tuple(settings.devices)
    for task in tasks:
        settings.task(task)
    for device in devices:
        settings.device(device)
    found = [
        DeviceScope(settings, results, task, device)
        for task in tasks
        for device in devices
        if device not in reserved("TASK")
    ]
    return [scope for scope in found if scope.device_folder.is_dir()]


def rows_of(scope: DeviceScope, among: Sequence[str] = ()) -> list[Row]:
    """Return one row per budget and baseline; unknown values are None.

    Latencies have the 95 % interval of their median. BLEU has a bootstrap interval if there are translations.

    Args:
        scope: the task and the device.
        among: budgets and baselines to include; all if empty.
    """
    systems = significance(scope, among)["systems"]
    rows = [_row(scope.of(name), systems.get(name, {})) for name in model_names(scope, among)]
    return [{key: value for key, value in row.items() if key not in SUMMARY_ONLY} for row in rows]


def summary_rows(scope: DeviceScope, budgets: Sequence[str]) -> list[Row]:
    """Return one row per budget, ascending, then one per baseline that has been measured and scored.

    A baseline has no budget, no prediction and no inherited loss; these are None in its row.

    Args:
        scope: the task and the device.
        budgets: budgets to show; if empty, the workflow's, or else all that are finished.

    Raises:
        InputError: an artifact is missing, or no budget is finished.
    """
    scope.check()
    finished = [
        name for name in scope.settings.baselines if all((scope.of(name).folder / file).exists() for file in MEASURED)
    ]
    rows = [_row(scope.of(name), {}, read_json) for name in [*_shown_budgets(scope, budgets), *finished]]
    return [{"budget": row["model"]} | {key: row[key] for key in SUMMARY_KEYS} for row in rows]


def _shown_budgets(scope: DeviceScope, named: Sequence[str]) -> list[str]:
    if named:
        return sorted(set(named), key=budget_ms)
    if (chosen := scope.budgets).exists():
        return wanted_budgets(scope.settings, scope.task, scope.device, chosen)
    folder = scope.device_folder
    names = [path.name for path in folder.glob("*/") if BUDGET.match(path.name)]
    finished = [
        name for name in names if all((folder / name / file).exists() for file in ("architecture.json", *MEASURED))
    ]
    if not finished:
        raise InputError(f"{folder}: no budget has been scored and measured there yet; run snakemake first")
    return sorted(finished, key=budget_ms)


def training_seconds(metrics: Path) -> float:
    """Return the time that the updates of a training took, over all its runs, without validation."""
    rows = [row for row in read_jsonl(metrics) if row["event"] == "train"]
    return float(sum(row["tokens"] / row["tokens_per_s"] for row in rows))


def _optional(path: Path) -> dict[str, Any]:
    return read_json(path) if path.exists() else {}


def _row(scope: BudgetScope, interval: Mapping[str, float], read: Callable[[Path], dict[str, Any]] = _optional) -> Row:
    """Gather the artifacts of a model in a row.

    Args:
        scope: the budget or baseline.
        interval: ``bleu_low`` and ``bleu_high``, if known.
        read: reads its latency and scores.
    """
    folder, trained, name = scope.folder, scope.trained, scope.budget
    baseline = name in scope.settings.baselines
    latency, score = (read(folder / file) for file in MEASURED)
    winner, model = _optional(folder / "architecture.json"), _optional(folder / "model" / DESCRIPTION)
    training = _optional(trained / "config.json").get("training", {})
    architecture = known_architecture(scope)
    params = score.get("parameters") or model.get("parameters")
    metrics = trained / "metrics.jsonl"
    return {
        "task": scope.task,
        "device": scope.device,
        "model": name,
        "kind": KINDS[scope.settings.baseline(name).network.kind] if baseline else HAT,
        "source": "measured",
        "budget_ms": None if baseline else budget_ms(name),
        "latency_ms": latency.get("latency_ms"),
        "latency_low_ms": latency.get("latency_low_ms"),
        "latency_high_ms": latency.get("latency_high_ms"),
        "spread_ms": latency.get("spread_ms"),
        "energy_j": latency.get("energy_j"),
        "predicted_latency_ms": latency.get("predicted_latency_ms", winner.get("predicted_latency_ms")),
        "within_budget": latency.get("within_budget"),
        "bleu": score.get("bleu"),
        "bleu_low": interval.get("bleu_low"),
        "bleu_high": interval.get("bleu_high"),
        "chrf": score.get("chrf"),
        "validation_loss": score.get("validation_loss"),
        "inherited_loss": score.get("inherited_loss", winner.get("validation_loss")),
        "untrained_loss": score.get("untrained_loss"),
        "unigram_loss": score.get("unigram_loss"),
        "initial_weights": "random" if baseline else training.get("initial_weights"),
        "params_m": params / 1e6 if params else None,
        **_counted(scope, architecture),
        "training_s": training_seconds(metrics) if metrics.exists() else None,
        "digest": architecture.digest if architecture is not None else None,
        "target": f"{folder}/bleu.txt",
        "sentences": score.get("sentences"),
        "bleu_signature": score.get("bleu_signature"),
        "chrf_signature": score.get("chrf_signature"),
    }


def _counted(scope: BudgetScope, architecture: AnyArchitecture | None) -> dict[str, float | None]:
    """Count parameters without embeddings, and FLOPs at the measured length without the output projection."""
    if architecture is None:
        return {"params_without_embeddings_m": None, "flops_g": None}
    baseline = scope.budget if scope.budget in scope.settings.baselines else None
    shape = task_shape(scope, baseline, missing=PUBLISHED_SHAPE.source_vocabulary)
    profile = Profile.of(architecture, shape, scope.task_settings.latency.source_length)
    return {
        "params_without_embeddings_m": profile.params_without_embeddings / 1e6,
        "flops_g": profile.flops_without_last_layer / 1e9,
    }


def significance(scope: DeviceScope, among: Sequence[str] = ()) -> dict[str, Any]:
    """Return BLEU intervals and paired comparisons of a device's models (:func:`compared`)."""
    folders = {name: scope.of(name).folder for name in model_names(scope, among)}
    return compared(scope, folders, "models")


def compared(scope: DeviceScope, folders: Mapping[str, Path], what: str) -> dict[str, Any]:
    """Return BLEU intervals and paired comparisons of systems; cached in a file, since resampling takes seconds.

    Systems without scores, or with fewer sentences than the first, are left out.

    Args:
        scope: the task and the device.
        folders: folder of each system's scores and translations, by name.
        what: name of this comparison in the name of the cache file.

    Returns:
        The result of :func:`hat.data.significance.compare`, empty if there are no translations.
    """
    chosen = scope.task_settings
    raw = scope.data / "raw"
    files = [raw / f"test.{language}" for language in chosen.languages]
    texts: dict[str, list[str]] = {}
    for name, folder in folders.items():
        path = folder / "hypotheses.txt"
        if path.exists() and (folder / "score.json").exists():
            texts[name] = path.read_text(encoding="utf-8").split("\n")[:-1]
    empty: dict[str, Any] = {"systems": {}, "pairs": [], "signature": "", "samples": 0}
    if not texts or not all(file.exists() for file in files):
        return empty
    count = len(next(iter(texts.values())))
    texts = {name: lines for name, lines in texts.items() if len(lines) == count}
    references = [reference for _, reference in read_pairs(*files)][:count]
    if not count or len(references) != count:
        return empty
    identity = digest([list(texts.items()), references, chosen.target_language])
    path = scope.results.tables / "partial" / f"significance-{scope.task}-{scope.device}-{what}.json"
    if path.exists() and (cached := read_json(path)).get("identity") == identity:
        return cached
    found = compare(texts, references, chosen.target_language) | {"identity": identity}
    write_json(path, found)
    return found


def samples(scope: DeviceScope) -> Iterator[Row]:
    """Yield the measured Architectures of a task on a device: dimensions, FLOPs, latency with its interval.

    Raises:
        MissingArtifact: nothing has been measured.
    """
    import pandas as pd

    path = require_artifact(scope.latency / "dataset.parquet")
    shape = task_shape(scope, missing=PUBLISHED_SHAPE.source_vocabulary)
    for row in pd.read_parquet(path).to_dict("records"):
        architecture = Architecture.from_dict(json.loads(row["architecture"]), str(path))
        length = int(row.get("source_length") or scope.task_settings.latency.source_length)
        yield {
            "digest": architecture.digest,
            "latency_ms": row["latency_ms"],
            "latency_low_ms": row.get("latency_low_ms"),
            "latency_high_ms": row.get("latency_high_ms"),
            "flops_g": Profile.of(architecture, shape, length).flops_without_last_layer / 1e9,
            "encoder_width": architecture.encoder_embed_dim,
            "decoder_width": architecture.decoder_embed_dim,
            "encoder_ffn": sum(architecture.encoder_ffn_dim) / architecture.encoder_layers,
            "decoder_ffn": sum(architecture.decoder_ffn_dim) / architecture.decoder_layers,
            "encoder_depth": architecture.encoder_layers,
            "decoder_depth": architecture.decoder_layers,
        }

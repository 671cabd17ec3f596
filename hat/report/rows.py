"""Everything that was made, in rows: which tasks, devices and models there are, and what is known of each.

Unlike :mod:`hat.report.summary`, which wants the budgets of a finished run, this takes what there is.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hat.artifacts.files import digest, read_json, write_json
from hat.artifacts.layout import Results
from hat.artifacts.missing import require_artifact
from hat.artifacts.table import reserved
from hat.config.scope import BudgetScope, DeviceScope, TaskScope
from hat.config.settings import BUDGET, Settings, budget_ms
from hat.data.significance import compare
from hat.data.task_shape import task_shape
from hat.data.text.text import read_pairs
from hat.deploy.folder import DESCRIPTION
from hat.report.summary import Row, training_seconds
from hat.space.architecture import Architecture
from hat.space.kinds import AnyArchitecture, architecture_of
from hat.space.profile import PUBLISHED_SHAPE, Profile

KINDS = {"transformer": "Transformer", "evolved": "Evolved Transformer"}
HAT = "HAT"


def model_names(scope: DeviceScope, among: Sequence[str] = ()) -> list[str]:
    """Names of the models that a task has on a device: budgets by size, then baselines.

    Args:
        scope: the task and the device.
        among: only these, if any are given.
    """
    if not scope.device_folder.is_dir():
        return []
    inside = {path.name for path in scope.device_folder.iterdir() if path.is_dir()} - reserved("TASK", "DEVICE")
    if among:
        inside &= set(among)
    budgets = sorted((name for name in inside if BUDGET.match(name)), key=budget_ms)
    return budgets + [name for name in scope.settings.baselines if name in inside]


def known_architecture(scope: BudgetScope) -> AnyArchitecture | None:
    """The network of a budget or baseline; None if no search has found it yet."""
    if scope.budget in scope.settings.baselines:
        return architecture_of(scope.settings.baseline(scope.budget).network)
    path = scope.folder / "architecture.json"
    if not path.exists():
        return None
    content = read_json(path)
    return Architecture.from_dict(content["architecture"], str(path)) if "architecture" in content else None


def places(settings: Settings, results: Results) -> list[DeviceScope]:
    """Tasks and devices that the report covers and that have artifacts.

    Raises:
        InputError: the configuration names an unknown one.
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
    return [place for place in found if place.device_folder.is_dir()]


def rows_of(place: DeviceScope, among: Sequence[str] = ()) -> list[Row]:
    """One row for each budget and baseline of a place; what is not known is None.

    Latencies have the 95 % interval of their median, BLEU that of bootstrap resampling, where translations are there.
    """
    tested = significance(place, among)
    return [_row(place, name, tested["systems"].get(name, {})) for name in model_names(place, among)]


def _row(place: DeviceScope, name: str, tested: dict[str, float]) -> Row:
    folder = place.of(name).folder
    baseline = name in place.settings.baselines
    found, score, latency, model = (
        _optional(path)
        for path in (
            folder / "architecture.json",
            folder / "score.json",
            folder / "latency.json",
            folder / "model" / DESCRIPTION,
        )
    )
    trained = place.of(name).trained
    training = _optional(trained / "config.json").get("training", {})
    architecture = known_architecture(place.of(name))
    params = score.get("parameters") or model.get("parameters")
    metrics = trained / "metrics.jsonl"
    return {
        "task": place.task,
        "device": place.device,
        "model": name,
        "kind": KINDS[place.settings.baseline(name).network.kind] if baseline else HAT,
        "source": "measured",
        "budget_ms": None if baseline else budget_ms(name),
        "latency_ms": latency.get("latency_ms"),
        "latency_low_ms": latency.get("latency_low_ms"),
        "latency_high_ms": latency.get("latency_high_ms"),
        "energy_j": latency.get("energy_j"),
        "predicted_latency_ms": latency.get("predicted_latency_ms", found.get("predicted_latency_ms")),
        "within_budget": latency.get("within_budget"),
        "bleu": score.get("bleu"),
        "bleu_low": tested.get("bleu_low"),
        "bleu_high": tested.get("bleu_high"),
        "chrf": score.get("chrf"),
        "validation_loss": score.get("validation_loss"),
        "inherited_loss": score.get("inherited_loss", found.get("validation_loss")),
        "initial_weights": "random" if baseline else training.get("initial_weights"),
        "params_m": params / 1e6 if params else None,
        **_counted(place, name, architecture),
        "training_s": training_seconds(metrics) if metrics.exists() else None,
        "digest": architecture.digest if architecture is not None else None,
        "target": f"{folder}/bleu.txt",
    }


def _optional(path: Path) -> dict[str, Any]:
    return read_json(path) if path.exists() else {}


def _counted(place: DeviceScope, name: str, architecture: AnyArchitecture | None) -> dict[str, float | None]:
    """FLOPs at the length that is measured, and parameters, without what depends on the dictionary alone."""
    if architecture is None:
        return {"params_without_embeddings_m": None, "flops_g": None}
    baseline = name if name in place.settings.baselines else None
    missing = PUBLISHED_SHAPE.source_vocabulary
    shape = task_shape(TaskScope(place.settings, place.results, place.task), baseline, missing=missing)
    profile = Profile.of(architecture, shape, place.task_settings.latency.source_length)
    return {
        "params_without_embeddings_m": profile.params_without_embeddings / 1e6,
        "flops_g": profile.flops_without_last_layer / 1e9,
    }


def significance(place: DeviceScope, among: Sequence[str] = ()) -> dict[str, Any]:
    """BLEU intervals of the models of a place and their paired comparisons, as :func:`compared`."""
    folders = {name: place.of(name).folder for name in model_names(place, among)}
    return compared(place, folders, "models")


def compared(place: DeviceScope, folders: Mapping[str, Path], what: str) -> dict[str, Any]:
    """BLEU intervals and paired comparisons of what was scored; kept, since resampling takes seconds.

    Those that are not scored, or on fewer sentences than the first, are left out.

    Args:
        place: task and device.
        folders: of scores and translations, by the name of the system.
        what: name of this comparison, for the file that it is kept in.

    Returns:
        As :func:`hat.data.significance.compare`, empty where no translations are there.
    """
    chosen = place.task_settings
    raw = place.data / "raw"
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
    path = place.results.tables / "partial" / f"significance-{place.task}-{place.device}-{what}.json"
    if path.exists() and (kept := read_json(path)).get("identity") == identity:
        return kept
    found = compare(texts, references, chosen.target_language) | {"identity": identity}
    write_json(path, found)
    return found


def samples(place: DeviceScope) -> Iterator[Row]:
    """The measured Architectures of a place: dimensions, FLOPs, latency with its interval.

    Raises:
        MissingArtifact: nothing was measured.
    """
    import pandas as pd

    path = require_artifact(place.latency / "dataset.parquet")
    shape = task_shape(TaskScope(place.settings, place.results, place.task), missing=PUBLISHED_SHAPE.source_vocabulary)
    for row in pd.read_parquet(path).to_dict("records"):
        architecture = Architecture.from_dict(json.loads(row["architecture"]), str(path))
        length = int(row.get("source_length") or place.task_settings.latency.source_length)
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

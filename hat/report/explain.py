"""Where the time of an Architecture goes on a device, as the latency predictor sees it."""

from pathlib import Path
from typing import Any

from hat.artifacts import read_json
from hat.errors import InputError
from hat.latency.features import FEATURES, features
from hat.latency.predictor import LatencyPredictor
from hat.layout import Results
from hat.profile import task_of
from hat.published.architecture import architecture_of, read_description
from hat.report.lacking import needed
from hat.settings import Settings
from hat.space import Architecture

WORDS = {
    "sentence": "fixed cost of a sentence",
    "encoder_layers": "encoder: fixed cost of its layers",
    "encoder_projections": "encoder: attention projections",
    "encoder_ffn": "encoder: feed-forward networks",
    "encoder_heads": "encoder: attention heads",
    "cross_keys": "keys and values of cross-attention",
    "decoder_layers": "decoder: fixed cost of its layers, every step",
    "decoder_projections": "decoder: attention projections",
    "decoder_ffn": "decoder: feed-forward networks",
    "decoder_self_heads": "decoder: self-attention heads",
    "decoder_cross_heads": "decoder: cross-attention heads",
    "cross_attention": "decoder: cross-attention",
    "output_projection": "output projection",
}


def components(predictor: LatencyPredictor, architecture: Architecture) -> dict[str, float]:
    """Milliseconds of each component; they add up to the prediction.

    The one place that knows how a predictor divides its prediction: into features times their costs.
    """
    row = features([architecture], predictor.workload)[0]
    return {name: float(count * predictor.cost_ms[name]) for name, count in zip(FEATURES, row, strict=True)}


def explain(settings: Settings, results: Results, file: Path, device: str, task: str | None = None) -> dict[str, Any]:
    """Predicted latency of an Architecture on a device, by component.

    Args:
        settings: the configuration.
        results: where the predictor is.
        file: an Architecture: ours, an artifact that holds one, or published YAML.
        device: name of the device.
        task: whose predictor; that of the file, where it lies in the folder of one.

    Returns:
        ``predicted_latency_ms``, ``components`` (name, what, ms, percent; the largest first), ``task``, ``device``,
        ``digest``, and ``measured_latency_ms`` where the file's model was measured there.

    Raises:
        InputError: the file holds no Architecture, no task is known, or there is no predictor.
    """
    settings.device(device)
    values = read_description(file)
    architecture = architecture_of(values, file)
    name = task or values.get("task") or task_of(file, results)
    if name is None:
        raise InputError(f"{file}: belongs to no task, so say which: --task, one of {', '.join(settings.tasks)}")
    settings.task(name)
    path = needed(results.predictor(name, device) / "predictor.json")
    predictor = LatencyPredictor.from_dict(read_json(path), str(path))
    parts = components(predictor, architecture)
    total = sum(parts.values())
    measured = file.parent / "latency.json"
    latency = read_json(measured) if measured.exists() else {}
    here = latency.get("digest") == architecture.digest and latency.get("conditions", {}).get("device") == device
    return {
        "task": name,
        "device": device,
        "digest": architecture.digest,
        "predicted_latency_ms": total,
        "measured_latency_ms": latency["latency_ms"] if here else None,
        "components": [
            {"name": part, "what": WORDS.get(part, part), "ms": value, "percent": 100 * value / total if total else 0.0}
            for part, value in sorted(parts.items(), key=lambda item: -item[1])
        ],
        "architecture": architecture.to_dict(),
    }

"""Predicted latency of an Architecture on a device, by component."""

import math
from pathlib import Path
from typing import Any

from hat.artifacts.files import read_json
from hat.artifacts.layout import Results
from hat.artifacts.missing import require_artifact
from hat.config.settings import Settings
from hat.errors import InputError
from hat.latency.predictor.predictor import LatencyPredictor
from hat.report.profile import task_of
from hat.space.files import architecture_in, read_description


def explain(settings: Settings, results: Results, file: Path, device: str, task: str | None = None) -> dict[str, Any]:
    """Predict the latency of an Architecture on a device, by component.

    Args:
        settings: the configuration.
        results: where the predictor is.
        file: an Architecture: ours, an artifact that holds one, or published YAML.
        device: name of the device.
        task: task whose predictor to use; default: the task in whose folder the file is.

    Returns:
        ``predicted_latency_ms``, ``components`` (name, ms, percent; the largest first), ``task``, ``device``,
        ``digest``, and ``measured_latency_ms`` if the file's model was measured on the device.

    Raises:
        InputError: the file holds no Architecture, no task is known, or there is no predictor.
    """
    settings.device(device)
    values = read_description(file)
    architecture = architecture_in(values, file)
    name = task or values.get("task") or task_of(file, results)
    if name is None:
        raise InputError(f"{file}: belongs to no task; give --task, one of {', '.join(settings.tasks)}")
    settings.task(name)
    path = require_artifact(results.predictor(name, device) / "predictor.json")
    predictor = LatencyPredictor.from_dict(read_json(path), str(path))
    parts = predictor.breakdown(architecture)
    total = math.fsum(parts.values())
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
            {"name": part, "ms": value, "percent": 100 * value / total}
            for part, value in sorted(parts.items(), key=lambda item: -item[1])
        ],
        "architecture": architecture.to_dict(),
    }

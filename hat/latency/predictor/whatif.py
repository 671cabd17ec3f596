"""What-if predictions: the latency of any Architecture, by component."""

from pathlib import Path
from typing import Any

from hat.config.scope import DeviceScope
from hat.errors import InputError
from hat.latency.stages import load_predictor
from hat.space.architecture import Architecture
from hat.space.files import read_architecture
from hat.space.search_space import SearchSpace


def architecture_argument(text: str) -> Architecture:
    """Read an Architecture from JSON text, or from the file of this name; see :func:`read_architecture`.

    Raises:
        InputError: the text is neither.
    """
    if text.lstrip().startswith("{"):
        return Architecture.from_json(text, "ARCHITECTURE")
    return read_architecture(Path(text))


def predict_architecture(scope: DeviceScope, architecture: Architecture) -> dict[str, Any]:
    """Predict the latency of an Architecture, its upper bound, and the latency of its components.

    Args:
        scope: the task and the device.
        architecture: the network; the prediction is an extrapolation if it is outside the task's space.

    Returns:
        ``predicted_latency_ms``, ``upper_bound_ms``, ``confidence``, ``guarantee``, ``model``; ``outside_space``, one
        sentence for each dimension outside the space; ``components``, each with ``latency_ms``, which add up to the
        prediction, and ``percent``; ``estimate``, always True, because nothing here is measured.

    Raises:
        InputError: the predictor is missing, or a decoder layer attends to more encoder layers than exist.
    """
    predictor = load_predictor(scope)
    span, layers = max(architecture.decoder_cross_span), architecture.encoder_layers
    if span > layers:
        raise InputError(f"Architecture, decoder_cross_span: {span}, expected at most the encoder's {layers} layers")
    space = SearchSpace(scope.device_space)
    predicted = float(predictor.predict([architecture])[0])
    description = predictor.bound.description()
    return {
        "predicted_latency_ms": predicted,
        "upper_bound_ms": float(predictor.upper_bound([architecture])[0]),
        "confidence": description["confidence"],
        "guarantee": description["guarantee"],
        "model": predictor.regression.kind,
        "digest": architecture.digest,
        "outside_space": list(space.violations(architecture)),
        "components": [
            {"component": name, "latency_ms": value, "percent": 100 * value / predicted}
            for name, value in predictor.breakdown(architecture).items()
        ],
        "estimate": True,
    }

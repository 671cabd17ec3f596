"""Variants of a trained network besides the deployed one: another precision, or k-means quantisation."""

import copy
from typing import Any

from hat.config.kmeans import BITS, quantisation
from hat.config.runtimes import DEVICE_PRECISIONS, FALLBACK, RUNTIMES
from hat.config.settings import Settings
from hat.errors import InputError

# Bits of the variants that k-means quantises.
KMEANS = {f"quantized-{bits}bit": bits for bits in sorted(BITS, reverse=True)}
VARIANTS = (*DEVICE_PRECISIONS, *KMEANS)


def settings_for_variant(settings: Settings, task: str, device: str, variant: str | None) -> Settings:
    """Return settings whose device executes a variant of a network.

    ONNX Runtime executes precisions that the device's Runtime does not support. The k-means variants use the torch
    Runtime without a shortlist, as in the published experiment.

    Args:
        settings: the configuration.
        task: name of the task.
        device: name of the device.
        variant: one of :data:`VARIANTS`; None for what is deployed, which returns ``settings``.

    Raises:
        InputError: there is no such variant, task or device.
    """
    if variant is None:
        return settings
    chosen = settings.device(device)
    if variant in KMEANS:
        kind = quantisation(KMEANS[variant], embeddings=settings.task(task).compression.embeddings)
        runtime = next(name for name, facts in RUNTIMES.items() if kind.precision in facts.precisions)
        update: dict[str, Any] = {"runtime": runtime, "precision": kind.precision, "shortlist": False}
    elif variant in DEVICE_PRECISIONS:
        runtime = chosen.runtime if variant in RUNTIMES[chosen.runtime].precisions else FALLBACK
        update = {"runtime": runtime, "precision": variant}
        if not RUNTIMES[runtime].gpu:
            update["accelerator"] = None
    else:
        raise InputError(f"{variant!r} is unknown, expected {', '.join(VARIANTS[:-1])} or {VARIANTS[-1]}")
    changed = copy.copy(settings)
    changed.devices = {**settings.devices, device: chosen.model_copy(update=update)}
    return changed

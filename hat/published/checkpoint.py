"""Reading checkpoint files of the research code without running code that they pickle, and writing them."""

import argparse
import io
import math
import re
import warnings
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.serialization import safe_globals

from hat.artifacts.files import atomic
from hat.errors import InputError
from hat.model.published import Weights

# Stand-ins for the running statistics that fairseq pickles under `extra_state`.
_METERS = [type(name, (), {"__module__": "fairseq.meters"}) for name in ("AverageMeter", "StopwatchMeter", "TimeMeter")]
_GLOBAL = re.compile(r"GLOBAL ([\w.]+)")
_ALLOWED = "expected tensors, argparse.Namespace and fairseq's meters only"


@dataclass(frozen=True, kw_only=True)
class PublishedCheckpoint:
    """The content of a checkpoint of the research code, without optimiser state and meters.

    ``losses`` holds the validation losses ``loss`` and ``nll`` in nats per token, if the file has them.
    """

    args: dict[str, Any]
    model: Weights
    optimizer_history: list[Any]
    extra_state: dict[str, Any]
    losses: dict[str, float] = field(default_factory=dict)


def load_foreign(path: Path) -> Any:
    """Return the content of a checkpoint of fairseq or the research code: tensors, plain values, arguments and meters.

    Raises:
        InputError: the file is missing, truncated, or pickles anything else. No code in it is run.
    """
    try:
        with warnings.catch_warnings(), safe_globals([argparse.Namespace, *_METERS]):
            # torch warns of other pickle protocols, and then refuses them.
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except Exception as error:
        if (refused := _refused_global(error)) is not None:
            raise InputError(f"{path}: refused, because it would load {refused}; {_ALLOWED}") from None
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path}: not a complete checkpoint ({reason})") from None


def read_checkpoint(path: Path) -> PublishedCheckpoint:
    """Read a checkpoint in either serialisation format of torch.

    Raises:
        InputError: the file is missing, truncated, not such a checkpoint, or pickles anything but tensors, plain
            values, arguments and meters. No code in it is run.
    """
    state = load_foreign(path)
    if not (isinstance(state, dict) and isinstance(state.get("args"), argparse.Namespace) and _is_weights(state)):
        raise InputError(f"{path}: not a checkpoint of the research code, expected `args` and `model` with weights")
    history, extra_state = state.get("optimizer_history", []), state.get("extra_state", {})
    if not (isinstance(history, list) and all(isinstance(entry, dict) for entry in history)):
        raise InputError(f"{path}, optimizer_history: expected a list of mappings")
    if not isinstance(extra_state, dict):
        raise InputError(f"{path}, extra_state: holds a {type(extra_state).__name__}, expected a mapping")
    extra_state = dict(extra_state)
    meters = extra_state.pop("train_meters", {})
    content: dict[str, Any] = {
        "args": vars(state["args"]),
        "optimizer_history": history,
        "extra_state": extra_state,
    }
    for name, value in content.items():
        _check_plain(value, f"{path}, {name}")
    return PublishedCheckpoint(model=dict(state["model"]), losses=_losses(extra_state, meters), **content)


def vocabularies_of(weights: Weights) -> tuple[int, int]:
    """Return the sizes of the source and target vocabulary of a network, given its weights."""
    return weights["source_embedding.weight"].size(0), weights["target_embedding.weight"].size(0)


def load_weights(network: nn.Module, weights: Weights, path: Path) -> None:
    """Load weights into a network.

    Args:
        network: the network that ``path`` describes.
        weights: state dict.
        path: the checkpoint, for messages.

    Raises:
        InputError: the names or sizes of the weights do not match the network.
    """
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        # The first line of the message has no details.
        first = str(error).splitlines()[1].strip()
        raise InputError(f"{path}: the weights do not match the network that it describes ({first})") from None


def _refused_global(error: Exception) -> str | None:
    """Return the name of the global that torch refused to unpickle; None if the error is another one."""
    found = _GLOBAL.search(str(error))
    return found[1] if found else None


def _is_weights(state: Mapping[str, Any]) -> bool:
    model = state.get("model")
    return isinstance(model, dict) and bool(model) and all(isinstance(value, Tensor) for value in model.values())


def _check_plain(value: Any, where: str) -> None:
    """Raise unless a value consists of types that checkpoints of this project can hold."""
    if isinstance(value, dict):
        for key, inner in value.items():
            _check_plain(inner, f"{where}.{key}")
    elif isinstance(value, list | tuple):
        for inner in value:
            _check_plain(inner, where)
    elif not isinstance(value, str | int | float | None):
        raise InputError(f"{where}: holds a {type(value).__name__}, expected plain values")


def _losses(extra_state: Mapping[str, Any], meters: Any) -> dict[str, float]:
    """Return the validation losses in nats per token; published losses are in bits."""
    nll = getattr(meters.get("valid_nll_loss"), "avg", None) if isinstance(meters, dict) else None
    found = {"loss": extra_state.get("val_loss"), "nll": nll}
    return {name: value * math.log(2) for name, value in found.items() if isinstance(value, int | float)}


def write_checkpoint(path: Path, checkpoint: PublishedCheckpoint) -> None:
    """Write a checkpoint in the legacy serialisation format, which every version of torch reads.

    Optimiser state and meters are omitted; the research code initialises them.

    Raises:
        HatError: the disk is full; an existing file is kept.
        InputError: ``path`` is a folder.
    """
    if path.is_dir():
        raise InputError(f"{path}: is a folder, expected the name of a file to write")
    content = {
        "args": argparse.Namespace(**checkpoint.args),
        "model": OrderedDict(checkpoint.model),
        "optimizer_history": checkpoint.optimizer_history,
        "extra_state": {**checkpoint.extra_state, "train_meters": OrderedDict()},
        "last_optimizer_state": None,
    }
    # Serialise in memory first: the error that torch raises for a full disk does not name the cause.
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=False)
    with atomic(path, "wb") as stream:
        stream.write(buffer.getbuffer())

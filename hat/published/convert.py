"""Converting checkpoints of the research code to this project's format, and back."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from hat.artifacts.files import digest, file_digest, provenance, read_json, write_json
from hat.config.networks import Network
from hat.config.settings import Settings
from hat.errors import InputError
from hat.model.published import Weights, buffers_of, export_weights, import_weights
from hat.model.supertransformer import SuperTransformer
from hat.model.transformer import Transformer
from hat.published.arguments import Subject, arguments_of, subject_of, with_architecture
from hat.published.checkpoint import (
    PublishedCheckpoint,
    load_weights,
    read_checkpoint,
    vocabularies_of,
    write_checkpoint,
)
from hat.space.architecture import Architecture
from hat.space.search_space import SearchSpace
from hat.space.shape import Shape
from hat.train import checkpoints

# Types that survive a conversion to fp32 and back bit for bit.
_DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
_PRE_NORM = (
    "the research code normalises only the last of the encoder outputs that a decoder layer attends to;"
    " this network was trained with norm: pre, where all of them are normalised"
)


def import_checkpoint(path: Path, out: Path, architecture: Architecture | None = None) -> dict[str, Any]:
    """Write ``out/checkpoint.pt`` and ``out/config.json`` from a checkpoint of the research code.

    A SubTransformer is extracted from the tensors of the SuperTransformer's size in which the file stores it.

    Args:
        path: the checkpoint.
        out: folder to write.
        architecture: SubTransformer to extract from a SuperTransformer's checkpoint.

    Returns:
        The content of ``config.json``.

    Raises:
        InputError: the file is not such a checkpoint, is refused, or does not match its own arguments; or it does not
            contain ``architecture``; or ``out`` is a file.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file, expected a folder to write")
    published = read_checkpoint(path)
    try:
        weights = import_weights(published.model)
        vocabularies = vocabularies_of(weights)
    except KeyError as error:
        raise InputError(f"{path}: the tensor {error.args[0]} is missing, or unknown to this project") from None
    except (ValueError, IndexError, RuntimeError) as error:
        raise InputError(f"{path}: not the tensors of the research code ({error})") from None
    dtype = _dtype_of(weights, path)
    subject = subject_of(published.args, vocabularies, str(path))
    chosen = _chosen(subject, architecture, path)
    full = SuperTransformer(SearchSpace(subject.space), subject.shape)
    load_weights(full, weights, path)
    model: Transformer = full if chosen is None else full.extract(chosen)
    what = {"space": subject.space.model_dump(mode="json")} if chosen is None else {"architecture": chosen.to_dict()}
    args = published.args if chosen == subject.architecture else with_architecture(published.args, chosen)
    identity = digest({"file": file_digest(path), **what})
    origin = provenance(seed=args.get("seed"), settings={"identity": identity})
    history = published.optimizer_history
    config = {
        "imported": path.name,
        "shape": asdict(subject.shape),
        **what,
        "identity": identity,
        "validation": published.losses,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "provenance": origin,
    }
    content = {
        "model": model.state_dict(),
        "update": history[-1].get("num_updates", 0) if history else 0,
        "identity": identity,
        "provenance": origin,
        "published": {
            "args": args,
            "dtype": dtype,
            "buffers": buffers_of(published.model),
            "optimizer_history": history,
            "extra_state": published.extra_state,
        },
    }
    checkpoints.save(out / "checkpoint.pt", content)
    write_json(out / "config.json", config)
    return config


def export_checkpoint(path: Path, out: Path, settings: Callable[[], Settings]) -> dict[str, Any]:
    """Write a checkpoint that the research code can load.

    An imported checkpoint is written with its original arguments. The weights of a SubTransformer are stored in tensors
    of the SuperTransformer's size, padded with zeros.

    Args:
        path: a ``checkpoint.pt`` of this project beside its ``config.json``, or their folder.
        out: file to write.
        settings: function that reads the configuration, for the languages and the space of a task.

    Returns:
        A description of the written file, to be printed.

    Raises:
        InputError: a file is missing, the files do not match, or the research code cannot express the network.
    """
    file = path / "checkpoint.pt" if path.is_dir() else path
    checkpoint = checkpoints.load(file)
    weights = checkpoint.get("model")
    if not isinstance(weights, dict) or "source_embedding.weight" not in weights:
        raise InputError(
            f"{file}: not a checkpoint of this project; `hat convert import` reads the research code's checkpoints"
        )
    vocabularies = vocabularies_of(weights)
    if "published" in checkpoint:
        origin = checkpoint["published"]
        args, dtype, buffers = origin["args"], _DTYPES[origin["dtype"]], origin["buffers"]
        history, extra_state = origin["optimizer_history"], origin["extra_state"]
        subject = subject_of(args, vocabularies, str(file))
    else:
        config = read_json(file.parent / "config.json")
        subject, args = _own_subject(config, settings(), vocabularies, file.parent / "config.json")
        loss = config.get("validation", {}).get("loss", 0.0) / math.log(2)
        dtype, buffers = torch.float32, {}
        history, extra_state = _fresh_state(int(checkpoint.get("update", 0)), loss)
    full = _full_size(subject, weights, file)
    published = export_weights(
        full.state_dict(),
        joint=subject.shape.super_encoder_dim == subject.shape.super_decoder_dim,
        untied=subject.shape.share_embeddings == "none",
    )
    model = {name: buffers.get(name, tensor.to(dtype)) for name, tensor in published.items()}
    write_checkpoint(
        out,
        PublishedCheckpoint(
            args=args, model=_shared(model, subject.shape), optimizer_history=history, extra_state=extra_state
        ),
    )
    description: dict[str, Any] = {
        "file": str(out),
        "holds": "a SuperTransformer" if subject.architecture is None else "a SubTransformer",
        "tensors": len(model),
    }
    spans = subject.space if subject.architecture is None else subject.architecture
    if subject.shape.norm == "pre" and max(spans.decoder_cross_span) > 1:
        description["note"] = _PRE_NORM
    return description


def _chosen(subject: Subject, architecture: Architecture | None, path: Path) -> Architecture | None:
    """Return the Architecture to extract from a file; None for the SuperTransformer."""
    if architecture is None:
        return subject.architecture
    if subject.architecture is None:
        SearchSpace(subject.space).check(architecture, str(path))
    elif architecture != subject.architecture:
        raise InputError(
            f"{path}: contains a SubTransformer of a different Architecture; give its own Architecture, or none"
        )
    return architecture


def _dtype_of(weights: Weights, path: Path) -> str:
    found = sorted({str(tensor.dtype).removeprefix("torch.") for tensor in weights.values()})
    if len(found) > 1 or found[0] not in _DTYPES:
        raise InputError(
            f"{path}: tensors of type {', '.join(found)}, expected the same type for all, one of {', '.join(_DTYPES)}"
        )
    return found[0]


def _own_subject(
    config: Mapping[str, Any], settings: Settings, vocabularies: tuple[int, int], path: Path
) -> tuple[Subject, dict[str, Any]]:
    """Return the network in a checkpoint that the pipeline trained, and its arguments."""
    try:
        task = settings.task(config["task"])
        space = settings.space_of(config["task"])
        shape = Shape.of(space, Network.model_validate(config["network"]), *vocabularies)
        architecture = None
        if "architecture" in config:
            architecture = Architecture.from_dict(config["architecture"], str(path))
            SearchSpace(space).check(architecture, str(path))
        subject = Subject(space=space, shape=shape, architecture=architecture)
        args = arguments_of(
            subject,
            task=config["task"],
            languages=task.languages,
            training=config["training"],
            seed=config["seed"],
        )
    except KeyError as error:
        raise InputError(f"{path}: has no {error.args[0]!r}, expected the file that a training run writes") from None
    return subject, args


def _fresh_state(update: int, loss: float) -> tuple[list[Any], dict[str, Any]]:
    """Return the optimiser history and extra state for the research code's loader; ``loss`` is in bits per token."""
    history = [
        {
            "criterion_name": "LabelSmoothedCrossEntropyCriterion",
            "optimizer_name": "FairseqAdam",
            "lr_scheduler_state": {"best": loss},
            "num_updates": update,
        }
    ]
    return history, {"train_iterator": {"epoch": 0, "iterations_in_epoch": 0}, "val_loss": loss, "best": loss}


def _full_size(subject: Subject, weights: Weights, path: Path) -> SuperTransformer:
    """Return the SuperTransformer, or for a SubTransformer one that holds its weights and zeros elsewhere."""
    full = SuperTransformer(SearchSpace(subject.space), subject.shape)
    if subject.architecture is None:
        load_weights(full, weights, path)
        return full
    extracted = Transformer(subject.architecture, subject.shape)
    load_weights(extracted, weights, path)
    full.select(subject.architecture)
    with torch.no_grad():
        for parameter in full.parameters():
            parameter.zero_()
        for tensor, part in full.parts(extracted):
            part.copy_(tensor)
    return full


def _shared(model: Weights, shape: Shape) -> Weights:
    """Let the two names of a shared embedding table share one tensor, so that it is written once."""
    if shape.share_embeddings == "all":
        model["decoder.embed_tokens.weight"] = model["encoder.embed_tokens.weight"]
    return model

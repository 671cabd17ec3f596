"""Checkpoints of the research code into folders of ours, and back."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hat.artifacts.files import digest, file_digest, provenance, read_json, write_json
from hat.config.networks import Network
from hat.config.settings import Settings
from hat.errors import InputError
from hat.model.published import Weights, buffers_of, export_weights, import_weights
from hat.model.supertransformer import SuperTransformer
from hat.model.transformer import Transformer
from hat.published.arguments import Subject, arguments_of, subject_of, with_architecture
from hat.published.checkpoint import PublishedCheckpoint, read_checkpoint, write_checkpoint
from hat.space.architecture import Architecture
from hat.space.search_space import SearchSpace
from hat.space.shape import Shape
from hat.train import checkpoints

# Types that pass through fp32 and back bit for bit.
_DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
_PRE_NORM = (
    "the research code normalises only the last of the encoder outputs that a decoder layer attends to;"
    " this network, trained with norm: pre, was given all of them normalised"
)


def import_checkpoint(path: Path, out: Path, architecture: Architecture | None = None) -> dict[str, Any]:
    """Write ``out/checkpoint.pt`` and ``out/config.json`` from a checkpoint of the research code.

    A SubTransformer, which the file holds inside tensors of the SuperTransformer's size, is cut out.

    Args:
        path: the checkpoint.
        out: folder to write.
        architecture: the SubTransformer to take out of a SuperTransformer's checkpoint.

    Returns:
        What ``config.json`` says.

    Raises:
        InputError: the file is no such checkpoint, is refused, or does not fit its own arguments; or
            ``architecture`` is not inside it; or ``out`` is a file.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file, expected a folder to write")
    published = read_checkpoint(path)
    try:
        weights = import_weights(published.model)
        vocabularies = weights["source_embedding.weight"].size(0), weights["target_embedding.weight"].size(0)
    except KeyError as error:
        raise InputError(f"{path}: the tensor {error.args[0]} is missing, or has no place in our networks") from None
    except (ValueError, IndexError, RuntimeError) as error:
        raise InputError(f"{path}: not the tensors of the research code ({error})") from None
    dtype = _dtype_of(weights, path)
    subject = subject_of(published.args, vocabularies, str(path))
    chosen = _chosen(subject, architecture, path)
    full = SuperTransformer(SearchSpace(subject.space), subject.shape)
    _load(full, weights, path)
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
    """Write a checkpoint that the research code loads.

    What was imported before is written back with its own arguments; a SubTransformer's weights are put into
    tensors of the SuperTransformer's size, zero elsewhere.

    Args:
        path: a ``checkpoint.pt`` of ours beside its ``config.json``, or their folder.
        out: the file to write.
        settings: reads the configuration, which says the languages and the space of a task.

    Returns:
        What was written, for people.

    Raises:
        InputError: the files are missing or do not fit each other, or the research code has no such network.
    """
    file = path / "checkpoint.pt" if path.is_dir() else path
    checkpoint = checkpoints.load(file)
    weights = checkpoint.get("model")
    if not isinstance(weights, dict) or "source_embedding.weight" not in weights:
        raise InputError(f"{file}: not a checkpoint of this project; {path.name} of the research code is imported")
    vocabularies = weights["source_embedding.weight"].size(0), weights["target_embedding.weight"].size(0)
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
    figures: dict[str, Any] = {
        "file": str(out),
        "holds": "a SuperTransformer" if subject.architecture is None else "a SubTransformer",
        "tensors": len(model),
    }
    spans = subject.space if subject.architecture is None else subject.architecture
    if subject.shape.norm == "pre" and max(spans.decoder_cross_span) > 1:
        figures["note"] = _PRE_NORM
    return figures


def _chosen(subject: Subject, architecture: Architecture | None, path: Path) -> Architecture | None:
    """The SubTransformer that is wanted of a file; None for the SuperTransformer."""
    if architecture is None:
        return subject.architecture
    if subject.architecture is None:
        SearchSpace(subject.space).check(architecture, str(path))
    elif architecture != subject.architecture:
        raise InputError(f"{path}: was trained as another SubTransformer than the one given, expected that or none")
    return architecture


def _load(model: nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        # The first line only says that there are errors.
        first = str(error).splitlines()[1].strip()
        raise InputError(f"{path}: the weights do not fit the network that it is said to hold ({first})") from None


def _dtype_of(weights: Weights, path: Path) -> str:
    found = sorted({str(tensor.dtype).removeprefix("torch.") for tensor in weights.values()})
    if len(found) > 1 or found[0] not in _DTYPES:
        raise InputError(f"{path}: tensors of type {', '.join(found)}, expected one of {', '.join(_DTYPES)} for all")
    return found[0]


def _own_subject(
    config: Mapping[str, Any], settings: Settings, vocabularies: tuple[int, int], path: Path
) -> tuple[Subject, dict[str, Any]]:
    """What a checkpoint of the pipeline holds, and its arguments."""
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
            languages=(task.source_language, task.target_language),
            training=config["training"],
            seed=config["seed"],
        )
    except KeyError as error:
        raise InputError(f"{path}: lacks {error.args[0]!r}, expected what a training run writes") from None
    return subject, args


def _fresh_state(update: int, loss: float) -> tuple[list[Any], dict[str, Any]]:
    """What the research code's loader reads beside weights and arguments; ``loss`` in bits a token."""
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
    """The SuperTransformer, or one of zeros that holds the SubTransformer."""
    full = SuperTransformer(SearchSpace(subject.space), subject.shape)
    if subject.architecture is None:
        _load(full, weights, path)
        return full
    plain = Transformer(subject.architecture, subject.shape)
    _load(plain, weights, path)
    full.select(subject.architecture)
    with torch.no_grad():
        for parameter in full.parameters():
            parameter.zero_()
        for tensor, part in full.parts(plain):
            part.copy_(tensor)
    return full


def _shared(model: Weights, shape: Shape) -> Weights:
    """Write a table that two names share once."""
    if shape.share_embeddings == "all":
        model["decoder.embed_tokens.weight"] = model["encoder.embed_tokens.weight"]
    return model

"""SubTransformers and data in the formats that fairseq with ``hat/fairseq_plugin`` reads and writes.

fairseq itself is not imported.
"""

import argparse
import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hat.artifacts.files import digest, disk_error, provenance, read_json, write_json
from hat.config.networks import Network
from hat.config.scope import TaskScope
from hat.config.settings import Settings
from hat.data.binary.indexed import IndexedDataset
from hat.data.corpora.preprocessed import SPLIT_NAMES
from hat.data.stages import PREPARED_SPLITS, binary_prefix, dictionary_path
from hat.data.text.dictionary import Dictionary
from hat.errors import InputError
from hat.model.transformer import Transformer
from hat.published.checkpoint import load_foreign, load_weights, vocabularies_of
from hat.published.fairseq_arguments import ARCH, ARGUMENTS, arguments_of_shape, shape_of_arguments
from hat.space.architecture import Architecture
from hat.space.shape import Shape
from hat.train import checkpoints

# Prefix of the names of weights in fairseq's model.
PREFIX = "network."


def write_data(scope: TaskScope, out: Path) -> list[str]:
    """Put a task's binarised splits into a folder under fairseq's names, as hard links or copies.

    Returns:
        The names of the files.

    Raises:
        InputError: a dictionary or binarised split is missing or malformed.
    """
    chosen, data = scope.task_settings, scope.data
    languages = chosen.languages
    files = {f"dict.{language}.txt": dictionary_path(data, language) for language in languages}
    for split in PREPARED_SPLITS:
        for language in languages:
            prefix = binary_prefix(data, split, chosen, language)
            IndexedDataset(prefix)
            for suffix in (".bin", ".idx"):
                name = f"{SPLIT_NAMES[split]}.{languages[0]}-{languages[1]}.{language}{suffix}"
                files[name] = prefix.with_name(prefix.name + suffix)
    for language in languages:
        Dictionary.load(files[f"dict.{language}.txt"])
    out.mkdir(parents=True, exist_ok=True)
    for name, path in files.items():
        place = out / name
        place.unlink(missing_ok=True)
        try:
            os.link(path, place)
        except OSError as error:
            if (failure := disk_error(error, place)) is not None:
                raise failure from None
            shutil.copyfile(path, place)
    return sorted(files)


def write_checkpoint(path: Path, out: Path, settings: Settings) -> dict[str, Any]:
    """Write a trained SubTransformer as a checkpoint of fairseq.

    Args:
        path: folder with ``checkpoint.pt`` and ``config.json``.
        out: file to write.
        settings: configuration, for the languages of a task.

    Returns:
        A description of the written file, to be printed.

    Raises:
        InputError: a file is missing, or the network is not a SubTransformer.
    """
    config, checkpoint = read_json(path / "config.json"), checkpoints.load(path / "checkpoint.pt")
    if "architecture" not in config:
        raise InputError(f"{path / 'config.json'}: not a SubTransformer; fairseq can only use these")
    architecture = Architecture.from_dict(config["architecture"], str(path / "config.json"))
    weights = checkpoint["model"]
    shape = _shape(config, settings, weights, path / "config.json")
    args = {name: default for name, (default, _, _) in ARGUMENTS.items()} | arguments_of_shape(shape)
    training = config.get("training", {})
    args |= {
        name: training[name] for name in ("dropout", "attention_dropout", "activation_dropout") if name in training
    }
    args |= {"arch": ARCH, "task": "translation", "subtransformer": json.dumps(architecture.to_dict())}
    if "task" in config:
        task = settings.task(config["task"])
        args |= {"source_lang": task.source_language, "target_lang": task.target_language}
    args |= {"left_pad_source": True, "left_pad_target": False, "criterion": "label_smoothed_cross_entropy"}
    update = int(checkpoint.get("update", 0))
    history = {
        "criterion_name": "LabelSmoothedCrossEntropyCriterion",
        "optimizer_name": "FairseqAdam",
        "lr_scheduler_state": {},
        "num_updates": update,
    }
    checkpoints.save(
        out,
        {
            "args": argparse.Namespace(**args),
            "model": {PREFIX + name: tensor for name, tensor in weights.items()},
            "optimizer_history": [history],
            "extra_state": {"train_iterator": {"epoch": 0, "iterations_in_epoch": 0}, "val_loss": None},
            "last_optimizer_state": None,
        },
    )
    return {"file": str(out), "arch": ARCH, "tensors": len(weights), "updates": update}


def _shape(config: dict[str, Any], settings: Settings, weights: dict[str, Any], path: Path) -> Shape:
    """Return the shape of an imported network, or of one trained for a task."""
    if "shape" in config:
        return Shape(**config["shape"])
    try:
        space, network = settings.space_of(config["task"]), Network.model_validate(config["network"])
    except KeyError as error:
        raise InputError(f"{path}: has no {error.args[0]!r}, expected the file that a training run writes") from None
    return Shape.of(space, network, *vocabularies_of(weights))


def read_checkpoint(path: Path, out: Path) -> dict[str, Any]:
    """Write ``out/checkpoint.pt`` and ``out/config.json`` from a checkpoint that fairseq trained with the plugin.

    Returns:
        The content of ``config.json``.

    Raises:
        InputError: the file is missing, refused, or holds another model.
    """
    state = load_foreign(path)
    given = state.get("args") if isinstance(state, dict) else None
    if given is None and isinstance(state, dict):
        given = (state.get("cfg") or {}).get("model")
    args = vars(given) if isinstance(given, argparse.Namespace) else dict(given or {})
    if args.get("arch", args.get("_name")) != ARCH or not args.get("subtransformer"):
        raise InputError(
            f"{path}: not a checkpoint of --arch {ARCH}; `hat convert import` reads the research code's checkpoints"
        )
    args = {name: default for name, (default, _, _) in ARGUMENTS.items()} | args
    architecture = Architecture.from_dict(json.loads(args["subtransformer"]), str(path))
    weights = {name.removeprefix(PREFIX): tensor.float() for name, tensor in state["model"].items()}
    shape = shape_of_arguments(args, architecture, vocabularies_of(weights))
    network = Transformer(architecture, shape)
    load_weights(network, weights, path)
    history = state.get("optimizer_history") or [{}]
    identity = digest({"file": path.name, "architecture": architecture.to_dict(), "updates": history[-1]})
    origin = provenance(seed=args.get("seed"), settings={"identity": identity})
    config = {
        "imported": path.name,
        "shape": asdict(shape),
        "architecture": architecture.to_dict(),
        "identity": identity,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "provenance": origin,
    }
    update = int(history[-1].get("num_updates", 0))
    content = {"model": network.state_dict(), "update": update, "identity": identity, "provenance": origin}
    checkpoints.save(out / "checkpoint.pt", content)
    write_json(out / "config.json", config)
    return config

"""Export a deployed folder: one network, or several that share the weights of a SuperTransformer."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from hat.artifacts.files import only_one, provenance, read_json, write_json, write_text
from hat.config.device import Device
from hat.config.runtimes import RUNTIMES
from hat.config.scope import BudgetScope, DeviceScope
from hat.config.settings import budget_ms
from hat.config.task import Task
from hat.config.variants import KMEANS
from hat.data.stages import codes_path, dictionary_path
from hat.data.task_shape import task_shape
from hat.data.text.dictionary import Dictionary
from hat.deploy.card import CARD, card, file_list
from hat.deploy.folder import DESCRIPTION, NETWORK, described_network, dictionary_file
from hat.errors import InputError
from hat.runtime import runtime
from hat.runtime.base import Blueprint, Decoding, check_expressed, refusal
from hat.runtime.decoding import configured_decoding
from hat.runtime.inherited import envelope, inherited_weights
from hat.runtime.kmeans.stored import counted_size
from hat.runtime.shortlist import FILE, Shortlist
from hat.runtime.torch.runtime import weights_of
from hat.runtime.weights_file import WEIGHTS, save_weights
from hat.shortlist.stored import deployed_shortlist
from hat.space.architecture import Architecture
from hat.space.kinds import AnyArchitecture, architecture_from_dict, network_to_dict
from hat.space.shape import Shape, shared_names
from hat.space.tensors import EMBEDDING_TENSORS
from hat.train import checkpoints


class Executor(NamedTuple):
    """Names of a Runtime and of one of its precisions."""

    runtime: str
    precision: str


@dataclass(frozen=True, kw_only=True)
class _Export:
    """Everything about an export except the weights; ``parent`` is the folder that gets the folder ``model``."""

    scope: DeviceScope
    parent: Path
    executor: Executor
    shortlist: Shortlist | None
    architecture: AnyArchitecture
    shape: Shape


def deployed_decoding(task: Task, device: Device) -> Decoding:
    """Return the beam search settings for deployment and measurements: the device's beam, the task's length limits."""
    return configured_decoding(task.scoring, device.beam)


def export_model(scope: BudgetScope, variant: str | None = None, *, shape: Shape | None = None) -> Path:
    """Write the deployed folder of a budget or baseline: the Runtime's files, tokeniser, card; ``model.json`` last.

    Args:
        scope: the task, the device and the budget, or the name of a baseline.
        variant: one of :data:`hat.config.variants.VARIANTS`; default: the deployed model itself.
        shape: the network's shape, if it differs from the task's.

    Returns:
        The folder.

    Raises:
        InputError: the budget is neither a budget nor a baseline, the variant is unknown, or the trained network or
            the shortlist is missing or malformed.
    """
    scope = scope.as_variant(variant)
    target, bits = scope.device_settings, None if variant is None else KMEANS.get(variant)
    executor = Executor(target.runtime, target.precision)
    trained = scope.trained
    checkpoint = checkpoints.load(trained / "checkpoint.pt")
    training = read_json(trained / "config.json")

    weights = weights_of(checkpoint["model"])

    def write(folder: Path, blueprint: Blueprint, shortlist: Shortlist | None) -> dict[str, Any]:
        writer = runtime(*executor, target.threads)
        check_expressed(writer.facts, blueprint.architecture)
        writer.write(folder, blueprint, weights, shortlist)
        counted = {} if bits is None else {"bits": bits, "counted_size": counted_size(folder / WEIGHTS).to_dict()}
        inner = sum(tensor.size for name, tensor in weights.items() if name not in EMBEDDING_TENSORS)
        return {"parameters_without_embeddings": inner, **counted}

    export = _Export(
        scope=scope,
        parent=scope.variant_folder(variant),
        executor=executor,
        shortlist=deployed_shortlist(scope),
        architecture=architecture_from_dict(training, str(trained / "config.json")),
        shape=shape or task_shape(scope, scope.budget if scope.is_baseline else None),
    )
    described_training = {
        "baseline" if scope.is_baseline else "budget": scope.budget,
        "parameters": training["parameters"],
        "training": training["identity"],
    }
    return _write_folder(export, write, described_training)


def export_elastic(scope: DeviceScope, budgets: Sequence[str]) -> Path:
    """Write ``elastic/model``: the winners of several budgets, which share inherited weights.

    The latency of each is the measured latency of the trained network of the same Architecture.

    Args:
        scope: the task and the device.
        budgets: names of the budgets.

    Returns:
        The folder.

    Raises:
        InputError: an artifact is missing or malformed.
    """
    target = scope.device_settings
    parent = scope.supertransformer
    whole = weights_of(checkpoints.load(parent / "checkpoint.pt")["model"])
    shape = task_shape(scope)
    networks, found = [], []
    for budget in sorted(set(budgets), key=budget_ms):
        folder = scope.of(budget).folder
        winner = read_json(folder / "architecture.json")
        architecture = architecture_from_dict(winner, str(folder / "architecture.json"))
        if not isinstance(architecture, Architecture):
            raise InputError(f"{folder / 'architecture.json'}: expected a SubTransformer")
        found.append(architecture)
        networks.append(
            {
                "name": budget,
                **network_to_dict(architecture, shape),
                "latency_ms": read_json(folder / "latency.json")["latency_ms"],
                "validation_loss": winner["validation_loss"],
            }
        )
    if not found:
        raise InputError(f"{scope.task}, {scope.device}: no budget is given, expected at least one")
    networks.sort(key=lambda network: float(network["latency_ms"]))
    largest = envelope(found)
    weights = inherited_weights(whole, largest, shape)
    parameters = sum(tensor.size for name, tensor in weights.items() if name not in shared_names(shape))
    executor = Executor(target.runtime, target.precision)
    for architecture in found:
        if (reason := refusal(RUNTIMES[target.runtime], architecture)) is not None:
            raise InputError(f"device {scope.device!r}, runtime {target.runtime!r}: {reason}")

    def write(folder: Path, blueprint: Blueprint, shortlist: Shortlist | None) -> dict[str, Any]:
        save_weights(folder / WEIGHTS, weights, shape)
        if shortlist is not None:
            shortlist.save(folder / FILE, blueprint.source_tokens, blueprint.target_tokens)
        return {}

    training = read_json(parent / "config.json")["identity"]
    described_networks = {"networks": networks, "parameters": parameters, "training": training}
    export = _Export(
        scope=scope,
        parent=scope.of("elastic").folder,
        executor=executor,
        shortlist=deployed_shortlist(scope),
        architecture=largest,
        shape=shape,
    )
    return _write_folder(export, write, described_networks)


def _write_folder(
    export: _Export,
    write: Callable[[Path, Blueprint, Shortlist | None], dict[str, Any]],
    origin: dict[str, Any],
) -> Path:
    """Write ``parent/model``.

    Args:
        export: description of the export.
        write: writes the network into a folder; returns keys of ``model.json`` about the network's files.
        origin: keys of ``model.json`` about the network's origin.

    Returns:
        The folder.
    """
    scope = export.scope
    chosen, target = scope.task_settings, scope.device_settings
    folder, data = export.parent / "model", scope.data
    with only_one(export.parent, f"Export to {folder}"):
        (folder / DESCRIPTION).unlink(missing_ok=True)
        shutil.rmtree(folder / NETWORK, ignore_errors=True)
        (folder / NETWORK).mkdir(parents=True)
        shutil.copyfile(codes_path(data), folder / "codes")
        tokens = []
        for language in chosen.languages:
            path = dictionary_path(data, language)
            shutil.copyfile(path, folder / dictionary_file(language))
            tokens.append(Dictionary.load(path).tokens)
        blueprint = Blueprint(
            architecture=export.architecture, shape=export.shape, source_tokens=tokens[0], target_tokens=tokens[1]
        )
        description: dict[str, Any] = {
            "task": scope.task,
            "device": scope.device,
            "source_language": chosen.source_language,
            "target_language": chosen.target_language,
            "runtime": export.executor.runtime,
            "precision": export.executor.precision,
            "threads": target.threads,
            **({} if target.accelerator is None else {"accelerator": target.accelerator}),
            "tokenisation": chosen.tokenisation.model_dump(mode="json"),
            "shortlist": export.shortlist is not None,
            **described_network(blueprint, deployed_decoding(chosen, target)),
            **origin,
            **write(folder / NETWORK, blueprint, export.shortlist),
        }
        description["provenance"] = provenance(seed=scope.settings.seed, settings=description)
        description |= {"data_licence": chosen.data_licence, "files": file_list(folder), "figures": {}}
        write_text(folder / CARD, card(description))
        write_json(folder / DESCRIPTION, description)
    return folder

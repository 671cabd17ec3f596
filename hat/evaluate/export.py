"""Writing the folder that is deployed: one network, or several that share the weights of a SuperTransformer."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hat.artifacts import only_one, provenance, read_json, write_json, write_text
from hat.baselines import AnyArchitecture, describe, described
from hat.card import CARD, card, file_list
from hat.config import Device, Task
from hat.data.dictionary import Dictionary
from hat.data.prepare import codes_path, dictionary_path
from hat.deployed import DESCRIPTION, NETWORK, described_network, dictionary_file
from hat.errors import InputError
from hat.layout import Results
from hat.runtime import runtime
from hat.runtime.base import Blueprint, Decoding, Shape, shared_names
from hat.runtime.inherited import envelope, inherited_weights
from hat.runtime.shortlist import FILE, Shortlist
from hat.runtime.torch import weights_of
from hat.runtime.weights_file import WEIGHTS, save_weights
from hat.settings import Settings, budget_ms
from hat.shapes import task_shape
from hat.shortlist.stored import deployed_shortlist
from hat.space import Architecture
from hat.train import checkpoints


def deployed_decoding(task: Task, device: Device) -> Decoding:
    """Beam search as it is deployed and measured: the device's beam, the task's lengths."""
    scoring = task.scoring
    return Decoding(
        beam=device.beam,
        length_penalty=scoring.length_penalty,
        max_length_ratio=scoring.max_length_ratio,
        max_length_extra=scoring.max_length_extra,
    )


def export_model(settings: Settings, results: Results, task: str, device: str, budget: str) -> Path:
    """Write the folder of a budget or baseline: runtime files, tokeniser, card, ``model.json``, written last.

    Raises:
        InputError: the budget is neither a budget nor a baseline, or the trained network or the shortlist is missing or
            malformed.
    """
    target = settings.device(device)
    baseline = settings.limit_ms(budget) is None
    trained = results.trained(task, device, budget, baseline=baseline)
    checkpoint = checkpoints.load(trained / "checkpoint.pt")
    training = read_json(trained / "config.json")

    def write(folder: Path, blueprint: Blueprint, shortlist: Shortlist | None) -> None:
        executing = runtime(target.runtime, target.precision, target.threads)
        executing.write(folder, blueprint, weights_of(checkpoint["model"]), shortlist)

    return _write_folder(
        settings,
        results,
        (task, device, budget),
        described(training, str(trained / "config.json")),
        task_shape(settings, results, task, budget if baseline else None),
        write,
        {
            "baseline" if baseline else "budget": budget,
            "parameters": training["parameters"],
            "training": training["identity"],
        },
    )


def export_elastic(settings: Settings, results: Results, task: str, device: str, budgets: Sequence[str]) -> Path:
    """Write ``elastic/model``: the winners of several budgets with inherited weights, which they share.

    The latency of each is that measured of the trained network of the same Architecture.

    Raises:
        InputError: an artifact is missing or malformed.
    """
    target = settings.device(device)
    parent = results.supertransformer(task)
    whole = weights_of(checkpoints.load(parent / "checkpoint.pt")["model"])
    shape = task_shape(settings, results, task)
    networks, found = [], []
    for budget in sorted(set(budgets), key=budget_ms):
        place = results.budget(task, device, budget)
        winner = read_json(place / "architecture.json")
        architecture = described(winner, str(place / "architecture.json"))
        if not isinstance(architecture, Architecture):
            raise InputError(f"{place / 'architecture.json'}: expected a SubTransformer")
        found.append(architecture)
        networks.append(
            {
                "name": budget,
                **describe(architecture, shape),
                "latency_ms": read_json(place / "latency.json")["latency_ms"],
                "validation_loss": winner["validation_loss"],
            }
        )
    if not found:
        raise InputError(f"{task}, {device}: no budgets are given, expected at least one")
    networks.sort(key=lambda network: float(network["latency_ms"]))
    largest = envelope(found)
    weights = inherited_weights(whole, largest, shape)
    parameters = sum(tensor.size for name, tensor in weights.items() if name not in shared_names(shape))
    executing = runtime(target.runtime, target.precision, target.threads)
    for architecture in found:
        if (reason := executing.refusal(architecture, shape)) is not None:
            raise InputError(f"device {device!r}, runtime {target.runtime!r}: {reason}")

    def write(folder: Path, blueprint: Blueprint, shortlist: Shortlist | None) -> None:
        save_weights(folder / WEIGHTS, weights, shape)
        if shortlist is not None:
            shortlist.save(folder / FILE, blueprint.source_tokens, blueprint.target_tokens)

    training = read_json(parent / "config.json")["identity"]
    own = {"networks": networks, "parameters": parameters, "training": training}
    return _write_folder(settings, results, (task, device, "elastic"), largest, shape, write, own)


def _write_folder(
    settings: Settings,
    results: Results,
    place: tuple[str, str, str],
    architecture: AnyArchitecture,
    shape: Shape,
    write: Callable[[Path, Blueprint, Shortlist | None], None],
    own: dict[str, Any],
) -> Path:
    """A deployed folder of (task, device, budget); ``write`` puts the network into it, ``own`` is said of it."""
    task, device, _ = place
    chosen, target = settings.task(task), settings.device(device)
    folder, data = results.model(*place), results.data(task)
    shortlist = deployed_shortlist(settings, results, task, device)
    with only_one(results.budget(*place), f"Export for {place[2]}"):
        (folder / DESCRIPTION).unlink(missing_ok=True)
        shutil.rmtree(folder / NETWORK, ignore_errors=True)
        (folder / NETWORK).mkdir(parents=True)
        shutil.copyfile(codes_path(data), folder / "codes")
        tokens = []
        for language in (chosen.source_language, chosen.target_language):
            path = dictionary_path(data, language)
            shutil.copyfile(path, folder / dictionary_file(language))
            tokens.append(Dictionary.load(path).tokens)
        blueprint = Blueprint(architecture=architecture, shape=shape, source_tokens=tokens[0], target_tokens=tokens[1])
        write(folder / NETWORK, blueprint, shortlist)
        description: dict[str, Any] = {
            "task": task,
            "device": device,
            "source_language": chosen.source_language,
            "target_language": chosen.target_language,
            "runtime": target.runtime,
            "precision": target.precision,
            "threads": target.threads,
            "tokenisation": chosen.tokenisation.model_dump(mode="json"),
            "shortlist": shortlist is not None,
            **described_network(blueprint, deployed_decoding(chosen, target)),
            **own,
        }
        description["provenance"] = provenance(seed=settings.seed, settings=description)
        description |= {"data_licence": chosen.data_licence, "files": file_list(folder), "figures": {}}
        write_text(folder / CARD, card(description))
        write_json(folder / DESCRIPTION, description)
    return folder

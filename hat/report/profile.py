"""Parameters, FLOPs and memory of networks in files, as rows of a table."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hat.artifacts.layout import Results
from hat.config.baseline import Baseline
from hat.config.networks import EvolvedNetwork, Network, TransformerNetwork
from hat.config.scope import TaskScope
from hat.config.settings import Settings, describe
from hat.data.task_shape import task_shape
from hat.errors import InputError
from hat.space import kinds
from hat.space.files import architecture_in, read_description
from hat.space.kinds import AnyArchitecture
from hat.space.profile import PUBLISHED_SHAPE, Profile
from hat.space.shape import Shape


def profile_file(
    path: Path,
    *,
    results: Results,
    settings: Callable[[], Settings],
    length: int,
    task: str | None = None,
    vocabulary: int | None = None,
    qkv_dim: int | None = None,
) -> dict[str, Any]:
    """Count parameters, FLOPs and memory of the Architecture or baseline in a file.

    The task gives everything that the file omits. It is ``task``, or else the one that the file names, or else the one
    in whose folder of ``results`` the file is. Without a task, the published WMT tasks' shape is used.

    Args:
        path: published YAML, this project's JSON, an artifact with an Architecture, or a baseline's configuration.
        results: where the artifacts are; the task's dictionaries are used if they exist.
        settings: reads the configuration, if it is needed.
        length: source and target tokens.
        task: name of a task.
        vocabulary: tokens of either dictionary, instead of the task's.
        qkv_dim: width of queries, keys and values, instead of the task's.

    Returns:
        The figures, with the shape and the Architecture.

    Raises:
        InputError: the file has no Architecture, the task is unknown, or heads do not divide ``qkv_dim``.
    """
    values = read_description(path)
    architecture: AnyArchitecture
    if "network" in values:
        network = _network(values, path)
        architecture = kinds.configured_architecture(network)
        shape = _baseline_shape(network, _shape({}, path, results, settings, task))
    else:
        evolved = values.get("kind") == "evolved"
        architecture = kinds.architecture_from_dict(values, str(path)) if evolved else architecture_in(values, path)
        shape = _shape(values, path, results, settings, task)
    if vocabulary is not None:
        shape = replace(shape, source_vocabulary=vocabulary, target_vocabulary=vocabulary)
    if qkv_dim is not None:
        shape = replace(shape, qkv_dim=qkv_dim)
    try:
        profile = Profile.of(architecture, shape, length)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return {
        **asdict(profile),
        "memory_bytes": profile.memory_bytes,
        "memory_bytes_without_embeddings": profile.memory_bytes_without_embeddings,
        "shape": asdict(shape),
        "architecture": architecture.to_dict(),
    }


def table_rows(figures: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return rows of the printed table from :func:`profile_file`: name, total, without embeddings and last layer."""
    inner = figures["memory_bytes_without_embeddings"]
    shape = figures["shape"]
    return [
        ("parameters", f"{figures['params']:,}", f"{figures['params_without_embeddings']:,}"),
        (
            f"FLOPs, {figures['length']} tokens to {figures['length']}",
            f"{figures['flops']:,}",
            f"{figures['flops_without_last_layer']:,}",
        ),
        *(
            (f"weights in {name}, MB", f"{size / 1e6:,.1f}", f"{inner[name] / 1e6:,.1f}")
            for name, size in figures["memory_bytes"].items()
        ),
        ("source, target dictionary", f"{shape['source_vocabulary']:,}, {shape['target_vocabulary']:,}", "-"),
        ("shared embeddings", shape["share_embeddings"], "-"),
        ("width of queries, keys, values", str(shape["qkv_dim"]), str(shape["qkv_dim"])),
    ]


def _network(values: Mapping[str, Any], path: Path) -> TransformerNetwork | EvolvedNetwork:
    """Read the network of a baseline's configuration."""
    try:
        return Baseline.model_validate(values).network
    except ValidationError as error:
        raise InputError("\n".join(describe(error, Baseline, str(path)))) from None


def _baseline_shape(network: TransformerNetwork | EvolvedNetwork, of_task: Shape) -> Shape:
    """Return a baseline's shape with a task's dictionaries and sharing of embeddings."""
    common = Network(share_embeddings=of_task.share_embeddings)
    return kinds.configured_shape(network, common, of_task.source_vocabulary, of_task.target_vocabulary)


def _shape(
    values: Mapping[str, Any], path: Path, results: Results, settings: Callable[[], Settings], task: str | None
) -> Shape:
    if task is None and "shape" in values:
        try:
            return Shape(**values["shape"])
        except TypeError as error:
            raise InputError(f"{path}, shape: {error}") from None
    name = task or values.get("task") or task_of(path, results)
    if name is None:
        return PUBLISHED_SHAPE
    # Published dictionaries of WMT are the same for both languages.
    return task_shape(TaskScope(settings(), results, name), missing=PUBLISHED_SHAPE.source_vocabulary)


def task_of(path: Path, results: Results) -> str | None:
    """Return the task in whose folder an artifact is; None if it is in none."""
    root, place = results.root.resolve(), path.resolve().parent
    return place.relative_to(root).parts[0] if root in place.parents else None

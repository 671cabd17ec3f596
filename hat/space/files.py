"""Files that hold an Architecture: this project's JSON, the research code's YAML, and artifacts that contain one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from hat.artifacts.files import read_json, write_json, write_text
from hat.errors import InputError
from hat.space.architecture import Architecture
from hat.space.published_form import from_published, to_published

PUBLISHED_KEY = "-subtransformer"
PUBLISHED_SUFFIXES = (".yml", ".yaml")


def read_description(path: Path) -> dict[str, Any]:
    """Read the keys and values of a JSON or YAML file.

    Raises:
        InputError: the file is missing, or is not an object of keys and values.
    """
    if path.suffix == ".json":
        return read_json(path)
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not YAML ({' '.join(str(error).split())})") from None
    if not isinstance(values, dict):
        raise InputError(
            f"{path}: holds a {type(values).__name__}, expected an Architecture in this project's or the research"
            " code's format"
        )
    return {str(key): value for key, value in values.items()}


def architecture_in(values: Mapping[str, Any], path: Path) -> Architecture:
    """Return the Architecture in the content of a file.

    Args:
        values: content of the file: an Architecture in this project's or the research code's format, or an artifact
            with one under ``architecture``.
        path: the file, for messages.

    Raises:
        InputError: the file has no Architecture, or a malformed one.
    """
    try:
        if any(key.endswith(PUBLISHED_KEY) for key in values):
            return from_published(values)
        return Architecture.from_dict(values.get("architecture", values))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def read_architecture(path: Path) -> Architecture:
    """Read an Architecture from a file; see :func:`architecture_in`.

    Raises:
        InputError: the file is missing or holds no Architecture.
    """
    return architecture_in(read_description(path), path)


def write_architecture(architecture: Architecture, path: Path) -> None:
    """Write an Architecture as JSON, or as the research code's YAML if the file's name ends in .yml or .yaml.

    Raises:
        InputError: the name has another ending, or the research code cannot express the Architecture.
    """
    if path.suffix == ".json":
        write_json(path, architecture.to_dict())
    elif path.suffix in PUBLISHED_SUFFIXES:
        # The research code's reader expects each list on one line.
        write_text(path, "".join(f"{key}: {value}\n" for key, value in to_published(architecture).items()))
    else:
        raise InputError(
            f"{path}: ends in {path.suffix!r}, expected .json, or .yml or .yaml for the research code's format"
        )

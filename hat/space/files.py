"""Files that hold an Architecture: the research code's YAML, our JSON, and artifacts that contain one."""

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
    """Keys and values of a JSON or YAML file.

    Raises:
        InputError: it is missing, or holds no keys and values.
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
        raise InputError(f"{path}: holds a {type(values).__name__}, expected an Architecture or a published one")
    return {str(key): value for key, value in values.items()}


def architecture_in(values: Mapping[str, Any], path: Path) -> Architecture:
    """The Architecture that a file's content is (published or ours) or has under ``architecture``.

    Args:
        values: content of the file.
        path: the file, for messages.

    Raises:
        InputError: there is none, or it is malformed.
    """
    try:
        if any(key.endswith(PUBLISHED_KEY) for key in values):
            return from_published(values)
        return Architecture.from_dict(values.get("architecture", values))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def read_architecture(path: Path) -> Architecture:
    """The Architecture of a file: published YAML, our JSON, or an artifact such as ``architecture.json``.

    Raises:
        InputError: the file is missing or holds none.
    """
    return architecture_in(read_description(path), path)


def write_architecture(architecture: Architecture, path: Path) -> None:
    """Write our JSON or the published YAML, as the name of the file says.

    Raises:
        InputError: the name ends otherwise, or the research code has no form for the Architecture.
    """
    if path.suffix == ".json":
        write_json(path, architecture.to_dict())
    elif path.suffix in PUBLISHED_SUFFIXES:
        # The research code's reader wants each list on one line.
        write_text(path, "".join(f"{key}: {value}\n" for key, value in to_published(architecture).items()))
    else:
        raise InputError(f"{path}: ends in {path.suffix!r}, expected .json (ours), .yml or .yaml (the research code's)")

"""Overrides of the configuration: from ``hat``'s options, and from Snakemake to ``hat``."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from hat.config.settings import merge, undotted
from hat.errors import InputError


def layered(layers: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Merge layers into one nested mapping; later ones win, whether their keys are dotted or nested."""
    result: dict[str, Any] = {}
    for layer in layers:
        result = merge(result, undotted(layer))
    return result


def from_command_line(environment: str | None, files: Sequence[Path], values: Sequence[str]) -> dict[str, Any]:
    """Return the overrides of one ``hat`` call; later kinds win.

    Args:
        environment: JSON object from the workflow, if any.
        files: ``--configfile`` files.
        values: ``--set`` arguments, KEY=VALUE with a YAML value.

    Raises:
        InputError: a file or an argument cannot be read.
    """
    handed_over = json.loads(environment) if environment else {}
    return layered([handed_over, *map(read_file, files), *map(parse, values)])


def read_file(path: Path) -> dict[str, Any]:
    """Read the keys and values of a ``--configfile``.

    Raises:
        InputError: the file does not exist or is not a YAML mapping.
    """
    try:
        value = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not YAML ({' '.join(str(error).split())})") from None
    if value is not None and not isinstance(value, dict):
        raise InputError(f"{path}: holds a {type(value).__name__}, expected keys and values")
    return value or {}


def parse(argument: str) -> dict[str, Any]:
    """Parse an override such as ``search.population=10`` to a mapping.

    Raises:
        InputError: ``=`` or the key is missing, or the value is not YAML.
    """
    key, equals, value = argument.partition("=")
    if not equals or not key.strip():
        raise InputError(f"--set {argument}: expected KEY=VALUE, such as search.population=50")
    try:
        return {key.strip(): yaml.safe_load(value)}
    except yaml.YAMLError:
        raise InputError(f"--set {argument}: the value is not YAML") from None

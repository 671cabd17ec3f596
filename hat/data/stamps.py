"""Remembers what finished files were made from, so that an interrupted step makes only the missing ones."""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hat.artifacts.files import digest, file_digest, read_json, write_json
from hat.errors import InputError


class Stamps:
    """What the files of a folder were made from, in ``.made.json`` there.

    Args:
        folder: the folder.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / ".made.json"
        try:
            self._stamps: dict[str, Any] = read_json(self._path)
        except InputError:
            # Missing or damaged: everything is made anew.
            self._stamps = {}

    @staticmethod
    def stamp(inputs: Sequence[Path], settings: Any) -> str:
        """Digest of the content of the inputs, the settings and the version of the program."""
        return digest([[file_digest(path) for path in inputs], settings, version("hat")])

    def holds(self, path: Path, stamp: str) -> bool:
        """Whether ``path`` is finished, unchanged in size, and made from what ``stamp`` says."""
        return path.is_file() and self._stamps.get(path.name) == [stamp, path.stat().st_size]

    def record(self, path: Path, stamp: str) -> None:
        """Note that ``path`` was made from what ``stamp`` says."""
        self._stamps[path.name] = [stamp, path.stat().st_size]
        write_json(self._path, self._stamps)

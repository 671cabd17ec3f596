"""Records what finished files were made from, so that an interrupted stage makes only the missing ones."""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hat.artifacts.files import digest, file_digest, read_json, write_json
from hat.errors import InputError


class Stamps:
    """A record in ``.made.json`` of a folder, which tells what each of its files was made from.

    Args:
        folder: the folder.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / ".made.json"
        try:
            self._stamps: dict[str, Any] = read_json(self._path)
        except InputError:
            # Missing or damaged: all files are made again.
            self._stamps = {}

    @staticmethod
    def stamp(inputs: Sequence[Path], settings: Any) -> str:
        """Return a digest of the contents of the inputs, the settings and the version of ``hat``."""
        return digest([[file_digest(path) for path in inputs], settings, version("hat")])

    def holds(self, path: Path, stamp: str) -> bool:
        """Whether ``path`` was recorded with this stamp and still has the size that it had then."""
        return path.is_file() and self._stamps.get(path.name) == [stamp, path.stat().st_size]

    def record(self, path: Path, stamp: str) -> None:
        """Record that ``path`` is finished and was made from what ``stamp`` stands for."""
        self._stamps[path.name] = [stamp, path.stat().st_size]
        write_json(self._path, self._stamps)

"""Deployed folders on a device: files by their digest, so that none is sent twice, and a cut transfer goes on."""

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hat.artifacts.files import digest, disk_error, file_digest
from hat.errors import InputError

SHA256 = re.compile(r"^[0-9a-f]{64}\Z")
NAME = re.compile(r"^(?!\.)[A-Za-z0-9_.-]+(/(?!\.)[A-Za-z0-9_.-]+)*\Z")
PART = ".part"


def listing(folder: Path) -> dict[str, dict[str, Any]]:
    """``sha256`` and ``size`` of each file of a folder, by its name in there."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            name = path.relative_to(folder).as_posix()
            found[name] = {"sha256": file_digest(path), "size": path.stat().st_size}
    return found


class ReceivedFiles:
    """What a device has got.

    Args:
        root: folder of ``files/SHA256``, ``files/SHA256.part`` where a transfer ended early, and ``folders/DIGEST``.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files = root / "files"

    def missing(self, wanted: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
        """Take what has arrived, and say what has not.

        Args:
            wanted: a :func:`listing`.

        Returns:
            How many bytes are here already, by the SHA-256 of each file that is not complete.

        Raises:
            InputError: no such listing.
        """
        self.files.mkdir(parents=True, exist_ok=True)
        found = {}
        for name, entry in wanted.items():
            sha256, size = self._checked(name, entry)
            path = self.files / sha256
            if path.exists():
                continue
            part = path.with_name(sha256 + PART)
            arrived = part.stat().st_size if part.exists() else 0
            if arrived == size and (size == 0 or file_digest(part) == sha256):
                part.touch()
                part.replace(path)
                continue
            if arrived >= size:
                part.unlink(missing_ok=True)
                arrived = 0
            found[sha256] = arrived
        return found

    def folder(self, wanted: Mapping[str, Mapping[str, Any]]) -> Path:
        """The folder of a listing, once all its files are here; those of other folders are removed.

        Raises:
            InputError: a file is not here.
            HatError: the disk is full.
        """
        place = self.root / "folders" / digest({name: entry["sha256"] for name, entry in wanted.items()})
        if place.exists():
            return place
        kept = {self._checked(name, entry)[0] for name, entry in wanted.items()}
        shutil.rmtree(place.parent, ignore_errors=True)
        unfinished = place.with_name(place.name + PART)
        try:
            for name, entry in wanted.items():
                (unfinished / name).parent.mkdir(parents=True, exist_ok=True)
                os.link(self.files / entry["sha256"], unfinished / name)
        except FileNotFoundError:
            raise InputError(f"{name}: has not been sent") from None
        except OSError as error:
            raise disk_error(error, unfinished) or error from None
        unfinished.replace(place)
        for path in self.files.iterdir():
            if path.name.removesuffix(PART) not in kept:
                path.unlink()
        return place

    @staticmethod
    def _checked(name: str, entry: Mapping[str, Any]) -> tuple[str, int]:
        sha256, size = str(entry["sha256"]), int(entry["size"])
        if not NAME.match(name) or not SHA256.match(sha256) or size < 0:
            raise InputError(f"{name!r}: not a file that can be received")
        return sha256, size

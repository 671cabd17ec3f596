"""Copies a verb's output to a log file; Snakemake's ``log:`` with a pipe would hide the terminal from the verb."""

import contextlib
import io
import os
import re
import sys
from pathlib import Path
from typing import IO, Any, cast

from hat.artifacts.files import disk_error
from hat.errors import InputError

# Environment variable that limits the console to errors and warnings, as for verbs that the workflow runs.
QUIET = "HAT_QUIET"
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Tee:
    """A standard stream that also writes to a log file, there without colours.

    All other attributes, such as ``isatty``, come from the standard stream. If the log cannot be written, for
    example on a full disk, the terminal still gets the text.

    Args:
        terminal: the standard stream.
        log: the open file.
        quiet: show progress in the log only (:mod:`hat.system.progress`).
    """

    def __init__(self, terminal: IO[str], log: IO[str], *, quiet: bool = False) -> None:
        self.terminal = terminal
        self.log = log
        self.quiet = quiet

    def write(self, text: str) -> int:
        """Write to the terminal and the log."""
        with contextlib.suppress(OSError):
            self.log.write(ESCAPES.sub("", text))
        return self.terminal.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.terminal, name)


def log_to(path: Path) -> None:
    """Copy everything that this process prints from now on to ``path``, which is emptied first.

    If the environment variable ``QUIET`` is set, the console gets only errors and warnings.

    Raises:
        HatError: the disk is full.
        InputError: the file cannot be opened.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
        # Opened for appending, since a process of an earlier, killed run may still write to it. Unbuffered, since the
        # buffer of a file on a full disk would raise the same error again and again.
        raw = open(path, "ab", buffering=0)  # noqa: SIM115 (open as long as the process lives)
    except OSError as error:
        raise disk_error(error, path) or InputError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    log = io.TextIOWrapper(cast(IO[bytes], raw), encoding="utf-8", write_through=True)
    quiet = bool(os.environ.get(QUIET))
    sys.stdout, sys.stderr = log if quiet else Tee(sys.stdout, log), Tee(sys.stderr, log, quiet=quiet)

"""What a verb prints, in a file too: Snakemake's ``log:`` without a pipe that would hide the terminal."""

import contextlib
import io
import os
import re
import sys
from pathlib import Path
from typing import IO, Any, cast

from hat.artifacts.files import disk_error
from hat.errors import InputError

# Set in the environment of verbs whose output on the console nobody looks for, as those of the workflow's rules.
QUIET = "HAT_QUIET"
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Tee:
    """A standard stream whose text goes to a log file too, there without colours.

    Whatever else is asked of it, such as ``isatty``, is asked of the standard stream. A log that cannot be
    written, as on a full disk, never hides what the terminal shows.

    Args:
        terminal: the standard stream.
        log: the open file.
        quiet: progress is for the log alone (:mod:`hat.system.progress`).
    """

    def __init__(self, terminal: IO[str], log: IO[str], *, quiet: bool = False) -> None:
        self.terminal = terminal
        self.log = log
        self.quiet = quiet

    def write(self, text: str) -> int:
        """Write to both."""
        with contextlib.suppress(OSError):
            self.log.write(ESCAPES.sub("", text))
        return self.terminal.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.terminal, name)


def log_to(path: Path) -> None:
    """From now on write to ``path`` whatever this process prints; what an earlier run left there goes.

    Where the environment says so (``QUIET``), the console gets errors and warnings alone.

    Raises:
        HatError: the disk is full.
        InputError: the file cannot be opened.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
        # Appending, since a process that an earlier, killed run left behind may still write to it. Without a
        # buffer, since that of a file on a full disk would complain again and again.
        raw = open(path, "ab", buffering=0)  # noqa: SIM115 (open as long as the process lives)
    except OSError as error:
        raise disk_error(error, path) or InputError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    log = io.TextIOWrapper(cast(IO[bytes], raw), encoding="utf-8", write_through=True)
    quiet = bool(os.environ.get(QUIET))
    sys.stdout, sys.stderr = log if quiet else Tee(sys.stdout, log), Tee(sys.stderr, log, quiet=quiet)

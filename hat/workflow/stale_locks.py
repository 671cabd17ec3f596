"""Locks that a killed Snakemake left behind: told from live ones by a lock of the kernel."""

import contextlib
import fcntl
from pathlib import Path
from typing import IO


def clear_stale_locks(folder: Path) -> IO[str] | None:
    """Remove Snakemake's own locks if no other run is alive; keep the result as long as this run lives.

    Every run holds ``folder/hat.lock`` shared, so whoever gets it exclusively is alone, and locks that
    lie there belong to runs that were killed. The kernel gives it back however a process ends.

    Args:
        folder: Snakemake's folder, ``.snakemake``.

    Returns:
        The open lock file; None on file systems without locks, where nothing is removed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stream = open(folder / "hat.lock", "a", encoding="utf-8")  # noqa: SIM115 (open while the run lives)
    try:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for lock in (folder / "locks").glob("*.lock"):
                lock.unlink(missing_ok=True)
        fcntl.flock(stream, fcntl.LOCK_SH)
    except OSError:
        stream.close()
        return None
    return stream

"""Remove locks that a killed Snakemake left; a kernel lock (flock) distinguishes them from locks in use."""

import contextlib
import fcntl
from pathlib import Path
from typing import IO


def clear_stale_locks(folder: Path) -> IO[str] | None:
    """Remove Snakemake's locks if no other run is alive.

    Every run holds ``folder/hat.lock`` shared. A run that gets it exclusively is the only one, so any locks belong to
    killed runs. The kernel releases the lock whenever a process ends.

    Args:
        folder: Snakemake's folder, ``.snakemake``.

    Returns:
        The open lock file, to keep as long as this run lives; None on file systems without locks, where nothing is
        removed.
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

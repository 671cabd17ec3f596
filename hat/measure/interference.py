"""Interference of other processes with a measurement: the cores they used, and the time spent waiting for a core."""

import contextlib
import os
import time
from pathlib import Path

STAT = Path("/proc/stat")
TASKS = Path("/proc/self/task")
TICKS = os.sysconf("SC_CLK_TCK")
# Fields of the first line of /proc/stat that are not idle time: user, nice, system, irq, softirq, steal.
BUSY = (0, 1, 2, 5, 6, 7)


class Interference:
    """Measures how much other processes use the machine, from creation until :meth:`cores` is called.

    Time that the host takes from a virtual machine (steal) counts as use by others.
    """

    def __init__(self) -> None:
        self._started = self._now()

    def cores(self) -> float | None:
        """Return how many cores others kept busy on average; None if the system does not report it.

        Linux counts in ticks of 10 ms, so the result is rough for periods below some tenths of a second.
        """
        before, after = self._started, self._now()
        if before is None or after is None or after[0] <= before[0]:
            return None
        wall, busy, own = (end - start for start, end in zip(before, after, strict=True))
        return max(0.0, busy - own) / wall

    @staticmethod
    def _now() -> tuple[float, float, float] | None:
        """Return wall-clock time, busy time of all cores, and CPU time of this process, in seconds."""
        try:
            fields = STAT.read_text().split("\n", 1)[0].split()[1:]
            busy = sum(int(fields[index]) for index in BUSY) / TICKS
        except (OSError, ValueError, IndexError):
            return None
        return time.perf_counter(), busy, time.process_time()


def waited_ns() -> dict[str, int]:
    """Return for each thread of this process how long, in all, it was ready to run without a core; empty if unknown."""
    found = {}
    for path in TASKS.iterdir() if TASKS.is_dir() else ():
        # Threads end at any time, and some kernels do not count waits.
        with contextlib.suppress(OSError, ValueError, IndexError):
            found[path.name] = int((path / "schedstat").read_text().split()[1])
    return found


def longest_wait_ns(before: dict[str, int], after: dict[str, int]) -> int:
    """Return the longest wait of a thread between two :func:`waited_ns`, which delayed the work by at least that."""
    return max((waited - before[thread] for thread, waited in after.items() if thread in before), default=0)

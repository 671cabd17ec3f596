"""What other processes do to a measurement: how much of the machine they used, and how long they were waited for."""

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
    """Watches the machine from its making until :meth:`cores` is asked for.

    Time that the host of a virtual machine took away (steal) counts as that of others.
    """

    def __init__(self) -> None:
        self._started = self._now()

    def cores(self) -> float | None:
        """Cores that others kept busy on average; None where the system does not tell.

        Linux counts in ticks of 10 ms, so what is shorter than some tenths of a second is known roughly.
        """
        before, after = self._started, self._now()
        if before is None or after is None or after[0] <= before[0]:
            return None
        wall, busy, own = (end - start for start, end in zip(before, after, strict=True))
        return max(0.0, busy - own) / wall

    @staticmethod
    def _now() -> tuple[float, float, float] | None:
        """Wall-clock time, busy time of all cores, processor time of this process, in seconds."""
        try:
            fields = STAT.read_text().split("\n", 1)[0].split()[1:]
            busy = sum(int(fields[index]) for index in BUSY) / TICKS
        except (OSError, ValueError, IndexError):
            return None
        return time.perf_counter(), busy, time.process_time()


def waited_ns() -> dict[str, int]:
    """How long each thread of this process has been ready to run and had no core, ever; empty where nothing tells."""
    found = {}
    for path in TASKS.iterdir() if TASKS.is_dir() else ():
        # Threads end at any time, and some kernels do not count.
        with contextlib.suppress(OSError, ValueError, IndexError):
            found[path.name] = int((path / "schedstat").read_text().split()[1])
    return found


def longest_wait_ns(before: dict[str, int], after: dict[str, int]) -> int:
    """The wait of the thread that waited longest between two :func:`waited_ns`: the work was late by at least that."""
    return max((waited - before[thread] for thread, waited in after.items() if thread in before), default=0)

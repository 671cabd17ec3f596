"""Record a stage's use of the machine: wall time, CPU time, energy of the GPUs.

Only counters are read, at the start and at the end, so that nothing disturbs a latency measurement. Every few minutes
the use so far is recorded too, in case the stage is killed. :mod:`hat.report.cost` estimates energy and carbon from the
records.
"""

import contextlib
import os
import resource
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hat.artifacts.files import JsonLinesLog, machine
from hat.errors import HatError

# Seconds between records while a stage runs.
INTERVAL_S = 300


class Usage:
    """Counts what this process and its children use of the machine from now on."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._began = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self._gpu_count = 0
        self._gpus: list[Any] = []
        self._gpu_joules_before: list[float] = []

    def count_gpus(self, gpus: int) -> None:
        """Count the energy of the job's GPUs from now on, if their driver reports it."""
        self._gpu_count = gpus
        if not gpus:
            return
        with contextlib.suppress(Exception):
            self._gpus = _visible_gpus(gpus)
            self._gpu_joules_before = [_joules(gpu) for gpu in self._gpus]

    def row(self, *, finished: bool) -> dict[str, Any]:
        """Return the use so far; ``gpu_joules`` is None if no GPUs are used or their driver does not report energy."""
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        joules = None
        if self._gpus:
            with contextlib.suppress(Exception):
                joules = sum(_joules(gpu) for gpu in self._gpus) - sum(self._gpu_joules_before)
        return {
            "run": f"{os.getpid()} {self._began}",
            "finished": finished,
            "seconds": round(time.monotonic() - self._started, 3),
            "cpu_seconds": round(sum(one.ru_utime + one.ru_stime for one in used), 3),
            "gpus": self._gpu_count,
            "gpu_joules": joules,
            "machine": machine(),
        }


def _visible_gpus(count: int) -> list[Any]:
    """Return NVML's handles of the GPUs that are visible to this process."""
    import pynvml

    pynvml.nvmlInit()
    named = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    names = (named or [str(number) for number in range(pynvml.nvmlDeviceGetCount())])[:count]
    return [
        pynvml.nvmlDeviceGetHandleByIndex(int(name)) if name.isdigit() else pynvml.nvmlDeviceGetHandleByUUID(name)
        for name in names
    ]


def _joules(gpu: Any) -> float:
    import pynvml

    return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(gpu)) / 1000


@contextlib.contextmanager
def recorded_usage(path: Path | None) -> Iterator[Usage]:
    """Record what the block uses in a JSON-lines file; the last row of each ``run`` is its total.

    Args:
        path: the file; None to record nothing. An error in writing it, such as a full disk, does not fail the stage.
    """
    usage, ended = Usage(), threading.Event()
    if path is None:
        yield usage
        return

    def record(*, finished: bool) -> None:
        with contextlib.suppress(OSError, HatError):
            JsonLinesLog(path).append(usage.row(finished=finished))

    def record_regularly() -> None:
        while not ended.wait(INTERVAL_S):
            record(finished=False)

    threading.Thread(target=record_regularly, daemon=True).start()
    try:
        yield usage
    finally:
        ended.set()
        record(finished=True)

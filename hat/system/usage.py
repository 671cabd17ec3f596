"""What a stage used of the machine: time, processor time, energy of the GPUs; noted beside its artifacts.

Only counters are read, at the start and at the end, so that nothing runs while a latency is measured. Every few
minutes what was used until then is noted too, for a stage that is killed. Energy and carbon are estimated from this
later (:mod:`hat.report.cost`).
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

NOTED_EVERY_S = 300


class Usage:
    """The use of this machine by this process and those that it starts, from now on."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._began = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self._gpu_count = 0
        self._gpus: list[Any] = []
        self._gpu_joules_before: list[float] = []

    def count_gpus(self, gpus: int) -> None:
        """Count the energy of the GPUs that this job may use, from now on, where their driver tells it."""
        self._gpu_count = gpus
        if not gpus:
            return
        with contextlib.suppress(Exception):
            self._gpus = _visible_gpus(gpus)
            self._gpu_joules_before = [_joules(gpu) for gpu in self._gpus]

    def row(self, *, finished: bool) -> dict[str, Any]:
        """What has been used; ``gpu_joules`` is None where GPUs are not used, or do not tell."""
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
    """Handles of the GPUs that CUDA shows to this process."""
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
def noted(path: Path | None) -> Iterator[Usage]:
    """Note what the block uses in a JSON-lines file; of the rows with the same ``run`` the last one holds.

    Args:
        path: the file; None to note nothing. That it cannot be written, as on a full disk, fails no stage.
    """
    usage, done = Usage(), threading.Event()
    if path is None:
        yield usage
        return

    def note(*, finished: bool) -> None:
        with contextlib.suppress(OSError, HatError):
            JsonLinesLog(path).append(usage.row(finished=finished))

    def go_on() -> None:
        while not done.wait(NOTED_EVERY_S):
            note(finished=False)

    threading.Thread(target=go_on, daemon=True).start()
    try:
        yield usage
    finally:
        done.set()
        note(finished=True)

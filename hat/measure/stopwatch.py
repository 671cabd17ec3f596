"""Stopwatches for sentences: wall-clock time for a CPU, CUDA events for a GPU."""

import time
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch


class Stopwatch(Protocol):
    """Times one piece of work after another."""

    def start(self) -> None:
        """Wait until earlier work is done, then start."""

    def elapsed_ns(self) -> int:
        """Wait until all work since the start is done, and return the nanoseconds since the start."""


class WallClock:
    """Wall-clock time, for work that is done when its call returns."""

    def start(self) -> None:
        """See :class:`Stopwatch`."""
        self._started = time.perf_counter_ns()

    def elapsed_ns(self) -> int:
        """See :class:`Stopwatch`."""
        return time.perf_counter_ns() - self._started


class CudaEvents:
    """Events in the queue of a GPU, which records by its own clock when it reaches them.

    Calls only queue work, so their return says nothing about its end. Time that the CPU spends between two kernels
    counts, since the queue is empty meanwhile.

    Args:
        device: the GPU.
    """

    def __init__(self, device: "torch.device") -> None:
        import torch

        self._device = device
        self._synchronize = torch.cuda.synchronize
        self._queue = torch.cuda.current_stream(device)
        event: Any = torch.cuda.Event
        self._started, self._ended = event(enable_timing=True), event(enable_timing=True)

    def start(self) -> None:
        """See :class:`Stopwatch`."""
        self._synchronize(self._device)
        self._started.record(self._queue)

    def elapsed_ns(self) -> int:
        """See :class:`Stopwatch`."""
        self._ended.record(self._queue)
        self._ended.synchronize()
        milliseconds: float = self._started.elapsed_time(self._ended)
        return round(1e6 * milliseconds)


def stopwatch(accelerator: str | None) -> Stopwatch:
    """Return the stopwatch for sentences on a GPU, or on the CPU if ``accelerator`` is None.

    Raises:
        HatError: the GPU does not exist.
    """
    if accelerator is None:
        return WallClock()
    from hat.runtime.torch.accelerator import gpu

    return CudaEvents(gpu(accelerator))

"""What a sentence is timed with: the machine's clock, or events that a GPU reaches."""

import time
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch


class Stopwatch(Protocol):
    """Times one piece of work after another."""

    def start(self) -> None:
        """Begin, once nothing is left of what was asked for before."""

    def elapsed_ns(self) -> int:
        """Nanoseconds since the start, once all that was asked for since is done."""


class WallClock:
    """The machine's clock, for work that is done when the call that asked for it returns."""

    def start(self) -> None:
        """See :class:`Stopwatch`."""
        self._started = time.perf_counter_ns()

    def elapsed_ns(self) -> int:
        """See :class:`Stopwatch`."""
        return time.perf_counter_ns() - self._started


class CudaEvents:
    """Events in a GPU's queue, which notes by its own clock when it has come to them.

    Work is put into the queue and done later, so a call that returns says nothing of it. The time that the processor
    takes between two pieces of work is in it: the queue is empty meanwhile.

    Args:
        device: the GPU.
    """

    def __init__(self, device: "torch.device") -> None:
        import torch

        self._device = device
        self._synchronize = torch.cuda.synchronize
        self._queue = torch.cuda.current_stream(device)
        made: Any = torch.cuda.Event
        self._started, self._ended = made(enable_timing=True), made(enable_timing=True)

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
    """What to time sentences with that execute on a GPU, or on the processor where there is none.

    Raises:
        HatError: there is no such GPU.
    """
    if accelerator is None:
        return WallClock()
    from hat.runtime.torch.accelerator import gpu

    return CudaEvents(gpu(accelerator))

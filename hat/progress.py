"""Progress of long steps: a rich bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

PLAIN_INTERVAL_S = 15.0


class Tracker(Protocol):
    """What a step calls as it advances."""

    def __call__(self, completed: int, note: str = "") -> None:
        """Report ``completed`` of the total, with a short note such as the loss so far."""


@contextmanager
def progress(title: str, total: int, *, background: bool = True) -> Iterator[Tracker]:
    """Show how far a step is and how long it will still take, on standard error.

    Args:
        title: what is being done.
        total: number of units of the whole step.
        background: redraw the bar from a thread of its own; off where latencies are measured, which that thread
            would lengthen by a tenth.
    """
    console = Console(stderr=True)
    if console.is_terminal:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        with Progress(*columns, console=console, auto_refresh=background) as bar:
            task = bar.add_task(title, total=total, note="")

            def show(completed: int, note: str = "") -> None:
                bar.update(task, completed=completed, note=note, refresh=not background)

            yield show
        return
    yield _PlainTracker(title, total)


class _PlainTracker:
    """Prints a line at most every ``PLAIN_INTERVAL_S`` seconds; nothing for steps below two seconds."""

    def __init__(self, title: str, total: int) -> None:
        self.title = title
        self.total = total
        self.started = self.printed = time.monotonic()
        self.first: int | None = None
        self.ended = False

    def __call__(self, completed: int, note: str = "") -> None:
        now = time.monotonic()
        if self.first is None:
            self.first = completed
        finished = completed >= self.total and now - self.started > 2
        if self.ended or (not finished and now - self.printed < PLAIN_INTERVAL_S):
            return
        self.printed, self.ended = now, finished
        elapsed = now - self.started
        done = completed - self.first
        left = elapsed / done * (self.total - completed) if done else float("nan")
        print(
            f"{self.title}: {completed}/{self.total}, {elapsed:.0f} s, about {left:.0f} s left"
            + (f", {note}" if note else ""),
            file=sys.stderr,
            flush=True,
        )

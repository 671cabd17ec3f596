"""Progress of long steps: a rich progress bar on a terminal, plain lines elsewhere."""

import contextlib
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from hat.system.durations import duration
from hat.system.log import Tee

# Matches a plain line of progress; the group is the part after the title.
PROGRESS_LINE = re.compile(r": (\d+(?:/\d+)?, .*)$")
PLAIN_INTERVAL_S = 15.0
SHORT_S = 2.0


class Tracker(Protocol):
    """Callback that a step calls as it advances."""

    def __call__(self, completed: int, note: str = "") -> None:
        """Report ``completed`` of the total, with a short note such as the loss so far."""


@contextmanager
def progress(title: str, total: int | None, *, background: bool = True) -> Iterator[Tracker]:
    """Show the progress of a step and the time left, on standard error.

    A terminal gets a bar, a log (:mod:`hat.system.log`) plain lines; with a quiet console, only the log gets them. The
    bar of a step under two seconds disappears at its end.

    Args:
        title: description of the step.
        total: number of units of the whole step; None if unknown.
        background: redraw the bar from a thread of its own; off during latency measurements, which that thread would
            lengthen by a tenth.
    """
    terminal, log = sys.stderr, None
    if isinstance(sys.stderr, Tee):
        terminal, log = sys.stderr.terminal, sys.stderr.log
        if sys.stderr.quiet:
            yield _PlainTracker(title, total, log)
            return
    console = Console(file=terminal)
    if not terminal.isatty() or console.is_dumb_terminal:
        yield _PlainTracker(title, total, sys.stderr)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    # Output printed meanwhile must reach the log, so rich must not redirect it.
    with Progress(
        *columns,
        console=console,
        auto_refresh=background,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    ) as bar:
        task = bar.add_task(title, total=total, note="")
        logged = _PlainTracker(title, total, log) if log is not None else None

        def show(completed: int, note: str = "") -> None:
            bar.update(task, completed=completed, note=note, refresh=not background)
            if logged is not None:
                logged(completed, note)

        started = time.monotonic()
        try:
            yield show
        finally:
            bar.live.transient = time.monotonic() - started < SHORT_S


class _PlainTracker:
    """Prints a line at most every ``PLAIN_INTERVAL_S`` seconds, and none for steps under ``SHORT_S`` seconds."""

    def __init__(self, title: str, total: int | None, stream: IO[str]) -> None:
        self.title = title
        self.total = total
        self.stream = stream
        self.started = self.printed = time.monotonic()
        self.first: int | None = None
        self.ended = False

    def __call__(self, completed: int, note: str = "") -> None:
        now = time.monotonic()
        if self.first is None:
            self.first = completed
        finished = self.total is not None and completed >= self.total and now - self.started > SHORT_S
        if self.ended or (not finished and now - self.printed < PLAIN_INTERVAL_S):
            return
        self.printed, self.ended = now, finished
        elapsed = now - self.started
        done = completed - self.first
        # Units completed before the first report, for example by an earlier run, say nothing about the speed.
        left = (
            f", about {duration(round(elapsed / done * (self.total - completed)))} left" if self.total and done else ""
        )
        of = "" if self.total is None else f"/{self.total}"
        line = f"{self.title}: {completed}{of}, {duration(round(elapsed))}{left}"
        # A log on a full disk must not stop the step.
        with contextlib.suppress(OSError):
            print(line + (f", {note}" if note else ""), file=self.stream, flush=True)

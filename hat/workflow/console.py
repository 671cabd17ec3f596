"""The console output of a run of Snakemake: a line per finished stage, with a percentage that never falls.

Snakemake's own messages about each rule go to its log below ``.snakemake/log``, and the output of verbs to the logs of
their rules. ``snakemake --verbose`` or ``--printshellcmds`` shows both on the console; a dry run shows Snakemake's
messages.
"""

import logging
import re
import shutil
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from hat.system.durations import duration
from hat.system.progress import PROGRESS_LINE

if TYPE_CHECKING:
    from snakemake.workflow import Workflow

# Name of Snakemake's log handler for the console.
CONSOLE_HANDLER = "DefaultStreamHandler"
# The rule after which more jobs are known, the rules that wait for it, and the rules that each budget then needs.
CHECKPOINT = "choose_budgets"
OF_ALL_BUDGETS = frozenset({"demo", "tables", "draw_figures", "compression", "cost", "export_elastic"})
OF_A_BUDGET = ("search", "train_subtransformer", "export_model", "measure_model", "score")
BEFORE_BUDGETS = "search_front"

# Seconds between updates of the line of running stages on a terminal, and seconds of silence before it is printed
# elsewhere.
DRAWN_EVERY_S = 2.0
PRINTED_AFTER_S = 300.0
# Lines to show of a failed job's log, and bytes to read of a log to find its progress.
TAIL_LINES = 20
TAIL_BYTES = 4096

# Messages about Snakemake's own work, which the console hides.
CHATTER = re.compile(
    r"Building DAG of jobs|Using shell|Select jobs to execute|Touching output file|Updating checkpoint dependencies"
    r"|DAG of jobs will be updated|Group jobs: inactive|Conda environments: ignored|Singularity containers: ignored"
    r"|Shutting down, this might|Exiting because a job execution failed|At least one job did not complete"
    r"|WorkflowError:\s+At least one job did not complete|\w+:\s+CalledProcessError in |Finished jobid"
)
CHATTY_EVENTS = frozenset(
    {"workflow_started", "job_started", "resources_info", "shellcmd", "debug_dag", "rulegraph", "group_info"}
)


class Share:
    """The share of the work that is done, from 0 to 1; it never falls, although the number of jobs may grow.

    Args:
        jobs: expected number of jobs.
    """

    def __init__(self, jobs: int) -> None:
        self.expected = jobs
        self.value = 0.0
        self._done = 0
        # The share and the number of finished jobs when the expected number last changed: from there, the rest of the
        # share is divided among the rest of the jobs.
        self._base, self._base_done = 0.0, 0

    def advance(self, done: int, expected: int) -> float:
        """Return the share after ``done`` of ``expected`` jobs."""
        if expected != self.expected:
            self._base, self._base_done, self.expected = self.value, self._done, expected
        self._done = done
        part = 1.0 if done >= expected else (done - self._base_done) / (expected - self._base_done)
        self.value = max(self.value, self._base + (1 - self._base) * part)
        return self.value


def jobs_to_come(counts: Mapping[str, int], budgets: int) -> int:
    """Estimate the number of jobs that will only be known once budgets are chosen.

    Args:
        counts: planned jobs by rule.
        budgets: number of budgets chosen for a task and device.
    """
    if not counts.get(CHECKPOINT) or not OF_ALL_BUDGETS & counts.keys():
        return 0
    return counts[CHECKPOINT] * (budgets * len(OF_A_BUDGET) + (BEFORE_BUDGETS not in counts))


@dataclass(frozen=True)
class Running:
    """A job that runs or waits in a cluster's queue; ``here`` is true if it runs on this machine."""

    title: str
    rule: str
    log: tuple[str, ...]
    benchmark: str | None
    here: bool
    started: float


class StageHandler(logging.Handler):
    """Log handler that prints a line per finished stage, and errors and warnings in full.

    On a terminal, the last line shows the running stages and their progress. Elsewhere that line is printed after some
    minutes without other output.

    Args:
        stream: stream to print to.
        usual: formatter of messages that are not about a single stage.
        budgets: number of budgets chosen for a task and device.
        clock: returns monotonic seconds.
    """

    def __init__(
        self,
        stream: TextIO,
        usual: logging.Formatter,
        *,
        budgets: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self.name = CONSOLE_HANDLER
        self.setFormatter(usual)
        self._stream, self._clock, self._budgets = stream, clock, budgets
        self._terminal = stream.isatty()
        self._share = Share(0)
        self._counts: dict[str, int] = {}
        self._running: dict[int, Running] = {}
        self._finished: list[Running] = []
        self._failed = 0
        self._began = self._printed = clock()
        self._logs: str | None = None
        self._stopped = threading.Event()

    def watch(self) -> None:
        """Start a thread that shows the progress of running stages until the handler is closed."""
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while not self._stopped.wait(DRAWN_EVERY_S):
            self.acquire()
            try:
                if not self._stopped.is_set():
                    self.draw()
            finally:
                self.release()

    def close(self) -> None:
        """Erase the line of running stages."""
        self._stopped.set()
        self._erase()
        super().close()

    def emit(self, record: logging.LogRecord) -> None:
        """Show or drop a message from Snakemake."""
        try:
            event, values = str(getattr(record, "event", None) or ""), vars(record)
            if event in CHATTY_EVENTS:
                return
            shown = getattr(self, f"_on_{event}", None)
            if shown is not None:
                shown(values)
            else:
                self._other(record)
        except Exception:
            self.handleError(record)

    def _on_run_info(self, values: Mapping[str, Any]) -> None:
        if self._counts:
            return
        self._counts = {rule: count for rule, count in values["stats"].items() if rule != "total"}
        known, later = sum(self._counts.values()), jobs_to_come(self._counts, self._budgets)
        self._share = Share(known + later)
        rest = f", and about {later} more once budgets are chosen" if later else ""
        self._print(f"{known} stage{'s' if known > 1 else ''} to run{rest}; their logs: results/logs/")

    def _on_job_info(self, values: Mapping[str, Any]) -> None:
        title = values["rule_msg"] or " ".join([values["rule_name"], *map(str, (values["wildcards"] or {}).values())])
        self._running[values["jobid"]] = Running(
            title=title,
            rule=values["rule_name"],
            log=tuple(values["log"]),
            benchmark=values["benchmark"],
            here=values["local"],
            started=self._clock(),
        )

    def _on_job_finished(self, values: Mapping[str, Any]) -> None:
        if (job := self._running.pop(values["job_id"], None)) is not None:
            self._finished.append(job)
            if job.rule == CHECKPOINT:
                self._counts[CHECKPOINT] -= 1

    def _on_progress(self, values: Mapping[str, Any]) -> None:
        # The message that ends the checkpoint does not count the jobs behind it yet.
        if not any(job.rule == CHECKPOINT for job in self._finished):
            expected = values["total"] + jobs_to_come(self._counts, self._budgets)
            share = self._share.advance(values["done"], expected)
        else:
            share = self._share.advance(values["done"], self._share.expected)
        for job in self._finished:
            self._print(f"{self._percent(share)}  {self._took(job):>12}  {job.title}")
        self._finished.clear()

    def _on_job_error(self, values: Mapping[str, Any]) -> None:
        self._failed += 1
        job = self._running.pop(values["jobid"], None)
        title = job.title if job else values["rule_name"]
        took = f" after {duration(self._clock() - job.started)}" if job else ""
        self._print(f"FAILED{took}: {title}")
        for log in values["log"]:
            self._print(f"    log: {log}")
        for name, value in values["aux"].items():
            self._print(f"    {name}: {value}")
        # The output of a job on this machine has been shown already.
        if job is None or not job.here:
            for line in _last_lines(values["log"]):
                self._print(line)

    def _on_group_error(self, values: Mapping[str, Any]) -> None:
        for log in values["aux_logs"]:
            self._print(f"FAILED: group {values['groupid']}; log: {log}")

    def _other(self, record: logging.LogRecord) -> None:
        message = self.format(record).strip("\n")
        if message.startswith("Complete log(s): "):
            self._logs = ", ".join(map(_relative, message.removeprefix("Complete log(s): ").split(", ")))
        elif message.startswith("Elapsed time: "):
            outcome = f"{self._failed} failed" if self._failed else "Done"
            logs = f"; Snakemake's own log: {self._logs}" if self._logs else ""
            self._print(f"{outcome}, after {duration(self._clock() - self._began)}{logs}")
        elif message and message != "None" and not CHATTER.match(message):
            self._print(message)

    def _took(self, job: Running) -> str:
        """Return the duration of a job, without its time in a cluster's queue."""
        from hat.workflow.plan import read_benchmark

        measured = read_benchmark(Path(job.benchmark)) if job.benchmark and not job.here else None
        return duration(measured.seconds if measured else self._clock() - job.started)

    @staticmethod
    def _percent(share: float) -> str:
        # Rounded down, so that unfinished work is never shown as 100 %.
        return f"{int(100 * share + 1e-9):3d} %"

    def _print(self, text: str) -> None:
        self._erase()
        self._stream.write(f"{text}\n")
        self._stream.flush()
        self._printed = self._clock()

    def _erase(self) -> None:
        if self._terminal:
            self._stream.write("\r\x1b[2K")
            self._stream.flush()

    def draw(self) -> None:
        """Show the running stages: on a terminal at each call, elsewhere only after a silence."""
        if not self._running:
            return
        now = self._clock()
        if not self._terminal and now - self._printed < PRINTED_AFTER_S:
            return
        first, *others = self._running.values()
        more = f" (and {len(others)} more)" if others else ""
        progress = _progress(first.log)
        line = f"{self._percent(self._share.value)}  {duration(now - first.started):>12}  {first.title}{more}"
        line += f": {progress}" if progress else " ..."
        if not self._terminal:
            self._print(line)
            return
        # The cursor returns to the start, so that other output does not begin in the middle of the line.
        width = shutil.get_terminal_size().columns - 1
        self._stream.write(f"\r\x1b[2K{line[:width]}\r")
        self._stream.flush()


def _progress(logs: tuple[str, ...]) -> str:
    """Return a job's progress from the last line of progress in its logs; empty without such a line."""
    for line in reversed(_last_lines(logs)):
        if (match := PROGRESS_LINE.search(line)) is not None:
            return match[1]
    return ""


def _relative(path: str) -> str:
    """Return a path relative to the working directory if it is below that."""
    return str(Path(path).relative_to(Path.cwd())) if Path(path).is_relative_to(Path.cwd()) else path


def _last_lines(logs: tuple[str, ...] | list[str]) -> list[str]:
    """Return the last lines of logs; missing logs have none."""
    found = []
    for log in logs:
        try:
            with open(log, "rb") as stream:
                stream.seek(0, 2)
                stream.seek(max(stream.tell() - TAIL_BYTES, 0))
                text = stream.read().decode("utf-8", errors="replace")
        except OSError:
            continue
        found += text.splitlines()[-TAIL_LINES:]
    return found


def show_stages(workflow: "Workflow", budgets: int) -> bool:
    """Let a run of Snakemake show its stages, unless its options ask for more or less output.

    Args:
        workflow: Snakemake's workflow.
        budgets: number of budgets chosen for a task and device.

    Returns:
        Whether the run shows its stages.
    """
    from snakemake.logging import logger

    settings = workflow.output_settings
    other_output = settings.verbose or settings.printshellcmds or settings.debug_dag or settings.quiet
    if not workflow.is_main_process or settings.dryrun or other_output:
        return False
    for handler in list(logger.handlers):
        if handler.name == CONSOLE_HANDLER and handler.formatter is not None:
            ours = StageHandler(sys.stderr, handler.formatter, budgets=budgets)
            logger.removeHandler(handler)
            logger.addHandler(ours)
            ours.watch()
            return True
    return False

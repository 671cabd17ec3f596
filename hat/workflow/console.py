"""What a run of Snakemake shows: a line for each finished stage, one share of the work done that only grows.

Snakemake's own blocks for each rule stay in its log below ``.snakemake/log``, and what verbs print in the logs of their
rules. ``snakemake --verbose`` or ``--printshellcmds`` shows both on the console, as a dry run shows the blocks.
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

# The handler that Snakemake gives its logger for the console.
SNAKEMAKES_OWN = "DefaultStreamHandler"
# The rule after which more jobs are known, the rules that wait for it, and those that each budget then needs.
CHECKPOINT = "choose_budgets"
OF_ALL_BUDGETS = frozenset({"demo", "tables", "draw_figures", "compression", "cost", "export_elastic"})
OF_A_BUDGET = ("search", "train_subtransformer", "export_model", "measure_model", "score")
BEFORE_BUDGETS = "search_front"

# How often the line of running stages is drawn on a terminal, and after how long a silence it is printed elsewhere.
DRAWN_EVERY_S = 2.0
PRINTED_AFTER_S = 300.0
# How much of a failed job's log is shown where the job's own output went elsewhere, and of a log to find its progress.
TAIL_LINES = 20
TAIL_BYTES = 4096

# What Snakemake says of its own work.
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
    """The share of the work that is done, from 0 to 1; it never falls, although the number of jobs grows.

    Args:
        jobs: how many there are expected to be.
    """

    def __init__(self, jobs: int) -> None:
        self.expected = jobs
        self.value = 0.0
        self._done = 0
        # From where, and from how many jobs on, the rest of the work is shared out among the rest of the jobs.
        self._base, self._base_done = 0.0, 0

    def advance(self, done: int, expected: int) -> float:
        """The share after ``done`` of ``expected`` jobs."""
        if expected != self.expected:
            self._base, self._base_done, self.expected = self.value, self._done, expected
        self._done = done
        part = 1.0 if done >= expected else (done - self._base_done) / (expected - self._base_done)
        self.value = max(self.value, self._base + (1 - self._base) * part)
        return self.value


def jobs_to_come(counts: Mapping[str, int], budgets: int) -> int:
    """An estimate of the jobs that are known only once budgets are chosen.

    Args:
        counts: planned jobs by rule.
        budgets: how many are chosen for a task and device.
    """
    if not counts.get(CHECKPOINT) or not OF_ALL_BUDGETS & counts.keys():
        return 0
    return counts[CHECKPOINT] * (budgets * len(OF_A_BUDGET) + (BEFORE_BUDGETS not in counts))


@dataclass(frozen=True)
class Running:
    """A job that runs, or waits in a cluster's queue."""

    title: str
    rule: str
    log: tuple[str, ...]
    benchmark: str | None
    here: bool
    started: float


class StageHandler(logging.Handler):
    """Prints what Snakemake logs as a line for each finished stage, and errors and warnings in full.

    A terminal has a line more at its end, with the stages that run and how far they are; elsewhere that is printed
    when nothing else has been for minutes.

    Args:
        stream: where to.
        usual: formats what is not about a single stage.
        budgets: how many budgets are chosen for a task and device.
        clock: seconds that only grow.
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
        self.name = SNAKEMAKES_OWN
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
        """From now on show how far running stages are, from a thread that ends when the handler is closed."""
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
        """Show one message of Snakemake's, or nothing of it."""
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
        # Of the jobs behind the checkpoint Snakemake counts none in the message that ends it.
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
        # What a job here has said has been seen.
        if job is None or not job.here:
            for line in _last_lines(values["log"]):
                self._print(line)

    def _on_group_error(self, values: Mapping[str, Any]) -> None:
        for log in values["aux_logs"]:
            self._print(f"FAILED: group {values['groupid']}; log: {log}")

    def _other(self, record: logging.LogRecord) -> None:
        said = self.format(record).strip("\n")
        if said.startswith("Complete log(s): "):
            self._logs = ", ".join(map(_from_here, said.removeprefix("Complete log(s): ").split(", ")))
        elif said.startswith("Elapsed time: "):
            how = f"{self._failed} failed" if self._failed else "Done"
            logs = f"; Snakemake's own log: {self._logs}" if self._logs else ""
            self._print(f"{how}, after {duration(self._clock() - self._began)}{logs}")
        elif said and said != "None" and not CHATTER.match(said):
            self._print(said)

    def _took(self, job: Running) -> str:
        """The time of a job; that in a cluster's queue is no part of it."""
        from hat.workflow.plan import read_benchmark

        measured = read_benchmark(Path(job.benchmark)) if job.benchmark and not job.here else None
        return duration(measured.seconds if measured else self._clock() - job.started)

    @staticmethod
    def _percent(share: float) -> str:
        # What is not done is not shown as done.
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
        """Show the stages that run: on a terminal each time, elsewhere after a silence."""
        if not self._running:
            return
        now = self._clock()
        if not self._terminal and now - self._printed < PRINTED_AFTER_S:
            return
        first, *others = self._running.values()
        more = f" (and {len(others)} more)" if others else ""
        said = _progress(first.log)
        line = f"{self._percent(self._share.value)}  {duration(now - first.started):>12}  {first.title}{more}"
        line += f": {said}" if said else " ..."
        if not self._terminal:
            self._print(line)
            return
        # The cursor goes back to the start, so that what others write does not begin in the middle of the line.
        width = shutil.get_terminal_size().columns - 1
        self._stream.write(f"\r\x1b[2K{line[:width]}\r")
        self._stream.flush()


def _progress(logs: tuple[str, ...]) -> str:
    """How far a job is, by the last line of progress in its logs; empty where none has any."""
    for line in reversed(_last_lines(logs)):
        if (match := PROGRESS_LINE.search(line)) is not None:
            return match[1]
    return ""


def _from_here(path: str) -> str:
    """A path below the working directory without that."""
    return str(Path(path).relative_to(Path.cwd())) if Path(path).is_relative_to(Path.cwd()) else path


def _last_lines(logs: tuple[str, ...] | list[str]) -> list[str]:
    """The last lines of logs; those that are missing have none."""
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
    """Have a run of Snakemake show its stages; nothing changes where somebody wants more of it, or less.

    Args:
        workflow: Snakemake's.
        budgets: how many are chosen for a task and device.

    Returns:
        Whether it does.
    """
    from snakemake.logging import logger

    settings = workflow.output_settings
    asked = settings.verbose or settings.printshellcmds or settings.debug_dag or settings.quiet
    if not workflow.is_main_process or settings.dryrun or asked:
        return False
    for handler in list(logger.handlers):
        if handler.name == SNAKEMAKES_OWN and handler.formatter is not None:
            ours = StageHandler(sys.stderr, handler.formatter, budgets=budgets)
            logger.removeHandler(handler)
            logger.addHandler(ours)
            ours.watch()
            return True
    return False

"""Plan targets: the jobs that Snakemake would run, and estimates of their time, storage and price."""

import contextlib
import csv
import io
import logging
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hat.artifacts.layout import Results
from hat.artifacts.table import KINDS
from hat.config.settings import BUDGET, Settings, budget_ms
from hat.errors import HatError, InputError
from hat.system.console import print_table
from hat.system.durations import duration
from hat.workflow.first_run import FirstRun

# Names of files that are written last in their folder; the size of the whole folder counts for them.
STAND_FOR_FOLDER = frozenset(Path(name).name for kind in KINDS if kind.whole for name in kind.names)


@dataclass(frozen=True)
class Job:
    """A job that Snakemake would run."""

    rule: str
    wildcards: Mapping[str, str]
    threads: int
    gpus: int
    resources: Mapping[str, Any]
    benchmark: str | None
    outputs: tuple[str, ...]


@dataclass
class Estimate:
    """An estimate for all jobs of a rule; the ``unknown`` jobs, for which there is no estimate, are left out.

    ``waiting_hours`` pass on the network or on a device that is not this machine.
    """

    rule: str
    jobs: int = 0
    gpu_hours: float = 0.0
    cpu_hours: float = 0.0
    waiting_hours: float = 0.0
    storage_gb: float = 0.0
    unknown: int = 0
    sources: set[str] = field(default_factory=set)


def planned_jobs(targets: Sequence[str], options: Sequence[str] = ()) -> list[Job]:
    """Return the jobs of Snakemake's dry run.

    Args:
        targets: targets of ``snakemake``; the default target if empty.
        options: further options of ``snakemake``.

    Raises:
        HatError: Snakemake refuses the targets; the message has its reason.
        InputError: the Snakefile refuses the targets.
    """
    from snakemake.cli import main
    from snakemake.logging import logger
    from snakemake_interface_logger_plugins.common import LogEvent

    found: list[Job] = []

    def collect(record: logging.LogRecord) -> bool:
        if getattr(record, "event", None) != LogEvent.JOB_INFO:
            return True
        values = vars(record)
        gpus = values["resources"].get("gpus", 0) * values["resources"].get("nodes", 1)
        found.append(
            Job(
                rule=values["rule_name"],
                wildcards=dict(values["wildcards"] or {}),
                threads=values["threads"],
                gpus=gpus,
                resources={name: value for name, value in values["resources"].items() if not name.startswith("_")},
                benchmark=values["benchmark"],
                outputs=tuple(values["output"]),
            )
        )
        return False

    # The Snakefile also reads the command line (hat/workflow/targets.py).
    command = ["snakemake", *targets, "--dry-run", "--nolock", *options]
    arguments, output = sys.argv, io.StringIO()
    logger.addFilter(collect)
    sys.argv = command
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            main(command[1:])
    except SystemExit as ended:
        if isinstance(ended.code, str):
            raise InputError(ended.code.removeprefix("hat: ")) from None
        if ended.code:
            raise HatError(_last_words(output.getvalue())) from None
    finally:
        sys.argv = arguments
        logger.removeFilter(collect)
    return found


def _last_words(output: str) -> str:
    """Return the last lines of Snakemake's output as one line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    words = " ".join(lines[-3:]) or "it gave no reason"
    return f"snakemake: {words}"


@dataclass(frozen=True)
class Measured:
    """A row of a Snakemake benchmark file."""

    seconds: float
    cpu_seconds: float


def read_benchmark(path: Path) -> Measured | None:
    """Read the time of a job; return None if the file is missing or incomplete."""
    try:
        (row, *_) = csv.DictReader(path.read_text().splitlines(), delimiter="\t")
        seconds = float(row["s"])
        # A job shorter than Snakemake's sampling interval has no CPU time.
        return Measured(seconds, float(row["cpu_time"]) if row["cpu_time"] not in ("NA", "-", "0.00") else seconds)
    except (OSError, ValueError, KeyError):
        return None


class History:
    """Time and storage of earlier jobs of the same rule: for the same task and device, or else for the same task."""

    def __init__(self) -> None:
        self._known: dict[str, list[Measured]] = {}
        self._sizes: dict[str, float] = {}

    def size_gb(self, job: Job) -> float:
        """Return the median size of the outputs of similar jobs; 0 if there are none."""
        free = {job.wildcards[name] for name in ("budget", "shard", "device") if name in job.wildcards}
        return sum(self._size(Path(*(_freed(part, free) for part in Path(output).parts))) for output in job.outputs)

    def _size(self, pattern: Path) -> float:
        if (key := str(pattern)) not in self._sizes:
            found = [path.parent.glob("*") if path.name in STAND_FOR_FOLDER else (path,) for path in Path().glob(key)]
            sizes = [sum(file.stat().st_size for file in files if file.is_file()) for files in found]
            self._sizes[key] = statistics.median(sizes) / 1e9 if sizes else 0.0
        return self._sizes[key]

    def like(self, job: Job) -> tuple[Measured, str] | None:
        """Return the median time of the most similar measured jobs, and what they have in common with this one."""
        if job.benchmark is None:
            return None
        for pattern, what in self._patterns(job):
            if found := self._measured(pattern):
                seconds = statistics.median(one.seconds for one in found)
                cpu_seconds = statistics.median(one.cpu_seconds for one in found)
                return Measured(seconds, cpu_seconds), f"{what} ({len(found)})"
        return None

    def _patterns(self, job: Job) -> Iterable[tuple[str, str]]:
        """Yield patterns of similar jobs' benchmark files and descriptions of them, the most similar first."""
        assert job.benchmark is not None
        parts = Path(job.benchmark).parts
        free = {job.wildcards[name] for name in ("budget", "shard") if name in job.wildcards}
        yield job.benchmark, "an earlier run"
        same_device = tuple(_freed(part, free) for part in parts)
        yield str(Path(*same_device)), "the same task and device"
        if (device := job.wildcards.get("device")) is not None:
            yield str(Path(*(_freed(part, {device}) for part in same_device))), "the same task"

    def _measured(self, pattern: str) -> list[Measured]:
        if pattern not in self._known:
            paths = sorted(Path().glob(pattern))
            self._known[pattern] = [one for one in map(read_benchmark, paths) if one is not None]
        return self._known[pattern]


def _freed(part: str, values: Iterable[str]) -> str:
    """Replace the values of wildcards in a part of a path by ``*``: the whole part, or words between hyphens."""
    stem, dot, ending = part.partition(".tsv")
    words = ["*" if word in values else word for word in stem.split("-")]
    return "*" if stem in values and not dot else "-".join(words) + dot + ending


def estimate(jobs: Iterable[Job], settings: Settings, results: Results) -> list[Estimate]:
    """Return one estimate per rule, in the order of the rules' first jobs.

    Args:
        jobs: the planned jobs.
        settings: the configuration.
        results: where the artifacts are.
    """
    jobs = list(jobs)
    history, first, found = History(), FirstRun(settings, results, _largest_budgets(jobs)), dict[str, Estimate]()
    for job in jobs:
        one = found.setdefault(job.rule, Estimate(job.rule))
        one.jobs += 1
        size_gb = history.size_gb(job)
        if (measured := history.like(job)) is not None:
            one.cpu_hours += measured[0].cpu_seconds / 3600
            one.gpu_hours += measured[0].seconds * job.gpus / 3600
            one.sources.add(measured[1])
        elif (guess := first.guess(job.rule, job.wildcards, job.gpus)) is not None:
            one.gpu_hours += guess.gpu_hours
            one.cpu_hours += guess.cpu_hours
            one.waiting_hours += guess.waiting_hours
            one.sources |= {*guess.sources}
            size_gb = size_gb or guess.storage_gb
        elif job.benchmark is not None:
            one.unknown += 1
        one.storage_gb += size_gb
    return list(found.values())


def _largest_budgets(jobs: Iterable[Job]) -> dict[tuple[str, str], float]:
    """Return the largest budget in milliseconds among the jobs of each task and device."""
    found: dict[tuple[str, str], float] = {}
    for job in jobs:
        if BUDGET.match(budget := job.wildcards.get("budget", "")):
            place = job.wildcards["task"], job.wildcards["device"]
            found[place] = max(found.get(place, 0.0), budget_ms(budget))
    return found


def plan(settings: Settings, results: Results, targets: Sequence[str], options: Sequence[str] = ()) -> dict[str, Any]:
    """Plan targets: a row per rule, and the total with its price.

    Raises:
        HatError: Snakemake refuses the targets.
        InputError: a target has an unknown name.
    """
    rules = estimate(planned_jobs(targets, options), settings, results)
    prices = settings.configuration.cost.prices
    names = ("jobs", "gpu_hours", "cpu_hours", "waiting_hours", "storage_gb", "unknown")
    total = {name: sum(getattr(one, name) for one in rules) for name in names}
    total["price_usd"] = total["gpu_hours"] * prices.gpu_hour_usd + total["cpu_hours"] * prices.core_hour_usd
    total["storage_usd_per_month"] = total["storage_gb"] * prices.storage_gb_month_usd
    return {
        "targets": list(targets),
        "estimate": True,
        "rules": [{**asdict(one), "sources": sorted(one.sources)} for one in rules],
        "total": total,
        "prices": prices.dated,
    }


def print_plan(content: dict[str, Any]) -> None:
    """Print the plan as a table."""
    if not content["rules"]:
        print("Nothing to be done: everything is up to date.")
        return
    # Sources are sentences, too long for a cell.
    notes = list(dict.fromkeys(source for one in content["rules"] for source in one["sources"]))
    rows = [
        [
            one["rule"],
            str(one["jobs"]),
            # A rule without an estimate shows dashes instead of zeros.
            *(_amounts(one) if one["sources"] else ("-", "-", "-", "-")),
            _basis([notes.index(source) + 1 for source in one["sources"]], one["unknown"]),
        ]
        for one in content["rules"]
    ]
    total = content["total"]
    rows.append(["in all", str(total["jobs"]), *_amounts(total), ""])
    header = ("rule", "jobs", "GPU time", "CPU time", "waiting", "storage", "estimated from")
    print_table("Planned jobs; times and storage are estimates", header, rows)
    for number, note in enumerate(notes, start=1):
        print(f"[{number}] {note}")
    if total["waiting_hours"]:
        print("Waiting is for downloads and for devices other than this machine.")
    print(
        f"Estimated price: {total['price_usd']:,.2f} USD, and {total['storage_usd_per_month']:,.2f} USD a month for"
        f" storage ({content['prices']})."
    )
    if total["unknown"]:
        print(f"Jobs that cannot be estimated yet and are left out of the totals: {total['unknown']}.")


def _basis(notes: Iterable[int], unknown: int) -> str:
    """Format the numbers of the notes that an estimate is from, and how many jobs it leaves out."""
    return " ".join([*(f"[{note}]" for note in sorted(notes)), *([f"({unknown} not known)"] if unknown else [])])


def _amounts(one: Mapping[str, Any]) -> list[str]:
    """Format GPU time, CPU time, waiting and storage."""
    megabytes = 1000 * one["storage_gb"]
    stored = f"{megabytes:,.1f} MB" if megabytes < 1000 else f"{megabytes / 1000:,.1f} GB"
    return [*(duration(3600 * one[name]) for name in ("gpu_hours", "cpu_hours", "waiting_hours")), stored]

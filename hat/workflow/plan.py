"""What Snakemake would run for targets, and what that is estimated to take."""

import contextlib
import csv
import functools
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
from hat.config.scope import TaskScope
from hat.config.settings import Settings
from hat.data.task_shape import task_shape
from hat.errors import HatError, InputError
from hat.space.profile import PUBLISHED_SHAPE, Profile
from hat.space.search_space import SearchSpace
from hat.system.console import print_table
from hat.system.durations import duration

# Files that are written last and stand for their folder.
STAND_FOR_FOLDER = frozenset(Path(name).name for kind in KINDS if kind.whole for name in kind.names)
# Multiplications and additions of a training step for each parameter and token: forward, and twice that backward.
FLOPS_PER_PARAMETER = 6
BYTES_PER_PARAMETER = 4


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
    """What the jobs of a rule are estimated to take, but for those of which nothing is known."""

    rule: str
    jobs: int = 0
    gpu_hours: float = 0.0
    cpu_hours: float = 0.0
    storage_gb: float = 0.0
    unknown: int = 0
    sources: set[str] = field(default_factory=set)


def planned_jobs(targets: Sequence[str], options: Sequence[str] = ()) -> list[Job]:
    """The jobs of Snakemake's dry run.

    Args:
        targets: as given to ``snakemake``; the default target where empty.
        options: further options of ``snakemake``.

    Raises:
        HatError: Snakemake refuses the targets; it has said why.
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

    # The Snakefile reads the command line, too (hat/workflow/targets.py).
    command = ["snakemake", *targets, "--dry-run", "--nolock", *options]
    before, said = sys.argv, io.StringIO()
    logger.addFilter(collect)
    sys.argv = command
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            main(command[1:])
    except SystemExit as ended:
        if isinstance(ended.code, str):
            raise InputError(ended.code.removeprefix("hat: ")) from None
        if ended.code:
            raise HatError(_last_words(said.getvalue())) from None
    finally:
        sys.argv = before
        logger.removeFilter(collect)
    return found


def _last_words(said: str) -> str:
    """What Snakemake said at last, in one line."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    words = " ".join(lines[-3:]) or "it did not say why"
    return f"snakemake: {words}"


@dataclass(frozen=True)
class Measured:
    """One line of a benchmark file of Snakemake's."""

    seconds: float
    cpu_seconds: float


def read_benchmark(path: Path) -> Measured | None:
    """Time of a job; None where the file is missing or unfinished."""
    try:
        (row, *_) = csv.DictReader(path.read_text().splitlines(), delimiter="\t")
        seconds = float(row["s"])
        # Of a job shorter than Snakemake's sampling there is no processor time.
        return Measured(seconds, float(row["cpu_time"]) if row["cpu_time"] not in ("NA", "-", "0.00") else seconds)
    except (OSError, ValueError, KeyError):
        return None


class History:
    """What jobs of the same rule took before: of the same task and device, else of the same task."""

    def __init__(self) -> None:
        self._known: dict[str, list[Measured]] = {}
        self._sizes: dict[str, float] = {}

    def size_gb(self, job: Job) -> float:
        """What the job made before, or what others of its task made; 0 where there is nothing."""
        free = {job.wildcards[name] for name in ("budget", "shard", "device") if name in job.wildcards}
        return sum(self._size(Path(*(_freed(part, free) for part in Path(output).parts))) for output in job.outputs)

    def _size(self, pattern: Path) -> float:
        if (key := str(pattern)) not in self._sizes:
            found = [path.parent.glob("*") if path.name in STAND_FOR_FOLDER else (path,) for path in Path().glob(key)]
            sizes = [sum(file.stat().st_size for file in files if file.is_file()) for files in found]
            self._sizes[key] = statistics.median(sizes) / 1e9 if sizes else 0.0
        return self._sizes[key]

    def like(self, job: Job) -> tuple[Measured, str] | None:
        """The median of the most similar jobs that were measured, and which these are."""
        if job.benchmark is None:
            return None
        for pattern, what in self._patterns(job):
            if found := self._measured(pattern):
                seconds = statistics.median(one.seconds for one in found)
                cpu_seconds = statistics.median(one.cpu_seconds for one in found)
                return Measured(seconds, cpu_seconds), f"{what} ({len(found)})"
        return None

    def _patterns(self, job: Job) -> Iterable[tuple[str, str]]:
        """Benchmarks of similar jobs, the most similar first."""
        assert job.benchmark is not None
        parts = Path(job.benchmark).parts
        free = {job.wildcards[name] for name in ("budget", "shard") if name in job.wildcards}
        yield job.benchmark, "an earlier run"
        other = tuple(_freed(part, free) for part in parts)
        yield str(Path(*other)), "the same task and device"
        if (device := job.wildcards.get("device")) is not None:
            yield str(Path(*(_freed(part, {device}) for part in other))), "the same task"

    def _measured(self, pattern: str) -> list[Measured]:
        if pattern not in self._known:
            paths = sorted(Path().glob(pattern))
            self._known[pattern] = [one for one in map(read_benchmark, paths) if one is not None]
        return self._known[pattern]


def _freed(part: str, values: Iterable[str]) -> str:
    """A part of a path with ``*`` in place of the value of a wildcard: the whole of it, or what `-` parts off."""
    stem, dot, ending = part.partition(".tsv")
    words = ["*" if word in values else word for word in stem.split("-")]
    return "*" if stem in values and not dot else "-".join(words) + dot + ending


class Declared:
    """What is known of trainings that have not been measured: their settings.

    A training's operations are six for each parameter of the largest Architecture and each token, which is more than
    those that are drawn have. ``cost.gpu_tflops`` of them are done in a second.
    """

    def __init__(self, settings: Settings, results: Results) -> None:
        self.settings = settings
        self.results = results
        self.source = f"settings, at {settings.configuration.cost.gpu_tflops:g} TFLOP/s on a GPU"

    def training(self, job: Job) -> tuple[float, float] | None:
        """GPU hours of a training, and gigabytes of its checkpoint; None for other jobs."""
        if job.rule not in ("train_supertransformer", "train_subtransformer"):
            return None
        task = job.wildcards["task"]
        chosen = self.settings.task(task)
        training = chosen.supertransformer if job.rule == "train_supertransformer" else chosen.subtransformer
        parameters = self._parameters(task)
        tokens = training.updates * training.batch_tokens * training.accumulate
        seconds = FLOPS_PER_PARAMETER * parameters * tokens / (self.settings.configuration.cost.gpu_tflops * 1e12)
        return seconds / 3600, BYTES_PER_PARAMETER * parameters / 1e9

    @functools.cache  # noqa: B019 (lives as long as the command)
    def _parameters(self, task: str) -> int:
        """Parameters of the largest Architecture of a task's space; a dictionary that is not made is as published."""
        shape = task_shape(TaskScope(self.settings, self.results, task), missing=PUBLISHED_SHAPE.source_vocabulary)
        return Profile.of(SearchSpace(self.settings.space_of(task)).largest, shape, length=1).params


def estimate(jobs: Iterable[Job], settings: Settings, results: Results) -> list[Estimate]:
    """One estimate for each rule, in the order in which rules come first.

    Args:
        jobs: the planned jobs.
        settings: the configuration.
        results: where benchmark files of earlier runs and artifacts are.
    """
    history, declared, found = History(), Declared(settings, results), dict[str, Estimate]()
    for job in jobs:
        one = found.setdefault(job.rule, Estimate(job.rule))
        one.jobs += 1
        size_gb = history.size_gb(job)
        if (measured := history.like(job)) is not None:
            one.cpu_hours += measured[0].cpu_seconds / 3600
            one.gpu_hours += measured[0].seconds * job.gpus / 3600
            one.sources.add(measured[1])
        elif (training := declared.training(job)) is not None:
            one.gpu_hours += training[0]
            one.sources.add(declared.source)
            size_gb = size_gb or training[1]
        elif job.benchmark is not None:
            one.unknown += 1
        one.storage_gb += size_gb
    return list(found.values())


def plan(settings: Settings, results: Results, targets: Sequence[str], options: Sequence[str] = ()) -> dict[str, Any]:
    """Plan targets: rows for each rule, and their sum with its price.

    Raises:
        HatError: Snakemake refuses the targets.
        InputError: they name what there is not.
    """
    rules = estimate(planned_jobs(targets, options), settings, results)
    prices = settings.configuration.cost.prices
    names = ("jobs", "gpu_hours", "cpu_hours", "storage_gb", "unknown")
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
        print("Nothing to be done: all of it is made.")
        return
    rows = [
        [
            one["rule"],
            str(one["jobs"]),
            # Of a rule of which nothing is known there is no 0 to show.
            *(_amounts(one) if one["sources"] else ("-", "-", "-")),
            "; ".join(one["sources"]) + (f" ({one['unknown']} not known)" if one["unknown"] else ""),
        ]
        for one in content["rules"]
    ]
    total = content["total"]
    rows.append(["in all", str(total["jobs"]), *_amounts(total), ""])
    header = ("rule", "jobs", "GPU time", "CPU time", "storage", "estimated from")
    print_table("Planned jobs; times and storage are estimates", header, rows)
    print(
        f"Estimated price: {total['price_usd']:,.2f} USD, and {total['storage_usd_per_month']:,.2f} USD a month stored"
        f" ({content['prices']})."
    )
    if total["unknown"]:
        print(f"Of {total['unknown']} jobs nothing is known yet; what they take is not in the sums.")


def _amounts(one: Mapping[str, Any]) -> list[str]:
    """GPU time, CPU time and storage of a rule, or of all."""
    megabytes = 1000 * one["storage_gb"]
    stored = f"{megabytes:,.1f} MB" if megabytes < 1000 else f"{megabytes / 1000:,.1f} GB"
    return [*(duration(3600 * one[name]) for name in ("gpu_hours", "cpu_hours")), stored]

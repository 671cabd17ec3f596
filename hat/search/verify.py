"""The best candidates of a budget, measured on the device with the Runtime that is deployed."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from statistics import median
from typing import Any

from hat.artifacts import JsonLinesLog, digest, only_one, read_jsonl
from hat.errors import HatError, InputError
from hat.latency.connection import connect
from hat.latency.workload import workload_of
from hat.layout import Results
from hat.progress import progress
from hat.settings import Settings
from hat.space import Architecture


@dataclass
class Verifier:
    """Measures candidates; what was measured under the same conditions is not measured again.

    Measurements are appended to search/measurements.jsonl, a row for each visit, and go through all candidates in turn,
    like those that the predictor is fitted to.
    """

    settings: Settings
    results: Results
    task: str
    device: str
    unreachable: str | None = field(default=None, init=False)

    def measure(self, architectures: Sequence[Architecture]) -> list[float] | None:
        """Median latency of each in milliseconds; None where the device cannot be measured on (``unreachable``).

        Raises:
            InputError: a file is missing, or the Runtime is not installed.
            HatError: the disk is full.
        """
        chosen = self.settings.task(self.task).latency
        workload = workload_of(self.settings, self.results, self.task, self.device)
        path = self.results.search(self.task, self.device) / "measurements.jsonl"
        with only_one(self.results.latency(self.task, self.device), f"Measuring on {self.device}"):
            with self._reached():
                connection = connect(self.settings, self.device)
                name = digest(connection.conditions(workload, chosen.warmup, chosen.repeats).to_dict())
            if self.unreachable is not None:
                return None
            found = self._read(name)
            log = JsonLinesLog(path)
            total = chosen.passes * len(architectures)
            with progress(f"Verifying on {self.device}", total, background=False) as tracker:
                for visit, (index, point) in product(range(chosen.passes), enumerate(architectures)):
                    own = found.setdefault(point, [])
                    if len(own) > visit:
                        continue
                    with self._reached():
                        measured = connection.measure(point, workload, chosen.warmup, chosen.repeats)
                    if self.unreachable is not None:
                        return None
                    own.append(measured.latency_ms)
                    row = {"architecture": point.to_dict(), "conditions": name, **measured.to_dict()}
                    log.append({"digest": point.digest, **row})
                    tracker(visit * len(architectures) + index + 1, f"{measured.latency_ms:.1f} ms")
        return [median(found[point][: chosen.passes]) for point in architectures]

    @contextmanager
    def _reached(self) -> Iterator[None]:
        """Note why a device does not answer; wrong settings and missing files stay errors."""
        try:
            yield
        except InputError:
            raise
        except HatError as error:
            self.unreachable = str(error)

    def _read(self, conditions: str) -> dict[Architecture, list[float]]:
        path = self.results.search(self.task, self.device) / "measurements.jsonl"
        found: dict[Architecture, list[float]] = {}
        for row in read_jsonl(path):
            if row["conditions"] == conditions:
                point = Architecture.from_dict(row["architecture"], str(path))
                found.setdefault(point, []).append(float(row["latency_ms"]))
        return found


@dataclass(frozen=True, kw_only=True)
class Verified:
    """A candidate that was measured: ``rank`` among those of its budget by loss, counted from 1."""

    architecture: Architecture
    rank: int
    validation_loss: float
    predicted_latency_ms: float
    bound_ms: float
    measured_latency_ms: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-like form."""
        return {
            "digest": self.architecture.digest,
            "rank": self.rank,
            "validation_loss": self.validation_loss,
            "predicted_latency_ms": self.predicted_latency_ms,
            "bound_ms": self.bound_ms,
            "measured_latency_ms": self.measured_latency_ms,
        }


def verdict_note(winner: dict[str, Any]) -> str | None:
    """A sentence for people where a winner is not known to meet its budget; None where it is.

    Args:
        winner: content of architecture.json.
    """
    verification = winner.get("verification")
    if verification is None or verification["status"] == "met":
        return None
    if verification["status"] == "unverified":
        return f"unverified: {verification['reason']}"
    return (
        f"over budget: the search measured {winner['measured_latency_ms']:.4g} ms for {winner['budget']} on the device,"
        " and found nothing that meets it"
    )

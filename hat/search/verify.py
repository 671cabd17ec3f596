"""Measure the best candidates of a budget on the device, with the deployed Runtime."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from hat.artifacts.files import JsonLinesLog, digest, only_one, read_jsonl
from hat.config.latency import Latency
from hat.config.scope import DeviceScope
from hat.config.search import ObjectiveName
from hat.device.connection import Connection, connect
from hat.errors import HatError, InputError
from hat.measure.measurement import Measurement
from hat.measure.visits import PlainVisit, Visits, pooled_noise
from hat.measure.workload import workload_of
from hat.search.objective import named_value
from hat.space.architecture import Architecture
from hat.system.progress import progress


@dataclass
class Verifier:
    """Measures candidates by the protocol of the samples; earlier measurements under the same conditions count.

    Visits go through the candidates in turn until all latencies are precise; each is a row of
    search/measurements.jsonl.
    """

    scope: DeviceScope
    unreachable: str | None = field(default=None, init=False)

    def measure(self, architectures: Sequence[Architecture]) -> list[float] | None:
        """Measure latencies in milliseconds; None if the device cannot be reached (see ``unreachable``).

        Raises:
            InputError: a file is missing, or the Runtime is not installed.
            HatError: the disk is full.
        """
        rules = self.scope.task_settings.latency
        workload = workload_of(self.scope)
        log = JsonLinesLog(self.scope.search / "measurements.jsonl")
        with (
            only_one(self.scope.latency, f"Measuring on {self.scope.device}"),
            ExitStack() as stack,
        ):
            with self._reached():
                reached: Connection = connect(self.scope.settings, self.scope.device)
                connection = stack.enter_context(reached)
                name = digest(connection.conditions(workload, rules.warmup, rules.repeats).to_dict())
            if self.unreachable is not None:
                return None
            found = self._read(name, rules)
            own = [found.setdefault(point, Visits(rules)) for point in architectures]
            total = rules.passes * len(architectures)
            tracker = stack.enter_context(progress(f"Verifying on {self.scope.device}", total, background=False))
            while True:
                noise = pooled_noise(found.values())
                left = [pair for pair in zip(architectures, own, strict=True) if not pair[1].enough(noise)]
                if not left:
                    return [visits.measurement(noise).latency_ms for visits in own]
                for point, visits in left:
                    with self._reached():
                        measured = connection.measure(point, workload, rules.warmup, rules.repeats)
                    if self.unreachable is not None:
                        return None
                    row = {"architecture": point.to_dict(), "conditions": name, **measured.to_dict()}
                    log.append({"digest": point.digest, **row})
                    visits.all.append(PlainVisit(measured))
                    needed = sum(rules.passes - len(one.all) for one in own if not one.enough(noise))
                    tracker(total - needed, f"{measured.latency_ms:.1f} ms")

    @contextmanager
    def _reached(self) -> Iterator[None]:
        """Record why the device does not answer; still raise errors about wrong settings and missing files."""
        try:
            yield
        except InputError:
            raise
        except HatError as error:
            self.unreachable = str(error)

    def _read(self, conditions: str, rules: Latency) -> dict[Architecture, Visits[PlainVisit]]:
        path = self.scope.search / "measurements.jsonl"
        found: dict[Architecture, Visits[PlainVisit]] = {}
        for row in read_jsonl(path):
            if row["conditions"] == conditions:
                point = Architecture.from_dict(row["architecture"], str(path))
                visit = PlainVisit(Measurement.from_dict(row, str(path)))
                found.setdefault(point, Visits(rules)).all.append(visit)
        return found


@dataclass(frozen=True, kw_only=True)
class Verified:
    """A measured candidate; ``rank`` is its rank by objective value among the candidates of its budget, from 1."""

    architecture: Architecture
    rank: int
    objective: ObjectiveName
    objective_value: float
    predicted_latency_ms: float
    bound_ms: float
    measured_latency_ms: float

    def to_dict(self) -> dict[str, Any]:
        """Return the measured candidate as JSON."""
        return {
            "digest": self.architecture.digest,
            "rank": self.rank,
            **named_value(self.objective, self.objective_value),
            "predicted_latency_ms": self.predicted_latency_ms,
            "bound_ms": self.bound_ms,
            "measured_latency_ms": self.measured_latency_ms,
        }


def verdict_note(winner: dict[str, Any]) -> str | None:
    """Say why a winner is not verified to meet its budget; None if it is, or without a verification.

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

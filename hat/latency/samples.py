"""LatencySample, the measuring of samples, and the files that collect them meanwhile."""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, Self

from hat.artifacts.files import JsonLinesLog, canonical_json, digest, read_jsonl
from hat.config.latency import Latency
from hat.device.connection import Conditions, Connection
from hat.errors import InputError
from hat.measure.measurement import Measurement
from hat.measure.visits import Visits, pooled_noise
from hat.measure.workload import Workload
from hat.space.architecture import Architecture
from hat.system.progress import Tracker

# The reference Architecture is measured again before every n-th sample.
REFERENCE_EVERY = 20
SAMPLE, REFERENCE, CONDITIONS, DRIFT = "sample", "reference", "conditions", "drift"


@dataclass(frozen=True, kw_only=True)
class LatencySample:
    """One measured Architecture: a single visit, or several visits merged.

    Attributes:
        architecture: the Architecture.
        measurement: its timings.
        conditions: digest of the Conditions of the measurement.
        reference_ms: latency of the reference Architecture, the largest of the space, when last measured before this
            sample; the median over visits if several are merged.
        visit: name of a single visit.
        drift: relative deviation of the reference from its median before or after this sample; None if unknown.
    """

    architecture: Architecture
    measurement: Measurement
    conditions: str
    reference_ms: float
    visit: str | None = None
    drift: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return one flat row with the Architecture as a nested object, as JSON."""
        return {
            "digest": self.architecture.digest,
            "architecture": self.architecture.to_dict(),
            "conditions": self.conditions,
            "reference_ms": self.reference_ms,
            "visit": self.visit,
            "drift": self.drift,
            **self.measurement.to_dict(),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str) -> Self:
        """Read what :meth:`to_dict` returns.

        Raises:
            InputError: a value is missing or impossible; ``where`` names the file.
        """
        try:
            return cls(
                architecture=Architecture.from_dict(values["architecture"], where),
                measurement=Measurement.from_dict(values, where),
                conditions=str(values["conditions"]),
                reference_ms=float(values["reference_ms"]),
                visit=values.get("visit"),
                drift=None if (drift := values.get("drift")) is None else float(drift),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{where}: not a latency sample ({error!r})") from None


class SampleFile:
    """A file to which a shard's measurements are appended one by one.

    It has four kinds of rows: Conditions (once for each digest), measurements of the reference, samples, and the drift
    of the reference around a sample. Rows with other conditions, and of Architectures that are no longer wanted, stay
    in the file and are ignored.

    Args:
        path: the file. It is created if missing; an incomplete last line of a killed writer is dropped.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log = JsonLinesLog(path)

    def rows(self, kind: str, conditions: str) -> list[dict[str, Any]]:
        """Return the rows of a kind with these conditions."""
        return [row for row in read_jsonl(self.path) if row.get("kind") == kind and row["conditions"] == conditions]

    def append(self, kind: str, conditions: str, row: Mapping[str, Any]) -> None:
        """Add a row; it is on disk when this returns."""
        self.log.append({**row, "kind": kind, "conditions": conditions})

    def visits(self, conditions: str) -> dict[Architecture, list[LatencySample]]:
        """Return all visits with these conditions, by Architecture."""
        found: dict[Architecture, list[LatencySample]] = {}
        drifts = {row["visit"]: row["drift"] for row in self.rows(DRIFT, conditions)}
        for row in self.rows(SAMPLE, conditions):
            sample = LatencySample.from_dict({**row, "drift": drifts.get(row.get("visit"))}, str(self.path))
            found.setdefault(sample.architecture, []).append(sample)
        return found


def measure_missing(
    *,
    wanted: Sequence[Architecture],
    reference: Architecture,
    connection: Connection,
    workload: Workload,
    rules: Latency,
    file: SampleFile,
    tracker: Tracker,
) -> tuple[Conditions, list[LatencySample]]:
    """Measure the Architectures that ``file`` does not have enough visits of.

    Several passes visit all Architectures, each pass in another order: the speed of a shared or warm machine drifts
    within seconds to minutes, and visits at different times do not share a drift. A pass skips Architectures whose
    confidence interval is narrow enough. A visit is repeated, within the limits of the protocol, if other processes
    kept the machine busy, or if the reference Architecture was slower or faster than usual before or after it.

    Args:
        wanted: the Architectures, in the order of the first pass.
        reference: Architecture measured before the first visit, again after every ``REFERENCE_EVERY`` visits, and at
            the end.
        connection: the device.
        workload: lengths, beam and shape.
        rules: settings of the measurement protocol.
        file: the file of the shard's measurements.
        tracker: receives after every visit how many visits are done or no longer needed.

    Returns:
        The conditions, and the samples in the order of ``wanted``, each with the timings of the visits that count.
    """
    conditions = connection.conditions(workload, rules.warmup, rules.repeats)
    name = digest(conditions.to_dict())
    if not file.rows(CONDITIONS, name):
        fingerprint = connection.fingerprint()
        file.append(CONDITIONS, name, {"values": conditions.to_dict(), "fingerprint": fingerprint})
    found: dict[Architecture, Visits[LatencySample]] = {architecture: Visits(rules) for architecture in wanted}
    references = [float(row["latency_ms"]) for row in file.rows(REFERENCE, name)]
    for architecture, samples in file.visits(name).items():
        if architecture in found:
            found[architecture].all.extend(samples)

    def measure_reference() -> float:
        measured = connection.measure(reference, workload, rules.warmup, rules.repeats)
        file.append(REFERENCE, name, measured.to_dict())
        references.append(measured.latency_ms)
        return measured.latency_ms

    # Visits since the last measurement of the reference; their drift is known after the next one.
    unsettled: list[tuple[Visits[LatencySample], LatencySample]] = []

    def settle() -> None:
        before, after, usual = references[-2], references[-1], median(references)
        drift = max(abs(before / usual - 1), abs(after / usual - 1))
        for visits, sample in unsettled:
            file.append(DRIFT, name, {"visit": sample.visit, "drift": drift})
            visits.all[visits.all.index(sample)] = replace(sample, drift=drift)
        unsettled.clear()

    number, reference_ms = 0, 0.0
    while True:
        noise = pooled_noise(found.values())
        left = [architecture for architecture in wanted if not found[architecture].enough(noise)]
        if not left:
            if not unsettled:
                break
            measure_reference()
            settle()
            continue
        done = rules.passes * len(wanted) - sum(rules.passes - len(found[architecture].all) for architecture in left)
        tracker(done)
        first = min(len(found[architecture].all) for architecture in left)
        order = random.Random(first).sample(left, len(left)) if first else left
        for architecture in order:
            visits = found[architecture]
            if len(visits.all) > first:
                continue
            if number % REFERENCE_EVERY == 0:
                reference_ms = measure_reference()
                if unsettled:
                    settle()
            sample = LatencySample(
                architecture=architecture,
                measurement=connection.measure(architecture, workload, rules.warmup, rules.repeats),
                conditions=name,
                reference_ms=reference_ms,
                visit=f"{architecture.digest}-{len(visits.all)}",
            )
            file.append(SAMPLE, name, sample.to_dict())
            visits.all.append(sample)
            unsettled.append((visits, sample))
            number += 1
            done += 1
            tracker(done, f"{sample.measurement.latency_ms:.1f} ms")
    noise = pooled_noise(found.values())
    return conditions, [_merged(found[architecture], noise) for architecture in wanted]


def _merged(visits: Visits[LatencySample], noise: float | None) -> LatencySample:
    counted = visits.counted
    return replace(
        counted[0],
        measurement=visits.measurement(noise),
        reference_ms=median(sample.reference_ms for sample in counted),
        drift=max((sample.drift for sample in counted if sample.drift is not None), default=None),
        visit=None,
    )


def write_rows(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return rows as JSON lines."""
    return "".join(canonical_json(dict(row)) + "\n" for row in rows)

"""LatencySample, and the files that samples are collected in while they are measured."""

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

# The reference Architecture is measured again before every so many samples.
REFERENCE_EVERY = 20
SAMPLE, REFERENCE, CONDITIONS, DRIFT = "sample", "reference", "conditions", "drift"


@dataclass(frozen=True, kw_only=True)
class LatencySample:
    """One measured Architecture.

    ``conditions`` is the digest of the Conditions it was measured under; ``reference_ms`` the latency of the
    reference Architecture (the largest of the space) when it was last measured before (the median over the visits).
    ``visit`` names a single visit; ``drift`` is by how much the reference, before or after, differed from
    its median, None where that is not known.
    """

    architecture: Architecture
    measurement: Measurement
    conditions: str
    reference_ms: float
    visit: str | None = None
    drift: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-like form: one flat row, the Architecture as an object within it."""
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
        """Inverse of :meth:`to_dict`.

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
    """Where a shard's measurements are appended, one row each, as they are made.

    Rows are of four kinds: the Conditions (once, under their digest), measurements of the reference, samples, and how
    far the reference drifted around a sample. Rows made under other conditions, or of Architectures no longer asked
    for, stay in the file and are passed over.

    Args:
        path: the file; created where absent, a last line cut short by a killed writer is dropped.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log = JsonLinesLog(path)

    def rows(self, kind: str, conditions: str) -> list[dict[str, Any]]:
        """Rows of a kind that were made under these conditions."""
        return [row for row in read_jsonl(self.path) if row.get("kind") == kind and row["conditions"] == conditions]

    def append(self, kind: str, conditions: str, row: Mapping[str, Any]) -> None:
        """Add a row; it is on disk when this returns."""
        self.log.append({**row, "kind": kind, "conditions": conditions})

    def passes(self, conditions: str) -> dict[Architecture, list[LatencySample]]:
        """What has been measured under these conditions: one entry for each visit to an Architecture."""
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
    """Measure what ``file`` does not hold yet.

    All Architectures are gone through several times, each time in another order: the speed of a shared or warm
    machine drifts within seconds to minutes, and what one visit catches, the others do not. An Architecture is left
    out once its interval is narrow enough. Visits are made again, within the limits, where other processes
    kept the machine busy or the reference Architecture was slower or faster than usual before or after them.

    Args:
        wanted: the Architectures, in the order of the first pass.
        reference: measured before the first missing one, again every ``REFERENCE_EVERY`` measurements, and at the end.
        connection: the device.
        workload: lengths, beam and shape.
        rules: the protocol.
        file: where measurements are kept.
        tracker: told of every measurement, as the number of visits that are not needed any more.

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
    for architecture, samples in file.passes(name).items():
        if architecture in found:
            found[architecture].made.extend(samples)

    def look() -> float:
        measured = connection.measure(reference, workload, rules.warmup, rules.repeats)
        file.append(REFERENCE, name, measured.to_dict())
        references.append(measured.latency_ms)
        return measured.latency_ms

    # Visits since the reference was last measured: whether it drifted is known when it is measured again.
    since: list[tuple[Visits[LatencySample], LatencySample]] = []

    def settle() -> None:
        before, after, usual = references[-2], references[-1], median(references)
        drift = max(abs(before / usual - 1), abs(after / usual - 1))
        for visits, sample in since:
            file.append(DRIFT, name, {"visit": sample.visit, "drift": drift})
            visits.made[visits.made.index(sample)] = replace(sample, drift=drift)
        since.clear()

    number, reference_ms = 0, 0.0
    while True:
        noise = pooled_noise(found.values())
        left = [architecture for architecture in wanted if not found[architecture].enough(noise)]
        if not left:
            if not since:
                break
            look()
            settle()
            continue
        done = rules.passes * len(wanted) - sum(rules.passes - len(found[architecture].made) for architecture in left)
        tracker(done)
        first = min(len(found[architecture].made) for architecture in left)
        order = random.Random(first).sample(left, len(left)) if first else left
        for architecture in order:
            visits = found[architecture]
            if len(visits.made) > first:
                continue
            if number % REFERENCE_EVERY == 0:
                reference_ms = look()
                if since:
                    settle()
            sample = LatencySample(
                architecture=architecture,
                measurement=connection.measure(architecture, workload, rules.warmup, rules.repeats),
                conditions=name,
                reference_ms=reference_ms,
                visit=f"{architecture.digest}-{len(visits.made)}",
            )
            file.append(SAMPLE, name, sample.to_dict())
            visits.made.append(sample)
            since.append((visits, sample))
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
    """JSON-lines text of rows."""
    return "".join(canonical_json(dict(row)) + "\n" for row in rows)

"""LatencySample, and the files that samples are collected in while they are measured."""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, Self

from hat.artifacts import JsonLinesLog, canonical_json, digest, read_jsonl
from hat.errors import InputError
from hat.latency.connection import Conditions, Connection
from hat.latency.protocol import Measurement
from hat.latency.workload import Workload
from hat.progress import Tracker
from hat.space import Architecture

# The reference Architecture is measured again before every so many samples.
REFERENCE_EVERY = 20
SAMPLE, REFERENCE, CONDITIONS = "sample", "reference", "conditions"


@dataclass(frozen=True, kw_only=True)
class LatencySample:
    """One measured Architecture.

    ``conditions`` is the digest of the Conditions it was measured under; ``reference_ms`` the latency of the
    reference Architecture (the largest of the space) when it was last measured before, which shows drift (the
    median over the passes).
    """

    architecture: Architecture
    measurement: Measurement
    conditions: str
    reference_ms: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-like form: one flat row, the Architecture as an object within it."""
        return {
            "digest": self.architecture.digest,
            "architecture": self.architecture.to_dict(),
            "conditions": self.conditions,
            "reference_ms": self.reference_ms,
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
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{where}: not a latency sample ({error!r})") from None


class SampleFile:
    """Where a shard's measurements are appended, one row each, as they are made.

    Rows are of three kinds: the Conditions (once, under their digest), measurements of the reference, and
    samples. Rows made under other conditions, or of Architectures no longer asked for, stay in the file and
    are passed over.

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
        """What has been measured under these conditions: one entry for each pass over an Architecture."""
        found: dict[Architecture, list[LatencySample]] = {}
        for row in self.rows(SAMPLE, conditions):
            sample = LatencySample.from_dict(row, str(self.path))
            found.setdefault(sample.architecture, []).append(sample)
        return found


def measure_missing(
    *,
    wanted: Sequence[Architecture],
    reference: Architecture,
    connection: Connection,
    workload: Workload,
    warmup: int,
    repeats: int,
    passes: int,
    file: SampleFile,
    tracker: Tracker,
) -> tuple[Conditions, list[LatencySample]]:
    """Measure what ``file`` does not hold yet.

    All Architectures are gone through several times, each time in another order: the speed of a shared or warm
    machine drifts within seconds to minutes, and what one visit catches, the median over all of them does not.

    Args:
        wanted: the Architectures, in the order of the first pass.
        reference: measured before the first missing one and again every ``REFERENCE_EVERY`` measurements.
        connection: the device.
        workload: lengths, beam and shape.
        warmup: sentences translated before timing, for each Architecture and pass.
        repeats: sentences timed, for each Architecture and pass.
        passes: how often each Architecture is visited.
        file: where measurements are kept.
        tracker: told of every measurement.

    Returns:
        The conditions, and the samples in the order of ``wanted``, each with the timings of all its passes.
    """
    conditions = connection.conditions(workload, warmup, repeats)
    name = digest(conditions.to_dict())
    if not file.rows(CONDITIONS, name):
        file.append(CONDITIONS, name, {"values": conditions.to_dict()})
    found = file.passes(name)
    missing = [
        architecture
        for number in range(passes)
        for architecture in (random.Random(number).sample(wanted, len(wanted)) if number else wanted)
        if len(found.get(architecture, [])) <= number
    ]
    done = passes * len(wanted) - len(missing)
    tracker(done)
    reference_ms = 0.0
    for index, architecture in enumerate(missing):
        if index % REFERENCE_EVERY == 0:
            measured = connection.measure(reference, workload, warmup, repeats)
            reference_ms = measured.latency_ms
            file.append(REFERENCE, name, measured.to_dict())
        sample = LatencySample(
            architecture=architecture,
            measurement=connection.measure(architecture, workload, warmup, repeats),
            conditions=name,
            reference_ms=reference_ms,
        )
        file.append(SAMPLE, name, sample.to_dict())
        found.setdefault(architecture, []).append(sample)
        tracker(done + index + 1, f"{sample.measurement.latency_ms:.1f} ms")
    return conditions, [_merged(found[architecture][:passes]) for architecture in wanted]


def _merged(visits: Sequence[LatencySample]) -> LatencySample:
    return replace(
        visits[0],
        measurement=Measurement.merged([visit.measurement for visit in visits]),
        reference_ms=median(visit.reference_ms for visit in visits),
    )


def write_rows(rows: Iterable[Mapping[str, Any]]) -> str:
    """JSON-lines text of rows."""
    return "".join(canonical_json(dict(row)) + "\n" for row in rows)

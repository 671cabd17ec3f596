"""When a network has been visited often enough, and which visits count."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from hat.config.latency import Latency
from hat.measure.measurement import Measurement


class Visit(Protocol):
    """One visit: its measurement, and how far the reference was off before or after it, None where unknown."""

    @property
    def measurement(self) -> Measurement:
        """What was measured."""

    @property
    def drift(self) -> float | None:
        """How far the reference Architecture was off, as a part of its median."""


@dataclass(frozen=True)
class PlainVisit:
    """A visit of which no more is kept."""

    measurement: Measurement
    drift: float | None = None


AnyVisit = TypeVar("AnyVisit", bound=Visit)


class Visits(Generic[AnyVisit]):
    """What has been measured of a network so far, and whether that will do.

    Args:
        rules: the protocol.
    """

    def __init__(self, rules: Latency) -> None:
        self._rules = rules
        self.made: list[AnyVisit] = []

    def disturbed(self, visit: AnyVisit) -> bool:
        """Whether a visit was hit by other processes, or by a drift of the machine's speed."""
        others = max((cores for cores in visit.measurement.interference if cores is not None), default=0.0)
        return others > self._rules.interference or (visit.drift or 0.0) > self._rules.drift

    @property
    def counted(self) -> list[AnyVisit]:
        """Visits that count: the undisturbed ones, or all of them where those are too few."""
        undisturbed = [visit for visit in self.made if not self.disturbed(visit)]
        return undisturbed if len(undisturbed) >= self._rules.min_passes else self.made

    def measurement(self, noise: float | None = None) -> Measurement:
        """The timings of the visits that count; ``noise`` is that of :func:`pooled_noise`."""
        return Measurement.merged([visit.measurement for visit in self.counted], noise)

    def enough(self, noise: float | None) -> bool:
        """Whether the interval is narrow enough, or a limit is reached."""
        rules = self._rules
        timed_s = sum(sum(visit.measurement.timings_ms) for visit in self.made) / 1000
        if len(self.made) >= rules.passes or (self.made and timed_s >= rules.seconds):
            return True
        undisturbed = sum(not self.disturbed(visit) for visit in self.made)
        return undisturbed >= rules.min_passes and self.measurement(noise).precision <= rules.precision


def pooled_noise(found: Iterable[Visits[AnyVisit]]) -> float | None:
    """Mean variance of what a visit measures, weighted by degrees of freedom; None where nothing was visited twice."""
    total, degrees = 0.0, 0
    for visits in found:
        if len(visits.made) > 1 and (noise := (merged := visits.measurement()).noise) is not None:
            total += noise * (len(merged.visits) - 1)
            degrees += len(merged.visits) - 1
    return total / degrees if degrees else None

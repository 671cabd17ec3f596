"""Which visits to a network count, and when there are enough of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from hat.config.latency import Latency
from hat.measure.measurement import Measurement


class Visit(Protocol):
    """One visit to a network."""

    @property
    def measurement(self) -> Measurement:
        """The timings."""

    @property
    def drift(self) -> float | None:
        """Relative deviation of the reference Architecture from its median, before or after; None if unknown."""


@dataclass(frozen=True)
class PlainVisit:
    """A visit without further data."""

    measurement: Measurement
    drift: float | None = None


AnyVisit = TypeVar("AnyVisit", bound=Visit)


class Visits(Generic[AnyVisit]):
    """All visits to a network so far.

    Args:
        rules: settings of the measurement protocol.
    """

    def __init__(self, rules: Latency) -> None:
        self._rules = rules
        self.all: list[AnyVisit] = []

    def disturbed(self, visit: AnyVisit) -> bool:
        """Whether other processes, or a drift of the machine's speed, disturbed a visit."""
        others = max((cores for cores in visit.measurement.interference if cores is not None), default=0.0)
        return others > self._rules.interference or (visit.drift or 0.0) > self._rules.drift

    @property
    def counted(self) -> list[AnyVisit]:
        """Return the visits that count: the undisturbed ones, or all visits if those are too few."""
        undisturbed = [visit for visit in self.all if not self.disturbed(visit)]
        return undisturbed if len(undisturbed) >= self._rules.min_passes else self.all

    def measurement(self, noise: float | None = None) -> Measurement:
        """Merge the visits that count; ``noise`` is the result of :func:`pooled_noise`."""
        return Measurement.merged([visit.measurement for visit in self.counted], noise)

    def enough(self, noise: float | None) -> bool:
        """Whether the confidence interval is narrow enough, or a limit of the protocol is reached."""
        rules = self._rules
        timed_s = sum(sum(visit.measurement.timings_ms) for visit in self.all) / 1000
        if len(self.all) >= rules.passes or (self.all and timed_s >= rules.seconds):
            return True
        undisturbed = sum(not self.disturbed(visit) for visit in self.all)
        return undisturbed >= rules.min_passes and self.measurement(noise).precision <= rules.precision


def pooled_noise(networks: Iterable[Visits[AnyVisit]]) -> float | None:
    """Return the mean of :attr:`Measurement.noise` over networks, weighted by degrees of freedom.

    None if no network was visited twice.
    """
    total, degrees = 0.0, 0
    for visits in networks:
        if len(visits.all) > 1 and (noise := (merged := visits.measurement()).noise) is not None:
            total += noise * (len(merged.visits) - 1)
            degrees += len(merged.visits) - 1
    return total / degrees if degrees else None

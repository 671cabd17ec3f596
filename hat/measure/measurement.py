"""Statistics of a measurement: the latency of one network, its spread and confidence interval, and its energy."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, median, quantiles
from typing import Any, Self

import numpy as np

from hat.errors import InputError

CONFIDENCE = 0.95
BOOTSTRAPS = 400
# Weight, in visits, of the noise found on other Architectures.
POOLED_VISITS = 8
# 97.5 % quantiles of Student's t for 1 to 30 degrees of freedom; with more, the last one is close enough.
STUDENT = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """Timings of one network, in order, with the time and the load of the machine.

    If sentences of several lengths are timed, the lengths take turns, and each has equally many sentences at every
    visit: sentence ``i`` has length ``i % len(shares)``. Statistics are computed for each length and averaged with
    the weights ``shares``.

    Attributes:
        timings_ms: wall-clock time of each sentence.
        processor_ms: CPU time of each sentence, over all threads.
        waited_ms: part of each wall-clock time during which the work waited for a core that others used; 0 if omitted.
        load_average: load average of the last minute.
        measured_at: UTC in ISO 8601.
        visits: number of sentences at each visit; one visit if omitted.
        interference: number of cores that other processes kept busy at each visit; None if unknown.
        pooled_noise: variance of the logarithm of a visit's result, estimated on all networks measured together.
        shares: share of all sentences that each length represents; they add up to 1.
        energies_j: energy of a sentence, averaged over lengths, at each visit; None if the meter could not be read.
            Empty without a meter.
        meter: description of the power meter.
    """

    timings_ms: tuple[float, ...]
    processor_ms: tuple[float, ...]
    load_average: float
    measured_at: str
    waited_ms: tuple[float, ...] = ()
    visits: tuple[int, ...] = ()
    interference: tuple[float | None, ...] = ()
    pooled_noise: float | None = None
    shares: tuple[float, ...] = (1.0,)
    energies_j: tuple[float | None, ...] = ()
    meter: str | None = None

    def __post_init__(self) -> None:
        count = len(self.timings_ms)
        object.__setattr__(self, "waited_ms", self.waited_ms or (0.0,) * count)
        object.__setattr__(self, "visits", self.visits or (count,))
        object.__setattr__(self, "interference", self.interference or (None,) * len(self.visits))
        if not count or count != len(self.processor_ms):
            raise InputError(
                f"measurement: {count} timings and {len(self.processor_ms)} CPU times, expected one of each for every"
                " sentence"
            )
        if not all(math.isfinite(value) and value > 0 for value in self.timings_ms):
            raise InputError(f"measurement: timings_ms holds {min(self.timings_ms)}, expected positive numbers")
        if len(self.waited_ms) != count or not all(
            0 <= waited < timing for waited, timing in zip(self.waited_ms, self.timings_ms, strict=True)
        ):
            raise InputError("measurement: waited_ms, expected a part of each timing, from 0")
        if min(self.visits) < 1 or sum(self.visits) != count or len(self.interference) != len(self.visits):
            raise InputError(
                f"measurement: visits is {list(self.visits)}, expected sentences per visit that add up to {count}"
            )
        if not self.shares or min(self.shares) <= 0 or not math.isclose(math.fsum(self.shares), 1):
            raise InputError(f"measurement: shares is {list(self.shares)}, expected shares that add up to 1")
        if any(visit % len(self.shares) for visit in self.visits):
            raise InputError(
                f"measurement: visits is {list(self.visits)}, expected multiples of {len(self.shares)}, the number of"
                " lengths"
            )
        known = [value for value in self.energies_j if value is not None]
        if len(self.energies_j) != (len(self.visits) if self.meter else 0) or not all(
            0 <= value < math.inf for value in known
        ):
            raise InputError(
                f"measurement: energies_j is {list(self.energies_j)}, expected one value or null for each visit"
            )

    @classmethod
    def merged(cls, visits: Sequence[Self], pooled_noise: float | None = None) -> Self:
        """Merge visits to the same network.

        The result has the last visit's time and meter, and the mean load. Energies read with another meter are dropped.
        """
        meter = next((visit.meter for visit in reversed(visits) if visit.meter is not None), None)
        energies = [
            value
            for visit in visits
            for value in (visit.energies_j if visit.meter == meter else (None,) * len(visit.visits))
        ]
        return cls(
            timings_ms=tuple(value for visit in visits for value in visit.timings_ms),
            processor_ms=tuple(value for visit in visits for value in visit.processor_ms),
            load_average=fmean(visit.load_average for visit in visits),
            measured_at=visits[-1].measured_at,
            waited_ms=tuple(value for visit in visits for value in visit.waited_ms),
            visits=tuple(count for visit in visits for count in visit.visits),
            interference=tuple(cores for visit in visits for cores in visit.interference),
            pooled_noise=pooled_noise,
            shares=visits[0].shares,
            energies_j=tuple(energies),
            meter=meter,
        )

    @property
    def own_ms(self) -> tuple[float, ...]:
        """Return wall-clock times without the waits for a core, as on a machine that does nothing else."""
        return tuple(timing - waited for timing, waited in zip(self.timings_ms, self.waited_ms, strict=True))

    @property
    def latency_ms(self) -> float:
        """Return the latency: the median of :attr:`own_ms`, averaged over lengths."""
        return self._mean(self.own_ms, median)

    @property
    def energy_j(self) -> float | None:
        """Return the mean energy over the visits at which the meter could be read; None if there are none."""
        known = [value for value in self.energies_j if value is not None]
        return fmean(known) if known else None

    @property
    def spread_ms(self) -> float:
        """Return the interquartile range of :attr:`own_ms`; 0 for a single timing."""
        return self._mean(self.own_ms, _interquartile_range)

    @property
    def noise(self) -> float | None:
        """Return the variance of the logarithm of one visit's latency, by the bootstrap; None for a single visit.

        Whole visits are drawn with replacement, since the sentences of a visit share the state of the machine
        (Davison and Hinkley, Bootstrap Methods and their Application, 1997, section 3.8).
        """
        count = len(self.visits)
        if count < 2:
            return None
        ends, own = np.cumsum(self.visits), self.own_ms
        table = np.full((count, max(self.visits)), np.nan)
        for row, end, length in zip(table, ends, self.visits, strict=True):
            row[:length] = own[end - length : end]
        drawn = np.random.default_rng(count).integers(count, size=(BOOTSTRAPS, count))
        medians = np.nanmedian(table[drawn].reshape(BOOTSTRAPS, -1, len(self.shares)), axis=1)
        # The bootstrap's variance is too small by (count - 1) / count. Times count it is the variance of one visit.
        return float(np.log(medians @ self.shares).var()) * count * count / (count - 1)

    @property
    def interval_ms(self) -> tuple[float, float, float]:
        """Return the confidence interval of the latency: lower end, upper end, confidence.

        The interval covers two sources of noise, and each end is the wider of the two. Noise between visits comes from
        the bootstrap over visits, with Student's factor. Noise between sentences comes from order statistics, which
        assume no distribution. A single visit has the order statistics alone; they hold only while the machine stays
        in the same state, and with fewer than six timings they reach less than the usual confidence.

        A few visits estimate the variance badly, and visits that agree by chance would end the measurement too early.
        Therefore the noise found on other networks (``pooled_noise``) counts as ``POOLED_VISITS`` more visits.
        """
        low, high, confidence = self._sentence_interval
        own, count = self.noise, len(self.visits)
        if own is None:
            return low, high, confidence
        degrees, variance = count - 1, own
        if self.pooled_noise is not None:
            variance = (degrees * own + POOLED_VISITS * self.pooled_noise) / (degrees + POOLED_VISITS)
            degrees += POOLED_VISITS
        reach = math.exp(STUDENT[min(degrees, len(STUDENT)) - 1] * math.sqrt(variance / count))
        if confidence < CONFIDENCE:
            return self.latency_ms / reach, self.latency_ms * reach, CONFIDENCE
        return min(low, self.latency_ms / reach), max(high, self.latency_ms * reach), CONFIDENCE

    @property
    def _sentence_interval(self) -> tuple[float, float, float]:
        """Combine the intervals by order statistics of all lengths.

        Errors of the lengths are independent, so the distances from the median add in squares (Zou and Donner,
        Construction of confidence limits about effect measures, Statistics in Medicine 27, 2008).
        """
        middle, below, above, confidences = self.latency_ms, list[float](), list[float](), list[float]()
        for share, own in zip(self.shares, self._by_length(self.own_ms), strict=True):
            low, high, confidence = _order_statistics(own)
            below.append(share * (median(own) - low))
            above.append(share * (high - median(own)))
            confidences.append(confidence)
        return middle - math.hypot(*below), middle + math.hypot(*above), min(confidences)

    def _by_length(self, values: Sequence[float]) -> list[Sequence[float]]:
        """Group values by the length of their sentence."""
        return [values[number :: len(self.shares)] for number in range(len(self.shares))]

    def _mean(self, values: Sequence[float], statistic: Callable[[Sequence[float]], float]) -> float:
        """Return a statistic of each length's sentences, averaged over lengths."""
        found = map(statistic, self._by_length(values))
        return math.fsum(share * value for share, value in zip(self.shares, found, strict=True))

    @property
    def precision(self) -> float:
        """Return half the interval's width relative to the latency; infinite for a single visit."""
        if len(self.visits) < 2:
            return math.inf
        low, high, _ = self.interval_ms
        return (high - low) / 2 / self.latency_ms

    def to_dict(self) -> dict[str, Any]:
        """Return raw values and the statistics derived from them, as JSON."""
        low, high, confidence = self.interval_ms
        values = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}
        if len(self.shares) == 1:
            del values["shares"]
        if self.meter is None:
            del values["energies_j"], values["meter"]
        else:
            values["energy_j"] = self.energy_j
        return values | {
            "latency_ms": self.latency_ms,
            "spread_ms": self.spread_ms,
            "latency_low_ms": low,
            "latency_high_ms": high,
            "confidence": confidence,
            "wall_clock_median_ms": self._mean(self.timings_ms, median),
            "processor_median_ms": self._mean(self.processor_ms, median),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str) -> Self:
        """Read what :meth:`to_dict` returns; statistics are computed again from the raw values.

        Raises:
            InputError: a value is missing or impossible; ``where`` names the file.
        """
        try:
            pooled = values.get("pooled_noise")
            return cls(
                timings_ms=tuple(float(value) for value in values["timings_ms"]),
                processor_ms=tuple(float(value) for value in values["processor_ms"]),
                load_average=float(values["load_average"]),
                measured_at=str(values["measured_at"]),
                waited_ms=tuple(float(value) for value in values.get("waited_ms", ())),
                visits=tuple(int(value) for value in values.get("visits", ())),
                interference=tuple(None if value is None else float(value) for value in values.get("interference", ())),
                pooled_noise=None if pooled is None else float(pooled),
                shares=tuple(float(value) for value in values.get("shares", (1.0,))),
                energies_j=tuple(None if value is None else float(value) for value in values.get("energies_j", ())),
                meter=None if (meter := values.get("meter")) is None else str(meter),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"{where}: not a measurement ({error!r})") from None


def _interquartile_range(values: Sequence[float]) -> float:
    if len(values) == 1:
        return 0.0
    first, _, third = quantiles(values, n=4, method="inclusive")
    return third - first


def _order_statistics(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the narrowest interval that covers the median with ``CONFIDENCE``, or else the widest; and its confidence.

    It lies between the k-th smallest and the k-th largest value, and covers the median with a binomial probability.
    """
    ordered = sorted(values)
    count = len(ordered)
    rank, outside = 0, 0.5**count
    while rank < (count - 1) // 2:
        further = outside + math.comb(count, rank + 1) * 0.5**count
        if 1 - 2 * further < CONFIDENCE:
            break
        rank, outside = rank + 1, further
    return ordered[rank], ordered[count - 1 - rank], max(0.0, 1 - 2 * outside)

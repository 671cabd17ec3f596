"""The measurement protocol: how long one sentence takes, end to end, and how sure that is."""

import gc
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import fmean, median, quantiles
from typing import Any, Self

import numpy as np

from hat.errors import InputError
from hat.measure.interference import Interference, longest_wait_ns, waited_ns
from hat.measure.stopwatch import Stopwatch, WallClock
from hat.measure.workload import Workload
from hat.runtime.base import LoadedModel
from hat.system.progress import Tracker

CONFIDENCE = 0.95
BOOTSTRAPS = 400
# What is known of the noise from other Architectures weighs as much as so many visits.
POOLED_VISITS = 8
# 97.5 % quantiles of Student's t for 1, 2, ... degrees of freedom; beyond them nearly the normal one.
STUDENT = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """Raw timings of one network, in order, and when and under what load they were taken.

    ``timings_ms`` is wall-clock time, ``processor_ms`` processor time of all threads, and ``waited_ms`` the part of the
    wall-clock time in which the work stood still because others had the core, one entry a sentence;
    ``load_average`` is that of the last minute, ``measured_at`` is UTC in ISO 8601. The network was visited
    ``len(visits)`` times, for so many sentences each; ``interference`` says how many cores other processes kept busy
    at each visit, None where that is unknown. ``pooled_noise`` is the variance of the logarithm of what a visit
    measures, as found on all networks that were measured together.

    Where sentences of several lengths were timed, they take turns, as often each at every visit: sentence ``i`` is of
    length ``i % len(shares)``, and ``shares`` says which part of all sentences a length stands for. Statistics are
    made for each length by itself and averaged by ``shares``.

    ``energies_j`` is what a sentence of the mean took at each visit, where the device has a power meter, ``meter`` in
    words; None where it could not be read.
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
                f"measurement: {count} timings and {len(self.processor_ms)} processor times,"
                " expected one of each a sentence"
            )
        if not all(math.isfinite(value) and value > 0 for value in self.timings_ms):
            raise InputError(f"measurement: timings_ms holds {min(self.timings_ms)}, expected positive numbers")
        if len(self.waited_ms) != count or not all(
            0 <= waited < timing for waited, timing in zip(self.waited_ms, self.timings_ms, strict=True)
        ):
            raise InputError("measurement: waited_ms, expected a part of each timing")
        if min(self.visits) < 1 or sum(self.visits) != count or len(self.interference) != len(self.visits):
            raise InputError(f"measurement: visits is {list(self.visits)}, expected the parts of {count} timings")
        if not self.shares or min(self.shares) <= 0 or not math.isclose(math.fsum(self.shares), 1):
            raise InputError(f"measurement: shares is {list(self.shares)}, expected parts of 1")
        if any(visit % len(self.shares) for visit in self.visits):
            raise InputError(
                f"measurement: visits is {list(self.visits)}, expected multiples of {len(self.shares)}, the lengths"
            )
        known = [value for value in self.energies_j if value is not None]
        if len(self.energies_j) != (len(self.visits) if self.meter else 0) or not all(
            0 <= value < math.inf for value in known
        ):
            raise InputError(
                f"measurement: energies_j is {list(self.energies_j)}, expected one a visit where it is known"
            )

    @classmethod
    def merged(cls, visits: Sequence[Self], pooled_noise: float | None = None) -> Self:
        """All timings of several visits to the same network; the last visit's time and meter, their mean load."""
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
        """Wall-clock times without what was waited for a core: those of a machine that does nothing else."""
        return tuple(timing - waited for timing, waited in zip(self.timings_ms, self.waited_ms, strict=True))

    @property
    def latency_ms(self) -> float:
        """Median of :attr:`own_ms`: the latency. Where nothing was waited for it is that of the wall-clock times."""
        return self._mean(self.own_ms, median)

    @property
    def energy_j(self) -> float | None:
        """Mean over the visits at which the meter could be read; None where there are none."""
        known = [value for value in self.energies_j if value is not None]
        return fmean(known) if known else None

    @property
    def spread_ms(self) -> float:
        """Interquartile range of :attr:`own_ms`; 0 for a single timing."""
        return self._mean(self.own_ms, _interquartile_range)

    @property
    def noise(self) -> float | None:
        """Variance of the logarithm of what one visit measures, by the bootstrap; None for a single visit.

        Whole visits are drawn with replacement, since sentences of one visit share the state that the machine was in
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
        # The bootstrap's variance is too small by (count - 1) / count; times count, that of one visit.
        return float(np.log(medians @ self.shares).var()) * count * count / (count - 1)

    @property
    def interval_ms(self) -> tuple[float, float, float]:
        """Confidence interval of the median: lower end, upper end, its confidence.

        It covers what differs between visits, by the bootstrap over visits with Student's factor, and what differs
        between sentences, by order statistics, which assume nothing of the noise; the wider end counts. For a
        single visit there are the order statistics alone: they are right only for as long as the machine stays as it
        was, and with fewer than six timings the confidence says what they reach.

        Of few visits the variance is known badly, and those that agree by chance would end their measuring early, so
        that what was found on other networks (``pooled_noise``) counts as ``POOLED_VISITS`` more visits.
        """
        low, high, confidence = self._of_sentences
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
    def _of_sentences(self) -> tuple[float, float, float]:
        """The interval by order statistics of each length, put together.

        Errors of the lengths are independent, so that their distances from the median add up in squares (Zou and
        Donner, Construction of confidence limits about effect measures, Statistics in Medicine 27, 2008).
        """
        middle, below, above, confidences = self.latency_ms, list[float](), list[float](), list[float]()
        for share, own in zip(self.shares, self._by_length(self.own_ms), strict=True):
            low, high, confidence = _order_statistics(own)
            below.append(share * (median(own) - low))
            above.append(share * (high - median(own)))
            confidences.append(confidence)
        return middle - math.hypot(*below), middle + math.hypot(*above), min(confidences)

    def _by_length(self, values: Sequence[float]) -> list[Sequence[float]]:
        """Values of the sentences of each length."""
        return [values[number :: len(self.shares)] for number in range(len(self.shares))]

    def _mean(self, values: Sequence[float], statistic: Callable[[Sequence[float]], float]) -> float:
        """A statistic of the sentences of each length, averaged over the lengths."""
        found = map(statistic, self._by_length(values))
        return math.fsum(share * value for share, value in zip(self.shares, found, strict=True))

    @property
    def precision(self) -> float:
        """Half the interval's width relative to the latency; infinite for a single visit."""
        if len(self.visits) < 2:
            return math.inf
        low, high, _ = self.interval_ms
        return (high - low) / 2 / self.latency_ms

    def pooled(self, noise: float | None) -> Self:
        """The same, with what is known of the noise from other networks."""
        return replace(self, pooled_noise=noise)

    def to_dict(self) -> dict[str, Any]:
        """JSON-like form: raw values, and the statistics derived from them."""
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
        """Inverse of :meth:`to_dict`; the statistics are derived anew.

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
    """The narrowest interval of the median that holds it with ``CONFIDENCE``, or the widest, and its confidence."""
    ordered = sorted(values)
    count = len(ordered)
    rank, outside = 0, 0.5**count
    while rank < (count - 1) // 2:
        further = outside + math.comb(count, rank + 1) * 0.5**count
        if 1 - 2 * further < CONFIDENCE:
            break
        rank, outside = rank + 1, further
    return ordered[rank], ordered[count - 1 - rank], max(0.0, 1 - 2 * outside)


def measure(
    model: LoadedModel,
    workload: Workload,
    *,
    warmup: int,
    repeats: int,
    tracker: Tracker | None = None,
    stopwatch: Stopwatch | None = None,
) -> Measurement:
    """Time sentences one by one, from source tokens to the best hypothesis: one visit.

    The garbage collector is off meanwhile, so that its pauses hit no sentence.

    Args:
        model: the network, ready on this machine; its Runtime sees to inference mode and threads.
        workload: lengths and beam.
        warmup: sentences of each length translated before, untimed.
        repeats: sentences of each length timed; the lengths take turns.
        tracker: told of every timed sentence, between two of them.
        stopwatch: what sentences are timed with; the machine's clock where absent.
    """
    watch = stopwatch or WallClock()
    pairs = [(source, target) for source, target, _ in workload.pairs]
    others = Interference()
    for source, target in warmup * pairs:
        model.run_sentence(source, target, workload.beam)
    timings, processor, waits = [], [], []
    gc.collect()
    collecting = gc.isenabled()
    gc.disable()
    try:
        for done, (source, target) in enumerate(repeats * pairs):
            if tracker is not None:
                tracker(done)
            waiting = waited_ns()
            watch.start()
            started_processor = time.process_time_ns()
            model.run_sentence(source, target, workload.beam)
            elapsed, computed = watch.elapsed_ns(), time.process_time_ns() - started_processor
            # What was waited while neither clock was read belongs to no sentence.
            stood_still = max(0, elapsed - computed)
            timings.append(elapsed / 1e6)
            processor.append(computed / 1e6)
            waits.append(min(longest_wait_ns(waiting, waited_ns()), stood_still) / 1e6)
        if tracker is not None:
            tracker(len(timings))
    finally:
        if collecting:
            gc.enable()
    return Measurement(
        timings_ms=tuple(timings),
        processor_ms=tuple(processor),
        waited_ms=tuple(waits),
        load_average=os.getloadavg()[0],
        measured_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        interference=(others.cores(),),
        shares=tuple(share for *_, share in workload.pairs),
    )

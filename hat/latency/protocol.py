"""The measurement protocol: how long one sentence takes, end to end, and how sure that is."""

import gc
import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import mean, median, quantiles
from typing import Any, Self

from hat.errors import InputError
from hat.latency.workload import Workload
from hat.progress import Tracker
from hat.runtime.base import LoadedModel

CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """Raw timings of one network, in order, and when and under what load they were taken.

    ``timings_ms`` is wall-clock time and ``processor_ms`` processor time of all threads, one entry a sentence;
    ``load_average`` is that of the last minute, ``measured_at`` is UTC in ISO 8601.
    """

    timings_ms: tuple[float, ...]
    processor_ms: tuple[float, ...]
    load_average: float
    measured_at: str

    def __post_init__(self) -> None:
        if not self.timings_ms or len(self.timings_ms) != len(self.processor_ms):
            raise InputError(
                f"measurement: {len(self.timings_ms)} timings and {len(self.processor_ms)} processor times,"
                " expected one of each a sentence"
            )
        if not all(math.isfinite(value) and value > 0 for value in self.timings_ms):
            raise InputError(f"measurement: timings_ms holds {min(self.timings_ms)}, expected positive numbers")

    @classmethod
    def merged(cls, visits: Sequence[Self]) -> Self:
        """All timings of several visits to the same network; the last visit's time, their mean load."""
        return cls(
            timings_ms=tuple(value for visit in visits for value in visit.timings_ms),
            processor_ms=tuple(value for visit in visits for value in visit.processor_ms),
            load_average=mean(visit.load_average for visit in visits),
            measured_at=visits[-1].measured_at,
        )

    @property
    def latency_ms(self) -> float:
        """Median wall-clock time of a sentence: the latency."""
        return median(self.timings_ms)

    @property
    def spread_ms(self) -> float:
        """Interquartile range of the wall-clock times; 0 for a single timing."""
        if len(self.timings_ms) == 1:
            return 0.0
        first, _, third = quantiles(self.timings_ms, n=4, method="inclusive")
        return third - first

    @property
    def interval_ms(self) -> tuple[float, float, float]:
        """Distribution-free confidence interval of the median: lower end, upper end, its true confidence.

        The ends are order statistics, so no assumption on the noise is made; with fewer than six timings
        the smallest and largest do not reach ``CONFIDENCE``, and the confidence says what they do reach.
        """
        ordered = sorted(self.timings_ms)
        count = len(ordered)
        rank, outside = 0, 0.5**count
        while rank < (count - 1) // 2:
            further = outside + math.comb(count, rank + 1) * 0.5**count
            if 1 - 2 * further < CONFIDENCE:
                break
            rank, outside = rank + 1, further
        return ordered[rank], ordered[count - 1 - rank], max(0.0, 1 - 2 * outside)

    def to_dict(self) -> dict[str, Any]:
        """JSON-like form: raw values, and the statistics derived from them."""
        low, high, confidence = self.interval_ms
        return asdict(self) | {
            "timings_ms": list(self.timings_ms),
            "processor_ms": list(self.processor_ms),
            "latency_ms": self.latency_ms,
            "spread_ms": self.spread_ms,
            "latency_low_ms": low,
            "latency_high_ms": high,
            "confidence": confidence,
            "processor_median_ms": median(self.processor_ms),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str) -> Self:
        """Inverse of :meth:`to_dict`; the statistics are derived anew.

        Raises:
            InputError: a value is missing or impossible; ``where`` names the file.
        """
        try:
            return cls(
                timings_ms=tuple(float(value) for value in values["timings_ms"]),
                processor_ms=tuple(float(value) for value in values["processor_ms"]),
                load_average=float(values["load_average"]),
                measured_at=str(values["measured_at"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{where}: not a measurement ({error!r})") from None


def measure(
    model: LoadedModel, workload: Workload, *, warmup: int, repeats: int, tracker: Tracker | None = None
) -> Measurement:
    """Time sentences one by one, from source tokens to the best hypothesis.

    The garbage collector is off meanwhile, so that its pauses hit no sentence.

    Args:
        model: the network, ready on this machine; its Runtime sees to inference mode and threads.
        workload: lengths and beam.
        warmup: sentences translated before, untimed.
        repeats: sentences timed.
        tracker: told of every timed sentence, between two of them.
    """

    def sentence() -> None:
        model.run_sentence(workload.source_length, workload.target_length, workload.beam)

    for _ in range(warmup):
        sentence()
    timings, processor = [], []
    gc.collect()
    collecting = gc.isenabled()
    gc.disable()
    try:
        for done in range(repeats):
            if tracker is not None:
                tracker(done)
            started, started_processor = time.perf_counter_ns(), time.process_time_ns()
            sentence()
            ended, ended_processor = time.perf_counter_ns(), time.process_time_ns()
            timings.append((ended - started) / 1e6)
            processor.append((ended_processor - started_processor) / 1e6)
        if tracker is not None:
            tracker(repeats)
    finally:
        if collecting:
            gc.enable()
    return Measurement(
        timings_ms=tuple(timings),
        processor_ms=tuple(processor),
        load_average=os.getloadavg()[0],
        measured_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    )

"""When a network has been visited often enough, which visits count, and what their interval covers."""

from dataclasses import dataclass

import numpy as np
import pytest

from hat.config.latency import Latency
from hat.errors import InputError
from hat.measure.measurement import Measurement
from hat.measure.visits import Visits, pooled_noise

RULES = Latency(min_passes=3, passes=6, interference=0.2, drift=0.05, precision=0.01, seconds=10)


def visit(*timings: float, others: float | None = 0.0, waited: float = 0.0) -> Measurement:
    return Measurement(
        timings_ms=timings,
        processor_ms=timings,
        waited_ms=(waited,) * len(timings),
        load_average=0,
        measured_at="",
        interference=(others,),
    )


@dataclass
class Made:
    measurement: Measurement
    drift: float | None = None


def visits(*made: Made, rules: Latency = RULES) -> Visits[Made]:
    found: Visits[Made] = Visits(rules)
    found.all.extend(made)
    return found


def test_disturbed_visits_count_only_where_there_are_too_few_others() -> None:
    quiet = [Made(visit(10.0 + number / 1000, 10.0)) for number in range(3)]
    busy, drifting = Made(visit(20.0, 20.0, others=0.5)), Made(visit(30.0, 30.0), drift=0.2)
    assert visits(*quiet, busy, drifting).counted == quiet
    assert visits(*quiet[:2], busy, drifting).counted == [*quiet[:2], busy, drifting]
    assert visits(Made(visit(10.0, others=None))).disturbed(Made(visit(10.0, others=None))) is False


def test_enough() -> None:
    alike = [Made(visit(10.0 + number / 1000, 10.0)) for number in range(6)]
    assert not visits(*alike[:2]).enough(None)
    assert visits(*alike[:3]).enough(None)
    # The noise of other networks says that these agree by chance.
    assert not visits(*alike[:3]).enough(0.05**2)
    busy = [Made(visit(10.0, 10.0, others=1.0)) for _ in range(6)]
    assert not visits(*busy[:5]).enough(None)
    assert visits(*busy).enough(None)
    assert visits(Made(visit(6000.0, 6000.0))).enough(None)


def test_waiting_for_a_core_is_no_latency() -> None:
    found = visit(30.0, 31.0, 32.0, waited=20.0)
    assert found.latency_ms == 11.0
    assert found.to_dict()["wall_clock_median_ms"] == 31.0
    assert Measurement.from_dict(found.to_dict(), "x") == found
    with pytest.raises(InputError, match="waited_ms, expected a part of each timing"):
        visit(30.0, waited=30.0)


@pytest.mark.parametrize("pooled", [True, False])
@pytest.mark.parametrize("count", [3, 5, 10])
def test_interval_covers_what_differs_between_visits(count: int, pooled: bool) -> None:
    """Visits differ by 5 %, sentences of a visit by 0.5 %: of 95 % intervals 95 % hold the middle."""
    rng = np.random.default_rng(count)
    covered, independent, trials = 0, 0, 300
    for _ in range(trials):
        shifts = rng.normal(0, 0.05, count)
        merged = Measurement.merged(
            [visit(*(100 * np.exp(shift + rng.normal(0, 0.005, 4)))) for shift in shifts],
            0.05**2 if pooled else None,
        )
        low, high, _ = merged.interval_ms
        covered += low <= 100 <= high
        low, high, _ = Measurement(
            timings_ms=merged.timings_ms, processor_ms=merged.processor_ms, load_average=0, measured_at=""
        ).interval_ms
        independent += low <= 100 <= high
    # Three standard errors of 300 trials.
    assert covered / trials > 0.95 - 0.038
    # Taken for independent, as if they all had been drawn anew, they promise too much.
    assert independent / trials < covered / trials


def test_noise_of_many_networks() -> None:
    rng = np.random.default_rng(1)
    found = [
        visits(*(Made(visit(*(50 * np.exp(shift + rng.normal(0, 0.002, 3))))) for shift in rng.normal(0, 0.03, 4)))
        for _ in range(200)
    ]
    # The variance of a median is pi / 2 times that of a mean.
    assert pooled_noise(found) == pytest.approx(np.pi / 2 * 0.03**2, rel=0.3)
    assert pooled_noise([visits(Made(visit(1.0)))]) is None

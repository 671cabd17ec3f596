"""The measurement protocol and its statistics."""

import gc
from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_device import SMALL, NumpyModel, workload

from hat.errors import InputError
from hat.measure.measurement import CONFIDENCE, Measurement
from hat.measure.timing import time_sentences
from hat.space.search_space import SearchSpace


def measurement(*timings: float) -> Measurement:
    return Measurement(timings_ms=timings, processor_ms=timings, load_average=0.5, measured_at="2024-01-01T00:00:00Z")


def test_every_sentence_is_translated_at_the_asked_size() -> None:
    model = NumpyModel(SearchSpace(SMALL).largest, seed=1)
    told: list[int] = []
    found = time_sentences(
        model, workload(SMALL), warmup=2, repeats=5, tracker=lambda completed, note="": told.append(completed)
    )
    assert model.sentences == [(30, 30, 5)] * 7
    assert len(found.timings_ms) == len(found.processor_ms) == 5
    assert min(found.timings_ms) > 0
    assert told == [0, 1, 2, 3, 4, 5]


class Watching(NumpyModel):
    """Fails at a sentence, and notes whether the garbage collector is on."""

    collecting: list[bool]

    def run_sentence(self, source_length: int, target_length: int, beam: int) -> None:
        self.collecting.append(gc.isenabled())
        if len(self.collecting) == 3:
            raise RuntimeError("broken")


def test_garbage_collector_is_off_only_while_timing() -> None:
    model = Watching(SearchSpace(SMALL).smallest, seed=1)
    model.collecting = []
    with pytest.raises(RuntimeError):
        time_sentences(model, workload(SMALL), warmup=1, repeats=5)
    assert model.collecting == [True, False, False]
    assert gc.isenabled()


def test_statistics() -> None:
    found = measurement(4.0, 1.0, 2.0, 3.0, 100.0)
    assert found.latency_ms == 3.0
    assert found.spread_ms == 2.0
    assert measurement(7.0).spread_ms == 0.0


@given(st.integers(1, 60))
@settings(max_examples=60)
def test_interval_of_the_median_is_the_narrowest_of_its_confidence(count: int) -> None:
    low, high, confidence = measurement(*(float(value + 1) for value in range(count))).interval_ms
    rank = int(low) - 1
    assert high == count - rank

    def covered(ends: int) -> float:
        return 1 - 2 * sum(comb(count, below) for below in range(ends + 1)) / 2**count

    assert confidence == pytest.approx(max(0.0, covered(rank)))
    if count >= 6:
        assert confidence >= CONFIDENCE
        assert covered(rank + 1) < CONFIDENCE
    else:
        assert rank == 0


def test_form_round_trips_and_refuses_nonsense() -> None:
    found = measurement(1.5, 2.25, 1.75)
    assert Measurement.from_dict(found.to_dict(), "x") == found
    with pytest.raises(InputError, match="positive"):
        measurement(1.0, float("nan"))
    with pytest.raises(InputError, match="0 timings"):
        measurement()
    with pytest.raises(InputError, match="file: not a measurement"):
        Measurement.from_dict({"timings_ms": [1]}, "file")

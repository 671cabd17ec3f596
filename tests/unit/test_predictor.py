"""The latency predictor: accuracy, monotony, forms."""

import json
import random
import runpy
from pathlib import Path

import numpy as np
import pytest
from toy_device import SMALL, WIDE, true_latency_ms, workload

from hat.errors import InputError
from hat.latency.accuracy import kendall_tau
from hat.latency.extremes import extreme, neighbours
from hat.latency.predictor import LatencyPredictor
from hat.space import Architecture, SearchSpace

PUBLISHED = Path(__file__).parents[3] / "shared" / "reference" / "latency"


def drawn(count: int, seed: int) -> list[Architecture]:
    rng, space = random.Random(seed), SearchSpace(WIDE)
    return [space.sample(rng) for _ in range(count)]


def fitted(count: int, noise: float = 0.0, outliers: int = 0) -> LatencyPredictor:
    architectures, rng = drawn(count, seed=1), random.Random(2)
    latencies = [true_latency_ms(point) * (1 + rng.gauss(0, noise)) for point in architectures]
    for index in range(outliers):
        latencies[index] *= 5
    return LatencyPredictor.fit(workload(WIDE), architectures, latencies)


@pytest.mark.parametrize(
    ("count", "noise", "outliers", "limit"), [(100, 0.0, 0, 1.0), (100, 0.03, 0, 3.0), (100, 0.03, 8, 3.0)]
)
def test_recovers_a_cost_model(count: int, noise: float, outliers: int, limit: float) -> None:
    predictor = fitted(count, noise, outliers)
    test = drawn(300, seed=9)
    true = np.array([true_latency_ms(point) for point in test])
    predicted = predictor.predict(test)
    assert 100 * np.mean(np.abs(predicted - true) / true) < limit
    assert kendall_tau(true, predicted) > 0.9


@pytest.mark.parametrize("count", [1, 3, 8])
def test_few_measurements_still_give_sensible_latencies(count: int) -> None:
    predictor = fitted(count, noise=0.03)
    space = SearchSpace(WIDE)
    predicted = predictor.predict([space.smallest, *drawn(200, seed=3), space.largest])
    assert np.isfinite(predicted).all()
    assert predicted.min() == predicted[0] > 0
    true = np.array([true_latency_ms(point) for point in drawn(200, seed=3)])
    assert np.median(np.abs(predicted[1:-1] - true) / true) < 0.5


def test_latency_grows_with_every_dimension() -> None:
    predictor, space = fitted(60, noise=0.1), SearchSpace(WIDE)
    for point in drawn(30, seed=4):
        latency = predictor.predict([point])[0]
        for other in neighbours(space, point):
            pairs = [
                (mine, theirs)
                for name in point.to_dict()
                for mine, theirs in zip(
                    np.atleast_1d(getattr(point, name)), np.atleast_1d(getattr(other, name)), strict=False
                )
            ]
            deeper = (other.decoder_layers - point.decoder_layers) + (other.encoder_layers - point.encoder_layers)
            bigger = deeper > 0 or (deeper == 0 and any(theirs > mine for mine, theirs in pairs))
            predicted = predictor.predict([other])[0]
            assert predicted >= latency - 1e-9 if bigger else predicted <= latency + 1e-9


def test_extremes_are_those_of_the_whole_space() -> None:
    space = SearchSpace(SMALL)
    everything = list(space.enumerate())
    rng = random.Random(5)
    predictor = LatencyPredictor.fit(
        workload(SMALL),
        everything[::50],
        [true_latency_ms(point) * rng.uniform(0.9, 1.1) for point in everything[::50]],
    )
    latencies = predictor.predict(everything)
    for slowest, expected in ((False, latencies.min()), (True, latencies.max())):
        found, latency = extreme(space, predictor.predict, [rng.choice(everything)], slowest=slowest)
        assert latency == pytest.approx(expected)
        assert predictor.predict([found])[0] == pytest.approx(latency)


DEPTHS = ("encoder_layers", "decoder_layers")


def test_neighbours_differ_in_one_dimension_and_stay_inside() -> None:
    space = SearchSpace(SMALL)
    point = space.sample(random.Random(6))
    found = list(neighbours(space, point))
    others = {name: len(getattr(space.space, name)) - 1 for name in (*point.to_dict(), *DEPTHS)}
    entries = {name: len(value) if isinstance(value, list) else 1 for name, value in point.to_dict().items()}
    assert len(set(found)) == len(found) == sum(count * entries.get(name, 1) for name, count in others.items())
    assert point not in found
    assert all(other in space for other in found)


def test_form_round_trips_exactly() -> None:
    predictor = fitted(50, noise=0.05)
    again = LatencyPredictor.from_dict(json.loads(json.dumps(predictor.to_dict())), "predictor.json")
    test = drawn(100, seed=7)
    assert (again.predict(test) == predictor.predict(test)).all()
    assert again.workload == predictor.workload


def test_another_form_is_refused() -> None:
    values = fitted(5).to_dict()
    for wrong in ({}, {**values, "kind": "mlp"}, {**values, "cost_ms": {"sentence": 1.0}}):
        with pytest.raises(InputError, match=r"predictor\.json: not a latency predictor of this version"):
            LatencyPredictor.from_dict(wrong, "predictor.json")
    with pytest.raises(InputError, match="no measurement"):
        LatencyPredictor.fit(workload(WIDE), [], [])


@pytest.mark.skipif(not PUBLISHED.exists(), reason="the reference data of the project is not here")
def test_published_latencies_are_predicted_as_well_as_by_the_published_network() -> None:
    benchmark = runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "predictor.py"))
    # MAPE of the published network, the best of three seeds, with sixteen times the rows.
    published = {
        "wmt14ende_cpu_raspberrypi": 3.9,
        "wmt14ende_gpu_titanxp": 5.2,
        "wmt14enfr_cpu_xeon": 4.1,
        "wmt14enfr_gpu_titanxp": 2.0,
        "wmt19ende_gpu_titanxp": 4.7,
    }
    for name, mape in published.items():
        assert benchmark["errors_of"](PUBLISHED / f"{name}.csv")[1] < mape

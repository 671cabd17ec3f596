"""The latency predictor: accuracy, monotony, forms."""

import json
import math
import random
import runpy
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from reference import latencies
from toy_device import SMALL, WIDE, true_latency_ms, workload

from hat.errors import InputError
from hat.latency.predictor.accuracy import held_out_errors, kendall_tau
from hat.latency.predictor.averages import AVERAGES, DEVIATIONS, TIMES, AveragedNetwork, read_published
from hat.latency.predictor.conformal import NoBound, SplitBound
from hat.latency.predictor.features import FEATURES, Rows, averages, components, features, rows_of
from hat.latency.predictor.learning_curve import Assessment, assess, sample_until
from hat.latency.predictor.linear import Linear
from hat.latency.predictor.mlp import HIDDEN, PublishedMLP
from hat.latency.predictor.predictor import LatencyPredictor
from hat.latency.predictor.regressions import REGRESSIONS, Regression
from hat.latency.selection import draw_architectures
from hat.space.architecture import Architecture
from hat.space.moves import extreme, neighbours
from hat.space.search_space import SearchSpace


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


def synthetic(count: int, seed: int, noise: float) -> tuple[list[Architecture], np.ndarray]:
    """Architectures and latencies with relative noise that has a heavy tail to the slow side, as real ones have."""
    architectures, rng = drawn(count, seed), np.random.default_rng(seed)
    true = np.array([true_latency_ms(point) for point in architectures])
    return architectures, true * (1 + noise * rng.gamma(1.0, size=count))


@pytest.mark.parametrize(("count", "method"), [(60, "cross"), (600, "split")])
def test_upper_bound_covers_what_it_says(count: int, method: str) -> None:
    # The mean over draws of the fitted rows is what is promised.
    covered = []
    new, latencies = synthetic(400, 77, 0.1)
    for seed in range(4 if method == "cross" else 1):
        predictor = LatencyPredictor.fit(workload(WIDE), *synthetic(count, seed, 0.1), confidence=0.9, seed=seed)
        upper = predictor.upper_bound(new)
        assert predictor.bound.description()["method"] == method
        assert (upper >= predictor.predict(new)).all()
        covered.append(float(np.mean(latencies <= upper)))
    assert 0.85 < np.mean(covered) < 0.96


def test_what_a_bound_promises() -> None:
    few = LatencyPredictor.fit(workload(WIDE), *synthetic(12, 1, 0.1)).bound.description()
    many = LatencyPredictor.fit(workload(WIDE), *synthetic(600, 1, 0.1)).bound.description()
    assert few["confidence"] == many["confidence"] == many["guarantee"] == 0.95
    assert few["rows"] == 12
    assert few["guarantee"] < 0.9
    alone = LatencyPredictor.fit(workload(WIDE), *synthetic(1, 1, 0.1))
    assert np.isinf(alone.upper_bound(drawn(3, 2))).all()


def test_bound_uses_only_representative_rows_but_fits_all() -> None:
    architectures, latencies = synthetic(60, 5, 0.02)
    unusual = np.arange(60) % 2 == 0
    # Rows that are no sample of the space are all slower than any regression explains.
    disturbed = np.where(unusual, latencies * np.random.default_rng(1).uniform(1, 3, 60), latencies)
    bounds = [
        LatencyPredictor.fit(workload(WIDE), architectures, disturbed, representative=mask) for mask in (~unusual, None)
    ]
    assert bounds[0].bound.description()["rows"] == 30
    new = drawn(50, 8)
    assert np.median(bounds[0].upper_bound(new) / bounds[1].upper_bound(new)) < 1


@pytest.mark.parametrize("kind", list(REGRESSIONS))
def test_breakdown_adds_up(kind: str) -> None:
    architectures, latencies = synthetic(60, 3, 0.02)
    rows = rows_of(architectures, workload(WIDE))
    regression = quick(kind, rows, latencies)
    predictor = LatencyPredictor(workload(WIDE), regression, NoBound(0.95))
    for point in [*drawn(10, 5), SearchSpace(WIDE).smallest]:
        parts = predictor.breakdown(point)
        assert math.fsum(parts.values()) == predictor.predict([point])[0]
        assert min(parts.values()) >= 0
        assert len(parts) == 3 + 2 * point.encoder_layers + 3 * point.decoder_layers


def quick(kind: str, rows: Rows, latencies: np.ndarray) -> Regression:
    """A fitted regression; the network untrained, as training takes a minute."""
    if kind != "mlp":
        return REGRESSIONS[kind].fit(rows, latencies, 1)
    rng, sizes = np.random.default_rng(1), [len(AVERAGES), *HIDDEN, 1]
    weights = [0.05 * np.abs(rng.standard_normal(shape)) for shape in pairwise(sizes)]
    return PublishedMLP(Linear.fit(rows, latencies, 1), weights, [np.zeros(size) for size in sizes[1:]])


def test_costs_of_components_are_found_again() -> None:
    """On a device that is exactly as slow as its costs say, what a layer costs is what the breakdown says."""
    cost = np.random.default_rng(4).uniform(0.5, 2, len(FEATURES))
    architectures = drawn(80, 6)
    table = features(architectures, workload(WIDE), "int8")
    cost /= table.mean(axis=0)
    predictor = LatencyPredictor.fit(workload(WIDE), architectures, table @ cost, precision="int8")
    point = SearchSpace(WIDE).sample(random.Random(8))
    wide, narrow = (replace(point, decoder_ffn_dim=(width, *point.decoder_ffn_dim[1:])) for width in (3072, 1024))
    difference = (features([wide, narrow], workload(WIDE), "int8") @ cost) @ [1, -1]
    first, second = (predictor.breakdown(one)["decoder layer 1 FFN"] for one in (wide, narrow))
    assert first - second == pytest.approx(difference, rel=0.02)
    others = [set(predictor.breakdown(one).items()) for one in (wide, narrow)]
    assert predictor.predict([wide])[0] - predictor.predict([narrow])[0] == pytest.approx(difference, rel=0.02)
    assert len(others[0]) == len(others[1])


def test_components_add_up_to_the_features() -> None:
    for precision in ("fp32", "int8", "int4"):
        point = drawn(1, 3)[0]
        total = dict.fromkeys(FEATURES, 0.0)
        for _, amounts in components(point, workload(WIDE), precision):
            for name, amount in amounts.items():
                total[name] += amount
        assert features([point], workload(WIDE), precision)[0].tolist() == pytest.approx(list(total.values()))


def test_averages_determine_the_features() -> None:
    points = drawn(20, 4)
    averaged = [AveragedNetwork.from_averages(row) for row in averages(points)]
    first, second = (rows_of(networks, workload(WIDE)) for networks in (points, averaged))
    np.testing.assert_allclose(first.costs, second.costs)
    np.testing.assert_allclose(first.averages, second.averages)


@pytest.mark.parametrize("kind", list(REGRESSIONS))
def test_form_round_trips_exactly(kind: str) -> None:
    architectures, latencies = synthetic(50, 3, 0.05)
    rows = rows_of(architectures, workload(WIDE))
    ratios = tuple(sorted(np.random.default_rng(1).uniform(0.9, 1.2, 40)))
    predictor = LatencyPredictor(workload(WIDE), quick(kind, rows, latencies), SplitBound(ratios, 0.9), "int8")
    again = LatencyPredictor.from_dict(json.loads(json.dumps(predictor.to_dict())), "predictor.json")
    test = drawn(100, seed=7)
    assert (again.predict(test) == predictor.predict(test)).all()
    assert (again.upper_bound(test) == predictor.upper_bound(test)).all()
    assert (again.workload, again.precision) == (predictor.workload, "int8")


def test_cross_bound_round_trips_exactly() -> None:
    predictor = fitted(30, noise=0.05)
    again = LatencyPredictor.from_dict(json.loads(json.dumps(predictor.to_dict())), "predictor.json")
    assert (again.upper_bound(drawn(50, 7)) == predictor.upper_bound(drawn(50, 7))).all()


def test_boosting_is_what_its_trees_say() -> None:
    architectures, latencies = synthetic(80, 3, 0.02)
    # A cost that no sum of layers has: the third decoder layer no longer fits a cache.
    latencies = latencies * np.array([1.4 if point.decoder_layers > 2 else 1.0 for point in architectures])
    rows = rows_of(architectures, workload(WIDE))
    new = drawn(200, 9)
    true = np.array([true_latency_ms(point) * (1.4 if point.decoder_layers > 2 else 1.0) for point in new])
    errors = {
        kind: np.mean(np.abs(quick(kind, rows, latencies).predict(rows_of(new, workload(WIDE))) / true - 1))
        for kind in ("linear", "boosting")
    }
    assert errors["boosting"] < 0.8 * errors["linear"]


def test_wrong_input_is_refused() -> None:
    values = fitted(5).to_dict()
    regression = values["regression"]
    for wrong in (
        {},
        {**values, "format": "older"},
        {**values, "regression": {**regression, "kind": "forest"}},
        {**values, "regression": {**regression, "cost_ms": {"sentence": 1.0}}},
        {**values, "precision": "fp64"},
        {**values, "bound": None},
    ):
        with pytest.raises(InputError, match=r"predictor\.json: not a latency predictor of this version"):
            LatencyPredictor.from_dict(wrong, "predictor.json")
    with pytest.raises(InputError, match="no measurement"):
        LatencyPredictor.fit(workload(WIDE), [], [])
    with pytest.raises(InputError, match=r"a latency is -1\.0 ms, expected positive"):
        LatencyPredictor.fit(workload(WIDE), drawn(2, 1), [3.0, -1.0])


def test_published_file_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "latency.csv"
    with pytest.raises(InputError, match="no such file"):
        read_published(path)
    path.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="missing columns encoder_embed_dim"):
        read_published(path)
    names = [*AVERAGES, *TIMES, *DEVIATIONS]
    path.write_text(",".join(names) + "\n" + ",".join(["1"] * 11 + ["fast", "1", "1"]) + "\n")
    with pytest.raises(InputError, match="line 2: latency_mean_decoder is fast, expected a positive number"):
        read_published(path)


@pytest.mark.parametrize("choice", ["designed", "random"])
def test_draws_begin_alike_and_name_their_origin(choice: str) -> None:
    space = SearchSpace(WIDE)
    few, many = (draw_architectures(space, count, 3, choice) for count in (20, 41))
    assert list(many.items())[:20] == list(few.items())
    assert list(few)[:2] == [space.largest, space.smallest]
    origins = list(many.values())
    assert (origins.count("designed"), origins.count("extreme")) == ((19, 2) if choice == "designed" else (0, 2))


def test_designed_architectures_tell_more_than_random_ones() -> None:
    space = SearchSpace(WIDE)
    tables = {
        choice: features(list(draw_architectures(space, 24, 1, choice)), workload(WIDE))
        for choice in ("designed", "random")
    }
    scale = tables["random"].mean(axis=0)
    determinants = {
        choice: np.linalg.slogdet((table / scale).T @ (table / scale) + 1e-9 * np.eye(len(FEATURES)))[1]
        for choice, table in tables.items()
    }
    assert determinants["designed"] > determinants["random"] + 1


@pytest.mark.parametrize(
    ("noise", "target", "reason"), [(0.01, 5.0, "target"), (0.05, 0.5, "flat"), (0.0, 1e-9, "samples")]
)
def test_sampling_stops(noise: float, target: float, reason: str) -> None:
    # Without noise this device's error falls for ever: it is not of the form of the features.
    architectures, latencies = synthetic(400, 3, noise)
    if reason == "samples":
        latencies = np.exp(np.cumsum(np.full(400, -0.002))) * latencies
    counts = []

    def measure(count: int) -> int:
        counts.append(count)
        return count

    def judge(count: int) -> Assessment:
        rows = rows_of(architectures[:count], workload(WIDE))
        return assess(rows, latencies[:count], np.arange(count) % 2 == 0, seed=1)

    most = 70 if reason == "samples" else 400
    measured, stop = sample_until(measure, judge, target_percent=target, most=most, step=20)
    assert measured == stop.samples == counts[-1]
    assert counts == sorted(counts)
    if reason != "samples":
        assert stop.reason == reason
    assert stop.samples < 200
    assert (stop.reason == "target") == stop.assessment.reached(target)
    assert f"stopped after {stop.samples} samples, held-out error" in stop.sentence


def test_too_few_samples_are_not_judged() -> None:
    measured, stop = sample_until(lambda count: count, lambda count: 1 / 0, target_percent=1, most=12, step=5)
    assert (measured, stop.reason, stop.assessment) == (12, "samples", None)
    assert "too few" in stop.sentence


def test_report_on_noise_and_learning() -> None:
    architectures, latencies = synthetic(80, 3, 0.05)
    frame = pd.DataFrame({"digest": [point.digest for point in architectures], "latency_ms": latencies})
    errors = held_out_errors(workload(WIDE), architectures, frame, held_out=0.25, seed=1)
    assert errors["noise_floor"] is None
    assert (errors["held_out_rows"], errors["train_rows"]) == (80, 60)
    curve = errors["learning_curve"]
    assert [row["rows"] for row in curve] == [10, 15, 22, 34, 51, 60]
    assert curve[0]["mape_percent"] > curve[-1]["mape_percent"]
    assert 0.85 < errors["bound"]["coverage"] <= 1
    exact = frame.assign(latency_low_ms=latencies * 0.98, latency_high_ms=latencies * 1.02, confidence=0.95)
    floor = held_out_errors(workload(WIDE), architectures, exact, held_out=0.5, seed=1)["noise_floor"]
    assert floor["mape_percent"] == pytest.approx(100 * 0.02 / 1.96 * math.sqrt(2 / math.pi), rel=1e-3)


def test_published_latencies_are_predicted_as_well_as_by_the_published_network() -> None:
    benchmark = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "predictor.py"))
    # MAPE of the published network, the best of three seeds, with sixteen times the rows.
    published = {
        "wmt14ende_cpu_raspberrypi": 3.9,
        "wmt14ende_gpu_titanxp": 5.2,
        "wmt14enfr_cpu_xeon": 4.1,
        "wmt14enfr_gpu_titanxp": 2.0,
        "wmt19ende_gpu_titanxp": 4.7,
    }
    for name, mape in published.items():
        errors = [benchmark["fitted_errors"](latencies(name), "linear", split) for split in range(4)]
        assert benchmark["mean_of"](errors, "MAPE, %") < mape

"""Latency of sentences of several lengths: which are timed, and what is made of their timings."""

import json
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_device import SMALL, NumpyModel, NumpyRuntime, workload, write_configuration, write_dictionaries, write_folder

import hat.runtime
from hat.artifacts.files import read_json, read_jsonl, write_json
from hat.artifacts.layout import Results
from hat.config.scope import BudgetScope, DeviceScope, TaskScope
from hat.config.settings import Settings
from hat.data.binary.indexed import IndexedWriter
from hat.data.stages import binary_prefix
from hat.device.connection import SshConnection
from hat.errors import HatError, InputError
from hat.latency import stages
from hat.latency.dataset import read_parquet
from hat.latency.deployed import REPEATS, measure_model
from hat.measure.lengths import PARTS, measured_lengths
from hat.measure.measurement import CONFIDENCE, Measurement
from hat.measure.timing import time_sentences
from hat.measure.workload import Workload
from hat.runtime.base import synthetic_sentence
from hat.runtime.shortlist import Shortlist
from hat.space.search_space import SearchSpace

LENGTHS = ((4, 3, 0.25), (8, 9, 0.5), (20, 24, 0.25))


@pytest.fixture
def results(tmp_path: Path) -> Results:
    found = Results(tmp_path / "results")
    write_dictionaries(found)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_configuration(tmp_path / "config")


def write_validation(chosen: Settings, results: Results, pairs: list[tuple[int, int]]) -> None:
    task = chosen.task("toy")
    (results.data("toy") / "binary").mkdir(exist_ok=True)
    for side, language in enumerate(("en", "de")):
        with IndexedWriter(binary_prefix(results.data("toy"), "validation", task, language), 8) as writer:
            for pair in pairs:
                writer.add([4] * (pair[side] - 1) + [2])


def test_a_given_distribution_has_shares_and_each_pair_once(folder: Path, results: Results) -> None:
    assert measured_lengths(TaskScope(Settings(folder=folder), results, "toy")) == ((5, 4, 1.0),)
    given = [[8, 9, 2], [4, 3, 1], [4, 3, 1], [20, 24, 1]]
    found = measured_lengths(TaskScope(Settings({"latency.lengths": given}, folder=folder), results, "toy"))
    assert found == ((4, 3, 0.4), (8, 9, 0.4), (20, 24, 0.2))
    # Weights are relative, and the order is none.
    twice = [[source, target, 2 * weight] for source, target, weight in reversed(given)]
    assert measured_lengths(TaskScope(Settings({"latency.lengths": twice}, folder=folder), results, "toy")) == found


def test_validation_data_are_stood_for_by_parts_of_equal_size(folder: Path, results: Results) -> None:
    chosen = Settings({"latency.lengths": "validation"}, folder=folder)
    with pytest.raises(InputError, match=r"validation\.en-de\.en\.idx"):
        measured_lengths(TaskScope(chosen, results, "toy"))
    rng = np.random.default_rng(1)
    target = rng.integers(2, 60, 1000)
    source = np.maximum(2, target + rng.integers(-5, 6, 1000))
    write_validation(chosen, results, list(zip(source.tolist(), target.tolist(), strict=True)))
    found = measured_lengths(TaskScope(chosen, results, "toy"))
    assert [share for *_, share in found] == [pytest.approx(1 / PARTS)] * PARTS
    assert [steps for _, steps, _ in found] == sorted(steps for _, steps, _ in found)
    # Every length is rounded.
    assert sum(steps * share for _, steps, share in found) == pytest.approx(target.mean(), abs=0.5)
    assert sum(tokens * share for tokens, _, share in found) == pytest.approx(source.mean(), abs=0.5)
    ordered = np.sort(target)
    assert [steps for _, steps, _ in found] == [round(part.mean()) for part in np.array_split(ordered, PARTS)]
    write_validation(chosen, results, [(7, 6)] * 3)
    assert measured_lengths(TaskScope(chosen, results, "toy")) == ((7, 6, 1.0),)
    write_validation(chosen, results, [])
    with pytest.raises(InputError, match=r"^task 'toy': latency.lengths is 'validation', but its validation split is"):
        measured_lengths(TaskScope(chosen, results, "toy"))


@pytest.mark.parametrize(
    "lengths", ["longest", [], [[0, 3, 1]], [[3, 0, 1]], [[3, 3, 0]], [[3, 3]], [[3, 3, 1]] * 21, [[3, 3, "many"]]]
)
def test_lengths_that_are_none_are_refused(folder: Path, lengths: object) -> None:
    (folder / "config.yaml").write_text(yaml.safe_dump({"latency": {"lengths": lengths}}))
    with pytest.raises(InputError, match=r"latency\.lengths"):
        Settings(folder=folder)


def test_a_workload_of_several_lengths() -> None:
    plain = workload(SMALL)
    one = Workload.of(plain.shape, ((30, 30, 1.0),), 5, None)
    assert one == plain
    assert "lengths" not in one.to_dict()
    found = Workload.of(plain.shape, LENGTHS, 5, None)
    assert (found.source_length, found.target_length) == (10, 11)
    assert found.pairs == LENGTHS
    assert Workload.from_dict(json.loads(json.dumps(found.to_dict())), "x") == found
    for lengths in (LENGTHS[:2], [[1, 2]], [[0, 3, 0.5], [1, 1, 0.5]], [[1, 2, 1.0]], 3, [[1, 2, "x"], [1, 3, 0.5]]):
        with pytest.raises(InputError):
            Workload.from_dict({**plain.to_dict(), "lengths": lengths}, "x")


def test_the_shortlist_of_made_networks_costs_as_much_as_the_sentences_own() -> None:
    shape = workload(SMALL).shape
    numbers = range(4, 1000)
    shortlist = Shortlist([5, 6], {token: [token, (token * 31) % 900 + 10] for token in numbers})
    found = Workload.of(shape, LENGTHS, 5, shortlist)
    sizes = [len(shortlist.candidates(synthetic_sentence(1000, source))) for source, *_ in LENGTHS]
    assert len(set(sizes)) == 3
    steps = [(target * share, size) for (_, target, share), size in zip(LENGTHS, sizes, strict=True)]
    exact = sum(step * size for step, size in steps) / sum(step for step, _ in steps)
    assert found.candidates == round(exact)


def test_lengths_take_turns_as_often_each() -> None:
    model = NumpyModel(SearchSpace(SMALL).smallest, seed=1)
    told: list[int] = []
    found = time_sentences(
        model,
        Workload.of(workload(SMALL).shape, LENGTHS, 2, None),
        warmup=1,
        repeats=3,
        tracker=lambda completed, note="": told.append(completed),
    )
    assert model.sentences == [(4, 3, 2), (8, 9, 2), (20, 24, 2)] * 4
    assert len(found.timings_ms) == 9
    assert found.shares == (0.25, 0.5, 0.25)
    assert told == list(range(10))


def measured(shares: tuple[float, ...], *rounds: tuple[float, ...], **values: object) -> Measurement:
    timings = tuple(value for one in rounds for value in one)
    return Measurement(
        timings_ms=timings, processor_ms=timings, load_average=0, measured_at="", shares=shares, **values
    )


timed = st.lists(st.tuples(*[st.floats(0.1, 1e4)] * 3), min_size=1, max_size=7)


@given(timed, timed)
@settings(max_examples=60)
def test_a_latency_is_the_mean_of_the_medians(first: list[tuple], second: list[tuple]) -> None:
    shares = (0.2, 0.5, 0.3)
    for rounds, found in (
        (first, measured(shares, *first)),
        (first + second, Measurement.merged([measured(shares, *first), measured(shares, *second)])),
    ):
        medians = [median(column) for column in zip(*rounds, strict=True)]
        assert found.latency_ms == pytest.approx(np.dot(shares, medians))
        low, high, _ = found.interval_ms
        assert 0 < low <= found.latency_ms * (1 + 1e-12) and high >= found.latency_ms * (1 - 1e-12)
        stored = json.loads(json.dumps(found.to_dict()))
        assert stored["shares"] == list(shares)
        assert Measurement.from_dict(stored, "x") == found


def test_other_lengths_are_no_noise() -> None:
    """Timings that differ by their lengths alone are known exactly."""
    visits = [measured((0.5, 0.25, 0.25), *[(10.0, 40.0, 160.0)] * 6) for _ in range(3)]
    found = Measurement.merged(visits)
    assert found.latency_ms == 55.0
    assert found.interval_ms == pytest.approx((55.0, 55.0, CONFIDENCE))
    assert found.spread_ms == 0.0
    assert replace(found, shares=(1.0,)).spread_ms == 150.0


@pytest.mark.parametrize("visits", [1, 4])
def test_interval_covers_what_differs_between_visits_and_sentences(visits: int) -> None:
    """Of 95 % intervals 95 % hold the middle, with noise of visits and of sentences."""
    rng = np.random.default_rng(visits)
    shares, middle = (0.2, 0.5, 0.3), np.array([20.0, 60.0, 150.0])
    between = 0.03 if visits > 1 else 0.0
    covered, trials = 0, 300
    for _ in range(trials):
        parts = [
            measured(shares, *map(tuple, middle * np.exp(rng.normal(0, between) + rng.normal(0, 0.02, (8, 3)))))
            for _ in range(visits)
        ]
        low, high, confidence = Measurement.merged(parts, 0.03**2 if visits > 1 else None).interval_ms
        assert confidence >= CONFIDENCE - 0.03
        covered += low <= np.dot(shares, middle) <= high
    # Three standard errors of 300 trials; eight sentences reach 93 %.
    assert covered / trials > 0.93 - 0.044


@pytest.mark.parametrize("shares", [(), (0.5, 0.4), (0.5, -0.5, 1.0), (float("nan"), 1.0)])
def test_shares_that_are_none_are_refused(shares: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="shares"):
        measured(shares, (1.0, 2.0, 3.0, 4.0))


def test_a_visit_has_all_lengths() -> None:
    with pytest.raises(InputError, match=r"visits is \[3, 1\], expected multiples of 2"):
        measured((0.5, 0.5), (1.0, 2.0), (3.0, 4.0), visits=(3, 1))


def test_other_lengths_are_other_samples(folder: Path, results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = NumpyRuntime()
    monkeypatch.setattr(hat.runtime, "runtime", lambda *names, **options: runtime)

    def rows(lengths: object) -> list[dict]:
        chosen = Settings({"latency.samples": 5, "latency.shards": 1, "latency.lengths": lengths}, folder=folder)
        stages.choose_architectures(DeviceScope(chosen, results, "toy", "here"))
        return read_jsonl(stages.sample_shard(DeviceScope(chosen, results, "toy", "here"), 0))

    average = rows("average")
    built = len(runtime.built)
    header, *found = rows([list(pair) for pair in LENGTHS])
    assert len(runtime.built) == 2 * built
    assert header["conditions"]["workload"]["lengths"] == [list(pair) for pair in LENGTHS]
    assert header["conditions"]["workload"]["source_length"] == 10
    assert all(len(row["timings_ms"]) == 9 and row["shares"] == [0.25, 0.5, 0.25] for row in found)
    chosen = Settings({"latency.shards": 1}, folder=folder)
    frame = read_parquet(stages.collect_dataset(DeviceScope(chosen, results, "toy", "here")))
    assert {json.loads(text)[2][1] for text in frame["lengths"]} == {24}
    assert read_json(stages.fit_predictor(DeviceScope(chosen, results, "toy", "here")))["workload"]["lengths"][0] == [
        4,
        3,
        0.25,
    ]
    # What is deployed is measured at the same lengths, and says so.
    point = SearchSpace(SMALL).smallest
    results.budget("toy", "here", "20ms").mkdir()
    winner = {"architecture": point.to_dict(), "digest": point.digest, "predicted_latency_ms": 10.0}
    write_json(results.budget("toy", "here", "20ms") / "architecture.json", winner)
    write_folder(results.budget("toy", "here", "20ms") / "model", point)
    chosen = chosen.changed({"latency.lengths": [list(pair) for pair in LENGTHS]})
    latency = read_json(measure_model(BudgetScope(chosen, results, "toy", "here", "20ms")))
    assert latency["conditions"]["workload"] == header["conditions"]["workload"]
    assert len(latency["timings_ms"]) == 3 * 3 * REPEATS
    card = (results.budget("toy", "here", "20ms") / "model" / "README.md").read_text()
    assert "ms per sentence (10 tokens, beam 2, 11 steps, mean of 3 lengths), measured on" in card
    built = len(runtime.built)
    # What was measured before is there when it is asked for again.
    assert rows("average")[1:] == average[1:]
    assert rows([[8, 9, 4], [4, 3, 2], [20, 24, 2]])[1:] == found
    assert len(runtime.built) == built
    assert rows([[8, 9, 2], [4, 3, 2], [20, 24, 2]])[1:] != found


class Answering:
    """What a device answers, whatever it is asked."""

    def __init__(self, answer: dict) -> None:
        self.answer = answer

    def ask(self, *asked: object, **values: object) -> dict:
        return self.answer


def test_a_device_has_to_answer_all_lengths() -> None:
    several = Workload.of(workload(SMALL).shape, LENGTHS, 2, None)
    smallest, right = SearchSpace(SMALL).smallest, measured((0.25, 0.5, 0.25), (1.0, 2.0, 3.0))

    def answered(found: Measurement) -> Measurement:
        connection = SshConnection(device="board", agent=Answering(found.to_dict()), bench={"power": None})
        return connection.measure(smallest, several, 1, 1)

    assert answered(right) == right
    for wrong in (replace(right, shares=(1.0,)), replace(right, shares=(0.5, 0.25, 0.25)), measured((1.0,), (1.0,))):
        with pytest.raises(
            HatError, match=r"^device 'board': it returned [13] timings of [13] lengths, expected 3 of 3$"
        ):
            answered(wrong)

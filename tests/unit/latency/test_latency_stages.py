"""The stages of latency: choosing, measuring with interruptions, dataset, predictor, budgets, the final check."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from toy_device import SMALL, TINY, NumpyRuntime, true_latency_ms, write_configuration, write_dictionaries, write_folder

import hat.runtime
from hat.artifacts.files import read_json, read_jsonl, write_json
from hat.artifacts.layout import Results
from hat.config.scope import BudgetScope, DeviceScope
from hat.config.settings import Settings, budget_ms
from hat.errors import HatError, InputError
from hat.latency import samples, stages
from hat.latency.budgets import print_range
from hat.latency.dataset import read_parquet
from hat.latency.deployed import REPEATS, measure_model
from hat.latency.predictor import whatif
from hat.latency.predictor.features import rows_of
from hat.measure.measurement import Measurement
from hat.report.predictor import draw_accuracy
from hat.space.architecture import Architecture
from hat.space.search_space import SearchSpace


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> NumpyRuntime:
    found = NumpyRuntime()
    monkeypatch.setattr(hat.runtime, "runtime", lambda *names, **options: found, raising=False)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_configuration(tmp_path / "config")


@pytest.fixture
def results(tmp_path: Path) -> Results:
    found = Results(tmp_path / "results")
    write_dictionaries(found)
    return found


def chosen_path(results: Results) -> Path:
    return results.latency("toy", "here") / "architectures.jsonl"


def chosen(results: Results) -> list[Architecture]:
    return stages.read_architectures(chosen_path(results))


def test_architectures_are_different_seeded_and_include_the_extremes(folder: Path, results: Results) -> None:
    settings = Settings(folder=folder)
    path = stages.choose_architectures(DeviceScope(settings, results, "toy", "here"))
    first = chosen(results)
    space = SearchSpace(SMALL)
    assert len(set(first)) == len(first) == 12
    assert {space.largest, space.smallest} <= set(first)
    assert all(architecture in space for architecture in first)
    assert read_jsonl(path)[0]["provenance"]["seed"] == 3
    stages.choose_architectures(DeviceScope(settings, results, "toy", "here"))
    assert chosen(results) == first
    stages.choose_architectures(DeviceScope(Settings({"latency.samples": 20}, folder=folder), results, "toy", "here"))
    assert chosen(results)[:12] == first
    stages.choose_architectures(DeviceScope(Settings({"seed": 4}, folder=folder), results, "toy", "here"))
    assert chosen(results) != first


def test_all_of_a_space_smaller_than_the_samples(
    tmp_path: Path, results: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings({"latency.samples": 10**6}, folder=write_configuration(tmp_path / "tiny", TINY))
    stages.choose_architectures(DeviceScope(settings, results, "toy", "here"))
    assert set(chosen(results)) == set(SearchSpace(TINY).enumerate())
    assert "space 'toy' has 84 Architectures, fewer than latency.samples (1000000)" in capsys.readouterr().err


def test_almost_all_of_a_space(tmp_path: Path, results: Results) -> None:
    settings = Settings({"latency.samples": 83}, folder=write_configuration(tmp_path / "tiny", TINY))
    stages.choose_architectures(DeviceScope(settings, results, "toy", "here"))
    assert len(set(chosen(results))) == 83


def shards(settings: Settings, results: Results) -> list[list[dict]]:
    stages.choose_architectures(DeviceScope(settings, results, "toy", "here"))
    paths = [stages.sample_shard(DeviceScope(settings, results, "toy", "here"), shard) for shard in (0, 1)]
    return [read_jsonl(path) for path in paths]


def test_samples_hold_everything(folder: Path, results: Results, runtime: NumpyRuntime) -> None:
    found = shards(Settings(folder=folder), results)
    rows = [row for shard in found for row in shard[1:]]
    assert {row["digest"] for row in rows} == {architecture.digest for architecture in chosen(results)}
    header = found[0][0]
    assert header["conditions"]["workload"]["source_length"] == 5
    assert header["conditions"]["workload"]["shape"]["target_vocabulary"] == 8
    assert header["conditions"]["runtime_version"]
    for row in rows:
        assert len(row["timings_ms"]) == 3
        assert Architecture.from_dict(row["architecture"]).digest == row["digest"]
        assert row["latency_low_ms"] <= row["latency_ms"] <= row["latency_high_ms"]
        assert row["reference_ms"] > 0
    largest = SearchSpace(SMALL).largest
    # The reference of both shards, before and after, and its own sample.
    assert runtime.built.count(largest) == 5
    assert len(runtime.built) == 16


def test_interrupted_sampling_goes_on_with_the_missing_ones(
    folder: Path, results: Results, runtime: NumpyRuntime
) -> None:
    settings = Settings(folder=folder)
    stages.choose_architectures(DeviceScope(settings, results, "toy", "here"))
    runtime.fail_at = 4
    with pytest.raises(KeyboardInterrupt):
        stages.sample_shard(DeviceScope(settings, results, "toy", "here"), 0)
    latency = results.latency("toy", "here")
    assert not (latency / "samples" / "0.jsonl").exists()
    partial = latency / "partial" / "0.jsonl"
    kept = [row for row in read_jsonl(partial) if row["kind"] == samples.SAMPLE]
    assert len(kept) == 3
    with open(partial, "ab") as stream:
        stream.write(b'{"cut short by a ki')
    runtime.fail_at, before = None, len(runtime.built)
    path = stages.sample_shard(DeviceScope(settings, results, "toy", "here"), 0)
    rows = read_jsonl(path)[1:]
    assert [row["digest"] for row in rows] == [architecture.digest for architecture in chosen(results)[0::2]]
    assert [row["timings_ms"] for row in rows[:3]] == [row["timings_ms"] for row in kept]
    assert len(runtime.built) - before == 5
    stages.sample_shard(DeviceScope(settings, results, "toy", "here"), 0)
    assert len(runtime.built) - before == 5
    assert read_jsonl(path)[1:] == rows


def test_passes_visit_every_architecture_again_in_another_order(
    folder: Path, results: Results, runtime: NumpyRuntime
) -> None:
    shards(Settings(folder=folder), results)
    once = len(runtime.built)
    # Whatever else this machine does meanwhile.
    rules = {"passes": 3, "precision": 1e-9, "interference": 1e9, "drift": 1e9}
    found = shards(Settings({"latency": rules}, folder=folder), results)
    # The first pass is there already; the references of both shards are measured again, before and after.
    assert len(runtime.built) - once == 2 * 12 + 4
    wanted = chosen(results)
    for number, shard in enumerate(found):
        rows = shard[1:]
        assert [row["digest"] for row in rows] == [architecture.digest for architecture in wanted[number::2]]
        visits = read_jsonl(results.latency("toy", "here") / "partial" / f"{number}.jsonl")
        visits = [row for row in visits if row["kind"] == samples.SAMPLE]
        orders = [[row["digest"] for row in visits[first : first + 6]] for first in (0, 6, 12)]
        assert all(sorted(order) == sorted(orders[0]) for order in orders)
        assert len({tuple(order) for order in orders}) == 3
        for row in rows:
            timings = [visit["timings_ms"] for visit in visits if visit["digest"] == row["digest"]]
            assert row["timings_ms"] == timings[0] + timings[1] + timings[2]


def test_other_conditions_start_anew_and_return_to_what_is_there(
    folder: Path, results: Results, runtime: NumpyRuntime
) -> None:
    first = shards(Settings(folder=folder), results)
    count = len(runtime.built)
    other = shards(Settings({"latency.repeats": 4}, folder=folder), results)
    assert len(runtime.built) == 2 * count
    assert all(len(row["timings_ms"]) == 4 for shard in other for row in shard[1:])
    again = shards(Settings(folder=folder), results)
    assert len(runtime.built) == 2 * count
    assert [shard[1:] for shard in again] == [shard[1:] for shard in first]


def test_more_samples_measure_only_the_new_ones(folder: Path, results: Results, runtime: NumpyRuntime) -> None:
    shards(Settings(folder=folder), results)
    before = len(runtime.built)
    shards(Settings({"latency.samples": 16}, folder=folder), results)
    # Four new ones, and the reference before and after them in each shard.
    assert len(runtime.built) - before == 8


def test_reference_is_measured_again_and_again(
    folder: Path, results: Results, runtime: NumpyRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples, "REFERENCE_EVERY", 2)
    shards(Settings(folder=folder), results)
    partial = read_jsonl(results.latency("toy", "here") / "partial" / "0.jsonl")
    assert [row["kind"] for row in partial].count(samples.REFERENCE) == 4


@pytest.mark.parametrize("shard", [-1, 2])
def test_unknown_shard(folder: Path, results: Results, runtime: NumpyRuntime, shard: int) -> None:
    with pytest.raises(InputError, match=r"expected 0 to 1 \(latency.shards is 2\)"):
        stages.sample_shard(DeviceScope(Settings(folder=folder), results, "toy", "here"), shard)


def test_device_that_cannot_be_reached(folder: Path, results: Results, runtime: NumpyRuntime) -> None:
    settings = Settings(folder=folder)
    for step in (
        lambda device: stages.choose_architectures(DeviceScope(settings, results, "toy", device)),
        lambda device: stages.sample_shard(DeviceScope(settings, results, "toy", device), 0),
        lambda device: measure_model(BudgetScope(settings, results, "toy", device, "5ms")),
    ):
        with pytest.raises(HatError, match=r"^device 'board': no host is configured; set `host` in .*board\.yaml"):
            step("board")
        with pytest.raises(InputError, match="expected one of board, far, here"):
            step("near")
    assert not (results.root / "toy" / "board").exists()


@pytest.fixture
def exact(runtime: NumpyRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device whose latency is ``true_latency_ms``."""

    def measured(model: object, workload: object, *, warmup: int, repeats: int, **others: object) -> Measurement:
        latency = true_latency_ms(runtime.built[-1])
        timings = tuple(latency * (1 + 0.001 * (index - repeats // 2)) for index in range(repeats))
        return Measurement(
            timings_ms=timings, processor_ms=timings, load_average=0.1, measured_at="2024-01-01T00:00:00Z"
        )

    monkeypatch.setattr("hat.measure.bench.time_sentences", measured)


@pytest.fixture
def predicted(folder: Path, results: Results, exact: None) -> Settings:
    """All stages up to the predictor."""
    settings = Settings({"latency.samples": 60}, folder=folder)
    shards(settings, results)
    stages.collect_dataset(DeviceScope(settings, results, "toy", "here"))
    stages.fit_predictor(DeviceScope(settings, results, "toy", "here"))
    return settings


def test_dataset_and_predictor(predicted: Settings, results: Results) -> None:
    frame = read_parquet(results.latency("toy", "here") / "dataset.parquet")
    assert len(frame) == 60
    assert frame["device"].unique().tolist() == ["here"]
    assert frame.attrs["provenance"]["seed"] == 3
    first = Architecture.from_json(frame["architecture"][0])
    assert frame["latency_ms"][0] == pytest.approx(true_latency_ms(first))
    errors = read_json(results.predictor("toy", "here") / "errors.json")
    assert (errors["rows"], errors["model"]) == (60, "linear")
    # The largest, the smallest and every other one were not drawn at random, so they are not held out.
    drawn = [row["digest"] for row in read_jsonl(chosen_path(results))[1:] if row["origin"] == "random"]
    assert len(drawn) == 29
    assert sorted(pair["digest"] for pair in errors["held_out"]) == sorted(drawn)
    assert errors["held_out_rows"] == 29
    assert errors["train_rows"] == 60 - 6
    assert errors["bound"]["method"] == "cross"
    assert errors["bound"]["coverage"] > 0.85
    assert [row["rows"] for row in errors["learning_curve"]] == sorted(row["rows"] for row in errors["learning_curve"])
    assert errors["mape_percent"] < 2
    assert errors["kendall_tau"] > 0.9
    assert 0 < errors["noise_floor"]["mape_percent"] < 0.2
    assert errors["reference_drift_percent"] == 0
    predictor = stages.load_predictor(DeviceScope(predicted, results, "toy", "here"))
    pair = errors["held_out"][0]
    architecture = next(point for point in chosen(results) if point.digest == pair["digest"])
    assert predictor.predict([architecture])[0] == pytest.approx(pair["measured_ms"], rel=0.05)


def test_sampling_ends_at_the_target_and_goes_on_for_a_lower_one(
    exact: None, results: Results, runtime: NumpyRuntime, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings({"latency.samples": 60, "latency.shards": 1, "latency.target_error": "5%"}, folder=folder)
    stages.choose_architectures(DeviceScope(settings, results, "toy", "here"))
    path = stages.sample_shard(DeviceScope(settings, results, "toy", "here"), 0)
    header, *rows = read_jsonl(path)
    assert len(rows) == 30
    assert [row["digest"] for row in rows] == [point.digest for point in chosen(results)[:30]]
    assert header["stopped"]["reason"] == "target"
    assert "stopped after 30 samples, held-out error" in capsys.readouterr().err
    before = len(runtime.built)
    stages.sample_shard(DeviceScope(settings, results, "toy", "here"), 0)
    assert len(runtime.built) == before
    header, *rows = read_jsonl(stages.sample_shard(DeviceScope(settings, results, "toy", "here"), 0, "0.001%"))
    assert header["stopped"]["reason"] in ("flat", "samples")
    assert header["stopped"]["target_percent"] == 0.001
    assert len(rows) >= 30


@pytest.mark.parametrize("target", ["soon", "0%", "-2%", "2", ""])
def test_target_that_is_none(folder: Path, results: Results, runtime: NumpyRuntime, target: str) -> None:
    with pytest.raises(InputError, match=f"target error '{target}': expected a percentage above zero, such as 2%"):
        stages.sample_shard(DeviceScope(Settings(folder=folder), results, "toy", "here"), 0, target)


def test_target_needs_one_shard(folder: Path, results: Results, runtime: NumpyRuntime) -> None:
    with pytest.raises(InputError, match=r"target error with latency.shards 2: expected 1 shard"):
        stages.sample_shard(DeviceScope(Settings(folder=folder), results, "toy", "here"), 0, "2%")


def test_what_if_and_figure(predicted: Settings, results: Results, tmp_path: Path) -> None:
    space = SearchSpace(SMALL)
    found = whatif.predict_architecture(DeviceScope(predicted, results, "toy", "here"), space.largest)
    assert math.fsum(part["latency_ms"] for part in found["components"]) == found["predicted_latency_ms"]
    assert found["upper_bound_ms"] >= found["predicted_latency_ms"] > 0
    assert found["predicted_latency_ms"] == pytest.approx(true_latency_ms(space.largest), rel=0.05)
    assert found["outside_space"] == []
    beyond = replace(space.largest, encoder_embed_dim=64)
    found = whatif.predict_architecture(DeviceScope(predicted, results, "toy", "here"), beyond)
    assert found["outside_space"] == ["encoder_embed_dim is 64, expected one of [48, 32]"]
    with pytest.raises(InputError, match=r"decoder_cross_span: 3, expected at most the encoder's 2 layers"):
        whatif.predict_architecture(
            DeviceScope(predicted, results, "toy", "here"), replace(space.largest, decoder_cross_span=(3, 1))
        )
    file = tmp_path / "architecture.json"
    write_json(file, space.largest.to_dict())
    assert whatif.architecture_argument(str(file)) == space.largest
    assert whatif.architecture_argument(space.largest.to_json()) == space.largest
    for wrong, message in ((str(tmp_path / "none.json"), "no such file"), ("{1", "ARCHITECTURE: not JSON")):
        with pytest.raises(InputError, match=message):
            whatif.architecture_argument(wrong)
    paths = draw_accuracy(DeviceScope(predicted, results, "toy", "here"))
    assert [path.name for path in paths] == ["accuracy.pdf", "accuracy.png", "accuracy.csv"]
    first = paths[0].read_bytes()
    assert len(paths[2].read_text().splitlines()) == 30
    assert draw_accuracy(DeviceScope(predicted, results, "toy", "here"))[0].read_bytes() == first


def test_range_and_budgets(predicted: Settings, results: Results) -> None:
    found = stages.latency_range(DeviceScope(predicted, results, "toy", "here"), count=500)
    latencies = [found[name]["predicted_latency_ms"] for name in ("fastest", "median", "slowest")]
    assert latencies == sorted(latencies)
    predictor = stages.load_predictor(DeviceScope(predicted, results, "toy", "here"))
    everything = rows_of(list(SearchSpace(SMALL).enumerate()), predictor.workload)
    assert latencies[0] == pytest.approx(predictor.regression.predict(everything).min())
    assert latencies[2] == pytest.approx(predictor.regression.predict(everything).max())
    path = stages.choose_budgets(DeviceScope(predicted, results, "toy", "here"))
    budgets = [budget_ms(budget) for budget in read_json(path)["budgets"]]
    assert len(budgets) == 3
    least, most = found["safe_budgets_ms"]
    assert least == pytest.approx(predictor.bound.upper(predictor.regression, everything).min())
    assert latencies[0] <= least < budgets[0] < budgets[1] < budgets[2] < most


def test_budgets_come_first_when_the_range_is_printed(
    predicted: Settings, results: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    found = stages.latency_range(DeviceScope(predicted, results, "toy", "here"), count=500)
    print_range("toy on here", found, ["11ms", "20ms"])
    lines = capsys.readouterr().out.splitlines()
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if line.startswith("│")]
    least, most = found["safe_budgets_ms"]
    assert rows[:5] == [
        ["smallest budget that can be met", f"{least:.4g} ms"],
        ["budget that even the slowest meets", f"{most:.4g} ms"],
        ["chosen budgets", "11ms, 20ms"],
        ["predicted, ms", *(f"{found[name]['predicted_latency_ms']:.4g}" for name in ("fastest", "median", "slowest"))],
        ["upper bound, ms", *(f"{found[name]['upper_bound_ms']:.4g}" for name in ("fastest", "median", "slowest"))],
    ]
    assert "encoder_embed_dim" in [row[0] for row in rows]


def test_deployed_model_is_measured(predicted: Settings, results: Results) -> None:
    architecture = SearchSpace(SMALL).smallest
    budget = results.budget("toy", "here", "20ms")
    budget.mkdir()
    content = {"architecture": architecture.to_dict(), "digest": architecture.digest, "predicted_latency_ms": 10.0}
    write_json(budget / "architecture.json", content)
    with pytest.raises(InputError, match=r"model is missing; `snakemake .*/model/model\.json` makes it"):
        measure_model(BudgetScope(predicted, results, "toy", "here", "20ms"))
    write_folder(results.budget("toy", "here", "20ms") / "model", architecture)
    description = results.budget("toy", "here", "20ms") / "model" / "model.json"
    stamp = description.stat().st_mtime_ns
    found = json.loads(measure_model(BudgetScope(predicted, results, "toy", "here", "20ms")).read_text())
    assert read_json(description)["figures"]["latency_ms"] == found["latency_ms"]
    assert (
        f"{found['latency_ms']:.1f} ms per sentence (5 tokens, beam 2" in (description.parent / "README.md").read_text()
    )
    # Snakemake takes what is newer than its outputs for changed.
    assert description.stat().st_mtime_ns == stamp
    assert len(found["timings_ms"]) == REPEATS * 3
    assert found["within_budget"] == (found["latency_ms"] <= 20)
    assert found["conditions"]["repeats"] == REPEATS * 3
    with pytest.raises(InputError, match="budget 'soon'"):
        measure_model(BudgetScope(predicted, results, "toy", "here", "soon"))


def test_steps_that_are_missing_are_named(folder: Path, results: Results, runtime: NumpyRuntime) -> None:
    settings = Settings(folder=folder)
    with pytest.raises(InputError, match=r"architectures\.jsonl: no such file"):
        stages.sample_shard(DeviceScope(settings, results, "toy", "here"), 0)
    with pytest.raises(InputError, match=r"0\.jsonl: no such file"):
        stages.collect_dataset(DeviceScope(settings, results, "toy", "here"))
    with pytest.raises(InputError, match=r"dataset\.parquet: no such file"):
        stages.fit_predictor(DeviceScope(settings, results, "toy", "here"))
    with pytest.raises(InputError, match=r"predictor\.json: no such file"):
        stages.choose_budgets(DeviceScope(settings, results, "toy", "here"))

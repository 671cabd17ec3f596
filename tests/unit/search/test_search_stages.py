"""The stages of search: their artifacts, from a predictor, a stand-in for the SuperTransformer, and a made device."""

from pathlib import Path

import pytest
from toy_device import SMALL, FakeDevice, true_latency_ms, workload, write_configuration, write_dictionaries
from toy_search import Counting

from hat.artifacts.files import read_json, read_jsonl, write_json
from hat.artifacts.layout import Results
from hat.config.scope import BudgetScope, DeviceScope, TaskScope
from hat.config.settings import Settings
from hat.data.task_shape import task_shape
from hat.errors import HatError, InputError
from hat.latency.dataset import read_parquet
from hat.latency.predictor.predictor import LatencyPredictor
from hat.search import stages, verify, workers
from hat.search.front_stage import search_front
from hat.search.random_stage import random_search
from hat.search.verify import verdict_note
from hat.space.architecture import Architecture
from hat.space.profile import Profile
from hat.space.search_space import SearchSpace

DEFAULT = {"search": {"algorithm": "surrogate"}}


@pytest.fixture
def losses(monkeypatch: pytest.MonkeyPatch) -> Counting:
    """Losses without a SuperTransformer; ``loaded`` counts how often it would have been read."""
    made = Counting(value=lambda point: 1000 / (100 + sum(point.decoder_ffn_dim) + point.decoder_embed_dim), blocks=20)
    made.loaded = 0

    def load(scope, objective):
        made.loaded += 1
        return made

    monkeypatch.setattr(workers, "objective_of", load)
    return made


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> FakeDevice:
    made = FakeDevice()
    monkeypatch.setattr(verify, "connect", made)
    return made


def settings_in(folder: Path, overrides=None) -> Settings:
    path = folder / "config"
    return Settings(overrides or {}, path if path.exists() else write_configuration(path))


@pytest.fixture
def results(tmp_path: Path) -> Results:
    found = Results(tmp_path / "results")
    points = list(SearchSpace(SMALL).enumerate())[::40]
    predictor = LatencyPredictor.fit(workload(SMALL), points, [true_latency_ms(point) for point in points])
    write_json(found.predictor("toy", "here") / "predictor.json", predictor.to_dict())
    write_json(found.predictor("toy", "here") / "errors.json", {"held_out": []})
    found.supertransformer("toy").mkdir(parents=True)
    (found.supertransformer("toy") / "checkpoint.pt").write_bytes(b"weights")
    write_dictionaries(found)
    return found


def without_time(path: Path) -> str:
    return path.read_text().replace(read_json(path)["provenance"]["created"], "")


def test_published_search(tmp_path: Path, results: Results, losses: Counting, device: FakeDevice) -> None:
    settings = settings_in(tmp_path)
    path = stages.search(BudgetScope(settings, results, "toy", "here", "20ms"))
    found = read_json(path)
    frame = read_parquet(results.budget("toy", "here", "20ms") / "search.parquet")
    assert len(frame) == found["why"]["evaluated"] == losses.calls.total() == 12 + 3 * 8
    assert frame["validation_loss"].min() == found["validation_loss"]
    assert (frame["predicted_latency_ms"] <= 20).all()
    winner = Architecture.from_dict(found["architecture"])
    assert winner in SearchSpace(SMALL)
    assert winner.digest == found["digest"]
    assert found["predicted_latency_ms"] <= found["bound_ms"] <= found["budget_ms"] == 20
    assert found["why"]["runner_up"]["margin"] >= 0
    assert found["provenance"]["seed"] == 3
    assert set(frame["generation"]) == {0, 1, 2, 3}
    assert found["verification"]["status"] == "met"
    assert found["measured_latency_ms"] == pytest.approx(true_latency_ms(winner))
    assert verdict_note(found) is None
    content = without_time(path)
    measured = len(device.measured)
    assert without_time(stages.search(BudgetScope(settings, results, "toy", "here", "20ms"))) == content
    # Neither evaluated nor measured again.
    assert (losses.calls.total(), len(device.measured)) == (36, measured)
    assert results.search("toy", "here").exists()
    with pytest.raises(InputError, match="'genetic' searches for one budget at a time"):
        search_front(DeviceScope(settings, results, "toy", "here"))


def test_one_search_serves_all_budgets(tmp_path: Path, results: Results, losses: Counting, device: FakeDevice) -> None:
    settings = settings_in(tmp_path, DEFAULT)
    report = read_json(search_front(DeviceScope(settings, results, "toy", "here")))
    assert losses.calls.total() == report["evaluated"] == 30
    front = read_parquet(results.search("toy", "here") / "front.parquet")
    assert front["bound_ms"].is_monotonic_increasing
    assert front["validation_loss"].is_monotonic_decreasing
    found = {}
    for number, budget in enumerate(("17ms", "18ms", "19ms", "500ms"), start=1):
        found[budget] = read_json(stages.search(BudgetScope(settings, results, "toy", "here", budget)))
        assert losses.calls.total() <= 30 + 6 * number
        frame = read_parquet(results.budget("toy", "here", budget) / "search.parquet")
        assert (frame["bound_ms"] <= found[budget]["budget_ms"]).all()
        assert found[budget]["verification"]["status"] == "met"
        assert found[budget]["measured_latency_ms"] <= found[budget]["budget_ms"]
    ordered = [entry["validation_loss"] for entry in found.values()]
    assert ordered == sorted(ordered, reverse=True)
    # One after the other or alone: a budget's result is its own.
    alone = Results(tmp_path / "alone")
    (tmp_path / "results" / "toy").rename(tmp_path / "kept")
    for name in ("here/predictor", "here/search", "supertransformer", "data"):
        target = alone.root / "toy" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "kept" / name).rename(target)
    (alone.search("toy", "here") / "measurements.jsonl").unlink()
    again = read_json(stages.search(BudgetScope(settings, alone, "toy", "here", "19ms")))
    assert {**again, "provenance": 0} == {**found["19ms"], "provenance": 0}


def test_another_device_reuses_evaluations(
    tmp_path: Path, results: Results, losses: Counting, device: FakeDevice
) -> None:
    settings = settings_in(tmp_path, DEFAULT)
    search_front(DeviceScope(settings, results, "toy", "here"))
    for name in ("predictor.json", "errors.json"):
        write_json(results.predictor("toy", "far") / name, read_json(results.predictor("toy", "here") / name))
    search_front(DeviceScope(settings, results, "toy", "far"))
    assert losses.calls.total() == 30
    one, other = (read_parquet(results.search("toy", name) / "candidates.parquet") for name in ("here", "far"))
    assert one.equals(other)


def test_the_search_goes_on_where_nothing_meets_the_budget(
    tmp_path: Path, results: Results, losses: Counting, device: FakeDevice
) -> None:
    device.slowdown = 1.25
    settings = settings_in(tmp_path, DEFAULT)
    search_front(DeviceScope(settings, results, "toy", "here"))
    found = read_json(stages.search(BudgetScope(settings, results, "toy", "here", "20ms")))
    assert found["verification"]["status"] == "met"
    assert found["verification"]["corrections"] == [pytest.approx(1.25, rel=0.05)]
    assert found["verification"]["rank"] > 3
    assert found["why"]["runner_up"]["margin"] < 0
    winner = Architecture.from_dict(found["architecture"])
    assert found["measured_latency_ms"] == pytest.approx(1.25 * true_latency_ms(winner))
    assert found["measured_latency_ms"] <= 20
    rows = read_jsonl(results.search("toy", "here") / "measurements.jsonl")
    assert [row["latency_ms"] for row in rows] == [1.25 * true_latency_ms(point) for point in device.measured]


def test_a_device_that_became_too_slow(tmp_path: Path, results: Results, losses: Counting, device: FakeDevice) -> None:
    device.slowdown = 50.0
    settings = settings_in(tmp_path)
    found = read_json(stages.search(BudgetScope(settings, results, "toy", "here", "20ms")))
    assert found["verification"]["status"] == "not met"
    measured = [entry["measured_latency_ms"] for entry in found["verification"]["measured"]]
    assert found["measured_latency_ms"] == min(measured) > 20
    assert "found nothing that meets it" in verdict_note(found)


def test_a_device_that_cannot_be_reached(
    tmp_path: Path, results: Results, losses: Counting, device: FakeDevice
) -> None:
    device.unplugged = "device 'here': no route to host"
    found = read_json(stages.search(BudgetScope(settings_in(tmp_path), results, "toy", "here", "20ms")))
    assert found["verification"]["status"] == "unverified"
    assert found["measured_latency_ms"] is None
    assert verdict_note(found) == "unverified: device 'here': no route to host"
    quiet = settings_in(tmp_path, {"search": {"verify": 0}})
    device.unplugged = None
    assert (
        read_json(stages.search(BudgetScope(quiet, results, "toy", "here", "20ms")))["verification"]["status"]
        == "unverified"
    )
    assert not device.measured


def test_limits(tmp_path: Path, results: Results, losses: Counting, device: FakeDevice) -> None:
    shape = task_shape(TaskScope(settings_in(tmp_path), results, "toy"))

    def millions(content):
        return Profile.of(Architecture.from_dict(content["architecture"]), shape, 5).params / 1e6

    free = read_json(stages.search(BudgetScope(settings_in(tmp_path), results, "toy", "here", "30ms")))
    limit = 0.8 * millions(free)
    limited = settings_in(tmp_path, {"search": {"limits": {"params_m": limit}}})
    found = read_json(stages.search(BudgetScope(limited, results, "toy", "here", "30ms")))
    assert millions(found) <= limit < millions(free)
    with pytest.raises(HatError, match=r"above search\.limits"):
        impossible = settings_in(tmp_path, {"search": {"limits": {"weights_mb": 0.001}}})
        stages.search(BudgetScope(impossible, results, "toy", "here", "30ms"))


def test_new_weights_are_searched_anew(tmp_path: Path, results: Results, losses: Counting, device: FakeDevice) -> None:
    settings = settings_in(tmp_path)
    stages.search(BudgetScope(settings, results, "toy", "here", "20ms"))
    (results.supertransformer("toy") / "checkpoint.pt").write_bytes(b"other weights")
    stages.search(BudgetScope(settings, results, "toy", "here", "20ms"))
    assert losses.calls.total() == 72


def test_impossible_and_missing(tmp_path: Path, results: Results, losses: Counting, device: FakeDevice) -> None:
    settings = settings_in(tmp_path)
    with pytest.raises(HatError, match=r"^budget 0\.5ms on device 'here': no Architecture of the space is that fast"):
        stages.search(BudgetScope(settings, results, "toy", "here", "0.5ms"))
    assert losses.loaded == 0
    with pytest.raises(InputError, match="budget 'fast'"):
        stages.search(BudgetScope(settings, results, "toy", "here", "fast"))
    with pytest.raises(InputError, match=r"search/candidates\.parquet: no such file"):
        stages.search(BudgetScope(settings_in(tmp_path, DEFAULT), results, "toy", "here", "20ms"))
    (results.supertransformer("toy") / "checkpoint.pt").unlink()
    with pytest.raises(InputError, match=r"checkpoint\.pt is missing; `snakemake .*checkpoint\.pt` makes it"):
        stages.search(BudgetScope(settings, results, "toy", "here", "20ms"))


def test_random_search_has_as_many_evaluations(
    tmp_path: Path, results: Results, losses: Counting, device: FakeDevice
) -> None:
    settings = settings_in(tmp_path, DEFAULT)
    folder = results.budget("toy", "here", "20ms")
    with pytest.raises(InputError, match=rf"{folder}/search.parquet is missing; `snakemake {folder}/search.parquet`"):
        random_search(BudgetScope(settings, results, "toy", "here", "20ms"))
    search_front(DeviceScope(settings, results, "toy", "here"))
    stages.search(BudgetScope(settings, results, "toy", "here", "20ms"))
    searched, calls = read_parquet(folder / "search.parquet"), losses.calls.total()
    frame = read_parquet(random_search(BudgetScope(settings, results, "toy", "here", "20ms")))
    assert len(frame) == 1 + searched["order"].max() > len(searched)
    assert frame["digest"].is_unique and frame["whole"].all() and set(frame["origin"]) == {"sampled"}
    assert (frame["bound_ms"] <= 20).all()
    assert set(frame["digest"]) != set(searched["digest"])
    # What the search knew already is in the cache.
    known = set(frame["digest"]) & {point.digest for point in losses.calls}
    assert len(known) == len(frame) and max(losses.calls.values()) == 1
    again, calls = losses.calls.total(), losses.calls.total() - calls
    assert 0 < calls <= len(frame)
    assert read_parquet(random_search(BudgetScope(settings, results, "toy", "here", "20ms"))).equals(frame)
    assert losses.calls.total() == again

"""The stage of search: its artifacts, from a predictor and a stand-in for the SuperTransformer."""

from pathlib import Path

import pytest
from toy_device import SMALL, true_latency_ms, workload, write_configuration

from hat.artifacts import read_json, write_json
from hat.errors import HatError, InputError
from hat.latency.dataset import read_parquet
from hat.latency.predictor import LatencyPredictor
from hat.layout import Results
from hat.search import stages
from hat.settings import Settings
from hat.space import Architecture, SearchSpace


class StandIn:
    """Losses without a SuperTransformer; counts how often it is loaded and asked."""

    loaded = asked = 0

    def __init__(self, settings: Settings, results: Results, task: str) -> None:
        type(self).loaded += 1

    def __call__(self, architecture: Architecture) -> float:
        type(self).asked += 1
        return 1000 / (100 + sum(architecture.decoder_ffn_dim) + architecture.decoder_embed_dim)


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> type[StandIn]:
    monkeypatch.setattr(stages, "InheritedLoss", StandIn)
    monkeypatch.setattr(StandIn, "loaded", 0)
    monkeypatch.setattr(StandIn, "asked", 0)
    return StandIn


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(folder=write_configuration(tmp_path / "config"))


@pytest.fixture
def results(tmp_path: Path) -> Results:
    found = Results(tmp_path / "results")
    points = list(SearchSpace(SMALL).enumerate())[::40]
    predictor = LatencyPredictor.fit(workload(SMALL), points, [true_latency_ms(point) for point in points])
    write_json(found.predictor("toy", "here") / "predictor.json", predictor.to_dict())
    found.supertransformer("toy").mkdir(parents=True)
    (found.supertransformer("toy") / "checkpoint.pt").write_bytes(b"weights")
    return found


def test_artifacts(settings: Settings, results: Results, stand_in: type[StandIn]) -> None:
    path = stages.search(settings, results, "toy", "here", "20ms")
    found = read_json(path)
    frame = read_parquet(results.budget("toy", "here", "20ms") / "search.parquet")
    assert len(frame) == found["why"]["evaluated"] == stand_in.asked == 12 + 3 * 8
    assert frame["validation_loss"].min() == found["validation_loss"]
    assert (frame["predicted_latency_ms"] <= 20).all()
    winner = Architecture.from_dict(found["architecture"])
    assert winner in SearchSpace(SMALL)
    assert winner.digest == found["digest"]
    assert found["predicted_latency_ms"] <= found["budget_ms"] == 20
    assert found["why"]["runner_up"]["margin"] >= 0
    assert found["provenance"]["seed"] == 3
    assert set(frame["generation"]) == {0, 1, 2, 3}
    content = path.read_text().replace(found["provenance"]["created"], "")
    again = stages.search(settings, results, "toy", "here", "20ms")
    assert again.read_text().replace(read_json(again)["provenance"]["created"], "") == content
    assert (stand_in.loaded, stand_in.asked) == (1, 36)


def test_new_weights_are_searched_anew(settings: Settings, results: Results, stand_in: type[StandIn]) -> None:
    stages.search(settings, results, "toy", "here", "20ms")
    (results.supertransformer("toy") / "checkpoint.pt").write_bytes(b"other weights")
    stages.search(settings, results, "toy", "here", "20ms")
    assert stand_in.asked == 72


def test_impossible_and_missing(settings: Settings, results: Results, stand_in: type[StandIn]) -> None:
    with pytest.raises(HatError, match=r"^budget 0\.5ms on device 'here': no Architecture of the space is that fast"):
        stages.search(settings, results, "toy", "here", "0.5ms")
    assert stand_in.loaded == 0
    with pytest.raises(InputError, match="budget 'fast'"):
        stages.search(settings, results, "toy", "here", "fast")
    (results.supertransformer("toy") / "checkpoint.pt").unlink()
    with pytest.raises(InputError, match=r"checkpoint\.pt: no such file; it is made by training the SuperTransformer"):
        stages.search(settings, results, "toy", "here", "20ms")

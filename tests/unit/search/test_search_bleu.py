"""A search for BLEU on real networks: its artifacts hold its values under their own name, and losses as losses."""

import pandas as pd
import pytest
import torch
from toy_device import FakeDevice, true_latency_ms
from toy_training import make_project

from hat.artifacts.files import read_json, read_jsonl, write_json
from hat.config.scope import BudgetScope
from hat.config.settings import Settings
from hat.data.corpora.splits import raw_path
from hat.data.stages import codes_path
from hat.data.task_shape import task_shape
from hat.data.validation_texts import ValidationTexts
from hat.errors import InputError
from hat.latency.predictor.predictor import LatencyPredictor
from hat.measure.workload import workload_of
from hat.model.supertransformer import SuperTransformer
from hat.report.drawings.search import search_of
from hat.report.style import styled
from hat.runtime.decoding import configured_decoding
from hat.runtime.torch.runtime import TorchModel
from hat.schemas.catalogue import artifact
from hat.search import stages, verify
from hat.search.bleu_objective import BleuOfInherited
from hat.search.context import evaluation_context
from hat.search.front_stage import search_front
from hat.search.random_stage import random_search
from hat.search.tables import read_candidates
from hat.space.architecture import Architecture
from hat.space.search_space import SearchSpace
from hat.train.inherited_loss import InheritedLoss
from hat.train.stages import train_supertransformer

SEARCH = {
    "objective": "bleu",
    "validation_sentences": 20,
    "workers": 1,
    "evaluations": 8,
    "levels": 2,
    "top_up": 2,
    "verify": 2,
}


def say_something(scope):
    """Random weights for the SuperTransformer, and validation references that the smallest network half meets."""
    # So small a network, trained, ends every sentence at once.
    path = scope.supertransformer / "checkpoint.pt"
    checkpoint = torch.load(path, weights_only=True)
    torch.manual_seed(1)
    for tensor in checkpoint["model"].values():
        tensor.normal_()
    torch.save(checkpoint, path)
    codes_path(scope.data).write_text("#version: 0.2\nw 0</w>\n")
    raw = raw_path(scope.data, "validation", "de")
    raw.parent.mkdir()
    raw.write_text("none\n" * 40)
    texts, decoding = ValidationTexts(scope, 40), configured_decoding(scope.task_settings.scoring)
    space = SearchSpace(scope.space)
    parent = SuperTransformer(space, task_shape(scope))
    parent.load_state_dict(checkpoint["model"])
    sources = [texts.split.source[number].tolist() for number in range(40)]
    said = TorchModel(parent.extract(space.smallest)).translate(sources, decoding)
    lines = texts.decoded([best.tokens for best in said])
    raw.write_text("".join(f"{line if number % 2 else 'none'}\n" for number, line in enumerate(lines)))


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A budget that was searched for BLEU, at random too."""
    settings, results = make_project(tmp_path_factory.mktemp("bleu"))
    (settings.folder / "devices/here.yaml").write_text("connection: local\nshortlist: false\n")
    training = {"updates": 1, "validate_every": 1, "save_every": 1, "average_checkpoints": 1}
    settings = Settings({"tasks": {"toy": {"search": SEARCH, "supertransformer": training}}}, settings.folder)
    scope = BudgetScope(settings, results, "toy", "here", "500ms")
    train_supertransformer(scope)
    say_something(scope)
    points = list(SearchSpace(scope.space).enumerate())[::20]
    workload = workload_of(scope)
    predictor = LatencyPredictor.fit(workload, points, [true_latency_ms(point) for point in points])
    write_json(scope.predictor / "predictor.json", predictor.to_dict())
    write_json(scope.predictor / "errors.json", {"held_out": []})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verify, "connect", FakeDevice())
        search_front(scope)
        stages.search(scope)
        random_search(scope)
        yield scope


def keys_of(value):
    """All keys of a JSON value, at any depth."""
    if isinstance(value, dict):
        return {*value, *(key for entry in value.values() for key in keys_of(entry))}
    return {key for entry in value for key in keys_of(entry)} if isinstance(value, list) else set()


def test_values_of_bleu_are_no_losses(searched):
    folder, search = searched.folder, searched.search
    bleu = BleuOfInherited(searched)

    for name, path in (
        ("architecture", folder / "architecture.json"),
        ("front", search / "front.json"),
        ("evaluations", searched.evaluations),
    ):
        assert artifact(name).problems(path) == []

    winner = read_json(folder / "architecture.json")
    own = bleu.bleu(architecture := Architecture.from_dict(winner["architecture"]))
    assert winner["objective"] == "bleu" and winner["validation_bleu"] == pytest.approx(own)
    assert 0 < own < 100
    assert winner["validation_loss"] == pytest.approx(InheritedLoss(searched)(architecture))
    measured = winner["verification"]["measured"]
    assert {known["objective"] for known in measured} == {"bleu"}
    assert measured[0]["objective_value"] == pytest.approx(100 - own)
    second = winner["why"]["runner_up"]
    assert second["objective"] == "bleu"
    assert second["objective_value"] == pytest.approx(100 - bleu.bleu(Architecture.from_dict(second["architecture"])))
    assert second["margin"] == pytest.approx(second["objective_value"] - (100 - own))
    assert "validation_loss" not in keys_of(winner["verification"]) | keys_of(winner["why"])

    front = read_json(search / "front.json")
    corner = front["hypervolume_reference"]
    assert (front["halving"], corner["objective"]) == (None, "bleu")
    tables = {
        path: pd.read_parquet(path)
        for path in (
            *(search / f"{name}.parquet" for name in ("candidates", "front")),
            *(folder / f"{name}.parquet" for name in ("search", "random-search")),
        )
    }
    for path, frame in tables.items():
        assert set(frame["objective"]) == {"bleu"}
        assert frame["objective_value"].between(0, 100).all()
        assert not {"validation_loss", "loss_error", "tokens"} & set(frame)
        assert [found.objective_value for found in read_candidates(path, "bleu")] == frame["objective_value"].tolist()
        with pytest.raises(InputError, match="columns loss_error, tokens, validation_loss are missing"):
            read_candidates(path, "loss")
    assert corner["objective_value"] == tables[search / "candidates.parquet"]["objective_value"].max()
    assert 100 - own == pytest.approx(tables[folder / "search.parquet"]["objective_value"].min())
    rows = read_jsonl(searched.evaluations)
    assert rows and all(set(row) == {"architecture", "context", "objective", "objective_value"} for row in rows)


def test_evaluations_of_bleu_are_kept(searched):
    kept = searched.evaluations.read_text()
    path = searched.folder / "search.parquet"
    before = pd.read_parquet(path)
    stages.search(searched)
    assert searched.evaluations.read_text() == kept
    assert pd.read_parquet(path).equals(before)


def test_evaluations_of_other_translations_are_others(searched):
    def context(**scoring):
        task = {"search": SEARCH, "scoring": scoring}
        return evaluation_context(
            searched.with_settings(Settings({"tasks": {"toy": task}}, searched.settings.folder)), "weights"
        )

    assert len({context(), context(length_penalty=0.5), context(max_length_extra=3), context(max_length_ratio=2)}) == 4
    assert context() == context(beam=2) == context(batch_tokens=7)


def test_the_figure_names_the_objective(searched):
    with styled():
        drawing = search_of(searched, [searched.budget])
    assert drawing.figure.axes[0].get_ylabel() == "best 100 - BLEU of validation sentences"
    assert drawing.caption.startswith("100 - BLEU of each Architecture's translations")
    assert "best_objective_value" in drawing.data and "validation_loss" not in drawing.data
    winner = read_json(searched.folder / "architecture.json")
    best = drawing.data[drawing.data["of"] == "search"]["best_objective_value"].iloc[-1]
    assert best == pytest.approx(100 - winner["validation_bleu"])
    # A search from before the objective was changed has another axis.
    other = searched.of("20ms").folder
    other.mkdir()
    rows = {"order": [0], "generation": 0, "validation_loss": [5.0], "origin": "sampled"}
    pd.DataFrame(rows).to_parquet(other / "search.parquet")
    with styled():
        drawing = search_of(searched, ["20ms", searched.budget])
    assert set(drawing.data["budget"]) == {searched.budget}
    assert "Not shown, because they were searched with another objective: 20ms." in drawing.caption

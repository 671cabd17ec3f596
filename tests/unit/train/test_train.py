"""Training: schedules, batches, checkpoints, and runs that were killed and go on."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from hat.config.scope import BudgetScope, TaskScope
from hat.config.settings import Settings
from hat.config.training import Training
from hat.data.binary.batches import PairedSplit, TrainingBatches, length_batches, padding_share, validation_batches
from hat.data.text.special_tokens import END, PAD
from hat.errors import HatError, InputError
from hat.space.search_space import SearchSpace
from hat.train import checkpoints, loop
from hat.train.inherited_loss import InheritedLoss
from hat.train.metrics import Meter
from hat.train.processes import ALONE
from hat.train.schedule import learning_rate
from hat.train.stages import train_subtransformer, train_supertransformer


def weights(path: Path) -> dict[str, torch.Tensor]:
    return checkpoints.load(path)["model"]


def same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


class Killed(Exception):
    pass


def kill_at(monkeypatch, update: int) -> None:
    original = loop.Step.__call__

    def until(self, number, share, meter):
        if number == update:
            raise Killed
        return original(self, number, share, meter)

    monkeypatch.setattr(loop.Step, "__call__", until)


def metrics(folder: Path) -> list[dict]:
    """Rows without what depends on the clock."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "tokens_per_s"} for row in rows]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_run_killed_twice_ends_bit_for_bit_as_one_that_was_not(project, monkeypatch, precision, tmp_path):
    settings, results = project
    if precision == "bf16":
        overrides = {"tasks": {"toy": {"supertransformer": {"precision": "bf16"}}}}
        settings = Settings(overrides, folder=settings.folder)
    train_supertransformer(TaskScope(settings, results, "toy"))
    whole = results.supertransformer("toy")
    wanted, rows = weights(whole / "checkpoint.pt"), metrics(whole)
    whole.rename(tmp_path / "whole")
    for update in (16, 29):
        with monkeypatch.context() as patch:
            kill_at(patch, update)
            with pytest.raises(Killed):
                train_supertransformer(TaskScope(settings, results, "toy"))
    train_supertransformer(TaskScope(settings, results, "toy"))
    assert same(weights(whole / "checkpoint.pt"), wanted)
    assert metrics(whole) == rows


def test_a_finished_run_is_not_trained_again(project, monkeypatch):
    settings, results = project
    train_supertransformer(TaskScope(settings, results, "toy"))
    path = results.supertransformer("toy") / "checkpoint.pt"
    wanted = weights(path)
    path.unlink()
    kill_at(monkeypatch, 1)
    train_supertransformer(TaskScope(settings, results, "toy"))
    assert same(weights(path), wanted)


def test_other_settings_start_anew(project):
    settings, results = project
    train_supertransformer(TaskScope(settings, results, "toy"))
    first = weights(results.supertransformer("toy") / "checkpoint.pt")
    other = Settings({"seed": 4}, folder=settings.folder)
    train_supertransformer(TaskScope(other, results, "toy"))
    assert not same(first, weights(results.supertransformer("toy") / "checkpoint.pt"))
    assert len([path for path in (results.supertransformer("toy") / "partial").iterdir() if path.is_dir()]) == 1


def test_a_broken_checkpoint_falls_back_to_the_one_before(project, monkeypatch, capsys, tmp_path):
    settings, results = project
    train_supertransformer(TaskScope(settings, results, "toy"))
    folder = results.supertransformer("toy")
    wanted = weights(folder / "checkpoint.pt")
    folder.rename(tmp_path / "whole")
    with monkeypatch.context() as patch:
        kill_at(patch, 27)
        with pytest.raises(Killed):
            train_supertransformer(TaskScope(settings, results, "toy"))
    newest = sorted(folder.glob("partial/*/update-*.pt"))[-1]
    newest.write_bytes(newest.read_bytes()[:1000])
    train_supertransformer(TaskScope(settings, results, "toy"))
    assert f"{newest}: not a whole checkpoint" in capsys.readouterr().out
    assert same(weights(folder / "checkpoint.pt"), wanted)


def test_both_networks_learn_and_inherited_weights_are_evaluated(project):
    settings, results = project
    train_supertransformer(TaskScope(settings, results, "toy"))
    rows = [row for row in metrics(results.supertransformer("toy")) if row["event"] == "validate"]
    assert rows[0]["update"] == 0
    assert rows[-1]["nll"] < rows[0]["nll"] - 0.3
    space = SearchSpace(settings.space_of("toy"))
    evaluate = InheritedLoss(TaskScope(settings, results, "toy"))
    smallest = evaluate(space.smallest)
    assert smallest == evaluate(space.smallest) != evaluate(space.largest)
    place = results.budget("toy", "local", "5ms")
    place.mkdir(parents=True)
    (place / "architecture.json").write_text(json.dumps({"architecture": space.smallest.to_dict()}))
    train_subtransformer(BudgetScope(settings, results, "toy", "local", "5ms"))
    found = json.loads((place / "subtransformer" / "config.json").read_text())
    assert found["validation"]["nll"] < metrics(place / "subtransformer")[0]["nll"] - 0.3


def test_a_subtransformer_can_start_from_what_it_inherits(project):
    folder, results = project[0].folder, project[1]
    overrides = {"subtransformer": {"initial_weights": "inherited", "updates": 1, "average_checkpoints": 1}}
    settings = Settings({"tasks": {"toy": overrides}}, folder=folder)
    train_supertransformer(TaskScope(settings, results, "toy"))
    architecture = SearchSpace(settings.space_of("toy")).smallest
    inherited = InheritedLoss(TaskScope(settings, results, "toy"))(architecture)
    place = results.budget("toy", "local", "5ms")
    place.mkdir(parents=True)
    (place / "architecture.json").write_text(json.dumps({"architecture": architecture.to_dict()}))
    train_subtransformer(BudgetScope(settings, results, "toy", "local", "5ms"))
    first = metrics(results.budget("toy", "local", "5ms") / "subtransformer")[0]
    assert first["update"] == 0
    assert first["nll"] == pytest.approx(inherited, rel=1e-5)
    parent = checkpoints.load(results.supertransformer("toy") / "checkpoint.pt")["identity"]
    description = json.loads((results.budget("toy", "local", "5ms") / "subtransformer" / "config.json").read_text())
    assert description["inherited_from"] == parent


def test_a_subtransformer_can_learn_from_the_largest_network(project):
    folder, results = project[0].folder, project[1]
    train_supertransformer(TaskScope(project[0], results, "toy"))
    space = SearchSpace(project[0].space_of("toy"))
    place = results.budget("toy", "local", "5ms")
    place.mkdir(parents=True)
    (place / "architecture.json").write_text(json.dumps({"architecture": space.smallest.to_dict()}))
    parent = checkpoints.load(results.supertransformer("toy") / "checkpoint.pt")
    found = {}
    for teacher in (None, "supertransformer"):
        overrides = {"subtransformer": {"teacher": teacher, "updates": 6, "validate_every": 6}}
        settings = Settings({"tasks": {"toy": overrides}}, folder=folder)
        train_subtransformer(BudgetScope(settings, results, "toy", "local", "5ms"))
        description = json.loads((results.budget("toy", "local", "5ms") / "subtransformer" / "config.json").read_text())
        found[teacher] = description["validation"]["nll"]
    assert found[None] != found["supertransformer"]
    wanted = {"name": "supertransformer", "distillation": "word", "share": 0.5, "identity": parent["identity"]}
    assert description["taught_by"] == wanted
    # The teacher has not changed, nor is it trained.
    again = checkpoints.load(results.supertransformer("toy") / "checkpoint.pt")
    assert same(parent["model"], again["model"])
    with pytest.raises(InputError, match=r"subtransformer\.teacher: 'nobody' is unknown, expected supertransformer or"):
        Settings({"tasks": {"toy": {"subtransformer": {"teacher": "nobody"}}}}, folder=folder)


def test_checkpoints_are_averaged_exactly(tmp_path):
    folder = checkpoints.CheckpointFolder(tmp_path, "digest", Training(average_checkpoints=3))
    for update, value in ((1, 5.0), (2, 1.0), (3, 2.0), (4, 6.0)):
        folder.save(update, {"update": update, "model": {"w": torch.tensor([value, -value])}})
    assert folder.latest()["update"] == 4
    assert torch.equal(folder.final()["w"], torch.tensor([3.0, -3.0]))
    assert len(list(folder.folder.glob("update-*.pt"))) == 3


def test_as_many_checkpoints_are_kept_as_wanted(tmp_path):
    for wanted, kept in ((1, 2), (4, 4)):
        folder = checkpoints.CheckpointFolder(tmp_path, f"digest-{wanted}", Training(keep_checkpoints=wanted))
        for update in range(1, 8):
            folder.save(update, {"update": update, "model": {}})
        names = sorted(path.name for path in folder.folder.iterdir())
        assert names == [f"update-{update:08d}.pt" for update in range(8 - kept, 8)]


def test_the_best_weights_are_those_of_the_best_validation(project, monkeypatch):
    folder, results = project[0].folder, project[1]
    overrides = {"final_weights": "best", "learning_rate": 0.3, "validate_every": 5}
    settings = Settings({"tasks": {"toy": {"supertransformer": overrides}}}, folder=folder)
    seen = []
    original = loop.Run._validate

    def remember(self, update, *rest):
        nll = original(self, update, *rest)
        seen.append((nll, update, {name: tensor.clone() for name, tensor in self.model.state_dict().items()}))
        return nll

    monkeypatch.setattr(loop.Run, "_validate", remember)
    with monkeypatch.context() as patch:
        kill_at(patch, 23)
        with pytest.raises(Killed):
            train_supertransformer(TaskScope(settings, results, "toy"))
    train_supertransformer(TaskScope(settings, results, "toy"))
    nll, _, best = min(seen[1:], key=lambda entry: entry[:2])
    assert nll < seen[-1][0]
    assert same(weights(results.supertransformer("toy") / "checkpoint.pt"), best)
    description = json.loads((results.supertransformer("toy") / "config.json").read_text())
    assert description["validation"]["nll"] == pytest.approx(nll)


def test_a_validation_loss_that_is_no_number_is_never_the_best(tmp_path):
    folder = checkpoints.CheckpointFolder(tmp_path, "digest", Training(final_weights="best"))
    meter, model = Meter(ALONE, None), torch.nn.Linear(1, 1)
    for nll in (float("nan"), 2.0, float("nan"), 3.0):
        folder.offer(nll, meter, model)
    assert meter.best == 2.0
    assert checkpoints.load(folder.best)["nll"] == 2.0


def test_training_that_diverges_says_so(project):
    folder, results = project[0].folder, project[1]
    overrides = {"learning_rate": 1e30, "updates": 60, "warmup_updates": 0}
    settings = Settings({"tasks": {"toy": {"supertransformer": overrides}}}, folder=folder)
    with pytest.raises(HatError, match="at update 50: training has diverged; a lower `learning_rate`"):
        train_supertransformer(TaskScope(settings, results, "toy"))


def test_tensorboard_shows_what_the_metrics_say(project, monkeypatch):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder, results = project[0].folder, project[1]
    settings = Settings({"tasks": {"toy": {"supertransformer": {"tensorboard": True}}}}, folder=folder)
    with monkeypatch.context() as patch:
        kill_at(patch, 16)
        with pytest.raises(Killed):
            train_supertransformer(TaskScope(settings, results, "toy"))
    train_supertransformer(TaskScope(settings, results, "toy"))
    board = EventAccumulator(str(results.supertransformer("toy") / "tensorboard"))
    board.Reload()
    rows = metrics(results.supertransformer("toy"))
    for event, name in (("train", "loss"), ("train", "learning_rate"), ("validate", "nll")):
        shown = [(point.step, pytest.approx(point.value)) for point in board.Scalars(f"{event}/{name}")]
        assert [(row["update"], row[name]) for row in rows if row["event"] == event] == shown


def test_only_plain_values_are_unpickled(tmp_path):
    torch.save({"model": Path("x")}, tmp_path / "evil.pt")
    with pytest.raises(InputError, match="not a whole checkpoint"):
        checkpoints.load(tmp_path / "evil.pt")
    with pytest.raises(InputError, match="no such file"):
        checkpoints.load(tmp_path / "none.pt")


@pytest.mark.parametrize("schedule", ["cosine", "inverse_sqrt"])
def test_learning_rates_depend_on_the_updates_made_before(schedule):
    training = Training(
        schedule=schedule, updates=1000, warmup_updates=100, learning_rate=1e-3, final_learning_rate=1e-7
    )
    rates = [learning_rate(training, update) for update in range(1, 1001)]
    assert rates[0] == 1e-7
    assert rates[50] == pytest.approx(1e-7 + (1e-3 - 1e-7) / 2)
    assert max(rates) == rates[100] == pytest.approx(1e-3)
    assert all(later < earlier for earlier, later in pairwise(rates[100:]))
    if schedule == "cosine":
        assert rates[550] == pytest.approx((1e-3 + 1e-7) / 2)
        assert learning_rate(training, 1001) == pytest.approx(1e-7)
    else:
        assert rates[400] == pytest.approx(1e-3 / 2)


def test_batches_hold_every_pair_once_within_the_limit(project):
    settings, results = project
    split = PairedSplit(results.data("toy"), settings.task("toy"), "train")
    groups = length_batches(split, 128)
    assert sorted(np.concatenate(groups).tolist()) == list(range(len(split)))
    for numbers in groups:
        batch = split.batch(numbers)
        assert max(batch.source.numel(), batch.target.numel()) <= 128
        assert batch.tokens == int((batch.target != PAD).sum())
        assert torch.equal(batch.previous[:, 0], torch.full((len(numbers),), END))
        shifted = batch.previous[:, 1:]
        kept = shifted != PAD
        assert torch.equal(shifted[kept], batch.target[:, :-1][kept])
    assert padding_share(split, groups) < 0.2


def test_every_epoch_is_another_order_of_the_same_pairs(project):
    settings, results = project
    split = PairedSplit(results.data("toy"), settings.task("toy"), "train")
    batches = TrainingBatches(split, 128, seed=1)
    size = len(batches._epoch(0))
    first = [batches[index] for index in range(size)]
    again = TrainingBatches(split, 128, seed=1)
    # Straight to the second epoch, as a resumed run goes.
    second = [again[size + index] for index in range(len(again._epoch(1)))]
    assert sum(batch.tokens for batch in first) == sum(batch.tokens for batch in second)
    assert not all(torch.equal(a.source, b.source) for a, b in zip(first, second, strict=False))
    assert torch.equal(again[0].source, first[0].source)


def test_validation_subset_is_fixed_and_spread(project):
    settings, results = project
    split = PairedSplit(results.data("toy"), settings.task("toy"), "validation")
    subset = list(validation_batches(split, 64, 10))
    assert sum(len(batch.source) for batch in subset) == 10
    assert sum(len(batch.source) for batch in validation_batches(split, 64)) == 40

"""Training: schedules, batches, checkpoints, and runs that were killed and go on."""

import json
import random
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from hat.config import Training
from hat.data.batches import PairedSplit, TrainingBatches, length_batches, padding_share, validation_batches
from hat.data.dictionary import END, PAD, Dictionary
from hat.data.indexed import IndexedWriter
from hat.errors import InputError
from hat.layout import Results
from hat.settings import Settings
from hat.space import SearchSpace
from hat.train import checkpoints
from hat.train.evaluator import InheritedLoss
from hat.train.loop import Run
from hat.train.schedule import learning_rate
from hat.train.stages import train_subtransformer, train_supertransformer

WORDS = 36
SPACE = {
    "qkv_dim": 16,
    "encoder_embed_dim": [24, 16],
    "encoder_layers": [2],
    "encoder_ffn_dim": [32, 24],
    "encoder_heads": [4, 2],
    "decoder_embed_dim": [24, 16],
    "decoder_layers": [2, 1],
    "decoder_ffn_dim": [32, 16],
    "decoder_self_heads": [4, 2],
    "decoder_cross_heads": [2],
    "decoder_cross_span": [1, 2],
}
TRAINING = {
    "updates": 30,
    "batch_tokens": 128,
    "learning_rate": 1.0e-2,
    "warmup_updates": 5,
    "dropout": 0.1,
    "validate_every": 10,
    "save_every": 7,
    "average_checkpoints": 2,
    "threads": 1,
}


@pytest.fixture
def project(tmp_path):
    """Settings and results of a task whose target is its source with every word one higher."""
    config = tmp_path / "config"
    for kind in ("tasks", "spaces", "devices"):
        (config / kind).mkdir(parents=True)
    (config / "config.yaml").write_text("seed: 3\n")
    (config / "spaces/toy.yaml").write_text(yaml.safe_dump(SPACE))
    task = {
        "source_language": "en",
        "target_language": "de",
        "space": "toy",
        "corpus": {"kind": "parallel", "train": {"tsv": {"kind": "file", "path": "none.tsv"}}},
        "network": {"norm": "pre"},
        "supertransformer": TRAINING,
        "subtransformer": TRAINING,
    }
    (config / "tasks/toy.yaml").write_text(yaml.safe_dump(task))
    results = Results(tmp_path / "results")
    data = results.data("toy")
    dictionary = Dictionary([(f"w{number}", 1) for number in range(WORDS)])
    rng = random.Random(1)
    for split, count in (("train", 300), ("validation", 40)):
        pairs = []
        for _ in range(count):
            source = [rng.randrange(4, 4 + WORDS - 1) for _ in range(rng.randint(2, 12))]
            pairs.append(([*source, END], [*[token + 1 for token in source], END]))
        for side, language in enumerate(("en", "de")):
            with IndexedWriter(data / "binary" / f"{split}.en-de.{language}", len(dictionary)) as writer:
                for pair in pairs:
                    writer.add(pair[side])
    for language in ("en", "de"):
        dictionary.save(data / f"dict.{language}.txt")
    return Settings(folder=config), results


def weights(path: Path) -> dict[str, torch.Tensor]:
    return checkpoints.load(path)["model"]


def same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


class Killed(Exception):
    pass


def kill_at(monkeypatch, update: int) -> None:
    original = Run._update

    def until(self, number, optimiser):
        if number == update:
            raise Killed
        return original(self, number, optimiser)

    monkeypatch.setattr(Run, "_update", until)


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
    train_supertransformer(settings, results, "toy")
    whole = results.supertransformer("toy")
    wanted, rows = weights(whole / "checkpoint.pt"), metrics(whole)
    whole.rename(tmp_path / "whole")
    for update in (16, 29):
        with monkeypatch.context() as patch:
            kill_at(patch, update)
            with pytest.raises(Killed):
                train_supertransformer(settings, results, "toy")
    train_supertransformer(settings, results, "toy")
    assert same(weights(whole / "checkpoint.pt"), wanted)
    assert metrics(whole) == rows


def test_a_finished_run_is_not_trained_again(project, monkeypatch):
    settings, results = project
    train_supertransformer(settings, results, "toy")
    path = results.supertransformer("toy") / "checkpoint.pt"
    wanted = weights(path)
    path.unlink()
    kill_at(monkeypatch, 1)
    train_supertransformer(settings, results, "toy")
    assert same(weights(path), wanted)


def test_other_settings_start_anew(project):
    settings, results = project
    train_supertransformer(settings, results, "toy")
    first = weights(results.supertransformer("toy") / "checkpoint.pt")
    other = Settings({"seed": 4}, folder=settings.folder)
    train_supertransformer(other, results, "toy")
    assert not same(first, weights(results.supertransformer("toy") / "checkpoint.pt"))
    assert len([path for path in (results.supertransformer("toy") / "partial").iterdir() if path.is_dir()]) == 1


def test_a_broken_checkpoint_falls_back_to_the_one_before(project, monkeypatch, capsys, tmp_path):
    settings, results = project
    train_supertransformer(settings, results, "toy")
    folder = results.supertransformer("toy")
    wanted = weights(folder / "checkpoint.pt")
    folder.rename(tmp_path / "whole")
    with monkeypatch.context() as patch:
        kill_at(patch, 27)
        with pytest.raises(Killed):
            train_supertransformer(settings, results, "toy")
    newest = sorted(folder.glob("partial/*/update-*.pt"))[-1]
    newest.write_bytes(newest.read_bytes()[:1000])
    train_supertransformer(settings, results, "toy")
    assert f"{newest}: not a whole checkpoint" in capsys.readouterr().out
    assert same(weights(folder / "checkpoint.pt"), wanted)


def test_both_networks_learn_and_inherited_weights_are_evaluated(project):
    settings, results = project
    train_supertransformer(settings, results, "toy")
    rows = [row for row in metrics(results.supertransformer("toy")) if row["event"] == "validate"]
    assert rows[0]["update"] == 0
    assert rows[-1]["nll"] < rows[0]["nll"] - 0.3
    space = SearchSpace(settings.space_of("toy"))
    evaluate = InheritedLoss(settings, results, "toy")
    smallest = evaluate(space.smallest)
    assert smallest == evaluate(space.smallest) != evaluate(space.largest)
    place = results.budget("toy", "local", "5ms")
    place.mkdir(parents=True)
    (place / "architecture.json").write_text(json.dumps({"architecture": space.smallest.to_dict()}))
    train_subtransformer(settings, results, "toy", "local", "5ms")
    found = json.loads((results.subtransformer("toy", "local", "5ms") / "config.json").read_text())
    assert found["validation"]["nll"] < metrics(results.subtransformer("toy", "local", "5ms"))[0]["nll"] - 0.3


def test_checkpoints_are_averaged_exactly(tmp_path):
    folder = checkpoints.CheckpointFolder(tmp_path, "digest", 3)
    for update, value in ((1, 5.0), (2, 1.0), (3, 2.0), (4, 6.0)):
        folder.save(update, {"update": update, "model": {"w": torch.tensor([value, -value])}})
    assert folder.latest()["update"] == 4
    assert torch.equal(folder.average(3)["w"], torch.tensor([3.0, -3.0]))


def test_only_plain_values_are_unpickled(tmp_path):
    torch.save({"model": Path("x")}, tmp_path / "evil.pt")
    with pytest.raises(InputError, match="not a whole checkpoint"):
        checkpoints.load(tmp_path / "evil.pt")
    with pytest.raises(InputError, match="no such file"):
        checkpoints.load(tmp_path / "none.pt")


@pytest.mark.parametrize("schedule", ["cosine", "inverse_sqrt"])
def test_learning_rates(schedule):
    training = Training(
        schedule=schedule, updates=1000, warmup_updates=100, learning_rate=1e-3, final_learning_rate=1e-7
    )
    rates = [learning_rate(training, update) for update in range(1, 1001)]
    assert rates[49] == pytest.approx(1e-7 + (1e-3 - 1e-7) / 2)
    assert max(rates) == rates[99] == pytest.approx(1e-3)
    assert all(later < earlier for earlier, later in pairwise(rates[99:]))
    if schedule == "cosine":
        assert rates[-1] == pytest.approx(1e-7)
        assert rates[549] == pytest.approx(0.5e-3, rel=1e-3)
    else:
        assert rates[399] == pytest.approx(1e-3 / 2)


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

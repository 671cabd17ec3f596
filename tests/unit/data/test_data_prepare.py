import json
import random

import numpy as np
import pytest
import yaml

from hat.artifacts.layout import Results
from hat.config.scope import TaskScope
from hat.config.settings import Settings
from hat.data import stages
from hat.data.binary.indexed import IndexedDataset
from hat.data.text.dictionary import Dictionary
from hat.errors import InputError

SPACE = {
    "encoder_embed_dim": [64],
    "encoder_layers": [1],
    "encoder_ffn_dim": [64],
    "encoder_heads": [4],
    "decoder_embed_dim": [64],
    "decoder_layers": [1],
    "decoder_ffn_dim": [64],
    "decoder_self_heads": [4],
    "decoder_cross_heads": [4],
    "decoder_cross_span": [1],
}


@pytest.fixture
def made(tmp_path):
    """A task on made text: settings with a dictionary of changes to its tokenisation, and its results."""
    draw = random.Random(1)
    vocabulary = ["".join(draw.choices("abcdefg", k=draw.randint(2, 7))) for _ in range(300)]
    lines = [draw.choices(vocabulary, k=draw.randint(5, 12)) for _ in range(400)]
    (tmp_path / "text.en").write_text("".join(" ".join(line) + ".\n" for line in lines))
    german = [[word.upper() for word in line] + ["GG"] * (number % 3) for number, line in enumerate(lines)]
    (tmp_path / "text.de").write_text("".join(" ".join(line) + "!\n" for line in german))
    for folder in ("spaces", "tasks", "devices"):
        (tmp_path / "config" / folder).mkdir(parents=True)
    (tmp_path / "config/config.yaml").write_text("seed: 1\n")
    (tmp_path / "config/spaces/tiny.yaml").write_text(yaml.safe_dump(SPACE))
    sides = {
        side: {"kind": "file", "path": str(tmp_path / f"text.{language}")}
        for side, language in (("source", "en"), ("target", "de"))
    }

    def settings(**tokenisation):
        task = {
            "source_language": "en",
            "target_language": "de",
            "space": "tiny",
            "corpus": {"kind": "parallel", "train": sides, "held_out": 20},
            "tokenisation": {"bpe_merges": 100} | tokenisation,
        }
        if not task["tokenisation"].get("joint_dictionary", True):
            task["network"] = {"share_embeddings": "decoder"}
        (tmp_path / "config/tasks/made.yaml").write_text(yaml.safe_dump(task))
        return Settings(folder=tmp_path / "config")

    return settings, Results(tmp_path / "results")


def run(settings, results):
    stages.fetch_sources(TaskScope(settings, results, "made"))
    stages.extract_corpus(TaskScope(settings, results, "made"))
    stages.tokenise_corpus(TaskScope(settings, results, "made"), processes=1)
    return stages.binarise_corpus(TaskScope(settings, results, "made"))


def content(results):
    data = results.data("made")
    paths = [path for path in data.rglob("*") if path.is_file() and path.suffix != ".json" and path.name != ".lock"]
    return {str(path.relative_to(data)): path.read_bytes() for path in paths}


def test_all_stages(made):
    settings, results = made[0](), made[1]
    counts = run(settings, results)
    data, task = results.data("made"), settings.task("made")
    assert counts["train"]["pairs"] == 360
    assert counts["validation"]["pairs"] == 20
    assert counts["train"]["dropped"] == {}
    assert counts["train"]["en"]["unknown"] == 0
    for split in ("train", "validation"):
        for language in ("en", "de"):
            dictionary = Dictionary.load(stages.dictionary_path(data, language))
            assert len(dictionary) == counts["dictionary"][language]
            numbers = IndexedDataset(stages.binary_prefix(data, split, task, language))
            codec = stages.codec(data, task, language)
            raw = (data / "raw" / f"{split}.{language}").read_text().splitlines()
            assert [codec.decode(dictionary.decode(sentence)) for sentence in numbers] == raw
            assert counts[split][language]["tokens"] == numbers.sizes.sum()
    assert stages.dictionary_path(data, "en").read_bytes() == stages.dictionary_path(data, "de").read_bytes()
    assert not list((data / "binary").glob("test*"))
    assert json.loads((data / "binary/counts.json").read_text()) == counts


def test_separate_dictionaries(made):
    counts = run(made[0](joint_dictionary=False), made[1])
    data = made[1].data("made")
    assert stages.dictionary_path(data, "en").read_bytes() != stages.dictionary_path(data, "de").read_bytes()
    assert set(counts["dictionary"]) == {"en", "de"}


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"max_length": 25}, "longer_than_max_length"),
        ({"min_length": 25}, "shorter_than_min_length"),
        ({"max_ratio": 1.05}, "above_max_ratio"),
    ],
)
def test_training_pairs_outside_the_limits_are_left_out_and_counted(made, limits, reason):
    counts = run(made[0](**limits), made[1])
    assert 0 < counts["train"]["pairs"] < 360
    assert counts["train"]["dropped"] == {reason: 360 - counts["train"]["pairs"]}
    assert counts["validation"]["pairs"] == 20
    if "max_length" in limits:
        assert max(counts["train"][language]["longest"] for language in ("en", "de")) == 25 + 1


def test_limits_that_leave_nothing(made):
    with pytest.raises(
        InputError, match=r"tokens/train\.en: no training pair is within tokenisation.min_length, max_length"
    ):
        run(made[0](max_length=1), made[1])


def test_stages_repeat_to_the_same_bytes_and_only_what_is_missing_is_made(made, monkeypatch):
    settings, results = made[0](), made[1]
    run(settings, results)
    first = content(results)
    done = []
    original = stages.map_file
    monkeypatch.setattr(stages, "map_file", lambda *a, **k: (done.append(str(a[2])), original(*a, **k)))
    run(settings, results)
    assert done == []
    data = results.data("made")
    stages.tokens_path(data, "train", "de").unlink()
    stages.words_path(data, "validation", "en").write_text("cut sh")
    stages.codes_path(data).unlink()
    run(settings, results)
    assert [path.rpartition("data/")[2] for path in done] == ["words/validation.en", "tokens/train.de"]
    assert content(results) == first


def test_changed_settings_make_what_depends_on_them(made, monkeypatch):
    run(made[0](), made[1])
    done = []
    original = stages.map_file
    monkeypatch.setattr(stages, "map_file", lambda *a, **k: (done.append(str(a[2])), original(*a, **k)))
    run(made[0](bpe_merges=50), made[1])
    assert len(done) == 4
    assert all("/tokens/" in path for path in done)


def test_binarised_numbers_take_two_bytes(made):
    run(made[0](), made[1])
    path = made[1].data("made") / "binary/train.en-de.en"
    assert IndexedDataset(path)[0].dtype == np.uint16


def test_missing_steps_are_named(made):
    with pytest.raises(InputError, match=r"counts\.json: no such file"):
        stages.tokenise_corpus(TaskScope(made[0](), made[1], "made"))

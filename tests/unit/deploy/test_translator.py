"""The deployed folder: translating, beams, odd lines, malformed folders; scoring that goes on after a kill."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_model import write_model

from hat.config.tokenisation import Tokenisation
from hat.data.binary.indexed import IndexedDataset, IndexedWriter
from hat.data.text.dictionary import Dictionary
from hat.deploy.translator import Translator
from hat.errors import InputError
from hat.evaluate import stages
from hat.evaluate.unigram import unigram_loss
from hat.runtime.base import Decoding

WORDS = ["in", "the", "beginning", "God", "created", "heaven", "and", "earth", "."]


@pytest.fixture
def folder(tmp_path):
    """A deployed folder with random weights."""
    return write_model(tmp_path / "model")


def test_lines_keep_their_order_and_empty_ones_stay(folder):
    translator = Translator.from_folder(folder)
    lines = ["the beginning", "", "God created the heaven and the earth .", " ", "the", "\u200b", "@@ <s> \U0001f600"]
    together = translator.translate(lines)
    assert together == [translator.translate([line])[0] for line in lines]
    assert together[1] == together[3] == together[5] == ""
    assert together == translator.translate(lines, batch_tokens=1)


def test_the_deployed_folder_that_is_meant_is_named(tmp_path):
    place = tmp_path / "results/demo/local"
    models = [place / budget / "model" for budget in ("13ms", "20ms")]
    for model in models:
        model.parent.mkdir(parents=True)
        write_model(model)
    for named, meant in (
        (place / "13ms", models[:1]),
        (models[0] / "model.json", models[:1]),
        (models[1] / "codes", models[1:]),
        (place, models),
    ):
        suggested = " or ".join(map(str, meant))
        with pytest.raises(InputError, match=rf"^{named}: not a deployed folder \(no model.json\); use {suggested}$"):
            Translator.from_folder(named)
    with pytest.raises(InputError, match=r"nowhere/model\.json: no such file"):
        Translator.from_folder(tmp_path / "nowhere")


def test_the_beam_can_be_chosen(folder):
    assert Translator.from_folder(folder).decoding.beam == 3
    assert Translator.from_folder(folder, beam=1).decoding.beam == 1


def test_long_lines_are_translated_in_pieces(tmp_path):
    translator = Translator.from_folder(
        write_model(tmp_path / "model", tokenisation=Tokenisation(max_length=8), decoding=Decoding(beam=2))
    )
    sentences = ["The the the.", "Is it so ?", "Go the the the the the"]
    line = " ".join(sentences)
    assert len(translator.source.codec.encode(line)) > 8
    reported = []
    alone = translator.translate(sentences)
    assert all(alone)
    made = translator.translate(["the", line, ""], batch_tokens=1, translated=reported.append)
    assert made == [*translator.translate(["the"]), " ".join(alone), ""]
    whole = [batch for batch in reported if batch]
    assert {number: text for batch in whole for number, text in batch.items()} == {0: made[0], 1: made[1]}
    assert len(reported) == 4 and len(whole) == 2


@pytest.fixture(scope="module")
def brief(tmp_path_factory):
    """A translator whose translations are of two tokens at most."""
    decoding = Decoding(beam=1, max_length_ratio=0, max_length_extra=2)
    return Translator.from_folder(write_model(tmp_path_factory.mktemp("brief") / "model", decoding=decoding))


ODD = [
    "\ud800",
    "the\udfff end",
    "the\0 end",
    "".join(map(chr, range(0x20))),
    "one\u2028two\u2029three\x85four\x0bfive\nsix\r\nseven",
    "\u05d1\u05e8\u05d0\u05e9\u05d9\u05ea \u202ethe\u202c \u0628\u062f\u0621",
    "\U0001f469\u200d\U0001f680 \U0001f1e9\U0001f1ea",
    "e" + "\u0301" * 300,
    "\ufeff\ufffe\uffff\U0010ffff\U000e0001",
    "&#10; &lt; @@ </s> <pad> @-@ &#124;",
    "''\"\"``[[((%%",
]


@pytest.mark.parametrize("line", ODD, ids=ascii)
def test_any_unicode_is_one_line(brief, line):
    (made,) = brief.translate([line])
    assert len(made.splitlines()) <= 1
    made.encode()


@given(st.lists(st.text(st.characters(exclude_categories=()), max_size=60), max_size=4))
def test_any_lines_are_as_many_lines(brief, lines):
    made = brief.translate(lines)
    assert len(made) == len(lines)
    assert all(len(line.splitlines()) <= 1 for line in made)


@pytest.mark.parametrize(
    ("part", "times"),
    [
        ("\u200b", 1_000_000),
        (" ", 1_000_000),
        ("\ud800", 1_000_000),
        ("\0", 1_000_000),
        # Time goes with tokens, so that these are shorter.
        ("a", 30_000),
        ("the end. ", 3_000),
        (".", 30_000),
        ("\"' ", 10_000),
        ("e\u0301", 15_000),
        ("\U0001f680", 5_000),
        ("\u4e2d\u3002", 3_000),
    ],
    ids=ascii,
)
def test_a_huge_line_is_one_line(brief, part, times):
    (made,) = brief.translate([part * times])
    assert len(made.splitlines()) <= 1


@pytest.mark.parametrize("name", ["model.json", "codes", "dict.de.txt", "network/weights.npz"])
@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_a_malformed_folder_is_one_sentence_that_names_the_file(folder, name, damage):
    path = folder / name
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2].replace(b" ", b"\n"))
    with pytest.raises(InputError) as caught:
        Translator.from_folder(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"decoding": {"beam": 0}}, "beam is 0, expected"),
        ({"decoding": {"beam": "five"}}, "beam is 'five', expected"),
        ({"decoding": {"beam": 1, "length_penalty": -1}}, "length_penalty is -1, expected"),
        ({"threads": 0}, "threads is 0, expected"),
        ({"networks": "several"}, "not the description"),
        ({"networks": [{"name": "a"}]}, "'architecture' is missing"),
    ],
)
def test_an_impossible_description_is_one_sentence(folder, change, sentence):
    path = folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match=sentence) as caught:
        Translator.from_folder(folder)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_scoring_goes_on_with_what_a_killed_run_translated(folder, tmp_path, monkeypatch):
    translator = Translator.from_folder(folder)
    sources = [" ".join(WORDS[: 1 + number % len(WORDS)]) for number in range(20)]
    wanted = stages._translate(translator, sources, 64, tmp_path / "whole", "whole")
    place, calls = tmp_path / "killed", []
    original = translator.model.translate

    def dies(batch, decoding):
        calls.append(len(batch))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(batch, decoding)

    with monkeypatch.context() as patch:
        patch.setattr(translator.model, "translate", dies)
        with pytest.raises(KeyboardInterrupt):
            stages._translate(translator, sources, 64, place, "killed")
    done = sum(calls[:2])
    calls.clear()
    monkeypatch.setattr(translator.model, "translate", lambda batch, d: calls.append(len(batch)) or original(batch, d))
    assert stages._translate(translator, sources, 64, place, "killed") == wanted
    assert sum(calls) == len(sources) - done


def test_unigram_loss_is_add_one_smoothed(tmp_path):
    dictionary = Dictionary([("a", 3), ("b", 1), ("c", 0), ("d", 0)])
    for split, sentences in (("train", [[4, 4, 2], [4, 5, 2]]), ("validation", [[4, 2]])):
        with IndexedWriter(tmp_path / split, len(dictionary)) as writer:
            for sentence in sentences:
                writer.add(sentence)
    loss = unigram_loss(IndexedDataset(tmp_path / "train"), IndexedDataset(tmp_path / "validation"), dictionary)
    assert loss == pytest.approx(-(math.log(4 / 14) + math.log(3 / 14)) / 2)
    assert np.isfinite(loss)

"""The deployed folder: translating, beams, odd lines, malformed folders; scoring that goes on after a kill."""

import json
import math

import numpy as np
import pytest
import torch
from toy_device import SMALL

from hat.config import Network, Tokenisation
from hat.data.dictionary import Dictionary
from hat.data.indexed import IndexedDataset, IndexedWriter
from hat.deployed import described_network
from hat.errors import InputError
from hat.evaluate import stages
from hat.evaluate.unigram import unigram_loss
from hat.model.transformer import Transformer
from hat.runtime import runtime
from hat.runtime.base import Blueprint, Decoding, Shape
from hat.runtime.torch import weights_of
from hat.space import SearchSpace
from hat.translator import Translator

WORDS = ["in", "the", "beginning", "God", "created", "heaven", "and", "earth", "."]


@pytest.fixture
def folder(tmp_path):
    """A deployed folder with random weights."""
    path = tmp_path / "model"
    path.mkdir()
    (path / "codes").write_text("#version: 0.2\nt h\nth e</w>\n")
    pieces = ["the", *(f"{letter}@@" for letter in "abcdefghijklmnopqrstuvwxyzG"), *"abcdefghijklmnopqrstuvwxyz."]
    dictionary = Dictionary([(piece, 1) for piece in pieces])
    for language in ("en", "de"):
        dictionary.save(path / f"dict.{language}.txt")
    architecture = SearchSpace(SMALL).smallest
    shape = Shape.of(SMALL, Network(), len(dictionary), len(dictionary))
    torch.manual_seed(1)
    blueprint = Blueprint(
        architecture=architecture, shape=shape, source_tokens=dictionary.tokens, target_tokens=dictionary.tokens
    )
    (path / "network").mkdir()
    weights = weights_of(Transformer(architecture, shape).state_dict())
    runtime("torch", "fp32", 1).write(path / "network", blueprint, weights, None)
    description = {
        "source_language": "en",
        "target_language": "de",
        "runtime": "torch",
        "precision": "fp32",
        "threads": 1,
        "tokenisation": Tokenisation().model_dump(mode="json"),
        "provenance": {"seed": 1},
        **described_network(blueprint, Decoding(beam=3)),
    }
    (path / "model.json").write_text(json.dumps(description))
    return path


def test_lines_keep_their_order_and_empty_ones_stay(folder):
    translator = Translator.from_folder(folder)
    lines = ["the beginning", "", "God created the heaven and the earth .", " ", "the", "\u200b", "@@ <s> \U0001f600"]
    together = translator.translate(lines)
    assert together == [translator.translate([line])[0] for line in lines]
    assert together[1] == together[3] == together[5] == ""
    assert together == translator.translate(lines, batch_tokens=1)


def test_the_beam_can_be_chosen(folder):
    assert Translator.from_folder(folder).decoding.beam == 3
    assert Translator.from_folder(folder, beam=1).decoding.beam == 1


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

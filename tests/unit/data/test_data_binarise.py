import random

import pytest

from hat.config.tokenisation import Tokenisation
from hat.data.binary.binarise import count_used, write_split
from hat.data.binary.indexed import IndexedDataset
from hat.data.limits import drop_reason
from hat.data.text.dictionary import Dictionary

LIMITS = Tokenisation(max_length=12, max_ratio=2.0)
PAIRS = 9000


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    folder, draw = tmp_path_factory.mktemp("tokens"), random.Random(3)
    words = [f"w{number}" for number in range(500)]
    paths = [folder / "train.en", folder / "train.de"]
    for path in paths:
        lines = (" ".join(draw.choices(words, k=draw.randint(0, 15))) for _ in range(PAIRS))
        path.write_text("".join(line + "\n" for line in lines))
    return paths


def used_pairs(texts):
    sides = [[line.split() for line in path.read_text().splitlines()] for path in texts]
    reasons = [drop_reason(LIMITS, len(source), len(target)) for source, target in zip(*sides, strict=True)]
    return [[line for line, reason in zip(side, reasons, strict=True) if reason is None] for side in sides], reasons


def test_several_processes_write_the_same_bytes_as_one(texts, tmp_path):
    sides, reasons = used_pairs(texts)
    found = []
    for processes in (1, 2):
        used = count_used(texts, LIMITS, lines=PAIRS, processes=processes)
        assert used.dropped == {reason: reasons.count(reason) for reason in {*reasons} - {None}}
        # So that some tokens are unknown, in dictionaries of different sizes.
        dictionaries = (Dictionary.build(used.source, 300), Dictionary.build(used.target, 400))
        prefixes = [tmp_path / f"{processes}.{language}" for language in ("en", "de")]
        counts = write_split(texts, prefixes, dictionaries, LIMITS, title="Test", lines=PAIRS, processes=processes)
        files = [prefix.with_name(prefix.name + ending) for prefix in prefixes for ending in (".bin", ".idx")]
        found.append((used, counts, [path.read_bytes() for path in files]))
    assert found[0] == found[1]
    for side, prefix, dictionary, counts in zip(sides, prefixes, dictionaries, found[0][1][1], strict=True):
        dataset = IndexedDataset(prefix)
        assert [sentence.tolist() for sentence in dataset] == [dictionary.encode(line).tolist() for line in side]
        assert found[0][1][0] == len(side) == len(dataset)
        lengths = [len(line) + 1 for line in side]
        assert counts == {
            "tokens": sum(lengths),
            "unknown": sum(dictionary.token_id(token) == 3 for line in side for token in line),
            "mean_length": round(sum(lengths) / len(lengths), 2),
            "longest": max(lengths),
        }


def test_a_split_of_which_nothing_is_used(texts, tmp_path):
    dictionary = Dictionary([("a", 1)])
    none = Tokenisation(max_length=1, min_length=1, max_ratio=1.0)
    short = [tmp_path / "a", tmp_path / "b"]
    for path in short:
        path.write_text("a b c\n" * 3)
    pairs, sides = write_split(
        short, [tmp_path / "en", tmp_path / "de"], (dictionary, dictionary), none, title="Test", lines=3, processes=1
    )
    assert pairs == 0
    assert sides[0] == {"tokens": 0, "unknown": 0, "mean_length": 0.0, "longest": 0}
    assert len(IndexedDataset(tmp_path / "en")) == 0

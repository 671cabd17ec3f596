from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hat.data.text.dictionary import Dictionary
from hat.errors import InputError

TOKENS = st.text(st.characters(blacklist_categories=("Cs", "Zs", "Zl", "Zp", "Cc", "Cf")), min_size=1).filter(
    lambda token: token.split() == [token]
)


def test_order_and_file_are_those_of_fairseq(tmp_path):
    dictionary = Dictionary.build(Counter({"b": 2, "a": 2, "Z": 2, "the": 9, "<unk>": 5}))
    dictionary.save(tmp_path / "dict.en.txt")
    assert (tmp_path / "dict.en.txt").read_text() == "the 9\nZ 2\na 2\nb 2\n"
    assert dictionary.tokens[:5] == ["<s>", "<pad>", "</s>", "<unk>", "the"]
    assert len(dictionary) == 8


def test_fillers_up_to_a_multiple_of_eight(tmp_path):
    dictionary = Dictionary.build(Counter({"a": 1, "madeupword0001": 3}))
    assert dictionary.tokens[4:] == ["madeupword0001", "a", "madeupword0000", "madeupword0002"]
    assert dictionary.counts[4:] == [3, 1, 0, 0]


def test_encode_and_decode():
    dictionary = Dictionary.build(Counter({"a": 2, "b": 1}))
    assert dictionary.encode(["a", "nothing", "b"]).tolist() == [4, 3, 5, 2]
    assert dictionary.encode([]).tolist() == [2]
    assert dictionary.decode([0, 4, 1, 3, 2, 5]) == ["a", "<unk>"]
    assert dictionary.decode(np.array([5, 4])) == ["b", "a"]


@given(counts=st.dictionaries(TOKENS, st.integers(1, 10**12), max_size=30))
def test_round_trip(tmp_path_factory, counts):
    path = tmp_path_factory.mktemp("dictionary") / "dict.txt"
    dictionary = Dictionary.build(Counter(counts))
    dictionary.save(path)
    assert Dictionary.load(path) == dictionary
    assert len(dictionary) % 8 == 0
    kept = [token for token in counts if token not in ("<s>", "<pad>", "</s>", "<unk>")]
    assert dictionary.decode(dictionary.encode(kept)) == kept


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a 1\nb\n", r"dict\.txt, line 2: 'b' is not a token and its count"),
        ("a one\n", r"line 1: 'a one'"),
        (" 1\n", r"line 1: ' 1'"),
        ("a 1\na 2\n", r"dict\.txt: the dictionary names 'a' twice"),
        ("<pad> 1\n", r"names '<pad>' twice"),
    ],
)
def test_wrong_files(tmp_path, content, message):
    (tmp_path / "dict.txt").write_text(content)
    with pytest.raises(InputError, match=message):
        Dictionary.load(tmp_path / "dict.txt")


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        Dictionary.load(tmp_path / "none")

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hat.data.binary.indexed import IndexedDataset, IndexedWriter
from hat.errors import InputError


def write(prefix, sentences, vocabulary=1000):
    with IndexedWriter(prefix, vocabulary) as writer:
        for sentence in sentences:
            writer.add(sentence)
    return IndexedDataset(prefix)


@given(
    sentences=st.lists(st.lists(st.integers(0, 65499), max_size=8), max_size=8),
    vocabulary=st.sampled_from([65499, 65500]),
)
def test_round_trip(tmp_path_factory, sentences, vocabulary):
    dataset = write(tmp_path_factory.mktemp("indexed") / "train.en-de.en", sentences, vocabulary)
    assert len(dataset) == len(sentences)
    assert [sentence.tolist() for sentence in dataset] == sentences
    assert dataset.sizes.tolist() == [len(sentence) for sentence in sentences]


def test_bytes_are_those_of_fairseq(tmp_path):
    write(tmp_path / "x", [[4, 5, 2], [6, 2]])
    assert (tmp_path / "x.bin").read_bytes() == struct.pack("<5H", 4, 5, 2, 6, 2)
    expected = b"MMIDIDX\x00\x00" + struct.pack("<QBQ", 1, 8, 2) + struct.pack("<2i", 3, 2) + struct.pack("<2q", 0, 6)
    assert (tmp_path / "x.idx").read_bytes() == expected
    write(tmp_path / "y", [[70000]], 70001)
    assert (tmp_path / "y.bin").read_bytes() == struct.pack("<i", 70000)
    assert (tmp_path / "y.idx").read_bytes()[17] == 4


def test_sentences_are_read_only_views(tmp_path):
    sentence = write(tmp_path / "x", [[4, 5, 2]])[0]
    assert isinstance(sentence, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        sentence[0] = 1


def test_nothing_appears_when_writing_fails(tmp_path):
    write(tmp_path / "x", [[1]])
    with pytest.raises(RuntimeError), IndexedWriter(tmp_path / "x", 10) as writer:
        writer.add([2])
        raise RuntimeError
    # The old index is gone, so that the old data cannot be taken for the new.
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.bin"]


def damage(tmp_path, name, change):
    path = tmp_path / name
    path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("x.idx", lambda content: content[:-1], r"x\.idx: 49 bytes for 2 sentences, expected 50"),
        ("x.idx", lambda content: content[:5], r"x\.idx: not an index of a binarised split"),
        ("x.idx", lambda content: b"X" + content[1:], r"x\.idx: not an index of a binarised split"),
        ("x.idx", lambda content: b"", r"x\.idx: not an index of a binarised split"),
        ("x.idx", lambda content: content[:9] + b"\x02" + content[10:], r"x\.idx: version 2"),
        ("x.idx", lambda content: content[:-8] + b"\x05" + content[-7:], r"x\.idx: has offsets that are impossible"),
        ("x.bin", lambda content: content[:-2], r"x\.bin: 8 bytes, expected 10; the file is truncated"),
        ("x.bin", lambda content: content[:-1], r"x\.bin: 9 bytes, expected a multiple of 2"),
    ],
)
def test_damaged_files(tmp_path, name, change, message):
    write(tmp_path / "x", [[4, 5, 2], [6, 2]])
    damage(tmp_path, name, change)
    with pytest.raises(InputError, match=message):
        IndexedDataset(tmp_path / "x")


def test_missing_files(tmp_path):
    with pytest.raises(InputError, match=r"x\.idx: no such file"):
        IndexedDataset(tmp_path / "x")
    write(tmp_path / "x", [[1]])
    (tmp_path / "x.bin").unlink()
    with pytest.raises(InputError, match=r"x\.bin: no such file"):
        IndexedDataset(tmp_path / "x")

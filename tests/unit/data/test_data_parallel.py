import gzip
from itertools import chain, pairwise

import pytest

from hat.config.corpora import ParallelCorpus, ParallelText
from hat.config.sources import FileSource
from hat.config.task import Task
from hat.data.corpora.corpus import extract_corpus
from hat.data.corpora.parallel import held_out_lines
from hat.errors import InputError


def lines(language, numbers):
    return [" ".join(f"{language}{number}w{word}" for word in range(6)) for number in numbers]


def write(path, content):
    text = "".join(line + "\n" for line in content).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return FileSource(path=str(path))


def task(corpus):
    return Task(source_language="en", target_language="de", corpus=corpus)


def two_files(tmp_path, numbers=range(200), **more):
    text = ParallelText(
        source=write(tmp_path / "text.en.gz", lines("s", numbers)),
        target=write(tmp_path / "text.de", lines("t", numbers)),
    )
    return ParallelCorpus(train=text, **more)


def test_absent_splits_are_taken_evenly_from_the_training_text(tmp_path):
    counts = extract_corpus(task(two_files(tmp_path, held_out=10)), tmp_path, tmp_path / "data")
    assert counts["pairs"] == {"train": 180, "validation": 10, "test": 10}
    found = {split: (tmp_path / f"data/raw/{split}.en").read_text().splitlines() for split in counts["pairs"]}
    assert sorted(chain.from_iterable(found.values())) == sorted(lines("s", range(200)))
    places = [lines("s", range(200)).index(line) for line in found["validation"]]
    assert {b - a for a, b in pairwise(places)} == {20}


def test_tsv_gives_the_same_as_two_files(tmp_path):
    pairs = zip(lines("s", range(200)), lines("t", range(200)), strict=True)
    tsv = ParallelCorpus(train=ParallelText(tsv=write(tmp_path / "text.tsv.gz", map("\t".join, pairs))), held_out=10)
    extract_corpus(task(tsv), tmp_path, tmp_path / "one")
    extract_corpus(task(two_files(tmp_path, held_out=10)), tmp_path, tmp_path / "two")
    for path in (tmp_path / "one/raw").iterdir():
        assert path.read_bytes() == (tmp_path / "two/raw" / path.name).read_bytes()


def test_near_duplicates_of_training_lines_are_dropped(tmp_path):
    counts = extract_corpus(task(two_files(tmp_path, [*range(300), *range(7, 107)])), tmp_path, tmp_path / "data")
    # A held-out line of the first 107 or the last 100 stands in the training text once more.
    assert counts["dropped"]["validation"]["near_duplicate"] == 20
    assert counts["pairs"]["validation"] == 20
    training = set((tmp_path / "data/raw/train.en").read_text().splitlines())
    assert not training & set((tmp_path / "data/raw/validation.en").read_text().splitlines())
    assert counts["overlap"]["test"]["source"]["after"]["above_max_overlap"] == 0


def test_given_splits_are_left_as_they_are(tmp_path):
    given = two_files(tmp_path, range(20)).train
    counts = extract_corpus(
        task(ParallelCorpus(train=given, validation=given, test=given)), tmp_path, tmp_path / "data"
    )
    assert counts["pairs"] == {"validation": 20, "test": 20, "train": 20}
    assert "overlap" not in counts


def test_lines_are_cleaned_and_empty_ones_dropped(tmp_path):
    source = ["\ufeffone\u200b  two\t", "", "three\x00\u2028four \r", *lines("s", range(20))]
    target = ["eins zwei", "nichts", "drei\xa0! \x0bvier", *lines("t", range(20))]
    text = ParallelText(source=write(tmp_path / "a", source), target=write(tmp_path / "b", target))
    counts = extract_corpus(task(ParallelCorpus(train=text, validation=text, test=text)), tmp_path, tmp_path / "data")
    assert counts["dropped"]["train"] == {"empty": 1}
    assert (tmp_path / "data/raw/train.en").read_text().split("\n")[:2] == ["one two", "three four"]
    assert (tmp_path / "data/raw/train.de").read_text().split("\n")[:2] == ["eins zwei", "drei\xa0! vier"]


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        (b"a\nb\n", b"a\n", r"b: ends after line 1, but .*a continues; they must be aligned"),
        (b"a\n", b"a\nb\n", r"a: ends after line 1, but .*b continues"),
        (b"a\n\xff\xfe\n", b"a\nb\n", r"a, line 2: not UTF-8 \(invalid start byte at byte 1\)"),
        (None, b"a\n", r"a: no such file"),
        (b"a\n" * 5, b"b\n" * 5, r"usable pairs, expected 10 or more"),
    ],
)
def test_wrong_files(tmp_path, source, target, message):
    for name, content in (("a", source), ("b", target)):
        if content is not None:
            (tmp_path / name).write_bytes(content)
    text = ParallelText(source=FileSource(path=str(tmp_path / "a")), target=FileSource(path=str(tmp_path / "b")))
    with pytest.raises(InputError, match=message):
        extract_corpus(task(ParallelCorpus(train=text)), tmp_path, tmp_path / "data")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.tsv", b"a\tb\nno tab\n", r"t\.tsv, line 2: has no tab"),
        ("t.tsv", b"a\tb\tc\n", r"t\.tsv, line 1: has 3 columns"),
        ("t.tsv.gz", b"no archive", r"t\.tsv\.gz: damaged gzip file"),
        ("t.tsv.gz", gzip.compress(b"a\tb\n" * 9999, mtime=0)[:-20], r"t\.tsv\.gz: damaged gzip file after line"),
    ],
)
def test_wrong_tsv(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    text = ParallelText(tsv=FileSource(path=str(tmp_path / name)))
    with pytest.raises(InputError, match=message):
        extract_corpus(task(ParallelCorpus(train=text)), tmp_path, tmp_path / "data")


@pytest.mark.parametrize("total", [0, 9, 10, 19, 100, 1234])
def test_held_out_lines(total):
    chosen = held_out_lines(total, 50, ["validation", "test"])
    size = min(50, total // 10)
    assert list(chosen.values()).count("validation") == list(chosen.values()).count("test") == size
    assert all(0 <= number < total for number in chosen)

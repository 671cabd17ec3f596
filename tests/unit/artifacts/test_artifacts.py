import re
import subprocess
import sys

import pytest

from hat.artifacts.files import atomic, read_json, write_text
from hat.artifacts.layout import target_of
from hat.errors import HatError, InputError

# Files, and what has to be asked for to have them.
TARGETS = {
    "results/demo/local/60ms/latency.json": "results/demo/local/60ms/latency.json",
    "results/demo/local/60ms/int8/score.json": "results/demo/local/60ms/int8/score.json",
    "results/demo/local/60ms/model/model.json": "results/demo/local/60ms/model/model.json",
    "results/demo/local/60ms/model/network/config.json": "results/demo/local/60ms/model/model.json",
    "results/demo/local/elastic/model/codes": "results/demo/local/elastic/model/model.json",
    "results/demo/local/60ms/subtransformer/config.json": "results/demo/local/60ms/subtransformer/config.json",
    "results/demo/local/predictor/errors.json": "results/demo/local/predictor/errors.json",
    "results/demo/local/latency/samples/3.jsonl": "results/demo/local/latency/samples/3.jsonl",
    "results/demo/data/dict.en.txt": "results/demo/data/binary/counts.json",
    "results/demo/data/tokens/train.en": "results/demo/data/codes",
    "results/demo/data/raw/test.en": "results/demo/data/counts.json",
    "results/demo/shortlist/vmap.txt": "results/demo/shortlist/shortlist.json",
    "results/published/HAT_a_b@3s/model/model.json": "results/published/HAT_a_b@3s/model/model.json",
    "results/demo/search/evaluations.jsonl": None,
    "elsewhere/60ms/latency.json": None,
    "/results/demo/local/60ms/latency.json": None,
    "results": None,
}

KILLED = """
import os, signal, sys
from hat.artifacts.files import atomic
with atomic(sys.argv[1]) as stream:
    stream.write("half")
    stream.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_writer_left_is_removed_by_the_next(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("whole")
    (tmp_path / ".a.json").write_text("another file")
    subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert path.read_text() == "whole"
    assert len(list(tmp_path.glob(".a.txt.*"))) == 1
    write_text(path, "new")
    assert sorted(file.name for file in tmp_path.iterdir()) == [".a.json", "a.txt"]
    assert path.read_text() == "new"


def test_a_writer_that_lives_is_left_alone(tmp_path):
    path = tmp_path / "a.txt"
    with atomic(path) as stream:
        stream.write("one")
        write_text(path, "two")
        assert path.read_text() == "two"
    assert path.read_text() == "one"
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


def test_a_failed_block_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ValueError), atomic(path) as stream:
        stream.write("new")
        raise ValueError
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


def test_a_full_disk_is_named(tmp_path):
    with pytest.raises(HatError, match=r"a\.txt: the disk is full"), atomic(tmp_path / "a.txt") as stream:
        with open("/dev/full", "w", encoding="utf-8") as full:
            full.write("x" * 100_000)
        stream.write("never")
    assert not list(tmp_path.iterdir())


def test_a_missing_artifact_is_named_with_what_makes_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path, target in TARGETS.items():
        assert target_of(path) == target
        said = f"{path}: no such file" if target is None else f"{path} is missing; `snakemake {target}` makes it"
        with pytest.raises(InputError, match=f"^{re.escape(said)}$"):
            read_json(path)

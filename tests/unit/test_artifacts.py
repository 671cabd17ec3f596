import subprocess
import sys

import pytest

from hat.artifacts import atomic, write_text
from hat.errors import HatError

KILLED = """
import os, signal, sys
from hat.artifacts import atomic
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

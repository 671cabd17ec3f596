"""What the tests print at their end about tests that did not run."""

import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"
SKIPPED = """
import pytest

@pytest.mark.parametrize("number", range({count}))
@pytest.mark.skip(reason="needs a moon")
def test_moon(number): ...

@pytest.mark.slow
def test_slow(): ...

def test_that_runs(): ...
"""


@pytest.mark.parametrize("options", [[], ["--numprocesses", "2"]])
def test_the_last_block_has_a_line_for_each_reason(tmp_path, options):
    (tmp_path / "pytest.ini").write_text('[pytest]\nmarkers = slow\naddopts = -m "not slow"\n')
    (tmp_path / "conftest.py").write_text(CONFTEST.read_text())
    (tmp_path / "test_one.py").write_text(SKIPPED.format(count=2))
    (tmp_path / "test_two.py").write_text(SKIPPED.format(count=1))
    (tmp_path / "test_three.py").write_text("import pytest\npytest.importorskip('nosuch', reason='needs a star')\n")
    command = [sys.executable, "-m", "pytest", "--durations=1", "-p", "no:cacheprovider", *options]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    *_, title, moon, star, slow, total = ran.stdout.splitlines()
    assert title.strip("= ") == "not run", ran.stdout + ran.stderr
    assert moon == "3 tests in test_one.py, test_two.py: needs a moon"
    assert star == "1 test in test_three.py: needs a star"
    assert slow == "2 tests marked slow: docs/development/tests.md has the commands"
    assert "2 passed, 4 skipped" in total


def test_nothing_is_said_where_all_ran(tmp_path):
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "conftest.py").write_text(CONFTEST.read_text())
    (tmp_path / "test_one.py").write_text("def test_that_runs(): ...\n")
    ran = subprocess.run([sys.executable, "-m", "pytest"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0 and "1 passed" in ran.stdout and "not run" not in ran.stdout

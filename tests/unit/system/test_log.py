import os
import pty
import subprocess
import sys

import pytest

from hat.system import progress

SCRIPT = """
import sys
from hat.system import progress
from hat.cli.app import app, data
from hat.system.console import print_table
from hat.errors import HatError

progress.PLAIN_INTERVAL_S = progress.SHORT_S = 0

@data.command("work")
def work(what: str) -> None:
    with progress.progress("Working", 3) as show:
        for done in range(1, 4):
            show(done, f"loss {done}")
            if done == 2:
                print("a word in between")
    print_table("Figures", ("name", "value"), [("one", "1")])
    if what == "fault":
        raise HatError("the device is gone")
    if what == "bug":
        raise ValueError("a bug")

app(["--log", sys.argv[1], "data", "work", sys.argv[2]])
"""


def run(log, what, *, terminal):
    """Exit code, and what appears on the terminal or in the pipe."""
    command = [sys.executable, "-c", SCRIPT, str(log), what]
    environment = os.environ | {"TERM": "xterm"}
    if not terminal:
        ran = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, text=True, env=environment
        )
        return ran.returncode, ran.stdout
    leader, follower = pty.openpty()
    process = subprocess.Popen(command, stdin=follower, stdout=follower, stderr=follower, env=environment)
    os.close(follower)
    shown = b""
    try:
        while block := os.read(leader, 65536):
            shown += block
    except OSError:
        pass  # what Linux says at the end of a pseudo-terminal
    os.close(leader)
    return process.wait(60), shown.decode()


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize(
    ("what", "code", "last"),
    [("nothing", 0, None), ("fault", 1, "hat: the device is gone"), ("bug", 1, "ValueError: a bug")],
)
def test_terminal_and_log(tmp_path, terminal, what, code, last):
    log = tmp_path / "logs" / "verb.log"
    log.parent.mkdir()
    log.write_text("of an earlier run\n")
    found, shown = run(log, what, terminal=terminal)
    assert found == code
    logged = log.read_text()
    # The log: plain lines, no bar, no colours, what was printed in between, the table, the error.
    assert logged.startswith("Working: 1/3, ")
    assert "Working: 2/3, 0 s, about 0 s left, loss 2\na word in between\n" in logged
    assert "Figures" in logged
    assert "\x1b" not in logged
    assert "━" not in logged.partition("Figures")[0]
    assert ("Traceback" in logged) == (what == "bug")
    if last is not None:
        assert logged.splitlines()[-1] == last
        assert last in shown
    # The terminal: a bar that tells how long is left; a pipe: what the log has.
    if terminal:
        assert "━" in shown.partition("Figures")[0]
        assert "left" in shown
        assert "Working: 2/3" not in shown
        assert "a word in between" in shown
    else:
        assert shown == logged


def test_log_that_cannot_be_opened(tmp_path):
    code, shown = run(tmp_path, "nothing", terminal=False)
    assert code == 2
    assert shown == f"hat: {tmp_path}: is a directory\n"


def test_full_disk_of_the_log_hides_nothing():
    code, shown = run("/dev/full", "fault", terminal=False)
    assert code == 1
    assert "Working: 3/3" in shown
    assert shown.endswith("hat: the device is gone\n")


def test_a_step_of_unknown_length_is_followed_to_its_end(monkeypatch, capsys):
    monkeypatch.setattr(progress, "PLAIN_INTERVAL_S", 0)
    monkeypatch.setattr(progress, "SHORT_S", 0)
    with progress.progress("Counting", None) as show:
        for done in (1, 2, 3):
            show(done)
    assert capsys.readouterr().err.splitlines() == [f"Counting: {done}, 0 s" for done in (1, 2, 3)]


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize(
    ("what", "code", "last"),
    [("nothing", 0, None), ("fault", 1, "hat: the device is gone"), ("bug", 1, "ValueError: a bug")],
)
def test_quiet_verbs_show_errors_alone(tmp_path, monkeypatch, terminal, what, code, last):
    loud, quiet = tmp_path / "loud.log", tmp_path / "quiet.log"
    run(loud, what, terminal=terminal)
    monkeypatch.setenv("HAT_QUIET", "1")
    found, shown = run(quiet, what, terminal=terminal)
    assert found == code
    # The log is what it is otherwise.
    assert quiet.read_text().splitlines()[:5] == loud.read_text().splitlines()[:5]
    assert "Figures" in quiet.read_text()
    assert "Working" not in shown
    assert "Figures" not in shown
    assert ("Traceback" in shown) == (what == "bug")
    assert shown.splitlines()[-1:] == ([] if last is None else [last])

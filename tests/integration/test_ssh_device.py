"""Devices behind SSH: OpenSSH's own server and client, a network that can be cut, everything that goes wrong there."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import requires
from pathlib import Path

import pytest
import yaml
from ssh_device import SshDevice, why_not
from toy_device import write_configuration, write_dictionaries
from toy_model import write_model

from hat.artifacts.files import read_jsonl
from hat.artifacts.layout import Results
from hat.config.runtimes import RUNTIMES
from hat.config.scope import DeviceScope
from hat.config.settings import Settings
from hat.deploy.folder import DeployedFolder
from hat.device import remote
from hat.device.check import check_device
from hat.device.connection import connect
from hat.device.received import listing
from hat.device.requirements import LOCK, pins
from hat.device.setup import setup_device
from hat.errors import HatError
from hat.latency import samples, stages
from hat.runtime import runtime

pytestmark = [pytest.mark.skipif(why_not() is not None, reason=str(why_not())), pytest.mark.timeout(900)]

BOARD = {
    "connection": "ssh",
    "host": "device",
    "runtime": "onnxruntime",
    "beam": 2,
    "shortlist": False,
    "alive_s": 3,
    "patience_s": 60,
    "retry_s": 120,
    "wait_s": 60,
}
INDEX_PORT = 8765
LATENCY = {"samples": 6, "shards": 1, "passes": 2, "min_passes": 2, "source_length": 25, "target_length": 25}


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    """A device, with the configuration of one that is set up, `board`, and of `fresh`, which is not."""
    worker = int("0" + "".join(filter(str.isdigit, os.environ.get("PYTEST_XDIST_WORKER", ""))))
    place = Path(f"/tmp/hat-test-{os.getpid()}")
    # The device's package index is a server at this end of its link, where there is one.
    here = f"198.51.100.{4 * worker + 1}"
    index = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": f"http://{here}:{INDEX_PORT}/", "PIP_TRUSTED_HOST": here}
    found = SshDevice(place, worker, environment=index)
    assert found.here == here
    try:
        folder = write_configuration(tmp_path_factory.mktemp("configuration") / "config")
        for name in ("board", "fresh"):
            values = {**BOARD, "ssh_config": str(found.ssh_config)}
            (folder / f"devices/{name}.yaml").write_text(yaml.safe_dump(values))
        (folder / "config.yaml").write_text(yaml.safe_dump({"seed": 3, "latency": LATENCY}))
        found.configuration = folder
        try:
            found.first_setup = setup_device(Settings(folder=folder), "board", offline=True)
        except HatError as error:
            if "No matching distribution" in str(error) or "Could not find a version" in str(error):
                pytest.skip(f"packages cannot be had here: {error}")
            raise
        yield found
    finally:
        found.stop()
        shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
def results(tmp_path):
    found = Results(tmp_path / "results")
    write_dictionaries(found)
    return found


def settings(board, device="board", **changes):
    return Settings({f"devices.{device}.{key}": value for key, value in changes.items()}, folder=board.configuration)


def sampled(board, results, **changes):
    """Rows of a shard, measured from the beginning."""
    chosen = settings(board, **changes)
    stages.choose_architectures(DeviceScope(chosen, results, "toy", "board"))
    return read_jsonl(stages.sample_shard(DeviceScope(chosen, results, "toy", "board"), 0))


def kept(results):
    path = results.latency("toy", "board") / "partial" / "0.jsonl"
    return [row for row in read_jsonl(path) if row["kind"] == samples.SAMPLE]


@contextmanager
def after(results, rows, fault):
    """Do something to the device once so many measurements have been kept."""
    failed, before = [], []

    def watch():
        while not ended.wait(0.01):
            if len(kept(results)) >= rows:
                try:
                    before.extend(kept(results))
                    fault()
                except BaseException as error:
                    failed.append(error)
                return

    ended = threading.Event()
    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield before
    finally:
        ended.set()
        thread.join(60)
    assert not failed
    assert before, "nothing happened"


def check_all_there(results, before, rows):
    """What was kept before a fault is used, and everything is there once."""
    visits = kept(results)
    assert visits[: len(before)] == before
    assert len(visits) == 12
    assert len({row["visit"] for row in visits}) == 12
    assert len(rows) == 7
    assert sum(len(row["timings_ms"]) for row in rows[1:]) == sum(len(row["timings_ms"]) for row in visits)


def wait_until(true, seconds=60):
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_set_up_once_and_checked(board):
    assert board.first_setup["changed"]
    assert not setup_device(settings(board), "board", offline=True)["changed"]
    # A transfer that was killed leaves an environment that is not used, and is removed by the next one.
    folder = board.home / ".hat/board"
    (place,) = folder.glob("env-*")
    assert (folder / "venv").resolve() == place
    packages = {path.name.split("-")[0].lower() for path in place.glob("lib/python3*/site-packages/*.dist-info")}
    assert {"hat", "onnxruntime", "numpy"} <= packages
    assert not packages & {"torch", "pandas", "snakemake", "fastapi", "scikit_learn"}
    found = check_device(settings(board, cores=[min(os.sched_getaffinity(0))]), "board")
    assert found["fingerprint"]["architecture"] == os.uname().machine
    assert found["fingerprint"]["versions"]["onnxruntime"] == board.first_setup["onnxruntime"]
    assert "torch" not in found["fingerprint"]["versions"]
    assert found["reference"]["low_ms"] <= found["reference"]["latency_ms"] <= found["reference"]["high_ms"]
    assert abs(found["state"]["clock_offset_s"]) < 60
    with connect(settings(board), "board") as connection:
        shared = connection.agent.ssh.command("true")
        socket = Path(next(word for word in shared if word.startswith("ControlPath=")).partition("=")[2])
        connection.fingerprint()
        assert socket.is_socket()
    assert not socket.parent.exists()
    meter = {"kind": "command", "command": ["sh", "-c", "echo $HOME; echo 5 W"], "seconds": 0.1}
    found = check_device(settings(board, power=meter), "board")
    assert found["power"]["idle_w"] > 0 and found["power"]["reference_energy_j"] > 0
    with pytest.raises(HatError, match=r"^device 'board': its power meter cannot be read: no-such-meter: no such file"):
        check_device(settings(board, power={**meter, "command": ["no-such-meter"]}), "board")
    with pytest.raises(HatError, match=r"^device 'board': cores is \[4095\], but this machine has \[\d"):
        check_device(settings(board, cores=[4095]), "board")
    with pytest.raises(HatError, match=r"^device 'fresh': it is not set up .*hat device setup fresh"):
        check_device(settings(board), "fresh")


def test_samples_say_what_they_were_measured_on(board, results):
    header, *rows = sampled(board, results)
    assert header["conditions"]["runtime_version"] == header["fingerprint"]["versions"]["onnxruntime"]
    assert header["conditions"]["machine"].endswith(f"({os.uname().machine})")
    assert len(rows) == 6
    assert all(len(row["visits"]) == 2 for row in rows)
    wait_until(lambda: not board.agents(), 10)
    frame = stages.collect_dataset(DeviceScope(settings(board), results, "toy", "board"))
    assert frame.exists()


def test_several_lengths_and_a_meter_there(board, results):
    meter = {"kind": "command", "command": ["echo", "5"], "seconds": 0.05}
    changes = {"latency": {"lengths": [[5, 4, 1], [9, 8, 3]], "samples": 3}, "devices": {"board": {"power": meter}}}
    chosen = settings(board).changed(changes)
    stages.choose_architectures(DeviceScope(chosen, results, "toy", "board"))
    header, *rows = read_jsonl(stages.sample_shard(DeviceScope(chosen, results, "toy", "board"), 0))
    assert header["conditions"]["workload"]["lengths"] == [[5, 4, 0.25], [9, 8, 0.75]]
    assert all(row["shares"] == [0.25, 0.75] and row["energy_j"] > 0 for row in rows)
    assert {row["meter"] for row in rows} == {"watts of echo 5"}


def test_link_cut_and_healed(board, results, capsys):
    def cut():
        board.cut()
        time.sleep(5)
        board.heal()

    chosen = settings(board)
    stages.choose_architectures(DeviceScope(chosen, results, "toy", "board"))
    with after(results, 4, cut) as before:
        rows = read_jsonl(stages.sample_shard(DeviceScope(chosen, results, "toy", "board"), 0))
    check_all_there(results, before, rows)
    assert "trying again in 1 s" in capsys.readouterr().err
    # Those that the link was cut from end by themselves.
    wait_until(lambda: not board.agents(), 30)


def test_agent_of_a_dead_link_ends_and_frees_the_device(board, results):
    connection = connect(settings(board), "board")
    connection.agent.greeted()
    (agent,) = board.agents()
    board.cut()
    try:
        wait_until(lambda: agent not in board.agents(), 30)
    finally:
        board.heal()
    connection.close()


@pytest.mark.parametrize(
    "fault",
    ["agent killed", *(pytest.param(fault, marks=pytest.mark.slow) for fault in ("sshd killed", "agent hangs"))],
)
def test_going_on_after(board, results, capsys, fault):
    def cause():
        if fault == "sshd killed":
            board.kill_sshd()
            time.sleep(1.5)
            board.start()
        (agent,) = board.agents()[:1] or [None]
        if fault == "agent killed":
            os.kill(agent, signal.SIGKILL)
        if fault == "agent hangs":
            os.kill(agent, signal.SIGSTOP)
            time.sleep(7)
            os.kill(agent, signal.SIGCONT)

    chosen = settings(board, patience_s=3) if fault == "agent hangs" else settings(board)
    stages.choose_architectures(DeviceScope(chosen, results, "toy", "board"))
    with after(results, 3, cause) as before:
        rows = read_jsonl(stages.sample_shard(DeviceScope(chosen, results, "toy", "board"), 0))
    check_all_there(results, before, rows)
    said = capsys.readouterr().err
    assert "trying again in 1 s" in said
    assert ("hangs; no sign of life for 3 s" in said) == (fault == "agent hangs")
    wait_until(lambda: not board.agents(), 30)


@pytest.mark.slow
def test_device_that_stays_away(board, results):
    chosen = settings(board, retry_s=1)
    stages.choose_architectures(DeviceScope(chosen, results, "toy", "board"))
    try:
        with (
            pytest.raises(HatError, match=r"^device 'board': .*tried again for 1 s \(retry_s\)$"),
            after(results, 2, board.kill_sshd) as before,
        ):
            stages.sample_shard(DeviceScope(chosen, results, "toy", "board"), 0)
    finally:
        board.start()
    check_all_there(results, before, sampled(board, results))


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("impostor", "the host key of 'impostor' differs from the known one; connect once by hand"),
        ("unknown", "the host key of 'unknown' is unknown; connect once by hand"),
        ("stranger", "'stranger' denies permission; copy your public key there"),
        ("nowhere", "'nowhere' cannot be reached (ssh: connect to host .* port 2222: Connection refused)"),
        ("no-such-host.invalid", "host 'no-such-host.invalid' is unknown; add it to your OpenSSH"),
    ],
)
def test_device_that_cannot_be_reached(board, host, said):
    pattern = "^device 'board': " + said.replace("(", r"\(").replace(")", r"\)")
    with pytest.raises(HatError, match=pattern):
        check_device(settings(board, host=host), "board")
    with pytest.raises(HatError, match=pattern):
        setup_device(settings(board, host=host), "board", offline=True)


def test_python_that_is_not_there(board):
    with pytest.raises(HatError, match=r"^device 'fresh': there is no '/opt/nothing' there; install Python 3\.11"):
        setup_device(settings(board, "fresh", python="/opt/nothing"), "fresh", offline=True)
    with pytest.raises(HatError, match=r"^device 'fresh': 'true' does not run there"):
        setup_device(settings(board, "fresh", python="true"), "fresh", offline=True)
    # Quoted, and nothing that a shell would run.
    with pytest.raises(HatError, match=r"^device 'fresh': there is no "):
        setup_device(settings(board, "fresh", python=f"touch {board.home}/ran; python3"), "fresh", offline=True)
    assert not (board.home / "ran").exists()


@pytest.mark.slow
def test_other_versions(board, monkeypatch):
    (package,) = board.home.glob(".hat/board/venv/lib/python3*/site-packages/hat/__init__.py")
    content = package.read_text()
    package.write_text(content + "# another\n")
    with pytest.raises(
        HatError, match=r"^device 'board': another version of hat is installed there.*hat device setup board"
    ):
        check_device(settings(board), "board")
    package.write_text(content)
    monkeypatch.setattr("hat.device.connection.runtime_version", lambda name: "0.0.1")
    with pytest.raises(HatError, match=r"it has onnxruntime [0-9.]+, expected 0\.0\.1; run: hat device setup board"):
        check_device(settings(board), "board")


def test_somebody_else_measures(board):
    with connect(settings(board), "board") as first:
        first.agent.greeted()
        with pytest.raises(HatError, match=r"is measuring on it.*waited 0\.5 s") as refused:
            check_device(settings(board, wait_s=0.5), "board")
        assert first.agent.holder in str(refused.value)


@pytest.mark.slow
def test_two_workflows_at_once(board, tmp_path):
    command = [sys.executable, "-m", "hat", "--config-dir", board.configuration]
    processes = []
    for name in ("one", "two"):
        place = Results(tmp_path / name)
        write_dictionaries(place)
        stages.choose_architectures(DeviceScope(settings(board), place, "toy", "board"))
        words = [*command, "--results", place.root, "latency", "sample", "toy", "board", "--shard", "0"]
        processes.append(subprocess.Popen(words, stderr=subprocess.PIPE, text=True))
    said = [process.communicate(timeout=300)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    assert sum("waiting for" in text and "who is measuring on it" in text for text in said) == 1
    spans = []
    for name in ("one", "two"):
        path = Results(tmp_path / name).latency("toy", "board") / "samples/0.jsonl"
        times = [row["measured_at"] for row in read_jsonl(path)[1:]]
        spans.append((min(times), max(times)))
    spans.sort()
    assert spans[0][1] <= spans[1][0]


@pytest.mark.slow
def test_what_a_login_shell_prints(board, results):
    startup = board.home / ".bashrc"
    try:
        startup.write_text("printf 'Welcome!\\n\\033[31m{\"a\": 1}\\n[1, 2]\\n'; printf '\\377\\376\\n'\n")
        assert len(sampled(board, results)) == 7
        startup.write_text("yes 'Welcome to this machine'\n")
        with pytest.raises(HatError, match=r"it sent malformed output .*Welcome to this machine"):
            check_device(settings(board), "board")
        startup.write_text("cat /dev/zero\n")
        with pytest.raises(HatError, match="it wrote a line of more than"):
            check_device(settings(board), "board")
    finally:
        startup.unlink()


def test_device_that_lies(board, results):
    """Whatever stands where the agent should, nothing but one sentence comes of it."""
    program = board.home / ".hat/fresh/venv/bin/python"
    program.parent.mkdir(parents=True)
    hello = {"protocol": remote.PROTOCOL, "source": remote.source_digest()}
    answers = {
        "it reported an impossible value": {"runtime_version": 7},
        "it reported an impossible value ": {
            "runtime_version": "1",
            "machine": "x" * 5000,
            "fingerprint": {"cores": True},
        },
    }
    try:
        for said, facts in answers.items():
            lines = [hello, {"holder": None}, facts]
            text = "".join(
                f"read -r line; echo '{json.dumps({'id': n, 'answer': one})}'\n" for n, one in enumerate(lines, 1)
            )
            program.write_text("#!/bin/bash\n" + text + "sleep 5\n")
            program.chmod(0o755)
            with pytest.raises(HatError, match=f"^device 'fresh': {said}"):
                check_device(settings(board), "fresh")
        program.write_text('#!/bin/bash\nread -r line; echo \'{"id": 1, "error": "\\u001b[2Jwiped"}\'; sleep 5\n')
        with pytest.raises(HatError, match=r"^device 'fresh': \[2Jwiped$"):
            check_device(settings(board), "fresh")
    finally:
        shutil.rmtree(board.home / ".hat/fresh")


def test_deployed_folder_is_copied_and_translates_as_here(board, results, tmp_path):
    model = write_model(tmp_path / "model", executed_by=("onnxruntime", "int8"))
    deployed = DeployedFolder.read(model)
    vocabulary = deployed.blueprint.shape.source_vocabulary
    sources = [[4 + (7 * n + k) % (vocabulary - 4) for k in range(n)] + [2] for n in range(1, 8)]
    local = deployed.load(runtime("onnxruntime", "int8", 1)).translate(sources, deployed.decoding)
    chosen = settings(board, precision="int8")
    received = board.home / ".hat/board/received"
    with connect(chosen, "board") as connection:
        # The disk fills up in the middle, and what has arrived is not sent again.
        board.limit(received, "64k")
        try:
            with pytest.raises(HatError, match=r"^device 'board': the disk there is full; free some space"):
                connection.translate(model, sources)
            missing = connection.agent.ask("missing", files=listing(model))
            assert 0 < sum(missing.values()) < sum(entry["size"] for entry in listing(model).values())
            board.limit(received, "64m")
            assert connection.translate(model, sources) == [list(one.tokens) for one in local]
        finally:
            board.unlimit(received)
        workload = samples_workload(deployed)
        told = []
        found = connection.measure_deployed(model, workload, 1, 4, lambda done, note="": told.append(done))
        assert len(found.timings_ms) == 4
        # A change of one file is sent alone.
        (model / "README.md").write_text("changed\n")
        sent = []
        original = connection.agent._send_file
        connection.agent._send_file = lambda path, *rest: (sent.append(path.name), original(path, *rest))
        assert connection.translate(model, sources) == [list(one.tokens) for one in local]
        assert sent == ["README.md"]


def samples_workload(deployed):
    from hat.measure.workload import Workload

    return Workload(shape=deployed.blueprint.shape, source_length=6, target_length=6, beam=2)


@pytest.mark.slow
def test_no_room_for_an_environment(board, monkeypatch):
    place = board.home / ".hat/fresh"
    board.limit(place, "2m")
    try:
        with pytest.raises(HatError, match=r"^device 'fresh': the disk there is full; free some space"):
            setup_device(settings(board), "fresh", offline=False)
        with pytest.raises(HatError, match=r"^device 'fresh': it is not set up"):
            check_device(settings(board), "fresh")
    finally:
        board.unlimit(place)
        shutil.rmtree(place)
    monkeypatch.setitem(RUNTIMES, "onnxruntime", replace(RUNTIMES["onnxruntime"], disk_mb=1 << 40))
    with pytest.raises(HatError, match=r"MB are free in the home folder there, expected at least"):
        setup_device(settings(board), "fresh", offline=True)


@pytest.mark.slow
def test_set_up_from_a_package_index(board, tmp_path):
    """The device's own pip installs, from a server that it reaches."""
    chosen = settings(board)
    with pytest.raises(HatError, match=r"setup failed there .*use --offline if the device reaches no package"):
        setup_device(chosen, "fresh", offline=False)
    wheels, pinned = tmp_path / "wheels", f"onnxruntime=={pins()['onnxruntime']}"
    needed = [line for line in requires("hat") or () if "extra" not in line]
    command = [sys.executable, "-m", "pip", "download", "-q", "-d", wheels, "--constraint", LOCK, pinned, *needed]
    subprocess.run(command, check=True)
    handler = partial(SimpleHTTPRequestHandler, directory=str(wheels))
    with ThreadingHTTPServer((board.here, INDEX_PORT), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            assert setup_device(chosen, "fresh", offline=False)["changed"]
        finally:
            server.shutdown()
    assert not setup_device(chosen, "fresh", offline=False)["changed"]
    found = check_device(chosen, "fresh")
    assert found["fingerprint"]["versions"]["onnxruntime"] == pins()["onnxruntime"]
    shutil.rmtree(board.home / ".hat/fresh")

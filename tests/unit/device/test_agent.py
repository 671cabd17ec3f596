"""The agent as a process: what it answers, and when it ends."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict

import pytest
from toy_device import SMALL, workload

from hat.config.networks import EvolvedNetwork, Network
from hat.device.agent import PROTOCOL, source_digest
from hat.device.received import ReceivedFiles, listing
from hat.measure.measurement import Measurement
from hat.measure.workload import Workload
from hat.space.kinds import configured_architecture, configured_shape
from hat.space.search_space import SearchSpace

pytestmark = pytest.mark.timeout(900)


class Peer:
    """An agent, and this end of its pipes."""

    def __init__(self, lock) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hat.device.agent"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"HAT_DEVICE_LOCK": str(lock)},
        )
        self.number = 0

    def say(self, line: bytes) -> None:
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def ask(self, do: str, **values):
        self.number += 1
        self.say(json.dumps({"id": self.number, "do": do, **values}).encode())
        while "progress" in (found := json.loads(self.process.stdout.readline())):
            pass
        assert found["id"] == self.number
        return found.get("answer", found)


@pytest.fixture
def peer(tmp_path):
    found = Peer(tmp_path / "lock")
    yield found
    found.process.kill()
    found.process.wait()
    found.process.stdout.close()


BENCH = {"runtime": "onnxruntime", "precision": "fp32", "threads": 1, "cores": None, "seed": 1}


def test_it_measures_and_refuses_and_ends_with_its_peer(peer, tmp_path):
    hello = peer.ask("hello", silence_s=600)
    assert (hello["protocol"], hello["source"]) == (PROTOCOL, source_digest())
    assert hello["fingerprint"]["cores"] == os.cpu_count()
    architecture = SearchSpace(SMALL).smallest
    visit = {
        "workload": workload(SMALL, 50).to_dict(),
        "warmup": 1,
        "repeats": 3,
        "architecture": architecture.to_dict(),
    }
    assert peer.ask("measure", **visit)["error"] == "no Runtime was started"
    assert peer.ask("start", bench={**BENCH, "precision": "int2"})["kind"] == "input"
    # As a device does that has no GPU, or whose Runtime executes on none.
    assert (
        "runtime 'onnxruntime' with accelerator 'cuda'"
        in peer.ask("start", bench={**BENCH, "accelerator": "cuda"})["error"]
    )
    assert peer.ask("start", bench=BENCH)["fingerprint"] == hello["fingerprint"]
    found = Measurement.from_dict(peer.ask("measure", **visit), "answer")
    assert len(found.timings_ms) == 3
    several = Workload.of(workload(SMALL, 50).shape, ((4, 3, 0.25), (9, 8, 0.75)), 2, None)
    found = Measurement.from_dict(peer.ask("measure", **{**visit, "workload": several.to_dict()}), "answer")
    assert (len(found.timings_ms), found.shares) == (6, (0.25, 0.75))
    assert (
        peer.ask("measure", **{**visit, "workload": {**several.to_dict(), "lengths": [[4, 3, 1]]}})["kind"] == "input"
    )
    assert peer.ask("measure", **{**visit, "architecture": {"layers": 1}})["kind"] == "input"
    evolved = EvolvedNetwork(width=16, heads=2, wide_heads=4, encoder_cells=1, decoder_cells=1)
    shape = asdict(configured_shape(evolved, Network(), 50, 50))
    of_baseline = {"kind": "evolved", "architecture": configured_architecture(evolved).to_dict()}
    of_baseline["workload"] = {**visit["workload"], "shape": shape}
    found = Measurement.from_dict(peer.ask("measure", **{**visit, **of_baseline}), "answer")
    assert len(found.timings_ms) == 3
    assert peer.ask("power") == {"idle_w": None}
    meter = {"kind": "command", "command": ["echo", "4.5 W"], "unit": "watts", "seconds": 0.1}
    assert peer.ask("start", bench={**BENCH, "power": meter})
    assert peer.ask("power")["idle_w"] > 0
    assert Measurement.from_dict(peer.ask("measure", **visit), "answer").energy_j > 0
    assert "unknown" in peer.ask("__import__('os').system('true')")["error"]
    peer.say(b"no JSON")
    assert json.loads(peer.process.stdout.readline())["kind"] == "broken"
    assert peer.ask("lock", holder="me") == {"holder": None}
    other = Peer(tmp_path / "lock")
    assert other.ask("lock", holder="you") == {"holder": "me"}
    peer.process.stdin.close()
    assert peer.process.wait(60) == 0
    assert other.ask("lock", holder="you") == {"holder": None}
    # A peer that says nothing any more, over a link that was cut, closes nothing.
    other.ask("hello", silence_s=0.3)
    assert other.process.wait(60) == -signal.SIGALRM
    other.process.stdout.close()


def test_files_arrive_once_and_only_below_their_folder(tmp_path):
    source, there = tmp_path / "source", ReceivedFiles(tmp_path / "there")
    (source / "network").mkdir(parents=True)
    (source / "network/weights").write_bytes(b"12345")
    (source / "empty").write_bytes(b"")
    files = listing(source)
    weights = files["network/weights"]["sha256"]
    missing = there.missing(files)
    # Of a file that is empty nothing has to be sent.
    assert missing == {weights: 0}
    (there.files / f"{weights}.part").write_bytes(b"123")
    assert there.missing(files) == {weights: 3}
    # What was spoilt on the way is not taken.
    (there.files / f"{weights}.part").write_bytes(b"12340")
    assert there.missing(files) == {weights: 0}
    (there.files / f"{weights}.part").write_bytes(b"12345")
    assert there.missing(files) == {}
    folder = there.folder(files)
    assert listing(folder) == files
    del files["empty"]
    second = there.folder(files)
    assert listing(second) == files
    assert not folder.exists()
    assert {path.name for path in there.files.iterdir()} == {weights}
    for name in ("../up", "/etc/passwd", "a/../../b", ".hidden", ""):
        with pytest.raises(Exception, match="invalid name, SHA-256 or size"):
            there.missing({name: {"sha256": weights, "size": 5}})
    with pytest.raises(Exception, match="invalid name, SHA-256 or size"):
        there.missing({"x": {"sha256": "../../x", "size": 5}})

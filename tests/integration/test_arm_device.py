"""A Raspberry Pi as far as it can be had without one: Debian for aarch64 under qemu, behind OpenSSH's server.

    pytest -m slow tests/integration/test_arm_device.py

Its latencies mean nothing; its packages, its paths and its tokens do.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ssh_device import SshDevice, why_not
from toy_device import write_configuration, write_dictionaries
from toy_model import write_model

from hat.artifacts.files import read_jsonl
from hat.artifacts.layout import Results
from hat.config.scope import DeviceScope
from hat.config.settings import Settings
from hat.deploy.folder import DeployedFolder
from hat.device.check import check_device
from hat.device.connection import connect
from hat.device.setup import setup_device
from hat.latency import stages
from hat.runtime import runtime

# Every part of the path belongs to root, as sshd wants it of a chroot.
PLACE = Path("/var/lib/hat-test-arm")
PACKAGES = "python3,python3-venv,bash,coreutils,libgomp1,libstdc++6"
CPUINFO = (
    "processor\t: {number}\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd evtstrm crc32 cpuid\nCPU implementer\t: 0x41\n"
    "CPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: 0xd08\nCPU revision\t: 3\n\n"
)


def cannot() -> str | None:
    if (reason := why_not()) is not None:
        return reason
    if not Path("/usr/bin/qemu-aarch64-static").exists() or shutil.which("mmdebstrap") is None:
        return "qemu-user-static and mmdebstrap are not both installed"
    return None


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(cannot() is not None, reason=str(cannot())),
    pytest.mark.timeout(3600),
]


@pytest.fixture(scope="module")
def board():
    root = PLACE / "root"
    if not (PLACE / "complete").exists():
        shutil.rmtree(PLACE, ignore_errors=True)
        PLACE.mkdir(mode=0o755)
        command = ["mmdebstrap", "--variant=extract", "--arch=arm64", "--skip=check/qemu", f"--include={PACKAGES}"]
        made = subprocess.run([*command, "bookworm", root], check=False, capture_output=True, text=True)
        if made.returncode:
            pytest.skip(f"Debian's packages for arm64 cannot be had here: {made.stderr.splitlines()[-1]}")
        root.chmod(0o755)
        (PLACE / "complete").touch()
    cpuinfo = PLACE / "cpuinfo"
    cpuinfo.write_text("".join(CPUINFO.format(number=number) for number in range(4)))
    enter = (sys.executable, Path(__file__).with_name("emulated.py"), root, cpuinfo)
    lines = [f"ChrootDirectory {root}"]
    found = SshDevice(
        PLACE / "device", 63, before=enter, lines=lines, environment={"QEMU_CPU": "cortex-a72"}, jail=root
    )
    try:
        yield found
    finally:
        found.stop()
        shutil.rmtree(PLACE / "device", ignore_errors=True)
        shutil.rmtree(root / "home", ignore_errors=True)


@pytest.fixture(scope="module", params=[("ctranslate2", "int8"), ("onnxruntime", "int8")], ids=lambda pair: pair[0])
def chosen(request, board, tmp_path_factory):
    """Runtime and precision, and the configuration of a device that executes by them."""
    folder = write_configuration(tmp_path_factory.mktemp("configuration") / "config")
    device = {
        "connection": "ssh",
        "host": "device",
        "ssh_config": str(board.ssh_config),
        "beam": 2,
        "shortlist": False,
        "runtime": request.param[0],
        "precision": request.param[1],
        "alive_s": 120,
        "patience_s": 1500,
    }
    latency = {"samples": 5, "shards": 1, "passes": 1, "min_passes": 1, "repeats": 2}
    (folder / f"devices/{request.param[0]}.yaml").write_text(yaml.safe_dump(device))
    (folder / "config.yaml").write_text(yaml.safe_dump({"seed": 3, "latency": latency}))
    found = Settings(folder=folder)
    setup_device(found, request.param[0], offline=True)
    return *request.param, found


def test_set_up_and_checked(chosen):
    name, _, settings = chosen
    assert not setup_device(settings, name, offline=True)["changed"]
    found = check_device(settings, name)
    assert found["fingerprint"]["architecture"] == "aarch64"
    assert found["self_test"] == "passed"


def test_five_samples(chosen, tmp_path):
    name, _, settings = chosen
    results = Results(tmp_path / "results")
    write_dictionaries(results)
    stages.choose_architectures(DeviceScope(settings, results, "toy", name))
    header, *rows = read_jsonl(stages.sample_shard(DeviceScope(settings, results, "toy", name), 0))
    assert len({row["digest"] for row in rows}) == 5
    assert header["conditions"]["machine"].endswith("(aarch64)")


def test_translates_to_the_same_tokens(chosen, tmp_path):
    name, precision, settings = chosen
    model = write_model(tmp_path / "model", executed_by=(name, precision))
    deployed = DeployedFolder.read(model)
    vocabulary = deployed.blueprint.shape.source_vocabulary
    sources = [[4 + (7 * n + k) % (vocabulary - 4) for k in range(n)] + [2] for n in range(1, 21)]
    here = deployed.load(runtime(name, precision, 1)).translate(sources, deployed.decoding)
    with connect(settings, name) as connection:
        there = connection.translate(model, sources)
    assert there == [list(one.tokens) for one in here]
    assert len({tuple(tokens) for tokens in there}) > 10

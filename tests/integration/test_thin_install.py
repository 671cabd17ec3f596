"""What a device needs: the wheel of this project with the extra of one Runtime, in an environment of its own.

Where no package index answers, these tests are skipped.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from toy_model import write_model

from hat.config.networks import EvolvedNetwork
from hat.config.runtimes import RUNTIMES
from hat.deploy.translator import Translator

ROOT = Path(__file__).parents[2]
# Bytes of all files in site-packages after translating: with the bytecode of what ran, without that of what never did
# (`pip install --no-compile`), without pip and setuptools, which a device can borrow.
LARGEST = {"ctranslate2": 260e6, "onnxruntime": 170e6}
UNWANTED = {"torch", "pandas", "snakemake", "scikit_learn", "matplotlib", "subword_nmt"}
SENTENCES = ["the beginning .", "", "go to the end of the earth ."]
FROM_PYTHON = (
    "import json, sys, hat; print(json.dumps(hat.Translator.from_folder(sys.argv[1]).translate(sys.argv[2:])))"
)
OFFLINE = re.compile(r"No matching distribution|Could not find a version|Connection")

pytestmark = [pytest.mark.timeout(3600), pytest.mark.slow]


def run(*command: str | Path) -> str:
    """What a command prints that sees nothing of this environment."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    ran = subprocess.run(command, check=False, capture_output=True, text=True, cwd="/", env=environment)
    if "pip" in command and ran.returncode and OFFLINE.search(ran.stderr):
        pytest.skip(f"packages cannot be installed here: {ran.stderr.strip().splitlines()[-1]}")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The project's wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "hat", folder / "hat", ignore=shutil.ignore_patterns("__pycache__"))
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, folder)
    (made,) = folder.glob("hat-*.whl")
    return made


@pytest.mark.parametrize("extra", LARGEST)
def test_a_device_gets_a_small_environment_that_translates(tmp_path, wheel, extra):
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv")
    programs = tmp_path / "venv/bin"
    install = [sys.executable, "-m", "pip", "--python", programs / "python", "install", "-q", "--no-compile"]
    run(*install, "--constraint", ROOT / "requirements.lock", f"hat[{extra}] @ {wheel.as_uri()}")
    (packages,) = programs.parent.glob("lib/python3*/site-packages")
    installed = {path.name.split("-")[0].lower() for path in packages.glob("*.dist-info")}
    assert {"hat", extra} <= installed
    assert not installed & UNWANTED

    for precision in RUNTIMES[extra].precisions:
        folder = write_model(tmp_path / precision, executed_by=(extra, precision))
        # The same versions execute the same network here.
        expected = Translator.from_folder(folder).translate(SENTENCES)
        assert run(programs / "hat", "translate", "--model", folder, *SENTENCES).splitlines() == expected
    assert json.loads(run(programs / "python", "-c", FROM_PYTHON, folder, *SENTENCES)) == expected

    if extra == "onnxruntime":
        evolved = EvolvedNetwork(width=32, heads=4, wide_heads=8, encoder_cells=1, decoder_cells=1)
        folder = write_model(tmp_path / "evolved", executed_by=(extra, "int8"), evolved=evolved)
        expected = Translator.from_folder(folder).translate(SENTENCES)
        assert run(programs / "hat", "translate", "--model", folder, *SENTENCES).splitlines() == expected

    assert sum(path.stat().st_size for path in packages.rglob("*") if path.is_file()) <= LARGEST[extra]

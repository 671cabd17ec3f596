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

from hat.runtime import PRECISIONS
from hat.translator import Translator

ROOT = Path(__file__).parents[2]
# Bytes of all packages beside pip and what came with it, as they are after translating: with the bytecode of what ran,
# without that of what never did (`pip install --no-compile`).
LARGEST = {"ctranslate2": 260e6, "onnxruntime": 170e6}
OF_THE_ENVIRONMENT = re.compile(r"(pip|setuptools|pkg_resources|_distutils_hack|distutils-precedence)\b")
UNWANTED = {"torch", "pandas", "snakemake", "scikit-learn", "matplotlib", "subword-nmt"}
SENTENCES = ["the beginning .", "", "go to the end of the earth ."]
FROM_PYTHON = (
    "import json, sys, hat; print(json.dumps(hat.Translator.from_folder(sys.argv[1]).translate(sys.argv[2:])))"
)

pytestmark = pytest.mark.timeout(900)


class Device:
    """A virtual environment with nothing but the wheel and one extra."""

    def __init__(self, folder: Path, extra: str) -> None:
        source = folder / "source"
        source.mkdir()
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, source)
        shutil.copytree(ROOT / "hat", source / "hat", ignore=shutil.ignore_patterns("__pycache__"))
        pip = [sys.executable, "-m", "pip"]
        self._run(*pip, "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, source)
        self._run(sys.executable, "-m", "venv", folder / "venv")
        self.bin = folder / "venv/bin"
        (wheel,) = folder.glob("hat-*.whl")
        wanted = ["--no-compile", "--constraint", ROOT / "requirements.lock", f"hat[{extra}] @ {wheel.as_uri()}"]
        self._run(self.bin / "python", "-m", "pip", "install", "-q", *wanted)

    def run(self, program: str, *arguments: str | Path) -> str:
        """What a program of the environment prints."""
        return self._run(self.bin / program, *arguments)

    def packages(self) -> set[str]:
        """Names of the packages installed."""
        return {entry["name"].lower() for entry in json.loads(self.run("python", "-m", "pip", "list", "--format=json"))}

    def size(self) -> int:
        """Bytes of the packages installed, but for those of the environment itself."""
        (packages,) = self.bin.parent.glob("lib/python3*/site-packages")
        return sum(
            path.stat().st_size
            for top in packages.iterdir()
            if not OF_THE_ENVIRONMENT.match(top.name)
            for path in (top, *top.rglob("*"))
            if path.is_file()
        )

    def _run(self, *command: str | Path) -> str:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        ran = subprocess.run(
            command, check=False, capture_output=True, text=True, cwd="/", env=environment, timeout=800
        )
        if re.search("No matching distribution|Could not find a version|Connection|NewConnectionError", ran.stderr):
            pytest.skip(f"packages cannot be installed here: {ran.stderr.strip().splitlines()[-1]}")
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout


@pytest.mark.parametrize("extra", LARGEST)
def test_a_device_gets_a_small_environment_that_translates(tmp_path, extra):
    if extra not in PRECISIONS:
        pytest.skip(f"hat has no Runtime {extra} yet")
    device = Device(tmp_path, extra)
    assert extra in device.packages()
    assert not device.packages() & UNWANTED
    for precision in PRECISIONS[extra]:
        folder = write_model(tmp_path / precision, executed_by=(extra, precision))
        # The same versions execute the same network here.
        expected = Translator.from_folder(folder).translate(SENTENCES)
        assert json.loads(device.run("python", "-c", FROM_PYTHON, folder, *SENTENCES)) == expected
        assert device.run("hat", "translate", "--model", folder, *SENTENCES).splitlines() == expected
    assert device.size() <= LARGEST[extra]

"""What is released: one version, complete wheels, files that others read."""

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from hat.cli.app import app

ROOT = Path(__file__).parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
BUILD = "from setuptools import build_meta as b; b.build_sdist('dist'); b.build_wheel('dist')"


def test_the_version_stands_in_one_place():
    assert f'{VERSION}"' not in "".join(path.read_text() for path in (ROOT / "hat").rglob("*.py"))
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == VERSION
    assert re.search(r"^## (\S+),", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[1] == VERSION
    shown = CliRunner().invoke(app, ["--version"])
    # Of what is installed, which a checkout that was moved to another version is told to install again.
    assert shown.exit_code == 0 and re.fullmatch(r"hat \d+\.\d+\.\d+\n", shown.output)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """sdist and wheel, built from what git would hand out."""
    folder = tmp_path_factory.mktemp("release")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "hat", folder / "hat", ignore=shutil.ignore_patterns("__pycache__"))
    ran = subprocess.run([sys.executable, "-c", BUILD], cwd=folder, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return folder / "dist"


def test_the_wheel_holds_everything(built):
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as stored:
        names = set(stored.namelist())
        metadata = stored.read(f"hat-{VERSION}.dist-info/METADATA").decode()
    sources = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "hat").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert sources <= names, sources - names
    assert not [name for name in names if name.startswith(("tests/", "docs/", "workflow/"))]
    assert f"\nVersion: {VERSION}\n" in metadata and "License-Expression: MIT" in metadata


def test_the_sdist_makes_the_same_wheel(built, tmp_path):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as stored:
        stored.extractall(tmp_path, filter="data")
    (folder,) = tmp_path.iterdir()
    code = "from setuptools import build_meta as b; b.build_wheel('dist')"
    subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, check=True)
    first, second = (zipfile.ZipFile(next(place.glob("*.whl"))) for place in (built, folder / "dist"))
    with first, second:
        files = {name for name in first.namelist() if not name.endswith("RECORD")}
        assert files == {name for name in second.namelist() if not name.endswith("RECORD")}
        assert all(first.read(name) == second.read(name) for name in files)


def test_files_that_others_read_are_sound():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors", "references"} <= set(citation)
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    steps = [step.get("run", "") for step in workflow["jobs"]["test"]["steps"]]
    assert ".ci/run" in steps and "make docs" in steps
    catalogue = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())
    assert catalogue["usage"]["report"] is True
    for name in ("SECURITY.md", "CONTRIBUTING.md"):
        for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / name).read_text()):
            assert (ROOT / target).exists(), f"{name}: {target}"

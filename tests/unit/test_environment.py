"""pyproject.toml says what is needed; environment.yml and requirements.lock agree with it."""

import re
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# Names that conda-forge has for packages of the Python package index.
CONDA_NAMES = {"torch": "pytorch"}
EXTRAS = ("ctranslate2", "onnxruntime", "serve", "workflow", "cluster", "cost", "docs", "test")


def wanted():
    lines = [*PROJECT["dependencies"], *(line for extra in EXTRAS for line in PROJECT["optional-dependencies"][extra])]
    requirements = [requirement for requirement in map(Requirement, lines) if requirement.name != PROJECT["name"]]
    return {canonicalize_name(requirement.name): requirement for requirement in requirements}


def test_conda_environment_equals_pyproject():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    found = {}
    *entries, from_pip = environment["dependencies"]
    for entry in [*entries, *from_pip["pip"]]:
        name, version = re.fullmatch(r"([A-Za-z0-9_-]+)\s*(.*)", entry).groups()
        found[name] = version.replace(" ", "")
    assert found.pop("python") == PROJECT["requires-python"]
    assert found.pop("pip") == ""
    expected = {CONDA_NAMES.get(name, name): str(one.specifier) for name, one in wanted().items()}
    normal = {name: ",".join(sorted(version.split(","))) for name, version in found.items()}
    assert normal == {name: ",".join(sorted(version.split(","))) for name, version in expected.items()}


def locked():
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert pins == sorted(pins, key=str.lower)
    found = {}
    for pin in pins:
        name, version = re.fullmatch(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.!]+)", pin).groups()
        found[canonicalize_name(name)] = Version(version)
    return found


def test_lock_meets_pyproject():
    pins = locked()
    for name, requirement in wanted().items():
        assert pins[name] in requirement.specifier, f"{requirement} in requirements.lock"
    assert str(pins["torch"]) == "2.13.0"


def test_lock_installs_everywhere():
    # The one of them that is pure Python reads counters.
    names = set(locked()) - {"nvidia-ml-py"}
    assert not [name for name in names if name.startswith(("nvidia-", "cuda-", "triton", "hat"))]


def test_extras_keep_the_base_thin():
    base = {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]}
    assert not base & {"torch", "pandas", "matplotlib", "snakemake", "scikit-learn"}

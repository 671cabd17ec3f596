"""The table of Runtimes, and what must agree with it."""

import importlib
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from hat.config.documents import schema
from hat.config.kmeans import PRECISIONS as QUANTISED
from hat.config.networks import Space
from hat.config.runtimes import DEVICE_PRECISIONS, FALLBACK, RUNTIMES
from hat.config.settings import Settings
from hat.config.variants import settings_for_variant
from hat.deploy.card import card
from hat.device.requirements import pins, runtime_version
from hat.measure.fingerprint import PACKAGES
from hat.runtime import runtime
from hat.space.kinds import KINDS

ROOT = Path(__file__).parents[3]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


@pytest.mark.parametrize("name", RUNTIMES)
def test_a_row_names_its_class_and_the_class_its_row(name):
    facts = RUNTIMES[name]
    assert facts.name == name
    for precision in facts.precisions:
        made = runtime(name, precision, 1)
        assert type(made) is getattr(importlib.import_module(facts.module), facts.class_name)
        assert made.facts is facts
        assert made.precision == precision


@pytest.mark.parametrize("facts", RUNTIMES.values(), ids=RUNTIMES)
def test_what_a_row_says_exists(facts):
    assert {re.split("[>=<]", one)[0] for one in EXTRAS[facts.extra]} >= {facts.package}
    assert pins()[facts.package] == runtime_version(facts.name)
    assert facts.package in PACKAGES
    assert facts.kinds
    assert {*facts.kinds} <= {*KINDS}
    assert {*facts.expresses} <= {*Space.model_fields}
    assert {*facts.precisions} <= {*DEVICE_PRECISIONS, *QUANTISED}
    assert facts.disk_mb > 0


def test_the_configuration_has_the_rows():
    keys = schema("device")["properties"]
    assert keys["runtime"]["enum"] == [*RUNTIMES]
    assert keys["precision"]["enum"] == [*DEVICE_PRECISIONS]


def test_the_documentation_has_the_rows():
    """Name, precisions and extra; k-means as published is documented with compression."""
    documented = {}
    for page in ROOT.glob("docs/**/*.md"):
        _, found, table = page.read_text(encoding="utf-8").partition("| Runtime | precisions | expresses | needs |\n")
        for line in table.split("\n\n")[0].splitlines()[1:] if found else ():
            name, precisions, _, needs = (re.findall("`(.+?)`", cell) for cell in line.strip("|").split(" | "))
            documented[name[0]] = (precisions, needs)
    expected = {
        name: ([one for one in facts.precisions if not one.endswith("-published")], [f"hat[{facts.extra}]"])
        for name, facts in RUNTIMES.items()
    }
    assert documented == expected


@pytest.mark.parametrize("precision", DEVICE_PRECISIONS)
@pytest.mark.parametrize("name", RUNTIMES)
def test_a_form_keeps_the_runtime_that_has_it(name, precision):
    settings = Settings({"devices": {"local": {"runtime": name, "precision": "fp32"}}}, ROOT / "config")
    chosen = settings_for_variant(settings, "demo", "local", precision).device("local")
    assert chosen.runtime == (name if precision in RUNTIMES[name].precisions else FALLBACK)
    assert chosen.precision in RUNTIMES[chosen.runtime].precisions


MISSING = """
import json, sys
from hat.config.runtimes import RUNTIMES
from hat.errors import InputError
from hat.runtime import runtime
for facts in RUNTIMES.values():
    sys.modules[facts.package] = None
said = {}
for name, facts in RUNTIMES.items():
    try:
        runtime(name, facts.precisions[0], 1)
    except InputError as error:
        said[name] = str(error)
print(json.dumps(said))
"""


def test_a_missing_package_names_the_extra():
    ran = subprocess.run([sys.executable, "-c", MISSING], capture_output=True, text=True, check=True, cwd=ROOT)
    assert json.loads(ran.stdout) == {
        name: f"runtime {name!r} needs the package {facts.package}; pip install 'hat[{facts.extra}]'"
        for name, facts in RUNTIMES.items()
    }


@pytest.mark.parametrize("name", RUNTIMES)
def test_a_model_card_names_the_extra(name):
    values = {
        "task": "toy",
        "device": "here",
        "budget": "50ms",
        "source_language": "en",
        "target_language": "de",
        "files": {},
        "runtime": name,
        "precision": "fp32",
        "threads": 1,
        "parameters": 1,
        "data_licence": "none",
        "provenance": {"hat_version": "0", "created": "today"},
    }
    assert f"\npip install 'hat[{RUNTIMES[name].extra}]'\n" in card(values)


def test_the_table_needs_the_standard_library_alone():
    code = "import json, sys, hat.config.runtimes; print(json.dumps(sorted(sys.modules)))"
    ran = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert ran.returncode == 0, ran.stderr
    loaded = {name.partition(".")[0] for name in json.loads(ran.stdout)} - {"hat"}
    assert loaded <= {*sys.stdlib_module_names, "__main__"}

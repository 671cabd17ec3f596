"""The table of artifacts says what the rules make, and the documentation what the table says."""

import re
from pathlib import Path

import pytest

from hat.artifacts.table import KINDS, PLACEHOLDER, kind_of, reserved
from hat.schemas.catalogue import ARTIFACTS

ROOT = Path(__file__).parents[3]
# Outputs that are no artifacts: logs and benchmarks of jobs, and marks of steps that Snakemake needs.
INTERNAL = re.compile(r"(logs|benchmarks)/|[^/]+/data(/\.fetched|\.tar)$")


def rule_outputs():
    """Literal paths after ``output:`` in the rules, with the table's placeholders."""
    for path in sorted((ROOT / "workflow" / "rules").glob("*.smk")):
        for block in re.findall(r"\n    output:\n((?: {8}.*\n)+)", path.read_text(encoding="utf-8")):
            for literal in re.findall(r'"results/([^"]+)"', block):
                yield re.sub(r"\{(\w+)\}", lambda word: word[1].upper(), literal)


# Named without their endings, which `multiext` adds.
SEVERAL_ENDINGS = ("figures/", "tables/", "TASK/DEVICE/predictor/accuracy")
OUTPUTS = sorted(set(rule_outputs()))


def named(pattern):
    """A path that a pattern stands for."""
    return PLACEHOLDER.sub(lambda word: f"some-{word[0].lower()}", pattern)


@pytest.mark.parametrize("output", OUTPUTS)
def test_every_output_of_a_rule_is_its_own_target(output):
    if INTERNAL.match(output) or output.startswith(SEVERAL_ENDINGS):
        return
    kind = kind_of(named(output))
    assert kind is not None and kind.target_of(named(output)) == named(output)


def test_every_target_is_an_output_of_a_rule():
    dynamic = {"tables/cost.json", "tables/cost.csv", "tables/cost.md", "report.html"}
    dynamic |= {f"TASK/DEVICE/predictor/accuracy.{ending}" for ending in ("pdf", "png", "csv")}
    targets = {
        f"{folder}/{kind.target or name}".lstrip("/")
        for kind in KINDS
        if kind.target is not None
        for folder in kind.folders
        for name in kind.names
    }
    # A published network has no translations of its own.
    assert targets - dynamic - {"published/NAME/hypotheses.txt"} <= {*OUTPUTS}


def test_kinds_have_names_of_their_own_and_every_schema_a_kind():
    names = [kind.name for kind in KINDS]
    assert len(names) == len({*names})
    json = {kind.name for kind in KINDS if any(file.endswith((".json", ".jsonl")) for file in kind.files)}
    assert {name for one in ARTIFACTS for name in (one.kinds or (one.name,))} == json


def test_no_name_of_a_folder_is_a_task_a_device_or_a_budget():
    assert {"published", "tables", "usage", "report.html", "logs"} <= reserved()
    assert {"data", "supertransformer", "search"} <= reserved("TASK")
    assert {"latency", "budgets.json", "elastic"} <= reserved("TASK", "DEVICE")
    assert kind_of("demo/local/elastic/latency.json") is None
    assert kind_of("demo/local/60ms/latency.json").name == "latency"
    assert kind_of("demo/search/60ms/latency.json") is None


def test_the_documentation_has_every_kind():
    page = (ROOT / "docs" / "reference" / "artifacts.md").read_text(encoding="utf-8")
    documented = re.findall(r"^\| (`[^|]+) \|", page, flags=re.M)
    paths = set()
    for cell in documented:
        first, *others = re.findall(r"`([^`]+)`", cell)
        paths |= {first, *(f"{Path(first).parent}/{other}" for other in others)}
    for kind in KINDS:
        for file in kind.files:
            assert any(f"{file}/".startswith(path) for path in paths if path.endswith("/")) or file in paths, file

"""Schemas of artifacts: they take what the code writes, refuse anything else, and are published."""

import json

import jsonschema
import pytest
from typer.testing import CliRunner

from hat.artifacts.files import provenance
from hat.cli.app import app
from hat.config.algorithms import ALGORITHMS
from hat.errors import InputError
from hat.latency.predictor.conformal import BOUNDS
from hat.latency.predictor.regressions import REGRESSIONS
from hat.measure.measurement import Measurement
from hat.schemas.catalogue import ARTIFACTS, artifact, artifact_of, check
from hat.schemas.common import Timings
from hat.schemas.document import page
from hat.schemas.latency import CrossBound, ErrorsFile, NoBound, Regression, SplitBound

MADE = {"provenance": provenance(seed=1, settings={})}
TRANSLATED = {"teacher": "transformer-big", "sentences": 3, "identity": "0123456789abcdef", **MADE}


def test_every_schema_is_valid_and_on_the_page():
    text = page()
    for one in ARTIFACTS:
        schema = one.schema()
        jsonschema.Draft202012Validator.check_schema(schema)
        assert f"\n## {one.name}\n" in text and all(f"`results/{file}`" in text for file in one.files)
        for part in (schema, *schema.get("$defs", {}).values()):
            # Nothing of them takes keys that it does not have.
            assert "properties" not in part or part["additionalProperties"] is False, part["title"]


def test_every_key_of_ours_is_described():
    for one in ARTIFACTS:
        for name, part in one.schema().get("$defs", {}).items():
            from_settings = name in ("Network", "Space", "SuperTraining", "SubTraining", "Training", "Tokenisation")
            own = any("description" in value for value in part.get("properties", {}).values())
            for key, value in part.get("properties", {}).items():
                assert from_settings or not own or value.get("description"), f"{one.name}, {name}.{key}"


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("demo/data/counts.json", "counts"),
        ("demo/data/binary/counts.json", "binary-counts"),
        ("demo/local/60ms/architecture.json", "architecture"),
        ("demo/local/60ms/int8/latency.json", "latency"),
        ("published/HAT_a_b@3.5s/score.json", "score"),
        ("demo/local/latency/samples/0.jsonl", "samples"),
        ("usage/demo/local/60ms/search/host.jsonl", "usage"),
        ("tables/demo-local.json", "summary"),
        ("tables/demo-local-compression.json", "compression"),
        ("tables/cost.json", "cost"),
        ("tables/main.json", "table"),
        ("demo/local/60ms/other.json", None),
        ("demo/counts.json", None),
    ],
)
def test_files_are_known_by_their_place(file, name):
    found = artifact_of(file)
    assert (found and found.name) == name


def test_wrong_files_are_named(tmp_path):
    path = tmp_path / "demo/translated/transformer-big/translated.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(TRANSLATED))
    (tmp_path / "demo/partial").mkdir()
    (tmp_path / "demo/partial/unfinished.json").write_text("half")
    assert check(tmp_path) == (1, [])
    options = ["--results", str(tmp_path), "artifacts", "check"]
    assert "1 artifacts are as their schemas say" in " ".join(CliRunner().invoke(app, options).output.split())
    path.write_text(json.dumps(TRANSLATED | {"more": 1, "sentences": "3"}))
    (tmp_path / "demo/new.json").write_text("{}")
    _, problems = check(tmp_path)
    assert problems[0] == f"{tmp_path / 'demo/new.json'}: no schema is known"
    assert [problem.removeprefix(f"{path}: ").split(":")[0] for problem in problems[1:]] == ["sentences", "more"]
    ran = CliRunner().invoke(app, options)
    assert ran.exit_code == 2 and "new.json: no schema is known" in ran.output


def test_rows_follow_a_header(tmp_path):
    path = tmp_path / "demo/local/latency/architectures.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"kind": "header", "count": 1, **MADE}) + '\n{"digest": "x"}\n')
    _, problems = check(tmp_path)
    assert all(problem.startswith(f"{path}, line 2: ") for problem in problems) and len(problems) == 3


def test_schemas_are_asked_for_by_name():
    ran = CliRunner().invoke(app, ["artifacts", "schema", "budgets"])
    assert json.loads(ran.output) == artifact("budgets").schema()
    ran = CliRunner().invoke(app, ["artifacts", "list", "--json"])
    assert [one["name"] for one in json.loads(ran.output)] == [one.name for one in ARTIFACTS]
    with pytest.raises(InputError, match="artifact 'nosuch' is unknown, expected one of counts, binary-counts"):
        artifact("nosuch")


def test_schemas_name_what_the_code_has():
    def choices(schema):
        return set(schema.get("enum", [schema.get("const")]))

    errors = ErrorsFile.model_json_schema()
    assert choices(errors["properties"]["model"]) == set(REGRESSIONS)
    assert choices(errors["$defs"]["BoundErrors"]["properties"]["method"]) == set(BOUNDS)
    assert {one.model_fields["method"].annotation.__args__[0] for one in (SplitBound, CrossBound, NoBound)} == set(
        BOUNDS
    )
    kinds = {one.model_fields["kind"].annotation.__args__[0] for one in Regression.__args__[0].__args__}
    assert kinds == set(REGRESSIONS)
    why = artifact("architecture").schema()["$defs"]["Why"]["properties"]
    assert choices(why["algorithm"]) == set(ALGORITHMS)
    measured = Measurement(
        timings_ms=(1.0, 2.0), processor_ms=(1.0, 2.0), load_average=0.0, measured_at="2026-01-01T00:00:00Z"
    )
    Timings.model_validate_json(json.dumps(measured.to_dict()))

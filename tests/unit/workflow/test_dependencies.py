from pathlib import Path
from typing import Annotated

import pytest
import yaml
from pydantic import Field

from hat.config.base import Effect, effect_of, effective
from hat.config.baseline import Baseline
from hat.config.configuration import Configuration
from hat.config.device import Device
from hat.config.documents import sections_of
from hat.config.latency import Latency
from hat.config.networks import Space
from hat.config.settings import Settings
from hat.config.task import Task
from hat.workflow.dependencies import BASELINE_STAGES, STAGES, own_files, stage_digest

ROOT = Path(__file__).parents[3]


def digests(overrides=None):
    settings = Settings(overrides, ROOT / "config")
    return {stage: stage_digest(settings, stage, "demo", "local") for stage in STAGES}


@pytest.mark.parametrize(
    ("overrides", "changed"),
    [
        ({"tasks": {"demo": {"scoring": {"beam": 3}}}}, {"score"}),
        (
            {"tasks": {"demo": {"scoring": {"length_penalty": 0.6}}}},
            {"shortlist", "translate", "export", "export_form", "score"},
        ),
        ({"tasks": {"demo": {"data_licence": "CC0"}}}, {"export", "export_form"}),
        ({"tasks": {"demo": {"compression": {"embeddings": False}}}}, {"export_form"}),
        ({"tasks": {"demo": {"shortlist": {"frequent": [9]}}}}, {"shortlist"}),
        ({"search": {"iterations": 2}}, {"search"}),
        ({"search": {"evaluations": 2}}, {"front", "search"}),
        ({"search": {"workers": 2}}, set()),
        ({"latency": {"repeats": 3}}, {"sample", "measure"}),
        ({"latency": {"lengths": "validation"}}, {"sample", "measure"}),
        ({"latency": {"samples": 3}}, {"choose"}),
        ({"devices": {"local": {"beam": 3}}}, {"sample", "measure", "export", "export_form", "score"}),
        ({"devices": {"local": {"shortlist": False}}}, {"sample", "measure", "export", "export_form", "score"}),
        ({"devices": {"local": {"power": {"kind": "rapl"}}}}, {"measure"}),
        ({"devices": {"local": {"threads": 2}}}, {"sample", "measure", "export", "export_form"}),
        ({"tasks": {"demo": {"subtransformer": {"updates": 2}}}}, {"subtransformer"}),
        ({"tasks": {"demo": {"subtransformer": {"teacher": "supertransformer"}}}}, {"subtransformer", "translate"}),
        ({"tasks": {"demo": {"supertransformer": {"updates": 2}}}}, {"supertransformer"}),
        ({"tasks": {"demo": {"tokenisation": {"bpe_merges": 9}}}}, {"tokenise", "binarise"}),
        ({"demo": {"count": 4}}, {"budgets"}),
        ({"demo": {"budgets": ["70ms"]}}, set()),
        ({"tasks": {"demo": {"description": "x", "supertransformer": {"threads": 1, "tensorboard": True}}}}, set()),
        ({"tasks": {"bibleende": {"network": {"norm": "post"}}}}, set()),
        ({"devices": {"rpi4": {"beam": 3}}}, set()),
    ],
)
def test_a_setting_changes_only_what_reads_it(overrides, changed):
    before, after = digests(), digests(overrides)
    assert {stage for stage in STAGES if before[stage] != after[stage]} == changed


@pytest.mark.parametrize("key", ["length_penalty", "max_length_ratio", "max_length_extra"])
def test_searches_for_bleu_depend_on_decoding(key):
    bleu = {"search.objective": "bleu"}
    before, after = digests(bleu), digests(bleu | {f"scoring.{key}": 3})
    searches = {"front", "search", "random_search"}
    assert {stage for stage in STAGES if before[stage] != after[stage]} >= searches
    # It is compared at a beam of its own.
    other = digests(bleu | {"scoring.beam": 3})
    assert {stage for stage in STAGES if before[stage] != other[stage]} == {"score"}
    before, after = digests(), digests({f"scoring.{key}": 3})
    assert not searches & {stage for stage in STAGES if before[stage] != after[stage]}


def test_latencies_from_a_file_depend_on_what_they_are_taken_for():
    """There are no samples whose digest has it."""
    board = {"connection": "ssh", "latency": "x.csv"}
    before = digests({"devices": {"local": board}})
    for changes in ({"devices": {"local": board | {"beam": 3}}}, {"latency": {"source_length": 3}}):
        after = digests({"devices": {"local": board}} | changes)
        assert before["collect"] != after["collect"]
        assert digests()["collect"] == digests({"latency": {"source_length": 3}})["collect"]


def test_seed_changes_what_is_random():
    before, after = digests(), digests({"seed": 2})
    untouched = {stage for stage in STAGES if before[stage] == after[stage]}
    names = "fetch extract tokenise binarise shortlist collect translate export export_form measure"
    assert untouched == set(names.split())


def test_own_files_are_those_that_exist(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = {"kind": "file", "path": "wmt16.tgz"}
    task = {"corpus": {"archives": {"wmt16": source}}}
    settings = Settings({"tasks": {"wmt14ende": task}}, folder=ROOT / "config")
    assert own_files(settings.task("demo")) == own_files(settings.task("wmt14ende")) == []
    Path("wmt16.tgz").touch()
    assert own_files(settings.task("wmt14ende")) == ["wmt16.tgz"]
    data = {"preprocessed": True, "archive": {"kind": "file", "path": "binarised.tgz"}}
    Path("binarised.tgz").touch()
    settings = Settings({"tasks": {"wmt14ende": task | {"data": data}}}, folder=ROOT / "config")
    assert own_files(settings.task("wmt14ende")) == ["binarised.tgz"]


OF_DEMO = yaml.safe_load((ROOT / "config/spaces/demo.yaml").read_text()) | {"encoder_ffn_dim": [256]}
# Where the fields of each model are found by the names of STAGES.
MODELS = {Task: "task", Space: "space", Device: "device", Baseline: "baseline", Configuration: ""}
NAMED = {name for stages in (STAGES, BASELINE_STAGES) for names in stages.values() for name in names}


# A change of each field that stands for other values.
RESOLVED = {
    "baseline.training": {"baselines": {"transformer-base": {"training": {"updates": 9}}}},
    "baselines": {"baselines": {"transformer-base": {"network": {"encoder_ffn_dim": [9] * 6}}}},
    "devices": {"devices": {"local": {"beam": 9}}},
    "latency": {"latency": {"samples": 9}},
    "latency.space": {"tasks": {"demo": {"latency": {"space": "small"}}}, "spaces": {"small": OF_DEMO}},
    "scoring": {"scoring": {"beam": 9}},
    "search": {"search": {"evaluations": 9}},
    "spaces": {"spaces": {"demo": {"encoder_ffn_dim": [9]}}},
    "task.space": {"tasks": {"demo": {"space": "small"}}},
    "tasks": {"tasks": {"demo": {"scoring": {"beam": 9}}}},
}


def fields_of(model, prefix=""):
    """Dotted name as stages name it, and :class:`FieldInfo`, of each field at any depth; none below a marked one."""
    for key, field in model.model_fields.items():
        name = f"{prefix}.{key}".removeprefix(".")
        yield name, field
        if effect_of(field) is None:
            for section in sections_of(field.annotation):
                yield from fields_of(section, "latency" if name == "task.latency" else name)


def undecided(model, prefix, named):
    """Fields whose mark, or whose want of one, does not fit to what stages name."""
    for name, field in fields_of(model, prefix):
        by_itself, mark = name in named, effect_of(field)
        with_its_section = any(name == other or name.startswith(f"{other}.") for other in named)
        fits = {
            Effect.NONE: not by_itself,
            Effect.NAMED: by_itself,
            Effect.RESOLVED: name in RESOLVED,
            None: with_its_section or bool(sections_of(field.annotation)),
        }
        if not fits[mark]:
            yield name


def test_each_field_is_decided():
    """A field changes what a stage's digest has, or says that it does not."""
    found = {name for model, prefix in MODELS.items() for name in undecided(model, prefix, NAMED)}
    assert found == set()


@pytest.mark.parametrize("name", RESOLVED)
def test_what_stands_for_other_values_changes_a_stage(name):
    marked = {one for model, prefix in MODELS.items() for one, field in fields_of(model, prefix) if effect_of(field)}
    assert name in marked
    before, after = (
        {
            stage: stage_digest(settings, stage, "demo", "local", "transformer-base")
            for stage in BASELINE_STAGES
            for settings in [Settings(overrides, ROOT / "config")]
        }
        for overrides in ({}, RESOLVED[name])
    )
    assert before != after


def test_a_field_that_nobody_decided_is_found():
    class More(Latency):
        workers: int = Field(1, description="A field that no stage names")

    class Wider(Device):
        note: str = Field("", description="Unmarked, in a section that stages read as a whole")
        mark: Annotated[str, Effect.NAMED] = Field("", description="Named by no stage")

    assert list(undecided(More, "latency", NAMED)) == ["latency.workers"]
    assert list(undecided(Wider, "device", NAMED)) == ["device.mark"]
    assert "note" in effective(Wider(connection="local")) and "note" not in effective(Device(connection="local"))

from pathlib import Path

import pytest

from hat.config.settings import Settings
from hat.workflow.dependencies import STAGES, own_files, stage_digest

ROOT = Path(__file__).parents[2]


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

"""Spaces confined to what a device's Runtime expresses, and the stages that see them."""

import pytest
import yaml
from toy_device import SMALL, write_configuration

from hat.artifacts.layout import Results
from hat.config.confined import confined
from hat.config.scope import DeviceScope
from hat.config.settings import Settings
from hat.errors import InputError
from hat.latency.stages import choose_architectures, read_architectures
from hat.space.search_space import SearchSpace
from hat.workflow.dependencies import stage_digest, stage_settings


@pytest.fixture
def folder(tmp_path):
    """A configuration whose device `small` runs ctranslate2; the space has spans 1 and 2."""
    path = write_configuration(tmp_path / "config")
    device = {"connection": "local", "runtime": "ctranslate2", "precision": "int8", "beam": 2}
    (path / "devices/small.yaml").write_text(yaml.safe_dump(device))
    return path


def test_only_what_is_not_expressed_is_left_out():
    assert confined(SMALL, "torch") == SMALL
    assert confined(SMALL, "ctranslate2") == SMALL.model_copy(update={"decoder_cross_span": (1,)})


def test_an_empty_rest_names_space_device_and_runtime(folder):
    settings = Settings({"spaces.toy.decoder_cross_span": [2]}, folder)
    with pytest.raises(InputError) as caught:
        settings.space_on("toy", "small")
    assert str(caught.value) == (
        "space 'toy' on device 'small', decoder_cross_span: [2], but runtime 'ctranslate2' expresses [1] only"
    )
    assert settings.space_on("toy", "here") == settings.space_of("toy")


def test_architectures_are_drawn_from_what_the_device_runs(folder, tmp_path):
    settings, results = Settings({"latency.samples": 40}, folder), Results(tmp_path / "results")
    spans = {}
    for device in ("small", "here"):
        chosen = read_architectures(choose_architectures(DeviceScope(settings, results, "toy", device)))
        assert len(chosen) == 40
        assert all(point in SearchSpace(settings.space_on("toy", device)) for point in chosen)
        spans[device] = {span for point in chosen for span in point.decoder_cross_span}
    assert spans == {"small": {1}, "here": {1, 2}}


def test_stages_depend_on_the_runtime_where_it_confines_the_space(folder):
    settings = Settings(folder=folder)
    torch = Settings({"devices": {"small": {"runtime": "torch", "precision": "fp32"}}}, folder)
    for stage in ("choose", "budgets", "search"):
        assert stage_digest(settings, stage, "toy", "small") != stage_digest(torch, stage, "toy", "small")
    # What is left out is not read by the choice, but by training and by what takes weights from it.
    narrower = Settings({"spaces.toy.decoder_cross_span": [1]}, folder)
    changed = {
        stage
        for stage in ("supertransformer", "choose", "budgets", "search", "subtransformer")
        if stage_digest(settings, stage, "toy", "small") != stage_digest(narrower, stage, "toy", "small")
    }
    assert changed == {"supertransformer", "search", "subtransformer"}


def test_a_baseline_needs_nothing_of_the_space(folder):
    settings = Settings({"spaces.toy.decoder_cross_span": [2]}, folder)
    assert "device" in stage_settings(settings, "export", "toy", "small")
    with pytest.raises(InputError, match="ctranslate2"):
        stage_settings(settings, "search", "toy", "small")


def test_a_precision_that_the_runtime_lacks_is_refused(folder):
    with pytest.raises(InputError, match="precision is 'int8', but runtime 'torch' has fp32"):
        Settings({"devices": {"small": {"runtime": "torch"}}}, folder)

from pathlib import Path

import pytest

from hat.artifacts.layout import Results
from hat.config.overrides import read_file
from hat.config.settings import Settings
from hat.workflow.first_run import FirstRun

ROOT = Path(__file__).parents[3]
MODERN = ROOT / "config/recipes/modern.yaml"


def test_modern_is_for_the_published_wmt_tasks():
    tasks = {name for name in Settings(folder=ROOT / "config").tasks if name.startswith("wmt")}
    assert {*read_file(MODERN)["tasks"]} == tasks


@pytest.mark.parametrize("task", ["wmt14ende", "wmt14enfr", "wmt19ende"])
def test_modern_changes_precision_and_batches_alone(task):
    published, modern = (Settings(overrides, ROOT / "config").task(task) for overrides in (None, read_file(MODERN)))
    for section in ("supertransformer", "subtransformer"):
        before, after = getattr(published, section), getattr(modern, section)
        assert {key for key, value in after if value != getattr(before, key)} == {
            "precision",
            "batch_tokens",
            "accumulate",
        }
        assert before.batch_tokens * before.accumulate == after.batch_tokens * after.accumulate
        assert after.precision == "bf16"


def test_modern_trains_the_example_of_the_paper_in_less_than_40_gpu_hours(monkeypatch):
    monkeypatch.chdir(ROOT)

    def gpu_hours(overrides):
        run = FirstRun(Settings(overrides), Results("results"), {})
        rules = ("train_supertransformer", "train_subtransformer")
        guesses = [run.guess(rule, {"task": "wmt14ende"}, 1) for rule in rules]
        return sum(guess.gpu_hours for guess in guesses)

    modern = gpu_hours(read_file(MODERN))
    assert 20 < modern < 40
    assert gpu_hours(None) > 5 * modern

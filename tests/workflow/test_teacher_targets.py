"""SubTransformers that learn from a teacher: the SuperTransformer's largest network, and a baseline."""

import json

import pytest
import yaml
from test_baseline_targets import TRANSFORMER

from hat.schemas.catalogue import check

pytestmark = [pytest.mark.timeout(3600), pytest.mark.slow]


def taught(finished, teacher, distillation):
    """Target and options of a budget of its own, whose network has this teacher."""
    largest = json.loads((finished.results / "budgets.json").read_text())["budgets"][-1].removesuffix("ms")
    target = f"results/smoke/local/{largest}{len(teacher)}ms/bleu.txt"
    training = f"{{teacher: {teacher}, distillation: {distillation}}}"
    return target, ("--config", f"tasks={{smoke: {{subtransformer: {training}}}}}", "--", target)


def described(finished, target):
    folder = (finished.folder / target).parent / "subtransformer"
    return json.loads((folder / "config.json").read_text())["taught_by"]


def test_translations_of_the_supertransformer(finished):
    target, options = taught(finished, "supertransformer", "both")
    after = {"search", "train_subtransformer", "export_model", "score"}
    assert finished.would_run(*options) == {"translate_training", *after}
    kept = "smoke/translated/supertransformer/partial/translations.jsonl"
    first = finished.written(*options, kill=f"{kept}$", time=6)
    before = (finished.folder / "results" / kept).read_text().splitlines()
    assert first.count(kept) == 5
    second = finished.written(*options)
    whole = (finished.folder / "results" / kept).read_text().splitlines()
    # What was translated before it was killed is not translated again.
    assert len(before) > 100
    assert whole[: len(before)] == before
    numbers = [json.loads(row)["number"] for row in whole[1:]]
    assert sorted(numbers) == list(range(len(numbers)))
    assert not [path for path in second if path.startswith("smoke/supertransformer/")]
    made = json.loads((finished.folder / "results/smoke/translated/supertransformer/translated.json").read_text())
    assert made["sentences"] == len(numbers)
    found = described(finished, target)
    assert (found["name"], found["distillation"]) == ("supertransformer", "both")
    assert found["translations"] == made["identity"]
    assert check(finished.folder / "results")[1] == []
    assert float((finished.folder / target).read_text().splitlines()[0]) >= 0
    assert "Nothing to be done" in finished.snakemake(*options)


def test_words_of_a_baseline(finished):
    (finished.folder / "config/baselines/small.yaml").write_text(yaml.safe_dump({"network": TRANSFORMER}))
    target, options = taught(finished, "small", "word")
    written = finished.written(*options)
    assert "smoke/baselines/small/checkpoint.pt" in written
    assert not [path for path in written if path.startswith("smoke/translated/")]
    assert described(finished, target)["name"] == "small"
    assert (finished.folder / target).exists()

"""Other forms of models and their table, made from what the whole DAG made."""

import json

import pytest

from hat.schemas.catalogue import check

pytestmark = [pytest.mark.timeout(3600), pytest.mark.slow]


def test_other_forms_are_scored_and_compared(finished):
    budgets = json.loads((finished.results / "budgets.json").read_text())["budgets"]
    target = f"results/smoke/local/{budgets[0]}/quantized-4bit/bleu.txt"
    assert finished.would_run(target) == {"export_form", "score_form"}
    table = "results/tables/smoke-local-compression"
    output = finished.snakemake(f"{table}.md")
    assert "Compression: smoke on local" in output
    rows = json.loads((finished.folder / f"{table}.json").read_text())["rows"]
    assert [(row["budget"], row["precision"]) for row in rows] == [
        (budget, form) for budget in budgets for form in ("fp32", "fp32", "int8", "int4", "kmeans8", "kmeans4")
    ]
    for budget in budgets:
        folder = finished.results / budget
        sizes = [(place / "model/network/weights.npz").stat().st_size for place in _places(folder)]
        assert sizes == sorted(sizes, reverse=True)
        for bits in (4, 8):
            place = folder / f"quantized-{bits}bit"
            score = json.loads((place / "score.json").read_text())
            assert float((place / "bleu.txt").read_text().splitlines()[0]) == pytest.approx(score["bleu"], abs=0.01)
            assert "validation_loss" not in score
            assert json.loads((place / "model/model.json").read_text())["precision"] == f"kmeans{bits}"
    assert check(finished.folder / "results")[1] == []
    assert "Nothing to be done" in finished.snakemake(f"{table}.md")
    assert finished.would_run(target, "--config", "tasks={smoke: {compression: {embeddings: false}}}") == {
        "export_form",
        "score_form",
    }


def _places(folder):
    return [folder, folder / "quantized-8bit", folder / "quantized-4bit"]

"""The whole DAG of the published tasks, cut down by configuration alone, on archives like the published ones."""

import json

import pytest
import tiny_corpora
import yaml
from web_server import WebServer

from hat.config.settings import merge

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

SMALL = {
    "qkv_dim": 32,
    "encoder_embed_dim": [32, 16],
    "encoder_layers": [3],
    "encoder_ffn_dim": [64, 32],
    "encoder_heads": [2, 1],
    "decoder_embed_dim": [32, 16],
    "decoder_layers": [6, 3, 1],
    "decoder_ffn_dim": [64, 32],
    "decoder_self_heads": [2, 1],
    "decoder_cross_heads": [2, 1],
    "decoder_cross_span": [1, 2, 3],
}
TRAINING = {
    "updates": 40,
    "batch_tokens": 512,
    "accumulate": 1,
    "learning_rate": 5.0e-3,
    "warmup_updates": 5,
    "validate_every": 20,
    "save_every": 10,
    "average_checkpoints": 3,
    "attention_dropout": 0.0,
}
CUT_DOWN = {
    "supertransformer": TRAINING,
    "subtransformer": TRAINING,
    "latency": {"samples": 24, "passes": 1, "warmup": 1, "repeats": 5, "source_length": 8, "target_length": 8},
    "search": {
        "population": 6,
        "parents": 2,
        "mutations": 2,
        "crossovers": 2,
        "iterations": 2,
        "validation_sentences": 20,
    },
    "scoring": {"max_sentences": 12, "batch_tokens": 256, "max_length_extra": 30},
    "shortlist": {"align_sentences": 100, "validation_sentences": 5, "frequent": [30], "translations": [5]},
}


@pytest.mark.parametrize("task", tiny_corpora.TASKS)
def test_whole_dag(project, task):
    server = WebServer(tiny_corpora.TASKS[task]()[0])
    server.ways[next(iter(server.files))] = "truncating"
    wider = {"encoder_ffn_dim": [64, 32, 16], "decoder_ffn_dim": [64, 32, 16]}
    changes = merge(
        tiny_corpora.overrides(task, server.url),
        {
            "tasks": {task: CUT_DOWN},
            "spaces": {"wmt": SMALL, "iwslt": SMALL, "published-latency": SMALL | wider},
            "demo": {"task": task, "count": 2},
        },
    )
    (project.folder / "cut-down.yaml").write_text(yaml.safe_dump(changes))
    project.snakemake("--configfile", "cut-down.yaml")
    place = project.folder / "results" / task / "local"
    budgets = json.loads((place / "budgets.json").read_text())["budgets"]
    assert len(budgets) == 2
    for budget in budgets:
        score = json.loads((place / budget / "score.json").read_text())
        assert score["sentences"] == 12
        assert score["bleu_of_words_signature"].endswith("compounds:parted")
        assert score["decoding"]["beam"] == (5 if task.startswith("iwslt") else 4)
        first, signature = (place / budget / "bleu.txt").read_text().splitlines()
        assert float(first) == pytest.approx(score["bleu"], abs=0.01)
        assert "tok:13a" in signature
    chosen = (place / "latency/architectures.jsonl").read_text()
    assert ", 16" in chosen or ",16" in chosen
    server.close()
    # What was downloaded is all that is needed: with the server gone, nothing is to be done.
    assert "Nothing to be done" in project.snakemake("--configfile", "cut-down.yaml")

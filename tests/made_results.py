"""Artifacts of a finished run as files, small and made up, for the tests of figures, tables and the report."""

import json

import numpy as np
import pandas as pd

from hat.artifacts.layout import Results

BUDGETS = ("40ms", "60ms", "0.1s")
SENTENCES = 30


def architecture(layers, ffn_dim=512):
    return {
        "encoder_embed_dim": 256,
        "encoder_ffn_dim": [1024, 768, 512],
        "encoder_heads": [8, 4, 4],
        "decoder_embed_dim": 192,
        "decoder_ffn_dim": [ffn_dim] * layers,
        "decoder_self_heads": [8] * layers,
        "decoder_cross_heads": [4] * layers,
        "decoder_cross_span": [1, 2, 3][:layers],
    }


def write_results(root):
    """Write results of the task demo on the device local for three budgets."""
    made = Results(root)
    _write_latency(made)
    words = [f"word{number % 7} stands here with number {number} and more" for number in range(SENTENCES)]
    raw = made.data("demo") / "raw"
    raw.mkdir(parents=True)
    for language in ("en", "de"):
        (raw / f"test.{language}").write_text("".join(f"{line}\n" for line in words))
    _write_metrics(made.supertransformer("demo"))
    for number, budget in enumerate(BUDGETS):
        folder = made.budget("demo", "local", budget) / "subtransformer"
        _write_metrics(folder)
        (folder / "config.json").write_text(json.dumps({"training": {"initial_weights": "inherited"}}))
        # Larger budgets get more lines right.
        right = 10 + 8 * number
        texts = [line if place < right else line.replace("stands here", "lies") for place, line in enumerate(words)]
        (folder.parent / "hypotheses.txt").write_text("".join(f"{line}\n" for line in texts))
        found = {"architecture": architecture(number + 1), "validation_loss": 5.0, "predicted_latency_ms": 39.0}
        (folder.parent / "architecture.json").write_text(json.dumps(found))
        (folder.parent / "latency.json").write_text(json.dumps(_latency(number)))
        (folder.parent / "score.json").write_text(json.dumps(_score(number)))
        (folder.parent / "bleu.txt").write_text(f"{4.0 + number}\nnrefs:1\n")
        losses = [5.0, 4.9, 4.95, 4.7]
        candidates = [
            {"order": n, "generation": n // 2, "validation_loss": loss, "origin": "sampled" if n < 3 else "mutation"}
            for n, loss in enumerate(losses)
        ]
        pd.DataFrame(candidates).sample(frac=1, random_state=1).to_parquet(folder.parent / "search.parquet")
    benchmark = made.root / "benchmarks/demo/supertransformer.tsv"
    benchmark.parent.mkdir(parents=True)
    benchmark.write_text("s\tmax_rss\tcpu_time\n61.5\t900.0\t-\n")
    return made


def _write_latency(made):
    folder = made.predictor("demo", "local")
    folder.mkdir(parents=True)
    pairs = [{"digest": "x", "measured_ms": 10.0 * n, "predicted_ms": 10.0 * n + 1} for n in range(1, 6)]
    errors = {
        "rows": 25,
        "held_out_rows": 5,
        "rmse_ms": 1.0,
        "mape_percent": 4.0,
        "kendall_tau": 1.0,
        "held_out": pairs,
    }
    (folder / "errors.json").write_text(json.dumps(errors))
    rng = np.random.default_rng(3)
    rows = []
    for number in range(25):
        point = architecture(number % 3 + 1, 256 * (number % 4 + 1))
        latency_ms = 20.0 * (number % 3 + 1) + rng.normal()
        ends = {"latency_low_ms": latency_ms - 1, "latency_high_ms": latency_ms + 2}
        rows.append({"architecture": json.dumps(point), "latency_ms": latency_ms, "source_length": 30, **ends})
    dataset = made.latency("demo", "local") / "dataset.parquet"
    dataset.parent.mkdir(parents=True)
    pd.DataFrame(rows).to_parquet(dataset)


def _write_metrics(folder):
    folder.mkdir(parents=True)
    rows = [
        {"event": "train", "update": 1, "nll": 6.0, "tokens": 1000, "tokens_per_s": 500.0},
        {"event": "validate", "update": 1, "loss": 1.0, "nll": 5.5},
        {"event": "train", "update": 2, "nll": 5.0, "tokens": 1000, "tokens_per_s": 250.0},
        {"event": "validate", "update": 2, "loss": 1.0, "nll": 4.5},
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def _latency(number):
    return {
        "latency_ms": 38.0 + 20 * number,
        "spread_ms": 2.0,
        "latency_low_ms": 37.5 + 20 * number,
        "latency_high_ms": 39.25 + 20 * number,
        "predicted_latency_ms": 39.0 + 20 * number,
        "within_budget": True,
    }


def _score(number):
    return {
        "bleu": 4.0 + number,
        "chrf": 20.0 + number,
        "validation_loss": 4.5 - number / 10,
        "inherited_loss": 5.0 - number / 8,
        "untrained_loss": 8.5,
        "unigram_loss": 6.5,
        "parameters": 1_500_000,
        "sentences": SENTENCES,
        "bleu_signature": "nrefs:1|case:mixed",
        "chrf_signature": "nrefs:1|nc:6",
    }

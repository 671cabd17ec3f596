"""Accuracy of the predictor's regression on the latencies published with HAT: a table on standard output.

    python tests/benchmarks/predictor.py [FOLDER]

FOLDER holds the measured latencies (default ../shared/reference/latency). The published files keep only averages over
layers, so sums over layers are made of them; ten splits, 100 training and 200 held-out rows.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from hat.latency.accuracy import kendall_tau
from hat.latency.features import FEATURES
from hat.latency.predictor import fit_nonnegative

TRAIN, HELD_OUT, SPLITS = 100, 200, 10
SOURCE, STEPS, BEAM, QKV, VOCABULARY = 30, 30, 5, 512, 32768


def published_features(frame: pd.DataFrame) -> np.ndarray:
    """The features of ``hat.latency.features`` from averages over layers; [rows, len(FEATURES)]."""
    encoder, depth = frame.encoder_embed_dim, frame.encoder_layer_num
    decoder, layers = frame.decoder_embed_dim, frame.decoder_layer_num
    tokens, span = STEPS * BEAM, layers * frame.decoder_arbitrary_ende_attn_avg
    columns = {
        "sentence": frame.encoder_embed_dim * 0 + 1,
        "encoder_layers": depth,
        "encoder_projections": 4 * SOURCE * encoder * QKV * depth,
        "encoder_ffn": 2 * SOURCE * encoder * depth * frame.encoder_ffn_embed_dim_avg,
        "encoder_heads": depth * frame.encoder_self_attention_heads_avg,
        "cross_keys": 2 * SOURCE * encoder * QKV * span,
        "decoder_layers": STEPS * layers,
        "decoder_projections": 6 * tokens * decoder * QKV * layers,
        "decoder_ffn": 2 * tokens * decoder * layers * frame.decoder_ffn_embed_dim_avg,
        "decoder_self_heads": STEPS * layers * frame.decoder_self_attention_heads_avg,
        "decoder_cross_heads": STEPS * layers * frame.decoder_ende_attention_heads_avg,
        "cross_attention": 2 * tokens * QKV * SOURCE * span,
        "output_projection": tokens * decoder * VOCABULARY,
    }
    return np.stack([np.asarray(columns[name], dtype=float) for name in FEATURES], axis=1)


def errors_of(path: Path) -> tuple[float, float, float]:
    """Held-out RMSE in milliseconds, MAPE in percent, Kendall's tau, means over the splits."""
    frame = pd.read_csv(path)
    table = published_features(frame)
    latency = (frame.latency_mean_encoder + frame.latency_mean_decoder).to_numpy()
    found = []
    for split in range(SPLITS):
        order = np.random.default_rng(split).permutation(len(frame))
        train, test = order[:TRAIN], order[TRAIN : TRAIN + HELD_OUT]
        predicted = table[test] @ fit_nonnegative(table[train], latency[train])
        error = predicted - latency[test]
        relative = float(np.mean(np.abs(error) / latency[test])) * 100
        found.append((float(np.sqrt(np.mean(error**2))), relative, kendall_tau(latency[test], predicted)))
    rmse, mape, tau = np.mean(found, axis=0)
    return float(rmse), float(mape), float(tau)


def main() -> None:
    """Print a row for each file."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/reference/latency")
    files = sorted(folder.glob("*.csv"))
    if not files:
        print(f"{folder}: no latency file there, nothing to check")
    for path in files:
        rmse, mape, tau = errors_of(path)
        print(f"{path.stem:28} RMSE {rmse:7.1f} ms  MAPE {mape:4.1f} %  tau {tau:.3f}")


if __name__ == "__main__":
    main()

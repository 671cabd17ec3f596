"""Latencies measured elsewhere: a LatencyDataset of this project, or a CSV file of the research code."""

import hashlib
import math
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd

from hat.config.networks import Space
from hat.errors import InputError
from hat.latency.dataset import read_csv, read_parquet
from hat.latency.predictor.averages import DEVIATIONS, TIMES, published_table
from hat.latency.schema import validated
from hat.measure.workload import Workload
from hat.space.architecture import Architecture

# The research code's columns of averages over layers, and the side of the network they belong to, by dimension.
OF_LAYERS = {
    "encoder_ffn_dim": ("encoder_ffn_embed_dim_avg", "encoder"),
    "encoder_heads": ("encoder_self_attention_heads_avg", "encoder"),
    "decoder_ffn_dim": ("decoder_ffn_embed_dim_avg", "decoder"),
    "decoder_self_heads": ("decoder_self_attention_heads_avg", "decoder"),
    "decoder_cross_heads": ("decoder_ende_attention_heads_avg", "decoder"),
    "decoder_cross_span": ("decoder_arbitrary_ende_attn_avg", "decoder"),
}
DEPTHS = {"encoder": "encoder_layer_num", "decoder": "decoder_layer_num"}
# Interquartile range of a standard normal distribution, and its 97.5 % quantile.
NORMAL_IQR = 1.349
NORMAL_95 = 1.96
# Timings behind an average of the research code, after it drops the slowest and the fastest tenth.
PUBLISHED_REPEATS = 240


def read_external(path: Path, space: Space, workload: Workload, constant: dict[str, Any]) -> pd.DataFrame:
    """Read a LatencyDataset from a user's file.

    Args:
        path: Parquet or CSV file.
        space: the task's space; averages over layers in a file of the research code become layers with its choices.
        workload: the task's workload on the device, for files that do not state theirs.
        constant: ``device``, ``runtime``, ``precision``, ``threads`` from the configuration.

    Returns:
        A valid dataset. Its ``attrs`` have ``conditions`` with the workload, and ``representative``: whether each
        Architecture only represents the measured one.

    Raises:
        InputError: the file is missing or malformed, or a row does not fit the space.
    """
    frame = read_parquet(path) if path.suffix == ".parquet" else read_csv(path)
    conditions = frame.attrs.get("conditions")
    representative = set(TIMES) <= set(frame.columns)
    if representative:
        frame = _from_published(published_table(frame, str(path)), space, str(path))
    elif "architecture" not in frame.columns:
        expected = "architecture, latency_ms, ..., or the columns of the research code"
        raise InputError(f"{path}: has columns {', '.join(map(str, frame.columns[:6]))} ..., expected {expected}")
    defaults = {
        **constant,
        "runtime_version": "unknown",
        "machine": "unknown",
        "source_length": workload.source_length,
        "target_length": workload.target_length,
        "beam": workload.beam,
    }
    for name, value in defaults.items():
        if name not in frame.columns:
            frame[name] = value
    frame = validated(_completed(frame, str(path)), str(path))
    if conditions is None:
        conditions = {**defaults, "workload": workload.to_dict()}
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    frame.attrs = {
        "conditions": conditions,
        "brought": {"file": path.name, "sha256": digest},
        "representative": representative,
    }
    return frame


def _completed(frame: pd.DataFrame, where: str) -> pd.DataFrame:
    """Add columns that a file omits and that follow from others."""
    if "latency_ms" not in frame.columns:
        raise InputError(f"{where}: has no column latency_ms")
    frame = frame.copy()
    architectures = [
        Architecture.from_json(str(text), f"{where}, row {row}")
        for row, text in enumerate(frame["architecture"], start=1)
    ]
    frame["digest"] = [architecture.digest for architecture in architectures]
    defaults: dict[str, Any] = {
        "spread_ms": 0.0,
        "repeats": 1,
        "latency_low_ms": frame["latency_ms"],
        "latency_high_ms": frame["latency_ms"],
        "confidence": 0.0,
        "reference_ms": frame["latency_ms"].median(),
    }
    for name, value in defaults.items():
        if name not in frame.columns:
            frame[name] = value
    # Different networks may have equal averages; the first one represents all.
    return frame.drop_duplicates("digest", ignore_index=True)


def _from_published(frame: pd.DataFrame, space: Space, where: str) -> pd.DataFrame:
    """Convert rows of the research code; each Architecture has the same sums over layers as the measured one."""
    rows = []
    for number, row in enumerate(frame.to_dict("records"), start=1):
        place = f"{where}, row {number}"
        depth = {side: int(row[column]) for side, column in DEPTHS.items()}
        layers: dict[str, Any] = {
            dimension: _checked_layers(getattr(space, dimension), depth[side], row[column], f"{place}, {column}")
            for dimension, (column, side) in OF_LAYERS.items()
        }
        widths: dict[str, Any] = {name: int(row[name]) for name in ("encoder_embed_dim", "decoder_embed_dim")}
        mean = sum(row[name] for name in TIMES)
        deviation = math.hypot(*(row[name] for name in DEVIATIONS))
        error_ms = NORMAL_95 * deviation / math.sqrt(PUBLISHED_REPEATS)
        rows.append(
            {
                "architecture": Architecture(**widths, **layers).to_json(),
                "latency_ms": mean,
                "spread_ms": NORMAL_IQR * deviation,
                "repeats": PUBLISHED_REPEATS,
                "latency_low_ms": max(mean - error_ms, mean / 1000),
                "latency_high_ms": mean + error_ms,
                "confidence": 0.95,
            }
        )
    return pd.DataFrame(rows)


def _checked_layers(choices: tuple[int, ...], depth: int, average: float, where: str) -> tuple[int, ...]:
    """Return values from ``choices`` for each layer, the largest first, with this average.

    Raises:
        InputError: no such values exist; ``where`` starts the message.
    """
    total = round(average * depth)
    # The research code also measured networks with half as many heads as the smallest choice of its spaces.
    layers = _layers(choices, depth, total) or _layers((*choices, max(1, min(choices) // 2)), depth, total)
    if layers is None or abs(total - average * depth) > 1e-3 * depth:
        raise InputError(
            f"{where}: {average:.6g} over {depth} layers, expected the average of layers with values from"
            f" {sorted(choices)}"
        )
    return layers


@lru_cache(maxsize=4096)
def _layers(choices: tuple[int, ...], depth: int, total: int) -> tuple[int, ...] | None:
    """Return values from ``choices`` that add up to ``total``, the largest first; None if there are none."""
    # For each number of layers, one way to reach each sum.
    reached: dict[int, tuple[int, ...]] = {0: ()}
    for _ in range(depth):
        longer: dict[int, tuple[int, ...]] = {}
        for so_far, layers in reached.items():
            for choice in sorted(choices):
                longer.setdefault(so_far + choice, (choice, *layers))
        reached = longer
    return tuple(sorted(reached[total], reverse=True)) if total in reached else None

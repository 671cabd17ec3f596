"""Latencies that were measured elsewhere: our dataset, or the CSV files of the research code."""

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

# Columns of the research code's files that hold averages over layers, by the dimension; and the side.
OF_LAYERS = {
    "encoder_ffn_dim": ("encoder_ffn_embed_dim_avg", "encoder"),
    "encoder_heads": ("encoder_self_attention_heads_avg", "encoder"),
    "decoder_ffn_dim": ("decoder_ffn_embed_dim_avg", "decoder"),
    "decoder_self_heads": ("decoder_self_attention_heads_avg", "decoder"),
    "decoder_cross_heads": ("decoder_ende_attention_heads_avg", "decoder"),
    "decoder_cross_span": ("decoder_arbitrary_ende_attn_avg", "decoder"),
}
DEPTHS = {"encoder": "encoder_layer_num", "decoder": "decoder_layer_num"}
# Of a normal distribution: interquartile range of standard deviation 1. Repetitions of the research code, of which it
# leaves out the slowest and fastest tenth.
NORMAL_IQR = 1.349
PUBLISHED_REPEATS = 240
NORMAL_95 = 1.96


def read_external(path: Path, space: Space, workload: Workload, constant: dict[str, Any]) -> pd.DataFrame:
    """A LatencyDataset from a file.

    Args:
        path: Parquet or CSV.
        space: of the task; what the research code averages over layers is made layers of its choices.
        workload: of the task on the device, where the file does not say what was timed.
        constant: ``device``, ``runtime``, ``precision``, ``threads`` as they are configured.

    Returns:
        A valid dataset; ``attrs`` has ``conditions`` with the workload, and ``representative``: whether Architectures
        only stand for those that were measured.

    Raises:
        InputError: the file is missing or holds something else, or a row does not fit the space.
    """
    frame = read_parquet(path) if path.suffix == ".parquet" else read_csv(path)
    conditions = frame.attrs.get("conditions")
    representative = set(TIMES) <= set(frame.columns)
    if representative:
        frame = _from_published(published_table(frame, str(path)), space, str(path))
    elif "architecture" not in frame.columns:
        expected = "our columns (architecture, latency_ms, ...), or those of the research code"
        raise InputError(f"{path}: has columns {', '.join(map(str, frame.columns[:6]))} ..., expected {expected}")
    said = {
        **constant,
        "runtime_version": "unknown",
        "machine": "unknown",
        "source_length": workload.source_length,
        "target_length": workload.target_length,
        "beam": workload.beam,
    }
    for name, value in said.items():
        if name not in frame.columns:
            frame[name] = value
    frame = validated(_completed(frame, str(path)), str(path))
    if conditions is None:
        conditions = {**said, "workload": workload.to_dict()}
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    frame.attrs = {
        "conditions": conditions,
        "brought": {"file": path.name, "sha256": digest},
        "representative": representative,
    }
    return frame


def _completed(frame: pd.DataFrame, where: str) -> pd.DataFrame:
    """Columns of ours that follow from others, where a file leaves them out."""
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
    # Different networks may have equal averages: the first of them stands for all.
    return frame.drop_duplicates("digest", ignore_index=True)


def _from_published(frame: pd.DataFrame, space: Space, where: str) -> pd.DataFrame:
    """One row for each of the research code's, its Architecture one that has the same sums over layers."""
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
    """Layers of these choices whose average is that, the largest first."""
    total = round(average * depth)
    # The research code's measurements also have half as many heads as the smallest choice of its spaces.
    layers = _layers(choices, depth, total) or _layers((*choices, max(1, min(choices) // 2)), depth, total)
    if layers is None or abs(total - average * depth) > 1e-3 * depth:
        raise InputError(f"{where}: {average:.6g} over {depth} layers, which no layers of {sorted(choices)} have")
    return layers


@lru_cache(maxsize=4096)
def _layers(choices: tuple[int, ...], depth: int, total: int) -> tuple[int, ...] | None:
    """Layers of these choices that add up to that, the largest first; None where there are none."""
    # Ways to reach each sum with so many layers.
    reached: list[dict[int, tuple[int, ...]]] = [{0: ()}]
    for _ in range(depth):
        reached.append({})
        for so_far, layers in reached[-2].items():
            for choice in sorted(choices):
                reached[-1].setdefault(so_far + choice, (choice, *layers))
    return tuple(sorted(reached[-1][total], reverse=True)) if total in reached[-1] else None

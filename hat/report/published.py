"""Published results to compare with: CSVs of networks and latencies, in the format of the research code.

The files come from the user (``report`` in config.yaml); this project contains none.
"""

import glob
import re
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from hat.config.report import ReportSettings
from hat.config.settings import budget_ms
from hat.errors import InputError
from hat.latency.dataset import read_csv
from hat.latency.predictor.averages import published_table
from hat.space.architecture import Architecture
from hat.space.profile import PUBLISHED_SHAPE, Profile
from hat.space.published_form import PUBLISHED_SPANS

MODEL_COLUMNS = ("name", "params", "flops_without_last_layer", "readme_latency", "readme_bleu", "readme_sacrebleu")
# HAT_wmt14ende_raspberrypi@3.5s_bleu@25.8
MODEL_NAME = re.compile(r"(?P<kind>[^_]+)_(?P<task>[^_]+)_(?P<device>[^_@]+)@(?P<budget>[0-9.]+m?s)(_|\Z)")
# Source and target tokens that the research code counts FLOPs for.
LENGTH = 30


def latency_files(chosen: ReportSettings) -> list[Path]:
    """Return the CSVs of published latencies that the configuration names.

    Raises:
        InputError: a path matches nothing.
    """
    found: list[Path] = []
    for pattern in chosen.published_latencies:
        matched = sorted(Path(name) for name in glob.glob(pattern))  # noqa: PTH207, absolute too
        if not matched:
            raise InputError(f"config.yaml, report.published_latencies: no file matches {pattern!r}")
        found += matched
    return found


def read_latencies(path: Path) -> pd.DataFrame:
    """Read the latencies of one device, a row for each network.

    Layers of a network were averaged before publication. FLOPs need only their sums, which the averages give, so they
    are exact; ``flops_g`` is at 30 tokens, without the last layer, in billions.

    Returns:
        ``latency_ms`` of encoder and decoder together, ``latency_std_ms`` (assuming that both are independent),
        ``flops_g``, ``encoder_width``, ``decoder_width``, ``encoder_ffn``, ``decoder_ffn``, ``encoder_depth``,
        ``decoder_depth``.

    Raises:
        InputError: the file or a column is missing, or a value is not a positive number.
    """
    frame = published_table(read_csv(path), str(path))
    spread = (frame["latency_std_encoder"] ** 2 + frame["latency_std_decoder"] ** 2) ** 0.5
    return pd.DataFrame(
        {
            "latency_ms": frame["latency_mean_encoder"] + frame["latency_mean_decoder"],
            "latency_std_ms": spread,
            "flops_g": [_flops_g(row) for row in frame.to_dict("records")],
            "encoder_width": frame["encoder_embed_dim"],
            "decoder_width": frame["decoder_embed_dim"],
            "encoder_ffn": frame["encoder_ffn_embed_dim_avg"],
            "decoder_ffn": frame["decoder_ffn_embed_dim_avg"],
            "encoder_depth": frame["encoder_layer_num"],
            "decoder_depth": frame["decoder_layer_num"],
        }
    )


def _flops_g(row: dict[Any, Any]) -> float:
    """Return the FLOPs of a network from its averages over layers, in billions."""
    encoder, decoder = int(row["encoder_layer_num"]), int(row["decoder_layer_num"])
    # Any network with these sums has the same FLOPs; heads cost nothing.
    stand_in = Architecture(
        encoder_embed_dim=int(row["encoder_embed_dim"]),
        encoder_ffn_dim=_with_sum(row["encoder_ffn_embed_dim_avg"], encoder),
        encoder_heads=(1,) * encoder,
        decoder_embed_dim=int(row["decoder_embed_dim"]),
        decoder_ffn_dim=_with_sum(row["decoder_ffn_embed_dim_avg"], decoder),
        decoder_self_heads=(1,) * decoder,
        decoder_cross_heads=(1,) * decoder,
        decoder_cross_span=_with_sum(row["decoder_arbitrary_ende_attn_avg"], decoder),
    )
    return Profile.of(stand_in, PUBLISHED_SHAPE, LENGTH).flops_without_last_layer / 1e9


def _with_sum(average: float, layers: int) -> tuple[int, ...]:
    total = round(average * layers)
    return tuple(total // layers + (layer < total % layers) for layer in range(layers))


def read_models(path: Path) -> list[dict[str, Any]]:
    """Read published networks, a row for each.

    Returns:
        ``name``, ``kind`` (HAT, Transformer, ...), ``task``, ``device``, ``budget``, ``latency_ms``, ``bleu``
        (tokenised, as published), ``sacrebleu``, ``params_m`` and ``flops_g`` (both without embeddings and last
        layer), ``architecture`` (None if unknown).

    Raises:
        InputError: the file or a column is missing, or a name is malformed.
    """
    frame = read_csv(path)
    if missing := [name for name in MODEL_COLUMNS if name not in frame.columns]:
        raise InputError(f"{path}: has no column {', '.join(missing)}")
    rows = []
    for row in frame.to_dict("records"):
        match = MODEL_NAME.match(str(row["name"]))
        if match is None:
            raise InputError(f"{path}: name {row['name']!r}, expected KIND_TASK_DEVICE@LATENCY, such as HAT_a_b@3.5s")
        rows.append(
            {
                **match.groupdict(),
                "name": row["name"],
                "latency_ms": budget_ms(str(row["readme_latency"])),
                "bleu": _number(row["readme_bleu"]),
                "sacrebleu": _number(row["readme_sacrebleu"]),
                "params_m": row["params"] / 1e6,
                "flops_g": row["flops_without_last_layer"] / 1e9,
                "architecture": _architecture(row),
            }
        )
    return rows


def published_beside(chosen: ReportSettings, task: str, device: str) -> list[dict[str, Any]]:
    """Return the published networks of this task and device."""
    if chosen.published_models is None:
        return []
    name = chosen.published_devices.get(device, device)
    rows = read_models(Path(chosen.published_models))
    return [row for row in rows if row["task"] == task and row["device"] == name]


def _architecture(row: dict[Any, Any]) -> Architecture | None:
    if "decoder_arbitrary_ende_attn" not in row:
        return None

    def numbers(name: str) -> tuple[int, ...]:
        return tuple(yaml.safe_load(str(row[name])))

    return Architecture(
        encoder_embed_dim=int(row["encoder_embed_dim"]),
        encoder_ffn_dim=numbers("encoder_ffn_embed_dim"),
        encoder_heads=numbers("encoder_self_attention_heads"),
        decoder_embed_dim=int(row["decoder_embed_dim"]),
        decoder_ffn_dim=numbers("decoder_ffn_embed_dim"),
        decoder_self_heads=numbers("decoder_self_attention_heads"),
        decoder_cross_heads=numbers("decoder_ende_attention_heads"),
        decoder_cross_span=tuple(PUBLISHED_SPANS[code] for code in numbers("decoder_arbitrary_ende_attn")),
    )


def _number(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)

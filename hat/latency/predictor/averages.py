"""Latency files of the research code: CSV tables that keep only averages over layers."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from hat.errors import InputError
from hat.latency.dataset import read_csv

# The ten features of the research code, in its order, and the values it divides them by.
AVERAGES = {
    "encoder_embed_dim": 640,
    "encoder_layer_num": 6,
    "encoder_ffn_embed_dim_avg": 2048,
    "encoder_self_attention_heads_avg": 6,
    "decoder_embed_dim": 640,
    "decoder_layer_num": 6,
    "decoder_ffn_embed_dim_avg": 2048,
    "decoder_self_attention_heads_avg": 6,
    "decoder_ende_attention_heads_avg": 6,
    "decoder_arbitrary_ende_attn_avg": 2,
}
TIMES = ("latency_mean_encoder", "latency_mean_decoder")
DEVIATIONS = ("latency_std_encoder", "latency_std_decoder")


@dataclass(frozen=True)
class AveragedNetwork:
    """A network known only by averages over layers, which stand for every layer.

    It has the dimensions of an Architecture, by the same names. Its features equal the measured network's,
    because features are sums over layers of a layer's dimension times widths that all layers share.
    """

    encoder_embed_dim: float
    encoder_ffn_dim: tuple[float, ...]
    encoder_heads: tuple[float, ...]
    decoder_embed_dim: float
    decoder_ffn_dim: tuple[float, ...]
    decoder_self_heads: tuple[float, ...]
    decoder_cross_heads: tuple[float, ...]
    decoder_cross_span: tuple[float, ...]

    @classmethod
    def from_averages(cls, values: npt.NDArray[np.float64]) -> Self:
        """Create a network from values in the order of ``AVERAGES``."""
        encoder, depth, ffn, heads, decoder, layers, *of_decoder_layers = values.tolist()
        decoder_lists = [(value,) * round(layers) for value in of_decoder_layers]
        return cls(encoder, (ffn,) * round(depth), (heads,) * round(depth), decoder, *decoder_lists)


def published_table(frame: pd.DataFrame, where: str) -> pd.DataFrame:
    """Return the columns ``AVERAGES``, ``TIMES`` and ``DEVIATIONS`` of a published file as numbers.

    Raises:
        InputError: a column is missing, or a value is not a positive number; ``where`` names the file.
    """
    names = [*AVERAGES, *TIMES, *DEVIATIONS]
    if missing := [name for name in names if name not in frame]:
        raise InputError(f"{where}: missing columns {', '.join(missing)}, which published latencies have")
    numbers = frame[names].apply(pd.to_numeric, errors="coerce").astype(np.float64)
    # A deviation may be zero.
    lowest = np.array([0.0 if name in DEVIATIONS else np.nextafter(0, 1) for name in names])
    wrong = np.argwhere(~(np.isfinite(numbers.to_numpy()) & (numbers.to_numpy() >= lowest)))
    if len(wrong):
        row, column = wrong[0]
        name = names[column]
        raise InputError(f"{where}, line {row + 2}: {name} is {frame[name].iloc[row]}, expected a positive number")
    return cast(pd.DataFrame, numbers)


def read_published(path: Path) -> tuple[list[AveragedNetwork], npt.NDArray[np.float64]]:
    """Read the networks and latencies of a published file.

    Returns:
        The networks, and the latency of encoder and decoder together in milliseconds, [N].

    Raises:
        InputError: the file is missing or malformed, or a value is not a positive number.
    """
    table = published_table(read_csv(path), str(path))
    networks = [AveragedNetwork.from_averages(row) for row in table[list(AVERAGES)].to_numpy()]
    return networks, table[list(TIMES)].to_numpy().sum(axis=1)

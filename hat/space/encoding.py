"""Architectures as rows of numbers: features for models of the loss, genes for evolutionary search."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hat.space.architecture import CATEGORIES, DECODER_LISTS, ENCODER_LISTS, Architecture
from hat.space.search_space import SearchSpace


class Encoding:
    """Encodes Architectures as rows of features between 0 (smallest choice) and 1 (largest).

    Sizes have one column for each layer; depths and categories are one-hot. Dimensions with a single choice have no
    column.

    Args:
        space: the space of the Architectures.
    """

    def __init__(self, space: SearchSpace) -> None:
        self.space = space.space
        self._levels = {
            name: {choice: self._level(rank, len(choices)) for rank, choice in enumerate(sorted(choices))}
            for name in ("encoder_embed_dim", "decoder_embed_dim", *ENCODER_LISTS, *DECODER_LISTS)
            if len(choices := getattr(self.space, name)) > 1
        }

    @staticmethod
    def _level(rank: int, count: int) -> float:
        return rank / (count - 1)

    def __call__(self, architectures: Sequence[Architecture]) -> npt.NDArray[np.float64]:
        """Return the rows, [len(architectures), columns]."""
        return np.array([self._row(point) for point in architectures])

    def _row(self, point: Architecture) -> list[float]:
        widths = [name for name in ("encoder_embed_dim", "decoder_embed_dim") if name in self._levels]
        row = [self._levels[name][getattr(point, name)] for name in widths]
        for names, depths in (
            (ENCODER_LISTS, self.space.encoder_layers),
            (DECODER_LISTS, self.space.decoder_layers),
        ):
            depth = len(getattr(point, names[0]))
            if len(depths) > 1:
                row += [float(depth == other) for other in sorted(depths)]
            for name in names:
                levels = self._levels.get(name)
                if levels is None:
                    continue
                values = [levels[value] for value in getattr(point, name)]
                absent = max(depths) - depth
                if name in CATEGORIES:
                    # One-hot for each layer; the first choice is the baseline and has no column.
                    row += [float(value == level) for value in values for level in list(levels.values())[1:]]
                    row += [0.0] * (absent * (len(levels) - 1))
                else:
                    # A missing layer is neither small nor large; the columns of the depth carry its effect.
                    row += values + [0.5] * absent
        return row


GeneRows = npt.NDArray[np.int64]


class Genes:
    """Converts Architectures to rows of choice indices and back, one column for each dimension of the deepest network.

    Args:
        space: the space of the Architectures.
    """

    def __init__(self, space: SearchSpace) -> None:
        chosen = space.space
        self._columns: list[tuple[str, int | None]] = [
            ("encoder_embed_dim", None),
            ("decoder_embed_dim", None),
            ("encoder_layers", None),
            ("decoder_layers", None),
        ]
        for names, depths in ((ENCODER_LISTS, chosen.encoder_layers), (DECODER_LISTS, chosen.decoder_layers)):
            self._columns += [(name, layer) for name in names for layer in range(max(depths))]
        self._choices = [getattr(chosen, name) for name, _ in self._columns]

    @property
    def counts(self) -> GeneRows:
        """Number of choices of each column."""
        return np.array([len(choices) for choices in self._choices])

    def row(self, architecture: Architecture) -> list[int]:
        """Return the index of each choice; 0 for layers that the Architecture does not have."""
        indices = []
        for (name, layer), choices in zip(self._columns, self._choices, strict=True):
            value = getattr(architecture, name)
            if layer is not None:
                value = value[layer] if layer < len(value) else choices[0]
            indices.append(choices.index(value))
        return indices

    def architecture(self, row: Sequence[int]) -> Architecture:
        """Return the Architecture of a row."""
        values: dict[str, Any] = {}
        for (name, layer), choices, index in zip(self._columns, self._choices, row, strict=True):
            if layer is None:
                values[name] = choices[int(index)]
            else:
                values.setdefault(name, []).append(choices[int(index)])
        depths = {"encoder": values.pop("encoder_layers"), "decoder": values.pop("decoder_layers")}
        for name, value in values.items():
            if isinstance(value, list):
                values[name] = tuple(value[: depths[name.split("_")[0]]])
        return Architecture(**values)

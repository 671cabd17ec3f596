"""Architectures as rows of numbers, for models of the loss."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hat.space.architecture import CATEGORIES, DECODER_LISTS, ENCODER_LISTS, Architecture
from hat.space.search_space import SearchSpace


class Encoding:
    """One row a network: its choices, by layer, each from 0 (smallest) to 1 (largest); absent layers are marked.

    Args:
        space: whose Architectures are encoded. Dimensions with one choice are left out.
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
        """Rows of numbers, [len(architectures), columns]."""
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
                    # One column a choice and layer; the first is what the others are compared with.
                    row += [float(value == level) for value in values for level in list(levels.values())[1:]]
                    row += [0.0] * (absent * (len(levels) - 1))
                else:
                    # Half way, where there is no layer: the depth says what that costs.
                    row += values + [0.5] * absent
        return row


GeneRows = npt.NDArray[np.int64]


class Genes:
    """Architectures as rows of choice numbers, one for each dimension of the deepest network.

    Args:
        space: of the Architectures.
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
        """Choice numbers; 0 for what an Architecture does not have."""
        numbers = []
        for (name, layer), choices in zip(self._columns, self._choices, strict=True):
            value = getattr(architecture, name)
            if layer is not None:
                value = value[layer] if layer < len(value) else choices[0]
            numbers.append(choices.index(value))
        return numbers

    def architecture(self, row: Sequence[int]) -> Architecture:
        """The Architecture of a row."""
        values: dict[str, Any] = {}
        for (name, layer), choices, number in zip(self._columns, self._choices, row, strict=True):
            if layer is None:
                values[name] = choices[int(number)]
            else:
                values.setdefault(name, []).append(choices[int(number)])
        depths = {"encoder": values.pop("encoder_layers"), "decoder": values.pop("decoder_layers")}
        for name, value in values.items():
            if isinstance(value, list):
                values[name] = tuple(value[: depths[name.split("_")[0]]])
        return Architecture(**values)

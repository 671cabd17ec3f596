"""What every Runtime offers: write or load a network, translate, run one sentence for measuring.

This module and those of the Runtimes, but that of torch, need NumPy and the Runtime alone: devices have no more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from hat.config.runtimes import RuntimeFacts
from hat.data.text.special_tokens import END, SPECIALS
from hat.errors import InputError
from hat.runtime.shortlist import Shortlist
from hat.space.shape import Shape

if TYPE_CHECKING:
    from hat.space.kinds import AnyArchitecture

# Tensors of a network, by the names that hat.model gives them.
Weights = Mapping[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Hypothesis:
    """One translation: token numbers without the end symbol, and its length-normalised log-probability."""

    tokens: tuple[int, ...]
    score: float


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """Beam search settings.

    The longest output is ``max_length_ratio`` x source length + ``max_length_extra`` tokens, end symbol
    included; scores are divided by output length to the power of ``length_penalty``.

    Raises:
        ValueError: a setting is impossible.
    """

    beam: int
    length_penalty: float = 1.0
    max_length_ratio: float = 1.2
    max_length_extra: int = 10
    min_length: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.beam, int) or self.beam < 1:
            raise ValueError(f"beam is {self.beam!r}, expected a whole number above 0")
        for name in ("length_penalty", "max_length_ratio", "max_length_extra", "min_length"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 <= value < float("inf"):
                raise ValueError(f"{name} is {value!r}, expected a number from 0 on")


@dataclass(frozen=True, kw_only=True)
class Blueprint:
    """What a network is, apart from its weights: dimensions, and the tokens that its numbers stand for."""

    architecture: "AnyArchitecture"
    shape: Shape
    source_tokens: Sequence[str]
    target_tokens: Sequence[str]


class LoadedModel(Protocol):
    """A network ready to translate on this machine."""

    def translate(self, sources: list[list[int]], decoding: Decoding) -> list[Hypothesis]:
        """Best hypothesis of each source (token numbers, end symbol last).

        A sentence's result does not depend on the others.
        """

    def run_sentence(self, source_length: int, target_length: int, beam: int) -> None:
        """Translate :func:`made_sentence`, with exactly that many decoding steps: for measuring."""


class Runtime(Protocol):
    """What executes a model on a device, in one precision, with ``threads`` threads for a sentence.

    ``facts`` is its row in :data:`hat.config.runtimes.RUNTIMES`.
    """

    facts: RuntimeFacts
    precision: str
    threads: int

    def write(self, folder: Path, blueprint: Blueprint, weights: Weights, shortlist: Shortlist | None) -> None:
        """Put a network into an existing folder, the shortlist as ``vmap.txt``.

        What it is asked to write has passed :func:`check_expressed`.
        """

    def load(self, folder: Path, blueprint: Blueprint) -> LoadedModel:
        """The network of a folder, with the shortlist that was written with it.

        Raises:
            InputError: a file is missing, malformed, or does not fit the blueprint.
        """


def refusal(facts: RuntimeFacts, architecture: "AnyArchitecture") -> str | None:
    """Why a Runtime cannot express a network, in half a sentence; None where it can."""
    if architecture.kind not in facts.kinds:
        return (
            f"it executes networks of kind {' or '.join(facts.kinds)} only, and this one's kind is {architecture.kind}"
        )
    for dimension, expressed in facts.expresses.items():
        value = getattr(architecture, dimension)
        values = (value,) if isinstance(value, int) else value
        if not set(values) <= set(expressed):
            allowed, found = (", ".join(map(str, numbers)) for numbers in (expressed, values))
            return f"it expresses {dimension} {allowed} only, and {dimension} is {found}"
    return None


def check_expressed(facts: RuntimeFacts, architecture: "AnyArchitecture") -> None:
    """Refuse a network that a Runtime cannot express.

    Raises:
        InputError: it cannot; the message says why.
    """
    if (reason := refusal(facts, architecture)) is not None:
        raise InputError(f"runtime {facts.name!r}: {reason}")


def max_lengths(source_lengths: list[int], decoding: Decoding) -> list[int]:
    """Position, from 0, at which the end symbol is forced: ratio x source length + extra, end symbol not counted."""
    return [int(decoding.max_length_ratio * length + decoding.max_length_extra) for length in source_lengths]


def made_sentence(source_vocabulary: int, length: int) -> list[int]:
    """A sentence for measuring: different frequent tokens, the end symbol last."""
    return [len(SPECIALS) + 7 * i % (source_vocabulary - len(SPECIALS)) for i in range(length - 1)] + [END]


def made_decoding(target_length: int, beam: int) -> Decoding:
    """Settings that decode exactly ``target_length`` tokens, the end symbol included."""
    return Decoding(beam=beam, max_length_ratio=0, max_length_extra=target_length - 1, min_length=target_length - 1)

"""The interface of a Runtime: write or load a network, translate, run one sentence to measure it.

Devices have only NumPy, pydantic and a Runtime, so this module and the Runtimes other than torch import nothing else.
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

# Tensors of a network by their names in hat.model.
Weights = Mapping[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Hypothesis:
    """One translation: token ids without the end symbol, and the length-normalised log-probability."""

    tokens: tuple[int, ...]
    score: float


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """Beam search settings.

    The longest output has ``max_length_ratio`` x source length + ``max_length_extra`` tokens before the end symbol.
    A hypothesis's sum of log-probabilities is divided by its length to the power of ``length_penalty``.

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
    """Everything that describes a network except its weights: its dimensions, and the tokens by their ids."""

    architecture: "AnyArchitecture"
    shape: Shape
    source_tokens: Sequence[str]
    target_tokens: Sequence[str]


class LoadedModel(Protocol):
    """A network ready to translate on this machine."""

    def translate(self, sources: list[list[int]], decoding: Decoding) -> list[Hypothesis]:
        """Return the best hypothesis of each source (token ids, end symbol last).

        The result for a sentence does not depend on the other sentences.
        """

    def run_sentence(self, source_length: int, target_length: int, beam: int) -> None:
        """Translate :func:`synthetic_sentence` in exactly ``target_length`` decoding steps, to measure the latency."""


class Runtime(Protocol):
    """Executes models on a device in one precision, with ``threads`` threads per sentence.

    ``facts`` is its row in :data:`hat.config.runtimes.RUNTIMES`.
    """

    facts: RuntimeFacts
    precision: str
    threads: int

    def write(self, folder: Path, blueprint: Blueprint, weights: Weights, shortlist: Shortlist | None) -> None:
        """Write a network into an existing folder, and the shortlist as ``vmap.txt``.

        The caller has checked the network with :func:`check_expressed`.
        """

    def load(self, folder: Path, blueprint: Blueprint) -> LoadedModel:
        """Load the network of a folder, with its shortlist if it has one.

        Raises:
            InputError: a file is missing, malformed, or does not fit the blueprint.
        """


def refusal(facts: RuntimeFacts, architecture: "AnyArchitecture") -> str | None:
    """Return why a Runtime cannot express a network, as a clause for an error; None if it can."""
    if architecture.kind not in facts.kinds:
        return (
            f"it only executes networks of kind {' or '.join(facts.kinds)}, and this one is of kind {architecture.kind}"
        )
    for dimension, expressed in facts.expresses.items():
        value = getattr(architecture, dimension)
        values = (value,) if isinstance(value, int) else value
        if not set(values) <= set(expressed):
            allowed, found = (", ".join(map(str, some)) for some in (expressed, values))
            return f"it only supports {dimension} {allowed}, and {dimension} is {found}"
    return None


def check_expressed(facts: RuntimeFacts, architecture: "AnyArchitecture") -> None:
    """Raise an error if a Runtime cannot express a network.

    Raises:
        InputError: it cannot; the message says why.
    """
    if (reason := refusal(facts, architecture)) is not None:
        raise InputError(f"runtime {facts.name!r}: {reason}")


def max_lengths(source_lengths: list[int], decoding: Decoding) -> list[int]:
    """Return the step, counted from 0, at which the end symbol is forced: ratio x source length + extra."""
    return [int(decoding.max_length_ratio * length + decoding.max_length_extra) for length in source_lengths]


def synthetic_sentence(source_vocabulary: int, length: int) -> list[int]:
    """Return the token ids of a sentence for measurements: different frequent tokens, then the end symbol."""
    return [len(SPECIALS) + 7 * i % (source_vocabulary - len(SPECIALS)) for i in range(length - 1)] + [END]


def fixed_length_decoding(target_length: int, beam: int) -> Decoding:
    """Return settings that decode exactly ``target_length`` tokens, including the end symbol."""
    return Decoding(beam=beam, max_length_ratio=0, max_length_extra=target_length - 1, min_length=target_length - 1)

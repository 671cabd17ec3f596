"""What every Runtime offers: build or load a network, translate, run one sentence for measuring."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from hat.config import Network, Space

if TYPE_CHECKING:
    from hat.baselines import AnyArchitecture


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What the networks of a task share, beside the Architecture.

    ``super_encoder_dim`` and ``super_decoder_dim`` are the widths that position tables are built at;
    ``super_encoder_layers`` is the depth that cross-attention counts layers at.
    """

    source_vocabulary: int
    target_vocabulary: int
    qkv_dim: int
    super_encoder_dim: int
    super_decoder_dim: int
    super_encoder_layers: int
    norm: str
    share_embeddings: str
    vocab_original_scaling: bool

    @classmethod
    def of(cls, space: Space, network: Network, source_vocabulary: int, target_vocabulary: int) -> "Shape":
        """Shape of a task's networks."""
        return cls(
            source_vocabulary=source_vocabulary,
            target_vocabulary=target_vocabulary,
            qkv_dim=space.qkv_dim,
            super_encoder_dim=max(space.encoder_embed_dim),
            super_decoder_dim=max(space.decoder_embed_dim),
            super_encoder_layers=max(space.encoder_layers),
            norm=network.norm,
            share_embeddings=network.share_embeddings,
            vocab_original_scaling=network.vocab_original_scaling,
        )


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
    """

    beam: int
    length_penalty: float = 1.0
    max_length_ratio: float = 1.2
    max_length_extra: int = 10
    min_length: int = 0


class LoadedModel(Protocol):
    """A network ready to translate on this machine."""

    def translate(self, sources: list[list[int]], decoding: Decoding) -> list[Hypothesis]:
        """Best hypothesis of each source (token numbers, end symbol last), decoded as one batch."""

    def run_sentence(self, source_length: int, target_length: int, beam: int) -> None:
        """Translate one made sentence of that length, with exactly that many decoding steps: for measuring."""


class Runtime(Protocol):
    """What executes a model on a device."""

    name: str

    def build(self, architecture: "AnyArchitecture", shape: Shape, seed: int) -> LoadedModel:
        """A network with random weights, for measuring."""

    def load(self, folder: Path) -> LoadedModel:
        """The network of a deployed folder."""

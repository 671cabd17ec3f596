"""Hyperparameters that all networks of a task share."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hat.config.networks import Network, Space


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
    def of(cls, space: "Space", network: "Network", source_vocabulary: int, target_vocabulary: int) -> "Shape":
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


def shared_names(shape: Shape) -> dict[str, str]:
    """Names of tensors that are another one, and that one's name."""
    both = {"target_embedding.weight": "source_embedding.weight", "projection.weight": "source_embedding.weight"}
    decoder = {"projection.weight": "target_embedding.weight"}
    return {"all": both, "decoder": decoder, "none": {}}[shape.share_embeddings]

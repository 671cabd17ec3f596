"""Hyperparameters that all networks of a task share."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hat.config.networks import Network, Space


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Hyperparameters that all networks of a task share; with an Architecture they define a network.

    ``super_encoder_dim`` and ``super_decoder_dim`` are the widths of the position tables before slicing, and the
    reference for scaling dropout. ``super_encoder_layers`` is the encoder depth from which cross-attention counts its
    span.
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
        """Return the Shape of a task's networks."""
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
    """Return, for each tensor that shares its weights, the name of the tensor it shares them with."""
    both = {"target_embedding.weight": "source_embedding.weight", "projection.weight": "source_embedding.weight"}
    decoder = {"projection.weight": "target_embedding.weight"}
    return {"all": both, "decoder": decoder, "none": {}}[shape.share_embeddings]

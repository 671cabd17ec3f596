"""Arguments of the plugin's model, and what network they mean; this imports nothing of fairseq."""

from collections.abc import Mapping
from typing import Any

from hat.space.architecture import Architecture
from hat.space.shape import Shape

ARCH = "hat_subtransformer"
# Name: default, type, meaning.
ARGUMENTS: dict[str, tuple[Any, type, str]] = {
    "subtransformer": (None, str, "Architecture: our JSON, an artifact with one, or published YAML"),
    "qkv_dim": (512, int, "width of queries, keys and values together"),
    "super_encoder_dim": (None, int, "encoder width of the SuperTransformer; that of the Architecture by default"),
    "super_decoder_dim": (None, int, "decoder width of the SuperTransformer; that of the Architecture by default"),
    "super_encoder_layers": (None, int, "encoder layers of the SuperTransformer; those of the Architecture by default"),
    "layer_norm": ("post", str, "post, pre or pre-published"),
    "share_all_embeddings": (False, bool, "one table for source, target and output"),
    "share_decoder_input_output_embed": (False, bool, "one table for target and output"),
    "vocab_original_scaling": (False, bool, "scale embeddings by the SuperTransformer's width"),
    "dropout": (0.3, float, "dropout on residuals and embeddings, at the SuperTransformer's width"),
    "attention_dropout": (0.0, float, "dropout on attention weights"),
    "activation_dropout": (0.0, float, "dropout inside the feed-forward network"),
    "dropout_scaling": ("all", str, "all, published or none"),
    "max_source_positions": (1024, int, "longest source"),
    "max_target_positions": (1024, int, "longest target"),
}


def shape_of_arguments(args: Mapping[str, Any], architecture: Architecture, vocabularies: tuple[int, int]) -> Shape:
    """What the network of these arguments has beside its Architecture.

    Args:
        args: arguments by name.
        architecture: the Architecture.
        vocabularies: tokens of the source and of the target dictionary.
    """
    share = "all" if args["share_all_embeddings"] else "decoder" if args["share_decoder_input_output_embed"] else "none"
    return Shape(
        source_vocabulary=vocabularies[0],
        target_vocabulary=vocabularies[1],
        qkv_dim=args["qkv_dim"],
        super_encoder_dim=args["super_encoder_dim"] or architecture.encoder_embed_dim,
        super_decoder_dim=args["super_decoder_dim"] or architecture.decoder_embed_dim,
        super_encoder_layers=args["super_encoder_layers"] or architecture.encoder_layers,
        norm=args["layer_norm"],
        share_embeddings=share,
        vocab_original_scaling=args["vocab_original_scaling"],
    )


def arguments_of_shape(shape: Shape) -> dict[str, Any]:
    """Arguments that mean this network; inverse of :func:`shape_of_arguments`."""
    return {
        "qkv_dim": shape.qkv_dim,
        "super_encoder_dim": shape.super_encoder_dim,
        "super_decoder_dim": shape.super_decoder_dim,
        "super_encoder_layers": shape.super_encoder_layers,
        "layer_norm": shape.norm,
        "share_all_embeddings": shape.share_embeddings == "all",
        "share_decoder_input_output_embed": shape.share_embeddings != "none",
        "vocab_original_scaling": shape.vocab_original_scaling,
    }

"""Arguments of the fairseq plugin's model, and the network that they describe; fairseq is not imported."""

from collections.abc import Mapping
from typing import Any

from hat.space.architecture import Architecture
from hat.space.shape import Shape

ARCH = "hat_subtransformer"
# By name: default, type, help text.
ARGUMENTS: dict[str, tuple[Any, type, str]] = {
    "subtransformer": (None, str, "file with an Architecture: JSON, an artifact, or published YAML"),
    "qkv_dim": (512, int, "width of queries, keys and values together"),
    "super_encoder_dim": (None, int, "encoder width of the SuperTransformer; default: the Architecture's"),
    "super_decoder_dim": (None, int, "decoder width of the SuperTransformer; default: the Architecture's"),
    "super_encoder_layers": (None, int, "encoder layers of the SuperTransformer; default: the Architecture's"),
    "layer_norm": ("post", str, "post, pre or pre-published"),
    "share_all_embeddings": (False, bool, "one table for source, target and output"),
    "share_decoder_input_output_embed": (False, bool, "one table for target and output"),
    "vocab_original_scaling": (False, bool, "scale embeddings by the SuperTransformer's width"),
    "dropout": (0.3, float, "dropout on residuals and embeddings, at the SuperTransformer's width"),
    "attention_dropout": (0.0, float, "dropout on attention weights"),
    "activation_dropout": (0.0, float, "dropout inside the feed-forward network"),
    "dropout_scaling": ("all", str, "all, published or none"),
    "max_source_positions": (1024, int, "longest source sentence in tokens"),
    "max_target_positions": (1024, int, "longest target sentence in tokens"),
}


def shape_of_arguments(args: Mapping[str, Any], architecture: Architecture, vocabularies: tuple[int, int]) -> Shape:
    """Return the shape of the network that these arguments describe.

    Args:
        args: arguments by name.
        architecture: the Architecture.
        vocabularies: sizes of the source and target dictionary.
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
    """Return the arguments that describe a shape; the inverse of :func:`shape_of_arguments`."""
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

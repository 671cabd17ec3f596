"""Models of config/spaces/*.yaml and of the networks in tasks and baselines."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from hat.config.base import Positive, Section

Widths = Annotated[tuple[Positive, ...], Field(min_length=1)]
Spans = Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]


class Network(Section):
    """Settings that all SubTransformers of a task share, besides the space."""

    norm: Literal["post", "pre", "pre-published"] = Field(
        "post",
        description="Layer norm after (published) or before each sub-layer. With `pre-published`, as in the research"
        " code, only the last encoder output that a decoder layer attends to passes the final norm",
    )
    share_embeddings: Literal["all", "decoder", "none"] = Field(
        "all", description="Which of source embedding, target embedding and output projection share weights"
    )
    vocab_original_scaling: bool = Field(
        False, description="Scale embeddings by the square root of the super width instead of the sampled width"
    )


def _check_heads(section: Any) -> None:
    """Refuse head counts that do not divide ``qkv_dim``."""
    for key in ("encoder_heads", "decoder_self_heads", "decoder_cross_heads"):
        for heads in getattr(section, key):
            if section.qkv_dim % heads:
                raise ValueError(f"{key} contains {heads}, expected divisors of qkv_dim ({section.qkv_dim})")


class Space(Section):
    """The choices for every dimension of an Architecture."""

    qkv_dim: Positive = Field(512, description="Width of queries, keys and values over all heads; heads only divide it")
    encoder_embed_dim: Widths = Field(description="Width of the encoder")
    encoder_layers: Widths = Field(description="Encoder layers")
    encoder_ffn_dim: Widths = Field(description="Feed-forward width, per encoder layer")
    encoder_heads: Widths = Field(description="Self-attention heads, per encoder layer")
    decoder_embed_dim: Widths = Field(description="Width of the decoder")
    decoder_layers: Widths = Field(description="Decoder layers")
    decoder_ffn_dim: Widths = Field(description="Feed-forward width, per decoder layer")
    decoder_self_heads: Widths = Field(description="Self-attention heads, per decoder layer")
    decoder_cross_heads: Widths = Field(description="Cross-attention heads, per decoder layer")
    decoder_cross_span: Spans = Field(
        description="Number of last encoder layers that a decoder layer attends to (published codes -1, 1, 2 mean 1,"
        " 2, 3)"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _check_heads(self)
        if max(self.decoder_cross_span) > max(self.encoder_layers):
            raise ValueError(
                f"decoder_cross_span contains {max(self.decoder_cross_span)},"
                f" expected at most the largest encoder_layers ({max(self.encoder_layers)})"
            )
        for key, choices in self:
            if isinstance(choices, tuple) and len(set(choices)) != len(choices):
                raise ValueError(f"{key} names a choice twice: {list(choices)}")
        return self


class TransformerNetwork(Section):
    """A Transformer of fixed dimensions; lists have one entry per layer."""

    kind: Literal["transformer"] = "transformer"
    norm: Literal["post", "pre"] = Field("post", description="Layer normalisation after or before each sub-layer")
    qkv_dim: Positive = Field(description="Width of queries, keys and values over all heads; heads only divide it")
    encoder_embed_dim: Positive = Field(description="Width of the encoder")
    encoder_ffn_dim: Widths = Field(description="Feed-forward width of each encoder layer")
    encoder_heads: Widths = Field(description="Self-attention heads of each encoder layer")
    decoder_embed_dim: Positive = Field(description="Width of the decoder")
    decoder_ffn_dim: Widths = Field(description="Feed-forward width of each decoder layer")
    decoder_self_heads: Widths = Field(description="Self-attention heads of each decoder layer")
    decoder_cross_heads: Widths = Field(description="Cross-attention heads of each decoder layer")
    decoder_cross_span: Widths = Field(description="Number of last encoder layers that each decoder layer attends to")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _check_heads(self)
        for first, *others in (
            ("encoder_ffn_dim", "encoder_heads"),
            ("decoder_ffn_dim", "decoder_self_heads", "decoder_cross_heads", "decoder_cross_span"),
        ):
            layers = len(getattr(self, first))
            for key in others:
                if len(getattr(self, key)) != layers:
                    raise ValueError(f"{key} has {len(getattr(self, key))} entries, expected {layers} as {first}")
        if max(self.decoder_cross_span) > len(self.encoder_heads):
            raise ValueError(
                f"decoder_cross_span contains {max(self.decoder_cross_span)},"
                f" expected at most the number of encoder layers ({len(self.encoder_heads)})"
            )
        return self


class EvolvedNetwork(Section):
    """An Evolved Transformer (arXiv 1901.11117); its feed-forward width is four times its width."""

    kind: Literal["evolved"] = "evolved"
    width: Positive = Field(description="Width of encoder and decoder")
    heads: Positive = Field(description="Attention heads")
    wide_heads: Positive = Field(16, description="Heads of the first self-attention of a decoder cell")
    encoder_cells: Positive = Field(3, description="Encoder cells, each about two Transformer layers")
    decoder_cells: Positive = Field(4, description="Decoder cells")

    @model_validator(mode="after")
    def _divided(self) -> Self:
        for what, parts in (("heads", self.heads), ("wide_heads", self.wide_heads), ("halves", 2)):
            if self.width % parts:
                raise ValueError(f"width is {self.width}, expected a multiple of {parts} ({what})")
        return self

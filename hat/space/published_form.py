"""The format of an Architecture in the research code's YAML files (keys ``*-subtransformer``)."""

from collections.abc import Mapping, Sequence
from typing import Any

from hat.errors import InputError
from hat.space.architecture import Architecture

# Number of encoder layers attended to, counted from the last, by published code of `decoder-arbitrary-ende-attn`.
PUBLISHED_SPANS = {-1: 1, 1: 2, 2: 3}
PUBLISHED_NAMES = {
    "encoder-embed-dim-subtransformer": "encoder_embed_dim",
    "encoder-ffn-embed-dim-all-subtransformer": "encoder_ffn_dim",
    "encoder-self-attention-heads-all-subtransformer": "encoder_heads",
    "decoder-embed-dim-subtransformer": "decoder_embed_dim",
    "decoder-ffn-embed-dim-all-subtransformer": "decoder_ffn_dim",
    "decoder-self-attention-heads-all-subtransformer": "decoder_self_heads",
    "decoder-ende-attention-heads-all-subtransformer": "decoder_cross_heads",
    "decoder-arbitrary-ende-attn-all-subtransformer": "decoder_cross_span",
}
PUBLISHED_DEPTHS = {
    "encoder-layer-num-subtransformer": "encoder_layers",
    "decoder-layer-num-subtransformer": "decoder_layers",
}


def to_published(architecture: Architecture) -> dict[str, Any]:
    """Convert an Architecture to the research code's format.

    Raises:
        InputError: the research code has no code for a span.
    """
    codes = {span: code for code, span in PUBLISHED_SPANS.items()}
    if unknown := sorted(set(architecture.decoder_cross_span) - set(codes)):
        raise InputError(
            f"Architecture, decoder_cross_span: {unknown[0]}, the research code can express only {sorted(codes)}"
        )
    values = architecture.to_dict()
    values["decoder_cross_span"] = [codes[span] for span in architecture.decoder_cross_span]
    result = {published: values[own] for published, own in PUBLISHED_NAMES.items()}
    result["encoder-layer-num-subtransformer"] = architecture.encoder_layers
    result["decoder-layer-num-subtransformer"] = architecture.decoder_layers
    return result


def from_published(values: Mapping[str, Any], where: str = "published architecture") -> Architecture:
    """Convert the research code's format to an Architecture; lists longer than the depth are cut to the depth.

    Raises:
        InputError: a key is missing, a list is shorter than the depth, or a span code is unknown.
    """
    if missing := sorted({*PUBLISHED_NAMES, *PUBLISHED_DEPTHS} - set(values)):
        raise InputError(f"{where}: missing {', '.join(missing)}")
    own: dict[str, Any] = {}
    for published, name in PUBLISHED_NAMES.items():
        value = values[published]
        if isinstance(value, Sequence) and not isinstance(value, str):
            key = f"{name.split('_')[0]}-layer-num-subtransformer"
            if not isinstance(depth := values[key], int) or depth < 1:
                raise InputError(f"{where}, {key}: {depth!r}, expected a positive whole number")
            if len(value) < depth:
                raise InputError(f"{where}, {published}: {len(value)} entries, expected {depth}, one for each layer")
            value = tuple(value[:depth])
        own[name] = value
    try:
        own["decoder_cross_span"] = tuple(PUBLISHED_SPANS[code] for code in own["decoder_cross_span"])
    except (KeyError, TypeError):
        raise InputError(
            f"{where}, decoder-arbitrary-ende-attn-all-subtransformer: {own['decoder_cross_span']!r},"
            f" expected codes {sorted(PUBLISHED_SPANS)}"
        ) from None
    return Architecture(**own)

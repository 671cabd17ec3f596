"""Conversion of weights between the names of the research code and ours."""

import re

import torch
from torch import Tensor

Weights = dict[str, Tensor]

# Our prefix of a name and theirs; q, k and v of cross-attention are converted separately.
_NAMES = {
    "attention.qkv.weight": "self_attn.in_proj_weight",
    "attention.qkv.bias": "self_attn.in_proj_bias",
    "attention.out": "self_attn.out_proj",
    "attention_residual.norm": "self_attn_layer_norm",
    "cross_attention.out": "encoder_attn.out_proj",
    "cross_attention_residual.norm": "encoder_attn_layer_norm",
    "ffn.inner": "fc1",
    "ffn.out": "fc2",
    "ffn_residual.norm": "final_layer_norm",
}
_OUTSIDE_LAYERS = {
    "source_embedding.weight": "encoder.embed_tokens.weight",
    "target_embedding.weight": "decoder.embed_tokens.weight",
    "projection.weight": "decoder.embed_out",
    "encoder_norm.weight": "encoder.layer_norm.weight",
    "encoder_norm.bias": "encoder.layer_norm.bias",
    "decoder_norm.weight": "decoder.layer_norm.weight",
    "decoder_norm.bias": "decoder.layer_norm.bias",
}
_LAYER = re.compile(r"^(encoder|decoder)\.layers\.(\d+)\.(.+)$")
_OWN_LAYER = re.compile(r"^(encoder|decoder)\.(\d+)\.(.+)$")
# Entries of fairseq's state dict that are not weights.
_NO_WEIGHTS = re.compile(r"^(encoder|decoder)\.(version|embed_positions\._float_tensor)$")
# Below 3 fairseq's loader removes the final norms.
_VERSION = 3.0


def import_weights(published: Weights) -> Weights:
    """Convert a state dict of the research code (super or sub) to ours, bit for bit.

    Accepts joint and separate q/k/v projections, shared and separate embeddings.

    Raises:
        KeyError: a tensor is unknown or missing.
    """
    ours: Weights = {}
    theirs = {name: own for own, name in _OUTSIDE_LAYERS.items()}
    for name, tensor in published.items():
        if _NO_WEIGHTS.match(name):
            continue
        if (match := _LAYER.match(name)) is None:
            ours[theirs[name]] = tensor
            continue
        side, number, rest = match.groups()
        if rest.startswith("encoder_attn.") and "out_proj" not in rest:
            continue
        ours[f"{side}.{number}.{_own_name(rest)}"] = tensor
    for layer in {match[2] for name in published if (match := _LAYER.match(name)) and match[1] == "decoder"}:
        ours.update(_cross_attention(published, layer))
    if "source_embedding.weight" in ours:
        ours.setdefault("target_embedding.weight", ours["source_embedding.weight"])
    ours.setdefault("projection.weight", ours["target_embedding.weight"])
    return ours


def _own_name(rest: str) -> str:
    for own, theirs in _NAMES.items():
        if rest == theirs or rest.startswith(f"{theirs}."):
            return own + rest.removeprefix(theirs)
    raise KeyError(rest)


def _cross_attention(published: Weights, layer: str) -> Weights:
    prefix = f"decoder.layers.{layer}.encoder_attn."
    own = f"decoder.{layer}.cross_attention."
    if (joint := published.get(prefix + "in_proj_weight")) is not None:
        query, key, value = joint.chunk(3)
    else:
        query, key, value = (published[f"{prefix}{part}_proj_weight"] for part in "qkv")
    query_bias, key_bias, value_bias = published[prefix + "in_proj_bias"].chunk(3)
    return {
        own + "query.weight": query,
        own + "query.bias": query_bias,
        own + "key_value.weight": torch.cat([key, value]),
        own + "key_value.bias": torch.cat([key_bias, value_bias]),
    }


def export_weights(weights: Weights, *, joint: bool, untied: bool) -> Weights:
    """Convert our state dict to one of the research code, bit for bit; inverse of :func:`import_weights`.

    Args:
        weights: our state dict, in its original order.
        joint: whether q, k and v of cross-attention are one tensor, as when encoder and decoder are equally wide.
        untied: whether the output projection has its own weights.

    Returns:
        The state dict, in the order of the research code.
    """
    published: Weights = {}
    for side, embedding in (("encoder", "source_embedding"), ("decoder", "target_embedding")):
        if untied and side == "decoder":
            published["decoder.embed_out"] = weights["projection.weight"]
        published[f"{side}.version"] = torch.tensor([_VERSION])
        published[f"{side}.embed_tokens.weight"] = weights[f"{embedding}.weight"]
        published[f"{side}.embed_positions._float_tensor"] = torch.zeros(1)
        for name, tensor in weights.items():
            if (match := _OWN_LAYER.match(name)) is None or match[1] != side:
                continue
            prefix, rest = f"{side}.layers.{match[2]}.", match[3]
            if rest == "cross_attention.query.weight":
                published.update(_published_cross_attention(weights, match[2], joint))
            elif not rest.startswith(("cross_attention.query", "cross_attention.key_value")):
                published[prefix + _published_name(rest)] = tensor
        for part in ("weight", "bias"):
            if (norm := weights.get(f"{side}_norm.{part}")) is not None:
                published[f"{side}.layer_norm.{part}"] = norm
    return published


def _published_name(rest: str) -> str:
    own = next(own for own in _NAMES if rest == own or rest.startswith(f"{own}."))
    return _NAMES[own] + rest.removeprefix(own)


def _published_cross_attention(weights: Weights, layer: str, joint: bool) -> Weights:
    own = f"decoder.{layer}.cross_attention."
    prefix = f"decoder.layers.{layer}.encoder_attn."
    query, key_value = weights[own + "query.weight"], weights[own + "key_value.weight"]
    bias = torch.cat([weights[own + "query.bias"], weights[own + "key_value.bias"]])
    if joint:
        return {prefix + "in_proj_weight": torch.cat([query, key_value]), prefix + "in_proj_bias": bias}
    key, value = key_value.chunk(2)
    return {
        prefix + "k_proj_weight": key.contiguous(),
        prefix + "v_proj_weight": value.contiguous(),
        prefix + "q_proj_weight": query,
        prefix + "in_proj_bias": bias,
    }


def buffers_of(published: Weights) -> Weights:
    """Return the entries of a state dict of the research code that are not weights."""
    return {name: tensor for name, tensor in published.items() if _NO_WEIGHTS.match(name)}

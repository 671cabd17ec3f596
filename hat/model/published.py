"""Weights under the names of the research code, and under ours."""

import re

import torch
from torch import Tensor

Weights = dict[str, Tensor]

# Prefixes of ours and theirs that name the same tensors; q, k and v of cross-attention are treated apart.
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
_LAYER = re.compile(r"^(encoder|decoder)\.layers\.(\d+)\.(.+)$")
# fairseq keeps these beside the weights.
_NO_WEIGHTS = re.compile(r"^(encoder|decoder)\.(version|embed_positions\._float_tensor)$")


def import_weights(published: Weights) -> Weights:
    """Our state dict from a state dict of the research code (super or sub), bit for bit.

    Joint and separate q/k/v projections, shared and separate embeddings are read as they are found.

    Raises:
        KeyError: a tensor has no place in our networks.
    """
    ours: Weights = {}
    for name, tensor in published.items():
        if _NO_WEIGHTS.match(name):
            continue
        if (match := _LAYER.match(name)) is None:
            ours.update(_outside_layers(name, tensor))
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


def _outside_layers(name: str, tensor: Tensor) -> Weights:
    names = {
        "encoder.embed_tokens.weight": "source_embedding.weight",
        "decoder.embed_tokens.weight": "target_embedding.weight",
        "decoder.embed_out": "projection.weight",
        "encoder.layer_norm.weight": "encoder_norm.weight",
        "encoder.layer_norm.bias": "encoder_norm.bias",
        "decoder.layer_norm.weight": "decoder_norm.weight",
        "decoder.layer_norm.bias": "decoder_norm.bias",
    }
    return {names[name]: tensor}


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

"""CTranslate2's files: the mapping from our tensors to its variables, the vocabularies and the settings.

CTranslate2 has one number of heads per side (encoder or decoder). A layer with fewer heads gets zero heads at the end:
their queries, keys and values are zero, and so are the columns of the output projection that read them. Each attention
keeps its own features per head and states its softmax scale.
"""

import json
import math
import tempfile
import zlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from hat.artifacts.files import read_json, write_json
from hat.data.text.special_tokens import BEGIN, END, SPECIALS, UNKNOWN
from hat.errors import InputError
from hat.model.positions import sinusoids
from hat.runtime.base import Blueprint, Weights
from hat.runtime.shortlist import FILE, Shortlist
from hat.space.shape import Shape

if TYPE_CHECKING:
    from ctranslate2.specs import TransformerSpec

    from hat.space.architecture import Architecture

WEIGHTS, CONFIG = "model.bin", "config.json"
SHARED_VOCABULARY = "shared_vocabulary.json"
SOURCE_VOCABULARY, TARGET_VOCABULARY = "source_vocabulary.json", "target_vocabulary.json"
FILES = (WEIGHTS, CONFIG, SHARED_VOCABULARY, SOURCE_VOCABULARY, TARGET_VOCABULARY, FILE)
# Rows of the position tables: the longest source, and the most decoding steps.
SOURCE_POSITIONS, TARGET_POSITIONS = 1024, 1280

Tensor = npt.NDArray[np.float32]


def write_files(
    folder: Path, blueprint: Blueprint, weights: Weights, shortlist: Shortlist | None, compute_type: str
) -> None:
    """Write a network into an existing folder, replacing an earlier one; weights are stored as ``compute_type``."""
    spec = specification(blueprint, weights)
    spec.validate()
    spec.optimize(quantization=compute_type)
    with tempfile.TemporaryDirectory(dir=folder) as name:
        temporary = Path(name)
        spec.save(name)
        checked = [WEIGHTS]
        if shortlist is not None:
            shortlist.save(temporary / FILE, blueprint.source_tokens, blueprint.target_tokens)
            checked.append(FILE)
        config = read_json(temporary / CONFIG)
        config |= {
            "network": _network(blueprint),
            "checksums": {name: _checksum(temporary / name) for name in checked},
            "fewest_candidates": len(blueprint.target_tokens if shortlist is None else shortlist.always),
        }
        write_json(temporary / CONFIG, config)
        for name in FILES:
            if (temporary / name).exists():
                (temporary / name).replace(folder / name)
            else:
                (folder / name).unlink(missing_ok=True)


def check_files(folder: Path, blueprint: Blueprint) -> int:
    """Compare the files with the blueprint and their checksums, since CTranslate2 crashes on damaged files.

    Returns:
        The number of target tokens that every sentence may use; its shortlist may add more.

    Raises:
        InputError: a file is missing, malformed, or belongs to another network.
    """
    config = read_json(folder / CONFIG)
    fewest_candidates = config.get("fewest_candidates")
    if config.get("network") != _network(blueprint) or not isinstance(fewest_candidates, int):
        raise InputError(f"{folder / CONFIG}: belongs to another network than model.json describes")
    found = {name: _checksum(folder / name) for name in (WEIGHTS, FILE) if (folder / name).is_file()}
    checksums = config.get("checksums")
    if found != checksums:
        expected = checksums if isinstance(checksums, dict) else {}
        name = next((name for name in (WEIGHTS, FILE) if found.get(name) != expected.get(name)), WEIGHTS)
        raise InputError(f"{folder / name}: differs from the file that was written (checksum in {folder / CONFIG})")
    shared = (folder / SHARED_VOCABULARY).exists()
    for name, tokens in ((SOURCE_VOCABULARY, blueprint.source_tokens), (TARGET_VOCABULARY, blueprint.target_tokens)):
        path = folder / (SHARED_VOCABULARY if shared else name)
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: not a vocabulary ({error})") from None
        if found != list(tokens):
            raise InputError(f"{path}: does not have the tokens of the dictionary")
    return fewest_candidates


def _checksum(path: Path) -> str:
    """Return the CRC-32 and the size: they detect damage, not manipulation."""
    checksum, size = 0, 0
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            checksum, size = zlib.crc32(block, checksum), size + len(block)
    return f"{checksum:08x} {size}"


def _network(blueprint: Blueprint) -> dict[str, Any]:
    """Return what identifies the network in ``config.json``."""
    return {"architecture": blueprint.architecture.to_dict(), "shape": asdict(blueprint.shape)}


def specification(blueprint: Blueprint, weights: Weights) -> "TransformerSpec":
    """Return CTranslate2's specification of a network; it shares no memory with ``weights``."""
    # This module imports torch if it is installed, which would delay everybody who only translates.
    from ctranslate2.specs import TransformerSpec

    architecture, shape = cast("Architecture", blueprint.architecture), blueprint.shape
    encoder_heads = max(architecture.encoder_heads)
    decoder_heads = max(*architecture.decoder_self_heads, *architecture.decoder_cross_heads)
    spec = TransformerSpec.from_config(
        (architecture.encoder_layers, architecture.decoder_layers), encoder_heads, pre_norm=shape.norm != "post"
    )
    spec.decoder.num_heads = np.int16(decoder_heads)
    encoder_dim, decoder_dim = architecture.encoder_embed_dim, architecture.decoder_embed_dim
    _set_tables(spec, weights, shape, encoder_dim, decoder_dim)
    for number, (layer, heads) in enumerate(zip(spec.encoder.layer, architecture.encoder_heads, strict=True)):
        _set_self_attention(layer.self_attention, weights, f"encoder.{number}", heads, encoder_heads)
        _set_feed_forward(layer.ffn, weights, f"encoder.{number}")
    for number, (layer, self_heads, cross_heads) in enumerate(
        zip(spec.decoder.layer, architecture.decoder_self_heads, architecture.decoder_cross_heads, strict=True)
    ):
        name = f"decoder.{number}"
        _set_self_attention(layer.self_attention, weights, name, self_heads, decoder_heads)
        _set_cross_attention(layer.attention, weights, name, cross_heads, decoder_heads)
        _set_feed_forward(layer.ffn, weights, name)
    if shape.norm != "post":
        _set_norm(spec.encoder.layer_norm, weights, "encoder_norm")
        _set_norm(spec.decoder.layer_norm, weights, "decoder_norm")
    spec.register_source_vocabulary(list(blueprint.source_tokens))
    spec.register_target_vocabulary(list(blueprint.target_tokens))
    spec.config.unk_token, spec.config.bos_token, spec.config.eos_token = (
        SPECIALS[token_id] for token_id in (UNKNOWN, BEGIN, END)
    )
    spec.config.decoder_start_token = SPECIALS[END]
    return spec


def _set_tables(spec: "TransformerSpec", weights: Weights, shape: Shape, encoder_dim: int, decoder_dim: int) -> None:
    """Set embeddings, output projection and position tables."""
    source, target, projection = (
        weights[f"{name}.weight"] for name in ("source_embedding", "target_embedding", "projection")
    )
    spec.encoder.embeddings[0].weight = _copied(source[:, :encoder_dim])
    shared = shape.share_embeddings == "all" and encoder_dim == decoder_dim
    spec.decoder.embeddings.weight = spec.encoder.embeddings[0].weight if shared else _copied(target[:, :decoder_dim])
    spec.decoder.projection.weight = (
        spec.decoder.embeddings.weight if shape.share_embeddings != "none" else _copied(projection[:, :decoder_dim])
    )
    for side, dim, super_dim, rows in (
        (spec.encoder, encoder_dim, shape.super_encoder_dim, SOURCE_POSITIONS),
        (spec.decoder, decoder_dim, shape.super_decoder_dim, TARGET_POSITIONS),
    ):
        side.scale_embeddings = np.float32(math.sqrt(super_dim if shape.vocab_original_scaling else dim))
        # Row 0 is padding.
        side.position_encodings.encodings = sinusoids(super_dim, rows + 1)[1:, :dim]


def _set_self_attention(attention: Any, weights: Weights, layer: str, heads: int, all_heads: int) -> None:
    name = f"{layer}.attention"
    parts = zip(np.split(weights[f"{name}.qkv.weight"], 3), np.split(weights[f"{name}.qkv.bias"], 3), strict=True)
    _set_linear(attention.linear[0], *_fused([_heads_padded(*part, heads, all_heads) for part in parts]))
    _set_attention(attention, weights, name, heads, all_heads)


def _set_cross_attention(attention: Any, weights: Weights, layer: str, heads: int, all_heads: int) -> None:
    name = f"{layer}.cross_attention"
    query = _heads_padded(weights[f"{name}.query.weight"], weights[f"{name}.query.bias"], heads, all_heads)
    _set_linear(attention.linear[0], *query)
    parts = zip(
        np.split(weights[f"{name}.key_value.weight"], 2), np.split(weights[f"{name}.key_value.bias"], 2), strict=True
    )
    _set_linear(attention.linear[1], *_fused([_heads_padded(*part, heads, all_heads) for part in parts]))
    _set_attention(attention, weights, name, heads, all_heads)


def _set_attention(attention: Any, weights: Weights, name: str, heads: int, all_heads: int) -> None:
    """Set the output projection, the norm, and the softmax scale, which follows from the features per head."""
    out = weights[f"{name}.out.weight"]
    dim, qkv_dim = out.shape
    padded = np.zeros((dim, all_heads * qkv_dim // heads), np.float32)
    padded[:, :qkv_dim] = out
    _set_linear(attention.linear[-1], padded, weights[f"{name}.out.bias"])
    _set_norm(attention.layer_norm, weights, f"{name}_residual.norm")
    attention.queries_scale = np.float32(1 / math.sqrt(qkv_dim // heads))


def _heads_padded(weight: Tensor, bias: Tensor, heads: int, all_heads: int) -> tuple[Tensor, Tensor]:
    """Append zero heads to a map to queries, keys or values, [Q, D] and [Q]."""
    more = weight.shape[0] // heads * (all_heads - heads)
    return np.pad(weight, ((0, more), (0, 0))), np.pad(bias, (0, more))


def _fused(maps: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    return np.concatenate([weight for weight, _ in maps]), np.concatenate([bias for _, bias in maps])


def _set_feed_forward(ffn: Any, weights: Weights, layer: str) -> None:
    _set_linear(ffn.linear_0, weights[f"{layer}.ffn.inner.weight"], weights[f"{layer}.ffn.inner.bias"])
    _set_linear(ffn.linear_1, weights[f"{layer}.ffn.out.weight"], weights[f"{layer}.ffn.out.bias"])
    _set_norm(ffn.layer_norm, weights, f"{layer}.ffn_residual.norm")


def _set_linear(linear: Any, weight: Tensor, bias: Tensor) -> None:
    linear.weight, linear.bias = _copied(weight), _copied(bias)


def _set_norm(norm: Any, weights: Weights, name: str) -> None:
    norm.gamma, norm.beta = _copied(weights[f"{name}.weight"]), _copied(weights[f"{name}.bias"])


def _copied(tensor: Tensor) -> Tensor:
    """Copy a tensor, since CTranslate2 quantises in place."""
    return np.array(tensor, np.float32, order="C")

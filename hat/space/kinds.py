"""Baselines: networks that HAT is compared with, from the configuration to what they are built from.

A baseline stands where a budget does. It has a shape of its own: its position tables are made at its own width, and
the widths that dropout is scaled by are its own, so that nothing of it depends on the task's space.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from hat.config.networks import EvolvedNetwork, Network, TransformerNetwork
from hat.errors import InputError
from hat.space.architecture import Architecture
from hat.space.evolved import EvolvedArchitecture
from hat.space.shape import Shape

AnyArchitecture = Architecture | EvolvedArchitecture
KINDS: Mapping[str, type[Architecture] | type[EvolvedArchitecture]] = {
    form.kind: form for form in (Architecture, EvolvedArchitecture)
}


def network_to_dict(architecture: AnyArchitecture, shape: Shape) -> dict[str, Any]:
    """``kind``, ``architecture`` and ``shape`` of a network, as files say them."""
    return {"kind": architecture.kind, "architecture": architecture.to_dict(), "shape": asdict(shape)}


def architecture_from_dict(values: Mapping[str, Any], where: str) -> AnyArchitecture:
    """The architecture of what :func:`network_to_dict` gives; what names no kind is of a Transformer.

    Raises:
        InputError: the architecture is missing or malformed, or the kind unknown; ``where`` names the file.
    """
    kind = values.get("kind", "transformer")
    if kind not in KINDS:
        raise InputError(f"{where}, kind: {kind!r}, expected one of {', '.join(KINDS)}")
    if "architecture" not in values:
        raise InputError(f"{where}: lacks 'architecture'")
    return KINDS[kind].from_dict(values["architecture"], where)


def configured_architecture(network: TransformerNetwork | EvolvedNetwork) -> AnyArchitecture:
    """Dimensions of a configured network."""
    if isinstance(network, EvolvedNetwork):
        return EvolvedArchitecture.from_dict(network.model_dump(exclude={"kind"}))
    return Architecture.from_dict(network.model_dump(exclude={"kind", "norm", "qkv_dim"}))


def configured_shape(
    network: TransformerNetwork | EvolvedNetwork, common: Network, source_vocabulary: int, target_vocabulary: int
) -> Shape:
    """Shape of a configured network.

    Args:
        network: the network.
        common: what the task's networks have in common, of which a baseline shares the embeddings alone.
        source_vocabulary: size of the source dictionary.
        target_vocabulary: size of the target dictionary.
    """
    if isinstance(network, EvolvedNetwork):
        norm, layers = "pre", network.encoder_cells
        qkv_dim = encoder_dim = decoder_dim = network.width
    else:
        norm, layers, qkv_dim = network.norm, len(network.encoder_heads), network.qkv_dim
        encoder_dim, decoder_dim = network.encoder_embed_dim, network.decoder_embed_dim
    return Shape(
        source_vocabulary=source_vocabulary,
        target_vocabulary=target_vocabulary,
        qkv_dim=qkv_dim,
        super_encoder_dim=encoder_dim,
        super_decoder_dim=decoder_dim,
        super_encoder_layers=layers,
        norm=norm,
        share_embeddings=common.share_embeddings,
        vocab_original_scaling=False,
    )

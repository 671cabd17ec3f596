"""Kinds of networks, and the conversion of a configured baseline to the Architecture and Shape it is built from.

A baseline has a Shape of its own: its position tables and the widths that scale dropout follow its own width, so
that it does not depend on the task's search space.
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
    architecture.kind: architecture for architecture in (Architecture, EvolvedArchitecture)
}


def network_to_dict(architecture: AnyArchitecture, shape: Shape) -> dict[str, Any]:
    """Return ``kind``, ``architecture`` and ``shape`` of a network, as artifacts store them."""
    return {"kind": architecture.kind, "architecture": architecture.to_dict(), "shape": asdict(shape)}


def architecture_from_dict(values: Mapping[str, Any], where: str) -> AnyArchitecture:
    """Read the architecture from what :func:`network_to_dict` returns; without ``kind`` it is a Transformer's.

    Raises:
        InputError: the architecture is missing or malformed, or the kind is unknown; ``where`` names the file.
    """
    kind = values.get("kind", "transformer")
    if kind not in KINDS:
        raise InputError(f"{where}, kind: {kind!r}, expected one of {', '.join(KINDS)}")
    if "architecture" not in values:
        raise InputError(f"{where}: 'architecture' is missing")
    return KINDS[kind].from_dict(values["architecture"], where)


def configured_architecture(network: TransformerNetwork | EvolvedNetwork) -> AnyArchitecture:
    """Return the dimensions of a configured network."""
    if isinstance(network, EvolvedNetwork):
        return EvolvedArchitecture.from_dict(network.model_dump(exclude={"kind"}))
    return Architecture.from_dict(network.model_dump(exclude={"kind", "norm", "qkv_dim"}))


def configured_shape(
    network: TransformerNetwork | EvolvedNetwork, common: Network, source_vocabulary: int, target_vocabulary: int
) -> Shape:
    """Return the Shape of a configured network.

    Args:
        network: the network.
        common: settings of the task's networks; a baseline takes only the sharing of embeddings from them.
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

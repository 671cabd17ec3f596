"""Baselines: networks that HAT is compared with, from the configuration to what they are built from.

A baseline stands where a budget does. It has a shape of its own: its position tables are made at its own width, and
the widths that dropout is scaled by are its own, so that nothing of it depends on the task's space.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from hat.artifacts import digest
from hat.config import EvolvedNetwork, Network, TransformerNetwork
from hat.errors import InputError
from hat.runtime.base import Shape
from hat.space import Architecture

# Of all Evolved Transformers: width of the feed-forward networks, and positions that a convolution sees.
FFN_FACTOR = 4
ENCODER_CONVOLUTION, ENCODER_SEPARABLE = 3, 9
DECODER_LEFT, DECODER_RIGHT, DECODER_FINAL = 11, 7, 7


@dataclass(frozen=True, kw_only=True)
class EvolvedArchitecture:
    """Dimensions of an Evolved Transformer: features, heads, and cells of encoder and decoder.

    ``wide_heads`` are those of the first self-attention of a decoder cell; all others have ``heads``.
    """

    width: int
    heads: int
    wide_heads: int
    encoder_cells: int
    decoder_cells: int

    @property
    def digest(self) -> str:
        """Name of the architecture: 16 hexadecimal digits, equal for equal architectures."""
        return digest(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """JSON-like form: field names to numbers."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str = "EvolvedArchitecture") -> Self:
        """Inverse of :meth:`to_dict`.

        Raises:
            InputError: a field is missing, unknown or no positive whole number.
        """
        names = sorted(field.name for field in fields(cls))
        if not isinstance(values, Mapping) or sorted(values) != names:
            got = sorted(values) if isinstance(values, Mapping) else type(values).__name__
            raise InputError(f"{where}: has {got}, expected {names}")
        for name, value in values.items():
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InputError(f"{where}, {name}: {value!r}, expected a positive whole number")
        return cls(**values)


AnyArchitecture = Architecture | EvolvedArchitecture
KINDS: Mapping[str, type[Architecture] | type[EvolvedArchitecture]] = {
    "transformer": Architecture,
    "evolved": EvolvedArchitecture,
}


def describe(architecture: AnyArchitecture, shape: Shape) -> dict[str, Any]:
    """``kind``, ``architecture`` and ``shape`` of a network, as files say them."""
    kind = next(name for name, form in KINDS.items() if isinstance(architecture, form))
    return {"kind": kind, "architecture": architecture.to_dict(), "shape": asdict(shape)}


def described(values: Mapping[str, Any], where: str) -> AnyArchitecture:
    """The architecture of what :func:`describe` gives; files that name no kind are of Transformers.

    Raises:
        InputError: the architecture is missing or malformed, or the kind unknown; ``where`` names the file.
    """
    kind = values.get("kind", "transformer")
    if kind not in KINDS:
        raise InputError(f"{where}, kind: {kind!r}, expected one of {', '.join(KINDS)}")
    if "architecture" not in values:
        raise InputError(f"{where}: lacks 'architecture'")
    return KINDS[kind].from_dict(values["architecture"], where)


def architecture_of(network: TransformerNetwork | EvolvedNetwork) -> AnyArchitecture:
    """Dimensions of a configured network."""
    if isinstance(network, EvolvedNetwork):
        return EvolvedArchitecture.from_dict(network.model_dump(exclude={"kind"}))
    return Architecture.from_dict(network.model_dump(exclude={"kind", "norm", "qkv_dim"}))


def shape_of(
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

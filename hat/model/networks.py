"""Construction of networks of every kind."""

from hat.model.base import EncoderDecoder
from hat.model.dropout import Dropouts
from hat.model.evolved import EvolvedTransformer
from hat.model.transformer import Transformer
from hat.space.evolved import EvolvedArchitecture
from hat.space.kinds import AnyArchitecture
from hat.space.shape import Shape


def build_network(architecture: AnyArchitecture, shape: Shape, *, dropouts: Dropouts | None = None) -> EncoderDecoder:
    """Build a network with random weights.

    Args:
        architecture: Architecture; its type is the kind of the network.
        shape: vocabularies, sharing, position tables.
        dropouts: rates; default: no dropout.
    """
    if isinstance(architecture, EvolvedArchitecture):
        return EvolvedTransformer(architecture, shape, dropouts=dropouts)
    return Transformer(architecture, shape, dropouts=dropouts)

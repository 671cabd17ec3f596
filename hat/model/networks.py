"""Networks of every kind, from their architectures."""

from hat.model.base import EncoderDecoder
from hat.model.dropout import Dropouts
from hat.model.evolved import EvolvedTransformer
from hat.model.transformer import Transformer
from hat.space.evolved import EvolvedArchitecture
from hat.space.kinds import AnyArchitecture
from hat.space.shape import Shape


def build_network(architecture: AnyArchitecture, shape: Shape, *, dropouts: Dropouts | None = None) -> EncoderDecoder:
    """A network with random weights.

    Args:
        architecture: what it consists of; its type says of what kind the network is.
        shape: vocabularies, sharing, position tables.
        dropouts: rates; none where absent.
    """
    if isinstance(architecture, EvolvedArchitecture):
        return EvolvedTransformer(architecture, shape, dropouts=dropouts)
    return Transformer(architecture, shape, dropouts=dropouts)

"""K-means quantisation: weights as numbers into a small code book."""

from collections.abc import Mapping
from typing import NamedTuple

from hat.errors import InputError

# Bits of an index.
BITS = (4, 8)


class Quantisation(NamedTuple):
    """Bits of the indices, and whether embedding tables have a code book as other matrices do."""

    bits: int
    embeddings: bool

    @property
    def precision(self) -> str:
        """Its name among the precisions of the torch Runtime; in the research code embeddings stay in fp32."""
        return f"kmeans{self.bits}{'' if self.embeddings else '-published'}"


PRECISIONS: Mapping[str, Quantisation] = {
    kind.precision: kind for kind in (Quantisation(bits, embeddings) for embeddings in (True, False) for bits in BITS)
}


def quantisation(bits: int, *, embeddings: bool) -> Quantisation:
    """The quantisation to so many bits.

    Raises:
        InputError: there is none.
    """
    if bits not in BITS:
        raise InputError(f"quantisation to {bits} bits is unknown, expected {' or '.join(map(str, BITS))}")
    return Quantisation(bits, embeddings)

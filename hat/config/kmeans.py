"""Names of the precisions that k-means quantisation gives."""

from collections.abc import Mapping
from typing import NamedTuple

from hat.errors import InputError

# Bits of an index.
BITS = (4, 8)


class Quantisation(NamedTuple):
    """Bits of an index, and whether embedding tables are quantised like other matrices."""

    bits: int
    embeddings: bool

    @property
    def precision(self) -> str:
        """Name as a precision of the torch Runtime; the research code keeps embeddings in fp32."""
        return f"kmeans{self.bits}{'' if self.embeddings else '-published'}"


PRECISIONS: Mapping[str, Quantisation] = {
    kind.precision: kind for kind in (Quantisation(bits, embeddings) for embeddings in (True, False) for bits in BITS)
}


def quantisation(bits: int, *, embeddings: bool) -> Quantisation:
    """Return the quantisation to a number of bits.

    Raises:
        InputError: ``bits`` is not in :data:`BITS`.
    """
    if bits not in BITS:
        raise InputError(f"quantisation to {bits} bits is unknown, expected {' or '.join(map(str, BITS))}")
    return Quantisation(bits, embeddings)

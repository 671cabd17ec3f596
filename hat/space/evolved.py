"""Dimensions of Evolved Transformers; devices, which need no more than NumPy and a Runtime, read them too."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Self

from hat.artifacts.files import digest
from hat.errors import InputError

# Of all Evolved Transformers: width of the feed-forward networks, and positions that a convolution sees.
FFN_FACTOR = 4
ENCODER_CONVOLUTION, ENCODER_SEPARABLE = 3, 9
DECODER_LEFT, DECODER_RIGHT, DECODER_FINAL = 11, 7, 7


@dataclass(frozen=True, kw_only=True)
class EvolvedArchitecture:
    """Dimensions of an Evolved Transformer: features, heads, and cells of encoder and decoder.

    ``wide_heads`` are those of the first self-attention of a decoder cell; all others have ``heads``.
    """

    kind: ClassVar[str] = "evolved"

    width: int
    heads: int
    wide_heads: int
    encoder_cells: int
    decoder_cells: int

    @property
    def encoder_embed_dim(self) -> int:
        """The width, as an Architecture says it."""
        return self.width

    @property
    def decoder_embed_dim(self) -> int:
        """The width, as an Architecture says it."""
        return self.width

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

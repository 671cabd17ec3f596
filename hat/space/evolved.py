"""Dimensions of Evolved Transformers. Devices import this module with nothing but NumPy and a Runtime installed."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Self

from hat.artifacts.files import digest
from hat.errors import InputError

# Fixed for all Evolved Transformers: the factor from width to feed-forward width, and kernel sizes of convolutions.
FFN_FACTOR = 4
ENCODER_CONVOLUTION, ENCODER_SEPARABLE = 3, 9
DECODER_LEFT, DECODER_RIGHT, DECODER_FINAL = 11, 7, 7


@dataclass(frozen=True, kw_only=True)
class EvolvedArchitecture:
    """Dimensions of an Evolved Transformer: features, heads, and cells of encoder and decoder.

    The first self-attention of a decoder cell has ``wide_heads`` heads; every other attention has ``heads``.
    """

    kind: ClassVar[str] = "evolved"

    width: int
    heads: int
    wide_heads: int
    encoder_cells: int
    decoder_cells: int

    @property
    def encoder_embed_dim(self) -> int:
        """Return the width under the name that an Architecture gives it."""
        return self.width

    @property
    def decoder_embed_dim(self) -> int:
        """Return the width under the name that an Architecture gives it."""
        return self.width

    @property
    def digest(self) -> str:
        """Return 16 hexadecimal digits that name the architecture; equal architectures have equal digests."""
        return digest(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Return numbers by field name."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str = "EvolvedArchitecture") -> Self:
        """Read what :meth:`to_dict` returns.

        Raises:
            InputError: a field is missing, unknown or not a positive whole number; ``where`` starts the message.
        """
        names = sorted(field.name for field in fields(cls))
        if not isinstance(values, Mapping) or sorted(values) != names:
            got = sorted(values) if isinstance(values, Mapping) else type(values).__name__
            raise InputError(f"{where}: has {got}, expected {names}")
        for name, value in values.items():
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InputError(f"{where}, {name}: {value!r}, expected a positive whole number")
        return cls(**values)

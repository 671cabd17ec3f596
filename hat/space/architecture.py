"""One point of a search space: an Architecture, and its dimensions."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Self

from hat.artifacts.files import digest
from hat.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """A dimension that an Architecture chooses for each layer of its encoder or decoder.

    Attributes:
        name: field of :class:`Architecture` and of :class:`hat.config.networks.Space`.
        label: heading in tables.
        category: whether its values differ in kind rather than in size. The SuperTransformer has the smallest value of
            a category, and the surrogate search encodes a category as one column for each value.
    """

    name: str
    label: str
    category: bool = False


ENCODER_DIMENSIONS = (
    Dimension(name="encoder_ffn_dim", label="encoder FFN"),
    Dimension(name="encoder_heads", label="encoder heads"),
)
# Sizes come first: sampling draws them layer by layer, as the research code does, and then the categories.
DECODER_DIMENSIONS = (
    Dimension(name="decoder_ffn_dim", label="decoder FFN"),
    Dimension(name="decoder_self_heads", label="self heads"),
    Dimension(name="decoder_cross_heads", label="cross heads"),
    Dimension(name="decoder_cross_span", label="cross span", category=True),
)
ENCODER_LISTS = tuple(dimension.name for dimension in ENCODER_DIMENSIONS)
DECODER_LISTS = tuple(dimension.name for dimension in DECODER_DIMENSIONS)
CATEGORIES = frozenset(one.name for one in ENCODER_DIMENSIONS + DECODER_DIMENSIONS if one.category)


def _are_sizes(values: Any) -> bool:
    return type(values) is tuple and bool(values) and all(type(value) is int and value > 0 for value in values)


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """One point of a search space.

    It holds no values for layers beyond its depth, so equal networks are equal objects. Widths are numbers of features.
    Per-layer tuples start at the layer next to the embedding.
    ``decoder_cross_span[i]`` is the number of encoder layers, counted from the last, whose outputs
    decoder layer i attends to (the paper's arbitrary encoder-decoder attention).
    """

    kind: ClassVar[str] = "transformer"

    encoder_embed_dim: int
    encoder_ffn_dim: tuple[int, ...]
    encoder_heads: tuple[int, ...]
    decoder_embed_dim: int
    decoder_ffn_dim: tuple[int, ...]
    decoder_self_heads: tuple[int, ...]
    decoder_cross_heads: tuple[int, ...]
    decoder_cross_span: tuple[int, ...]

    def __post_init__(self) -> None:
        # Searches create many thousands of Architectures: valid ones return here, the rest explains what is wrong.
        encoder = [getattr(self, name) for name in ENCODER_LISTS]
        decoder = [getattr(self, name) for name in DECODER_LISTS]
        if (
            _are_sizes((self.encoder_embed_dim, self.decoder_embed_dim))
            and all(map(_are_sizes, (*encoder, *decoder)))
            and len(set(map(len, encoder))) == len(set(map(len, decoder))) == 1
        ):
            return
        for field in fields(self):
            value, is_list = getattr(self, field.name), field.name in ENCODER_LISTS + DECODER_LISTS
            if isinstance(value, tuple) != is_list:
                expected = "a list" if is_list else "one whole number"
                raise InputError(f"Architecture, {field.name}: {value!r}, expected {expected}")
            entries = value if is_list else (value,)
            if any(isinstance(entry, bool) or not isinstance(entry, int) or entry < 1 for entry in entries):
                raise InputError(f"Architecture, {field.name}: {value!r}, expected positive whole numbers")
        for names in (ENCODER_LISTS, DECODER_LISTS):
            lengths = {name: len(getattr(self, name)) for name in names}
            if len(set(lengths.values())) != 1 or 0 in lengths.values():
                raise InputError(
                    f"Architecture: lists of different or zero length {lengths}, expected one entry for each layer"
                )

    @property
    def encoder_layers(self) -> int:
        """Number of encoder layers."""
        return len(self.encoder_ffn_dim)

    @property
    def decoder_layers(self) -> int:
        """Number of decoder layers."""
        return len(self.decoder_ffn_dim)

    @property
    def digest(self) -> str:
        """Return 16 hexadecimal digits that name the Architecture; equal Architectures have equal digests."""
        return digest(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Return numbers and lists by field name."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    def to_json(self) -> str:
        """Return :meth:`to_dict` as JSON text."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str = "Architecture") -> Self:
        """Read what :meth:`to_dict` returns.

        Raises:
            InputError: a field is missing, unknown or of the wrong type; ``where`` starts the message.
        """
        names = {field.name for field in fields(cls)}
        if not isinstance(values, Mapping) or set(values) != names:
            got = sorted(values) if isinstance(values, Mapping) else type(values).__name__
            raise InputError(f"{where}: has {got}, expected {sorted(names)}")
        own: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
        return cls(**own)

    @classmethod
    def from_json(cls, text: str, where: str = "Architecture") -> Self:
        """Read what :meth:`to_json` returns.

        Raises:
            InputError: the text is not JSON or not an Architecture; ``where`` starts the message.
        """
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise InputError(f"{where}: not JSON ({error})") from None
        return cls.from_dict(values, where)

"""SearchSpace and Architecture: what can be searched, and one point of it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Self

from hat.artifacts.files import digest
from hat.errors import InputError

# Published codes of `decoder-arbitrary-ende-attn`: how many of the last encoder layers are attended to.
PUBLISHED_SPANS = {-1: 1, 1: 2, 2: 3}
PUBLISHED_NAMES = {
    "encoder-embed-dim-subtransformer": "encoder_embed_dim",
    "encoder-ffn-embed-dim-all-subtransformer": "encoder_ffn_dim",
    "encoder-self-attention-heads-all-subtransformer": "encoder_heads",
    "decoder-embed-dim-subtransformer": "decoder_embed_dim",
    "decoder-ffn-embed-dim-all-subtransformer": "decoder_ffn_dim",
    "decoder-self-attention-heads-all-subtransformer": "decoder_self_heads",
    "decoder-ende-attention-heads-all-subtransformer": "decoder_cross_heads",
    "decoder-arbitrary-ende-attn-all-subtransformer": "decoder_cross_span",
}
PUBLISHED_DEPTHS = {
    "encoder-layer-num-subtransformer": "encoder_layers",
    "decoder-layer-num-subtransformer": "decoder_layers",
}
ENCODER_LISTS = ("encoder_ffn_dim", "encoder_heads")
DECODER_LISTS = ("decoder_ffn_dim", "decoder_self_heads", "decoder_cross_heads", "decoder_cross_span")


def _are_sizes(values: Any) -> bool:
    return type(values) is tuple and bool(values) and all(type(value) is int and value > 0 for value in values)


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """One point of a space; layers beyond its depths do not exist, so equal networks are equal objects.

    Widths are numbers of features; per-layer tuples start at the layer next to the embedding.
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
        # Searches make many thousands of these: what is right passes here, what is wrong is explained below.
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
                    f"Architecture: lists of different or zero length {lengths}, expected one entry a layer"
                )

    @property
    def encoder_layers(self) -> int:
        """Encoder depth."""
        return len(self.encoder_ffn_dim)

    @property
    def decoder_layers(self) -> int:
        """Decoder depth."""
        return len(self.decoder_ffn_dim)

    @property
    def digest(self) -> str:
        """Name of the Architecture: 16 hexadecimal digits, equal for equal Architectures."""
        return digest(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """JSON-like form: field names to numbers and lists."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    def to_json(self) -> str:
        """JSON text of :meth:`to_dict`."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str = "Architecture") -> Self:
        """Inverse of :meth:`to_dict`.

        Raises:
            InputError: a field is missing, unknown or of the wrong type.
        """
        names = {field.name for field in fields(cls)}
        if not isinstance(values, Mapping) or set(values) != names:
            got = sorted(values) if isinstance(values, Mapping) else type(values).__name__
            raise InputError(f"{where}: has {got}, expected {sorted(names)}")
        own: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
        return cls(**own)

    @classmethod
    def from_json(cls, text: str, where: str = "Architecture") -> Self:
        """Inverse of :meth:`to_json`.

        Raises:
            InputError: the text is not JSON or not an Architecture.
        """
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise InputError(f"{where}: not JSON ({error})") from None
        return cls.from_dict(values, where)

    def to_published(self) -> dict[str, Any]:
        """The nested form of the research code's YAML files (``*-subtransformer`` keys).

        Raises:
            InputError: a span has no code there.
        """
        codes = {span: code for code, span in PUBLISHED_SPANS.items()}
        if unknown := sorted(set(self.decoder_cross_span) - set(codes)):
            raise InputError(
                f"Architecture, decoder_cross_span: {unknown[0]}, the research code has a form for {sorted(codes)} only"
            )
        values = self.to_dict()
        values["decoder_cross_span"] = [codes[span] for span in self.decoder_cross_span]
        result = {published: values[own] for published, own in PUBLISHED_NAMES.items()}
        result["encoder-layer-num-subtransformer"] = self.encoder_layers
        result["decoder-layer-num-subtransformer"] = self.decoder_layers
        return result

    @classmethod
    def from_published(cls, values: Mapping[str, Any], where: str = "published architecture") -> Self:
        """Read the research code's form; lists longer than the depth are cut to it.

        Raises:
            InputError: a key is missing, a list is shorter than the depth, or a span code is unknown.
        """
        wanted = {**PUBLISHED_NAMES, **PUBLISHED_DEPTHS}
        if missing := sorted(set(wanted) - set(values)):
            raise InputError(f"{where}: lacks {', '.join(missing)}")
        own: dict[str, Any] = {}
        for published, name in PUBLISHED_NAMES.items():
            value = values[published]
            if isinstance(value, Sequence) and not isinstance(value, str):
                key = f"{name.split('_')[0]}-layer-num-subtransformer"
                if not isinstance(depth := values[key], int) or depth < 1:
                    raise InputError(f"{where}, {key}: {depth!r}, expected a positive whole number")
                if len(value) < depth:
                    raise InputError(f"{where}, {published}: {len(value)} entries, expected {depth}, one a layer")
                value = tuple(value[:depth])
            own[name] = value
        try:
            own["decoder_cross_span"] = tuple(PUBLISHED_SPANS[code] for code in own["decoder_cross_span"])
        except (KeyError, TypeError):
            raise InputError(
                f"{where}, decoder-arbitrary-ende-attn-all-subtransformer: {own['decoder_cross_span']!r},"
                f" expected codes {sorted(PUBLISHED_SPANS)}"
            ) from None
        return cls(**own)

"""Cutting text that is too long for a network: at sentence ends, else behind clauses, between words, inside words."""

from collections.abc import Callable, Iterator, Sequence

import regex

_CLOSING = r"[\"'”’»›)\]}」』）]*+"  # noqa: RUF001
# A full stop behind a single capital is an initial; what goes on in lower case is the same sentence.
_SENTENCE_END = regex.compile(
    rf"(?<![.!?…])(?<!\b\p{{Lu}}(?=\.\s))[.!?…]++{_CLOSING}(?=\s++\P{{Ll}})|[。！？｡]++{_CLOSING}"  # noqa: RUF001
)
_CLAUSE_END = regex.compile(rf"[,;:–—]{_CLOSING}(?=\s)|[、，；：]{_CLOSING}")  # noqa: RUF001
_WORD_END = regex.compile(r"(?<=\S)(?=\s)")
# What a reader sees as one character: a letter with its marks, an emoji of several.
_CHARACTER = regex.compile(r"\X")
_CODE_POINT = regex.compile(r".", regex.DOTALL)
# From the best place to cut to the worst.
_PLACES = (_SENTENCE_END, _CLAUSE_END, _WORD_END, _CHARACTER, _CODE_POINT)


def split_long(text: str, fits: Callable[[str], bool]) -> list[str]:
    """Pieces of a text that each fit, in order; together they are the text, but for spaces where it was cut.

    A text that fits is its only piece. Each sentence of one that does not is a piece of its own, since networks
    are trained on sentences. A sentence that does not fit either is cut behind punctuation inside it, else between
    words, else inside words, into pieces as long as fit.

    Args:
        text: a line, or more.
        fits: whether the network can take a text; where it cannot take a single code point, that is a piece still.
    """
    text = text.strip()
    if not text or fits(text):
        return [text] if text else []
    return [
        piece
        for sentence in _parts(text, _SENTENCE_END)
        for piece in ([sentence] if fits(sentence) else _packed(sentence, fits, _PLACES[1:]))
    ]


def _parts(text: str, place: regex.Pattern[str]) -> list[str]:
    """The text cut at all such places, without the spaces around them."""
    ends = [match.end() for match in place.finditer(text)]
    parts = (text[start:end].strip() for start, end in zip([0, *ends], [*ends, len(text)], strict=True))
    return [part for part in parts if part]


def _packed(text: str, fits: Callable[[str], bool], places: Sequence[regex.Pattern[str]]) -> Iterator[str]:
    """A text that does not fit, cut at the last of the first kind of places that fits, again and again."""
    ends = [match.end() for match in places[0].finditer(text)]
    if not ends or ends[-1] < len(text):
        ends.append(len(text))
    start = first = 0
    while first < len(ends):
        # How many parts fit: doubled until they do not, so that nothing much longer than a piece is ever tried, ...
        low, high = 0, 1
        while fits(text[start : ends[min(first + high, len(ends)) - 1]].strip()):
            low = high
            if first + low >= len(ends):
                break
            high *= 2
        # ... then halved between what does and what does not.
        while high - low > 1:
            middle = (low + high) // 2
            if first + middle <= len(ends) and fits(text[start : ends[first + middle - 1]].strip()):
                low = middle
            else:
                high = middle
        last = min(first + max(low, 1), len(ends))
        piece = text[start : ends[last - 1]].strip()
        if low or len(places) == 1:
            if piece:
                yield piece
        else:
            yield from _packed(piece, fits, places[1:])
        start, first = ends[last - 1], last

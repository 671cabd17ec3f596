"""Cutting text that is too long for a network, at sentence ends, else after clauses, between words, inside words."""

from collections.abc import Callable, Iterator, Sequence

import regex

_CLOSING = r"[\"'”’»›)\]}」』）]*+"  # noqa: RUF001
# A full stop after a single capital is an initial, and a sentence does not begin in lower case.
_SENTENCE_END = regex.compile(
    rf"(?<![.!?…])(?<!\b\p{{Lu}}(?=\.\s))[.!?…]++{_CLOSING}(?=\s++\P{{Ll}})|[。！？｡]++{_CLOSING}"  # noqa: RUF001
)
_CLAUSE_END = regex.compile(rf"[,;:–—]{_CLOSING}(?=\s)|[、，；：]{_CLOSING}")  # noqa: RUF001
_WORD_END = regex.compile(r"(?<=\S)(?=\s)")
# A grapheme cluster: a letter with its marks, an emoji of several code points.
_CHARACTER = regex.compile(r"\X")
_CODE_POINT = regex.compile(r".", regex.DOTALL)
# Boundaries to cut at, from best to worst.
_PLACES = (_SENTENCE_END, _CLAUSE_END, _WORD_END, _CHARACTER, _CODE_POINT)


def split_long(text: str, fits: Callable[[str], bool]) -> list[str]:
    """Cut a text into pieces that each fit; only spaces are lost at the cuts.

    A text that fits is a single piece. A longer one is cut into its sentences, since networks are trained on
    sentences. A sentence that does not fit is cut after punctuation inside it, else between words, else inside words,
    into pieces that are as long as possible.

    Args:
        text: one or more lines.
        fits: whether the network can take a text. A single code point is a piece even if it does not fit.

    Returns:
        The pieces in order; none for an empty text.
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
    """Cut the text at all places that match, and strip the parts."""
    ends = [match.end() for match in place.finditer(text)]
    parts = (text[start:end].strip() for start, end in zip([0, *ends], [*ends, len(text)], strict=True))
    return [part for part in parts if part]


def _packed(text: str, fits: Callable[[str], bool], places: Sequence[regex.Pattern[str]]) -> Iterator[str]:
    """Cut a text that does not fit into the longest pieces that fit, at the best kind of boundary, else the next."""
    ends = [match.end() for match in places[0].finditer(text)]
    if not ends or ends[-1] < len(text):
        ends.append(len(text))
    start = first = 0
    while first < len(ends):
        # Find how many parts fit. Double the number until they do not, so that no much longer text is tried.
        low, high = 0, 1
        while fits(text[start : ends[min(first + high, len(ends)) - 1]].strip()):
            low = high
            if first + low >= len(ends):
                break
            high *= 2
        # Bisect between the last number that fits and the first that does not.
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

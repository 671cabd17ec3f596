"""Moses punctuation normalisation, tokenisation and detokenisation, as the published preprocessing applies them.

The tokeniser follows tokenizer.perl rule by rule. Its rules never look further than the characters on both sides of
a space, so that every stretch of text between spaces is tokenised once and remembered; what depends on the words
around it, a full stop at the end of a word, is decided afterwards. docs/benchmarks/data.md has the measurements behind
this.
"""

import re
from itertools import chain
from typing import TYPE_CHECKING

import regex

from hat.config.tokenisation import Tokenisation
from hat.data.text.bpe import LONGEST_CACHED
from hat.data.text.text import clean

if TYPE_CHECKING:
    from sacremoses import MosesPunctNormalizer

CACHED_STRETCHES = 1 << 18
# Nothing else makes punctuation normalisation change a line; spaces and \r do in one that is not clean.
_NORMALISED = re.compile(r"[()\xa0„“”–—´‘‚’…«»`\"\r]|''| [:;%]|  ")  # noqa: RUF001
# What tokenizer.perl takes for spaces, and what it drops then.
_PERL_SPACES = re.compile("[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")
_PERL_DROPPED = re.compile("[\x00-\x1f]")
_CONTROLS = regex.compile(r"\p{C}")
_ESCAPES = str.maketrans(
    {
        "&": "&amp;",
        "|": "&#124;",
        "<": "&lt;",
        ">": "&gt;",
        "'": "&apos;",
        '"': "&quot;",
        "[": "&#91;",
        "]": "&#93;",
    }
)
_ESCAPED = re.compile(r"[&|<>'\"\[\]]")
_DOTS = regex.compile(r"\.{2,}")
_ALPHA = regex.compile(r"\p{Alpha}")
_LOWER = regex.compile(r"\p{Lower}")
_NUMERIC_ONLY = "#NUMERIC_ONLY#"
_HYPHEN = (regex.compile(r"(\p{Alnum})-(?=\p{Alnum})"), r"\1 @-@ ")
_COMMAS = (
    (regex.compile(r"(\P{N}),"), r"\1 , "),
    (regex.compile(r",(\P{N})"), r" , \1"),
    (regex.compile(r"(\p{N}),$"), r"\1 ,"),
)
_ENGLISH = (
    (regex.compile(r"(\P{Alpha})'(\P{Alpha})"), r"\1 ' \2"),
    (regex.compile(r"([^\p{Alpha}\p{N}])'(\p{Alpha})"), r"\1 ' \2"),
    (regex.compile(r"(\p{Alpha})'(\P{Alpha})"), r"\1 ' \2"),
    (regex.compile(r"(\p{Alpha})'(\p{Alpha})"), r"\1 '\2"),
    (regex.compile(r"(\p{N})'(s)"), r"\1 '\2"),
)
_ROMANCE = (
    (regex.compile(r"(\P{Alpha})'(\P{Alpha})"), r"\1 ' \2"),
    (regex.compile(r"(\P{Alpha})'(\p{Alpha})"), r"\1 ' \2"),
    (regex.compile(r"(\p{Alpha})'(\P{Alpha})"), r"\1 ' \2"),
    (regex.compile(r"(\p{Alpha})'(\p{Alpha})"), r"\1' \2"),
)
_OTHERS = ((regex.compile(r"'"), " ' "),)
_APOSTROPHES = {"en": _ENGLISH, "fr": _ROMANCE, "it": _ROMANCE, "ga": _ROMANCE, "ca": _ROMANCE}
# In Finnish and Swedish a colon may stand inside a word: USA:n.
_SPECIAL = ((regex.compile(r"([^\p{Alnum}\s.'`,\-])"), r" \1 "),)
_SPECIAL_BUT_COLON = (
    (regex.compile(r"([^\p{Alnum}\s.:'`,\-])"), r" \1 "),
    (regex.compile(r"(:)(?=$|\P{Ll})"), r" \1 "),
)


class Moses:
    """Text of one language to words and back.

    Args:
        language: ISO 639 code; decides on abbreviations, apostrophes and quotation marks.
        tokenisation: what is applied.
        training: whether it is applied to training text, for which there may be other steps.
    """

    def __init__(self, language: str, tokenisation: Tokenisation, *, training: bool = False) -> None:
        # Takes half a second, which many who import this file, directly or not, need not wait.
        from sacremoses import MosesDetokenizer
        from sacremoses.corpus import NonbreakingPrefixes

        normalised = training or tokenisation.normalise_splits == "all"
        self._normaliser = _normaliser(language) if tokenisation.normalise_punctuation and normalised else None
        self._as_perl = tokenisation.invisible != "drop"
        self._spaced_controls = tokenisation.invisible == "space" and normalised
        self._plain_apostrophes = tokenisation.plain_apostrophes and not training
        self._detokeniser = MosesDetokenizer(lang=language)
        self._lowercase = tokenisation.lowercase
        self._rules = (
            *(_SPECIAL_BUT_COLON if language in ("fi", "sv") else _SPECIAL),
            *((_HYPHEN,) if tokenisation.aggressive_hyphens else ()),
            (_DOTS, r" \g<0> "),
            *_COMMAS,
            *_APOSTROPHES.get(language, _OTHERS),
        )
        prefixes = [line.strip() for line in NonbreakingPrefixes().words(language)]
        self._numeric_prefixes = {line.split()[0] for line in prefixes if line.endswith(_NUMERIC_ONLY)}
        self._prefixes = {line for line in prefixes if line} - self._numeric_prefixes
        self._stretches: dict[str, tuple[str, ...]] = {}

    def split(self, line: str) -> list[str]:
        """Words of a line; characters that mean something to Moses are written ``&apos;``, ``&lt;`` and so on."""
        if not self._as_perl:
            line = clean(line)
        if self._plain_apostrophes:
            line = line.replace("’", "'")  # noqa: RUF001
        if self._normaliser is not None and _NORMALISED.search(line):
            # The script sees the line feed, so that a full stop before a closing quotation mark is not the line's end.
            line = self._normaliser.normalize(line + "\n" if self._as_perl else line)
        # True for most lines: neither controls nor other spaces.
        if self._as_perl and not line.isprintable():
            if self._spaced_controls:
                line = _CONTROLS.sub(" ", line)
            line = _PERL_DROPPED.sub("", _PERL_SPACES.sub(" ", line))
        words = self._words(line.split())
        self._split_full_stops(words)
        if words and words[-1].endswith(".'"):
            words[-1:] = [part for part in (words[-1][:-2], ".", "'") if part]
        if _ESCAPED.search(line):
            words = [word.translate(_ESCAPES) for word in words]
        # Last: whether a full stop is parted depends on the case of what follows. Perl knows no final sigma.
        return [word.replace("\u03a3", "\u03c3").lower() for word in words] if self._lowercase else words

    def join(self, words: list[str]) -> str:
        """The line that words make."""
        return clean(self._detokeniser.detokenize(words))

    def _words(self, stretches: list[str]) -> list[str]:
        text = " ".join(stretches)
        # Two apostrophes beside one space are the one case where a rule uses up what its neighbour needs.
        if len(stretches) < 3 or "' '" in text:
            return self._apply(text)
        # The first and the last have no space, and so no character at all, on one side.
        stretches = [stretches[0] + " ", *stretches[1:-1], " " + stretches[-1]]
        found = [*map(self._stretches.get, stretches)]
        known = (
            self._remember(stretch) if words is None else words for stretch, words in zip(stretches, found, strict=True)
        )
        return [*chain.from_iterable(known)]

    def _remember(self, stretch: str) -> tuple[str, ...]:
        """Words of a stretch between spaces; of the first or last one where the space on its other side is given."""
        found = _plain(stretch.strip(" ")) or tuple(self._apply(stretch if " " in stretch else f" {stretch} "))
        if len(stretch) <= LONGEST_CACHED:
            if len(self._stretches) >= CACHED_STRETCHES:
                self._stretches.clear()
            self._stretches[stretch] = found
        return found

    def _apply(self, text: str) -> list[str]:
        for pattern, replacement in self._rules:
            text = pattern.sub(replacement, text)
        return text.split()

    def _split_full_stops(self, words: list[str]) -> None:
        """Part full stops from words that are no abbreviations, in place."""
        for number in [number for number, word in enumerate(words) if word[-1] == "."][::-1]:
            word = words[number]
            if word.endswith("..") or len(word) == 1:
                continue
            stem = word[:-1]
            following = words[number + 1] if number + 1 < len(words) else ""
            if following and (
                ("." in stem and _ALPHA.search(stem))
                or stem in self._prefixes
                or _LOWER.match(following)
                or (stem in self._numeric_prefixes and following[0] in "0123456789")
            ):
                continue
            words[number : number + 1] = [stem, "."]


def _normaliser(language: str) -> "MosesPunctNormalizer":
    """Punctuation normalisation with the rules of normalize-punctuation.perl."""
    from sacremoses import MosesPunctNormalizer

    made = MosesPunctNormalizer(lang=language, perl_parity=True)
    if language not in ("en", "cs", "cz", "de", "es", "fr"):
        # The script has the rule of German for all languages but the first three, and the one for numbers comes last.
        place = len(made.substitutions) - len(made.OTHER)
        made.substitutions[place:place] = made.DE_ES_FR_QUOTATION_FOLLOWED_BY_COMMA
    return made


def _plain(stretch: str) -> tuple[str, ...] | None:
    """Words of letters with at most one mark behind them, which are most of a text and need no rules; else None."""
    if stretch.isalpha():
        return (stretch,)
    word, mark = stretch[:-1], stretch[-1:]
    if not word.isalpha() or mark not in ",;:!?.":
        return None
    return (stretch,) if mark == "." else (word, mark)

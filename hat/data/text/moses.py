"""Moses punctuation normalisation, tokenisation and detokenisation, as in the published preprocessing.

The tokeniser follows tokenizer.perl rule by rule. Its rules never look further than the characters on both sides of
a space, so each stretch of text between spaces is tokenised once and cached. Full stops at the end of words depend on
the next word, so they are split afterwards. docs/benchmarks/data.md has the measurements behind this.
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
# Punctuation normalisation changes only lines with one of these; space runs and \r occur in uncleaned lines.
_NORMALISED = re.compile(r"[()\xa0„“”–—´‘‚’…«»`\"\r]|''| [:;%]|  ")  # noqa: RUF001
# Characters that tokenizer.perl treats as spaces, and those that it drops afterwards.
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
    """Splits text of one language into words, and joins words into text.

    Args:
        language: ISO 639 code; determines abbreviations, apostrophes and quotation marks.
        tokenisation: settings of the task.
        training: whether the text is training text, to which some settings apply differently.
    """

    def __init__(self, language: str, tokenisation: Tokenisation, *, training: bool = False) -> None:
        # The import takes half a second, and many modules import this one without needing it.
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
        """Return the words of a line, with the characters that are special to Moses escaped (``&apos;``, ``&lt;``)."""
        if not self._as_perl:
            line = clean(line)
        if self._plain_apostrophes:
            line = line.replace("’", "'")  # noqa: RUF001
        if self._normaliser is not None and _NORMALISED.search(line):
            # For the script, the line feed follows, so a full stop before a closing quotation mark is not at the end.
            line = self._normaliser.normalize(line + "\n" if self._as_perl else line)
        # Most lines are printable: they have neither controls nor unusual spaces.
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
        # Last, because splitting full stops depends on the case of the next word. Perl has no final sigma.
        return [word.replace("\u03a3", "\u03c3").lower() for word in words] if self._lowercase else words

    def join(self, words: list[str]) -> str:
        """Return the detokenised line that words make."""
        return clean(self._detokeniser.detokenize(words))

    def _words(self, stretches: list[str]) -> list[str]:
        text = " ".join(stretches)
        # Apostrophes on both sides of a space are the only case in which one rule consumes what the next one needs.
        if len(stretches) < 3 or "' '" in text:
            return self._apply(text)
        # The first and last stretches have a space on one side only: nothing is on the other side.
        stretches = [stretches[0] + " ", *stretches[1:-1], " " + stretches[-1]]
        found = [*map(self._stretches.get, stretches)]
        known = (
            self._tokenise_and_cache(stretch) if words is None else words
            for stretch, words in zip(stretches, found, strict=True)
        )
        return [*chain.from_iterable(known)]

    def _tokenise_and_cache(self, stretch: str) -> tuple[str, ...]:
        """Return the words of a stretch between spaces. The first and last stretch of a line include one space."""
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
        """Split full stops from words that are not abbreviations, in place."""
        for index in [index for index, word in enumerate(words) if word[-1] == "."][::-1]:
            word = words[index]
            if word.endswith("..") or len(word) == 1:
                continue
            stem = word[:-1]
            following = words[index + 1] if index + 1 < len(words) else ""
            if following and (
                ("." in stem and _ALPHA.search(stem))
                or stem in self._prefixes
                or _LOWER.match(following)
                or (stem in self._numeric_prefixes and following[0] in "0123456789")
            ):
                continue
            words[index : index + 1] = [stem, "."]


def _normaliser(language: str) -> "MosesPunctNormalizer":
    """Return a normaliser with the rules of normalize-punctuation.perl."""
    from sacremoses import MosesPunctNormalizer

    normaliser = MosesPunctNormalizer(lang=language, perl_parity=True)
    if language not in ("en", "cs", "cz", "de", "es", "fr"):
        # The script applies the German rule to all languages but the first three, before the rules for numbers.
        place = len(normaliser.substitutions) - len(normaliser.OTHER)
        normaliser.substitutions[place:place] = normaliser.DE_ES_FR_QUOTATION_FOLLOWED_BY_COMMA
    return normaliser


def _plain(stretch: str) -> tuple[str, ...] | None:
    """Return the words of a stretch of letters with at most one mark behind; None for others, which need the rules."""
    if stretch.isalpha():
        return (stretch,)
    word, mark = stretch[:-1], stretch[-1:]
    if not word.isalpha() or mark not in ",;:!?.":
        return None
    return (stretch,) if mark == "." else (word, mark)

"""Sizes of a shortlist: how many candidates each gives, what they cover, and which is the smallest that does."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hat.data.text.special_tokens import SPECIALS
from hat.runtime.shortlist import Shortlist
from hat.shortlist.lexicon import Lexicon
from hat.system.durations import duration

# Sizes that lack more than this of the references, and of the translations made with the whole vocabulary, are not
# worth translating with. References alone ask for more than a network says, translations for what it should not.
HOPELESS = 0.1
# Probability below which a difference is not taken for chance.
SIGNIFICANCE = 0.05
SMALLER, LARGER = "smaller than one that loses too much", "larger than needed"


@dataclass(frozen=True, kw_only=True)
class Size:
    """The ``frequent`` most frequent target tokens, and the ``translations`` best ones of each source token."""

    frequent: int
    translations: int


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a size means on some sentences.

    Candidates are counted for each sentence; coverages are the parts of all tokens of the references, and of the
    translations made with the whole vocabulary, that are candidates of their sentence.
    """

    size: Size
    mean_candidates: float
    max_candidates: int
    reference_coverage: float
    translation_coverage: float

    @property
    def coverages(self) -> tuple[float, float]:
        """Both."""
        return self.reference_coverage, self.translation_coverage

    def covers_no_more_than(self, other: "Measured") -> bool:
        """Whether neither coverage is above that of another."""
        return all(own <= its for own, its in zip(self.coverages, other.coverages, strict=True))


@dataclass(frozen=True, kw_only=True)
class Score:
    """Translations with a shortlist: their BLEU, how many are others than with the whole vocabulary, time taken.

    ``p_value`` is that of the paired bootstrap test of the two BLEUs; 1 of the whole vocabulary itself.
    """

    bleu: float
    changed: int
    seconds: float
    p_value: float = 1.0

    def good_enough(self, whole: float, max_bleu_loss: float) -> bool:
        """Whether so much BLEU at most is lost against the whole vocabulary, as far as the sentences can tell.

        On a few hundred sentences BLEU moves by a few tenths without being better or worse, so a larger loss counts
        only where it is told from none with ``SIGNIFICANCE``.
        """
        return whole - self.bleu < max_bleu_loss or self.p_value >= SIGNIFICANCE


def most_frequent(tokens: npt.NDArray[np.integer], vocabulary: int) -> npt.NDArray[np.int64]:
    """Numbers of all tokens but the special ones that occur, the most frequent first, ties by number."""
    counts = np.zeros(vocabulary, np.int64)
    # In blocks: counting takes a copy of eight bytes a token.
    for begin in range(0, len(tokens), 1 << 24):
        counts += np.bincount(tokens[begin : begin + (1 << 24)], minlength=vocabulary)
    counts[: len(SPECIALS)] = 0
    order = np.argsort(-counts, kind="stable")
    return order[counts[order] > 0]


def make_shortlist(frequent: npt.NDArray[np.int64], lexicon: Lexicon, size: Size) -> Shortlist:
    """The shortlist of a size; what every sentence gets is not named again for single source tokens.

    Args:
        frequent: target tokens, the most frequent first.
        lexicon: what source tokens are translated by.
        size: how many of both.
    """
    always = frequent[: size.frequent]
    by_token = {
        token: found[~np.isin(found, always)] for token, found in lexicon.best(size.translations).translations().items()
    }
    return Shortlist(always.tolist(), {token: found.tolist() for token, found in by_token.items() if len(found)})


def measure_size(
    size: Size,
    shortlist: Shortlist,
    sources: Sequence[Sequence[int]],
    references: Sequence[Sequence[int]],
    translations: Sequence[Sequence[int]],
) -> Measured:
    """Candidates and coverages over sentences, given as token numbers."""
    candidates = [shortlist.candidates(source) for source in sources]
    counts = [len(found) for found in candidates]
    return Measured(
        size=size,
        mean_candidates=round(float(np.mean(counts)), 1),
        max_candidates=max(counts),
        reference_coverage=_coverage(candidates, references),
        translation_coverage=_coverage(candidates, translations),
    )


def _coverage(candidates: Sequence[npt.NDArray[np.int32]], texts: Sequence[Sequence[int]]) -> float:
    covered = sum(int(np.isin(text, found).sum()) for text, found in zip(texts, candidates, strict=True))
    return round(covered / max(1, sum(map(len, texts))), 5)


def choose_size(
    ladder: Iterable[Measured],
    *,
    whole: float,
    vocabulary: int,
    max_bleu_loss: float,
    score: Callable[[Size], Score],
) -> tuple[Size | None, list[dict[str, Any]]]:
    """The smallest size, by mean candidates, that is good enough (:meth:`Score.good_enough`); None where none is.

    It is found by bisection: a size that is good enough is compared with smaller ones, one that is not with larger
    ones. Sizes are passed over that cover too little, or no more than a smaller one does, or have as many candidates
    as there are tokens.

    Args:
        ladder: the sizes.
        whole: BLEU with the whole vocabulary.
        vocabulary: target tokens.
        max_bleu_loss: what may be lost.
        score: translates the sentences with a size; called only where needed.

    Returns:
        The size, and a row for each one of the ladder that says what became of it.
    """
    ordered = sorted(ladder, key=lambda one: (one.mean_candidates, -sum(one.coverages)))
    verdicts = [_passed_over(one, ordered[:number], vocabulary) for number, one in enumerate(ordered)]
    scores: dict[int, Score] = {}
    left = [number for number, verdict in enumerate(verdicts) if verdict is None]
    chosen: int | None = None
    while left:
        middle = len(left) // 2
        number = left[middle]
        scores[number] = score(ordered[number].size)
        if scores[number].good_enough(whole, max_bleu_loss):
            if chosen is not None:
                verdicts[chosen] = LARGER
            chosen, verdicts[number] = number, "chosen"
            verdicts = [LARGER if other in left[middle + 1 :] else verdict for other, verdict in enumerate(verdicts)]
            left = left[:middle]
        else:
            verdicts[number] = "loses too much"
            verdicts = [SMALLER if other in left[:middle] else verdict for other, verdict in enumerate(verdicts)]
            left = left[middle + 1 :]
    rows = []
    for number, measured in enumerate(ordered):
        found = scores.get(number)
        row = {**asdict(measured.size), **asdict(measured), "verdict": verdicts[number]}
        del row["size"]
        row |= dict.fromkeys(("bleu", "changed", "seconds", "p_value", "bleu_loss"))
        rows.append(row if found is None else row | asdict(found) | {"bleu_loss": whole - found.bleu})
    return None if chosen is None else ordered[chosen].size, rows


def _passed_over(measured: Measured, smaller: Sequence[Measured], vocabulary: int) -> str | None:
    """Why a size is not scored, None where it may be."""
    if measured.mean_candidates >= vocabulary - 1:
        return "no smaller than the vocabulary"
    if max(measured.coverages) < 1 - HOPELESS:
        return "covers too little"
    if any(measured.covers_no_more_than(other) for other in smaller):
        return "covers no more than a smaller one"
    return None


def size_table(content: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the table of sizes, from the content of ``shortlist.json``."""
    header = [
        "frequent",
        "translations",
        "candidates",
        "at most",
        "of references",
        "of translations",
        "BLEU",
        "time",
    ]
    whole = content["whole_vocabulary"]
    rows = [["all", "all", str(content["vocabulary"]), str(content["vocabulary"]), "100.00 %", "100.00 %"]]
    rows[0] += [f"{whole['bleu']:.2f}", duration(whole["seconds"]), ""]
    for size in content["sizes"]:
        row = [str(size["frequent"]), str(size["translations"]), f"{size['mean_candidates']:.0f}"]
        row += [str(size["max_candidates"])]
        row += [f"{100 * size[f'{name}_coverage']:.2f} %" for name in ("reference", "translation")]
        row += ["-", "-"] if size["bleu"] is None else [f"{size['bleu']:.2f}", duration(size["seconds"])]
        rows.append([*row, size["verdict"]])
    return [*header, ""], rows

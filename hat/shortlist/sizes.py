"""Sizes of a shortlist: the candidates that each size gives, their coverage, and the choice of a size."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hat.data.text.special_tokens import SPECIALS
from hat.runtime.shortlist import Shortlist
from hat.shortlist.lexicon import Lexicon
from hat.system.durations import duration

# A size is not tried if its candidates miss more than this fraction both of the references and of the translations made
# with the whole vocabulary. References contain tokens that a network would not choose, translations contain errors.
MAX_UNCOVERED = 0.1
# p-value below which a difference is significant.
SIGNIFICANCE = 0.05
SMALLER, LARGER = "smaller than one that loses too much", "larger than needed"


@dataclass(frozen=True, kw_only=True)
class Size:
    """The numbers of most frequent target tokens, and of best translations per source token, in a shortlist."""

    frequent: int
    translations: int


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """Numbers of candidates per sentence, and coverage, of a size on some sentences.

    A coverage is the fraction of tokens that are candidates of their sentence: of the references, or of the
    translations made with the whole vocabulary.
    """

    size: Size
    mean_candidates: float
    max_candidates: int
    reference_coverage: float
    translation_coverage: float

    @property
    def coverages(self) -> tuple[float, float]:
        """The coverage of references and of translations."""
        return self.reference_coverage, self.translation_coverage

    def covers_no_more_than(self, other: "Coverage") -> bool:
        """Whether neither coverage is higher than in ``other``."""
        return all(one <= another for one, another in zip(self.coverages, other.coverages, strict=True))


@dataclass(frozen=True, kw_only=True)
class Score:
    """Score of translations with a shortlist, compared with those with the whole vocabulary.

    ``changed`` is the number of translations that differ. ``p_value`` is from the paired bootstrap test of the BLEU
    difference; it is 1 if no translation differs.
    """

    bleu: float
    changed: int
    seconds: float
    p_value: float = 1.0

    def good_enough(self, whole: float, max_bleu_loss: float) -> bool:
        """Whether the loss against the whole vocabulary is small or not significant.

        On a few hundred sentences BLEU varies by a few tenths by chance, so a larger loss counts only if it is
        significant.

        Args:
            whole: BLEU with the whole vocabulary.
            max_bleu_loss: largest loss that is acceptable in any case.
        """
        return whole - self.bleu < max_bleu_loss or self.p_value >= SIGNIFICANCE


def most_frequent(tokens: npt.NDArray[np.integer], vocabulary: int) -> npt.NDArray[np.int64]:
    """Return the ids of all tokens that occur, without special tokens, by falling count, then by id."""
    counts = np.zeros(vocabulary, np.int64)
    # Count in blocks, because counting makes a copy of eight bytes per token.
    for begin in range(0, len(tokens), 1 << 24):
        counts += np.bincount(tokens[begin : begin + (1 << 24)], minlength=vocabulary)
    counts[: len(SPECIALS)] = 0
    order = np.argsort(-counts, kind="stable")
    return order[counts[order] > 0]


def make_shortlist(frequent: npt.NDArray[np.int64], lexicon: Lexicon, size: Size) -> Shortlist:
    """Return the shortlist of a size; tokens that every sentence gets are not repeated for single source tokens.

    Args:
        frequent: ids of target tokens, the most frequent first.
        lexicon: translations of source tokens.
        size: numbers of tokens to take from both.
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
) -> Coverage:
    """Return the candidates and coverage of a size over sentences, which are given as token ids."""
    candidates = [shortlist.candidates(source) for source in sources]
    counts = [len(found) for found in candidates]
    return Coverage(
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
    ladder: Iterable[Coverage],
    *,
    whole: float,
    vocabulary: int,
    max_bleu_loss: float,
    score: Callable[[Size], Score],
) -> tuple[Size | None, list[dict[str, Any]]]:
    """Choose the size with the fewest mean candidates that is good enough (see :meth:`Score.good_enough`).

    Sizes are bisected. Those that cover too little, cover no more than a smaller size, or contain the whole vocabulary
    are skipped.

    Args:
        ladder: coverage of each size to choose from.
        whole: BLEU with the whole vocabulary.
        vocabulary: number of target tokens.
        max_bleu_loss: see :meth:`Score.good_enough`.
        score: translates the sentences with a size and scores them; called for few sizes.

    Returns:
        The chosen size (None if no size is good enough), and a row with the verdict for each size of the ladder.
    """
    ordered = sorted(ladder, key=lambda one: (one.mean_candidates, -sum(one.coverages)))
    verdicts = [_skipped(one, ordered[:number], vocabulary) for number, one in enumerate(ordered)]
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


def _skipped(measured: Coverage, smaller: Sequence[Coverage], vocabulary: int) -> str | None:
    """Return the reason why a size is not scored; None if it can be."""
    if measured.mean_candidates >= vocabulary - 1:
        return "no smaller than the vocabulary"
    if max(measured.coverages) < 1 - MAX_UNCOVERED:
        return "covers too little"
    if any(measured.covers_no_more_than(other) for other in smaller):
        return "covers no more than a smaller one"
    return None


def size_table(content: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return the header and rows of the table of sizes, given the content of ``shortlist.json``."""
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

"""Writing the splits of a corpus, and counting their pairs and words."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import compress
from pathlib import Path
from statistics import fmean, median
from typing import Any, NamedTuple

from hat.data.corpora.overlap import Overlap
from hat.data.text.text import clean, count_words, two_writers

DEFINITION = (
    "overlap of a held-out sentence: the largest share of its distinct lower-case word 4-grams (a shorter sentence: of"
    " all its words as one n-gram) that one training sentence contains; a pair is dropped where the overlap of its"
    " source or of its target is above max_overlap"
)
FEWEST_PAIRS = 10


class Pair(NamedTuple):
    """An aligned pair, and the name of the part of the corpus that it comes from."""

    source: str
    target: str
    part: str = ""


def raw_path(data: Path, split: str, language: str) -> Path:
    """Return the path of the raw text of a split."""
    return data / "raw" / f"{split}.{language}"


def words_path(data: Path, split: str, language: str) -> Path:
    """Return the path of the Moses words of a split."""
    return data / "words" / f"{split}.{language}"


def tokens_path(data: Path, split: str, language: str) -> Path:
    """Return the path of the byte-pair pieces of a split."""
    return data / "tokens" / f"{split}.{language}"


def given_path(data: Path, name: str) -> Path:
    """Return the path of codes or a dictionary that come with the corpus, and create its folder."""
    path = data / "given" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


# Paths of text, by how far it is processed.
PLACES: dict[str, Callable[[Path, str, str], Path]] = {"raw": raw_path, "words": words_path, "pieces": tokens_path}


class Splits:
    """Writes the splits of one task, and counts their pairs and words.

    Args:
        data: the task's data folder.
        languages: source and target language.
    """

    def __init__(self, data: Path, languages: tuple[str, str]) -> None:
        self.data = data
        self.languages = languages
        self.pairs: dict[str, int] = {}
        self.words: dict[str, dict[str, int]] = {}
        self.dropped: dict[str, dict[str, int]] = {}
        self.parts: dict[str, dict[str, dict[str, int]]] = {}

    def write(
        self,
        split: str,
        pairs: Iterable[Pair],
        reasons: Mapping[str, int] | None = None,
        *,
        text: str = "raw",
        verbatim: bool = False,
    ) -> None:
        """Clean and write one split, without the pairs that have an empty side.

        Args:
            split: name of the split.
            pairs: pairs of the split, in order.
            reasons: numbers of pairs dropped earlier, by reason; read after the last pair.
            text: how far the text is processed, a key of ``PLACES``.
            verbatim: whether to write the text without cleaning it.
        """
        words = [0, 0]
        kept: Counter[str] = Counter()
        lost: Counter[str] = Counter()
        source, target = (PLACES[text](self.data, split, language) for language in self.languages)
        with two_writers(source, target) as streams:
            for pair in pairs:
                sides = (pair.source, pair.target) if verbatim else (clean(pair.source), clean(pair.target))
                if not (sides[0].strip() and sides[1].strip()):
                    lost[pair.part] += 1
                    continue
                kept[pair.part] += 1
                for number, (stream, side) in enumerate(zip(streams, sides, strict=True)):
                    stream.write(side + "\n")
                    words[number] += count_words(side)
        dropped: Counter[str] = Counter(reasons or {})
        dropped["empty"] += lost.total()
        self.pairs[split] = kept.total()
        self.words[split] = dict(zip(self.languages, words, strict=True))
        self.dropped[split] = dict(dropped)
        self.parts[split] = {part: {"pairs": kept[part], "empty": lost[part]} for part in sorted({*kept, *lost})}

    def counts(self) -> dict[str, Any]:
        """Return the counts of all splits, for ``counts.json``."""
        return {"pairs": self.pairs, "words": self.words, "dropped": self.dropped, "parts": self.parts}


class HeldOut:
    """Held-out pairs, and their overlap with a stream of training pairs.

    Args:
        pairs: cleaned held-out pairs, by split.
        max_overlap: largest overlap of a pair that is kept.
    """

    def __init__(self, pairs: Mapping[str, Sequence[Pair]], max_overlap: float) -> None:
        self.pairs = pairs
        self.max_overlap = max_overlap
        together = [pair for split in pairs.values() for pair in split]
        self._sides = (Overlap([pair.source for pair in together]), Overlap([pair.target for pair in together]))

    def watch(self, training: Iterable[Pair]) -> Iterable[Pair]:
        """Yield the training pairs, and measure the overlap of the held-out pairs with each."""
        for pair in training:
            if pair.source and pair.target:
                for side, text in zip(self._sides, pair, strict=False):
                    side.add(text)
            yield pair

    def results(self) -> tuple[dict[str, list[Pair]], dict[str, Any]]:
        """Return the pairs to keep, by split, and a report of the overlap before and after dropping the others."""
        kept: dict[str, list[Pair]] = {}
        report: dict[str, Any] = {"definition": DEFINITION, "max_overlap": self.max_overlap}
        values = list(zip(*(side.values() for side in self._sides), strict=True))
        begin = 0
        for split, pairs in self.pairs.items():
            own = values[begin : begin + len(pairs)]
            begin += len(pairs)
            near = [max(value) > self.max_overlap for value in own]
            kept[split] = [pair for pair, is_near in zip(pairs, near, strict=True) if not is_near]
            report[split] = {
                "near_duplicates": sum(near),
                "source": self._before_and_after([source for source, _ in own], near),
                "target": self._before_and_after([target for _, target in own], near),
                "parts": {},
            }
            for part in sorted({pair.part for pair in pairs}):
                chosen = [pair.part == part for pair in pairs]
                sources, targets = zip(*compress(own, chosen), strict=True)
                report[split]["parts"][part] = {
                    "pairs": len(sources),
                    "near_duplicates": sum(compress(near, chosen)),
                    "source_mean": _mean(sources),
                    "target_mean": _mean(targets),
                }
        return kept, report

    def _before_and_after(self, values: list[float], near: list[bool]) -> dict[str, dict[str, float]]:
        remaining = [value for value, is_near in zip(values, near, strict=True) if not is_near]
        return {"before": self._summary(values), "after": self._summary(remaining)}

    def _summary(self, values: list[float]) -> dict[str, float]:
        return {
            "mean": _mean(values),
            "median": round(median(values), 4) if values else 0.0,
            "max": round(max(values, default=0.0), 4),
            "above_max_overlap": sum(value > self.max_overlap for value in values),
        }


def _mean(values: Sequence[float]) -> float:
    return round(fmean(values), 4) if values else 0.0

"""Artifacts of the text and of the shortlist."""

from typing import Any, Literal

from pydantic import Field

from hat.runtime.base import Decoding
from hat.schemas.common import Count, Record, Share, WithProvenance
from hat.shortlist.sizes import Size

Split = Literal["train", "validation", "test"]
OVERLAP = "largest share of a held-out sentence's word 4-grams that also occur in one training sentence"


class Part(Record):
    """One part of a split: a file, a pair of Bible versions, a book."""

    pairs: Count = Field(description="number of sentence pairs kept")
    empty: Count = Field(description="number of pairs dropped because one side was empty")


class Overlaps(Record):
    """Overlap of held-out sentences with training sentences."""

    mean: Share = Field(description="mean over the sentences")
    median: Share = Field(description="median over the sentences")
    max: Share = Field(description="maximum over the sentences")
    above_max_overlap: Count = Field(description="number of sentences above the limit")


class BeforeAfter(Record):
    """Overlap before and after near duplicates are dropped."""

    before: Overlaps = Field(description="overlap of all held-out sentences")
    after: Overlaps = Field(description="overlap of the sentences kept")


class PartOverlap(Record):
    """Overlap of one part of a split."""

    pairs: Count = Field(description="number of held-out pairs")
    near_duplicates: Count = Field(description="number of pairs dropped as near duplicates")
    source_mean: Share = Field(description="mean overlap of the source side")
    target_mean: Share = Field(description="mean overlap of the target side")


class SplitOverlap(Record):
    """Overlap of a held-out split with the training text."""

    near_duplicates: Count = Field(description="number of pairs dropped as near duplicates")
    source: BeforeAfter = Field(description="overlap of the source side")
    target: BeforeAfter = Field(description="overlap of the target side")
    parts: dict[str, PartOverlap] = Field(description="overlap of each part of the split")


class Overlap(Record):
    """Overlap of the held-out splits with the training text."""

    definition: str = Field(description="how the overlap is computed")
    max_overlap: Share = Field(description=f"limit above which pairs are dropped: {OVERLAP}")
    validation: SplitOverlap | None = Field(None, description="overlap of the validation split")
    test: SplitOverlap | None = Field(None, description="overlap of the test split")


class CountsFile(WithProvenance):
    """Counts of each split's text."""

    pairs: dict[Split, Count] = Field(description="number of sentence pairs in each split")
    words: dict[Split, dict[str, Count]] = Field(description="number of words in each split and language")
    dropped: dict[Split, dict[str, Count]] = Field(description="number of dropped pairs in each split, by reason")
    parts: dict[Split, dict[str, Part]] = Field(description="the parts of each split")
    held_out: dict[str, list[Any]] | None = Field(
        None, description="held-out books, with the versions they are held out from"
    )
    overlap: Overlap | None = Field(None, description="overlap of held-out text with training text")
    text: Literal["raw", "words", "pieces"] | None = Field(
        None, description="format of an archive's text: raw, words, or byte-pair pieces"
    )
    damaged_lines: Count | None = Field(None, description="number of unreadable lines in an archive")
    codes: str | None = Field(None, description="origin of the byte-pair codes of binarised splits")


class Side(Record):
    """One side of a binarised split."""

    tokens: Count = Field(description="number of tokens, including end symbols")
    unknown: Count = Field(description="number of tokens that are not in the dictionary")
    mean_length: float = Field(description="mean sentence length, in tokens")
    longest: Count = Field(description="length of the longest sentence, in tokens")


class BinaryCountsFile(WithProvenance):
    """Counts of the binarised splits."""

    dictionary: dict[str, Count] = Field(description="number of tokens in each language's dictionary")
    train: dict[str, Count | Side | dict[str, Count]] = Field(
        description="`pairs`, the counts of each language, and `dropped`: pairs outside the length limits, by reason"
    )
    validation: dict[str, Count | Side] = Field(description="`pairs`, and the counts of each language")


class WholeVocabulary(Record):
    """Translation without a shortlist."""

    bleu: float = Field(description="BLEU on the compared sentences")
    seconds: float = Field(description="duration of the translation")


class SizeRow(Record):
    """One size of the shortlist; scores are null if it was not scored."""

    frequent: Count = Field(description="number of most frequent target tokens that every sentence gets")
    translations: Count = Field(description="number of best translations for each source token")
    mean_candidates: float = Field(description="mean number of candidates per sentence")
    max_candidates: Count = Field(description="largest number of candidates of a sentence")
    reference_coverage: Share = Field(description="share of the references' tokens that are candidates")
    translation_coverage: Share = Field(
        description="share of the tokens of translations without a shortlist that are candidates"
    )
    verdict: str | None = Field(description="why the size was or was not chosen")
    bleu: float | None = Field(description="BLEU on the compared sentences")
    changed: Count | None = Field(description="number of translations that differ from those without a shortlist")
    seconds: float | None = Field(description="duration of the translation")
    p_value: float | None = Field(description="p-value of the difference in BLEU, by paired bootstrap")
    bleu_loss: float | None = Field(description="BLEU lost compared to translation without a shortlist")


class ShortlistFile(WithProvenance):
    """The chosen size of a task's shortlist, and all sizes compared."""

    chosen: Size | None = Field(
        description="the chosen size; null if none is good enough, so that no shortlist is used"
    )
    vocabulary: Count = Field(description="number of target tokens in the vocabulary")
    whole_vocabulary: WholeVocabulary = Field(description="translation without a shortlist, for comparison")
    sizes: list[SizeRow] = Field(description="all sizes compared")
    sentences: Count = Field(description="number of validation sentences compared")
    decoding: Decoding = Field(description="beam search settings of the comparison")

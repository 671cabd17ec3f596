"""Artifacts of the text and of the shortlist."""

from typing import Any, Literal

from pydantic import Field

from hat.runtime.base import Decoding
from hat.schemas.common import Count, Made, Record, Share
from hat.shortlist.sizes import Size

Split = Literal["train", "validation", "test"]
OVERLAP = "largest share of its word 4-grams that a held-out sentence has in common with one training sentence"


class Part(Record):
    """One part of a split: a file, a pair of versions, a book."""

    pairs: Count = Field(description="that were kept")
    empty: Count = Field(description="that had an empty side")


class Overlaps(Record):
    """Overlap of held-out sentences with training sentences."""

    mean: Share = Field(description="over the sentences")
    median: Share = Field(description="over the sentences")
    max: Share = Field(description="over the sentences")
    above_max_overlap: Count = Field(description="sentences above the limit")


class BeforeAfter(Record):
    """With and without near duplicates."""

    before: Overlaps = Field(description="of all held-out sentences")
    after: Overlaps = Field(description="of those that were kept")


class PartOverlap(Record):
    """Overlap of one part of a split."""

    pairs: Count = Field(description="held out")
    near_duplicates: Count = Field(description="dropped")
    source_mean: Share = Field(description="of the source side")
    target_mean: Share = Field(description="of the target side")


class SplitOverlap(Record):
    """Overlap of a held-out split with the training text."""

    near_duplicates: Count = Field(description="pairs that were dropped")
    source: BeforeAfter = Field(description="of the source side")
    target: BeforeAfter = Field(description="of the target side")
    parts: dict[str, PartOverlap] = Field(description="of each part")


class Overlap(Record):
    """Overlap of the held-out splits with the training text."""

    definition: str = Field(description="what is counted")
    max_overlap: Share = Field(description=f"pairs above it are dropped: {OVERLAP}")
    validation: SplitOverlap | None = Field(None, description="of the validation split")
    test: SplitOverlap | None = Field(None, description="of the test split")


class CountsFile(Made):
    """The text of each split."""

    pairs: dict[Split, Count] = Field(description="of each split")
    words: dict[Split, dict[str, Count]] = Field(description="of each split and language")
    dropped: dict[Split, dict[str, Count]] = Field(description="pairs that were left out, by reason")
    parts: dict[Split, dict[str, Part]] = Field(description="of each split")
    held_out: dict[str, list[Any]] | None = Field(None, description="books that are held out, of which versions")
    overlap: Overlap | None = Field(None, description="of held-out text with training text")
    text: Literal["raw", "words", "pieces"] | None = Field(None, description="what an archive holds")
    damaged_lines: Count | None = Field(None, description="lines of an archive that could not be read")
    codes: str | None = Field(None, description="where the byte-pair codes of binarised splits are from")


class Side(Record):
    """One side of a binarised split."""

    tokens: Count = Field(description="end symbols included")
    unknown: Count = Field(description="that the dictionary lacks")
    mean_length: float = Field(description="of a sentence, in tokens")
    longest: Count = Field(description="sentence, in tokens")


class BinaryCountsFile(Made):
    """The binarised splits; each has ``pairs``, and for each language its side."""

    dictionary: dict[str, Count] = Field(description="tokens of each language")
    train: dict[str, Count | Side | dict[str, Count]] = Field(
        description="`pairs`, each language, and `dropped`: pairs outside the limits, by reason"
    )
    validation: dict[str, Count | Side] = Field(description="`pairs`, and each language")


class WholeVocabulary(Record):
    """Translating without a shortlist."""

    bleu: float = Field(description="on the compared sentences")
    seconds: float = Field(description="that it took")


class SizeRow(Record):
    """A size of the shortlist; what was not scored is null."""

    frequent: Count = Field(description="most frequent target tokens")
    translations: Count = Field(description="best translations of each source token")
    mean_candidates: float = Field(description="of a sentence")
    max_candidates: Count = Field(description="of a sentence")
    reference_coverage: Share = Field(description="part of the references' tokens that are candidates")
    translation_coverage: Share = Field(description="part of the whole vocabulary's translations that are candidates")
    verdict: str | None = Field(description="what became of it")
    bleu: float | None = Field(description="on the compared sentences")
    changed: Count | None = Field(description="translations that are others than with the whole vocabulary")
    seconds: float | None = Field(description="that translating took")
    p_value: float | None = Field(description="of the difference in BLEU, by paired bootstrap")
    bleu_loss: float | None = Field(description="against the whole vocabulary")


class ShortlistFile(Made):
    """The size of a task's shortlist, and all that were compared."""

    chosen: Size | None = Field(description="null where none is good enough: the whole vocabulary is searched")
    vocabulary: Count = Field(description="target tokens")
    whole_vocabulary: WholeVocabulary = Field(description="what they are compared with")
    sizes: list[SizeRow] = Field(description="each of them")
    sentences: Count = Field(description="of the validation split, compared")
    decoding: Decoding = Field(description="beam search as compared")

"""Models of the corpora that a task is trained, validated and tested on."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from hat.config.base import Positive, Section
from hat.config.sources import Source


class BibleCorpus(Section):
    """Verses of Bible versions in one SQLite file, aligned by book, chapter and verse."""

    kind: Literal["bible"] = "bible"
    database: Source = Field(description="The SQLite file with the table `bible`")
    train: tuple[tuple[str, str], ...] = Field(
        min_length=1, description="Pairs of versions (source, target) to train on"
    )
    held_out: tuple[str, str] = Field(description="Pair of versions for validation and test")
    validation_books: tuple[Positive, ...] = Field(min_length=1, description="Book numbers held out for validation")
    test_books: tuple[Positive, ...] = Field(min_length=1, description="Book numbers held out for test")
    max_overlap: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Largest fraction of its word 4-grams that a held-out verse may share with a training verse",
    )

    @model_validator(mode="after")
    def _disjoint(self) -> Self:
        if both := set(self.validation_books) & set(self.test_books):
            raise ValueError(f"books {sorted(both)} are in both validation_books and test_books")
        return self


class ParallelText(Section):
    """Aligned sentences: two files with a sentence a line, or one file of tab-separated pairs."""

    source: Source | None = Field(None, description="File of the source language, one sentence a line")
    target: Source | None = Field(None, description="File of the target language, one sentence a line")
    tsv: Source | None = Field(None, description="File with source and target separated by a tab")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.tsv is None) == (self.source is None) or (self.source is None) != (self.target is None):
            raise ValueError("give either source and target, or tsv")
        return self


class ParallelCorpus(Section):
    """A user's own corpus."""

    kind: Literal["parallel"] = "parallel"
    train: ParallelText = Field(description="Training text")
    validation: ParallelText | None = Field(None, description="Validation text. Default: taken from the training text")
    test: ParallelText | None = Field(None, description="Test text. Default: taken from the training text")
    held_out: Positive = Field(
        1000, description="Sentences taken from the training text for each missing split (at most a tenth of it)"
    )
    max_overlap: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Largest fraction of its word 4-grams that a held-out sentence may share with a training sentence",
    )


class ArchiveText(Section):
    """Aligned sentences of one archive, or an official test set."""

    archive: str | None = Field(None, description="Name of the archive that holds it, from `archives`")
    source: str | None = Field(
        None, description="Member with the source language; with `form: columns`, both languages"
    )
    target: str | None = Field(None, description="Member with the target language")
    form: Literal["lines", "columns", "sgml", "ted"] = Field(
        "lines",
        description="One sentence a line (`lines`); both languages in tab-separated columns; `<seg>` elements of SGML"
        " or XML; or TED talks with lines of metadata, which keep titles and descriptions",
    )
    columns: tuple[Positive, Positive] = Field((1, 2), description="Columns of source and target, from 1")
    test_set: str | None = Field(None, description="sacreBLEU's name of an official test set, such as wmt14/full")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.archive is None) == (self.test_set is None):
            raise ValueError("give either archive or test_set")
        if self.test_set is not None and (self.source or self.target):
            raise ValueError(f"test_set {self.test_set!r} defines its own members; remove source and target")
        if self.archive is not None and self.form != "columns" and not (self.source and self.target):
            raise ValueError(f"form {self.form!r} needs source and target")
        if self.form == "columns" and self.target is not None:
            raise ValueError("form 'columns' has both languages in source, expected no target")
        return self


class ArchiveMember(Section):
    """One file of an archive."""

    archive: str = Field(description="Name of the archive that holds it, from `archives`")
    member: str = Field(description="Path inside the archive")


class ArchiveCorpus(Section):
    """Text from published archives."""

    kind: Literal["archives"] = "archives"
    archives: dict[str, Source] = Field(
        description="Files to download, by names of your choice; a source named like a `test_set` replaces sacreBLEU's"
    )
    train: tuple[ArchiveText, ...] = Field(min_length=1, description="Training text, joined in this order")
    validation: tuple[ArchiveText, ...] | None = Field(None, description="Validation text, joined in this order")
    validation_every: Annotated[int, Field(ge=2)] | None = Field(
        None, description="Take every n-th training pair for validation instead"
    )
    test: tuple[ArchiveText, ...] = Field(
        min_length=1, description="Test text, joined in this order; it is never tokenised"
    )
    text: Literal["raw", "words", "pieces"] = Field(
        "raw", description="Format of training and validation text: raw, Moses words, or byte-pair pieces of `codes`"
    )
    codes: ArchiveMember | None = Field(None, description="Byte-pair codes to use instead of learning them")
    dictionary: Source | None = Field(
        None, description="Joint dictionary to use instead of building one from the training text"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.validation is None) == (self.validation_every is None):
            raise ValueError("give either validation or validation_every")
        if self.text == "pieces" and self.codes is None:
            raise ValueError("text is 'pieces', which needs the codes that they were made with")
        texts = [*self.train, *(self.validation or ()), *self.test]
        named = [text.archive for text in texts if text.archive] + ([self.codes.archive] if self.codes else [])
        if unknown := sorted(set(named) - set(self.archives)):
            raise ValueError(f"archive {unknown[0]!r} is not among archives ({', '.join(self.archives)})")
        return self


Corpus = Annotated[BibleCorpus | ParallelCorpus | ArchiveCorpus, Field(discriminator="kind")]


class Preprocessed(Section):
    """Binarised splits in fairseq's format, instead of the corpus."""

    preprocessed: bool = Field(False, description="Take the splits from `archive` instead of preparing the corpus")
    archive: Source | None = Field(
        None, description="Archive with dict.LANGUAGE.txt and {train,valid,test}.SOURCE-TARGET.LANGUAGE.{bin,idx}"
    )
    codes: Source | None = Field(
        None, description="Byte-pair codes. Default: those in the archive, or else learnt on its words"
    )

    @model_validator(mode="after")
    def _given(self) -> Self:
        if self.preprocessed and self.archive is None:
            raise ValueError("preprocessed is true, which needs archive")
        return self

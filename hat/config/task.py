"""Models of every file in config/: config.yaml, tasks/*.yaml, spaces/*.yaml, devices/*.yaml."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from hat.config.archives import ArchiveCorpus, Corpus, Preprocessed
from hat.config.base import NO_EFFECT, Effect, Positive, Section
from hat.config.corpus import Language
from hat.config.latency import Latency
from hat.config.networks import Network
from hat.config.search import Search
from hat.config.tokenisation import Tokenisation
from hat.config.training import SubTraining, SuperTraining


class Scoring(Section):
    """How test translations are made and scored."""

    beam: Positive | None = Field(None, description="Beam size; that of the device where absent")
    length_penalty: float = Field(1.0, ge=0, description="Exponent of the length that scores are divided by")
    max_length_ratio: float = Field(1.2, ge=0, description="Longest translation: this times the source length ...")
    max_length_extra: Positive = Field(10, description="... plus this, in tokens")
    batch_tokens: Positive = Field(4096, description="Source tokens translated together, beams included")
    max_sentences: Positive | None = Field(None, description="Score only the first sentences of the test split")
    tokenised: Literal["none", "words", "compounds"] = Field(
        "none",
        description="BLEU of Moses words beside sacreBLEU: none, of the words, or (published) with compounds parted at"
        " hyphens",
    )


class ShortlistSettings(Section):
    """The target tokens that a translation is looked for among, chosen by the source tokens."""

    enabled: bool = Field(True, description="Make a shortlist for this task; devices say whether they use it")
    align_sentences: Positive = Field(
        1_000_000, description="Training pairs that are word-aligned, spread evenly over the split"
    )
    validation_sentences: Positive = Field(
        300, description="Sentences of the validation split that sizes are compared on"
    )
    frequent: tuple[Positive, ...] = Field(
        (50, 100, 200, 500, 1000, 2000), min_length=1, description="Tried numbers of most frequent target tokens"
    )
    translations: tuple[Annotated[int, Field(ge=1, le=200)], ...] = Field(
        (5, 10, 20, 50, 100), min_length=1, description="Tried numbers of best translations of each source token"
    )
    max_bleu_loss: float = Field(
        0.1,
        gt=0,
        description="The smallest size is taken that loses less BLEU than this against the whole vocabulary,"
        " or no more than chance",
    )


class Compression(Section):
    """K-means quantisation of trained networks."""

    embeddings: bool = Field(
        True,
        description="Quantise embedding tables and output projection too; in the research code they stay in fp32",
    )


class Task(Section):
    """A language pair with its data, tokenisation, design space, training settings and scoring."""

    description: Annotated[str, NO_EFFECT] = Field("", description="One line for people")
    source_language: Language = Field(description="ISO 639 code of the source language")
    target_language: Language = Field(description="ISO 639 code of the target language")
    data_licence: str = Field("not stated", description="Licence of the text, for the model card")
    space: Annotated[str, Effect.RESOLVED] = Field("small", description="Name of the SearchSpace in config/spaces")
    corpus: Corpus = Field(description="Where the text comes from and how it is split")
    data: Preprocessed = Field(default_factory=Preprocessed, description="Binarised splits in place of the corpus")
    tokenisation: Tokenisation = Field(default_factory=Tokenisation, description="From text to tokens")
    network: Network = Field(default_factory=Network, description="Shared by all SubTransformers")
    supertransformer: SuperTraining = Field(
        default_factory=SuperTraining, description="Training of the SuperTransformer"
    )
    subtransformer: SubTraining = Field(default_factory=SubTraining, description="Training of a found SubTransformer")
    latency: Latency = Field(default_factory=Latency, description="Latency sampling")
    search: Search = Field(default_factory=Search, description="Search")
    scoring: Scoring = Field(default_factory=Scoring, description="Translation and scoring of the test split")
    shortlist: ShortlistSettings = Field(
        default_factory=ShortlistSettings, description="Target tokens that a translation is looked for among"
    )
    compression: Compression = Field(default_factory=Compression, description="K-means quantisation")

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

"""Artifacts of the deployed model: its description and its scores."""

from pydantic import Field

from hat.config.tokenisation import Tokenisation
from hat.device.connection import Conditions
from hat.runtime.base import Decoding
from hat.schemas.common import ARCHITECTURE, AnyNetwork, Count, Key, Kind, Positive, Record, Sha256, WithProvenance
from hat.space.shape import Shape


class ScoreFile(WithProvenance):
    """Scores of the test translations, by sacreBLEU on detokenised text."""

    bleu: float = Field(description="BLEU against the raw references")
    bleu_signature: str = Field(description="sacreBLEU signature of that score")
    chrf: float = Field(description="chrF against the raw references")
    chrf_signature: str = Field(description="sacreBLEU signature of that score")
    bleu_of_words: float | None = Field(None, description="BLEU on tokenised text, comparable with published scores")
    bleu_of_words_signature: str | None = Field(None, description="sacreBLEU signature of that score")
    sentences: Count = Field(description="number of test sentences")
    decoding: Decoding = Field(description="beam size, length penalty, length limits")
    decoding_as_measured: bool = Field(description="whether latency was measured with the same beam size")
    parameters: Count = Field(description="number of parameters, including embeddings")
    validation_loss: float | None = Field(
        None, description="loss of the trained network on the whole validation split, nats per token"
    )
    inherited_loss: float | None = Field(None, description="loss of the same Architecture with inherited weights")
    untrained_loss: float | None = Field(None, description="loss of the same network before training")
    unigram_loss: float | None = Field(None, description="loss of a unigram model")
    published: str | None = Field(None, description="for a published network: its name")
    published_bleu: float | None = Field(None, description="published BLEU on detokenised text")
    published_bleu_of_words: float | None = Field(None, description="published BLEU on tokenised text")


class File(Record):
    """A file of the deployed folder."""

    bytes: Count = Field(description="size of the file")
    sha256: Sha256 = Field(description="SHA-256 of the file")


class CountedSize(Record):
    """Bytes of quantised weights, without names and headers."""

    index_bytes: Count = Field(description="bytes of the indices")
    codebook_bytes: Count = Field(description="bytes of the code books")
    fp32_bytes: Count = Field(description="bytes of the tensors that stay in fp32")
    total_bytes: Count = Field(description="sum of the three sizes")


class Figures(Record):
    """Measurements and scores of a deployed folder, as far as they exist."""

    latency_ms: Positive | None = Field(None, description="latency on the device")
    spread_ms: float | None = Field(None, description="interquartile range of the latency")
    energy_j: float | None = Field(None, description="energy per sentence on the device, if it has a power meter")
    meter: str | None = Field(None, description="the power meter the energy was read from")
    latency_conditions: Conditions | None = Field(None, description="conditions of the latency measurement")
    bleu: float | None = Field(None, description="BLEU on the test split")
    bleu_signature: str | None = Field(None, description="sacreBLEU signature of that score")
    bleu_of_words: float | None = Field(None, description="BLEU on tokenised text")
    bleu_of_words_signature: str | None = Field(None, description="sacreBLEU signature of that score")
    chrf: float | None = Field(None, description="chrF on the test split")
    chrf_signature: str | None = Field(None, description="sacreBLEU signature of that score")
    sentences: Count | None = Field(None, description="number of test sentences")


class OneOfSeveral(Record):
    """One of several networks that share weights."""

    name: str = Field(description="name of its budget")
    kind: Kind = Field(description="kind of network")
    architecture: AnyNetwork = Field(description=ARCHITECTURE)
    shape: Shape = Field(description="hyperparameters other than the dimensions")
    latency_ms: Positive = Field(description="latency of the trained network of the same Architecture")
    validation_loss: float = Field(description="validation loss with the shared weights, nats per token")


class ModelFile(WithProvenance):
    """The description of a deployed model, and how to run it."""

    task: str = Field(description="task it was made for")
    device: str = Field(description="device it was made for")
    source_language: str = Field(description="language it translates from")
    target_language: str = Field(description="language it translates into")
    runtime: str = Field(description="Runtime that executes it")
    precision: str = Field(description="precision of the weights")
    threads: Count = Field(description="CPU threads per sentence")
    accelerator: str | None = Field(None, description="GPU that executes it; omitted for the CPU")
    tokenisation: Tokenisation = Field(description="settings that turn text into tokens")
    shortlist: bool = Field(description="whether it uses a lexical shortlist")
    kind: Kind = Field(description="kind of network")
    architecture: AnyNetwork = Field(description=ARCHITECTURE)
    shape: Shape = Field(description="hyperparameters other than the dimensions")
    decoding: Decoding = Field(description="beam size, length penalty, length limits")
    budget: str | None = Field(None, description="budget it was found for")
    baseline: str | None = Field(None, description="for a baseline: its name")
    networks: list[OneOfSeveral] | None = Field(
        None, description="for several networks that share weights: each of them"
    )
    parameters: Count = Field(description="number of parameters, including embeddings")
    parameters_without_embeddings: Count | None = Field(
        None, description="number of parameters without embeddings and output projection"
    )
    training: Key = Field(description="digest of everything that the weights depend on")
    bits: Count | None = Field(None, description="for clustered weights: bits per weight")
    counted_size: CountedSize | None = Field(None, description="for clustered weights: size of the weights")
    data_licence: str | None = Field(description="licence of the training text")
    files: dict[str, File] = Field(description="size and digest of each file of the folder, by path")
    figures: Figures = Field(description="measurements and scores of the model")

"""Artifacts of what is deployed: its description and its score."""

from pydantic import Field

from hat.config.tokenisation import Tokenisation
from hat.device.connection import Conditions
from hat.runtime.base import Decoding
from hat.schemas.common import ARCHITECTURE, AnyNetwork, Count, Key, Kind, Made, Positive, Record, Sha256
from hat.space.shape import Shape


class ScoreFile(Made):
    """Translations of the test split, scored by sacreBLEU on detokenised text."""

    bleu: float = Field(description="against the raw references")
    bleu_signature: str = Field(description="sacreBLEU's, of that score")
    chrf: float = Field(description="against the raw references")
    chrf_signature: str = Field(description="sacreBLEU's, of that score")
    bleu_of_words: float | None = Field(None, description="of tokenised text, as published scores are")
    bleu_of_words_signature: str | None = Field(None, description="sacreBLEU's, of that score")
    sentences: Count = Field(description="of the test split")
    decoding: Decoding = Field(description="beam, length penalty, limits")
    decoding_as_measured: bool = Field(description="whether latency was measured with the same beam")
    parameters: Count = Field(description="embeddings included")
    validation_loss: float | None = Field(
        None, description="of the trained network, on the whole validation split, nats a token"
    )
    inherited_loss: float | None = Field(None, description="of the same Architecture with inherited weights")
    untrained_loss: float | None = Field(None, description="of the same network, untrained")
    unigram_loss: float | None = Field(None, description="of a unigram model")
    published: str | None = Field(None, description="of a published network: its name")
    published_bleu: float | None = Field(None, description="what was published, of detokenised text")
    published_bleu_of_words: float | None = Field(None, description="what was published, of tokenised text")


class File(Record):
    """A file of the folder."""

    bytes: Count = Field(description="its size")
    sha256: Sha256 = Field(description="its digest")


class CountedSize(Record):
    """Bytes of quantised weights, without names and headers."""

    index_bytes: Count = Field(description="of the indices")
    codebook_bytes: Count = Field(description="of the code books")
    fp32_bytes: Count = Field(description="of what stays in fp32")
    total_bytes: Count = Field(description="sum of the three")


class Figures(Record):
    """What was measured of the folder, as far as it was."""

    latency_ms: Positive | None = Field(None, description="on the device")
    spread_ms: float | None = Field(None, description="interquartile range")
    energy_j: float | None = Field(None, description="of a sentence on the device, where it has a power meter")
    meter: str | None = Field(None, description="what that was read from")
    latency_conditions: Conditions | None = Field(None, description="what it was measured under")
    bleu: float | None = Field(None, description="on the test split")
    bleu_signature: str | None = Field(None, description="sacreBLEU's")
    bleu_of_words: float | None = Field(None, description="of tokenised text")
    bleu_of_words_signature: str | None = Field(None, description="sacreBLEU's")
    chrf: float | None = Field(None, description="on the test split")
    chrf_signature: str | None = Field(None, description="sacreBLEU's")
    sentences: Count | None = Field(None, description="of the test split")


class OneOfSeveral(Record):
    """One of several networks that share weights."""

    name: str = Field(description="its budget")
    kind: Kind = Field(description="what sort of network")
    architecture: AnyNetwork = Field(description=ARCHITECTURE)
    shape: Shape = Field(description="sizes beside the dimensions")
    latency_ms: Positive = Field(description="of the trained network of the same Architecture")
    validation_loss: float = Field(description="with the shared weights, nats a token")


class ModelFile(Made):
    """What is deployed, and how to run it."""

    task: str = Field(description="that it was made for")
    device: str = Field(description="that it was made for")
    source_language: str = Field(description="what it translates from")
    target_language: str = Field(description="what it translates into")
    runtime: str = Field(description="what executes it")
    precision: str = Field(description="of the weights")
    threads: Count = Field(description="of one sentence")
    accelerator: str | None = Field(None, description="GPU that it executes on, where there is one")
    tokenisation: Tokenisation = Field(description="how text becomes tokens")
    shortlist: bool = Field(description="whether the output is looked for among likely tokens only")
    kind: Kind = Field(description="what sort of network")
    architecture: AnyNetwork = Field(description=ARCHITECTURE)
    shape: Shape = Field(description="sizes beside the dimensions")
    decoding: Decoding = Field(description="beam, length penalty, limits")
    budget: str | None = Field(None, description="that it was found for")
    baseline: str | None = Field(None, description="of a baseline: its name")
    networks: list[OneOfSeveral] | None = Field(None, description="of several that share weights: each of them")
    parameters: Count = Field(description="embeddings included")
    parameters_without_embeddings: Count | None = Field(None, description="without embeddings and output projection")
    training: Key = Field(description="digest of all that the weights depend on")
    bits: Count | None = Field(None, description="of a weight, where weights are clustered")
    counted_size: CountedSize | None = Field(None, description="of clustered weights")
    data_licence: str | None = Field(description="of the text that it was trained on")
    files: dict[str, File] = Field(description="of the folder, by their paths")
    figures: Figures = Field(description="what was measured of it")

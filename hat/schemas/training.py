"""Artifacts of training: what was trained and how, and how it went."""

from typing import Annotated, Literal

from pydantic import Field

from hat.config.networks import Network, Space
from hat.config.training import SubTraining, SuperTraining, Training
from hat.schemas.common import ARCHITECTURE, AnyNetwork, Count, Key, Kind, Made, Record
from hat.space.shape import Shape


class Losses(Record):
    """On the validation split, nats a token."""

    loss: float | None = Field(None, description="with label smoothing")
    nll: float | None = Field(None, description="negative log-likelihood")


class Teacher(Record):
    """What a network learnt from beside the text."""

    name: str = Field(description="the teacher")
    distillation: Literal["word", "sequence", "both"] = Field(description="how it taught")
    share: float | None = Field(None, description="its part of the loss")
    identity: Key | None = Field(None, description="what it was made from")
    translations: Key | None = Field(None, description="what its translations were made from")


class TrainedFile(Made):
    """A trained network: the resolved settings and the result."""

    task: str | None = Field(None, description="that it was trained for; absent of what was imported")
    seed: int | None = Field(None, description="of the training")
    training: SuperTraining | SubTraining | Training | None = Field(None, description="settings of the training")
    network: Network | None = Field(None, description="settings of the networks of the task")
    imported: str | None = Field(None, description="the file that it was imported from")
    space: Space | None = Field(None, description="of a SuperTransformer: what it contains")
    baseline: str | None = Field(None, description="of a baseline: its name")
    kind: Kind | None = Field(None, description="of a baseline: what sort of network")
    architecture: AnyNetwork | None = Field(None, description=ARCHITECTURE)
    shape: Shape | None = Field(None, description="sizes beside the dimensions")
    inherited_from: Key | None = Field(None, description="the SuperTransformer whose weights it started from")
    taught_by: Teacher | None = Field(None, description="its teacher")
    identity: Key = Field(description="digest of all that the weights depend on")
    validation: Losses | None = Field(None, description="losses of the final weights")
    parameters: Count = Field(description="embeddings included")
    seconds: float | None = Field(None, description="time of the training, of all runs")
    processes: Count | None = Field(None, description="processes that trained together")


class TrainingRow(Record):
    """Training batches since the last row."""

    event: Literal["train"] = Field(description="what the row is of")
    update: Count = Field(description="number of the update")
    loss: float = Field(description="with label smoothing, nats a token")
    nll: float = Field(description="negative log-likelihood, nats a token")
    ppl: float = Field(description="perplexity")
    tokens: Count = Field(description="target tokens")
    tokens_per_s: float = Field(description="speed")
    learning_rate: float = Field(description="of the update")
    gradient_norm: float = Field(description="before clipping")
    architecture: Key | None = Field(None, description="of a SuperTransformer: the last Architecture drawn")


class ValidationRow(Record):
    """The validation split."""

    event: Literal["validate"] = Field(description="what the row is of")
    update: Count = Field(description="number of the update; 0 before the first")
    loss: float = Field(description="with label smoothing, nats a token")
    nll: float = Field(description="negative log-likelihood, nats a token")
    ppl: float = Field(description="perplexity")


MetricsRow = Annotated[TrainingRow | ValidationRow, Field(discriminator="event")]


class TranslatedFile(Made):
    """The training set with a teacher's translations for targets."""

    teacher: str = Field(description="what translated")
    sentences: Count = Field(description="how many")
    identity: Key = Field(description="digest of all that the translations depend on")

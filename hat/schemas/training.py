"""Artifacts of training: settings, results and progress."""

from typing import Annotated, Literal

from pydantic import Field

from hat.config.networks import Network, Space
from hat.config.training import SubTraining, SuperTraining, Training
from hat.schemas.common import ARCHITECTURE, AnyNetwork, Count, Key, Kind, Record, WithProvenance
from hat.space.shape import Shape


class Losses(Record):
    """Losses on the validation split, nats per token."""

    loss: float | None = Field(None, description="with label smoothing")
    nll: float | None = Field(None, description="negative log-likelihood")


class Teacher(Record):
    """The teacher of a distilled network."""

    name: str = Field(description="name of the teacher")
    distillation: Literal["word", "sequence", "both"] = Field(description="method of distillation")
    share: float | None = Field(None, description="the teacher's share of the loss")
    identity: Key | None = Field(None, description="digest of everything that the teacher depends on")
    translations: Key | None = Field(None, description="digest of everything that its translations depend on")


class TrainedFile(WithProvenance):
    """A trained network: its resolved settings and its results."""

    task: str | None = Field(None, description="task it was trained for; omitted for an imported network")
    seed: int | None = Field(None, description="seed of the training")
    training: SuperTraining | SubTraining | Training | None = Field(None, description="settings of the training")
    network: Network | None = Field(None, description="settings that the task's networks share")
    imported: str | None = Field(None, description="for an imported network: the file it comes from")
    space: Space | None = Field(None, description="for a SuperTransformer: the space it contains")
    baseline: str | None = Field(None, description="for a baseline: its name")
    kind: Kind | None = Field(None, description="for a baseline: kind of network")
    architecture: AnyNetwork | None = Field(None, description=ARCHITECTURE)
    shape: Shape | None = Field(None, description="hyperparameters other than the dimensions")
    inherited_from: Key | None = Field(None, description="digest of the SuperTransformer whose weights it started from")
    taught_by: Teacher | None = Field(None, description="the teacher, for a distilled network")
    identity: Key = Field(description="digest of everything that the weights depend on")
    validation: Losses | None = Field(None, description="losses of the final weights")
    parameters: Count = Field(description="number of parameters, including embeddings")
    seconds: float | None = Field(None, description="duration of the training over all its runs")
    processes: Count | None = Field(None, description="number of processes that trained together")


class TrainingRow(Record):
    """Statistics of the training batches since the previous row."""

    event: Literal["train"] = Field(description="marks rows about training")
    update: Count = Field(description="number of the update")
    loss: float = Field(description="loss with label smoothing, nats per token")
    nll: float = Field(description="negative log-likelihood, nats per token")
    ppl: float = Field(description="perplexity")
    tokens: Count = Field(description="number of target tokens")
    tokens_per_s: float = Field(description="target tokens per second")
    learning_rate: float = Field(description="learning rate of the update")
    gradient_norm: float = Field(description="norm of the gradient before clipping")
    architecture: Key | None = Field(None, description="for a SuperTransformer: the last Architecture drawn")


class ValidationRow(Record):
    """Losses on the validation split."""

    event: Literal["validate"] = Field(description="marks rows about validation")
    update: Count = Field(description="number of the update; 0 before the first")
    loss: float = Field(description="loss with label smoothing, nats per token")
    nll: float = Field(description="negative log-likelihood, nats per token")
    ppl: float = Field(description="perplexity")


MetricsRow = Annotated[TrainingRow | ValidationRow, Field(discriminator="event")]


class TranslatedFile(WithProvenance):
    """The training set with a teacher's translations as targets."""

    teacher: str = Field(description="name of the teacher")
    sentences: Count = Field(description="number of sentences")
    identity: Key = Field(description="digest of everything that the translations depend on")

"""Artifacts of the search: evaluations, candidates that were measured, the front, the winner."""

from typing import Literal, Self

from pydantic import Field, model_validator

from hat.config.algorithms import AlgorithmName
from hat.config.search import ObjectiveName
from hat.schemas.common import ARCHITECTURE, DIGEST, Count, Key, Made, Measured, Record
from hat.space.architecture import Architecture

LOSS = "nats a token with the SuperTransformer's weights, on the search's validation subset"
OBJECTIVE = "name of the objective, where it is not the loss"
VALUE = (
    "100 - BLEU of translations of the search's validation subset with the SuperTransformer's weights, lower is better;"
    " where the objective is `bleu`"
)


class Valued(Record):
    """Base of records with an objective value: a loss, or another objective by its name."""

    validation_loss: float | None = Field(None, description=f"{LOSS}; where the objective is the loss")
    objective: Literal["bleu"] | None = Field(None, description=OBJECTIVE)
    objective_value: float | None = Field(None, description=VALUE)

    @model_validator(mode="after")
    def _one_value(self) -> Self:
        named = self.objective is not None, self.objective_value is not None
        if named != ((self.validation_loss is None),) * 2:
            raise ValueError("expected validation_loss, or objective and objective_value")
        return self


class Evaluation(Record):
    """Evaluation of an Architecture: sums over some blocks of validation sentences, or another objective's value."""

    architecture: Architecture = Field(description=ARCHITECTURE)
    context: Key = Field(description="digest of all else that the sums depend on: weights, sentences, objective")
    first: Count | None = Field(None, description="number of the first block")
    nll: list[float] | None = Field(None, description="nats of each block")
    tokens: list[float] | None = Field(None, description="target tokens of each block")
    objective: Literal["bleu"] | None = Field(None, description=OBJECTIVE)
    objective_value: float | None = Field(None, description=VALUE)

    @model_validator(mode="after")
    def _one_value(self) -> Self:
        sums = {part is not None for part in (self.first, self.nll, self.tokens)}
        named = {part is not None for part in (self.objective, self.objective_value)}
        if sorted((*sums, *named)) != [False, True]:
            raise ValueError("expected first, nll and tokens, or objective and objective_value")
        return self


class Measurement(Measured):
    """One visit to a candidate."""


class Candidate(Valued):
    """A candidate that was measured."""

    digest: Key = Field(description=DIGEST)
    rank: Count = Field(description="among those measured, by objective value, from 1")
    predicted_latency_ms: float = Field(description="the expected latency")
    bound_ms: float = Field(description="what it should be within")
    measured_latency_ms: float = Field(description="on the device, with random weights")


class Verification(Record):
    """How the winner was measured."""

    status: Literal["met", "not met", "unverified"] = Field(description="whether the budget is met on the device")
    reason: str | None = Field(description="why it is unverified")
    rank: Count | None = Field(description="of the winner among those measured")
    measured: list[Candidate] = Field(description="the candidates that were measured")
    constraint: Literal["upper bound", "prediction"] = Field(description="what had to be within the budget")
    corrections: list[float] = Field(description="factors that the predictor was corrected by")


class RunnerUp(Valued):
    """The best of the others."""

    architecture: Architecture = Field(description=ARCHITECTURE)
    digest: Key = Field(description=DIGEST)
    predicted_latency_ms: float = Field(description="the expected latency")
    margin: float = Field(description="its objective value less the winner's; below 0 where it is better, but too slow")


class Why(Record):
    """Why the winner won."""

    rank: Count = Field(description="among those measured")
    evaluated: Count = Field(description="Architectures that were compared")
    algorithm: AlgorithmName = Field(description="what searched")
    generations: Count = Field(description="its rounds")
    found_in_generation: Count = Field(description="the winner's, from 0")
    origin: str = Field(description="how the algorithm came by it")
    runner_up: RunnerUp | None = Field(description="the best of the others")
    fastest_of_space_ms: float = Field(description="predicted latency of the fastest Architecture")


class ArchitectureFile(Made):
    """The winner of a search."""

    architecture: Architecture = Field(description=ARCHITECTURE)
    digest: Key = Field(description=DIGEST)
    budget: str = Field(description="what it had to meet, by name")
    budget_ms: float = Field(description="what it had to meet")
    predicted_latency_ms: float = Field(description="the expected latency, by the predictor")
    bound_ms: float = Field(description="what it is within with the predictor's confidence")
    measured_latency_ms: float | None = Field(
        description="on the device, with random weights; null where it could not be measured"
    )
    objective: ObjectiveName = Field(description="what was searched for")
    validation_loss: float = Field(description=f"{LOSS}, whatever the objective")
    validation_bleu: float | None = Field(None, description="BLEU of the same sentences, where that is the objective")
    verification: Verification = Field(description="how it was measured")
    why: Why = Field(description="why it won")


class Corner(Valued):
    """What a hypervolume is counted to: the largest latency and objective value."""

    bound_ms: float = Field(description="the largest latency")


class Audited(Record):
    """A candidate that was stopped early, evaluated wholly afterwards."""

    digest: Key = Field(description=DIGEST)
    estimate: float = Field(description="its loss as estimated")
    interval: float = Field(description="half-width of the estimate's interval")
    validation_loss: float = Field(description="its loss")


class Halving(Record):
    """What stopping early saved and cost."""

    stopped: Count = Field(description="candidates stopped")
    tokens: float = Field(description="validation tokens looked at")
    tokens_without: float = Field(description="the same without stopping")
    largest_interval: float = Field(description="half-width of the widest interval of an estimate")
    audited: list[Audited] = Field(description="the most promising of the stopped ones")
    missed: Count = Field(description="of these, how many belong to the front")


class FrontFile(Made):
    """The search for all budgets of a device."""

    algorithm: AlgorithmName = Field(description="what searched")
    evaluated: Count = Field(description="Architectures evaluated")
    levels_ms: list[float] = Field(description="latencies that it aimed at")
    front: Count = Field(description="Architectures that none is both faster and better than")
    hypervolume: float = Field(description="area that the front dominates, milliseconds times objective value")
    hypervolume_reference: Corner = Field(description="what it is counted to")
    halving: Halving | None = Field(
        description="what stopping early saved and cost; null where the objective is `bleu`, which stops nothing early"
    )


class Ranked(Record):
    """An Architecture by both objectives."""

    digest: Key = Field(description=DIGEST)
    validation_loss: float = Field(description=LOSS)
    bleu: float = Field(description="of translations of the same sentences, with the same weights")


class ObjectivesFile(Made):
    """How well validation loss ranks Architectures as BLEU does."""

    architectures: Count = Field(description="how many were compared")
    validation_sentences: Count = Field(description="of the subset")
    kendall_tau: float = Field(description="rank correlation of both")
    kendall_tau_95_percent: list[float] = Field(description="its interval, by bootstrap")
    values: list[Ranked] = Field(description="each of them")

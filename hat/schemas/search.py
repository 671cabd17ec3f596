"""Artifacts of the search: evaluations, measured candidates, the front, the winner."""

from typing import Literal, Self

from pydantic import Field, model_validator

from hat.config.algorithms import AlgorithmName
from hat.config.search import ObjectiveName
from hat.schemas.common import ARCHITECTURE, DIGEST, Count, Key, Measured, Record, WithProvenance
from hat.space.architecture import Architecture

LOSS = "loss on the search's validation subset with the SuperTransformer's weights, nats per token"
OBJECTIVE = "name of the objective, if it is not the loss"
VALUE = (
    "for the objective `bleu`: 100 - BLEU on the search's validation subset with the SuperTransformer's weights; lower"
    " is better"
)


class Valued(Record):
    """Base of records with an objective value: a loss, or the value of another named objective."""

    validation_loss: float | None = Field(None, description=f"if the objective is the loss: {LOSS}")
    objective: Literal["bleu"] | None = Field(None, description=OBJECTIVE)
    objective_value: float | None = Field(None, description=VALUE)

    @model_validator(mode="after")
    def _one_value(self) -> Self:
        named = self.objective is not None, self.objective_value is not None
        if named != ((self.validation_loss is None),) * 2:
            raise ValueError("expected validation_loss, or objective and objective_value")
        return self


class Evaluation(Record):
    """The evaluation of an Architecture: sums over blocks of validation sentences, or another objective's value."""

    architecture: Architecture = Field(description=ARCHITECTURE)
    context: Key = Field(description="digest of everything else that the sums depend on: weights, sentences, objective")
    first: Count | None = Field(None, description="index of the first block")
    nll: list[float] | None = Field(None, description="negative log-likelihood of each block, in nats")
    tokens: list[float] | None = Field(None, description="number of target tokens in each block")
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
    """One visit to a candidate on the device."""


class Candidate(Valued):
    """A candidate that was measured on the device."""

    digest: Key = Field(description=DIGEST)
    rank: Count = Field(description="rank by objective value among the measured candidates, from 1")
    predicted_latency_ms: float = Field(description="predicted latency")
    bound_ms: float = Field(description="upper bound of the prediction")
    measured_latency_ms: float = Field(description="latency on the device, with random weights")


class Verification(Record):
    """How the winner was verified on the device."""

    status: Literal["met", "not met", "unverified"] = Field(description="whether the budget is met on the device")
    reason: str | None = Field(description="why it is unverified")
    rank: Count | None = Field(description="rank of the winner by objective value among the measured candidates")
    measured: list[Candidate] = Field(description="the candidates that were measured")
    constraint: Literal["upper bound", "prediction"] = Field(description="value that had to be within the budget")
    corrections: list[float] = Field(description="factors that corrected the predictor after measurements")


class RunnerUp(Valued):
    """The best candidate other than the winner."""

    architecture: Architecture = Field(description=ARCHITECTURE)
    digest: Key = Field(description=DIGEST)
    predicted_latency_ms: float = Field(description="predicted latency")
    margin: float = Field(description="its objective value minus the winner's; below 0 if it is better, but too slow")


class Why(Record):
    """Why the winner won."""

    rank: Count = Field(description="rank by objective value among the measured candidates")
    evaluated: Count = Field(description="number of Architectures evaluated")
    algorithm: AlgorithmName = Field(description="search algorithm")
    generations: Count = Field(description="number of generations of the search")
    found_in_generation: Count = Field(description="generation in which the winner was found, from 0")
    origin: str = Field(description="how the algorithm proposed it")
    runner_up: RunnerUp | None = Field(description="the best candidate other than the winner")
    fastest_of_space_ms: float = Field(description="predicted latency of the fastest Architecture")


class ArchitectureFile(WithProvenance):
    """The winner of a search."""

    architecture: Architecture = Field(description=ARCHITECTURE)
    digest: Key = Field(description=DIGEST)
    budget: str = Field(description="name of the budget")
    budget_ms: float = Field(description="latency budget")
    predicted_latency_ms: float = Field(description="predicted latency")
    bound_ms: float = Field(description="upper bound of the prediction at the predictor's confidence")
    measured_latency_ms: float | None = Field(
        description="latency on the device, with random weights; null if it could not be measured"
    )
    objective: ObjectiveName = Field(description="objective of the search")
    validation_loss: float = Field(description=f"{LOSS}, for any objective")
    validation_bleu: float | None = Field(None, description="for the objective `bleu`: BLEU of the same sentences")
    verification: Verification = Field(description="how the winner was verified on the device")
    why: Why = Field(description="why it won")


class Corner(Valued):
    """The reference point of a hypervolume: the largest latency and objective value."""

    bound_ms: float = Field(description="largest latency")


class Audited(Record):
    """A candidate that was stopped early and fully evaluated afterwards."""

    digest: Key = Field(description=DIGEST)
    estimate: float = Field(description="estimated loss")
    interval: float = Field(description="half-width of the estimate's interval")
    validation_loss: float = Field(description="loss after full evaluation")


class Halving(Record):
    """What early stopping saved and missed."""

    stopped: Count = Field(description="number of candidates stopped early")
    tokens: float = Field(description="number of validation tokens evaluated")
    tokens_without: float = Field(description="number of validation tokens without early stopping")
    largest_interval: float = Field(description="half-width of the widest interval of an estimate")
    audited: list[Audited] = Field(description="the most promising of the stopped candidates, fully evaluated")
    missed: Count = Field(description="number of audited candidates that belong to the front")


class FrontFile(WithProvenance):
    """The search for all budgets of a device."""

    algorithm: AlgorithmName = Field(description="search algorithm")
    evaluated: Count = Field(description="number of Architectures evaluated")
    levels_ms: list[float] = Field(description="latencies that the search aimed at")
    front: Count = Field(description="number of Architectures on the Pareto front")
    hypervolume: float = Field(description="area that the front dominates, milliseconds times objective value")
    hypervolume_reference: Corner = Field(description="reference point of the hypervolume")
    halving: Halving | None = Field(
        description="what early stopping saved and missed; null for the objective `bleu`, which stops nothing early"
    )


class Ranked(Record):
    """An Architecture with the values of both objectives."""

    digest: Key = Field(description=DIGEST)
    validation_loss: float = Field(description=LOSS)
    bleu: float = Field(description="BLEU of translations of the same sentences with the same weights")


class ObjectivesFile(WithProvenance):
    """How well validation loss predicts the BLEU ranking."""

    architectures: Count = Field(description="number of Architectures compared")
    validation_sentences: Count = Field(description="number of validation sentences")
    kendall_tau: float = Field(description="rank correlation of validation loss and BLEU")
    kendall_tau_95_percent: list[float] = Field(description="its 95 % confidence interval, by bootstrap")
    values: list[Ranked] = Field(description="both values of each Architecture")

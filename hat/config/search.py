"""Model of a task's search."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from hat.config.algorithms import ALGORITHMS, AlgorithmName
from hat.config.base import NO_EFFECT, Positive, Section

ObjectiveName = Literal["loss", "bleu"]


class Limits(Section):
    """Limits of a network besides its latency; by default there are none."""

    params_m: float | None = Field(None, gt=0, description="Parameters, in millions")
    flops_g: float | None = Field(
        None, gt=0, description="FLOPs of a sentence with `latency.source_length` source and target tokens, in billions"
    )
    weights_mb: float | None = Field(
        None, gt=0, description="Size of the weights in the device's precision, in megabytes"
    )


class Search(Section):
    """Search for the best Architecture under a budget."""

    algorithm: AlgorithmName = Field(
        "surrogate", description="; ".join(f"`{name}`: {facts.what}" for name, facts in ALGORITHMS.items())
    )
    objective: ObjectiveName = Field(
        "loss", description="Objective: validation loss (published), or 100 - BLEU of the same sentences"
    )
    validation_sentences: Positive = Field(2000, description="Validation sentences to evaluate candidates on")
    workers: Annotated[int, NO_EFFECT] = Field(
        0, ge=0, description="Processes that evaluate candidates, one thread each; 0: one per core"
    )
    gpus: Annotated[int, NO_EFFECT] = Field(
        0, ge=0, description="GPUs that evaluate candidates, one process each; 0: `workers` on the CPU"
    )
    verify: int = Field(
        3,
        ge=0,
        description="Best candidates of a budget to measure on the device before one wins; 0 leaves the winner"
        " unverified",
    )
    verify_rounds: Positive = Field(
        3, description="Rounds of searching on with a corrected predictor while no measured candidate meets the budget"
    )
    limits: Limits = Field(default_factory=Limits, description="Limits of a network besides its latency")
    evaluations: Positive = Field(
        200,
        description="Architectures to evaluate: with `surrogate` and `pareto` for all budgets together, with `random`"
        " for each",
    )
    levels: Positive = Field(
        8, description="Number of latencies, spread over the space's range, that a search for all budgets aims at"
    )
    top_up: Positive = Field(
        16, description="`surrogate`, `pareto`: additional Architectures to evaluate for each requested budget"
    )
    halving: bool = Field(
        True,
        description="`surrogate`, `pareto`: stop evaluating candidates that are clearly worse on a part of the"
        " sentences",
    )
    population: Positive = Field(125, description="`genetic`: candidates in the first generation")
    parents: Positive = Field(25, description="`genetic`: best candidates kept as parents")
    mutations: int = Field(50, ge=0, description="`genetic`: children by mutation per generation")
    mutation_probability: float = Field(
        0.3, gt=0, le=1, description="`genetic`: probability of drawing a dimension again"
    )
    crossovers: int = Field(50, ge=0, description="`genetic`: children by crossover per generation")
    iterations: Positive = Field(30, description="`genetic`: generations")

    @model_validator(mode="after")
    def _sizes(self) -> Self:
        if self.parents > self.population:
            raise ValueError(f"parents is {self.parents}, expected at most population ({self.population})")
        return self

    @property
    def all_budgets(self) -> bool:
        """Whether one search serves all budgets."""
        return ALGORITHMS[self.algorithm].all_budgets

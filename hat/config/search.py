"""Model of a task's search."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from hat.config.algorithms import ALGORITHMS, AlgorithmName
from hat.config.base import NO_EFFECT, Positive, Section

ObjectiveName = Literal["loss", "bleu"]


class Limits(Section):
    """What a network may cost beside its latency; nothing is limited where absent."""

    params_m: float | None = Field(None, gt=0, description="Parameters, in millions")
    flops_g: float | None = Field(
        None, gt=0, description="FLOPs of a sentence of `latency.source_length` tokens on either side, in billions"
    )
    weights_mb: float | None = Field(
        None, gt=0, description="Weights in the precision of the device, in millions of bytes"
    )


class Search(Section):
    """Search for the best Architecture under a budget."""

    algorithm: AlgorithmName = Field(
        "surrogate", description="; ".join(f"`{name}`: {facts.what}" for name, facts in ALGORITHMS.items())
    )
    objective: ObjectiveName = Field(
        "loss", description="Validation loss (published), or 100 - BLEU of translations of the same sentences"
    )
    validation_sentences: Positive = Field(
        2000, description="Sentences of the validation split used to compare candidates"
    )
    workers: Annotated[int, NO_EFFECT] = Field(
        0, ge=0, description="Processes that evaluate, each with one thread; 0 for one a core"
    )
    gpus: Annotated[int, NO_EFFECT] = Field(
        0, ge=0, description="GPUs that evaluate, a process for each; 0 for `workers` without"
    )
    verify: int = Field(
        3, ge=0, description="Best candidates of a budget that are measured on the device; 0 for none, unverified"
    )
    verify_rounds: Positive = Field(
        3, description="How often the search goes on with a corrected predictor where none met the budget"
    )
    limits: Limits = Field(default_factory=Limits, description="What a network may cost beside its latency")
    evaluations: Positive = Field(
        200,
        description="`surrogate`, `pareto`: Architectures evaluated for all budgets together; `random`: for each",
    )
    levels: Positive = Field(8, description="Latencies over the range of the space that all-budget searches aim at")
    top_up: Positive = Field(
        16, description="`surrogate`, `pareto`: further Architectures evaluated for each budget that is asked for"
    )
    halving: bool = Field(
        True,
        description="`surrogate`, `pareto`: candidates that are clearly worse on a part of the sentences are not"
        " evaluated on the rest",
    )
    population: Positive = Field(125, description="`genetic`: candidates of the first generation")
    parents: Positive = Field(25, description="`genetic`: best candidates that are kept and bred from")
    mutations: int = Field(50, ge=0, description="`genetic`: children by mutation in each generation")
    mutation_probability: float = Field(
        0.3, gt=0, le=1, description="`genetic`: probability that a dimension is drawn again"
    )
    crossovers: int = Field(50, ge=0, description="`genetic`: children by crossover in each generation")
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

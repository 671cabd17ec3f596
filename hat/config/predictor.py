"""Models of what decides which Architectures are measured, when that ends, and what is fitted to them."""

from typing import Annotated, Literal

from pydantic import Field

from hat.config.base import Section

Percentage = Annotated[str, Field(pattern=r"^[0-9]*\.?[0-9]*[1-9][0-9]*(\.[0-9]+)? ?%$")]


class PredictorSettings(Section):
    """Which Architectures are measured and the predictor; part of the section `latency`."""

    choice: Literal["designed", "random"] = Field(
        "designed",
        description="How Architectures to measure are chosen: at random, or every other one where the predictor would"
        " be least certain",
    )
    target_error: Percentage | None = Field(
        None,
        description="Stop measuring before `samples` once the predictor's held-out error is at most this, such as 2%,"
        " or more samples would hardly lower it; needs one shard",
    )
    models: tuple[Literal["linear", "boosting", "mlp"], ...] = Field(
        ("linear", "boosting", "mlp"),
        min_length=1,
        description="Regressions that cross-validation chooses among: robust linear, boosted trees on top of it (from"
        " 40 samples on), the published network (from 1,000 on)",
    )
    confidence: float = Field(
        0.95, ge=0.5, lt=1, description="Probability that a latency is within the predictor's upper bound"
    )

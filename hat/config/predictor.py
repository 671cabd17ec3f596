"""Model of the settings of sampling and of the latency predictor."""

from typing import Annotated, Literal

from pydantic import Field

from hat.config.base import Section

Percentage = Annotated[str, Field(pattern=r"^[0-9]*\.?[0-9]*[1-9][0-9]*(\.[0-9]+)? ?%$")]


class PredictorSettings(Section):
    """Which Architectures are measured, and how the predictor is fitted; part of the section `latency`."""

    choice: Literal["designed", "random"] = Field(
        "designed",
        description="Choose Architectures to measure at random, or every other one where the predictor would be least"
        " certain (`designed`)",
    )
    target_error: Percentage | None = Field(
        None,
        description="Stop measuring early once the predictor's held-out error is at most this, such as 2%, or more"
        " samples would hardly lower it; needs one shard",
    )
    models: tuple[Literal["linear", "boosting", "mlp"], ...] = Field(
        ("linear", "boosting", "mlp"),
        min_length=1,
        description="Regressions that cross-validation chooses from: robust linear, boosted trees on top of it (with 40"
        " samples or more), the published MLP (with 1,000 or more)",
    )
    confidence: float = Field(
        0.95, ge=0.5, lt=1, description="Probability that a latency is within the predictor's upper bound"
    )

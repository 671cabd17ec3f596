"""Model of the sentence lengths that a task's latency is averaged over."""

from typing import Annotated, Literal

from pydantic import Field

from hat.config.base import Positive

# Each pair of lengths is timed at every visit.
MOST_LENGTHS = 20
LengthPair = tuple[Positive, Positive, Annotated[float, Field(gt=0, allow_inf_nan=False)]]
Lengths = (
    Literal["average", "validation"] | Annotated[tuple[LengthPair, ...], Field(min_length=1, max_length=MOST_LENGTHS)]
)

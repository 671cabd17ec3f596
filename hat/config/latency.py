"""How latency is measured and predicted."""

from typing import Annotated

from pydantic import Field

from hat.config.base import Effect, Positive
from hat.config.lengths import Lengths
from hat.config.predictor import PredictorSettings


class Latency(PredictorSettings):
    """Latency sampling and the predictor."""

    samples: Positive = Field(2000, description="Architectures measured")
    space: Annotated[str | None, Effect.RESOLVED] = Field(
        None, description="Name of the space that measured Architectures are drawn from; the task's own where absent"
    )
    shards: Positive = Field(1, description="Files that the samples are spread over; each is resumed by itself")
    precision: float = Field(
        0.01,
        gt=0,
        lt=1,
        description="An Architecture is visited until half its interval (95 %) is within this part of it",
    )
    min_passes: Positive = Field(3, description="Visits to each Architecture, in changing order, at least ...")
    passes: Positive = Field(10, description="... and at most, those that were disturbed included")
    warmup: int = Field(1, ge=0, description="Sentences translated before timing, at each visit")
    repeats: Positive = Field(3, description="Sentences timed at each visit; the median of all visits counts")
    seconds: float = Field(60.0, gt=0, description="No further visit once so many seconds were timed")
    interference: float = Field(
        0.25, gt=0, description="Visits while others kept more cores busy than this are made again"
    )
    drift: float = Field(
        0.05, gt=0, description="Visits while the reference Architecture was off by more than this part are made again"
    )
    held_out: float = Field(0.2, gt=0, lt=1, description="Part of the samples kept for the predictor's reported error")
    source_length: Positive = Field(30, description="Tokens of the source sentence")
    target_length: Positive = Field(30, description="Decoding steps")
    lengths: Lengths = Field(
        "average",
        description="What a latency is the mean over: `average`, sentences of those two lengths alone; `validation`,"
        " five pairs of lengths that stand for the validation data; or a list of source length, target length and"
        " weight, such as [[12, 11, 1], [30, 32, 2]]; each pair is timed at every visit",
    )

"""Model of the section `latency` of a task."""

from typing import Annotated

from pydantic import Field

from hat.config.base import Effect, Positive
from hat.config.lengths import Lengths
from hat.config.predictor import PredictorSettings


class Latency(PredictorSettings):
    """How latency is measured and predicted."""

    samples: Positive = Field(2000, description="Number of Architectures to measure")
    space: Annotated[str | None, Effect.RESOLVED] = Field(
        None, description="Space to draw measured Architectures from. Default: the task's own"
    )
    shards: Positive = Field(1, description="Number of files to spread the samples over; each resumes on its own")
    precision: float = Field(
        0.01,
        gt=0,
        lt=1,
        description="Visit an Architecture until half its 95 % interval is at most this fraction of its latency",
    )
    min_passes: Positive = Field(3, description="Fewest visits to each Architecture; the order changes between rounds")
    passes: Positive = Field(10, description="Most visits to each Architecture, disturbed ones included")
    warmup: int = Field(1, ge=0, description="Sentences translated before timing starts, at each visit")
    repeats: Positive = Field(3, description="Sentences timed at each visit; the latency is the median over all visits")
    seconds: float = Field(60.0, gt=0, description="Stop visiting an Architecture after this many timed seconds")
    interference: float = Field(
        0.25, gt=0, description="Repeat a visit during which other processes kept more cores busy than this"
    )
    drift: float = Field(
        0.05,
        gt=0,
        description="Repeat visits during which the reference Architecture's latency differed by more than this"
        " fraction",
    )
    held_out: float = Field(
        0.2, gt=0, lt=1, description="Fraction of the samples held out for the reported error of the predictor"
    )
    source_length: Positive = Field(30, description="Tokens of the source sentence")
    target_length: Positive = Field(30, description="Decoding steps")
    lengths: Lengths = Field(
        "average",
        description="Sentence lengths that the latency is averaged over: `average` (the two lengths above),"
        " `validation` (five"
        " pairs that represent the validation data), or a list of source length, target length and weight, such as"
        " [[12, 11, 1], [30, 32, 2]]. Every visit times each pair",
    )

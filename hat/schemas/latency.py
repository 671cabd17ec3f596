"""Artifacts about latency: what is measured, what is measured there, the predictor and its errors, budgets."""

from typing import Annotated, Literal

from pydantic import Field

from hat.device.connection import Conditions
from hat.latency.predictor.features import FEATURES
from hat.latency.predictor.learning_curve import Stop
from hat.measure.workload import Workload
from hat.schemas.common import (
    ARCHITECTURE,
    DIGEST,
    AnyNetwork,
    Count,
    Fingerprint,
    Header,
    Key,
    Kind,
    Machine,
    Made,
    Measured,
    Positive,
    Record,
    Share,
    Timings,
    UnderConditions,
)
from hat.space.architecture import Architecture
from hat.space.shape import Shape


class ChoiceHeader(Header):
    """First row of what is to be measured."""

    count: Count = Field(description="Architectures that follow")


class Chosen(Record):
    """An Architecture that is to be measured."""

    digest: Key = Field(description=DIGEST)
    architecture: Architecture = Field(description=ARCHITECTURE)
    origin: str = Field(description="why it was chosen: `random`, or what of the space it covers")


class SamplesHeader(UnderConditions):
    """First row of a shard of samples."""

    stopped: Stop | None = Field(description="why sampling ended before all were measured, and what was known then")


class Sample(Measured):
    """One measured Architecture, all visits together."""

    reference_ms: Positive = Field(description="latency of the space's largest Architecture, measured shortly before")
    visit: str | None = Field(description="name of the visit; null of several")
    drift: float | None = Field(description="by how much the reference differed from its median, before or after")


class Linear(Record):
    """Latency as a sum of costs."""

    kind: Literal["linear"] = Field(description="of the regression")
    cost_ms: dict[Literal[FEATURES], float] = Field(  # type: ignore[valid-type]
        description="milliseconds for a unit of each feature"
    )


class Tree(Record):
    """A regression tree, by node."""

    left: list[int] = Field(description="left child, -1 at a leaf")
    right: list[int] = Field(description="right child, -1 at a leaf")
    feature: list[int] = Field(description="number of the feature that is compared")
    threshold: list[float] = Field(description="what it is compared with")
    value: list[float] = Field(description="what a leaf adds to the logarithm of the latency")


class Boosting(Record):
    """The linear regression, times a factor from trees."""

    kind: Literal["boosting"] = Field(description="of the regression")
    linear: Linear = Field(description="what is corrected")
    start: float = Field(description="constant that the trees add to")
    trees: list[Tree] = Field(description="in order")


class PublishedNetwork(Record):
    """The research code's own network, on layers' averages."""

    kind: Literal["mlp"] = Field(description="of the regression")
    linear: Linear = Field(description="what the shares of components are taken from")
    weights: list[str] = Field(description="of each layer: little-endian fp32, in base64")
    biases: list[str] = Field(description="of each layer: little-endian fp32, in base64")


Regression = Annotated[Linear | Boosting | PublishedNetwork, Field(discriminator="kind")]


class SplitBound(Record):
    """From rows kept aside."""

    method: Literal["split"] = Field(description="of the bound")
    confidence: Share = Field(description="probability that a latency is within the bound")
    ratios: list[float] = Field(description="measured / predicted of the rows kept aside, rising")


class Fold(Record):
    """One part of cross-validation."""

    regression: Regression = Field(description="fitted without the part")
    ratios: list[float] = Field(description="measured / predicted of the part")


class CrossBound(Record):
    """From cross-validation."""

    method: Literal["cross"] = Field(description="of the bound")
    confidence: Share = Field(description="probability that a latency is within the bound")
    folds: list[Fold] = Field(description="its parts")


class NoBound(Record):
    """From a single measurement nothing is known."""

    method: Literal["none"] = Field(description="of the bound")
    confidence: Share = Field(description="what was asked for")


class PredictorFile(Made):
    """From an Architecture to milliseconds."""

    format: Literal["latency-predictor-2"] = Field(description="version of this form")
    workload: Workload = Field(description="lengths, beam and shape that it predicts for")
    precision: str = Field(description="of the weights on the device")
    regression: Regression = Field(description="from features to milliseconds")
    bound: Annotated[SplitBound | CrossBound | NoBound, Field(discriminator="method")] = Field(
        description="how far to trust it"
    )
    rows: Count = Field(description="measurements that it was fitted to")


class BoundErrors(Record):
    """How the upper bound did on held-out rows."""

    method: Literal["split", "cross", "none"] = Field(description="of the bound")
    confidence: Share = Field(description="what was asked for")
    rows: Count = Field(description="measurements that it rests on")
    guarantee: Share = Field(description="what is proven, whatever the noise")
    coverage: Share = Field(description="part of the held-out measurements that were within it")
    factor: float | None = Field(description="median of bound / prediction")


class SizeError(Record):
    """A point of the learning curve."""

    rows: Count = Field(description="measurements that were fitted to")
    mape_percent: float = Field(description="mean relative error")
    standard_error_percent: float = Field(description="of that mean")


class NoiseFloor(Record):
    """What a perfect predictor would show."""

    rmse_ms: float = Field(description="root mean square error")
    mape_percent: float = Field(description="mean relative error")


class HeldOut(Record):
    """A measurement that a predictor was not fitted to."""

    digest: Key = Field(description=DIGEST)
    measured_ms: Positive = Field(description="its latency")
    predicted_ms: float = Field(description="what was predicted")
    upper_bound_ms: float | None = Field(description="what it should have been within")


class ErrorsFile(Made):
    """Errors of a predictor on Architectures that it was not fitted to."""

    rows: Count = Field(description="measurements")
    train_rows: Count = Field(description="of these fitted to, at least, for each part")
    held_out_rows: Count = Field(description="of these held out, in turn")
    rmse_ms: float = Field(description="root mean square error")
    mape_percent: float = Field(description="mean relative error")
    mape_standard_error_percent: float = Field(description="standard error of that mean")
    kendall_tau: float = Field(description="rank correlation of predicted and measured")
    model: Literal["linear", "boosting", "mlp"] = Field(description="the regression that was chosen")
    compared_mape_percent: dict[str, float] = Field(description="of all that were tried, in cross-validation")
    bound: BoundErrors = Field(description="how the upper bound did")
    noise_floor: NoiseFloor | None = Field(
        description="what a perfect predictor would show, since the measured medians are uncertain themselves"
    )
    learning_curve: list[SizeError] = Field(description="error by number of measurements")
    held_out: list[HeldOut] = Field(description="each measured and predicted latency")
    reference_drift_percent: float = Field(description="how much the reference network changed while measuring")


class Predicted(Record):
    """An Architecture with its predicted latency."""

    predicted_latency_ms: float = Field(description="the expected latency")
    upper_bound_ms: float = Field(description="what it is within with the predictor's confidence")
    digest: Key = Field(description=DIGEST)
    architecture: Architecture = Field(description=ARCHITECTURE)


class Range(Record):
    """What latencies a space spans."""

    fastest: Predicted = Field(description="of the whole space")
    median: Predicted = Field(description="of those drawn")
    slowest: Predicted = Field(description="of the whole space")
    safe_budgets_ms: list[float] = Field(description="smallest and largest upper bound of the space")
    sampled: Count = Field(description="Architectures drawn")
    estimate: Literal[True] = Field(description="nothing here is measured")


class BudgetsFile(Made):
    """Budgets read off the predicted range."""

    budgets: list[str] = Field(description="names, rising")
    range: Range = Field(description="what they were read off")


class LatencyFile(Timings, Made):
    """A deployed model, measured on its device, end to end, sentence by sentence."""

    budget: str | None = Field(None, description="what was promised, by name; absent of a baseline")
    budget_ms: Positive | None = Field(None, description="what was promised")
    within_budget: bool | None = Field(None, description="whether that was kept")
    baseline: str | None = Field(None, description="of a baseline: its name")
    form: str | None = Field(None, description="variant of the network, if not the deployed one")
    published: str | None = Field(None, description="of a published network: its name")
    published_latency_ms: Positive | None = Field(None, description="what was published, on other hardware")
    published_hardware: str | None = Field(None, description="that hardware")
    device: str | None = Field(None, description="of a published network: where it was measured")
    predicted_latency_ms: float | None = Field(None, description="what the predictor said")
    prediction_error_percent: float | None = Field(None, description="by how much that was too high")
    kind: Kind | None = Field(None, description="of a baseline: what sort of network")
    shape: Shape | None = Field(None, description="of a baseline: sizes beside the dimensions")
    digest: Key | None = Field(None, description=DIGEST)
    architecture: AnyNetwork | None = Field(None, description=ARCHITECTURE)
    conditions: Conditions = Field(description="device, Runtime and its version, precision, threads, lengths, beam")
    fingerprint: Fingerprint | None = Field(None, description="the device")


class Usage(Record):
    """What a run of a stage used; of the rows of a run the last one holds."""

    run: str = Field(description="process and start")
    finished: bool = Field(description="whether it came to its end")
    seconds: float = Field(description="wall-clock time")
    cpu_seconds: float = Field(description="processor time, of all its processes")
    gpus: Count = Field(description="GPUs used")
    gpu_joules: float | None = Field(description="energy as the GPUs counted it")
    machine: Machine = Field(description="where")

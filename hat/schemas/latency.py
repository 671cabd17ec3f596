"""Artifacts about latency: Architectures to measure, measurements, the predictor with its errors, budgets."""

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
    Measured,
    Positive,
    Record,
    Share,
    Timings,
    UnderConditions,
    WithProvenance,
)
from hat.space.architecture import Architecture
from hat.space.shape import Shape


class ChoiceHeader(Header):
    """First row of the Architectures to measure."""

    count: Count = Field(description="number of Architectures that follow")


class Chosen(Record):
    """An Architecture to measure."""

    digest: Key = Field(description=DIGEST)
    architecture: Architecture = Field(description=ARCHITECTURE)
    origin: str = Field(description="why it was chosen: `random`, or the part of the space that it covers")


class SamplesHeader(UnderConditions):
    """First row of a shard of samples."""

    stopped: Stop | None = Field(
        description="why sampling stopped before all Architectures were measured, and the predictor's error then"
    )


class Sample(Measured):
    """A measured Architecture, with all its visits."""

    reference_ms: Positive = Field(description="latency of the space's largest Architecture, measured shortly before")
    visit: str | None = Field(description="identifies the visit; null for several visits")
    drift: float | None = Field(
        description="relative difference of the reference's latency from its median, before or after the visit"
    )


class Linear(Record):
    """Latency as a sum of costs."""

    kind: Literal["linear"] = Field(description="kind of regression")
    cost_ms: dict[Literal[FEATURES], float] = Field(  # type: ignore[valid-type]
        description="milliseconds per unit of each feature"
    )


class Tree(Record):
    """A regression tree as arrays over its nodes."""

    left: list[int] = Field(description="index of the left child, -1 at a leaf")
    right: list[int] = Field(description="index of the right child, -1 at a leaf")
    feature: list[int] = Field(description="index of the feature to compare")
    threshold: list[float] = Field(description="value to compare the feature with")
    value: list[float] = Field(description="value that a leaf adds to the logarithm of the latency")


class Boosting(Record):
    """The linear regression times a factor from regression trees."""

    kind: Literal["boosting"] = Field(description="kind of regression")
    linear: Linear = Field(description="the linear regression that the trees correct")
    start: float = Field(description="constant that the trees add to")
    trees: list[Tree] = Field(description="the trees, in order")


class PublishedNetwork(Record):
    """The research code's neural network, on averages over layers."""

    kind: Literal["mlp"] = Field(description="kind of regression")
    linear: Linear = Field(description="the linear regression that gives each component's share of the latency")
    weights: list[str] = Field(description="weight of each layer: little-endian fp32 in base64")
    biases: list[str] = Field(description="bias of each layer: little-endian fp32 in base64")


Regression = Annotated[Linear | Boosting | PublishedNetwork, Field(discriminator="kind")]


class SplitBound(Record):
    """An upper bound from held-out rows."""

    method: Literal["split"] = Field(description="how the bound was found")
    confidence: Share = Field(description="probability that a latency is within the bound")
    ratios: list[float] = Field(description="measured / predicted for the held-out rows, ascending")


class Fold(Record):
    """One fold of cross-validation."""

    regression: Regression = Field(description="the regression fitted without the fold")
    ratios: list[float] = Field(description="measured / predicted for the rows of the fold")


class CrossBound(Record):
    """An upper bound from cross-validation."""

    method: Literal["cross"] = Field(description="how the bound was found")
    confidence: Share = Field(description="probability that a latency is within the bound")
    folds: list[Fold] = Field(description="the folds of cross-validation")


class NoBound(Record):
    """No upper bound, since there is only one measurement."""

    method: Literal["none"] = Field(description="how the bound was found")
    confidence: Share = Field(description="confidence asked for")


class PredictorFile(WithProvenance):
    """A latency predictor: from an Architecture to milliseconds."""

    format: Literal["latency-predictor-2"] = Field(description="version of the file format")
    workload: Workload = Field(description="lengths, beam size and shape that it predicts for")
    precision: str = Field(description="precision of the weights on the device")
    regression: Regression = Field(description="the regression from features to milliseconds")
    bound: Annotated[SplitBound | CrossBound | NoBound, Field(discriminator="method")] = Field(
        description="the upper bound of a prediction"
    )
    rows: Count = Field(description="number of measurements it was fitted to")


class BoundErrors(Record):
    """Coverage of the upper bound on held-out rows."""

    method: Literal["split", "cross", "none"] = Field(description="how the bound was found")
    confidence: Share = Field(description="confidence asked for")
    rows: Count = Field(description="number of measurements that determine the bound")
    guarantee: Share = Field(description="coverage that is proven for any noise")
    coverage: Share = Field(description="share of the held-out measurements within the bound")
    factor: float | None = Field(description="median of bound / prediction")


class SizeError(Record):
    """A point of the learning curve."""

    rows: Count = Field(description="number of measurements fitted to")
    mape_percent: float = Field(description="mean relative error")
    standard_error_percent: float = Field(description="standard error of that mean")


class NoiseFloor(Record):
    """Errors that a perfect predictor would have, since measurements are uncertain."""

    rmse_ms: float = Field(description="root mean square error")
    mape_percent: float = Field(description="mean relative error")


class HeldOut(Record):
    """A measurement that a predictor was not fitted to."""

    digest: Key = Field(description=DIGEST)
    measured_ms: Positive = Field(description="measured latency")
    predicted_ms: float = Field(description="predicted latency")
    upper_bound_ms: float | None = Field(description="upper bound of the prediction")


class ErrorsFile(WithProvenance):
    """Errors of a predictor on Architectures that it was not fitted to."""

    rows: Count = Field(description="number of measurements")
    train_rows: Count = Field(description="smallest number of measurements fitted to in any fold")
    held_out_rows: Count = Field(description="number of measurements held out over all folds")
    rmse_ms: float = Field(description="root mean square error")
    mape_percent: float = Field(description="mean relative error")
    mape_standard_error_percent: float = Field(description="standard error of that mean")
    kendall_tau: float = Field(description="rank correlation of predicted and measured latencies")
    model: Literal["linear", "boosting", "mlp"] = Field(description="the regression chosen")
    compared_mape_percent: dict[str, float] = Field(
        description="mean relative error of each regression tried, in cross-validation"
    )
    bound: BoundErrors = Field(description="coverage of the upper bound")
    noise_floor: NoiseFloor | None = Field(
        description="errors that a perfect predictor would have, since the measured medians are uncertain"
    )
    learning_curve: list[SizeError] = Field(description="error by number of measurements")
    held_out: list[HeldOut] = Field(description="each held-out Architecture with measured and predicted latency")
    reference_drift_percent: float = Field(
        description="change of the reference network's latency during the measurements"
    )


class Predicted(Record):
    """An Architecture with its predicted latency."""

    predicted_latency_ms: float = Field(description="predicted latency")
    upper_bound_ms: float = Field(description="upper bound at the predictor's confidence")
    digest: Key = Field(description=DIGEST)
    architecture: Architecture = Field(description=ARCHITECTURE)


class Range(Record):
    """The range of predicted latencies of a space."""

    fastest: Predicted = Field(description="fastest Architecture of the whole space")
    median: Predicted = Field(description="Architecture of median latency among those drawn")
    slowest: Predicted = Field(description="slowest Architecture of the whole space")
    safe_budgets_ms: list[float] = Field(description="smallest and largest upper bound of the space")
    sampled: Count = Field(description="number of Architectures drawn")
    estimate: Literal[True] = Field(description="always true: all values are predicted, none is measured")


class BudgetsFile(WithProvenance):
    """Budgets chosen from the predicted range."""

    budgets: list[str] = Field(description="names of the budgets, ascending")
    range: Range = Field(description="the range of predicted latencies")


class LatencyFile(Timings, WithProvenance):
    """Latency of a deployed model on its device, end to end, sentence by sentence."""

    budget: str | None = Field(None, description="name of the budget; omitted for a baseline")
    budget_ms: Positive | None = Field(None, description="latency budget")
    within_budget: bool | None = Field(None, description="whether the latency is within the budget")
    baseline: str | None = Field(None, description="for a baseline: its name")
    form: str | None = Field(None, description="for a variant of the deployed model: its name")
    published: str | None = Field(None, description="for a published network: its name")
    published_latency_ms: Positive | None = Field(None, description="published latency, on other hardware")
    published_hardware: str | None = Field(None, description="hardware of the published latency")
    device: str | None = Field(None, description="for a published network: the device it was measured on")
    predicted_latency_ms: float | None = Field(None, description="predicted latency")
    prediction_error_percent: float | None = Field(
        None, description="error of the prediction, positive if it was too high"
    )
    kind: Kind | None = Field(None, description="for a baseline: kind of network")
    shape: Shape | None = Field(None, description="for a baseline: hyperparameters other than the dimensions")
    digest: Key | None = Field(None, description=DIGEST)
    architecture: AnyNetwork | None = Field(None, description=ARCHITECTURE)
    conditions: Conditions = Field(
        description="device, Runtime and its version, precision, threads, lengths, beam size"
    )
    fingerprint: Fingerprint | None = Field(None, description="the device's hardware and software")


class Usage(Record):
    """Resources that a run of a stage used; the last row of each run is its total."""

    run: str = Field(description="identifies the run: process id and start time")
    finished: bool = Field(description="whether the run ended by itself")
    seconds: float = Field(description="wall-clock time")
    cpu_seconds: float = Field(description="CPU time of all its processes")
    gpus: Count = Field(description="number of GPUs used")
    gpu_joules: float | None = Field(description="energy that the GPUs' counters report")
    machine: Machine = Field(description="the machine it ran on")

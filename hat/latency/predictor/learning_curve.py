"""The predictor's error as a function of the number of samples, and when sampling may stop."""

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from hat.errors import InputError
from hat.latency.predictor.conformal import folds_of
from hat.latency.predictor.features import Rows, Vector
from hat.latency.predictor.fitting import FOLDS
from hat.latency.predictor.linear import Linear
from hat.latency.predictor.regressions import REGRESSIONS

TARGET = re.compile(r"(?P<percent>[0-9]+(\.[0-9]+)?) ?%")
# Sizes of the learning curve: the smallest, and the factor from each to the next.
SMALLEST, GROWTH = 10, 1.5
REPEATS = 6
# One-sided 95 % quantile of the normal distribution.
ONE_SIDED_95 = 1.645
# Sampling never stops before this many samples, a little more than twice the number of features.
FEWEST = 30
# The curve counts as flat if twice the samples would lower the error by less than this share of it.
FLAT = 0.05

Reason = Literal["target", "flat", "samples"]
Samples = TypeVar("Samples")


def target_percent(text: str) -> float:
    """Read a target such as ``2%`` in percent.

    Raises:
        InputError: the text is not a percentage, or is zero.
    """
    match = TARGET.fullmatch(text.strip())
    if match is None or not float(match["percent"]):
        raise InputError(f"target error {text!r}: expected a percentage above zero, such as 2%")
    return float(match["percent"])


def learning_curve(
    kind: str, rows: Rows, latencies_ms: Vector, tested: npt.NDArray[np.intp], *, held_out: float, seed: int
) -> list[dict[str, float]]:
    """Compute the error on held-out rows for growing numbers of rows to fit to.

    Args:
        kind: the regression; the linear one replaces it at sizes too small for it.
        rows: features of all rows.
        latencies_ms: their latencies, [N].
        tested: indices of the rows that may be held out.
        held_out: share of these rows to hold out in each repetition.
        seed: seed of the draws.

    Returns:
        For each size: ``rows``, the mean of ``mape_percent`` over random draws, and its ``standard_error_percent``.
    """
    count = max(1, round(held_out * len(tested)))
    largest = len(rows) - count
    sizes = []
    size = float(SMALLEST)
    while size < largest:
        sizes.append(round(size))
        size *= GROWTH
    found = []
    for number in [*sizes, largest] if largest > 0 else []:
        chosen = kind if number >= REGRESSIONS[kind].fewest_rows else Linear.kind
        errors = []
        for repeat in range(REPEATS if chosen == Linear.kind else 2):
            rng = np.random.default_rng((seed, repeat))
            test = rng.permutation(tested)[:count]
            train = rng.permutation(np.setdiff1d(np.arange(len(rows)), test))[:number]
            regression = REGRESSIONS[chosen].fit(rows.take(train), latencies_ms[train], seed)
            errors.append(100 * float(np.mean(np.abs(regression.predict(rows.take(test)) / latencies_ms[test] - 1))))
        spread = float(np.std(errors, ddof=1) / np.sqrt(len(errors)))
        found.append({"rows": number, "mape_percent": float(np.mean(errors)), "standard_error_percent": spread})
    return found


@dataclass(frozen=True)
class Assessment:
    """The predictor's error with the samples measured so far.

    Attributes:
        rows: number of samples.
        mape_percent: mean relative error in cross-validation on the representative rows.
        standard_error_percent: its standard error.
        gain_percent: by how much the error was higher with the first half of the samples.
        gain_error_percent: standard error of the gain.
    """

    rows: int
    mape_percent: float
    standard_error_percent: float
    gain_percent: float
    gain_error_percent: float

    def reached(self, target_percent: float) -> bool:
        """Whether the error is at most the target, with 95 % confidence."""
        return self.mape_percent + ONE_SIDED_95 * self.standard_error_percent <= target_percent

    @property
    def flat(self) -> bool:
        """Whether twice the samples would hardly lower the error, with 95 % confidence.

        If the error approaches its floor as 1 / samples, doubling the samples gains half of what the last doubling
        gained.
        """
        return (self.gain_percent + ONE_SIDED_95 * self.gain_error_percent) / 2 <= FLAT * self.mape_percent

    def to_dict(self) -> dict[str, Any]:
        """Return the values as JSON."""
        return asdict(self)


def assess(rows: Rows, latencies_ms: Vector, representative: npt.NDArray[np.bool_], *, seed: int) -> Assessment:
    """Cross-validate the linear regression with all samples measured so far, and with the first half of them.

    Args:
        rows: features, in the order of measuring.
        latencies_ms: latencies, [N].
        representative: which rows were drawn at random, [N]; these are held out in turn.
        seed: seed of the folds.
    """
    everything = np.arange(len(rows))
    held = everything[representative] if representative.sum() > 1 else everything
    errors: list[Vector] = []
    errors_of_half: list[Vector] = []
    for fold in folds_of(held, FOLDS, seed):
        kept = np.setdiff1d(everything, fold)
        measured, half = latencies_ms[fold], kept[: len(kept) // 2]
        for subset, found in ((kept, errors), (half, errors_of_half)):
            predicted = Linear.fit(rows.take(subset), latencies_ms[subset], seed).predict(rows.take(fold))
            found.append(100 * np.abs(predicted / measured - 1))
    whole = np.concatenate(errors)
    gain = np.concatenate(errors_of_half) - whole
    root = np.sqrt(len(whole))
    return Assessment(
        rows=len(rows),
        mape_percent=float(whole.mean()),
        standard_error_percent=float(whole.std(ddof=1) / root),
        gain_percent=float(gain.mean()),
        gain_error_percent=float(gain.std(ddof=1) / root),
    )


@dataclass(frozen=True)
class Stop:
    """Why sampling stopped after ``samples``; the assessment is None with fewer than ``FEWEST`` samples."""

    reason: Reason
    target_percent: float
    samples: int
    assessment: Assessment | None

    @property
    def sentence(self) -> str:
        """Return the reason as a sentence."""
        if self.assessment is None:
            return f"measured {self.samples} samples (latency.samples), too few to estimate the error of a predictor"
        found = self.assessment
        why = {
            "target": f"the target of {self.target_percent:g} % is reached",
            "flat": f"above the target of {self.target_percent:g} %, but more samples would hardly lower it",
            "samples": f"all samples are measured (latency.samples), and the target of {self.target_percent:g} % is not"
            " reached",
        }[self.reason]
        error = f"{found.mape_percent:.2g} ± {ONE_SIDED_95 * found.standard_error_percent:.2g} %"
        return f"stopped after {self.samples} samples, held-out error {error}: {why}"

    def to_dict(self) -> dict[str, Any]:
        """Return the values as JSON."""
        return asdict(self)


def sample_until(
    measure: Callable[[int], Samples],
    assess_samples: Callable[[Samples], Assessment],
    *,
    target_percent: float,
    most: int,
    step: int,
) -> tuple[Samples, Stop]:
    """Measure more samples until the target is reached or more samples would hardly help.

    Args:
        measure: returns the first n samples, and measures those that are missing.
        assess_samples: returns the error with these samples.
        target_percent: the error to reach.
        most: largest number of samples.
        step: number of samples between two assessments.

    Returns:
        The samples, and why sampling stopped.
    """
    count = min(FEWEST, most)
    while True:
        samples = measure(count)
        found = assess_samples(samples) if count >= FEWEST else None
        reason: Reason | None = "samples" if count == most else None
        if found is not None and found.reached(target_percent):
            reason = "target"
        elif found is not None and found.flat:
            reason = "flat"
        if reason is not None:
            return samples, Stop(reason, target_percent, count, found)
        count = min(count + step, most)

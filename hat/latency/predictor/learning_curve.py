"""How the error falls with the number of samples, and when sampling may stop."""

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
# Sizes of the learning curve: from this one on each is so many times the one before.
SMALLEST, GROWTH = 10, 1.5
REPEATS = 6
# Normal quantile: one-sided 95 %.
SURE = 1.645
# No sampling is stopped before so many samples, twice the number of features and a little.
FEWEST = 30
# The curve counts as flat where twice the samples would lower the error by less than this part of it.
FLAT = 0.05

Reason = Literal["target", "flat", "samples"]
Measured = TypeVar("Measured")


def target_percent(text: str) -> float:
    """Percent of a target such as ``2%``.

    Raises:
        InputError: it is no such text, or zero.
    """
    match = TARGET.fullmatch(text.strip())
    if match is None or not float(match["percent"]):
        raise InputError(f"target error {text!r}: expected a percentage above zero, such as 2%")
    return float(match["percent"])


def learning_curve(
    kind: str, rows: Rows, latencies_ms: Vector, tested: npt.NDArray[np.intp], *, held_out: float, seed: int
) -> list[dict[str, float]]:
    """Error on held-out rows over the number of rows that the regression was fitted to.

    Args:
        kind: the regression; the linear one where there are too few rows for it.
        rows: features of all rows.
        latencies_ms: their latencies, [N].
        tested: rows of which a part is held out in each repetition.
        held_out: that part.
        seed: of the draws.

    Returns:
        For each size ``rows``, the mean of ``mape_percent`` over random draws, and its ``standard_error_percent``.
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
    """What the samples measured so far are good for.

    ``mape_percent`` is the mean relative error of cross-validation on the representative rows,
    ``standard_error_percent`` its standard error, ``gain_percent`` by how much it was higher with the first half of the
    samples, ``gain_error_percent`` the standard error of that.
    """

    rows: int
    mape_percent: float
    standard_error_percent: float
    gain_percent: float
    gain_error_percent: float

    def reached(self, target_percent: float) -> bool:
        """Whether the error is at most the target, with 95 % confidence."""
        return self.mape_percent + SURE * self.standard_error_percent <= target_percent

    @property
    def flat(self) -> bool:
        """Whether twice the samples would hardly lower the error, with 95 % confidence.

        An error that falls to its floor as 1 / samples falls half as much from here to twice the samples as it did from
        half of them to here.
        """
        return (self.gain_percent + SURE * self.gain_error_percent) / 2 <= FLAT * self.mape_percent

    def to_dict(self) -> dict[str, Any]:
        """JSON-like form."""
        return asdict(self)


def assess(rows: Rows, latencies_ms: Vector, representative: npt.NDArray[np.bool_], *, seed: int) -> Assessment:
    """Cross-validate the linear regression on what has been measured so far, and on the first half of it.

    Args:
        rows: features, in the order of measuring.
        latencies_ms: latencies, [N].
        representative: rows drawn at random, [N], which are held out in turn.
        seed: of the folds.
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
    """Why no more was measured after so many ``samples``; the assessment is None with fewer than ``FEWEST``."""

    reason: Reason
    target_percent: float
    samples: int
    assessment: Assessment | None

    @property
    def sentence(self) -> str:
        """For people."""
        if self.assessment is None:
            return f"measured {self.samples} samples (latency.samples), too few to know the error of a predictor"
        found = self.assessment
        why = {
            "target": f"the target of {self.target_percent:g} % is reached",
            "flat": f"above the target of {self.target_percent:g} %, but more samples would hardly lower it",
            "samples": f"the target of {self.target_percent:g} % is not reached by all samples (latency.samples)",
        }[self.reason]
        error = f"{found.mape_percent:.2g} ± {SURE * found.standard_error_percent:.2g} %"
        return f"stopped after {self.samples} samples, held-out error {error}: {why}"

    def to_dict(self) -> dict[str, Any]:
        """JSON-like form."""
        return asdict(self)


def sample_until(
    measure: Callable[[int], Measured],
    judge: Callable[[Measured], Assessment],
    *,
    target_percent: float,
    most: int,
    step: int,
) -> tuple[Measured, Stop]:
    """Measure more and more until the target is reached or more samples would hardly help.

    Args:
        measure: measures the first so many Architectures; those that are measured already are not measured again.
        judge: says what they are good for.
        target_percent: the wanted error.
        most: samples there are to be at most.
        step: samples between two looks.

    Returns:
        What ``measure`` returned last, and why it was the last.
    """
    count = min(FEWEST, most)
    while True:
        measured = measure(count)
        found = judge(measured) if count >= FEWEST else None
        reason: Reason | None = "samples" if count == most else None
        if found is not None and found.reached(target_percent):
            reason = "target"
        elif found is not None and found.flat:
            reason = "flat"
        if reason is not None:
            return measured, Stop(reason, target_percent, count, found)
        count = min(count + step, most)

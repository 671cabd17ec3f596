"""Measured latency of Transformers against their dimensions, and predicted against measured latency."""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hat.artifacts.files import read_json
from hat.artifacts.missing import require_artifact
from hat.config.scope import DeviceScope
from hat.latency.predictor.accuracy import kendall_tau
from hat.latency.predictor.averages import read_published
from hat.latency.predictor.conformal import folds_of
from hat.latency.predictor.features import rows_of
from hat.latency.predictor.fitting import FOLDS, cross_validate
from hat.latency.predictor.linear import Linear
from hat.measure.workload import Workload
from hat.report.published import LENGTH
from hat.report.rows import samples
from hat.report.style import Drawing, colour, legend, marker, new_figure
from hat.space.profile import PUBLISHED_SHAPE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DIMENSIONS = {
    "width": "embedding width",
    "ffn": "feed-forward width, mean of the layers",
    "depth": "layers",
}
# Widths averaged over layers take many values, which are shown in this many groups.
GROUPS = 6
RESAMPLES = 1000
# Above this number, points are drawn small and without bars.
MANY = 400
# The workload that the research code measured.
PUBLISHED_WORKLOAD = Workload(shape=PUBLISHED_SHAPE, source_length=LENGTH, target_length=LENGTH, beam=5)


def dimensions_of(scope: DeviceScope) -> Drawing:
    """Draw the latency of the Architectures measured on a device against FLOPs, width, feed-forward width and depth.

    Raises:
        MissingArtifact: nothing was measured.
    """
    frame = pd.DataFrame(samples(scope))
    said = f"{len(frame)} Architectures of {scope.task}, measured on {scope.device}. Bars: 95 % intervals of medians"
    source = scope.latency / "dataset.parquet"
    return dimensions(frame, f"Latency of Transformers, {scope.where}", f"{said}. Data: {source}.")


def dimensions(frame: pd.DataFrame, title: str, said: str) -> Drawing:
    """Draw latency against FLOPs, width, feed-forward width and depth.

    Args:
        frame: ``latency_ms``, ``flops_g`` and the dimensions of encoder and decoder, a row for each network;
            ``latency_low_ms`` and ``latency_high_ms`` if known.
        title: title of the figure.
        said: the end of the caption, about the data's source.
    """
    figure = new_figure(2, 2, width=7.2, height=5.6)
    flops, *others = figure.axes
    _flops(flops, frame)
    for axes, (name, label) in zip(others, DIMENSIONS.items(), strict=True):
        _dimension(axes, frame, name, label)
    caption = (
        "FLOPs are counted for one sentence, without the output projection. Kendall's tau is their rank correlation"
        " with latency. Large marks: median over all networks with that value of the dimension, with a 95 % bootstrap"
        f" interval. {said}"
    )
    return Drawing(name="latency-dimensions", title=title, caption=caption, figure=figure, data=frame)


def _flops(axes: "Axes", frame: pd.DataFrame) -> None:
    x, y = frame["flops_g"].to_numpy(), frame["latency_ms"].to_numpy()
    errors: Any = None
    if "latency_low_ms" in frame and frame["latency_low_ms"].notna().all():
        errors = np.clip([y - frame["latency_low_ms"], frame["latency_high_ms"] - y], 0, None)
    many = len(frame) > MANY
    axes.errorbar(
        x,
        y,
        yerr=None if many else errors,
        fmt="o",
        markersize=2 if many else 3.5,
        elinewidth=0.6,
        color=colour(0),
        alpha=0.4 if many else 0.75,
        rasterized=many,
    )
    axes.set_title(f"Kendall's tau {kendall_tau(x, y):.2f}", loc="left", fontsize=8.5)
    axes.set(xlabel="FLOPs, billions", ylabel="latency, ms")


def _dimension(axes: "Axes", frame: pd.DataFrame, name: str, label: str) -> None:
    spread = float(np.ptp(frame[[f"encoder_{name}", f"decoder_{name}"]].to_numpy())) or 1.0
    for number, part in enumerate(("encoder", "decoder")):
        values = frame[f"{part}_{name}"].to_numpy(dtype=float)
        if len(np.unique(values)) == 1:
            axes.plot([], [], marker(number), color=colour(number), label=f"{part} (always {values[0]:g})")
            continue
        # Beside each other, so that neither hides the other.
        shift = (number - 0.5) * 0.03 * spread
        axes.plot(
            values + shift, frame["latency_ms"], ".", markersize=2, alpha=0.25, color=colour(number), rasterized=True
        )
        centres, medians, low, high = zip(*_groups(values, frame["latency_ms"].to_numpy()), strict=True)
        errors = np.clip([np.subtract(medians, low), np.subtract(high, medians)], 0, None)
        axes.errorbar(
            np.add(centres, shift),
            medians,
            yerr=errors,
            marker=marker(number),
            markersize=6,
            capsize=3,
            color=colour(number),
            label=part,
        )
    choices = np.unique(frame[[f"encoder_{name}", f"decoder_{name}"]].to_numpy(dtype=float))
    if len(choices) <= GROUPS:
        axes.set_xticks(choices)
    else:
        axes.locator_params(axis="x", integer=True)
    axes.set(xlabel=label, ylabel="latency, ms")
    legend(axes, columns=2)


def _groups(values: np.ndarray, latencies: np.ndarray) -> "list[tuple[float, float, float, float]]":
    """Return centre, median latency and its 95 % bootstrap interval for each value, or for ranges of many values."""
    distinct = np.unique(values)
    if len(distinct) <= GROUPS:
        chosen = [(float(value), values == value) for value in distinct]
    else:
        edges = np.quantile(values, np.linspace(0, 1, GROUPS + 1))
        inside = [
            (values >= low) & ((values < high) | (number == GROUPS - 1))
            for number, (low, high) in enumerate(pairwise(edges))
        ]
        chosen = [(float(np.median(values[mask])), mask) for mask in inside if mask.any()]
    random = np.random.default_rng(1)
    groups = []
    for centre, mask in chosen:
        own = latencies[mask]
        resampled = np.median(random.choice(own, (RESAMPLES, len(own))), axis=1)
        low, high = np.quantile(resampled, (0.025, 0.975))
        groups.append((centre, float(np.median(own)), float(low), float(high)))
    return groups


def predictor_of(scope: DeviceScope) -> Drawing:
    """Draw predicted against measured latency of held-out Architectures.

    Raises:
        MissingArtifact: the predictor does not exist.
    """
    path = require_artifact(scope.predictor / "errors.json")
    errors = read_json(path)
    pairs, files = pd.DataFrame(errors["held_out"]), str(path)
    dataset = scope.latency / "dataset.parquet"
    ends = ["latency_low_ms", "latency_high_ms"]
    if dataset.exists() and {"digest", *ends} <= set((measured := pd.read_parquet(dataset)).columns):
        named = dict(zip(ends, ("measured_low_ms", "measured_high_ms"), strict=True))
        pairs = pairs.merge(measured[["digest", *ends]].rename(columns=named), on="digest", how="left")
        files += f", {dataset}"
    said = "Each point is an Architecture that the predictor was not fitted to. On the line, both latencies are equal."
    if "measured_low_ms" in pairs:
        said += " Bars: 95 % intervals of median latencies."
    return predictor(pairs, errors, f"Latency predictor, {scope.where}", f"{said} Data: {files}.")


def predictor_of_published(path: Path) -> Drawing:
    """Draw predicted against published latency: a linear regression on averages over layers, cross-validated.

    Raises:
        InputError: the file is missing or is not a table of latencies.
    """
    networks, latencies = read_published(path)
    rows = rows_of(networks, PUBLISHED_WORKLOAD)
    folds = folds_of(range(len(rows)), FOLDS, seed=0)
    predicted = cross_validate(Linear.kind, rows, latencies, folds, 0).predicted
    errors = {
        "rmse_ms": float(np.sqrt(np.mean((predicted - latencies) ** 2))),
        "mape_percent": 100 * float(np.mean(np.abs(predicted / latencies - 1))),
    }
    said = (
        f"{len(latencies):,} published latencies, not measured here. Each is predicted by a linear regression fitted"
        f" to the other {FOLDS - 1} of {FOLDS} parts of the data. The published dimensions are averages over layers,"
        f" so the regression sees no single layers. On the line, both latencies are equal. Data: {path}."
    )
    pairs = pd.DataFrame({"measured_ms": latencies, "predicted_ms": predicted})
    return predictor(pairs, errors, f"Latency predictor, published, {path.stem}", said)


def predictor(pairs: pd.DataFrame, errors: Mapping[str, float], title: str, caption: str) -> Drawing:
    """Draw predicted against measured latency.

    Args:
        pairs: ``measured_ms`` and ``predicted_ms`` of each network; ``measured_low_ms`` and ``measured_high_ms`` if
            known.
        errors: ``rmse_ms`` and ``mape_percent``.
        title: title of the figure.
        caption: caption of the figure.
    """
    figure = new_figure(width=5.2, height=4.6)
    (axes,) = figure.axes
    values = pairs[["measured_ms", "predicted_ms"]].to_numpy()
    margin = 0.05 * (values.max() - values.min())
    ends = (values.min() - margin, values.max() + margin)
    axes.plot(ends, ends, color="0.6", linewidth=1, label="equal")
    many = len(pairs) > MANY
    if "measured_low_ms" in pairs and not many:
        # The intervals of a few networks reach beyond the figure.
        below = pairs["measured_ms"] - pairs["measured_low_ms"].fillna(pairs["measured_ms"])
        above = pairs["measured_high_ms"].fillna(pairs["measured_ms"]) - pairs["measured_ms"]
        bars = np.clip([below, above], 0, None)
        axes.errorbar(values[:, 0], values[:, 1], xerr=bars, fmt="none", ecolor="0.7", elinewidth=0.8, zorder=1)
    axes.scatter(
        values[:, 0],
        values[:, 1],
        color=colour(0),
        s=5 if many else 18,
        alpha=0.4 if many else 1,
        rasterized=many,
        zorder=2,
        label=f"{len(pairs):,} held out: RMSE {_shown(errors['rmse_ms'])} ms, MAPE {errors['mape_percent']:.1f} %",
    )
    axes.set(xlim=ends, ylim=ends, box_aspect=1, xlabel="measured latency, ms", ylabel="predicted latency, ms")
    legend(axes)
    return Drawing(name="predictor", title=title, caption=caption, figure=figure, data=pairs)


def _shown(value: float) -> str:
    """Return a number with at least two digits and no exponent."""
    return f"{value:.2g}" if value < 10 else f"{value:,.0f}"

"""BLEU against latency, and the loss with inherited weights against BLEU after training."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from hat.artifacts.missing import MissingArtifact
from hat.config.scope import DeviceScope
from hat.latency.predictor.accuracy import kendall_tau
from hat.report.labels import Label
from hat.report.published import published_beside
from hat.report.rows import HAT, KINDS, Row
from hat.report.style import Drawing, colour, legend, marker, new_figure

ORDER = (HAT, *KINDS.values())
COLUMNS = (
    "model",
    "kind",
    "source",
    "budget_ms",
    "latency_ms",
    "latency_low_ms",
    "latency_high_ms",
    "predicted_latency_ms",
    "bleu",
    "bleu_low",
    "bleu_high",
    "chrf",
)


def trade_off_of(scope: DeviceScope, rows: Sequence[Row]) -> Drawing:
    """Draw BLEU against measured latency of deployed models and baselines, with published models for comparison.

    Raises:
        MissingArtifact: no model was scored and measured.
    """
    shown = [row for row in rows if row["bleu"] is not None and row["latency_ms"] is not None]
    if not shown:
        folder = scope.device_folder / "BUDGET"
        raise MissingArtifact(
            f"a score with a latency in {scope.device_folder}", f"{folder}/bleu.txt {folder}/latency.json"
        )
    published = published_points(published_beside(scope.settings.configuration.report, scope.task, scope.device))
    title = f"BLEU against latency, {scope.where}"
    files = f"{scope.device_folder}/*/score.json, latency.json"
    drawing = trade_off([*shown, *published], title, f"Data: {files}")
    budgets = [row["budget_ms"] for row in shown if row["budget_ms"] is not None]
    (axes,) = drawing.figure.axes
    for number, budget in enumerate(budgets):
        label = "budget" if number == 0 else None
        axes.axvline(budget, linestyle=":", linewidth=1, color="0.6", zorder=0, label=label)
    legend(axes)
    return drawing


def published_points(rows: Sequence[dict[str, Any]]) -> list[Row]:
    """Return the rows of published networks, with the keys of measured rows."""
    return [
        dict.fromkeys(COLUMNS)
        | {
            "model": row["budget"],
            "kind": row["kind"],
            "source": "published",
            "latency_ms": row["latency_ms"],
            "bleu": row["bleu"],
        }
        for row in rows
    ]


def trade_off(rows: Sequence[Row], title: str, data: str) -> Drawing:
    """Draw BLEU against latency, a series for each kind of network and source.

    Args:
        rows: with ``COLUMNS``; ``source`` is ``measured`` or ``published``.
        title: title of the figure.
        data: the source of the data, for the caption.
    """
    figure = new_figure()
    (axes,) = figure.axes
    kinds = [*ORDER, *sorted({row["kind"] for row in rows} - set(ORDER))]
    for kind in kinds:
        number = kinds.index(kind)
        for source in ("measured", "published"):
            own = sorted(
                (row for row in rows if (row["kind"], row["source"]) == (kind, source)), key=lambda r: r["latency_ms"]
            )
            if not own:
                continue
            x, y = [row["latency_ms"] for row in own], [row["bleu"] for row in own]
            published = source == "published"
            axes.errorbar(
                x,
                y,
                xerr=_errors(own, "latency", "_ms"),
                yerr=_errors(own, "bleu", ""),
                color=colour(number),
                marker=marker(number),
                markersize=7,
                capsize=2.5,
                elinewidth=0.9,
                linestyle="--" if published else "-",
                linewidth=1 if published else 1.4,
                markerfacecolor="white" if published else colour(number),
                label=f"{kind}, published" if published else kind,
            )
    axes.set(xlabel="latency of a sentence, ms", ylabel="BLEU on the test split")
    axes.margins(x=0.08, y=0.12)
    legend(axes)
    labels = [Label(axes, row["latency_ms"], row["bleu"], row["model"]) for row in rows]
    sources = {row["source"] for row in rows}
    words = []
    if "measured" in sources:
        words.append(
            "Filled marks: deployed models, measured on the device and scored on the test split. Bars: 95 % intervals"
            " of the median latency, and of BLEU by bootstrap over test sentences."
        )
    if "published" in sources:
        words.append("Hollow marks and dashed lines: published values, not measured here.")
    caption = " ".join([*words, f"{data}."])
    frame = pd.DataFrame(list(rows))
    frame = frame[[name for name in COLUMNS if name in frame]]
    return Drawing(name="trade-off", title=title, caption=caption, figure=figure, data=frame, labels=labels)


def _errors(rows: Sequence[Row], name: str, unit: str) -> list[list[float]] | None:
    """Return the lengths of error bars, 0 for a row without interval; None if no row has one."""
    ends = [(row[f"{name}{unit}"], row[f"{name}_low{unit}"], row[f"{name}_high{unit}"]) for row in rows]
    if all(low is None for _, low, _ in ends):
        return None
    below = [0.0 if low is None else max(0.0, value - low) for value, low, _ in ends]
    above = [0.0 if high is None else max(0.0, high - value) for value, _, high in ends]
    return [below, above]


def inherited_of(scope: DeviceScope, rows: Sequence[Row]) -> Drawing:
    """Draw validation loss with inherited weights against BLEU after training.

    Raises:
        MissingArtifact: no model of a budget was scored.
    """
    found = [row for row in rows if row["inherited_loss"] is not None and row["bleu"] is not None]
    if not found:
        raise MissingArtifact(f"a score of a budget in {scope.device_folder}", f"{scope.device_folder}/BUDGET/bleu.txt")
    figure = new_figure()
    (axes,) = figure.axes
    words = {"random": "trained from scratch", "inherited": "fine-tuned from inherited weights", None: "trained"}
    for number, (start, label) in enumerate(words.items()):
        own = [row for row in found if row["initial_weights"] == start]
        if own:
            x, y = [row["inherited_loss"] for row in own], [row["bleu"] for row in own]
            axes.errorbar(
                x,
                y,
                yerr=_errors(own, "bleu", ""),
                fmt=marker(number),
                markersize=7,
                capsize=2.5,
                color=colour(number),
                label=label,
            )
    tau = ""
    if len(found) > 2:
        value = kendall_tau([-row["inherited_loss"] for row in found], [row["bleu"] for row in found])
        tau = f" Kendall's tau between the two rankings: {value:.2f}."
    axes.set(xlabel="validation loss with inherited weights, nats a token", ylabel="BLEU after training")
    axes.invert_xaxis()
    axes.margins(x=0.12, y=0.15)
    legend(axes)
    labels = [Label(axes, row["inherited_loss"], row["bleu"], row["model"]) for row in found]
    caption = (
        "Each mark is the winner of a search. Horizontal: its loss with the SuperTransformer's weights, which a search"
        " with the objective `loss` minimises; better to the right. Vertical: its BLEU after training, with a 95 %"
        " bootstrap interval."
        f"{tau} Data: {scope.device_folder}/*/architecture.json, score.json."
    )
    columns = ["model", "inherited_loss", "validation_loss", "initial_weights", "bleu", "bleu_low", "bleu_high"]
    title = f"Inherited weights and trained quality, {scope.where}"
    data = pd.DataFrame(found)[columns]
    return Drawing(name="inherited", title=title, caption=caption, figure=figure, data=data, labels=labels)

"""The figures of a task on a device, from artifacts only: each as PDF, PNG and the CSV of what it shows."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from hat.artifacts import atomic, read_json, write_text
from hat.layout import Results
from hat.report.summary import Row, gather
from hat.settings import Settings

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito: told apart by people with every kind of colour vision, and in print by the markers.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000", "#999999")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<")


def draw_figures(settings: Settings, results: Results, task: str, device: str, budgets: Sequence[str]) -> Path:
    """Draw predictor, trade-off and search into results/figures/TASK-DEVICE.

    Args:
        settings: the configuration.
        results: where the artifacts are.
        task: name of the task.
        device: name of the device.
        budgets: those shown; those that the workflow made where empty.

    Returns:
        The folder.

    Raises:
        InputError: an artifact is missing.
    """
    import matplotlib

    matplotlib.use("Agg")
    rows = gather(settings, results, task, device, budgets)
    folder = results.figures / f"{task}-{device}"
    where = f"{task} on {device}"
    errors = read_json(results.predictor(task, device) / "errors.json")
    _save(folder / "predictor", predictor_figure(errors, where), pd.DataFrame(errors["held_out"]))
    columns = ["budget", "budget_ms", "latency_ms", "spread_ms", "predicted_latency_ms", "bleu", "chrf"]
    _save(folder / "trade-off", trade_off_figure(rows, where), pd.DataFrame(rows)[columns])
    progress = pd.concat(
        search_progress(results.budget(task, device, row["budget"]) / "search.parquet", row["budget"])
        for row in rows
        if row["budget_ms"] is not None
    )
    _save(folder / "search", search_figure(progress, where), progress)
    return folder


def predictor_figure(errors: dict[str, Any], where: str) -> "Figure":
    """Predicted against measured latency of the Architectures that the predictor was not fitted to."""
    pairs = pd.DataFrame(errors["held_out"])
    figure, axes = _axes(f"Latency predictor, {where}", "measured latency, ms", "predicted latency, ms")
    values = pairs[["measured_ms", "predicted_ms"]].to_numpy()
    margin = 0.05 * (values.max() - values.min())
    ends = (values.min() - margin, values.max() + margin)
    axes.plot(ends, ends, color="0.6", linewidth=1, label="equal")
    axes.scatter(values[:, 0], values[:, 1], color=COLOURS[0], s=18, label=f"held out ({len(pairs)})")
    axes.set(xlim=ends, ylim=ends, box_aspect=1)
    text = f"RMSE {errors['rmse_ms']:.2g} ms, MAPE {errors['mape_percent']:.1f} %"
    axes.annotate(text, (0.97, 0.03), xycoords="axes fraction", ha="right", va="bottom")
    axes.legend(loc="upper left", frameon=False)
    return figure


def trade_off_figure(rows: Sequence[Row], where: str) -> "Figure":
    """BLEU over the measured latency of the deployed models, with their budgets, and of baselines."""
    figure, axes = _axes(f"What a budget buys, {where}", "latency measured on the device, ms", "BLEU on the test split")
    found = [row for row in rows if row["budget_ms"] is not None]
    axes.plot([row["latency_ms"] for row in found], [row["bleu"] for row in found], color="0.7", linewidth=1, zorder=1)
    for number, row in enumerate(rows):
        colour = COLOURS[number % len(COLOURS)]
        if row["budget_ms"] is not None:
            axes.axvline(row["budget_ms"], linestyle=":", linewidth=1.2, color=colour)
        axes.errorbar(
            row["latency_ms"],
            row["bleu"],
            xerr=row["spread_ms"] / 2,
            color=colour,
            marker=MARKERS[number % len(MARKERS)],
            markersize=8,
            capsize=3,
            linestyle="none",
            label=f"{row['budget']}: {row['latency_ms']:.1f} ms, BLEU {row['bleu']:.1f}",
        )
    axes.plot([], [], color="0.3", linestyle=":", label="budget")
    axes.legend(loc="best", frameon=False)
    return figure


def search_progress(path: Path, budget: str) -> pd.DataFrame:
    """Best validation loss after each evaluation of a search."""
    candidates = pd.read_parquet(path).sort_values("order")
    return pd.DataFrame(
        {
            "budget": budget,
            "evaluations": range(1, len(candidates) + 1),
            "generation": candidates["generation"].to_numpy(),
            "validation_loss": candidates["validation_loss"].to_numpy(),
            "best_validation_loss": candidates["validation_loss"].cummin().to_numpy(),
        }
    )


def search_figure(progress: pd.DataFrame, where: str) -> "Figure":
    """Best validation loss over the evaluations, for each budget."""
    figure, axes = _axes(f"Search, {where}", "Architectures evaluated", "best validation loss, nats a token")
    for number, (budget, rows) in enumerate(progress.groupby("budget", sort=False)):
        axes.step(
            rows["evaluations"],
            rows["best_validation_loss"],
            where="post",
            color=COLOURS[number % len(COLOURS)],
            marker=MARKERS[number % len(MARKERS)],
            markevery=max(1, len(rows) // 6),
            label=f"{budget} ({rows['best_validation_loss'].iloc[-1]:.3f})",
        )
    axes.legend(title="budget (best)", frameon=False)
    return figure


def _axes(title: str, x: str, y: str) -> tuple["Figure", "Axes"]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, fontsize=11)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(color="0.92")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _save(path: Path, figure: "Figure", shown: pd.DataFrame) -> None:
    write_text(f"{path}.csv", shown.to_csv(index=False))
    # Without a date the same artifacts give the same bytes.
    metadata: dict[str, dict[str, Any]] = {"pdf": {"CreationDate": None}, "png": {}}
    for kind, content in metadata.items():
        with atomic(f"{path}.{kind}", "wb") as stream:
            figure.savefig(stream, format=kind, dpi=160, metadata=content)

"""The figure of a predictor: held-out predictions against measurements, and the learning curve."""

from pathlib import Path

import pandas as pd

from hat.artifacts.files import atomic, read_json, write_text
from hat.config.scope import DeviceScope

MEASURED, BOUND, FLOOR = "#0072B2", "#D55E00", "#009E73"


def draw_accuracy(scope: DeviceScope) -> list[Path]:
    """Write predictor/accuracy.pdf, .png and .csv (the held-out pairs).

    Raises:
        InputError: the predictor's errors are missing.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    folder = scope.predictor
    errors = read_json(folder / "errors.json")
    pairs, curve = pd.DataFrame(errors["held_out"]), pd.DataFrame(errors["learning_curve"])
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.set_title(f"Latency predictor ({errors['model']}), {scope.task} on {scope.device}", fontsize=11)
    ends = (0.95 * pairs["measured_ms"].min(), 1.05 * pairs["measured_ms"].max())
    left.plot(ends, ends, color="0.6", linewidth=1, label="equal")
    bounded = pairs.dropna(subset="upper_bound_ms")
    left.scatter(
        bounded["measured_ms"],
        bounded["upper_bound_ms"],
        color=BOUND,
        marker="_",
        label=f"upper bound ({100 * errors['bound']['coverage']:.0f} % within)",
    )
    left.scatter(
        pairs["measured_ms"], pairs["predicted_ms"], color=MEASURED, s=18, label=f"predicted ({len(pairs)} held out)"
    )
    left.set(xlabel="measured latency, ms", ylabel="predicted latency, ms")
    left.legend(loc="upper left", frameon=False)
    text = f"RMSE {errors['rmse_ms']:.2g} ms, MAPE {errors['mape_percent']:.1f} %, tau {errors['kendall_tau']:.2f}"
    left.annotate(text, (0.97, 0.03), xycoords="axes fraction", ha="right", va="bottom")
    right.set_title("Learning curve", fontsize=11)
    if len(curve):
        right.errorbar(
            curve["rows"],
            curve["mape_percent"],
            yerr=curve["standard_error_percent"],
            color=MEASURED,
            marker="o",
            capsize=3,
            label="held-out error",
        )
        right.set_xscale("log")
    if errors["noise_floor"] is not None:
        floor = errors["noise_floor"]["mape_percent"]
        right.axhline(floor, color=FLOOR, linestyle=":", label="noise of the measurements")
    right.set(xlabel="samples fitted to", ylabel="mean relative error, %")
    right.set_ylim(bottom=0)
    right.legend(loc="upper right", frameon=False)
    for axes in (left, right):
        axes.grid(color="0.92")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    paths = [folder / f"accuracy.{kind}" for kind in ("pdf", "png", "csv")]
    write_text(paths[2], pairs.to_csv(index=False))
    # Without a date the same artifacts give the same bytes.
    for path, metadata in zip(paths, ({"CreationDate": None}, {}), strict=False):
        with atomic(path, "wb") as stream:
            figure.savefig(stream, format=path.suffix[1:], dpi=160, metadata=metadata)
    return paths

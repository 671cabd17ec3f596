"""The carbon footprint of searches."""

import textwrap
from pathlib import Path
from typing import Any

import pandas as pd

from hat.artifacts.missing import require_artifact
from hat.errors import InputError
from hat.report.style import Drawing, colour, new_figure

LABEL, CARBON, KIND = "method", "carbon_kg", "kind"


def cost_of(path: Path) -> Drawing:
    """Draw the carbon of each row of the table of costs, on a logarithmic scale.

    Args:
        path: results/tables/cost.csv, with the columns ``method``, ``carbon_kg``, ``kind`` (``estimated``,
            ``extrapolated`` or ``published``); ``task`` and ``device`` for rows of one task on one device.

    Raises:
        MissingArtifact: the table does not exist.
        InputError: a column is missing, or nothing has carbon above zero.
    """
    frame = pd.read_csv(require_artifact(path))
    if missing := [name for name in (LABEL, CARBON, KIND) if name not in frame]:
        raise InputError(f"{path}: has no column {', '.join(missing)}")
    shown = frame[pd.to_numeric(frame[CARBON], errors="coerce") > 0].iloc[::-1]
    if shown.empty:
        raise InputError(f"{path}, {CARBON}: no figure above 0")
    published = shown[KIND].eq("published").tolist()
    labels = [_label(row) for row in shown.to_dict("records")]
    figure = new_figure(width=7.0, height=0.5 * len(shown) + 1.2)
    (axes,) = figure.axes
    axes.barh(
        labels,
        shown[CARBON],
        color=["white" if one else colour(0) for one in published],
        edgecolor=colour(0),
        hatch=["///" if one else "" for one in published],
    )
    axes.set_xscale("log")
    axes.set(xlabel="CO2 equivalents, kg")
    axes.grid(visible=False, axis="y")
    hatched = " Hatched: published values, not measured here." if any(published) else ""
    caption = (
        "Estimated from the time and power of each stage, or extrapolated if the label says so. The scale is"
        f" logarithmic.{hatched} Data: {path}."
    )
    return Drawing(name="cost", title="Carbon footprint of search", caption=caption, figure=figure, data=frame)


def _label(row: dict[Any, Any]) -> str:
    """Return the task and device if the row has them, the method, and whether the value was estimated or published."""
    place = " on ".join(str(row[name]) for name in ("task", "device") if name in row and not pd.isna(row[name]))
    words = f"{place}: {row[LABEL]}" if place else str(row[LABEL])
    return "\n".join(textwrap.wrap(f"{words} ({row[KIND]})", 36))

"""What a search costs in carbon."""

import textwrap
from pathlib import Path
from typing import Any

import pandas as pd

from hat.artifacts.missing import require_artifact
from hat.errors import InputError
from hat.report.style import Drawing, colour, new_figure

LABEL, CARBON, KIND = "method", "carbon_kg", "kind"


def cost_of(path: Path) -> Drawing:
    """Carbon of what the table of costs lists, on a logarithmic scale.

    Args:
        path: results/tables/cost.csv, with the columns ``method``, ``carbon_kg``, ``kind`` (``estimated``,
            ``extrapolated`` or ``published``) and, where they are of one, ``task`` and ``device``.

    Raises:
        MissingArtifact: there is no such table.
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
    hatched = " Hatched: published figures, not measured here." if any(published) else ""
    caption = (
        "Estimates from the time that stages took, and extrapolations where it is said, on a logarithmic scale."
        f"{hatched} Data: {path}."
    )
    return Drawing(name="cost", title="Cost in carbon", caption=caption, figure=figure, data=frame)


def _label(row: dict[Any, Any]) -> str:
    """Method, where it is of one the task and device, and whether somebody ran that."""
    place = " on ".join(str(row[name]) for name in ("task", "device") if name in row and not pd.isna(row[name]))
    words = f"{place}: {row[LABEL]}" if place else str(row[LABEL])
    return "\n".join(textwrap.wrap(f"{words} ({row[KIND]})", 36))

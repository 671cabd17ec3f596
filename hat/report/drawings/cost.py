"""What a search costs in carbon."""

from pathlib import Path

import pandas as pd

from hat.errors import InputError
from hat.report.lacking import needed
from hat.report.style import Drawing, colour, new_figure

LABEL, CARBON, SOURCE = "what", "carbon_kg", "source"


def cost_of(path: Path) -> Drawing:
    """Carbon of what the table of costs lists, on a logarithmic scale.

    Args:
        path: results/tables/cost.csv, with the columns ``what``, ``carbon_kg`` and, where some figures are of others,
            ``source`` (``published`` for these).

    Raises:
        Lacking: there is no such table.
        InputError: a column is missing, or nothing has carbon above zero.
    """
    frame = pd.read_csv(needed(path))
    if missing := [name for name in (LABEL, CARBON) if name not in frame]:
        raise InputError(f"{path}: has no column {', '.join(missing)}")
    shown = frame[pd.to_numeric(frame[CARBON], errors="coerce") > 0].iloc[::-1]
    if shown.empty:
        raise InputError(f"{path}, {CARBON}: no figure above 0")
    published = shown[SOURCE].eq("published") if SOURCE in shown else pd.Series(False, index=shown.index)
    figure = new_figure(height=0.34 * len(shown) + 1.2)
    (axes,) = figure.axes
    axes.barh(
        shown[LABEL].astype(str),
        shown[CARBON],
        color=["white" if one else colour(0) for one in published],
        edgecolor=colour(0),
        hatch=["///" if one else "" for one in published],
    )
    axes.set_xscale("log")
    axes.set(xlabel="CO2 equivalents, kg")
    axes.grid(visible=False, axis="y")
    hatched = " Hatched: published figures." if published.any() else ""
    caption = f"Estimates from measured time and power, logarithmic.{hatched} Data: {path}."
    return Drawing(name="cost", title="Cost in carbon", caption=caption, figure=figure, data=frame)

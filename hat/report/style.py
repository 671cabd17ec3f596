"""The one style of all figures, and the files of each: PDF, PNG, the data as CSV, the caption."""

import textwrap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from hat.artifacts.files import atomic, write_text
from hat.report.names import FIGURE_FILES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito: told apart by people with every kind of colour vision, and in print by the markers.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000", "#999999")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<")
KINDS = FIGURE_FILES
SETTINGS: dict[Any, Any] = {
    "font.size": 9.5,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "0.92",
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.4,
}
DPI = 160
# Characters of a caption on an inch of the figure's width, and inches of one of its lines.
CAPTION_CHARACTERS, CAPTION_INCHES = 17.5, 0.155


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A figure that was drawn.

    Args:
        name: of its files, without the ending.
        title: one line.
        caption: what it shows, and which data.
        figure: the figure.
        data: exactly what is shown, a row for each mark.
    """

    name: str
    title: str
    caption: str
    figure: "Figure"
    data: pd.DataFrame


def colour(number: int) -> str:
    """Colour of the ``number``-th series."""
    return COLOURS[number % len(COLOURS)]


def marker(number: int) -> str:
    """Marker of the ``number``-th series."""
    return MARKERS[number % len(MARKERS)]


@contextmanager
def styled() -> Iterator[None]:
    """Draw in the style of this project, without a display."""
    import matplotlib

    matplotlib.use("Agg")
    with matplotlib.rc_context(SETTINGS):
        yield


def new_figure(columns: int = 1, rows: int = 1, *, width: float = 6.0, height: float = 4.2) -> "Figure":
    """An empty figure with a grid of axes, ``width`` by ``height`` inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", dpi=DPI)
    figure.subplots(rows, columns, squeeze=False)
    return figure


def plain(axes: "Axes") -> None:
    """Leave only what is drawn: no frame, ticks or grid."""
    axes.set_axis_off()
    axes.grid(visible=False)


def named_points(axes: "Axes", points: Iterable[tuple[float, float, str]]) -> None:
    """Write names beside points, x, y and name; neighbours' in turn below and above, so that they do not meet."""
    for number, (x, y, name) in enumerate(sorted(points)):
        axes.annotate(
            name,
            (x, y),
            xytext=(4, -11 if number % 2 == 0 else 5),
            textcoords="offset points",
            fontsize=7.5,
            color="0.35",
        )


def save(folder: Path, drawing: Drawing) -> list[Path]:
    """Write the figure, its data and its caption.

    Without dates the same artifacts give the same bytes.

    Returns:
        The files.
    """
    figure = drawing.figure
    width, height = figure.get_size_inches()
    lines = textwrap.wrap(drawing.caption, int(CAPTION_CHARACTERS * width))
    # Room below for the caption, so that a picture that is passed on alone still says what it shows.
    room = CAPTION_INCHES * len(lines) + 0.1
    figure.set_size_inches(width, height + room)
    share = room / (height + room)
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.set(rect=(0, share, 1, 1 - share))  # type: ignore[call-arg]
    figure.suptitle(drawing.title, fontsize=11)
    figure.text(0.012, 0.04 / (height + room), "\n".join(lines), fontsize=7.5, color="0.25", va="bottom")
    write_text(folder / f"{drawing.name}.csv", drawing.data.to_csv(index=False))
    write_text(folder / f"{drawing.name}.txt", f"{drawing.title}\n\n{drawing.caption}\n")
    # Laid out once for both files.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    metadata: dict[str, dict[str, Any]] = {
        "pdf": {"CreationDate": None, "Title": drawing.title, "Subject": drawing.caption},
        "png": {"Title": drawing.title, "Description": drawing.caption, "Software": None},
    }
    for kind, content in metadata.items():
        with atomic(folder / f"{drawing.name}.{kind}", "wb") as stream:
            figure.savefig(stream, format=kind, dpi=DPI, metadata=content)
    return [folder / f"{drawing.name}.{kind}" for kind in KINDS]

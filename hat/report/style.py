"""The common style of all figures, and the files of each: PDF, PNG, data as CSV, caption."""

import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from hat.artifacts.files import atomic, write_text
from hat.report.labels import Label, written
from hat.report.names import FIGURE_FILES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito: distinct for every kind of colour vision; in grey print, markers tell series apart.
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
    # Names inside an SVG are the same on every run.
    "svg.hashsalt": "hat",
}
DPI = 160
# Characters of a caption per inch of the figure's width, and the height of a line in inches.
CAPTION_CHARACTERS, CAPTION_INCHES = 17.5, 0.155
# Characters of a legend per inch, and characters that the mark of an entry takes.
LEGEND_CHARACTERS, LEGEND_MARK = 13, 7


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A figure that was drawn.

    Args:
        name: name of its files, without the ending.
        title: one line.
        caption: what the figure shows, and the source of the data.
        figure: the figure.
        data: exactly what is shown, a row for each mark.
        labels: names beside marks.
    """

    name: str
    title: str
    caption: str
    figure: "Figure"
    data: pd.DataFrame
    labels: Sequence[Label] = ()


def colour(number: int) -> str:
    """Return the colour of the ``number``-th series."""
    return COLOURS[number % len(COLOURS)]


def marker(number: int) -> str:
    """Return the marker of the ``number``-th series."""
    return MARKERS[number % len(MARKERS)]


@contextmanager
def styled() -> Iterator[None]:
    """Draw in the common style, without a display."""
    import matplotlib

    matplotlib.use("Agg")
    with matplotlib.rc_context(SETTINGS):
        yield


def new_figure(columns: int = 1, rows: int = 1, *, width: float = 6.0, height: float = 4.2) -> "Figure":
    """Return an empty figure with a grid of axes, ``width`` by ``height`` inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", dpi=DPI)
    figure.subplots(rows, columns, squeeze=False)
    return figure


def plain(axes: "Axes") -> None:
    """Remove frame, ticks and grid."""
    axes.set_axis_off()
    axes.grid(visible=False)


def legend(axes: "Axes", *, title: str | None = None, columns: int = 1) -> None:
    """Put the legend above the axes, where it hides nothing.

    Args:
        axes: axes whose marks the legend explains.
        title: title of the legend.
        columns: number of axes beside each other in the figure.
    """
    lengths = sorted(LEGEND_MARK + len(label) for label in axes.get_legend_handles_labels()[1])
    figure = axes.get_figure(root=True)
    assert figure is not None, "axes belong to a figure"
    room = LEGEND_CHARACTERS * figure.get_figwidth() / columns
    fitting = [count for count in range(1, len(lengths) + 1) if sum(lengths[-count:]) <= room]
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1),
        borderaxespad=0.2,
        ncols=max(fitting, default=1),
        columnspacing=1.4,
        title=title,
        alignment="left",
    )


@contextmanager
def _laid_out(drawing: Drawing) -> Iterator[None]:
    """Lay a figure out once for all its files, and write the labels of its marks."""
    figure = drawing.figure
    engine = figure.get_layout_engine()
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    with written(drawing.labels):
        yield
    figure.set_layout_engine(engine)


def picture(drawing: Drawing) -> bytes:
    """Return the figure as SVG, without title and caption, for a page that has both beside it."""
    stream = BytesIO()
    with _laid_out(drawing):
        drawing.figure.savefig(stream, format="svg", dpi=DPI, metadata={"Date": None, "Creator": None})
    return stream.getvalue()


def save(folder: Path, drawing: Drawing) -> list[Path]:
    """Write the figure with title and caption, and its data and its caption.

    The files hold no dates, so that the same artifacts give the same bytes.

    Returns:
        The files.
    """
    figure = drawing.figure
    width, height = figure.get_size_inches()
    lines = textwrap.wrap(drawing.caption, int(CAPTION_CHARACTERS * width), break_on_hyphens=False)
    # Leave room for the caption, so that the picture explains itself when it is shared alone.
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
    metadata: dict[str, dict[str, Any]] = {
        "pdf": {"CreationDate": None, "Title": drawing.title, "Subject": drawing.caption},
        "png": {"Title": drawing.title, "Description": drawing.caption, "Software": None},
    }
    with _laid_out(drawing):
        for kind, content in metadata.items():
            with atomic(folder / f"{drawing.name}.{kind}", "wb") as stream:
                figure.savefig(stream, format=kind, dpi=DPI, metadata=content)
    return [folder / f"{drawing.name}.{kind}" for kind in KINDS]

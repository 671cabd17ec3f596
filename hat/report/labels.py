"""Names beside the marks of a figure, placed where they hide nothing."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from math import cos, pi, sin
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.path import Path
    from matplotlib.text import Annotation
    from matplotlib.transforms import Bbox

# Where a label may stand around its mark: distances in points, and the number of directions.
DISTANCES, DIRECTIONS = (5, 9, 15, 22), 16
# Costs of a label's position, in points of distance.
OUTSIDE, ON_A_MARK, ON_A_LINE, ON_A_DOTTED_LINE = 1e6, 1e3, 25, 8
POINTS_PER_INCH = 72


@dataclass(frozen=True)
class Label:
    """The name of a mark.

    Args:
        axes: axes of the mark.
        x: position of the mark, in data coordinates.
        y: position of the mark, in data coordinates.
        text: the name.
    """

    axes: "Axes"
    x: float
    y: float
    text: str


@contextmanager
def written(labels: Sequence[Label]) -> "Iterator[list[Annotation]]":
    """Write labels beside their marks in a figure whose layout is final, and remove them at the end."""
    texts: list[Annotation] = []
    try:
        for label in labels:
            texts.append(_write(label, [text.get_window_extent() for text in texts]))
        yield texts
    finally:
        for text in texts:
            text.remove()


def _write(label: Label, taken: "Sequence[Bbox]") -> "Annotation":
    """Write a label inside the axes, off marks and other labels, on as few lines as possible, near its mark.

    Args:
        label: the label to write.
        taken: boxes of other labels, in pixels.
    """
    from matplotlib.patheffects import withStroke

    axes, (marks, lines) = label.axes, obstacles(label.axes)
    text = axes.annotate(
        label.text,
        (label.x, label.y),
        xytext=(0, 0),
        textcoords="offset points",
        ha="center",
        va="center",
        fontsize=7.5,
        color="0.25",
        path_effects=[withStroke(linewidth=2, foreground="white")],
    )
    centred = text.get_window_extent()
    pixels = axes.figure.dpi / POINTS_PER_INCH
    hidden = [*marks, *taken]

    def cost(place: tuple[float, float, int]) -> float:
        right, up, distance = place
        box = centred.translated(right * pixels, up * pixels)
        outside = not (axes.bbox.fully_contains(*box.p0) and axes.bbox.fully_contains(*box.p1))
        crossed = sum(weight for path, weight in lines if path.intersects_bbox(box, filled=False))
        return OUTSIDE * outside + ON_A_MARK * box.count_overlaps(hidden) + crossed + distance

    angles = [2 * pi * number / DIRECTIONS for number in range(DIRECTIONS)]
    places = [
        (
            cos(angle) * (centred.width / pixels / 2 + distance),
            sin(angle) * (centred.height / pixels / 2 + distance),
            distance,
        )
        for distance in DISTANCES
        for angle in angles
    ]
    right, up, _ = min(places, key=cost)
    text.set_position((right, up))
    return text


def obstacles(axes: "Axes") -> "tuple[list[Bbox], list[tuple[Path, float]]]":
    """Return the boxes of all marks and the lines between them, each with the cost of a label on it, in pixels."""
    from matplotlib.collections import LineCollection
    from matplotlib.path import Path
    from matplotlib.transforms import Bbox

    marks: list[Bbox] = []
    lines: list[tuple[Path, float]] = []
    for line in axes.lines:
        spots = line.get_transform().transform(line.get_xydata())
        if line.get_marker() not in (None, "None", "", " "):
            half = line.get_markersize() * axes.figure.dpi / POINTS_PER_INCH / 2
            marks += [Bbox([spot - half, spot + half]) for spot in spots]
        if line.get_linestyle() != "None":
            weight = ON_A_DOTTED_LINE if line.get_linestyle() == ":" else ON_A_LINE
            lines += [(Path(np.array(ends)), weight) for ends in pairwise(spots)]
    for bars in axes.collections:
        if isinstance(bars, LineCollection):
            lines += [(Path(bars.get_transform().transform(ends)), ON_A_LINE) for ends in bars.get_segments()]
    return marks, lines

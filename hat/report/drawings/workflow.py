"""The rules of the workflow and the order in which they run, from Snakemake's own graph."""

import re
import textwrap
from itertools import pairwise
from pathlib import Path
from statistics import fmean

import pandas as pd

from hat.artifacts.missing import require_artifact
from hat.errors import InputError
from hat.report.style import Drawing, colour, new_figure, plain

NODE = re.compile(r'^\s*(\d+)\[label = "([^"\\]+)')
EDGE = re.compile(r"^\s*(\d+) -> (\d+)")
SWEEPS = 8
# Half the height of a box, and room beside it, in ranks.
HALF = 0.24
# An arrow over several ranks, named by its ends, where it passes through a rank.
Bend = tuple[str, str]


def workflow_of(path: Path) -> Drawing:
    """Draw the rule graph.

    Args:
        path: file with the output of ``snakemake --rulegraph dot``.

    Raises:
        MissingArtifact: the file does not exist.
        InputError: the file holds no graph.
    """
    edges = read_graph(require_artifact(path, Path("figures")))
    names = sorted({name for edge in edges for name in edge})
    shown = [edge for edge in edges if not _implied(*edge, edges)]
    ranks = _ranks(names, edges, shown)
    widest = max(map(len, ranks))
    figure = new_figure(width=max(4.5, 2.0 * widest), height=0.62 * len(ranks) + 0.4)
    (axes,) = figure.axes
    plain(axes)
    places: dict[str, tuple[float, int]] = {}
    bends: dict[Bend, list[tuple[float, int]]] = {edge: [] for edge in shown}
    for number, rank in enumerate(ranks):
        for place, name in enumerate(rank):
            spot = ((widest - len(rank)) / 2 + place, number)
            if isinstance(name, str):
                places[name] = spot
            else:
                bends[name].append(spot)
    for first, second in shown:
        (x, y), (end, below) = places[first], places[second]
        way = [(x, y + HALF), *bends[first, second], (end, below - HALF)]
        axes.plot(*zip(*way[:-1], strict=True), color="0.55", linewidth=1, zorder=1)
        arrow = {"arrowstyle": "-|>", "color": "0.55", "shrinkA": 0, "shrinkB": 0, "linewidth": 1}
        axes.annotate("", way[-1], way[-2], zorder=1, arrowprops=arrow)
    for name, (x, y) in places.items():
        label = "\n".join(textwrap.wrap(name.replace("_", " "), 26))
        axes.text(
            x,
            y,
            label,
            ha="center",
            va="center",
            fontsize=8.5,
            zorder=2,
            bbox={"boxstyle": "round,pad=0.4", "facecolor": "white", "edgecolor": colour(0), "linewidth": 1.2},
        )
    axes.set_xlim(-0.6, widest - 0.4)
    axes.set_ylim(len(ranks) - 0.5, -0.5)
    caption = (
        "Rules from top to bottom. An arrow leads from a rule to one that reads its artifacts; arrows that others imply"
        f" are left out. Data: {path}, printed by Snakemake."
    )
    data = pd.DataFrame(edges, columns=["rule", "handed_to"])
    return Drawing(name="workflow", title="The workflow", caption=caption, figure=figure, data=data)


def read_graph(path: Path) -> list[tuple[str, str]]:
    """Return the edges of a rule graph: a rule, and a rule that reads its output.

    Raises:
        InputError: the file holds no graph.
    """
    names: dict[str, str] = {}
    numbered = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if match := NODE.match(line):
            names[match[1]] = match[2]
        elif match := EDGE.match(line):
            numbered.append((match[1], match[2]))
    if not numbered or not {end for edge in numbered for end in edge} <= set(names):
        raise InputError(f"{path}: holds no graph, expected what `snakemake --rulegraph dot` prints")
    return sorted({(names[first], names[second]) for first, second in numbered})


def _ranks(names: list[str], edges: list[Bend], shown: list[Bend]) -> list[list[str | Bend]]:
    """Rank rules by the longest path to them, and order each rank so that few arrows cross (barycentres).

    An arrow that spans several ranks gets its own slot in the ranks between, so that it passes beside their rules.
    """
    depth = dict.fromkeys(names, 0)
    for _ in names:
        for first, second in edges:
            depth[second] = max(depth[second], depth[first] + 1)
    # A rule without inputs stands just above the first rule that reads its output.
    for name in {first for first, _ in edges} - {second for _, second in edges}:
        depth[name] = min(depth[second] for first, second in edges if first == name) - 1
    ranks: list[list[str | Bend]] = [
        [name for name in names if depth[name] == number] for number in range(max(depth.values()) + 1)
    ]
    # For each rank: the neighbours of its rules and arrows in the ranks above and below.
    near: list[dict[str | Bend, list[tuple[int, str | Bend]]]] = [{name: [] for name in rank} for rank in ranks]
    for edge in shown:
        first, second = edge
        way: list[str | Bend] = [first, *[edge] * (depth[second] - depth[first] - 1), second]
        for number, (above, below) in enumerate(pairwise(way), start=depth[first]):
            near[number].setdefault(above, []).append((number + 1, below))
            near[number + 1].setdefault(below, []).append((number, above))
    ranks = [list(joined) for joined in near]
    place = {(number, name): at - len(rank) / 2 for number, rank in enumerate(ranks) for at, name in enumerate(rank)}
    # Order downwards by the neighbours above, then upwards by those below.
    for step in SWEEPS * (1, -1):
        for number, rank in list(enumerate(ranks))[::step]:
            joined = {name: [one for one in near[number][name] if one[0] == number - step] for name in rank}
            wanted = {name: fmean([place[one] for one in joined[name]] or [place[number, name]]) for name in rank}
            rank.sort(key=lambda name: (wanted[name], str(name)))
            place |= {(number, name): at - len(rank) / 2 for at, name in enumerate(rank)}
    return ranks


def _implied(first: str, second: str, edges: list[tuple[str, str]]) -> bool:
    """Whether a longer path leads from the first rule to the second."""
    reached, front = set(), {b for a, b in edges if a == first and b != second}
    while front:
        reached |= front
        front = {b for a, b in edges if a in front} - reached
    return second in reached

"""The workflow itself: its rules and what they hand on, drawn from Snakemake's own graph."""

import re
import textwrap
from pathlib import Path

import pandas as pd

from hat.errors import InputError
from hat.lacking import needed
from hat.report.style import Drawing, colour, new_figure, plain

NODE = re.compile(r'^\s*(\d+)\[label = "([^"\\]+)')
EDGE = re.compile(r"^\s*(\d+) -> (\d+)")
SWEEPS = 8


def workflow_of(path: Path) -> Drawing:
    """The rule graph.

    Args:
        path: what ``snakemake --rulegraph dot`` printed.

    Raises:
        Lacking: there is no such file.
        InputError: it holds no graph.
    """
    edges = read_graph(needed(path, Path("figures")))
    names = sorted({name for edge in edges for name in edge})
    ranks = _ranks(names, edges)
    widest = max(map(len, ranks))
    figure = new_figure(width=max(4.5, 2.0 * widest), height=0.62 * len(ranks) + 0.4)
    (axes,) = figure.axes
    plain(axes)
    places = {
        name: ((widest - len(rank)) / 2 + place, number)
        for number, rank in enumerate(ranks)
        for place, name in enumerate(rank)
    }
    for first, second in edges:
        if not _implied(first, second, edges):
            axes.annotate(
                "",
                places[second],
                places[first],
                zorder=1,
                arrowprops={"arrowstyle": "-|>", "color": "0.55", "shrinkA": 11, "shrinkB": 11, "linewidth": 1},
            )
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
        "Rules from top to bottom; an arrow hands artifacts on. Arrows that others imply are left out. Data:"
        f" {path}, which Snakemake printed."
    )
    data = pd.DataFrame(edges, columns=["rule", "handed_to"])
    return Drawing(name="workflow", title="The workflow", caption=caption, figure=figure, data=data)


def read_graph(path: Path) -> list[tuple[str, str]]:
    """Edges of a rule graph: the rule, and the rule that takes its output.

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


def _ranks(names: list[str], edges: list[tuple[str, str]]) -> list[list[str]]:
    """Rules by the longest way to them, each rank ordered so that few arrows cross (barycentres)."""
    depth = dict.fromkeys(names, 0)
    for _ in names:
        for first, second in edges:
            depth[second] = max(depth[second], depth[first] + 1)
    # What needs nothing stands just above what needs it.
    for name in {first for first, _ in edges} - {second for _, second in edges}:
        depth[name] = min(depth[second] for first, second in edges if first == name) - 1
    ranks = [[name for name in names if depth[name] == number] for number in range(max(depth.values()) + 1)]
    near: dict[str, list[str]] = {name: [] for name in names}
    for first, second in edges:
        near[first].append(second)
        near[second].append(first)
    for _ in range(SWEEPS):
        place = {name: number - len(rank) / 2 for rank in ranks for number, name in enumerate(rank)}
        wanted = {name: sum(place[other] for other in others) / len(others) for name, others in near.items()}
        for rank in ranks:
            rank.sort(key=lambda name: (wanted[name], name))
    return ranks


def _implied(first: str, second: str, edges: list[tuple[str, str]]) -> bool:
    """Whether there is a longer way between two rules that are joined."""
    reached, front = set(), {b for a, b in edges if a == first and b != second}
    while front:
        reached |= front
        front = {b for a, b in edges if a in front} - reached
    return second in reached

"""Drawings of Architectures side by side."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from hat.artifacts.missing import MissingArtifact
from hat.config.scope import DeviceScope
from hat.report.rows import known_architecture, model_names
from hat.report.style import Drawing, colour, new_figure, plain
from hat.space.architecture import Architecture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# As many as fit on a page.
MOST = 12
PER_ROW = 4
# Largest width and height of a layer's box, and the distance of layers, in units of the drawing.
WIDEST, HIGH, STEP = 1.0, 0.7, 1.0
ENCODER, DECODER = 0.0, 1.75


def networks_of(scopes: Sequence[DeviceScope], among: Sequence[str] = ()) -> Drawing:
    """Draw the Architectures found for a task, for each device and budget.

    Raises:
        MissingArtifact: no Architecture was found yet.
    """
    found: dict[str, Architecture] = {}
    for scope in scopes:
        for name in model_names(scope, among):
            architecture = known_architecture(scope.of(name))
            if isinstance(architecture, Architecture) and name not in scope.settings.baselines:
                found[f"{scope.device}, {name}"] = architecture
    first = scopes[0]
    if not found:
        raise MissingArtifact(
            f"an Architecture found for {first.task}", f"{first.device_folder}/BUDGET/architecture.json"
        )
    files = f"{first.results.root}/{first.task}/*/*/architecture.json"
    return networks(found, f"Architectures found for {first.task}", f"Data: {files}")


def networks(found: Mapping[str, Architecture], title: str, data: str) -> Drawing:
    """Draw Architectures side by side, on the same scale.

    Args:
        found: the Architectures, by their titles.
        title: title of the figure.
        data: the source of the data, for the caption.
    """
    shown = dict(list(found.items())[:MOST])
    columns = min(len(shown), PER_ROW)
    rows = -(-len(shown) // columns)
    layers = max(max(one.encoder_layers, one.decoder_layers) for one in shown.values())
    widest = max(max(*one.encoder_ffn_dim, *one.decoder_ffn_dim) for one in shown.values())
    figure = new_figure(columns, rows, width=max(3.8, 3.0 * columns), height=rows * (0.5 * layers + 1.3))
    for axes in figure.axes:
        plain(axes)
    for axes, (name, architecture) in zip(figure.axes, shown.items(), strict=False):
        _network(axes, architecture, layers, widest)
        axes.set_title(name)
    table = pd.DataFrame([{"network": name, **_flat(architecture)} for name, architecture in found.items()])
    left = "" if len(shown) == len(found) else f" The first {MOST} of {len(found)} are drawn."
    caption = (
        "Encoder on the left, decoder on the right, inputs at the bottom. A box is a layer. The upper number is its"
        " feed-forward width, which sets the width of the box; below are its attention heads (decoder: self-attention,"
        f" cross-attention). A line joins a decoder layer to an encoder layer that it attends to.{left} {data}."
    )
    return Drawing(name="architectures", title=title, caption=caption, figure=figure, data=table)


def _network(axes: "Axes", network: Architecture, layers: int, widest: int) -> None:
    from matplotlib.patches import FancyBboxPatch

    def half(ffn_dim: int) -> float:
        return max(0.25, ffn_dim / widest) * WIDEST / 2

    def box(centre: float, layer: int, ffn_dim: int, text: str, number: int) -> None:
        width = 2 * half(ffn_dim)
        axes.add_patch(
            FancyBboxPatch(
                (centre - width / 2, layer * STEP),
                width,
                HIGH,
                boxstyle="round,pad=0,rounding_size=0.08",
                facecolor=colour(number),
                alpha=0.28,
                edgecolor=colour(number),
                linewidth=1,
                zorder=2,
            )
        )
        axes.text(
            centre, layer * STEP + HIGH / 2, text, ha="center", va="center", fontsize=6.5, linespacing=1.1, zorder=3
        )

    for layer, (ffn_dim, heads) in enumerate(zip(network.encoder_ffn_dim, network.encoder_heads, strict=True)):
        box(ENCODER, layer, ffn_dim, f"{ffn_dim}\n{heads}", 0)
    for layer, (ffn_dim, own, cross, span) in enumerate(
        zip(
            network.decoder_ffn_dim,
            network.decoder_self_heads,
            network.decoder_cross_heads,
            network.decoder_cross_span,
            strict=True,
        )
    ):
        box(DECODER, layer, ffn_dim, f"{ffn_dim}\n{own}, {cross}", 1)
        for back in range(min(span, network.encoder_layers)):
            source = network.encoder_layers - 1 - back
            axes.plot(
                (ENCODER + half(network.encoder_ffn_dim[source]), DECODER - half(ffn_dim)),
                (source * STEP + HIGH / 2, layer * STEP + HIGH / 2),
                color="0.55",
                linewidth=0.8,
                zorder=1,
            )
    for centre, name, width in (
        (ENCODER, "encoder", network.encoder_embed_dim),
        (DECODER, "decoder", network.decoder_embed_dim),
    ):
        axes.text(centre, -0.35, f"{name}\nwidth {width}", ha="center", va="top", fontsize=7.5)
    axes.set_xlim(ENCODER - 0.65, DECODER + 0.65)
    axes.set_ylim(-1.25, layers * STEP)


def _flat(architecture: Architecture) -> dict[str, Any]:
    values = architecture.to_dict()
    return {name: " ".join(map(str, value)) if isinstance(value, list) else value for name, value in values.items()}

"""All figures, from artifacts only: of a task on a device, of several devices, and of published data alone."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from hat.artifacts.files import write_json, write_text
from hat.artifacts.layout import Results
from hat.artifacts.missing import MissingArtifact
from hat.config.scope import DeviceScope
from hat.config.settings import Settings
from hat.errors import InputError
from hat.report.drawings.cost import cost_of
from hat.report.drawings.latency import dimensions, dimensions_of, predictor_of, predictor_of_published
from hat.report.drawings.networks import networks, networks_of
from hat.report.drawings.quality import inherited_of, published_points, trade_off, trade_off_of
from hat.report.drawings.search import search_of
from hat.report.drawings.training import training_of
from hat.report.drawings.workflow import workflow_of
from hat.report.published import LENGTH, latency_files, read_latencies, read_models
from hat.report.rows import device_scopes, model_names, rows_of
from hat.report.style import KINDS, Drawing, picture, save, styled
from hat.space.architecture import Architecture
from hat.workflow.snakemake import SNAKEFILE, rule_graph

INDEX = "figures.json"
# The rule graph as Snakemake prints it, in the folder of figures.
GRAPH = "workflow.dot"
# The rule graph shows this baseline, which every Runtime can execute.
REFERENCE = "transformer-base"


class Gallery:
    """Draws figures into a folder, notes which artifacts are missing, and writes an index of both.

    Args:
        folder: folder of the figures.
        with_pictures: keep each figure without title and caption, too, for a page that writes these itself.
    """

    def __init__(self, folder: Path, *, with_pictures: bool = False) -> None:
        self.folder = folder
        self.with_pictures = with_pictures
        # SVG files, by the figures' names.
        self.pictures: dict[str, bytes] = {}
        self.drawn: list[dict[str, Any]] = []
        self.lacking: list[dict[str, str]] = []

    def add(self, name: str, draw: Callable[[], Drawing]) -> None:
        """Draw a figure, or note the target that makes what is missing."""
        try:
            with styled():
                drawing = draw()
                if self.with_pictures:
                    self.pictures[name] = picture(drawing)
                save(self.folder, drawing)
        except MissingArtifact as error:
            self.lacking.append({"name": name, "missing": error.missing, "target": error.target})
            # A figure from an earlier run shows an artifact that no longer exists.
            for kind in KINDS:
                (self.folder / f"{name}.{kind}").unlink(missing_ok=True)
        else:
            self.drawn.append({"name": drawing.name, "title": drawing.title, "caption": drawing.caption})

    def write(self) -> None:
        """Write the index."""
        if self.drawn or self.lacking:
            write_json(self.folder / INDEX, {"figures": self.drawn, "lacking": self.lacking})

    @property
    def files(self) -> list[Path]:
        """Files of all figures that were drawn."""
        return [self.folder / f"{figure['name']}.{kind}" for figure in self.drawn for kind in KINDS]

    def sentences(self) -> list[str]:
        """Say which figures could not be drawn, and which targets make what is missing."""
        return [
            f"{self.folder}/{one['name']}: {one['missing']} is missing; `snakemake {one['target']}` makes it"
            for one in self.lacking
        ]


def draw_figures(scope: DeviceScope, budgets: Sequence[str], *, with_pictures: bool = False) -> Gallery:
    """Draw the figures of a task on a device into results/figures/TASK-DEVICE.

    Args:
        scope: the task and the device.
        budgets: budgets and baselines to show; if empty, all that have artifacts.
        with_pictures: as for :class:`Gallery`.

    Returns:
        What was drawn and what is missing.

    Raises:
        InputError: a name is unknown, or an artifact is malformed.
    """
    scope.check()
    for budget in budgets:
        scope.settings.limit_ms(budget)
    among = (*budgets, *scope.settings.baselines) if budgets else ()
    names, rows = model_names(scope, among), rows_of(scope, among)
    gallery = Gallery(scope.results.figures / f"{scope.task}-{scope.device}", with_pictures=with_pictures)
    gallery.add("latency-dimensions", lambda: dimensions_of(scope))
    gallery.add("predictor", lambda: predictor_of(scope))
    gallery.add("trade-off", lambda: trade_off_of(scope, rows))
    gallery.add("architectures", lambda: networks_of([scope], among))
    gallery.add("search", lambda: search_of(scope, names))
    gallery.add("inherited", lambda: inherited_of(scope, rows))
    gallery.add("training", lambda: training_of(scope, names))
    gallery.write()
    return gallery


def draw_all(settings: Settings, results: Results, *, with_pictures: bool = False) -> list[Gallery]:
    """Draw everything that the configuration's ``report`` covers.

    Args:
        settings: the configuration.
        results: where the artifacts are.
        with_pictures: as for :class:`Gallery`.

    Returns:
        What was drawn and what is missing, folder by folder.

    Raises:
        InputError: a name is unknown, or an artifact is malformed.
    """
    chosen = settings.configuration.report
    scopes = device_scopes(settings, results)
    galleries = [draw_figures(scope, chosen.budgets, with_pictures=with_pictures) for scope in scopes]
    shared = Gallery(results.figures / "overall", with_pictures=with_pictures)
    if SNAKEFILE.exists():
        demo = settings.configuration.demo
        # The rules write to the default folder only.
        folder = Results().root / demo.task / demo.device
        names = ("100ms", "100ms/quantized-4bit", *({REFERENCE} & set(settings.baselines)))
        targets = [f"{folder}/{name}/bleu.txt" for name in names]
        write_text(results.figures / GRAPH, rule_graph([*targets, f"{folder}/100ms/latency.json"]))
    shared.add("workflow", lambda: workflow_of(results.figures / GRAPH))
    shared.add("cost", lambda: cost_of(results.tables / "cost.csv"))
    shared.write()
    galleries.append(shared)
    for task in dict.fromkeys(scope.task for scope in scopes):
        own = [scope for scope in scopes if scope.task == task]
        if len(own) > 1:
            gallery = Gallery(results.figures / "tasks" / task, with_pictures=with_pictures)
            gallery.add("architectures", partial(networks_of, own, chosen.budgets))
            gallery.write()
            galleries.append(gallery)
    galleries += _published(settings, results, with_pictures=with_pictures)
    if not any(gallery.drawn for gallery in galleries):
        raise InputError(f"{results.root}: nothing to draw yet; `snakemake` makes the demo")
    return galleries


def _published(settings: Settings, results: Results, *, with_pictures: bool) -> list[Gallery]:
    """Draw the figures that show only published data."""
    chosen = settings.configuration.report
    galleries = []
    for path in latency_files(chosen):
        gallery = Gallery(results.figures / "published" / path.stem, with_pictures=with_pictures)
        frame = read_latencies(path)
        said = (
            f"{len(frame):,} published networks, not measured here. Latencies are means, dimensions are averages over"
            f" layers, FLOPs are for {LENGTH} tokens. Data: {path}."
        )
        title = f"Latency of Transformers, published, {path.stem}"
        gallery.add("latency-dimensions", partial(dimensions, frame, title, said))
        gallery.add("predictor", partial(predictor_of_published, path))
        gallery.write()
        galleries.append(gallery)
    if chosen.published_models is None:
        return galleries
    rows = read_models(Path(chosen.published_models))
    for task, device in dict.fromkeys((row["task"], row["device"]) for row in rows):
        own = [row for row in rows if (row["task"], row["device"]) == (task, device)]
        gallery = Gallery(results.figures / "published" / f"{task}-{device}", with_pictures=with_pictures)
        title, data = f"{task} on {device}, published", f"Data: {chosen.published_models}"
        points = published_points([row for row in own if row["bleu"] is not None])
        if points:
            gallery.add(
                "trade-off",
                partial(trade_off, points, f"BLEU against latency, {title}", data),
            )
        drawable: dict[str, Architecture] = {
            f"{row['kind']}, {row['budget']}": row["architecture"] for row in own if row["architecture"] is not None
        }
        if drawable:
            gallery.add(
                "architectures",
                partial(networks, drawable, f"Architectures, {title}", data),
            )
        gallery.write()
        galleries.append(gallery)
    return galleries

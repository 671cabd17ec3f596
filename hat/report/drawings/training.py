"""Training curves: loss over updates of the SuperTransformer, SubTransformers and baselines."""

from pathlib import Path

import pandas as pd

from hat.artifacts.files import read_jsonl
from hat.artifacts.missing import MissingArtifact
from hat.config.scope import DeviceScope
from hat.report.style import Drawing, colour, legend, marker, new_figure


def training_of(scope: DeviceScope, names: list[str]) -> Drawing:
    """Draw training and validation loss of the SuperTransformer, SubTransformers and baselines.

    Raises:
        MissingArtifact: nothing was trained.
    """
    files = {"SuperTransformer": scope.supertransformer / "metrics.jsonl"}
    for name in names:
        files[name] = scope.of(name).trained / "metrics.jsonl"
    curves = {name: frame for name, path in files.items() if len(frame := _curve(path, name))}
    if not curves:
        target = scope.supertransformer / "metrics.jsonl"
        raise MissingArtifact(target, target)
    figure = new_figure()
    (axes,) = figure.axes
    for number, (name, frame) in enumerate(curves.items()):
        training, validation = (frame[frame["event"] == event] for event in ("train", "validate"))
        axes.plot(training["update"], training["nll"], color=colour(number), linewidth=0.7, alpha=0.45)
        axes.plot(
            validation["update"],
            validation["nll"],
            color=colour(number),
            marker=marker(number),
            markersize=4,
            label=name,
        )
    # The loss of untrained networks is far above everything else.
    later = pd.concat([frame[frame["update"] > 0] for frame in curves.values()])
    if len(later):
        low, high = later["nll"].quantile([0.0, 0.97])
        axes.set_ylim(low - 0.1, high + 0.4)
    axes.set(xlabel="update", ylabel="negative log-likelihood, nats a token")
    legend(axes)
    caption = (
        "With marks: validation split. Thin: training batches; for the SuperTransformer, each of a random Architecture."
        f" The first losses may lie above the figure. Data: {', '.join(str(files[name]) for name in curves)}."
    )
    data = pd.concat(curves.values(), ignore_index=True)
    title = f"Training, {scope.where}"
    return Drawing(name="training", title=title, caption=caption, figure=figure, data=data)


def _curve(path: Path, name: str) -> pd.DataFrame:
    rows = [
        {"network": name, "event": row["event"], "update": row["update"], "nll": row["nll"]}
        for row in read_jsonl(path)
        if row.get("event") in ("train", "validate") and "nll" in row
    ]
    return pd.DataFrame(rows)

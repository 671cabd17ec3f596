"""Verbs about published networks and about fairseq."""

from pathlib import Path
from typing import Annotated

import typer

from hat.cli.context import AsJson, TaskName, results_of, settings_of, task_scope
from hat.cli.verbs import family
from hat.system.console import print_figures, print_json, print_table

models = family("Use the networks published with the paper.")
fairseq = family("Exchange data and networks with fairseq.")

ModelName = Annotated[str, typer.Argument(metavar="NAME", help="Network, as listed by `hat models list`.")]


DeviceName = Annotated[str | None, typer.Argument(metavar="DEVICE", help="Device; the default target's if omitted.")]


def _device(context: typer.Context, device: str | None) -> str:
    return device or settings_of(context).configuration.demo.device


@models.command("list")
def _models_list(as_json: AsJson = False) -> None:
    """List the published networks with hardware, latency and scores."""
    from hat.published.catalogue import catalogue

    entries = list(catalogue().values())
    if as_json:
        print_json([entry.model_dump(mode="json") for entry in entries])
        return
    columns = ("hardware", "latency_ms", "bleu", "sacrebleu", "params_m", "flops_g")
    rows = [
        (entry.name, entry.task, *("-" if (value := getattr(entry, key)) is None else str(value) for key in columns))
        for entry in entries
    ]
    print_table("Published networks", ("name", "task", *columns), rows)


@models.command("get")
def _models_get(context: typer.Context, name: ModelName, as_json: AsJson = False) -> None:
    """Download a network to results/published/NAME and convert it."""
    from hat.published.stages import get

    print_figures(name, get(results_of(context), name), as_json=as_json)


@models.command("data")
def _models_data(context: typer.Context, task: TaskName) -> None:
    """Unpack a task's published splits to results/published/data/TASK."""
    from hat.published.stages import make_data

    print(make_data(task_scope(context, task)))


@models.command("export")
def _models_export(context: typer.Context, name: ModelName, device: DeviceName = None) -> None:
    """Write the folder to deploy."""
    from hat.published.stages import export

    print(export(settings_of(context), results_of(context), name, _device(context, device)))


@models.command("measure")
def _models_measure(
    context: typer.Context, name: ModelName, device: DeviceName = None, as_json: AsJson = False
) -> None:
    """Measure an exported network on a device."""
    from hat.artifacts.files import read_json
    from hat.published.stages import measure

    path = measure(settings_of(context), results_of(context), name, _device(context, device))
    print_figures(f"Latency of {name}", read_json(path), as_json=as_json)


@models.command("score")
def _models_score(context: typer.Context, name: ModelName, device: DeviceName = None, as_json: AsJson = False) -> None:
    """Translate the published test split and score the translations."""
    from hat.artifacts.files import read_json
    from hat.published.stages import score_published

    path = score_published(settings_of(context), results_of(context), name, _device(context, device))
    print_figures(f"Score of {name}", read_json(path), as_json=as_json)


@fairseq.command("data")
def _fairseq_data(
    context: typer.Context,
    task: TaskName,
    out: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to fill.")],
    as_json: AsJson = False,
) -> None:
    """Write a task's binarised splits under fairseq's names."""
    from hat.published.fairseq import write_data

    names = write_data(task_scope(context, task), out)
    print_json(names) if as_json else print("\n".join(names))


@fairseq.command("export")
def _fairseq_export(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of checkpoint.pt and config.json.")],
    out: Annotated[Path, typer.Argument(metavar="FILE", help="Checkpoint to write.")],
    as_json: AsJson = False,
) -> None:
    """Convert a SubTransformer for fairseq with hat/fairseq_plugin."""
    from hat.published.fairseq import write_checkpoint

    print_figures(str(out), write_checkpoint(folder, out, settings_of(context)), as_json=as_json)


@fairseq.command("import")
def _fairseq_import(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Checkpoint trained by fairseq with hat/fairseq_plugin.")
    ],
    out: Annotated[Path, typer.Argument(metavar="DIR", help="Folder for checkpoint.pt and config.json.")],
    as_json: AsJson = False,
) -> None:
    """Convert a SubTransformer that fairseq trained."""
    from hat.published.fairseq import read_checkpoint

    print_figures(str(out), read_checkpoint(file, out), as_json=as_json)

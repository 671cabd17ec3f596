"""Verbs about published networks and about fairseq."""

from pathlib import Path
from typing import Annotated

import typer

from hat.cli_context import AsJson, results_of, settings_of
from hat.console import print_figures, print_json, print_table

models = typer.Typer(no_args_is_help=True, help="The networks that were published with the paper.")
fairseq = typer.Typer(no_args_is_help=True, help="Exchange data and networks with fairseq itself.")

ModelName = Annotated[str, typer.Argument(metavar="NAME", help="As `hat models list` shows it.")]


@fairseq.command("data")
def _fairseq_data(
    context: typer.Context,
    task: Annotated[str, typer.Argument(metavar="TASK", help="Name of a file in config/tasks.")],
    out: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to fill.")],
    as_json: AsJson = False,
) -> None:
    """Put the binarised splits of a task into a folder under fairseq's names."""
    from hat.published.fairseq import write_data

    names = write_data(settings_of(context), results_of(context), task, out)
    print_json(names) if as_json else print("\n".join(names))


@fairseq.command("export")
def _fairseq_export(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of checkpoint.pt and config.json.")],
    out: Annotated[Path, typer.Argument(metavar="FILE", help="Checkpoint to write.")],
    as_json: AsJson = False,
) -> None:
    """Turn a SubTransformer into a checkpoint that fairseq loads with hat/fairseq_plugin."""
    from hat.published.fairseq import write_checkpoint

    print_figures(str(out), write_checkpoint(folder, out, settings_of(context)), as_json=as_json)


@fairseq.command("import")
def _fairseq_import(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Checkpoint that fairseq trained with hat/fairseq_plugin.")
    ],
    out: Annotated[Path, typer.Argument(metavar="DIR", help="Folder for checkpoint.pt and config.json.")],
    as_json: AsJson = False,
) -> None:
    """Turn a SubTransformer that fairseq trained into ours."""
    from hat.published.fairseq import read_checkpoint

    print_figures(str(out), read_checkpoint(file, out), as_json=as_json)

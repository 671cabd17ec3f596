"""Verbs about users' files: Architectures, the research code's checkpoints, the configuration."""

from pathlib import Path
from typing import Annotated

import typer

from hat.cli.context import AsJson, results_of, settings_of
from hat.cli.verbs import family
from hat.system.console import print_figures, print_json, print_table

convert = family("Convert networks to and from the research code's format.")
config = family("Check and describe the configuration.")


def profile(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Architecture file: JSON, an artifact, or published YAML.")
    ],
    length: Annotated[int, typer.Option(min=1, help="Count FLOPs for this many source and target tokens.")] = 30,
    task: Annotated[str | None, typer.Option(metavar="TASK", help="Use this task's space and dictionaries.")] = None,
    vocabulary: Annotated[int | None, typer.Option(min=1, help="Assume this many tokens in each dictionary.")] = None,
    qkv: Annotated[int | None, typer.Option(min=1, help="Assume this width of queries, keys and values.")] = None,
    as_json: AsJson = False,
) -> None:
    """Count parameters, FLOPs and memory of an Architecture."""
    from hat.report.profile import profile_file, table_rows

    figures = profile_file(
        file,
        results=results_of(context),
        settings=lambda: settings_of(context),
        length=length,
        task=task,
        vocabulary=vocabulary,
        qkv_dim=qkv,
    )
    if as_json:
        print_json(figures)
    else:
        print_table(str(file), ("", "in all", "without embeddings and last layer"), table_rows(figures))


@convert.command("import")
def _convert_import(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Checkpoint of the research code.")],
    out: Annotated[Path, typer.Argument(metavar="DIR", help="Folder for checkpoint.pt and config.json.")],
    architecture: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Extract this SubTransformer from a SuperTransformer.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Convert a checkpoint of the research code."""
    from hat.published.convert import import_checkpoint
    from hat.space.files import read_architecture

    chosen = None if architecture is None else read_architecture(architecture)
    print_figures(str(out), import_checkpoint(file, out, chosen), as_json=as_json)


@convert.command("export")
def _convert_export(
    context: typer.Context,
    checkpoint: Annotated[
        Path, typer.Argument(metavar="CHECKPOINT", help="This project's checkpoint.pt, or its folder.")
    ],
    out: Annotated[Path, typer.Argument(metavar="FILE", help="Checkpoint to write.")],
    as_json: AsJson = False,
) -> None:
    """Convert a checkpoint to the research code's format."""
    from hat.published.convert import export_checkpoint

    print_figures(str(out), export_checkpoint(checkpoint, out, lambda: settings_of(context)), as_json=as_json)


@convert.command("architecture")
def _convert_architecture(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Architecture file: JSON, an artifact, or published YAML.")
    ],
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="File to write: .json for this project, .yml as published.")
    ],
) -> None:
    """Convert an Architecture between published YAML and JSON."""
    from hat.space.files import read_architecture, write_architecture

    write_architecture(read_architecture(file), out)


@config.command("check")
def _config_check(context: typer.Context, as_json: AsJson = False) -> None:
    """Read everything in config/ and report all errors at once."""
    settings = settings_of(context)
    known = {kind: list(getattr(settings, kind)) for kind in ("tasks", "devices", "spaces", "baselines")}
    print_figures(f"{settings.folder}: no errors", known, as_json=as_json)


@config.command("default")
def _config_default() -> None:
    """Print the default config.yaml with comments."""
    from hat.config.documents import default_file

    print(default_file(), end="")


@config.command("schema")
def _config_schema(
    kind: Annotated[str, typer.Argument(help="Kind of file: config, task, space, device or baseline.")] = "config",
) -> None:
    """Print the JSON schema of a configuration file."""
    from hat.config.documents import schema

    print_json(schema(kind))


@config.command("docs")
def _config_docs(context: typer.Context) -> None:
    """Regenerate the default config.yaml, the schemas and the key tables."""
    from hat.config.documents import write_all

    for path in write_all(context.obj[2]):
        print(path)

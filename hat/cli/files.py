"""Verbs about files that people bring: Architectures, the research code's checkpoints, the configuration."""

from pathlib import Path
from typing import Annotated

import typer

from hat.cli.context import AsJson, results_of, settings_of
from hat.system.console import print_figures, print_json, print_table

convert = typer.Typer(no_args_is_help=True, help="Exchange networks with the research code.")
config = typer.Typer(no_args_is_help=True, help="Check and describe the configuration.")


def profile(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Architecture: ours, an artifact, or published YAML.")],
    length: Annotated[int, typer.Option(min=1, help="Source and target tokens that FLOPs are counted for.")] = 30,
    task: Annotated[str | None, typer.Option(metavar="TASK", help="Task whose space and dictionaries count.")] = None,
    vocabulary: Annotated[int | None, typer.Option(min=1, help="Tokens of either dictionary.")] = None,
    qkv: Annotated[int | None, typer.Option(min=1, help="Width of queries, keys and values.")] = None,
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
        Path | None, typer.Option(metavar="FILE", help="Take this SubTransformer out of a SuperTransformer.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Turn a checkpoint of the research code into ours."""
    from hat.published.convert import import_checkpoint
    from hat.space.files import read_architecture

    chosen = None if architecture is None else read_architecture(architecture)
    print_figures(str(out), import_checkpoint(file, out, chosen), as_json=as_json)


@convert.command("export")
def _convert_export(
    context: typer.Context,
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="Our checkpoint.pt, or its folder.")],
    out: Annotated[Path, typer.Argument(metavar="FILE", help="Checkpoint to write.")],
    as_json: AsJson = False,
) -> None:
    """Turn our checkpoint into one that the research code loads."""
    from hat.published.convert import export_checkpoint

    print_figures(str(out), export_checkpoint(checkpoint, out, lambda: settings_of(context)), as_json=as_json)


@convert.command("architecture")
def _convert_architecture(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Architecture: ours, an artifact, or published YAML.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Name ending in .json for ours, .yml for published.")],
) -> None:
    """Turn published YAML into our JSON, or the other way."""
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
    """Print config.yaml as it is by default, with comments."""
    from hat.config.documents import default_file

    print(default_file(), end="")


@config.command("schema")
def _config_schema(
    kind: Annotated[str, typer.Argument(help="config, task, space, device or baseline.")] = "config",
) -> None:
    """Print the JSON schema of a configuration file."""
    from hat.config.documents import schema

    print_json(schema(kind))


@config.command("docs")
def _config_docs(context: typer.Context) -> None:
    """Write config.yaml's default, the schemas and the key tables anew from the models."""
    from hat.config.documents import write_all

    for path in write_all(context.obj[2]):
        print(path)

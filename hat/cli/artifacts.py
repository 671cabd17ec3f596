"""Verbs about the form of artifacts: their schemas, and whether files fit them."""

from typing import Annotated

import typer

from hat.cli.context import AsJson, results_of
from hat.errors import InputError
from hat.system.console import print_json, print_table

artifacts = typer.Typer(no_args_is_help=True, help="What the files below results/ hold, and whether they do.")


@artifacts.command("list")
def _list(as_json: AsJson = False) -> None:
    """Show every kind of JSON artifact, and where it stands."""
    from hat.schemas.catalogue import ARTIFACTS

    if as_json:
        print_json([{"name": one.name, "files": list(one.files), "what": one.what} for one in ARTIFACTS])
    else:
        print_table("Artifacts", ("name", "below results/", "what"), [(o.name, o.files[0], o.what) for o in ARTIFACTS])


@artifacts.command("schema")
def _schema(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `hat artifacts list` shows it.")],
) -> None:
    """Print the JSON schema of an artifact; of JSON lines, that of a row."""
    from hat.schemas.catalogue import artifact

    print_json(artifact(name).schema())


@artifacts.command("check")
def _check(context: typer.Context) -> None:
    """Compare all JSON artifacts below results/ with their schemas."""
    from hat.schemas.catalogue import check

    root = results_of(context).root
    count, problems = check(root)
    if problems:
        raise InputError("\n".join(problems))
    print(f"{root}: {count} artifacts are as their schemas say")

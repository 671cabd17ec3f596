"""Verbs about the schemas of artifacts: list them, print them, validate files."""

from typing import Annotated

import typer

from hat.cli.context import AsJson, results_of
from hat.cli.verbs import family
from hat.errors import InputError
from hat.system.console import print_json, print_table

artifacts = family("Describe and validate files under results/.")


@artifacts.command("list")
def _list(as_json: AsJson = False) -> None:
    """List all kinds of JSON artifacts and their paths."""
    from hat.schemas.catalogue import ARTIFACTS

    if as_json:
        print_json([{"name": one.name, "files": list(one.files), "what": one.what} for one in ARTIFACTS])
    else:
        print_table("Artifacts", ("name", "below results/", "what"), [(o.name, o.files[0], o.what) for o in ARTIFACTS])


@artifacts.command("schema")
def _schema(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Artifact, as listed by `hat artifacts list`.")],
) -> None:
    """Print the JSON schema of an artifact, or of a row of JSON lines."""
    from hat.schemas.catalogue import artifact

    print_json(artifact(name).schema())


@artifacts.command("check")
def _check(context: typer.Context) -> None:
    """Validate all JSON artifacts under results/."""
    from hat.schemas.catalogue import check

    root = results_of(context).root
    count, problems = check(root)
    if problems:
        raise InputError("\n".join(problems))
    print(f"{root}: {count} artifacts are as their schemas say")

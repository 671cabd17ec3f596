"""The verb that answers HTTP requests."""

from pathlib import Path
from typing import Annotated

import typer

from hat.errors import InputError
from hat.system.extras import needs_package


def serve(
    model: Annotated[Path, typer.Option("--model", metavar="DIR", help="A deployed folder, .../model.")],
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 for all of this machine.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 for any that is free.")] = 8080,
    workers: Annotated[int, typer.Option(min=1, help="Translations side by side, each with a copy in memory.")] = 1,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads of a translation; else the device's.")] = None,
    beam: Annotated[int | None, typer.Option(min=1, help="Beam size; the deployed one where not given.")] = None,
    queue: Annotated[int, typer.Option(min=0, help="Requests that may wait; more are told to come again.")] = 16,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds of a request, waiting included.")] = 30.0,
    characters: Annotated[int, typer.Option(min=1, help="Characters of a request.")] = 10_000,
    lines: Annotated[int, typer.Option(min=1, help="Lines of a request.")] = 200,
    grace: Annotated[float, typer.Option(min=0, help="Seconds to finish what was accepted, at the end.")] = 20.0,
) -> None:
    """Translate over HTTP: JSON, and a page for people."""
    try:
        from hat.serve.limits import Limits
        from hat.serve.server import serve as run
    except ModuleNotFoundError as error:
        if (error.name or "hat").partition(".")[0] == "hat":
            raise
        raise InputError(needs_package("hat serve", error, "serve")) from None
    limits = Limits(characters=characters, lines=lines, seconds=timeout, queue=queue, grace_seconds=grace)
    run(model, host=host, port=port, limits=limits, workers=workers, beam=beam, threads=threads)

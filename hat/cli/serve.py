"""The verb that answers HTTP requests."""

from pathlib import Path
from typing import Annotated

import typer

from hat.errors import InputError
from hat.system.extras import needs_package


def serve(
    model: Annotated[Path, typer.Option("--model", metavar="DIR", help="Load this deployed folder, .../model.")],
    host: Annotated[str, typer.Option(help="Listen on this address; 0.0.0.0 for all interfaces.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Listen on this port; 0 picks a free one.")] = 8080,
    workers: Annotated[int, typer.Option(min=1, help="Translate in this many workers, each with its own model.")] = 1,
    threads: Annotated[int | None, typer.Option(min=1, help="Use this many CPU threads per translation.")] = None,
    beam: Annotated[int | None, typer.Option(min=1, help="Use this beam size instead of the deployed one.")] = None,
    queue: Annotated[int, typer.Option(min=0, help="Maximum queued requests; further ones get 503.")] = 16,
    timeout: Annotated[
        float, typer.Option(min=0.1, help="Time limit of a request in seconds, queueing included.")
    ] = 30.0,
    characters: Annotated[int, typer.Option(min=1, help="Maximum characters in a request.")] = 10_000,
    lines: Annotated[int, typer.Option(min=1, help="Maximum lines in a request.")] = 200,
    grace: Annotated[float, typer.Option(min=0, help="Seconds to finish accepted requests on shutdown.")] = 20.0,
) -> None:
    """Serve translations over HTTP, as JSON and as a web page."""
    try:
        from hat.serve.limits import Limits
        from hat.serve.server import serve as run
    except ModuleNotFoundError as error:
        if (error.name or "hat").partition(".")[0] == "hat":
            raise
        raise InputError(needs_package("hat serve", error, "serve")) from None
    limits = Limits(characters=characters, lines=lines, seconds=timeout, queue=queue, grace_seconds=grace)
    run(model, host=host, port=port, limits=limits, workers=workers, beam=beam, threads=threads)

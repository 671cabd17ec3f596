"""Run the application: the socket, signals and shutdown."""

import asyncio
import errno
import logging
import os
import socket
import sys
from pathlib import Path
from types import FrameType

import uvicorn

from hat.deploy.translator import Translator
from hat.errors import HatError, InputError
from hat.serve.app import Service, create_app
from hat.serve.http import LOG
from hat.serve.limits import Limits
from hat.serve.workers import Workers

BACKLOG = 128
# Time for answers that are still being sent when the last translation is done.
SENDING_SECONDS = 2
POLL_SECONDS = 0.02


def serve(
    folder: Path,
    *,
    host: str,
    port: int,
    limits: Limits,
    workers: int = 1,
    beam: int | None = None,
    threads: int | None = None,
) -> None:
    """Answer requests until SIGTERM or SIGINT.

    After the first signal the server accepts no more translations and finishes the accepted ones within the grace
    time. A second signal stops it at once.

    Args:
        folder: the deployed folder.
        host: name or address to listen on.
        port: port to listen on; 0 for any free port.
        limits: limits of requests.
        workers: translations side by side, each with its own copy of the model.
        beam: beam size; default: the deployed beam size.
        threads: CPU threads per translation; default: the device's.

    Raises:
        HatError: the port is in use or not permitted.
        InputError: the folder or the host is invalid.
    """
    listener = _bound(host, port)
    with listener:
        translators = [Translator.from_folder(folder, beam=beam, threads=threads) for _ in range(workers)]
        _prepare(translators[0])
        service = Service(translators[0].description, Workers(translators, limits.queue), limits)
        _log_to_stderr()
        config = uvicorn.Config(
            create_app(service),
            http="h11",
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=BACKLOG,
            timeout_graceful_shutdown=SENDING_SECONDS,
        )
        server = _Server(config, service)
        address = _address(host, listener)
        languages = "{source_language} to {target_language}".format_map(service.description)
        server.ready = f"hat: ready at {address} ({languages}, {', '.join(service.workers.names)})"
        server.run(sockets=[listener])
    sys.stdout.flush()
    if not service.workers.end():
        # There is no other way to end a thread in the middle of a batch.
        os._exit(0)


class _Server(uvicorn.Server):
    """Stops after a signal once all accepted translations are finished."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self.ready = ""
        self._service = service
        self._ending: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        print(self.ready, flush=True)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._service.draining:
            self.should_exit = self.force_exit = True
        else:
            self._service.draining = True
            self._loop.call_soon_threadsafe(self._drain)

    def _drain(self) -> None:
        self._ending = self._loop.create_task(self._finish())

    async def _finish(self) -> None:
        workers, seconds = self._service.workers, self._service.limits.grace_seconds
        LOG.info("shutting down, %d translations left", workers.unfinished)
        try:
            async with asyncio.timeout(seconds):
                while workers.unfinished:
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            LOG.warning("%d translations did not finish within %g s", workers.unfinished, seconds)
        self.should_exit = True


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError) as error:
        raise InputError(f"--host {host}: no such host ({error})") from None
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        # Listening now reserves the port; clients that connect wait until the model is loaded.
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise HatError(f"port {port} of {host} is in use; choose another with --port, or 0 for any") from None
        if error.errno == errno.EADDRNOTAVAIL:
            raise InputError(f"--host {host}: not an address of this machine") from None
        raise HatError(f"port {port} of {host}: {(error.strerror or str(error)).lower()}") from None
    return listener


def _address(host: str, listener: socket.socket) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{listener.getsockname()[1]}/"


def _prepare(translator: Translator) -> None:
    """Translate once, so that the first request does not wait for the Runtime's lazy initialisation."""
    translator.translate(["."])


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S"))
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    LOG.propagate = False

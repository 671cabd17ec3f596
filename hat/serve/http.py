"""The outermost layer of the server: a log line per request, limits on the size and time of bodies, errors as JSON."""

import asyncio
import json
import logging
import time
from typing import TYPE_CHECKING

from hat.serve.limits import Limits

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOG = logging.getLogger("hat.serve")
# Bytes and seconds to read on after the limit of a body: a client that is still sending when the connection is closed
# would never see the answer.
DISCARDED_BYTES, DISCARDED_SECONDS = 1 << 20, 1.0
LONGEST_SENTENCE = 300
# Keys of a request's scope: the event loop's time by which to answer, and a note for the log.
DEADLINE, NOTE = "hat.deadline", "hat.note"
# Status in the log for a client that has disconnected; it is never sent.
GONE = 499


class Refusal(Exception):
    """Ends a request with an error.

    Args:
        status: HTTP status.
        sentence: the message to the user.
        retry: whether the client should try the same request again soon.
    """

    def __init__(self, status: int, sentence: str, *, retry: bool = False) -> None:
        super().__init__(sentence)
        self.status = status
        self.retry = retry

    def body(self) -> bytes:
        """Return the JSON to send."""
        sentence = str(self)
        if len(sentence) > LONGEST_SENTENCE:
            sentence = sentence[:LONGEST_SENTENCE] + "..."
        return json.dumps({"error": sentence}).encode()

    def headers(self) -> dict[str, str]:
        """Return headers to send in addition to the usual ones."""
        return {"Retry-After": "1"} if self.retry else {}


class Guard:
    """ASGI middleware around the whole application: limits, errors and the log.

    Args:
        app: the application.
        limits: limits of a request.
    """

    def __init__(self, app: "ASGIApp", limits: Limits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answer one request (ASGI's interface)."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        began, clock = time.perf_counter(), asyncio.get_running_loop().time
        scope[DEADLINE] = clock() + self._limits.seconds
        status = 0

        async def send_noting_status(message: "Message") -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            body = await self._body(scope, receive)
            if body is None:
                status = GONE
            else:
                await self._app(scope, _replayed(body, receive), send_noting_status)
        except Refusal as refusal:
            if refusal.status == GONE:
                status = GONE
            elif not status:
                await _refuse(refusal, receive, send_noting_status)
        except asyncio.CancelledError:
            # uvicorn cancels what is left when the grace time has passed.
            if not status:
                await _refuse(Refusal(503, "the server is shutting down", retry=True), receive, send_noting_status)
        except Exception as error:
            # The application has answered. The log gets no message, since messages may quote a user's text.
            LOG.error("internal error: %s in %s", type(error).__name__, _location(error))
        finally:
            milliseconds = 1000 * (time.perf_counter() - began)
            path = scope.get("raw_path", b"").decode("ascii", "replace")[:100]
            LOG.info("%s %s %d %.0f ms%s", scope["method"], path, status or GONE, milliseconds, scope.get(NOTE, ""))
        return None

    async def _body(self, scope: "Scope", receive: "Receive") -> bytes | None:
        """Read the whole body; return None if the client disconnects before its end."""
        longest = self._limits.body_bytes
        too_long = Refusal(413, f"the request is too long, at most {longest} bytes are allowed")
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if int(declared) > longest:
            raise too_long
        body = bytearray()
        try:
            async with asyncio.timeout_at(scope[DEADLINE]):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    body += message.get("body", b"")
                    if len(body) > longest:
                        raise too_long
                    if not message.get("more_body", False):
                        return bytes(body)
        except TimeoutError:
            raise Refusal(408, f"the request did not arrive within {self._limits.seconds:g} s") from None


def _replayed(body: bytes, receive: "Receive") -> "Receive":
    """Return an ASGI receiver that gives the body, then the messages after it."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> "Message":
        return messages.pop() if messages else await receive()

    return replay


async def _refuse(refusal: Refusal, receive: "Receive", send: "Send") -> None:
    body = refusal.body()
    headers = {"content-type": "application/json", "content-length": str(len(body)), "connection": "close"}
    headers |= refusal.headers()
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": refusal.status, "headers": raw})
    await send({"type": "http.response.body", "body": body, "more_body": True})
    if refusal.status == 413:
        await _discard(receive)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _discard(receive: "Receive") -> None:
    discarded = 0
    try:
        async with asyncio.timeout(DISCARDED_SECONDS):
            while discarded < DISCARDED_BYTES:
                message = await receive()
                discarded += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return
    except TimeoutError:
        return


def _location(error: BaseException) -> str:
    """Return the file and the line where an error was raised."""
    trace = error.__traceback__
    if trace is None:
        return "an unknown location"
    while trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"

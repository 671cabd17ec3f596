"""Around the application: every answer logged in one line, no body longer or slower than allowed, errors as JSON."""

import asyncio
import json
import logging
import time
from typing import TYPE_CHECKING

from hat.serve.limits import Limits

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOG = logging.getLogger("hat.serve")
# What is still read, and for how long, of a body that is too long: a client that is still sending when the connection
# is closed would never see the answer.
DISCARDED_BYTES, DISCARDED_SECONDS = 1 << 20, 1.0
LONGEST_SENTENCE = 300
# Keys of a request's scope: the moment of the event loop's clock by which it is to be answered, and what the log says.
DEADLINE, NOTE = "hat.deadline", "hat.note"
# Not sent to anybody: the client is gone.
GONE = 499


class Refusal(Exception):
    """An answer other than the one asked for.

    Args:
        status: of HTTP.
        sentence: for the user.
        retry: whether the same request may do better in a while.
    """

    def __init__(self, status: int, sentence: str, *, retry: bool = False) -> None:
        super().__init__(sentence)
        self.status = status
        self.retry = retry

    def body(self) -> bytes:
        """The JSON that is sent."""
        sentence = str(self)
        if len(sentence) > LONGEST_SENTENCE:
            sentence = sentence[:LONGEST_SENTENCE] + "..."
        return json.dumps({"error": sentence}).encode()

    def headers(self) -> dict[str, str]:
        """Those that are sent beside the usual ones."""
        return {"Retry-After": "1"} if self.retry else {}


class Guard:
    """Outermost layer of the application.

    Args:
        app: what answers.
        limits: of a request.
    """

    def __init__(self, app: "ASGIApp", limits: Limits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answer one request, as ASGI has it."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        began, clock = time.perf_counter(), asyncio.get_running_loop().time
        scope[DEADLINE] = clock() + self._limits.seconds
        status = 0

        async def noted(message: "Message") -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            body = await self._body(scope, receive)
            if body is None:
                status = GONE
            else:
                await self._app(scope, _replayed(body, receive), noted)
        except Refusal as refusal:
            if refusal.status == GONE:
                status = GONE
            elif not status:
                await _refuse(refusal, receive, noted)
        except asyncio.CancelledError:
            # The grace time is over.
            if not status:
                await _refuse(Refusal(503, "the server is shutting down", retry=True), receive, noted)
        except Exception as error:
            # The application has answered. Where, but not what: messages of errors may quote text.
            LOG.error("internal error: %s in %s", type(error).__name__, _place(error))
        finally:
            milliseconds = 1000 * (time.perf_counter() - began)
            path = scope.get("raw_path", b"").decode("ascii", "replace")[:100]
            LOG.info("%s %s %d %.0f ms%s", scope["method"], path, status or GONE, milliseconds, scope.get(NOTE, ""))
        return None

    async def _body(self, scope: "Scope", receive: "Receive") -> bytes | None:
        """The whole body; None where the client went away before its end."""
        longest = self._limits.body_bytes
        too_long = Refusal(413, f"the request is too long, at most {longest} bytes are taken")
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
    """The body that has been read, then what comes after it."""
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


def _place(error: BaseException) -> str:
    """File and line that an error comes from."""
    trace = error.__traceback__
    if trace is None:
        return "an unknown place"
    while trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"

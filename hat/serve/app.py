"""The HTTP application: endpoints, and the JSON that they accept and return."""

import asyncio
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Self

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.exceptions import HTTPException

from hat.serve.http import DEADLINE, GONE, NOTE, Guard, Refusal
from hat.serve.limits import Limits
from hat.serve.workers import Job, QueueFull, Workers

PAGE = Path(__file__).with_name("page")
# Keys of model.json that clients do not get.
PRIVATE = frozenset({"provenance"})
_PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


class TranslationRequest(BaseModel):
    """Either ``text`` or ``texts``; each may have several lines, which are translated one by one."""

    model_config = ConfigDict(extra="forbid", strict=True)

    text: str | None = None
    texts: list[str] | None = None
    latency_ms: Annotated[
        float | None,
        Field(
            gt=0, allow_inf_nan=False, description="With several models: use the best one within this latency, in ms"
        ),
    ] = None

    @model_validator(mode="after")
    def _either(self) -> Self:
        if (self.text is None) == (self.texts is None):
            raise ValueError("give either text or texts")
        return self

    def all_texts(self) -> list[str]:
        """Return the texts of the request."""
        return [self.text] if self.text is not None else list(self.texts or ())


class Translated(BaseModel):
    """A translated text, and the milliseconds of the translation, without time in the queue."""

    text: str
    latency_ms: float


class ModelUsed(BaseModel):
    """The model that translated the texts."""

    name: str
    source_language: str
    target_language: str


class TranslationResponse(BaseModel):
    """Translations in the order of the texts."""

    translations: list[Translated]
    model: ModelUsed


class Health(BaseModel):
    """Whether translations are accepted."""

    status: str
    unfinished: int = Field(description="Requests that are waiting or being translated")


class Failure(BaseModel):
    """The body of every error."""

    error: str


class Service:
    """State that the endpoints share.

    Args:
        description: content of ``model.json``.
        workers: threads that translate.
        limits: limits of requests.
    """

    def __init__(self, description: Mapping[str, Any], workers: Workers, limits: Limits) -> None:
        self.description = description
        self.workers = workers
        self.limits = limits
        self.draining = False

    async def translate(self, body: TranslationRequest, request: Request) -> TranslationResponse:
        """Translate the texts of a request.

        Raises:
            Refusal: the request is too long, the queue is full, or the time limit has passed.
        """
        texts = body.all_texts()
        characters, lines = sum(map(len, texts)), sum(text.count("\n") + 1 for text in texts)
        request.scope[NOTE] = f" {lines} lines {characters} characters"
        limits = self.limits
        if characters > limits.characters:
            raise Refusal(413, f"the text has {characters} characters, at most {limits.characters} are allowed")
        if lines > limits.lines:
            raise Refusal(413, f"the text has {lines} lines, at most {limits.lines} are allowed")
        if body.latency_ms is not None and len(self.workers.names) == 1:
            raise Refusal(400, "latency_ms chooses between models, and this server has only one")
        if self.draining:
            raise Refusal(503, "the server is shutting down", retry=True)
        job = Job(texts, body.latency_ms)
        try:
            name, translations = await self._outcome(job, request)
        except QueueFull:
            raise Refusal(503, "too many requests are waiting, try again soon", retry=True) from None
        return TranslationResponse(
            translations=[Translated(text=one.text, latency_ms=round(one.latency_ms, 2)) for one in translations],
            model=ModelUsed(
                name=name,
                source_language=str(self.description["source_language"]),
                target_language=str(self.description["target_language"]),
            ),
        )

    async def _outcome(self, job: Job, request: Request) -> Any:
        """Wait for a job's result until the client disconnects or the time limit passes."""
        future = asyncio.wrap_future(self.workers.submit(job))
        gone = asyncio.ensure_future(_disconnected(request))
        left = request.scope[DEADLINE] - asyncio.get_running_loop().time()
        try:
            either: set[asyncio.Future[Any]] = {future, gone}
            await asyncio.wait(either, timeout=max(0.0, left), return_when=asyncio.FIRST_COMPLETED)
            if future.done():
                return future.result()
            if gone.done():
                raise Refusal(GONE, "the client is gone")
            limit = f"{self.limits.seconds:g} s"
            if job.started:
                raise Refusal(504, f"the translation took longer than {limit}; send less text at once")
            raise Refusal(503, f"other requests took longer than {limit}, try again soon", retry=True)
        finally:
            job.abandon()
            future.cancel()
            gone.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def create_app(service: Service) -> Guard:
    """Create the ASGI application of a service."""
    failures: dict[int | str, dict[str, Any]] = {
        400: {"model": Failure, "description": "The body is not JSON, or asks for something this server cannot do"},
        408: {"model": Failure, "description": "The request did not arrive in time"},
        413: {"model": Failure, "description": "The text or the body is too long"},
        422: {"model": Failure, "description": "The JSON does not follow the schema"},
        503: {"model": Failure, "description": "Too busy, or shutting down; try again after Retry-After seconds"},
        504: {"model": Failure, "description": "The translation took too long"},
    }
    app = FastAPI(
        title="hat serve",
        description="Translation with one deployed folder.",
        version=version("hat"),
        docs_url=None,
        redoc_url=None,
    )

    @app.post("/translate", responses=failures, summary="Translate texts")
    async def translate(body: TranslationRequest, request: Request) -> TranslationResponse:
        return await service.translate(body, request)

    @app.get(
        "/health",
        responses={503: {"model": Health, "description": "Shutting down"}},
        summary="Report whether the server accepts requests",
    )
    async def health(response: Response) -> Health:
        if service.draining:
            response.status_code = 503
        return Health(status="draining" if service.draining else "ready", unfinished=service.workers.unfinished)

    @app.get("/model", summary="Describe the model")
    async def model() -> dict[str, Any]:
        return {key: value for key, value in service.description.items() if key not in PRIVATE}

    for path, name, kind in (
        ("/", "index.html", "text/html"),
        ("/page.css", "page.css", "text/css"),
        ("/page.js", "page.js", "text/javascript"),
    ):
        app.add_api_route(path, _file(name, kind), include_in_schema=False)

    @app.exception_handler(Refusal)
    async def refused(_: Request, refusal: Refusal) -> Response:
        if refusal.status == GONE:
            raise refusal
        return Response(refusal.body(), refusal.status, refusal.headers(), "application/json")

    @app.exception_handler(Exception)
    async def failed(request: Request, _: Exception) -> Response:
        # Starlette raises it again after this answer, and the Guard logs it.
        return await refused(request, Refusal(500, "the server failed on this request; its log has the location"))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        status, sentence = _problem(error)
        return await refused(request, Refusal(status, sentence))

    @app.exception_handler(HTTPException)
    async def unknown(request: Request, error: HTTPException) -> Response:
        sentences = {
            400: "the body is not JSON",
            404: "no such endpoint; /openapi.json lists all endpoints",
            405: f"{request.method} is not allowed here; /openapi.json lists all endpoints",
        }
        answer = await refused(request, Refusal(error.status_code, sentences.get(error.status_code, error.detail)))
        answer.headers.update(error.headers or {})
        return answer

    return Guard(app, service.limits)


def _file(name: str, kind: str) -> Any:
    async def read() -> Response:
        return FileResponse(PAGE / name, headers=_PAGE_HEADERS, media_type=kind)

    return read


def _problem(error: RequestValidationError) -> tuple[int, str]:
    """Return the status and the sentence for an invalid body."""
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return 400, f"the body is not JSON ({first['ctx']['error']} at character {first['loc'][-1] + 1})"
    place = ".".join(map(str, first["loc"][1:]))
    if first["type"] == "string_unicode":
        return 422, f"{place or 'a key'}: holds half a surrogate pair, expected Unicode text"
    if not place and first["type"] != "value_error":
        return 422, 'expected a JSON object such as {"text": "..."}, sent as application/json'
    message = first["msg"].removeprefix("Value error, ")
    return 422, f"{place}: {message[0].lower()}{message[1:]}" if place else message

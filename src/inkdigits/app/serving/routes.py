"""The addresses of the server, and what each answers."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi import Path as InPath
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, PlainTextResponse, Response

from ... import __version__
from ...digits.corrections import LARGEST_ID, CorrectionStore
from ...errors import OutputError
from ...reader.model import BATCH
from ...reader.read import Reader
from . import bodies, corrected, interface, manual
from .answers import FIRST_BYTES, Answers, DigitsAsk, LargeError, ReadAsk
from .bodies import Held
from .files import files_in
from .gate import App, Gate
from .interface import answers
from .metrics import Metrics
from .pool import BusyError, Do, LateError, Pool
from .problems import RETRY_SECONDS, ProblemError, of_anything, of_http, of_parameters, of_problem, of_store
from .settings import Settings

PAGE = Path(__file__).parent.parent / "page"
INDEX = "index.html"
ABOUT = "Reads handwritten digits: post a picture or digit images, get what they say and how sure that is."
UNDER_LOAD = (408, 413, 429, 503)
GUARDED = (401, 403, 421)


def build(reader: Reader, settings: Settings, *, page: Path = PAGE) -> App:
    """The whole server as an ASGI application; what it needs is opened when it starts and closed when it stops.

    Raises InputError or OutputError if the file of corrections cannot be used.
    """
    metrics = Metrics()
    server = _Server(reader, settings, metrics, page)
    inner = FastAPI(
        title="inkdigits", version=__version__, description=ABOUT, docs_url=None, redoc_url=None, lifespan=server.life,
        openapi_url=None, redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )  # fmt: skip
    server.add_to(inner)
    server.interface = inner.openapi
    for kind, handler in (
        (ProblemError, of_problem),
        (HTTPException, of_http),
        (RequestValidationError, of_parameters),
        (OutputError, of_store),
        (sqlite3.Error, of_store),
        (Exception, of_anything),
    ):
        inner.add_exception_handler(kind, handler)
    app: App = Gate(inner, settings, metrics)
    if settings.cors:
        methods, headers = ["GET", "POST", "DELETE"], ["authorization", "content-type"]
        app = CORSMiddleware(
            app,
            allow_origins=settings.cors,
            allow_methods=methods,
            allow_headers=headers,
            expose_headers=["Retry-After"],
        )
    return app


class _Server:
    """The addresses, with what they share."""

    def __init__(self, reader: Reader, settings: Settings, metrics: Metrics, page: Path) -> None:
        self.settings, self.limits, self.metrics = settings, settings.limits, metrics
        self.answers = Answers(reader, settings.limits, metrics)
        self.held = Held(settings.limits.held_bytes)
        self.files = files_in(page)
        self.store: CorrectionStore | None = None
        if settings.corrections is not None:
            self.store = CorrectionStore(settings.corrections, most_bytes=settings.corrections_bytes)
        self.pool: Pool
        self.interface: Any
        metrics.model.labels(self.answers.model["name"], str(self.answers.model["version"])).set(1)
        metrics.watch("inkdigits_waiting", "Requests in the queue.", lambda: len(self.pool))
        metrics.watch("inkdigits_body_bytes", "Bytes of all bodies under way.", lambda: self.held.bytes)

    @asynccontextmanager
    async def life(self, _: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            if self.store:
                stack.push_async_callback(asyncio.to_thread, self.store.close)
            together = self.metrics.together.observe
            self.pool = Pool(threads=self.settings.threads, longest=self.limits.waiting, most=BATCH, watch=together)
            stack.push_async_callback(asyncio.to_thread, self.pool.close)
            yield

    def add_to(self, app: FastAPI) -> None:
        get, post, delete = app.get, app.post, app.delete
        hidden: dict[str, Any] = {"include_in_schema": False, "methods": ["GET", "HEAD"]}
        # First what is asked most, since they are looked through in order.
        post(
            "/v1/read", responses=answers(interface.READINGS, 400, *GUARDED, 415, 422, *UNDER_LOAD),
            openapi_extra={"requestBody": interface.READ_BODY, "parameters": interface.READ_PARAMETERS},
            response_model=None,
        )(self.read)  # fmt: skip
        post(
            "/v1/digits", responses=answers(interface.LABELS, 400, *GUARDED, 415, 422, *UNDER_LOAD),
            openapi_extra={"requestBody": interface.DIGITS_BODY}, response_model=None,
        )(self.digits)  # fmt: skip
        app.add_api_route("/", self.index, **hidden)
        app.add_api_route("/page/{name}", self.file, **hidden)
        app.add_api_route("/docs", self.manual, **hidden)
        app.add_api_route("/docs.css", self.manual_style, **hidden)
        app.add_api_route("/openapi.json", self.openapi, **hidden)
        get("/healthz", responses=answers(interface.HEALTH), response_model=None)(self.healthz)
        get("/readyz", responses=answers(interface.HEALTH, 503), response_model=None)(self.readyz)
        get("/metrics", responses=answers(None, 401, 421), response_class=PlainTextResponse, response_model=None)(
            self.show_metrics
        )
        get("/v1/about", responses=answers(interface.ABOUT), response_model=None)(self.about)
        post(
            "/v1/corrections", status_code=201,
            responses=answers(interface.ID, 400, *GUARDED, 404, 415, 422, 507, *UNDER_LOAD, status=201, said="kept"),
            openapi_extra={"requestBody": interface.CORRECTION_BODY}, response_model=None,
        )(self.add_correction)  # fmt: skip
        get("/v1/corrections", responses=answers(interface.CORRECTIONS, *GUARDED, 404, 422), response_model=None)(
            self.list_corrections
        )
        delete(
            "/v1/corrections/{number}", status_code=204, response_model=None,
            responses=answers(None, *GUARDED, 404, 422, status=204, said="deleted"),
        )(self.delete_correction)  # fmt: skip

    async def index(self, request: Request) -> Response:
        return self._of_page(INDEX, request)

    async def file(self, name: str, request: Request) -> Response:
        return self._of_page(name, request)

    def _of_page(self, name: str, request: Request) -> Response:
        file = self.files.get(name)
        if file is None:
            raise ProblemError(404, "there is no such file of the page")
        return file.response(request)

    async def manual(self) -> Response:
        return Response(manual.page(self.interface()), media_type="text/html")

    async def manual_style(self) -> Response:
        return Response(manual.STYLE, media_type="text/css")

    async def openapi(self) -> Response:
        return JSONResponse(self.interface())

    async def healthz(self) -> Response:
        """Whether the process is there."""
        return JSONResponse({"status": "ok"})

    async def readyz(self) -> Response:
        """Whether another request would be accepted."""
        if not self.pool.open:
            raise ProblemError(503, "too much to do, or about to stop")
        return JSONResponse({"status": "ready"})

    async def show_metrics(self) -> Response:
        """Counts and times, for Prometheus."""
        return Response(self.metrics.text(), media_type="text/plain; version=0.0.4")

    async def about(self) -> Response:
        """The model that reads, and what is allowed."""
        limits = self.limits
        allowed = {name: getattr(limits, name) for name in ("body_bytes", "pictures", "pixels", "digits")}
        return JSONResponse(
            {
                "model": self.answers.model,
                "corrections": self.store is not None,
                "limits": allowed,
                "token": self.settings.token is not None,
            }
        )

    async def read(self, request: Request) -> Response:
        """Read the digits on pictures: one as the body itself, or several in the field file of a form.

        Answered with 200 if any of them could be read.
        """
        options = {name: bodies.truth(request, name) for name in interface.READ_OPTIONS}
        with self.held.open() as hold:
            uploads = await bodies.uploads(request, self.limits, hold)
            ask = ReadAsk(uploads, **options)
            if ask.small:
                with suppress(LargeError):
                    return _json(await self._done(self.answers.read_small, ask, size=1))
            return _json(await self._unless_left(request, ask))

    async def digits(self, request: Request) -> Response:
        """Tell digit images, 28×28 with 0 for paper and 255 for ink, without any preparation."""
        kind = bodies.media_type(request)
        with self.held.open() as hold:
            body = await bodies.whole(request, self.limits, hold)
            npy = body.startswith(FIRST_BYTES)
            if not npy and kind not in ("application/json", ""):
                if kind == "application/octet-stream":
                    raise ProblemError(400, "the body is not a .npy file")
                raise ProblemError(415, "expected application/json, or a .npy file as application/octet-stream")
            ask = DigitsAsk(body, npy)
            return _json(await self._done(self.answers.digits, ask, size=ask.size))

    async def _done(self, do: Do, ask: Any, *, size: int) -> Any:
        seconds = self.limits.seconds
        try:
            return await self.pool.answer(do, ask, size=size, seconds=seconds)
        except BusyError:
            raise ProblemError(503, "too much to do; try again in a moment") from None
        except LateError:
            later = {"Retry-After": str(max(RETRY_SECONDS, round(seconds)))}
            raise ProblemError(
                503, f"not done within {seconds:g} seconds; send less, or later", headers=later
            ) from None

    async def _unless_left(self, request: Request, ask: ReadAsk) -> bytes:
        """What large pictures say; left alone as soon as nobody waits for it."""
        work = asyncio.ensure_future(self._done(self.answers.read_large, ask, size=BATCH + 1))
        leaving = asyncio.ensure_future(_leaving(request))
        try:
            await asyncio.wait({work, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise ClientDisconnect
            content: bytes = work.result()
            return content
        finally:
            ask.left = True
            for each in (work, leaving):
                each.cancel()

    def _kept(self) -> CorrectionStore:
        if self.store is None:
            raise ProblemError(404, "corrections are not kept; start the server with --corrections FILE to keep them")
        return self.store

    async def add_correction(self, request: Request) -> Response:
        """Keep a digit that was put right, to learn from it later."""
        store = self._kept()
        if bodies.media_type(request) != "application/json":
            raise ProblemError(415, "expected application/json")
        with self.held.open() as hold:
            body = await bodies.whole(request, self.limits, hold)
            pixels = self.limits.pixels
            number = await self._done(lambda asks: [corrected.keep(store, asks[0], pixels)], body, size=BATCH + 1)
        return JSONResponse({"id": number}, 201)

    async def list_corrections(
        self,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        before: Annotated[int | None, Query(ge=1, le=LARGEST_ID)] = None,
    ) -> Response:
        """The latest corrections, or the latest before one with that id, newest first, and how many there are."""
        store = self._kept()
        listed = await asyncio.to_thread(lambda: [corrected.shown(each) for each in store.list(limit, before=before)])
        return JSONResponse({"corrections": listed, "count": await asyncio.to_thread(store.count)})

    async def delete_correction(self, number: Annotated[int, InPath(ge=1, le=LARGEST_ID)]) -> Response:
        """Forget a correction and its picture."""
        if not await asyncio.to_thread(self._kept().delete, number):
            raise ProblemError(404, "there is no correction with this id")
        return Response(status_code=204)


async def _leaving(request: Request) -> None:
    """Until whoever asked has left."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _json(content: bytes) -> Response:
    return Response(content, media_type="application/json")

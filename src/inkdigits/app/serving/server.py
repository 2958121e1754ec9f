"""The server that speaks HTTP: uvicorn, which says when it is ready and does not wait for those who dawdle."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from .gate import HEADERS, NO_STORE, App
from .problems import TITLES, ProblemError
from .settings import Settings

BACKLOG = 2048  # connections that wait to be taken
MOST_IDLE = 64 << 10  # bytes of headers and the like, beyond the block that they begin in
HEAD_SECONDS = 15.0  # in which a request has to begin in full, and after which an idle connection is closed
STOP_SECONDS = 5  # beyond the time that a request may take, in which the server ends when told to


class Server(uvicorn.Server):
    """Says when it is ready, and ends by itself after a signal that told it to."""

    def __init__(self, app: App, settings: Settings, ready: Callable[[], None]) -> None:
        limits = settings.limits
        config = uvicorn.Config(
            app, http=Protocol, interface="asgi3", lifespan="on", ws="none", log_config=None, access_log=False,
            server_header=False, proxy_headers=False, backlog=BACKLOG, timeout_keep_alive=int(HEAD_SECONDS),
            timeout_graceful_shutdown=round(limits.seconds + limits.body_seconds) + STOP_SECONDS,
        )  # fmt: skip
        # Its own words are for developers; what users need to know is said by the verb.
        logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        with super().capture_signals():
            yield
            # What has been finished in good order is no interruption; being told so twice is.
            if not self.force_exit:
                self._captured_signals.clear()


SPOKEN: Any = AutoHTTPProtocol  # by the fastest library that is installed for it


class Protocol(SPOKEN):
    """Bounds what the library for it does not: how long a request takes to begin, how long what is no body may be."""

    cycle: Any  # the request under way, or the last one
    _finished: Any = None
    _check: asyncio.TimerHandle
    _idle_bytes = 0  # received since the library last found the beginning, the end or a piece of a request
    _found = True
    # h11 tells of these in another way, and has a limit of its own.
    counts = hasattr(SPOKEN, "on_message_begin")

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._look_again()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._found = False
        super().data_received(data)
        self._idle_bytes = 0 if self._found else self._idle_bytes + len(data)
        if self.counts and self._idle_bytes > MOST_IDLE:
            # Headers, trailers or the like without end, which the library would keep.
            if self.cycle is None or self.cycle.response_complete:
                self._refuse(ProblemError(431, f"more than {MOST_IDLE >> 10} kB of headers"))
            else:
                self.transport.close()

    def on_message_begin(self) -> None:
        self._found = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._found = True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._found = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._found = True
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """What is answered to bytes that are no HTTP, in the form of every other refusal."""
        self._refuse(ProblemError(400, "these bytes are not a request as HTTP has them"))

    def _refuse(self, problem: ProblemError) -> None:
        said = problem.response()
        lines = [(b"connection", b"close"), NO_STORE, *HEADERS, *said.raw_headers]
        status = f"HTTP/1.1 {problem.status} {TITLES[problem.status]}".encode()
        self.transport.write(b"\r\n".join([status, *(b": ".join(each) for each in lines), b"", bytes(said.body)]))
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._check.cancel()
        super().connection_lost(exc)

    def _look_again(self) -> None:
        self._check = asyncio.get_running_loop().call_later(HEAD_SECONDS, self._look)

    def _look(self) -> None:
        idle = self.cycle is None or self.cycle.response_complete
        if idle and (self.cycle is None or self.cycle is self._finished):
            self.transport.close()
            return
        self._finished = self.cycle if idle else None
        self._look_again()

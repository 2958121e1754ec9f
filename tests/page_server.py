"""The real server in a thread of the tests, for a browser to talk to; what it is asked can be looked at afterwards."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from inkdigits.app.serving.gate import Message, Receive, Scope, Send
from inkdigits.app.serving.problems import ProblemError
from inkdigits.app.serving.routes import build
from inkdigits.app.serving.server import Server
from inkdigits.app.serving.settings import Settings
from inkdigits.digits.corrections import Correction, CorrectionStore
from inkdigits.reader.read import Reader

START_SECONDS = 30  # on a machine with much else to do


class PageServer:
    """A server on a free port.

    Attributes
    ----------
    address: of the page. file: of the corrections. asked: the pictures that were to be read.
    busy: so many requests to read are answered with 503 before the next is taken.
    """

    def __init__(self, reader: Reader, settings: Settings) -> None:
        self.file = settings.corrections
        self.asked: list[bytes] = []
        self.busy = 0
        self._app = build(reader, settings)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}/"
        self._ready = threading.Event()
        self._server = Server(self._watched, settings, self._ready.set)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._listener]}, daemon=True)

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(START_SECONDS)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._listener.close()

    @property
    def corrections(self) -> list[Correction]:
        assert self.file is not None
        with CorrectionStore(self.file) as store:
            return store.list()

    async def _watched(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/v1/read":
            await self._app(scope, receive, send)
            return
        if self.busy:
            self.busy -= 1
            await ProblemError(503, "too much to do").response()(scope, receive, send)
            return
        body = bytearray()

        async def heard() -> Message:
            message = await receive()
            body.extend(message.get("body", b""))
            if message["type"] == "http.request" and not message.get("more_body"):
                self.asked.append(bytes(body))
            return message

        await self._app(scope, heard, send)


@contextmanager
def page_server(reader: Reader, corrections: Path | None, token: str | None = None) -> Iterator[PageServer]:
    """A server that is stopped when the block ends."""
    server = PageServer(reader, Settings(corrections=corrections, token=token, hosts=("127.0.0.1",)))
    server.start()
    try:
        yield server
    finally:
        server.stop()

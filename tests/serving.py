"""A server to ask, for the tests of `inkdigits serve`."""

from __future__ import annotations

import io
import re
import signal
import socket
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image
from starlette.testclient import TestClient

from inkdigits.app.serving.routes import build
from inkdigits.app.serving.settings import Settings
from inkdigits.reader.read import Reader

START_SECONDS = 60  # on a machine with much else to do


def png_of(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def png_of_size(width: int, height: int, pixels: bytes = b"") -> bytes:
    """A PNG that says it is so large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")


@contextmanager
def asked(reader: Reader, settings: Settings | None = None, **how: Any) -> Iterator[TestClient]:
    """A client of a server in this process."""
    with TestClient(build(reader, settings or Settings(), **how), base_url="http://127.0.0.1") as client:
        yield client


def problem(answer: Any, status: int) -> str:
    """The one sentence of a problem, after a look at its form."""
    assert answer.status_code == status, answer.text[:300]
    assert answer.headers["content-type"] == "application/problem+json"
    said = answer.json()
    assert set(said) == {"type", "title", "status", "detail"}
    assert said["status"] == status
    assert "\n" not in said["detail"]
    assert len(said["detail"]) < 600
    return str(said["detail"])


def post(client: TestClient, body: bytes, kind: str = "image/png", path: str = "/v1/read") -> Any:
    return client.post(path, content=body, headers={"content-type": kind})


def still_reads(client: TestClient, png: bytes) -> bool:
    return post(client, png).json()["readings"][0]["text"] == "7"


@dataclass
class Server:
    """A server in a process of its own."""

    process: subprocess.Popen[str]
    port: int

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=START_SECONDS)

    def send(self, *parts: bytes) -> bytes:
        """What is answered to the raw bytes of a request, until the server closes the connection."""
        with self.connect() as wire:
            with suppress(ConnectionError):  # refused before all of it was sent
                for part in parts:
                    wire.sendall(part)
            return everything(wire)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(START_SECONDS)


def everything(wire: socket.socket) -> bytes:
    said = b""
    while block := _received(wire):
        said += block
    return said


def _received(wire: socket.socket) -> bytes:
    try:
        return wire.recv(1 << 16)
    except ConnectionResetError:
        return b""


def head(path: str, *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


@contextmanager
def running(*arguments: str, code: str = "from inkdigits.app.cli import main; main()") -> Iterator[Server]:
    """`inkdigits serve` in a process of its own, on any free port; or `code` that prints its address."""
    command = [sys.executable, "-c", code, "serve", "--port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"http://127\.0\.0\.1:(\d+)", process.stdout.readline())
            if not found:
                process.kill()
                raise AssertionError(process.communicate()[1])
            yield Server(process, int(found.group(1)))
        finally:
            if process.poll() is None:
                process.kill()

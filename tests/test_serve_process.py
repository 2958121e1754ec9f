"""`inkdigits serve` as a process: how it starts, what it makes of those who lie and dawdle, how it stops."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import pytest
from serving import Server, everything, head, png_of, running

from inkdigits.app.cli import status_of
from inkdigits.digits.dataset import Digits

IMPATIENT = """
from inkdigits.app.serve import serve
from inkdigits.app.serving import server
from inkdigits.app.serving.settings import Limits, Settings
server.HEAD_SECONDS = 1.0
settings = Settings(Limits(body_seconds=0.3, body_bytes=1_000_000), threads=2)
serve(port=0, settings=settings, ready=lambda address: print(address, flush=True))
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running(code=IMPATIENT) as server:
        yield server


def status(said: bytes) -> int:
    return int(said.split(b" ", 2)[1])


def reads(server: Server, png: bytes) -> bool:
    said = server.send(head("/v1/read", "Content-Type: image/png", f"Content-Length: {len(png)}"), png)
    return json.loads(said.split(b"\r\n\r\n", 1)[1])["readings"][0]["text"] == "7"


def test_a_body_that_comes_in_pieces_is_read(server: Server, png: bytes) -> None:
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(png[i : i + 50]), png[i : i + 50]) for i in range(0, len(png), 50))
    said = server.send(head("/v1/read", "Content-Type: image/png", "Transfer-Encoding: chunked"), chunks + b"0\r\n\r\n")
    assert status(said) == 200
    assert b'"text":"7"' in said


@pytest.mark.parametrize(
    ("headers", "body", "code"),
    [
        (["Content-Length: 99999999999999999999999999"], b"", 400),
        (["Content-Length: 4294967296"], b"", 413),
        (["Content-Length: 2000000"], b"", 413),
        (["Content-Length: 1000"], b"short", 408),  # the rest never comes
        (["Transfer-Encoding: chunked"], b"5\r\nshort\r\n", 408),
        (["Transfer-Encoding: chunked"], b"186a0\r\n" + bytes(100_000) + b"\r\n", 408),
        (["Transfer-Encoding: chunked"], b"186a0\r\n%s\r\n" % bytes(100_000) * 11 + b"0\r\n\r\n", 413),
        (["Content-Length: -5"], b"short", 400),
        (["Content-Length: five"], b"short", 400),
        (["Content-Length: 5", "Content-Length: 6"], b"short", 400),
        (["Transfer-Encoding: chunked"], b"many\r\nshort\r\n", 400),
    ],
)
def test_lengths_that_lie_and_bodies_that_never_end_are_answered(
    server: Server, png: bytes, headers: list[str], body: bytes, code: int
) -> None:
    said = server.send(head("/v1/read", "Content-Type: image/png", *headers), body)
    assert status(said) == code, said[:200]
    assert b"content-type: application/problem+json" in said
    assert json.loads(said.partition(b"\r\n\r\n")[2])["status"] == code
    assert reads(server, png)


def test_a_length_that_is_too_short_counts_and_what_follows_is_another_request(server: Server, png: bytes) -> None:
    begin = head("/v1/read", "Content-Type: image/png", "Content-Length: 10")
    said = server.send(begin, png)
    assert status(said) == 415
    assert said.count(b"HTTP/1.1") == 1
    assert reads(server, png)


def test_who_never_finishes_asking_is_left(server: Server, png: bytes) -> None:
    for begin in (b"", b"POST /v1/read HTT", b"POST /v1/read HTTP/1.1\r\nHost: 127.0.0.1\r\nX: "):
        assert server.send(begin) == b""
    assert reads(server, png)


def test_what_is_no_http_is_answered(server: Server, png: bytes) -> None:
    for said in (b"\x16\x03\x01\x02\x00\x01\xfc\r\n\r\n", b"GET /\xff\r\n\r\n", b"X" * 100_000 + b"\r\n\r\n"):
        assert server.send(said)[:12] in (b"HTTP/1.1 400", b"")
    assert reads(server, png)


@pytest.mark.parametrize("more", [b"X: " + b"a" * 3_000_000, b"X: a\r\n" * 400_000, b"a" * 3_000_000])
def test_headers_without_end_are_refused(server: Server, png: bytes, more: bytes) -> None:
    said = b""
    with server.connect() as wire:
        wire.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        wire.settimeout(0.02)
        # Bit by bit, since what is still on its way when the server closes would wipe out its answer.
        for start in range(0, len(more), 20_000):
            wire.sendall(more[start : start + 20_000])
            with suppress(TimeoutError):
                said = wire.recv(1000)
                break
    assert status(said) == 431
    assert reads(server, png)


@pytest.mark.parametrize("body", [b"0\r\n" + b"X: a\r\n" * 400_000, b"5;" + b"a" * 3_000_000])
def test_what_comes_beside_a_body_without_end_is_refused(server: Server, png: bytes, body: bytes) -> None:
    begin = head("/v1/read", "Content-Type: image/png", "Transfer-Encoding: chunked")
    assert server.send(begin, body) == b"", "closed, before the time for a body is over"
    assert reads(server, png)


def test_pictures_that_nobody_waits_for_are_left(server: Server, few: Digits, png: bytes) -> None:
    def shown(name: str) -> float:
        said = server.send(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n").decode()
        return sum(float(line.split()[-1]) for line in said.splitlines() if line.startswith(name))

    large = png_of(255 - np.kron(np.hstack(few.images[:12]), np.ones((8, 8), np.uint8)))
    wide = png_of(np.full((1000, 1000), 255, np.uint8))
    part = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n' + large + b"\r\n"
    form = part * 20 + b"--x--\r\n"
    before = shown("inkdigits_pictures_total")
    with server.connect() as wire:
        headers = ("Content-Type: multipart/form-data; boundary=x", f"Content-Length: {len(form)}")
        wire.sendall(head("/v1/read", *headers) + form)
        while not shown("inkdigits_body_bytes"):
            time.sleep(0.001)
    until = time.monotonic() + 30
    while shown("inkdigits_body_bytes"):
        assert time.monotonic() < until
        time.sleep(0.01)
    # One large request at a time: when the next is answered, nothing is done for the first any more.
    said = server.send(head("/v1/read", "Content-Type: image/png", f"Content-Length: {len(wide)}"), wide)
    assert status(said) == 200
    assert shown("inkdigits_pictures_total") - before < 20
    assert reads(server, png)


def test_who_leaves_in_the_middle_disturbs_nobody(server: Server, png: bytes) -> None:
    for _ in range(20):
        with server.connect() as wire:
            wire.sendall(head("/v1/read", "Content-Type: image/png", "Content-Length: 1000") + png[:20])
    assert reads(server, png)


def test_it_says_where_it_is_and_stops_when_told_to_with_what_it_accepted_answered(few: Digits) -> None:
    large = png_of(255 - np.kron(np.hstack(few.images[:12]), np.ones((8, 8), np.uint8)))
    with running("--log") as server:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/readyz") as answer:
            assert json.load(answer) == {"status": "ready"}
        with server.connect() as wire, server.connect() as half:
            half.sendall(head("/v1/read", "Content-Type: image/png", f"Content-Length: {len(large)}") + large[:100])
            wire.sendall(head("/v1/read", "Content-Type: image/png", f"Content-Length: {len(large)}") + large)
            wire.recv(1, socket.MSG_PEEK)  # at least one of them is under way
            server.process.terminate()
            half.sendall(large[100:])
            for each in (wire, half):
                said = everything(each)
                assert status(said) == 200
                assert len(json.loads(said.split(b"\r\n\r\n", 1)[1])["readings"][0]["digits"]) == 12
        assert server.process.wait(60) == 0
        assert server.process.stderr is not None
        log = server.process.stderr.read()
    assert re.search(r"POST /v1/read 200 \d+ ms", log)
    assert "Traceback" not in log


def test_nobody_but_this_machine_reaches_it_and_it_answers_to_its_own_name(png: bytes) -> None:
    with running("-q") as server:
        said = server.send(b"GET /v1/about HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
        assert status(said) == 421
        assert b"application/problem+json" in said
        assert reads(server, png)
        assert server.stop() == 0


def test_a_port_that_is_taken_is_said_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert status_of(["serve", "--port", str(port)]) == 1
    assert capsys.readouterr().err.startswith(f"error: 127.0.0.1:{port}: cannot listen there, found Address already")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--host", "no.such.host.invalid"], 1, "not an address of this machine"),
        (["--port", "70000"], 1, "--port"),
        (["-m", "nosuch"], 1, "no such model"),
        (["--corrections", "nowhere/c.sqlite"], 1, "cannot be opened"),
        (["--nonsense"], 2, "no such option"),
    ],
)
def test_what_it_cannot_serve_is_said_in_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str
) -> None:
    assert status_of(["serve", "--port", "0", *arguments]) == code
    said = capsys.readouterr()
    assert message in said.err.lower()
    assert said.err.startswith("error: ")
    assert said.out == ""


def test_without_its_libraries_it_says_what_to_install() -> None:
    code = "import sys; sys.modules['fastapi'] = None; from inkdigits.app.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "serve"], capture_output=True, text=True, env=os.environ, check=False
    )
    assert done.returncode == 1
    mend = 'pip install "inkdigits[serve]" (docs/install.md)'
    assert done.stderr == f"error: serve: needs a library that is not installed; {mend}\n"


def test_help_needs_no_heavy_library() -> None:
    code = (
        "import sys; from inkdigits.app import cli; assert not {'fastapi', 'uvicorn', 'onnxruntime'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

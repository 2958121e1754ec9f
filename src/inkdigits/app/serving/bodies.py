"""What a request brings: read piece by piece under limits, in memory, never to a file.

A length that the client states is believed only where it is too large. The names of files are kept for messages and
answers; nothing is ever opened by them.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from .problems import ProblemError
from .settings import Limits

FIELD = "file"
OTHER_FIELDS = 8  # parts of a form that are no pictures, and are left aside
LONGEST_NAME = 200  # characters of a file's name that are kept
UNNAMED = "picture"
FEW = 64  # lists and objects in JSON, where only some values are asked for
TRUTHS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
RAW_TYPES = ("image/", "application/octet-stream", "application/pdf")


@dataclass(frozen=True)
class Upload:
    """One file of a request: what it was called, and its bytes."""

    name: str
    content: bytes


class Held:
    """The bytes of all bodies under way, which together have a limit."""

    def __init__(self, most: int) -> None:
        self.most, self.bytes = most, 0

    @contextmanager
    def open(self) -> Iterator[Hold]:
        """What one request holds, until the block ends."""
        hold = Hold(self)
        try:
            yield hold
        finally:
            self.bytes -= hold.bytes


@dataclass
class Hold:
    """The share of one request in it."""

    held: Held
    bytes: int = 0

    def take(self, count: int) -> None:
        if self.held.bytes + count > self.held.most:
            raise ProblemError(503, "too many large requests at once; try again in a moment")
        self.held.bytes += count
        self.bytes += count


async def blocks(request: Request, limits: Limits, hold: Hold) -> AsyncIterator[bytes]:
    """The body in blocks. Raises ProblemError if it is too large or packed."""
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise ProblemError(415, "packed bodies are not taken; send it without Content-Encoding")
    too_large = ProblemError(413, f"the body is larger than {_size(limits.body_bytes)}")
    stated = request.headers.get("content-length", "")
    if stated.isdecimal() and (len(stated) > 15 or int(stated) > limits.body_bytes):
        raise too_large
    async for block in request.stream():
        hold.take(len(block))
        if hold.bytes > limits.body_bytes:
            raise too_large
        yield block


@asynccontextmanager
async def in_time(limits: Limits) -> AsyncIterator[None]:
    """Raises ProblemError if the body has not arrived by then."""
    try:
        async with asyncio.timeout(limits.body_seconds):
            yield
    except TimeoutError:
        detail = f"the body did not arrive within {limits.body_seconds:g} seconds"
        raise ProblemError(408, detail, headers={"Connection": "close"}) from None


async def whole(request: Request, limits: Limits, hold: Hold) -> bytes:
    """The body as it is. Raises ProblemError if there is none."""
    async with in_time(limits):
        body = b"".join([block async for block in blocks(request, limits, hold)])
    if not body:
        raise ProblemError(400, "the request has no body")
    return body


async def uploads(request: Request, limits: Limits, hold: Hold) -> list[Upload]:
    """The pictures of a request: those of a form's field `file`, or the body, which then is one picture."""
    kind = media_type(request)
    if kind == "multipart/form-data":
        return await _of_form(request, limits, hold)
    if kind and not kind.startswith(RAW_TYPES):
        expected = f"multipart/form-data with the field {FIELD!r}, or one picture with its own type such as image/png"
        raise ProblemError(415, f"{kind[:60]} is no type for pictures; send {expected}")
    return [Upload(UNNAMED, await whole(request, limits, hold))]


def media_type(request: Request) -> str:
    """The type of the body without its parameters, in small letters; empty if there is none."""
    stated: str = request.headers.get("content-type", "")
    return stated.split(";")[0].strip().lower()


async def _of_form(request: Request, limits: Limits, hold: Hold) -> list[Upload]:
    _, parameters = parse_options_header(request.headers["content-type"])
    form = _Form(limits)
    try:
        parser = form.parser(parameters.get(b"boundary", b""))
        async with in_time(limits):
            async for block in blocks(request, limits, hold):
                parser.write(block)
        parser.finalize()
    except FormParserError:
        raise ProblemError(400, "the form is damaged: it is not multipart/form-data as it should be") from None
    if not form.ended:
        raise ProblemError(400, "the form is cut short: its last boundary is missing")
    if not form.uploads:
        raise ProblemError(422, f"no picture in the form; send it in the field {FIELD!r}")
    return form.uploads


@dataclass
class _Form:
    """Takes the parts of a form as its parser finds them."""

    limits: Limits
    uploads: list[Upload] = field(default_factory=list)
    ended: bool = False
    _others: int = 0
    _header: bytes = b""
    _value: bytes = b""
    _disposition: bytes = b""
    _content: bytearray = field(default_factory=bytearray)
    _name: str | None = None

    def parser(self, boundary: bytes) -> MultipartParser:
        if not boundary:
            raise ProblemError(400, "the form's Content-Type has no boundary")
        return MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._on_header,
                "on_header_value": self._on_value,
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_end,
                "on_part_data": self._data,
                "on_part_end": self._end,
                "on_end": self._all,
            },
        )

    def _begin(self) -> None:
        self._header = self._value = self._disposition = b""
        self._content, self._name = bytearray(), None

    def _on_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header = self._value = b""

    def _headers_end(self) -> None:
        _, parameters = parse_options_header(self._disposition)
        if parameters.get(b"name") == FIELD.encode():
            self._name = file_name(parameters.get(b"filename", b""))
            if len(self.uploads) >= self.limits.pictures:
                raise ProblemError(413, f"more than {self.limits.pictures} pictures in one request")
        else:
            self._others += 1
            if self._others > OTHER_FIELDS:
                raise ProblemError(413, f"more than {OTHER_FIELDS} other fields in one request")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._name is not None:
            self._content += data[start:end]

    def _end(self) -> None:
        if self._name is not None:
            self.uploads.append(Upload(self._name, bytes(self._content)))

    def _all(self) -> None:
        self.ended = True


def file_name(sent: bytes) -> str:
    """What to call an upload: the last part of the name sent, without what a terminal or a page could stumble over."""
    last = re.split(r"[/\\]", sent.decode("utf-8", "replace"))[-1]
    return "".join(sign for sign in last if sign.isprintable())[:LONGEST_NAME].strip() or UNNAMED


def truth(request: Request, name: str) -> bool:
    """A truth value of the query, False unless given. By hand, since a request for a digit waits for little else."""
    text = request.query_params.get(name, "false").lower()
    if text not in TRUTHS:
        raise ProblemError(422, f"parameter {name}: expected true or false")
    return TRUTHS[text]


def of_json(body: bytes, most: int = FEW) -> Any:
    """The body as JSON. Raises ProblemError if it is none, however deep or large its numbers are.

    most: lists and objects in it, each of which takes many times the bytes that it has here.
    """
    if body.count(b"[") + body.count(b"{") > most:
        raise ProblemError(413, f"the JSON has more than {most:,} lists and objects")
    try:
        return json.loads(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise ProblemError(400, "the body is not UTF-8") from None
    except RecursionError:
        raise ProblemError(400, "the JSON is nested too deeply") from None
    except ValueError as error:
        where = f" at byte {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        raise ProblemError(400, f"the body is not JSON{where}") from None


def _size(count: int) -> str:
    return f"{count >> 20} MB" if count >= 1 << 20 else f"{count:,} bytes"

"""Errors as HTTP says them to programs: application/problem+json (RFC 9457).

    {"type": "about:blank", "title": "Content Too Large", "status": 413, "detail": "the body is larger than 32 MB"}

`detail` is one sentence to show to people.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

RETRY_SECONDS = 1  # that a client is asked to wait when there is too much to do

TITLES = {
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    408: "Request Timeout", 413: "Content Too Large", 415: "Unsupported Media Type", 421: "Misdirected Request",
    422: "Unprocessable Content", 429: "Too Many Requests", 431: "Request Header Fields Too Large",
    500: "Internal Server Error", 503: "Service Unavailable",
    507: "Insufficient Storage",
}  # fmt: skip


class ProblemError(Exception):
    """What is answered in place of a result."""

    def __init__(self, status: int, detail: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, dict(headers or {})
        if status in (429, 503):
            self.headers.setdefault("Retry-After", str(RETRY_SECONDS))
        if status == 401:
            self.headers.setdefault("WWW-Authenticate", "Bearer")

    def as_dict(self) -> dict[str, Any]:
        title = TITLES.get(self.status, "Error")
        return {"type": "about:blank", "title": title, "status": self.status, "detail": self.detail}

    def response(self) -> Response:
        body = json.dumps(self.as_dict(), ensure_ascii=False).encode("utf-8", "replace")
        return Response(body, self.status, self.headers, "application/problem+json")


def of_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    return error.response()


def of_http(request: Request, error: Exception) -> Response:
    """What the framework refuses by itself: no such path, no such method."""
    assert isinstance(error, HTTPException)
    said = {404: "there is nothing at this address", 405: f"this address does not take {request.method[:16]}"}
    detail = said.get(error.status_code, error.detail)
    headers = error.headers
    if error.status_code == 405:
        headers = {"Allow": ", ".join(sorted(_methods_at(request)))}
    return ProblemError(error.status_code, detail, headers=headers).response()


def _methods_at(request: Request) -> set[str]:
    """The methods of all routes at an address, of which the framework by itself names those of the first."""
    found: set[str] = set()
    for route in request.app.routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            found |= getattr(route, "methods", None) or set()
    return found


def of_parameters(_: Request, error: Exception) -> Response:
    """Parameters of the address that are no truth value or no number."""
    errors: list[dict[str, Any]] = getattr(error, "errors", list)()
    names = ", ".join(str(part["loc"][-1])[:40] for part in errors[:5])
    said = errors[0]["msg"] if errors else "not valid"
    return ProblemError(422, f"parameter {names}: {said}").response()


def of_store(_: Request, __: Exception) -> Response:
    return ProblemError(503, "the file of corrections cannot be used just now").response()


def of_anything(_: Request, __: Exception) -> Response:
    return internal_error().response()


def internal_error() -> ProblemError:
    return ProblemError(500, "something went wrong here; the request was not at fault")

"""What every request passes before it is looked at, and every answer on its way out.

Who may ask (host, token), how many at once, headers that keep browsers careful, the counts, one line of log. Nothing
of what a request brings gets into the log: no path, no query, no name of a file, no content.
"""

from __future__ import annotations

import hmac
import logging
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.requests import ClientDisconnect

from .metrics import Metrics
from .problems import ProblemError, internal_error
from .settings import LOCAL_NAMES, Settings

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

log = logging.getLogger("inkdigits.serve")

# Everybody may see the page, ask whether the server is well, and whether a token is needed.
GUARDED = ("/v1/", "/metrics")
OPEN = ("/v1/about",)
PROBES = ("/healthz", "/readyz")  # asked by what watches over servers, under whatever name
METHODS = ("GET", "HEAD", "POST", "DELETE", "OPTIONS", "PUT", "PATCH")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = [
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
]
NO_STORE = (b"cache-control", b"no-store")


class Gate:
    """An ASGI application around another."""

    def __init__(self, app: App, settings: Settings, metrics: Metrics) -> None:
        self.app, self.settings, self.metrics = app, settings, metrics
        self._token = settings.token.encode() if settings.token else None
        self._open = 0
        self._per_client: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 0

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                given = {name for name, _ in message["headers"]}
                more = [header for header in [*HEADERS, NO_STORE] if header[0] not in given]
                message["headers"] = [*message["headers"], *more]
            await send(message)

        client = (scope.get("client") or ("",))[0]
        self._open += 1
        self._per_client[client] += 1
        try:
            problem = self._refusal(scope, client)
            if problem:
                await problem.response()(scope, receive, send_on)
            else:
                await self.app(scope, receive, send_on)
        except ClientDisconnect:
            pass  # whoever asked has left; there is nobody to answer
        except Exception as error:
            log.error("%s in the answer to a request", type(error).__name__)
            if not status:
                await internal_error().response()(scope, receive, send_on)
        finally:
            self._open -= 1
            self._per_client[client] -= 1
            if not self._per_client[client]:
                del self._per_client[client]
            self._count(scope, status, time.perf_counter() - began)

    def _refusal(self, scope: Scope, client: str) -> ProblemError | None:
        limits, path = self.settings.limits, scope["path"]
        headers = dict(scope["headers"])
        host = _host(headers.get(b"host", b""))
        if self.settings.hosts and host not in self.settings.hosts and path not in PROBES:
            return ProblemError(421, "this server does not answer under that name; `--allow-host NAME` adds names")
        if path.startswith(GUARDED) and path not in OPEN and not self._may(headers.get(b"authorization", b"")):
            return ProblemError(401, "this needs the server's token, as `Authorization: Bearer …`")
        if path.startswith("/v1/"):
            if not self._from_here(headers.get(b"origin"), headers.get(b"host", b"")):
                return ProblemError(403, "pages from elsewhere may not call this server; `--cors ORIGIN` lets them")
            if self._open > limits.open_requests:
                return ProblemError(503, "too many requests at once; try again in a moment")
            if self._per_client[client] > limits.open_per_client:
                return ProblemError(429, f"more than {limits.open_per_client} requests at once from one address")
        return None

    def _from_here(self, origin: bytes | None, host: bytes) -> bool:
        """Whether it is no page that asks, one of ours, or one that may.

        Ours may be known to browsers under a name that a proxy in between replaces, but not as another port of this
        machine, where something else listens.
        """
        if origin is None:
            return True
        text = origin.decode("latin-1").lower()
        place = text.rpartition("://")[2].encode("latin-1")
        name = _host(place)
        return (
            place == host.lower()
            or (name in self.settings.hosts and name not in LOCAL_NAMES)
            or bool({"*", text} & set(self.settings.cors))
        )

    def _may(self, brought: bytes) -> bool:
        if self._token is None:
            return True
        scheme, _, token = brought.partition(b" ")
        return scheme.lower() == b"bearer" and hmac.compare_digest(token.strip(), self._token)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "other")
        method = scope["method"] if scope["method"] in METHODS else "other"
        self.metrics.requests.labels(route, method, str(status or "left")).inc()
        self.metrics.seconds.labels(route).observe(seconds)
        if self.settings.log:
            log.info("%s %s %s %.0f ms", method, route, status or "left", 1000 * seconds)


def _host(header: bytes) -> str:
    """The host that a request is for, without its port."""
    return re.sub(r":\d*$", "", header.decode("latin-1")).lower()

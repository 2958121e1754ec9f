"""What a server allows, and how it is set up."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from ...digits.corrections import MOST_BYTES
from ...errors import InputError

LOCAL_NAMES = ("127.0.0.1", "localhost", "[::1]")  # of whatever machine this is
DAY = 86_400.0  # seconds
ORIGIN = re.compile(r"\*|https?://[^/\s]+")
LEAST_HELD = 256 << 20
STEADY = 1 << 20  # bytes a second, at which the largest body has to come


def default_threads() -> int:
    """Threads that read: as many as there are processors, and two at least, so that a large picture blocks nobody."""
    return max(2, min(32, os.cpu_count() or 1))


@dataclass(frozen=True)
class Limits:
    """What one request, one client and all of them together may ask for.

    Attributes
    ----------
    body_bytes: of one request. body_seconds: in which it has to arrive.
    pixels: of one picture once decoded. pictures: of one request, pages counted each. digits: of one request.
    seconds: until a request that was accepted is answered, or told that it takes too long.
    waiting: requests in the queue; the next is refused.
    open_requests, open_per_client: requests under way at once, of all clients and of one address, which can fill three
        quarters of the queue; by `waiting` unless given.
    held_bytes: of all bodies under way together; by `body_bytes` unless given, as `body_seconds` is.
    """

    body_bytes: int = 32 << 20
    body_seconds: float = -1
    pixels: int = 50_000_000
    pictures: int = 20
    digits: int = 10_000
    seconds: float = 30.0
    waiting: int = 256
    open_requests: int = -1
    open_per_client: int = -1
    held_bytes: int = -1

    def __post_init__(self) -> None:
        usual = {
            "body_seconds": 20.0 + self.body_bytes / STEADY,
            "open_requests": 2 * self.waiting,
            "open_per_client": max(1, 3 * self.waiting // 4),
            "held_bytes": max(LEAST_HELD, 4 * self.body_bytes),
        }
        if not 0 < self.seconds <= DAY:
            found = f"{self.seconds:g}"
            raise InputError("max-seconds", "out of range", expected="more than 0, at most a day", found=found)
        for name, value in usual.items():
            if getattr(self, name) < 0:
                object.__setattr__(self, name, value)


@dataclass(frozen=True)
class Settings:
    """How a server is set up.

    Attributes
    ----------
    hosts: names under which it may be called; any if empty.
    token: that clients have to bring, or None.
    cors: origins whose pages may call it.
    corrections: the file that corrections are kept in, or None. corrections_bytes: that it may grow to.
    threads: that read. log: whether to write a line for each request.

    Raises InputError for a token that cannot be brought in a header, and for what is no origin.
    """

    limits: Limits = field(default_factory=Limits)
    hosts: tuple[str, ...] = ()
    token: str | None = field(default=None, repr=False)
    cors: tuple[str, ...] = ()
    corrections: Path | None = None
    corrections_bytes: int = MOST_BYTES
    threads: int = field(default_factory=default_threads)
    log: bool = False

    def __post_init__(self) -> None:
        token = self.token
        if token is not None and not (token and token.isascii() and token.isprintable() and " " not in token):
            raise InputError("token", "cannot be sent", expected="letters, digits and signs of ASCII without spaces")
        for origin in self.cors:
            if not ORIGIN.fullmatch(origin):
                expected = "an origin such as https://example.org, or *"
                raise InputError("cors", "not an origin", expected=expected, found=origin[:80])

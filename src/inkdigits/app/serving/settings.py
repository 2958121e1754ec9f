"""What a server allows, and how it is set up."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ...digits.corrections import MOST_BYTES


@dataclass(frozen=True)
class Limits:
    """What one request, one client and all of them together may ask for.

    Attributes
    ----------
    body_bytes: of one request. body_seconds: in which it has to arrive.
    pixels: of one picture once decoded. pictures: of one request, pages counted each. digits: of one request.
    seconds: until a request that was accepted is answered, or told that it takes too long.
    waiting: requests in the queue; the next is refused.
    open_requests, open_per_client: requests under way at once, of all clients and of one address.
    held_bytes: of all bodies under way together.
    """

    body_bytes: int = 32 << 20
    body_seconds: float = 20.0
    pixels: int = 50_000_000
    pictures: int = 20
    digits: int = 10_000
    seconds: float = 30.0
    waiting: int = 256
    open_requests: int = 512
    open_per_client: int = 256
    held_bytes: int = 256 << 20


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
    """

    limits: Limits = field(default_factory=Limits)
    hosts: tuple[str, ...] = ()
    token: str | None = field(default=None, repr=False)
    cors: tuple[str, ...] = ()
    corrections: Path | None = None
    corrections_bytes: int = MOST_BYTES
    threads: int = 2
    log: bool = False

"""The reader behind HTTP: a page to draw digits on, and an interface for programs.

    $ inkdigits serve
    inkdigits reads at http://127.0.0.1:8000 (Ctrl-C ends it)

    $ curl -F file=@photo.jpg http://127.0.0.1:8000/v1/read

The model is opened once. What is accepted is answered, also when the server is told to stop; what would be too much
is refused at once, with the time after which to come again.
"""

from __future__ import annotations

import gc
import ipaddress
import os
import re
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..errors import InputError, MissingExtraError
from ..reader.model import Model, load_model
from ..reader.read import Reader
from .serving.settings import LOCAL_NAMES, Settings

if TYPE_CHECKING:
    from .serving.gate import App

HOST, PORT = "127.0.0.1", 8000
HOST_NAME = re.compile(r"[\w.-]+|\[[0-9A-Fa-f:.]+\]")
GIVE_WAY = 0.0001  # seconds
WAITING = 2048  # connections that wait to be taken


def serve(
    model: str | os.PathLike[str] | Model = "reader",
    *,
    host: str = HOST,
    port: int = PORT,
    settings: Settings | None = None,
    allow_hosts: tuple[str, ...] = (),
    ready: Callable[[str], None] | None = None,
) -> None:
    """Read over HTTP until the process is told to stop (SIGINT or SIGTERM).

    Parameters
    ----------
    model: a run folder, an `.onnx` file or the name of a shipped model.
    host, port: where to listen; port 0 lets the system choose.
    settings: limits, token, corrections and so on; safe ones unless given.
    allow_hosts: names under which it may be called. Bound to this machine alone it answers to its own name only, so
        that no page from elsewhere can reach it by giving its address a name; bound to more, to any, unless given.
    ready: called with the address once requests are taken.

    Raises ModelError if there is no such model, InputError if it cannot listen there or the corrections are of no use,
    MissingExtraError without the libraries for it.
    """
    settings = settings or Settings()
    server, build = _libraries()
    for name in allow_hosts:
        if not HOST_NAME.fullmatch(name):
            expected = "a name or an address, without http:// and port"
            raise InputError("allow_hosts", "not a name of a host", expected=expected, found=name[:80])
    with _listening(host, port) as listener:
        if not settings.hosts:
            settings = _with_hosts(settings, host, listener.getsockname()[0], allow_hosts)
        # One thread a picture: several pictures at once use the processor better than one picture with several.
        reader = Reader(load_model(model, threads=1))
        address = _address(listener)
        app = build(reader, settings)
        gc.collect()
        gc.freeze()  # what is there now stays, and need not be looked through again while somebody waits
        with _giving_way():
            server(app, settings, lambda: ready(address) if ready else None).run(sockets=[listener])


@contextmanager
def _giving_way() -> Iterator[None]:
    """Threads that read give way to the one that answers after 0.1 ms, where Python would have it wait 5."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(GIVE_WAY)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def _libraries() -> tuple[Callable[..., Any], Callable[[Reader, Settings], App]]:
    try:
        from .serving.routes import build
        from .serving.server import Server
    except ImportError as error:
        if error.name and error.name.split(".")[0] == "inkdigits":
            raise
        raise MissingExtraError("serve", "serve") from None
    return Server, build


def _with_hosts(settings: Settings, host: str, address: str, allow_hosts: tuple[str, ...]) -> Settings:
    """With the names under which it may be called; `address` is where it listens, `host` what that was called."""
    if not is_local(address) and not allow_hosts:
        return settings
    own = (f"[{each}]" if ":" in each else each for each in (host, address))
    return replace(settings, hosts=tuple(name.lower() for name in (*LOCAL_NAMES, *own, *allow_hosts)))


def is_local(address: str) -> bool:
    """Whether only this machine reaches what listens at an address."""
    return ipaddress.ip_address(address).is_loopback


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    where = f"{host}:{port}"
    try:
        asked = {"type": socket.SOCK_STREAM, "proto": socket.IPPROTO_TCP, "flags": socket.AI_PASSIVE}
        kind, *how, _, place = socket.getaddrinfo(host, port, **asked)[0]
        # Named as TCP, since asyncio else leaves answers waiting until what was sent before is acknowledged.
        listener = socket.socket(kind, *how)
    except (OSError, UnicodeError, OverflowError) as error:
        raise InputError(where, "not an address of this machine", found=_said(error)) from None
    with listener:
        try:
            if sys.platform != "win32":
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(place)
            listener.listen(WAITING)  # so that who knows the address may connect while the model is being opened
        except OSError as error:
            mend = "choose another with --port, or 0 for a free one"
            raise InputError(where, "cannot listen there", found=_said(error), mend=mend) from None
        yield listener


def _said(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

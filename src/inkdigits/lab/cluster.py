"""Joins a Ray cluster, or starts one on this machine; what cannot be reached is found out at once.

Left to itself Ray tries for minutes where nobody answers.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from ..errors import ClusterError, InputError, MissingExtraError

AUTO = "auto"  # the address of the cluster that this machine belongs to
LOCAL = "local"  # the address of a cluster that is started here, and ends with the command
PATIENCE = 3.0  # seconds for a connection, and for what is said on it; within a network it takes thousandths
# How gRPC begins: HTTP/2's preface and empty settings, which the other side answers with its own (RFC 9113, 3.4).
GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
FRAME_KIND, SETTINGS = 3, 4  # where a frame says what it is, and that it is settings
CLIENT_PORT = 10_001  # where `ray://HOST` means, if it names none
EXPECTED = "HOST:PORT as `ray start --head` prints it, auto or local"


def need_ray(address: str) -> None:
    """MissingExtraError without Ray; InputError where no cluster answers. Neither loads Ray, which takes seconds."""
    if find_spec("ray") is None:
        raise MissingExtraError("--ray", "scale")
    probe(address)


def connect(address: str) -> None:
    """Be a client of the Ray cluster at `address` from now on. MissingExtraError and InputError as `need_ray`."""
    need_ray(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anybody
    import ray

    if address == AUTO and (found := _last_started()):
        probe(address, found)
    # Ray puts a handler in the place of ours that ends with a status of its own.
    is_main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGTERM)
    more: dict[str, Any] = {"include_dashboard": False} if address == LOCAL else {}
    try:
        ray.init(address=address, ignore_reinit_error=True, log_to_driver=False, logging_level=logging.ERROR, **more)
    except (ConnectionError, ValueError, RuntimeError, OSError, ray.exceptions.RayError) as error:
        found = (str(error).splitlines() or [type(error).__name__])[0][:200]
        mend = "a cluster that is kept by a token wants RAY_AUTH_MODE=token and the token here too"
        raise InputError(f"--ray {address}", "no cluster to join", expected=EXPECTED, found=found, mend=mend) from error
    finally:
        if is_main:
            signal.signal(signal.SIGTERM, handler)


def failed(where: str, error: BaseException) -> ClusterError:
    """The ClusterError for what Ray or joblib raised."""
    first = str(error).partition("\n\nThe above exception")[0]  # of a chain the one that began it
    lines = [line.strip() for line in first.splitlines() if line.strip()] or [type(error).__name__]
    mend = "the same command with --resume goes on"
    return ClusterError(where, "failed at its share of the work", found=lines[-1][:200], mend=mend)


def join_ray(address: str) -> None:
    """Make joblib know the Ray cluster at `address`. MissingExtraError and InputError as `need_ray`."""
    connect(address)
    from ray.util.joblib import register_ray

    register_ray()


def _last_started() -> str | None:
    """The cluster that `auto` stands for: Ray remembers one that was started here, though it be long gone."""
    try:
        from ray._private.services import get_ray_address_from_environment as look

        found: str | None = look(AUTO, None)
    except (ImportError, TypeError, ConnectionError):
        return None  # then Ray itself must say
    return found


def probe(address: str, where: str | None = None) -> None:
    """InputError unless a cluster's `address` is well-formed and somebody there speaks gRPC, as Ray's heads do.

    `auto` is Ray's to find, where `where` does not say what it stands for, and `local` to start. With TLS, which Ray is
    told of by RAY_USE_TLS, it is enough that somebody listens.
    """
    where = where or ((os.environ.get("RAY_ADDRESS") or AUTO) if address == AUTO else address)
    if where in (AUTO, LOCAL):
        return
    try:
        with socket.create_connection(_host_and_port(where, address), timeout=PATIENCE) as connection:
            if os.environ.get("RAY_USE_TLS", "0") in ("", "0"):
                connection.sendall(GREETING)
                answer = connection.recv(FRAME_KIND + 1, socket.MSG_WAITALL)
                if answer[FRAME_KIND:] != bytes([SETTINGS]):
                    raise ConnectionError("something else than Ray")
    except (OSError, UnicodeError) as error:
        found = "no answer" if isinstance(error, TimeoutError) else getattr(error, "strerror", None) or str(error)
        raise InputError(f"--ray {address}", "no cluster to join", expected=EXPECTED, found=found) from error


def _host_and_port(where: str, address: str) -> tuple[str, int]:
    """The two parts of `HOST:PORT` or `ray://HOST[:PORT]`."""
    is_client = where.startswith("ray://")
    try:
        parts = urlsplit(where if is_client else f"//{where}")
        host, port = parts.hostname, parts.port or (CLIENT_PORT if is_client else None)
    except ValueError:
        host, port = None, None
    if not host or not port:
        raise InputError(f"--ray {address}", "no address of a cluster", expected=EXPECTED, found=where)
    return host, port

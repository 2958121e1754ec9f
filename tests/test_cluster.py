"""The address of a cluster is tried before Ray is asked, which would wait for minutes; errors between processes.

Nothing here needs Ray.
"""

from __future__ import annotations

import pickle
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path

import pytest

from inkdigits.app.cluster import predict_on_ray
from inkdigits.digits.dataset import Digits
from inkdigits.errors import ClusterError, InkdigitsError, InputError, MissingExtraError, OutputError
from inkdigits.lab import cluster, running
from inkdigits.lab.cluster import GREETING, probe
from inkdigits.lab.ledger import Ledger


@contextmanager
def listener(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """Somebody on this machine who answers one connection; gives the port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


def heads(connection: socket.socket) -> None:
    """As gRPC begins: settings, once it is greeted."""
    assert connection.recv(len(GREETING), socket.MSG_WAITALL) == GREETING
    connection.sendall(bytes([0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100]))


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "PATIENCE", 0.5)
    for name in ("RAY_ADDRESS", "RAY_USE_TLS"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("form", ["127.0.0.1:{}", "localhost:{}", "ray://127.0.0.1:{}"])
def test_a_head_that_answers_is_taken(form: str) -> None:
    with listener(heads) as port:
        probe(form.format(port))


def test_auto_is_left_to_ray_unless_the_environment_has_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    probe("auto")
    with listener(heads) as port:
        monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")
        probe("auto")
    with pytest.raises(InputError, match="--ray auto: no cluster to join"):
        probe("auto")


@pytest.mark.parametrize(
    "address", ["", "cluster", "cluster:", "cluster:port", "cluster:99999", ":6379", "http://a:80"]
)
def test_what_is_no_address_is_said_to_be_none(address: str) -> None:
    with pytest.raises(InputError, match="no address of a cluster, expected HOST:PORT"):
        probe(address)


def test_a_closed_port_is_found_out_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    began = time.monotonic()
    with pytest.raises(InputError, match=rf"--ray 127\.0\.0\.1:{port}: no cluster to join.*found Connection refused"):
        probe(f"127.0.0.1:{port}")
    assert time.monotonic() - began < 5


def test_a_host_that_does_not_exist_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "create_connection", unknown)
    with pytest.raises(InputError, match=r"--ray nosuch:6379: no cluster to join.*found Name or service not known"):
        probe("nosuch:6379")


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (lambda connection: connection.sendall(b"HTTP/1.0 400 Bad request\r\n\r\n"), "something else than Ray"),
        (lambda connection: connection.recv(1) and None, "something else than Ray|Connection reset"),
        (lambda connection: time.sleep(1), "no answer"),
    ],
    ids=["a web server", "one who hangs up", "one who says nothing"],
)
def test_somebody_else_at_the_port_is_not_waited_for(answer: Callable[[socket.socket], None], found: str) -> None:
    with listener(answer) as port, pytest.raises(InputError, match=found):
        probe(f"127.0.0.1:{port}")


def test_with_tls_it_is_enough_that_somebody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_USE_TLS", "1")
    with listener(lambda connection: None) as port:
        probe(f"127.0.0.1:{port}")


@pytest.mark.parametrize(
    "error",
    [
        InputError("a.csv, row 3", "not a pixel", expected="0…255", found="'256'", mend="mend it"),
        OutputError("out.csv", "no space left on the disk"),
        MissingExtraError("--ray", "scale"),
    ],
)
def test_errors_are_the_same_in_another_process(error: InkdigitsError) -> None:
    other = pickle.loads(pickle.dumps(error))
    assert type(other) is type(error)
    assert (str(other), vars(other), other.args) == (str(error), vars(error), error.args)


def test_an_error_at_another_place_is_the_same_otherwise() -> None:
    other = InputError("/here/a.csv, row 3", "not a pixel", expected="0…255", found="'256'", mend="mend it").at("a.csv")
    assert str(other) == "a.csv: not a pixel, expected 0…255, found '256'; mend it"
    assert type(MissingExtraError("a", "scale").at("b")) is MissingExtraError


@pytest.mark.filterwarnings("error")
def test_a_worker_that_was_killed_is_one_line_however_often(monkeypatch: pytest.MonkeyPatch, few: Digits) -> None:
    def results(*_: object) -> Iterator[object]:
        try:
            yield from ()
            raise BrokenProcessPool("A worker process managed by the executor was unexpectedly terminated.")
        finally:
            warnings.warn("2 tasks which were still being processed by the workers have been cancelled", stacklevel=1)

    monkeypatch.setattr(running, "_results", results)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    nothing = Ledger(Path())
    for _ in range(2):
        with pytest.raises(ClusterError, match=r"a worker process: failed .*--resume"):
            running.run_tasks([], nothing, few, few, False, 1, print, False)


def test_an_empty_address_in_the_environment_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "")
    probe("auto")


def test_what_ray_raises_is_one_line_with_its_cause() -> None:
    chain = (
        "ray::task()\n  File x\nValueError: the cause\n\nThe above exception was the direct cause\n\nray.Error: then"
    )
    assert str(cluster.failed("--ray auto", RuntimeError(chain))) == (
        "--ray auto: failed at its share of the work, found ValueError: the cause; "
        "the same command with --resume goes on"
    )
    assert "found RuntimeError" in str(cluster.failed("--ray auto", RuntimeError("")))


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r'--ray: needs a library .*pip install "inkdigits\[scale\]"'):
        predict_on_ray("mnist", ray="local", output="out.csv")

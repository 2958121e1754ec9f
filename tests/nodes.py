"""A Ray cluster of two nodes on this machine, for tests: nodes, their processes, and how they die."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 300.0  # seconds
SECRET = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}  # as a cluster should be kept


@dataclass(frozen=True)
class Cluster:
    address: str
    folder: Path
    nodes: list[subprocess.Popen[bytes]]

    def kill_workers(self, task: str = "") -> int:
        """Kill those that run a task, whose names Ray changes to what they do; gives how many there were."""
        working = [pid for pid, words in self._processes() if words.startswith(f"ray::MapBatches({task}")]
        for pid in working:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return len(working)

    def kill_node(self) -> None:
        """The second machine is gone, from one moment to the next."""
        stop(self.nodes[1])

    def revive(self) -> None:
        """There are two again."""
        if self.nodes[1].poll() is not None:
            self.nodes[1] = start(self.folder, f"--address={self.address}")

    def _processes(self) -> Iterator[tuple[int, str]]:
        ours = [os.getpgid(node.pid) for node in self.nodes if node.poll() is None]
        for place in Path("/proc").glob("[0-9]*"):
            try:
                words = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                session = os.getsid(int(place.name))
            except (OSError, ValueError):
                continue
            if session in ours:
                yield int(place.name), words


def start(folder: Path, *words: str) -> subprocess.Popen[bytes]:
    """A node with one processor, in a session of its own; returns when it is up."""
    log = folder / f"node-{len(list(folder.glob('*.log')))}.log"
    with log.open("wb") as sink:
        node = subprocess.Popen(
            [
                *(sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--num-cpus=1"),
                *("--object-store-memory=150000000", "--disable-usage-stats", "--node-ip-address=127.0.0.1"),
                *words,
            ],
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=os.environ | SECRET | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
    until = time.monotonic() + PATIENCE
    while b"Ray runtime started" not in log.read_bytes():
        assert node.poll() is None, log.read_text()
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.2)
    return node


def stop(node: subprocess.Popen[bytes]) -> None:
    if node.poll() is None:
        os.killpg(node.pid, signal.SIGKILL)
        node.wait()


@contextmanager
def two_nodes() -> Iterator[Cluster]:
    """Two nodes with a processor each; gone with the block."""
    folder = Path(tempfile.mkdtemp(prefix="ink"))  # not below pytest's own: paths of sockets must be short
    nodes: list[subprocess.Popen[bytes]] = []
    try:
        with socket.create_server(("127.0.0.1", 0)) as free:
            address = f"127.0.0.1:{free.getsockname()[1]}"
        port = address.rpartition(":")[2]
        nodes.append(start(folder, "--head", f"--port={port}", "--include-dashboard=false", f"--temp-dir={folder}/ray"))
        nodes.append(start(folder, f"--address={address}"))
        yield Cluster(address, folder, nodes)
    finally:
        for node in reversed(nodes):
            stop(node)
        shutil.rmtree(folder, ignore_errors=True)

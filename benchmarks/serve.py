"""The server under load: what rate it holds, how soon it answers, what ten times too much does to it.

    $ .venv/bin/python benchmarks/serve.py [--seconds 10] [--only starts|reader|fast|peer]

The load comes from Locust, in a process of its own in .venv-peers, over loopback, so that the generator shares the two
cores. Pictures are 200 of MNIST's test digits as PNG, 28×28, one a request; an answer is right if it is what the same
model says in this process. A rate is held if 99 % of what was asked in the time is answered, all of it with 200, and
99 % within a quarter of a second, so that no queue grows. The peer is the same network behind Flask and Keras' predict.
Needs a quiet machine; written to benchmarks/results/serve.json.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import re
import signal
import statistics
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from common import INKDIGITS, RESULTS, WORK, commit, machine, write_result
from corrections import png
from peers import VENV, make_peers

from inkdigits.digits.formats import load_digits
from inkdigits.reader.read import Reader

PICTURES, BATCH = 200, 100
SHARES = (1.2, 1.1, 1.0, 0.9, 0.8, 0.7, 0.6)  # of the most that it answers to 16 clients, tried until one is held
LATE = 250.0  # milliseconds
STARTS = 7
NET = "a-conv7"


@dataclass
class Running:
    """A server in a process of its own: what it listens at, and what memory it takes, in MB."""

    process: subprocess.Popen[str]
    address: str

    def memory(self) -> float:
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmRSS"))


@contextmanager
def running(command: list[str | Path]) -> Iterator[Running]:
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as it:
        assert it.stdout is not None
        found = re.search(r"http://\S+", it.stdout.readline())
        assert found, f"{command} did not start"
        try:
            yield Running(it, found.group())
        finally:
            it.send_signal(signal.SIGTERM)


def asked(address: str, requests: list[dict[str, Any]], *, rate: float | None, connections: int, seconds: float) -> Any:
    """One run of the load generator; see benchmarks/peers/load.py."""
    plan = {"url": address, "rate": rate, "connections": connections, "seconds": seconds, "requests": requests}
    command = [str(VENV / "bin" / "python"), "benchmarks/peers/load.py"]
    said = subprocess.run(command, input=json.dumps(plan), capture_output=True, text=True, check=True).stdout
    return json.loads(said)


def held(found: Any, rate: float) -> bool:
    enough = found["answered_a_second"] >= 0.99 * rate and set(found["codes"]) == {"200"}
    return enough and found["milliseconds"]["p99"] <= LATE


def pictures(reader: Reader) -> list[dict[str, Any]]:
    requests = []
    for image in load_digits("mnist:test").images[:PICTURES]:
        body = png(image)
        expected = f'"text":"{reader.read(body).text}"'
        headers = {"content-type": "image/png"}
        requests.append({"path": "/v1/read", "headers": headers, "body": _text(body), "expected": expected})
    return requests


def batches(reader: Reader, *, npy: bool) -> list[dict[str, Any]]:
    requests = []
    images = load_digits("mnist:test").images
    for start in range(0, 2000, BATCH):
        some = images[start : start + BATCH]
        labels = reader.model.predict(some).labels.tolist()
        expected = f'"labels":{json.dumps(labels, separators=(",", ":"))}'
        if npy:
            body, kind = _npy(some), "application/octet-stream"
        else:
            body = json.dumps({"images": some.reshape(BATCH, -1).tolist()}, separators=(",", ":")).encode()
            kind = "application/json"
        headers = {"content-type": kind}
        requests.append({"path": "/v1/digits", "headers": headers, "body": _text(body), "expected": expected})
    return requests


def _npy(images: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, images)
    return file.getvalue()


def _text(body: bytes) -> str:
    return base64.b64encode(body).decode("ascii")


def rates(server: Running, requests: list[dict[str, Any]], seconds: float) -> dict[str, Any]:
    """The most it answers, the highest of the tried rates that it holds, and how soon it answers at half of that."""
    asked(server.address, requests, rate=None, connections=4, seconds=3)  # to warm up
    most = asked(server.address, requests, rate=None, connections=16, seconds=seconds)
    found: dict[str, Any] = {"most": most, "tried": []}
    for share in SHARES:
        rate = float(round(share * most["answered_a_second"]))
        once = asked(server.address, requests, rate=rate, connections=64, seconds=seconds)
        found["tried"].append({"rate": rate} | once)
        if held(once, rate):
            found["held"] = rate
            found["at_half"] = asked(server.address, requests, rate=round(rate / 2), connections=64, seconds=seconds)
            break
    return found


def digits(server: Running, reader: Reader, seconds: float) -> dict[str, Any]:
    """Batches of digit images, as .npy and as JSON, as fast as they are answered."""
    found = {}
    for name in ("npy", "json"):
        once = asked(server.address, batches(reader, npy=name == "npy"), rate=None, connections=4, seconds=seconds)
        found[name] = once | {"digits_a_second": round(BATCH * once["answered_a_second"])}
    return found


def overload(server: Running, requests: list[dict[str, Any]], rate: float, seconds: float) -> dict[str, Any]:
    """Ten times the rate, three times over; then whether it still answers."""
    memory, rounds = [server.memory()], []
    for _ in range(3):
        rounds.append(asked(server.address, requests, rate=10 * rate, connections=1000, seconds=seconds))
        memory.append(server.memory())
    after = asked(server.address, requests, rate=round(rate / 2), connections=64, seconds=seconds)
    return {"rate": 10 * rate, "rounds": rounds, "memory_megabytes": [round(each) for each in memory], "after": after}


def starts() -> dict[str, Any]:
    """Seconds from the command to its address, and to the first answer."""
    body, ready, answered = png(load_digits("mnist:test").images[0]), [], []
    for _ in range(STARTS):
        began = time.perf_counter()
        with running([*INKDIGITS, "serve", "--port", "0"]) as server:
            ready.append(time.perf_counter() - began)
            request = urllib.request.Request(f"{server.address}/v1/read", body, {"Content-Type": "image/png"})
            with urllib.request.urlopen(request) as answer:
                assert json.load(answer)["readings"][0]["text"] == "7"
            answered.append(time.perf_counter() - began)
    return {
        "ready": round(statistics.median(ready), 2),
        "answered": round(statistics.median(answered), 2),
        "of": STARTS,
    }


def keras_weights(run: Path, file: Path) -> None:
    """The weights of a run as Keras has them: of convolutions height and width first, then inputs and outputs."""
    arrays = []
    with (run / "checkpoint").open("rb") as stream, np.load(stream, allow_pickle=False) as kept:
        for name in kept.files:
            if name.startswith("network/") and not name.endswith("num_batches_tracked"):
                arrays.append(kept[name].transpose(2, 3, 1, 0) if kept[name].ndim == 4 else kept[name].T)
    np.savez(file, *arrays)


def trained(name: str, *options: str) -> Path:
    run = WORK / "serve" / name
    if not (run / "metrics.json").exists():
        subprocess.run([*INKDIGITS, "train", "-q", *options, "-o", run, "--force"], check=True)
    return run


def peer(seconds: float) -> dict[str, Any]:
    """The same network, trained by us, behind both servers in turn."""
    run, weights = trained(NET, "--net", NET, "--epochs", "2"), WORK / "serve" / "weights.npz"
    keras_weights(run, weights)
    requests = pictures(Reader(run, threads=1))
    found = {}
    with running([*INKDIGITS, "serve", "--port", "0", "-m", run]) as server:
        found["inkdigits"] = rates(server, requests, seconds)
    flask = [VENV / "bin" / "python", "benchmarks/peers/flask_keras.py", weights]
    with running(flask) as server:
        # It has no way to refuse, so what it says of the few that ours refuses is left out.
        found["Flask and Keras"] = rates(server, [each for each in requests if "?" not in each["expected"]], seconds)
    return found


def of_reader(seconds: float) -> dict[str, Any]:
    reader = Reader(threads=1)
    with running([*INKDIGITS, "serve", "--port", "0"]) as server:
        requests = pictures(reader)
        found: dict[str, Any] = {"read": rates(server, requests, seconds), "digits": digits(server, reader, seconds)}
        found["at_300"] = asked(server.address, requests, rate=300.0, connections=64, seconds=seconds)
        found["overload"] = overload(server, requests, found["read"].get("held", 600.0), seconds)
    return found


def of_fast(seconds: float) -> dict[str, Any]:
    fast = trained("fast", "--target", "99.3")
    with running([*INKDIGITS, "serve", "--port", "0", "-m", fast]) as server:
        return {"digits": digits(server, Reader(fast, threads=1), seconds)}


SECTIONS = {"starts": lambda _: starts(), "reader": of_reader, "fast": of_fast, "peer": peer}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--only", choices=SECTIONS)
    arguments = parser.parse_args()
    (WORK / "serve").mkdir(parents=True, exist_ok=True)
    make_peers()
    file = RESULTS / "serve.json"
    result: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.exists() else {}
    result["machine"] = machine()
    for name in [arguments.only] if arguments.only else SECTIONS:
        result[name] = SECTIONS[name](arguments.seconds) | {"commit": commit()}
        print(f"{name}:", json.dumps(result[name]), flush=True)
        write_result("serve", result)


if __name__ == "__main__":
    main()

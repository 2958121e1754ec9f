"""The peers beside ours, in turn in one run: Keras on TensorFlow to 99.0 %, and `train --target 99.0`.

    $ .venv/bin/python benchmarks/peers.py [--peers keras.io a-conv7 a-conv3] [--ours 3]

The peers live in .venv-peers, which this makes from the extra `peers`. Their time is training time from opening the
data until the first epoch after which the accuracy on the test digits is 99.0 % (evaluation left out; stopping by the
test set favours them); a peer that does not get there stops after its own number of epochs. Before and after each peer,
ours is trained with `--ours` seeds by benchmarks/fast.py's rules. Written to
benchmarks/results/peers.json. Needs a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
from common import WORK, commit, machine, write_result
from fast import one

from inkdigits.digits.formats import load_digits

TARGET = "99.0"
VENV = Path(".venv-peers")
VERSIONS = "import keras, tensorflow; print('keras', keras.__version__, 'tensorflow', tensorflow.__version__)"


def peer(name: str, file: Path) -> list[dict[str, float]]:
    command = [str(VENV / "bin" / "python"), "benchmarks/peers/keras_run.py", name, str(float(TARGET) / 100), str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        epochs = []
        for line in process.stdout:
            print(name, line.strip(), flush=True)
            epochs.append(json.loads(line))
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return epochs


def make_peers() -> None:
    """The environment of the peers, from the extra `peers`; left alone where it has all of it."""
    if not (VENV / "bin" / "python").exists():
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
    install = ["install", "--quiet", "--constraint", "constraints.txt", "--editable", ".[peers]"]
    subprocess.run([str(VENV / "bin" / "pip"), *install], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", nargs="*", default=["keras.io", "a-conv7", "a-conv3"])
    parser.add_argument("--ours", type=int, default=3)
    arguments = parser.parse_args()
    make_peers()
    WORK.mkdir(exist_ok=True)
    file = WORK / "mnist.npz"
    train, test = load_digits("mnist:train"), load_digits("mnist:test")
    np.savez(file, x_train=train.images, y_train=train.labels, x_test=test.images, y_test=test.labels)

    asked = subprocess.run([str(VENV / "bin" / "python"), "-c", VERSIONS], capture_output=True, text=True, check=True)
    versions = asked.stdout.strip()
    seeds = iter(range(1_000))
    ours = [one(TARGET, next(seeds), "cpu") for _ in range(arguments.ours)]
    peers = {}
    for name in arguments.peers:
        epochs = peer(name, file)
        more = [one(TARGET, next(seeds), "cpu") for _ in range(arguments.ours)]
        around = statistics.median(row["training_seconds"] for row in ours[-arguments.ours :] + more)
        ours += more
        last = epochs[-1]
        peers[name] = {
            "reached": last["accuracy"] >= float(TARGET) / 100,
            "epochs": last["epoch"],
            "accuracy": last["accuracy"],
            "training_seconds": last["seconds"],
            "ours_seconds": around,
            "ratio": round(last["seconds"] / around, 1),
            "history": epochs,
        }
        print(name, peers[name]["ratio"], flush=True)
        result = {
            "command": "python benchmarks/peers.py",
            "machine": machine(),
            "commit": commit(),
            "target": TARGET,
            "ours": {"accuracy": statistics.fmean(row["accuracy"] for row in ours), "runs": ours},
            "versions": versions,
            "peers": peers,
        }
        print(write_result("peers", result))


if __name__ == "__main__":
    main()

"""Images a second of one core and of all: the same networks in ours, ONNX Runtime, OpenVINO, PyTorch and Keras.

    $ .venv/bin/python benchmarks/throughput.py [--nets bulk fast] [--rounds 7] [--no-keras]

Each engine is a process of its own, held to one core (or to all), with the 10,000 test digits in memory; they answer
one round each in turn, and what counts is the median. Each is tried with batches of 128 and of 1,000 and the better
one stands. Labels are compared with ours. Before that: what other channels would do to the speed of `bulk`, and how
fast the shipped models are. After it: `inkdigits predict` as a command on files of 70,000 and of 350,000 digits, and
what it takes for a further digit. The networks are the first seeds of their records (benchmarks/records.py bulk
bulk-width-8 fast), which are trained where they are not there yet. Written to
benchmarks/results/records/throughput.json. Needs a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import INKDIGITS, WORK, commit, machine, timed, write_result
from peers import VENV, make_peers
from records import RUNS
from torch import nn

from inkdigits.digits.formats import load_digits
from inkdigits.nets import zoo
from inkdigits.nets.calibrate import Calibration
from inkdigits.nets.catalogue import settings_for
from inkdigits.nets.export import to_onnx
from inkdigits.reader.model import SHIPPED, load_model

FOLDER = WORK / "throughput"
BATCHES = (128, 1_000)
NETS = ("bulk", "bulk-width-8", "fast")
SHAPES = [(8, 16, 32), (8, 32, 64), (16, 32, 64), (10, 30, 60), (12, 36, 72), (16, 48, 96)]


class Process:
    """An engine that has been started and answers rounds."""

    def __init__(self, command: list[str]) -> None:
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.seconds: list[float] = []
        self.ready = self._said()

    def _said(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        # What a library says on stdout is passed over.
        for line in self.process.stdout:
            if line.startswith("{"):
                found: dict[str, Any] = json.loads(line)
                return found
        raise RuntimeError(f"{' '.join(map(str, self.process.args))} ended")  # type: ignore[arg-type]

    def round(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        self.seconds.append(self._said()["seconds"])

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def layers_of(folder: Path, file: Path) -> None:
    """The shapes of a run's layers, for Keras."""
    settings = settings_for(**json.loads((folder / "config.json").read_text())["settings"])
    told = []
    for layer in zoo.build(settings):
        kind = type(layer).__name__
        if kind in ("Conv2d", "Whitening"):
            shape = {"side": layer.kernel_size[0], "stride": layer.stride[0], "padding": layer.padding[0]}
            told.append({"kind": "conv", "outputs": layer.out_channels, "bias": layer.bias is not None, **shape})
        elif kind == "Linear":
            told.append({"kind": "linear", "outputs": layer.out_features})
        elif kind in ("MaxPool2d", "AvgPool2d"):
            told.append({"kind": kind[:3].lower().replace("avg", "mean"), "side": layer.kernel_size})
        elif kind != "Dropout":
            told.append({"kind": {"BatchNorm2d": "norm", "ReLU": "relu", "Flatten": "flatten"}[kind]})
    file.write_text(json.dumps(told), encoding="ascii")


def engines(name: str, folder: Path, images: Path, threads: int, *, keras: bool) -> dict[str, list[str]]:
    """Commands by the engine's name and batch."""
    commands = {}
    eight = FOLDER / f"{name}-int8.onnx"
    shapes = FOLDER / f"{name}.json"
    for engine, model in [
        ("predict", folder), ("predict, 8 bits", eight), ("onnxruntime", folder), ("onnxruntime, 8 bits", eight),
        ("openvino", folder), ("openvino, 8 bits", eight), ("torch", folder), ("torch.compile", folder),
    ]:  # fmt: skip
        for batch in BATCHES if not engine.startswith("predict") else BATCHES[:1]:
            words = [engine.split(",")[0], str(model), str(images), str(batch), str(threads)]
            commands[f"{engine}@{batch}"] = [sys.executable, "benchmarks/engines.py", *words]
    for batch in BATCHES if keras else ():
        words = [str(shapes), str(images), str(batch), str(threads)]
        commands[f"keras@{batch}"] = [str(VENV / "bin" / "python"), "benchmarks/peers/keras_predict.py", *words]
    return commands


def measure(name: str, folder: Path, images: Path, threads: int, rounds: int, *, keras: bool) -> dict[str, Any]:
    started, failed = {}, {}
    for engine, command in engines(name, folder, images, threads, keras=keras).items():
        try:
            started[engine] = Process(command)
        except RuntimeError as error:
            failed[engine] = str(error)
    for _ in range(rounds):
        for engine in started.values():
            engine.round()
    count = len(np.load(images, mmap_mode="r"))
    ours = started["predict@128"].ready["labels"]
    found: dict[str, Any] = {}
    for engine, process in started.items():
        process.end()
        rate, (short, batch) = count / statistics.median(process.seconds), engine.split("@")
        labels = process.ready["labels"]
        alike = None if labels is None else sum(a == b for a, b in zip(ours, labels, strict=True))
        if short not in found or rate > found[short]["images_per_second"]:
            found[short] = {"images_per_second": round(rate), "batch": int(batch), "alike": alike}
        print(name, threads, engine, round(rate), alike, flush=True)
    return found | {engine.split("@")[0]: {"failed": why} for engine, why in failed.items()}


def shapes(images: Path, rounds: int) -> list[dict[str, Any]]:
    """What `bulk` was chosen among: untrained networks with other channels, in ONNX Runtime on one core."""
    files, found = [], []
    for channels in SHAPES:
        network = bulk_of(channels).eval()
        file = FOLDER / f"shape-{'-'.join(map(str, channels))}.onnx"
        file.write_bytes(to_onnx(network, Calibration(1.0, 0.0, 1.0), {}))
        found.append({"channels": channels, "multiplications": multiplications(network)})
        files.append(file)
    for one, rate in zip(found, in_turn("onnxruntime", files, images, rounds), strict=True):
        one["images_per_second"] = rate
        print(one, flush=True)
    return found


def shipped(images: Path, rounds: int) -> dict[str, int]:
    """Images a second through the Python API on one core, by the shipped model's name."""
    names = sorted(file.stem for file in SHIPPED.glob("*.onnx"))
    few = FOLDER / "few.npy"  # two of them take nine looks at each
    np.save(few, np.load(images)[:1_000])
    found = dict(zip(names, in_turn("predict", names, few, rounds), strict=True))
    print(found, flush=True)
    return found


def in_turn(engine: str, models: Sequence[str | Path], images: Path, rounds: int) -> list[int]:
    """Images a second of models in one engine on one core."""
    words = [sys.executable, "benchmarks/engines.py", engine]
    started = [Process([*words, str(model), str(images), str(BATCHES[0]), "1"]) for model in models]
    for _ in range(rounds):
        for process in started:
            process.round()
    for process in started:
        process.end()
    count = len(np.load(images, mmap_mode="r"))
    return [round(count / statistics.median(process.seconds)) for process in started]


def bulk_of(channels: tuple[int, ...]) -> nn.Sequential:
    """`bulk` with these channels in its three convolutions."""
    layers, inputs = zoo.bulk(16), 1
    for at, layer in enumerate(layers):
        if isinstance(layer, nn.Conv2d):
            outputs = channels[at // 3]
            layers[at] = nn.Conv2d(inputs, outputs, layer.kernel_size, layer.stride, bias=False)  # type: ignore[arg-type]
            layers[at + 1] = nn.BatchNorm2d(outputs)
            inputs = outputs
    layers[-1] = nn.Linear(inputs * 3 * 3, 10)
    return nn.Sequential(*layers)


def multiplications(network: nn.Sequential) -> int:
    """Of one image."""
    flow, count = torch.zeros(1, 1, 28, 28), 0
    for layer in network:
        flow = layer(flow)
        if isinstance(layer, nn.Conv2d | nn.Linear):
            count += layer.weight[0].numel() * flow.numel()
    return count


def command_rate(folder: Path, counts: tuple[int, int], rounds: int) -> dict[str, Any]:
    """`inkdigits predict` on two files of random MNIST digits: what a further digit takes."""
    every, files = load_digits("mnist"), []
    rng = np.random.default_rng(0)
    for count in counts:
        files.append(FOLDER / f"{count}.npz")
        np.savez(files[-1], images=every.images[rng.integers(len(every), size=count)])
    seconds: list[list[float]] = [[], []]
    for _ in range(rounds):
        for file, taken in zip(files, seconds, strict=True):
            taken.append(timed([*INKDIGITS, "predict", file, "-m", folder, "-o", FOLDER / "out.csv"])[0])
    few, many = (statistics.median(taken) for taken in seconds)
    for file in files:
        file.unlink()
    return {
        "digits": counts,
        "seconds": [round(few, 2), round(many, 2)],
        "images_per_second": round((counts[1] - counts[0]) / (many - few)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nets", nargs="+", default=NETS, choices=NETS)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--no-keras", dest="keras", action="store_false")
    arguments = parser.parse_args()
    if arguments.keras:
        make_peers()
    FOLDER.mkdir(parents=True, exist_ok=True)
    test, images = load_digits("mnist:test"), FOLDER / "images.npy"
    np.save(images, test.images)
    result: dict[str, Any] = {
        "command": "python benchmarks/throughput.py",
        "machine": machine(),
        "commit": commit(),
        "shapes": shapes(images, arguments.rounds),
        "shipped": shipped(images, arguments.rounds),
        "nets": {},
    }
    for name in arguments.nets:
        folder = RUNS / f"{name}-0"
        if not (folder / "metrics.json").exists():
            subprocess.run([sys.executable, "benchmarks/records.py", name, "--seeds", "0"], check=True)
        eight = FOLDER / f"{name}-int8.onnx"
        # Whatever it then gets right is measured here.
        subprocess.run(
            [*INKDIGITS, "export", str(folder), "--to", "onnx-int8", "-o", str(eight), "--force"], check=True
        )
        layers_of(folder, FOLDER / f"{name}.json")
        errors = {
            kind: int((load_model(file).predict(test.images).labels != test.labels).sum())
            for kind, file in (("32 bits", folder), ("8 bits", eight))
        }
        result["nets"][name] = {
            "parameters": json.loads((folder / "metrics.json").read_text())["parameters"],
            "errors": errors,
            "one_core": measure(name, folder, images, 1, arguments.rounds, keras=arguments.keras),
            "all_cores": measure(name, folder, images, os.cpu_count() or 1, arguments.rounds, keras=arguments.keras),
            "command": command_rate(folder, (70_000, 350_000), 3),
        }
        print(write_result("records/throughput", result))


if __name__ == "__main__":
    main()

"""Time to accuracy of `inkdigits train`: the three presets of `fast`, ten seeds each, every run a process of its own.

    $ .venv/bin/python benchmarks/fast.py [--seeds 10] [--targets 99.0 99.3 99.5] [--device cpu]

Training time runs from opening the data to the final weights (`seconds.load` + `seconds.train` of metrics.json); whole
process is what the clock says around the command; what is between them is imports, provenance, export and checks. Each
seed's model is measured on the 10,000 test digits through its ONNX file; nothing is selected by the result. Written to
benchmarks/results/fast-DEVICE.json. Needs a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import shutil

from common import INKDIGITS, WORK, commit, machine, spread, timed, write_result

from inkdigits.digits.formats import load_digits
from inkdigits.nets.catalogue import TARGETS
from inkdigits.reader.model import load_model


def one(target: str, seed: int, device: str) -> dict[str, float]:
    folder = WORK / "fast" / f"{target}-{seed}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    command = [*INKDIGITS, "train", "mnist", "--target", target, "--seed", str(seed), "--device", device, "-o", folder]
    seconds, memory = timed(command)
    metrics = json.loads((folder / "metrics.json").read_text())
    test = load_digits("mnist:test")
    errors = int((load_model(folder).predict(test.images).labels != test.labels).sum())
    training = metrics["seconds"]["load"] + metrics["seconds"]["train"]
    return {
        "seed": seed,
        "errors": errors,
        "accuracy": 1 - errors / len(test),
        "training_seconds": round(training, 3),
        "whole_seconds": round(seconds, 3),
        "added_seconds": round(seconds - training, 3),
        "peak_mb": round(memory, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--targets", nargs="*", default=list(TARGETS))
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    runs: dict[str, list[dict[str, float]]] = {target: [] for target in arguments.targets}
    # In turn, so that a machine that slows down slows all of them alike.
    for seed in range(arguments.seeds):
        for target in arguments.targets:
            runs[target].append(one(target, seed, arguments.device))
            print(target, runs[target][-1], flush=True)
    result = {
        "command": "python benchmarks/fast.py",
        "machine": machine(),
        "commit": commit(),
        "device": arguments.device,
        "targets": {
            target: {
                name: spread([row[name] for row in rows], 4 if name == "accuracy" else 2)
                for name in ("accuracy", "training_seconds", "whole_seconds", "added_seconds", "peak_mb")
            }
            | {"runs": rows}
            for target, rows in runs.items()
        },
    }
    print(write_result(f"fast-{arguments.device}", result))


if __name__ == "__main__":
    main()

"""The records: networks trained on all 60,000 digits, seed by seed, measured on the 10,000 test digits.

    $ .venv/bin/python benchmarks/records.py best [--seeds 0 1 2 3 4] [--threads N] [--device cpu]
    $ .venv/bin/python benchmarks/records.py tiny least bulk
    $ .venv/bin/python benchmarks/records.py best-kaggle      # on 42,000 of all 70,000 digits, measured on the others

A network is first trained on a part, with the digits that are held out for its temperature and thresholds; settings
were chosen there and nowhere else. (`best-wide` and others that are a record but for a setting take over what that
record found, if it is there.) Then the same training on all digits, once for each seed, none left out. A seed's row is
written to benchmarks/results/records/NAME.json when it ends; a row that is there with the same settings is not made
again, and an interrupted training goes on. The file also has what the trainings on all digits took over from that on a
part, so that more seeds need no such training again. `taught` goes on from the trainings of `best` and learns from
those of `best`, `tiny` and `bulk`, which must all be there; `longer` goes on without teachers. Two such processes with
other seeds and `--threads 1` each may run side by side.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
from pathlib import Path
from typing import Any

from common import INKDIGITS, RESULTS, WORK, commit, machine, write_result
from kaggle import halves_of_kaggle

from inkdigits.digits.dataset import Digits
from inkdigits.digits.formats import load_digits, save_digits
from inkdigits.lab.evaluate import evaluate
from inkdigits.nets.catalogue import Settings, settings_for

RUNS = WORK / "records"
# name of a record: its network and what is other than the network's own settings.
RECORDS: dict[str, tuple[str, dict[str, Any]]] = {
    "best": ("best", {}),
    "taught": ("best", {"epochs": 6.0, "learning_rate": 0.002}),
    "tiny": ("tiny", {}),
    "least": ("least", {}),
    "bulk": ("bulk", {}),
    "fast": ("fast", {}),
    "best-kaggle": ("best", {}),
    "tiny-kaggle": ("tiny", {}),
    "bulk-kaggle": ("bulk", {}),
    "taught-kaggle": ("best", {"epochs": 6.0, "learning_rate": 0.002}),
    # What `taught` would be without its teachers.
    "longer": ("best", {"epochs": 6.0, "learning_rate": 0.002}),
    # On another processor, whose other order of sums ends with other weights.
    "best-again": ("best", {}),
    # Other shapes, for the ensemble.
    "best-wide": ("best", {"width": 72}),
    "best-narrow": ("best", {"width": 36}),
    "best-deep": ("best", {"depth": 1}),
    "best-rough": ("best", {"elastic": 1.6, "turn": 18.0, "shear": 0.25}),
    "best-mild": ("best", {"width": 36, "augmentation": "affine", "shift": 1, "turn": 8.0, "scale": 0.1, "shear": 0.1}),
    "fast-long": ("fast", {"epochs": 30.0, "averaging": 0.999, "views": 9}),
    # For the curve of accuracy against parameters.
    "tiny-width-3": ("tiny", {"width": 3}),
    "tiny-width-4": ("tiny", {"width": 4}),
    "tiny-width-12": ("tiny", {"width": 12}),
    "tiny-width-24": ("tiny", {"width": 24}),
    "bulk-width-4": ("bulk", {"width": 4}),
    "bulk-width-8": ("bulk", {"width": 8}),
    "bulk-width-32": ("bulk", {"width": 32}),
    "bulk-width-64": ("bulk", {"width": 64}),
    "bulk-width-96": ("bulk", {"width": 96}),
}
# With whose weights a training begins: those of the training on a part, or of that with the same seed.
STARTS = {"taught": "best", "longer": "best", "taught-kaggle": "best-kaggle"}
# Whose trainings on a part teach the training on a part; one with seed S is taught by the seeds S + each of these
# numbers, which go round.
TEACHERS: dict[str, dict[str, tuple[int, ...]]] = {
    "taught": {"best": (1, 2), "tiny": (0,), "bulk": (0,)},
    "taught-kaggle": {"best-kaggle": (1,), "tiny-kaggle": (0,), "bulk-kaggle": (0,)},
}
SEEDS = 5
SEEDS_OF = {"best-kaggle": 2, "tiny-kaggle": 1, "bulk-kaggle": 2}  # where there are fewer
OTHER_SHAPES = ("best-wide", "best-narrow", "best-deep", "best-rough", "best-mild", "fast-long")
KAGGLE = "-kaggle"  # ending of a record that is trained on 42,000 digits


def others_of(name: str, seed: int | None) -> list[str]:
    """The options that name the other runs which a record's training with a seed on all digits, or on a part, takes."""
    options = []
    if name in STARTS:
        options += [f"--start-from={RUNS / STARTS[name]}-{'part' if seed is None else seed}"]
    for teacher, steps in TEACHERS.get(name, {}).items():
        endings = ["part"] if seed is None else [str((seed + step) % SEEDS_OF.get(teacher, SEEDS)) for step in steps]
        options += [f"--teacher={RUNS / teacher}-{ending}" for ending in endings]
    return options


def train(folder: Path, words: list[str], threads: int | None, device: str) -> dict[str, Any]:
    """The metrics of the run in `folder`, which is trained, or gone on with, where it is not finished."""
    if not (folder / "metrics.json").exists():
        if (folder / "checkpoint").exists():
            words = ["--resume"]
        elif folder.exists():
            words = [*words, "--force"]
        more = ["--threads", str(threads)] if threads else []
        folder.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([*INKDIGITS, "train", *words, "-o", str(folder), "--device", device, *more], check=True)
    return json.loads((folder / "metrics.json").read_text())


def measured(folder: Path, source: Digits, metrics: dict[str, Any]) -> dict[str, Any]:
    """The row of a seed."""
    found = evaluate(folder, source).as_dict()
    config = json.loads((folder / "config.json").read_text())
    return {
        "seed": config["settings"]["seed"],
        **({"start": as_it_was(Path(config["start"]["run"]), source)} if "start" in config else {}),
        **({"teachers": [Path(teacher["run"]).name for teacher in config["teachers"]]} if "teachers" in config else {}),
        "n": found["n"],
        "errors": found["errors"],
        "accuracy": found["accuracy"],
        "without_contested": found["without_contested"],
        "halves": found["halves"],
        "negative_log_likelihood": found["negative_log_likelihood"],
        "refused": found["refusal"]["rate"],
        "wrong": found["wrong"],
        "train": metrics["train"],
        "training_seconds": round(metrics["seconds"]["train"], 1),
        "machine": machine(),
        "commit": commit(),
    }


def as_it_was(start: Path, source: Digits) -> dict[str, Any]:
    """What the run that another began with got of the same digits."""
    found = evaluate(start, source).as_dict()
    return {"run": start.name} | {key: found[key] for key in ("errors", "negative_log_likelihood")}


def known(name: str, settings: dict[str, Any]) -> dict[str, Any]:
    """What the result file says of a record, {} if it was not made with these settings."""
    file = RESULTS / "records" / f"{name}.json"
    found = json.loads(file.read_text()) if file.exists() else {}
    # A setting that is newer than the file was at its default.
    return found if found and Settings().as_dict() | found["settings"] == settings else {}


def write(name: str, net: str, run: Path, settings: dict[str, Any], made: dict[str, Any]) -> None:
    """Add a row. The file is read again first: another process may have added rows meanwhile."""
    file = RESULTS / "records" / f"{name}.json"
    metrics, config = (json.loads((run / part).read_text()) for part in ("metrics.json", "config.json"))
    rows = known(name, settings).get("seeds", [])
    rows = sorted([row for row in rows if row["seed"] != made["seed"]] + [made], key=lambda row: row["seed"])
    accuracies = [row["accuracy"] for row in rows]
    result = {
        "command": f"python benchmarks/records.py {name}",
        "net": net,
        "parameters": metrics["parameters"],
        "settings": settings,
        "validation": metrics["validation"],
        "mean": statistics.fmean(accuracies),
        "sd": statistics.stdev(accuracies) if len(rows) > 1 else 0.0,
        "seeds": rows,
        "config": config,
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    print(write_result(f"records/{name}", result), f"{len(rows)} seeds, mean {result['mean']:.4%}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="+", choices=RECORDS, metavar="NAME", help=", ".join(RECORDS))
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(SEEDS)))
    parser.add_argument("--threads", type=int)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    for name in arguments.names:
        net, changes = RECORDS[name]
        source, test = "mnist", load_digits("mnist:test")
        if name.endswith(KAGGLE):
            RUNS.mkdir(parents=True, exist_ok=True)
            kept, test = halves_of_kaggle()
            source = str(RUNS / "kaggle-train.npz")
            save_digits(kept, source)
        settings = settings_for(net, **changes).as_dict() | {"seed": None}
        changed = [f"--set={key}={value}" for key, value in changes.items()]
        for seed in arguments.seeds:
            if any(row["seed"] == seed for row in known(name, settings).get("seeds", [])):
                print(f"{name}: seed {seed} is measured already; records/{name}.json says how it went", flush=True)
                continue
            run = RUNS / f"{name}-{seed}"
            config = known(name, settings).get("config")
            if not config and "-" in name and not name.endswith(KAGGLE):
                # A training on a part costs as much again and tells nothing of accuracy.
                whole = known(net, settings_for(net).as_dict() | {"seed": None}).get("config")
                config = whole and whole | {"settings": whole["settings"] | changes}
            if config:
                RUNS.mkdir(parents=True, exist_ok=True)
                file = RUNS / f"{name}.json"
                file.write_text(json.dumps(config))
                earlier = ["--from-config", str(file)]
            else:
                part = RUNS / f"{name}-part"
                chosen = [] if name in STARTS else ["--net", net]
                words = [source, *chosen, *changed, *others_of(name, None)]
                train(part, words, arguments.threads, arguments.device)
                earlier = ["--all-of", str(part)]
            words = [*earlier, "--seed", str(seed), *others_of(name, seed)]
            metrics = train(run, words, arguments.threads, arguments.device)
            write(name, net, run, settings, measured(run, test, metrics))


if __name__ == "__main__":
    main()

"""Train every network of systems A and B with its own settings and set our figures beside their printed ones.

    $ .venv/bin/python benchmarks/systems.py [--only NAME …] [--seeds 0 1 2 3 4] [--threads N]

Each network is trained with five seeds on 55,000 MNIST training digits, exported, and measured through the ONNX file on
those 55,000 and on the 10,000 test digits. Rows are written to benchmarks/results/systems.json
as they finish, each with its settings, machine and commit; a row that is there already with the same settings
is not made again, and an interrupted training goes on. About ten hours of a core; two such processes with `--threads 1`
and other names may run side by side.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from common import RESULTS, commit, machine, write_result

from inkdigits.digits.dataset import Digits
from inkdigits.digits.formats import load_digits
from inkdigits.measure import accuracy, negative_log_likelihood
from inkdigits.nets.catalogue import settings_for
from inkdigits.nets.run import read_config
from inkdigits.nets.train import train
from inkdigits.reader.model import Model, load_model

RUNS = Path("work") / "systems"

# name: their train accuracy and loss, their test accuracy and loss, as printed in their notebooks; None = not printed.
THEIRS: dict[str, tuple[float | None, float | None, float | None, float | None]] = {
    "b-regularised": (None, None, 0.99285, None),
    "a-conv7": (0.9797, 0.0697, 0.9844, 0.0514),
    "a-softmax-sgd-1000": (None, None, 0.9035, None),
    "a-softmax-sgd": (None, None, 0.9242, None),
    "a-softmax-adam-15": (None, None, 0.9314, None),
    "a-softmax-adam": (None, None, 0.9339, None),
    "a-mlp-softmax-sgd": (None, None, 0.9074, None),
    "a-mlp-sigmoid-sgd": (None, None, 0.8780, None),
    "a-mlp-sigmoid-adam": (None, None, 0.9816, None),
    "a-mlp-relu-sgd": (None, None, 0.9649, None),
    "a-mlp-relu-adam": (None, None, 0.9801, None),
    "a-mlp-bn-adam": (None, None, 0.9767, None),
    "a-mlp-bn-dropout-adam": (None, None, 0.9674, None),
    "a-mlp-grid-relu": (None, None, 0.9778, None),
    "a-mlp-grid-sigmoid": (None, None, 0.9751, None),
    "lenet5": (None, None, None, None),
    "b-plain": (None, None, 0.98, None),
    "a-conv5": (0.9799, 0.0717, 0.3836, 6.1720),
    "a-conv3": (0.9736, 0.0877, 0.9859, 0.0425),
    "a-conv2": (0.1124, 2.3022, 0.1134, 2.3021),
}
SEEDS = range(5)


def measure(model: Model, digits: Digits) -> dict[str, float]:
    labels = digits.need_labels("measure")
    said = model.predict(digits.images)
    return {
        "n": len(digits),
        "errors": int((said.labels != labels).sum()),
        "accuracy": accuracy(said.labels, labels),
        "loss": negative_log_likelihood(said.probabilities, labels),
    }


def row(name: str, seed: int, threads: int | None) -> dict[str, object]:
    folder, settings = RUNS / f"{name}-{seed}", settings_for(name, seed=seed)
    if (folder / "checkpoint").exists() and read_config(folder / "config.json")[0] == settings:
        run = train(output=folder, resume=True, threads=threads, say=print)
    else:
        run = train("mnist", net=name, seed=seed, output=folder, force=True, threads=threads, say=print)
    model = load_model(run.folder, threads=threads)
    digits = load_digits("mnist:train")
    train_part, _ = digits.split(run.settings.validation, seed=run.settings.split_seed)
    keys = ["train_accuracy", "train_loss", "test_accuracy", "test_loss"]
    return {
        "name": name,
        "seed": seed,
        "epochs": run.metrics["epochs"],
        "parameters": run.metrics["parameters"],
        "theirs": dict(zip(keys, THEIRS[name], strict=True)),
        "train": measure(model, train_part),
        "last_epoch": {
            "accuracy": run.metrics["train"]["last_epoch_accuracy"],
            "loss": run.metrics["train"]["last_epoch_loss"],
        },
        "validation": run.metrics["validation"],
        "test": measure(model, load_digits("mnist:test")),
        "settings": settings.as_dict(),
        "machine": machine() | {"threads": threads},
        "commit": commit(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", default=list(THEIRS))
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    # Seed by seed: what is interrupted has as many of each network.
    for seed in arguments.seeds:
        for name in arguments.only:
            settings = settings_for(name, seed=seed).as_dict()
            # Settings that came later have their defaults in a row that does not name them.
            if any(settings_for(**done["settings"]).as_dict() == settings for done in rows_so_far()):
                continue
            made = row(name, seed, arguments.threads)
            # Read again: another process may have added rows meanwhile.
            rows = [done for done in rows_so_far() if (done["name"], done["seed"]) != (name, seed)] + [made]
            rows.sort(key=lambda done: (list(THEIRS).index(done["name"]), done["seed"]))
            write_result("systems", rows)


def rows_so_far() -> list[dict[str, Any]]:
    file = RESULTS / "systems.json"
    return json.loads(file.read_text()) if file.exists() else []


if __name__ == "__main__":
    main()

"""Kaggle's Digit Recognizer from its files: a train.csv of 42,000 rows and a test.csv of 28,000, CRLF as Kaggle's.

    $ .venv/bin/python benchmarks/kaggle.py [--runs 5]

The files are made from the 70,000 digits of MNIST in a fixed random order. Measured: reading train.csv, the training,
the submission's accuracy (against labels that the command never saw), the whole process of `inkdigits predict` and its
peak memory. Written to benchmarks/results/kaggle.json. Needs a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from pathlib import Path

import numpy as np
from common import INKDIGITS, WORK, commit, machine, spread, timed, write_result

from inkdigits.digits.dataset import Digits
from inkdigits.digits.formats import load_digits
from inkdigits.measure import wilson_interval

ORDER_SEED = 28_000


def write_crlf(digits: Digits, file: Path) -> None:
    columns = [digits.images.reshape(len(digits), -1)]
    header = [f"pixel{pixel}" for pixel in range(784)]
    if digits.labels is not None:
        columns.insert(0, digits.labels[:, None])
        header.insert(0, "label")
    rows = np.concatenate(columns, axis=1)
    with file.open("w", newline="", encoding="ascii") as text:
        text.write(",".join(header) + "\r\n")
        text.writelines(",".join(map(str, row)) + "\r\n" for row in rows.tolist())


def halves_of_kaggle() -> tuple[Digits, Digits]:
    """All 70,000 digits of MNIST in a fixed random order: the first 42,000, to train on, and the other 28,000."""
    every = load_digits("mnist")
    order = np.random.default_rng(ORDER_SEED).permutation(len(every))
    return every.take(order[:42_000]), every.take(order[42_000:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    folder = WORK / "kaggle"
    folder.mkdir(parents=True, exist_ok=True)
    train, test = halves_of_kaggle()
    write_crlf(train, folder / "train.csv")
    write_crlf(Digits(test.images), folder / "test.csv")

    import_seconds, read_seconds = [], []
    for _ in range(arguments.runs):
        import_seconds.append(
            timed([sys.executable, "-c", "import inkdigits"])[0] - timed([sys.executable, "-c", ""])[0]
        )
        began = time.perf_counter()
        load_digits(folder / "train.csv")
        read_seconds.append(time.perf_counter() - began)

    shutil.rmtree(folder / "run", ignore_errors=True)
    train_seconds, _ = timed([*INKDIGITS, "train", folder / "train.csv", "-o", folder / "run"])
    metrics = json.loads((folder / "run" / "metrics.json").read_text())
    submission = folder / "submission.csv"
    predicting = [timed([*INKDIGITS, "predict", folder / "test.csv", "-m", folder / "run", "-o", submission])
                  for _ in range(arguments.runs + 1)][1:]  # fmt: skip
    rows = np.loadtxt(submission, dtype=int, delimiter=",", skiprows=1)
    assert (rows[:, 0] == np.arange(1, 28_001)).all()
    right = int((rows[:, 1] == test.labels).sum())
    result = {
        "command": "python benchmarks/kaggle.py",
        "machine": machine(),
        "commit": commit(),
        "submission": {
            "rows": len(rows),
            "errors": len(rows) - right,
            "accuracy": right / len(rows),
            "interval95": wilson_interval(right, len(rows)),
        },
        "train": {"whole_seconds": round(train_seconds, 2), **metrics["seconds"]},
        "predict_whole_seconds": spread([seconds for seconds, _ in predicting]),
        "predict_peak_mb": spread([memory for _, memory in predicting], 1),
        "read_train_csv_seconds": spread(read_seconds),
        "import_inkdigits_seconds": spread(import_seconds),
    }
    print(json.dumps(result, indent=1))
    print(write_result("kaggle", result))


if __name__ == "__main__":
    main()

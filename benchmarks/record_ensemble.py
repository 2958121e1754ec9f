"""The ensemble of the records: the networks that were trained on all digits, as one ONNX file, measured once.

    $ .venv/bin/python benchmarks/record_ensemble.py [--kaggle | --held-out]

Its members are all seeds of `best`, `tiny` and `bulk` and the networks of other shapes, trained before by

    $ .venv/bin/python benchmarks/records.py best tiny bulk
    $ .venv/bin/python benchmarks/records.py best-wide best-narrow best-deep best-rough best-mild fast-long --seeds 0

and the shipped `reader`, which learnt otherwise. Whose weights are there is in it, and none is weighted, whatever it
gets right. That small networks do `best` good was found on the digits that their trainings on a part held out:
`--held-out` measures that again, to benchmarks/results/records/ensemble-held-out.json. The ensemble's own figures go to
ensemble.json; with `--kaggle`, those of the seeds that were trained on 42,000 digits, measured on the other 28,000, to
ensemble-kaggle.json.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import commit, machine, write_result
from kaggle import halves_of_kaggle
from records import KAGGLE, OTHER_SHAPES, RUNS

from inkdigits.digits.dataset import Digits, overlap
from inkdigits.digits.formats import load_digits
from inkdigits.lab.evaluate import evaluate
from inkdigits.measure import negative_log_likelihood
from inkdigits.nets.ensemble import LEAST, ensemble
from inkdigits.reader.model import load_model

FAMILIES = ("best", "tiny", "bulk", "taught")
# How often each family is in the mean that is tried on the digits held out.
MIXTURES = (
    (1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1),
    (1, 1, 0, 0), (1, 0, 1, 0), (1, 1, 1, 0), (2, 1, 1, 0), (3, 1, 1, 0),
    (1, 0, 0, 1), (0, 1, 0, 1), (0, 0, 1, 1), (0, 1, 1, 1), (1, 1, 1, 1), (0, 1, 1, 2), (1, 1, 1, 2),
)  # fmt: skip


def finished(run: Path) -> bool:
    return (run / "metrics.json").exists()


def held_out() -> Digits:
    """The digits that the trainings on a part held out: the same for all families."""
    digits = load_digits("mnist:train")
    for name in FAMILIES:
        hashes = load_model(RUNS / f"{name}-part").training_hashes()
        assert hashes is not None
        digits = digits.take(np.flatnonzero(~overlap(digits.images, hashes)))
    return digits


def measure_held_out() -> dict[str, Any]:
    """Wrong digits and log loss of means of the families' trainings on a part."""
    digits = held_out()
    labels = digits.need_labels("measure")
    logarithms = []
    for name in FAMILIES:
        said = load_model(RUNS / f"{name}-part").predict(digits.images).probabilities
        logarithms.append(np.log(np.maximum(said, LEAST)))
    rows = []
    for weights in MIXTURES:
        means = np.exp(np.average(logarithms, axis=0, weights=weights))
        means /= means.sum(1, keepdims=True)
        rows.append(
            {
                "members": dict(zip(FAMILIES, weights, strict=True)),
                "errors": int((means.argmax(1) != labels).sum()),
                "loss": negative_log_likelihood(means, labels),
            }
        )
        print(rows[-1])
    return {"command": "python benchmarks/record_ensemble.py --held-out", "n": len(digits), "mixtures": rows}


def measure(kaggle: bool) -> dict[str, Any]:
    records = [f"{name}{KAGGLE}" for name in FAMILIES] if kaggle else [*FAMILIES, *OTHER_SHAPES]
    folders = [folder for name in records for folder in sorted(RUNS.glob(f"{name}-[0-9]")) if finished(folder)]
    models = [*folders, *([] if kaggle else ["reader"])]
    names = [folder.name for folder in folders] + ([] if kaggle else ["reader"])
    print("members:", ", ".join(names))
    made = ensemble(models, output=RUNS / f"ensemble{KAGGLE if kaggle else ''}.onnx")
    digits = halves_of_kaggle()[1] if kaggle else load_digits("mnist:test")
    model = load_model(made.output)
    began = time.perf_counter()
    found = evaluate(model, digits).as_dict()
    result: dict[str, Any] = {
        "command": "python benchmarks/record_ensemble.py" + (" --kaggle" if kaggle else ""),
        "machine": machine(),
        "commit": commit(),
        "members": names,
        "bytes": made.size,
        "milliseconds_a_digit": round((time.perf_counter() - began) * 1e3 / len(digits), 2),
    }
    keys = ("n", "errors", "accuracy", "interval95", "without_contested", "halves", "negative_log_likelihood", "wrong")
    print(made.text())
    print(f"{found['errors']} of {found['n']:,} wrong: {found['accuracy']:.4%}")
    return result | {key: found[key] for key in keys}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    one = parser.add_mutually_exclusive_group()
    one.add_argument("--kaggle", action="store_true")
    one.add_argument("--held-out", action="store_true")
    arguments = parser.parse_args()
    if arguments.held_out:
        print(write_result("records/ensemble-held-out", measure_held_out()))
    else:
        ending = KAGGLE if arguments.kaggle else ""
        print(write_result(f"records/ensemble{ending}", measure(arguments.kaggle)))


if __name__ == "__main__":
    main()

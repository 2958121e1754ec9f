"""The ensemble of the records: all networks that were trained on all digits for it, as one ONNX file, measured once.

    $ .venv/bin/python benchmarks/record_ensemble.py [--kaggle]

Its members are the seeds of `best` and the networks of other shapes in benchmarks/records.py, trained before by

    $ .venv/bin/python benchmarks/records.py best
    $ .venv/bin/python benchmarks/records.py best-wide best-narrow best-deep best-rough --seeds 0

and the shipped `reader`, which learnt otherwise. Whose weights are there is in it, and none is weighted, whatever it
gets right. Written to benchmarks/results/records/ensemble.json; with `--kaggle` the seeds that were trained on 42,000
digits, measured on the other 28,000, to ensemble-kaggle.json.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from common import commit, machine, write_result
from kaggle import halves_of_kaggle
from records import KAGGLE, OTHER_SHAPES, RUNS

from inkdigits.digits.formats import load_digits
from inkdigits.lab.evaluate import evaluate
from inkdigits.nets.ensemble import ensemble
from inkdigits.reader.model import load_model


def finished(run: Path) -> bool:
    return (run / "metrics.json").exists()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kaggle", action="store_true")
    kaggle = parser.parse_args().kaggle
    ending = KAGGLE if kaggle else ""
    records = [f"best{ending}", *([] if kaggle else OTHER_SHAPES)]
    folders = [folder for name in records for folder in sorted(RUNS.glob(f"{name}-[0-9]*")) if finished(folder)]
    models = [*folders, *([] if kaggle else ["reader"])]
    names = [folder.name for folder in folders] + ([] if kaggle else ["reader"])
    print("members:", ", ".join(names))
    made = ensemble(models, output=RUNS / f"ensemble{ending}.onnx")
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
    result |= {key: found[key] for key in keys}
    print(made.text())
    print(f"{found['errors']} of {found['n']:,} wrong: {found['accuracy']:.4%}")
    print(write_result(f"records/ensemble{ending}", result))


if __name__ == "__main__":
    main()

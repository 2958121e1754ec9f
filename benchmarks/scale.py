"""Files of up to a million digits through `inkdigits predict`: memory and time against rows.

    $ .venv/bin/python benchmarks/scale.py [--rows 10000 100000 1000000] [--model reader]

The files hold MNIST's 70,000 digits over and over, as CSV, IDX, `.npz` and Parquet. What counts is the peak memory of
the whole process and how it grows: megabytes for a million rows more, by least squares. Written to
benchmarks/results/scale.json. Needs a quiet machine and 5 GB of disk.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from common import INKDIGITS, WORK, commit, machine, timed, write_result

from inkdigits.digits.dataset import Digits
from inkdigits.digits.formats import load_digits, save_digits

FOLDER = WORK / "scale"
NAMES = ("some.csv", "some-images-idx3-ubyte", "some.npz", "some.parquet")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--model", default="reader")
    parser.add_argument("--formats", nargs="+", default=NAMES, choices=NAMES)
    arguments = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    every = load_digits("mnist")
    found: dict[str, Any] = {}
    for name in arguments.formats:
        rows = []
        for count in arguments.rows:
            file = FOLDER / name
            images = every.images[np.arange(count) % len(every)]
            save_digits(Digits(images), file)
            del images
            seconds, memory = timed([*INKDIGITS, "predict", file, "-m", arguments.model, "-o", FOLDER / "out.csv"])
            rows.append({"rows": count, "seconds": round(seconds, 2), "peak_mb": round(memory, 1)})
            print(name, rows[-1], flush=True)
            file.unlink()
        slope = np.polyfit([row["rows"] / 1e6 for row in rows], [row["peak_mb"] for row in rows], 1)[0]
        found[Path(name).suffix.lstrip(".") or "idx"] = {"rows": rows, "mb_a_million_rows": round(float(slope), 1)}
    result = {"command": "python benchmarks/scale.py", "machine": machine(), "commit": commit()}
    print(write_result("scale", result | {"model": arguments.model, "predict": found}))


if __name__ == "__main__":
    main()

"""Files of up to a million digits through `inkdigits predict`: memory and time against rows, and what a cluster adds.

    $ .venv/bin/python benchmarks/scale.py [--rows 10000 100000 1000000] [--only memory rates ray]

`memory`: files with MNIST's 70,000 digits over and over, as CSV, IDX, `.npz` and Parquet, read by a quick network
(`fast --target 99.0`, trained here). What counts is the peak memory of the whole process and how it grows: megabytes
for a million rows more, by least squares. `rates`: what one thread answers with the shipped `reader`, and what the
process of a cluster that writes can take in, given answers that cost nothing. `ray`: the same files by this machine
alone and by a Ray cluster of its processors, in turn. Written to benchmarks/results/scale.json, what is not measured
anew left as it was. Needs a quiet machine and 5 GB of disk.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from common import INKDIGITS, RESULTS, WORK, commit, machine, timed, write_result

from inkdigits.digits.dataset import Digits
from inkdigits.digits.formats import load_digits, save_digits
from inkdigits.reader.predict import Answers, Work, ask, predict

FOLDER = WORK / "scale"
PARTS = ("memory", "rates", "ray")
NAMES = ("some.csv", "some-images-idx3-ubyte", "some.npz", "some.parquet")


def quick_network() -> Path:
    folder = FOLDER / "fast"
    if not (folder / "metrics.json").exists():
        subprocess.run([*INKDIGITS, "train", "--target", "99.0", "-o", str(folder), "--force"], check=True)
    return folder


def memory(formats: list[str], counts: list[int]) -> dict[str, Any]:
    model, every = quick_network(), load_digits("mnist")
    found: dict[str, Any] = {}
    for name in formats:
        rows = []
        for count in counts:
            file = FOLDER / name
            images = every.images[np.arange(count) % len(every)]
            save_digits(Digits(images), file)
            del images
            seconds, peak = timed([*INKDIGITS, "predict", file, "-m", model, "-o", FOLDER / "out.csv"])
            rows.append({"rows": count, "seconds": round(seconds, 2), "peak_mb": round(peak, 1)})
            print(name, rows[-1], flush=True)
            file.unlink()
        slope = np.polyfit([row["rows"] / 1e6 for row in rows], [row["peak_mb"] for row in rows], 1)[0]
        found[Path(name).suffix.lstrip(".") or "idx"] = {"rows": rows, "mb_a_million_rows": round(float(slope), 1)}
    return found


def rates(rows: int = 20_000, writes: int = 4_000_000) -> dict[str, Any]:
    """Digits a second that one thread answers, reading apart, and that the process which writes takes in."""
    file = FOLDER / "some.npz"
    every = load_digits("mnist")
    save_digits(Digits(every.images[np.arange(rows) % len(every)]), file)
    seconds = {}
    for count in (rows // 10, rows):
        words = [*INKDIGITS, "predict", file, "-o", FOLDER / "out.csv", "--threads", "1"]
        if count < rows:
            save_digits(every.take(slice(count)), FOLDER / "few.npz")
            words[4] = FOLDER / "few.npz"
        seconds[count] = statistics.median(timed(words)[0] for _ in range(3))
    thread = (rows - rows // 10) / (seconds[rows] - seconds[rows // 10])

    def nothing_to_do(work: Work) -> Iterator[Answers]:
        some = ask(work.model, work.hashes, every.take(slice(4_096)), source=0, row=0, share=0.0)
        for _ in range(writes // 4_096):
            yield some

    began = time.perf_counter()
    written = predict("mnist:test", output=FOLDER / "out.csv", engine=nothing_to_do).n
    found = {"a_thread": round(thread), "the_writer": round(written / (time.perf_counter() - began))}
    print(found, flush=True)
    return found


def by_ray(files: int = 8, rows: int = 6_000, repeats: int = 3) -> dict[str, Any]:
    """Seconds of both ways, in turn."""
    every = load_digits("mnist")
    names = [FOLDER / f"part-{number}.npz" for number in range(files)]
    for number, name in enumerate(names):
        save_digits(every.take((np.arange(rows) + number * rows) % len(every)), name)
    words = [*INKDIGITS, "predict", *names]
    ways = {"here": ["-o", FOLDER / "here.csv"], "ray": ["-o", FOLDER / "there.csv", "--ray", "local"]}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(repeats):
        for way, more in ways.items():
            seconds[way].append(round(timed([*words, *more])[0], 2))
            print(way, seconds[way][-1], flush=True)
    same = (FOLDER / "here.csv").read_bytes() == (FOLDER / "there.csv").read_bytes()
    return {"files": files, "rows": files * rows, "seconds": seconds, "same_bytes": same}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--formats", nargs="+", default=NAMES, choices=NAMES)
    parser.add_argument("--only", nargs="+", default=PARTS, choices=PARTS)
    arguments = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for part in arguments.only:
        if part == "memory":
            made = memory(arguments.formats, arguments.rows)
        else:
            made = rates() if part == "rates" else by_ray()
        file = RESULTS / "scale.json"
        earlier = json.loads(file.read_text()) if file.exists() else {}
        result = {"command": "python benchmarks/scale.py", "machine": machine(), "commit": commit()}
        print(write_result("scale", earlier | result | {part: made}))


if __name__ == "__main__":
    main()

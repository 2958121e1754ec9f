"""Exploring: the whole report and the quick one, and a map of all 70,000 digits beside other libraries'.

    $ .venv/bin/python benchmarks/explore.py [--only report|maps] [--threads N] [--limit MINUTES]

Whole processes, in turn, on a quiet machine: an hour, most of it scikit-learn's. A map is made from the pixels,
without labels, and judged by the vote of the 10 nearest digits in it, the digit itself left out. The others run with
their default settings on the same pixels. Writes benchmarks/results/explore.json; the report stays in work/explore.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import INKDIGITS, RESULTS, WORK, commit, machine, timed, write_result
from numpy.typing import NDArray

from inkdigits.digits.formats import load_digits
from inkdigits.lab.explore.explore import FINDINGS
from inkdigits.lab.explore.maps import neighbour_accuracy, tsne
from inkdigits.lab.explore.scene import Scene

FOLDER = WORK / "explore"


def ours(scene: Scene) -> NDArray[Any]:
    return tsne(scene.coarse, scene.near, seed=0, threads=scene.threads)


def umap_learn(scene: Scene) -> NDArray[Any]:
    from umap import UMAP

    return UMAP().fit_transform(scene.vectors)


def open_tsne(scene: Scene) -> NDArray[Any]:
    from openTSNE import TSNE

    return np.asarray(TSNE(n_jobs=scene.threads or -1).fit(scene.vectors))


def scikit_learn(scene: Scene) -> NDArray[Any]:
    from sklearn.manifold import TSNE

    return TSNE(n_jobs=scene.threads or -1).fit_transform(scene.vectors)


MAPS = {"inkdigits": ours, "umap-learn": umap_learn, "openTSNE": open_tsne, "scikit-learn t-SNE": scikit_learn}


def make(name: str, threads: int | None) -> None:
    """Makes one map and prints how long it took from the pixels on, imports included, and how good it is."""
    digits = load_digits("mnist")
    began = time.perf_counter()
    scene = Scene("mnist", {"all": digits}, {"all": np.arange(len(digits))}, len(digits), threads=threads)
    placed = MAPS[name](scene)
    seconds = time.perf_counter() - began
    labels = digits.need_labels("judge a map")
    judged = neighbour_accuracy(np.asarray(placed, np.float32), labels)
    print(json.dumps({"seconds": round(seconds, 1), "accuracy": round(judged, 4), "digits": len(digits)}))


def maps(threads: int | None, limit: float) -> dict[str, Any]:
    """Each map in a process of its own; one that takes more than `limit` seconds is ended, and that is said of it."""
    found: dict[str, Any] = {}
    for name in MAPS:
        command = [sys.executable, __file__, "--make", name, *([] if threads is None else ["--threads", str(threads)])]
        try:
            said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=limit).stdout
            found[name] = json.loads(said.splitlines()[-1])
        except subprocess.TimeoutExpired:
            found[name] = {"ended_after": limit}
        print(f"{name}: {found[name]}", flush=True)
    return found


def reports(threads: int | None) -> dict[str, Any]:
    WORK.mkdir(exist_ok=True)
    found: dict[str, Any] = {}
    limit = [] if threads is None else ["--threads", str(threads)]
    for name, folder, options in (("quick", WORK / "explore-quick", ["--quick"]), ("whole", FOLDER, [])):
        command: list[str | Path] = [*INKDIGITS, "explore", "mnist", "-o", folder, "--quiet", *options, *limit]
        seconds, megabytes = timed(command)
        facts = json.loads((folder / FINDINGS).read_text("utf-8"))
        found[name] = {"seconds": round(seconds, 1), "megabytes": round(megabytes), "by_section": facts["seconds"]}
        print(f"{name}: {found[name]}", flush=True)
    found["findings"] = facts["findings"]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=("report", "maps"))
    parser.add_argument("--threads", type=int)
    parser.add_argument("--limit", type=float, default=120, help="minutes for one map")
    parser.add_argument("--make", choices=MAPS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.make:
        make(arguments.make, arguments.threads)
        return
    path = RESULTS / "explore.json"
    content = json.loads(path.read_text("utf-8")) if path.exists() else {}
    about = {"machine": machine(), "commit": commit()}
    if arguments.only != "maps":
        content |= {"report": reports(arguments.threads), "report_made": about}
        write_result("explore", content)
    if arguments.only != "report":
        content |= {"maps": maps(arguments.threads, 60 * arguments.limit), "maps_made": about}
        write_result("explore", content)


if __name__ == "__main__":
    main()

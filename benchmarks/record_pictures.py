"""The pictures of docs/records.md: the digits that most seeds of `best` get wrong, and accuracy against parameters.

    $ .venv/bin/python benchmarks/record_pictures.py

Made of benchmarks/results/records/*.json; written to docs/images/.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import matplotlib as mpl

mpl.use("agg")
import matplotlib.pyplot as plt
from common import RESULTS

from inkdigits.digits.formats import load_digits

IMAGES = Path("docs/images")
COLUMNS = 8
INK, MUTED, BLUE, RED = "#1f2328", "#6e7781", "#2563a8", "#b42318"


def wrong_digits(seeds: list[dict[str, Any]], file: Path) -> None:
    """A digit a tile: its label, and what the seeds said instead."""
    said: dict[int, Counter[int]] = defaultdict(Counter)
    contested, labels = set(), {}
    for row in seeds:
        for answer in row["wrong"]:
            said[answer["index"]][answer["said"]] += 1
            labels[answer["index"]] = answer["label"]
            if answer.get("contested"):
                contested.add(answer["index"])
    often = sorted(index for index, counts in said.items() if counts.total() > len(seeds) / 2)
    images = load_digits("mnist:test").images
    rows = -(-len(often) // COLUMNS)
    figure, axes = plt.subplots(rows, COLUMNS, figsize=(COLUMNS * 1.05, rows * 1.42), squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, index in zip(axes.flat, often, strict=False):
        axis.imshow(255 - images[index], cmap="gray", vmin=0, vmax=255)
        others = ", ".join(str(digit) for digit, _ in said[index].most_common())
        colour = RED if index in contested else INK
        axis.set_title(f"{labels[index]} read {others}", fontsize=9, color=colour, pad=3)
        axis.text(0.5, -0.06, f"{index}", fontsize=7, color=MUTED, ha="center", va="top", transform=axis.transAxes)
    figure.subplots_adjust(left=0.01, right=0.99, top=0.94, bottom=0.04, wspace=0.12, hspace=0.42)
    figure.savefig(file, dpi=150)
    plt.close(figure)


def accuracy_curve(points: list[dict[str, Any]], file: Path) -> None:
    """Wrong digits against parameters, both logarithmic, with the goals as lines."""
    figure, axis = plt.subplots(figsize=(6.6, 4.4))
    for family, colour in (("tiny", BLUE), ("best", RED)):
        some = sorted((point for point in points if point["net"] == family), key=lambda point: point["parameters"])
        if not some:
            continue
        parameters = [point["parameters"] for point in some]
        errors = [100 * (1 - point["mean"]) for point in some]
        spread = [100 * (stdev(point["accuracies"]) if len(point["accuracies"]) > 1 else 0) for point in some]
        axis.errorbar(parameters, errors, spread, color=colour, marker="o", markersize=4, linewidth=1.4, capsize=2)
        axis.annotate(
            f"`{family}`".strip("`"), (parameters[-1], errors[-1]), (6, 4), textcoords="offset points", color=colour
        )
    axis.set_xscale("log")
    axis.set_yscale("log")
    for goal in (99.0, 99.4, 99.7):
        axis.axhline(100 - goal, color=MUTED, linewidth=0.6, linestyle=":")
        axis.annotate(f"{goal} % right", (1, 100 - goal), (-3, 2), xycoords=("axes fraction", "data"),
                      textcoords="offset points", ha="right", fontsize=8, color=MUTED)  # fmt: skip
    axis.set_xlabel("parameters")
    axis.set_ylabel("test digits wrong, %")
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.yaxis.set_minor_formatter(lambda value, _: f"{value:.1g}" if round(value * 10) in (2, 3, 5) else "")
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    figure.tight_layout()
    figure.savefig(file, dpi=150)
    plt.close(figure)


def main() -> None:
    best = RESULTS / "records" / "best.json"
    if best.exists():
        wrong_digits(json.loads(best.read_text())["seeds"], IMAGES / "records-wrong.png")
    points = []
    for file in sorted((RESULTS / "records").glob("*.json")):
        found = json.loads(file.read_text())
        if found.get("net") in ("tiny", "best") and not file.stem.endswith("-kaggle"):
            accuracies = [row["accuracy"] for row in found["seeds"]]
            point = {"net": found["net"], "parameters": found["parameters"], "accuracies": accuracies}
            points.append(point | {"mean": fmean(accuracies)})
    if points:
        accuracy_curve(points, IMAGES / "records-curve.png")


if __name__ == "__main__":
    main()

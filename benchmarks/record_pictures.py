"""The pictures of docs/records.md: the digits that most seeds of `taught` get wrong, and accuracy against parameters.

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
from matplotlib.ticker import FixedLocator, NullLocator
from records import KAGGLE, RECORDS

from inkdigits.digits.formats import load_digits

IMAGES = Path("docs/images")
COLUMNS = 8
INK, MUTED, RED = "#1f2328", "#6e7781", "#b42318"
COLOURS = {
    "least": "#bc4c00",
    "tiny": "#2563a8",
    "best": RED,
    "bulk": "#1a7f37",
    "fast": "#9a6700",
    "taught": "#8250df",
}
LABEL_AT = {"least": (-9, -28)}  # points from its mark, where the usual place is taken


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
    """Wrong digits against parameters, both logarithmic, round accuracies as lines; the widths of a network joined."""
    figure, axis = plt.subplots(figsize=(6.6, 4.4))
    for net, colour in COLOURS.items():
        some = sorted((point for point in points if point["net"] == net), key=lambda point: point["parameters"])
        if not some:
            continue
        parameters = [point["parameters"] for point in some]
        errors = [100 * (1 - fmean(point["accuracies"])) for point in some]
        spread = [100 * (stdev(point["accuracies"]) if len(point["accuracies"]) > 1 else 0) for point in some]
        axis.errorbar(parameters, errors, spread, color=colour, marker="o", markersize=4, linewidth=1.2, capsize=2)
        own = next((at for at, point in enumerate(some) if point["name"] == net), -1)
        place = LABEL_AT.get(net, (7, 5))
        axis.annotate(net, (parameters[own], errors[own]), place, textcoords="offset points", color=colour)
    axis.set(xscale="log", yscale="log", xlabel="parameters", ylabel="test digits wrong, %", xlim=(500, 1e6))
    lowest, highest = axis.get_ylim()
    marks = [mark for mark in (98.0, 99.0, 99.4, 99.5, 99.7, 99.8) if lowest <= 100 - mark <= highest * 1.05]
    for mark in marks:
        axis.axhline(100 - mark, color=MUTED, linewidth=0.6, linestyle=":", zorder=0)
        axis.annotate(f"{mark} % right", (1, 100 - mark), (4, 0), xycoords=("axes fraction", "data"),
                      textcoords="offset points", va="center", fontsize=8, color=MUTED)  # fmt: skip
    axis.yaxis.set_major_locator(FixedLocator([100 - mark for mark in marks]))
    axis.yaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:.1f}")
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    figure.tight_layout()
    figure.savefig(file, dpi=150)
    plt.close(figure)


def main() -> None:
    record = RESULTS / "records" / "taught.json"
    if record.exists():
        wrong_digits(json.loads(record.read_text())["seeds"], IMAGES / "records-wrong.png")
    points = []
    for file in sorted((RESULTS / "records").glob("*.json")):
        found = json.loads(file.read_text())
        taught = file.stem == "taught"
        other = RECORDS.get(file.stem, ("", {}))[1].keys() - {"width"}
        usual = not other and not file.stem.endswith((KAGGLE, "-again"))
        if found.get("net") in COLOURS and (taught or usual):
            net = "taught" if taught else found["net"]
            point = {"name": file.stem, "net": net, "parameters": found["parameters"]}
            points.append(point | {"accuracies": [row["accuracy"] for row in found["seeds"]]})
    if points:
        accuracy_curve(points, IMAGES / "records-curve.png")


if __name__ == "__main__":
    main()

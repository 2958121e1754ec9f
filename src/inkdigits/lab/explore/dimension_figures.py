"""The figures of the dimensions: the spectrum, the variance kept, the estimates, the errors of rebuilding.

>>> from inkdigits.lab.explore.dimension_figures import kept_figure
>>> kept_figure(Kept.of(scene.components), {0.90: 87, 0.95: 154}).savefig("kept.svg")
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..report import BLUE, INK, MUTED, ORANGE, counted, new_figure, percent, tidy
from .dimension import Estimate
from .spectrum import Kept, Standing

SMALL = 9.5  # points, for what stands inside a figure
# What is drawn of the estimators: maximum likelihood with ten neighbours for all of its kind.
DRAWN = {
    "twonn": ("TwoNN", BLUE, "o"),
    "ml10": ("maximum likelihood", ORANGE, "s"),
    "correlation": ("correlation", INK, "D"),
}

Floats = NDArray[np.floating[Any]]


def spectrum_figure(found: Standing) -> Any:
    """The components' variances of standardised pixels beside those of shuffled ones, and where they meet."""
    figure = new_figure(3.5)
    axes = figure.add_subplot()
    # N digits have no more than N - 1 components; the rest is rounding.
    real = int((found.chance > 1e-4 * found.chance[0]).sum())
    ranks = np.arange(1, real + 1)
    least = 10 ** math.floor(math.log10(found.chance[real - 1]))
    axes.plot(ranks, found.chance[:real], color=ORANGE, linewidth=1.6)
    axes.plot(ranks, np.maximum(found.variances[:real], least / 10), color=BLUE, linewidth=2)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(least, float(found.variances[0]) * 2)
    axes.set_xlim(0.9, len(ranks) * 1.15)
    _plain_ticks(axes.xaxis, [1, 2, 5, 10, 20, 50, 100, 200, 500], 1, len(ranks))
    _plain_ticks(axes.yaxis, [10.0**power for power in range(-2, 4)], least, float(found.variances[0]) * 2)
    above = found.above_chance
    if 0 < above < len(ranks):
        axes.plot(above, found.variances[above - 1], "o", color=BLUE, markersize=6)
        axes.annotate(
            f"{counted(above, 'component is', 'components are')}\nmore than chance",
            (above, found.variances[above - 1]), (0.98, 0.8), textcoords="axes fraction", ha="right",
            color=INK, fontsize=SMALL,
            arrowprops={"arrowstyle": "-", "color": MUTED, "linewidth": 0.8, "shrinkB": 5, "relpos": (0.5, 0)},
        )  # fmt: skip
    axes.annotate(
        "the digits", (1, found.variances[0]), (8, 0), textcoords="offset points",
        color=BLUE, fontsize=SMALL, fontweight="bold",
    )  # fmt: skip
    axes.annotate(
        "their pixels shuffled", (1, found.chance[0]), (2, -17), textcoords="offset points",
        color=ORANGE, fontsize=SMALL, fontweight="bold",
    )  # fmt: skip
    axes.set_xlabel("component")
    axes.set_ylabel("variance, in pixels")
    tidy(axes)
    return figure


def kept_figure(kept: Kept, needed: Mapping[float, int]) -> Any:
    """The share of the variance that so many components keep, with the counts that some shares need."""
    figure = new_figure(3.1)
    axes = figure.add_subplot()
    most = min(len(kept.shares) - 1, math.ceil(max(needed.values()) * 1.22) + 1)
    axes.plot(np.arange(most + 1), 100 * kept.shares[: most + 1], color=BLUE, linewidth=2)
    # Of few digits the counts may lie on top of one another; then only the last of them is named.
    named = {count: share for share, count in sorted(needed.items())}
    for count, share in named.items():
        axes.plot(count, 100 * kept.shares[count], "o", color=BLUE, markersize=6)
        axes.annotate(
            f"{count:,} for {percent(share, 0)}", (count, 100 * kept.shares[count]), (4, -15),
            textcoords="offset points", color=INK, fontsize=SMALL,
        )  # fmt: skip
    axes.set_xlim(0, most * 1.02)
    axes.set_ylim(0, 104)
    axes.set_yticks([0, 25, 50, 75, 100])
    axes.set_xlabel("principal components")
    axes.set_ylabel("% of the variance kept")
    tidy(axes)
    return figure


def estimates_figure(rows: Sequence[tuple[str, Mapping[str, Estimate], int | None]], *, heavy: int = 0) -> Any:
    """Rows of estimates with their intervals: a name, the estimates, and the true dimension where it is known.

    heavy: how many rows, the first, are set off from the others by a line.
    """
    figure = new_figure(1.0 + 0.36 * len(rows))
    axes = figure.add_subplot()
    for place, (_, found, true) in enumerate(rows):
        if true is not None:
            axes.plot([true, true], [place - 0.38, place + 0.38], color=MUTED, linewidth=2.2, solid_capstyle="butt")
        for lift, (name, (_, colour, marker)) in zip((-0.2, 0, 0.2), DRAWN.items(), strict=True):
            low, high = found[name].interval95
            axes.plot([low, high], [place + lift] * 2, color=colour, linewidth=2, alpha=0.5, solid_capstyle="round")
            axes.plot(found[name].value, place + lift, marker, color=colour, markersize=4.5)
    if 0 < heavy < len(rows):
        axes.axhline(heavy - 0.5, color=MUTED, linewidth=0.8)
    axes.set_ylim(len(rows) - 0.45, -0.55)
    ends = [end for _, found, true in rows for name in DRAWN for end in (*found[name].interval95, true or 0)]
    axes.set_xlim(0, max(end for end in ends if math.isfinite(end)) * 1.05)
    axes.locator_params(axis="x", integer=True, steps=[1, 2, 5, 10])
    axes.set_yticks(range(len(rows)), [name for name, _, _ in rows])
    axes.set_xlabel("dimensions")
    tidy(axes, grid="x")
    axes.tick_params(axis="y", labelcolor=INK)
    marks = [
        axes.plot([], [], marker, color=colour, markersize=5, label=name)[0] for name, colour, marker in DRAWN.values()
    ]
    if any(true is not None for _, _, true in rows):
        marks.append(axes.plot([], [], "|", color=MUTED, markersize=9, markeredgewidth=2.2, label="true")[0])
    figure.legend(
        handles=marks, loc="outside upper center", ncols=len(marks), frameon=False, fontsize=SMALL, labelcolor=INK,
        handletextpad=0.1, columnspacing=1.1, borderaxespad=0,
    )  # fmt: skip
    return figure


def rebuilding_figure(codes: Sequence[int], linear: Floats, learnt: Floats) -> Any:
    """What is lost of the variance against the numbers kept, by principal components and by autoencoders."""
    figure = new_figure(3.4)
    axes = figure.add_subplot()
    for values, colour, name, above in (
        (linear, BLUE, "principal components", True),
        (learnt, ORANGE, "autoencoder", False),
    ):
        axes.plot(codes, 100 * np.asarray(values), "o-", color=colour, linewidth=2, markersize=6)
        for code, value in zip(codes, values, strict=True):
            axes.annotate(
                f"{100 * value:.0f}" if value >= 0.0995 else f"{100 * value:.1f}", (code, 100 * value),
                (0, 7 if above else -15), textcoords="offset points", ha="center", color=colour, fontsize=SMALL,
            )  # fmt: skip
        middle = len(codes) // 2
        axes.annotate(
            name, (codes[middle], 100 * values[middle]), (22, 14) if above else (-22, -26),
            textcoords="offset points", ha="left" if above else "right", color=colour, fontsize=10, fontweight="bold",
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    low, high = float(min(np.min(linear), np.min(learnt))), float(max(np.max(linear), np.max(learnt)))
    axes.set_ylim(100 * low / 1.45, 100 * high * 1.3)
    axes.set_xlim(codes[0] / 1.25, codes[-1] * 1.25)
    axes.set_xticks(codes, [str(code) for code in codes])
    ticks = [tick for tick in (0.5, 1, 2, 5, 10, 20, 50, 100, 200) if low / 1.45 <= tick / 100 <= high * 1.3]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xlabel("numbers that a digit is squeezed into")
    axes.set_ylabel("% of the variance lost")
    tidy(axes)
    return figure


def _plain_ticks(axis: Any, wanted: Sequence[float], least: float, most: float) -> None:
    ticks = [tick for tick in wanted if least <= tick <= most]
    axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])

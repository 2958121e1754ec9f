"""The figures of an evaluation, each a matplotlib Figure for `report.plot`. Drawn narrow, to be legible on a phone.

>>> from inkdigits.lab.figures import risk_coverage_figure
>>> risk_coverage_figure(evaluate("runs/fast-0").risk_coverage).savefig("risk.svg")
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..measure import Reliability, RiskCoverage, wilson_interval
from .evaluation import HUMAN_LEVEL
from .report import BLUE, INK, MUTED, ORANGE, PAPER, RULE, new_figure, percent, tidy
from .score import Score

SMALL = 9.5  # points, for what stands inside a figure
ROUND_SHARES = [m * 10.0**e for e in range(-6, 0) for m in (1, 2, 5)] + [1.0]  # where axes of shares have their ticks


def accuracy_figure(rows: Sequence[tuple[str, Score]]) -> Any:
    """Each row's accuracy with its 95 % interval against human level; the first row is the one that counts.

    The axis is logarithmic in the errors: from 99 to 99.9 % is as far as from 90 to 99, for it is as hard.
    """
    human = 1 - HUMAN_LEVEL
    lows = [1 - score.interval95[1] for _, score in rows]
    highs = [1 - score.interval95[0] for _, score in rows]
    least = min([low for low in lows if low > 0] + [human]) / 1.7
    most = min(max([*highs, human]) * 1.7, 1.0)
    figure = new_figure(0.85 + 0.33 * len(rows))
    axes = figure.add_subplot()
    for place, ((_, score), low, high) in enumerate(zip(rows, lows, highs, strict=True)):
        colour, weight = (ORANGE, "bold") if place == 0 else (BLUE, "normal")
        axes.plot([max(low, least), high], [place, place], color=colour, linewidth=2, solid_capstyle="round", alpha=0.5)
        axes.plot(max(1 - score.accuracy, least * 1.15), place, "o", color=colour, markersize=8 if place == 0 else 6)
        axes.text(
            1.24, place, percent(score.accuracy), transform=axes.get_yaxis_transform(), ha="right", va="center",
            color=INK, fontsize=10, fontweight=weight,
        )  # fmt: skip
    axes.axvline(human, color=INK, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
    axes.annotate(
        f"people, about {percent(HUMAN_LEVEL, 1)}", (human, 1), (0, 4), xycoords=("data", "axes fraction"),
        textcoords="offset points", ha="center", color=INK, fontsize=SMALL,
    )  # fmt: skip
    axes.set_xscale("log")
    axes.set_xlim(most, least)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    ticks = _few([share for share in ROUND_SHARES if least <= share < most])
    axes.set_xticks(ticks, [f"{100 * (1 - share):.5g}" for share in ticks])
    axes.set_xlabel("% right")
    axes.set_yticks(range(len(rows)), [label for label, _ in rows])
    tidy(axes, grid="x")
    axes.tick_params(axis="y", labelcolor=INK)
    return figure


def _few(ticks: list[float]) -> list[float]:
    """At most five of the ticks 1, 2, 5, 10 …: without the twos, or else only the powers of ten."""
    for digits in ("125", "15", "1"):
        ticks = [tick for tick in ticks if f"{tick:e}"[0] in digits]
        if len(ticks) <= 5:
            break
    return ticks


def confusion_figure(confusion: NDArray[np.integer]) -> Any:
    """The confusion matrix with the errors in colour; the diagonal is only written, or it would drown them."""
    figure = new_figure(4.6)
    axes = figure.add_subplot()
    classes = len(confusion)
    errors = np.where(np.eye(classes, dtype=bool), 0, confusion)
    most = max(int(errors.max()), 1)
    size = SMALL if confusion.max() < 10_000 else 7
    for label in range(classes):
        for said in range(classes):
            count = int(confusion[label, said])
            right = label == said
            # Square root: one error in a cell must still be seen beside a cell of fifty.
            strength = 0.0 if right else math.sqrt(errors[label, said] / most)
            box = {"color": RULE, "alpha": 0.35} if not strength else {"color": ORANGE, "alpha": 0.12 + 0.73 * strength}
            axes.fill([said, said + 0.94, said + 0.94, said], [label, label, label + 0.94, label + 0.94], lw=0, **box)
            if count:
                axes.text(
                    said + 0.47, label + 0.49, f"{count}", ha="center", va="center", fontsize=size,
                    color=MUTED if right else PAPER if strength > 0.75 else INK,
                )  # fmt: skip
    axes.set_xlim(-0.05, classes)
    axes.set_ylim(classes, -0.05)
    axes.set_aspect("equal")
    axes.set_xticks(np.arange(classes) + 0.47, range(classes))
    axes.set_yticks(np.arange(classes) + 0.47, range(classes))
    axes.set_xlabel("read as")
    axes.set_ylabel("labelled")
    tidy(axes, grid=None)
    axes.tick_params(labelcolor=INK, labelsize=10.5)
    return figure


def reliability_figure(bins: Reliability) -> Any:
    """How often it was right, by how sure it was, with 95 % intervals; below, how many digits that concerns."""
    figure = new_figure(4.6)
    axes, counts = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [4, 1]})
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    axes.text(0.0, 0.94, "right more often than it says", color=MUTED, fontsize=SMALL)
    axes.text(1.0, 0.03, "right less often than it says", color=MUTED, fontsize=SMALL, ha="right")
    used = np.flatnonzero(bins.n)
    for place in used:
        right = round(bins.accuracy[place] * bins.n[place])
        axes.plot([bins.confidence[place]] * 2, wilson_interval(right, int(bins.n[place])), color=BLUE, lw=2, alpha=0.4)
    axes.plot(bins.confidence[used], bins.accuracy[used], "o", color=BLUE, markersize=6)
    axes.set_ylim(-0.03, 1.03)
    axes.set_yticks(np.linspace(0, 1, 6), [f"{tick:.0f} %" for tick in np.linspace(0, 100, 6)])
    axes.set_ylabel("right")
    counts.bar(bins.edges[:-1], bins.n, width=np.diff(bins.edges) * 0.94, align="edge", color=BLUE, alpha=0.55)
    counts.set_yscale("log")
    tens = math.ceil(math.log10(bins.n.max() + 1))
    powers = [10**e for e in range(0, tens + 1, 2 if tens > 2 else 1)]
    counts.set_yticks(powers, [f"{power:,}" for power in powers])
    counts.set_ylim(0.6, bins.n.max() * 2)
    counts.set_xlim(-0.02, 1.02)
    counts.set_xticks(np.linspace(0, 1, 6), [f"{tick:.0f} %" for tick in np.linspace(0, 100, 6)])
    counts.set_xlabel("said to be sure")
    counts.set_ylabel("digits")
    figure.align_ylabels()
    for part in (axes, counts):
        tidy(part)
    return figure


def risk_coverage_figure(curve: RiskCoverage, *, marks: Sequence[float] = ()) -> Any:
    """The share of wrong answers among the surest ones, from where it starts to matter up to all of them."""
    figure = new_figure(4.6)
    axes = figure.add_subplot()
    start = first_coverage_that_matters(curve)
    shown = curve.coverage >= start
    coverage, risk = 100 * curve.coverage[shown], 100 * curve.risk[shown]
    if len(coverage) > 400:  # a point a pixel
        kept = np.unique(np.linspace(0, len(coverage) - 1, 400).round().astype(int))
        coverage, risk = coverage[kept], risk[kept]
    axes.fill_between(coverage, risk, color=BLUE, alpha=0.15, lw=0)
    axes.plot(coverage, risk, color=BLUE, linewidth=2)
    top = max(float(risk.max()), 1e-3) * 1.15
    for mark in (*marks, 1.0):
        if mark < start:
            continue
        at = 100 * curve.risk_at(mark)
        axes.plot(100 * mark, at, "o", color=ORANGE, markersize=6)
        axes.annotate(
            percent(at / 100),
            (100 * mark, at),
            (-8, 5),
            textcoords="offset points",
            ha="right",
            color=INK,
            fontsize=SMALL,
        )
    axes.set_xlim(100 * start, 100 + (1 - start) * 3)
    axes.set_ylim(0, top)
    axes.set_xlabel("answered, the surest first (%)")
    axes.set_ylabel("wrong among them (%)")
    tidy(axes)
    return figure


def first_coverage_that_matters(curve: RiskCoverage) -> float:
    """A round coverage below which the risk is under a tenth of its final value: for good models, most of the axis."""
    small = np.flatnonzero(curve.risk <= curve.risk[-1] / 10)
    beyond = float(curve.coverage[small[-1]]) if len(small) else 0.0
    return max([0.0, *(start for start in (0.5, 0.8, 0.9, 0.95, 0.98, 0.99) if start <= beyond)])


def novelty_figure(rows: Sequence[tuple[str, NDArray[np.floating]]], *, threshold: float | None) -> Any:
    """How novel (N,), 0…1, a model finds each kind of image; the first row, the digits, in the other colour.

    The axis is that of log-odds: what matters is near 0 and near 1, and a linear one would have it all at the ends.
    """
    least = 1e-4
    figure = new_figure(0.85 + 0.33 * len(rows))
    axes = figure.add_subplot()
    for place, (_, novelty) in enumerate(rows):
        colour = BLUE if place == 0 else ORANGE
        low, quarter, middle, high_quarter, high = np.clip(
            np.quantile(novelty, (0.05, 0.25, 0.5, 0.75, 0.95)), least, 1 - least
        )
        axes.plot([low, high], [place, place], color=colour, linewidth=2, alpha=0.5, solid_capstyle="round")
        axes.plot([quarter, high_quarter], [place, place], color=colour, linewidth=6, alpha=0.6, solid_capstyle="round")
        axes.plot(middle, place, "o", color=colour, markersize=7)
    if threshold is not None:
        axes.axvline(min(max(threshold, least), 1 - least), color=INK, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
    axes.set_xscale("logit")
    axes.set_xlim(least / 2, 1 - least / 2)
    ticks = (0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel("novelty")
    axes.set_yticks(range(len(rows)), [label for label, _ in rows])
    tidy(axes, grid="x")
    axes.tick_params(axis="y", labelcolor=INK)
    return figure


def errors_figure(history: dict[str, NDArray[np.float64]]) -> Any:
    """The wrong digits of a run by epoch, in per cent of the training and of the validation digits."""
    return _by_epoch(history, "wrong (%)", lambda part: 100 * (1 - history[f"{part}_accuracy"]))


def losses_figure(history: dict[str, NDArray[np.float64]]) -> Any:
    """The loss of a run by epoch, on the training and on the validation digits."""
    return _by_epoch(history, "loss", lambda part: history[f"{part}_loss"])


def _by_epoch(history: dict[str, NDArray[np.float64]], name: str, column: Callable[[str], NDArray[np.float64]]) -> Any:
    figure = new_figure(3.4)
    axes = figure.add_subplot()
    epochs, ends = history["epoch"], {}
    for part, colour in (("train", MUTED), ("validation", BLUE)):
        values = column(part)
        values = np.where(values > 0, values, np.nan)  # NaN: not measured, or no errors, which a logarithm cannot show
        if not np.isnan(values).all():
            axes.plot(epochs, values, "o-", color=colour, linewidth=2, markersize=5 if len(epochs) <= 30 else 0)
            ends[part] = (values[~np.isnan(values)][-1], colour)
    axes.set_yscale("log")
    for part, (last, colour) in ends.items():
        higher = last >= max(value for value, _ in ends.values())
        # One name above its end and one below, so that two curves that meet leave both legible.
        axes.annotate(
            part, (epochs[-1], last), (0, 7 if higher else -7), textcoords="offset points", ha="right",
            va="bottom" if higher else "top", color=colour, fontsize=SMALL + 1,
        )  # fmt: skip
    axes.margins(y=0.12)
    low, high = axes.get_ylim()
    ticks = [m * 10.0**e for e in range(-6, 4) for m in (1, 2, 5) if low <= m * 10.0**e <= high]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_ylim(low, high)
    axes.set_ylabel(name)
    axes.set_xlabel("epoch")
    axes.xaxis.get_major_locator().set_params(integer=True)
    tidy(axes)
    return figure

"""The figures of an ablation: gains with their intervals, two factors together, the gap by digits, the ladder.

>>> from inkdigits.lab.ablate_figures import gains_figure
>>> gains_figure([("dropout", [effect.gain for effect in dropout])], names=["1,000 digits", "4,000"]).savefig("a.svg")
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from .ablation import Cell, Estimate, points
from .report import BLUE, INK, MUTED, ORANGE, RULE, new_figure, tidy

ROW = 0.3  # inches of a line with its interval; its name stands above it
SMALL = 9.5  # points, for what stands inside a figure
COLOURS = (BLUE, ORANGE, MUTED)


def gains_figure(rows: Sequence[tuple[str, Sequence[Estimate]]], *, names: Sequence[str] = ()) -> Any:
    """Gains in points with their intervals, a name above each row; several estimates of a row, one colour each.

    An interval that crosses the line at nothing shows no gain and no loss. Extreme losses are cut off at the left and
    told in words.
    """
    several = max(len(estimates) for _, estimates in rows)
    height = sum(ROW * (0.75 + 0.62 * len(estimates)) for _, estimates in rows)
    figure = new_figure(0.75 + height)
    axes = figure.add_subplot()
    low, high = _limits([estimate for _, estimates in rows for estimate in estimates])
    place = 0.0
    for name, estimates in rows:
        axes.text(low, place, name, ha="left", va="center", color=INK, fontsize=SMALL)
        place += 0.72
        for estimate, colour in zip(estimates, COLOURS, strict=False):
            _draw(axes, estimate, place, colour, low)
            place += 0.62
        place += 0.18
    axes.axvline(0, color=INK, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
    axes.set_xlim(low, high)
    axes.set_ylim(place - 0.1, -0.6)
    axes.set_yticks([])
    axes.set_xlabel("points of test accuracy gained")
    tidy(axes, grid="x")
    if several > 1:
        for name, colour in zip(names, COLOURS, strict=False):
            axes.plot([], [], "o", color=colour, markersize=5, label=name)
        figure.legend(loc="outside upper right", ncols=len(names), frameon=False, fontsize=SMALL, handletextpad=0)
    return figure


def _limits(estimates: Sequence[Estimate]) -> tuple[float, float]:
    """What the axis shows: all of it, unless a few losses would squeeze the rest together."""
    ends = [(_low(e), _high(e)) for e in estimates]
    highest = max(0.001, max(high for _, high in ends))
    lows = sorted(min(low, 0) for low, _ in ends)
    lowest = lows[0]
    typical = lows[len(lows) // 4]  # three of four losses are smaller
    if lowest < 4 * typical - highest:
        lowest = 2 * typical - highest / 2
    room = (highest - lowest) * 0.06
    return 100 * (min(lowest, 0) - room), 100 * (highest + room)


def _low(estimate: Estimate) -> float:
    return estimate.mean if math.isnan(estimate.low) else estimate.low


def _high(estimate: Estimate) -> float:
    return estimate.mean if math.isnan(estimate.high) else estimate.high


def _draw(axes: Any, estimate: Estimate, place: float, colour: str, low: float) -> None:
    mean = 100 * estimate.mean
    if mean < low:
        axes.annotate(
            f"◂ {points(estimate.mean)}", (low, place), (2, 0), textcoords="offset points", va="center", ha="left",
            color=colour, fontsize=SMALL,
        )  # fmt: skip
        return
    axes.plot(
        [max(100 * _low(estimate), low), 100 * _high(estimate)], [place, place], color=colour, linewidth=2,
        solid_capstyle="round", alpha=0.5,
    )  # fmt: skip
    axes.plot(mean, place, "o", color=colour, markersize=6)


def together_figure(means: Mapping[tuple[bool, bool], Estimate], first: str, second: str) -> Any:
    """Test accuracy with and without the second factor, a line without and one with the first.

    means: by (has the first, has the second). Parallel lines: each buys the same whether or not the other is there.
    """
    figure = new_figure(3.1)
    axes = figure.add_subplot()
    for has, colour in ((False, BLUE), (True, ORANGE)):
        several = [means[has, other] for other in (False, True)]
        shift = 0.015 if has else -0.015
        at = [0 + shift, 1 + shift]
        for x, estimate in zip(at, several, strict=True):
            axes.plot([x, x], [100 * _low(estimate), 100 * _high(estimate)], color=colour, linewidth=2, alpha=0.4)
        axes.plot(at, [100 * e.mean for e in several], "o-", color=colour, markersize=6, linewidth=1.5)
        axes.annotate(
            f"{'with' if has else 'without'} {first}", (at[1], 100 * several[1].mean), (9, 0),
            textcoords="offset points", va="center", color=colour, fontsize=SMALL,
        )  # fmt: skip
    axes.set_xlim(-0.2, 1.75)
    axes.set_xticks([0, 1], [f"without {second}", f"with {second}"])
    axes.set_ylabel("% of the test digits right")
    tidy(axes, grid="y")
    return figure


def gap_figure(lines: Mapping[str, Sequence[Cell]]) -> Any:
    """Points between training and test accuracy against the digits learnt from, a line a network, with intervals."""
    figure = new_figure(3.4)
    axes = figure.add_subplot()
    for (name, cells), colour in zip(lines.items(), (ORANGE, BLUE), strict=False):
        learnt = [cell.learnt for cell in cells]
        axes.fill_between(
            learnt, [100 * _low(c.gap) for c in cells], [100 * _high(c.gap) for c in cells], color=colour, alpha=0.15,
            linewidth=0,
        )  # fmt: skip
        axes.plot(learnt, [100 * cell.gap.mean for cell in cells], "o-", color=colour, markersize=5, linewidth=1.5)
        axes.annotate(
            name, (learnt[0], 100 * cells[0].gap.mean), (8, 7), textcoords="offset points", color=colour,
            fontsize=SMALL, va="bottom",
        )  # fmt: skip
    sizes = sorted({cell.learnt for cells in lines.values() for cell in cells})
    axes.set_xscale("log")
    axes.set_xticks(sizes, [f"{size:,}" if size < 10_000 else f"{size / 1000:g}k" for size in sizes])
    axes.set_ylim(bottom=min(0, axes.get_ylim()[0]))
    axes.set_xlabel("digits learnt from")
    axes.set_ylabel("points between training and test")
    tidy(axes)
    return figure


def ladder_figure(rungs: Sequence[tuple[str, Cell, str]]) -> Any:
    """The rungs from above to below: name, mean test accuracy with its interval, and a remark at the right."""
    figure = new_figure(0.75 + 0.5 * len(rungs))
    axes = figure.add_subplot()
    means = [100 * cell.accuracy for _, cell, _ in rungs]
    spread = max(max(means) - min(means), 0.1)
    low, high = min(means) - 0.12 * spread, max(means) + 0.2 * spread
    axes.plot(means, [place + 0.42 for place in range(len(rungs))], color=RULE, linewidth=1.5, zorder=1)
    for place, (name, cell, remark) in enumerate(rungs):
        first = place == 0
        axes.text(low, place, name, ha="left", va="center", color=INK, fontsize=SMALL)
        axes.text(high, place, remark, ha="right", va="center", color=MUTED, fontsize=SMALL)
        if not math.isnan(cell.sd):
            ends = [100 * (cell.accuracy - cell.sd), 100 * (cell.accuracy + cell.sd)]
            axes.plot(ends, [place + 0.42] * 2, color=BLUE, linewidth=2, alpha=0.4, solid_capstyle="round")
        axes.plot(means[place], place + 0.42, "o", color=MUTED if first else BLUE, markersize=6)
    axes.set_xlim(low, high)
    axes.set_ylim(len(rungs) - 0.1, -0.5)
    axes.set_yticks([])
    axes.set_xlabel("% of the test digits right, mean ± standard deviation")
    tidy(axes, grid="x")
    return figure

"""The figures of the chapter on shape.

>>> persistence_figure({"0": found, "all": other}).savefig("persistence.svg")
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...digits.dataset import Images
from ..report import BLUE, INK, MUTED, ORANGE, PAPER, RULE, new_figure, tidy
from .colours import CLASS_COLOURS
from .density import Level
from .homology import Persistence
from .loops import LoopCount
from .mapper import MapperGraph, laid_out
from .paths import Walk
from .shape_verdict import Shape

SMALL = 9.5  # points, for what stands inside a figure
NARROW = 0.09  # of a bar; a share below it finds no room for its number
GRAPH_WIDTH, GRAPH_HEIGHT = 4.4, 5.4  # inches
THUMBNAIL = 0.36  # inches


def loops_figure(found: LoopCount) -> Any:
    """A bar for each class: which share of it has no hole, one, two or more."""
    shares = found.shares()
    present = [d for d in range(len(shares)) if not math.isnan(shares[d, 0])]
    figure = new_figure(0.75 + 0.31 * len(present))
    axes = figure.add_subplot()
    styles = ((RULE, INK, "no hole"), (BLUE, PAPER, "one"), (ORANGE, PAPER, "two or more"))
    left = np.zeros(len(present))
    for holes, (colour, text, name) in enumerate(styles):
        widths = shares[present, holes]
        axes.barh(range(len(present)), widths, left=left, height=0.72, color=colour, label=name)
        for row, width in enumerate(widths):
            if width >= NARROW:
                middle = left[row] + width / 2
                axes.text(middle, row, f"{100 * width:.0f} %", ha="center", va="center", color=text, fontsize=SMALL)
        left += widths
    axes.set_yticks(range(len(present)), [str(d) for d in present])
    axes.set_ylim(len(present) - 0.5, -0.5)
    axes.set_xlim(0, 1)
    axes.set_xticks([])
    tidy(axes, grid=None)
    axes.tick_params(axis="y", labelsize=11, labelcolor=INK)
    figure.legend(
        loc="outside upper center", ncols=3, frameon=False, fontsize=SMALL, handlelength=1, handleheight=1,
        labelcolor=INK, columnspacing=1.2,
    )  # fmt: skip
    return figure


def persistence_figure(found: Mapping[str, Persistence]) -> Any:
    """How long each loop lasts against when it appears, a panel for each cloud: small multiples on one scale."""
    columns = min(3, len(found))
    rows = -(-len(found) // columns)
    figure = new_figure(0.55 + 1.42 * rows if columns > 1 else 3.0)
    panels = np.atleast_1d(figure.subplots(rows, columns, sharex=True, sharey=True)).ravel()
    births = np.concatenate([each.pairs[:, 0] for each in found.values()])
    left, right = (births.min(), births.max()) if len(births) else (0.0, 1.0)
    room = max(0.06 * (right - left), 1e-9)
    # Where no loop comes near the band, a scale that showed all of it would hide the loops.
    top = 1.5 * max(max(p.longest, float(p.null_longest.max())) for p in found.values()) or 1.0
    for axes, (name, each) in zip(panels, found.items(), strict=False):
        axes.axhspan(0, min(each.band, top), color=RULE, alpha=0.45, linewidth=0)
        axes.axhline(float(each.null_longest.max()), color=ORANGE, linewidth=1.3)
        axes.scatter(each.pairs[:, 0], each.lasting, s=8, color=BLUE, linewidths=0, alpha=0.8)
        style = {"transform": axes.transAxes, "va": "top"}
        axes.text(0.05, 0.95, name, color=INK, fontsize=12, weight="bold", **style)
        if each.band > top:
            axes.text(0.96, 0.94, f"to {each.band:.1f} ↑", ha="right", color=MUTED, fontsize=SMALL, **style)
        axes.set_xlim(left - room, right + room)
        axes.set_ylim(0, top)
        tidy(axes, grid=None)
        axes.spines["bottom"].set(visible=True, color=RULE)
    for axes in panels[len(found) :]:
        axes.set_visible(False)
    # The panels above an empty place have to carry the numbers that sharing took from them.
    for column in range(columns):
        panels[len(found) - columns + column].tick_params(labelbottom=True)
    figure.supxlabel("distance at which a loop appears", color=MUTED, fontsize=10)
    figure.supylabel("how much farther until it is filled", color=MUTED, fontsize=10)
    return figure


def density_figure(levels: Sequence[Level]) -> Any:
    """How many large components there are, and which share of the digits they hold, by how many digits count."""
    figure = new_figure(3.6)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1.5, 1))
    shares = [100 * level.share for level in levels]
    n = len(levels[0].component)
    above.step(shares, [level.large for level in levels], where="mid", color=BLUE, linewidth=2)
    most = max(level.large for level in levels)
    above.set_ylim(0, most + 0.6)
    above.set_yticks(range(0, most + 1, 1 if most <= 6 else 2))
    above.set_ylabel("large components")
    first = [100 * level.sizes[0] / n if level.sizes else 0.0 for level in levels]
    every = [100 * sum(level.sizes) / n for level in levels]
    below.fill_between(shares, first, every, color=ORANGE, linewidth=0)
    below.fill_between(shares, 0, first, color=BLUE, linewidth=0, alpha=0.85)
    below.plot(shares, shares, color=MUTED, linewidth=1, linestyle=(0, (3, 3)))
    below.set_ylim(0, 102)
    below.set_ylabel("% of digits")
    below.set_xlabel("% of the digits that count, the densest first")
    for axes in (above, below):
        tidy(axes, grid="y")
    below.set_xlim(0, 101)
    return figure


def stretch_figure(table: NDArray[np.float64], classes: Sequence[int]) -> Any:
    """Geodesic over straight-line distance between and within classes: a square of numbers."""
    figure = new_figure(4.1)
    axes = figure.add_subplot()
    from matplotlib.colors import LinearSegmentedColormap

    shades = LinearSegmentedColormap.from_list("from paper to ink", ["#fdf3e7", ORANGE])
    axes.imshow(table, cmap=shades, aspect="auto")
    dark = np.nanmin(table) + 0.8 * (np.nanmax(table) - np.nanmin(table))
    for row in range(len(classes)):
        for column in range(len(classes)):
            value = table[row, column]
            if math.isfinite(value):
                # Not INK and PAPER, which turn with the page: the shades below do not.
                colour = "#ffffff" if value > dark else "#1d1c1b"
                weight = "bold" if row == column else "normal"
                axes.text(
                    column, row, f"{value:.1f}", ha="center", va="center", color=colour, fontsize=SMALL, weight=weight
                )
    names = [str(d) for d in classes]
    axes.set_xticks(range(len(classes)), names)
    axes.set_yticks(range(len(classes)), names)
    axes.xaxis.tick_top()
    tidy(axes, grid=None)
    axes.tick_params(labelsize=11, labelcolor=INK, pad=3)
    return figure


def outwards_figure(whole: Shape) -> Any:
    """Local dimension from the middle of the cloud outwards, the digits' and that of a Gaussian cloud."""
    figure = new_figure(3.2)
    axes = figure.add_subplot()
    for cloud, colour, name in ((whole.foil, MUTED, "Gaussian reference"), (whole.cloud, BLUE, "digits")):
        steps = np.arange(1, len(cloud.outwards.dimension) + 1)
        axes.plot(steps, cloud.outwards.dimension, "o-", color=colour, linewidth=2, markersize=5)
        middle = len(steps) // 2
        axes.annotate(
            name, (steps[middle], cloud.outwards.dimension[middle]), (0, 10), textcoords="offset points", ha="center",
            color=colour, fontsize=10.5,
        )  # fmt: skip
    axes.set_ylim(0, 1.15 * max(np.nanmax(cloud.outwards.dimension) for cloud in (whole.cloud, whole.foil)))
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.set_xticks([1, len(whole.cloud.outwards.n)], ["in the middle", "farthest out"])
    axes.set_ylabel("local dimension")
    tidy(axes, grid="y")
    for label, side in zip(axes.get_xticklabels(), ("left", "right"), strict=False):
        label.set_horizontalalignment(side)
    return figure


def walks_figure(walks: Mapping[str, Walk], typical: float) -> Any:
    """Distance to the nearest digit along each walk and along each blend; small multiples on one scale."""
    columns = min(2, len(walks))
    rows = -(-len(walks) // columns)
    figure = new_figure(0.75 + 1.45 * rows)
    panels = np.atleast_1d(figure.subplots(rows, columns, sharex=True, sharey=True)).ravel()
    top = max(max(walk.from_walk.max(), walk.from_blend.max()) for walk in walks.values())
    for axes, (name, walk) in zip(panels, walks.items(), strict=False):
        axes.axhline(typical, color=MUTED, linewidth=1, linestyle=(0, (3, 3)))
        axes.plot(walk.share, walk.from_blend, color=ORANGE, linewidth=2, label="straight blend")
        axes.plot(walk.share, walk.from_walk, color=BLUE, linewidth=2, label="walk along the digits")
        axes.set_title(name, loc="left", color=INK, fontsize=10.5, pad=4)
        axes.set_ylim(0, 1.12 * max(top, typical))
        axes.set_xlim(0, 1)
        axes.set_xticks([0, 1], ["start", "end"])
        tidy(axes, grid="y")
        for label, side in zip(axes.get_xticklabels(), ("left", "right"), strict=False):
            label.set_horizontalalignment(side)
    for axes in panels[len(walks) :]:
        axes.set_visible(False)
    for column in range(columns):
        panels[len(walks) - columns + column].tick_params(labelbottom=True)
    figure.supylabel("distance to the nearest digit", color=MUTED, fontsize=10)
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(
        handles[::-1], names[::-1], loc="outside upper center", ncols=2, frameon=False, fontsize=SMALL,
        labelcolor=INK, handlelength=1.4,
    )  # fmt: skip
    return figure


def mapper_figure(
    graph: MapperGraph, at: NDArray[np.float64], pictures: Images, classes: Sequence[int | None], sizes: Sequence[int]
) -> Any:
    """The graph with a digit (M, 28, 28) on each node, framed in the colour of its most frequent class.

    at: (M, 2), where the nodes lie; branches have thick links, larger nodes thicker frames.
    """
    from matplotlib.offsetbox import AnnotationBbox, OffsetImage

    figure = new_figure(GRAPH_HEIGHT)
    axes = figure.add_subplot()
    placed = laid_out(at, width=GRAPH_WIDTH, height=GRAPH_HEIGHT - 0.3, apart=THUMBNAIL * 1.3)
    along = {node for run in graph.branches for node in run}
    for a, b in graph.links.tolist():
        branch = a in along or b in along
        axes.plot(*placed[[a, b]].T, color=INK if branch else MUTED, linewidth=2.6 if branch else 1.1, zorder=1)
    largest = max(sizes, default=1)
    for place, picture, digit, size in zip(placed, pictures, classes, sizes, strict=True):
        # A white ground of its own: black ink is to be seen where the page is dark.
        image = OffsetImage(np.repeat(255 - picture[:, :, None], 3, axis=2), zoom=THUMBNAIL * 72 / 28 * 0.8)
        frame = {
            "edgecolor": MUTED if digit is None else CLASS_COLOURS[digit],
            "facecolor": "#ffffff",
            "linewidth": 1.2 + 3.2 * math.sqrt(size / largest),
            "boxstyle": "round,pad=0.12,rounding_size=0.25",
        }
        axes.add_artist(AnnotationBbox(image, place, pad=0.12, bboxprops=frame, zorder=2))
    axes.set_xlim(0, GRAPH_WIDTH)
    axes.set_ylim(0, GRAPH_HEIGHT - 0.3)
    axes.set_aspect("equal")
    axes.axis("off")
    return figure

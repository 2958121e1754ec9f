"""The two figures of a comparison: accuracy against time and against data, every technique named where it stands.

>>> from inkdigits.lab.compare_figures import time_figure
>>> time_figure(comparison.standings, comparison.standings[:1]).savefig("time.svg")
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .comparison import Standing
from .figures import ROUND_SHARES
from .report import BLUE, MUTED, ORANGE, new_figure, tidy

SMALL = 8.5  # points of a technique's name; a phone shows it 7 px high in the lower case, still legible
HIGH = 5.4  # inches of both figures: room for a name a line
LOWEST = 0.7  # accuracy from which a technique is drawn
LETTER, LINE = 0.56, 1.12  # width of a letter and height of a line, in sizes of the type
COLOURS = {"classic": BLUE, "network": ORANGE}

Box = tuple[float, float, float, float]  # left, bottom, right, top, in points


def time_figure(standings: Sequence[Standing], front: Sequence[Standing]) -> Any:
    """Each technique's accuracy, logarithmic in its errors, against its seconds of learning; a line along `front`."""
    figure = new_figure(HIGH)
    axes = figure.add_subplot()
    errors = {line.technique: _error(line.accuracy) for line in standings}
    seconds = {line.technique: max(line.fit_seconds, 1e-3) for line in standings}
    names = [line.technique for line in front]
    axes.plot([seconds[n] for n in names], [errors[n] for n in names], color=MUTED, linewidth=1.2, zorder=1)
    for line in standings:
        axes.plot(seconds[line.technique], errors[line.technique], "o", color=COLOURS[line.kind], markersize=5.5)
    axes.set_xscale("log")
    _scale(axes, list(errors.values()))
    low, high = min(seconds.values()), max(seconds.values())
    axes.set_xlim(low / 1.8, high * 2.2)
    ticks = [10.0**e for e in range(-3, 6) if low / 1.8 <= 10.0**e <= high * 2.2]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xlabel("seconds to learn, one core")
    axes.set_ylabel("% right")
    tidy(axes)
    figure.draw_without_rendering()  # only now do the axes know where they lie
    scale = 72 / figure.dpi
    at = axes.transData.transform([(seconds[line.technique], errors[line.technique]) for line in standings]) * scale
    points = {line.technique: (float(x), float(y)) for line, (x, y) in zip(standings, at, strict=True)}
    frame = axes.get_window_extent()
    room = (frame.x0 * scale, frame.y0 * scale, frame.x1 * scale + 6, frame.y1 * scale)
    # Those on the front are named first: where there is no room for all, they are the ones to know.
    order = sorted(standings, key=lambda line: (line.technique not in names, -line.accuracy))
    places = place_names({line.technique: points[line.technique] for line in order}, room)
    for line in order:
        if line.technique in places:
            right, up, side = places[line.technique]
            bold = line.technique in names
            axes.annotate(
                line.technique, (seconds[line.technique], errors[line.technique]), (right, up),
                textcoords="offset points", ha=side, va="center", fontsize=SMALL, color=COLOURS[line.kind],
                fontweight="bold" if bold else "normal",
            )  # fmt: skip
    return figure


def worth_drawing(accuracies: Mapping[str, float]) -> list[str]:
    """The names that the figures show: guesses would squeeze all the others together at the top."""
    able = [name for name, accuracy in accuracies.items() if accuracy >= LOWEST]
    return able if len(able) > 1 else list(accuracies)


def place_names(points: Mapping[str, tuple[float, float]], room: Box) -> dict[str, tuple[float, float, str]]:
    """Where each name stands beside its point (x, y, in points): offsets and alignment, without overlapping.

    The names are placed in the order given, each at the first free place around its point; one that finds none within
    `room` is left out.
    """
    taken: dict[str, Box] = {name: (x - 3, y - 3, x + 3, y + 3) for name, (x, y) in points.items()}
    dots, names = list(taken.values()), list[Box]()
    places: dict[str, tuple[float, float, str]] = {}
    for name, (x, y) in points.items():
        width, half = len(name) * LETTER * SMALL, SMALL * LINE / 2
        for right, up, side in _AROUND:
            left = {"left": x + right, "right": x + right - width, "center": x + right - width / 2}[side]
            box = (left, y + up - half, left + width, y + up + half)
            inside = box[0] >= room[0] and box[1] >= room[1] and box[2] <= room[2] and box[3] <= room[3]
            others = [dot for dot in dots if dot != taken[name]] + names
            if inside and not any(_overlap(box, other) for other in others):
                names.append(box)
                places[name] = right, up, side
                break
    return places


_AROUND = (
    (6, 0, "left"), (-6, 0, "right"), (0, 9, "center"), (0, -9, "center"), (5, 7, "left"), (5, -7, "left"),
    (-5, 7, "right"), (-5, -7, "right"), (8, 14, "left"), (8, -14, "left"), (-8, 14, "right"), (-8, -14, "right"),
)  # fmt: skip


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def data_figure(curves: Mapping[str, Sequence[tuple[int, float]]], kinds: Mapping[str, str]) -> Any:
    """Accuracy, logarithmic in the errors, against the training digits: a line a technique, named at its end."""
    figure = new_figure(max(HIGH, 0.9 + 0.17 * len(curves)))
    axes = figure.add_subplot()
    for name, curve in curves.items():
        sizes, errors = [size for size, _ in curve], [_error(accuracy) for _, accuracy in curve]
        axes.plot(sizes, errors, "o-", color=COLOURS[kinds[name]], linewidth=1.2, markersize=3, alpha=0.75)
    axes.set_xscale("log")
    _scale(axes, [_error(accuracy) for curve in curves.values() for _, accuracy in curve])
    sizes = sorted({size for curve in curves.values() for size, _ in curve})
    axes.set_xticks(sizes, [f"{size:,}" if size < 10_000 else f"{size / 1000:g}k" for size in sizes])
    axes.set_xlim(sizes[0] / 1.1, sizes[-1] * 1.1)
    axes.set_xlabel("training digits")
    axes.set_ylabel("% right")
    tidy(axes)
    figure.draw_without_rendering()
    _name_ends(axes, curves, kinds)
    return figure


def _name_ends(axes: Any, curves: Mapping[str, Sequence[tuple[int, float]]], kinds: Mapping[str, str]) -> None:
    """Each curve's name to the right of the axes at the height of its end, moved apart, with a thin line to it."""
    frame = axes.get_window_extent()
    scale = 72 / axes.figure.dpi
    ends = {name: (curve[-1][0], _error(curve[-1][1])) for name, curve in curves.items()}
    heights = {name: (axes.transData.transform(end)[1] - frame.y0) * scale for name, end in ends.items()}
    high = frame.height * scale
    order = sorted(heights, key=heights.__getitem__)
    for name, place in zip(order, spread([heights[name] for name in order], SMALL * LINE, high), strict=True):
        axes.annotate(
            name, ends[name], (1.05, place / high), textcoords="axes fraction", ha="left", va="center",
            color=COLOURS[kinds[name]], fontsize=SMALL,
            arrowprops={"arrowstyle": "-", "color": COLOURS[kinds[name]], "alpha": 0.35, "linewidth": 0.7,
                        "shrinkA": 1, "shrinkB": 2, "relpos": (0, 0.5)},
        )  # fmt: skip


def spread(heights: Sequence[float], gap: float, top: float) -> list[float]:
    """Rising `heights`, moved as little as need be to lie `gap` apart and, where they fit, within 0…top."""
    placed: list[list[float]] = []  # groups that touch: their heights
    for height in heights:
        placed.append([height])
        while len(placed) > 1 and _start(placed[-1], gap, top) < _start(placed[-2], gap, top) + gap * len(placed[-2]):
            last = placed.pop()
            placed[-1] += last
    return [_start(group, gap, top) + gap * place for group in placed for place in range(len(group))]


def _start(group: Sequence[float], gap: float, top: float) -> float:
    """The lowest place of a group that lies `gap` apart around its own mean, kept inside."""
    extent = gap * (len(group) - 1)
    return min(max(sum(group) / len(group) - extent / 2, 0), max(top - extent, 0))


def _error(accuracy: float) -> float:
    return max(1 - accuracy, 1e-5)


def _scale(axes: Any, errors: Sequence[float]) -> None:
    """The upright axis: logarithmic in the errors, few at the top, its ticks in per cent right."""
    axes.set_yscale("log")
    least, most = min(errors) / 1.25, min(max(errors) * 1.25, 1.0)
    axes.set_ylim(most, least)
    ticks = [share for share in ROUND_SHARES if least <= share < most]
    axes.set_yticks(ticks, [f"{100 * (1 - share):.5g}" for share in ticks])

"""Printed lines among the strokes: ruling, squares, cell borders, underlines.

>>> rules = find_rules(mask, 3.0, Frame(0, 0, 640, 480))
>>> strokes = mask & ~rules

A line is straight, or bent a little, and goes on beyond the picture, along its border, or past several signs. It is
followed where its own thickness is all the ink there is across it; where a stroke crosses, the ink stays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .shapes import Mask, as_pixels, averaged, dilated, eroded

THICKEST = 2.5  # strokes' widths: the thickest line looked for
GAP = 2.0  # strokes' widths: holes in a line that are bridged when it is looked for
SHORTEST_TRACE = 0.12  # of the picture's side: a piece of a line that is followed further
MOST_TRACES = 150
LARGE, LEAST_HALVED = 900, 2.5  # px of the longer side, and of a stroke: lines are looked for at half the scale
HALF_INKED = 110  # of 255: four pixels two of which are inked
COVERED, PLAIN = 0.75, 0.45  # of a line's length that is inked, and that no stroke crosses or touches
HOLE = 0.4  # of the side: where a line goes through signs it may be hidden
UNBROKEN = 0.85  # of an underline's length that no stroke crosses: the bars of 777 are none
STEEPEST = 0.25  # rows a column
BENT = 0.01  # of its length that a line may stray from its fitted course
AT_BORDER = 0.015  # of the side: a line that ends so near the picture's border reaches it
AT_SHEET = 0.04  # … and so near the edge of the sheet, which is only known roughly
HUGGING = 0.14  # of the shorter side: a line so near the border is that of a cell, if it is long, which is …
BROAD = 1.6  # strokes' widths: a thicker line is one only along the border
FINE, FAR = 0.85, 0.6  # strokes' widths, and of the side: a line so thin and long needs to reach the border once
LONG = 0.45  # … of the side, and reaches or touches the border
LEAST_SIGN = 4.0  # strokes' widths: lower pieces are bits
SEVERAL_SIGNS = 2.6  # sizes of signs: a longer line is no stroke
EDGE_STRIP = 0.09  # of the shorter side: pieces in such a strip along the border are bits of what is beside the picture

Rows = NDArray[np.float64]
Counts = NDArray[np.int64]
Course = Callable[[Rows], Rows]  # from columns to rows


@dataclass(frozen=True)
class Frame:
    """Where a mask lies on its picture: the mask's corner and the picture's size, in pixels of the mask."""

    left: int
    top: int
    width: int
    height: int

    @property
    def turned(self) -> Frame:
        """The same with rows and columns exchanged."""
        return Frame(self.top, self.left, self.height, self.width)


@dataclass(frozen=True, eq=False)
class _Rule:
    """A line that goes from left to right: the row (w,) of its middle, its first and last column, its thickness, and
    the share of its length that no stroke crosses."""

    middle: Rows
    begin: int
    end: int
    thickness: float
    plain: float


def find_rules(mask: Mask, stroke: float, frame: Frame, sheet: Mask | None = None) -> Mask:
    """Which ink (h, w) belongs to printed lines, or to what lies beside the picture.

    Parameters
    ----------
    mask: bool (h, w), all ink.
    stroke: typical width of a stroke in pixels.
    frame: where the mask lies on the picture.
    sheet: bool (h, w), where there is paper, if it ends within the picture.
    """
    if not mask.any():
        return np.zeros_like(mask)
    rules, candidates = np.zeros_like(mask), np.zeros_like(mask)
    bands = [np.zeros_like(mask), np.zeros_like(mask)]
    others: list[tuple[bool, _Rule, Mask]] = []
    for turned in (False, True):
        view = np.asarray(cv2.transpose(as_pixels(mask)), np.uint8).view(np.bool_) if turned else mask
        ground = sheet.T if sheet is not None and turned else sheet
        for line in _found(view, stroke):
            own = _own_ink(view, line, stroke)
            gone = own.T if turned else own
            candidates |= gone
            if _goes_beyond(line, frame.turned if turned else frame, ground, stroke):
                rules |= gone
                band = _beside(line, len(view), line.thickness / 2 + 0.5)
                bands[turned] |= band.T if turned else band
            else:
                others.append((turned, line, gone))
    rules |= mask & bands[0] & bands[1]  # where lines cross, the ink is thicker than either
    others = [each for each in others if each[1].plain >= UNBROKEN]
    if others:
        signs = cv2.connectedComponentsWithStats(as_pixels(mask & ~candidates), connectivity=8)[2][1:].astype(np.int64)
        for turned, line, gone in others:
            if _passes_signs(line, signs[:, int(turned)], signs[:, 2 + int(turned)], signs[:, 2:4].max(axis=1), stroke):
                rules |= gone
    return rules | _edge_strips(mask & ~rules, stroke, frame)


def _found(mask: Mask, stroke: float) -> list[_Rule]:
    """Straight runs of ink from left to right; in a large mask, looked for at half its scale."""
    if max(mask.shape) < LARGE or stroke < LEAST_HALVED:
        return _lines(mask, stroke)
    width = mask.shape[1]
    halved = averaged(as_pixels(mask) * np.uint8(255), 2) >= HALF_INKED
    found = []
    for line in _lines(halved, stroke / 2):
        middle = np.pad(2 * np.repeat(line.middle, 2) + 0.5, (0, width % 2), mode="edge")
        found.append(_Rule(middle, 2 * line.begin, 2 * line.end, 2 * line.thickness, line.plain))
    return found


def _lines(mask: Mask, stroke: float) -> list[_Rule]:
    """Straight runs of ink from left to right, as far as they go."""
    height, width = mask.shape
    thick = max(3, round(THICKEST * stroke))
    thin = _thin(mask, thick)
    gap = round(GAP * stroke) | 1
    joined = eroded(dilated(as_pixels(thin), gap, 1), gap, 1)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    widths = stats[:, cv2.CC_STAT_WIDTH].copy()
    widths[0] = 0
    found = []
    for label in np.argsort(-widths, kind="stable")[:MOST_TRACES]:
        x, y, w, h = (int(value) for value in stats[label, :4])
        if w < max(SHORTEST_TRACE * width, 4 * stroke) or label == 0:
            break
        if h > STEEPEST * w + 2 * thick:
            continue
        place = slice(y, y + h), slice(x, x + w)
        trace = (labels[place] == label) & thin[place]
        rule = _followed(trace, x, y, thin, mask)
        if rule is not None:
            found.append(rule)
            thin &= ~_beside(rule, height, rule.thickness / 2 + 1.5)
    return found


def _thin(mask: Mask, thick: int) -> Mask:
    """Ink that reaches at most so many rows up and down, in all."""
    rows = thick + 1
    cores = cv2.erode(as_pixels(mask), np.ones((rows, 1), np.uint8), anchor=(0, 0), borderValue=0)
    tall = cv2.dilate(cores, np.ones((rows, 1), np.uint8), anchor=(0, rows - 1))
    return np.asarray(mask & (np.asarray(tall) == 0), np.bool_)


def _followed(trace: Mask, x: int, y: int, thin: Mask, mask: Mask) -> _Rule | None:
    """The whole line that a part of it, whose corner is at x, y, belongs to; None if it is not straight."""
    width = mask.shape[1]
    # As products of small matrices the sums take a tenth of the time.
    down = np.arange(len(trace), dtype=np.float32)
    counts, sums = np.stack([np.ones_like(down), down]) @ trace.astype(np.float32)
    inked = np.flatnonzero(counts)
    if len(inked) < 4:
        return None
    columns: Rows = x + inked.astype(np.float64)
    rows: Rows = y + sums[inked].astype(np.float64) / counts[inked]
    thickness = float(np.median(counts[inked]))
    reach = round(thickness / 2 + 1.5)
    places = np.arange(width, dtype=np.float64)
    begin, end = x, x + trace.shape[1]
    for attempt in range(3):
        fit = _fitted(columns, rows, bent=attempt > 0 and end - begin > width / 2)
        if fit is None:
            return None
        middle = fit(places)
        if abs(middle[end - 1] - middle[begin]) > STEEPEST * (end - begin):
            return None
        found, found_rows = _along(thin, middle, reach)
        begin, end = _extent(found, begin, end, max(6.0, HOLE * width), 2 * thickness + 2)
        columns, rows = (
            begin + np.flatnonzero(found[begin:end]).astype(np.float64),
            found_rows[begin:end][found[begin:end]],
        )
        if len(columns) < 4:
            return None
    inked_columns, _ = _along(mask, middle, reach)
    plain = float(found[begin:end].mean())
    if inked_columns[begin:end].mean() < COVERED or plain < PLAIN:
        return None
    return _Rule(middle, begin, end, thickness, plain)


def _fitted(columns: Rows, rows: Rows, *, bent: bool) -> Course | None:
    """A straight or slightly bent line through the points, some far off left out; None if many are."""
    keep = np.ones(len(columns), np.bool_)
    for _ in range(3):
        fit = _least_squares(columns[keep], rows[keep], bent=bent)
        off = np.abs(rows - fit(columns))
        before, keep = keep, off <= max(1.0, 2 * _at_share(off, 0.5))
        if np.array_equal(keep, before):
            break
    most = max(1.5, BENT * float(columns[-1] - columns[0]))
    return fit if _at_share(off, 0.8) <= most else None


def _least_squares(columns: Rows, rows: Rows, *, bent: bool) -> Course:
    """The straight or bent line that comes nearest to the points, columns ascending; numpy's own takes twenty times as
    long."""
    middle, half = (columns[0] + columns[-1]) / 2, max((columns[-1] - columns[0]) / 2, 0.5)
    away = (columns - middle) / half
    square = away * away
    first, second = float(away.sum()), float(square.sum())
    # The little that is added keeps it solvable where there are fewer points than weights.
    normal = [[len(away) + 1e-9, first], [first, second + 1e-9]]
    right = [float(rows.sum()), float(away @ rows)]
    if bent:
        third = float(square @ away)
        normal = [[*normal[0], second], [*normal[1], third], [second, third, float(square @ square) + 1e-9]]
        right.append(float(square @ rows))
    weights = np.linalg.solve(normal, right)

    def course(places: Rows) -> Rows:
        away = (places - middle) / half
        found = away * weights[-1] + weights[-2]
        return np.asarray(found * away + weights[0] if bent else found, np.float64)

    return course


def _at_share(values: Rows, share: float) -> float:
    """The value that such a share of all is not above."""
    place = int(share * (len(values) - 1))
    return float(np.partition(values, place)[place])


def _along(mask: Mask, middle: Rows, reach: int) -> tuple[Mask, Rows]:
    """For each column whether there is ink within reach of the middle, and the mean row of that ink."""
    height, width = mask.shape
    rows = np.round(middle).astype(np.intp)[None] + np.arange(-reach, reach + 1)[:, None]
    inside = (rows >= 0) & (rows < height)
    ink = mask[np.clip(rows, 0, height - 1), np.arange(width)[None]] & inside
    counts = ink.sum(axis=0)
    return counts > 0, (ink * rows).sum(axis=0) / np.maximum(counts, 1)


def _extent(found: Mask, begin: int, end: int, gap: float, least: float) -> tuple[int, int]:
    """The stretch around begin … end in which no hole is longer than the gap, bits shorter than least not counted."""
    changes = np.flatnonzero(np.diff(np.concatenate([[False], found, [False]]).astype(np.int8)))
    starts, ends = changes[::2], changes[1::2]
    long = ends - starts >= least
    starts, ends = starts[long], ends[long]
    if len(starts) == 0:
        return begin, end
    last = np.concatenate([np.flatnonzero(starts[1:] - ends[:-1] > gap), [len(starts) - 1]])
    first = np.concatenate([[0], last[:-1] + 1])
    shared = np.minimum(ends[last], end) - np.maximum(starts[first], begin)
    best = int(np.argmax(shared))
    return int(starts[first[best]]), int(ends[last[best]])


def _beside(rule: _Rule, height: int, reach: float) -> Mask:
    """The pixels (height, w) within reach of a line's middle, between its ends."""
    near = np.zeros((height, len(rule.middle)), np.bool_)
    columns = slice(max(0, rule.begin - 1), rule.end + 1)
    middle = rule.middle[columns]
    top, bottom = max(0, int(middle.min() - reach)), min(height, int(middle.max() + reach) + 2)
    near[top:bottom, columns] = np.abs(np.arange(top, bottom)[:, None] - middle[None]) <= reach
    return near


def _own_ink(mask: Mask, rule: _Rule, stroke: float) -> Mask:
    """The line's own ink: strokes that cross it stay."""
    thick = min(round(THICKEST * stroke), round(1.4 * rule.thickness) + 1)
    return _thin(mask, max(2, thick)) & _beside(rule, len(mask), rule.thickness / 2 + 1.5)


def _goes_beyond(rule: _Rule, frame: Frame, sheet: Mask | None, stroke: float) -> bool:
    """Whether a line goes on beyond the picture, or beyond the sheet of paper, or along the picture's border."""
    length, width = rule.end - rule.begin, len(rule.middle)
    reaches = int(_ends(rule, rule.begin, -1, sheet)) + int(_ends(rule, rule.end - 1, 1, sheet))
    rows = frame.top + rule.middle[rule.begin : rule.end]
    from_border = np.minimum(rows, frame.height - 1 - rows)
    touches = float(from_border.min()) <= rule.thickness / 2 + 1.5
    hugging = float(from_border.mean()) <= HUGGING * min(frame.height, frame.width)
    enough = LONG * (width if sheet is not None else frame.width)
    if hugging and (touches or reaches > 0):
        return length >= enough
    if rule.thickness > BROAD * stroke:
        return False
    thin = rule.thickness <= FINE * stroke and rule.plain >= UNBROKEN and length >= FAR * frame.width
    return (reaches == 2 and length >= enough) or (reaches == 1 and thin)


def _ends(rule: _Rule, column: int, step: int, sheet: Mask | None) -> bool:
    """Whether a line that ends in a column would soon be beyond the mask, or beyond the sheet."""
    width = len(rule.middle)
    # The mask has a margin around the writing where it does not end with the picture.
    beyond = column + step * max(2, round(AT_BORDER * width))
    if not 0 < beyond < width - 1:
        return True
    if sheet is None:
        return False
    beyond = min(max(column + step * max(4, round(AT_SHEET * width)), 0), width - 1)
    row = min(max(round(float(rule.middle[beyond])), 0), len(sheet) - 1)
    return not sheet[row, beyond]


def _passes_signs(rule: _Rule, left: Counts, width: Counts, sizes: Counts, stroke: float) -> bool:
    """Whether a line is longer than several signs, two of which at least stand over or under it.

    left, width, sizes: of each connected piece of the other ink, the last its longer side.
    """
    if len(sizes) < 2:
        return False
    # Bits of other lines are many and small: a sign counts by the square of its size.
    order = np.argsort(sizes)
    weights = np.cumsum(sizes[order].astype(np.float64) ** 2)
    sign = int(sizes[order][np.searchsorted(weights, weights[-1] / 2)])
    middle = left + width / 2
    beside = (middle > rule.begin) & (middle < rule.end) & (sizes >= sign / 2)
    long = rule.end - rule.begin >= SEVERAL_SIGNS * sign
    return sign >= LEAST_SIGN * stroke and long and int(beside.sum()) >= 2


def _edge_strips(rest: Mask, stroke: float, frame: Frame) -> Mask:
    """Pieces that touch the picture's border and lie along it and nowhere else."""
    if not (rest[:2].any() or rest[-2:].any() or rest[:, :2].any() or rest[:, -2:].any()):
        return np.zeros_like(rest)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(as_pixels(rest), connectivity=8)
    x, y, w, h = (stats[:, i].astype(np.int64) for i in range(4))
    x, y = x + frame.left, y + frame.top
    strip = max(2.0 * stroke, EDGE_STRIP * min(frame.width, frame.height))
    found = ((y <= 1) & (y + h <= strip)) | ((y + h >= frame.height - 1) & (y >= frame.height - strip))
    found |= ((x <= 1) & (x + w <= strip)) | ((x + w >= frame.width - 1) & (x >= frame.width - strip))
    found[0] = False
    return np.asarray(found[labels], np.bool_)

"""Where digits that touch may be cut apart: straight cuts through narrow places of the ink, from edge to edge.

Two digits that touch once are parted by one cut from a point of their common outline to another, whatever loops they
have. So the outline is walked: where two of its points lie near one another across ink, though both ways between them
along the outline are long, there may be a cut, all the rather if the outline turns inwards there. Digits that touch
twice enclose a loop, which a cut between two such corners may pass through; only the ink counts for its length.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .levels import Pixels
from .shapes import Floats, Labels, Mask, as_pixels

ROWS = 64  # height at which the outline is walked
STEP, POINTS = 2, 400  # pixels between points of the outline, but so many points at most
ACROSS = 18  # points of a cut, none of which may lie outside the outline
THINNEST = 0.11  # of the height: a thinner stroke counts as one so wide
LONGEST = 4.0  # strokes' widths that a cut may cross
CORNER = 0.7  # strokes' widths along the outline to both sides of a point, to see whether it turns inwards there
INWARDS, OUTWARDS = 1.2, 0.5  # radians that count at most
LEAST_TURN = 0.8  # radians, both ends together: no digits meet where a stroke only runs on
THROUGH_LOOP = 0.5  # radians at either end at least where a longer cut may pass through a loop
TURN = 1.2  # strokes' widths of a cut's length that a radian at one of its ends makes good
WORST = 1.2  # strokes' widths that remain at most
ASIDE = 0.1  # of the height, from the middle of one side to that of the other: they stand side by side
APART = 0.1  # of the height: of two cuts both of whose ends lie nearer than this the better is kept
CUTS, CUTS_WIDER = 4, 7  # so many cuts at most, and so many more for each height that the strokes are wide; …
MOST_CUTS = 60  # … never more, as `cut.py` keeps their sides as the bits of an integer

Indices = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Cut:
    """One way to part strokes in two.

    Attributes
    ----------
    left: bool (h, w), what lies on the left. length: of the cut in strokes' widths, less what its corners make good.
    """

    left: Mask
    length: float


def find_cuts(mask: Mask, stroke: float, least: float) -> list[Cut]:
    """The cuts that may part strokes (h, w) into digits, each side at least so many pixels high; in ascending order
    of how much lies on their left.
    """
    height, width = mask.shape
    scale = ROWS / height
    size = max(3, round(width * scale)), ROWS
    grey = np.asarray(cv2.resize(as_pixels(mask) * np.uint8(255), size, interpolation=cv2.INTER_AREA))
    small = np.pad(np.asarray(grey > 127, np.uint8), 1)
    nearest, loose = _loose(small, least * scale)
    most = min(MOST_CUTS, round(CUTS + CUTS_WIDER * width / height))
    sides: list[tuple[Pixels, float]] = []
    before: Pixels = np.zeros(small.shape, np.uint8)
    for strokes in loose:
        if before.any():
            sides.append((before.copy(), 0.0))
        cuts = _cuts_through(strokes, max(stroke * scale, THINNEST * ROWS), least * scale)
        sides += [(before | side, length) for side, length in cuts]
        before |= strokes
    sides = sorted(sides, key=lambda side: side[1])[:most]
    places = cv2.resize(nearest[1:-1, 1:-1], (width, height), interpolation=cv2.INTER_NEAREST)
    found = [Cut(mask & (side.ravel()[places] > 0), length) for side, length in sides]
    return sorted(found, key=lambda cut: int(np.count_nonzero(cut.left)))


def _loose(small: Pixels, least: float) -> tuple[Labels, list[Pixels]]:
    """What was bridged comes apart again: the high pieces (h, w) of the strokes from left to right.

    Before them for every place (h, w) the nearest in one of them, counted row by row: low bits go with what is near.
    """
    count, labels, stats, middles = cv2.connectedComponentsWithStats(small, connectivity=8)
    heights = stats[:, cv2.CC_STAT_HEIGHT]
    high = [i for i in range(1, count) if heights[i] >= min(least, heights[1:].max())]
    loose = [np.asarray(labels == i, np.uint8) for i in sorted(high, key=lambda i: float(middles[i, 0]))]
    within = np.asarray(np.isin(labels, high), np.uint8)
    numbers = cv2.distanceTransformWithLabels(1 - within, cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL)[1]
    places = np.zeros(int(numbers.max()) + 1, np.int32)
    inside = np.flatnonzero(within)
    places[numbers.ravel()[inside]] = inside
    return np.asarray(places[numbers], np.int32), loose


def _cuts_through(strokes: Pixels, stroke: float, least: float) -> list[tuple[Pixels, float]]:
    """What lies on the left of each cut through connected strokes (h, w), and the cut's length."""
    outlines = cv2.findContours(strokes, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
    outline = np.asarray(outlines[0], np.int32).reshape(-1, 2)
    step = max(STEP, -(-len(outline) // POINTS))
    first, last, lengths = _necks(outline[::step], strokes > 0, stroke, least)
    cuts = []
    for index in _distinct(outline[::step], first, last, lengths):
        inside = np.zeros(len(outline), np.bool_)
        inside[step * first[index] : step * last[index] + 1] = True
        side = np.zeros(strokes.shape, np.uint8)
        cv2.fillPoly(side, [outline[inside]], 1)
        is_left = outline[inside, 0].mean() < outline[~inside, 0].mean()
        cuts.append((strokes & (side if is_left else 1 - side), float(lengths[index])))
    return cuts


def _necks(outline: NDArray[np.int32], small: Mask, stroke: float, least: float) -> tuple[Indices, Indices, Floats]:
    """Pairs of points of an outline (n, 2) between which it may be cut: first, last and the cut's length, each (m,)."""
    points = outline.astype(np.float32)
    count = len(points)
    turns = _turns(points, stroke)
    usable = np.flatnonzero(turns >= LEAST_TURN - INWARDS)  # others make no corner with any
    x, y, turned = points[usable, 0], points[usable, 1], turns[usable]
    apart = (x[:, None] - x) ** 2 + (y[:, None] - y) ** 2
    may = apart <= (LONGEST * stroke - 1) ** 2
    may |= np.minimum(turned[:, None], turned) >= THROUGH_LOOP
    may &= turned[:, None] + turned >= LEAST_TURN
    first, last = (usable[side] for side in np.nonzero(np.triu(may, 1)))
    between = last - first
    sums = np.cumsum(points[:, 0], dtype=np.float64)
    inner = (sums[last] - sums[first]) / between
    outer = (sums[-1] - sums[last] + sums[first]) / (count - between)
    fits = (between > 1) & (np.abs(inner - outer) >= ASIDE * ROWS)
    first, last = first[fits], last[fits]
    fits = (_extents(points[:, 1], first, last) >= least) & (_extents(points[:, 1], last, first) >= least)
    first, last = first[fits], last[fits]
    within = np.zeros(small.shape, np.uint8)
    cv2.fillPoly(within, [np.ascontiguousarray(outline)], 1)
    shares = np.linspace(0, 1, ACROSS, dtype=np.float32)[1:-1, None, None]
    across = np.rint(points[first] * (1 - shares) + points[last] * shares).astype(np.intp)
    inked = small[across[..., 1], across[..., 0]]
    inside = (inked | (within[across[..., 1], across[..., 0]] > 0)).all(axis=0)
    distances = np.sqrt(((points[first] - points[last]) ** 2).sum(axis=1)) + 1
    crossed = distances * inked.mean(axis=0) / stroke
    lengths = np.asarray(crossed - TURN * (turns[first] + turns[last]), np.float32)
    fits = inside & (crossed <= LONGEST) & (lengths <= WORST)
    return first[fits], last[fits], lengths[fits]


def _extents(heights: Floats, first: Indices, last: Indices) -> Floats:
    """How high the outline is on its way from the first point to the last, for each pair.

    The highest of a stretch is that of two stretches which cover it, each a power of two long.
    """
    count = len(heights)
    powers = [np.stack([heights, -heights])]
    reach = 1
    while 2 * reach <= count:
        before = powers[-1]
        powers.append(np.maximum(before, np.concatenate([before[:, reach:], before[:, :reach]], axis=1)))
        reach *= 2
    length = (last - first) % count + 1
    power = np.frexp(length)[1] - 1
    second = (first + length - (1 << power)) % count
    farthest = np.stack(powers, axis=1)
    return np.asarray(np.maximum(farthest[:, power, first], farthest[:, power, second]).sum(axis=0) + 1, np.float32)


def _turns(points: Floats, stroke: float) -> Floats:
    """By how many radians the outline (n, 2) turns inwards at each of its points; negative where it turns outwards."""
    girth = float(np.linalg.norm(np.roll(points, -1, axis=0) - points, axis=1).sum())
    steps = max(1, round(CORNER * stroke * len(points) / girth))
    before, after = points - np.roll(points, steps, axis=0), np.roll(points, -steps, axis=0) - points
    cross = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    turned = np.arctan2(cross, (before * after).sum(axis=1))
    # OpenCV walks the outer outline against the clock as seen on the screen, where y grows downwards.
    return np.asarray(np.clip(turned, -OUTWARDS, INWARDS), np.float32)


def _distinct(outline: NDArray[np.int32], first: Indices, last: Indices, lengths: Floats) -> list[int]:
    """The best of the cuts, no two of them alike."""
    kept: list[int] = []
    free = np.ones(len(lengths), np.bool_)
    points, near = outline.astype(np.float32), (APART * ROWS) ** 2
    for index in np.argsort(lengths, kind="stable"):
        if not free[index]:
            continue
        kept.append(int(index))
        same = np.zeros(len(free), np.bool_)
        for one, other in ((first, last), (last, first)):
            same |= (((points[one] - points[first[index]]) ** 2).sum(axis=1) < near) & (
                ((points[other] - points[last[index]]) ** 2).sum(axis=1) < near
            )
        free &= ~same
    return kept

"""Where digits that touch may be cut apart: straight cuts through narrow places of the ink, from edge to edge.

Two digits that touch once are parted by one cut from a point of their common outline to another, whatever loops they
have. So the outline is walked: where two of its points lie near one another across ink, though either way between them
along the outline is long, the ink may be cut, all the rather if the outline turns inwards there.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .levels import Pixels
from .pieces import BRIDGE_ACROSS, BRIDGE_DOWN
from .shapes import Floats, Mask, as_pixels, block

ROWS = 64  # height at which the outline is walked
POINTS = 300  # of the outline at most
ACROSS = 7  # points of a cut that have to lie in ink
LONGEST = 4.0  # strokes' widths that a cut may cross
CORNER = 0.7  # strokes' widths along the outline to both sides of a point, to see whether it turns inwards there
INWARDS, OUTWARDS = 1.2, 0.5  # radians that count at most
LEAST_TURN = 0.8  # radians, both ends together: no digits meet where a stroke only runs on
TURN = 1.2  # strokes' widths of a cut's length that a radian at one of its ends makes good
ASIDE = 0.1  # of the height, from the middle of one side to that of the other: they stand side by side
APART = 0.1  # of the height: of two cuts both of whose ends lie nearer than this the better is kept
CUTS, CUTS_WIDER = 4, 7  # so many cuts at most, and so many more for each height that the strokes are wide

Indices = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Cut:
    """What lies on the left of a cut, bool (h, w), and its length in strokes' widths less what its corners make good."""

    left: Mask
    length: float


def find_cuts(mask: Mask, stroke: float, least: float) -> list[Cut]:
    """The cuts that may part strokes (h, w) into digits, each side at least so many pixels high; in ascending order
    of how much lies on their left.
    """
    height, width = mask.shape
    scale = ROWS / height
    size = max(3, round(width * scale)), ROWS
    small = np.asarray(cv2.resize(as_pixels(mask) * np.uint8(255), size, interpolation=cv2.INTER_AREA))
    small = np.pad(np.asarray(small > 127, np.uint8), 1)
    small = _connected(small, max(stroke * scale, 1.0))
    outlines = cv2.findContours(small, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
    if not outlines:
        return []
    outline = np.asarray(max(outlines, key=len), np.int32).reshape(-1, 2)
    outline = np.ascontiguousarray(outline[:: -(-len(outline) // POINTS)])
    width_of_stroke = max(stroke * scale, 1.0)
    first, last, lengths = _necks(outline, small > 0, width_of_stroke, least * scale)
    kept = _distinct(outline, first, last, lengths, round(CUTS + CUTS_WIDER * width / height))
    if len(kept) == 0:
        return []
    nearest = _nearest(outline, small)
    places = cv2.resize(nearest[1:-1, 1:-1], (width, height), interpolation=cv2.INTER_NEAREST)
    cuts = []
    for index in kept:
        i, j = int(first[index]), int(last[index])
        side = np.zeros(small.shape, np.uint8)
        cv2.fillPoly(side, [outline[i : j + 1]], 1)
        inside = side.ravel()[places] > 0
        left = mask & (inside if _is_left(outline, i, j) else ~inside)
        cuts.append(Cut(left, float(lengths[index])))
    return sorted(cuts, key=lambda cut: int(np.count_nonzero(cut.left)))


def _connected(small: Pixels, stroke: float) -> Pixels:
    """The strokes with the bridges over which pieces were taken for one, if there are any."""
    if cv2.connectedComponents(small, connectivity=8)[0] <= 2:
        return small
    across, down = (2 * round(share * stroke / 2) + 3 for share in (BRIDGE_ACROSS, BRIDGE_DOWN))
    return np.asarray(cv2.morphologyEx(small, cv2.MORPH_CLOSE, block(across, down)), np.uint8)


def _necks(outline: NDArray[np.int32], small: Mask, stroke: float, least: float) -> tuple[Indices, Indices, Floats]:
    """Pairs of points of an outline (n, 2) between which it may be cut: first, last and the cut's length, each (m,)."""
    points = outline.astype(np.float32)
    count = len(points)
    apart = points[:, None] - points[None]
    distances = np.sqrt((apart**2).sum(axis=2)) + 1
    first, last = np.nonzero(np.triu(distances <= LONGEST * stroke, 2))
    one, other = _extents(points[:, 1], first, last), _extents(points[:, 1], last, first)
    sums = np.cumsum(points[:, 0], dtype=np.float64)
    between = last - first
    inner = (sums[last] - sums[first]) / between
    outer = (sums[-1] - sums[last] + sums[first]) / (count - between)
    fits = (one >= least) & (other >= least) & (np.abs(inner - outer) >= ASIDE * ROWS)
    first, last = first[fits], last[fits]
    shares = np.linspace(0, 1, ACROSS, dtype=np.float32)[1:-1, None, None]
    across = np.rint(points[first] * (1 - shares) + points[last] * shares).astype(np.intp)
    inked = small[across[..., 1], across[..., 0]].all(axis=0)
    first, last = first[inked], last[inked]
    turns = _turns(points, stroke)
    corners = turns[first] + turns[last]
    first, last, corners = (each[corners >= LEAST_TURN] for each in (first, last, corners))
    lengths = distances[first, last] / stroke - TURN * corners
    return first, last, np.asarray(lengths, np.float32)


def _extents(heights: Floats, first: Indices, last: Indices) -> Floats:
    """How high the outline is on its way from the first point to the last, for each pair."""
    count = len(heights)
    way = heights[(np.arange(count)[:, None] + np.arange(count)) % count]
    steps = (last - first) % count
    return np.asarray(
        np.maximum.accumulate(way, axis=1)[first, steps] - np.minimum.accumulate(way, axis=1)[first, steps] + 1,
        np.float32,
    )


def _turns(points: Floats, stroke: float) -> Floats:
    """By how many radians the outline (n, 2) turns inwards at each of its points; negative where it turns outwards."""
    girth = float(np.linalg.norm(np.roll(points, -1, axis=0) - points, axis=1).sum())
    steps = max(1, round(CORNER * stroke * len(points) / girth))
    before, after = points - np.roll(points, steps, axis=0), np.roll(points, -steps, axis=0) - points
    cross = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    turned = np.arctan2(cross, (before * after).sum(axis=1))
    # OpenCV walks the outer outline against the clock as seen on the screen, where y grows downwards.
    return np.asarray(np.clip(turned, -OUTWARDS, INWARDS), np.float32)


def _distinct(outline: NDArray[np.int32], first: Indices, last: Indices, lengths: Floats, most: int) -> list[int]:
    """The best of the cuts, no two of them alike."""
    kept: list[int] = []
    free = np.ones(len(lengths), np.bool_)
    points, near = outline.astype(np.float32), (APART * ROWS) ** 2
    for index in np.argsort(lengths, kind="stable"):
        if not free[index]:
            continue
        kept.append(int(index))
        if len(kept) == most:
            break
        same = np.zeros(len(free), np.bool_)
        for one, other in ((first, last), (last, first)):
            same |= (((points[one] - points[first[index]]) ** 2).sum(axis=1) < near) & (
                ((points[other] - points[last[index]]) ** 2).sum(axis=1) < near
            )
        free &= ~same
    return kept


def _nearest(outline: NDArray[np.int32], small: NDArray[np.uint8]) -> NDArray[np.int32]:
    """For every place (h, w) the nearest within the outline, counted row by row: loose bits go with what is near."""
    within = np.zeros_like(small)
    cv2.fillPoly(within, [outline], 1)
    labels = cv2.distanceTransformWithLabels(1 - within, cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL)[1]
    places = np.zeros(int(labels.max()) + 1, np.int32)
    inside = np.flatnonzero(within)
    places[labels.ravel()[inside]] = inside
    return places[labels]


def _is_left(outline: NDArray[np.int32], first: int, last: int) -> bool:
    """Whether the points after the first up to the last stand to the left of the others."""
    inner = np.zeros(len(outline), np.bool_)
    inner[first + 1 : last + 1] = True
    return float(outline[inner, 0].mean()) < float(outline[~inner, 0].mean())

"""Lines of writing: which pieces stand beside one another, and which low ones belong to which.

>>> [len(line) for line in lines_of(pieces, usual_height(pieces))]
[5, 3]
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .pieces import Piece, union, usual_height

LOW = 0.36  # of the line's height: a lower piece is a point, a comma, a bar or a bit of a broken stroke
TALLEST = 2.6  # line heights: a taller piece is no sign of this line
OVERLAP = 0.45  # of the lower piece's height: neighbours on one line share this much
FARTHEST = 9.0  # heights between neighbours on a line
BROKEN = 1.25  # of the usual height: two pieces before the same one that are no higher together are on one line
# Lines of writing that slant are levelled first: neighbours not further apart than NEXT heights, and steeper than
# STEEPEST they are no neighbours; below LEVEL, or with fewer than FEWEST pairs, lines are taken for level.
NEXT, STEEPEST, LEVEL, FEWEST = 2.0, 0.6, 0.08, 4
OVER_OR_UNDER, BESIDE = 0.3, 1.5  # heights: so near to a tall piece a low one belongs to its line
JOINED = 0.5  # of a fragment's width that stands over or under a piece which it then belongs to
POINT_FROM = 0.62  # of a neighbour's height from its top: where a point or comma stands
MINUS, MINUS_BAND = 0.25, (0.2, 0.8)  # of the line's height: a wider flat piece at such a height is a minus


def lines_of(pieces: list[Piece]) -> list[list[Piece]]:
    """The pieces of each line of writing, lines from top to bottom, dirt left out.

    Fragments are joined to the signs that they belong to: the bar of a 5, bits of a broken stroke.
    """
    if not pieces:
        return []
    height = usual_height(pieces)
    signs = [piece for piece in pieces if LOW * height <= piece.height <= TALLEST * height]
    slope = _slope(signs, height)
    lines = _linked(signs, slope, height)
    _give_low_pieces([piece for piece in pieces if piece.height < LOW * height], lines)
    lines.sort(key=lambda line: float(np.median(_levelled(line, slope)[:, 1::2].sum(1))))
    return [_without_fragments(line, usual_height(line)) for line in lines]


def _levelled(pieces: list[Piece], slope: float) -> NDArray[np.float64]:
    """The boxes (N, 4) of pieces, moved up or down to where they would stand if their line were level."""
    boxes = np.array([piece.box for piece in pieces], np.float64).reshape(-1, 4)
    boxes[:, 1::2] -= slope * boxes[:, ::2].mean(1, keepdims=True)
    return boxes


def _slope(pieces: list[Piece], height: float) -> float:
    """How far the lines of writing fall for each pixel to the right: the median over neighbours."""
    boxes = _levelled(pieces, 0.0)
    right, down = ((middle[None, :] - middle[:, None]) for middle in (boxes[:, ::2].mean(1), boxes[:, 1::2].mean(1)))
    near = (right > 0) & (np.abs(down) <= STEEPEST * right) & (np.hypot(right, down) <= NEXT * height)
    distance = np.where(near, np.hypot(right, down), np.inf)
    rows = np.flatnonzero(near.any(1))
    if len(rows) < FEWEST:
        return 0.0
    nearest = distance[rows].argmin(1)
    slope = float(np.median(down[rows, nearest] / right[rows, nearest]))
    return slope if abs(slope) >= LEVEL else 0.0


def _linked(pieces: list[Piece], slope: float, height: float) -> list[list[Piece]]:
    """Pieces linked to their neighbours on the right where they share a part of their height.

    Of several that have the same neighbour the best is taken, and others only where a sign is broken in two.
    """
    pieces = sorted(pieces, key=lambda piece: piece.box[0])
    count = len(pieces)
    boxes = _levelled(pieces, slope)
    heights = boxes[:, 3] - boxes[:, 1]
    before: dict[int, list[tuple[float, int]]] = {}  # for each piece those on its left, and how well they fit
    for i in range(count):
        others = np.arange(i + 1, count)
        shared = np.minimum(boxes[i, 3], boxes[others, 3]) - np.maximum(boxes[i, 1], boxes[others, 1])
        gap = np.maximum(boxes[others, 0] - boxes[i, 2], 0)
        fits = shared >= OVERLAP * np.minimum(heights[i], heights[others])
        fits &= gap <= FARTHEST * np.maximum(heights[i], heights[others])
        if not fits.any():
            continue
        others, shared, gap = others[fits], shared[fits], gap[fits]
        nearest = int(np.argmin(gap + 0.01 * (boxes[others, 0] - boxes[i, 0])))
        fit = float(0.5 * shared[nearest] - gap[nearest])
        before.setdefault(int(others[nearest]), []).append((fit, i))
    line = list(range(count))
    for right, lefts in sorted(before.items()):
        _, best = max(lefts)
        line[right] = line[best]
        for _, left in lefts:
            top, bottom = min(boxes[left, 1], boxes[best, 1]), max(boxes[left, 3], boxes[best, 3])
            if bottom - top <= BROKEN * height:
                line = [line[best] if number == line[left] else number for number in line]
    found: dict[int, list[Piece]] = {}
    for number, piece in zip(line, pieces, strict=True):
        found.setdefault(number, []).append(piece)
    return list(found.values())


def _give_low_pieces(low: list[Piece], lines: list[list[Piece]]) -> None:
    """Each low piece goes to the line that it stands in, if it stands in one."""
    if not lines or not low:
        return
    owners = [line for line in lines for _ in line]
    boxes = np.array([piece.box for line in lines for piece in line], np.float64)
    heights = boxes[:, 3] - boxes[:, 1]
    for piece in low:
        x0, y0, x1, y1 = piece.box
        aside = np.maximum(np.maximum(boxes[:, 0] - x1, x0 - boxes[:, 2]), 0)
        away = np.maximum(np.maximum(boxes[:, 1] - y1, y0 - boxes[:, 3]), 0)
        near = (away <= OVER_OR_UNDER * heights) & (aside <= BESIDE * heights)
        if near.any():
            owners[int(np.argmin(np.where(near, aside + 2 * away, np.inf)))].append(piece)


def _without_fragments(pieces: list[Piece], height: float) -> list[Piece]:
    """Low pieces that stand over, in or under another one joined to it; of the others only marks are kept."""
    tall = [piece for piece in pieces if piece.height >= LOW * height]
    loose = []
    for piece in pieces:
        if piece.height >= LOW * height:
            continue
        shared = [min(piece.box[2], other.box[2]) - max(piece.box[0], other.box[0]) for other in tall]
        best = int(np.argmax(shared))
        if shared[best] >= JOINED * piece.width and piece.area < tall[best].area:
            tall[best] = union([tall[best], piece])
        else:
            loose.append(piece)
    return tall + [piece for piece in loose if _is_mark(piece, tall, height)]


def _is_mark(piece: Piece, tall: list[Piece], height: float) -> bool:
    """Whether a low piece is a sign (a point or comma at the foot of its neighbours, a minus), and no dirt."""
    aside = [max(other.box[0] - piece.box[2], piece.box[0] - other.box[2]) for other in tall]
    near = tall[int(np.argmin(aside))]
    place = ((piece.box[1] + piece.box[3]) / 2 - near.box[1]) / max(near.height, height)
    is_bar = piece.width >= max(MINUS * height, 2 * piece.height)
    return place >= POINT_FROM or (is_bar and MINUS_BAND[0] <= place <= MINUS_BAND[1])

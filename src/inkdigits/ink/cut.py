"""From ink to signs: lines of writing, the pieces they are made of, and which pieces may be one sign.

>>> layout = find_signs(find_ink(pixels))
>>> [len(line.pieces) for line in layout.lines]
[5, 3]

A piece is a connected stroke, or a part of one where neighbours may touch. What is one sign is not decided here: every
group of neighbouring pieces that could be one is proposed, with what speaks against it, and `reader/read.py` chooses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate

import cv2
import numpy as np
from numpy.typing import NDArray

from .glyph import make_glyph
from .levels import Pixels
from .light import Ink
from .seams import split_points
from .shapes import Labels, as_pixels, dilated

MOST_PIECES = 1500  # on one picture; more is a texture, of which the largest are kept
SPECK = 0.4  # of the stroke's square: a smaller piece is dirt
BRIDGE_ACROSS, BRIDGE_DOWN = 0.5, 1.3  # strokes: pieces nearer than this, beside and above one another, are one
DOT = 0.36  # of the line's height: a lower piece is a point, a comma, a bar or a bit of a broken stroke
TALLEST = 2.6  # line heights: a taller piece is no sign of this line
OVERLAP = 0.45  # of the lower piece's height: neighbours on one line share this much
FARTHEST = 9.0  # heights between neighbours on a line
LEAST_PART = 0.55  # of the line's height: a lower part of connected strokes is no digit
POINT_FROM = 0.62  # of a neighbour's height from its top: where a point or comma stands
MINUS = 0.25  # of the line's height: a wider flat piece is a minus
JOINED = 0.5  # of a fragment's width that stands over or under a piece which it then belongs to
WIDE = 0.62  # of the line's height: a wider piece may be several touching digits
MOST_JOINED = 3  # loose pieces in a proposed sign
WIDEST = 1.45  # line heights: the widest proposed sign of several pieces
CUT_COST, CUT_COST_STROKE = 0.3, 0.5  # for cutting through a stroke, and for each stroke's width cut through
PAIR = 1.5  # usual widths: a wider piece is rather two digits than one, a narrower one rather one than two
NARROW_COST, WIDE_COST = 1.0, 1.5  # for each usual width on the wrong side of that
JOIN_COST, JOIN_COST_GAP = 0.5, 6.0  # for joining loose pieces, and for each line height of paper between them

Box = tuple[int, int, int, int]  # x0, y0, x1, y1 in pixels of the ink, the latter two outside


@dataclass(frozen=True)
class Piece:
    """Strokes that belong together: their labels on the layout's map, and their box."""

    labels: tuple[int, ...]
    box: Box
    area: int
    cut_before: float | None = None  # what speaks against parting it from the piece before; None if it is loose

    @property
    def width(self) -> int:
        return self.box[2] - self.box[0]

    @property
    def height(self) -> int:
        return self.box[3] - self.box[1]


@dataclass(frozen=True)
class Group:
    """Pieces first … last of a line as one sign, and what speaks against that as the cost of a negative logarithm."""

    first: int
    last: int
    box: Box
    cost: float
    small: bool = False  # too low for a digit of its line: a point, a comma, a minus
    cut: bool = False  # parted from a neighbour by a cut through strokes

    @property
    def width(self) -> int:
        return self.box[2] - self.box[0]

    @property
    def height(self) -> int:
        return self.box[3] - self.box[1]


@dataclass(frozen=True)
class Line:
    """One line of writing: its pieces from left to right, the groups proposed, and its usual height in pixels."""

    pieces: tuple[Piece, ...]
    groups: tuple[Group, ...]
    height: float


@dataclass(frozen=True, eq=False)
class Layout:
    """All lines from top to bottom, and the map (h, w) that tells each pixel's label, 0 for paper."""

    ink: Ink
    labels: Labels
    lines: tuple[Line, ...] = field(default=())

    def glyph(self, line: Line, group: Group) -> Pixels:
        """The digit image of a proposed sign."""
        labels = [label for piece in line.pieces[group.first : group.last + 1] for label in piece.labels]
        return self.glyph_of(labels, group.box)

    def glyph_of(self, labels: list[int], box: Box) -> Pixels:
        """The digit image of the strokes with these labels, all inside the box."""
        margin = 2
        height, width = self.labels.shape
        x0, y0, x1, y1 = box
        rows = slice(max(0, y0 - margin), min(height, y1 + margin))
        columns = slice(max(0, x0 - margin), min(width, x1 + margin))
        part = self.labels[rows, columns]
        mask = part == labels[0]
        for label in labels[1:]:
            mask |= part == label
        amount = np.where(mask | (part == 0), self.ink.amount[rows, columns], np.uint8(0))
        return make_glyph(amount, mask)


def find_signs(ink: Ink) -> Layout:
    """The lines of writing of a picture's ink, each with its pieces and proposed groups."""
    labels, pieces = _loose_pieces(ink)
    if not pieces:
        return Layout(ink, labels)
    height = usual_height(pieces)
    tall = [piece for piece in pieces if DOT * height <= piece.height <= TALLEST * height]
    low = [piece for piece in pieces if piece.height < DOT * height]
    members = _lines(tall)
    _give_low_pieces(low, members)
    fresh = int(labels.max()) + 1
    lines = []
    for line in members:
        line_height = usual_height(line)
        whole = _joined_fragments(line, line_height)
        width = _usual_width(whole, line_height)
        parts: list[list[Piece]] = []
        for piece in sorted(whole, key=lambda piece: piece.box[0] + piece.box[2]):
            made = list(_parts(piece, labels, ink, line_height, width, fresh))
            fresh += len(made)
            parts.append(made)
        groups = tuple(_groups(parts, line_height, width))
        lines.append(Line(tuple(piece for made in parts for piece in made), groups, line_height))
    lines.sort(key=lambda line: float(np.median([(p.box[1] + p.box[3]) / 2 for p in line.pieces])))
    return Layout(ink, labels, tuple(lines))


def usual_height(pieces: list[Piece]) -> float:
    """The height of most of the writing: the median over pieces, each counted by its height."""
    heights = np.sort([piece.height for piece in pieces])
    return float(heights[np.searchsorted(np.cumsum(heights), heights.sum() / 2)])


def _usual_width(pieces: list[Piece], height: float) -> float:
    """The width of most digits of a line: the median over its pieces, within what digits of this height have."""
    widths = [piece.width for piece in pieces if piece.height >= 2 * DOT * height]
    return float(np.clip(np.median(widths), 0.5 * height, 0.8 * height)) if widths else 0.65 * height


def _loose_pieces(ink: Ink) -> tuple[Labels, list[Piece]]:
    """The map of connected strokes, and a piece for each that is no speck."""
    # What a thin place has broken apart, above all where strokes cross, is still connected.
    bridged = dilated(as_pixels(ink.mask), round(BRIDGE_ACROSS * ink.stroke) | 1, round(BRIDGE_DOWN * ink.stroke) | 1)
    count, labels = cv2.connectedComponents(bridged, connectivity=8)
    labels[~ink.mask] = 0
    stats = _stats(np.asarray(labels, np.int32), count)
    least = max(3.0, SPECK * ink.stroke**2)
    kept = np.flatnonzero(stats[1:, cv2.CC_STAT_AREA] >= least) + 1
    if len(kept) > MOST_PIECES:
        kept = kept[np.argsort(-stats[kept, cv2.CC_STAT_AREA], kind="stable")[:MOST_PIECES]]
    pieces = []
    for label in kept:
        x, y, width, height, area = (int(value) for value in stats[label])
        pieces.append(Piece((int(label),), (x, y, x + width, y + height), area))
    return np.asarray(labels, np.int32), pieces


def _stats(labels: Labels, count: int) -> NDArray[np.int64]:
    """Box and area (count, 5) of each label: x, y, width, height, pixels, as cv2 gives them."""
    rows, columns = np.nonzero(labels)
    found = labels[rows, columns]
    order = np.argsort(found, kind="stable")
    rows, columns, found = rows[order], columns[order], found[order]
    present, starts, areas = np.unique(found, return_index=True, return_counts=True)
    stats = np.zeros((count, 5), np.int64)
    if len(present):
        for column, values in ((0, columns), (1, rows)):
            low = np.minimum.reduceat(values, starts)
            stats[present, column] = low
            stats[present, column + 2] = np.maximum.reduceat(values, starts) - low + 1
        stats[present, 4] = areas
    return stats


def _lines(pieces: list[Piece]) -> list[list[Piece]]:
    """Pieces linked to their neighbours on the right where they share a part of their height."""
    pieces = sorted(pieces, key=lambda piece: piece.box[0])
    count = len(pieces)
    boxes = np.array([piece.box for piece in pieces], np.float64).reshape(-1, 4)
    heights = boxes[:, 3] - boxes[:, 1]
    after: dict[int, tuple[float, int]] = {}  # for each piece the best one on its left, and how well it fits
    for i in range(count):
        others = np.arange(i + 1, count)
        shared = np.minimum(boxes[i, 3], boxes[others, 3]) - np.maximum(boxes[i, 1], boxes[others, 1])
        gap = np.maximum(boxes[others, 0] - boxes[i, 2], 0)
        fits = (shared >= OVERLAP * np.minimum(heights[i], heights[others])) & (
            gap <= FARTHEST * np.maximum(heights[i], heights[others])
        )
        if not fits.any():
            continue
        candidates = others[fits]
        best = candidates[np.argmin(gap[fits] + 0.01 * (boxes[candidates, 0] - boxes[i, 0]))]
        fit = float(-gap[fits].min() + shared[fits].max() * 0.5)
        if int(best) not in after or after[int(best)][0] < fit:
            after[int(best)] = fit, i
    parent = list(range(count))
    for right, (_, left) in sorted(after.items()):
        parent[right] = parent[left]
    lines: dict[int, list[Piece]] = {}
    for i, piece in enumerate(pieces):
        lines.setdefault(parent[i], []).append(piece)
    return list(lines.values())


def _give_low_pieces(low: list[Piece], lines: list[list[Piece]]) -> None:
    """Each low piece goes to the line that it stands in, if it stands in one."""
    if not lines:
        return
    tall = [(index, piece) for index, line in enumerate(lines) for piece in line]
    boxes = np.array([piece.box for _, piece in tall], np.float64)
    heights = boxes[:, 3] - boxes[:, 1]
    for piece in low:
        x0, y0, x1, y1 = piece.box
        aside = np.maximum(np.maximum(boxes[:, 0] - x1, x0 - boxes[:, 2]), 0)
        away = np.maximum(np.maximum(boxes[:, 1] - y1, y0 - boxes[:, 3]), 0)
        near = (away <= 0.3 * heights) & (aside <= 1.5 * heights)
        if near.any():
            chosen = np.flatnonzero(near)[np.argmin((aside + 2 * away)[near])]
            lines[tall[chosen][0]].append(piece)


def _joined_fragments(pieces: list[Piece], height: float) -> list[Piece]:
    """Low pieces that stand over, in or under another one (the bar of a 5, bits of a broken stroke) joined to it."""
    tall = [piece for piece in pieces if piece.height >= DOT * height]
    loose = []
    for piece in pieces:
        if piece.height >= DOT * height:
            continue
        shared = [min(piece.box[2], other.box[2]) - max(piece.box[0], other.box[0]) for other in tall]
        best = max(range(len(tall)), key=lambda index: shared[index], default=None)
        if best is not None and shared[best] >= JOINED * piece.width and piece.area < tall[best].area:
            tall[best] = union([tall[best], piece])
        else:
            loose.append(piece)
    return tall + [piece for piece in loose if _is_mark(piece, tall, height)]


def _is_mark(piece: Piece, tall: list[Piece], height: float) -> bool:
    """Whether a low piece is a sign (a point or comma at the foot of its neighbours, a minus), and no dirt."""
    middle = (piece.box[1] + piece.box[3]) / 2
    aside = [max(other.box[0] - piece.box[2], piece.box[0] - other.box[2]) for other in tall]
    near = tall[int(np.argmin(aside))]
    low = (middle - near.box[1]) / max(near.height, height)
    bar = piece.width >= MINUS * height and piece.width >= 2 * piece.height
    return low >= POINT_FROM or (bar and 0.2 <= low <= 0.8)


def union(pieces: list[Piece]) -> Piece:
    """Several pieces as one."""
    boxes = np.array([piece.box for piece in pieces])
    x0, y0 = (int(value) for value in boxes[:, :2].min(axis=0))
    x1, y1 = (int(value) for value in boxes[:, 2:].max(axis=0))
    labels = tuple(label for piece in pieces for label in piece.labels)
    return Piece(labels, (x0, y0, x1, y1), sum(piece.area for piece in pieces), pieces[0].cut_before)


def _parts(
    piece: Piece, labels: Labels, ink: Ink, height: float, usual_width: float, fresh: int
) -> Iterator[Piece]:
    """The piece itself, or its parts where touching neighbours may be cut apart; parts get labels of their own."""
    if piece.width < WIDE * min(height, piece.height) or piece.height < DOT * height:
        yield piece
        return
    x0, y0, x1, y1 = piece.box
    part = labels[y0:y1, x0:x1]
    mask = np.isin(part, piece.labels)
    sides, cuts = split_points(mask, ink.stroke)
    if not cuts:
        yield piece
        return
    part[mask] = fresh + sides[mask]
    narrow = NARROW_COST * max(0.0, PAIR - piece.width / usual_width)
    for index in range(len(cuts) + 1):
        rows, columns = np.nonzero(mask & (sides == index))
        if len(rows) == 0:
            continue
        box = x0 + int(columns.min()), y0 + int(rows.min()), x0 + int(columns.max()) + 1, y0 + int(rows.max()) + 1
        cost = CUT_COST + CUT_COST_STROKE * cuts[index - 1] + narrow if index else None
        yield Piece((fresh + index,), box, len(rows), cost)


def _groups(parts: list[list[Piece]], height: float, usual_width: float) -> Iterator[Group]:
    """What may be one sign: loose pieces, several of them joined, and runs of the parts of a piece that was cut."""
    starts = [0, *accumulate(len(made) for made in parts)]
    for index, made in enumerate(parts):
        cost, joined = 0.0, []
        for other in range(index, min(index + MOST_JOINED, len(parts))):
            following = union(parts[other])
            if joined:
                gap = max(0, following.box[0] - max(piece.box[2] for piece in joined))
                cost += JOIN_COST + JOIN_COST_GAP * gap / height
            joined.append(following)
            whole = union(joined)
            if len(joined) > 1 and whole.width > WIDEST * height:
                break
            wide = WIDE_COST * max(0.0, whole.width / usual_width - PAIR)
            low = whole.height < DOT * height
            yield Group(starts[index], starts[other + 1] - 1, whole.box, cost + wide, low)
        for first in range(len(made)):
            for last in range(first, len(made)):
                run = union(made[first : last + 1])
                if last - first + 1 == len(made) or run.width > WIDEST * height:
                    break
                # A corner cut off a sign is no sign.
                if run.height >= LEAST_PART * height:
                    yield Group(starts[index] + first, starts[index] + last, run.box, made[first].cut_before or 0.0, cut=True)

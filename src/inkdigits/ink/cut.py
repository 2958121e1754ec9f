"""From ink to signs: lines of writing, the pieces they are made of, and which pieces may be one sign.

>>> layout = find_signs(find_ink(pixels))
>>> [len(line.pieces) for line in layout.lines]
[5, 3]

What is one sign is not decided here: every group of neighbouring pieces that could be one is proposed, with what speaks
against it, and where neighbours may touch, cuts through their strokes; `reader/choose.py` chooses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from .glyph import make_glyph
from .levels import Pixels
from .light import Ink
from .lines import LOW, lines_of
from .pieces import Box, Piece, boxed, loose_pieces, union, usual_height
from .seams import split_points
from .shapes import Labels

LEAST_PART = 0.55  # of the line's height: a lower part of connected strokes is no digit
WIDE = 0.62  # of the line's height: a wider piece may be several touching digits
USUAL_WIDTH = 0.5, 0.65, 0.8  # of the line's height: least, supposed where nothing is known, and most, of a digit
MOST_JOINED = 3  # loose pieces in a proposed sign
WIDEST = 1.45  # line heights: the widest proposed sign of several pieces
CUT_COST, CUT_COST_STROKE = 0.3, 0.5  # for cutting through a stroke, and for each stroke's width cut through
PAIR = 1.5  # usual widths: a wider piece is rather two digits than one, a narrower one rather one than two
NARROW_COST, WIDE_COST = 1.0, 1.5  # for each usual width on the wrong side of that
JOIN_COST, JOIN_COST_GAP = 0.5, 6.0  # for joining loose pieces, and for each line height of paper between them
AROUND = 2  # px around a sign's box in which its soft edges lie


@dataclass(frozen=True)
class Group:
    """Pieces first … last of a line as one sign.

    Attributes
    ----------
    box: around them. cost: what speaks against their being one sign, as a negative logarithm.
    small: whether it is too low for a digit of its line: a point, a comma, a minus.
    """

    first: int
    last: int
    box: Box
    cost: float
    small: bool = False

    @property
    def width(self) -> int:
        return self.box[2] - self.box[0]

    @property
    def height(self) -> int:
        return self.box[3] - self.box[1]


@dataclass(frozen=True, eq=False)
class Line:
    """One line of writing: its pieces from left to right, the groups proposed, and the usual size of its digits."""

    pieces: tuple[Piece, ...]
    groups: tuple[Group, ...]
    height: float
    width: float


@dataclass(frozen=True, eq=False)
class Layout:
    """What stands where.

    Attributes
    ----------
    ink: what was written.
    labels: int32 (h, w), the map of connected strokes, 0 for paper; it may show a part of the ink only.
    lines: of writing, from top to bottom.
    corner: x, y of the map's corner in pixels of the ink.
    """

    ink: Ink
    labels: Labels
    lines: tuple[Line, ...] = ()
    corner: tuple[int, int] = (0, 0)

    def glyph(self, line: Line, group: Group) -> Pixels:
        """The digit image uint8 (28, 28) of a proposed sign."""
        return self.glyph_of(union(line.pieces[group.first : group.last + 1]))

    def glyph_of(self, piece: Piece) -> Pixels:
        """The digit image uint8 (28, 28) of a piece, without what other ink there is in its box."""
        left, top = self.corner
        height, width = self.labels.shape
        x0, x1 = max(0, piece.box[0] - left - AROUND), min(width, piece.box[2] - left + AROUND)
        y0, y1 = max(0, piece.box[1] - top - AROUND), min(height, piece.box[3] - top + AROUND)
        labels = self.labels[y0:y1, x0:x1]
        mask = labels == piece.labels[0]
        for label in piece.labels[1:]:
            mask |= labels == label
        amount = self.ink.amount[top + y0 : top + y1, left + x0 : left + x1]
        return make_glyph(np.where(mask | (labels == 0), amount, np.uint8(0)), mask)


def find_signs(ink: Ink) -> Layout:
    """The lines of writing of a picture's ink, each with its loose pieces and the groups of them that may be signs."""
    labels, pieces = loose_pieces(ink)
    lines = []
    for members in lines_of(pieces):
        height = usual_height(members)
        width = _usual_width(members, height)
        ordered = sorted(members, key=lambda piece: piece.box[0] + piece.box[2])
        lines.append(Line(tuple(ordered), tuple(_joined(ordered, height, width)), height, width))
    return Layout(ink, labels, tuple(lines))


def cut_apart(layout: Layout, line: Line, index: int) -> Layout | None:
    """A piece of a line parted by cuts through its strokes, or None if it cannot be two digits.

    Gives back a layout of one line: its pieces are the parts, its groups the runs of them that may be signs, and its
    map shows the piece only.
    """
    piece = line.pieces[index]
    if piece.width < WIDE * min(line.height, piece.height) or piece.height < LOW * line.height:
        return None
    left, top, right, bottom = piece.box
    mask = np.isin(layout.labels[top:bottom, left:right], piece.labels)
    sides, crossed = split_points(mask, layout.ink.stroke)
    if not crossed:
        return None
    labels = np.where(mask, sides + 1, 0).astype(np.int32)
    narrow = NARROW_COST * max(0.0, PAIR - piece.width / line.width)
    parts = [
        replace(part, cut_before=CUT_COST + CUT_COST_STROKE * crossed[part.labels[0] - 2] + narrow)
        if part.labels[0] > 1
        else part
        for part in boxed(labels, (left, top))
    ]
    runs = tuple(_runs(parts, line.height))
    return Layout(layout.ink, labels, (Line(tuple(parts), runs, line.height, line.width),), (left, top))


def _usual_width(pieces: list[Piece], height: float) -> float:
    """The width of most digits of a line: the median over its pieces, within what digits of this height have."""
    least, supposed, most = (share * height for share in USUAL_WIDTH)
    widths = [piece.width for piece in pieces if piece.height >= 2 * LOW * height]
    return float(np.clip(np.median(widths), least, most)) if widths else supposed


def _joined(pieces: list[Piece], height: float, width: float) -> Iterator[Group]:
    """Every piece as a sign, and every few neighbours."""
    for first in range(len(pieces)):
        whole, cost = pieces[first], 0.0
        for last in range(first, min(first + MOST_JOINED, len(pieces))):
            if last > first:
                gap = max(0, pieces[last].box[0] - whole.box[2])
                whole = union([whole, pieces[last]])
                cost += JOIN_COST + JOIN_COST_GAP * gap / height
                if whole.width > WIDEST * height:
                    break
            wide = WIDE_COST * max(0.0, whole.width / width - PAIR)
            yield Group(first, last, whole.box, cost + wide, whole.height < LOW * height)


def _runs(parts: list[Piece], height: float) -> Iterator[Group]:
    """Every run of the parts of a piece that may be a sign, but not the whole."""
    for first in range(len(parts)):
        for last in range(first, len(parts)):
            run = union(parts[first : last + 1])
            if run.width > WIDEST * height or last - first + 1 == len(parts):
                break
            # A corner cut off a sign is no sign.
            if run.height >= LEAST_PART * height:
                yield Group(first, last, run.box, parts[first].cut_before or 0.0)

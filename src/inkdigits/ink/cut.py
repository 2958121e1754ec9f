"""From ink to signs: lines of writing, the pieces they are made of, and which pieces may be one sign.

>>> layout = find_signs(find_ink(pixels))
>>> [len(line.pieces) for line in layout.lines]
[5, 3]

What is one sign is not decided here: every group of neighbouring pieces that could be one is proposed, with what speaks
against it, and where neighbours may touch, cuts through their strokes; `reader/choose.py` chooses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .glyph import make_glyph
from .levels import Pixels
from .light import Ink
from .lines import LOW, lines_of
from .pieces import Piece, boxed, loose_pieces, union, usual_height
from .seams import find_cuts
from .shapes import Labels

LEAST_PART = 0.62  # of the line's height: a lower part of connected strokes is no digit
WIDE = 0.62  # of the line's height: a wider piece may be several touching digits
USUAL_WIDTH = 0.5, 0.65, 0.8  # of the line's height: least, supposed where nothing is known, and most, of a digit
MOST_JOINED = 3  # loose pieces in a proposed sign
WIDEST = 1.45  # line heights: the widest proposed sign of several pieces
CUT_COST, CUT_COST_STROKE = 0.2, 0.5  # for cutting through a stroke, and for each stroke's width cut through
PAIR = 1.5  # usual widths: a wider piece is rather two digits than one, a narrower one rather one than two
NARROW_COST, WIDE_COST = 1.0, 1.5  # for each usual width on the wrong side of that
PART_WIDE, PART_WIDE_COST = 1.1, 2.0  # usual widths: a wider part of a cut piece is doubted, and for each width more
JOIN_COST, JOIN_COST_GAP = 0.5, 6.0  # for joining loose pieces, and for each line height of paper between them
AROUND = 2  # px around a sign's box in which its soft edges lie


@dataclass(frozen=True)
class Group(Piece):
    """Pieces first … last of a line as one sign, or what lies between two cuts through a piece.

    Attributes
    ----------
    cost: what speaks against their being one sign, as a negative logarithm.
    small: whether it is too low for a digit of its line: a point, a comma, a minus.
    """

    first: int
    last: int
    cost: float
    small: bool = False

    @classmethod
    def of(cls, whole: Piece, first: int, last: int, cost: float, *, small: bool = False) -> Group:
        return cls(whole.labels, whole.box, whole.area, first, last, cost, small)


@dataclass(frozen=True, eq=False)
class Line:
    """One line of writing: its pieces from left to right, the groups proposed, and the usual size of its digits.

    Of a piece that is cut apart groups are counted from cut to cut, of which there are so many steps, not by pieces.
    """

    pieces: tuple[Piece, ...]
    groups: tuple[Group, ...]
    height: float
    width: float
    steps: int


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

    def glyph(self, piece: Piece) -> Pixels:
        """The digit image uint8 (28, 28) of a piece or a proposed sign, without what other ink there is in its box."""
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
        lines.append(Line(tuple(ordered), tuple(_joined(ordered, height, width)), height, width, len(ordered)))
    return Layout(ink, labels, tuple(lines))


def cut_apart(layout: Layout, line: Line, index: int) -> Layout | None:
    """A piece of a line parted by cuts through its strokes, or None if it cannot be two digits.

    Gives back a layout of one line: its pieces are the bits between all cuts, its groups what lies between any two cuts
    and may be a sign, and its map shows the piece only.
    """
    piece = line.pieces[index]
    if piece.width < WIDE * min(line.height, piece.height) or piece.height < LOW * line.height:
        return None
    left, top, right, bottom = piece.box
    mask = np.isin(layout.labels[top:bottom, left:right], piece.labels)
    cuts = find_cuts(mask, layout.ink.stroke, LEAST_PART * line.height)
    if not cuts:
        return None
    sides = sum((cut.left.astype(np.int64) << place for place, cut in enumerate(cuts)), np.zeros(mask.shape, np.int64))
    bits, numbers = np.unique(sides[mask], return_inverse=True)
    labels = np.zeros(mask.shape, np.int32)
    labels[mask] = numbers + 1
    parts = boxed(labels, (left, top))
    lefts = (bits[:, None] >> np.arange(len(cuts))) & 1 > 0
    narrow = NARROW_COST * max(0.0, PAIR - piece.width / line.width)
    costs = [0.0, *(CUT_COST + CUT_COST_STROKE * max(0.0, cut.length) + narrow for cut in cuts)]
    runs = tuple(_between(parts, lefts, costs, line.height, line.width))
    return Layout(layout.ink, labels, (Line(tuple(parts), runs, line.height, line.width, len(costs)),), (left, top))


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
            yield Group.of(whole, first, last, cost + wide, small=whole.height < LOW * height)


def _between(
    parts: list[Piece], lefts: NDArray[np.bool_], costs: list[float], height: float, width: float
) -> Iterator[Group]:
    """What lies between any two cuts and may be a sign, but not the whole.

    lefts: which parts lie on the left of each cut, (parts, cuts). costs: of the left edge and the cuts.
    """
    areas = np.array([part.area for part in parts])
    sides = np.pad(lefts, ((0, 0), (1, 0)))
    sides = np.hstack([sides, np.ones((len(parts), 1), np.bool_)])
    for first in range(len(costs)):
        for last in range(first, len(costs)):
            one, other = sides[:, first], sides[:, last + 1]
            if (first == 0 and last + 1 == len(costs)) or areas[one & ~other].sum() > 0:
                continue
            inside = np.flatnonzero(other & ~one)
            if len(inside) == 0:
                continue
            run = union([parts[i] for i in inside])
            # A corner cut off a sign is no sign.
            if run.width <= WIDEST * height and run.height >= LEAST_PART * height:
                wide = PART_WIDE_COST * max(0.0, run.width / width - PART_WIDE)
                yield Group.of(run, first, last, costs[first] + wide)

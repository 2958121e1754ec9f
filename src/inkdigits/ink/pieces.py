"""The pieces that ink is made of: connected strokes, their boxes, and where they stand on the picture.

>>> labels, pieces = loose_pieces(ink)
>>> pieces[0].box, pieces[0].area
((40, 31, 66, 78), 412)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from .light import Ink
from .shapes import Labels, Mask, as_pixels, dilated

MOST_PIECES = 1500  # on one picture; more is a texture, of which the largest are kept
SPECK = 0.4  # of the stroke's square: a smaller piece is dirt
BRIDGE_ACROSS, BRIDGE_DOWN = 0.5, 1.3  # strokes: pieces nearer than this, beside and above one another, are one

Box = tuple[int, int, int, int]  # x0, y0, x1, y1 in pixels of the ink, the latter two outside


@dataclass(frozen=True)
class Piece:
    """Strokes that belong together.

    Attributes
    ----------
    labels: theirs on the map of connected strokes. box: around them. area: their pixels.
    """

    labels: tuple[int, ...]
    box: Box
    area: int

    @property
    def width(self) -> int:
        return self.box[2] - self.box[0]

    @property
    def height(self) -> int:
        return self.box[3] - self.box[1]


def loose_pieces(ink: Ink) -> tuple[Labels, list[Piece]]:
    """The map (h, w) of connected strokes, 0 for paper, and a piece for each that is no speck."""
    # What a thin place has broken apart, above all where strokes cross, is still connected.
    bridged = dilated(as_pixels(ink.mask), round(BRIDGE_ACROSS * ink.stroke) | 1, round(BRIDGE_DOWN * ink.stroke) | 1)
    connected = np.asarray(cv2.connectedComponents(bridged, connectivity=8)[1], np.int32)
    labels = np.asarray(cv2.copyTo(connected, as_pixels(ink.mask)), np.int32)
    pieces = boxed(labels, mask=ink.mask)
    least = max(3.0, SPECK * ink.stroke**2)
    pieces = [piece for piece in pieces if piece.area >= least]
    if len(pieces) > MOST_PIECES:
        pieces = sorted(pieces, key=lambda piece: -piece.area)[:MOST_PIECES]
    return labels, pieces


def boxed(labels: Labels, corner: tuple[int, int] = (0, 0), mask: Mask | None = None) -> list[Piece]:
    """A piece for each label but 0 on a map (h, w) whose corner is at x, y, in the order of the labels.

    mask: where the labels are not 0, if that is known.
    """
    places = np.flatnonzero(labels.ravel() if mask is None else mask.ravel())
    if len(places) == 0:
        return []
    found = labels.ravel()[places]
    # Short whole numbers are sorted in a fraction of the time.
    order = np.argsort(found.astype(np.uint16) if found.max() < 1 << 16 else found, kind="stable")
    places, found = places[order], found[order]
    starts = np.flatnonzero(np.diff(found, prepend=found[0] - 1))
    ends = np.append(starts[1:], len(found))
    # The sort has left the places of a label in their order, from its top row to its bottom row.
    columns, width = places % labels.shape[1], labels.shape[1]
    sides = [
        np.minimum.reduceat(columns, starts) + corner[0], places[starts] // width + corner[1],
        np.maximum.reduceat(columns, starts) + corner[0] + 1, places[ends - 1] // width + corner[1] + 1,
    ]  # fmt: skip
    return [
        Piece((int(label),), (int(x0), int(y0), int(x1), int(y1)), int(area))
        for label, x0, y0, x1, y1, area in zip(found[starts], *sides, ends - starts, strict=True)
    ]


def union(pieces: Iterable[Piece]) -> Piece:
    """Several pieces as one."""
    some = list(pieces)
    x0, y0, x1, y1 = zip(*(piece.box for piece in some), strict=True)
    labels = tuple(label for piece in some for label in piece.labels)
    return Piece(labels, (min(x0), min(y0), max(x1), max(y1)), sum(piece.area for piece in some))


def usual_height(pieces: list[Piece]) -> float:
    """The height of most of the writing: the median over pieces, each counted by its height."""
    heights = np.sort([piece.height for piece in pieces])
    return float(heights[np.searchsorted(np.cumsum(heights), heights.sum() / 2)])

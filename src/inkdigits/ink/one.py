"""The sign on a picture that is known to hold one, where there is no model to ask.

>>> one_glyph(open_picture("seven.jpg").pixels).shape
(28, 28)
"""

from __future__ import annotations

from .cut import find_signs
from .levels import Pixels
from .light import find_ink
from .pieces import Piece, union

NEAR_EDGE = 1  # px of the ink: strokes that come as near to the picture's edge are a frame's or a neighbour's
LEAST = 0.25  # of the largest piece's ink: a smaller one that stands apart is dirt
NEAR = 0.25  # of the largest piece's longer side: what is nearer than that does not stand apart


def one_glyph(pixels: Pixels) -> Pixels | None:
    """All strokes of a picture, uint8 (H, W) or (H, W, 3), as one digit image uint8 (28, 28); None if it is blank.

    Strokes that touch the picture's edge are left out unless there are no others, and so is dirt.
    """
    layout = find_signs(find_ink(pixels))
    pieces = [piece for line in layout.lines for piece in line.pieces]
    if not pieces:
        return None
    height, width = layout.labels.shape
    inside = [piece for piece in pieces if not _touches(piece, width, height)] or pieces
    largest = max(inside, key=lambda piece: piece.area)
    sign = union([piece for piece in inside if piece.area >= LEAST * largest.area or _is_near(piece, largest)])
    return layout.glyph(sign)


def _touches(piece: Piece, width: int, height: int) -> bool:
    x0, y0, x1, y1 = piece.box
    return min(x0, y0, width - x1, height - y1) <= NEAR_EDGE


def _is_near(piece: Piece, other: Piece) -> bool:
    across = max(piece.box[0] - other.box[2], other.box[0] - piece.box[2])
    down = max(piece.box[1] - other.box[3], other.box[1] - piece.box[3])
    return max(across, down) <= NEAR * max(other.width, other.height)

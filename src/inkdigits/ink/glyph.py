"""One written sign as a digit image, by MNIST's recipe.

>>> make_glyph(ink.amount[box], ink.mask[box]).shape
(28, 28)

The sign keeps its aspect, fits a box of 20×20 and has its centre of mass at the image's centre (LeCun et al., 1998).
Strokes much thinner or thicker than MNIST's are brought into its range first.
"""

from __future__ import annotations

import cv2
import numpy as np

from .levels import Pixels
from .shapes import Floats, Mask, as_pixels, dilated, stroke_width

SIDE, BOX = 28, 20  # px of a digit image, and of the box that its digit fits
FINE = 4  # pixels, along a side, for one of the digit image, while the strokes are looked at
CANVAS = 2 * SIDE * FINE  # fine pixels; room for a sign whose centre of mass is far from its middle
THINNEST, THICKEST = 1.4, 3.1  # px of the digit image; 90 % of MNIST's strokes lie between, as `stroke_width` measures
USUAL = 0.25  # px inside this range, for strokes that were outside
CORE = 60  # percentile of the sign's ink that becomes 255: the core of its strokes
PAPER = 0.12  # of that ink; what is fainter becomes 0


def make_glyph(amount: Pixels, mask: Mask) -> Pixels:
    """The digit image uint8 (28, 28) of one sign; empty for an empty mask.

    Parameters
    ----------
    amount: uint8 (h, w), 0 paper … 255 ink, at any scale; the ink of other signs set to 0.
    mask: bool (h, w), the sign's strokes.
    """
    if not mask.any():
        return np.zeros((SIDE, SIDE), np.uint8)
    grey, strokes = _on_canvas(amount, mask)
    if not strokes.any():
        return np.zeros((SIDE, SIDE), np.uint8)
    core = max(float(np.percentile(grey[strokes], CORE)), 1.0)
    # One fine pixel around a stroke is its soft edge; further away is paper, and beyond the box there is nothing.
    near = dilated(as_pixels(strokes), 3) > 0
    sign = np.where(near, np.clip((grey / core - PAPER) / (1 - PAPER), 0, 1), 0)
    return _centred(_with_usual_strokes(np.asarray(sign, np.float32), strokes))


def _on_canvas(amount: Pixels, mask: Mask) -> tuple[Floats, Mask]:
    """Grey (CANVAS, CANVAS) and strokes of the sign, its box in the middle and as large as MNIST's."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    amount, inked = amount[box], as_pixels(mask[box]) * np.uint8(255)
    height, width = inked.shape
    longest = BOX * FINE
    size = max(1, round(width * longest / max(height, width))), max(1, round(height * longest / max(height, width)))
    kind = cv2.INTER_AREA if max(height, width) > longest else cv2.INTER_LINEAR
    top, left = (CANVAS - size[1]) // 2, (CANVAS - size[0]) // 2
    grey = np.zeros((CANVAS, CANVAS), np.float32)
    strokes = np.zeros((CANVAS, CANVAS), np.bool_)
    place = slice(top, top + size[1]), slice(left, left + size[0])
    grey[place] = cv2.resize(np.ascontiguousarray(amount), size, interpolation=kind)
    strokes[place] = np.asarray(cv2.resize(inked, size, interpolation=kind)) > 127
    return grey, strokes


def _with_usual_strokes(sign: Floats, strokes: Mask) -> Floats:
    """The sign with strokes as wide as MNIST's: unchanged where they are, else redrawn from their outline."""
    width = stroke_width(strokes) / FINE
    if THINNEST <= width <= THICKEST:
        return sign
    wanted = THINNEST + USUAL if width < THINNEST else THICKEST - USUAL
    outwards = (wanted - width) * FINE / 2
    inside = cv2.distanceTransform(as_pixels(strokes), cv2.DIST_L2, 3)
    outside = cv2.distanceTransform(as_pixels(~strokes), cv2.DIST_L2, 3)
    return np.asarray(np.clip((inside - outside + outwards) / FINE + 0.5, 0, 1), np.float32)


def _centred(sign: Floats) -> Pixels:
    """The digit image of a fine sign: averaged, and moved by whole pixels so that its centre of mass is the centre."""
    small = np.asarray(cv2.resize(sign, (2 * SIDE, 2 * SIDE), interpolation=cv2.INTER_AREA), np.float32)
    total = max(float(small.sum()), 1e-6)
    places = np.arange(2 * SIDE)
    top = round(float(small.sum(axis=1) @ places) / total) - SIDE // 2
    left = round(float(small.sum(axis=0) @ places) / total) - SIDE // 2
    return np.asarray(np.round(small[top : top + SIDE, left : left + SIDE] * 255), np.uint8)

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
THINNEST, THICKEST = 1.6, 3.1  # px of the digit image; most of MNIST's strokes lie between, as `stroke_width` measures
FINEST = 1.5  # fine pixels: thinner strokes are widened before the sign is made smaller
USUAL = 0.4  # px inside this range, for strokes that were outside
CORE = 60  # percentile of the sign's ink that becomes 255: the core of its strokes
PAPER = 0.12  # of that ink; what is fainter becomes 0
LEVELS = np.arange(256, dtype=np.float32)
FULL = 128  # grey level that a digit image's strokes reach
SPECK = 4  # px; a piece of so many is not one
OFF_CENTRE = 1.0  # px that its centre of mass may be off, each way


def make_glyph(amount: Pixels, mask: Mask) -> Pixels:
    """The digit image uint8 (28, 28) of one sign; empty for an empty mask.

    Parameters
    ----------
    amount: uint8 (h, w), 0 paper … 255 ink, at any scale; the ink of other signs set to 0.
    mask: bool (h, w), the sign's strokes.
    """
    left, top, width, height = cv2.boundingRect(as_pixels(mask))
    if width == 0:
        return np.zeros((SIDE, SIDE), np.uint8)
    box = slice(top, top + height), slice(left, left + width)
    grey, strokes = _at_fine_scale(amount[box], mask[box])
    inked = grey[strokes]
    if len(inked) == 0:
        return np.zeros((SIDE, SIDE), np.uint8)
    place = len(inked) * CORE // 100
    core = max(float(np.partition(inked, place)[place]), 1.0)
    # One fine pixel around a stroke is its soft edge; further away is paper.
    near = cv2.copyTo(grey, dilated(as_pixels(strokes), 3))
    table = ((LEVELS / core - PAPER) / (1 - PAPER)).clip(0, 1)
    return _centred(_with_usual_strokes(np.asarray(cv2.LUT(near, table), np.float32), strokes))


def is_glyph(pixels: Pixels) -> bool:
    """Whether a picture uint8 (H, W) is a digit image already: MNIST's size, paper 0, ink in its box, centred by mass.

    >>> is_glyph(mnist.images[0]), is_glyph(255 - mnist.images[0])
    (True, False)
    """
    if pixels.shape != (SIDE, SIDE) or int(pixels.max()) < FULL:
        return False
    rows, columns = pixels.sum(axis=1, dtype=np.int64), pixels.sum(axis=0, dtype=np.int64)
    high, wide = np.flatnonzero(rows), np.flatnonzero(columns)
    sides = int(high[-1] - high[0]) + 1, int(wide[-1] - wide[0]) + 1
    if max(sides) != BOX:
        return False
    places = np.arange(SIDE) + 0.5
    total = int(rows.sum())
    return bool(max(abs(float(sums @ places) / total - SIDE / 2) for sums in (rows, columns)) <= OFF_CENTRE)


def in_one_piece(pixels: Pixels) -> bool:
    """Whether the ink of a digit image uint8 (28, 28) hangs together, specks aside: two digits side by side do not."""
    _, _, found, _ = cv2.connectedComponentsWithStats((pixels >= FULL // 2).astype(np.uint8), connectivity=8)
    areas = np.sort(found[1:, cv2.CC_STAT_AREA])
    return len(areas) < 2 or int(areas[-2]) < SPECK


def _at_fine_scale(amount: Pixels, mask: Mask) -> tuple[Pixels, Mask]:
    """Grey and strokes of a sign whose longer side fills the box, with a pixel of the digit image around it."""
    height, width = mask.shape
    longest = BOX * FINE
    scale = longest / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    # Both sides are whole pixels of the digit image, and the sign lies in the middle of them.
    wide, high = (side + -side % FINE + 2 * FINE for side in size)
    top, left = (high - size[1]) // 2, (wide - size[0]) // 2
    place = slice(top, top + size[1]), slice(left, left + size[0])
    grey, strokes = np.zeros((high, wide), np.uint8), np.zeros((high, wide), np.bool_)
    grey[place] = cv2.resize(np.ascontiguousarray(amount), size, interpolation=kind)
    inked = as_pixels(np.ascontiguousarray(mask)) * np.uint8(255)
    if scale < 1 and stroke_width(mask) * scale < FINEST:
        inked = dilated(inked, round(FINEST / scale))  # else averaging would make dashes of it
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
    height, width = sign.shape[0] // FINE, sign.shape[1] // FINE
    small = np.asarray(cv2.resize(sign, (width, height), interpolation=cv2.INTER_AREA), np.float32)
    total = max(float(small.sum()), 1e-6)
    top = SIDE // 2 - round(float(small.sum(axis=1) @ np.arange(height)) / total)
    left = SIDE // 2 - round(float(small.sum(axis=0) @ np.arange(width)) / total)
    image = np.zeros((SIDE, SIDE), np.uint8)
    rows = slice(max(0, top), min(SIDE, top + height))
    columns = slice(max(0, left), min(SIDE, left + width))
    image[rows, columns] = np.round(
        small[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] * 255
    )
    return image

"""Small operations on masks and grey pictures that the rooms of `ink/` share."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from .levels import Pixels

Mask = NDArray[np.bool_]
Floats = NDArray[np.float32]
Labels = NDArray[np.int32]


def as_pixels(mask: Mask) -> Pixels:
    """The same memory as 0 and 1."""
    return mask.view(np.uint8)


def block(width: int, height: int | None = None) -> Pixels:
    """A rectangle of ones for dilating and eroding; square unless a height is given."""
    return np.ones((width if height is None else height, width), np.uint8)


def dilated(pixels: Pixels, width: int, height: int | None = None) -> Pixels:
    """The largest value in a rectangle around each pixel; what is outside counts for nothing."""
    return np.asarray(cv2.dilate(pixels, block(width, height)), np.uint8)


def eroded(pixels: Pixels, width: int, height: int | None = None) -> Pixels:
    """The smallest value in a rectangle around each pixel; what is outside counts for nothing."""
    return np.asarray(cv2.erode(pixels, block(width, height)), np.uint8)


def shrunk(pixels: Pixels, longest: int) -> Pixels:
    """The picture averaged down until its longer side is about so many pixels, up to a tenth more.

    First by a whole number, which is many times as fast as by any other.
    """
    height, width = pixels.shape[:2]
    whole = max(height, width) // longest
    if whole > 1:
        height, width = height // whole, width // whole
        pixels = cv2.resize(  # type: ignore[assignment]
            pixels[: height * whole, : width * whole], (width, height), interpolation=cv2.INTER_AREA
        )
    factor = longest / max(height, width)
    if factor >= 0.9:
        return pixels
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def averaged(pixels: Pixels, factor: int) -> Pixels:
    """The picture with squares of pixels averaged into one; what is left over at the right and below falls away."""
    if factor == 1:
        return pixels
    height, width = (side // factor for side in pixels.shape[:2])
    whole = pixels[: height * factor, : width * factor]
    return np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def stroke_width(mask: Mask) -> float:
    """The typical width of the strokes of a mask in pixels: twice their area for each pixel of their outline."""
    area = int(np.count_nonzero(mask))
    core = cv2.erode(as_pixels(mask), block(3), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    outline = area - int(np.count_nonzero(core))
    return 2 * area / outline if outline else 1.0


def percentile(pixels: Pixels, percent: float, mask: Mask | None = None) -> float:
    """What so many percent of the pixels, or of those under a mask, are not brighter than; as numpy interpolates it.

    Counted, which for bytes is many times as fast as sorting.
    """
    within = None if mask is None else as_pixels(mask)
    counts = np.cumsum(np.asarray(cv2.calcHist([pixels], [0], within, [256], [0, 256])).ravel().astype(np.int64))
    place = max(0, int(counts[-1]) - 1) * percent / 100
    below, above = np.searchsorted(counts, (int(place), int(place) + 1), side="right")
    return float(below + (place - int(place)) * (min(above, 255) - below))

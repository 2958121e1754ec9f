"""What drawing with a pen needs: a sheet, a smooth line through points, and the digit's frame."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

CANVAS = 112  # pixels, side of the sheet that strokes are drawn on: four times a digit image
BOX = 20  # pixels, what a digit is fitted into
SIDE = 28
STEPS = 12  # points of a curve from one of its knots to the next


def curve(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """A smooth line through the points (Catmull and Rom, 1974): float64 (M, 2) of (N, 2), N ≥ 2."""
    before, after = points[:1] * 2 - points[1:2], points[-1:] * 2 - points[-2:-1]
    p = np.concatenate([before, points, after])
    t = np.linspace(0, 1, STEPS)[:, None]
    parts = [
        0.5
        * (
            2 * p[i]
            + (p[i + 1] - p[i - 1]) * t
            + (2 * p[i - 1] - 5 * p[i] + 4 * p[i + 1] - p[i + 2]) * t**2
            + (3 * p[i] - p[i - 1] - 3 * p[i + 1] + p[i + 2]) * t**3
        )
        for i in range(1, len(p) - 2)
    ]
    return np.concatenate(parts)


def framed(sheet: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A sheet's ink as a digit image uint8 (28, 28): its longer side 20 pixels, its centre of mass in the middle."""
    rows, columns = np.flatnonzero(sheet.any(1)), np.flatnonzero(sheet.any(0))
    image = np.zeros((SIDE, SIDE), np.uint8)
    if not len(rows):
        return image
    ink = sheet[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    factor = BOX / max(ink.shape)
    height, width = (max(1, round(side * factor)) for side in ink.shape)
    small = cv2.resize(ink, (width, height), interpolation=cv2.INTER_AREA)
    weight = small.sum(dtype=float)
    down = (small.sum(1) * (np.arange(height) + 0.5)).sum() / weight
    right = (small.sum(0) * (np.arange(width) + 0.5)).sum() / weight
    top = min(max(round(SIDE / 2 - down), 0), SIDE - height)
    left = min(max(round(SIDE / 2 - right), 0), SIDE - width)
    image[top : top + height, left : left + width] = small
    return image

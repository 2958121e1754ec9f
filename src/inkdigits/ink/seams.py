"""Where digits that touch may be cut apart: paths from top to bottom that cross as little ink as they can."""

from __future__ import annotations

import cv2
import numpy as np

from .shapes import Floats, Labels, Mask

ROWS = 40  # height at which the paths are looked for
SLANT = 0.03  # of a row of ink, for each step aside
THICKEST = 3.0  # strokes' widths that a cut may cross
APART = 0.2  # of the height between cuts, and between a cut and the outer edges
MOST_CUTS = 8


def split_points(mask: Mask, stroke: float) -> tuple[Labels, list[float]]:
    """How strokes (h, w) may be cut into parts from left to right.

    Gives back the part 0, 1, … that each pixel (h, w) would belong to, and the strokes' widths that each cut crosses.
    """
    height, width = mask.shape
    scale = ROWS / height
    columns = max(3, round(width * scale))
    small = cv2.resize(mask.view(np.uint8) * np.uint8(255), (columns, ROWS), interpolation=cv2.INTER_AREA)
    ink = np.asarray(small, np.float32) / 255
    down, up = _cheapest(ink), _cheapest(ink[::-1])[::-1]
    through = down + up - ink  # the cheapest path through each pixel
    middle = ROWS // 2
    cost = through[middle] / max(stroke * scale, 1)
    cuts: list[int] = []
    margin = APART * ROWS
    for x in np.argsort(cost, kind="stable"):
        if cost[x] > THICKEST or len(cuts) == MOST_CUTS:
            break
        if margin <= x <= columns - 1 - margin and all(abs(x - other) >= margin for other in cuts):
            cuts.append(int(x))
    cuts.sort()
    sides = np.zeros((ROWS, columns), np.uint8)
    for x in cuts:
        path = _path(down, up, x)
        sides += np.arange(columns)[None] >= path[:, None]
    full = cv2.resize(sides, (width, height), interpolation=cv2.INTER_NEAREST)
    return np.asarray(full, np.int32), [float(cost[x]) for x in cuts]


def _cheapest(ink: Floats) -> Floats:
    """The least ink on a path from the top to each pixel, steps aside counted a little."""
    total = ink.copy()
    for row in range(1, len(ink)):
        above = total[row - 1]
        best = above.copy()
        best[1:] = np.minimum(best[1:], above[:-1] + SLANT)
        best[:-1] = np.minimum(best[:-1], above[1:] + SLANT)
        total[row] += best
    return total


def _path(down: Floats, up: Floats, x: int) -> Labels:
    """The column (ROWS,) of the cheapest path that passes the middle row at x."""
    path = np.zeros(len(down), np.int32)
    middle = len(down) // 2
    path[middle] = x
    for rows, cost, step in ((range(middle - 1, -1, -1), down, 1), (range(middle + 1, len(down)), up, -1)):
        for row in rows:
            here = path[row + step]
            low, high = max(0, here - 1), min(down.shape[1], here + 2)
            options = cost[row, low:high] + SLANT * np.abs(np.arange(low, high) - here)
            path[row] = low + int(np.argmin(options))
    return path

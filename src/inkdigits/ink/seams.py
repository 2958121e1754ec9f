"""Where digits that touch may be cut apart: paths from top to bottom that cross as little ink as they can."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from .shapes import Floats, Labels, Mask, as_pixels

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
    small = cv2.resize(as_pixels(mask) * np.uint8(255), (columns, ROWS), interpolation=cv2.INTER_AREA)
    ink = np.asarray(np.asarray(small, np.float32) / 255, np.float32)
    down, up = _cheapest(ink), _cheapest(ink[::-1])[::-1]
    middle = ROWS // 2
    crossed = (down[middle] + up[middle] - ink[middle]) / max(stroke * scale, 1)
    cuts: list[int] = []
    margin = APART * ROWS
    for x in np.argsort(crossed, kind="stable"):
        if crossed[x] > THICKEST or len(cuts) == MOST_CUTS:
            break
        if margin <= x <= columns - 1 - margin and all(abs(x - other) >= margin for other in cuts):
            cuts.append(int(x))
    cuts.sort()
    paths = _paths(down, up, np.array(cuts, np.intp))
    sides = (np.arange(columns)[None, None] >= paths[:, :, None]).sum(axis=0, dtype=np.uint8)
    full = cv2.resize(np.asarray(sides, np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    return np.asarray(full, np.int32), [float(crossed[x]) for x in cuts]


def _cheapest(ink: Floats) -> Floats:
    """The least ink on a path from the top to each pixel, steps aside counted a little."""
    total = np.pad(ink.astype(np.float32), ((0, 0), (1, 1)), constant_values=np.inf)
    for row in range(1, len(ink)):
        above = total[row - 1]
        aside = np.minimum(above[:-2], above[2:]) + SLANT
        total[row, 1:-1] += np.minimum(above[1:-1], aside)
    return total[:, 1:-1]


def _paths(down: Floats, up: Floats, starts: NDArray[np.intp]) -> NDArray[np.intp]:
    """The columns (n, ROWS) of the cheapest paths that pass the middle row at the starts (n,)."""
    paths = np.zeros((len(starts), len(down)), np.intp)
    middle = len(down) // 2
    paths[:, middle] = starts
    steps = np.array([[0, -1, 1]])
    for rows, cost, before in ((range(middle - 1, -1, -1), down, 1), (range(middle + 1, len(down)), up, -1)):
        for row in rows:
            places = paths[:, row + before, None] + steps
            inside = (places >= 0) & (places < down.shape[1])
            costs = np.where(inside, cost[row, places.clip(0, down.shape[1] - 1)] + SLANT * np.abs(steps), np.inf)
            paths[:, row] = places[np.arange(len(starts)), costs.argmin(axis=1)]
    return paths

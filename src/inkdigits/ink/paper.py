"""Where the sheet of paper lies on a photograph of a table.

>>> find_paper(overview).mean()
0.61
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from .levels import Pixels
from .shapes import Floats, Mask, as_pixels, block, percentile

LEAST, MOST = 0.15, 0.97  # of the picture that a sheet covers; above that it is the whole picture
CUTS = 7  # levels of brightness tried between the darkest and the brightest
STEP = 30  # grey levels between sheet and table
CONVEX = 0.93  # of its convex outline that a sheet fills
CORNERS = 6  # of its outline: four, and two more where the picture's edge cuts some off
CORNER = 0.03  # of the outline's length, how exactly it is followed
ROOM = 0.12  # radius of the largest disc on the sheet, for its side
WRITTEN = 0.0015, 0.35  # of the sheet, within its margins, is darker than most of it by half a step
SURROUND = 0.25  # of the picture's border that is table
SURROUNDED = 0.9  # of three of its sides that is darker: no shadow goes so far around
# Of the longer side: what is nowhere so far from the sheet is the border of a cell, or, where there is nothing to read
# with it, a table that is hardly seen.
BROAD_TABLE, NARROW_TABLE = 0.07, 0.03
SHARP = 0.5  # of the difference between sheet and table lies within a few pixels of the sheet's edge
SHADE = 0.42  # brightness of a shadow for that of the light beside it, at the darkest
HUE = 0.05  # how much the shares of red, green and blue may differ between light and shadow
MARGIN = 0.012  # of the overview, left out along the sheet's edge


def find_paper(overview: Pixels, table: float = BROAD_TABLE) -> Mask:
    """The part of a small picture, uint8 (h, w) or (h, w, 3), that is paper to write on; all of it if no sheet is seen.

    table: of the picture's longer side, how far from the sheet its table reaches somewhere at least.

    A sheet is a bright convex region with few corners and sharp edges, much of the picture's border is darker, and not
    as a shadow is; and it has room: so a bright sign on a dark ground is none.
    """
    level = overview if overview.ndim == 2 else np.asarray(cv2.cvtColor(overview, cv2.COLOR_RGB2GRAY), np.uint8)
    level = np.asarray(cv2.medianBlur(level, 5), np.uint8) if min(level.shape) > 5 else level
    low, high = percentile(level, 2), percentile(level, 98)
    if high - low >= STEP:
        # From dark to bright: a sheet that lies half in shadow is found whole before its lit half is.
        for cut in np.linspace(low, high, CUTS + 2)[1:-1]:
            sheet = _largest(level > cut)
            if sheet is not None and _is_sheet(sheet, level, overview, table):
                side = 2 * max(1, round(MARGIN * max(level.shape))) + 1
                return np.asarray(cv2.erode(sheet, block(side), borderValue=1), np.uint8) > 0
    return np.ones(level.shape, np.bool_)


def _largest(bright: Mask) -> Pixels | None:
    """The largest bright region with what it encloses, 0 and 1 (h, w), or None if none has the size of a sheet."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(as_pixels(bright), connectivity=4)
    if count < 2:
        return None
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    width, height, area = (int(stats[largest, i]) for i in (cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT, cv2.CC_STAT_AREA))
    if width * height < LEAST * bright.size or area > MOST * bright.size:
        return None  # whatever it encloses
    outlines, _ = cv2.findContours(as_pixels(np.asarray(labels == largest)), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    sheet = np.zeros(bright.shape, np.uint8)
    cv2.drawContours(sheet, outlines, -1, 1, cv2.FILLED)
    return sheet if LEAST <= sheet.mean() <= MOST else None


def _is_sheet(sheet: Pixels, level: Pixels, overview: Pixels, least_table: float) -> bool:
    outlines, _ = cv2.findContours(sheet, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    hull = cv2.convexHull(max(outlines, key=len))
    corners = cv2.approxPolyDP(hull, CORNER * cv2.arcLength(hull, True), True)
    area = int(sheet.sum())
    border = np.concatenate([sheet[0], sheet[-1], sheet[:, 0], sheet[:, -1]])
    surround = float((border == 0).mean())
    if area < CONVEX * cv2.contourArea(hull) or len(corners) > CORNERS or surround < SURROUND:
        return False
    room = float(cv2.distanceTransform(np.pad(sheet, 1), cv2.DIST_L2, 3).max())
    table = cv2.distanceTransform(np.pad(1 - sheet, 1, mode="edge"), cv2.DIST_L2, 3)
    if room < ROOM * area**0.5 or float(table.max()) < least_table * max(sheet.shape):
        return False
    if not _is_written_on(sheet, level) or not _has_sharp_edges(sheet, level):
        return False
    sides = [float((side == 0).mean()) for side in (sheet[0], sheet[-1], sheet[:, 0], sheet[:, -1])]
    return sorted(sides)[1] >= SURROUNDED or not _is_light(sheet, overview)


def _is_written_on(sheet: Pixels, level: Pixels) -> bool:
    """Whether there is ink on it: a bright sign on a dark ground has none."""
    within = np.asarray(cv2.erode(sheet, block(7), borderValue=1)) > 0
    if not within.any():
        return False
    around = cv2.boxFilter(level, -1, (2 * (max(level.shape) // 12) + 1,) * 2)
    darker = np.asarray(cv2.subtract(np.asarray(around, np.uint8), level))[within] > STEP / 2
    return WRITTEN[0] <= float(darker.mean()) <= WRITTEN[1]


def _has_sharp_edges(sheet: Pixels, level: Pixels) -> bool:
    """Whether most of the step from sheet to table lies within a few pixels."""
    wider, narrower = cv2.dilate(sheet, block(7)), cv2.erode(sheet, block(7), borderValue=1)
    outer, inner = (wider > 0) & (sheet == 0), (sheet > 0) & (narrower == 0)
    if not outer.any() or not inner.any():
        return False
    around = cv2.dilate(sheet, block(3)) - sheet
    step = np.asarray(cv2.subtract(cv2.dilate(level, block(7)), cv2.erode(level, block(7))), np.float32)
    whole = float(np.median(level[sheet > 0])) - float(np.median(level[sheet == 0]))
    return whole >= STEP and float(np.percentile(step[around > 0], 20)) >= SHARP * whole


def _is_light(sheet: Pixels, overview: Pixels) -> bool:
    """Whether the region could be the lit part of a sheet, and what is around it a shadow: as coloured, less bright."""
    inside, outside = _colour(overview[sheet > 0]), _colour(overview[sheet == 0])
    shade = float(outside.sum() / max(float(inside.sum()), 1.0))
    hue = np.abs(outside / max(float(outside.sum()), 1.0) - inside / max(float(inside.sum()), 1.0))
    return shade >= SHADE and float(hue.max()) <= HUE


def _colour(pixels: NDArray[np.uint8]) -> Floats:
    return np.asarray(np.median(pixels.reshape(len(pixels), -1), axis=0), np.float32)

"""What a small overview of a picture tells about its light: where the paper is, how bright, and in which direction of
colour ink differs from it.

>>> survey = survey_light(overview, narrow=0.1)
>>> survey.dark, survey.contrast
(True, 94.0)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .levels import Pixels
from .paper import NARROW_TABLE, find_paper
from .shapes import Floats, Mask, as_pixels, block, dilated, eroded, percentile

WIDE = 0.45  # of the longer side: what is wider is no stroke
BROADEST, MOST_BROAD = 0.16, 0.6  # between them: a stroke's half width, of the longer side; its share of the area
DOUBTFUL, AS_INK = 0.2, 0.55  # of the contrast: what is looked at between them, and what is as dark as ink
AROUND = 0.03  # of the longer side: how far what is around a detail of colour reaches
SMALL_STEP = 6  # grey levels between neighbours in the overview; less is noise or a soft shadow
BORDER, AREA = 2.0, 0.5  # what speaks as much against ink as a sharp edge of the paper: ink at the border, and all over
SHADE_STEP = 0.2  # of the contrast, between neighbours in the overview: the edge of a shadow
FEWEST = 12  # pixels of the overview that a sign covers at least
TRACE, TRACE_NOISE = 0.15, 3.0  # of the contrast, and of the noise: where the overview has ink
FAINTEST = 9  # grey levels between ink and paper; compression and the grain of paper make less

Counts = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Survey:
    """What an overview of the picture tells about its light.

    Attributes
    ----------
    direction: float32 (C,), weights of the channels whose sum of absolute values is 1: ink against paper.
    dark: whether ink is less bright than paper in this direction.
    paper: uint8 (h, w), how bright the paper is in this direction, at the overview's scale.
    inside: bool (h, w), where there is paper to write on, at the overview's scale.
    contrast: grey levels between ink and paper. noise: their standard deviation on bare paper.
    ink: bool (h, w), where the overview has ink.
    edges: bool (h, w), where light ends and shadow begins.
    """

    direction: Floats
    dark: bool
    paper: Pixels
    inside: Mask
    contrast: float
    noise: float
    ink: Mask
    edges: Mask


def survey_light(overview: Pixels, narrow: float) -> Survey | None:
    """What a small picture tells about its light, or None if nothing on it stands out.

    narrow: of its longer side, how wide what is surely a stroke may be.
    """
    paper = find_paper(overview)
    seen = _survey_within(paper, overview, narrow)
    if seen is not None or not paper.all():
        return seen
    paper = find_paper(overview, NARROW_TABLE)
    return None if paper.all() else _survey_within(paper, overview, narrow)


def _survey_within(inside: Mask, overview: Pixels, narrow: float) -> Survey | None:
    """What a small picture tells about the light on its paper, a part (h, w) of it."""
    direction = _ink_direction(overview, inside)
    level = project(overview, direction)
    hypotheses = [_hypothesis(level, inside, dark, narrow) for dark in (True, False)]
    _, dark, paper = min(hypotheses, key=lambda each: each[0])
    away = difference(level, paper, dark)
    counts = counted(away[inside])
    bare, noise = middle_and_spread(counts)
    total = int(counts.sum())
    contrast = _at_place(counts, max(0, total - max(FEWEST, inside.size // 1000))) - bare
    if contrast < max(FAINTEST / 2, TRACE_NOISE * noise):
        return None
    offset = round(bare)
    paper = np.clip(paper.astype(np.int16) + (-offset if dark else offset), 0, 255).astype(np.uint8)
    ink = (away - bare > max(TRACE * contrast, TRACE_NOISE * noise, 3)) & inside
    # Where light ends sharply, the paper's brightness between two points of the overview is taken from the side
    # that makes less ink.
    paper = eroded(paper, 3) if dark else dilated(paper, 3)
    step = cv2.morphologyEx(paper, cv2.MORPH_GRADIENT, block(3))
    edges = np.asarray(cv2.dilate(as_pixels(np.asarray(step) > SHADE_STEP * contrast), block(3))) > 0
    return Survey(direction, dark, paper, inside, contrast, noise, ink, edges)


def _ink_direction(overview: Pixels, inside: Mask) -> Floats:
    """The direction of colour (C,) along which the sharpest details of the overview differ from what is around."""
    if overview.ndim == 2:
        return np.ones(1, np.float32)
    around = _blurred_widely(overview, AROUND * max(overview.shape))
    detail = np.asarray(cv2.subtract(overview, around, dtype=cv2.CV_32F), np.float32)[inside]
    strength = (detail**2).sum(axis=1)
    few = max(30, len(strength) // 50)
    strongest = detail[np.argpartition(strength, -few)[-few:]] if len(strength) > few else detail
    _, vectors = np.linalg.eigh(strongest.T @ strongest)
    direction = vectors[:, -1]
    direction = direction / np.abs(direction).sum()
    return np.asarray(direction if direction.sum() >= 0 else -direction, np.float32)


def _blurred_widely(overview: Pixels, sigma: float) -> Pixels:
    """The colours (h, w, 3) around each pixel: blurred at a quarter of the size, which takes a tenth of the time."""
    height, width = overview.shape[:2]
    size = max(1, width // 4), max(1, height // 4)
    small = cv2.GaussianBlur(cv2.resize(overview, size, interpolation=cv2.INTER_AREA), (0, 0), sigma / 4)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def project(pixels: Pixels, direction: Floats) -> Pixels:
    """Brightness (h, w) in a direction of colour, moved so that it lies in 0…255."""
    if pixels.ndim == 2:
        return pixels
    offset = -255 * direction[direction < 0].sum()
    weights = np.append(direction, offset)[None].astype(np.float32)
    # From three channels to three OpenCV is several times as fast as from three to one.
    return np.asarray(cv2.extractChannel(cv2.transform(pixels, np.repeat(weights, 3, axis=0)), 0), np.uint8)


def _hypothesis(level: Pixels, inside: Mask, dark: bool, narrow: float) -> tuple[float, bool, Pixels]:
    """What speaks against ink being dark (or bright), and how bright the paper would be.

    The paper would have sharp edges of its own, much of the picture would be ink, or the picture's border would be.
    """
    paper = _paper_level(level, inside, dark, narrow)
    away = np.asarray(cv2.subtract(paper, level) if dark else cv2.subtract(level, paper), np.uint8)
    within = np.asarray(cv2.erode(as_pixels(inside), block(3), borderValue=0), np.uint8).view(np.bool_)
    border = away[inside & ~within]
    area = AREA * float(away[inside].mean()) * len(border)
    return _sharp_edges(paper, inside) + BORDER * float(border.sum()) + area, dark, paper


def _paper_level(level: Pixels, inside: Mask, dark: bool, narrow_window: float) -> Pixels:
    """The brightness (h, w) of the paper: without strokes, with the light and the shadows that lie on it."""
    if not dark:
        return np.asarray(255 - _paper_level(np.asarray(255 - level, np.uint8), inside, True, narrow_window), np.uint8)
    narrow, wide = (_filled(level, inside, window) for window in (narrow_window, WIDE))
    # What only the wide window fills in is a broad stroke or a shadow. A shadow is broader still.
    doubtful = np.asarray(cv2.subtract(wide, narrow), np.uint8)
    contrast = percentile(np.asarray(cv2.subtract(wide, level), np.uint8), 99, inside)
    broad = np.asarray(doubtful) > max(SMALL_STEP, DOUBTFUL * contrast)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(as_pixels(broad), connectivity=8)
    if count == 1:
        return narrow
    depth = np.asarray(cv2.distanceTransform(np.pad(as_pixels(broad), 1), cv2.DIST_L2, 3))[1:-1, 1:-1]
    labels = np.asarray(labels)
    deep = np.bincount(labels[depth > BROADEST * max(level.shape)], minlength=count) > 0
    areas = stats[:, cv2.CC_STAT_AREA]
    darker = np.bincount(labels[broad], doubtful[broad], count) / areas
    within = cv2.erode(as_pixels(inside), block(5), borderValue=0)
    at_border = np.bincount(labels[np.asarray(within) == 0], minlength=count) > 0
    stroke = ~deep & (areas <= MOST_BROAD * level.size)
    stroke &= ~at_border | ((darker >= AS_INK * contrast) & (areas <= MOST_BROAD / 2 * level.size))
    stroke[0] = False
    return np.where(dilated(as_pixels(stroke[labels]), 5) > 0, wide, narrow)


def _filled(level: Pixels, inside: Mask, window: float) -> Pixels:
    """The picture with dark strokes filled in that are narrower than the window, which is of the longer side.

    The window is an octagon, so that the edges of shadows stay as they are whichever way they run.
    """
    radius = max(1, round(window * max(level.shape) / 2))
    square, cross = block(3), np.asarray(cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)), np.uint8)
    straight = round(radius / (1 + 2**0.5))
    brightest = cv2.dilate(np.where(inside, level, np.uint8(0)), square, iterations=straight)
    brightest = cv2.dilate(brightest, cross, iterations=radius - straight)
    darkest = cv2.erode(np.where(inside, np.asarray(brightest, np.uint8), np.uint8(255)), square, iterations=straight)
    return np.asarray(cv2.erode(darkest, cross, iterations=radius - straight), np.uint8)


def _sharp_edges(level: Pixels, inside: Mask) -> float:
    """The sum of brightness steps between neighbouring pixels, small ones left out."""
    steps = np.asarray(cv2.morphologyEx(level, cv2.MORPH_GRADIENT, block(3)), np.uint8)
    return float(steps[(steps > SMALL_STEP) & inside].sum())


def difference(level: Pixels, paper: Pixels, dark: bool) -> NDArray[np.int16]:
    more, less = (paper, level) if dark else (level, paper)
    return np.asarray(cv2.subtract(more, less, dtype=cv2.CV_16S), np.int16)


def counted(differences: NDArray[np.int16]) -> Counts:
    """How often each difference of grey levels is there, -255 first: counting is faster than sorting."""
    return np.bincount(differences.ravel() + np.int16(255), minlength=511)


def _at_place(counts: Counts, place: int) -> float:
    """The difference at a place in ascending order."""
    return float(np.searchsorted(np.cumsum(counts), place, side="right")) - 255


def _middle(counts: Counts) -> float:
    total = int(counts.sum())
    return (_at_place(counts, (total - 1) // 2) + _at_place(counts, total // 2)) / 2


def middle_and_spread(counts: Counts) -> tuple[float, float]:
    """Median and standard deviation of counted differences, the latter from their lower half, where there is no ink."""
    middle = _middle(counts)
    return middle, 1.48 * (middle - _middle(counts[: math.floor(middle) + 256]))

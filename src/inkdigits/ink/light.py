"""Where the ink is on a picture, whatever the light, the paper and the pen.

>>> ink = find_ink(open_picture("photo.jpg").pixels)
>>> ink.amount.shape, ink.stroke, ink.blank
((1440, 1920), 4.2, False)

A small overview of the picture tells in which direction of colour the ink differs from the paper, whether it is darker
or brighter, and how bright the paper is everywhere. At the working scale the ink is then what differs from its paper.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from .levels import Pixels
from .residue import FAINT, Light, find_residue
from .rules import Frame, find_rules
from .shapes import Mask, as_pixels, averaged, block, dilated, percentile, shrunk, stroke_width
from .survey import FAINTEST, WIDE, Survey, counted, difference, middle_and_spread, project, survey_light

LONGEST, ENOUGH = 2048, 1360  # px of the working scale: a digit of 4 mm on a photographed A4 page is 27 px high
SHORTEST = 96  # px of the working scale: a picture of 13×17 is enlarged until its strokes are some pixels wide
MOST_ENLARGED = 8
OVERVIEW = 320  # px of the longer side
NARROW = 0.1  # of the longer side: what is narrower is a stroke
NARROW_PIXELS = 26  # of the picture: what is narrower is a stroke in any case, as in small pictures of a sign
NOISY = 0.12  # of the ink: more noise is smoothed away, by …
BLURS = (1.0, 2.0, 3.0)  # pixels
SURE, MOST_AT_EDGE = 0.1, 0.7  # of a piece: as dark as ink at least, and along the edge of a shadow at most
FAINTEST_NOISE = 3.5  # in standard deviations of the noise: the faintest ink
SEED = 0.2  # of the typical ink, and …
SEED_NOISE = 3.5  # … of the noise: a stroke reaches this somewhere
SMOOTH = 0.2  # of the stroke: blur before the edges of strokes are looked for
FAINT_AS_RULES = 1.25  # of the rules' ink: what is fainter is left of them, if they are fainter than …
RULES_FAINT = 0.7  # … of the typical ink
HALO = 0.25  # … and what is fainter is the blur around it
EDGE = 0.42  # of the darkest ink nearby: where the edge of a stroke lies
# Large writing is looked at at half the working scale, if strokes in the overview, strokes and signs at that scale are
# so many pixels wide or high, nearly all of them.
LARGE_SEEN, LARGE_STROKE, LARGE_SIDE, LARGE_SHARE = 2.5, 5, 64, 0.85
MARGIN = 0.04  # of the region with ink, kept around it


@dataclass(frozen=True, eq=False)
class Ink:
    """What was written, apart from what it was written on.

    Attributes
    ----------
    amount: uint8 (h, w), 0 paper … 255 as much ink as is usual on this picture; greys are kept.
    mask: bool (h, w), the strokes, without ruling lines.
    rules: bool (h, w), the ruling lines, cell borders and underlines taken away from the mask.
    stroke: typical width of a stroke in pixels of the amount.
    scale: pixels of the picture for one of the amount.
    origin: x, y of the amount's corner in pixels of the picture.
    contrast: grey levels of the picture between its paper and that usual ink.
    """

    amount: Pixels
    mask: Mask
    rules: Mask
    stroke: float
    scale: float = 1.0
    origin: tuple[float, float] = (0.0, 0.0)
    contrast: float = 255.0

    @property
    def blank(self) -> bool:
        """Whether there is no ink at all."""
        return not self.mask.any()

    @property
    def faint(self) -> bool:
        """Whether it differs so little from its paper that it may be a shadow, a stain or grain."""
        return self.contrast < FAINT


def find_ink(pixels: Pixels) -> Ink:
    """The ink of a picture, uint8 (H, W) grey or (H, W, 3) RGB."""
    work, scale = _at_working_scale(pixels)
    factor = max(1, round(max(work.shape[:2]) / OVERVIEW))
    work = work[: work.shape[0] // factor * factor or None, : work.shape[1] // factor * factor or None]
    halves = averaged(work, 2) if max(work.shape[:2]) > ENOUGH else work
    if min(work.shape[:2]) < factor:
        overview = shrunk(work, OVERVIEW)
    elif halves is work or factor % 2:
        overview = averaged(work, factor)
    else:
        overview = averaged(halves, factor // 2)
    narrow = min(max(NARROW, NARROW_PIXELS / max(pixels.shape[:2])), 0.7 * WIDE)
    survey = survey_light(overview, narrow)
    for blur in BLURS:
        if survey is None or survey.noise <= NOISY * survey.contrast:
            break
        smooth = survey_light(np.asarray(cv2.GaussianBlur(overview, (0, 0), blur), np.uint8), narrow)
        survey = smooth or survey
    if survey is None:
        return _nothing(work.shape[:2], scale)
    may_be_large = halves is not work and stroke_width(survey.ink) >= LARGE_SEEN
    for seen in (halves, work) if may_be_large else (work,):
        x0, y0, x1, y1 = _region(survey.ink, seen.shape)
        amount, noise, typical = _ink_amount(seen, survey, (x0, y0, x1, y1))
        if typical is not None and seen is halves and _is_large(amount > EDGE * typical):
            break
    work, scale = seen, scale * work.shape[1] / seen.shape[1]
    if typical is None:
        return _nothing(work.shape[:2], scale)
    faint, strokes, seeds = _strokes(amount, typical, noise)
    sheet = None if survey.inside.all() else _enlarged_mask(survey.inside, work, (x0, y0, x1, y1))
    frame = Frame(x0, y0, *work.shape[1::-1])
    rules = find_rules(faint, stroke_width(strokes), frame, sheet)
    mask = strokes & ~rules
    edges = _enlarged_mask(survey.edges, work, (x0, y0, x1, y1)) if survey.edges.any() else None
    mask = _surely_ink(mask, seeds & (amount > _strength_of_rules(amount, rules, typical)), edges)
    light = Light(_darkness(work[y0:y1, x0:x1], survey), amount, typical)
    mask &= ~find_residue(mask, rules, light, stroke_width(mask), frame)
    stroke = stroke_width(mask)
    amount = np.asarray(cv2.convertScaleAbs(amount, alpha=255 / typical), np.uint8)
    return Ink(amount, mask, rules, stroke, scale, (x0 * scale, y0 * scale), typical)


def ink_of_glyph(pixels: Pixels) -> Ink:
    """The ink of a picture uint8 (28, 28) that is a digit image already, where nothing needs to be found out."""
    amount, scale = _at_working_scale(pixels)
    _, mask, _ = _strokes(amount, _typical_ink(amount, 0.0) or 255.0, 0.0)
    return Ink(amount, mask, np.zeros_like(mask), stroke_width(mask), scale)


def _nothing(shape: tuple[int, ...], scale: float) -> Ink:
    empty = np.zeros(shape, np.bool_)
    return Ink(np.zeros(shape, np.uint8), empty, empty, 1.0, scale)


def _at_working_scale(pixels: Pixels) -> tuple[Pixels, float]:
    """The picture at a size at which strokes are some pixels wide, and how many of its pixels make one of these."""
    height, width = pixels.shape[:2]
    if max(height, width) > LONGEST:
        factor = math.ceil(max(height, width) / LONGEST)
        # Averaging whole pixels takes a twelfth of the time of averaging parts of them.
        work = averaged(pixels, factor) if max(height, width) >= factor * ENOUGH else shrunk(pixels, LONGEST)
        return work, width / work.shape[1]
    enlarge = min(SHORTEST / min(height, width), LONGEST / max(height, width), MOST_ENLARGED)
    if enlarge <= 1:
        return pixels, 1.0
    size = max(1, round(width * enlarge)), max(1, round(height * enlarge))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC), np.uint8), width / size[0]


def _is_large(strokes: Mask) -> bool:
    """Whether nearly all that is written is tall and broad enough to be read at this scale."""
    broad = cv2.morphologyEx(as_pixels(strokes), cv2.MORPH_OPEN, block(LARGE_STROKE))
    if cv2.countNonZero(broad) < LARGE_SHARE * np.count_nonzero(strokes):
        return False
    stats = cv2.connectedComponentsWithStats(as_pixels(strokes), connectivity=8)[2][1:]
    sides = stats[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].max(axis=1)
    return bool(sides[sides >= LARGE_SIDE].sum() >= LARGE_SHARE * sides.sum())


def _region(ink: Mask, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """The part of the working picture that holds ink, with a margin: x0, y0, x1, y1."""
    ratio = shape[1] / ink.shape[1], shape[0] / ink.shape[0]
    columns, rows = np.flatnonzero(ink.any(axis=0)), np.flatnonzero(ink.any(axis=1))
    if len(columns) == 0:
        return 0, 0, shape[1], shape[0]
    margin = 4 + MARGIN * max(ink.shape)
    x0, x1 = (columns[0] - margin) * ratio[0], (columns[-1] + 1 + margin) * ratio[0]
    y0, y1 = (rows[0] - margin) * ratio[1], (rows[-1] + 1 + margin) * ratio[1]
    return max(0, int(x0)), max(0, int(y0)), min(shape[1], int(x1) + 1), min(shape[0], int(y1) + 1)


def _ink_amount(work: Pixels, survey: Survey, region: tuple[int, int, int, int]) -> tuple[Pixels, float, float | None]:
    """How much darker (or brighter) than its paper each pixel of a region is, in grey levels, the noise of that, and
    the usual ink, or None if there is no more than noise. Noise and the dots of print are smoothed as far as needed.
    """
    x0, y0, x1, y1 = region
    level = project(work[y0:y1, x0:x1], survey.direction)
    paper = _enlarged(survey.paper, work, region, cv2.INTER_LINEAR)
    inside = None if survey.inside.all() else as_pixels(_enlarged_mask(survey.inside, work, region))
    step = max(1, int((level.size / 40_000) ** 0.5))
    for blur in (0.0, *BLURS):
        seen = np.asarray(cv2.GaussianBlur(level, (0, 0), blur), np.uint8) if blur else level
        amount = np.asarray(cv2.subtract(paper, seen) if survey.dark else cv2.subtract(seen, paper), np.uint8)
        if inside is not None:
            amount = np.asarray(cv2.bitwise_and(amount, amount, mask=inside), np.uint8)
        few = np.ascontiguousarray(seen[::step, ::step]), np.ascontiguousarray(paper[::step, ::step])
        away = difference(*few, survey.dark)
        # Where nothing stands out from all that is there, it may from what is on the sheet.
        for part in (away,) if inside is None else (away, away[inside[::step, ::step] > 0]):
            _, noise = middle_and_spread(counted(part))
            typical = _typical_ink(amount, noise)
            if typical is not None:
                break
        if noise <= NOISY * (typical or 1.5 * survey.contrast):
            break
    return amount, noise, typical


def _darkness(pixels: Pixels, survey: Survey) -> Pixels:
    """The picture in grey levels along the direction of its ink, higher where there is ink."""
    level = project(pixels, survey.direction)
    return np.asarray(cv2.bitwise_not(level), np.uint8) if survey.dark else level


def _enlarged(overview: Pixels, work: Pixels, region: tuple[int, int, int, int], kind: int) -> Pixels:
    """The region of a picture (h, w) of the overview's size, at the working scale."""
    x0, y0, x1, y1 = region
    height, width = work.shape[:2]
    factor = width // overview.shape[1]
    if (width, height) != (factor * overview.shape[1], factor * overview.shape[0]):
        return np.asarray(cv2.resize(overview, (width, height), interpolation=kind), np.uint8)[y0:y1, x0:x1]
    # Only what is needed of it, and a pixel around that.
    left, top = max(0, x0 // factor - 1), max(0, y0 // factor - 1)
    part = overview[top : y1 // factor + 2, left : x1 // factor + 2]
    size = part.shape[1] * factor, part.shape[0] * factor
    large = np.asarray(cv2.resize(part, size, interpolation=kind), np.uint8)
    return large[y0 - top * factor : y1 - top * factor, x0 - left * factor : x1 - left * factor]


def _enlarged_mask(overview: Mask, work: Pixels, region: tuple[int, int, int, int]) -> Mask:
    return np.ascontiguousarray(_enlarged(as_pixels(overview), work, region, cv2.INTER_NEAREST)).view(np.bool_)


def _typical_ink(amount: Pixels, noise: float) -> float | None:
    """Grey levels between paper and the usual ink, or None if there is no more than noise."""
    counts = np.asarray(cv2.calcHist([amount], [0], None, [256], [0, 256]), np.float64).ravel()
    from_top = np.cumsum(counts[::-1])[::-1]
    strong = np.flatnonzero(from_top >= max(12, 2e-4 * amount.size))
    top = int(strong[-1]) if len(strong) else 0
    least = max(4 * noise, 0.4 * top, 4)
    levels = np.arange(256)
    counts[levels < least] = 0
    if counts.sum() < 6:
        return None
    typical = float(np.searchsorted(np.cumsum(counts) / counts.sum(), 0.75))
    return typical if typical >= max(FAINTEST, FAINTEST_NOISE * noise) else None


def _strokes(amount: Pixels, typical: float, noise: float) -> tuple[Mask, Mask, Mask]:
    """All that is more than noise, what of it is a stroke up to its edges, and what is surely ink."""
    seed = max(SEED * typical, SEED_NOISE * noise, FAINTEST - 2)
    least = max(0.6 * seed, 2.0 * noise)
    stroke = stroke_width(amount > max(seed, EDGE * typical))
    # Pencil is grainy, and the ink thins out where strokes cross: what is looked at is as wide as the stroke.
    amount = np.asarray(cv2.GaussianBlur(amount, (0, 0), max(0.3, SMOOTH * stroke)), np.uint8)
    darkest = dilated(amount, 2 * max(1, round(1.5 * stroke)) + 1)
    paper = amount <= np.uint8(least)
    level, halo = (np.asarray(cv2.convertScaleAbs(darkest, alpha=share), np.uint8) for share in (EDGE, HALO))
    return (amount > halo) & ~paper, (amount > level) & ~paper, amount >= seed


def _strength_of_rules(amount: Pixels, rules: Mask, typical: float) -> float:
    """Grey levels that rules reach, so that what is as faint is taken for bits of them; 0 if they are dark."""
    if not rules.any():
        return 0.0
    strength = FAINT_AS_RULES * percentile(amount, 75, rules)
    return strength if strength <= RULES_FAINT * typical else 0.0


def _surely_ink(strokes: Mask, seeds: Mask, edges: Mask | None) -> Mask:
    """The connected strokes that are dark enough in a part of them, and do not lie along the edges of shadows."""
    count, labels = cv2.connectedComponents(as_pixels(strokes), connectivity=8)
    places = np.flatnonzero(strokes)
    found = np.asarray(labels).ravel()[places]
    areas = np.maximum(np.bincount(found, minlength=count), 1)
    kept = np.bincount(found[seeds.ravel()[places]], minlength=count) >= SURE * areas
    if edges is not None:
        kept &= np.bincount(found[edges.ravel()[places]], minlength=count) <= MOST_AT_EDGE * areas
    sure = np.zeros_like(strokes)
    sure.ravel()[places] = kept[found]
    return sure

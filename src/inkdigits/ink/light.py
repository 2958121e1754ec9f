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
from numpy.typing import NDArray

from .levels import Pixels
from .paper import find_paper
from .residue import FAINT, Light, find_residue
from .rules import Frame, find_rules
from .shapes import Floats, Mask, as_pixels, averaged, block, dilated, eroded, percentile, shrunk, stroke_width

LONGEST, ENOUGH = 2048, 1360  # px of the working scale: a digit of 4 mm on a photographed A4 page is 27 px high
SHORTEST = 96  # px of the working scale: a picture of 13×17 is enlarged until its strokes are some pixels wide
MOST_ENLARGED = 8
OVERVIEW = 320  # px of the longer side
NARROW, WIDE = 0.1, 0.45  # of the longer side: what is narrower is a stroke; what is wider is none
NARROW_PIXELS = 26  # of the picture: what is narrower is a stroke in any case, as in small pictures of a sign
BROADEST, MOST_BROAD = 0.16, 0.6  # between them: a stroke's half width, of the longer side; its share of the area
DOUBTFUL, AS_INK = 0.2, 0.55  # of the contrast: what is looked at between them, and what is as dark as ink
NOISY = 0.12  # of the ink: more noise is smoothed away, by …
BLURS = (1.0, 2.0, 3.0)  # pixels
AROUND = 0.03  # of the longer side: how far what is around a detail of colour reaches
SMALL_STEP = 6  # grey levels between neighbours in the overview; less is noise or a soft shadow
BORDER, AREA = 2.0, 0.5  # what speaks as much against ink as a sharp edge of the paper: ink at the border, and all over
SHADE_STEP = 0.2  # of the contrast, between neighbours in the overview: the edge of a shadow
SURE, MOST_AT_EDGE = 0.1, 0.7  # of a piece: as dark as ink at least, and along the edge of a shadow at most
FEWEST = 12  # pixels of the overview that a sign covers at least
TRACE, TRACE_NOISE = 0.15, 3.0  # of the contrast, and of the noise: where the overview has ink
FAINTEST = 9  # grey levels between ink and paper; compression and the grain of paper make less
FAINTEST_NOISE = 3.5  # in standard deviations of the noise
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

Counts = NDArray[np.intp]


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


def survey_light(overview: Pixels, narrow: float) -> Survey | None:
    """What a small picture tells about its light, or None if nothing on it stands out.

    narrow: of its longer side, how wide what is surely a stroke may be.
    """
    inside = find_paper(overview)
    direction = _ink_direction(overview, inside)
    level = _project(overview, direction)
    hypotheses = [_hypothesis(level, inside, dark, narrow) for dark in (True, False)]
    _, dark, paper = min(hypotheses, key=lambda each: each[0])
    difference = _difference(level, paper, dark)
    counts = _counted(difference[inside])
    bare, noise = _middle_and_spread(counts)
    total = int(counts.sum())
    contrast = _at_place(counts, max(0, total - max(FEWEST, inside.size // 1000))) - bare
    if contrast < max(FAINTEST / 2, TRACE_NOISE * noise):
        return None
    offset = round(bare)
    paper = np.clip(paper.astype(np.int16) + (-offset if dark else offset), 0, 255).astype(np.uint8)
    ink = (difference - bare > max(TRACE * contrast, TRACE_NOISE * noise, 3)) & inside
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


def _project(pixels: Pixels, direction: Floats) -> Pixels:
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
    difference = np.asarray(cv2.subtract(paper, level) if dark else cv2.subtract(level, paper), np.uint8)
    within = np.asarray(cv2.erode(as_pixels(inside), block(3), borderValue=0), np.uint8).view(np.bool_)
    border = difference[inside & ~within]
    area = AREA * float(difference[inside].mean()) * len(border)
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


def _difference(level: Pixels, paper: Pixels, dark: bool) -> NDArray[np.int16]:
    more, less = (paper, level) if dark else (level, paper)
    return np.asarray(cv2.subtract(more, less, dtype=cv2.CV_16S), np.int16)


def _counted(differences: NDArray[np.int16]) -> Counts:
    """How often each difference of grey levels is there, -255 first: counting is faster than sorting."""
    return np.bincount(differences.ravel() + np.int16(255), minlength=511)


def _at_place(counts: Counts, place: int) -> float:
    """The difference at a place in ascending order."""
    return float(np.searchsorted(np.cumsum(counts), place, side="right")) - 255


def _middle(counts: Counts) -> float:
    total = int(counts.sum())
    return (_at_place(counts, (total - 1) // 2) + _at_place(counts, total // 2)) / 2


def _middle_and_spread(counts: Counts) -> tuple[float, float]:
    """Median and standard deviation of counted differences, the latter from their lower half, where there is no ink."""
    middle = _middle(counts)
    return middle, 1.48 * (middle - _middle(counts[: math.floor(middle) + 256]))


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
    level = _project(work[y0:y1, x0:x1], survey.direction)
    paper = _enlarged(survey.paper, work, region, cv2.INTER_LINEAR)
    inside = None if survey.inside.all() else as_pixels(_enlarged_mask(survey.inside, work, region))
    step = max(1, int((level.size / 40_000) ** 0.5))
    for blur in (0.0, *BLURS):
        seen = np.asarray(cv2.GaussianBlur(level, (0, 0), blur), np.uint8) if blur else level
        amount = np.asarray(cv2.subtract(paper, seen) if survey.dark else cv2.subtract(seen, paper), np.uint8)
        if inside is not None:
            amount = np.asarray(cv2.bitwise_and(amount, amount, mask=inside), np.uint8)
        few = np.ascontiguousarray(seen[::step, ::step]), np.ascontiguousarray(paper[::step, ::step])
        _, noise = _middle_and_spread(_counted(_difference(*few, survey.dark)))
        typical = _typical_ink(amount, noise)
        if noise <= NOISY * (typical or 1.5 * survey.contrast):
            break
    return amount, noise, typical


def _darkness(pixels: Pixels, survey: Survey) -> Pixels:
    """The picture in grey levels along the direction of its ink, higher where there is ink."""
    level = _project(pixels, survey.direction)
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

"""What is left among the strokes of shadows, stains and printed lines: no ink, though it is darker than its paper.

>>> mask &= ~find_residue(mask, rules, Light(darkness, amount, typical=90.0), 6.0, Frame(0, 0, 640, 480))

A stroke is darker than what lies on either side of it. What is left of the edge of a shadow goes on into the shadow on
one side, and a stain fades into its paper. A bit of a printed line is finer and paler than the strokes, or like the
lines that were found, and runs as straight as they do. Where only bits are left, nothing is written.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .levels import Pixels
from .rules import LEAST_SIGN, Frame
from .shapes import Floats, Labels, Mask, as_pixels, averaged, block, dilated, stroke_width

ENOUGH = 3.0  # px of a stroke: at so many its surroundings are looked at
AWAY = 0.35  # strokes' widths between a stroke and what is beside it, where its edge is soft
RISE = 0.5  # of the ink: at least so much brighter than a stroke is what is beside it
ONE_SIDED = 0.2  # of a piece's outline without such a rise; strokes have up to 0.05, what shadows leave mostly over 0.3
FINE, PALE = 0.75, 0.42  # of the usual stroke's width and darkness: what has less may be a bit of a rule, if …
STRAIGHT, RUN = 0.7, 2.0  # … of its area lies in level or upright runs of so many strokes' widths
NEAR_BORDER = 2  # px: so near the picture's border a line reaches it
DIM = 0.25  # of the usual ink: where all else was left of something, what is paler is too
AS_RULES = 1.6  # of the width and darkness of the rules: what has no more and reaches the border is one of them
FAINT = 60  # grey levels from the paper: shadows, stains, grain and printed lines can be as dark


@dataclass(frozen=True, eq=False)
class Light:
    """What a region of a picture looks like.

    Attributes
    ----------
    darkness: uint8 (h, w), of the picture itself in grey levels, higher where there is ink.
    amount: uint8 (h, w), how much darker than its paper that is. typical: the same for the usual ink.
    """

    darkness: Pixels
    amount: Pixels
    typical: float


def find_residue(mask: Mask, rules: Mask, light: Light, stroke: float, frame: Frame) -> Mask:
    """The connected pieces (h, w) of the strokes that are no ink.

    Parameters
    ----------
    mask, rules: bool (h, w), the strokes, and the printed lines already taken away from them.
    light: of the same region.
    stroke: typical width of a stroke in pixels.
    frame: where the mask lies on the picture.
    """
    count, found, stats, _ = cv2.connectedComponentsWithStats(as_pixels(mask), connectivity=8)
    if count == 1:
        return np.zeros_like(mask)
    labels: Labels = np.asarray(found, np.int32)
    sizes: NDArray[np.int64] = np.asarray(stats, np.int64)
    widths = _stroke_widths(labels, sizes)
    amounts = np.bincount(labels[mask], light.amount[mask], count) / np.maximum(sizes[:, cv2.CC_STAT_AREA], 1)
    straight, like_rules = _straight(labels, sizes, stroke), _like_rules(widths, amounts, rules, light)
    gone = _one_sided(labels, count, light, stroke)
    gone |= straight & (widths <= FINE * stroke) & (amounts <= PALE * light.typical)
    gone |= straight & like_rules & _at_border(sizes, frame)
    gone[0] = True
    if gone[1:].any() or rules.any():
        least = LEAST_SIGN * np.maximum(widths, stroke_width(rules))
        bits = (sizes[:, 2:4].max(axis=1) < least) | (amounts < DIM * light.typical)
        if light.typical < FAINT:
            bits |= straight & like_rules
        if (gone | bits).all():
            gone[:] = True
    return np.asarray(mask & gone[labels], np.bool_)


def _stroke_widths(labels: Labels, stats: NDArray[np.int64]) -> Floats:
    """What `stroke_width` says of each label."""
    mask = labels > 0
    core = cv2.erode(as_pixels(mask), block(3), borderValue=0)
    outline = np.bincount(labels[mask & (np.asarray(core) == 0)], minlength=len(stats))
    return np.asarray(2 * stats[:, cv2.CC_STAT_AREA] / np.maximum(outline, 1), np.float32)


def _one_sided(labels: Labels, count: int, light: Light, stroke: float) -> Mask:
    """For each label whether the picture itself does not brighten all around it."""
    factor = max(1, int(stroke / ENOUGH))
    size = labels.shape[1] // factor, labels.shape[0] // factor
    if min(size) < 1:
        return np.zeros(count, np.bool_)
    # The map has one label for each square of pixels, that in its middle.
    middle = slice(factor // 2, None, factor)
    labels = labels[middle, middle][: size[1], : size[0]]
    darkness, amount = averaged(light.darkness, factor), averaged(light.amount, factor)
    if factor == 1:
        darkness = np.asarray(cv2.GaussianBlur(darkness, (0, 0), 0.5), np.uint8)
    inked = as_pixels(labels > 0)
    reach = max(1, round(AWAY * stroke / factor))
    grown = np.asarray(cv2.dilate(labels.astype(np.float32), block(2 * reach + 3)))
    ring = (grown > 0) & (dilated(inked, 2 * reach + 1) == 0)
    side = 2 * (round(stroke / factor) + reach) + 1
    within = [
        np.asarray(cv2.boxFilter(each * inked, cv2.CV_32F, (side, side), normalize=False))[ring]
        for each in (inked, darkness, amount)
    ]
    area, inside, ink = (np.asarray(each, np.float32) for each in within)
    flat = inside - darkness[ring] * area < RISE * ink
    owner = grown[ring].astype(np.intp)
    around = np.bincount(owner, minlength=count)
    return np.asarray(np.bincount(owner, flat, count) > ONE_SIDED * np.maximum(around, 1))


def _straight(labels: Labels, stats: NDArray[np.int64], stroke: float) -> Mask:
    """For each label whether it runs level or upright."""
    mask = labels > 0
    run = max(3, round(RUN * stroke))
    level, upright = (
        cv2.morphologyEx(as_pixels(mask), cv2.MORPH_OPEN, block(*sides)) for sides in ((run, 1), (1, run))
    )
    runs = (np.asarray(level) | np.asarray(upright)) > 0
    return np.asarray(np.bincount(labels[runs], minlength=len(stats)) >= STRAIGHT * stats[:, cv2.CC_STAT_AREA])


def _like_rules(widths: Floats, amounts: NDArray[np.float64], rules: Mask, light: Light) -> Mask:
    """For each label whether it is about as fine and pale as the printed lines that were found."""
    if not rules.any():
        return np.zeros(len(widths), np.bool_)
    like = (widths <= AS_RULES * stroke_width(rules)) & (amounts <= AS_RULES * float(light.amount[rules].mean()))
    return np.asarray(like)


def _at_border(stats: NDArray[np.int64], frame: Frame) -> Mask:
    """For each label whether it reaches the picture's border."""
    x, y, width, height, _ = stats.T
    near = np.minimum(x + frame.left, y + frame.top) <= NEAR_BORDER
    near |= x + frame.left + width >= frame.width - NEAR_BORDER
    near |= y + frame.top + height >= frame.height - NEAR_BORDER
    return np.asarray(near)

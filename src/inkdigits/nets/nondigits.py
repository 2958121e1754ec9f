"""Images that are not digits, made of digits and of strokes, for a network to learn what it must refuse.

    >>> scribbles = draw_scribbles(1_000, numpy.random.default_rng(0))
    >>> strangers = make_non_digits(images, labels, scribbles, 64, torch.Generator().manual_seed(0))
    >>> strangers.shape
    torch.Size([64, 1, 28, 28])

Half digits, several digits, digits turned or mirrored where that makes them none, scribbles and signs of random
strokes, filled shapes, bars and blots, textures and noise. No letters and no clothes: those are what the reader is
examined on; and nothing that comes from a font. Each is brought into the digit's frame (20×20, centred) as a reader
would bring it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from .conditions import blur, uniform
from .strokes import BOX, CANVAS, curve, framed

# What half a digit is too good a digit to be an example: the upper half of an 8 is a 0, the lower of a 4 a 1.
HALVES: dict[str, tuple[int, ...]] = {
    "left": (0, 2, 3, 5, 8, 9),
    "right": (0, 2, 3, 5, 6, 8),
    "upper": (0, 3, 4, 5),
    "lower": (0, 2, 3, 5),
}
QUARTER_TURNED = (2, 3, 4, 5, 6, 7, 9)
HALF_TURNED = (3, 4, 7)
MIRRORED = (3, 4, 6, 7, 9)

SHARES = {"halves": 0.15, "several": 0.2, "turned": 0.12, "scribbles": 0.35, "textures": 0.18}


def make_non_digits(
    digits: Tensor, labels: Tensor, scribbles: Tensor, count: int, generator: torch.Generator
) -> Tensor:
    """`count` images (1 or more) that are no digits, float32 (count, 1, 28, 28) in 0…1, of every kind its share.

    Parameters
    ----------
    digits, labels: some digit images (N, 1, 28, 28) in 0…1 to make halves, pairs and the like of; int64 (N,).
    scribbles: uint8 (M, 1, 28, 28) to draw from, made by `draw_scribbles`.
    """
    make: dict[str, Callable[[int], Tensor]] = {
        "halves": lambda count: half_digits(digits, labels, count, generator),
        "several": lambda count: several_digits(digits, count, generator),
        "turned": lambda count: turned_digits(digits, labels, count, generator),
        "scribbles": lambda count: _pick(scribbles, count, generator).float() / 255,
        "textures": lambda count: textures(count, generator, digits),
    }
    kinds = torch.multinomial(torch.tensor(list(SHARES.values())), count, replacement=True, generator=generator)
    numbers = torch.bincount(kinds, minlength=len(SHARES)).tolist()
    return torch.cat([make[name](number) for name, number in zip(SHARES, numbers, strict=True) if number])


def _pick(images: Tensor, count: int, generator: torch.Generator) -> Tensor:
    return images[torch.randint(len(images), (count,), generator=generator).to(images.device)]


def _pick_of(digits: Tensor, labels: Tensor, wanted: tuple[int, ...], count: int, generator: torch.Generator) -> Tensor:
    """`count` of the digits whose label is wanted; of all of them if none is."""
    some = torch.isin(labels, torch.tensor(wanted, device=labels.device))
    return _pick(digits[some] if bool(some.any()) else digits, count, generator)


def refit(images: Tensor) -> Tensor:
    """Each image's ink (above one eighth) brought to a longer side of 20 pixels, its centre of mass in the middle."""
    count, _, side, _ = images.shape
    ink = images[:, 0] > 0.125
    place = torch.arange(side, device=images.device)
    columns, rows = ink.any(1), ink.any(2)

    def ends(used: Tensor) -> tuple[Tensor, Tensor]:
        first = torch.where(used, place, side).amin(1)
        last = torch.where(used, place, -1).amax(1)
        empty = ~used.any(1)
        return first.masked_fill(empty, 0).float(), last.masked_fill(empty, side - 1).float()

    (left, right), (top, bottom) = ends(columns), ends(rows)
    longest = torch.maximum(right - left, bottom - top) + 1
    scale = longest / BOX
    theta = torch.zeros((count, 2, 3), device=images.device)
    theta[:, 0, 0] = theta[:, 1, 1] = scale
    weight = (images[:, 0] * ink).sum((1, 2)).clamp_min(1e-3)
    theta[:, 0, 2] = ((images[:, 0] * ink * (place + 0.5)).sum((1, 2)) / weight) * 2 / side - 1
    theta[:, 1, 2] = ((images[:, 0] * ink * (place[:, None] + 0.5)).sum((1, 2)) / weight) * 2 / side - 1
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="zeros", align_corners=False)


def half_digits(digits: Tensor, labels: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Digits cut near the middle, one half kept."""
    place = torch.arange(digits.shape[-1], device=digits.device).float()
    parts = []
    for index, (side, wanted) in enumerate(HALVES.items()):
        some = _pick_of(digits, labels, wanted, len(range(index, count, len(HALVES))), generator)
        at = uniform(11.5, 15.5, len(some), generator, digits)
        kept = place < at if side in ("left", "upper") else place > at
        parts.append(some * (kept if side in ("left", "right") else kept.transpose(2, 3)))
    return refit(torch.cat(parts))


def several_digits(digits: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Two or three digits side by side, or two one above the other, as one image."""
    side = digits.shape[-1]
    result = torch.zeros((count, 1, side, side), device=digits.device)
    stacked = uniform(0, 1, count, generator, digits) < 0.15
    third = (uniform(0, 1, count, generator, digits) < 0.25) & ~stacked
    for number in range(3):
        theta = torch.zeros((count, 2, 3), device=digits.device)
        theta[:, 0, 0] = theta[:, 1, 1] = uniform(2.0, 2.4, count, generator, digits).view(-1)
        apart = uniform(0.36, 0.62, count, generator, digits)
        place = (torch.where(third, number - 1.0, number - 0.5) * apart).view(-1)
        beside = uniform(-0.08, 0.08, count, generator, digits).view(-1)
        down = stacked.view(-1)
        scale = theta[:, 0, 0]
        theta[:, 0, 2] = -torch.where(down, beside, place) * scale
        theta[:, 1, 2] = -torch.where(down, place, beside) * scale
        grid = F.affine_grid(theta, list(result.shape), align_corners=False)
        layer = F.grid_sample(_pick(digits, count, generator), grid, padding_mode="zeros", align_corners=False)
        result = torch.maximum(result, layer if number < 2 else layer * third)
    return refit(result)


def turned_digits(digits: Tensor, labels: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Digits turned by a quarter or half, or mirrored, where what comes out is no digit."""
    quarter, half = (count + 1) // 2, count // 4
    sideways = _pick_of(digits, labels, QUARTER_TURNED, quarter, generator)
    return torch.cat(
        [
            sideways[::2].rot90(1, (2, 3)),
            sideways[1::2].rot90(3, (2, 3)),
            _pick_of(digits, labels, HALF_TURNED, half, generator).rot90(2, (2, 3)),
            _pick_of(digits, labels, MIRRORED, count - quarter - half, generator).flip(3),
        ]
    )


def textures(count: int, generator: torch.Generator, like: Tensor) -> Tensor:
    """Noise of every grain, some cut to black and white, some inside a shape; and plain sheets, grey or black."""
    side = 28
    noise = torch.randn((count, 1, side, side), generator=generator).to(like.device)
    smooth = noise
    for _ in range(2):
        smooth = torch.where(uniform(0, 1, count, generator, like) < 0.4, blur(smooth, generator), smooth)
    spread = smooth.flatten(1).std(1).view(-1, 1, 1, 1).clamp_min(1e-3)
    grey = (smooth / spread * uniform(0.05, 0.6, count, generator, like) + uniform(0, 1, count, generator, like)).clamp(
        0, 1
    )
    cut = (smooth > spread * uniform(-1, 1.5, count, generator, like)).float()
    result = torch.where(uniform(0, 1, count, generator, like) < 0.4, cut, grey)
    plain = uniform(0, 1, count, generator, like) * (uniform(0, 1, count, generator, like) < 0.5)
    result = torch.where(uniform(0, 1, count, generator, like) < 0.12, plain.expand_as(result), result)
    place = torch.linspace(-1.4, 1.4, side, device=like.device)
    across = (place.view(1, 1, 1, -1) / uniform(0.4, 1, count, generator, like)).abs()
    down = (place.view(1, 1, -1, 1) / uniform(0.4, 1, count, generator, like)).abs()
    power = uniform(1, 6, count, generator, like)  # 1 a rhomb, 2 an ellipse, 6 a rectangle
    inside = ((across**power + down**power) < 1).float()
    return torch.where(uniform(0, 1, count, generator, like) < 0.4, result * inside, result)


def draw_scribbles(count: int, generator: np.random.Generator) -> NDArray[np.uint8]:
    """`count` scribbles, signs and shapes of random strokes and outlines, uint8 (count, 28, 28)."""
    return np.stack([_scribble(generator) for _ in range(count)])


def _scribble(generator: np.random.Generator) -> NDArray[np.uint8]:
    sheet = np.zeros((CANVAS, CANVAS), np.uint8)
    width = int(generator.integers(5, 17))
    kind = generator.random()
    if kind < 0.12:
        _shape(sheet, generator, filled=True)
    elif kind < 0.22:
        _bar_or_blot(sheet, generator)
    elif kind < 0.3:
        _shape(sheet, generator, filled=False, width=width)
    else:
        # Few strokes between the points of a coarse net look like signs of some script; many like a scribble.
        for _ in range(int(generator.choice([1, 2, 3, 4, 6, 9], p=[0.04, 0.28, 0.3, 0.22, 0.11, 0.05]))):
            _stroke(sheet, generator, width)
    return framed(sheet)


def _points(generator: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Points near those of a net of 3 columns and 4 rows."""
    net = np.stack([generator.integers(0, 3, count) / 2, generator.integers(0, 4, count) / 3], 1)
    return np.asarray((net + generator.normal(0, 0.06, net.shape)) * (CANVAS * 0.64) + CANVAS * 0.18)


def _stroke(sheet: NDArray[np.uint8], generator: np.random.Generator, width: int) -> None:
    kind = generator.random()
    if kind < 0.4:
        points = _points(generator, 2)
    elif kind < 0.55:
        points = _points(generator, int(generator.integers(3, 6)))
    elif kind < 0.85:
        points = curve(_points(generator, int(generator.integers(3, 6))))
    else:
        centre, axes = _points(generator, 1)[0], generator.uniform(8, 40, 2)
        begin = generator.uniform(0, 360)
        angles = np.radians(np.linspace(begin, begin + generator.uniform(90, 330), 24))
        points = centre + np.stack([np.cos(angles) * axes[0], np.sin(angles) * axes[1]], 1)
    line = np.round(points * 16).astype(np.int32).reshape(-1, 1, 2)
    cv2.polylines(sheet, [line], False, 255, width, cv2.LINE_AA, shift=4)


def _shape(sheet: NDArray[np.uint8], generator: np.random.Generator, *, filled: bool, width: int = 1) -> None:
    """A polygon around the middle, or, filled, an ellipse or a ring; sometimes of two greys."""
    corners = int(generator.integers(3, 9))
    angles = np.sort(generator.uniform(0, 2 * math.pi, corners))
    reach = generator.uniform(20, 50, corners)[:, None]
    polygon = CANVAS / 2 + reach * np.stack([np.cos(angles), np.sin(angles)], 1)
    corner = np.round(polygon).astype(np.int32).reshape(-1, 1, 2)
    if not filled:
        cv2.polylines(sheet, [corner], True, 255, width, cv2.LINE_AA)
        return
    cv2.fillPoly(sheet, [corner], 255, cv2.LINE_AA)
    if generator.random() < 0.6:
        place = generator.uniform(0.3, 0.7, 2) * CANVAS
        size = generator.uniform(6, 24, 2)
        grey = int(generator.integers(60, 256)) * int(generator.random() < 0.6)
        centre, axes = np.round(place).astype(int).tolist(), np.round(size).astype(int).tolist()
        cv2.ellipse(sheet, centre, axes, generator.uniform(0, 180), 0, 360, grey, -1, cv2.LINE_AA)


def _bar_or_blot(sheet: NDArray[np.uint8], generator: np.random.Generator) -> None:
    """A bar that lies too flat for a 1, two of them, or a blot."""
    if generator.random() < 0.4:
        axes = np.round(generator.uniform(12, 24, 2)).astype(int).tolist()
        cv2.ellipse(sheet, [CANVAS // 2] * 2, axes, generator.uniform(0, 180), 0, 360, 255, -1, cv2.LINE_AA)
        return
    angle = generator.uniform(-0.6, 0.6)
    reach = np.array([math.cos(angle), math.sin(angle)]) * generator.uniform(25, 45)
    for offset in generator.uniform(-22, 22, int(generator.integers(1, 4))):
        ends = np.round(CANVAS / 2 + np.array([0, offset]) + np.array([-reach, reach])).astype(int).tolist()
        cv2.line(sheet, ends[0], ends[1], 255, int(generator.integers(5, 18)), cv2.LINE_AA)

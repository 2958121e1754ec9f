"""How a pen moves: the strokes of MNIST digits drawn large in ink, as one hand writes them, and scribbles.

Ink is float32 (H, W): 0 paper … 1 as much as the pen gives.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from paper import Floats, Generator, clouds
from PIL import Image, ImageDraw
from scipy import ndimage

FINE = 4  # points of a stroke field to one pixel of MNIST
SIDE = 28 * FINE
HEIGHT = 20.0  # of an MNIST digit, in its pixels
EDGE = 0.5  # of the darkest ink within REACH: where the edge of a stroke of an MNIST digit is taken to lie
REACH = 5  # pixels of MNIST: a stroke and its edges
FAINTEST = 0.15  # of full ink; what is fainter is no stroke
SPECK = 0.05  # of a digit's ink; a smaller piece that stands apart is dirt in the scan, not writing
LEAST_STROKE = 2.0  # pixels of the sheet; a thinner stroke would not be seen

# Colour in 0…255; width of its stroke in MNIST pixels, of which a digit is 20 high; how grainy it is.
PENS = {
    "blue ball pen": ((28, 48, 140), (1.3, 2.1), 0.10),
    "black ball pen": ((34, 34, 42), (1.3, 2.1), 0.10),
    "red pen": ((178, 34, 44), (1.5, 2.6), 0.06),
    "pencil": ((92, 92, 98), (1.4, 2.4), 0.30),
    "black felt tip": ((22, 22, 24), (2.4, 3.6), 0.03),
    "blue felt tip": ((26, 56, 158), (2.4, 3.6), 0.03),
}


@dataclass(frozen=True, eq=False)
class Hand:
    """How somebody writes: which pen, how wide its stroke in MNIST pixels, how large and how slanted the digits.

    height: pixels of the sheet; slant: shear; wobble: how much size, slant and baseline vary, 0…1.
    """

    pen: str
    stroke: float
    height: float
    slant: float
    wobble: float


def take_hand(rng: Generator, height: float) -> Hand:
    pen = list(PENS)[rng.integers(len(PENS))]
    stroke = rng.uniform(*PENS[pen][1])
    stroke = max(stroke, LEAST_STROKE * HEIGHT / height)
    return Hand(pen, stroke, height, slant=rng.uniform(-0.12, 0.25), wobble=rng.uniform(0.2, 1.0))


def stroke_field(image: NDArray[np.uint8], stroke: float) -> Floats:
    """A digit image as a field (112, 112): how deep inside a stroke each point lies, in MNIST pixels; negative outside.

    The strokes are brought to about `stroke` MNIST pixels. None is lost on the way: however thin the pen, it still
    follows the middle line of every stroke.
    """
    mask = stroke_mask(image)
    depth = (ndimage.distance_transform_edt(mask) - ndimage.distance_transform_edt(~mask)) / FINE
    middle = thin(mask)
    width = 2 * float(np.median(depth[middle]))
    # A pen wider than the digit was written with makes it only a little bolder, or its loops would close.
    eaten = max((width - stroke) / 2, -0.35)
    along = stroke / 2 - ndimage.distance_transform_edt(~middle) / FINE
    field = np.maximum(depth - eaten, np.minimum(along, depth + 0.35))
    return ndimage.gaussian_filter(field, 0.25 * FINE).astype(np.float32)


def stroke_mask(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where the strokes of a digit image are, bool (112, 112), faint ones too, and without filling narrow loops."""
    grey = image.astype(np.float32) / max(1, int(image.max()))
    levels = np.maximum(EDGE * ndimage.maximum_filter(grey, REACH), FAINTEST)
    fine, level = (
        np.asarray(Image.fromarray(each).resize((SIDE, SIDE), Image.Resampling.BICUBIC)) for each in (grey, levels)
    )
    mask: NDArray[np.bool_] = ndimage.gaussian_filter(fine, 0.2 * FINE) > level
    pieces, count = ndimage.label(mask, np.ones((3, 3)))
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)
    sizes[0] = 0
    return (sizes >= SPECK * sizes.sum())[pieces]


def thin(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The middle lines of strokes, one point wide (Zhang & Suen 1984)."""
    mask = np.pad(mask, 1)
    while True:
        before = mask.copy()
        for first in (True, False):
            # The eight neighbours of each point, clockwise from the north.
            steps = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))
            around = np.stack([np.roll(mask, (-dy, -dx), (0, 1)) for dy, dx in steps])
            n, e, s, w = around[0], around[2], around[4], around[6]
            count = around.sum(axis=0)
            turns = (~around & np.roll(around, -1, axis=0)).sum(axis=0)
            free = ~(n & e & s) & ~(e & s & w) if first else ~(n & e & w) & ~(n & s & w)
            mask = mask & ~((count >= 2) & (count <= 6) & (turns == 1) & free)
        if (mask == before).all():
            return mask[1:-1, 1:-1]


def draw_digit(rng: Generator, image: NDArray[np.uint8], hand: Hand) -> Floats:
    """One digit as ink 0…1 (h, w), cut to its box, as this hand writes it."""
    inked = np.nonzero(image > 255 * EDGE)[0]
    high = inked.max() - inked.min() + 1
    # Digits of MNIST are 20 high or, if wider than high, 20 wide; the wide ones are brought nearer to the others.
    scale = hand.height / HEIGHT * min(HEIGHT / high, 1.2) * (1 + 0.12 * hand.wobble * rng.uniform(-1, 1))
    slant = hand.slant + 0.12 * hand.wobble * rng.uniform(-1, 1)
    turn = 0.08 * hand.wobble * rng.uniform(-1, 1)
    field = stroke_field(image, hand.stroke)
    forth = scale / FINE * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    forth = forth @ np.array([[1, -slant], [0, 1]])
    back = np.linalg.inv(forth)
    side = int(np.ceil(28 * scale * 1.5))
    middle = np.array([SIDE / 2, SIDE / 2]) - back @ np.array([side / 2, side / 2])
    affine = (back[0, 0], back[0, 1], middle[0], back[1, 0], back[1, 1], middle[1])
    large = Image.fromarray(field).transform(
        (side, side), Image.Transform.AFFINE, affine, Image.Resampling.BICUBIC, fillcolor=-9.0
    )
    ink = np.clip(np.asarray(large) * scale / 1.3 + 0.5, 0, 1)  # an edge 1.3 pixels wide
    rows, columns = np.nonzero(ink.max(axis=1) > 0.05)[0], np.nonzero(ink.max(axis=0) > 0.05)[0]
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def lay_ink(rng: Generator, sheet: Floats, ink: Floats, pen: str) -> Floats:
    """The sheet (H, W, 3) with ink 0…1 (H, W) of this pen on it: ink darkens what lies beneath, as a filter does."""
    colour, _, grain = PENS[pen]
    tone = np.clip(np.asarray(colour, np.float32) / 255 + rng.uniform(-0.03, 0.03, 3).astype(np.float32), 0, 1)
    shape = ink.shape
    uneven = 1 - grain * np.clip(0.5 + 0.35 * clouds(rng, shape, 2.0) + 0.35 * clouds(rng, shape, 25.0), 0, 1)
    cover = (ink * uneven)[..., None]
    return sheet * (1 - cover * (1 - tone))


def scribble(rng: Generator, shape: tuple[int, int]) -> Floats:
    """Ink 0…1 (H, W) of a tangle, a hatching or a spiral: strokes of a pen which mean nothing."""
    height, width = shape
    size, middle = 0.42 * min(shape), np.array([width / 2, height / 2])
    form = rng.integers(3)
    if form == 0:  # a tangle: a smooth line through many points
        knots = middle + rng.uniform(-1, 1, (rng.integers(12, 28), 2)) * (0.42 * width, 0.42 * height)
        times = np.linspace(0, len(knots) - 1, 40 * len(knots))
        smooth = ndimage.gaussian_filter1d(
            np.column_stack([np.interp(times, np.arange(len(knots)), knots[:, axis]) for axis in (0, 1)]), 16, axis=0
        )
        paths = [smooth]
    elif form == 1:  # a hatching, crossed, since strokes that only stand side by side may be read as ones
        paths, first = [], rng.uniform(0, np.pi)
        for angle in (first, first + rng.uniform(0.8, 1.6)):
            along, away = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
            for place in np.linspace(-1, 1, int(rng.integers(7, 16))):
                ends = rng.uniform(0.7, 1.0, 2) * (-1, 1)
                paths.append(np.array([middle + size * (end * along + place * away) for end in ends]))
    else:  # a spiral of several rounds, leaning
        turns = np.linspace(0, 2 * np.pi * rng.uniform(4, 7), 400)
        radius = size * (turns / turns[-1])
        paths = [middle + np.column_stack([radius * np.cos(turns), rng.uniform(0.5, 1) * radius * np.sin(turns)])]
    zoom, pen = 3, max(2.0, rng.uniform(0.012, 0.035) * min(shape))
    layer = Image.new("L", (zoom * width, zoom * height), 0)
    draw = ImageDraw.Draw(layer)
    for path in paths:
        line = [tuple(point) for point in zoom * path]
        draw.line(line, fill=255, width=round(zoom * pen), joint="curve")
    return np.asarray(layer.resize((width, height), Image.Resampling.BOX), np.float32) / np.float32(255)

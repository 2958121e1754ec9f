"""The fifteen corruptions of MNIST-C, so that a reader can be measured on worse images than those it was trained on.

    >>> digits = load_digits("mnist:test")
    >>> corrupt(digits.images, "fog").shape
    (10000, 28, 28)

Mu and Gilmer, "MNIST-C: a robustness benchmark for computer vision", 2019 (arXiv:1906.02337), with the severities that
they published. What each does was taken from their program and from what its libraries did in 2019, peculiarities
included: the glass blurs downwards only, the spatter is dark, a sheared digit also grows taller, a moved one leaves a
trail on one side. The random numbers are others, so single images differ from theirs. Two more differences, for all:
grey values are rounded once, at the end (theirs now and then in between, downwards), and noise is drawn in single
precision.

Each function takes float32 (N, 28, 28) in 0…1, 0 = paper, and a generator, and gives the same shape; what leaves 0…1
is cut off by `corrupt`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..digits.dataset import SIDE, Images
from ..errors import InputError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterable

Stack = NDArray[np.float32]
Corruption = Callable[[Stack, np.random.Generator], NDArray[Any]]

SEED = 0  # of the corruptions that every report shows, so that figures compare
CHUNK = 500  # images at a time: what is in work stays within some ten megabytes
CENTRE = (SIDE - 1) / 2  # pixels; what is turned, sheared and scaled keeps this point

PHOTONS = 3  # shot noise: mean count of a pixel that is all ink
STRUCK = 0.17  # impulse noise: share of the pixels, half of them turned to ink and half to paper
GLASS_SIGMA, GLASS_ROUNDS = 0.7, 2  # pixels, times
TRAIL, TRAIL_SIGMA, TRAIL_TURN = 10, 3.0, 45.0  # motion blur: radius and sigma in pixels, most degrees either way
SHEAR, TURN = 0.4, 0.4  # radians, either way
SHRINK = 0.7
LIGHTER = 0.5
MOVE = 3  # pixels, either way along both axes
STRIPES = (slice(0, 7), slice(21, 28))  # columns turned into their negative
FOG, FOG_DECAY, FOG_MAP = 3.0, 1.4, 256  # thickness, how fast small clouds fade, pixels of the whole sky
DROP_MEAN, DROP_SD, DROP_SIGMA, DROP_LEVEL = 0.65, 0.3, 1.0, 0.65  # spatter: noise, smoothed, cut where drops begin …
MUD_SIGMA, MUD_LEVEL, MUD = 1.5, 0.8, 63 / 255  # … smoothed again, thin rims dropped, and the grey of what is left
LINE_REACH = 2.3  # pixels above and below a drawn line at which its ink ends
DOT = 2  # columns of each dot, and of each gap
TOOTH = 2.0  # pixels; half a tooth of the zigzag is so long and so high
EDGE_SIGMA, EDGE_LOW, EDGE_HIGH = 1.0, 0.1, 0.2  # canny: pixels, and slopes of an edge that goes on and that begins


def corrupt(images: Images, name: str, *, seed: int = SEED) -> Images:
    """Digit images uint8 (N, 28, 28) under the corruption `name`, one of CORRUPTIONS; the same seed, the same images.

    Raises InputError for another name, MissingExtraError where scipy is wanted and not installed.
    """
    if name not in CORRUPTIONS:
        raise InputError(name, "not a corruption", expected=" or ".join(CORRUPTIONS))
    change = CORRUPTIONS[name]
    # A stream of its own for each corruption: its images do not depend on which others are made.
    rng = np.random.default_rng([seed, list(CORRUPTIONS).index(name)])
    result = np.empty_like(images)
    for start in range(0, len(images), CHUNK):
        part = slice(start, start + CHUNK)
        changed = change(images[part].astype(np.float32) / np.float32(255), rng)
        result[part] = np.rint(np.clip(changed, 0, 1) * 255)
    return result


def shot_noise(stack: Stack, rng: np.random.Generator) -> NDArray[Any]:
    """Little light: each pixel is a Poisson count of at most a few photons."""
    return rng.poisson(stack * PHOTONS) / PHOTONS


def impulse_noise(stack: Stack, rng: np.random.Generator) -> NDArray[Any]:
    """Salt and pepper: some pixels are all ink, some all paper."""
    chance = rng.random(stack.shape, np.float32)
    return np.where(chance < STRUCK, chance < STRUCK / 2, stack)


def glass_blur(stack: Stack, rng: np.random.Generator) -> NDArray[Any]:
    """Blurred, pixels swapped with a neighbour, blurred again.

    As published: the blur works along columns only (its library took the columns for colours), and a pixel is swapped
    only with those above and to the left of it, one after the other from the lower right.
    """
    mixed = _smooth(stack, GLASS_SIGMA, along=(1,))
    each = np.arange(len(stack))
    for _ in range(GLASS_ROUNDS):
        # Half the pixels are swapped; of these, a quarter with themselves.
        up, left = rng.integers(0, 2, (2, SIDE, SIDE, len(stack))) * rng.integers(0, 2, (SIDE, SIDE, len(stack)))
        for row in range(SIDE - 1, 1, -1):
            for column in range(SIDE - 1, 1, -1):
                there = each, row - up[row, column], column - left[row, column]
                here = mixed[:, row, column].copy()
                mixed[:, row, column] = mixed[there]
                mixed[there] = here
    return _smooth(mixed, GLASS_SIGMA, along=(1,))


def motion_blur(stack: Stack, rng: np.random.Generator) -> NDArray[Any]:
    """A trail on one side, fading like half a Gaussian, in a direction of its own for each image.

    As in ImageMagick: whole pixels, and beyond the border the last pixel goes on.
    """
    steps = np.arange(2 * TRAIL + 1)
    weights = np.exp(-(steps**2) / (2 * TRAIL_SIGMA**2))
    weights /= weights.sum()
    angle = np.radians(rng.uniform(-TRAIL_TURN, TRAIL_TURN, (len(stack), 1)))
    right = np.ceil(steps * np.cos(angle) - 0.5).astype(np.intp)
    down = np.ceil(steps * np.sin(angle) - 0.5).astype(np.intp)
    each, place = np.arange(len(stack))[:, None, None], np.arange(SIDE)
    result = np.zeros_like(stack)
    for step, weight in enumerate(weights.astype(np.float32)):
        rows = np.clip(place + down[:, step, None], 0, SIDE - 1)
        columns = np.clip(place + right[:, step, None], 0, SIDE - 1)
        result += weight * stack[each, rows[:, :, None], columns[:, None, :]]
    return result


def shear(stack: Stack, rng: np.random.Generator) -> NDArray[Any]:
    """Slanted to one side; as published by a rotation of the vertical axis alone, so also 9 % taller."""
    angle = SHEAR * _either_way(len(stack), rng)
    return _warped(stack, [[np.ones_like(angle), -np.sin(angle)], [np.zeros_like(angle), np.cos(angle)]])


def scale(stack: Stack, rng: np.random.Generator) -> NDArray[Any]:
    """Shrunk, by bilinear interpolation without smoothing."""
    one, none = np.ones(len(stack)), np.zeros(len(stack))
    return _warped(stack, [[one / SHRINK, none], [none, one / SHRINK]])


def rotate(stack: Stack, rng: np.random.Generator) -> NDArray[Any]:
    """Turned by the same angle to one side or the other."""
    angle = TURN * _either_way(len(stack), rng)
    return _warped(stack, [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def brightness(stack: Stack, rng: np.random.Generator) -> NDArray[Any]:
    """Everything more like ink: paper turns grey, and what is darker than half becomes all ink."""
    return np.asarray(stack + LIGHTER)


def translate(stack: Stack, rng: np.random.Generator) -> NDArray[Any]:
    """Moved into one of the four corners, paper moving in."""
    right, down = _either_way(len(stack), rng), _either_way(len(stack), rng)
    each, place = np.arange(len(stack))[:, None, None], np.arange(SIDE) + MOVE
    padded = np.pad(stack, ((0, 0), (MOVE, MOVE), (MOVE, MOVE)))
    rows, columns = place + MOVE * down[:, None], place + MOVE * right[:, None]
    return np.asarray(padded[each, rows[:, :, None], columns[:, None, :]])


def stripe(stack: Stack, rng: np.random.Generator) -> NDArray[Any]:
    """A negative at the left and at the right, the middle as it was."""
    result = stack.copy()
    for columns in STRIPES:
        result[:, :, columns] = 1 - result[:, :, columns]
    return result


def fog(stack: Stack, rng: np.random.Generator) -> NDArray[Any]:
    """Clouds added, and all of it dimmed so that the brightest possible pixel is what it was."""
    brightest = stack.max(axis=(1, 2), keepdims=True)
    few = 50  # a sky takes a hundred times the memory of an image
    parts = [_clouds(len(stack[start : start + few]), rng) for start in range(0, len(stack), few)]
    return np.asarray((stack + FOG * np.concatenate(parts)) * brightest / (brightest + FOG))


def spatter(stack: Stack, rng: np.random.Generator) -> NDArray[Any]:
    """Drops of dark grey mud, which cover ink and paper."""
    noise = rng.standard_normal(stack.shape, np.float32) * DROP_SD + DROP_MEAN
    drops = (_smooth(noise, DROP_SIGMA) > DROP_LEVEL).astype(np.float32)
    cover = _smooth(drops, MUD_SIGMA)
    cover[cover < MUD_LEVEL] = 0
    return stack * (1 - cover) + MUD * cover


def dotted_line(stack: Stack, rng: np.random.Generator) -> NDArray[Any]:
    """A line of dashes from the left edge to the right one, from any height to any other."""
    ends = rng.integers(0, SIDE - 1, (len(stack), 2))
    shown = np.arange(SIDE) // DOT % 2 == 1
    return stack + _drawn(ends, lambda left, right: shown * line(0, left, SIDE - 1, right))


def zigzag(stack: Stack, rng: np.random.Generator) -> NDArray[Any]:
    """A zigzag line from left to right, rising or falling a little."""
    left = rng.integers(0, SIDE - 1, len(stack))
    return stack + _drawn(np.stack([left, left + rng.integers(-5, 5, len(stack))], axis=1), _teeth)


def canny_edges(stack: Stack, rng: np.random.Generator) -> NDArray[Any]:
    """The outlines alone, one pixel wide, all ink (Canny, "A computational approach to edge detection", 1986)."""
    ndimage = _ndimage()
    beyond = _smooth(np.ones((1, SIDE, SIDE), np.float32), EDGE_SIGMA, beyond="constant")
    smooth = _smooth(stack, EDGE_SIGMA, beyond="constant") / beyond
    # Sobel's slopes, by hand: scipy's would smooth over neighbouring images too.
    down, right = (
        ndimage.correlate1d(ndimage.correlate1d(smooth, [-1, 0, 1], axis=axis), [1, 2, 1], axis=other)
        for axis, other in ((1, 2), (2, 1))
    )
    slope = np.hypot(down, right)
    ridge = _ridges(down, right, slope)
    edges, strong = ridge & (slope >= EDGE_LOW), ridge & (slope >= EDGE_HIGH)
    # A weak edge counts where it hangs together with a strong one.
    touching = np.zeros((3, 3, 3), bool)
    touching[1] = True
    pieces, count = ndimage.label(edges, touching)
    kept = np.zeros(count + 1, bool)
    kept[pieces[strong]] = True
    return np.asarray(kept[pieces])


CORRUPTIONS: dict[str, Corruption] = {
    change.__name__: change
    for change in (
        shot_noise, impulse_noise, glass_blur, motion_blur, shear, scale, rotate, brightness, translate, stripe, fog,
        spatter, dotted_line, zigzag, canny_edges,
    )
}  # fmt: skip

# No training of this program uses these, under any name: they tell how a reader bears what nobody thought of.
HELD_BACK = ("canny_edges", "zigzag", "dotted_line", "stripe", "spatter", "fog")


def _either_way(count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    return rng.integers(0, 2, count) * 2 - 1


def _warped(stack: Stack, matrix: list[list[NDArray[Any]]]) -> Stack:
    """Images whose pixel at (x, y) from the centre is the one at matrix · (x, y) of `stack`, bilinearly interpolated.

    matrix: two rows of two arrays (N,); outside the image there is paper.
    """
    place = np.arange(SIDE) - CENTRE
    x, y = place[None, None, :], place[None, :, None]
    (xx, xy), (yx, yy) = ([factor[:, None, None] for factor in row] for row in matrix)
    columns, rows = xx * x + xy * y + CENTRE, yx * x + yy * y + CENTRE
    # A frame of paper, one pixel before and two behind, into which everything that lies outside is moved.
    framed = np.pad(stack, ((0, 0), (1, 2), (1, 2)))
    columns, rows = np.clip(columns, -1, SIDE) + 1, np.clip(rows, -1, SIDE) + 1
    left, top = columns.astype(np.intp), rows.astype(np.intp)
    right_share, low_share = (columns - left).astype(np.float32), (rows - top).astype(np.float32)
    each = np.arange(len(stack))[:, None, None]
    upper = framed[each, top, left] * (1 - right_share) + framed[each, top, left + 1] * right_share
    lower = framed[each, top + 1, left] * (1 - right_share) + framed[each, top + 1, left + 1] * right_share
    warped: Stack = upper * (1 - low_share) + lower * low_share
    return warped


def _clouds(count: int, rng: np.random.Generator) -> Stack:
    """Corners float32 (count, 28, 28) of skies between 0 and 1: midpoint displacement on a torus ("diamond-square").

    Fournier, Fussell and Carpenter 1982. Each sky is made as a whole, since its extremes lie anywhere.
    """
    sky = np.zeros((count, 1, 1), np.float32)
    strength = 100.0

    def displaced(total: Stack) -> Stack:
        noise = rng.random(total.shape, np.float32) * np.float32(2) - np.float32(1)
        return total / np.float32(4) + noise * np.float32(strength**2)

    while sky.shape[1] < FOG_MAP:
        finer = np.empty((count, 2 * sky.shape[1], 2 * sky.shape[2]), np.float32)
        finer[:, ::2, ::2] = sky
        pairs = sky + np.roll(sky, -1, axis=2)  # each point and the one to its right
        finer[:, 1::2, 1::2] = middle = displaced(pairs + np.roll(pairs, -1, axis=1))
        finer[:, ::2, 1::2] = displaced(pairs + middle + np.roll(middle, 1, axis=1))
        finer[:, 1::2, ::2] = displaced(sky + np.roll(sky, -1, axis=1) + middle + np.roll(middle, 1, axis=2))
        sky, strength = finer, strength / FOG_DECAY
    lowest, highest = (end(axis=(1, 2), keepdims=True) for end in (sky.min, sky.max))
    corners: Stack = (sky[:, :SIDE, :SIDE] - lowest) / (highest - lowest)
    return corners


def _drawn(ends: NDArray[np.int64], draw: Callable[[int, int], NDArray[np.float64]]) -> NDArray[np.float64]:
    """What `draw` makes of each pair of heights (N, 2), each pair drawn once: float64 (N, 28, 28)."""
    pairs, which = np.unique(ends, axis=0, return_inverse=True)
    return np.stack([draw(int(left), int(right)) for left, right in pairs])[which.ravel()]


def line(x0: float, y0: float, x1: float, y1: float) -> NDArray[np.float64]:
    """A line from (x0, y0) to the right to (x1, y1) as ink 0…1 (28, 28), fading with the distance straight up or down.

    It ends with whole columns; of no width it is nothing.
    """
    if x0 == x1:
        return np.zeros((SIDE, SIDE))
    columns, rows = np.arange(SIDE)[None, :], np.arange(SIDE)[:, None]
    away = np.abs(rows - (y0 + (y1 - y0) / (x1 - x0) * (columns - x0)))
    ink = np.clip(np.log(np.maximum(1 - away / LINE_REACH, 1e-9)) + 1, 0, 1)
    return np.asarray(ink * ((columns >= math.floor(x0)) & (columns < math.ceil(x1))))


def _teeth(left: int, right: int) -> NDArray[np.float64]:
    """The zigzag along the line from height `left` at column 2 to height `right` at column 25."""
    start, end = 2, 25
    angle = math.atan((right - left) / (end - start))
    length = (end - start) / math.cos(angle)
    along = [0.0, *((2 * tooth + 1) * TOOTH for tooth in range(int((length - TOOTH) // (2 * TOOTH)) + 1))]
    across = [0.0, *((-1) ** tooth * TOOTH for tooth in range(len(along) - 1))]
    rest = length % (2 * TOOTH)
    if rest:
        along.append(length)
        across.append(across[-1] / (2 * rest))
    x = start + np.cos(angle) * np.array(along) - np.sin(angle) * np.array(across)
    y = left + np.sin(angle) * np.array(along) + np.cos(angle) * np.array(across)
    return sum((line(*ends) for ends in zip(x[:-1], y[:-1], x[1:], y[1:], strict=True)), np.zeros((SIDE, SIDE)))


def _ridges(down: Stack, right: Stack, slope: Stack) -> NDArray[np.bool_]:
    """Where the slope (N, 28, 28) is no smaller than just before and just behind in its own direction, borders apart.

    down, right: its parts along the axes. Between pixels the slope is interpolated on the straight line between a
    direct and a diagonal neighbour.
    """
    framed = np.pad(slope, ((0, 0), (1, 1), (1, 1)))
    steep = np.abs(down) >= np.abs(right)
    share = np.minimum(np.abs(down), np.abs(right)) / np.maximum(np.maximum(np.abs(down), np.abs(right)), 1e-12)
    each, rows, columns = np.ogrid[: len(slope), 1 : SIDE + 1, 1 : SIDE + 1]
    rises, moves = np.sign(down).astype(np.intp), np.sign(right).astype(np.intp)
    ridge = slope > 0
    for way in (1, -1):
        straight = framed[each, rows + way * rises * steep, columns + way * moves * ~steep]
        diagonal = framed[each, rows + way * rises, columns + way * moves]
        ridge &= diagonal * share + straight * (1 - share) <= slope
    ridge[:, [0, -1], :] = ridge[:, :, [0, -1]] = False
    return np.asarray(ridge)


def _smooth(stack: Stack, sigma: float, *, along: Iterable[int] = (1, 2), beyond: str = "nearest") -> Stack:
    """Each image smoothed by a Gaussian of `sigma` pixels, cut at four of them; `beyond` the border as in scipy."""
    ndimage = _ndimage()
    for axis in along:
        stack = ndimage.gaussian_filter1d(stack, sigma, axis=axis, mode=beyond)
    return stack


def _ndimage() -> Any:
    try:
        from scipy import ndimage
    except ImportError:
        raise MissingExtraError("corrupting images", "lab") from None
    return ndimage

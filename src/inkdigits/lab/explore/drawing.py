"""How tens of thousands of points are drawn so that they can be read: density as depth of colour, digits on top.

>>> image = map_image(placed, labels, images)
>>> image.shape
(1075, 1083, 4)

A scatter plot of 70,000 points hides all but the last ones drawn. Here each pixel counts its points by class: the
colour is the mixture, the depth grows with the logarithm of the count. On top, where there is room, stand digits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...digits.dataset import SIDE, Images, Labels
from ..report import BLUE
from .colours import CLASS_COLOURS

WIDTH = 1_100  # pixels a side
MARGIN = 0.02  # of the width, on every side
CELL = 30  # pixels a side of the squares of which each shows at most one digit
LEAST_IN_CELL = 2  # points for which a square shows a digit
FADE = 0.45  # of full colour that the densest spot of the ground has
FEW = 3_000  # points that are drawn larger
WITHOUT = BLUE  # of points whose class nobody knows


def rgb(colour: str) -> NDArray[np.float64]:
    """`#rrggbb` as three numbers 0…1."""
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255


def palette(labels: Labels | None) -> NDArray[np.float64]:
    """The colours (10, 3) of the classes, or one (1, 3) where there are none."""
    return np.stack([rgb(colour) for colour in (CLASS_COLOURS if labels is not None else (WITHOUT,))])


def framed(placed: NDArray[np.floating], *, width: int = WIDTH) -> NDArray[np.float32]:
    """Places (N, 2) as pixels of a square picture, upwards turned downwards, the aspect kept."""
    low, high = placed.min(axis=0), placed.max(axis=0)
    scale = (1 - 2 * MARGIN) * (width - 1) / max(float((high - low).max()), 1e-9)
    middle = (placed - (low + high) / 2) * scale * np.array([1, -1])
    return np.asarray(middle + (width - 1) / 2, np.float32)


def map_image(
    placed: NDArray[np.floating], labels: Labels | None, images: Images, *, width: int = WIDTH
) -> NDArray[np.uint8]:
    """A map as a picture uint8 (H, W, 4), the longer side `width`, on nothing: a ground of density with digits on it.

    placed: (N, 2); labels: (N,) or None; images: (N, 28, 28).
    """
    at = framed(placed, width=width)
    classes = np.zeros(len(at), np.intp) if labels is None else labels.astype(np.intp)
    colours = palette(labels)
    ground = _density(at, classes, colours, width)
    return _trimmed(_with_digits(ground, at, classes, colours, images))


def _trimmed(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Without the empty stripes at its sides."""
    down, right = (np.flatnonzero(picture[..., 3].any(axis=axis)) for axis in (1, 0))
    return picture[down[0] : down[-1] + 1, right[0] : right[-1] + 1]


def _density(
    at: NDArray[np.float32], classes: NDArray[np.intp], colours: NDArray[np.float64], width: int
) -> NDArray[np.float64]:
    """RGBA 0…1 (width, width, 4)."""
    counts = np.zeros((len(colours), width, width), np.float32)
    columns, rows = np.rint(at).astype(np.intp).T
    reach = 1 if len(at) > FEW else 3
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            if down**2 + right**2 <= reach**2:
                np.add.at(counts, (classes, (rows + down).clip(0, width - 1), (columns + right).clip(0, width - 1)), 1)
    total = counts.sum(axis=0)
    inked = total > 0
    mixture = np.zeros((width, width, 4))
    share = counts[:, inked] / total[inked]
    mixture[inked, :3] = share.T @ colours
    most = np.quantile(total[inked], 0.995)
    mixture[inked, 3] = FADE * np.clip(0.25 + 0.75 * np.log1p(total[inked]) / np.log1p(most), 0, 1)
    return mixture


def _with_digits(
    ground: NDArray[np.float64], at: NDArray[np.float32], classes: NDArray[np.intp], colours: NDArray[np.float64],
    images: Images,
) -> NDArray[np.uint8]:  # fmt: skip
    """Puts into each square the digit nearest to its middle, in a darker shade of its colour."""
    width = len(ground)
    cells = np.floor(at / CELL).astype(np.intp)
    key = cells[:, 1] * (width // CELL + 1) + cells[:, 0]
    off = np.abs(at - (cells + 0.5) * CELL).max(axis=1)
    order = np.lexsort((off, key))
    firsts = order[np.append(True, np.diff(key[order]) != 0)]
    crowd = np.bincount(key)
    least = LEAST_IN_CELL if len(at) > FEW else 1
    for place in firsts[crowd[key[firsts]] >= least]:
        left, top = cells[place] * CELL + (CELL - SIDE) // 2
        patch = ground[top : top + SIDE, left : left + SIDE]
        ink = images[place, : patch.shape[0], : patch.shape[1]].astype(np.float64) / 255
        shade = 0.72 * colours[classes[place]]
        over = ink + patch[..., 3] * (1 - ink)
        kept = (patch[..., 3] * (1 - ink))[..., None] * patch[..., :3]
        patch[..., :3] = (ink[..., None] * shade + kept) / np.maximum(over, 1e-9)[..., None]
        patch[..., 3] = over
    return np.rint(255 * ground).astype(np.uint8)


def sheet(images: Images, *, side: int = 14, columns: int = 256, greys: int = 16) -> NDArray[np.uint8]:
    """Every digit (N, 28, 28) made small, a row of `columns` after the other, in few greys so that it packs well.

    uint8 (rows × side, columns × side), 0 = paper. 28 must be a multiple of `side`.
    """
    step = SIDE // side
    small = images.reshape(len(images), side, step, side, step).mean(axis=(2, 4))
    levels = np.rint(small / 255 * (greys - 1)).astype(np.uint8)
    rows = -(-len(levels) // columns)
    padded = np.zeros((rows * columns, side, side), np.uint8)
    padded[: len(levels)] = levels
    laid = padded.reshape(rows, columns, side, side).transpose(0, 2, 1, 3).reshape(rows * side, columns * side)
    return laid * np.uint8(255 // (greys - 1))

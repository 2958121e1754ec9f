"""What classic techniques are given in place of raw pixels: upright digits, slightly blurred, or their slopes.

>>> upright = deskew(load_digits("mnist:test").images)
>>> upright.shape, upright.dtype
((10000, 28, 28), dtype('float32'))

Each step is a pure function on arrays and, for pipelines, a scikit-learn transformer that learns nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from ..digits.dataset import SIDE

Floats = NDArray[np.float32]

BLOCK = 4_000  # images at a time, so that what lies between takes tens of megabytes and not gigabytes
LEAST_INK = 1e-3  # of a full pixel: a blank image has no moments and stays as it is
DIRECTIONS = 8
CELLS = ((4, range(2, 28, 4)), (8, range(3, 28, 7)))  # px from a cell's middle to its edge, and the middles each way
SLOPE_SIGMA = 0.5  # px of blur before slopes are taken, or a grey edge's steps would be slopes of their own
STEEPEST = 1.0  # px sideways per px down; no digit leans more, a dash does by accident of its few pixels


def unit(images: NDArray[Any]) -> Floats:
    """Digit images uint8 (N, 28, 28) as float32, 0 = paper, 1 = ink; floats pass unchanged."""
    array = np.asarray(images)
    return array.astype(np.float32) / np.float32(255) if array.dtype == np.uint8 else array.astype(np.float32)


def deskew(images: NDArray[Any]) -> Floats:
    """Digit images (N, 28, 28) sheared until they stand upright, their centre of mass in the middle: float32, 0…1.

    An image leans by its covariance of column and row over its variance of rows. Each row is moved sideways by that
    times its distance from the centre, between pixels by linear interpolation; whole images likewise up and down. The
    shear of LeCun et al. 1998 (sections III-A and VII), from moments as Simard and others before them.
    """
    array = np.asarray(images)
    upright = np.empty(array.shape, np.float32)
    for start in range(0, len(array), BLOCK):
        upright[start : start + BLOCK] = _deskew(unit(array[start : start + BLOCK]))
    return upright


def _deskew(images: Floats) -> Floats:
    place = np.arange(SIDE, dtype=np.float32)
    ink = np.maximum(images.sum(axis=(1, 2)), LEAST_INK)
    by_row, by_column = images.sum(axis=2), images.sum(axis=1)
    row, column = by_row @ place / ink, by_column @ place / ink
    from_row = place - row[:, None]
    rows_variance = (by_row * from_row**2).sum(axis=1) / ink
    covariance = np.einsum("nrc,nr,c->n", images, from_row, place, optimize=True) / ink  # from_row has mean zero
    lean = np.clip(covariance / np.maximum(rows_variance, LEAST_INK), -STEEPEST, STEEPEST)
    middle = (SIDE - 1) / 2
    blank = images.sum(axis=(1, 2)) < LEAST_INK
    sideways = np.where(blank[:, None], 0, column[:, None] - middle + lean[:, None] * from_row)
    straight = _moved(images, sideways)
    down = np.broadcast_to(np.where(blank, 0, row - middle)[:, None], (len(images), SIDE))
    return np.ascontiguousarray(_moved(straight.transpose(0, 2, 1), down).transpose(0, 2, 1))


def _moved(images: Floats, shift: NDArray[Any]) -> Floats:
    """Each line of images (N, 28, 28) taken `shift` (N, 28) pixels further on, paper beyond the edges."""
    whole = np.floor(shift)
    part = (shift - whole).astype(np.float32)[..., None]
    first = np.arange(SIDE) + whole[..., None].astype(np.intp)
    result = np.zeros(images.shape, np.float32)
    for index, weight in ((first, 1 - part), (first + 1, part)):
        inside = (index >= 0) & (index < SIDE)
        result += np.take_along_axis(images, np.clip(index, 0, SIDE - 1), axis=2) * (weight * inside)
    return result


def blur(images: NDArray[Any], sigma: float) -> Floats:
    """Images (N, 28, 28) smoothed by a Gaussian of `sigma` pixels, so that a stroke a pixel off still overlaps."""
    from scipy.ndimage import gaussian_filter1d

    smooth = gaussian_filter1d(unit(images), sigma, axis=1, mode="constant", truncate=3.0)
    return np.asarray(gaussian_filter1d(smooth, sigma, axis=2, mode="constant", truncate=3.0), np.float32)


def slopes(images: NDArray[Any]) -> Floats:
    """How ink rises downwards and to the right (Sobel's filter) in images (N, 28, 28): float32 (N, 2, 28, 28)."""
    from scipy.ndimage import correlate1d

    ink = unit(images)
    # Not scipy's own sobel, which would also smooth from one image to the next.
    smooth = (correlate1d(ink, (1, 2, 1), axis=axis, mode="constant") for axis in (2, 1))
    rising = [correlate1d(each, (-1, 0, 1), axis=axis, mode="constant") for axis, each in enumerate(smooth, start=1)]
    return np.stack(rising, axis=1)


def directions(images: NDArray[Any]) -> Floats:
    """How steeply ink rises in each of eight directions: images (N, H, W) to float32 (N, 8, H, W), 0 = downwards.

    Each slope is shared between the two directions next to its own, the more the nearer, so that a small turn of a
    stroke changes little.
    """
    down, right = slopes(images).swapaxes(0, 1)
    length = np.hypot(down, right)
    turned = np.arctan2(right, down) * np.float32(DIRECTIONS / (2 * np.pi))
    apart = (turned[:, None] - np.arange(DIRECTIONS, dtype=np.float32)[:, None, None]) % DIRECTIONS
    share = np.maximum(1 - np.minimum(apart, DIRECTIONS - apart), 0)
    return np.asarray(share * length[:, None], np.float32)


def slopes_by_cell(images: NDArray[Any]) -> Floats:
    """Where in digit images (N, 28, 28) ink rises, and in which direction: float32 (N, D), D numbers from `CELLS`.

    The directions averaged over overlapping cells of two sizes, near a cell's middle the most, and the square root of
    that: a thick stroke then says little more than a thin one. Gradient histograms for digits as in Maji and Malik 2009
    ("Fast and Accurate Digit Classification"), here with cells that fade out instead of blocks.
    """
    array = np.asarray(images)
    few = max(1, BLOCK // DIRECTIONS)
    blocks = [_by_cell(array[start : start + few]) for start in range(0, max(len(array), 1), few)]
    return np.concatenate(blocks)


def _by_cell(images: NDArray[Any]) -> Floats:
    rising = directions(blur(images, SLOPE_SIGMA))
    place, sizes = np.arange(SIDE, dtype=np.float32), []
    for half, middles in CELLS:
        weights = np.maximum(1 - np.abs(place - np.array(middles)[:, None]) / half, 0).astype(np.float32) / half
        sizes.append((weights @ rising @ weights.T).reshape(len(rising), -1))
    return np.asarray(np.sqrt(np.concatenate(sizes, axis=1)), np.float32)


def shifted(images: NDArray[Any], down: int, right: int) -> NDArray[Any]:
    """Images (N, H, W) moved by whole pixels, 0 where nothing came from; the dtype stays."""
    array = np.asarray(images)
    height, width = array.shape[1:]
    result = np.zeros_like(array)
    result[:, max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)] = array[
        :, max(-down, 0) : height + min(-down, 0), max(-right, 0) : width + min(-right, 0)
    ]
    return result


class Prepare(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Digit images (N, 28, 28) as vectors float32 (N, D).

    Parameters
    ----------
    upright: deskew first; sigma: of the blur in pixels, 0 for none; margin: pixels cut off on each side (MNIST leaves
    four empty); halve: mean of two pixels by two.
    """

    def __init__(self, *, upright: bool = False, sigma: float = 0.0, margin: int = 0, halve: bool = False) -> None:
        self.upright, self.sigma, self.margin, self.halve = upright, sigma, margin, halve

    def fit(self, images: NDArray[Any], labels: NDArray[Any] | None = None) -> Prepare:
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def transform(self, images: NDArray[Any]) -> Floats:
        array = deskew(images) if self.upright else unit(images)
        if self.sigma:
            array = blur(array, self.sigma)
        if self.margin:
            array = array[:, self.margin : -self.margin, self.margin : -self.margin]
        if self.halve:
            height, width = (side // 2 for side in array.shape[1:])
            array = array[:, : 2 * height, : 2 * width].reshape(-1, height, 2, width, 2).mean(axis=(2, 4))
        return np.ascontiguousarray(array, np.float32).reshape(len(array), -1)


class Upright(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Digit images deskewed and still images, float32 (N, 28, 28)."""

    def fit(self, images: NDArray[Any], labels: NDArray[Any] | None = None) -> Upright:
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def transform(self, images: NDArray[Any]) -> Floats:
        return deskew(images)


class Slopes(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Digit images (N, 28, 28) as their slopes by direction and place, float32 (N, 520)."""

    def fit(self, images: NDArray[Any], labels: NDArray[Any] | None = None) -> Slopes:
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def transform(self, images: NDArray[Any]) -> Floats:
        return slopes_by_cell(images)


class Darkness(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """The mean ink of digit images (N, 28, 28): one number each, float32 (N, 1)."""

    def fit(self, images: NDArray[Any], labels: NDArray[Any] | None = None) -> Darkness:
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def transform(self, images: NDArray[Any]) -> Floats:
        return np.asarray(unit(images).mean(axis=(1, 2))[:, None], np.float32)

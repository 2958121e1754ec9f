"""Random points of the space of images, and how many would have to be drawn before one looked like a digit.

>>> kinds = random_points(images, 1_000, rng=np.random.default_rng(0))
>>> draws_needed(images, radius=5.7).uniform
105.3                                           # a one with 105 noughts, at the least

Three kinds: every grey equally likely; every pixel with the greys that it has among the digits, but on its own; and a
Gaussian with the digits' mean and covariance.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...digits.dataset import PIXELS, SIDE, Images
from .scene import Components

GREYS = 256
TILTS = np.geomspace(1e-2, 1e4, 49)  # of the exponential bound: in squares of the distance between paper and ink

Doubles = NDArray[np.float64]


def random_points(images: Images, components: Components, n: int, *, rng: np.random.Generator) -> dict[str, Images]:
    """Random images uint8 (n, 28, 28) of three kinds, drawn to be like `images` in nothing, in each pixel, in pairs.

    The Gaussian, which knows no bounds, is cut off at paper and ink.
    """
    uniform = rng.integers(0, GREYS, (n, SIDE, SIDE), dtype=np.uint8)
    rows = rng.integers(0, len(images), (n, PIXELS))
    pixels = images.reshape(len(images), PIXELS)[rows, np.arange(PIXELS)]
    spread = np.sqrt(components.variances)[:, None] * components.axes
    vectors = components.mean + rng.standard_normal((n, len(spread))) @ spread
    gaussian = np.rint(255 * np.clip(vectors, 0, 1)).astype(np.uint8)
    shape = (n, SIDE, SIDE)
    return {"uniform": uniform, "marginals": pixels.reshape(shape), "gaussian": gaussian.reshape(shape)}


@dataclass(frozen=True)
class Draws:
    """Powers of ten: at least so many random points of each kind have to be drawn for one to lie near a digit.

    radius: what counts as near, in units of the distance between paper and ink; reference: digits that the mean was
    taken over. A negative power would be no bound, so none is below 0.
    """

    radius: float
    reference: int
    uniform: float
    marginals: float
    gaussian: float


def draws_needed(
    images: Images, components: Components, *, radius: float, rng: np.random.Generator, most: int
) -> Draws:
    """At least how many random points it takes for one to lie within `radius` of any of the digits (N, 28, 28).

    The chance of one draw is at most the sum over the digits of the chance to hit each, and that is bounded as Chernoff
    (1952) does: P(D² ≤ r²) ≤ exp(t r²) E exp(−t D²) for every t > 0. The expectation is a product over the pixels, or
    for the Gaussian over the principal axes, and can be worked out exactly. Taken over `most` of the digits.
    """
    chosen = images if len(images) <= most else images[rng.choice(len(images), most, replace=False)]
    pixels = chosen.reshape(len(chosen), PIXELS)
    every = images.reshape(len(images), PIXELS)
    shares = np.stack([np.bincount(column, minlength=GREYS) for column in every.T]) / len(every)
    even = np.full((1, GREYS), 1 / GREYS)

    def of_pixels(shares: Doubles) -> Callable[[float], Doubles]:
        return lambda tilt: _log_expectation(pixels, shares, tilt)

    centred = (pixels / 255 - components.mean) @ components.axes.T
    logs = {
        "uniform": _least_log_chance(of_pixels(even), radius),
        "marginals": _least_log_chance(of_pixels(shares), radius),
        "gaussian": _least_log_chance(lambda tilt: _gaussian_log(centred, components.variances, tilt), radius),
    }
    powers = {kind: max(0.0, -_log10_mean(log) - math.log10(len(images))) for kind, log in logs.items()}
    return Draws(radius, len(chosen), **powers)


def _least_log_chance(log_expectation: Callable[[float], Doubles], radius: float) -> Doubles:
    """The bound's logarithm for each digit (M,), with the best of the tilts, at most 0."""
    bounds = [tilt * radius**2 + log_expectation(tilt) for tilt in TILTS.tolist()]
    least: Doubles = np.minimum(np.min(bounds, axis=0), 0.0)
    return least


def _log_expectation(pixels: NDArray[np.uint8], shares: Doubles, tilt: float) -> Doubles:
    """log E exp(−tilt D²) (M,) for independent pixels whose greys have these shares (784 or 1, 256)."""
    grey = np.arange(GREYS) / 255
    kernel = np.exp(-tilt * (grey[:, None] - grey) ** 2)
    logs = np.log(shares @ kernel + np.finfo(float).tiny)
    places = np.arange(PIXELS) if len(logs) > 1 else np.zeros(PIXELS, np.intp)
    total: Doubles = logs[places, pixels].sum(axis=1)
    return total


def _gaussian_log(centred: Doubles, variances: Doubles, tilt: float) -> Doubles:
    """The same (M,) for a Gaussian: `centred` (M, D) are the digits on its principal axes."""
    widened = 1 + 2 * tilt * variances
    logs: Doubles = -(tilt * centred**2 / widened).sum(axis=1) - 0.5 * np.log(widened).sum()
    return logs


def _log10_mean(logs: NDArray[Any]) -> float:
    """The decimal logarithm of the mean of exp(logs), however small they are."""
    top = logs.max()
    return float((top + np.log(np.exp(logs - top).mean())) / np.log(10))

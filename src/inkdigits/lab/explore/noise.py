"""Random points of the space of images, and how many would have to be drawn before one looked like a digit.

>>> kinds = random_points(images, 1_000, rng=np.random.default_rng(0))
>>> draws_needed(images, radius=4.27, rng=np.random.default_rng(0)).uniform
347.9                                           # a one with 347 noughts, at the least

Three kinds: every grey equally likely; every pixel with the greys that it has among the digits, but on its own; and a
Gaussian with the digits' mean and covariance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...digits.dataset import PIXELS, SIDE, Images
from .scene import Components

GREYS = 256
TILTS = np.geomspace(1e-2, 1e4, 49)  # of the bound, in inverse squares of the distance between paper and ink
SAMPLE = 300  # digits on which the best of them is chosen
BLOCK = 4_096  # digits at a time

Doubles = NDArray[np.float64]


def random_points(images: Images, components: Components, n: int, *, rng: np.random.Generator) -> dict[str, Images]:
    """Random images uint8 (n, 28, 28) of three kinds, drawn to be like `images` in nothing, in each pixel, in pairs.

    The Gaussian, which knows no bounds, is cut off at paper and ink, which brings it nearer to the digits.
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
    """Powers of ten: at least so many random points have to be drawn for one to lie within `radius` of a digit.

    radius: in units of the distance between paper and ink. uniform, marginals: for the two kinds whose pixels are drawn
    each on its own; 0, which is no bound, where a draw may well succeed.
    """

    radius: float
    uniform: float
    marginals: float


def draws_needed(images: Images, *, radius: float, rng: np.random.Generator) -> Draws:
    """At least how many random points it takes for one to lie within `radius` of any of the digits (N, 28, 28).

    The chance of one draw is at most the sum over the digits of the chance to hit each, and that is bounded as Chernoff
    (1952) does: P(D² ≤ r²) ≤ exp(t r²) E exp(−t D²), for every tilt t > 0. Of independent pixels the expectation is a
    product, which is worked out exactly. The tilt is chosen on SAMPLE of the digits; the sum is over all.
    """
    pixels = images.reshape(len(images), PIXELS)
    some = pixels if len(pixels) <= SAMPLE else pixels[rng.choice(len(pixels), SAMPLE, replace=False)]
    shares = np.stack([np.bincount(column, minlength=GREYS) for column in pixels.T]) / len(pixels)
    powers = [_power(pixels, some, of, radius) for of in (np.full((1, GREYS), 1 / GREYS), shares)]
    return Draws(radius, *powers)


def _power(pixels: NDArray[np.uint8], some: NDArray[np.uint8], shares: Doubles, radius: float) -> float:
    """The negative decimal logarithm of the bound, at least 0."""
    bounds = [tilt * radius**2 + _log_sum(_log_expectation(some, shares, tilt)) for tilt in TILTS.tolist()]
    tilt = float(TILTS[int(np.argmin(bounds))])
    blocks = [pixels[start : start + BLOCK] for start in range(0, len(pixels), BLOCK)]
    every = np.concatenate([_log_expectation(block, shares, tilt) for block in blocks])
    return max(0.0, -(tilt * radius**2 + _log_sum(every)) / math.log(10))


def _log_expectation(pixels: NDArray[np.uint8], shares: Doubles, tilt: float) -> Doubles:
    """log E exp(−tilt D²) (M,) for independent pixels whose greys have these shares (784 or 1, 256)."""
    grey = np.arange(GREYS) / 255
    kernel = np.exp(-tilt * (grey[:, None] - grey) ** 2)
    logs = np.log(shares @ kernel + np.finfo(float).tiny)
    places = np.arange(PIXELS) if len(logs) > 1 else np.zeros(PIXELS, np.intp)
    total: Doubles = logs[places, pixels].sum(axis=1)
    return total


def _log_sum(logs: Doubles) -> float:
    """log of the sum of exp(logs), however small they are."""
    top = float(logs.max())
    return top + math.log(float(np.exp(logs - top).sum()))


def power_of_ten(power: float) -> str:
    """A power of ten, rounded down, as it is printed: 10³⁰³."""
    return "10" + str(math.floor(power)).translate(str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻"))

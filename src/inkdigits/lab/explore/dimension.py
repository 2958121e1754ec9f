"""Intrinsic dimension: how many numbers it takes, near a point of a set, to say which of its points one means.

    >>> points = np.random.default_rng(0).normal(size=(5_000, 5)).astype(np.float32)
    >>> around = surroundings(points, np.arange(2_000))
    >>> estimates_of(around, np.random.default_rng(0))["twonn"].as_dict()
    {'value': 5.05233, 'interval95': [4.82651, 5.32877]}

Three estimators that know nothing but distances between points, which must be distinct. None of them can be right where
there are many dimensions and few points: even the nearest points are then so far away that the density changes in
between, which makes the estimates too small, and that the set bends, which can make them too large. What they say of
noise of known dimension, as many points of it, shows how much of the first there is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...digits.dataset import Images, pixel_hashes
from ..score import rounded
from .neighbours import nearest

KS = (5, 10, 20)  # neighbours that maximum likelihood looks at
NEAREST = max(KS)
DISCARD = 0.1  # the share of the largest ratios that TwoNN's line leaves out, as its authors do
RADII = (5, 7, 10, 14, 20)  # others that half of the points have within the radii of the correlation integral
BLOCK = 256  # points whose distances to all are worked out at a time
DRAWS = 250  # of a bootstrap

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Estimate:
    """A value and the 95 % interval of its bootstrap over the points that were asked.

    It is meant to hold what the estimator would say of other points of the same kind. As points near one another share
    their neighbours it is a little short: of noise in 3 and 10 dimensions it held that nine times in ten. The true
    dimension it does not hold where the estimator is biased, as all of them are at many dimensions.
    """

    value: float
    interval95: tuple[float, float]

    def as_dict(self) -> dict[str, Any]:
        return {"value": rounded(self.value), "interval95": [rounded(end) for end in self.interval95]}


@dataclass(frozen=True, eq=False)
class Surroundings:
    """What the estimators need to know of a set of N points, from M of them that were asked.

    near: (M, NEAREST) distances to the nearest others, rising, none of them 0. radii: (R,) rising, within which half of
    the points have as many others as RADII says. inside: (P, R), how many each of the first P that were asked has.
    """

    near: NDArray[np.float64]
    radii: NDArray[np.float64]
    inside: NDArray[np.int64]


def surroundings(points: Floats, asked: NDArray[np.intp], *, paired: int | None = None) -> Surroundings:
    """Looks around the points (N, D) at the places `asked` (M,), N at least NEAREST + 2 and no two points equal.

    paired: how many of those asked, the first, are used for the correlation integral; all unless given.
    """
    # Far from the origin the squares that a search subtracts from one another would leave little of a distance.
    points = np.ascontiguousarray(points - points.mean(axis=0, dtype=np.float64).astype(points.dtype))
    near = nearest(points, NEAREST + 1, queries=points[asked]).distances[:, 1:].astype(np.float64)
    radii = np.median(near[:, [k - 1 for k in RADII]], axis=0)
    return Surroundings(near, radii, count_inside(points, asked[:paired], radii))


def count_inside(points: Floats, asked: NDArray[np.intp], radii: Floats) -> NDArray[np.int64]:
    """How many others of the points (N, D) each of those at the places `asked` (M,) has within radii (R,): (M, R)."""
    squares = np.einsum("nd,nd->n", points, points)
    counts = np.empty((len(asked), len(radii)), np.int64)
    for start in range(0, len(asked), BLOCK):
        some = asked[start : start + BLOCK]
        distances = squares[some, None] + squares - 2 * (points[some] @ points.T)
        distances[np.arange(len(some)), some] = np.inf
        for place, radius in enumerate(radii):
            counts[start : start + BLOCK, place] = np.count_nonzero(distances <= radius**2, axis=1)
    return counts


def distinct(images: Images) -> NDArray[np.intp]:
    """Where the images uint8 (N, 28, 28) are that no earlier one equals, ascending."""
    return np.sort(np.unique(pixel_hashes(images), return_index=True)[1])


def two_nn(near: Floats) -> float:
    """TwoNN, from the distances (M, 2 or more) to the nearest others. NaN if the nearest are all equally far.

    The ratio of the second distance to the first has the distribution F(r) = 1 - r^-d wherever the density hardly
    changes between the two. d is the slope, through the origin, of -log(1 - F) against log r; of the largest ratios a
    share of DISCARD is left out, where that is least true and a few points decide. E. Facco et al. 2017, Scientific
    Reports 7.
    """
    return _two_nn(np.sort(np.log(near[:, 1] / near[:, 0])))


def _two_nn(ratios: Floats) -> float:
    kept = ratios[: round(len(ratios) * (1 - DISCARD))]
    share = np.arange(1, len(kept) + 1) / len(ratios)
    return _divided(float(-np.log1p(-share) @ kept), float(kept @ kept))


def maximum_likelihood(near: Floats, k: int) -> float:
    """The dimension that makes the distances (M, k or more) to the k nearest likeliest. NaN if all are equal.

    E. Levina and P. Bickel 2005, NIPS 17; the points' estimates are combined as D. MacKay and Z. Ghahramani 2005 showed
    that they must be: their inverses are averaged.
    """
    return _divided(1.0, float(_inverses(near, k).mean()))


def _inverses(near: Floats, k: int) -> NDArray[np.float64]:
    """One over the dimension at each point (M,)."""
    return np.asarray(np.log(near[:, k - 1 : k] / near[:, : k - 1]).mean(axis=1), np.float64)


def local_dimension(near: Floats) -> NDArray[np.float64]:
    """The dimension at each point (M,), from the distances (M, K) to its nearest, rising: maximum likelihood.

    One point's estimate is without bias only with the K - 2 of E. Levina and P. Bickel 2005, which averaging inverses
    has no need of. NaN where K < 3, or where all are equally far.
    """
    n, k = near.shape
    found = np.full(n, np.nan)
    if k >= 3:
        inverses = _inverses(np.maximum(near.astype(np.float64), np.finfo(np.float32).tiny), k)
        np.divide((k - 2) / (k - 1), inverses, out=found, where=inverses > 0)
    return found


def correlation(radii: Floats, inside: NDArray[np.integer]) -> float:
    """The correlation dimension: how the number of pairs grows with the radius, (R,) and counts (P, R) within it.

    The least-squares slope of the logarithm of the one against that of the other. P. Grassberger and I. Procaccia 1983,
    Physica D 9. Its radii here are those within which half of the points have 5 to 20 others, the scale that maximum
    likelihood looks at too. NaN if the radii are equal or nothing is within them.
    """
    counts = inside.sum(axis=0)
    return _slope(np.log(radii), np.log(counts)) if counts[0] else float("nan")


def _slope(x: Floats, y: Floats) -> float:
    x = x - x.mean()
    return _divided(float(x @ y), float(x @ x))


def _divided(one: float, other: float) -> float:
    return one / other if other > 0 else float("nan")


def estimates_of(around: Surroundings, rng: np.random.Generator) -> dict[str, Estimate]:
    """By all estimators: `twonn`, `ml5`, `ml10`, `ml20` and `correlation`, each with its interval."""
    ratios = np.log(around.near[:, 1] / around.near[:, 0])
    found = {"twonn": bootstrap(lambda rows: _two_nn(np.sort(ratios[rows])), len(ratios), rng)}
    for k in KS:
        inverses = _inverses(around.near, k)
        found[f"ml{k}"] = bootstrap(_mean_inverse(inverses), len(inverses), rng)
    found["correlation"] = bootstrap(
        lambda rows: correlation(around.radii, around.inside[rows]), len(around.inside), rng
    )
    return found


def _mean_inverse(inverses: Floats) -> Callable[[NDArray[np.intp]], float]:
    return lambda rows: _divided(1.0, float(inverses[rows].mean()))


def bootstrap(estimate: Callable[[NDArray[np.intp]], float], count: int, rng: np.random.Generator) -> Estimate:
    """An estimate from `count` things, given the rows of them to take, and its interval over rows drawn anew."""
    drawn = [estimate(rng.integers(0, count, count)) for _ in range(DRAWS)]
    told = [value for value in drawn if np.isfinite(value)] or [float("nan")]
    low, high = np.quantile(told, [0.025, 0.975])
    return Estimate(estimate(np.arange(count)), (float(low), float(high)))


def noise(dimensions: int, count: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Points float32 (count, dimensions) of a normal distribution. More coordinates that are 0 would change nothing."""
    return rng.standard_normal((count, dimensions), np.float32)


def as_of_noise(value: float, of_noise: Mapping[int, float]) -> float:
    """The dimension of the noise of which an estimator says `value`, from what it says of noise of some dimensions.

    Between these it is interpolated; outside it is NaN.
    """
    true = sorted(of_noise)
    said = np.maximum.accumulate([of_noise[dimensions] for dimensions in true])
    return float(np.interp(value, said, true)) if said[0] <= value <= said[-1] else float("nan")

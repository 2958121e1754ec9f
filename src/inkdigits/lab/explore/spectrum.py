"""The spectrum of principal components: how many stand out from chance, how many keep what share of the variance.

>>> [scene.components.needed(share) for share in (0.90, 0.95, 0.99)]
[87, 154, 331]
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...digits.dataset import SIDE, Images
from .scene import Components

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Kept:
    """What the first components keep of the variance: shares (D + 1,), of none of them, of one, … of all.

    total: the variance of all D coordinates together.
    """

    shares: Floats
    total: float

    @classmethod
    def of(cls, components: Components) -> Kept:
        """`total` 0 where all vectors are the same; nothing can be kept of that."""
        variances = np.append(0.0, components.variances)
        total = float(variances.sum())
        return cls(np.minimum(np.cumsum(variances) / (total or 1.0), 1.0), total)

    def error(self, count: int) -> float:
        """What a coordinate is off, as root mean square, where `count` components are kept."""
        lost = self.total * (1 - self.shares[min(count, len(self.shares) - 1)])
        return float(np.sqrt(lost / (len(self.shares) - 1)))


@dataclass(frozen=True, eq=False)
class Standing:
    """The components of standardised variables beside those of chance.

    variances: (P,) of the components of P variables of variance 1, falling; chance: (P,) the largest that each had
    where the values of every variable were shuffled; edge: the largest that independent normal ones would have.
    """

    variances: Floats
    chance: Floats
    edge: float

    @property
    def above_chance(self) -> int:
        """How many components, the first, are each larger than chance makes the one of its rank."""
        return _run(self.variances > self.chance)

    @property
    def above_edge(self) -> int:
        return int((self.variances > self.edge).sum())

    def share(self, component: int) -> float:
        """The share of the variance along one component, counted from 0."""
        return float(self.variances[component] / len(self.variances))


def _run(true: NDArray[np.bool_]) -> int:
    """How many are true before the first that is not."""
    return int(np.append(~true, True).argmax())


def standing(
    vectors: NDArray[np.float32], components: Components, *, shuffles: int, rng: np.random.Generator
) -> Standing:
    """Which components of the standardised vectors (N, D) are more than chance; constant coordinates are left out.

    Chance is what is left of the data when the values of each coordinate are shuffled on their own, which keeps how
    they are distributed and nothing of how they go together: Horn 1965, "A rationale and test for the number of factors
    in factor analysis", Psychometrika 30. The edge is that of V. Marchenko and L. Pastur 1967, (1 + √(P / N))², of
    normal values. At least two vectors that differ; `components` are theirs.
    """
    covariance = components.axes.T @ (components.variances[:, None] * components.axes)
    varying = np.ptp(vectors, axis=0) > 0
    deviations = np.sqrt(np.diag(covariance)[varying])
    correlations = covariance[np.ix_(varying, varying)] / deviations / deviations[:, None]
    count, variables = len(vectors), int(varying.sum())
    rows = (vectors[:, varying] - components.mean[varying].astype(np.float32)) / deviations.astype(np.float32)
    columns = np.ascontiguousarray(rows.T)
    chance = np.zeros(variables)
    for _ in range(shuffles):
        rng.permuted(columns, axis=1, out=columns)
        chance = np.maximum(chance, _falling((columns @ columns.T).astype(np.float64) / (count - 1)))
    return Standing(_falling(correlations), chance, float((1 + np.sqrt(variables / count)) ** 2))


def _falling(symmetric: Floats) -> Floats:
    return np.asarray(np.maximum(np.linalg.eigvalsh(symmetric)[::-1], 0), np.float64)


def as_images(vectors: NDArray[np.float32]) -> Images:
    """Pixels (M, 784), 0…1 and cut off there, as digit images uint8 (M, 28, 28)."""
    return np.round(255 * np.clip(vectors, 0, 1)).astype(np.uint8).reshape(-1, SIDE, SIDE)


def rebuilt(vectors: NDArray[np.float32], components: Components, count: int) -> NDArray[np.float32]:
    """Vectors (M, D) as the first `count` components tell them, float32 (M, D)."""
    axes, mean = components.axes[:count].astype(np.float32), components.mean.astype(np.float32)
    return np.asarray(mean + components.project(vectors, count) @ axes, np.float32)

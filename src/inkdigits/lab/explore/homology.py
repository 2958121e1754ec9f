"""Components and loops of a cloud of points at all scales, and which of them are more than chance.

Persistent homology (Edelsbrunner, Letscher & Zomorodian 2002) joins points within a growing distance: components (H0)
merge, loops (H1) appear and are filled. What lasts over a long range of distances is a property of the cloud rather
than of the sample. How long is long is asked twice: of resamples, and of Gaussian clouds of the same covariance, which
have no loop at all.

    >>> circle = np.column_stack([np.cos(angles), np.sin(angles)])
    >>> persistence_of(circle, rng=np.random.default_rng(0)).loops
    1
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..report import need_libraries
from ..score import rounded
from .neighbours import nearest

Floats = NDArray[np.float64]

LANDMARKS = 200  # points the distances of all pairs are worked out of; the time grows with more than their square
KEPT = 0.8  # share of the points, the densest: a stray point between two arms closes a loop that is not there
DENSITY_K = 10  # neighbours whose distance says how dense it is
RESAMPLES = 40
NULLS = 19  # with none as long among these, chance is at most 1 in 20
CONFIDENCE = 0.95


@dataclass(frozen=True, eq=False)
class Persistence:
    """Components and loops of a cloud.

    merges: (L - 1,) distances at which components merge, the longest first. pairs: (M, 2) distances at which loops
    appear and are filled, the one that lasts longest first. band: what a merge, and how long a loop lasts, has to
    exceed to be told from chance with 95 % confidence. null_longest: (NULLS,) how long the longest loop of each of as
    many Gaussian clouds lasts. points, landmarks: how many.
    """

    merges: Floats
    pairs: Floats
    band: float
    null_longest: Floats
    points: int
    landmarks: int

    @property
    def lasting(self) -> Floats:
        """How long each loop lasts (M,)."""
        return self.pairs[:, 1] - self.pairs[:, 0]

    @property
    def longest(self) -> float:
        return float(self.lasting[0]) if len(self.pairs) else 0.0

    @property
    def components(self) -> int:
        """Components that stay apart beyond the band."""
        return 1 + int((self.merges > self.band).sum())

    @property
    def loops(self) -> int:
        """Loops that last beyond the band."""
        return int((self.lasting > self.band).sum())

    @property
    def longer_than_chance(self) -> int:
        """Loops that last longer than any loop of the Gaussian clouds."""
        return int((self.lasting > self.null_longest.max(initial=0.0)).sum())

    @property
    def chance(self) -> float:
        """The p-value of the longest loop: how often a Gaussian cloud of the same covariance has one as long."""
        return float((1 + (self.null_longest >= self.longest).sum()) / (1 + len(self.null_longest)))

    def as_dict(self) -> dict[str, Any]:
        return {
            "points": self.points,
            "landmarks": self.landmarks,
            "band_95": rounded(self.band),
            "components_above_band": self.components,
            "largest_merge": rounded(float(self.merges[0])) if len(self.merges) else None,
            "loops_above_band": self.loops,
            "longest_loop": rounded(self.longest),
            "longest_loop_of_gaussian": {
                "median": rounded(float(np.median(self.null_longest))),
                "largest": rounded(float(self.null_longest.max())),
                "clouds": len(self.null_longest),
            },
            "p_of_longest_loop": rounded(self.chance),
            "loops_longer_than_gaussian": self.longer_than_chance,
        }


def persistence_of(
    points: NDArray[np.floating[Any]],
    *,
    rng: np.random.Generator,
    landmarks: int = LANDMARKS,
    resamples: int = RESAMPLES,
    nulls: int = NULLS,
) -> Persistence:
    """Components and loops of points (N, D), which are to be distinct, N at least 20.

    The sparsest points are left out. The band is twice the distance c of the farthest point to its nearest landmark:
    sending each point there moves distances by 2 c at most, so that landmarks of a cloud in one piece and without loops
    have no merge and no loop longer than 2 c. Of c the 95 % quantile over resamples is taken, each with landmarks of
    its own (the Hausdorff bound of Fasy et al. 2014).
    """
    cloud = points[densest(points, KEPT)].astype(np.float64)
    chosen = spread(cloud, landmarks, rng=rng)
    merges, pairs = diagrams(cloud[chosen])
    reach = np.empty(resamples)
    for i in range(resamples):
        drawn = cloud[np.unique(rng.integers(len(cloud), size=len(cloud)))]
        reach[i] = nearest(drawn[spread(drawn, landmarks, rng=rng)], 1, queries=cloud).distances.max()
    longest = np.empty(nulls)
    for i in range(nulls):
        blob = gaussian_like(points, rng=rng)
        blob = blob[densest(blob, KEPT)]
        lasts = np.diff(diagrams(blob[spread(blob, landmarks, rng=rng)])[1], axis=1)
        longest[i] = lasts.max(initial=0.0)
    band = 2 * float(np.quantile(reach, CONFIDENCE))
    return Persistence(merges, pairs, band, longest, len(points), len(chosen))


def diagrams(points: Floats) -> tuple[Floats, Floats]:
    """Where components of points (L, D) merge (L - 1,), and loops appear and are filled (M, 2); the longest first.

    Vietoris–Rips: a distance is that between two points that are joined.
    """
    need_libraries("persistent homology", "ripser", "scipy")
    from ripser import ripser
    from scipy.spatial.distance import pdist, squareform

    first, second = ripser(squareform(pdist(points)), distance_matrix=True, maxdim=1)["dgms"]
    merges = np.sort(first[np.isfinite(first[:, 1]), 1].astype(np.float64))[::-1]
    pairs = second[np.isfinite(second[:, 1])].astype(np.float64).reshape(-1, 2)
    return merges, pairs[np.argsort(pairs[:, 0] - pairs[:, 1], kind="stable")]


def densest(points: NDArray[np.floating[Any]], share: float) -> NDArray[np.int64]:
    """Places of this share of points (N, D), those nearest to their DENSITY_K-th neighbour, in order."""
    reach = nearest(points, DENSITY_K).distances[:, -1]
    return np.sort(np.argsort(reach, kind="stable")[: round(share * len(points))])


def spread(points: Floats, most: int, *, rng: np.random.Generator) -> NDArray[np.int64]:
    """Places of landmarks: each next one is the point farthest from all before; the first is drawn (Gonzalez 1985)."""
    chosen = np.empty(min(most, len(points)), np.int64)
    squares = np.einsum("nd,nd->n", points, points)
    left = np.full(len(points), np.inf)
    place = int(rng.integers(len(points)))
    for i in range(len(chosen)):
        chosen[i] = place
        np.minimum(left, squares - 2 * (points @ points[place]) + squares[place], out=left)
        left[place] = -np.inf
        place = int(left.argmax())
    return chosen


def gaussian_like(points: NDArray[np.floating[Any]], *, rng: np.random.Generator) -> Floats:
    """As many points (N, D) of a Gaussian cloud with the mean and the covariance of these."""
    middle = points.mean(axis=0, dtype=np.float64)
    # From the singular values, for a covariance that cannot be inverted has no Cholesky factor.
    _, sizes, axes = np.linalg.svd(points - middle, full_matrices=False)
    spreads = sizes / np.sqrt(max(len(points) - 1, 1))
    return np.asarray(middle + (rng.standard_normal((len(points), len(spreads))) * spreads) @ axes, np.float64)

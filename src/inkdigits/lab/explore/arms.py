"""Arms of a cloud of points: where it reaches far out, how many such places there are, and how it is along them.

>>> cloud = cloud_of(points, rng=np.random.default_rng(0))
>>> len(cloud.arms), cloud.dimension, cloud.stretch
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..score import rounded
from .dimension import Estimate, bootstrap, local_dimension
from .neighbours import Neighbours, nearest
from .paths import SOURCES, Floats, Places, Ways, median_of, shortest, ways_of

PROMINENT = 0.2  # of the range of eccentricity, by which a tip rises above the saddle to a farther one
LEAST_ARM = 0.01  # share of the points above that saddle
SMOOTHINGS = 2  # means over neighbours before tips are looked for, so that an outlier is no tip
DIMENSION_K = 20  # neighbours from whose distances the local dimension is estimated
REACH_K = 10  # the neighbour whose distance says how sparse a place is
OUTWARDS = 8  # groups of equal counts from the middle outwards


@dataclass(frozen=True, eq=False)
class Arms:
    """The arms of a cloud.

    centre: the place nearest to all; tips: (A,) places of locally largest eccentricity, the most prominent first;
    prominence: (A,) 0…1, how far each rises above the saddle to a farther one, of the range; paths: from the centre to
    each tip, as places. height: (N,) the smoothed eccentricity.
    """

    centre: int
    tips: Places
    prominence: Floats
    paths: tuple[Places, ...]
    height: Floats

    def __len__(self) -> int:
        return len(self.tips)


def arms_of(ways: Ways) -> Arms:
    """Arms: tips of eccentricity that are prominent and held up by enough points.

    Descending from the farthest point, pieces of the graph that lie farther out than a level appear and merge; a tip
    counts if its piece has LEAST_ARM of the points before it meets a larger one, PROMINENT of the range below it
    (persistence of the components of super-level sets, as in Chazal et al. 2013). Written here because no kept library
    gives the sizes of the pieces.
    """
    height = ways.eccentricity
    links = (ways.graph > 0).astype(np.float64)
    degree = np.asarray(links.sum(axis=1)).ravel()
    for _ in range(SMOOTHINGS):
        height = (height + links @ height) / (1 + degree)
    centre = int(height.argmin())
    found = _tips(links, height)
    paths = shortest(ways.graph, centre, [tip for tip, _ in found])
    return Arms(centre, np.array([t for t, _ in found], np.int64), np.array([p for _, p in found]), paths, height)


def _tips(links: Any, height: Floats) -> list[tuple[int, float]]:
    """Prominent tips of the height (N,) with their prominence, the most prominent first."""
    n, reach = len(height), float(np.ptp(height))
    if reach == 0:
        return []
    parent, size = np.full(n, -1), np.ones(n, np.int64)
    found: list[tuple[int, float]] = []

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

    least = max(2, round(LEAST_ARM * n))
    # The root of a piece is its highest point.
    for place in np.argsort(-height, kind="stable").tolist():
        parent[place] = place
        for other in links.indices[links.indptr[place] : links.indptr[place + 1]].tolist():
            if parent[other] < 0:
                continue
            one, two = root(place), root(other)
            if one == two:
                continue
            lower, upper = (one, two) if (height[one], -one) < (height[two], -two) else (two, one)
            rise = float(height[lower] - height[place]) / reach
            if rise >= PROMINENT and size[lower] >= least:
                found.append((lower, rise))
            parent[lower] = upper
            size[upper] += size[lower]
    found.append((int(height.argmax()), 1.0))
    return sorted(found, key=lambda tip: -tip[1])


def each_rounded(values: Floats) -> list[float | None]:
    """Numbers (N,) for a file, what is not one as null."""
    return [rounded(float(value)) for value in values]


@dataclass(frozen=True, eq=False)
class Profile:
    """What there is along the arms, or from the middle outwards, in steps of equal counts or lengths.

    out: (B,) where, 0 = centre, 1 = tip; eccentricity, dimension, reach: (B,) medians of the eccentricity, of the local
    dimension, and of the distance to the neighbours, which is long where points are sparse; NaN where there are none.
    n: (B,) points.
    """

    out: Floats
    eccentricity: Floats
    dimension: Floats
    reach: Floats
    n: NDArray[np.int64]

    def as_dict(self) -> dict[str, Any]:
        return {
            "position": each_rounded(self.out),
            "eccentricity": each_rounded(self.eccentricity),
            "local_dimension": each_rounded(self.dimension),
            "distance_to_neighbours": each_rounded(self.reach),
            "points": self.n.tolist(),
        }


def profile_of(position: Floats, dimension: Floats, reach: Floats, *, bins: int = 10) -> Profile:
    """Medians by bins of equal counts of the position (N,), the eccentricity."""
    order = np.argsort(position, kind="stable")
    groups = [group for group in np.array_split(order, bins) if len(group)]
    span = max(float(np.ptp(position)), np.finfo(np.float64).tiny)
    return Profile(
        np.array([(position[g].mean() - position.min()) / span for g in groups]),
        np.array([median_of(position[g]) for g in groups]),
        np.array([median_of(dimension[g]) for g in groups]),
        np.array([median_of(reach[g]) for g in groups]),
        np.array([len(g) for g in groups]),
    )


@dataclass(frozen=True, eq=False)
class Cloud:
    """The shape of a cloud: its ways, its arms, the local dimension of each point, and how these change outwards."""

    ways: Ways
    arms: Arms
    dimensions: Floats
    outwards: Profile

    @property
    def stretch(self) -> float:
        """How much longer the way along the points is than the straight line: the median of all pairs measured."""
        return self.ways.stretch()

    @property
    def dimension(self) -> float:
        return median_of(self.dimensions)

    @property
    def taper(self) -> float:
        """The local dimension of the points farthest out over that of the most central ones; below 1 it falls."""
        return float(self.outwards.dimension[-1] / self.outwards.dimension[0])

    def dimension_estimate(self, rng: np.random.Generator) -> Estimate:
        """`dimension` with its interval over the points."""
        return bootstrap(lambda rows: median_of(self.dimensions[rows]), len(self.dimensions), rng)

    def as_dict(self, rng: np.random.Generator) -> dict[str, Any]:
        """Plain facts; `rng` draws for the intervals."""
        return {
            "points": len(self.ways.points),
            "points_in_other_pieces": self.ways.left_out,
            "geodesic_over_straight": self.ways.stretch_estimate(rng).as_dict(),
            "arms": len(self.arms),
            "prominence_of_arms": each_rounded(self.arms.prominence),
            "local_dimension": self.dimension_estimate(rng).as_dict(),
            "outwards": self.outwards.as_dict(),
        }


def cloud_of(
    points: NDArray[np.floating[Any]],
    *,
    rng: np.random.Generator,
    near: Neighbours | None = None,
    sources: int = SOURCES,
) -> Cloud:
    """The shape of distinct points (N, D), N at least 30; `near` are their neighbours where these are known."""
    ways = ways_of(points, near or nearest(points, DIMENSION_K), rng=rng, sources=sources)
    arms = arms_of(ways)
    dimensions = local_dimension(ways.near.distances[:, :DIMENSION_K])
    reach = ways.near.distances[:, min(REACH_K, ways.near.k) - 1].astype(np.float64)
    return Cloud(ways, arms, dimensions, profile_of(arms.height, dimensions, reach, bins=OUTWARDS))


def along(cloud: Cloud, arm: int, *, bins: int = 6) -> Profile:
    """What lies along one arm: the points that are nearer to a point of it than those between are to each other.

    Each of these is at the share of the way where its nearest point of the arm is.
    """
    ways = cloud.ways
    path = ways.points[cloud.arms.paths[arm]]
    steps = np.linalg.norm(np.diff(path, axis=0), axis=1)
    share = np.concatenate([[0.0], np.cumsum(steps)]) / max(float(steps.sum()), np.finfo(np.float64).tiny)
    beside = nearest(path, 1, queries=ways.points)
    close = beside.distances[:, 0] <= (steps.max() if len(steps) else 0.0)
    where = share[beside.places[:, 0]]
    reach = ways.near.distances[:, -1].astype(np.float64)
    places = [np.flatnonzero(close & (np.minimum((where * bins).astype(int), bins - 1) == b)) for b in range(bins)]
    return Profile(
        (np.arange(bins) + 0.5) / bins,
        np.array([median_of(cloud.arms.height[p]) for p in places]),
        np.array([median_of(cloud.dimensions[p]) for p in places]),
        np.array([median_of(reach[p]) for p in places]),
        np.array([len(p) for p in places]),
    )

"""How many density components there are, by how dense a place must be to count.

>>> levels = components_by_level(nearest(points, 30))
>>> [level.large for level in levels]  # from the densest tenth of the points to all of them
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..report import need_libraries
from .neighbours import Neighbours

CORE_K = 10  # the distance to this neighbour says how dense a place is
LEAST = 0.01  # of all points: a component that has them is large
LEVELS = tuple(round(0.05 * step, 2) for step in range(1, 21))  # share of the points, the densest, that count


@dataclass(frozen=True, eq=False)
class Level:
    """The components of the densest points.

    share: how many of the points these are; radius: how far apart two may be to be joined, and the distance within
    which each has CORE_K neighbours. component: int64 (N,) the number of its large component, the largest 0, or −1.
    """

    share: float
    radius: float
    component: NDArray[np.int64]

    @property
    def large(self) -> int:
        return int(self.component.max(initial=-1)) + 1

    @property
    def sizes(self) -> list[int]:
        """Points of each large component, the largest first."""
        sizes: list[int] = np.bincount(self.component[self.component >= 0], minlength=self.large).tolist()
        return sizes


def components_by_level(near: Neighbours, *, levels: Sequence[float] = LEVELS) -> list[Level]:
    """Components of the super-level sets of the nearest-neighbour density of points with these neighbours (N, K).

    At each level the densest points count; two are joined that are neighbours no farther apart than the radius within
    which the sparsest of them has CORE_K neighbours. This would be DBSCAN* (Campello, Moulavi & Sander 2013) at that
    radius, were it not worked out on the K neighbours known already, which scikit-learn's DBSCAN would look for again
    at every radius: links to points beyond the K-th are missed, so there can be more components than DBSCAN* has, and
    never fewer.
    """
    need_libraries("density components", "scipy")
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components

    n, k = near.places.shape
    reach = near.distances[:, min(CORE_K, k) - 1]
    found = []
    for share in levels:
        radius = float(np.quantile(reach, share))
        core = reach <= radius
        linked = (near.distances <= radius) & core[:, None] & core[near.places]
        rows, ranks = np.nonzero(linked)
        links = csr_matrix((np.ones(len(rows), np.int8), (rows, near.places[rows, ranks])), (n, n))
        _, piece = connected_components(links, directed=False)
        sizes = np.bincount(piece[core], minlength=piece.max() + 1)
        order = np.argsort(-sizes, kind="stable")
        number = np.full(len(sizes), -1)
        large = order[sizes[order] >= max(2, LEAST * n)]
        number[large] = np.arange(len(large))
        found.append(Level(float(share), radius, np.where(core, number[piece], -1)))
    return found

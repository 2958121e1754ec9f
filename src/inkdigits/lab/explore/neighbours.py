"""The nearest points of points: exact, and the same on every run.

>>> nearest(vectors, 10).distances[:, 0]
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..report import need_libraries

BLOCK = 4_096  # points whose distances are worked out at a time


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The K nearest points of each of M.

    places: int64 (M, K), the nearest first; distances: float32 (M, K), Euclidean.
    """

    places: NDArray[np.int64]
    distances: NDArray[np.float32]

    @property
    def k(self) -> int:
        return int(self.places.shape[1])

    def first(self, k: int) -> Neighbours:
        """The k nearest of them."""
        return Neighbours(self.places[:, :k], self.distances[:, :k])


def nearest(
    points: NDArray[np.floating[Any]], k: int, *, queries: NDArray[np.floating[Any]] | None = None
) -> Neighbours:
    """The k nearest among `points` (N, D) of each of `queries` (M, D), or of each point among the others.

    Where there are fewer than k, all. Equal points are exactly 0 apart.
    """
    need_libraries("nearest neighbours", "sklearn")
    from sklearn.neighbors import NearestNeighbors

    own = queries is None
    asked: NDArray[Any] = points if queries is None else queries
    k = min(k, len(points) - own)
    if k < 1:
        empty = (len(asked), 0)
        return Neighbours(np.zeros(empty, np.int64), np.zeros(empty, np.float32))
    search = NearestNeighbors(n_neighbors=k + own, algorithm="brute").fit(points)
    places = search.kneighbors(asked, return_distance=False)
    if own:
        # A point is not always the first of its neighbours: others may equal it.
        itself = places == np.arange(len(points))[:, None]
        itself[~itself.any(axis=1), -1] = True
        places = places[~itself].reshape(len(points), k)
    # The search subtracts squares, which leaves nothing of small distances but rounding.
    distances = np.empty(places.shape, np.float32)
    for start in range(0, len(asked), BLOCK):
        rows = slice(start, start + BLOCK)
        for rank in range(k):
            apart = points[places[rows, rank]] - asked[rows]
            distances[rows, rank] = np.sqrt(np.einsum("md,md->m", apart, apart))
    order = np.argsort(distances, axis=1, kind="stable")
    return Neighbours(np.take_along_axis(places, order, 1).astype(np.int64), np.take_along_axis(distances, order, 1))

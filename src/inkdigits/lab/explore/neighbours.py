"""The nearest points of points: the same on every run, and exact unless there are very many.

>>> nearest(vectors, 10).distances[:, 0]
"""

from __future__ import annotations

import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..report import need_libraries

BLOCK = 4_096  # points whose distances are worked out at a time
CELLS = 256  # of points that are near to each other …
PROBED = 32  # … and how many others a point's neighbours are looked for in
CENTRED, ROUNDS = 20_000, 8  # points that the cells are centred on, and how often
LARGEST = 512  # queries at a time, which bounds the memory where one cell holds nearly all


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
    """The k nearest among `points` (N, D) of each of `queries` (M, D), or of each point among the others; exact.

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
    return _measured(points, asked, places)


def nearly_nearest(
    points: NDArray[np.float32], k: int, *, cells: int = CELLS, threads: int | None = None
) -> Neighbours:
    """The k nearest others of each of N > k points (N, D), of which one in fifty is missed: in a third of the time.

    Points are put into cells, each around a centre, and compared with those of their own and the nearest PROBED cells
    only (an inverted file: Jégou, Douze and Schmid 2011). Written here since whole cells compared at once are quicker
    than the libraries that take one query at a time, and the same on every run.
    """
    need_libraries("nearest neighbours", "sklearn")
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    rows = np.linspace(0, len(points) - 1, min(len(points), CENTRED)).astype(np.intp)
    # On one thread, or the order of the sums, and with it the cells, would differ from run to run.
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore")  # that there are fewer different points than cells: some stay empty
        found = KMeans(cells, n_init=1, max_iter=ROUNDS, random_state=0).fit(points[rows])
    centres = found.cluster_centers_.astype(np.float32)
    owner = found.predict(points)
    members = [np.flatnonzero(owner == cell) for cell in range(cells)]
    beside = np.argsort(((centres[:, None] - centres) ** 2).sum(axis=2), axis=1, kind="stable")
    sizes = np.array([len(some) for some in members])
    squares = np.einsum("nd,nd->n", points, points)
    places = np.empty((len(points), k), np.int64)

    def search(cell: int) -> None:
        enough = max(PROBED + 1, int(np.searchsorted(np.cumsum(sizes[beside[cell]]), k + 1)) + 1)
        near = np.concatenate([members[other] for other in beside[cell, :enough]])
        for asked in np.array_split(members[cell], 1 + len(members[cell]) // LARGEST):
            # Less each query's own square, which changes nothing about the order.
            apart = squares[near] - 2 * points[asked] @ points[near].T
            apart[near == asked[:, None]] = np.inf
            places[asked] = near[np.argpartition(apart, k, axis=1)[:, :k]]

    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        list(pool.map(search, range(cells)))
    return _measured(points, points, places)


def _measured(points: NDArray[Any], asked: NDArray[Any], places: NDArray[Any]) -> Neighbours:
    """Neighbours in order. A search subtracts squares, which leaves nothing of small distances but rounding."""
    distances = np.empty(places.shape, np.float32)
    for start in range(0, len(asked), BLOCK):
        rows = slice(start, start + BLOCK)
        for rank in range(places.shape[1]):
            apart = points[places[rows, rank]] - asked[rows]
            distances[rows, rank] = np.sqrt(np.einsum("md,md->m", apart, apart))
    order = np.argsort(distances, axis=1, kind="stable")
    return Neighbours(np.take_along_axis(places, order, 1).astype(np.int64), np.take_along_axis(distances, order, 1))

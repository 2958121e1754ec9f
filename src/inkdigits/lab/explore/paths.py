"""Ways along the digits: geodesics of the neighbour graph, and walks from one digit to another.

>>> ways = ways_of(points, nearest(points, 10), rng=np.random.default_rng(0))
>>> ways.stretch()  # how much longer the way along the points is than the straight line, in the middle
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..report import need_libraries
from .dimension import Estimate, bootstrap
from .neighbours import Neighbours, nearest

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

LINKS = 10  # neighbours that a point is joined to
SOURCES = 400  # points from which the ways to all others are measured
STEPS = 512  # of the ratios, by rank, from which a bootstrap takes its medians


def median_of(values: Floats) -> float:
    """The median of those that are finite, NaN where none is."""
    values = values[np.isfinite(values)]
    return float(np.median(values)) if len(values) else float("nan")


def neighbour_graph(near: Neighbours, k: int = LINKS) -> Any:
    """The points joined to their k nearest and to those whose k nearest they are among, as a sparse (N, N) matrix."""
    need_libraries("the neighbour graph", "scipy")
    from scipy.sparse import csr_matrix

    near = near.first(k)
    n = len(near.places)
    rows = np.repeat(np.arange(n), near.k)
    # Scipy takes a length of nothing for no link, but equal points are linked.
    lengths = np.maximum(near.distances.ravel().astype(np.float64), np.finfo(np.float32).tiny)
    graph = csr_matrix((lengths, (rows, near.places.ravel())), (n, n))
    return graph.maximum(graph.T)


def largest_piece(graph: Any) -> Places:
    """The points of the largest connected component."""
    from scipy.sparse.csgraph import connected_components

    _, piece = connected_components(graph, directed=False)
    return np.flatnonzero(piece == np.bincount(piece).argmax())


@dataclass(frozen=True, eq=False)
class Ways:
    """Ways along a cloud (N, D), from some of its points to all.

    points: (N, D), of one connected piece; graph: sparse (N, N); near: neighbours of each. sources: (S,) places;
    lengths: (S, N) along the graph; straight: (S, N). left_out: points of the cloud in other pieces.
    """

    points: NDArray[np.floating[Any]]
    graph: Any
    near: Neighbours
    sources: Places
    lengths: Floats
    straight: Floats
    kept: Places
    left_out: int

    @property
    def eccentricity(self) -> Floats:
        """How far each point is from all others (N,): the mean length of the ways from the sources."""
        return np.asarray(self.lengths.mean(axis=0))

    def ratios(self, first: NDArray[np.bool_] | None = None, second: NDArray[np.bool_] | None = None) -> Floats:
        """Way over straight line (M,), from the sources that are in `first` to the points in `second`, both (N,)."""
        rows = slice(None) if first is None else first[self.sources]
        columns = slice(None) if second is None else second
        lengths, straight = self.lengths[rows][:, columns], self.straight[rows][:, columns]
        apart = straight > 0
        return np.asarray(lengths[apart] / straight[apart])

    def stretch(self, first: NDArray[np.bool_] | None = None, second: NDArray[np.bool_] | None = None) -> float:
        """The median of `ratios`, NaN where there are none."""
        ratios = self.ratios(first, second)
        return float(np.median(ratios)) if len(ratios) else float("nan")

    def stretch_estimate(self, rng: np.random.Generator) -> Estimate:
        """The median of `ratios`, with its interval over the sources, to a STEPS-th of the ratios."""
        source, point = np.nonzero(self.straight > 0)
        if not len(source):
            return Estimate(self.stretch(), (float("nan"),) * 2)
        ratios = self.lengths[source, point] / self.straight[source, point]
        # Counted once: of every draw to sort all ratios would take minutes.
        edges = np.quantile(ratios, np.linspace(0, 1, STEPS + 1)[1:])
        step = np.minimum(np.searchsorted(edges, ratios), STEPS - 1)
        counts = np.bincount(source * STEPS + step, minlength=len(self.sources) * STEPS).reshape(-1, STEPS)

        def median(rows: NDArray[np.intp]) -> float:
            below = np.cumsum(np.bincount(rows, minlength=len(counts)) @ counts)
            return float(edges[np.searchsorted(below, below[-1] / 2)])

        return Estimate(self.stretch(), bootstrap(median, len(counts), rng).interval95)


def ways_of(
    points: NDArray[np.floating[Any]], near: Neighbours, *, rng: np.random.Generator, sources: int = SOURCES
) -> Ways:
    """Ways within the largest connected piece of points (N, D) with these neighbours, which are distinct."""
    from scipy.sparse.csgraph import dijkstra
    from scipy.spatial.distance import cdist

    graph = neighbour_graph(near)
    kept = largest_piece(graph)
    inner = points[kept]
    graph = graph[kept][:, kept]
    # Neighbours of a point are in its piece; those farther than LINKS may not be and are looked for anew.
    if len(kept) < len(points):
        near = nearest(inner, near.k)
    start = np.sort(rng.permutation(len(kept))[:sources])
    lengths = dijkstra(graph, directed=False, indices=start)
    return Ways(inner, graph, near, start, lengths, cdist(inner[start], inner), kept, len(points) - len(kept))


def shortest(graph: Any, start: int, ends: Sequence[int]) -> tuple[Places, ...]:
    """The shortest ways from a point to others, as places."""
    from scipy.sparse.csgraph import dijkstra

    _, before = dijkstra(graph, directed=False, indices=start, return_predecessors=True)
    return tuple(_back(before, start, end) for end in ends)


def _back(before: NDArray[np.integer[Any]], start: int, end: int) -> Places:
    places = [end]
    while places[-1] != start:
        places.append(int(before[places[-1]]))
    return np.array(places[::-1], np.int64)


@dataclass(frozen=True, eq=False)
class Walk:
    """From one digit to another, along the digits and straight.

    places: (P,) the digits on the way. share: (T,) 0…1, how far on each step is; walked, blended: (T, 784) pixels of
    both ways at these; from_walk, from_blend: (T,) distance of each to the nearest digit that is not on the way.
    grey_walk, grey_blend: (T,) the share of the ink that is neither light nor dark.
    """

    places: Places
    share: Floats
    walked: NDArray[np.float32]
    blended: NDArray[np.float32]
    from_walk: Floats
    from_blend: Floats
    grey_walk: Floats
    grey_blend: Floats


def walk_between(vectors: NDArray[np.float32], graph: Any, start: int, end: int, *, steps: int = 33) -> Walk | None:
    """The shortest way from one digit to another along the graph (N, N) of digits (N, 784), and the blend of both.

    Between two digits of the way too there is a blend, of near ones. How far off both are is measured to the other
    digits: a way through digits would be near to those whatever lies between. None where no way leads, or where no
    digit is off it.
    """
    from scipy.sparse.csgraph import dijkstra

    lengths, before = dijkstra(graph, directed=False, indices=start, return_predecessors=True)
    if not np.isfinite(lengths[end]) or start == end:
        return None
    places = _back(before, start, end)
    if len(places) == len(vectors):
        return None
    path = vectors[places]
    gone = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    share = np.linspace(0, 1, steps)
    at = np.clip(np.searchsorted(gone, share * gone[-1], side="right") - 1, 0, len(path) - 2)
    part = ((share * gone[-1] - gone[at]) / (gone[at + 1] - gone[at]))[:, None].astype(np.float32)
    walked = (1 - part) * path[at] + part * path[at + 1]
    t = share[:, None].astype(np.float32)
    blended = (1 - t) * path[0] + t * path[-1]
    near = nearest(vectors, len(places) + 1, queries=np.concatenate([walked, blended]))
    others = (~np.isin(near.places, places)).argmax(axis=1)
    both = near.distances[np.arange(2 * steps), others].astype(np.float64)
    return Walk(places, share, walked, blended, both[:steps], both[steps:], greyness(walked), greyness(blended))


def greyness(vectors: NDArray[np.floating[Any]]) -> Floats:
    """How much of the ink of images (N, 784), 0…1, is neither light nor dark: the share of it between ¼ and ¾."""
    ink = vectors.sum(axis=1)
    grey = np.where((vectors > 0.25) & (vectors < 0.75), vectors, 0).sum(axis=1)
    return np.asarray(np.divide(grey, ink, out=np.zeros(len(vectors)), where=ink > 0), np.float64)

"""Mapper: a cloud of points summed up as a graph that can be looked at, with its branches and loops.

The points are looked at through a lens, a number or two for each; every one of its overlapping windows holds some,
these fall into clusters by their distances in all dimensions, a cluster is a node, and clusters that share points are
joined (Singh, Mémoli & Carlsson 2007). With the eccentricity for a lens, arms of the cloud are branches of the graph.

    >>> graph = mapper_of(ways.points, ways.eccentricity)
    >>> graph.components, graph.loops, len(graph.branches)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..report import need_libraries
from .neighbours import nearest

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

WINDOWS = 12  # along the lens
OVERLAP = 0.5  # of a window, with the next
DENSE_K = 3  # points that have to be within reach of a point for it to start or continue a cluster
REACH_K = 10  # the neighbour whose distance is taken for reach, large enough for a curve to hold together
REACH = 0.35  # the quantile of these distances over the points
LEAST_NODE = 0.003  # share of the points; smaller clusters are mostly chance


@dataclass(frozen=True, eq=False)
class MapperGraph:
    """Nodes of points and the links between nodes that share some.

    members: for each node the places of its points; links: (E, 2) of nodes, the smaller number first. component: (M,)
    the number of its connected component, the one of most points 0. branches: runs of nodes from a tip, which has one
    link, up to the first node of more than two links. loops: of the graph with its triangles filled.
    """

    members: tuple[Places, ...]
    links: NDArray[np.int64]
    component: NDArray[np.int64]
    branches: tuple[tuple[int, ...], ...]
    loops: int

    def __len__(self) -> int:
        return len(self.members)

    @property
    def components(self) -> int:
        return int(self.component.max(initial=-1)) + 1

    def covered(self) -> Places:
        """The places that are in any node."""
        return np.unique(np.concatenate(self.members)) if self.members else np.zeros(0, np.int64)

    def as_dict(self) -> dict[str, Any]:
        return {
            "nodes": len(self),
            "links": len(self.links),
            "components": self.components,
            "loops": self.loops,
            "branches": len(self.branches),
            "digits_in_nodes": len(self.covered()),
        }


def mapper_of(
    points: NDArray[np.floating[Any]], lens: NDArray[np.floating[Any]], *, windows: int = WINDOWS
) -> MapperGraph:
    """The Mapper graph of points (N, D), which are to be distinct, through a lens (N,) or (N, L); N at least DENSE_K.

    Clusters are those of DBSCAN, with one reach for all windows: the distance within which REACH of the points have
    REACH_K neighbours.
    """
    need_libraries("the Mapper graph", "kmapper", "sklearn", "scipy")
    from kmapper import Cover, KeplerMapper
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components
    from sklearn.cluster import DBSCAN

    reach = float(np.quantile(nearest(points, REACH_K).distances[:, -1], REACH))
    found = KeplerMapper(verbose=0).map(
        np.asarray(lens, np.float64).reshape(len(points), -1),
        points,
        cover=Cover(windows, OVERLAP),
        clusterer=DBSCAN(eps=max(reach, np.finfo(np.float32).tiny), min_samples=DENSE_K),
    )
    least = max(DENSE_K, LEAST_NODE * len(points))
    names = [name for name, members in found["nodes"].items() if len(members) >= least]
    # The same points can be a cluster of two windows: one node is enough.
    members = {tuple(sorted(found["nodes"][name])): name for name in names}
    number = {name: i for i, name in enumerate(members.values())}
    pairs = {tuple(sorted((number[a], number[b]))) for a, others in found["links"].items() for b in others
             if a in number and b in number}  # fmt: skip
    links = np.array(sorted(pairs), np.int64).reshape(-1, 2)
    joined = csr_matrix((np.ones(len(links)), (links[:, 0], links[:, 1])), (len(number),) * 2)
    places = tuple(np.array(each, np.int64) for each in members)
    component = np.zeros(0, np.int64)
    if places:
        _, piece = connected_components(joined, directed=False)
        held = [len(np.unique(np.concatenate([p for p, c in zip(places, piece, strict=True) if c == one])))
                for one in range(piece.max() + 1)]  # fmt: skip
        component = np.argsort(np.argsort(-np.array(held), kind="stable"), kind="stable")[piece]
    return MapperGraph(places, links, component, branches_of(links, len(places)), loops_of(links, len(places)))


def branches_of(links: NDArray[np.int64], nodes: int) -> tuple[tuple[int, ...], ...]:
    """Runs of nodes from each tip to before the node where the graph forks; a line without a fork has no branches."""
    near: list[list[int]] = [[] for _ in range(nodes)]
    for a, b in links.tolist():
        near[a].append(b)
        near[b].append(a)
    found = []
    for tip in range(nodes):
        if len(near[tip]) != 1:
            continue
        run, ahead = [tip], near[tip][0]
        while len(near[ahead]) == 2:
            run, ahead = [*run, ahead], next(n for n in near[ahead] if n != run[-1])
        if len(near[ahead]) > 2:
            found.append(tuple(run))
    return tuple(sorted(found, key=lambda run: (-len(run), run)))


def loops_of(links: NDArray[np.int64], nodes: int) -> int:
    """Independent loops of the graph once three nodes joined two by two are filled: those that are seen as holes."""
    from ripser import ripser

    if nodes < 4 or not len(links):
        return 0
    apart = np.full((nodes, nodes), 2.0)
    apart[links[:, 0], links[:, 1]] = apart[links[:, 1], links[:, 0]] = 1.0
    np.fill_diagonal(apart, 0)
    pairs = ripser(apart, distance_matrix=True, maxdim=1)["dgms"][1]
    return int(((pairs[:, 0] <= 1) & (pairs[:, 1] > 1)).sum())


def laid_out(at: Floats, *, width: float, height: float, apart: float, rounds: int = 300) -> Floats:
    """Places (M, 2) in a frame of this width and height for nodes at (M, 2), moved as little as keeps them `apart`.

    What is drawn is where nodes lie, which the force layouts of graph libraries would not keep.
    """
    span = np.maximum(np.ptp(at, axis=0), np.finfo(np.float64).tiny)
    frame = np.array([width, height])
    placed = (at - at.min(axis=0)) / span * (frame - apart) + apart / 2
    # Equal places have no direction to part in, so they get one of their own.
    angles = np.arange(len(at)) * 2.4
    placed = placed + 1e-3 * apart * np.column_stack([np.cos(angles), np.sin(angles)])
    for _ in range(rounds):
        offset = placed[:, None] - placed[None]
        gap = np.sqrt((offset**2).sum(axis=2))
        np.fill_diagonal(gap, np.inf)
        push = np.maximum(apart - gap, 0) / 2
        if not push.any():
            break
        placed = placed + 0.6 * (offset * (push / gap)[:, :, None]).sum(axis=1)
        placed = np.clip(placed, apart / 2, frame - apart / 2)
    return np.asarray(placed)

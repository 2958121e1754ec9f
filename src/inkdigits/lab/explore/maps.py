"""Maps: every digit as a point of the plane, by t-SNE or UMAP, and how far such a map can be trusted.

>>> found = tsne(scene.coarse, scene.near, seed=0)
>>> neighbour_accuracy(found, scene.labels)
0.972

t-SNE (van der Maaten and Hinton 2008) in its fast form (Linderman and others 2019) through openTSNE, with the settings
of Kobak and Berens 2019 where they matter: it begins with the first two principal components, so that the lie of the
islands means something, and its learning rate grows with the number of points. No labels are used.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...digits.dataset import CLASSES, Labels
from ..report import need_libraries
from .neighbours import Neighbours

PERPLEXITY = 10.0  # a third of the neighbours; 30, the usual one, takes three times as long and keeps no more of them
EARLY, EXAGGERATION = 60, 12.0  # steps in which neighbours are drawn together harder
LATE = 110  # steps after them
UMAP_NEIGHBOURS = 15
MANY = 10_000  # points from which a grid is quicker than a tree
LEAST_POINTS = 30  # fewer have no neighbourhoods to keep
JUDGED = 10  # neighbours that vote on a digit's class in the map, itself left out
TRUST_POINTS, TRUST_NEIGHBOURS = 4_000, 12
PAIRS = 20_000  # of points, whose distances are compared

Points = NDArray[np.float32]


def tsne(points: Points, near: Neighbours, *, seed: int, threads: int | None = None) -> Points:
    """A map float32 (N, 2) of points (N, D) with their nearest neighbours; begins with the points' first two axes.

    Fewer neighbours than three times PERPLEXITY lower it. The map of equal input is the same on every run.
    """
    need_libraries("a t-SNE map", "openTSNE")
    from openTSNE import TSNEEmbedding, affinity, initialization
    from openTSNE.nearest_neighbors import PrecomputedNeighbors

    known = PrecomputedNeighbors(near.places, near.distances.astype(np.float64))
    jobs = threads or -1
    likeness = affinity.PerplexityBasedNN(
        knn_index=known, perplexity=min(PERPLEXITY, near.k / 3), n_jobs=jobs, random_state=seed
    )
    method = "fft" if len(points) >= MANY else "bh"
    start = initialization.rescale(_jittered(points[:, :2], seed))
    embedding = TSNEEmbedding(start, likeness, negative_gradient_method=method, n_jobs=jobs, random_state=seed)
    for steps, pull, momentum in ((EARLY, EXAGGERATION, 0.5), (LATE, 1.0, 0.8)):
        embedding = embedding.optimize(steps, exaggeration=pull, momentum=momentum, learning_rate="auto", n_jobs=jobs)
    return np.asarray(embedding, np.float32)


def umap(points: Points, near: Neighbours, *, seed: int) -> Points:
    """A map float32 (N, 2) by UMAP (McInnes, Healy and Melville 2018), on one thread, or it would differ every time."""
    need_libraries("a UMAP map", "umap")
    with warnings.catch_warnings():
        # It says that new points cannot be put into the map, and that one thread is used: both are meant.
        warnings.simplefilter("ignore")
        from umap import UMAP

        k = min(UMAP_NEIGHBOURS, near.k + 1)
        # Its neighbours begin with the point itself.
        places = np.column_stack([np.arange(len(points)), near.places[:, : k - 1]]).astype(np.int32)
        distances = np.pad(near.distances[:, : k - 1], ((0, 0), (1, 0)))
        learner = UMAP(
            n_neighbors=k, precomputed_knn=(places, distances), init=_jittered(points[:, :2], seed), random_state=seed,
            n_jobs=1,
        )  # fmt: skip
        return np.asarray(learner.fit_transform(points), np.float32)


def _jittered(start: Points, seed: int) -> NDArray[np.float64]:
    """A start in which equal points lie a hair apart: no force could part them. Ten wide, as UMAP has it."""
    wide = np.abs(start).max() or 1.0
    spread = np.random.default_rng(seed).normal(scale=1e-4, size=start.shape)
    return 10 * (start.astype(np.float64) / wide + spread)


@dataclass(frozen=True)
class Quality:
    """How far a map can be trusted.

    trustworthiness: 0…1, one less for near points of the map that are far apart in truth (Venna and Kaski 2001), on a
    sample. kept: share of the 10 nearest in the map that are among the 10 nearest in truth. accuracy: of the vote of
    the 10 nearest in the map, the digit itself left out; None without labels. distances: rank correlation of the
    distances of random pairs with those in truth; sizes: of how densely points lie there with how densely here.
    """

    trustworthiness: float
    kept: float
    accuracy: float | None
    distances: float
    sizes: float


def quality(
    placed: Points, points: Points, near: Neighbours, labels: Labels | None, *, rng: np.random.Generator
) -> Quality:
    """Compares a map (N, 2) with the points (N, D) that it is of and their nearest neighbours."""
    from scipy.stats import spearmanr
    from sklearn.manifold import trustworthiness

    some = rng.choice(len(points), min(TRUST_POINTS, len(points)), replace=False)
    k = min(TRUST_NEIGHBOURS, max(1, len(some) // 2 - 1))
    here = nearest_in_plane(placed, min(JUDGED, len(points) - 1))
    truth = near.places[:, : here.k]
    kept = np.mean([np.isin(ours, theirs).mean() for ours, theirs in zip(here.places, truth, strict=True)])
    first, second = rng.integers(0, len(points), (2, PAIRS))
    apart = first != second
    first, second = first[apart], second[apart]
    far = np.linalg.norm(points[first] - points[second], axis=1)
    drawn = np.linalg.norm(placed[first] - placed[second], axis=1)
    return Quality(
        trustworthiness=float(trustworthiness(points[some], placed[some], n_neighbors=k)),
        kept=float(kept),
        accuracy=None if labels is None else _vote(here, labels),
        distances=_rank_correlation(spearmanr, far, drawn),
        sizes=_rank_correlation(spearmanr, near.distances[:, here.k - 1], here.distances[:, -1]),
    )


def _rank_correlation(spearmanr: Any, first: NDArray[Any], second: NDArray[Any]) -> float:
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(spearmanr(first, second).statistic)


def nearest_in_plane(placed: Points, k: int) -> Neighbours:
    """The k nearest others of each point of a map (N, 2): a tree is quicker here than comparing all."""
    from scipy.spatial import cKDTree

    distances, places = cKDTree(placed).query(placed, k=k + 1)
    itself = places == np.arange(len(placed))[:, None]
    itself[~itself.any(axis=1), -1] = True
    shape = (len(placed), k)
    return Neighbours(
        places[~itself].reshape(shape).astype(np.int64), distances[~itself].reshape(shape).astype(np.float32)
    )


def neighbour_accuracy(placed: Points, labels: Labels, *, k: int = JUDGED) -> float:
    """The share of digits whose class the vote of its k nearest in a map (N, 2) names, itself left out."""
    return _vote(nearest_in_plane(placed, min(k, len(placed) - 1)), labels)


def _vote(near: Neighbours, labels: Labels) -> float:
    return float((votes(near, labels).argmax(axis=1) == labels).mean())


def votes(near: Neighbours, labels: Labels) -> NDArray[np.float32]:
    """The share float32 (N, 10) of each class among the neighbours of a digit."""
    counts = np.zeros((len(near.places), CLASSES), np.float32)
    rows = np.repeat(np.arange(len(counts)), near.k)
    np.add.at(counts, (rows, labels[near.places].ravel()), 1)
    counts /= max(near.k, 1)
    return counts

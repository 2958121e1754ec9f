"""Two classifiers that scikit-learn lacks: neighbours whose parts may be a pixel off, and virtual support vectors.

>>> model = ShiftedNeighbours().fit(train.images, train.labels)
>>> model.score(test.images, test.labels)
0.9881

Both take digit images (N, 28, 28) and follow scikit-learn's conventions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone

from .preparation import Floats, blur, deskew, shifted, slopes

BLOCK = 200  # digits whose distances to all training digits are looked at together: 48 MB of float32 at 60,000
FOUR = ((-1, 0), (1, 0), (0, -1), (0, 1))  # one pixel up, down, left, right


class ShiftedNeighbours(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """k nearest neighbours of which every small patch may lie a pixel off.

    The `candidates` nearest upright digits by plain distance (slightly blurred, by `sigma`) are ranked again: each
    patch of three by three pixels of the asked digit is laid on the candidate wherever, within `reach` pixels, their
    slopes differ least, and the differences are added up. The `k` best vote by 1 / distance. This is the image
    distortion model of Keysers, Deselaers, Gollan and Ney 2007 ("Deformation Models for Image Recognition"), which
    leaves every patch to its own; to move the digit as a whole gains little once it stands upright and centred.
    """

    def __init__(self, *, k: int = 3, candidates: int = 40, reach: int = 1, sigma: float = 0.7) -> None:
        self.k, self.candidates, self.reach, self.sigma = k, candidates, reach, sigma

    def fit(self, images: NDArray[Any], labels: NDArray[Any]) -> ShiftedNeighbours:
        upright = deskew(images)
        self.known_ = blur(upright, self.sigma).reshape(len(images), -1)
        self.lengths_ = (self.known_**2).sum(axis=1)
        self.upright_ = np.rint(255 * upright).astype(np.uint8)  # a quarter of the memory
        self.labels_ = np.asarray(labels)
        self.classes_ = np.unique(labels)
        return self

    def predict(self, images: NDArray[Any]) -> NDArray[Any]:
        upright = deskew(images)
        blocks = (upright[start : start + BLOCK] for start in range(0, len(upright), BLOCK))
        return np.concatenate([self._said(block) for block in blocks])

    def _said(self, asked: Floats) -> NDArray[Any]:
        many = min(self.candidates, len(self.known_))
        plain = self.lengths_ - 2 * (blur(asked, self.sigma).reshape(len(asked), -1) @ self.known_.T)
        nearest = np.argpartition(plain, many - 1, axis=1)[:, :many]
        known = (slopes(self.upright_[index]) for index in nearest)
        distances = np.stack(
            [distorted_distance(one, some, self.reach) for one, some in zip(slopes(asked), known, strict=True)]
        )
        few = min(self.k, many)
        best = np.argpartition(distances, few - 1, axis=1)[:, :few]
        weights = 1 / np.maximum(np.take_along_axis(distances, best, axis=1), 1e-6)
        voted = self.labels_[np.take_along_axis(nearest, best, axis=1)]
        votes = np.stack([(weights * (voted == label)).sum(axis=1) for label in self.classes_], axis=1)
        return np.asarray(self.classes_[votes.argmax(axis=1)])


def distorted_distance(asked: Floats, known: Floats, reach: int) -> Floats:
    """From slopes (2, H, W) to those of each of (C, 2, H, W), every patch of three by three laid where it fits best.

    float32 (C,): squared differences over a patch, the least within `reach` pixels each way, summed over all patches.
    """
    height, width = asked.shape[1:]
    edge = [(0, 0), (0, 0), (reach, reach), (reach, reach)]
    around, least = np.pad(known, edge), np.full((len(known), height, width), np.inf, np.float32)
    patch = np.zeros((len(known), height + 2, width + 2), np.float32)
    for down in range(2 * reach + 1):
        for right in range(2 * reach + 1):
            apart = around[:, :, down : down + height, right : right + width] - asked
            patch[:, 1:-1, 1:-1] = np.einsum("ncij,ncij->nij", apart, apart)
            rows = patch[:, :-2] + patch[:, 1:-1] + patch[:, 2:]
            np.minimum(least, rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:], out=least)
    return np.asarray(least.sum(axis=(1, 2)), np.float32)


class VirtualExamples(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A support vector machine trained twice: on the digits, then on its support vectors and these a pixel off.

    Moving every digit would multiply the training set; only the support vectors decide, so only they are moved
    (DeCoste and Schölkopf 2002, "Training Invariant Support Vector Machines").

    Parameters
    ----------
    machine: a pipeline from digit images to a classifier with `support_` as its last step.
    """

    def __init__(self, machine: Any) -> None:
        self.machine = machine

    def fit(self, images: NDArray[Any], labels: NDArray[Any]) -> VirtualExamples:
        first = clone(self.machine).fit(images, labels)
        support = first[-1].support_
        kept, names = np.asarray(images)[support], np.asarray(labels)[support]
        virtual = [kept, *(shifted(kept, down, right) for down, right in FOUR)]
        self.machine_ = clone(self.machine).fit(np.concatenate(virtual), np.tile(names, len(virtual)))
        self.classes_ = self.machine_.classes_
        self.support_ = len(support)
        return self

    def predict(self, images: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(self.machine_.predict(images))

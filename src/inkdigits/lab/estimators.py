"""Two classifiers that scikit-learn lacks: neighbours that may be a pixel off, and support vectors moved by a pixel.

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

from .preparation import Floats, blur, deskew, shifted, unit

BLOCK = 200  # digits whose distances to all training digits are looked at together: 48 MB of float32 at 60,000
FOUR = ((-1, 0), (1, 0), (0, -1), (0, 1))  # one pixel up, down, left, right
EIGHT = (*FOUR, (-1, -1), (-1, 1), (1, -1), (1, 1))


class ShiftedNeighbours(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """k nearest neighbours whose distance is the least over small shifts of the asked digit.

    The `candidates` nearest by plain distance are ranked again by the least squared distance when the digit moves by
    up to `reach` pixels each way; the `k` best vote by 1 / distance. Exact shift-invariant search would compare
    with every training digit at every shift, 25 times the work for `reach=2`, and hardly ever decides otherwise. The
    poor man's tangent distance (Simard, LeCun and Denker 1993).
    """

    def __init__(
        self, *, k: int = 4, candidates: int = 100, reach: int = 2, upright: bool = True, sigma: float = 0.9
    ) -> None:
        self.k, self.candidates, self.reach = k, candidates, reach
        self.upright, self.sigma = upright, sigma

    def fit(self, images: NDArray[Any], labels: NDArray[Any]) -> ShiftedNeighbours:
        self.known_ = self._prepared(images).reshape(len(images), -1)
        self.lengths_ = (self.known_**2).sum(axis=1)
        self.labels_ = np.asarray(labels)
        self.classes_ = np.unique(labels)
        return self

    def predict(self, images: NDArray[Any]) -> NDArray[Any]:
        asked = self._prepared(images)
        return np.concatenate([self._said(asked[start : start + BLOCK]) for start in range(0, len(asked), BLOCK)])

    def _prepared(self, images: NDArray[Any]) -> Floats:
        array = deskew(images) if self.upright else unit(images)
        return blur(array, self.sigma) if self.sigma else array

    def _said(self, asked: Floats) -> NDArray[Any]:
        many = min(self.candidates, len(self.known_))
        plain = self.lengths_ - 2 * (asked.reshape(len(asked), -1) @ self.known_.T)
        nearest = np.argpartition(plain, many - 1, axis=1)[:, :many] if many < len(self.known_) else None
        if nearest is None:
            nearest = np.broadcast_to(np.arange(many), (len(asked), many))
        offsets = range(-self.reach, self.reach + 1)
        moved = np.stack([shifted(asked, down, right) for down in offsets for right in offsets], axis=1)
        moved = moved.reshape(len(asked), len(offsets) ** 2, -1)  # asked digit, shift, pixel
        least = np.empty((len(asked), many), np.float32)
        for place, index in enumerate(nearest):
            products = self.known_[index] @ moved[place].T
            lengths = (moved[place] ** 2).sum(axis=1)
            least[place] = (self.lengths_[index][:, None] + lengths - 2 * products).min(axis=1)
        few = min(self.k, many)
        best = np.argpartition(least, few - 1, axis=1)[:, :few]
        weights = 1 / np.maximum(np.take_along_axis(least, best, axis=1), 1e-6)
        voted = self.labels_[np.take_along_axis(np.asarray(nearest), best, axis=1)]
        votes = np.stack([(weights * (voted == label)).sum(axis=1) for label in self.classes_], axis=1)
        return np.asarray(self.classes_[votes.argmax(axis=1)])


class VirtualExamples(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A support vector machine trained twice: on the digits, then on its support vectors and these a pixel off.

    Moving every digit would multiply the training set; only the support vectors decide, so only they are moved
    (DeCoste and Schölkopf 2002, "Training Invariant Support Vector Machines").

    Parameters
    ----------
    machine: a pipeline from digit images to a classifier with `support_` as its last step.
    directions: 4 or 8 neighbours of a pixel.
    """

    def __init__(self, machine: Any, *, directions: int = 8) -> None:
        self.machine, self.directions = machine, directions

    def fit(self, images: NDArray[Any], labels: NDArray[Any]) -> VirtualExamples:
        first = clone(self.machine).fit(images, labels)
        support = first[-1].support_
        kept, names = np.asarray(images)[support], np.asarray(labels)[support]
        moves = EIGHT if self.directions == 8 else FOUR
        virtual = [kept, *(shifted(kept, down, right) for down, right in moves)]
        self.machine_ = clone(self.machine).fit(np.concatenate(virtual), np.tile(names, len(virtual)))
        self.classes_ = self.machine_.classes_
        self.support_ = len(support)
        return self

    def predict(self, images: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(self.machine_.predict(images))

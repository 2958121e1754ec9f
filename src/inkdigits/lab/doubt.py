"""Which labels are in doubt: confident learning on probabilities that a model gave to digits it had not learnt from.

>>> found = doubts_of(load_model("reader").predict(test.images).probabilities, test.labels)
>>> found.first[0].index, found.first[0].label, found.first[0].suggested
(9729, 5, 6)

After Northcutt, Jiang and Chuang 2021, "Confident learning: estimating uncertainty in dataset labels", Journal of
Artificial Intelligence Research 70: a digit counts confidently into a class if its probability for that class is at
least what the digits labelled so are given for it on average. One that counts into another class than its own label's
is flagged. A threshold for each class makes up for a model that is surer of some classes than of others. The order is
theirs too: by how much likelier the other class is than the label.

The probabilities must be out of sample. Of digits that a model has learnt by heart it has no doubts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .score import Mask, rounded

SHOWN = 50  # of the most doubtful: what a person looks through in a few minutes
ROUNDING = 1e-6  # the mean of equal probabilities may come out above them

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Doubt:
    """A digit whose label is in doubt.

    index: its row from 0; label: what it bears; suggested: the other digit it may be, and that one's probability.
    score: that less the probability of the label, −1…1; flagged: whether it counts confidently into `suggested`.
    contested: whether it is one of MNIST's test digits on whose label people do not agree.
    """

    index: int
    label: int
    suggested: int
    probability: float
    score: float
    flagged: bool
    contested: bool = False

    def as_dict(self) -> dict[str, Any]:
        known = {"index": self.index, "label": self.label, "suggested": self.suggested}
        found = {"probability": rounded(self.probability), "score": rounded(self.score), "flagged": self.flagged}
        return known | found | ({"contested": True} if self.contested else {})


@dataclass(frozen=True)
class Doubts:
    """What there is to say of the labels of a set.

    n: digits that were looked at; left_out: those that were not, since the model had learnt from them.
    flagged: how many count confidently into another class; disputed: for how many another class is the likeliest.
    first: the most doubtful, flagged ones before others. contested: how many of MNIST's contested labels are among the
    digits looked at, and in `first`; None where the set is not MNIST's test part.
    """

    n: int
    left_out: int
    flagged: int
    disputed: int
    first: tuple[Doubt, ...]
    contested: tuple[int, int] | None = None

    def as_dict(self) -> dict[str, Any]:
        """For `metrics.json`."""
        among, found = self.contested or (None, None)
        return {
            "n": self.n,
            "left_out": self.left_out,
            "flagged": self.flagged,
            "disputed": self.disputed,
            "contested": among,
            "contested_among_first": found,
            "first": [doubt.as_dict() for doubt in self.first],
        }


def doubts_of(
    probabilities: ArrayLike,
    labels: ArrayLike,
    *,
    seen: Mask | None = None,
    contested: Mask | None = None,
    rows: NDArray[np.integer] | None = None,
    ties: NDArray[np.floating[Any]] | None = None,
    most: int | None = SHOWN,
) -> Doubts:
    """The labels in doubt among N digits.

    Parameters
    ----------
    probabilities: (N, classes), from a model that did not learn from these digits; labels: (N,) of 0…classes − 1.
    seen: (N,), digits that it did learn from all the same. They are left out, of the thresholds too.
    contested: (N,), labels known to be contested. They change nothing but are told.
    rows: (N,), what the digits are called in place of 0…N − 1.
    ties: (N,), the order among those that are equally doubtful, the lowest first; else that of the rows.
    most: how many to give; None for all.
    """
    chances, given = np.asarray(probabilities, np.float64), np.asarray(labels, np.int64)
    place = np.arange(len(given)) if seen is None else np.flatnonzero(~seen)
    chances, given = chances[place], given[place]
    suggested, flagged = suggestions(chances, given)
    score = margins(chances, given, suggested)
    equal = np.arange(len(place)) if ties is None else np.asarray(ties)[place]
    order = np.lexsort((equal, -score, ~flagged))[:most]
    known = np.zeros(len(place), bool) if contested is None else contested[place]
    names = place if rows is None else np.asarray(rows)[place]
    first = tuple(
        Doubt(
            int(names[i]), int(given[i]), int(suggested[i]), float(chances[i, suggested[i]]), float(score[i]),
            bool(flagged[i]), bool(known[i]),
        )
        for i in order
    )  # fmt: skip
    told = (int(known.sum()), sum(doubt.contested for doubt in first)) if known.any() else None
    left_out = 0 if seen is None else int(seen.sum())
    return Doubts(len(place), left_out, int(flagged.sum()), int((score > 0).sum()), first, told)


def class_thresholds(probabilities: Floats, labels: NDArray[np.int64]) -> Floats:
    """For each class (C,) the mean probability that the digits labelled so get for it; infinite without any."""
    own = probabilities[np.arange(len(labels)), labels]
    n = np.bincount(labels, minlength=probabilities.shape[1])
    sums = np.bincount(labels, own, minlength=probabilities.shape[1])
    return np.where(n > 0, sums / np.maximum(n, 1), math.inf)


def suggestions(probabilities: Floats, labels: NDArray[np.int64]) -> tuple[NDArray[np.int64], Mask]:
    """For each digit (N,) the other class that it most likely is, and whether it counts confidently into it.

    Of several classes whose threshold a digit reaches, its own among them, it counts into the likeliest.
    """
    reached = probabilities >= class_thresholds(probabilities, labels) - ROUNDING
    counted = np.where(reached, probabilities, -1).argmax(axis=1)
    flagged = reached.any(axis=1) & (counted != labels)
    others = probabilities.copy()
    others[np.arange(len(labels)), labels] = -1
    return np.where(flagged, counted, others.argmax(axis=1)), flagged


def margins(probabilities: Floats, labels: NDArray[np.int64], suggested: NDArray[np.int64]) -> Floats:
    """By how much likelier (N,), −1…1, the suggested class is than the label: the paper's order within a class."""
    every = np.arange(len(labels))
    return probabilities[every, suggested] - probabilities[every, labels]

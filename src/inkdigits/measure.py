"""What a set of predictions is worth: accuracy and its interval, confusion, calibration, refusal, two models compared.

Pure functions on arrays; nothing here knows about images, models or files.

    >>> from inkdigits.measure import wilson_interval
    >>> low, high = wilson_interval(9_953, 10_000)
    >>> f"{low:.4f} {high:.4f}"
    '0.9938 0.9965'
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

CALIBRATION_BINS = 15  # as in Guo et al. 2017, so that figures compare
SMALLEST_PROBABILITY = float(np.finfo(np.float32).tiny)  # a float32 softmax underflows to 0: one digit costs ≤ 87 nats

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def accuracy(labels: ArrayLike, said: ArrayLike) -> float:
    """The share of `said` (N,) that equals `labels` (N,), 0…1. N must be at least 1."""
    right = np.asarray(labels) == np.asarray(said)
    if right.size == 0:
        raise ValueError("accuracy of no predictions")
    return float(right.mean())


def wilson_interval(right: int, n: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """The interval that holds the true rate behind `right` of `n`, with the given confidence.

    Wilson 1927: unlike the textbook ± it stays within 0…1 and is not empty at 0 or n right, where good models are.
    """
    if not 0 <= right <= n or n == 0:
        raise ValueError(f"wilson_interval of {right} right out of {n}")
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    rate, shrink = right / n, 1 + z * z / n
    centre = (rate + z * z / (2 * n)) / shrink
    half = z / shrink * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    # At the ends the formula gives exactly 0 and 1, but for rounding.
    return (0.0 if right == 0 else centre - half), (1.0 if right == n else centre + half)


def confusion_matrix(labels: ArrayLike, said: ArrayLike, *, classes: int = 10) -> Integers:
    """Counts int64 (classes, classes): row = label, column = what was said."""
    pairs = np.asarray(labels, np.int64) * classes + np.asarray(said, np.int64)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


@dataclass(frozen=True, eq=False)
class ClassScores:
    """Per class (C,): `precision`, `recall`, `f1` in 0…1, and `n`, the digits that bear the label.

    NaN where there is nothing to divide by: precision of a class never said, recall of one that does not occur.
    """

    precision: Floats
    recall: Floats
    f1: Floats
    n: Integers


def class_scores(confusion: NDArray[np.integer]) -> ClassScores:
    """Precision, recall and F1 of each class of a confusion matrix (C, C)."""
    hits, labelled, said = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    with np.errstate(invalid="ignore"):
        return ClassScores(hits / said, hits / labelled, 2 * hits / (labelled + said), labelled.astype(np.int64))


def negative_log_likelihood(probabilities: NDArray[np.floating], labels: ArrayLike) -> float:
    """Mean −ln of the probability (N, C) given to the label (N,), in nats: 0 is perfect, ln 10 ≈ 2.303 is guessing."""
    given = np.take_along_axis(np.asarray(probabilities, np.float64), np.asarray(labels, np.int64)[:, None], axis=1)
    return abs(float(np.log(np.maximum(given, SMALLEST_PROBABILITY)).mean()))


@dataclass(frozen=True, eq=False)
class Reliability:
    """How often the model was right among digits of which it was about equally sure.

    `edges` (B + 1,) of equal-width bins [lo, hi), the last one closed; per bin (B,) the number of digits `n`, their
    mean `confidence` and their `accuracy` (both NaN in an empty bin).
    """

    edges: Floats
    n: Integers
    confidence: Floats
    accuracy: Floats

    @property
    def expected_calibration_error(self) -> float:
        """Mean distance of confidence from accuracy, bins weighted by their digits, 0…1 (Naeini et al. 2015)."""
        used = self.n > 0
        gaps = np.abs(self.confidence[used] - self.accuracy[used])
        return float(np.average(gaps, weights=self.n[used]))


def reliability(confidence: ArrayLike, right: ArrayLike, *, bins: int = CALIBRATION_BINS) -> Reliability:
    """Bins the confidence (N,), 0…1, that went with each answer and counts which were `right` (N,), bool."""
    sure, hit = np.asarray(confidence, np.float64), np.asarray(right, np.float64)
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.searchsorted(edges, sure, side="right") - 1, 0, bins - 1)
    n = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean_confidence = np.bincount(place, weights=sure, minlength=bins) / n
        mean_accuracy = np.bincount(place, weights=hit, minlength=bins) / n
    return Reliability(edges, n, mean_confidence, mean_accuracy)


@dataclass(frozen=True, eq=False)
class RiskCoverage:
    """What share of the answers is wrong when only the surest are given.

    `coverage` (N,) rises from 1/N to 1, `risk` (N,) is the share of wrong ones among them. Answers of equal confidence
    have no order, so their errors count as spread evenly over them and the curve does not depend on the rows' order.
    """

    coverage: Floats
    risk: Floats

    @property
    def area(self) -> float:
        """Mean risk over all coverages, 0…1; smaller is better (AURC of Geifman & El-Yaniv 2017)."""
        return float(self.risk.mean())

    def risk_at(self, coverage: float) -> float:
        """The share of wrong ones among the surest `coverage` (0…1] of the answers."""
        kept = max(1, math.floor(coverage * len(self.risk) + 1e-9))  # 0.99 × 10,000 must not become 9,899
        return float(self.risk[kept - 1])


def risk_coverage(confidence: ArrayLike, right: ArrayLike) -> RiskCoverage:
    """The risk–coverage curve of answers with this `confidence` (N,) of which these were `right` (N,), bool."""
    sure, wrong = np.asarray(confidence, np.float64), 1.0 - np.asarray(right, np.float64)
    order = np.argsort(-sure, kind="stable")
    kept = np.arange(1, len(sure) + 1)
    last_of_tie = np.append(np.flatnonzero(np.diff(sure[order])), len(sure) - 1)
    errors = np.interp(kept, np.append(0, kept[last_of_tie]), np.append(0.0, np.cumsum(wrong[order])[last_of_tie]))
    return RiskCoverage(kept / len(sure), errors / kept)


def auroc(known: ArrayLike, strange: ArrayLike) -> float:
    """The chance that a random one of `strange` (M,) scores higher than a random one of `known` (N,); a tie is half.

    This is the area under the receiver operating characteristic: 1 tells them apart perfectly, 0.5 not at all. Neither
    may be empty.
    """
    ours, theirs = np.sort(np.asarray(known, np.float64)), np.asarray(strange, np.float64)
    below, upto = (np.searchsorted(ours, theirs, side=side).mean() for side in ("left", "right"))
    return float(below + upto) / (2 * len(ours))


@dataclass(frozen=True)
class McNemar:
    """Two models on the same digits: how many only the first and only the second got right, and the exact p-value."""

    only_first: int
    only_second: int
    p: float


def mcnemar(first_right: ArrayLike, second_right: ArrayLike) -> McNemar:
    """McNemar's test, exact and two-sided, from which digits each model got right (N,), bool.

    `p` is the chance of counts at least this uneven if both models erred equally often (McNemar 1947).
    """
    first, second = np.asarray(first_right, bool), np.asarray(second_right, bool)
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    return McNemar(only_first, only_second, _even_split_p(only_first, only_second))


def _even_split_p(a: int, b: int) -> float:
    """Two-sided p-value of a : b under a fair coin."""
    n, fewer = a + b, min(a, b)
    # In logarithms, for binomial coefficients of thousands overflow a float.
    log_chances = [math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1) for i in range(fewer + 1)]
    tail = math.fsum(math.exp(chance - n * math.log(2)) for chance in log_chances)
    return min(1.0, 2 * tail)

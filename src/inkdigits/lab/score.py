"""How many answers are right, and what a model's own refusal makes of that: the parts that every evaluation is made of.

>>> Score(10_000, 41).accuracy
0.9959
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import measure
from ..reader.model import Model, Predictions

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Score:
    """How many of `n` digits were read wrongly."""

    n: int
    errors: int

    @property
    def accuracy(self) -> float:
        return (self.n - self.errors) / self.n

    @property
    def interval95(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the accuracy."""
        return measure.wilson_interval(self.n - self.errors, self.n)

    def as_dict(self) -> dict[str, Any]:
        return {
            "n": self.n,
            "errors": self.errors,
            "accuracy": rounded(self.accuracy),
            "interval95": [rounded(end) for end in self.interval95],
        }


@dataclass(frozen=True)
class Refusal:
    """What the model's own thresholds do: how many digits it refuses, and the score on the others."""

    threshold: float
    refused: int
    answered: Score | None  # None where all are refused


def score_of(right: Mask) -> Score:
    """The score of answers that are right or not (N,)."""
    return Score(len(right), int((~right).sum()))


def refusal_of(right: Mask, predictions: Predictions, model: Model) -> Refusal | None:
    """What the model refuses of these answers, of which `right` (N,) are right; None from one that does not refuse."""
    refused = model.refused(predictions)
    if refused is None or model.novelty_threshold is None:
        return None
    answered = None if refused.all() else score_of(right[~refused])
    return Refusal(model.novelty_threshold, int(refused.sum()), answered)


def rounded(value: float) -> float | None:
    """Six significant digits, so that files stay readable; what is not a number is null, for JSON has no NaN."""
    return None if math.isnan(value) else float(f"{value:.6g}")

"""What turns a network's logits into honest numbers: a temperature, a score of novelty, and where to refuse.

All of it is fitted on digits that were held out of the training.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from ..digits.dataset import CLASSES

# Share of held-out digits that are refused: half of them as unlike a digit, half as too unsure which.
FALSE_REFUSALS = 0.01
PROTOTYPES = 10  # typical features of each class
# How much the distance to the nearest of them counts beside the log-odds of the eleventh class, both in standard
# deviations. Alone, distance tells clean digits from unseen kinds of strangers better, log-odds worn digits:
# benchmarks/novelty.py.
DISTANCE_SHARE = 0.5
# A second look, at the image with its strokes a pixel thicker each way, counts as far as it shows something that looks
# more like a digit: as the logistic function of TWICE times by how much the log-odds of novelty are lower, less MARGIN.
# It counts from DOUBT on, fully from one above it; one clean digit in ten looks that strange.
TWICE, MARGIN, DOUBT = 2.0, 1.0, -2.0
LEAST_SPREAD = 0.01  # of the score; what a network that says the same of everything differs by is rounding
SHORTEST = 1e-6  # of features: a vector of nothing but zeros has no direction

Floats = NDArray[np.float32]
Logits = NDArray[np.float64]
Look = tuple[Logits, Floats]  # what a network says of images: logits (N, 10 or 11) and features (N, D)


@dataclass(frozen=True, eq=False)
class Calibration:
    """The fitted numbers, as the model file carries them.

    Attributes
    ----------
    temperature: divides the logits; Guo et al., "On calibration of modern neural networks", 2017.
    novelty_centre, novelty_scale: where novelty is one half, and its spread. What is centred is the energy, −logsumexp
        of the digits' logits (Liu et al., "Energy-based out-of-distribution detection", 2020); in a network with an
        eleventh class, plus that class's logit: together its log-odds.
    least_confidence: below this probability of the likeliest digit an answer is refused as unsure.
    prototypes: float32 (K, D), typical features of length one, or None; `distance_weight` is what one minus the cosine
        of the angle to the nearest of them adds to the score, compared with the log-odds.
    second_look: whether an image that looks little like a digit is looked at again with thicker strokes.
    """

    temperature: float
    novelty_centre: float
    novelty_scale: float
    least_confidence: float = 0.0
    prototypes: Floats | None = None
    distance_weight: float = 0.0
    second_look: bool = False

    def score(self, logits: Logits, features: Floats) -> Logits:
        """How unlike a digit, before it is centred: float64 (N,) of logits (N, 10 or 11) and features (N, D)."""
        score = log_odds(logits)
        if self.prototypes is not None:
            score = score + self.distance_weight * distance(features, self.prototypes)
        return score

    def novelty(self, logits: Logits, features: Floats) -> Logits:
        """The same as a number in 0…1, float64 (N,)."""
        return _logistic(self.centred(logits, features))

    def centred(self, logits: Logits, features: Floats) -> Logits:
        """The log-odds of novelty, float64 (N,): 0 where an answer begins to be refused."""
        result: Logits = (self.score(logits, features) - self.novelty_centre) / self.novelty_scale
        return result

    def after_second_look(self, first: Look, second: Look) -> Logits:
        """The digits' logits (N, 10) with what the second look has shown."""
        strange = self.centred(*first)
        share = _logistic(TWICE * (strange - self.centred(*second) - MARGIN)) * np.clip(strange - DOUBT, 0, 1)
        one, other = (logits[:, :CLASSES] for logits, _ in (first, second))
        result: Logits = one + share[:, None] * (other - one)
        return result


def calibrate(
    logits: Logits,
    labels: NDArray[np.uint8],
    features: Floats | None = None,
    prototypes: Floats | None = None,
    *,
    second: Look | None = None,
) -> Calibration:
    """Fit a calibration on held-out digits: logits (N, 10), or (N, 11) with what is no digit, and labels (N,).

    The temperature is the one with the lowest negative log-likelihood. Novelty is the logistic function of the score,
    centred so that half of FALSE_REFUSALS of these digits lie above one half; the other half of them have less than the
    least confidence. Features (N, D) are needed where there are prototypes. `second` is what a second look shows, if
    there is to be one.
    """
    score, weight = log_odds(logits), 0.0
    if prototypes is not None and features is not None:
        away = distance(features, prototypes)
        weight = DISTANCE_SHARE * float(score.std()) / max(float(away.std()), 1e-9)
        score = score + weight * away
    centre = float(np.quantile(score, 1 - FALSE_REFUSALS / 2))
    fitted = Calibration(
        1.0, centre, max(float(score.std()), LEAST_SPREAD), 0.0, prototypes, weight, second_look=second is not None
    )
    digits = logits[:, :CLASSES]
    if second is not None:
        first = (logits, np.zeros((len(logits), 0), np.float32) if features is None else features)
        digits = fitted.after_second_look(first, second)
    temperature = _best_temperature(digits, labels)
    confidence = np.exp(digits.max(1) / temperature - log_sum(digits / temperature))
    least = float(np.quantile(confidence, FALSE_REFUSALS / 2))
    return replace(fitted, temperature=temperature, least_confidence=least)


def _best_temperature(digits: Logits, labels: NDArray[np.uint8]) -> float:
    low, high = np.log(0.05), np.log(20.0)
    golden = (np.sqrt(5) - 1) / 2

    def loss(log_temperature: float) -> float:
        scaled = digits / np.exp(log_temperature)
        return float((log_sum(scaled) - scaled[np.arange(len(labels)), labels]).mean())

    for _ in range(40):  # golden-section search: 40 steps narrow the range to 10⁻⁸
        left, right = high - golden * (high - low), low + golden * (high - low)
        low, high = (low, right) if loss(left) < loss(right) else (left, high)
    return float(np.exp((low + high) / 2))


def find_prototypes(features: Floats, labels: NDArray[np.uint8], *, seed: int) -> Floats:
    """Typical features of each class, float32 (K, D) of length one: the centres of a k-means clustering of its digits.

    Parameters
    ----------
    features, labels: of training digits, (N, D) and (N,); a class with fewer than PROTOTYPES digits has them all.
    """
    unit = _of_length_one(features)
    # As precise as is wanted: the centres move by less than a thousandth, or ten rounds are over.
    enough = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 10, 1e-3)
    centres = []
    for label in range(CLASSES):
        some = np.ascontiguousarray(unit[labels == label])
        if len(some) > PROTOTYPES:
            cv2.setRNGSeed(seed)
            some = cv2.kmeans(some, PROTOTYPES, None, enough, 1, cv2.KMEANS_PP_CENTERS)[2]  # type: ignore[call-overload]
        centres.append(some)
    return _of_length_one(np.concatenate(centres))


def distance(features: Floats, prototypes: Floats) -> Logits:
    """One minus the cosine of the angle to the nearest prototype, float64 (N,)."""
    result: Logits = 1 - (_of_length_one(features) @ prototypes.T).max(1).astype(np.float64)
    return result


def log_odds(logits: Logits) -> Logits:
    """Of what is no digit against the digits: float64 (N,) of logits (N, 11); of (N, 10), the energy."""
    stranger: Logits = logits[:, CLASSES] if logits.shape[1] > CLASSES else np.zeros(len(logits))
    return stranger - log_sum(logits[:, :CLASSES])


def log_sum(logits: Logits) -> Logits:
    """log Σ exp of each row (N, K)."""
    top = logits.max(1)
    result: Logits = top + np.log(np.exp(logits - top[:, None]).sum(1))
    return result


def _logistic(values: Logits) -> Logits:
    result: Logits = 1 / (1 + np.exp(-values))
    return result


def _of_length_one(features: Floats) -> Floats:
    length = np.linalg.norm(features, axis=1, keepdims=True)
    result: Floats = (features / np.maximum(length, np.float32(SHORTEST))).astype(np.float32)
    return result

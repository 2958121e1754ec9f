"""What is to be said about a model's answers on a set of digits: an `Evaluation`, measured from arrays alone.

    >>> from inkdigits import evaluate
    >>> evaluation = evaluate("ridge.onnx")
    >>> evaluation.accuracy, evaluation.wrong[0].label, evaluation.wrong[0].said
    (0.8542, 5, 9)

Accuracy is raw first. Beside it stand the figures that keep it honest: its interval, the same without the labels that
people do not agree on, without images that the model was trained on, and by halves of MNIST's test part.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import measure
from ..digits.dataset import CLASSES, Digits, Labels, overlap
from ..digits.formats import load_digits
from ..digits.mnist import CONTESTED_LABELS, NO_CONSENSUS
from ..reader.model import Model, Predictions
from .doubt import Doubts, doubts_of
from .report import percent
from .score import Mask, Refusal, Score, refusal_of, rounded, score_of
from .shift import Shift

HUMAN_LEVEL = 0.998  # the share of MNIST's test digits that people agree with its labels on, about
LEAST_SURE = 24  # right digits to show: three rows of a gallery
COVERAGES = (0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 1.0)  # where metrics.json samples the risk–coverage curve
HALF = 5_000  # MNIST's test part: the first half was written by students, the second by employees


@dataclass(frozen=True)
class Answer:
    """One digit: its row from 0, its label, what a model said, how sure it was (0…1) and its second choice.

    contested: whether it is one of MNIST's test digits on whose label people do not agree.
    """

    index: int
    label: int
    said: int
    confidence: float
    second: int
    contested: bool = False

    def as_dict(self) -> dict[str, Any]:
        said = {"said": self.said, "confidence": rounded(self.confidence), "second": self.second}
        return {"index": self.index, "label": self.label, **said} | ({"contested": True} if self.contested else {})


@dataclass(frozen=True)
class Comparison:
    """A second model on the same digits.

    test: McNemar's test, first model against second; overlap: how many of the digits the second was trained on, None if
    it does not say; unseen: both scores and the test on the digits that neither was trained on, None where that is all
    or none of them; mended: the first model's mistakes that the second does not make; broken: the second's mistakes
    that the first does not make; both surest first.
    """

    model: str
    score: Score
    test: measure.McNemar
    both_right: int
    both_wrong: int
    overlap: int | None
    unseen: tuple[Score, Score, measure.McNemar] | None
    mended: tuple[Answer, ...]
    broken: tuple[Answer, ...]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a model is worth on a set of labelled digits.

    The fields that depend on something are None without it: `without_contested` and `halves` (MNIST's test part, told
    by its pixels), `refusal` (a novelty threshold), `overlap` (the hashes of the training images), `without_overlap`
    (some overlap, and something left), `label_doubt` (a digit that it was not trained on), `input_scale` (a foreign
    model), `against` (a second model), `shift` (it was asked for), `metrics` and `report` (files were written).
    """

    model: str
    source: str
    score: Score
    without_contested: Score | None
    halves: tuple[Score, Score] | None
    overlap: int | None
    without_overlap: Score | None
    confusion: measure.Integers
    negative_log_likelihood: float
    reliability: measure.Reliability
    mean_confidence: float
    risk_coverage: measure.RiskCoverage
    refusal: Refusal | None
    wrong: tuple[Answer, ...]
    least_sure: tuple[Answer, ...]
    label_doubt: Doubts | None = None
    input_scale: str | None = None
    against: Comparison | None = None
    shift: Shift | None = None
    metrics: Path | None = None
    report: Path | None = None

    @property
    def n(self) -> int:
        return self.score.n

    @property
    def errors(self) -> int:
        return self.score.errors

    @property
    def accuracy(self) -> float:
        return self.score.accuracy

    @property
    def interval95(self) -> tuple[float, float]:
        return self.score.interval95

    @property
    def expected_calibration_error(self) -> float:
        return self.reliability.expected_calibration_error

    @property
    def class_scores(self) -> measure.ClassScores:
        return measure.class_scores(self.confusion)

    def as_dict(self) -> dict[str, Any]:
        """What `metrics.json` holds under "test": numbers only, no dates or paths, so that it can be compared.

        The shift has a place of its own there and its own `as_dict`.
        """
        found: dict[str, Any] = {"source": self.source, **self.score.as_dict()}
        found["input_scale"] = self.input_scale
        found["human_level"] = HUMAN_LEVEL
        found["without_contested"] = self.without_contested and self.without_contested.as_dict()
        first, second = self.halves or (None, None)
        found["halves"] = first and second and {"0-4999": first.as_dict(), "5000-9999": second.as_dict()}
        found["overlap"] = self.overlap
        found["without_overlap"] = self.without_overlap and self.without_overlap.as_dict()
        found["negative_log_likelihood"] = rounded(self.negative_log_likelihood)
        found["expected_calibration_error"] = rounded(self.expected_calibration_error)
        found["mean_confidence"] = rounded(self.mean_confidence)
        found["risk_coverage"] = {
            "area": rounded(self.risk_coverage.area),
            "risk": {f"{coverage:g}": rounded(self.risk_coverage.risk_at(coverage)) for coverage in COVERAGES},
        }
        found["refusal"] = self.refusal and {
            "threshold": rounded(self.refusal.threshold),
            "refused": self.refusal.refused,
            "rate": rounded(self.refusal.refused / self.n),
            "answered": self.refusal.answered and self.refusal.answered.as_dict(),
        }
        scores = self.class_scores
        columns = zip(scores.n.tolist(), scores.precision, scores.recall, scores.f1, strict=True)
        found["per_class"] = [
            {"digit": digit, "n": n, "precision": rounded(p), "recall": rounded(r), "f1": rounded(f)}
            for digit, (n, p, r, f) in enumerate(columns)
        ]
        found["confusion"] = self.confusion.tolist()
        bins = self.reliability
        rows = zip(bins.edges[:-1], bins.edges[1:], bins.n.tolist(), bins.confidence, bins.accuracy, strict=True)
        found["reliability"] = [
            {"from": rounded(lo), "to": rounded(hi), "n": n, "confidence": rounded(c), "accuracy": rounded(a)}
            for lo, hi, n, c, a in rows
        ]
        found["against"] = self.against and {
            "model": self.against.model,
            **self.against.score.as_dict(),
            "overlap": self.against.overlap,
            "only_first_right": self.against.test.only_first,
            "only_second_right": self.against.test.only_second,
            "both_right": self.against.both_right,
            "both_wrong": self.against.both_wrong,
            "mcnemar_p": rounded(self.against.test.p),
            "unseen_by_both": self.against.unseen
            and {
                "first": self.against.unseen[0].as_dict(),
                "second": self.against.unseen[1].as_dict(),
                "mcnemar_p": rounded(self.against.unseen[2].p),
            },
        }
        found["wrong"] = [answer.as_dict() for answer in self.wrong]
        found["least_sure"] = [answer.as_dict() for answer in self.least_sure]
        found["label_doubt"] = self.label_doubt and self.label_doubt.as_dict()
        return found

    def text(self) -> str:
        """What the command line prints: a few lines without the details, which are in the report."""
        low, high = self.interval95
        lines = [
            f"{self.model} on {self.source}: {percent(self.accuracy)} right, {self.errors:,} of {self.n:,} wrong "
            f"(95 % interval {100 * low:.2f} to {100 * high:.2f} %)"
        ]
        if self.input_scale:
            lines.append(f"a foreign model, given its pixels scaled as {self.input_scale!r}")
        if self.without_overlap:
            rest = self.without_overlap
            lines.append(f"without the images that it was trained on {percent(rest.accuracy)} of {rest.n:,}")
        if self.without_contested and self.halves:
            left_out = self.n - self.without_contested.n
            lines.append(
                f"without the {left_out} contested labels {percent(self.without_contested.accuracy)}; "
                f"first half {percent(self.halves[0].accuracy)}, second half {percent(self.halves[1].accuracy)}; "
                f"human level about {percent(HUMAN_LEVEL, 1)}"
            )
        lines.append(
            f"says {percent(self.mean_confidence)} sure on average (calibration error "
            f"{percent(self.expected_calibration_error)}, negative log-likelihood {self.negative_log_likelihood:.4f})"
        )
        if self.refusal:
            answered = self.refusal.answered
            lines.append(
                f"refuses {self.refusal.refused:,} of {self.n:,}"
                + (f"; of those answered {percent(answered.accuracy)} right" if answered else "")
            )
        if self.against:
            lines.append(self.against_text())
        if self.shift:
            lines.append(self.shift.text())
        if self.report:
            lines.append(f"wrong digits and figures: {self.report}")
        return "\n".join(lines)

    def warnings(self) -> list[str]:
        """What must not be overlooked: digits that a model was trained on."""
        seen = {self.model: self.overlap}
        if self.against:
            seen[self.against.model] = self.against.overlap
        return [
            f"warning: {count:,} of these {self.n:,} images are among those that {model} was trained on"
            for model, count in seen.items()
            if count
        ]

    def against_text(self) -> str:
        """The comparison with the second model in one sentence."""
        if self.against is None:
            return ""
        test = self.against.test
        p = f"p = {test.p:.2g}" if test.p >= 1e-6 else "p < 0.000001"
        enough = "more than chance explains" if test.p < 0.05 else "no more than chance explains"
        text = (
            f"against {self.against.model} ({percent(self.against.score.accuracy)} right): {test.only_first:,} digits "
            f"only {self.model} reads, {test.only_second:,} only the other; {enough} (McNemar's test, {p})"
        )
        if self.against.unseen:
            first, second, unseen = self.against.unseen
            text += (
                f"; on the {first.n:,} digits that neither was trained on {percent(first.accuracy)} against "
                f"{percent(second.accuracy)} (p = {unseen.p:.2g})"
            )
        return text


def measure_answers(digits: Digits, predictions: Predictions, model: Model) -> Evaluation:
    """Everything about one model's answers. Raises InputError if the digits have no labels."""
    labels, said = digits.need_labels("measure against"), predictions.labels
    right = said == labels
    confidence = predictions.confidence.astype(np.float64)
    contested = contested_in(digits)
    seen = _seen_in_training(digits, model)
    return Evaluation(
        model=model.name,
        source=digits.source,
        score=score_of(right),
        without_contested=score_of(right[~contested]) if contested.any() else None,
        halves=(score_of(right[:HALF]), score_of(right[HALF:])) if contested.any() else None,
        overlap=None if seen is None else int(seen.sum()),
        without_overlap=None if seen is None or not seen.any() or seen.all() else score_of(right[~seen]),
        confusion=measure.confusion_matrix(labels, said, classes=CLASSES),
        negative_log_likelihood=measure.negative_log_likelihood(predictions.probabilities, labels),
        reliability=measure.reliability(confidence, right),
        mean_confidence=float(confidence.mean()),
        risk_coverage=measure.risk_coverage(confidence, right),
        refusal=refusal_of(right, predictions, model),
        input_scale=model.input_scale,
        wrong=_answers(np.flatnonzero(~right), labels, predictions, contested, surest_first=True),
        least_sure=_answers(_least_sure(right, confidence), labels, predictions, contested, surest_first=False),
        label_doubt=None
        if seen is not None and seen.all()
        else doubts_of(predictions.probabilities, labels, seen=seen, contested=contested),
    )


def add_comparison(
    evaluation: Evaluation,
    digits: Digits,
    first: Predictions,
    second: Predictions,
    *,
    first_model: Model,
    model: Model,
) -> Evaluation:
    """The evaluation with a second `model`, which answered `second`, set beside `first_model`, which said `first`."""
    labels = digits.need_labels("measure against")
    first_right, second_right = first.labels == labels, second.labels == labels
    seen = _seen_in_training(digits, model)
    known = np.zeros(len(digits), bool)
    for mask in (seen, _seen_in_training(digits, first_model)):
        known |= False if mask is None else mask
    unseen = None
    if known.any() and not known.all():
        rights = first_right[~known], second_right[~known]
        unseen = score_of(rights[0]), score_of(rights[1]), measure.mcnemar(*rights)
    comparison = Comparison(
        model=model.name if model.name != evaluation.model else f"{model.name} ({model.path})",
        score=score_of(second_right),
        test=measure.mcnemar(first_right, second_right),
        both_right=int((first_right & second_right).sum()),
        both_wrong=int((~first_right & ~second_right).sum()),
        overlap=None if seen is None else int(seen.sum()),
        unseen=unseen,
        mended=tuple(answer for answer in evaluation.wrong if second_right[answer.index]),
        broken=_answers(
            np.flatnonzero(first_right & ~second_right), labels, second, contested_in(digits), surest_first=True
        ),
    )
    return replace(evaluation, against=comparison)


def is_mnist_test(digits: Digits) -> bool:
    """Whether these are exactly the images of MNIST's test part, whatever they are called."""
    if len(digits) != 2 * HALF:
        return False
    return np.array_equal(digits.images, load_digits("mnist", part="test").images)


def contested_in(digits: Digits) -> Mask:
    """Which of the digits (N,) are those of MNIST's test part on whose label people do not agree."""
    contested = np.zeros(len(digits), bool)
    if is_mnist_test(digits):
        contested[[*CONTESTED_LABELS, *NO_CONSENSUS]] = True
    return contested


def _seen_in_training(digits: Digits, model: Model) -> Mask | None:
    hashes = model.training_hashes()
    return None if hashes is None else overlap(digits.images, hashes)


def _least_sure(right: Mask, confidence: NDArray[np.float64]) -> NDArray[np.intp]:
    """The rows of the right answers that were given least surely."""
    index = np.flatnonzero(right)
    return index[np.argsort(confidence[index], kind="stable")[:LEAST_SURE]]


def _answers(
    index: NDArray[np.intp], labels: Labels, predictions: Predictions, contested: Mask, *, surest_first: bool
) -> tuple[Answer, ...]:
    said, confidence = predictions.labels, predictions.confidence
    index = index[np.argsort(-confidence[index] if surest_first else confidence[index], kind="stable")]
    second = predictions.probabilities[index].argsort(axis=1, kind="stable")[:, -2]
    return tuple(
        Answer(int(i), int(labels[i]), int(said[i]), float(confidence[i]), int(next_best), bool(contested[i]))
        for i, next_best in zip(index, second, strict=True)
    )

"""A model on images unlike those it was trained on: worn digits, digits of other people, and what is no digit.

$ inkdigits evaluate ridge.onnx --shift -o ridge
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..digits.dataset import Digits, Images
from ..measure import auroc
from ..reader.model import Model, Predictions
from .corrupt import CORRUPTIONS, HELD_BACK, SEED, corrupt
from .outside import FASHION_PACKAGE, non_digits, uci_digits
from .report import percent
from .score import Refusal, Score, refusal_of, rounded, score_of

MOST_DIGITS = 10_000  # of a larger set so many are taken, evenly spaced: their corruption takes most of a minute
EXAMPLES = 10  # pictures of each condition to show
FAMILIES_KEY = "augmentation_families"  # in a model's metadata: the corruptions that its training resembled

SPOKEN = {"fashion_mnist": "Fashion-MNIST", "uci_digits": "UCI digits", "blank": "plain sheets"}  # other than the name


@dataclass(frozen=True, eq=False)
class Condition:
    """Digits under one condition, and how they were read.

    refusal: None from a model that refuses nothing; trained_on: whether its training had anything like it, None where
    nobody says; examples: some of them, uint8 (K, 28, 28).
    """

    name: str
    score: Score
    refusal: Refusal | None
    trained_on: bool | None
    examples: Images

    def as_dict(self) -> dict[str, Any]:
        refusal = self.refusal
        refused = {
            "refused": refusal and refusal.refused,
            "answered": refusal and refusal.answered and refusal.answered.as_dict(),
        }
        return self.score.as_dict() | refused


@dataclass(frozen=True, eq=False)
class Strangers:
    """Images of a kind that is no digit.

    auroc: how well novelty tells them from the clean digits; refused: how many the model refuses; novelty: of each
    (N,); all None from a model that does not say how novel an image is. examples: some of them, uint8 (K, 28, 28).
    """

    name: str
    n: int
    auroc: float | None
    refused: int | None
    novelty: NDArray[np.float32] | None
    examples: Images

    def as_dict(self) -> dict[str, Any]:
        return {
            "n": self.n,
            "auroc": None if self.auroc is None else rounded(self.auroc),
            "refused": self.refused,
            "rate": None if self.refused is None else rounded(self.refused / self.n),
        }


@dataclass(frozen=True, eq=False)
class Shift:
    """What becomes of a model's answers when the images change.

    source: of the digits; clean: these as they are; corruptions: under each of the fifteen; others: digits that other
    people wrote; strangers: what is no digit, kind by kind; novelty: of the clean digits (N,), None from a model that
    does not say; threshold: the novelty above which it refuses, or None.
    """

    source: str
    clean: Condition
    corruptions: tuple[Condition, ...]
    others: Condition
    strangers: tuple[Strangers, ...]
    novelty: NDArray[np.float32] | None
    threshold: float | None

    @property
    def mean(self) -> float:
        """The accuracy under the fifteen corruptions, on average."""
        return _mean(self.corruptions)

    @property
    def held_back(self) -> tuple[Condition, ...]:
        """The corruptions that no training of this program uses."""
        return tuple(condition for condition in self.corruptions if condition.name in HELD_BACK)

    @property
    def held_back_mean(self) -> float:
        return _mean(self.held_back)

    @property
    def not_measured(self) -> str:
        """What could not be measured and why, as a sentence; or nothing."""
        if self.novelty is None:
            return "It does not say how novel an image is, so nothing tells how it would treat what is no digit."
        if all(kind.name != "fashion_mnist" for kind in self.strangers):
            return f"Fashion-MNIST is not among them: Debian's package {FASHION_PACKAGE} is not installed here."
        return ""

    def as_dict(self) -> dict[str, Any]:
        """What `metrics.json` holds under "shift"."""
        return {
            "source": self.source,
            "clean": self.clean.as_dict(),
            "mean": rounded(self.mean),
            "held_back": {
                "names": [condition.name for condition in self.held_back],
                "mean": rounded(self.held_back_mean),
            },
            "corruptions": {
                condition.name: condition.as_dict() | {"trained_on": condition.trained_on}
                for condition in self.corruptions
            },
            self.others.name: self.others.as_dict(),
            "not_digits": {kind.name: kind.as_dict() for kind in self.strangers},
            "not_measured": self.not_measured or None,
        }

    def text(self) -> str:
        """What the command line prints: the means, and a line for each condition and each kind."""
        head = (
            f"under the fifteen corruptions {percent(self.mean)} right on average, clean "
            f"{percent(self.clean.score.accuracy)}; under the six that our trainings leave out "
            f"{percent(self.held_back_mean)}"
        )
        blocks = [_aligned(self._read_rows()), _aligned(self._refused_rows()) if self.novelty is not None else ""]
        return "\n".join(filter(None, [head, *blocks, self.not_measured]))

    def _read_rows(self) -> list[tuple[str, ...]]:
        rows: list[tuple[str, ...]] = [("", "right", "refused", "right of the others", "trained on")]
        for condition in (self.clean, *self.corruptions, self.others):
            known = trained_text(condition) if condition in self.corruptions else ""
            rows.append((spoken(condition), percent(condition.score.accuracy), *refusal_texts(condition), known))
        return rows

    def _refused_rows(self) -> list[tuple[str, ...]]:
        rows: list[tuple[str, ...]] = [("no digits", "AUROC", "refused", "of")]
        return rows + [(spoken(kind), *stranger_texts(kind), f"{kind.n:,}") for kind in self.strangers]


def spoken(part: Condition | Strangers) -> str:
    """Its name for people."""
    return SPOKEN.get(part.name, part.name.replace("_", " "))


def trained_text(condition: Condition) -> str:
    return {True: "yes", False: "no", None: "unknown"}[condition.trained_on]


def refusal_texts(condition: Condition) -> tuple[str, str]:
    """The share refused, and of the others the share read correctly; dashes where there is none."""
    if condition.refusal is None:
        return "–", "–"
    answered = condition.refusal.answered
    refused = percent(condition.refusal.refused / condition.score.n, 1)
    return refused, percent(answered.accuracy) if answered else "–"


def stranger_texts(kind: Strangers) -> tuple[str, str]:
    """The AUROC and the share refused; dashes where there is none."""
    return (
        "–" if kind.auroc is None else f"{kind.auroc:.4f}",
        "–" if kind.refused is None else percent(kind.refused / kind.n, 1),
    )


def _aligned(rows: Sequence[tuple[str, ...]]) -> str:
    """Rows of a table as lines: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))]
        lines.append("  " + "  ".join(cells).rstrip())
    return "\n".join(lines)


def _mean(conditions: Sequence[Condition]) -> float:
    return fmean(condition.score.accuracy for condition in conditions)


def measure_shift(model: Model, digits: Digits, *, seed: int = SEED) -> Shift:
    """Reads the digits clean and under every corruption, the digits of other people, and what is no digit.

    Raises InputError if the digits have no labels, MissingExtraError where scipy or scikit-learn is not installed.
    """
    digits = digits.sample(MOST_DIGITS)
    labels = digits.need_labels("measure against")
    shown = np.unique(labels, return_index=True)[1]  # the first of each class
    others = uci_digits()
    clean = model.predict(digits.images)

    def corrupted(name: str) -> Condition:
        worse = Digits(corrupt(digits.images, name, seed=seed), labels)
        return _condition(name, worse, model, shown, trained_on=_trained_on(name, model))

    return Shift(
        source=digits.source,
        clean=_condition("clean", digits, model, shown, answers=clean),
        corruptions=tuple(map(corrupted, CORRUPTIONS)),
        others=_condition("uci_digits", others, model, np.arange(EXAMPLES)),
        strangers=tuple(
            _strangers(name, images, model, clean.novelty) for name, images in non_digits(digits, seed=seed).items()
        ),
        novelty=clean.novelty,
        threshold=model.novelty_threshold,
    )


def _condition(
    name: str,
    digits: Digits,
    model: Model,
    shown: NDArray[np.intp],
    *,
    trained_on: bool | None = None,
    answers: Predictions | None = None,
) -> Condition:
    answers = answers or model.predict(digits.images)
    right = answers.labels == digits.need_labels("measure against")
    return Condition(name, score_of(right), refusal_of(right, answers, model), trained_on, digits.images[shown])


def _strangers(name: str, images: Images, model: Model, clean: NDArray[np.float32] | None) -> Strangers:
    examples = images[np.linspace(0, len(images) - 1, EXAMPLES).astype(np.intp)]
    answers = model.predict(images)
    if clean is None or answers.novelty is None:
        return Strangers(name, len(images), None, None, None, examples)
    refused = model.refused(answers)
    count = None if refused is None else int(refused.sum())
    return Strangers(name, len(images), auroc(clean, answers.novelty), count, answers.novelty, examples)


def _trained_on(name: str, model: Model) -> bool | None:
    """Whether the model's training had anything like the corruption; None where its file does not say.

    A model of ours that says nothing was at least not trained on what all our trainings leave out.
    """
    said = model.metadata.get(FAMILIES_KEY)
    if said is not None:
        return name in {family.strip().lower().replace(" ", "_").replace("-", "_") for family in said.split(",")}
    return False if model.input_scale is None and name in HELD_BACK else None

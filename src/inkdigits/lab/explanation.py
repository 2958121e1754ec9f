"""What is to be said about why a model reads a digit so: an `Explanation`, in numbers and in words.

>>> from inkdigits import explain
>>> explain("reader", "mnist:test#4").digits[0].change_text()
'7 pixels of ink added at the top right would make it a 9'
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..digits.dataset import Images
from .attribution import Change, place_of, together
from .report import percent

RESULT, REPORT = "explanation.json", "report.html"  # what a folder of explanations holds beside its pictures


@dataclass(frozen=True)
class Neighbour:
    """A training digit near the one explained: its row in the training digits, its label and its distance."""

    index: int
    label: int
    distance: float
    image: Images


@dataclass(frozen=True, eq=False)
class Explanation:
    """One digit, explained.

    Attributes
    ----------
    name: the picture, or the data set and the digit's number in it.
    image: uint8 (28, 28), what the model saw; box: where that stood in the picture (x, y, width, height), or None.
    label: what it should have said, where that is known; contested: whether people disagree with the label.
    probabilities: float32 (10,); novelty and refused: what the model says of it being a digit at all, or None.
    occlusion, random_masks: float32 (28, 28), what each pixel is worth to the answer by either method, in nats.
    nearest: the training digits most like it, nearest first.
    change: the smallest change found that makes another digit of it, or None.
    refused_after: whether the model would refuse it after that change.
    """

    name: str
    image: NDArray[np.uint8]
    box: tuple[int, ...] | None
    label: int | None
    contested: bool
    probabilities: NDArray[np.float32]
    novelty: float | None
    refused: bool
    occlusion: NDArray[np.float32]
    random_masks: NDArray[np.float32]
    nearest: tuple[Neighbour, ...]
    change: Change | None
    refused_after: bool

    @property
    def answer(self) -> int:
        return int(self.probabilities.argmax())

    @property
    def confidence(self) -> float:
        return float(self.probabilities.max())

    @property
    def second(self) -> int:
        """The second likeliest digit."""
        return int(self.probabilities.argsort(kind="stable")[-2])

    @cached_property
    def evidence(self) -> NDArray[np.float32]:
        """Both maps as one, float32 (28, 28) in −1…1: what is shown."""
        return together(self.occlusion, self.random_masks)

    @property
    def agreement(self) -> float:
        """How well the two methods agree: the correlation of their maps, −1…1; 0 where one of them is flat."""
        first, second = self.occlusion.ravel(), self.random_masks.ravel()
        if min(first.std(), second.std()) == 0:
            return 0.0
        matrix = np.asarray(np.corrcoef(first, second))
        return float(matrix[0, 1])

    def caption(self) -> str:
        """What a person should know, in one sentence."""
        sure = f"({percent(self.confidence, 1)} sure)"
        text = f"Read as {self.answer} {sure}"
        if self.refused:
            text = f"Refused, the likeliest digit being {self.answer} {sure}"
        if self.label is not None and self.label != self.answer:
            text += f", though labelled {self.label}"
            text += " (a label that people dispute)" if self.contested else ""
        labels = [neighbour.label for neighbour in self.nearest]
        if labels:
            most = max((self.answer, *labels), key=labels.count)
            text += f"; {_of_all(labels.count(most), len(labels))} most similar training digits {_are(labels, most)}"
        return f"{text}; {self.change_text()}."

    def change_text(self) -> str:
        """The change in words: how much ink, where, and what comes of it."""
        if self.change is None:
            return "no small change of the ink makes it another digit"
        difference = self.change.image.astype(np.float32) - self.image
        parts = []
        for amount, part, verb in (
            (self.change.added, difference.clip(min=0), "added"),
            (self.change.removed, -difference.clip(max=0), "taken away"),
        ):
            if amount >= 0.05:
                place = place_of(part, self.image)
                parts.append(f"{_amount(amount)} of ink {verb} {'in' if place == 'middle' else 'at'} the {place}")
        text = f"{' and '.join(parts)} would make it {_a(self.change.digit)}"
        return text + (", which it would then refuse" if self.refused_after and not self.refused else "")

    def as_dict(self) -> dict[str, Any]:
        """What `explanation.json` holds of it."""
        return {
            "picture": self.name,
            "box": None if self.box is None else list(self.box),
            "label": self.label,
            "contested": self.contested,
            "digit": self.answer,
            "confidence": _rounded(self.confidence),
            "second": {"digit": self.second, "probability": _rounded(self.probabilities[self.second])},
            "novelty": None if self.novelty is None else _rounded(self.novelty),
            "refused": self.refused,
            "probabilities": [_rounded(value) for value in self.probabilities],
            "caption": self.caption(),
            "change": self.change
            and {
                "digit": self.change.digit,
                "probability": _rounded(self.change.probability),
                "pixels_of_ink_added": round(self.change.added, 2),
                "pixels_of_ink_removed": round(self.change.removed, 2),
                "refused": self.refused_after,
                "image": self.change.image.tolist(),
            },
            "nearest": [
                {"index": near.index, "label": near.label, "distance": _rounded(near.distance)} for near in self.nearest
            ],
            "agreement_of_methods": round(self.agreement, 3),
            "image": self.image.tolist(),
            "occlusion": self.occlusion.astype(float).round(3).tolist(),
            "random_masks": self.random_masks.astype(float).round(3).tolist(),
        }


@dataclass(frozen=True, eq=False)
class Explanations:
    """What `explain` gives back.

    Attributes
    ----------
    model: its name; input_scale: how a foreign one is given its pixels, or None.
    space: in what training digits are near: "features" (what the model's last layer sees) or "pixels".
    training: where these came from; among: how many there were; known: whether the model was trained on them.
    digits: the explanations, in the order of the pictures.
    empty: pictures in which there was nothing to explain, with the reason.
    unread: pictures that could not be read, with the error.
    output: the folder written, or None.
    """

    model: str
    input_scale: str | None
    space: str
    training: str
    among: int
    known: bool
    digits: tuple[Explanation, ...]
    empty: tuple[tuple[str, str], ...] = ()
    unread: tuple[str, ...] = ()
    output: Path | None = None

    def as_dict(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "input_scale": self.input_scale,
            "nearest_among": {
                "source": self.training,
                "n": self.among,
                "space": self.space,
                "trained_on": self.known,
            },
            "digits": [digit.as_dict() for digit in self.digits],
            "empty": [{"picture": name, "reason": reason} for name, reason in self.empty],
            "unread": list(self.unread),
        }

    def text(self) -> str:
        """What the command prints: a sentence a digit."""
        lines = [f"{digit.name}: {digit.caption()}" for digit in self.digits]
        lines += [f"{name}: nothing to explain ({reason})" for name, reason in self.empty]
        if self.output:
            lines.append(f"pictures and maps: {self.output / REPORT}")
        return "\n".join(lines)


def _of_all(count: int, n: int) -> str:
    return f"all {n}" if count == n else f"{count or 'none'} of the {n}"


def _are(labels: list[int], digit: int) -> str:
    return f"is {_a(digit)}" if labels.count(digit) == 1 else f"are {digit}s"


def _a(digit: int) -> str:
    return f"an {digit}" if digit == 8 else f"a {digit}"


def _amount(pixels: float) -> str:
    if pixels < 1.5:
        return "a pixel" if pixels >= 0.75 else "half a pixel"
    return f"{pixels:.0f} pixels"


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")

"""Reads the digits on a picture: a photograph, a scan, a drawing.

    >>> from inkdigits import read
    >>> read("photo.jpg").text
    '407'

A `Reader` opens its model once and may be used by several threads. What cannot be read is refused, with a reason.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..digits.dataset import SIDE, Images
from ..errors import InputError
from ..ink.cut import Layout, find_signs
from ..ink.glyph import in_one_piece, is_glyph
from ..ink.light import find_ink, ink_of_glyph
from ..ink.picture import Picture, open_picture
from .choose import Sign, choose_one, choose_signs, number_ends
from .model import Model, Predictions, load_model

# Why a picture is refused. "unreadable file" is for those who read many and go on.
BLANK, NOT_A_DIGIT, UNSURE, SEVERAL, TURNED, UNREADABLE = REASONS = (
    "blank", "not a digit", "unsure", "several digits", "turned", "unreadable file"
)  # fmt: skip
# How far the two thresholds of refusal are moved, in log-odds; the model brings those of "normal".
STRICTNESS = {"lenient": -1.5, "normal": 0.0, "strict": 1.5}
LEAST_CONFIDENCE = 0.5  # of a model that brings no threshold
BLANK_SPAN = 8  # grey levels that a blank digit image may span
LEAST_SHARE = 0.5  # of the ink, under `one`: where the digit has less there is something else too
# A page is taken for turned if at least LEAST_SIGNS signs are on it, most are unreadable, and most are not when turned.
LEAST_SIGNS, MOSTLY_NOT, MOSTLY = 6, 0.5, 0.8


@dataclass(frozen=True, eq=False)
class ReadDigit:
    """One sign of a reading.

    Attributes
    ----------
    digit: 0…9, or None for a sign that is not taken for a digit.
    confidence: the probability of the likeliest digit. novelty: 0…1, how unlike a digit.
    box: x, y, width, height in pixels of the upright picture.
    probabilities: of the ten digits. glyph: uint8 (28, 28), what the model saw.
    """

    digit: int | None
    confidence: float
    novelty: float
    box: tuple[int, int, int, int]
    probabilities: tuple[float, ...]
    glyph: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Reading:
    """What a picture says.

    Attributes
    ----------
    file: what the picture is called.
    text: lines of writing parted by line breaks, numbers on a line by spaces; "?" for a sign that is no sure digit.
    refused, reason: whether the reader would rather not answer, and which of REASONS; else None.
    digits: the signs in the order of the text.
    page: counted from 1, of a file with several. note: what is worth knowing about the picture.
    """

    file: str
    text: str
    refused: bool
    reason: str | None
    digits: tuple[ReadDigit, ...]
    page: int | None = None
    note: str | None = None


class Reader:
    """Reads pictures with one model; made once, safe to use from several threads.

    Parameters
    ----------
    model: the name of a shipped model, a run folder, an `.onnx` file, or a Model.
    threads: processor threads; all of them unless told otherwise.

    Raises ModelError if there is no such model.
    """

    def __init__(self, model: str | os.PathLike[str] | Model = "reader", *, threads: int | None = None) -> None:
        self.model = load_model(model, threads=threads)

    def read(
        self,
        picture: object,
        *,
        one: bool = False,
        best_guess: bool = False,
        digits_only: bool = False,
        strictness: str = "normal",
    ) -> Reading:
        """Read a picture.

        Parameters
        ----------
        picture: a path, the bytes of a file, a PIL image, an array of a picture, or a Picture. An array uint8 (28, 28)
            or (N, 28, 28) is digit images already and goes to the model as it is; so does a picture that is made as
            MNIST's are, unless the model has any doubt about it.
        one: the picture holds exactly one digit, whatever else is on it.
        best_guess: answer whatever it is; only a blank picture is still refused.
        digits_only: leave signs that are no digits out.
        strictness: a name in STRICTNESS; how soon an answer is refused.

        Raises InputError if it is no picture, or too small, large or elongated to be read.
        """
        how = _How(one, best_guess, digits_only, strictness)
        images = _digit_images(picture)
        if images is not None:
            return self._read_digit_images(images, how.limits(self.model))
        return self._read_all([picture if isinstance(picture, Picture) else open_picture(picture)], [how])[0]

    def read_many(self, pictures: Sequence[Picture], options: Sequence[Mapping[str, Any]]) -> list[Reading]:
        """Read several pictures, each as `read` does with its options; faster where many are digit images already.

        Those are shown to the model at once. Raises InputError for an unknown strictness.
        """
        return self._read_all(pictures, [_How(**each) for each in options])

    def _read_all(self, pictures: Sequence[Picture], hows: Sequence[_How]) -> list[Reading]:
        ready = [index for index, picture in enumerate(pictures) if is_glyph(picture.pixels)]
        readings: list[Reading | None] = [None] * len(pictures)
        if ready:
            said = self.model.predict(np.stack([pictures[index].pixels for index in ready]))
            for row, index in enumerate(ready):
                readings[index] = self._read_ready(pictures[index], said, row, hows[index])
        return [
            self._read_ink(picture, how) if reading is None else reading
            for reading, picture, how in zip(readings, pictures, hows, strict=True)
        ]

    def _read_ready(self, picture: Picture, said: Predictions, row: int, how: _How) -> Reading | None:
        """The reading of a picture that is a digit image already, by what was said of it; None if that is doubtful.

        Then it may be something else of that size, such as a small number of two digits, and is looked at as any other.
        Where one digit is expected, or the ink hangs together, less is enough to be sure that it is one.
        """
        confidence, novelty = float(said.confidence[row]), 0.0 if said.novelty is None else float(said.novelty[row])

        def doubted(shift: float) -> bool:
            return _Limits.of(self.model, shift, False).doubt(confidence, novelty) is not None

        if doubted(max(STRICTNESS["normal"], STRICTNESS[how.strictness])):
            return None
        if doubted(STRICTNESS["strict"]) and not how.one and not in_one_piece(picture.pixels):
            return None
        image = np.ascontiguousarray(picture.pixels)
        columns, lines = np.flatnonzero(image.any(axis=0)), np.flatnonzero(image.any(axis=1))
        left, top = int(columns[0]), int(lines[0])
        box = (left, top, int(columns[-1]) - left + 1, int(lines[-1]) - top + 1)
        label, shares = int(said.labels[row]), tuple(said.probabilities[row].tolist())
        digit = ReadDigit(label, confidence, novelty, box, shares, image)
        return Reading(picture.name, str(label), False, None, (digit,), picture.page, picture.note)

    def _read_ink(self, opened: Picture, how: _How) -> Reading:
        one, limits = how.one, how.limits(self.model)
        ink = ink_of_glyph(opened.pixels) if is_glyph(opened.pixels) else find_ink(opened.pixels)
        layout = find_signs(ink)
        if one:
            ruled = ink.rules.any() and not ink.blank  # where there are rules and nothing else, nothing is written
            layouts = [layout, *([find_signs(replace(ink, mask=ink.mask | ink.rules))] if ruled else [])]
            layouts = [each for each in layouts if each.lines]
            layout, sign = choose_one(layouts, self.model) if layouts else (layout, None)
            rows = [[sign]] if sign else []
        else:
            rows = choose_signs(layout, self.model) if layout.lines else []
        if not rows or (ink.faint and not self._has_digit(rows)):
            return Reading(opened.name, "", True, BLANK, (), opened.page, opened.note)
        reason = limits.reason_for_one(rows[0][0]) if one else limits.reason_for(rows)
        if reason is not None and not one and self._is_turned(opened, rows, limits):
            reason = TURNED
        text, digits = _written(rows, layout, opened.shrunk, limits, one=one, digits_only=how.digits_only)
        return Reading(opened.name, text, reason is not None, reason, digits, opened.page, opened.note)

    def _read_digit_images(self, images: Images, limits: _Limits) -> Reading:
        said = self.model.predict(images)
        novelty = np.zeros(len(images)) if said.novelty is None else said.novelty
        digits, reasons = [], []
        for index, (image, shares) in enumerate(zip(images, said.probabilities, strict=True)):
            confidence, strange = float(shares.max()), float(novelty[index])
            blank = int(image.max()) - int(image.min()) <= BLANK_SPAN
            reason = BLANK if blank else limits.doubt(confidence, strange)
            digit = None if reason else int(shares.argmax())
            box = (0, 0, SIDE, SIDE)
            digits.append(ReadDigit(digit, confidence, strange, box, tuple(shares.tolist()), image))
            reasons.append(reason)
        first = next((reason for reason in reasons if reason), None)
        text = "".join("" if reason == BLANK else _letter(digit) for digit, reason in zip(digits, reasons, strict=True))
        return Reading("array", text, first is not None, first, tuple(digits))

    def _has_digit(self, rows: list[list[Sign]]) -> bool:
        """Whether the model takes any of the signs for a digit; True from a model that cannot say."""
        most = self.model.novelty_threshold
        return most is None or any(sign.novelty <= most for row in rows for sign in row)

    def _is_turned(self, picture: Picture, rows: list[list[Sign]], limits: _Limits) -> bool:
        """Whether most signs are unreadable as the page lies, and most readable when it is turned."""
        signs = [sign for row in rows for sign in row]
        if len(signs) < LEAST_SIGNS or limits.answered(signs) > 1 - MOSTLY_NOT:
            return False
        for quarters in (1, 2, 3):
            layout = find_signs(find_ink(np.ascontiguousarray(np.rot90(picture.pixels, quarters))))
            turned = [sign for row in choose_signs(layout, self.model) for sign in row] if layout.lines else []
            if len(turned) >= LEAST_SIGNS and limits.answered(turned) >= MOSTLY:
                return True
        return False


def _digit_images(picture: object) -> Images | None:
    """The array as digit images (N, 28, 28), if that is what it is."""
    if not isinstance(picture, np.ndarray) or picture.dtype != np.uint8 or picture.shape[-2:] != (SIDE, SIDE):
        return None
    return picture.reshape(-1, SIDE, SIDE) if picture.ndim in (2, 3) and picture.size else None


@dataclass(frozen=True)
class _How:
    """How a picture is to be read: the options of `read`."""

    one: bool = False
    best_guess: bool = False
    digits_only: bool = False
    strictness: str = "normal"

    def __post_init__(self) -> None:
        if self.strictness not in STRICTNESS:
            expected = " or ".join(STRICTNESS)
            raise InputError("strictness", "unknown", expected=expected, found=str(self.strictness))

    def limits(self, model: Model) -> _Limits:
        return _Limits.of(model, STRICTNESS[self.strictness], self.best_guess)


@dataclass(frozen=True)
class _Limits:
    """Where an answer is refused: at more novelty, or less confidence."""

    novelty: float
    confidence: float

    @classmethod
    def of(cls, model: Model, shift: float, best_guess: bool) -> _Limits:
        if best_guess:
            return cls(math.inf, -math.inf)
        novelty = model.novelty_threshold
        confidence = model.confidence_threshold or LEAST_CONFIDENCE
        return cls(math.inf if novelty is None else _moved(novelty, -shift), _moved(confidence, shift))

    def doubt(self, confidence: float, novelty: float) -> str | None:
        """Why an answer would be refused, or None."""
        if novelty > self.novelty:
            return NOT_A_DIGIT
        return UNSURE if confidence < self.confidence else None

    def doubt_about(self, sign: Sign) -> str | None:
        return NOT_A_DIGIT if sign.group.small else self.doubt(sign.confidence, sign.novelty)

    def answered(self, signs: list[Sign]) -> float:
        """The share of signs, low ones left aside, that are answered."""
        high = [sign for sign in signs if not sign.group.small]
        return sum(self.doubt_about(sign) is None for sign in high) / max(1, len(high))

    def reason_for(self, rows: list[list[Sign]]) -> str | None:
        """Of a page: a sign as high as a digit that is none or unsure, or no digit at all.

        Low signs, such as a point or a minus, are "?" in the text and no reason to refuse the rest.
        """
        if self.novelty == math.inf:
            return None
        high = [sign for row in rows for sign in row if not sign.group.small]
        doubts = {self.doubt_about(sign) for sign in high} - {None}
        return UNSURE if UNSURE in doubts else NOT_A_DIGIT if doubts or not high else None

    def reason_for_one(self, sign: Sign) -> str | None:
        reason = self.doubt(sign.confidence, sign.novelty)
        return SEVERAL if reason is None and sign.share < LEAST_SHARE and self.novelty < math.inf else reason


def _moved(share: float, by: float) -> float:
    """A probability with its log-odds moved."""
    share = min(max(share, 1e-9), 1 - 1e-9)
    return 1 / (1 + math.exp(-(math.log(share / (1 - share)) + by)))


def _written(
    rows: list[list[Sign]], layout: Layout, shrunk: int, limits: _Limits, *, one: bool, digits_only: bool
) -> tuple[str, tuple[ReadDigit, ...]]:
    """The text of the chosen signs, and what is said of each."""
    lines, digits = [], []
    for row in rows:
        line = ""
        for sign, ends in zip(row, number_ends(row), strict=True):
            doubt = limits.doubt(sign.confidence, sign.novelty) if one else limits.doubt_about(sign)
            digit = _as_digit(sign, layout, shrunk, None if doubt else int(sign.probabilities.argmax()))
            if not (digits_only and digit.digit is None):
                digits.append(digit)
                line += _letter(digit)
            line += " " if ends else ""
        lines.append(" ".join(line.split()))
    return "\n".join(line for line in lines if line), tuple(digits)


def _letter(digit: ReadDigit) -> str:
    return "?" if digit.digit is None else str(digit.digit)


def _as_digit(sign: Sign, layout: Layout, shrunk: int, digit: int | None) -> ReadDigit:
    scale = layout.ink.scale * shrunk
    left, top = (corner * shrunk for corner in layout.ink.origin)
    x0, y0, x1, y1 = sign.group.box
    box = (
        round(left + x0 * scale),
        round(top + y0 * scale),
        max(1, round((x1 - x0) * scale)),
        max(1, round((y1 - y0) * scale)),
    )
    shares = tuple(sign.probabilities.tolist())
    return ReadDigit(digit, sign.confidence, sign.novelty, box, shares, sign.glyph)


@lru_cache(maxsize=4)
def _reader(model: str | Model, threads: int | None) -> Reader:
    return Reader(model, threads=threads)


def read(
    picture: object,
    model: str | os.PathLike[str] | Model = "reader",
    *,
    threads: int | None = None,
    **options: Any,
) -> Reading:
    """Read a picture with a model that is opened once and kept; `options` are those of `Reader.read`.

    Raises InputError if it is no picture, ModelError if there is no such model.
    """
    if isinstance(model, os.PathLike):
        model = os.fspath(model)
    return _reader(model, threads).read(picture, **options)

"""What the threads of the pool do: pictures read, digits told, for several requests at a time.

Each function takes what the requests ask and gives for each its body as JSON, or the ProblemError that it has.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...digits.arrays import check_images
from ...digits.dataset import PIXELS, SIDE, Images
from ...errors import InkdigitsError, InputError, MissingExtraError, ModelError
from ...ink.picture import UNKNOWN_KINDS, open_picture, open_pictures
from ...reader.answers import DECIMALS, as_object
from ...reader.read import UNREADABLE, Reader, Reading
from .bodies import FEW, Upload, of_json
from .metrics import Metrics
from .problems import ProblemError
from .settings import Limits

SMALL_BYTES = 16 << 10  # of a picture that is opened together with others …
SMALL_PIXELS = 256 * 256  # … and what it may have of these: few bytes can stand for very many
FIRST_BYTES = b"\x93NUMPY"
LONGEST_HEADER = 4096  # bytes, of a .npy body; one of numbers takes 128


class LargeError(Exception):
    """Not a picture that can be read together with others: large, of several pages, or none at all."""


@dataclass(eq=False)
class ReadAsk:
    """Pictures to read, and how; `left` is set when nobody waits for the answer any more."""

    uploads: Sequence[Upload]
    one: bool = False
    best_guess: bool = False
    glyphs: bool = False
    left: bool = False

    @property
    def small(self) -> bool:
        return len(self.uploads) == 1 and len(self.uploads[0].content) <= SMALL_BYTES

    @property
    def options(self) -> dict[str, Any]:
        return {"one": self.one, "best_guess": self.best_guess}


@dataclass(frozen=True, eq=False)
class DigitsAsk:
    """A body with digit images, as JSON or as .npy."""

    body: bytes
    npy: bool

    @property
    def size(self) -> int:
        """Images in it, at most."""
        return len(self.body) // (PIXELS if self.npy else 2 * PIXELS) + 1


class Answers:
    """Answers with one reader; its methods may be called by several threads at once."""

    def __init__(self, reader: Reader, limits: Limits, metrics: Metrics) -> None:
        self.reader, self.limits, self.metrics = reader, limits, metrics
        model = reader.model
        self.model = {"name": model.name, "version": model.metadata.get("version") or model.metadata.get("format")}

    def read_small(self, asks: Sequence[ReadAsk]) -> list[bytes | Exception]:
        """Of requests with one small picture each; those that are digit images are shown to the model at once.

        What cannot be read like that is answered with LargeError, and has to be asked as large.
        """
        answers: list[bytes | Exception] = [LargeError() for _ in asks]
        opened = []
        most_pixels = min(SMALL_PIXELS, self.limits.pixels)
        for index, ask in enumerate(asks):
            upload = ask.uploads[0]
            try:
                picture = open_picture(upload.content, upload.name, most_pixels=most_pixels)
            except InkdigitsError:
                continue  # read alone, it is told what is wrong
            if picture.page is None:
                opened.append((index, picture))
        try:
            options = [asks[index].options for index, _ in opened]
            readings = self.reader.read_many([picture for _, picture in opened], options)
        except Exception:  # one of them, whatever it does, must not spoil the others' answers
            opened, readings = [], []
        for (index, _), reading in zip(opened, readings, strict=True):
            answers[index] = self._body([(reading, None)], asks[index])
        return answers

    def read_large(self, asks: Sequence[ReadAsk]) -> list[bytes | Exception]:
        """Of requests with any pictures, one after another, so that no more than one is in memory."""
        answers: list[bytes | Exception] = []
        for ask in asks:
            try:
                answers.append(self._body(list(self._readings(ask)), ask))
            except Exception as error:  # it is for the one who asked
                answers.append(error)
        return answers

    def _readings(self, ask: ReadAsk) -> Iterator[tuple[Reading, InkdigitsError | None]]:
        count = 0
        for upload in ask.uploads:
            try:
                for picture in open_pictures(upload.content, upload.name, most_pixels=self.limits.pixels):
                    if ask.left:
                        return
                    count += 1
                    if count > self.limits.pictures:
                        raise ProblemError(413, f"more than {self.limits.pictures} pictures or pages in one request")
                    yield self.reader.read(picture, **ask.options), None
            except ModelError:
                raise
            except InkdigitsError as error:
                yield Reading(upload.name, "", True, UNREADABLE, (), note=str(error)), error

    def _body(self, readings: list[tuple[Reading, InkdigitsError | None]], ask: ReadAsk) -> bytes:
        errors = [error for _, error in readings if error is not None]
        for reading, _ in readings:
            self.metrics.pictures.labels(reading.reason or "read").inc()
        if not ask.left and len(errors) == len(readings):
            unknown = [isinstance(error, MissingExtraError) or error.what in UNKNOWN_KINDS for error in errors]
            raise ProblemError(415 if all(unknown) else 422, str(errors[0]))
        objects = [as_object(reading, glyphs=ask.glyphs) for reading, _ in readings]
        return _json({"model": self.model, "readings": objects})

    def digits(self, asks: Sequence[DigitsAsk]) -> list[bytes | Exception]:
        """Of requests with digit images, all of them shown to the model at once."""
        taken: list[Images | ProblemError] = []
        for ask in asks:
            try:
                taken.append(self._images(ask))
            except ProblemError as problem:
                taken.append(problem)
        parts = [part for part in taken if not isinstance(part, ProblemError)]
        if not parts:
            return [part for part in taken if isinstance(part, ProblemError)]
        said = self.reader.model.predict(np.concatenate(parts) if len(parts) > 1 else parts[0])
        refused = self.reader.model.refused(said)
        self.metrics.digits.inc(sum(map(len, parts)))
        answers: list[bytes | Exception] = []
        start = 0
        for part in taken:
            if isinstance(part, ProblemError):
                answers.append(part)
                continue
            place = slice(start, start := start + len(part))
            answer = {
                "model": self.model,
                "labels": said.labels[place].tolist(),
                "confidences": _rounded(said.confidence[place]),
                "novelties": None if said.novelty is None else _rounded(said.novelty[place]),
                "refused": None if refused is None else refused[place].tolist(),
            }
            answers.append(_json(answer))
        return answers

    def _images(self, ask: DigitsAsk) -> Images:
        if ask.npy:
            images = _images_of_npy(ask.body)
        else:
            images = _images_of_json(of_json(ask.body, self.limits.digits + FEW), self.limits.digits)
        if not len(images):
            raise ProblemError(422, "no digits in the request")
        if len(images) > self.limits.digits:
            raise ProblemError(413, f"more than {self.limits.digits:,} digits in one request")
        return images


def _images_of_json(content: Any, most: int) -> Images:
    rows = content.get("images") if isinstance(content, dict) else None
    if not isinstance(rows, list):
        raise ProblemError(422, 'expected {"images": [[784 integers 0…255], …]}')
    if len(rows) > most:
        raise ProblemError(413, f"more than {most:,} digits in one request")
    packed = bytearray()
    for number, row in enumerate(rows, 1):
        if not isinstance(row, list) or len(row) != PIXELS:
            found = f"{len(row)} values" if isinstance(row, list) else "something else"
            raise ProblemError(422, f"images, row {number}: expected {PIXELS} integers, found {found}")
        try:
            if set(map(type, row)) != {int}:
                raise ValueError
            packed += bytes(row)
        except ValueError:
            raise ProblemError(422, f"images, row {number}: a pixel is not an integer 0…255") from None
    return np.frombuffer(packed, np.uint8).reshape(-1, SIDE, SIDE)


def _images_of_npy(body: bytes) -> Images:
    """The array of a .npy body. Its header is checked against what is there before anything is made of it."""
    stream = io.BytesIO(body)
    try:
        version = np.lib.format.read_magic(stream)
        readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        shape, columns_first, dtype = readers[version](stream, max_header_size=LONGEST_HEADER)
    except Exception:  # a header is Python's literals, and may be wrong in any way
        raise ProblemError(400, "the body is not a .npy file") from None
    if not all(type(side) is int and side >= 0 for side in shape):
        raise ProblemError(400, "the .npy body has a shape that is none")
    if dtype.hasobject or dtype.kind not in "ui":
        raise ProblemError(422, f"expected integers 0…255 in the .npy body, found {dtype}"[:200])
    count = 1
    for side in shape:
        count *= side
    left = len(body) - stream.tell()
    if count == 0:
        raise ProblemError(422, "no digits in the request")
    if count * dtype.itemsize != left:
        raise ProblemError(400, f"the .npy body is cut short or too long: {left:,} bytes for the shape {shape}"[:200])
    try:
        array = np.frombuffer(body, dtype, offset=stream.tell())
        return check_images(array.reshape(shape, order="F" if columns_first else "C"), "body")
    except (InputError, ValueError, OverflowError) as error:
        raise ProblemError(422, str(error)) from None


def _rounded(values: Any) -> list[float]:
    return [round(value, DECIMALS) for value in values.tolist()]


def _json(content: dict[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")

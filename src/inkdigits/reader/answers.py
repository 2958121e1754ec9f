"""Many pictures read one after another, and the forms in which the answers are handed on: text, JSON, a table.

    $ inkdigits read a.jpg b.jpg
    a.jpg	407
    b.jpg	52 19

A picture that cannot be read is an answer too, so that those after it are still read.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path, PurePath
from typing import Any

from PIL import Image

from ..digits.files import write_whole, write_whole_folder
from ..errors import InkdigitsError, ModelError
from ..ink.picture import Picture, open_pictures
from .annotate import annotate
from .read import NOT_A_DIGIT, UNREADABLE, UNSURE, ReadDigit, Reader, Reading

STANDARD_INPUT = "-"
DECIMALS = 6  # of probabilities in JSON
REVIEW_CONFIDENCE = 0.9  # a digit given with less than this, as under --best-guess, is marked for review
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # how one begins
DRAWING_MARK = ".inkdigits-read"  # lies in a folder of drawings, so that it, and no other, can be replaced

HEADER = [
    *("file", "page", "line", "number", "position", "digit", "confidence", "novelty", "x", "y", "width", "height"),
    *("second", "second_probability", "review", "reason"),
]  # fmt: skip


@dataclass(frozen=True, eq=False)
class Answer:
    """What became of one picture: a reading and the picture it is of, or the error that there was instead of one."""

    reading: Reading
    picture: Picture | None = None
    error: InkdigitsError | None = None

    @property
    def label(self) -> str:
        """The file, with the page where it has several."""
        page = self.reading.page
        return self.reading.file if page is None else f"{self.reading.file}, page {page}"


def read_all(sources: Iterable[str | os.PathLike[str]], reader: Reader, **options: Any) -> Iterator[Answer]:
    """Read every picture of every file, in the order given; of a file with several pages each page.

    `-` is standard input; `options` are those of `Reader.read`. A file that cannot be read is an Answer with an error.
    Raises ModelError if the model fails.
    """
    for source in sources:
        name = os.fspath(source)
        stream = getattr(sys.stdin, "buffer", None) if name == STANDARD_INPUT else None
        try:
            for picture in open_pictures(stream or source, name):
                yield Answer(reader.read(picture, **options), picture)
        except ModelError:
            raise
        except InkdigitsError as error:
            yield Answer(Reading(name, "", True, UNREADABLE, (), note=str(error)), error=error)


def json_line(reading: Reading, *, glyphs: bool = False) -> str:
    """The reading as the JSON object of the contract, on one line; with `glyphs`, what the model saw of each digit."""
    return json.dumps(as_object(reading, glyphs=glyphs), ensure_ascii=False)


def as_object(reading: Reading, *, glyphs: bool = False) -> dict[str, Any]:
    """The same before it is written as JSON; `page` and `note` only where there are any."""
    said = {"file": reading.file, "text": reading.text, "refused": reading.refused, "reason": reading.reason}
    extra = {"page": reading.page, "note": reading.note}
    digits = [_digit_object(digit, glyphs) for digit in reading.digits]
    return {**said, **{name: value for name, value in extra.items() if value is not None}, "digits": digits}


def _digit_object(digit: ReadDigit, glyphs: bool) -> dict[str, Any]:
    said: dict[str, Any] = {
        "digit": digit.digit,
        "confidence": round(digit.confidence, DECIMALS),
        "novelty": round(digit.novelty, DECIMALS),
        "box": list(digit.box),
        "probabilities": [round(share, DECIMALS) for share in digit.probabilities],
    }
    if glyphs:
        png = io.BytesIO()
        Image.fromarray(digit.glyph).save(png, "PNG")
        said["glyph"] = base64.b64encode(png.getvalue()).decode("ascii")
    return said


def text_lines(answer: Answer, *, named: bool) -> str:
    """What was read, line by line as it was written; `named`, each line with its file before it, parted by a tab."""
    lines = answer.reading.text.split("\n")
    return "\n".join(f"{answer.label}\t{line}" if named else line for line in lines)


@contextmanager
def open_table(path: str | os.PathLike[str], reader: Reader) -> Iterator[Callable[[Reading], None]]:
    """A CSV that takes readings, a row for each digit, and appears whole or not at all when the block ends.

    A picture without digits has one row too, so that none is missing. Raises OutputError if the file cannot be written.
    """
    with write_whole(path) as beside, beside.open("w", encoding="utf-8", errors="replace", newline="") as text:
        table = csv.writer(text, lineterminator="\n")
        table.writerow(HEADER)
        yield lambda reading: table.writerows(rows(reader, reading))


def rows(reader: Reader, reading: Reading) -> Iterator[list[object]]:
    """The rows of a reading under HEADER; what there is nothing to say about is empty.

    `line` counts lines of writing, `number` the numbers on it, `position` the signs of the number, all from 1. `review`
    is 1 where a person should look, and `reason` says why.
    """
    file, page = _cell(reading.file), "" if reading.page is None else reading.page
    if not reading.digits:
        yield [file, page, *[""] * (len(HEADER) - 4), int(reading.refused), reading.reason or ""]
    doubts = [_doubt(reader, digit) for digit in reading.digits]
    if reading.refused and not any(doubts):  # as where a page is turned: no digit is doubtful, but the whole is
        doubts = [reading.reason or UNSURE] * len(doubts)
    for place, digit, doubt in zip(_places(reading), reading.digits, doubts, strict=True):
        order = sorted(range(len(digit.probabilities)), key=lambda label: -digit.probabilities[label])
        second = order[0] if digit.digit is None else next(label for label in order if label != digit.digit)
        yield [
            *(file, page, *place, "?" if digit.digit is None else digit.digit),
            *(f"{digit.confidence:.4f}", f"{digit.novelty:.4f}", *digit.box),
            *(second, f"{digit.probabilities[second]:.4f}", int(bool(doubt)), doubt),
        ]  # fmt: skip


def _cell(file: str) -> str:
    """The name of a file as a table may have it: spreadsheets take for a formula what begins like one (CWE-1236)."""
    return f"./{file}" if file != STANDARD_INPUT and file.startswith(FORMULA) else file


def _doubt(reader: Reader, digit: ReadDigit) -> str:
    """Why a person should look at a digit; nothing if nobody need."""
    threshold = reader.model.novelty_threshold
    strange = threshold is not None and digit.novelty > threshold
    unsure = digit.confidence < REVIEW_CONFIDENCE
    if digit.digit is None:
        return UNSURE if unsure and not strange else NOT_A_DIGIT
    return UNSURE if unsure or strange else ""


def _places(reading: Reading) -> Iterator[tuple[int | str, int | str, int | str]]:
    """For each digit its line, its number on it and its place in that; empty where the text leaves it out."""
    places = (
        (line, number, position)
        for line, numbers in enumerate(reading.text.split("\n"), 1)
        for number, word in enumerate(numbers.split(), 1)
        for position in range(1, len(word) + 1)
    )
    written = sum(map(len, reading.text.split()))
    for digit in reading.digits:
        left_out = digit.digit is None and written < len(reading.digits)
        yield ("", "", "") if left_out else next(places, ("", "", ""))


@contextmanager
def open_drawings(path: str | os.PathLike[str]) -> Iterator[Callable[[Answer], None]]:
    """A folder that takes the drawing of each answer, `NAME-read.png`, and appears when the block ends.

    Replaces an earlier folder of drawings. Raises OutputError if there is something else in it, or if it cannot be
    written.
    """
    with write_whole_folder(path, mark=DRAWING_MARK, is_ours=_is_drawing) as beside:

        def draw(answer: Answer) -> None:
            if answer.picture is not None:
                # Little packing: the pictures are looked at and thrown away, and it takes a third of the time.
                annotate(answer.picture, answer.reading).save(_free_name(beside, answer.reading), compress_level=1)

        yield draw


def _is_drawing(place: PurePath) -> bool:
    return re.fullmatch(r".+-read(-\d+)?\.png", place.as_posix()) is not None


def _free_name(folder: Path, reading: Reading) -> Path:
    stem = "input" if reading.file == STANDARD_INPUT else PurePath(reading.file).stem[:100]
    name = f"{stem}-read" if reading.page is None else f"{stem}-page{reading.page}-read"
    tries = (folder / f"{name}{ending}.png" for ending in chain([""], (f"-{number}" for number in count(2))))
    return next(path for path in tries if not path.exists())

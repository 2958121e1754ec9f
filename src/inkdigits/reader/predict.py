"""A file of digit images in, a submission file out.

$ inkdigits predict test.csv -m runs/kaggle -o submission.csv
28,000 digits from test.csv read by kaggle; submission.csv written and checked
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..digits.dataset import Digits, overlap
from ..digits.files import write_whole
from ..digits.formats import load_digits
from ..errors import OutputError
from .model import Model, Predictions, load_model

HEADER = ["ImageId", "Label"]  # as Kaggle's Digit Recognizer wants it
DETAILS = ["Confidence", "Novelty", "Refused"]

Refused = NDArray[np.bool_] | None


@dataclass(frozen=True, eq=False)
class Submission:
    """What `predict` gives back.

    Attributes
    ----------
    predictions: the model's answer for each digit, in the order of the rows.
    output: the file written, or None.
    model: the model's name; input_scale: how a foreign one is given its pixels, or None.
    source: where the digits came from.
    refused: how many images the model would rather not have answered, or None if it cannot say.
    overlap: how many of the images the model was trained on, or None where that is not known.
    accuracy, accuracy_without_overlap: where the source has labels, on all its digits and on those not trained on.
    """

    predictions: Predictions
    output: Path | None
    model: str
    input_scale: str | None
    source: str
    refused: int | None
    overlap: int | None
    accuracy: float | None
    accuracy_without_overlap: float | None

    def as_dict(self) -> dict[str, Any]:
        """What `--json` prints: everything but the predictions."""
        return {
            "source": self.source,
            "model": self.model,
            "input_scale": self.input_scale,
            "output": None if self.output is None else str(self.output),
            "n": len(self.predictions.labels),
            "refused": self.refused,
            "overlap": self.overlap,
            "accuracy": self.accuracy,
            "accuracy_without_overlap": self.accuracy_without_overlap,
        }

    def text(self) -> str:
        """What the command says on stderr."""
        count = len(self.predictions.labels)
        written = f"; {self.output} written and checked" if self.output else ""
        if self.input_scale:
            written += f" (a foreign model, given its pixels scaled as {self.input_scale!r})"
        lines = [f"{count:,} digits from {self.source} read by {self.model}{written}"]
        if self.refused:
            lines.append(f"{self.refused:,} of them it would refuse, as unsure or unlike a digit; --details marks them")
        if self.accuracy is not None:
            lines.append(f"{self.accuracy:.2%} agree with the labels in the file")
        if self.overlap:
            share = f" ({self.overlap / count:.1%})"
            lines.append(
                f"warning: {self.overlap:,} of these images{share} are among those that {self.model} was trained on"
            )
            if self.accuracy_without_overlap is not None:
                lines.append(f"without them {self.accuracy_without_overlap:.2%} agree")
        return "\n".join(lines)


def predict(
    source: str | os.PathLike[str] | Digits,
    *,
    model: str | os.PathLike[str] | Model = "reader",
    output: str | os.PathLike[str] | None = None,
    details: bool = False,
    threads: int | None = None,
    input_scale: str | None = None,
) -> Submission:
    """Read every digit of a source and write `ImageId,Label`.

    Parameters
    ----------
    source: any source of digits; of `mnist` the test part.
    model: a run folder, an `.onnx` file, the name of a shipped model, or an open one.
    output: the CSV to write; ids count from 1 in the order of the rows, lines end in LF.
    details: also write confidence, novelty (empty where the model does not say) and whether it refuses.
    threads, input_scale: as for `load_model`.

    Raises InputError for an unusable source or model, OutputError if the file cannot be written or reads back wrong.
    """
    opened = load_model(model, threads=threads, input_scale=input_scale)
    path = None if output is None else Path(output)
    for given in (opened.path, source):
        if path is not None and isinstance(given, str | os.PathLike) and _is_same_file(path, Path(given)):
            raise OutputError(path, "is what is read", expected="another file", mend="choose another -o")
    digits = load_digits(source, part="test")
    predictions = opened.predict(digits.images)
    refused = opened.refused(predictions)
    hashes = opened.training_hashes()
    if path is not None:
        write_submission(path, predictions, refused, details=details)

    seen = None if hashes is None else overlap(digits.images, hashes)
    right = None if digits.labels is None else predictions.labels == digits.labels
    fresh = None if right is None or seen is None or seen.all() else float(right[~seen].mean())
    return Submission(
        predictions=predictions,
        output=path,
        model=opened.name,
        input_scale=opened.input_scale,
        source=digits.source,
        refused=None if refused is None else int(refused.sum()),
        overlap=None if seen is None else int(seen.sum()),
        accuracy=None if right is None else float(right.mean()),
        accuracy_without_overlap=fresh,
    )


def _is_same_file(first: Path, second: Path) -> bool:
    try:
        return first.samefile(second)
    except (OSError, ValueError):
        return False


def write_submission(path: Path, predictions: Predictions, refused: Refused, *, details: bool) -> None:
    """Write the CSV as a whole: header, then a row an image. It takes its place only if it reads back right."""
    header = HEADER + (DETAILS if details else [])
    with write_whole(path) as file:
        with file.open("w", encoding="ascii", newline="") as text:
            text.write(",".join(header) + "\n")
            text.writelines(_rows(predictions, refused, details))
        check_submission(file, predictions)


def _rows(predictions: Predictions, refused: Refused, details: bool) -> Iterator[str]:
    labels = predictions.labels.tolist()
    if not details:
        yield from (f"{number},{label}\n" for number, label in enumerate(labels, 1))
        return
    nothing = [""] * len(labels)
    novelty = nothing if predictions.novelty is None else [f"{value:.4f}" for value in predictions.novelty.tolist()]
    marks = nothing if refused is None else [str(int(mark)) for mark in refused.tolist()]
    rows = zip(labels, predictions.confidence.tolist(), novelty, marks, strict=True)
    for number, (label, confidence, strange, mark) in enumerate(rows, 1):
        yield f"{number},{label},{confidence:.4f},{strange},{mark}\n"


def check_submission(path: Path, predictions: Predictions) -> None:
    """Read the file back: header, number of rows, ids in order, labels 0…9 and the ones that were meant.

    Raises OutputError where it is not so.
    """
    with path.open(encoding="ascii", newline="") as text:
        rows = csv.reader(text)
        header = next(rows, [])
        content = [row[:2] for row in rows]
    if header[:2] != HEADER:
        raise OutputError(path, "reads back wrong", expected=",".join(HEADER), found=",".join(header))
    expected = [[str(number), str(label)] for number, label in enumerate(predictions.labels.tolist(), 1)]
    if content != expected:
        differing = next(
            (row for row, pair in enumerate(zip(content, expected, strict=False), 1) if pair[0] != pair[1]), 0
        )
        found = f"{len(content)} rows, the first that differs being {differing or 'none'}"
        raise OutputError(path, "reads back wrong", expected=f"{len(expected)} rows", found=found)

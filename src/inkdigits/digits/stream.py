"""Digits of any source a few thousand at a time, so that a file may be larger than memory.

>>> for chunk in stream_digits("huge.csv.gz"):
...     print(len(chunk.digits), f"{chunk.share:.0%}")

The readers are those of `load_digits`, and so are the mistakes that they find; each is found when it is met.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from .arrays import IDX_NAME, idx_parts, npz_parts
from .dataset import SIDE, Digits, Images, Labels
from .files import Watch, is_folder
from .formats import SQLITE_ENDS, TABLE_ENDS, Source, load_digits, name_and_part
from .mnist import PARTS
from .pictures import folder_parts, parquet_parts
from .table import csv_parts

CHUNK = 4_096  # rows; 3.2 MB of pixels

Parts = Iterable[tuple[Images, Labels | None]]


@dataclass(frozen=True)
class Chunk:
    """Some digits of a source, in their order, and which share of the source has been read with them, 0…1."""

    digits: Digits
    share: float


def stream_digits(
    source: Source, *, part: Literal["train", "test", "all"] = "all", rows: int = CHUNK
) -> Iterator[Chunk]:
    """The digits of a source, `rows` at a time (the last ones fewer).

    Parameters
    ----------
    source, part: as for `load_digits`.

    CSV, IDX, `.npz` and Parquet files and folders are read as they are given out; anything else, which is small, is
    loaded first. Of a folder the names of all files are kept, of a Parquet file as much as one of its row groups holds.

    Raises InputError as `load_digits` does, after the digits that stand before the mistake.
    """
    watch = Watch()
    found = _parts_of(source, part, rows, watch)
    if found is None:
        digits = load_digits(source, part=part)
        for start in range(0, len(digits), rows):
            some = digits.take(slice(start, start + rows))
            yield Chunk(some, (start + len(some)) / len(digits))
        return
    name = str(source)
    empty = True
    for images, labels in _regrouped(found, rows):
        empty = empty and not len(images)
        if len(images):
            yield Chunk(Digits(images, labels, name), watch.share)
    if empty:
        Digits(np.empty((0, SIDE, SIDE), np.uint8), None, name)  # which says that there is nothing


def _parts_of(source: Source, part: str, rows: int, watch: Watch) -> Parts | None:
    """The reader of a file that can be read bit by bit; None for anything else."""
    if not isinstance(source, str | Path):
        return None
    text, named = name_and_part(source)
    path = Path(text)
    name = path.name.lower()
    if text == "mnist":
        return None
    if name.endswith(".npz"):
        return _npz(path, named or part, rows, watch)
    if named is not None:
        return None  # which says that such a file has no parts
    if is_folder(path):
        return folder_parts(path, rows, watch=watch)
    if IDX_NAME.fullmatch(name):
        return idx_parts(path, rows, watch=watch)
    if name.endswith(".parquet"):
        return parquet_parts(path, rows, watch=watch)
    if name.endswith(TABLE_ENDS) and not name.endswith(SQLITE_ENDS):
        return csv_parts(path, watch=watch)
    return None


def _npz(path: Path, part: str, rows: int, watch: Watch) -> Parts:
    """Of a file with a training and a test part the wanted ones; of one without, all there is."""
    wanted = PARTS if part == "all" else (part,)
    yield from npz_parts(path, "all", rows, watch=watch)
    for place, name in enumerate(wanted):
        one = Watch()
        for piece in npz_parts(path, name, rows, watch=one):
            watch.share = (place + one.share) / len(wanted)
            yield piece


def _regrouped(parts: Parts, rows: int) -> Iterator[tuple[Images, Labels | None]]:
    """The same rows in pieces of `rows`."""
    waiting: list[tuple[Any, Labels | None]] = []
    count = 0
    for images, labels in parts:
        waiting.append((images.reshape(-1, SIDE, SIDE), labels))
        count += len(images)
        while count >= rows:
            images, labels = _joined(waiting)
            yield images[:rows], None if labels is None else labels[:rows]
            waiting = [(images[rows:], None if labels is None else labels[rows:])]
            count -= rows
    if waiting:
        yield _joined(waiting)


def _joined(parts: list[tuple[Any, Labels | None]]) -> tuple[Images, Labels | None]:
    if len(parts) == 1:
        return parts[0]
    labels = [labels for _, labels in parts if labels is not None]
    images = np.concatenate([images for images, _ in parts])
    return images, np.concatenate(labels) if len(labels) == len(parts) else None

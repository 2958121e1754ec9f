"""Corrections: digits that somebody drew or cut out and put right, in one SQLite file.

    inkdigits train --extra corrections.sqlite      # learns from them beside MNIST

The table `correction` keeps what was seen (`picture`), the digit image that the model saw (`glyph`), what it answered
and what is right. Only `glyph` and `label` are needed to learn from.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np

from ..errors import InputError
from .dataset import CLASSES, PIXELS, SIDE, Digits
from .files import need_file, write_whole

SCHEMA = """create table if not exists correction(
    id integer primary key,
    created text,              -- ISO 8601, UTC
    picture blob,              -- the image file it was cut from
    glyph blob not null,       -- 784 bytes, row by row, 0 = paper, 255 = ink
    answer integer,            -- what the model said
    label integer not null     -- what is right
)"""


def read_corrections(path: Path) -> Digits:
    """The digit images and right answers of a corrections file, in the order in which they were made.

    The file is opened for reading only. Raises InputError if it is not such a file, or names the row that is wrong.
    """
    need_file(path)
    address = f"{path.resolve().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True)) as database:
            rows = database.execute("select id, glyph, label from correction order by id").fetchall()
    except (sqlite3.Error, UnicodeDecodeError) as error:
        found, expected = str(error), "SQLite with a table correction(glyph, label)"
        raise InputError(path, "not a corrections file", expected=expected, found=found) from None
    for number, glyph, label in rows:
        where = f"{path}, row {number}"
        if not isinstance(glyph, bytes) or len(glyph) != PIXELS:
            found = f"{len(glyph)} bytes" if isinstance(glyph, bytes) else type(glyph).__name__
            raise InputError(f"{where}, column glyph", "not a digit image", expected="784 bytes", found=found)
        if not isinstance(label, int) or not 0 <= label < CLASSES:
            raise InputError(f"{where}, column label", "not a label", expected="an integer 0…9", found=repr(label)[:40])
    if not rows:
        raise InputError(path, "no digits in it", expected="at least one correction", found="none")
    pixels = np.frombuffer(bytearray().join(glyph for _, glyph, _ in rows), np.uint8)
    return Digits(pixels.reshape(-1, SIDE, SIDE), np.array([label for _, _, label in rows], np.uint8), str(path))


def write_corrections(digits: Digits, path: Path) -> None:
    """The digits as a corrections file, without pictures, answers or dates. InputError if they have no labels."""
    labels = digits.need_labels("write corrections")
    rows = [(image.tobytes(), int(label)) for image, label in zip(digits.images, labels, strict=True)]
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute(SCHEMA)
        database.executemany("insert into correction(glyph, label) values (?, ?)", rows)
        database.commit()
        content = database.serialize()
    with write_whole(path) as beside:
        beside.write_bytes(content)

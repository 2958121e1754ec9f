"""Corrections: digits that somebody drew or cut out and put right, in one SQLite file.

    inkdigits train --extra corrections.sqlite      # learns from them beside MNIST

The table `correction` keeps what was seen (`picture`), the digit image that the model saw (`glyph`), what it answered
and what is right. Only `glyph` and `label` are needed to learn from.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, OutputError
from .dataset import CLASSES, PIXELS, SIDE, Digits
from .files import need_file, write_whole

MOST_BYTES = 256 << 20  # of a store's file: some 300,000 digits without their pictures, or 100 photographs with them
LOG_BYTES = 4 << 20  # that the write-ahead log may keep on disk when nobody writes
LARGEST_ID = (1 << 63) - 1
PATIENCE = 5.0  # seconds to wait for another process that writes to the same file

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


@dataclass(frozen=True, eq=False)
class Correction:
    """One digit put right.

    Attributes
    ----------
    id: its number in the file. created: ISO 8601, UTC, or None.
    glyph: uint8 (28, 28), what the model saw. label: what is right. answer: what the model said, or None.
    """

    id: int
    created: str | None
    glyph: NDArray[np.uint8]
    label: int
    answer: int | None


class StoreFullError(OutputError):
    """The file of corrections would outgrow its limit."""


class CorrectionStore:
    """A corrections file that is open for adding to, listing and deleting from, by any number of threads.

        >>> with CorrectionStore("corrections.sqlite") as store:
        ...     store.add(glyph, 4, answer=9)
        1

    Parameters
    ----------
    path: the file; made if there is none.
    most_bytes: that it may grow to; what was deleted makes room again.

    A write-ahead log lies beside the file while it is open, so that others may read; closed, it is one file. Raises
    InputError if the file is something else, OutputError if it cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str], *, most_bytes: int = MOST_BYTES) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        self._to_wipe = False
        try:
            self._database = sqlite3.connect(self.path, timeout=PATIENCE, check_same_thread=False, isolation_level=None)
        except sqlite3.Error as error:
            raise OutputError(self.path, "cannot be opened", found=str(error), mend="check the folder") from None
        try:
            self._prepare(most_bytes)
        except sqlite3.DatabaseError as error:
            self._database.close()
            if isinstance(error, sqlite3.OperationalError):
                raise OutputError(self.path, "cannot be written", found=str(error)) from None
            expected = "SQLite with a table correction"
            raise InputError(self.path, "not a corrections file", expected=expected, found=str(error)) from None
        except InputError:
            self._database.close()
            raise

    def _prepare(self, most_bytes: int) -> None:
        run = self._database.execute
        run(SCHEMA)
        columns = {row[1] for row in run("pragma table_info(correction)")}
        missing = {"id", "created", "picture", "glyph", "answer", "label"} - columns
        if missing:
            found = f"no column {', '.join(sorted(missing))}"
            raise InputError(self.path, "not a corrections file", expected="a table correction", found=found)
        run("pragma journal_mode=wal")
        run(f"pragma journal_size_limit={LOG_BYTES}")
        run("pragma secure_delete=on")  # what somebody deletes is overwritten, not only forgotten
        page = run("pragma page_size").fetchone()[0]
        run(f"pragma max_page_count={max(1, most_bytes // page)}")

    def add(
        self, glyph: NDArray[np.uint8], label: int, *, answer: int | None = None, picture: bytes | None = None
    ) -> int:
        """Keep one correction; gives its id.

        Raises InputError if `glyph` is not uint8 (28, 28) or a label not 0…9, StoreFullError if the file would grow too
        large, OutputError if it cannot be written.
        """
        if glyph.dtype != np.uint8 or glyph.shape != (SIDE, SIDE):
            found = f"{glyph.dtype} {glyph.shape}"
            raise InputError("glyph", "not a digit image", expected="uint8 (28, 28)", found=found)
        for name, value in (("label", label), ("answer", answer)):
            if value not in range(CLASSES) and not (name == "answer" and value is None):
                raise InputError(name, "not a label", expected="an integer 0…9", found=repr(value)[:40])
        created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        row = (created, picture, glyph.tobytes(), answer, label)
        with self._writing() as database:
            statement = "insert into correction(created, picture, glyph, answer, label) values (?, ?, ?, ?, ?)"
            number = database.execute(statement, row).lastrowid
        self._wipe()
        assert number is not None
        return number

    def list(self, most: int = 100, *, before: int | None = None) -> list[Correction]:
        """The latest corrections, of ids below `before` if that is given, newest first, at most so many.

        Rows that are none are left out.
        """
        statement = "select id, created, glyph, label, answer from correction where id < ? order by id desc limit ?"
        with self._lock:
            rows = self._database.execute(statement, (LARGEST_ID if before is None else before, most)).fetchall()
        return [
            Correction(number, created, np.frombuffer(glyph, np.uint8).reshape(SIDE, SIDE), label, answer)
            for number, created, glyph, label, answer in rows
            if isinstance(glyph, bytes) and len(glyph) == PIXELS
        ]

    def count(self) -> int:
        """How many corrections there are."""
        with self._lock:
            return int(self._database.execute("select count(*) from correction").fetchone()[0])

    def delete(self, number: int) -> bool:
        """Forget a correction and its picture; False if there is none with this id. OutputError if that fails."""
        with self._writing() as database:
            gone = database.execute("delete from correction where id = ?", (number,)).rowcount > 0
            self._to_wipe = self._to_wipe or gone
        self._wipe()
        return gone

    def _wipe(self) -> None:
        """Empty the log, which holds what was deleted; where somebody reads it just now, after the next writing."""
        if self._to_wipe:
            with self._writing() as database:
                self._to_wipe = bool(database.execute("pragma wal_checkpoint(truncate)").fetchone()[0])

    def close(self) -> None:
        """Put the log into the file, which then is all there is."""
        with self._lock:
            try:
                self._database.execute("pragma journal_mode=delete")
            except sqlite3.Error:
                pass  # somebody else has it open, and the log stays until they are done
            finally:
                self._database.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._database
            except sqlite3.Error as error:
                if getattr(error, "sqlite_errorname", "") == "SQLITE_FULL":
                    mend = "delete corrections that are no longer needed, or allow more"
                    raise StoreFullError(self.path, "no room for another correction", mend=mend) from None
                raise OutputError(self.path, "cannot be written", found=str(error)) from None

    def __enter__(self) -> CorrectionStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

"""A long file, written bit by bit beside its place, that an interrupted command can go on with.

    with write_on("answers.csv", told={"model": digest}, resume=True) as growing:
        row = growing.state.get("row", 0)       # what was said with the last `commit`, {} at the start
        growing.write(text)
        growing.commit({"row": row + 1})        # so far it is good

While it grows there are `answers.csv.part` and, beside it, `answers.csv.part.json`, which says how far the former is
good and what it is being made of. The file takes its place when the block ends well.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from ..errors import InputError, MissingExtraError, OutputError
from .files import lock, unwritable, write_whole

SECOND = 1.0  # between two commits that reach the disk
FORMAT = 1


class Growing:
    """A file that is being written. Made by `write_on`.

    Attributes
    ----------
    path: where it is written; size: bytes that were written; checksum: CRC-32 of them.
    state: what the last commit said, {} at the start.
    """

    def __init__(self, target: Path, told: dict[str, Any], *, resume: bool) -> None:
        self.target = target
        self.path = target.with_name(f"{target.name}.part")
        self.journal = target.with_name(f"{target.name}.part.json")
        self.told = json.loads(json.dumps(told))  # as it comes back from the journal
        self.state: dict[str, Any] = {}
        self.size = self.checksum = 0
        self._good = (0, 0)  # size and checksum at the last commit
        self._saved = 0.0
        self._file = self._opened()
        try:
            if resume and os.fstat(self._file.fileno()).st_size:
                self._take_up()
            self._file.seek(self.size)
            self._file.truncate()
        except BaseException:
            self._file.close()
            raise

    def _opened(self) -> IO[bytes]:
        """The file beside the place, ours alone; what is in it is left."""
        while True:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
            file = os.fdopen(descriptor, "r+b")
            try:
                if lock(descriptor, self.path, self.target):
                    return file
            except BaseException:
                file.close()
                raise
            file.close()  # another command has just finished it: what was opened is in its place now

    def _take_up(self) -> None:
        """Where an earlier command stopped. Raises InputError if it made the file of something else."""
        try:
            kept = json.loads(self.journal.read_text(encoding="utf-8"))
            told, state, size, checksum = (kept[name] for name in ("told", "state", "size", "checksum"))
            if kept["format"] != FORMAT or not isinstance(state, dict):
                raise ValueError("another format")
        except FileNotFoundError:
            return  # it had not begun
        except (OSError, ValueError, KeyError, TypeError) as error:
            found, mend = str(error)[:100], "start again without --resume"
            raise InputError(self.journal, "cannot be gone on with", found=found, mend=mend) from None
        for name in told if isinstance(told, dict) else ():
            if told[name] != self.told.get(name):
                expected, found = f"{name} {_short(told[name])}", _short(self.told.get(name))
                mend = "start again without --resume"
                raise InputError(self.target, "was begun otherwise", expected=expected, found=found, mend=mend)
        if _checksum(self._file, size) != checksum:
            mend = "start again without --resume"
            raise InputError(self.path, "is not what was written", expected=f"{size:,} good bytes", mend=mend)
        self.state, self.size, self.checksum = state, size, checksum
        self._good = (size, checksum)

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self.size += len(data)
        self.checksum = zlib.crc32(data, self.checksum)

    def commit(self, state: dict[str, Any]) -> None:
        """Say that what was written so far is good, and what `state` it belongs to; reaches the disk every SECOND."""
        self.state, self._good = state, (self.size, self.checksum)
        if time.monotonic() - self._saved >= SECOND:
            self.save()

    def save(self) -> None:
        """Bring the last commit to the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())
        size, checksum = self._good
        content = {"told": self.told, "state": self.state, "size": size, "checksum": checksum, "format": FORMAT}
        with write_whole(self.journal) as beside:
            beside.write_text(json.dumps(content), encoding="utf-8")
        self._saved = time.monotonic()

    def flush(self) -> None:
        """So that others who open the file see all that was written."""
        self._file.flush()

    def finish(self) -> None:
        """Reach the disk, and look whether what is there is what was written. Raises OutputError if it is not."""
        self.flush()
        os.fsync(self._file.fileno())
        if _checksum(self._file, self.size) != self.checksum or self._file.read(1):
            mend = "look after the disk, and run it again"
            raise OutputError(self.path, "reads back otherwise than it was written", mend=mend)

    def close(self) -> None:
        self._file.close()


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _checksum(file: Any, size: int) -> int:
    """CRC-32 of the first `size` bytes; −1 if there are not so many."""
    file.seek(0)
    checksum = 0
    while size and (block := file.read(min(size, 1 << 20))):
        checksum = zlib.crc32(block, checksum)
        size -= len(block)
    return -1 if size else checksum


@contextmanager
def write_on(
    path: str | os.PathLike[str],
    *,
    told: dict[str, Any],
    resume: bool = False,
    convert: Callable[[Path, Path], None] | None = None,
) -> Iterator[Growing]:
    """A file to be written bit by bit, which takes its place when the block ends well.

    If the block fails, it stays beside its place, as far as it was good with the last commit, and the next call with
    `resume` goes on with it; but an InputError or MissingExtraError, with which it is no use to go on, removes it.

    Parameters
    ----------
    told: what the file is made of, as JSON can hold it; with `resume` it must be as it was.
    resume: take up what is there. Where nothing is, it begins.
    convert: makes the file that takes the place, given the one that was written and where it is to be made.

    Raises OutputError where it cannot be written or another process is writing it, InputError if there is nothing that
    could be gone on with.
    """
    wanted = Path(path)
    target = Path(os.path.realpath(wanted))
    growing: Growing | None = None
    try:
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, "is a folder", str(target))
        if target.exists() and not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, "is read-only", str(target))
        growing = Growing(target, told, resume=resume)
        with closing(growing):
            try:
                growing.save()
                yield growing
                growing.finish()
            except BaseException as error:
                with suppress(OSError, OutputError):
                    if isinstance(error, InputError | MissingExtraError) or not growing.state:
                        _remove(growing)
                    else:
                        growing.save()
                raise
            if convert is not None:
                with write_whole(target) as beside:
                    convert(growing.path, beside)
                growing.path.unlink()
            else:
                if target.exists():
                    shutil.copymode(target, growing.path)
                growing.path.replace(target)
            growing.journal.unlink(missing_ok=True)
    except OSError as error:
        ours = [str(place) for place in (target, *((growing.path, growing.journal) if growing else ()))]
        if error.filename is not None and str(error.filename) not in [*ours, f"{target}.part"]:
            raise
        raise unwritable(wanted, error) from None


def _remove(growing: Growing) -> None:
    for file in (growing.path, growing.journal):
        file.unlink(missing_ok=True)

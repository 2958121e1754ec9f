"""Files in and out: read with their compression and their dangers in view, written as a whole or not at all.

    with write_whole("submission.csv") as beside:
        beside.write_text(text)             # whatever fails in here, an earlier submission.csv stays as it was

A file is known to be compressed by its first bytes, not by its name: Kaggle hands out zip archives called `train.csv`.
"""

from __future__ import annotations

import errno
import gzip
import lzma
import os
import secrets
import shutil
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePath
from typing import IO, Any

from ..errors import InputError, MissingExtraError, OutputError

try:
    from fcntl import LOCK_EX, LOCK_NB, flock
except ImportError:  # Windows: there nothing keeps two commands from writing at the same place
    flock = None  # type: ignore[assignment]

BLOCK = 1 << 17  # bytes; small enough for the processor's cache, on which the speed of the CSV reader rests
PACKING = 6  # the level of gzip's own default; Python's, 9, takes four times as long and saves 3 %
UNPACKED_LIMIT = 4 << 30  # bytes; two million rows of CSV
UNPACKED_FREE = 64 << 20  # bytes that may come out of any file, however small
UNPACKED_RATIO = 200  # MNIST packs 8 : 1; a bomb packs 1000 : 1

_GZIP, _ZIP = b"\x1f\x8b", b"PK\x03\x04"
_ZIP_EMPTY = b"PK\x05\x06"


@dataclass
class Watch:
    """How far a file has been read: the share, 0…1, of its bytes, packed as they are."""

    share: float = 0.0


def need_file(path: Path) -> None:
    """InputError unless `path` is a file with something in it."""
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise InputError(path, "no such file", mend="check the name and the folder") from None
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from None
    if path.is_dir():
        raise InputError(path, "a folder", expected="a file", found="a folder", mend="name a file in it")
    if path.is_file() and size == 0:
        raise InputError(path, "an empty file", expected="digits", found="0 bytes", mend="get the file again")


def unreadable(path: object, error: BaseException) -> InputError:
    """The InputError for a file that the system does not let us read."""
    if isinstance(error, PermissionError):
        return InputError(path, "no permission to read it", mend="check the rights of the file and its folder")
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return InputError(path, "cannot be read", found=reason)


def read_blocks(path: Path, *, watch: Watch | None = None) -> Iterator[bytes]:
    """The bytes of a file, unpacked if it is gzip or a zip that holds one CSV, in blocks of at most BLOCK bytes.

    `watch` is told before each block how far that is. Where there is one, nobody means to keep all blocks, and a packed
    file may be larger than UNPACKED_LIMIT.

    Raises InputError if it is missing, empty, not readable, damaged, encrypted, or unpacks to more than a file of
    digits of its size could (UNPACKED_LIMIT, UNPACKED_RATIO): memory stays bounded whatever the header claims.
    """
    need_file(path)
    try:
        with path.open("rb") as file:
            start, size = file.read(4), max(1, path.stat().st_size)
            file.seek(0)

            def told(blocks: Iterator[bytes]) -> Iterator[bytes]:
                for block in blocks:
                    if watch is not None:
                        watch.share = min(1.0, file.tell() / size) if file.seekable() else 0.0
                    yield block

            most = UNPACKED_LIMIT if watch is None else sys.maxsize

            if start[:2] == _GZIP:
                with gzip.open(file) as unpacked:
                    yield from told(_limited(path, unpacked, most))
            elif start in (_ZIP, _ZIP_EMPTY):
                with zipfile.ZipFile(file) as archive, archive.open(_the_csv_in(path, archive)) as member:
                    yield from told(_limited(path, member, most))
            else:
                yield from told(iter(partial(file.read, BLOCK), b""))
    except EOFError:
        raise _damaged(path, "the end is missing") from None
    except (gzip.BadGzipFile, zipfile.BadZipFile, zlib.error, lzma.LZMAError, NotImplementedError) as error:
        raise _damaged(path, str(error)) from None
    except OSError as error:
        raise unreadable(path, error) from None


def check_unpacked(path: Path, size: int, most: int = UNPACKED_LIMIT) -> None:
    """InputError if `size` bytes are more than `most`, or than the packed file at `path` may unpack to."""
    allowed = min(most, max(UNPACKED_FREE, UNPACKED_RATIO * path.stat().st_size))
    if size > allowed:
        what = "unpacks to more than a file of digits would"
        raise InputError(path, what, expected=f"at most {allowed:,} bytes", found="more", mend="unpack it yourself")


def _limited(path: Path, stream: IO[bytes] | gzip.GzipFile, most: int) -> Iterator[bytes]:
    size = 0
    while block := stream.read(BLOCK):
        size += len(block)
        check_unpacked(path, size, most)
        yield block


def _the_csv_in(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    files = [item for item in archive.infolist() if not item.is_dir() and not item.filename.startswith("__MACOSX/")]
    tables = [item for item in files if item.filename.lower().endswith(".csv")]
    if len(tables) != 1:
        listed = ", ".join(item.filename for item in (tables or files)[:5]) or "nothing"
        found = f"{len(tables)} ({listed})" if tables else f"none ({listed})"
        mend = "unpack it and name one"
        raise InputError(path, "not one table", expected="one CSV in the zip", found=found, mend=mend)
    if tables[0].flag_bits & 0x1:
        raise InputError(path, "an encrypted zip", expected="one without a password", mend="unpack it and name the CSV")
    return tables[0]


def _damaged(path: Path, found: str) -> InputError:
    return InputError(path, "a damaged archive", expected="a whole one", found=found, mend="get the file again")


def is_folder(path: Path) -> bool:
    """Whether there is a folder at `path`; False too where the system cannot tell, as for a name that is too long."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def is_file(path: Path) -> bool:
    """Whether there is a file at `path`; False too where the system cannot tell."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_device(path: Path) -> bool:
    """Whether there is something at `path` that is neither a file nor a folder: a device, a pipe."""
    try:
        return path.exists() and not path.is_file() and not path.is_dir()
    except (OSError, ValueError):
        return False


@contextmanager
def write_whole(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path beside `path`, renamed onto it when the block ends well and deleted when it does not.

    The block writes the temporary file; it reaches the disk before it takes the place of an earlier file, whose
    rights it keeps. A device or a pipe (`/dev/stdout`) is never replaced: it is given the finished bytes.

    Raises OutputError if there is no such folder, no permission, no space left, or `path` is a folder.
    """
    wanted = Path(path)
    device = is_device(wanted)
    # Through a link to the file that it means: renaming onto the link would leave that file as it was.
    target = wanted if device else Path(os.path.realpath(wanted))
    folder = Path(tempfile.gettempdir()) if device else target.parent
    beside = folder / f".{target.name[:100]}.{secrets.token_hex(4)}.part"
    try:
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, "is a folder", str(target))
        if target.exists() and not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, "is read-only", str(target))  # which a rename would not ask
        beside.touch(exist_ok=False)
        yield beside
        with beside.open("rb+") as file:
            os.fsync(file.fileno())
        if device:
            with beside.open("rb") as file, target.open("wb") as sink:
                shutil.copyfileobj(file, sink)
        else:
            if target.exists():
                shutil.copymode(target, beside)
            beside.replace(target)
    except OSError as error:
        # An OSError about another file is not ours to explain.
        if error.filename is not None and str(error.filename) not in (str(beside), str(target)):
            raise
        raise unwritable(wanted, error) from None
    finally:
        with suppress(OSError):
            beside.unlink()


@contextmanager
def write_whole_folder(
    path: str | os.PathLike[str], *, mark: str, is_ours: Callable[[PurePath], bool]
) -> Iterator[Path]:
    """The same for a folder: a temporary one beside `path`, which takes its place when the block ends well.

    Parameters
    ----------
    mark: the name of a file that tells an earlier result, which is replaced, from anything else, which is refused.
    is_ours: whether an earlier result may hold something of this name, given relative to the folder.

    Raises OutputError as `write_whole` does, and if `path` is a file or a folder that holds something else.
    """
    wanted = Path(path)
    target = Path(os.path.realpath(wanted))
    beside = target.parent / f".{target.name[:100]}.{secrets.token_hex(4)}.part"
    old = beside.with_suffix(".old")
    try:
        places = [item.relative_to(target) for item in target.rglob("*")] if target.is_dir() else []
        foreign = [place for place in places if place != PurePath(mark) and not is_ours(place)]
        if places and (foreign or PurePath(mark) not in places):
            expected, mend = "a new, an empty or an earlier result's folder", "name another folder"
            found = str((foreign or places)[0])
            raise OutputError(wanted, "holds something else", expected=expected, found=found, mend=mend)
        if target.exists() and not target.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "is a file", str(target))
        beside.mkdir()
        yield beside
        (beside / mark).touch()
        if target.exists():
            target.rename(old)
        try:
            beside.rename(target)
        except OSError:
            if old.exists():
                old.rename(target)
            raise
    except OSError as error:
        raise unwritable(wanted, error) from None
    finally:
        if old.exists() and not target.exists():
            old.rename(target)  # interrupted between the two renames
        for leftover in (beside, old):
            shutil.rmtree(leftover, ignore_errors=True)


def lock(descriptor: int, path: Path, what: Path) -> bool:
    """Keep what was opened at `path` from other commands until it is closed, or this process has ended in whatever way.

    Gives False if it is at `path` no more: another command moved or removed it before the lock was there. Where the
    system or the file system knows no locks nothing is kept. Raises OutputError, about `what`, if another command has
    it.
    """
    if flock is None:
        return True
    try:
        flock(descriptor, LOCK_EX | LOCK_NB)
    except BlockingIOError:
        mend = "wait for it, or choose another -o"
        raise OutputError(what, "is being written by another command", mend=mend) from None
    except OSError:
        return True
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _held(folder: Path) -> int | None:
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        if flock is None:  # Windows, where a folder cannot be opened
            return None
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            if lock(descriptor, folder, folder):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """A folder for results, made if there is none, in which no other command may write while the block lasts.

    If the block leaves nothing in a folder that was made for it, that is removed. Raises OutputError if another command
    holds it, or it cannot be made.
    """
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        descriptor = _held(folder)
    except FileExistsError:
        raise unwritable(folder, NotADirectoryError(errno.ENOTDIR, "is a file")) from None
    except OSError as error:
        raise unwritable(folder, error) from error
    try:
        yield
    finally:
        with suppress(OSError):
            for place in made:
                place.rmdir()
        if descriptor is not None:
            os.close(descriptor)


def names_in(folder: Path) -> set[str]:
    """What a folder for results holds already, nothing if it does not exist.

    Raises OutputError if it is a file or cannot be read.
    """
    mend = "choose another -o"
    if not folder.exists():
        return set()
    if not folder.is_dir():
        raise OutputError(folder, "cannot hold the results", expected="a folder", found="a file", mend=mend)
    try:
        return {entry.name for entry in folder.iterdir()}
    except OSError as error:
        raise OutputError(folder, "cannot be read", found=error.strerror or str(error), mend=mend) from error


def refuse_others(folder: Path, others: set[str], verb: str) -> None:
    """OutputError if there is anything in a folder for results that an earlier run of the verb did not write."""
    if others:
        first = ", ".join(sorted(others)[:3])
        found = first + (f" and {len(others) - 3} more" if len(others) > 3 else "")
        expected = f"an empty folder or an earlier result of {verb}"
        raise OutputError(folder, "holds something else", expected=expected, found=found, mend="choose another -o")


def need_polars(path: object) -> Any:
    """Polars, for the Parquet file at `path`. Raises MissingExtraError without it."""
    try:
        import polars
    except ImportError:
        raise MissingExtraError(f"{path}: Parquet", "tables") from None
    return polars


def unwritable(path: Path, error: OSError) -> OutputError:
    """The OutputError, one clear line, for an OSError met in writing `path`."""
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        return OutputError(path, "no permission to write it", mend="choose another folder")
    if isinstance(error, IsADirectoryError):
        return OutputError(path, "cannot be written", expected="a file", found="a folder", mend="name a file in it")
    if isinstance(error, NotADirectoryError):
        return OutputError(path, "cannot be written", expected="a folder", found="a file", mend="name another folder")
    if isinstance(error, FileNotFoundError):
        folder = f"the folder {path.parent}"
        return OutputError(path, "cannot be written", expected=folder, found="none", mend="make it first")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError(path, "no space left on the disk", mend="make room and run it again")
    return OutputError(path, "cannot be written", found=error.strerror or str(error))

"""Digits from anywhere and to anywhere, by name.

>>> from inkdigits import load_digits, save_digits
>>> digits = load_digits("train.csv")
>>> save_digits(digits, "train.parquet")

| name                                   | what it is                                                                |
|----------------------------------------|---------------------------------------------------------------------------|
| `mnist`, `mnist:train`, `mnist:test`   | embedded                                                                  |
| `.csv`, `.csv.gz`, `.zip`              | a row a digit, with or without header and labels (`table.py`)             |
| `…images-idx3-ubyte`, also `.gz`       | IDX, labels in the file beside it (`arrays.py`)                           |
| `.npz`                                 | Keras' four arrays, or `images` and `labels` (`arrays.py`)                |
| `.parquet`                             | as the Hugging Face hub stores MNIST (`pictures.py`)                      |
| a folder                               | one sub-folder of 28×28 pictures for each class (`pictures.py`)           |
| `.sqlite`                              | corrections (`corrections.py`)                                            |

Where a source has a training and a test part, `SOURCE:train` and `SOURCE:test` name one of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, OutputError
from .arrays import IDX_NAME, check_images, read_idx, read_npz, write_idx, write_npz, write_npz_parts
from .corrections import read_corrections, write_corrections
from .dataset import PIXELS, Digits, join
from .files import is_folder, need_file
from .mnist import PARTS, Part, load_mnist
from .pictures import read_folder, read_parquet, write_folder, write_parquet
from .table import read_csv, write_csv

Source = str | os.PathLike[str] | Digits | NDArray[Any]

TABLE_ENDS = (".csv", ".gz", ".zip")
SQLITE_ENDS = (".sqlite", ".sqlite3", ".db")
KNOWN = ".csv, .csv.gz, .zip, .npz, .parquet, .sqlite, …images-idx3-ubyte or a folder"


@dataclass(frozen=True)
class Format:
    """A kind of file: whether a name in small letters is one's, what reads it, by part, and what writes it."""

    named: Callable[[str], bool]
    read: Callable[[Path], dict[str, Digits]]
    write: Callable[[Digits, Path], None]


def _ends(*ends: str) -> Callable[[str], bool]:
    return lambda name: name.endswith(ends)


def _whole(read: Callable[[Path], Digits]) -> Callable[[Path], dict[str, Digits]]:
    return lambda path: {"all": read(path)}


def _write_idx(digits: Digits, path: Path) -> None:
    if "idx1" in path.name.lower():
        mend = "name the file of images, the labels go beside it"
        raise OutputError(path, "a name for labels", expected="…images-idx3-ubyte", found=path.name, mend=mend)
    write_idx(digits, path)


def _write_table(digits: Digits, path: Path) -> None:
    if not path.name.lower().endswith((".csv", ".csv.gz", ".zip")):
        raise _unwritable(path)  # anything may be in a .gz
    write_csv(digits, path)


# The first that a name fits, folders apart. What can be read bit by bit has its reader in stream.py too.
FORMATS = (
    Format(lambda name: bool(IDX_NAME.fullmatch(name)), _whole(read_idx), _write_idx),
    Format(_ends(".npz"), read_npz, write_npz),
    Format(_ends(".parquet"), _whole(read_parquet), write_parquet),
    Format(_ends(*SQLITE_ENDS), _whole(read_corrections), write_corrections),
    Format(_ends(*TABLE_ENDS), _whole(read_csv), _write_table),
)


def load_digits(source: Source = "mnist", *, part: Literal["train", "test", "all"] = "all") -> Digits:
    """The digits of a source: a name or path of the table above, `Digits` (given back as they are), or an array.

    Parameters
    ----------
    part: which part, where the source has parts and its name does not say; `all` is both, training part first.

    Raises InputError that names the file, row and column, what was expected and what was found.
    """
    if part not in (*PARTS, "all"):
        raise InputError("part", "not a part", expected="train, test or all", found=repr(part))
    if part != "all" and embedded_parts(source) == PARTS:
        return load_mnist(part)
    parts = load_parts(source)
    if len(parts) == 1:
        return next(iter(parts.values()))
    return parts[part] if part != "all" else join(list(parts.values()), str(source))


def load_parts(source: Source) -> dict[str, Digits]:
    """The digits of a source by part: `train` and `test` where it has them, else `all`. Raises as `load_digits`."""
    if isinstance(source, Digits):
        return {"all": source}
    if isinstance(source, np.ndarray):
        one = source.ndim == 2 and source.shape != (len(source), PIXELS)
        return {"all": Digits(check_images(source[None] if one else source, "array"))}
    name, part = name_and_part(source)
    if name == "mnist":
        return {wanted: load_mnist(wanted) for wanted in PARTS if part in (None, wanted)}
    parts = _read_file(Path(name))
    if part is None:
        return parts
    if part not in parts:
        expected, found = f"a training and a test part to take “{part}” from", "only one"
        raise InputError(name, "has no parts", expected=expected, found=found, mend=f"name it without :{part}")
    return {part: parts[part]}


def embedded_parts(source: Source) -> tuple[Part, ...]:
    """Which parts of the embedded MNIST a source names: none for a file."""
    if isinstance(source, Digits | np.ndarray):
        return ()
    name, part = name_and_part(source)
    if name != "mnist":
        return ()
    return PARTS if part is None else (part,)


def name_and_part(source: Source) -> tuple[str, Part | None]:
    """The name of a source without the part that it may end in, and that part. Raises InputError for none."""
    if not isinstance(source, str | os.PathLike) or not os.fspath(source):
        expected, found = f"mnist, {KNOWN}", "an empty name" if source == "" else type(source).__name__
        raise InputError("source", "not a source of digits", expected=expected, found=found)
    name = os.fspath(source)
    for part in PARTS:
        if name.endswith(f":{part}") and not os.path.lexists(name):
            return name.removesuffix(f":{part}"), part
    return name, None


def file_of(source: Source) -> Path | None:
    """The file or folder that a source names, None for one that is no file.

    Raises InputError if there is none, or of no known kind; what is in it is not looked at.
    """
    if isinstance(source, Digits | np.ndarray):
        return None
    name, _ = name_and_part(source)
    path = Path(name)
    if name == "mnist":
        return None
    if not is_folder(path):
        if _format_of(path) is None:
            raise _unknown(path)
        need_file(path)
    return path


def _read_file(path: Path) -> dict[str, Digits]:
    if is_folder(path):
        return {"all": read_folder(path)}
    if found := _format_of(path):
        return found.read(path)
    raise _unknown(path)


def _format_of(path: Path) -> Format | None:
    return next((known for known in FORMATS if known.named(path.name.lower())), None)


def _unknown(path: Path) -> InputError:
    what = "an unknown kind of file" if os.path.lexists(path) else "no such file or source"
    return InputError(path, what, expected=f"mnist, {KNOWN}", found=path.suffix or "a name without an ending")


def save_parts(parts: dict[str, Digits], path: str | os.PathLike[str]) -> None:
    """What `load_parts` gives, into one file: Keras' four arrays for `.npz`, else all parts in one, in their order."""
    if len(parts) > 1 and Path(path).name.lower().endswith(".npz"):
        write_npz_parts(parts, Path(path))
    else:
        save_digits(join(list(parts.values()), os.fspath(path)), path)


def save_digits(digits: Digits, path: str | os.PathLike[str]) -> None:
    """The digits into a file or folder, in the format that its name says (the table above): whole or not at all.

    A name without an ending, or that ends in `/`, is a folder. Raises OutputError for an unknown ending and whatever
    keeps the file from being written; InputError where a format needs labels and there are none.
    """
    target = Path(path)
    if os.fspath(path).endswith(("/", os.sep)):
        write_folder(digits, target)
    elif found := _format_of(target):
        found.write(digits, target)
    elif not target.suffix or is_folder(target):
        write_folder(digits, target)
    else:
        raise _unwritable(target)


def _unwritable(path: Path) -> OutputError:
    return OutputError(path, "an unknown format", expected=KNOWN, found=path.suffix)

"""Digits as arrays: IDX, the format that MNIST came in, and NumPy's .npz, as Keras and others pass it on.

>>> from inkdigits import load_digits, save_digits
>>> save_digits(load_digits("mnist:test"), "t10k-images-idx3-ubyte.gz")       # labels: t10k-labels-idx1-ubyte.gz
>>> len(load_digits("t10k-images-idx3-ubyte.gz"))
10000
"""

from __future__ import annotations

import gzip
import itertools
import re
import struct
import sys
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, OutputError
from .dataset import CLASSES, SIDE, Digits, Images, Labels
from .files import PACKING, UNPACKED_LIMIT, Watch, check_unpacked, need_file, read_blocks, unreadable, write_whole

IDX_NAME = re.compile(r".*idx(?P<dimensions>[13])-ubyte(\.gz)?", re.IGNORECASE)
IDX_IMAGES, IDX_LABELS = 0x0803, 0x0801  # magic numbers: unsigned bytes in 3 dimensions, in 1

KERAS_KEYS = {"train": ("x_train", "y_train"), "test": ("x_test", "y_test")}
PLAIN_KEYS = ("images", "labels")

# What NumPy and zipfile raise for a damaged .npz, beside ValueError.
_DAMAGED = (OSError, EOFError, MemoryError, SyntaxError, TypeError, RuntimeError, zipfile.BadZipFile, zlib.error)


def check_images(images: NDArray[Any], where: object, *, before: int = 0) -> Images:
    """Any array of whole numbers 0…255 as digit images uint8 (N, 28, 28); (N, 784) and (N, 28, 28, 1) are taken too.

    `before` is how many rows came before these, for messages. Raises InputError if the shape, the type or a pixel is
    something else.
    """
    images = np.asarray(images)
    if images.shape[1:] not in ((SIDE, SIDE), (SIDE * SIDE,), (SIDE, SIDE, 1)):
        expected = "(N, 28, 28) or (N, 784)"
        raise InputError(where, "not digit images", expected=expected, found=f"an array of shape {images.shape}")
    if images.dtype == np.uint8:
        return images.reshape(-1, SIDE, SIDE)
    if not np.issubdtype(images.dtype, np.integer):
        found, mend = str(images.dtype), None
        if np.issubdtype(images.dtype, np.floating) and images.size:
            found += f" from {images.min():g} to {images.max():g}"
            scaled = "(255 * images).round()" if images.max() <= 1 else "images.round()"
            mend = f"save {scaled}.astype('uint8')"
        raise InputError(where, "not pixels", expected="integers 0…255", found=found, mend=mend)
    images = images.reshape(-1, SIDE, SIDE)
    outside = np.argwhere((images < 0) | (images > 255))
    if len(outside):
        row, down, right = outside[0]
        place = f"{where}, row {before + row + 1}, pixel {down * SIDE + right}"
        raise InputError(place, "not a pixel", expected="an integer 0…255", found=str(images[row, down, right]))
    return images.astype(np.uint8)


def check_labels(labels: NDArray[Any], where: object, *, before: int = 0) -> Labels:
    """Any array of whole numbers 0…9 as labels uint8 (N,); (N, 1) is taken too. Raises InputError for anything else.

    `before` is how many rows came before these, for messages.
    """
    labels = np.asarray(labels)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        mend = "save labels.argmax(axis=1)" if labels.ndim == 2 and labels.shape[1] == CLASSES else None
        found = f"{labels.dtype} {labels.shape}"
        raise InputError(where, "not labels", expected="integers 0…9 (N,)", found=found, mend=mend)
    outside = np.flatnonzero((labels < 0) | (labels >= CLASSES))
    if len(outside):
        found = str(labels[outside[0]])
        row = f"{where}, row {before + outside[0] + 1}"
        raise InputError(row, "not a label", expected="an integer 0…9", found=found)
    return labels.astype(np.uint8)


def read_idx(path: Path) -> Digits:
    """The digits of an IDX file of images, raw or gzip, with the labels of the file beside it, if there is one.

    The labels of `x-images-idx3-ubyte` are looked for in `x-labels-idx1-ubyte`, raw or gzip. Raises InputError for a
    wrong magic number, another size than 28×28, a file cut short or too long, and counts that differ.
    """
    images, labels = next(idx_parts(path))
    return Digits(images, labels, str(path))


def idx_parts(
    path: Path, rows: int | None = None, *, watch: Watch | None = None
) -> Iterator[tuple[Images, Labels | None]]:
    """The same `rows` at a time, or all at once: images uint8 (n, 28, 28) and labels uint8 (n,) or None.

    `watch` as in `read_blocks`. Raises as `read_idx`, where the mistake is met.
    """
    images = _idx_rows(path, IDX_IMAGES, rows, watch)
    count = next(images)
    beside = next((labels for labels in idx_labels_beside(path) if labels.exists()), None)
    if beside is None:
        yield from ((part, None) for part in images)
        return
    labels = _idx_rows(beside, IDX_LABELS, rows, watch and Watch())
    named = next(labels)
    if named != count:
        expected, found = f"{count} labels for the images of {path}", str(named)
        raise InputError(beside, "images and labels differ in number", expected=expected, found=found)
    before = 0
    for part, some in zip(images, labels, strict=True):
        yield part, check_labels(some, beside, before=before)
        before += len(part)


def idx_labels_beside(path: Path) -> tuple[Path, Path]:
    """Where the labels of an IDX file of images are looked for: first packed as it is, then the other way."""
    name = re.sub("idx3", "idx1", re.sub("images", "labels", path.name, flags=re.IGNORECASE), flags=re.IGNORECASE)
    other = name.removesuffix(".gz") if name.endswith(".gz") else f"{name}.gz"
    return path.with_name(name), path.with_name(other)


def _idx_rows(path: Path, magic: int, rows: int | None, watch: Watch | None) -> Iterator[Any]:
    """How many items an IDX file says it has, then the items, so many of them at a time."""
    blocks = read_blocks(path, watch=watch)
    data = bytearray(next(blocks, b""))
    found = int.from_bytes(data[:4], "big")
    kind, header = ("images", 16) if magic == IDX_IMAGES else ("labels", 8)
    if len(data) < header or found != magic:
        mend = "name the file of images" if found == IDX_LABELS else None
        said = f"{found}" if len(data) >= header else f"{len(data)} bytes"
        raise InputError(path, f"not an IDX file of {kind}", expected=f"magic number {magic}", found=said, mend=mend)
    shape = tuple(int(size) for size in struct.unpack_from(f">{header // 4 - 1}I", data, 4))
    if shape[1:] not in ((), (SIDE, SIDE)):
        raise InputError(path, "not digit images", expected="28×28 pixels", found=f"{shape[1]}×{shape[2]}")
    yield shape[0]
    item = int(np.prod(shape[1:], dtype=np.int64))
    size, part = header + shape[0] * item, (shape[0] if rows is None else rows) * item
    read, data = len(data), data[header:]
    for block in itertools.chain(blocks, [b""]):
        read += len(block)
        if read > size or (not block and read < size):
            said = f"{read:,}" if read < size else "more"
            what = "a file cut short" if read < size else "a file too long"
            expected, mend = f"{size:,} bytes for {shape[0]:,} {kind}", "get the file again"
            raise InputError(path, what, expected=expected, found=said, mend=mend)
        data += block
        while rows is not None and len(data) >= part > 0:
            yield np.frombuffer(data[:part], np.uint8).reshape(-1, *shape[1:])
            del data[:part]
    if data or not shape[0]:
        yield np.frombuffer(data, np.uint8).reshape(-1, *shape[1:])


def write_idx(digits: Digits, path: Path) -> None:
    """Images into `path`, labels into the file beside it whose name follows from it; both gzip if `path` ends in `.gz`.

    Raises OutputError if unlabelled images would come to stand beside the labels of others.
    """
    beside = idx_labels_beside(path)
    if digits.labels is None:
        stray = next((labels for labels in beside if labels.exists()), None)
        if stray is not None:
            what, expected = "labels of other digits lie beside it", f"no {stray.name}"
            raise OutputError(path, what, expected=expected, found="one", mend="choose another folder")
        with write_whole(path) as images:
            images.write_bytes(_idx_bytes(digits.images, IDX_IMAGES, path))
        return
    with write_whole(beside[0]) as labels, write_whole(path) as images:
        images.write_bytes(_idx_bytes(digits.images, IDX_IMAGES, path))
        labels.write_bytes(_idx_bytes(digits.labels, IDX_LABELS, path))


def _idx_bytes(array: NDArray[np.uint8], magic: int, path: Path) -> bytes:
    data = struct.pack(f">{1 + array.ndim}I", magic, *array.shape) + array.tobytes()
    return gzip.compress(data, PACKING, mtime=0) if path.name.lower().endswith(".gz") else data


def read_npz(path: Path) -> dict[str, Digits]:
    """The digits of an `.npz` by part: `train` and `test` of Keras' four arrays, or `all` of `images` (and `labels`).

    Nothing in the file is ever run: pickled objects are refused. Raises InputError for other arrays than these.
    """
    with _open_npz(path, most=UNPACKED_LIMIT) as arrays:
        return _parts_of(path, arrays)


def npz_parts(
    path: Path, part: str, rows: int, *, watch: Watch | None = None
) -> Iterator[tuple[Images, Labels | None]]:
    """The same of one part (`train`, `test` or `all`) so many rows at a time: images (n, 28, 28), labels (n,) or None.

    Nothing for a part that is not there. An array that lies in memory column by column is read whole. `watch` as in
    `read_blocks`. Raises as `read_npz`, where the mistake is met.
    """
    with _open_npz(path, most=sys.maxsize) as arrays:
        keys = _keys_of(path, arrays).get(part)
        if keys is None:
            return
        images = _npz_rows(arrays, keys[0], rows)
        labels = _npz_rows(arrays, keys[1], rows) if keys[1] in arrays.files else None
        (count, *_), named = next(images), None if labels is None else next(labels)
        if named is not None and named[0] != count:
            expected, found = f"{count} labels for {keys[0]}", str(named[0])
            raise InputError(f"{path}, {keys[1]}", "images and labels differ in number", expected=expected, found=found)
        before = 0
        for some in images:
            known = None if labels is None else check_labels(next(labels), f"{path}, {keys[1]}", before=before)
            pixels = check_images(some, f"{path}, {keys[0]}", before=before)
            before += len(some)
            if watch is not None:
                watch.share = before / max(1, count)
            yield pixels, known


def _npz_rows(arrays: np.lib.npyio.NpzFile, key: str, rows: int) -> Iterator[Any]:
    """The shape of an array, then the array, so many of its rows at a time."""
    assert arrays.zip is not None
    with arrays.zip.open(f"{key}.npy") as file:
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            shape, by_column, kind = np.lib.format.read_array_header_1_0(file)
        else:
            shape, by_column, kind = np.lib.format.read_array_header_2_0(file)
        if kind.hasobject:
            raise ValueError("allow_pickle=False")  # as NumPy says it
        if by_column or not shape:
            whole = arrays[key]
            yield whole.shape or (0,)
            yield from (whole[at : at + rows] for at in range(0, len(whole), rows)) if whole.shape else [whole]
            return
        yield shape
        item = int(np.prod(shape[1:], dtype=np.int64)) * kind.itemsize
        for start in range(0, shape[0], rows):
            count = min(rows, shape[0] - start)
            data = _exactly(file, count * item)
            yield np.frombuffer(data, kind).reshape(count, *shape[1:])


def _exactly(file: IO[bytes], size: int) -> bytearray:
    data = bytearray()
    while len(data) < size:
        block = file.read(min(size - len(data), 1 << 20))
        if not block:
            raise EOFError("the end of an array is missing")
        data += block
    return data


@contextmanager
def _open_npz(path: Path, *, most: int) -> Iterator[np.lib.npyio.NpzFile]:
    """An `.npz`, open. Raises InputError for whatever goes wrong with it while it is."""
    need_file(path)
    try:
        with path.open("rb") as file:
            arrays = np.load(file, allow_pickle=False)
            if not isinstance(arrays, np.lib.npyio.NpzFile):
                raise InputError(path, "not an .npz", expected="named arrays", found="one array")
            check_unpacked(path, sum(item.file_size for item in arrays.zip.infolist()) if arrays.zip else 0, most)
            yield arrays
    except PermissionError as error:
        raise unreadable(path, error) from None
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise _damaged_npz(path, error) from None
        found, mend = "pickled objects, which could run code", "save plain arrays of numbers"
        raise InputError(path, "not plain arrays", expected="arrays of integers", found=found, mend=mend) from None
    except _DAMAGED as error:
        raise _damaged_npz(path, error) from None


def _damaged_npz(path: Path, error: BaseException) -> InputError:
    found = str(error) or type(error).__name__
    return InputError(path, "a damaged .npz", expected="a whole one", found=found, mend="get the file again")


def _parts_of(path: Path, arrays: np.lib.npyio.NpzFile) -> dict[str, Digits]:
    parts = _keys_of(path, arrays)
    return {
        part: _one_part(path, arrays, keys, str(path) if part == "all" else f"{path}:{part}")
        for part, keys in parts.items()
    }


def _keys_of(path: Path, arrays: np.lib.npyio.NpzFile) -> dict[str, tuple[str, str]]:
    """The names of images and labels, by part."""
    names = set(arrays.files)
    if {key for keys in KERAS_KEYS.values() for key in keys} <= names:
        return KERAS_KEYS
    if PLAIN_KEYS[0] in names:
        return {"all": PLAIN_KEYS}
    expected = "x_train, y_train, x_test and y_test, or images and labels"
    found = ", ".join(sorted(names)) or "none"
    raise InputError(path, "other arrays", expected=expected, found=found[:200])


def _one_part(path: Path, arrays: np.lib.npyio.NpzFile, keys: tuple[str, str], source: str) -> Digits:
    images = check_images(arrays[keys[0]], f"{path}, {keys[0]}")
    labels = check_labels(arrays[keys[1]], f"{path}, {keys[1]}") if keys[1] in arrays.files else None
    if labels is not None and len(labels) != len(images):
        expected, found = f"{len(images)} labels for {keys[0]}", str(len(labels))
        raise InputError(f"{path}, {keys[1]}", "images and labels differ in number", expected=expected, found=found)
    return Digits(images, labels, source)


def write_npz(digits: Digits, path: Path) -> None:
    """The arrays `images` and, if there are any, `labels`, compressed; the same digits give the same bytes."""
    arrays = {"images": digits.images} | ({} if digits.labels is None else {"labels": digits.labels})
    _write_arrays(arrays, path)


def write_npz_parts(parts: dict[str, Digits], path: Path) -> None:
    """Keras' arrays: `x_train`, `y_train`, `x_test`, `y_test`, without the labels of a part that has none."""
    arrays = {f"x_{name}": digits.images for name, digits in parts.items()}
    _write_arrays(arrays | {f"y_{n}": part.labels for n, part in parts.items() if part.labels is not None}, path)


def _write_arrays(arrays: dict[str, NDArray[np.uint8]], path: Path) -> None:
    with write_whole(path) as beside, beside.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)

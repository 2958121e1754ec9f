"""Digits as image files: a folder with a sub-folder for each class, or Parquet as the Hugging Face hub has it.

>>> from inkdigits import load_digits, save_digits
>>> save_digits(load_digits("mnist:test"), "digits/")          # digits/7/00000.png, digits/2/00001.png, …
>>> load_digits("digits/").labels[:2]
array([7, 2], dtype=uint8)
"""

from __future__ import annotations

import io
import json
import os
import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from ..errors import InputError
from .arrays import check_labels
from .dataset import CLASSES, SIDE, Digits, Images
from .files import Watch, need_file, need_polars, unreadable, write_whole, write_whole_folder

if TYPE_CHECKING:
    import polars

FOLDER_MARK = ".inkdigits"  # lies in the folders that we wrote, so that they, and no others, can be replaced
NOT_PICTURES = {"thumbs.db", "desktop.ini"}  # put into folders of pictures by Windows

# Tells the Hub's `datasets` library that the column holds pictures.
HUB_FEATURES = {
    "info": {
        "features": {
            "image": {"_type": "Image"},
            "label": {"_type": "ClassLabel", "names": [str(label) for label in range(CLASSES)]},
        }
    }
}


def decode_picture(file: IO[bytes], where: object, *, any_size: bool = False) -> Images:
    """A 28×28 image file as a digit image uint8 (28, 28), its grey values as they are: 0 = paper, 255 = ink.

    With `any_size` a larger or smaller one is taken for a photograph, scan or drawing of one digit, and is prepared
    like those. Raises InputError if it is not an image file, has another size or nothing on it, or if one of 28×28 has
    more than 8 bits or is transparent.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about damaged metadata and about sizes, which are looked at below
            with Image.open(file) as picture:
                if picture.size != (SIDE, SIDE):
                    if any_size:
                        return _prepared(picture, where)
                    found = f"{picture.width}×{picture.height}"
                    raise InputError(where, "not a digit image", expected="28×28 pixels", found=found)
                if picture.mode.startswith(("I", "F")):
                    found = f"mode {picture.mode}"
                    raise InputError(where, "not a digit image", expected="8 bits a pixel", found=found)
                if picture.has_transparency_data and picture.convert("RGBA").getchannel("A").getextrema()[0] != 255:
                    mend = "save it without transparency"
                    raise InputError(where, "not a digit image", expected="grey", found="transparency", mend=mend)
                return np.array(picture.convert("L"), np.uint8)
    except InputError:
        raise
    except PermissionError as error:
        raise unreadable(where, error) from None
    # What Pillow's readers raise for damaged files.
    except (OSError, EOFError, SyntaxError, ValueError, TypeError, IndexError, KeyError, OverflowError) as error:
        raise _not_a_picture(where, error) from None
    except (struct.error, zlib.error, MemoryError, Image.DecompressionBombError) as error:
        raise _not_a_picture(where, error) from None


def _prepared(picture: Image.Image, where: object) -> Images:
    # Here, since they load OpenCV, which digit images do without.
    from ..ink.one import one_glyph
    from ..ink.picture import open_picture

    glyph = one_glyph(open_picture(picture, str(where)).pixels)
    if glyph is None:
        raise InputError(where, "a blank picture", expected="a digit on it", found="no ink", mend="move it away")
    return glyph


def _not_a_picture(where: object, error: BaseException) -> InputError:
    found = "something else" if isinstance(error, UnidentifiedImageError) else str(error) or type(error).__name__
    return InputError(where, "cannot be read as a picture", expected="PNG, JPEG or another image file", found=found)


def _png(image: Images) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def read_folder(path: Path) -> Digits:
    """The digits of a folder whose sub-folders `0` … `9` hold image files of that class.

    Those of 28×28 pixels are digit images, others pictures of one digit each. In the order of the files' names over all
    classes, which for a folder that we wrote is the order of the digits. Raises InputError that names the sub-folder or
    file that does not fit.
    """
    parts = list(folder_parts(path))
    images, labels = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Digits(images, labels, str(path))


def folder_parts(
    path: Path, rows: int = 1_000, *, watch: Watch | None = None
) -> Iterator[tuple[Images, NDArray[np.uint8]]]:
    """The same so many rows at a time: images uint8 (n, 28, 28) and labels uint8 (n,). Raises as `read_folder`.

    `watch` as in `read_blocks`, by the number of files.
    """
    try:
        classes = sorted(item for item in path.iterdir() if not item.name.startswith("."))
        folders = [item for item in classes if item.is_dir()]
        if not folders:
            names = ", ".join(item.name for item in classes[:3]) or "nothing"
            expected, mend = (
                "one sub-folder of pictures for each class, 0 … 9",
                "name a file in it, or sort the pictures",
            )
            raise InputError(path, "a folder without sub-folders", expected=expected, found=names, mend=mend)
        for folder in folders:
            if folder.name not in map(str, range(CLASSES)):
                raise InputError(folder, "not a class", expected="sub-folders 0 … 9", found=folder.name)
        stray = next((item for item in classes if not item.is_dir() and not _is_clutter(item)), None)
        if stray is not None:
            mend = "move it into the folder of its class, or away"
            raise InputError(stray, "lies beside the classes", expected="sub-folders 0 … 9 alone", mend=mend)
        pictures = [file for folder in folders for file in sorted(folder.iterdir()) if not _is_clutter(file)]
        pictures.sort(key=lambda file: (file.name, file.parent.name))
        for start in range(0, max(1, len(pictures)), rows):
            some = pictures[start : start + rows]
            images = np.empty((len(some), SIDE, SIDE), np.uint8)
            for row, file in enumerate(some):
                need_file(file)
                if not file.is_file():  # a pipe would be waited for
                    raise InputError(file, "not a picture", expected="a file", found="something else")
                with file.open("rb") as opened:
                    images[row] = decode_picture(opened, file, any_size=True)
            if watch is not None:
                watch.share = (start + len(some)) / max(1, len(pictures))
            yield images, np.array([int(file.parent.name) for file in some], np.uint8)
    except OSError as error:
        raise unreadable(getattr(error, "filename", None) or path, error) from None


def _is_clutter(file: Path) -> bool:
    return file.name.startswith(".") or file.name.lower() in NOT_PICTURES


def _is_written_picture(place: PurePath) -> bool:
    """Whether `write_folder` writes files of this name, seen from the folder: `LABEL/ROW.png`."""
    return re.fullmatch(r"[0-9](/\d{5,}\.png)?", place.as_posix()) is not None


def write_folder(digits: Digits, path: Path) -> None:
    """The digits as PNG files `LABEL/ROW.png`, rows from 0; replaces a folder that was written by this, and no other.

    InputError if they have no labels, OutputError if the folder holds something else.
    """
    labels = digits.need_labels("sort them into a folder for each class")
    width = max(5, len(str(len(digits) - 1)))
    with write_whole_folder(path, mark=FOLDER_MARK, is_ours=_is_written_picture) as beside:
        for label in np.unique(labels):
            (beside / str(label)).mkdir()
        for row, (image, label) in enumerate(zip(digits.images, labels, strict=True)):
            (beside / str(label) / f"{row:0{width}}.png").write_bytes(_png(image))


def read_parquet(path: Path) -> Digits:
    """The digits of a Parquet file with a column `image` (struct of `bytes`, an image file, and `path`) and `label`.

    Needs Polars. Raises InputError that names the row that does not fit.
    """
    images, labels = next(parquet_parts(path))
    return Digits(images, labels, str(path))


def parquet_parts(
    path: Path, rows: int | None = None, *, watch: Watch | None = None
) -> Iterator[tuple[Images, NDArray[np.uint8] | None]]:
    """The same so many rows at a time, or all at once: images uint8 (n, 28, 28) and labels uint8 (n,) or None.

    `watch` as in `read_blocks`, by the number of rows. Raises as `read_parquet`, where the mistake is met.
    """
    need_file(path)
    pl = need_polars(path)
    try:
        with path.open("rb") as file:  # since Polars has its own words for a missing right
            file.read(1)
        with _silent():
            lazy = pl.scan_parquet(path, glob=False)
            count = int(lazy.select(pl.len()).collect().item())
        for start in range(0, max(1, count), rows or max(1, count)):
            with _silent():
                table = lazy.slice(start, rows).collect()
            if watch is not None:
                watch.share = (start + len(table)) / max(1, count)
            yield _parquet_part(path, table, start)
    except OSError as error:
        raise unreadable(path, error) from None
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        found = str(error).splitlines()[0] if str(error) else "something else"
        raise InputError(path, "not a Parquet file", expected="a whole one", found=found) from None


def _parquet_part(path: Path, table: polars.DataFrame, before: int) -> tuple[Images, NDArray[np.uint8] | None]:
    cells = _image_bytes(path, table)
    images = np.empty((len(cells), SIDE, SIDE), np.uint8)
    for row, cell in enumerate(cells):
        where = f"{path}, row {before + row + 1}, column image"
        if not cell:
            raise InputError(where, "not a picture", expected="the bytes of an image file", found="nothing")
        images[row] = decode_picture(io.BytesIO(cell), where)
    if "label" not in table.columns:
        return images, None
    where = f"{path}, column label"
    if not table["label"].dtype.is_integer() or table["label"].null_count():
        found = f"{table['label'].dtype} with {table['label'].null_count()} empty"
        raise InputError(where, "not labels", expected="integers 0…9", found=found)
    return images, check_labels(table["label"].to_numpy(), where, before=before)


@contextmanager
def _silent() -> Iterator[None]:
    """Nothing on stderr: where Polars stumbles over a damaged file, it prints a traceback of Rust before it raises."""
    try:
        kept = os.dup(2)
    except OSError:  # there is no stderr
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _image_bytes(path: Path, table: polars.DataFrame) -> list[bytes | None]:
    kind = dict(table.schema).get("image")
    fields = {field.name: field.dtype for field in getattr(kind, "fields", [])}
    if str(fields.get("bytes")) != "Binary":
        listed = ", ".join(f"{name} ({dtype})" for name, dtype in list(table.schema.items())[:4])
        expected = "a column image of struct(bytes, path), as the Hugging Face hub has it"
        raise InputError(path, "other columns", expected=expected, found=listed or "none")
    cells: list[bytes | None] = table["image"].struct.field("bytes").to_list()
    return cells


def write_parquet(digits: Digits, path: Path) -> None:
    """The digits as the Hub stores MNIST: `image` (PNG bytes and a path) and, if there are any, `label` (int64)."""
    pl = need_polars(path)
    cells = [{"bytes": _png(image), "path": f"{row:05}.png"} for row, image in enumerate(digits.images)]
    columns = [pl.Series("image", cells, pl.Struct({"bytes": pl.Binary, "path": pl.String}))]
    features: dict[str, Any] = dict(HUB_FEATURES["info"]["features"])
    if digits.labels is None:
        del features["label"]
    else:
        columns.append(pl.Series("label", digits.labels, pl.Int64))
    buffer = io.BytesIO()
    pl.DataFrame(columns).write_parquet(buffer, metadata={"huggingface": json.dumps({"info": {"features": features}})})
    with write_whole(path) as beside:
        beside.write_bytes(buffer.getvalue())

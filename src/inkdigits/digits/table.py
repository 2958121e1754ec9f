"""Digits as a table: the CSV files of Kaggle and of everyone who copied them, plain, gzip or zip.

>>> from inkdigits import load_digits
>>> load_digits("train.csv").images.shape
(42000, 28, 28)

A row is a digit: 784 pixels from the top left, row by row, and perhaps a label. Reading goes block by block, by NumPy
on the bytes themselves, in half the time that Polars or `numpy.loadtxt` take, and little memory. This fast way accepts
only what is plainly right; a block with anything else in it (quotes, spaces, a mistake) is read again row by row,
which either makes sense of it or names the cell.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .dataset import CLASSES, PIXELS, SIDE, Digits
from .files import PACKING, Watch, need_polars, read_blocks, write_whole

LINE_LIMIT = 1 << 16  # bytes; 785 cells of 4 characters are 3,140
LABEL = "label"
WRITE_ROWS = 1_000  # rows turned into text at a time

Rows = NDArray[np.uint8]

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True)
class Layout:
    """What the columns of a table mean.

    Attributes
    ----------
    names: of the columns, or None without a header.
    columns: how many there are.
    label: the column of the labels, or None.
    pixels: the columns of the 784 pixels, in the order of the pixels; a slice where they stand side by side, for speed.
    """

    names: list[str] | None
    columns: int
    label: int | None
    pixels: slice | NDArray[np.intp]


def read_csv(path: Path) -> Digits:
    """The digits of a CSV, `.csv.gz` or `.zip` with one CSV in it; labels if it has a column of them.

    Raises InputError that names the row, counted from 1 without the header, and the column of the first mistake.
    """
    images, labels = zip(*csv_parts(path), strict=True)
    known = [part for part in labels if part is not None]
    pixels = np.concatenate(images).reshape(-1, SIDE, SIDE)
    return Digits(pixels, np.concatenate(known) if known else None, str(path))


def csv_parts(path: Path, *, watch: Watch | None = None) -> Iterator[tuple[Rows, Rows | None]]:
    """The same a hundred rows or so at a time: pixels uint8 (n, 784) and labels uint8 (n,) or None.

    `watch` as in `read_blocks`. Raises as `read_csv`, where the mistake is met.
    """
    # glibc gives freed memory back to the system, and asks for it again with every block, until it has seen a large
    # piece come and go; without this the first file takes twice the time.
    np.empty(4 << 20, np.uint8)
    layout: Layout | None = None
    rows, labelled, last = 0, False, 0  # any label but 0 so far; the largest last pixel
    blank_at = 0  # where an empty line was met; it is a mistake if a row follows
    for chunk in _whole_lines(path, watch):
        if layout is None:
            first, _, rest = chunk.partition(b"\n")
            layout = read_layout(path, first)
            chunk = rest if layout.names else chunk
        if not chunk:
            continue
        values = None if blank_at else parse_fast(chunk, layout)
        if values is None:
            values, blank_at = parse_slow(path, chunk, layout, rows, blank_at)
        if not len(values):
            continue
        rows += len(values)
        # Copies: a view would keep the whole block alive.
        pixels = np.ascontiguousarray(values[:, layout.pixels])
        labels = None if layout.label is None else values[:, layout.label].copy()
        labelled, last = labelled or labels is None or bool(labels.any()), max(last, int(pixels[:, -1].max()))
        yield pixels, labels
    if not rows:
        raise InputError(path, "no digits in it", expected="at least one row", found="a header only")
    if layout is not None and layout.names is None and not labelled and rows > 1 and 0 < last < CLASSES:
        expected, mend = "the label in the first column", "move it, or name the columns in a header"
        raise InputError(path, "labels all 0", expected=expected, found="what looks like labels in the last", mend=mend)


def _whole_lines(path: Path, watch: Watch | None) -> Iterator[bytes]:
    """The file in pieces that end with a line feed, without a byte-order mark."""
    rest = b""
    start = True
    for block in read_blocks(path, watch=watch):
        if start and block.startswith(b"\xef\xbb\xbf"):
            block = block[3:]
        if start and (b"\0" in block or block.startswith((b"\xff\xfe", b"\xfe\xff"))):
            found, mend = "binary data", "save the table as CSV in UTF-8"
            raise InputError(path, "not a CSV", expected="numbers and commas", found=found, mend=mend)
        start = False
        data = rest + block
        end = data.rfind(b"\n") + 1
        rest = data[end:]
        if len(rest) > LINE_LIMIT:
            found = f"a line of more than {LINE_LIMIT} characters"
            raise InputError(path, "not a CSV of digits", expected="785 cells on each line", found=found)
        if end:
            yield data[:end]
    if rest:
        yield rest + b"\n"


def read_layout(path: Path, line: bytes) -> Layout:
    """What the columns mean, from the first line: from its names, or from how many cells there are without a header."""
    text = line.decode(errors="replace").strip("\r")
    try:
        cells = [cell.strip() for cell in next(csv.reader([text]), [])]
    except csv.Error as error:
        raise InputError(path, "not a CSV", expected="numbers and commas", found=str(error)) from None
    if len(cells) < PIXELS and max(map(text.count, ";\t")) > PIXELS // 2:
        found, mend = "semicolons or tabs", "save it with commas"
        raise InputError(path, "another kind of table", expected="cells separated by commas", found=found, mend=mend)
    names = cells if _is_header(cells) else None
    if names is None:
        if len(cells) not in (PIXELS, PIXELS + 1):
            expected = "785 columns (a label and 784 pixels), or 784"
            found = f"{len(cells)} and no header"
            raise InputError(path, "wrong number of columns", expected=expected, found=found)
        label = 0 if len(cells) == PIXELS + 1 else None
        return Layout(None, len(cells), label, slice(len(cells) - PIXELS, None))
    at = [column for column, name in enumerate(names) if name.lower() == LABEL]
    pixels = [column for column in range(len(names)) if column not in at]
    if len(at) > 1 or len(pixels) != PIXELS:
        expected = f"784 pixels and at most one column called {LABEL}"
        found = f"{len(names)} columns, {f'{len(at)} called {LABEL}' if at else f'none called {LABEL}'}"
        unnamed = not at and len(pixels) == PIXELS + 1
        mend = f"call the column of labels {LABEL}" if unnamed else "remove the other columns"
        raise InputError(path, "wrong number of columns", expected=expected, found=found, mend=mend)
    return Layout(names, len(names), at[0] if at else None, _in_order(path, names, pixels))


def _is_header(cells: list[str]) -> bool:
    # A header may be numbers too: pandas calls the columns of an array 0, 1, 2, …
    counted = len(cells) >= PIXELS and cells in ([str(start + i) for i in range(len(cells))] for start in (0, 1))
    named = LABEL in (cell.lower() for cell in cells)
    return counted or named or sum(1 for cell in cells if _NUMBER.fullmatch(cell)) < len(cells) / 2


def _in_order(path: Path, names: list[str], pixels: list[int]) -> slice | NDArray[np.intp]:
    """The columns in the order of the pixels that their names tell: sorted by name, pixel10 comes before pixel2."""
    columns = np.array(pixels)
    for pattern, shape in ((r"[a-z_]*(\d{1,6})", (PIXELS,)), (r"(\d{1,2})x(\d{1,2})", (SIDE, SIDE))):
        matches = [re.fullmatch(pattern, names[column].lower()) for column in pixels]
        places = np.array([[int(part) for part in match.groups()] for match in matches if match is not None])
        if len(places) < PIXELS:
            continue
        places -= places.min(axis=0)
        order = np.lexsort(places.T[::-1])
        if np.any(places.max(axis=0) >= shape) or np.any(np.ravel_multi_index(places[order].T, shape) != range(PIXELS)):
            raise InputError(path, "names of pixels missing or twice", expected="each of 784 once", found=_twice(names))
        columns = columns[order]
        break
    else:
        numbers = [[int(number) for number in re.findall(r"\d+", names[column])] for column in pixels]
        if numbers != sorted(numbers):
            expected = "pixel0 … pixel783 or 1x1 … 28x28, or any names in the pixels' order"
            raise InputError(path, "names of pixels out of order", expected=expected, mend="name the columns like that")
    if np.all(np.diff(columns) == 1):
        return slice(int(columns[0]), int(columns[-1]) + 1)
    return columns


def _twice(names: list[str]) -> str:
    return next((f"{name} twice" for name in names if names.count(name) > 1), "a gap in their numbers")


def parse_fast(chunk: bytes, layout: Layout) -> Rows | None:
    """The values uint8 (rows, columns) of whole lines, or None if anything in them is not plainly right.

    Plainly right: digits, commas and line ends (LF or CRLF, all the same) and nothing else; in each cell one to three
    digits that make at most 255; in each line all the cells; labels up to 9.
    """
    text = np.frombuffer(chunk, np.uint8)
    digit = np.full(len(text) + 3, 255, np.uint8)  # three signs before the first, to look left from anywhere
    np.subtract(text, ord("0"), out=digit[3:])  # wraps: whatever is not a digit becomes more than 9
    # Zeros and ones as uint8, since NumPy multiplies uint8 by bool several times slower.
    is_digit = (digit < 10).view(np.uint8)
    two = is_digit[3:] & is_digit[2:-1]
    three = two & is_digit[1:-2]
    no_digit = is_digit[3:] ^ 1
    ends = np.flatnonzero(no_digit.view(np.bool_))  # every cell ends before one of these
    crlf = chunk.endswith(b"\r\n")
    per_line = layout.columns + crlf
    if len(ends) % per_line:
        return None
    last = ends.reshape(-1, per_line)
    signs = text.take(last)
    if np.any(signs[:, : layout.columns - 1] != ord(",")) or np.any(signs[:, -1] != ord("\n")):
        return None
    if crlf and (np.any(signs[:, -2] != ord("\r")) or np.any(last[:, -1] - last[:, -2] != 1)):
        return None
    # Of two signs side by side, with an empty cell between them, there are none but a CR and its LF on each line.
    empty = np.count_nonzero(no_digit[1:] & no_digit[:-1]) + no_digit[0]
    if empty != len(last) * crlf or np.any(three & is_digit[:-3]):
        return None
    # At each byte, the number that ends there, as far as digits reach to the left.
    value = digit[2:-1] * np.uint8(10)
    value *= two
    value += digit[3:]
    hundreds = digit[1:-2] * three
    if hundreds.max() > 2 or np.any((hundreds == 2) & (value > 55)):
        return None
    hundreds *= np.uint8(100)
    value += hundreds
    values = value.take(last[:, : layout.columns] - 1)
    if layout.label is not None and values[:, layout.label].max() >= CLASSES:
        return None
    return values


def parse_slow(path: Path, chunk: bytes, layout: Layout, rows: int, blank_at: int) -> tuple[Rows, int]:
    """The same values row by row, with quotes and spaces taken off; and the row of an empty line, 0 if none was met.

    Parameters
    ----------
    rows: how many rows came before this piece, for the messages.
    blank_at: the row at which an empty line was met before.

    Raises InputError that names the first mistake.
    """
    values: list[Rows] = []
    reader = csv.reader(io.StringIO(chunk.decode(errors="replace"), newline=""))
    try:
        for cells in reader:
            row = rows + len(values) + 1
            if not cells or (len(cells) == 1 and not cells[0].strip()):
                blank_at = blank_at or row
                continue
            if blank_at:
                where, expected = f"{path}, row {blank_at}", f"{layout.columns} cells"
                raise InputError(where, "an empty line", expected=expected, found="none", mend="remove the line")
            if len(cells) != layout.columns:
                where, expected = f"{path}, row {row}", str(layout.columns)
                raise InputError(where, "wrong number of columns", expected=expected, found=str(len(cells)))
            plain = parse_fast((",".join(map(str.strip, cells)) + "\n").encode(), layout)
            if plain is None:
                numbers = [_cell(path, layout, row, column, cell) for column, cell in enumerate(cells)]
                plain = np.array([numbers], np.uint8)
            values.append(plain)
    except csv.Error as error:
        where = f"{path}, row {rows + len(values) + 1}"
        raise InputError(where, "not a row of numbers", expected="numbers and commas", found=str(error)) from None
    return np.concatenate(values) if values else np.empty((0, layout.columns), np.uint8), blank_at


def _cell(path: Path, layout: Layout, row: int, column: int, cell: str) -> int:
    text = cell.strip()
    most = CLASSES - 1 if column == layout.label else 255
    if text.isascii() and text.isdigit() and len(text) < 10 and int(text) <= most:
        return int(text)
    name = f"{column + 1}" if layout.names is None else f"{layout.names[column]} (number {column + 1})"
    where = f"{path}, row {row}, column {name}"
    what = "not a label" if column == layout.label else "not a pixel"
    found = f"'{text[:40]}'" if text else "an empty cell"
    mend = "pixels are whole numbers, 0 = paper, 255 = ink" if most == 255 and _NUMBER.fullmatch(text) else None
    raise InputError(where, what, expected=f"an integer 0…{most}", found=found, mend=mend)


def write_csv(digits: Digits, path: Path) -> None:
    """The digits as Kaggle writes them: header, then `label,pixel0…pixel783` or, without labels, the pixels alone.

    Line ends are LF. The same digits give the same bytes, compressed too (`.gz`, `.zip`).
    """
    name = path.name.lower()
    with write_whole(path) as beside, beside.open("wb") as file:
        if name.endswith(".gz"):
            # Without name and time, which would make the bytes differ.
            with gzip.GzipFile("", "wb", PACKING, file, mtime=0) as packed:
                packed.writelines(_csv_text(digits))
        elif name.endswith(".zip"):
            inside = zipfile.ZipInfo(path.stem.removesuffix(".csv") + ".csv")  # dated 1980
            inside.compress_type = zipfile.ZIP_DEFLATED
            with zipfile.ZipFile(file, "w") as archive, archive.open(inside, "w", force_zip64=True) as packed_member:
                packed_member.writelines(_csv_text(digits))
        else:
            file.writelines(_csv_text(digits))


def answers_to_parquet(path: Path, target: Path) -> None:
    """A CSV of answers, whose columns are those of `predict`, as a Parquet file, in little memory. Needs Polars."""
    pl = need_polars(target)
    kinds = {"Confidence": pl.Float64, "Novelty": pl.Float64}
    kinds |= dict.fromkeys(["ImageId", "Label", "Refused"], pl.Int64)
    pl.scan_csv(path, glob=False, schema_overrides=kinds).sink_parquet(target)


def _csv_text(digits: Digits) -> Iterator[bytes]:
    names = [LABEL] if digits.labels is not None else []
    yield ",".join(names + [f"pixel{i}" for i in range(PIXELS)]).encode() + b"\n"
    # Each cell is four bytes, "7,\0\0" to "255,", and the zero bytes are taken out: a hundred times faster than a loop.
    cells = np.array([f"{value},".encode() for value in range(256)], "S4")
    for start in range(0, len(digits), WRITE_ROWS):
        rows = digits.images[start : start + WRITE_ROWS].reshape(-1, PIXELS)
        if digits.labels is not None:
            rows = np.column_stack([digits.labels[start : start + WRITE_ROWS], rows])
        text = cells[rows].view(np.uint8).reshape(len(rows), -1)
        last = text[:, -4:]
        last[last == ord(",")] = ord("\n")
        yield text.tobytes().translate(None, b"\0")

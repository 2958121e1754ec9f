from __future__ import annotations

import csv
import gzip
import io
import re
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support import error_of, same

from inkdigits.digits import files, table
from inkdigits.digits.dataset import Digits
from inkdigits.digits.formats import load_digits, save_digits
from inkdigits.errors import InputError

HEADER = "label," + ",".join(f"pixel{i}" for i in range(784))
ROW = "7," + ",".join(["0"] * 784)


def test_a_file_in_kaggles_form_is_read(train_csv, few):
    assert same(load_digits(train_csv), few.take(slice(5)))


FORMS = {
    "crlf": lambda text: text.replace("\n", "\r\n"),
    "byte-order mark": lambda text: "\ufeff" + text,
    "no line end at the end": lambda text: text.rstrip("\n"),
    "empty lines at the end": lambda text: text + "\n\r\n \n",
    "quoted": lambda text: "\n".join(",".join(f'"{cell}"' for cell in line.split(",")) for line in text.splitlines()),
    "spaces": lambda text: text.replace(",", " , "),
    "no header": lambda text: text.partition("\n")[2],
    "28x28": lambda text: (
        "label," + ",".join(f"{i}x{j}" for i in range(1, 29) for j in range(1, 29)) + text[len(HEADER) :]
    ),
    "numbered by pandas": lambda text: "label," + ",".join(map(str, range(784))) + text[len(HEADER) :],
    "capital letters": lambda text: text.replace("label", "Label"),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_csv_is_read_alike(train_csv, few, form):
    train_csv.write_bytes(FORMS[form](train_csv.read_text()).encode())
    assert same(load_digits(train_csv), few.take(slice(5)))


@pytest.mark.parametrize("header", [HEADER.removeprefix("label,"), ",".join(map(str, range(784))), None])
def test_pixels_alone_are_read_without_labels(tmp_path, few, header):
    path = tmp_path / "test.csv"
    text = "\n".join(",".join(map(str, row)) for row in few.images[:3].reshape(-1, 784))
    path.write_text(f"{header}\n{text}" if header else text)
    assert same(load_digits(path), Digits(few.images[:3]))


def test_columns_are_read_by_their_names_in_whatever_order(tmp_path, few):
    cells = np.column_stack([few.labels, few.images.reshape(-1, 784)])[:3]
    order = np.argsort(HEADER.split(","))  # as a program sorts them: label, pixel0, pixel1, pixel10, pixel100, …
    order = np.roll(order, 7)
    path = tmp_path / "sorted.csv"
    lines = [",".join(np.array(HEADER.split(","))[order]), *(",".join(map(str, row[order])) for row in cells)]
    path.write_text("\n".join(lines))
    assert same(load_digits(path), few.take(slice(3)))


def test_a_label_in_the_last_column_is_found_by_its_name(tmp_path, few):
    path = tmp_path / "last.csv"
    header = HEADER.removeprefix("label,") + ",label"
    path.write_text(header + "\n" + ",".join(map(str, [*few.images[0].ravel(), 7])) + "\n")
    assert same(load_digits(path), few.take(slice(1)))


BAD_CELLS = {
    "256": "an integer 0…255, found '256'",
    "-1": "an integer 0…255, found '-1'",
    "3.5": "an integer 0…255, found '3.5'; pixels are whole numbers",
    "x": "an integer 0…255, found 'x'",
    "": "an integer 0…255, found an empty cell",
    "1_0": "found '1_0'",
    "1000000000000000000000": "found '1000",
    "٣": "found '٣'",
    "1 2": "found '1 2'",
    "0x1": "found '0x1'",
}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("cell", BAD_CELLS)
def test_a_bad_pixel_is_named_by_row_and_column(train_csv, cell, end):
    lines = train_csv.read_text().splitlines()
    cells = lines[3].split(",")
    cells[6] = cell
    lines[3] = ",".join(cells)
    train_csv.write_bytes(end.join(lines).encode())
    message = error_of(train_csv)
    assert f"{train_csv}, row 3, column pixel5 (number 7): not a pixel, expected" in message
    assert BAD_CELLS[cell] in message
    train_csv.write_bytes(end.join(lines[1:]).encode())
    assert f"{train_csv}, row 3, column 7: not a pixel, expected" in error_of(train_csv)


def test_a_bad_pixel_far_down_is_counted_from_the_first_row(tmp_path):
    path = tmp_path / "long.csv"
    rows = [ROW] * 900
    rows[700] = ROW.replace("7,0,0", "7,0,256", 1)
    path.write_text("\n".join([HEADER, *rows]))
    assert path.stat().st_size > 3 * files.BLOCK
    assert f"{path}, row 701, column pixel1 (number 3): not a pixel" in error_of(path)


@pytest.mark.parametrize("label", ["10", "-1", "x", "3.0", "255", ""])
def test_a_bad_label_is_named_by_row_and_column(train_csv, label):
    lines = train_csv.read_text().splitlines()
    lines[2] = label + lines[2][1:]
    train_csv.write_text("\n".join(lines))
    message = error_of(train_csv)
    assert f"{train_csv}, row 2, column label (number 1): not a label, expected an integer 0…9, found" in message


@pytest.mark.parametrize(("row", "found"), [(ROW + ",0", 786), (ROW[:-2], 784), ("7", 1)])
def test_a_row_with_another_number_of_columns_is_named(train_csv, row, found):
    lines = train_csv.read_text().splitlines()
    train_csv.write_text("\n".join([*lines[:2], row, *lines[3:]]))
    assert f"row 2: wrong number of columns, expected 785, found {found}" in error_of(train_csv)


def test_a_row_that_borrows_cells_from_the_next_is_not_taken_for_two_right_ones(train_csv):
    lines = train_csv.read_text().splitlines()
    head, _, tail = lines[1].rpartition(",")
    train_csv.write_text("\n".join([lines[0], head, f"{tail},{lines[2]}"]))
    assert "row 1: wrong number of columns, expected 785, found 784" in error_of(train_csv)


def test_an_empty_line_between_rows_is_named_since_the_ids_of_a_submission_follow_the_rows(train_csv):
    lines = train_csv.read_text().splitlines()
    train_csv.write_text("\n".join([*lines[:3], "", *lines[3:]]))
    assert "row 3: an empty line" in error_of(train_csv)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "1,2,3\n4,5,6\n",
            "wrong number of columns, expected 785 columns (a label and 784 pixels), or 784, found 3 and no",
        ),
        ("a,b,c\n1,2,3\n", "wrong number of columns, expected 784 pixels and at most one column called label, found 3"),
        (HEADER.replace("label", "digit") + "\n" + ROW, "none called label; call the column of labels label"),
        ("id," + HEADER + "\n1," + ROW, "found 786 columns, 1 called label; remove the other columns"),
        (HEADER.replace("pixel0", "label") + "\n" + ROW, "2 called label"),
        (
            HEADER.replace("pixel5,", "pixel6,") + "\n" + ROW,
            "missing or twice, expected each of 784 once, found pixel6 twice",
        ),
        (
            HEADER.replace("pixel5,", "pixel999,") + "\n" + ROW,
            "missing or twice, expected each of 784 once, found a gap",
        ),
        (HEADER.replace("pixel5,", f"pixel{10**30},") + "\n", "names of pixels out of order"),
        (HEADER + "\n", "no digits in it, expected at least one row"),
        (HEADER, "no digits in it, expected at least one row"),
        (
            HEADER.replace(",", ";") + "\n" + ROW.replace(",", ";"),
            "expected cells separated by commas, found semicolons",
        ),
        ("\n\n\n", "wrong number of columns"),
        ("x" * 200_000, "not a CSV of digits, expected 785 cells on each line"),
        ('"' + "0," * 70_000, "not a CSV of digits"),
        (HEADER + '\n"' + ROW, "row 1: wrong number of columns"),
        ("\0" * 3000, "not a CSV, expected numbers and commas, found binary data"),
    ],
)
def test_a_table_that_is_not_one_of_digits_is_refused(tmp_path, text, message):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    assert message in error_of(path)


def test_utf_16_is_refused_with_how_to_mend_it(train_csv):
    train_csv.write_text(train_csv.read_text(), encoding="utf-16")
    assert "save the table as CSV in UTF-8" in error_of(train_csv)


CELL = st.sampled_from(
    ["0", "7", "9", "10", "99", "100", "199", "200", "255", "256", "300", "999", "1000", "007", "0255"]
)
ODD = st.sampled_from(["", " ", "-", "x", '"', "\r", "1 2", "+1", ";", "\ufeff", " 7", '"7"', "7\n"])


def plainly(text: str, columns: int) -> list[list[int]] | None:
    """What the fast way should make of a text, written as slowly and plainly as can be."""
    end = "\r\n" if text.endswith("\r\n") else "\n"
    rows = [line.split(",") for line in text.removesuffix(end).split(end)]
    cells = [cell for row in rows for cell in row]
    if any(len(row) != columns for row in rows) or not all(re.fullmatch("[0-9]{1,3}", cell) for cell in cells):
        return None
    return None if any(int(cell) > 255 for cell in cells) else [[int(cell) for cell in row] for row in rows]


@settings(deadline=None, max_examples=300)
@given(
    st.lists(st.tuples(st.integers(0, 8), CELL | ODD), max_size=4), st.sampled_from(["\n", "\r\n"]), st.integers(1, 3)
)
def test_the_fast_way_reads_what_is_plainly_right_and_nothing_else(changes, end, rows):
    layout = table.Layout(None, 3, None, slice(0, None))
    cells = ["1", "0", "255"] * rows
    for place, cell in changes:
        cells[place % len(cells)] = cell
    text = "".join(",".join(cells[start : start + 3]) + end for start in range(0, len(cells), 3))
    fast = table.parse_fast(text.encode(), layout)
    assert (None if fast is None else fast.tolist()) == plainly(text, 3)
    try:
        slow, _ = table.parse_slow(Path("x"), text.encode(), layout, 0, 0)
    except InputError:
        assert fast is None
    else:
        assert slow.tolist() == [
            [int(cell.strip(' "\n\r')) for cell in row] for row in csv.reader(io.StringIO(text)) if row
        ]


@settings(deadline=None, max_examples=300)
@given(st.text(alphabet="019,,\n\rx", max_size=40))
@example("1,2x3,4")
@example("1,2,\n1,2\r")
@example("1,2\r9\n,2\r")
def test_the_fast_way_reads_any_text_rightly_or_not_at_all(text):
    fast = table.parse_fast(f"{text}\n".encode(), table.Layout(None, 2, None, slice(0, None)))
    assert (None if fast is None else fast.tolist()) == plainly(f"{text}\n", 2)


@pytest.mark.parametrize("block", [1_000, 4_000, 1 << 17])
def test_rows_are_whole_wherever_a_block_ends(train_csv, few, monkeypatch, block):
    monkeypatch.setattr(files, "BLOCK", block)
    assert same(load_digits(train_csv), few.take(slice(5)))
    train_csv.write_bytes(train_csv.read_bytes().replace(b"\n", b"\r\n"))
    assert same(load_digits(train_csv), few.take(slice(5)))


def test_the_csv_is_written_as_kaggle_writes_it(tmp_path, few):
    save_digits(few.take(slice(2)), tmp_path / "a.csv")
    first, second = few.images[:2].reshape(2, -1)
    expected = f"{HEADER}\n7,{','.join(map(str, first))}\n2,{','.join(map(str, second))}\n"
    assert (tmp_path / "a.csv").read_bytes() == expected.encode()


# Compressed


def test_compression_is_known_by_content_whatever_the_name(train_csv, few):
    text = train_csv.read_bytes()
    train_csv.write_bytes(gzip.compress(text))
    assert same(load_digits(train_csv), few.take(slice(5)))
    with zipfile.ZipFile(train_csv, "w") as archive:
        archive.writestr("inner/train.CSV", text)
        archive.writestr("__MACOSX/inner/._train.csv", b"rubbish of the Finder")
        archive.writestr("readme.txt", b"hello")
    assert same(load_digits(train_csv), few.take(slice(5)))


def write_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_a_zip_with_two_tables_names_them(tmp_path):
    path = write_zip(tmp_path / "digit-recognizer.zip", {"train.csv": b"1", "test.csv": b"2"})
    assert "expected one CSV in the zip, found 2 (train.csv, test.csv); unpack it and name one" in error_of(path)


def test_a_zip_without_a_table_says_what_is_in_it(tmp_path):
    assert "found none (a.txt)" in error_of(write_zip(tmp_path / "a.zip", {"a.txt": b"1"}))
    assert "found none (nothing)" in error_of(write_zip(tmp_path / "b.zip", {}))


def test_an_encrypted_zip_is_refused(tmp_path):
    path = write_zip(tmp_path / "a.zip", {"a.csv": ROW.encode()})
    data = bytearray(path.read_bytes())
    for header in (b"PK\x03\x04", b"PK\x01\x02"):  # the flag of encryption stands at another place in each
        data[data.index(header) + (6 if header == b"PK\x03\x04" else 8)] |= 1
    path.write_bytes(data)
    assert "an encrypted zip" in error_of(path)


@pytest.mark.parametrize("name", ["bomb.csv.gz", "bomb.zip", "bomb-images-idx3-ubyte.gz", "bomb.npz"])
def test_a_bomb_is_refused(tmp_path, monkeypatch, name):
    monkeypatch.setattr(files, "UNPACKED_FREE", 1 << 20)  # or the test would have to unpack 64 MiB
    path = tmp_path / name
    rows = 5_000
    text = (ROW + "\n").encode() * rows
    if name.endswith(".csv.gz"):
        path.write_bytes(gzip.compress(text))
    elif name.endswith(".zip"):
        write_zip(path, {"train.csv": text})
    elif name.endswith(".npz"):
        np.savez_compressed(path, images=np.zeros((rows, 28, 28), np.uint8))
    else:
        path.write_bytes(gzip.compress(struct.pack(">4I", 2051, rows, 28, 28) + bytes(rows * 784)))
    assert "unpacks to more than a file of digits would" in error_of(path)


def test_a_zip_that_lies_about_its_size_is_not_believed(tmp_path, monkeypatch):
    path = write_zip(tmp_path / "a.zip", {"a.csv": (ROW + "\n").encode() * 5_000})
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.index(b"PK\x01\x02") + 24, 1_000)
    path.write_bytes(data)
    assert "a damaged archive" in error_of(path)

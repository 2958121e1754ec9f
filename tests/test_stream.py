"""Digits some at a time are the digits of the whole, from every kind of source, and no more memory than a piece."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from inkdigits.digits.dataset import Digits
from inkdigits.digits.formats import load_digits, save_digits
from inkdigits.digits.stream import Chunk, stream_digits
from inkdigits.errors import InputError

ROWS = 30


def keras_file(digits: Digits, path: Path) -> Path:
    half = len(digits) // 2
    parts = {"x_train": digits.images[:half], "x_test": digits.images[half:]}
    labels = digits.need_labels("write")
    np.savez(path, **parts, y_train=labels[:half], y_test=labels[half:])
    return path


def saved(digits: Digits, path: Path) -> Path:
    save_digits(digits, path)
    return path


SOURCES: dict[str, Callable[[Digits, Path], object]] = {
    "csv": lambda digits, folder: saved(digits, folder / "some.csv"),
    "csv without labels": lambda digits, folder: saved(Digits(digits.images), folder / "some.csv"),
    "csv.gz": lambda digits, folder: saved(digits, folder / "some.csv.gz"),
    "zip": lambda digits, folder: saved(digits, folder / "some.zip"),
    "idx": lambda digits, folder: saved(digits, folder / "some-images-idx3-ubyte"),
    "idx.gz": lambda digits, folder: saved(digits, folder / "some-images-idx3-ubyte.gz"),
    "idx without labels": lambda digits, folder: saved(Digits(digits.images), folder / "some-images-idx3-ubyte"),
    "npz": lambda digits, folder: saved(digits, folder / "some.npz"),
    "keras": lambda digits, folder: keras_file(digits, folder / "some.npz"),
    "keras:test": lambda digits, folder: f"{keras_file(digits, folder / 'some.npz')}:test",
    "parquet": lambda digits, folder: saved(digits, folder / "some.parquet"),
    "sqlite": lambda digits, folder: saved(digits, folder / "some.sqlite"),
    "folder": lambda digits, folder: saved(digits, folder / "some"),
    "array": lambda digits, folder: digits.images,
    "digits": lambda digits, folder: digits,
}


@pytest.mark.parametrize("name", SOURCES)
def test_the_pieces_are_the_whole(name: str, few: Digits, tmp_path: Path) -> None:
    source = SOURCES[name](few, tmp_path)
    chunks = list(stream_digits(source, rows=ROWS))  # type: ignore[arg-type]
    whole = load_digits(source)  # type: ignore[arg-type]
    assert {len(chunk.digits) for chunk in chunks[:-1]} <= {ROWS}
    assert len(chunks[-1].digits) <= ROWS
    assert np.array_equal(np.concatenate([chunk.digits.images for chunk in chunks]), whole.images)
    if whole.labels is None:
        assert all(chunk.digits.labels is None for chunk in chunks)
    else:
        assert np.array_equal(np.concatenate([chunk.digits.labels for chunk in chunks]), whole.labels)  # type: ignore[arg-type]
    shares = [chunk.share for chunk in chunks]
    assert shares == sorted(shares)
    assert 0.9 < shares[-1] <= 1.0  # behind what a zip holds there is a list of it


def test_of_a_file_with_parts_the_wanted_one_is_read(few: Digits, tmp_path: Path) -> None:
    file = keras_file(few, tmp_path / "some.npz")
    for part in ("train", "test"):
        wanted = np.concatenate([chunk.digits.images for chunk in stream_digits(file, part=part, rows=ROWS)])  # type: ignore[arg-type]
        assert np.array_equal(wanted, load_digits(f"{file}:{part}").images)
    with pytest.raises(InputError, match="has no parts"):
        list(stream_digits(f"{saved(few, tmp_path / 'plain.csv')}:train"))


def test_arrays_column_by_column_are_read_too(few: Digits, tmp_path: Path) -> None:
    file = tmp_path / "some.npz"
    np.savez(file, images=np.asfortranarray(few.images), labels=few.labels)
    pieces = [chunk.digits.images for chunk in stream_digits(file, rows=ROWS)]
    assert np.array_equal(np.concatenate(pieces), few.images)


def before_the_mistake(source: object) -> tuple[list[Chunk], str]:
    found = []
    with pytest.raises(InputError) as raised:
        found.extend(chunk for chunk in stream_digits(source, rows=ROWS))  # type: ignore[arg-type]
    return found, str(raised.value)


def test_a_mistake_is_named_by_its_row_in_the_file(few: Digits, tmp_path: Path) -> None:
    csv = saved(few, tmp_path / "some.csv")
    lines = csv.read_text().splitlines()
    lines[151] = lines[151].replace(",0,", ",256,", 1)
    csv.write_text("\n".join(lines))
    assert "row 151, column pixel0" in before_the_mistake(csv)[1]
    wide = few.images.astype(np.int32)
    wide[120, 3, 4] = -1
    np.savez(tmp_path / "some.npz", images=wide)
    assert "row 121, pixel 88: not a pixel" in before_the_mistake(tmp_path / "some.npz")[1]
    labels = np.asarray(few.labels, np.int64)
    labels[77] = 12
    np.savez(tmp_path / "labels.npz", images=few.images, labels=labels)
    assert "row 78: not a label" in before_the_mistake(tmp_path / "labels.npz")[1]
    images = saved(few, tmp_path / "some-images-idx3-ubyte")
    beside = tmp_path / "some-labels-idx1-ubyte"
    content = bytearray(beside.read_bytes())
    content[8 + 77] = 12
    beside.write_bytes(content)
    assert "row 78: not a label" in before_the_mistake(images)[1]


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_an_idx_file_cut_short_or_too_long_is_noticed_in_the_end(ending: str, few: Digits, tmp_path: Path) -> None:
    file = saved(Digits(few.images), tmp_path / "some-images-idx3-ubyte")
    content = file.read_bytes()
    damaged = tmp_path / f"other-images-idx3-ubyte{ending}"
    for wrong, word in ((content[:-1], "cut short"), (content + b"0", "too long"), (content[:20], "cut short")):
        damaged.write_bytes(gzip.compress(wrong) if ending else wrong)
        chunks, said = before_the_mistake(damaged)
        assert word in said
        assert len(chunks) <= 200 // ROWS
        with pytest.raises(InputError, match=word):
            load_digits(damaged)


def test_a_file_without_rows_is_an_error(tmp_path: Path, few: Digits) -> None:
    file = tmp_path / "some.csv"
    file.write_text(saved(few, tmp_path / "whole.csv").read_text().splitlines()[0] + "\n")
    assert "no digits in it" in before_the_mistake(file)[1]
    np.savez(tmp_path / "some.npz", images=few.images[:0])
    assert "no digits in it" in before_the_mistake(tmp_path / "some.npz")[1]


MEASURE = """
import resource, sys
from inkdigits.digits.stream import stream_digits
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
count = sum(len(chunk.digits) for chunk in stream_digits(sys.argv[1]))
print(count, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted as Linux counts it")
@pytest.mark.parametrize("name", ["some.csv", "some-images-idx3-ubyte", "some.npz"])
def test_memory_does_not_grow_with_the_file(name: str, few: Digits, tmp_path: Path) -> None:
    times = 300  # 60,000 digits, 47 MB of pixels
    file = saved(Digits(np.tile(few.images, (times, 1, 1))), tmp_path / name)
    done = subprocess.run([sys.executable, "-c", MEASURE, str(file)], capture_output=True, text=True, check=True)
    count, megabytes = done.stdout.split()
    assert int(count) == times * len(few)
    assert float(megabytes) < 30

"""The store of corrections: what is added can be listed, learnt from and deleted, by many threads, in one file."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from inkdigits.digits.corrections import CorrectionStore, StoreFullError
from inkdigits.digits.dataset import Digits
from inkdigits.digits.formats import load_digits, save_digits
from inkdigits.errors import InputError, OutputError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "corrections.sqlite"


def test_corrections_are_listed_page_by_page(tmp_path: Path) -> None:
    with CorrectionStore(tmp_path / "a.sqlite") as store:
        for label in range(10):
            store.add(np.zeros((28, 28), np.uint8), label)
        first = store.list(4)
        assert [each.label for each in first] == [9, 8, 7, 6]
        assert [each.label for each in store.list(4, before=first[-1].id)] == [5, 4, 3, 2]


def test_what_is_deleted_while_somebody_reads_is_wiped_with_the_next_writing(tmp_path: Path) -> None:
    path, secret = tmp_path / "a.sqlite", b"secret picture " * 50
    with CorrectionStore(path) as store, closing(sqlite3.connect(path)) as reading:
        number = store.add(np.zeros((28, 28), np.uint8), 1, picture=secret)
        reading.execute("begin")
        reading.execute("select * from correction").fetchall()
        assert store.delete(number)
        reading.execute("commit")
        store.add(np.zeros((28, 28), np.uint8), 2)
        assert not any(secret in file.read_bytes() for file in tmp_path.iterdir())


def test_what_was_added_is_listed_newest_first(path: Path, few: Digits) -> None:
    with CorrectionStore(path) as store:
        ids = [store.add(image, int(label)) for image, label in zip(few.images[:3], range(3), strict=True)]
        listed = store.list(2)
        assert [each.id for each in listed] == ids[:0:-1]
        assert np.array_equal(listed[0].glyph, few.images[2])
        assert (listed[0].label, listed[0].answer, store.count()) == (2, None, 3)


def test_what_was_added_is_learnt_from_in_the_order_it_was_made(path: Path, few: Digits) -> None:
    with CorrectionStore(path) as store:
        for image in few.images[:5]:
            store.add(image, 7, answer=1, picture=b"a photograph")
        while_open = load_digits(path)
    after = load_digits(path)
    for digits in (while_open, after):
        assert np.array_equal(digits.images, few.images[:5])
        assert digits.labels is not None
        assert digits.labels.tolist() == [7] * 5


def test_a_closed_store_is_one_file(path: Path, few: Digits) -> None:
    with CorrectionStore(path) as store:
        store.add(few.images[0], 7)
    load_digits(path)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_file_of_digits_can_be_added_to(path: Path, few: Digits) -> None:
    save_digits(few.take(slice(2)), path)
    with CorrectionStore(path) as store:
        store.add(few.images[2], 1)
        assert store.count() == 3
    assert len(load_digits(path)) == 3


def test_what_is_deleted_is_gone_from_the_disk_too(path: Path, few: Digits) -> None:
    secret = b"a photograph that nobody may see" * 50
    with CorrectionStore(path) as store:
        number = store.add(few.images[0], 7, picture=secret)
        assert store.delete(number)
        assert not store.delete(number)
        assert store.list() == []
        for file in path.parent.iterdir():
            assert secret[:32] not in file.read_bytes()


def test_a_full_store_says_so_and_goes_on_once_there_is_room(path: Path, few: Digits) -> None:
    with CorrectionStore(path, most_bytes=64 << 10) as store:
        number = store.add(few.images[0], 7, picture=bytes(30_000))
        with pytest.raises(StoreFullError, match="no room for another correction"):
            store.add(few.images[1], 2, picture=bytes(60_000))
        assert store.count() == 1
        store.delete(number)
        store.add(few.images[1], 2, picture=bytes(30_000))
    assert path.stat().st_size <= 64 << 10


def test_many_threads_may_add_and_delete_at_once(path: Path, few: Digits) -> None:
    def work(index: int) -> None:
        number = store.add(few.images[index], index % 10)
        store.list(5)
        if index % 2:
            store.delete(number)

    with CorrectionStore(path) as store:
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(work, range(40)))
        assert store.count() == 20
        assert {each.label % 2 for each in store.list()} == {0}


@pytest.mark.parametrize(
    ("glyph", "label", "answer"),
    [
        (np.zeros((28, 27), np.uint8), 1, None),
        (np.zeros((28, 28), np.float32), 1, None),
        (np.zeros((28, 28), np.uint8), 10, None),
        (np.zeros((28, 28), np.uint8), 1, -1),
        (np.zeros((28, 28), np.uint8), "1); drop table correction; --", None),
    ],
)
def test_what_is_no_correction_is_not_kept(path: Path, glyph: object, label: object, answer: object) -> None:
    with CorrectionStore(path) as store:
        with pytest.raises(InputError):
            store.add(glyph, label, answer=answer)  # type: ignore[arg-type]
        assert store.count() == 0


def test_another_file_is_not_taken_for_a_store(path: Path) -> None:
    path.write_bytes(b"a letter to somebody, much longer than a header" * 20)
    with pytest.raises(InputError, match="not a corrections file"):
        CorrectionStore(path)
    path.unlink()
    database = sqlite3.connect(path)
    database.execute("create table correction(name text)")
    database.close()
    with pytest.raises(InputError, match="no column"):
        CorrectionStore(path)


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be opened"):
        CorrectionStore(tmp_path / "nowhere" / "corrections.sqlite")


def test_what_a_process_left_behind_that_was_killed_can_be_read(path: Path, few: Digits, tmp_path: Path) -> None:
    left = tmp_path / "left"
    left.mkdir()
    with CorrectionStore(path) as store:
        for image in few.images[:3]:
            store.add(image, 7)
        for name in (path.name, f"{path.name}-wal"):
            (left / name).write_bytes((path.parent / name).read_bytes())
    assert len(load_digits(left / path.name)) == 3
    with CorrectionStore(left / path.name) as store:
        assert store.count() == 3
    assert [file.name for file in left.iterdir()] == [path.name]

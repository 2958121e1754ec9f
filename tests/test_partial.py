"""A file that grows: what an interruption leaves is what the next command goes on with, or it says why not."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import pytest

from inkdigits.digits import partial
from inkdigits.digits.partial import write_on
from inkdigits.errors import InputError, MissingExtraError, OutputError

TOLD = {"model": "a", "sources": ["one", "two"]}


class StopError(Exception):
    """Stands for whatever ends a command early."""


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def left_after(folder: Path, *, good: bytes = b"one\n", more: bytes = b"", told: Any = TOLD) -> Path:
    """A file whose writing was ended after `good` was committed and `more` was written."""
    target = folder / "out.csv"

    def write() -> None:
        with write_on(target, told=told) as growing:
            growing.write(good)
            growing.commit({"rows": 1})
            growing.write(more)
            raise StopError

    with pytest.raises(StopError):
        write()
    return target


def test_a_file_takes_its_place_in_the_end_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    target.write_bytes(b"earlier")
    with write_on(target, told=TOLD) as growing:
        growing.write(b"one\n")
        growing.commit({"rows": 1})
        assert target.read_bytes() == b"earlier"
        growing.write(b"two\n")
    assert target.read_bytes() == b"one\ntwo\n"
    assert names(tmp_path) == ["out.csv"]


@pytest.mark.parametrize("more", [b"", b"half a ro"])
def test_it_goes_on_behind_what_was_good(more: bytes, tmp_path: Path) -> None:
    target = left_after(tmp_path, more=more)
    assert names(tmp_path) == ["out.csv.part", "out.csv.part.json"]
    with write_on(target, told=TOLD, resume=True) as growing:
        assert growing.state == {"rows": 1}
        growing.write(b"two\n")
        growing.commit({"rows": 2})
    assert target.read_bytes() == b"one\ntwo\n"
    assert names(tmp_path) == ["out.csv"]


def test_without_resume_it_begins_anew(tmp_path: Path) -> None:
    target = left_after(tmp_path)
    with write_on(target, told=TOLD) as growing:
        assert growing.state == {}
        growing.write(b"new\n")
    assert target.read_bytes() == b"new\n"


def test_with_nothing_there_resume_begins(tmp_path: Path) -> None:
    with write_on(tmp_path / "out.csv", told=TOLD, resume=True) as growing:
        assert growing.state == {}
    assert names(tmp_path) == ["out.csv"]


def test_what_is_made_of_something_else_is_not_gone_on_with(tmp_path: Path) -> None:
    target = left_after(tmp_path)
    before = {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}
    other = TOLD | {"model": "b"}
    said = r"was begun otherwise, expected model a, found b; start again without --resume"
    with pytest.raises(InputError, match=said), write_on(target, told=other, resume=True):
        pass
    assert {name: (tmp_path / name).read_bytes() for name in names(tmp_path)} == before


@pytest.mark.parametrize("damage", ["shorter", "changed", "journal", "no journal"])
def test_what_was_damaged_meanwhile_is_not_gone_on_with(damage: str, tmp_path: Path) -> None:
    target = left_after(tmp_path, good=b"one\n" * 100)
    part, journal = tmp_path / "out.csv.part", tmp_path / "out.csv.part.json"
    if damage == "shorter":
        part.write_bytes(part.read_bytes()[:-1])
    elif damage == "changed":
        part.write_bytes(part.read_bytes().replace(b"one", b"two", 1))
    elif damage == "journal":
        journal.write_text("{")
    else:
        # As if it had been killed before the first commit: nothing is known to be good, so it begins.
        journal.unlink()
        with write_on(target, told=TOLD, resume=True) as growing:
            assert growing.size == 0
        return
    said = r"not what was written|cannot be gone on with"
    with pytest.raises(InputError, match=said), write_on(target, told=TOLD, resume=True):
        pass


def test_an_error_of_the_input_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "out.csv"

    def write() -> None:
        with write_on(target, told=TOLD) as growing:
            growing.write(b"one\n")
            growing.commit({"rows": 1})
            raise InputError("row 2", "not a row")

    with pytest.raises(InputError):
        write()
    assert names(tmp_path) == []


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    with write_on(target, told=TOLD) as growing:
        growing.write(b"one\n")
        with pytest.raises(OutputError, match="is being written by another command"), write_on(target, told=TOLD):
            pass
    assert target.read_bytes() == b"one\n"


def test_a_disk_that_is_full_keeps_what_was_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "out.csv"

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def write() -> None:
        with write_on(target, told=TOLD) as growing:
            growing.write(b"one\n")
            growing.commit({"rows": 1})
            growing.save()
            monkeypatch.setattr("os.fsync", full)
            growing.write(b"two\n")
            growing.commit({"rows": 2})
            growing.save()

    with pytest.raises(OutputError, match="no space left on the disk"):
        write()
    monkeypatch.undo()
    assert json.loads((tmp_path / "out.csv.part.json").read_text())["state"] == {"rows": 1}
    with write_on(target, told=TOLD, resume=True) as growing:
        assert growing.state == {"rows": 1}
        growing.write(b"two\n")
    assert target.read_bytes() == b"one\ntwo\n"


def test_what_reads_back_otherwise_is_noticed(tmp_path: Path) -> None:
    target = tmp_path / "out.csv"

    def write() -> None:
        with write_on(target, told=TOLD) as growing:
            growing.write(b"one\n")
            growing.flush()
            (tmp_path / "out.csv.part").write_bytes(b"two\n")

    with pytest.raises(OutputError, match="reads back otherwise"):
        write()
    assert not target.exists()


def test_commits_reach_the_disk_every_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(partial.time, "monotonic", lambda: now[0])
    journal = tmp_path / "out.csv.part.json"
    with write_on(tmp_path / "out.csv", told=TOLD) as growing:
        for second, kept in ((0.5, {}), (1.5, {"rows": 2}), (2.0, {"rows": 2}), (2.6, {"rows": 4})):
            now[0] = second
            growing.write(b"row\n")
            growing.commit({"rows": growing.size // 4})
            assert json.loads(journal.read_text())["state"] == kept


def test_folders_and_files_that_may_not_be_written_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="expected a file, found a folder"), write_on(tmp_path, told=TOLD):
        pass
    with pytest.raises(OutputError, match="make it first"), write_on(tmp_path / "no" / "out.csv", told=TOLD):
        pass


@pytest.mark.parametrize("finished", [True, False])
def test_what_another_command_has_just_finished_is_not_touched(
    finished: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the opening of the file beside the place and its lock another one may have put it in the place."""
    place, growing = tmp_path / "out.csv", tmp_path / "out.csv.part"
    growing.write_bytes(b"the other's\n")
    real = partial.lock

    def late(descriptor: int, path: Path, what: Path) -> bool:
        if finished and growing.exists() and not place.exists():
            growing.replace(place)
        return real(descriptor, path, what)

    monkeypatch.setattr(partial, "lock", late)
    with write_on(place, told={}) as writing:
        writing.write(b"ours\n")
        writing.flush()
        if finished:
            assert place.read_bytes() == b"the other's\n"
    assert place.read_bytes() == b"ours\n"


def test_a_missing_library_leaves_nothing(tmp_path: Path) -> None:
    def fails() -> None:
        with write_on(tmp_path / "out.csv", told={}) as growing:
            growing.commit({"row": 1})
            raise MissingExtraError("a.parquet", "tables")

    with pytest.raises(MissingExtraError):
        fails()
    assert list(tmp_path.iterdir()) == []

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import inkdigits
from inkdigits.digits import files
from inkdigits.digits.dataset import Digits
from inkdigits.digits.files import hold, write_whole
from inkdigits.digits.formats import load_digits, save_digits
from inkdigits.errors import OutputError

NAMES = ["a.csv", "a.zip", "a-images-idx3-ubyte", "a.npz", "a.parquet", "a.sqlite", "folder"]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_file_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "a.txt"
    with write_whole(path) as beside:
        beside.write_text("new")
        assert not path.exists()
        assert beside.parent == tmp_path
    assert contents(tmp_path) == {"a.txt": b"new"}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError(errno.ENOSPC, "No space left on device")])
def test_whatever_fails_the_earlier_file_stays_and_nothing_else(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write() -> None:
        with write_whole(path) as beside:
            beside.write_text("half")
            raise error

    with pytest.raises((ValueError, KeyboardInterrupt, OutputError)):
        write()
    assert contents(tmp_path) == {"a.txt": b"old"}


@pytest.mark.parametrize("name", NAMES)
def test_a_full_disk_loses_nothing(tmp_path, few, monkeypatch, name):
    save_digits(few.take(slice(5)), tmp_path / name)
    before = contents(tmp_path)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(OutputError, match="no space left on the disk; make room"):
        save_digits(few, tmp_path / name)
    assert contents(tmp_path) == before
    monkeypatch.undo()
    assert len(load_digits(tmp_path / name)) == 5


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_device_without_space_is_reported():
    with pytest.raises(OutputError, match="/dev/full: no space left on the disk"), write_whole("/dev/full") as beside:
        beside.write_text("x")
    assert Path("/dev/full").is_char_device()


@pytest.mark.skipif(os.name != "posix", reason="a pipe of POSIX")
def test_a_pipe_is_written_to_and_not_replaced(tmp_path):
    program = (
        "from inkdigits.digits.files import write_whole\nwith write_whole('/dev/stdout') as f: f.write_text('out')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "out"


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_folder_is_named(tmp_path, few, name):
    path = tmp_path / "none" / name
    with pytest.raises(OutputError, match=r"cannot be written, expected the folder .*none, found none; make it first"):
        save_digits(few.take(slice(5)), path)
    assert not contents(tmp_path)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "folder"])
def test_a_folder_in_the_place_of_the_file_is_kept(tmp_path, few, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "kept").write_text("kept")
    with pytest.raises(OutputError, match="expected a file, found a folder"):
        save_digits(few.take(slice(5)), tmp_path / name)
    assert contents(tmp_path) == {f"{name}/kept": b"kept"}


def test_a_file_in_the_place_of_a_folder_on_the_way_is_reported(tmp_path, few):
    (tmp_path / "file").write_text("kept")
    with pytest.raises(OutputError, match="cannot be written, expected a folder, found a file"):
        save_digits(few.take(slice(5)), tmp_path / "file" / "a.csv")


@pytest.mark.parametrize("name", NAMES)
def test_no_permission_is_one_clear_line(tmp_path, few, monkeypatch, name):
    # The tests may run as root, whom no permission stops: so the system is made to refuse.
    def refuse(path: Path, *_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "touch", refuse)
    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(OutputError, match="no permission to write it; choose another folder"):
        save_digits(few.take(slice(5)), tmp_path / name)
    assert not contents(tmp_path)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc on this system")
def test_a_folder_that_takes_no_files_is_reported(few):
    with pytest.raises(OutputError, match=r"/proc/a\.csv: "):
        save_digits(few.take(slice(5)), "/proc/a.csv")


def test_a_read_only_file_is_not_replaced(tmp_path, few, monkeypatch):
    (tmp_path / "a.csv").write_text("kept")
    (tmp_path / "a.csv").chmod(0o444)
    monkeypatch.setattr(os, "access", lambda path, mode: bool(Path(path).stat().st_mode & 0o222))  # as for any but root
    with pytest.raises(OutputError, match="no permission to write it"):
        save_digits(few, tmp_path / "a.csv")
    assert contents(tmp_path) == {"a.csv": b"kept"}


@pytest.mark.parametrize("name", ["a.txt", "a.gz", "a.pkl"])
def test_an_unknown_format_lists_the_known_ones(tmp_path, few, name):
    with pytest.raises(OutputError, match=r"an unknown format, expected \.csv, \.csv\.gz, \.zip"):
        save_digits(few, tmp_path / name)
    assert not contents(tmp_path)


def test_a_name_for_labels_is_not_taken_for_one_of_images(tmp_path, few):
    with pytest.raises(OutputError, match="name the file of images"):
        save_digits(few, tmp_path / "x-labels-idx1-ubyte")


@pytest.mark.skipif(os.name != "posix", reason="links and rights of POSIX")
def test_a_link_is_followed_and_rights_are_kept(tmp_path):
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "real.txt").chmod(0o640)
    (tmp_path / "link.txt").symlink_to(tmp_path / "real.txt")
    with write_whole(tmp_path / "link.txt") as beside:
        beside.write_text("new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "new"
    assert (tmp_path / "real.txt").stat().st_mode & 0o777 == 0o640


def test_an_earlier_folder_comes_back_if_it_cannot_be_replaced(tmp_path, few, monkeypatch):
    save_digits(few.take(slice(5)), tmp_path / "folder")
    before, rename = contents(tmp_path), Path.rename

    def refuse_the_new(path: Path, target: Path) -> Path:
        if path.suffix == ".part":
            raise OSError(errno.EIO, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse_the_new)
    with pytest.raises(OutputError, match="cannot be written, found Input/output error"):
        save_digits(few, tmp_path / "folder")
    assert contents(tmp_path) == before


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="needs prlimit")
def test_a_file_over_the_size_that_is_allowed_loses_nothing(tmp_path, few):
    save_digits(few.take(slice(5)), tmp_path / "a.csv")
    before = contents(tmp_path)
    # Python ignores the signal SIGXFSZ, so the write itself fails in the middle, as on a full disk.
    program = (
        "import sys; from inkdigits.digits.formats import load_digits, save_digits\n"
        "from inkdigits.errors import OutputError\n"
        "try: save_digits(load_digits('mnist:test'), sys.argv[1])\n"
        "except OutputError as error: print(error)"
    )
    command = ["prlimit", "--fsize=1000000", sys.executable, "-c", program, str(tmp_path / "a.csv")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "a.csv: cannot be written, found File too large" in done.stdout
    assert contents(tmp_path) == before


def test_a_folder_that_is_held_is_refused_to_others_until_it_is_free(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    with hold(folder):
        with pytest.raises(OutputError, match=r"b: is being written by another command; wait for it"), hold(folder):
            pass
        (folder / "result").touch()
    with hold(folder):
        pass
    assert (folder / "result").exists()


def test_a_folder_made_for_nothing_is_removed_again(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), hold(tmp_path / "made" / "for" / "nothing"):
        _ = 1 / 0
    (tmp_path / "was").mkdir()
    with hold(tmp_path / "was"):
        pass
    assert [file.name for file in tmp_path.iterdir()] == ["was"]


def test_a_folder_that_is_removed_before_it_is_held_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, times = files.lock, []

    def late(descriptor: int, path: Path, what: Path) -> bool:
        times.append(what)
        if len(times) == 1:
            what.rmdir()
        return real(descriptor, path, what)

    monkeypatch.setattr(files, "lock", late)
    with hold(tmp_path / "a" / "b"):
        (tmp_path / "a" / "b" / "result").touch()
    assert len(times) == 2


def test_a_folder_cannot_be_held_where_a_file_is(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file: cannot be written, expected a folder, found a file"):
        hold(tmp_path / "file").__enter__()


@pytest.mark.parametrize("verb", ["train", "compare", "ablate"])
def test_a_second_command_is_refused_and_spoils_nothing(verb: str, tmp_path: Path, few: Digits) -> None:
    folder = tmp_path / "results"
    with hold(folder):
        start = {
            "train": lambda: inkdigits.train(few, output=folder, force=True),
            "compare": lambda: inkdigits.compare("mnist", output=folder, quick=True),
            "ablate": lambda: inkdigits.ablate("mnist", output=folder, quick=True),
        }[verb]
        with pytest.raises(OutputError, match="is being written by another command"):
            start()
        assert list(folder.iterdir()) == []

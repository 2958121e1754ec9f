"""`inkdigits read` as a user meets it: what it prints, what it writes, and the status it leaves with."""

from __future__ import annotations

import base64
import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support import somebody_elses_model

import inkdigits
from inkdigits.app.cli import status_of
from inkdigits.digits.dataset import Digits
from inkdigits.ink.picture import Picture
from inkdigits.reader.answers import HEADER, as_object
from inkdigits.reader.read import ReadDigit, Reader, Reading


class Said:
    """What one call printed and its exit status."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *arguments: object) -> None:
        self.status = status_of(["read", *(str(argument) for argument in arguments)])
        self.out, self.err = capsys.readouterr()


Say = Callable[..., Said]


@pytest.fixture
def read(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Say:
    """`inkdigits read` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: Said(capsys, *arguments)


def written(digits: Digits, count: int) -> Image.Image:
    """The first so many digits in a row, black on white, as large as on a scan."""
    row = np.concatenate([np.kron(image, np.ones((3, 3), np.uint8)) for image in digits.images[:count]], axis=1)
    return Image.fromarray(255 - np.pad(row, 30))


def sheet(level: int, name: str) -> str:
    """A picture file of one grey level, by which `answers` knows what to say of it."""
    Image.new("L", (40, 30), level).save(name)
    return name


def said(digit: int | None, *, confidence: float = 0.99, novelty: float = 0.1, second: int = 9) -> ReadDigit:
    probabilities = np.zeros(10)
    probabilities[second], probabilities[digit or 0] = 1 - confidence, confidence
    glyph = np.arange(784, dtype=np.uint16).reshape(28, 28).astype(np.uint8)
    return ReadDigit(digit, confidence, novelty, (1, 2, 3, 4), tuple(probabilities.tolist()), glyph)


ANSWERS: dict[int, tuple[str, bool, str | None, tuple[ReadDigit, ...]]] = {
    10: ("407", False, None, (said(4), said(0, confidence=0.6), said(7, novelty=0.9))),
    20: ("52 19\n3", False, None, tuple(map(said, (5, 2, 1, 9, 3)))),
    30: ("", True, "blank", ()),
    40: ("3?4", True, "unsure", (said(3), said(None, novelty=0.9), said(4))),
}


@pytest.fixture
def options(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """A reader that answers a grey level as ANSWERS has it; gives the options that it was called with."""
    called: list[dict[str, Any]] = []

    def answer(_: Reader, picture: Picture, **named: Any) -> Reading:
        called.append(named)
        text, refused, reason, digits = ANSWERS[int(picture.pixels.flat[0])]
        return Reading(picture.name, text, refused, reason, digits, picture.page, picture.note)

    monkeypatch.setattr(Reader, "read", answer)
    return called


# What is printed


def test_of_one_picture_just_the_text_is_printed(read: Say, options: Any) -> None:
    found = read(sheet(20, "a.png"))
    assert (found.status, found.out, found.err) == (0, "52 19\n3\n", "")


def test_of_several_each_line_has_its_file_before_it(read: Say, options: Any) -> None:
    found = read(sheet(20, "b.png"), sheet(10, "a.png"))
    assert found.out == "b.png\t52 19\nb.png\t3\na.png\t407\n"


def test_what_is_refused_is_said_on_stderr_with_status_three(read: Say, options: Any) -> None:
    found = read(sheet(30, "a.png"))
    assert (found.status, found.out, found.err) == (3, "", "a.png: refused: blank\n")
    found = read(sheet(30, "a.png"), sheet(40, "b.png"), sheet(10, "c.png"))
    assert (found.status, found.out) == (3, "a.png\t\nb.png\t3?4\nc.png\t407\n")
    assert found.err == "a.png: refused: blank\nb.png: refused: unsure\n"
    assert read("a.png", "-q").err == ""


def test_a_bad_picture_among_good_ones_does_not_keep_them_from_being_answered(read: Say, options: Any) -> None:
    Path("bad.jpg").write_bytes(b"rubbish")
    found = read(sheet(10, "a.png"), "nosuch.png", "bad.jpg", sheet(30, "b.png"), ".", sheet(20, "c.png"), "-q")
    assert found.status == 1
    assert found.out == "a.png\t407\nnosuch.png\t\nbad.jpg\t\nb.png\t\n.\t\nc.png\t52 19\nc.png\t3\n"
    errors = found.err.splitlines()
    assert [line.split(",")[0] for line in errors] == [
        "error: nosuch.png: no such file; check the name and the folder",
        "error: bad.jpg: not a picture",
        "error: .: a folder",
    ]


def test_every_page_is_answered_under_its_number(read: Say, options: Any) -> None:
    pages = [Image.new("L", (40, 30), level) for level in (10, 30, 20)]
    pages[0].save("scan.tif", save_all=True, append_images=pages[1:])
    found = read("scan.tif")
    assert found.out.splitlines() == [
        "scan.tif, page 1\t407", "scan.tif, page 2\t", "scan.tif, page 3\t52 19", "scan.tif, page 3\t3"
    ]  # fmt: skip
    assert found.err == "scan.tif, page 2: refused: blank\n"
    assert [json.loads(line)["page"] for line in read("scan.tif", "--json").out.splitlines()] == [1, 2, 3]


def test_what_was_left_out_of_an_animation_is_said(read: Say, options: Any) -> None:
    frames = [Image.new("L", (40, 30), level) for level in (10, 20)]
    frames[0].save("film.gif", save_all=True, append_images=frames[1:])
    found = read("film.gif")
    assert (found.status, found.out, found.err) == (0, "407\n", "film.gif: first of several frames\n")
    assert json.loads(read("film.gif", "--json").out)["note"] == "first of several frames"


def test_standard_input_is_a_picture_too(read: Say, options: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    data = Path(sheet(10, "a.png")).read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert read("-").out == "407\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    assert "error: -: an empty file" in read("-").err


def test_every_option_reaches_the_reader(read: Say, options: list[dict[str, Any]]) -> None:
    read(sheet(10, "a.png"))
    read("a.png", "--one", "--best-guess", "--digits-only", "--strictness", "strict")
    plain = {"one": False, "best_guess": False, "digits_only": False, "strictness": "normal"}
    assert options == [plain, {"one": True, "best_guess": True, "digits_only": True, "strictness": "strict"}]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--strictness", "harsh"], "error: --strictness: unknown, expected lenient or normal or strict, found harsh"),
        (["--glyphs"], "error: --glyphs: is for --json; add --json"),
        (["-m", "nosuch"], "error: nosuch: no such model"),
        (["--csv", "nosuch/a.csv"], "error: nosuch/a.csv: cannot be written"),
        (["--annotate", "a.png"], "error: a.png: cannot be written, expected a folder, found a file"),
        (["--threads", "0"], "error: --threads"),
    ],
)
def test_what_is_wrong_with_an_option_is_one_line_before_anything_is_read(
    arguments: list[str], message: str, read: Say, options: list[dict[str, Any]]
) -> None:
    found = read(sheet(10, "a.png"), *arguments)
    assert (found.status, found.out) == (1, "")
    assert found.err.startswith(message)
    assert len(found.err.splitlines()) == 1
    assert options == []
    assert [path.name for path in Path().iterdir()] == ["a.png"]


# JSON


def test_json_is_one_object_a_picture_in_the_order_given_by_the_contract(read: Say, options: Any) -> None:
    found = read(sheet(10, "a.png"), "nosuch.png", sheet(30, "b.png"), "--json")
    first, bad, blank = map(json.loads, found.out.splitlines())
    assert [each["file"] for each in (first, bad, blank)] == ["a.png", "nosuch.png", "b.png"]
    assert {"file", "text", "refused", "reason", "digits"} <= first.keys()
    assert (first["text"], first["refused"], first["reason"], len(first["digits"])) == ("407", False, None, 3)
    digit = first["digits"][0]
    assert digit.keys() == {"digit", "confidence", "novelty", "box", "probabilities"}
    assert (digit["digit"], digit["box"], len(digit["probabilities"])) == (4, [1, 2, 3, 4], 10)
    assert (bad["text"], bad["refused"], bad["reason"], bad["digits"]) == ("", True, "unreadable file", [])
    assert "no such file" in bad["note"]
    assert (blank["refused"], blank["reason"], blank["digits"]) == (True, "blank", [])
    assert found.status == 1
    assert found.err == "error: nosuch.png: no such file; check the name and the folder\n"


def test_json_with_glyphs_carries_what_the_model_saw(read: Say, options: Any) -> None:
    glyph = json.loads(read(sheet(10, "a.png"), "--json", "--glyphs").out)["digits"][0]["glyph"]
    with Image.open(io.BytesIO(base64.b64decode(glyph))) as image:
        assert np.array_equal(np.asarray(image), said(4).glyph)


# The table


def test_the_table_has_a_row_for_each_digit(read: Say, options: Any) -> None:
    found = read(sheet(10, "a.png"), sheet(20, "b.png"), sheet(40, "c.png"), "--csv", "out.csv")
    assert found.out.startswith("a.png\t407")
    with Path("out.csv").open(newline="") as text:
        table = list(csv.DictReader(text))
    assert list(table[0]) == HEADER
    assert [row["digit"] for row in table] == list("407") + list("52193") + list("3?4")
    places = [row["line"] + row["number"] + row["position"] for row in table]
    assert places[:3] == ["111", "112", "113"]
    assert places[3:8] == ["111", "112", "121", "122", "211"]
    assert [row["review"] for row in table] == list("01100000010")
    assert [row["reason"] for row in table] == ["", "unsure", "unsure"] + [""] * 6 + ["not a digit", ""]
    first = table[0]
    assert (first["confidence"], first["novelty"]) == ("0.9900", "0.1000")
    assert [first[name] for name in ("x", "y", "width", "height")] == ["1", "2", "3", "4"]
    assert (first["second"], first["second_probability"]) == ("9", "0.0100")


@pytest.mark.parametrize("name", ["=1+1.png", "+1.png", "-1.png", "@SUM(1).png", "\t=1.png", "\n=1.png"])
def test_a_name_that_is_like_a_formula_is_none_in_the_table(name: str, read: Say, options: Any) -> None:
    read("--csv", "out.csv", "--", sheet(10, name), "nosuch.png")
    with Path("out.csv").open(newline="") as text:
        files = [row["file"] for row in csv.DictReader(text)]
    assert set(files) == {f"./{name}", "nosuch.png"}
    assert Path(files[0]).exists()


def test_a_sign_that_the_text_leaves_out_has_a_row_without_a_place(
    read: Say, options: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ANSWERS, 10, ("34", False, None, (said(3), said(None), said(4))))
    read(sheet(10, "a.png"), "--digits-only", "--csv", "out.csv")
    with Path("out.csv").open(newline="") as text:
        found = [(row["position"], row["digit"]) for row in csv.DictReader(text)]
    assert found == [("1", "3"), ("", "?"), ("2", "4")]


def test_no_picture_is_missing_from_the_table(read: Say, options: Any) -> None:
    read(sheet(30, "a.png"), "nosuch.png", sheet(10, "b.png"), "--csv", "out.csv", "-q")
    with Path("out.csv").open(newline="") as text:
        found = [(row["file"], row["digit"], row["review"], row["reason"]) for row in csv.DictReader(text)]
    assert found[:2] == [("a.png", "", "1", "blank"), ("nosuch.png", "", "1", "unreadable file")]
    assert found[2] == ("b.png", "4", "0", "")
    assert len(found) == 5


def test_every_digit_of_a_picture_refused_as_a_whole_is_marked_for_review(
    read: Say, options: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ANSWERS, 10, ("34", True, "turned", (said(3), said(4))))
    read(sheet(10, "a.png"), "--csv", "out.csv")
    with Path("out.csv").open(newline="") as text:
        assert [(row["review"], row["reason"]) for row in csv.DictReader(text)] == [("1", "turned")] * 2


def test_an_interrupted_table_leaves_the_earlier_one_and_an_interrupted_folder_too(
    read: Say, options: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(sheet(10, "a.png"), "--csv", "out.csv", "--annotate", "drawn")
    before = Path("out.csv").read_bytes(), Path("drawn/a-read.png").read_bytes()

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Reader, "read", interrupted)
    assert read("a.png", "--csv", "out.csv", "--annotate", "drawn").status == 130
    assert (Path("out.csv").read_bytes(), Path("drawn/a-read.png").read_bytes()) == before
    assert sorted(path.name for path in Path().iterdir()) == ["a.png", "drawn", "out.csv"]


def test_the_table_is_written_even_if_nobody_reads_along(few: Digits, tmp_path: Path) -> None:
    written(few, 2).save(tmp_path / "a.png")
    command = f"{sys.executable} -m inkdigits read a.png a.png a.png --csv out.csv --best-guess | true"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert len((tmp_path / "out.csv").read_text().splitlines()) > 3


# The drawings


def test_a_drawing_for_each_picture_that_could_be_read(read: Say, options: Any) -> None:
    Path("other").mkdir()
    pages = [Image.new("L", (40, 30), level) for level in (10, 20)]
    pages[0].save("scan.tif", save_all=True, append_images=pages[1:])
    for _ in range(2):  # the second time in place of the first
        read(sheet(10, "a.png"), sheet(30, "other/a.jpg.png"), sheet(20, "other/a.png"), "nosuch.png", "scan.tif",
             "--annotate", "drawn", "-q")  # fmt: skip
        drawn = sorted(path.name for path in Path("drawn").iterdir() if not path.name.startswith("."))
        assert drawn == [
            "a-read-2.png", "a-read.png", "a.jpg-read.png", "scan-page1-read.png", "scan-page2-read.png"
        ]  # fmt: skip
    with Image.open("drawn/a-read.png") as image:
        assert image.width >= 800


def test_a_folder_with_something_else_in_it_is_not_drawn_into(read: Say, options: Any) -> None:
    Path("mine").mkdir()
    sheet(10, "mine/a.png")
    found = read("mine/a.png", "--annotate", "mine")
    assert found.status == 1
    assert "mine: holds something else" in found.err
    read("mine/a.png", "--annotate", "drawn")
    sheet(10, "drawn/own.png")
    assert "found own.png" in read("mine/a.png", "--annotate", "drawn").err
    assert Path("drawn/own.png").is_file()


# With the reader itself


def test_a_number_is_read_and_blank_paper_is_refused(read: Say, few: Digits) -> None:
    written(few, 5).save("number.png")
    Image.new("RGB", (300, 200), "white").save("blank.png")
    number = "".join(map(str, few.need_labels("compare")[:5]))
    assert read("number.png", "--best-guess").out.replace(" ", "") == f"{number}\n"
    for options in ([], ["--best-guess"], ["--one"], ["--one", "--best-guess"]):
        found = read("blank.png", *options)
        assert (found.status, found.err) == (3, "blank.png: refused: blank\n")


def test_json_from_the_reader_itself_is_complete_and_says_what_the_python_function_says(read: Say, few: Digits) -> None:
    written(few, 5).save("number.png")
    (found,) = map(json.loads, read("number.png", "--json", "--digits-only").out.splitlines())
    reading = inkdigits.read("number.png", digits_only=True)
    assert found == as_object(reading)
    assert found["text"].replace(" ", "") == "".join(map(str, few.need_labels("compare")[:5]))
    with Image.open("number.png") as image:
        width, height = image.size
    lefts = []
    for digit in found["digits"]:
        assert sum(digit["probabilities"]) == pytest.approx(1, abs=1e-4)
        assert digit["confidence"] == max(digit["probabilities"])
        assert 0 <= digit["novelty"] <= 1
        left, top, across, down = digit["box"]
        assert 0 <= left < left + across <= width
        assert 0 <= top < top + down <= height
        lefts.append(left)
    assert lefts == sorted(lefts)


def test_a_model_of_another_program_reads_and_says_how_it_gets_its_pixels(read: Say, few: Digits) -> None:
    somebody_elses_model(Path("other.onnx"), few)
    written(few, 1).save("seven.png")
    found = read("seven.png", "--one", "--best-guess", "-m", "other.onnx")
    assert (found.status, found.out) == (0, "7\n")
    assert found.err == "read by other (a foreign model, given its pixels scaled as 'unit')\n"
    said = "scaled as 'raw'"
    assert said in read("seven.png", "--best-guess", "-m", "other.onnx", "--input-scale", "raw").err
    assert read("seven.png", "--input-scale", "raw").err.startswith("error: --input-scale: is for foreign models")


def test_reading_loads_no_framework(few: Digits, tmp_path: Path) -> None:
    written(few, 3).save(tmp_path / "a.png")
    heavy = ["torch", "matplotlib", "scipy", "sklearn", "polars", "onnx", "pypdfium2", "pillow_heif"]
    code = (
        "import sys; from inkdigits.app.cli import status_of;"
        "status_of(['read', 'a.png', '--csv', 'a.csv', '--annotate', 'drawn']);"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "[]"

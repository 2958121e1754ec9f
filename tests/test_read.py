"""The reader on pictures made of real digits: what it says, what it refuses, and what changes nothing."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from inkdigits.digits.dataset import Digits
from inkdigits.errors import InputError
from inkdigits.ink.cut import find_signs
from inkdigits.ink.light import find_ink
from inkdigits.ink.picture import Picture as Opened
from inkdigits.reader import choose
from inkdigits.reader.choose import number_ends
from inkdigits.reader.read import BLANK, NOT_A_DIGIT, REASONS, STRICTNESS, TURNED, UNSURE, Reader, Reading, read

Picture = NDArray[np.uint8]
INK, PAPER = (40, 50, 110), (236, 230, 214)
SCALE = 4  # pixels of the paper for one of a digit image


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader(threads=1)


def line_of(images: NDArray[np.uint8], spaces: tuple[int, ...] = (), apart: int = 4) -> NDArray[np.float32]:
    """Digits (N, 28, 28) on one line as ink 0…1, cut to their width; behind those in `spaces` a wide gap."""
    parts: list[NDArray[np.float32]] = []
    for number, image in enumerate(images):
        columns = np.flatnonzero(image.max(0) > 60)
        ink = image[:, columns[0] : columns[-1] + 1].astype(np.float32) / 255
        parts += [ink, np.zeros((28, apart + (24 if number in spaces else 0)), np.float32)]
    return np.concatenate(parts, axis=1)


def on_paper(*lines: NDArray[np.float32], margin: int = 12) -> Picture:
    """Lines of ink one below the other on coloured paper, enlarged."""
    width = max(line.shape[1] for line in lines)
    ink = np.concatenate([np.pad(line, ((6, 6), (0, width - line.shape[1]))) for line in lines])
    ink = cv2.resize(np.pad(ink, margin), None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_CUBIC).clip(0, 1)[..., None]
    return np.asarray(np.array(PAPER) * (1 - ink) + np.array(INK) * ink, np.uint8)


def text_of(digits: Digits, *rows: int) -> str:
    labels = digits.need_labels("compare")
    return "".join(str(labels[row]) for row in rows)


def test_a_single_digit_is_read_whatever_the_paper(reader: Reader, few: Digits) -> None:
    read_right = [
        reader.read(on_paper(line_of(few.images[row : row + 1])), one=True, best_guess=True).text == text_of(few, row)
        for row in range(60)
    ]
    assert sum(read_right) >= 58


def test_numbers_lines_and_spaces_are_read(reader: Reader, few: Digits) -> None:
    page = on_paper(line_of(few.images[:6], spaces=(2,)), line_of(few.images[11:15]))
    expected = f"{text_of(few, 0, 1, 2)} {text_of(few, 3, 4, 5)}\n{text_of(few, 11, 12, 13, 14)}"
    said = reader.read(page)
    assert said.text == expected
    assert not said.refused
    assert said.reason is None
    assert "".join(str(digit.digit) for digit in said.digits) == expected.replace(" ", "").replace("\n", "")


def test_boxes_lie_around_the_ink(reader: Reader, few: Digits) -> None:
    page = on_paper(line_of(few.images[:3]))
    ink = page[..., 0] < 120
    for digit in reader.read(page).digits:
        x, y, width, height = digit.box
        inside = ink[y : y + height, x : x + width]
        assert inside[:, :8].any()
        assert inside[:, -8:].any()
        assert inside.mean() > 0.05
        assert digit.confidence == pytest.approx(max(digit.probabilities))
        assert sum(digit.probabilities) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("change", ["inverted", "grey", "shifted", "larger", "smaller", "shaded", "recompressed"])
def test_what_does_not_matter_changes_nothing(change: str, reader: Reader, few: Digits) -> None:
    page = on_paper(line_of(few.images[:5], apart=6))
    size = page.shape[1], page.shape[0]
    ramp = np.linspace(0.55, 1, size[0])[None, :, None]
    changed: dict[str, Any] = {
        "inverted": lambda: 255 - page,
        "grey": lambda: page.mean(axis=2).astype(np.uint8),
        "shifted": lambda: np.pad(page, ((40, 0), (90, 10), (0, 0)), mode="edge"),
        "larger": lambda: cv2.resize(page, (size[0] * 2, size[1] * 2), interpolation=cv2.INTER_CUBIC),
        "smaller": lambda: cv2.resize(page, (size[0] // 2, size[1] // 2), interpolation=cv2.INTER_AREA),
        "shaded": lambda: (page * ramp).astype(np.uint8),
        "recompressed": lambda: cv2.imdecode(cv2.imencode(".jpg", page, [cv2.IMWRITE_JPEG_QUALITY, 60])[1], 1),
    }
    assert reader.read(changed[change]()).text == text_of(few, *range(5))


def test_digits_that_touch_in_one_place_are_read_one_by_one(reader: Reader, few: Digits) -> None:
    read_right = []
    for row in range(80):
        left, right = (line_of(few.images[place : place + 1], apart=0) for place in (row, row + 1))
        both = np.pad(left, ((0, 0), (0, right.shape[1]))), np.pad(right, ((0, 0), (left.shape[1], 0)))
        while not (contact := np.minimum(*both) > 0.3).any():
            both = both[0], np.roll(both[1], -1, axis=1)
        if np.ptp(np.flatnonzero(contact.any(axis=1))) < 3 and contact.sum() < 5:
            said = reader.read(on_paper(np.maximum(*both)), best_guess=True)
            read_right.append(said.text == text_of(few, row, row + 1))
    assert np.mean(read_right) >= 0.78


def test_what_the_model_is_not_shown_would_not_have_been_chosen(
    reader: Reader, few: Digits, monkeypatch: pytest.MonkeyPatch
) -> None:
    broad = np.ones((3, 3), np.uint8)
    pages = [on_paper(cv2.dilate(line_of(few.images[row : row + 8], apart=0), broad)) for row in range(0, 80, 8)]
    shown = Counter[str]()

    def said(images: NDArray[np.uint8]) -> Any:
        shown[mode] += len(images)
        return reader.model.predict(images)

    watched: Any = SimpleNamespace(predict=said)
    found = {}
    for mode in ("some", "all"):
        if mode == "all":
            monkeypatch.setattr(choose, "_promising", lambda count, groups, known, most: groups)
        layouts = [find_signs(find_ink(page)) for page in pages]
        found[mode] = [choose.choose_signs(layout, watched) for layout in layouts]
    for some, every in zip(found["some"], found["all"], strict=True):
        assert [[sign.group for sign in row] for row in some] == [[sign.group for sign in row] for row in every]
    assert shown["some"] < 0.9 * shown["all"]


def test_blank_paper_is_a_result_even_for_a_best_guess(reader: Reader) -> None:
    for level in (0, 128, 250):
        for options in ({}, {"one": True}, {"best_guess": True}):
            said = reader.read(np.full((120, 90, 3), level, np.uint8), **options)
            assert (said.text, said.refused, said.reason, said.digits) == ("", True, BLANK, ())


def test_squared_paper_is_blank_however_it_is_asked_about(reader: Reader) -> None:
    paper = np.full((200, 300), 230, np.uint8)
    for place in range(-400, 600, 30):
        cv2.line(paper, (0, place), (400, place + 20), 180, 1, cv2.LINE_AA)
        cv2.line(paper, (place, 0), (place - 20, 400), 180, 1, cv2.LINE_AA)
    for options in ({}, {"one": True}, {"best_guess": True}, {"one": True, "best_guess": True}):
        said = reader.read(paper, **options)
        assert (said.text, said.refused, said.reason) == ("", True, BLANK)


@pytest.mark.parametrize("seed", range(3))
def test_a_stain_is_blank_paper_even_for_a_best_guess(seed: int, reader: Reader) -> None:
    rng = np.random.default_rng(seed)
    paper = np.full((240, 260), 205, np.float32) + cv2.GaussianBlur(rng.normal(0, 9, (240, 260)), (0, 0), 2)
    stain = np.zeros((240, 260), np.float32)
    cv2.ellipse(stain, (130, 120), (50, 30 + 9 * seed), 40 * seed, 0, 360, 1, -1)
    paper -= 32 * cv2.GaussianBlur(stain, (0, 0), 9)
    for options in ({}, {"one": True}, {"best_guess": True}, {"one": True, "best_guess": True}):
        said = reader.read(paper.astype(np.uint8), **options)
        assert (said.text, said.refused, said.reason) == ("", True, BLANK)


def test_digits_as_faint_as_a_stain_are_read(reader: Reader, few: Digits) -> None:
    page = on_paper(line_of(few.images[:6])).astype(np.float32)
    faint = (np.array(PAPER) - (np.array(PAPER) - page) * 0.12).astype(np.uint8)
    assert reader.read(faint, best_guess=True).text == text_of(few, *range(6))


def test_a_point_between_digits_is_never_dropped_in_silence(reader: Reader, few: Digits) -> None:
    left, right = line_of(few.images[:1]), line_of(few.images[1:3])
    point = np.zeros((28, 8), np.float32)
    point[21:24, 1:4] = 1
    page = on_paper(np.concatenate([left, point, right], axis=1))
    assert reader.read(page).text == f"{text_of(few, 0)}?{text_of(few, 1, 2)}"
    without = reader.read(page, digits_only=True)
    assert without.text == text_of(few, 0, 1, 2)
    assert len(without.digits) == 3


def test_a_scribble_is_refused_and_guessed_at_only_if_that_is_wanted(reader: Reader) -> None:
    rng = np.random.default_rng(3)
    sheet = np.full((160, 160, 3), 240, np.uint8)
    points = rng.integers(30, 130, (14, 1, 2)).astype(np.int32)
    cv2.polylines(sheet, [points], False, (30, 30, 60), 5, cv2.LINE_AA)
    said = reader.read(sheet, one=True)
    assert said.refused
    assert said.reason in (NOT_A_DIGIT, UNSURE)
    assert said.text == "?"
    guess = reader.read(sheet, one=True, best_guess=True)
    assert not guess.refused
    assert guess.text.isdigit()


def test_stricter_refuses_more(reader: Reader, few: Digits) -> None:
    refused = {
        strictness: sum(reader.read(image, strictness=strictness).refused for image in few.images)
        for strictness in STRICTNESS
    }
    assert refused["lenient"] <= refused["normal"] <= refused["strict"]
    assert refused["strict"] > refused["lenient"]
    assert refused["normal"] <= 8
    with pytest.raises(InputError, match="strictness: unknown, expected lenient or normal or strict"):
        reader.read(few.images[0], strictness="severe")


def test_digit_images_go_to_the_model_as_they_are(reader: Reader, few: Digits) -> None:
    direct = reader.model.predict(few.images[:20])
    said = reader.read(few.images[:20], best_guess=True)
    assert said.text == "".join(map(str, direct.labels))
    assert np.allclose([digit.probabilities for digit in said.digits], direct.probabilities)
    alone = reader.read(few.images[4])
    assert alone.text == text_of(few, 4)
    assert np.array_equal(alone.digits[0].glyph, few.images[4])
    blank = reader.read(np.zeros((28, 28), np.uint8))
    assert (blank.refused, blank.reason) == (True, BLANK)


def test_a_page_on_its_side_is_said_to_be_turned(reader: Reader, few: Digits) -> None:
    rows = [row for row in range(60) if few.need_labels("test")[row] in (2, 3, 4, 5, 7)][:10]
    page = on_paper(line_of(few.images[rows[:5]]), line_of(few.images[rows[5:]]), margin=20)
    assert reader.read(page).reason is None
    said = reader.read(np.ascontiguousarray(np.rot90(page)))
    assert said.refused
    assert said.reason in (TURNED, UNSURE, NOT_A_DIGIT)


def test_every_thread_gets_the_same_answer(reader: Reader, few: Digits) -> None:
    pages = [on_paper(line_of(few.images[row : row + 4])) for row in range(0, 24, 4)]
    alone = [reader.read(page).text for page in pages]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda page: reader.read(page).text, pages * 3))
    assert together == alone * 3


def test_the_function_keeps_its_reader_and_takes_a_run_too(few: Digits) -> None:
    said = read(on_paper(line_of(few.images[:2])))
    assert isinstance(said, Reading)
    assert said.text == text_of(few, 0, 1)
    with pytest.raises(InputError, match="no such model"):
        read(few.images[0], model="nobody")


def test_reasons_are_few_and_known() -> None:
    assert REASONS == ("blank", "not a digit", "unsure", "several digits", "turned", "unreadable file")


def signs_at(*places: tuple[int, int]) -> list[Any]:
    """Signs of a line 100 high, by where they begin and end."""
    line = SimpleNamespace(height=100.0)
    return [SimpleNamespace(line=line, group=SimpleNamespace(box=(begin, 0, end, 100))) for begin, end in places]


@pytest.mark.parametrize(
    ("gaps", "spaces"),
    [
        ((20, 20, 20), ()),
        ((90, 100, 95, 110), ()),  # evenly spaced, however wide: one number
        ((20, 120, 25), (1,)),
        ((20, 120, 25, 130, 15), (1, 3)),
        ((30, 25, 28, 45), ()),
        ((0, 80), (1,)),
        ((400,), (0,)),
        ((60,), ()),
    ],
)
def test_a_space_is_a_gap_much_wider_than_the_others(gaps: tuple[int, ...], spaces: tuple[int, ...]) -> None:
    places, right = [(0, 60)], 60
    for gap in gaps:
        places.append((right + gap, right + gap + 60))
        right += gap + 60
    ends = number_ends(signs_at(*places))
    assert tuple(index for index, end in enumerate(ends) if end) == spaces


def test_a_picture_made_as_mnists_are_is_read_as_the_digit_image_that_it_is(mnist_test: Digits) -> None:
    reader = Reader(threads=1)
    some = mnist_test.take(slice(30))
    sure = reader.model.predict(some.images).confidence > 0.99
    assert sure.sum() > 20
    for image, label in zip(some.images[sure], some.need_labels("test")[sure], strict=True):
        reading = reader.read(Opened(image, "a.png"))
        assert reading.text == str(label)
        assert np.array_equal(reading.digits[0].glyph, image)
        left, top, width, height = reading.digits[0].box
        assert image.sum() == image[top : top + height, left : left + width].sum()


def squeezed(one: Any, other: Any) -> Any:
    """Two digits side by side in the place that a digit image has for one."""
    row = np.hstack([one[4:24, 6:22], other[4:24, 6:22]])
    low = cv2.resize(row, (20, 12), interpolation=cv2.INTER_AREA)
    image = np.zeros((28, 28), np.uint8)
    image[8:20, 4:24] = low
    return image


def test_two_digits_in_the_place_of_one_are_hardly_ever_taken_for_one(few: Digits) -> None:
    reader = Reader(threads=1)
    pictures = [Opened(squeezed(few.images[i], few.images[i + 1]), "a.png") for i in range(0, 60, 2)]
    readings = reader.read_many(pictures, [{}] * len(pictures))
    assert sum(len(reading.text) == 1 and not reading.refused for reading in readings) <= 2


def test_many_pictures_at_once_are_read_as_they_are_one_by_one(few: Digits) -> None:
    reader = Reader(threads=1)
    blank, light = np.full((28, 28), 255, np.uint8), 255 - np.kron(few.images[1], np.ones((4, 4), np.uint8))
    pictures = [Opened(pixels, "a.png") for pixels in (*few.images[:4], blank, light)]
    options = [{}, {"one": True}, {"best_guess": True}, {}, {}, {"one": True}]
    together = reader.read_many(pictures, options)
    alone = [reader.read(picture, **some) for picture, some in zip(pictures, options, strict=True)]
    assert [reading.text for reading in together] == [reading.text for reading in alone]
    assert [reading.reason for reading in together] == [None, None, None, None, "blank", None]
    assert reader.read_many([], []) == []
    with pytest.raises(InputError, match="strictness"):
        reader.read_many(pictures[:1], [{"strictness": "very"}])

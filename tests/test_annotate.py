"""Drawings of what was read: everything is on them, where it belongs and in the colour that it should have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageColor

from inkdigits.digits.dataset import Digits
from inkdigits.ink.picture import Picture
from inkdigits.reader.annotate import ANSWERED, REFUSED, annotate
from inkdigits.reader.read import ReadDigit, Reading

Box = tuple[int, int, int, int]


@pytest.fixture
def picture() -> Picture:
    return Picture(np.full((400, 600, 3), 128, np.uint8), "a.png")


def said(digit: int | None, box: Box, glyph: Any = None, *, confidence: float = 0.9) -> ReadDigit:
    probabilities = np.full(10, (1 - confidence) / 9)
    probabilities[digit or 0] = confidence
    nothing = np.zeros((28, 28), np.uint8)
    return ReadDigit(digit, confidence, 0.1, box, tuple(probabilities.tolist()), nothing if glyph is None else glyph)


def reading(*digits: ReadDigit, text: str | None = None, reason: str | None = None) -> Reading:
    if text is None:
        text = "".join("?" if digit.digit is None else str(digit.digit) for digit in digits)
    return Reading("a.png", text, reason is not None, reason, digits)


def coloured(drawing: Image.Image, colour: str) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Where a drawing has exactly this colour, bool (H, W)."""
    return np.all(np.asarray(drawing) == ImageColor.getrgb(colour), axis=2)


@pytest.mark.parametrize("sides", [(3, 8), (28, 28), (600, 400), (4000, 3000), (300, 4000), (5000, 60)])
def test_a_drawing_fits_a_screen_whatever_the_size_of_the_picture(sides: tuple[int, int]) -> None:
    blank = Picture(np.full(sides[::-1], 255, np.uint8), "a.png")
    drawing = annotate(blank, reading(said(7, (0, 0, *sides))))
    assert 800 <= drawing.width <= 1600
    assert drawing.height < 4 * 1600


def test_boxes_stand_where_the_digits_do_in_the_colour_of_their_state(picture: Picture) -> None:
    answered, refused = said(4, (100, 100, 60, 80)), said(None, (400, 250, 60, 80))
    drawing = annotate(picture, reading(answered, refused, reason="unsure"))
    # The picture lies in the middle, as large as it is or enlarged; the grey of its paper tells where.
    grey = coloured(drawing, "#808080")
    top = np.flatnonzero(grey.any(axis=1))[0]
    columns = np.flatnonzero(grey[top])
    left, scale = columns[0], len(columns) / 600
    for digit, colour, other in ((answered, ANSWERED, REFUSED), (refused, REFUSED, ANSWERED)):
        x, y, width, height = digit.box
        inside = (
            slice(round(top + (y - 8) * scale), round(top + (y + height + 8) * scale)),
            slice(round(left + (x - 8) * scale), round(left + (x + width + 8) * scale)),
        )
        assert coloured(drawing, colour)[inside].sum() > 2 * (width + height)
        assert not coloured(drawing, other)[inside].any()
        middle = round(top + (y + height / 2) * scale), round(left + (x + width / 2) * scale)
        assert drawing.getpixel(middle[::-1]) == (128, 128, 128)  # nothing is drawn on the digit itself


def test_boxes_are_in_pixels_of_the_file_also_where_it_was_decoded_smaller(picture: Picture) -> None:
    whole = annotate(picture, reading(said(4, (100, 100, 60, 80))))
    half = annotate(Picture(picture.pixels, "a.png", shrunk=2), reading(said(4, (200, 200, 120, 160))))
    assert np.array_equal(np.asarray(whole), np.asarray(half))


def test_the_glyph_is_shown_pixel_by_pixel(picture: Picture, few: Digits) -> None:
    glyph, box = few.images[0], (100, 100, 60, 80)
    drawing = np.asarray(annotate(picture, reading(said(7, box, glyph))))
    full = np.asarray(annotate(picture, reading(said(7, box, np.full((28, 28), 255, np.uint8)))))
    empty = np.asarray(annotate(picture, reading(said(7, box))))
    rows, columns = np.nonzero((full != empty).any(axis=2))
    tile = drawing[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1, 0]
    side = min(tile.shape)
    places = ((np.arange(28) + 0.5) * side / 28).astype(int)
    assert np.array_equal(tile[np.ix_(places, places)], 255 - glyph)


def test_the_place_on_the_picture_is_shown_beside_the_glyph(picture: Picture) -> None:
    pixels = picture.pixels.copy()
    pixels[100:180, 100:160] = (10, 200, 30)
    drawing = annotate(Picture(pixels, "a.png"), reading(said(4, (100, 100, 60, 80))))
    found = coloured(drawing, "#0ac81e")
    rows = np.flatnonzero(found.any(axis=1))
    assert (np.diff(rows) > 1).sum() == 1  # once on the picture, once more below it
    assert rows.max() > 400


@pytest.mark.parametrize("reason", ["blank", "unsure"])
def test_a_refused_picture_is_all_in_the_colour_of_refusal(reason: str, picture: Picture) -> None:
    digits = [] if reason == "blank" else [said(4, (100, 100, 60, 80))]
    drawing = annotate(picture, reading(*digits, reason=reason))
    assert coloured(drawing, REFUSED).any()
    assert not coloured(drawing, ANSWERED).any()
    answered = annotate(picture, reading(said(4, (100, 100, 60, 80))))
    assert not coloured(answered, REFUSED).any()


def test_every_digit_has_its_card(picture: Picture) -> None:
    heights = [
        annotate(picture, reading(*[said(1, (10 * place, 10, 8, 20)) for place in range(count)], text="1")).height
        for count in (0, 1, 3, 4, 13, 60)
    ]
    assert heights[0] < heights[1]
    assert heights[2] < heights[3]
    assert heights[4] < heights[5]


def test_a_box_that_leaves_the_picture_and_a_long_text_do_no_harm(picture: Picture) -> None:
    digits = [said(3, (-30, -30, 50, 50)), said(5, (590, 390, 40, 40)), said(6, (700, 500, 1, 1))]
    text = "\n".join(["3" * 200] * 30)
    assert annotate(picture, reading(*digits, text=text)).height < 2000


def test_a_grey_picture_is_drawn_like_its_coloured_twin(picture: Picture) -> None:
    grey = Picture(picture.pixels[:, :, 0], "a.png")
    one, other = (annotate(each, reading(said(4, (100, 100, 60, 80)))) for each in (grey, picture))
    assert np.array_equal(np.asarray(one), np.asarray(other))

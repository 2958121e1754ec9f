"""A sign becomes a digit image by MNIST's recipe, and an MNIST digit becomes itself again."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from support import alike

from inkdigits.digits.dataset import Digits
from inkdigits.ink.glyph import in_one_piece, is_glyph, make_glyph
from inkdigits.ink.levels import Pixels
from inkdigits.ink.shapes import stroke_width


def enlarged(image: Pixels, factor: int) -> Pixels:
    """A digit image with some paper around it, larger."""
    padded = np.pad(image, 2)
    size = padded.shape[1] * factor, padded.shape[0] * factor
    return np.asarray(cv2.resize(padded, size, interpolation=cv2.INTER_CUBIC), np.uint8)


def glyph_of(picture: Pixels) -> Pixels:
    return make_glyph(picture, picture > 115)


@pytest.mark.parametrize("factor", [3, 8])
def test_an_enlarged_digit_becomes_the_digit_again(few: Digits, factor: int) -> None:
    likeness = [alike(glyph_of(enlarged(image, factor)), image) for image in few.images]
    assert min(likeness) > 0.8
    assert np.median(likeness) > 0.96


def test_the_longer_side_fills_20_pixels_and_the_centre_of_mass_is_the_centre(few: Digits) -> None:
    for image in few.images[:100]:
        glyph = glyph_of(enlarged(image, 5)).astype(float)
        rows, columns = np.nonzero(glyph > 127)
        assert 18 <= max(np.ptp(rows), np.ptp(columns)) + 1 <= 22
        assert (glyph.sum(axis=1) @ np.arange(28)) / glyph.sum() == pytest.approx(14, abs=0.6)
        assert (glyph.sum(axis=0) @ np.arange(28)) / glyph.sum() == pytest.approx(14, abs=0.6)


def test_aspect_is_kept() -> None:
    bar = np.zeros((90, 40), np.uint8)
    bar[5:85, 10:30] = 255
    rows, columns = np.nonzero(glyph_of(bar) > 127)
    assert np.ptp(rows) + 1 == pytest.approx(20, abs=2)
    assert np.ptp(columns) + 1 == pytest.approx(5, abs=2)


@pytest.mark.parametrize("width", [1, 2, 6, 26, 34])
def test_strokes_are_brought_into_the_range_of_mnist(width: int) -> None:
    canvas = np.zeros((240, 200), np.uint8)
    cv2.polylines(canvas, [np.array([[40, 40], [160, 40], [90, 200]])], False, 255, width)
    fine = cv2.resize(glyph_of(canvas), (224, 224), interpolation=cv2.INTER_CUBIC)
    assert 1.4 <= stroke_width(fine > 127) / 8 <= 3.4


def test_faint_ink_becomes_as_dark_as_any(few: Digits) -> None:
    picture = enlarged(few.images[0], 4)
    faint = (picture * 0.3).astype(np.uint8)
    one, other = make_glyph(picture, picture > 115), make_glyph(faint, picture > 115)
    assert np.abs(one.astype(int) - other).mean() < 2
    assert other.max() == 255


def test_shifting_and_padding_change_nothing(few: Digits) -> None:
    picture = enlarged(few.images[3], 4)
    moved = np.pad(picture, ((17, 3), (0, 29)))
    assert np.array_equal(glyph_of(picture), glyph_of(moved))


def test_without_ink_the_image_is_empty() -> None:
    assert not make_glyph(np.full((9, 9), 200, np.uint8), np.zeros((9, 9), np.bool_)).any()


def test_a_digit_image_is_known_from_other_pictures_of_its_size(mnist_test: Digits) -> None:
    assert np.mean([is_glyph(image) for image in mnist_test.images[:500]]) > 0.99
    for image in mnist_test.images[:50]:
        for other in (255 - image, np.roll(image, 2, axis=1), image // 4, image[:, :27], np.maximum(image, 1)):
            assert not is_glyph(other)
    assert not is_glyph(np.zeros((28, 28), np.uint8))


def test_ink_in_one_piece_is_told_from_two_signs_side_by_side(mnist_test: Digits) -> None:
    assert np.mean([in_one_piece(image) for image in mnist_test.images[:500]]) > 0.97
    beside = np.zeros((28, 28), np.uint8)
    beside[8:20, 5:12] = beside[8:20, 14:22] = 255
    assert not in_one_piece(beside)
    beside[8:20, 14:22] = 0
    beside[10, 16:19] = 255  # a speck
    assert in_one_piece(beside)

"""Ink is found whatever the light, the paper and the pen, and nothing is found where nothing is written."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from inkdigits.digits.dataset import Digits
from inkdigits.ink.levels import Pixels
from inkdigits.ink.light import Ink, find_ink, ink_of_glyph
from inkdigits.ink.paper import NARROW_TABLE, find_paper

SIDE = 200


def drawn(strokes: NDArray[np.bool_], ink: object = 40, paper: object = 220) -> Pixels:
    """A picture of strokes (h, w) in grey levels or colours (3,)."""
    return np.where(strokes[..., None], np.asarray(ink), np.asarray(paper)).astype(np.uint8).squeeze()


def seven(width: int = 8) -> NDArray[np.bool_]:
    """A 7 in the middle of a square of SIDE pixels."""
    canvas = np.zeros((SIDE, SIDE), np.uint8)
    cv2.polylines(canvas, [np.array([[65, 50], [135, 50], [90, 150]])], False, 1, width)
    return canvas > 0


def overlap(ink: Ink, strokes: NDArray[np.bool_]) -> float:
    """Intersection over union of the mask and the strokes of the whole picture."""
    full = np.zeros((round(SIDE / ink.scale), round(SIDE / ink.scale)), np.bool_)
    left, top = (round(corner / ink.scale) for corner in ink.origin)
    full[top : top + ink.mask.shape[0], left : left + ink.mask.shape[1]] = ink.mask
    wanted = cv2.resize(strokes.view(np.uint8), full.shape[::-1], interpolation=cv2.INTER_AREA) > 0
    return float((full & wanted).sum() / (full | wanted).sum())


@pytest.mark.parametrize(
    ("ink", "paper"),
    [
        (40, 220),
        (230, 20),
        (150, 175),
        ((20, 40, 160), (245, 240, 120)),
        ((190, 30, 40), (250, 250, 250)),
        ((250, 250, 210), (30, 70, 50)),
    ],
)
def test_strokes_are_found_in_any_colour_on_any_paper(ink: object, paper: object) -> None:
    found = find_ink(drawn(seven(), ink, paper))
    assert overlap(found, seven()) > 0.8
    assert 6 <= found.stroke <= 10


def test_uneven_light_and_a_shadow_are_no_ink() -> None:
    light = np.linspace(1, 0.45, SIDE)[None] * np.linspace(1, 0.8, SIDE)[:, None]
    light[:, 110:] *= 0.6
    picture = (drawn(seven()).astype(float) * light).astype(np.uint8)
    assert overlap(find_ink(picture), seven()) > 0.75


def shaded(picture: Pixels, shadow: NDArray[np.uint8]) -> Pixels:
    """A picture with a shadow, 1 where it lies, whose edge is as blurred as those of telephones."""
    light = 1 - 0.4 * cv2.GaussianBlur(shadow.astype(np.float32), (0, 0), 2.0)
    grain = np.random.default_rng(0).normal(0, 1, picture.shape)
    return np.clip(picture * light + grain, 0, 255).astype(np.uint8)


def squared(pitch: int = 30, tilt: float = 0.05, level: int = 180) -> Pixels:
    """Paper ruled in squares, photographed a little askew: SIDE pixels high, and half as wide again."""
    paper = np.full((SIDE, 3 * SIDE // 2), 230, np.uint8)
    for place in range(-2 * SIDE, 3 * SIDE, pitch):
        cv2.line(paper, (0, place), (2 * SIDE, place + round(tilt * 2 * SIDE)), level, 1, cv2.LINE_AA)
        cv2.line(paper, (place, 0), (place - round(tilt * 2 * SIDE), 2 * SIDE), level, 1, cv2.LINE_AA)
    return paper


def test_the_edge_of_a_shadow_leaves_nothing() -> None:
    corner = np.zeros((SIDE, SIDE), np.uint8)
    cv2.fillPoly(corner, [np.array([[90, -20], [210, 200], [210, -20]])], 1)
    assert find_ink(shaded(drawn(np.zeros((SIDE, SIDE), np.bool_)), corner)).blank
    head = np.zeros((SIDE, SIDE), np.uint8)
    cv2.ellipse(head, (20, 100), (120, 80), 0, 0, 360, 1, -1)
    left = np.flatnonzero(find_ink(shaded(drawn(seven()), head)).mask.any(axis=1))
    assert np.ptp(left) < 115


@pytest.mark.parametrize("tilt", [0.02, 0.05, 0.08])
@pytest.mark.parametrize("pitch", [20, 30, 40])
def test_squared_paper_askew_is_blank(pitch: int, tilt: float) -> None:
    grain = np.random.default_rng(0).normal(0, 1.5, (SIDE, 3 * SIDE // 2))
    picture = np.clip(squared(pitch, tilt) + grain, 0, 255).astype(np.uint8)
    assert find_ink(picture).blank


def test_where_only_bits_of_rules_are_left_nothing_is_written() -> None:
    paper = np.full((SIDE, SIDE), 230, np.uint8)
    for row in range(30, SIDE, 50):
        cv2.line(paper, (0, row), (SIDE, row + 4), 190, 2, cv2.LINE_AA)
    cv2.line(paper, (110, 62), (113, 128), 190, 2, cv2.LINE_AA)
    cv2.line(paper, (140, 108), (190, 109), 190, 2, cv2.LINE_AA)
    assert find_ink(paper).blank
    cv2.line(paper, (60, 48), (64, 122), 60, 4, cv2.LINE_AA)
    assert not find_ink(paper).blank


@pytest.mark.parametrize("level", [60, 120, 165])
def test_a_one_alone_stays_whatever_the_pen_and_the_paper(level: int) -> None:
    for paper in (np.full((SIDE, 3 * SIDE // 2), 230, np.uint8), squared(tilt=0.02, level=205)):
        cv2.line(paper, (160, 60), (152, 140), level, 4, cv2.LINE_AA)
        ink = find_ink(cv2.GaussianBlur(paper, (0, 0), 0.7))
        rows = np.flatnonzero(ink.mask.any(axis=1))
        assert not ink.blank
        assert np.ptp(rows) > 70


def test_pencil_beside_marker_survives() -> None:
    picture = np.full((SIDE, 2 * SIDE), 225, np.uint8)
    picture[:, :SIDE][seven(14)] = 20
    picture[:, SIDE:][seven(4)] = 165
    found = find_ink(picture)
    columns = np.flatnonzero(found.mask.any(axis=0)) + round(found.origin[0])
    assert columns.min() < 80
    assert columns.max() > SIDE + 110


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_plain_picture_is_blank(level: int) -> None:
    assert find_ink(np.full((120, 90), level, np.uint8)).blank
    assert find_ink(np.full((30, 40, 3), level, np.uint8)).blank


def test_noise_and_a_gradient_are_blank() -> None:
    rng = np.random.default_rng(0)
    gradient = np.repeat(np.linspace(60, 230, 160)[None], 120, axis=0)
    assert find_ink(gradient.astype(np.uint8)).blank
    assert find_ink(np.clip(gradient + rng.normal(0, 4, gradient.shape), 0, 255).astype(np.uint8)).blank


def test_a_dark_photograph_of_white_paper_is_read_inside_the_sheet() -> None:
    rng = np.random.default_rng(1)
    table = rng.normal(40, 12, (400, 400)).clip(0, 255)
    sheet = np.array([[110, 90], [330, 110], [310, 330], [90, 300]], np.int32)
    inside = np.zeros((400, 400), np.uint8)
    cv2.fillConvexPoly(inside, sheet, 1)
    picture = np.where(inside > 0, 200, table).astype(np.uint8)
    picture[110:310, 100:300][seven(6)] = 60
    found = find_ink(picture)
    rows, columns = np.nonzero(found.mask)
    assert abs(rows.min() + found.origin[1] - 158) <= 8
    assert abs(columns.max() + found.origin[0] - 237) <= 8
    assert 0.2 < find_paper(picture).mean() < 0.4


def test_a_narrow_border_is_taken_for_a_table_only_if_that_is_wanted() -> None:
    picture = np.random.default_rng(1).normal(30, 3, (160, 290)).clip(0, 255).astype(np.uint8)
    picture[8:148, 12:280] = 170
    for x in range(30, 250, 25):
        cv2.line(picture, (x, 40), (x - 6, 90), 30, 3)
    assert find_paper(picture).all()
    sheet = find_paper(picture, NARROW_TABLE)
    assert 0.7 < sheet.mean() < 0.9
    assert not sheet[:8].any()


def test_a_strip_of_paper_half_in_shadow_is_read_though_most_of_the_picture_is_table() -> None:
    rng = np.random.default_rng(1)
    inside, ink = np.zeros((2, 250, 840), np.uint8)
    cv2.fillConvexPoly(inside, np.array([[30, 25], [805, 70], [800, 185], [25, 150]], np.int32), 1)
    for x in range(80, 700, 85):
        y = 58 + x // 17
        cv2.polylines(ink, [np.array([[x, y], [x + 35, y + 2], [x + 14, y + 60]], np.int32)], False, 1, 4)
    light = cv2.fillConvexPoly(np.ones(ink.shape), np.array([[300, 0], [840, 150], [840, 0]], np.int32), 0.5)
    grain = rng.normal(0, 4, ink.shape)
    picture = light * np.where(inside > 0, 190 - 60.0 * ink, 30) + grain
    found = find_ink(cv2.GaussianBlur(picture.clip(0, 255).astype(np.uint8), (0, 0), 0.8))
    heights = cv2.connectedComponentsWithStats(found.mask.view(np.uint8))[2][1:, cv2.CC_STAT_HEIGHT]
    assert ((heights > 55) & (heights < 75)).sum() >= 6


def test_a_shadow_is_no_table() -> None:
    picture = drawn(seven())
    picture[:, 120:] = picture[:, 120:] * 0.6
    assert find_paper(picture).all()


def test_a_canvas_of_28_pixels_is_enlarged(few: Digits) -> None:
    found = find_ink(few.images[0])
    assert found.scale < 0.5
    assert found.stroke > 3


def test_turning_bright_and_dark_changes_nothing(few: Digits) -> None:
    for image in few.images[:20]:
        picture = cv2.resize(np.pad(image, 6), (160, 160), interpolation=cv2.INTER_CUBIC)
        one, other = find_ink(picture), find_ink(255 - picture)
        assert np.mean(one.mask != other.mask) < 0.01


def test_compression_changes_little(few: Digits) -> None:
    for image in few.images[:20]:
        picture = 255 - cv2.resize(np.pad(image, 6), (160, 160), interpolation=cv2.INTER_CUBIC)
        again = cv2.imdecode(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], cv2.IMREAD_GRAYSCALE)
        one, other = find_ink(picture), find_ink(np.asarray(again, np.uint8))
        areas = int(one.mask.sum()), int(other.mask.sum())
        assert min(areas) > 0.85 * max(areas)


def test_a_large_picture_is_worked_on_at_a_smaller_scale() -> None:
    large = cv2.resize(drawn(seven()), (3000, 3000), interpolation=cv2.INTER_NEAREST)
    found = find_ink(large)
    assert max(found.mask.shape) <= 2048
    assert found.scale == pytest.approx(4, abs=0.1)
    assert found.stroke * found.scale == pytest.approx(8 * 15, rel=0.2)


def test_small_writing_on_a_large_picture_is_not_made_smaller_than_that() -> None:
    picture = np.full((3000, 3000), 230, np.uint8)
    for row in range(400, 2600, 300):
        picture[row : row + 200, 400:2600] = np.tile(cv2.resize(drawn(seven()), (200, 200)), (1, 11))
    assert find_ink(picture).scale == pytest.approx(2, abs=0.1)
    picture[1000:2000, 1000:2000] = cv2.resize(drawn(seven()), (1000, 1000))  # nor where something large is beside it
    assert find_ink(picture).scale == pytest.approx(2, abs=0.1)


def test_the_ink_of_a_digit_image_is_where_it_is_bright(few: Digits) -> None:
    for image in few.images[:20]:
        ink = ink_of_glyph(image)
        assert not ink.rules.any()
        assert ink.mask.shape == (round(28 / ink.scale), round(28 / ink.scale))
        found = cv2.resize(ink.mask.astype(np.float32), (28, 28), interpolation=cv2.INTER_AREA) > 0.5
        assert np.mean(found == (image > 110)) > 0.95
        assert np.count_nonzero(found & (image >= 200)) >= 0.98 * np.count_nonzero(image >= 200) > 0

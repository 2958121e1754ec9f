"""Lines of writing are found and ordered, strokes of one sign belong together, and touching ones may be parted."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from support import alike

from inkdigits.digits.dataset import Digits
from inkdigits.ink.cut import Layout, cut_apart, find_signs
from inkdigits.ink.levels import Pixels
from inkdigits.ink.light import Ink, find_ink
from inkdigits.ink.seams import _extents, find_cuts


def inked(mask: NDArray[np.bool_], stroke: float = 5.0) -> Ink:
    """Ink of full strength where the mask says."""
    return Ink(np.where(mask, np.uint8(255), np.uint8(0)), mask, np.zeros_like(mask), stroke)


def written(rows: list[str], digits: Digits, gap: int = 6) -> NDArray[np.bool_]:
    """Digits of the given labels, 40 pixels high, on lines one under another; a space is as wide as a digit."""
    labels = digits.need_labels("write them")
    canvas = np.zeros((80 * len(rows), 60 * max(map(len, rows))), np.bool_)
    for line, text in enumerate(rows):
        left = 10
        for sign in text:
            if sign == " ":
                left += 30
                continue
            image = digits.images[np.flatnonzero(labels == int(sign))[0]]
            used = np.flatnonzero(image.max(axis=0) > 100)
            large = cv2.resize(image[4:24, used[0] : used[-1] + 1], None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
            place = canvas[80 * line + 20 : 80 * line + 60, left : left + large.shape[1]]
            place |= large > 115
            left += large.shape[1] + gap
    return canvas


def count(layout: Layout) -> list[int]:
    return [len(line.pieces) for line in layout.lines]


def test_lines_are_found_and_ordered(few: Digits) -> None:
    layout = find_signs(inked(written(["0123", "67", "98 23"], few)))
    assert count(layout) == [4, 2, 4]
    tops = [line.pieces[0].box[1] for line in layout.lines]
    assert tops == sorted(tops)
    for line in layout.lines:
        middles = [piece.box[0] + piece.box[2] for piece in line.pieces]
        assert middles == sorted(middles)


@pytest.mark.parametrize("degrees", [-20, -12, 5, 12, 20])
def test_slanting_lines_are_followed(few: Digits, degrees: float) -> None:
    mask = np.pad(written(["0123 6789 98763210", "987 63210 4", "0123678998"], few), 400)
    height, width = mask.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    layout = find_signs(inked(cv2.warpAffine(mask.view(np.uint8), turn, (width, height)) > 0))
    assert count(layout) == [16, 9, 10]


def test_nothing_has_no_lines() -> None:
    assert find_signs(inked(np.zeros((50, 50), np.bool_))).lines == ()


def test_specks_are_dropped(few: Digits) -> None:
    mask = written(["012"], few)
    mask[5, 5] = mask[40:42, 100] = True
    assert count(find_signs(inked(mask))) == [3]


def test_the_loose_bar_of_a_five_belongs_to_it() -> None:
    canvas = np.zeros((100, 100), np.uint8)
    cv2.polylines(canvas, [np.array([[35, 30], [35, 50], [60, 52], [62, 75], [35, 80]])], False, 1, 5)
    cv2.line(canvas, (44, 20), (70, 20), 1, 5)
    layout = find_signs(inked(canvas > 0))
    assert count(layout) == [1]
    assert layout.lines[0].pieces[0].box[3] - layout.lines[0].pieces[0].box[1] > 60


def test_a_sign_broken_into_two_of_half_its_height_stays_on_its_line() -> None:
    mask = np.zeros((160, 200), np.bool_)
    mask[40:58, 30:64] = mask[68:90, 26:46] = True
    mask[42:90, 80:86] = mask[40:88, 120:126] = True
    layout = find_signs(inked(mask))
    assert count(layout) == [4]
    assert any(group.box == (26, 40, 64, 90) for group in layout.lines[0].groups)


def test_two_lines_beside_one_tall_sign_stay_two() -> None:
    mask = np.zeros((160, 200), np.bool_)
    mask[20:60, 20:26] = mask[20:60, 50:56] = True
    mask[80:120, 20:26] = mask[80:120, 50:56] = True
    mask[30:110, 90:100] = True
    assert len(find_signs(inked(mask)).lines) == 2


def test_a_point_is_a_small_sign_and_dirt_above_is_none(few: Digits) -> None:
    mask = written(["3 1"], few)
    used = np.flatnonzero(mask.any(axis=0))
    gaps = np.flatnonzero(np.diff(used) > 10)
    middle = int(used[gaps[0]] + used[gaps[0] + 1]) // 2
    point, dirt = mask.copy(), mask.copy()
    point[53:60, middle - 3 : middle + 4] = True
    dirt[22:29, middle - 3 : middle + 4] = True
    assert count(find_signs(inked(point))) == [3]
    assert [group.small for group in find_signs(inked(point)).lines[0].groups if group.first == group.last] == [
        False, True, False
    ]  # fmt: skip
    assert count(find_signs(inked(dirt))) == [2]


def test_touching_digits_are_offered_apart(few: Digits) -> None:
    mask = written(["00"], few, gap=-2)
    layout = find_signs(inked(mask))
    assert count(layout) == [1]
    parts = cut_apart(layout, layout.lines[0], 0)
    assert parts is not None
    line = parts.lines[0]
    whole = layout.lines[0].pieces[0]
    halves = [group for group in line.groups if abs(group.width - whole.width / 2) < 0.15 * whole.width]
    assert any(group.first == 0 for group in halves)
    assert any(group.last == line.steps - 1 for group in halves)
    assert sum(part.area for part in line.pieces) == whole.area
    assert parts.glyph(line.groups[0]).shape == (28, 28)


def test_a_cut_goes_where_the_ink_is_thin() -> None:
    mask = np.zeros((30, 74), np.bool_)
    mask[:, :30] = mask[:, 44:] = True
    mask[13:17, 30:44] = True
    thin = min(find_cuts(mask, 4.0, 15.0), key=lambda cut: cut.length)
    assert thin.length <= 1.3
    ends = np.flatnonzero(np.diff((mask & thin.left)[15].astype(int)))
    assert 28 <= ends[-1] <= 45, "what lies on its left ends within the bridge"


def test_digits_that_lean_into_one_another_are_parted_though_no_upright_cut_could() -> None:
    canvas = np.zeros((2, 120, 200), np.uint8)
    for layer, left in zip(canvas, (70, 120), strict=True):
        cv2.ellipse(layer, (left, 60), (46, 17), -58, 0, 360, 1, 6)
    cv2.line(canvas[1], (88, 60), (102, 60), 1, 5)
    first, second = canvas > 0
    layout = find_signs(inked(first | second, 6.0))
    assert count(layout) == [1]
    parts = cut_apart(layout, layout.lines[0], 0)
    assert parts is not None
    groups = parts.lines[0].groups
    for whole in (first, second):
        rows, columns = np.flatnonzero(whole.any(axis=1)), np.flatnonzero(whole.any(axis=0))
        box = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
        assert min(np.abs(box - group.box).max() for group in groups) <= 4


def test_what_was_bridged_over_a_gap_is_parted_at_the_gap() -> None:
    mask = np.zeros((60, 60), np.bool_)
    mask[5:55, 15:21] = mask[5:55, 23:29] = mask[5:11, 23:50] = True
    layout = find_signs(inked(mask, 6.0))
    assert count(layout) == [1]
    parts = cut_apart(layout, layout.lines[0], 0)
    assert parts is not None
    assert {(15, 5, 21, 55), (23, 5, 50, 55)} <= {group.box for group in parts.lines[0].groups}


def test_digits_that_touch_in_two_places_are_parted_through_the_loop_between_them() -> None:
    canvas = np.zeros((2, 90, 140), np.uint8)
    cv2.ellipse(canvas[0], (40, 45), (24, 34), 0, 0, 360, 1, 6)
    cv2.polylines(
        canvas[1], [np.array([[70, 22], [95, 12], [108, 28], [90, 44], [110, 60], [95, 78], [68, 68]])], False, 1, 6
    )
    first, second = canvas > 0
    layout = find_signs(inked(first | second, 6.0))
    assert count(layout) == [1]
    parts = cut_apart(layout, layout.lines[0], 0)
    assert parts is not None
    widths = [(group.first, group.last + 1, group.width) for group in parts.lines[0].groups]
    assert any(first == 0 and abs(width - 55) <= 8 for first, _, width in widths)
    assert any(last == parts.lines[0].steps and abs(width - 46) <= 8 for _, last, width in widths)


def test_a_very_wide_piece_has_no_more_cuts_than_can_be_kept() -> None:
    mask = np.zeros((60, 750), np.bool_)
    mask[28:32] = True
    for left in range(0, 740, 30):
        mask[5:55, left : left + 5] = True
    layout = find_signs(inked(mask))
    parts = cut_apart(layout, layout.lines[0], 0)
    assert parts is not None
    assert sum(part.area for part in parts.lines[0].pieces) == mask.sum()


@pytest.mark.parametrize("seed", range(6))
def test_a_cut_leaves_strokes_on_both_sides_and_loses_none(seed: int) -> None:
    rng = np.random.default_rng(seed)
    canvas = np.zeros((60 + 20 * seed, 150), np.uint8)
    knots = rng.integers(5, canvas.shape[0] - 5, 12)
    for here, (top, bottom) in enumerate(pairwise(knots)):
        cv2.line(canvas, (10 + 11 * here, int(top)), (21 + 11 * here, int(bottom)), 1, 5)
    mask = canvas > 0
    for cut in find_cuts(mask, 5.0, 20):
        assert not (cut.left & ~mask).any()
        for side in (cut.left, mask & ~cut.left):
            assert np.ptp(np.flatnonzero(side.any(axis=1))) >= 15


@pytest.mark.parametrize("count", [3, 8, 57])
def test_the_height_of_a_way_along_an_outline_is_that_of_its_points(count: int) -> None:
    heights = np.random.default_rng(count).uniform(0, 64, count).astype(np.float32)
    first, last = (side.ravel() for side in np.indices((count, count)))
    ways = [
        np.take(heights, range(one, other + count * (other < one) + 1), mode="wrap")
        for one, other in zip(first, last, strict=True)
    ]
    assert np.allclose(_extents(heights, first, last), [np.ptp(way) + 1 for way in ways])


def test_the_glyph_of_a_sign_holds_nothing_of_its_neighbours(few: Digits) -> None:
    apart, close = (find_signs(inked(written(["61"], few, gap=gap))) for gap in (40, 3))
    for layout in (apart, close):
        assert count(layout) == [2]
    first, second = (layout.glyph(layout.lines[0].groups[0]) for layout in (apart, close))
    assert np.abs(first.astype(int) - second).mean() < 1


def test_a_picture_scaled_or_framed_with_paper_has_the_same_glyphs(few: Digits) -> None:
    def glyphs(picture: Pixels) -> list[Pixels]:
        layout = find_signs(find_ink(picture))
        assert count(layout) == [4]
        return [layout.glyph(group) for line in layout.lines for group in line.groups if group.first == group.last]

    picture = np.where(written(["2036"], few), np.uint8(40), np.uint8(215))
    picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), 1.0), np.uint8)
    larger = np.asarray(cv2.resize(picture, None, fx=1.7, fy=1.7, interpolation=cv2.INTER_CUBIC), np.uint8)
    framed = np.pad(picture, ((60, 20), (35, 90)), constant_values=215)
    plain = glyphs(picture)
    for other in (larger, framed, np.asarray(255 - picture, np.uint8)):
        for one, changed in zip(plain, glyphs(other), strict=True):
            assert alike(one, changed) > 0.9


@pytest.mark.parametrize("shape", [(3, 8), (300, 3), (13, 17), (40, 900, 3), (60, 60, 3)])
def test_pictures_of_any_shape_and_content_have_a_layout(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    stripes = np.full(shape, 255, np.uint8)
    stripes[::3] = 60
    blocks = np.full(shape, 230, np.uint8)
    for _ in range(9):
        top, left = (int(rng.integers(0, side)) for side in shape[:2])
        blocks[top : top + shape[0] // 3 + 1, left : left + shape[1] // 3 + 1] = rng.integers(0, 255)
    for picture in (stripes, blocks, np.asarray(rng.integers(0, 256, shape), np.uint8)):
        layout = find_signs(find_ink(picture))
        for line in layout.lines:
            assert all(layout.glyph(group).shape == (28, 28) for group in line.groups)

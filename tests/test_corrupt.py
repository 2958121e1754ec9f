"""The corruptions of MNIST-C: what each does to real digits, and to plain images where that can be worked out."""

from __future__ import annotations

import math

import numpy as np
import pytest

from inkdigits.digits.dataset import Digits, Images
from inkdigits.errors import InputError
from inkdigits.lab.corrupt import CORRUPTIONS, HELD_BACK, corrupt

WITHOUT_CHANCE = ("scale", "brightness", "stripe", "canny_edges")


def plain(count: int, grey: int) -> Images:
    return np.full((count, 28, 28), grey, np.uint8)


def bar(count: int) -> Images:
    """An upright bar two pixels wide around the centre, from row 6 to row 21."""
    images = plain(count, 0)
    images[:, 6:22, 13:15] = 255
    return images


def dot(count: int) -> Images:
    images = plain(count, 0)
    images[:, 14, 14] = 255
    return images


def lean(image: Images) -> float:
    """How many columns an upright stroke moves to the right from one row to the next."""
    rows = np.flatnonzero(image.sum(axis=1) > 255)
    middles = image[rows] @ np.arange(28) / image[rows].sum(axis=1)
    return float(np.polyfit(rows, middles, 1)[0])


def test_there_are_fifteen_and_six_of_them_are_held_back() -> None:
    assert len(CORRUPTIONS) == 15
    assert set(HELD_BACK) < set(CORRUPTIONS)
    assert len(HELD_BACK) == 6


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_corruption_changes_images_the_same_way_for_the_same_seed(name: str, few: Digits) -> None:
    before = few.images.copy()
    once, again = corrupt(few.images, name, seed=1), corrupt(few.images, name, seed=1)
    assert once.dtype == np.uint8
    assert once.shape == few.images.shape
    assert np.array_equal(once, again)
    assert np.array_equal(few.images, before)
    assert (once != few.images).any(axis=(1, 2)).all()
    other = corrupt(few.images, name, seed=2)
    assert np.array_equal(once, other) == (name in WITHOUT_CHANCE)


@pytest.mark.parametrize("name", WITHOUT_CHANCE)
def test_an_image_does_not_depend_on_its_neighbours(name: str, few: Digits) -> None:
    alone = np.concatenate([corrupt(few.images[i : i + 1], name) for i in range(20)])
    assert np.array_equal(corrupt(few.images[:20], name), alone)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_no_images_are_no_error(name: str) -> None:
    assert corrupt(plain(0, 0), name).shape == (0, 28, 28)


def test_another_name_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(InputError, match="snow: not a corruption, expected shot_noise or impulse_noise or"):
        corrupt(plain(1, 0), "snow")


def test_shot_noise_counts_at_most_a_few_photons_and_keeps_the_mean() -> None:
    noisy = corrupt(plain(200, 51), "shot_noise")
    assert set(np.unique(noisy)) == {0, 85, 170, 255}
    # A pixel of a fifth of full ink: a Poisson count of mean 0.6 in thirds, hardly ever more than three.
    assert noisy.mean() == pytest.approx(51, rel=0.02)
    assert noisy.var() == pytest.approx(0.6 * 85**2, rel=0.05)
    assert not corrupt(plain(5, 0), "shot_noise").any()


def test_impulse_noise_turns_as_many_pixels_to_ink_as_to_paper() -> None:
    noisy = corrupt(plain(200, 100), "impulse_noise")
    for grey, share in ((0, 0.085), (255, 0.085), (100, 0.83)):
        assert (noisy == grey).mean() == pytest.approx(share, abs=0.005)


def test_glass_blur_keeps_the_ink_and_moves_it_up_and_to_the_left() -> None:
    images = plain(100, 0)
    images[:, 10:18, 10:18] = 200
    blurred = corrupt(images, "glass_blur")
    assert blurred.mean() == pytest.approx(images.mean(), rel=0.01)
    # To the right ink comes only in exchange, one pixel a round; downwards also by two blurs of at most three pixels.
    assert not blurred[:, :, 20:].any()
    assert not blurred[:, 26:].any()
    assert blurred[:, :, :8].any()


def test_glass_blur_works_along_the_columns_alone() -> None:
    stripes = plain(20, 0)
    stripes[:, :, ::2] = 240
    mixed = corrupt(stripes, "glass_blur", seed=3)
    # Each column is of one grey, so the first blur changes nothing; the swaps mix two, and the second blurs downwards.
    assert np.array_equal(mixed[:, :, 0], stripes[:, :, 0])
    assert mixed[:, 10:18, 10:18].std() > 40
    assert np.abs(np.diff(mixed.astype(int), axis=1)).mean() < 0.7 * np.abs(np.diff(mixed.astype(int), axis=2)).mean()


def test_motion_blur_leaves_a_fading_trail_on_one_side() -> None:
    blurred = corrupt(dot(50), "motion_blur").astype(float)
    assert blurred.sum(axis=(1, 2)) == pytest.approx(255, rel=0.05)
    assert (blurred[:, 14, 14] == round(255 / np.exp(-(np.arange(21) ** 2) / 18).sum())).all()
    assert not blurred[:, :, 15:].any()
    rows = blurred.sum(axis=0).any(axis=1)
    assert rows[8:14].any()
    assert rows[15:20].any()
    # Never steeper than 45 degrees: a pixel cannot be farther up or down than to the left.
    down, left = np.abs(np.arange(28) - 14)[:, None], 14 - np.arange(28)[None, :]
    assert not blurred[:, down > left].any()


def test_shear_slants_to_both_sides() -> None:
    leans = [lean(image) for image in corrupt(bar(40), "shear")]
    assert np.abs(leans) == pytest.approx(math.sin(0.4), abs=0.02)
    assert min(leans) < 0 < max(leans)


def test_rotate_turns_to_both_sides() -> None:
    turned = corrupt(bar(40), "rotate")
    angles = [math.atan(lean(image[9:19])) for image in turned]
    assert np.abs(angles) == pytest.approx(0.4, abs=0.02)
    assert min(angles) < 0 < max(angles)


def test_scale_shrinks_around_the_centre() -> None:
    images = plain(1, 0)
    images[:, 4:24, 4:24] = 255
    shrunk = corrupt(images, "scale")[0].astype(float) / 255
    assert shrunk.sum() == pytest.approx(14**2, rel=0.02)
    assert np.array_equal(shrunk, shrunk[::-1, ::-1])


def test_brightness_adds_half() -> None:
    grey = corrupt(plain(1, 0) + np.arange(28, dtype=np.uint8) * 9, "brightness")
    assert grey[0, 0] == pytest.approx(np.minimum(np.arange(28) * 9 + 127.5, 255), abs=0.5)


def test_translate_moves_by_three_pixels_into_every_corner(few: Digits) -> None:
    moved = corrupt(few.images, "translate")
    padded = np.pad(few.images, ((0, 0), (3, 3), (3, 3)))
    corners = [padded[:, down : down + 28, right : right + 28] for down in (0, 6) for right in (0, 6)]
    found = [(moved == corner).all(axis=(1, 2)) for corner in corners]
    assert np.any(found, axis=0).all()
    assert all(some.any() for some in found)


def test_stripe_inverts_exactly_its_columns(few: Digits) -> None:
    striped = corrupt(few.images, "stripe")
    inverted = [*range(7), *range(21, 28)]
    assert np.array_equal(striped[:, :, inverted], 255 - few.images[:, :, inverted])
    assert np.array_equal(striped[:, :, 7:21], few.images[:, :, 7:21])


def test_fog_adds_smooth_clouds_and_dims_to_the_brightness_before(few: Digits) -> None:
    foggy = corrupt(few.images, "fog") / 255
    brightest = few.images.max(axis=(1, 2), keepdims=True) / 255
    clouds = (foggy * (brightest + 3) / brightest - few.images / 255) / 3
    rounding = 4 / 3 / 255
    assert clouds.min() > -rounding
    assert clouds.max() < 1 + rounding
    assert clouds.mean() == pytest.approx(0.5, abs=0.05)
    assert np.abs(np.diff(clouds, axis=2)).mean() < 0.02  # pixels side by side differ by less than two in a hundred …
    assert clouds.mean(axis=(1, 2)).std() == pytest.approx(0.19, abs=0.03)  # … and whole images by twenty
    assert not corrupt(plain(2, 0), "fog").any()


def test_spatter_covers_ink_and_paper_with_dark_drops() -> None:
    on_paper, on_ink = corrupt(plain(200, 0), "spatter"), corrupt(plain(200, 255), "spatter")
    drops = on_paper > 0
    assert drops.mean() == pytest.approx(0.135, abs=0.015)
    assert on_paper[drops].min() >= round(0.8 * 63)
    assert on_paper.max() == 63
    assert np.array_equal(on_ink < 255, drops)


def test_dotted_line_has_dashes_of_two_columns_from_edge_to_edge() -> None:
    lines = corrupt(plain(300, 0), "dotted_line")
    used = lines.any(axis=(0, 1))
    assert np.flatnonzero(used).tolist() == [2, 3, 6, 7, 10, 11, 14, 15, 18, 19, 22, 23, 26]
    # Weighted by their ink, the rows of each column lie on a straight line, where it does not end above or below.
    inside = lines[:, [0, 1, 26, 27]].sum(axis=(1, 2)) == 0
    heights = (lines * np.arange(28.0)[:, None]).sum(axis=1)[inside][:, used] / lines.sum(axis=1)[inside][:, used]
    columns = np.flatnonzero(used)
    assert len(heights) > 200
    for row in heights:
        assert np.abs(row - np.polyval(np.polyfit(columns, row, 1), columns)).max() < 0.3


def test_zigzag_goes_up_and_down_between_its_ends() -> None:
    zigzags = corrupt(plain(300, 0), "zigzag").astype(float)
    used = zigzags.any(axis=(0, 1))
    assert np.flatnonzero(used)[[0, -1]].tolist() in ([2, 24], [2, 25])
    inside = zigzags[:, :4].sum(axis=(1, 2)) + zigzags[:, 24:].sum(axis=(1, 2)) == 0
    heights = (zigzags * np.arange(28)[:, None]).sum(axis=1)[inside] / zigzags.sum(axis=1)[inside].clip(1)
    for row in heights[:, 2:24]:
        steps = np.sign(np.diff(row - np.polyval(np.polyfit(range(22), row, 1), range(22))))
        assert 4 <= np.count_nonzero(np.diff(steps)) <= 10
    assert inside.sum() > 50


def test_lines_are_drawn_over_the_digit_and_take_nothing_away(few: Digits) -> None:
    for name in ("dotted_line", "zigzag"):
        assert (corrupt(few.images, name) >= few.images).all()


def test_canny_edges_are_the_closed_outline_of_a_shape() -> None:
    square = plain(2, 0)
    square[0, 8:20, 8:20] = 255
    square[1] = 90  # no edges at all
    edges = corrupt(square, "canny_edges")
    assert not edges[1].any()
    assert set(np.unique(edges[0])) == {0, 255}
    assert not edges[0, 11:17, 11:17].any()
    assert not edges[0, :7].any()
    assert (edges[0, 9:19] > 0).sum(axis=1).min() >= 2
    assert (edges[0, :, 9:19] > 0).sum(axis=0).min() >= 2
    assert (edges[0, 10:18] > 0).sum(axis=1).max() <= 4  # two of each side are equally steep


def test_canny_edges_leave_out_what_is_faint_unless_it_hangs_on_something_strong() -> None:
    images = plain(2, 0)
    images[:, 4:24, 4:14] = 14  # a slope of 0.14 at its border: enough to go on, not enough to begin
    images[1, 4:24, 4:14] += np.arange(20, dtype=np.uint8)[:, None]
    faint, hung = corrupt(images, "canny_edges")
    assert not faint.any()
    assert hung[6:22, 3:5].any(axis=1).all()

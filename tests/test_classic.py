"""The classic techniques and what they are given: upright digits, virtual examples, neighbours a pixel off."""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import pytest
from scipy.ndimage import affine_transform, center_of_mass, gaussian_filter, sobel
from sklearn.base import clone

from inkdigits.digits.dataset import Digits
from inkdigits.digits.mnist import load_mnist
from inkdigits.lab.classic import TECHNIQUES
from inkdigits.lab.estimators import ShiftedNeighbours, distorted_distance
from inkdigits.lab.preparation import Prepare, Slopes, blur, deskew, directions, shifted, slopes, slopes_by_cell, unit
from inkdigits.lab.worker import fit_in_parts


@pytest.fixture(scope="module")
def train() -> Digits:
    return load_mnist("train").take(slice(600))


def lean(image: np.ndarray) -> float:
    """Pixels sideways per pixel down."""
    rows, columns = np.indices(image.shape)
    row, column = center_of_mass(image)
    return float((image * (rows - row) * (columns - column)).sum() / (image * (rows - row) ** 2).sum())


def sheared(image: np.ndarray, by: float) -> np.ndarray:
    middle = (np.array(image.shape) - 1) / 2
    matrix = np.array([[1, 0], [by, 1]])
    return affine_transform(image.astype(np.float64), matrix, offset=middle - matrix @ middle, order=1)


def test_a_deskewed_digit_does_not_lean_and_lies_in_the_middle(few: Digits) -> None:
    upright = deskew(few.images)
    assert upright.dtype == np.float32
    assert upright.shape == few.images.shape
    assert np.median([abs(lean(image)) for image in few.images]) > 0.1
    assert max(abs(lean(image)) for image in upright) < 0.1
    centres = np.array([center_of_mass(image) for image in upright])
    assert np.abs(centres - 13.5).max() < 0.2


def test_deskewing_is_the_shear_of_a_reference_that_works_image_by_image(few: Digits) -> None:
    for image, upright in zip(few.images[:30], deskew(few.images[:30]), strict=True):
        ink = image / 255
        row, column = center_of_mass(ink)
        matrix = np.array([[1, 0], [lean(ink), 1]])
        expected = affine_transform(ink, matrix, offset=np.array([row, column]) - matrix @ np.full(2, 13.5), order=1)
        # A shear and a move one after the other, where the reference makes them at once: edges differ a little.
        assert np.abs(expected - upright).mean() < 0.02
        assert np.corrcoef(expected.ravel(), upright.ravel())[0, 1] > 0.97


def test_a_digit_that_was_sheared_comes_back_alike(few: Digits) -> None:
    for image in few.images[:30]:
        leaning = np.stack([sheared(image / 255, by) for by in (-0.3, 0.3)])
        one, other = deskew(leaning)
        assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.9


def test_a_blank_and_a_single_pixel_survive() -> None:
    images = np.zeros((2, 28, 28), np.uint8)
    images[1, 0, 27] = 255
    upright = deskew(images)
    assert not upright[0].any()
    assert np.isfinite(upright).all()
    assert upright[1].sum() == pytest.approx(1, abs=1e-5)


def test_the_number_of_images_at_a_time_changes_nothing(few: Digits, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = deskew(few.images)
    monkeypatch.setattr("inkdigits.lab.preparation.BLOCK", 7)
    assert np.allclose(deskew(few.images), whole, atol=1e-4)  # but for rounding


def test_blurring_is_scipys_and_keeps_the_ink(few: Digits) -> None:
    smooth = blur(few.images[:5], 0.7)
    for image, found in zip(few.images[:5], smooth, strict=True):
        expected = gaussian_filter(image / 255, 0.7, mode="constant", truncate=3.0)
        assert np.allclose(found, expected, atol=1e-5)
    assert smooth.sum() == pytest.approx(unit(few.images[:5]).sum(), rel=1e-3)


@pytest.mark.parametrize(("down", "right"), [(0, 0), (1, 0), (-1, 0), (0, 2), (-2, -2), (1, -1)])
def test_moving_there_and_back_loses_only_what_left_the_image(few: Digits, down: int, right: int) -> None:
    moved = shifted(few.images, down, right)
    assert moved.dtype == np.uint8
    # MNIST leaves four pixels of paper on every side, give or take its centring.
    assert np.array_equal(shifted(moved, -down, -right)[:, 2:26, 2:26], few.images[:, 2:26, 2:26])
    assert np.array_equal(moved[:, 4:24, 4:24], np.roll(few.images, (down, right), (1, 2))[:, 4:24, 4:24])


def test_the_preparation_says_how_long_its_vectors_are(few: Digits) -> None:
    assert Prepare().transform(few.images).shape == (200, 784)
    assert Prepare(margin=4).transform(few.images).shape == (200, 400)
    assert Prepare(margin=4, halve=True).transform(few.images).shape == (200, 100)
    assert np.array_equal(Prepare().transform(few.images), few.images.reshape(200, -1) / np.float32(255))


@pytest.mark.filterwarnings("ignore:n_components > n_samples")  # 1,000 landmarks among 600 digits
@pytest.mark.parametrize("name", TECHNIQUES)
def test_every_technique_learns_and_answers_the_same_again(name: str, train: Digits, few: Digits) -> None:
    technique = TECHNIQUES[name]
    assert len(technique.about.splitlines()) == 1
    answers = []
    for _ in range(1 if technique.slow else 2):
        model = technique.build(3)
        if technique.parts:
            assert fit_in_parts(model, technique.parts, train.images, train.labels, until=0) == technique.parts.step
        else:
            model.fit(train.images, train.labels)
        answers.append(model.predict(few.images))
    assert all(np.array_equal(answers[0], others) for others in answers)
    right = float((answers[0] == few.labels).mean())
    least = {"constant": 0.05, "darkness": 0.15, "tree": 0.5, "mlp": 0.3, "boosting": 0.5}.get(name, 0.75)
    assert right >= least, right


def test_what_is_fitted_in_parts_to_the_end_is_what_fitting_at_once_makes(train: Digits, few: Digits) -> None:
    technique = TECHNIQUES["extra-trees"]
    assert technique.parts is not None
    some = train.take(slice(300))
    model, whole = technique.build(0), technique.build(0).fit(some.images, some.labels)
    later = time.perf_counter() + 3600
    assert fit_in_parts(model, technique.parts, some.images, some.labels, until=later) == technique.parts.most
    assert len(model[-1].estimators_) == len(whole[-1].estimators_) == technique.parts.most
    assert (model.predict(few.images) == whole.predict(few.images)).mean() > 0.95


def test_a_neighbour_whose_patches_moved_by_a_pixel_is_still_the_nearest(train: Digits) -> None:
    known = slopes(train.images[:40])
    for down, right in ((0, 0), (1, 0), (-1, 1)):
        asked = slopes(shifted(train.images[:1], down, right))[0]
        distances = distorted_distance(asked, known, 1)
        assert distances[0] == pytest.approx(0, abs=1e-3)
        assert distances[1:].min() > 10
        assert (distances <= distorted_distance(asked, known, 0) + 1e-3).all()


def test_the_distance_is_the_one_that_loops_make(train: Digits) -> None:
    asked, known = slopes(train.images[:2])
    apart = {}
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            # The candidate is looked at `down` and `right` of where the asked digit is; beyond the edge is paper.
            moved = np.stack([shifted(each[None], -down, -right)[0] for each in known])
            apart[down, right] = np.pad(((moved - asked) ** 2).sum(axis=0), 1)
    expected = 0.0
    for row in range(28):
        for column in range(28):
            expected += min(each[row : row + 3, column : column + 3].sum() for each in apart.values())
    assert distorted_distance(asked, known[None], 1)[0] == pytest.approx(expected, rel=1e-4)


def test_slopes_are_sobels(few: Digits) -> None:
    for image, found in zip(few.images[:5], slopes(few.images[:5]), strict=True):
        for axis in (0, 1):
            assert np.allclose(found[axis], sobel(image / 255, axis=axis, mode="constant"), atol=1e-5)


def test_directions_share_each_slope_between_two_neighbours(few: Digits) -> None:
    images = few.images[:5]
    shares, (down, right) = directions(images), slopes(images).swapaxes(0, 1)
    assert shares.shape == (5, 8, 28, 28)
    assert shares.min() >= 0
    assert np.allclose(shares.sum(axis=1), np.hypot(down, right), atol=1e-4)
    assert ((shares > 1e-4).sum(axis=1) <= 2).all()


def test_a_digit_turned_by_a_quarter_has_the_same_slopes_two_directions_on(few: Digits) -> None:
    shares = directions(few.images[:5])
    turned = directions(np.rot90(few.images[:5], axes=(1, 2)))
    assert np.allclose(turned, np.roll(np.rot90(shares, axes=(2, 3)), 2, axis=1), atol=1e-3)


def test_slopes_by_cell_move_less_than_pixels_do(few: Digits) -> None:
    def apart(one: np.ndarray, other: np.ndarray) -> float:
        """How much a pixel's move changes vectors, of how much they are."""
        return float(np.linalg.norm(one - other) / np.linalg.norm(one))

    images, moved = few.images[:30], shifted(few.images[:30], 0, 1)
    by_cell, pixels = (
        apart(vectors(images), vectors(moved)) for vectors in (slopes_by_cell, Prepare(sigma=0.5).transform)
    )
    assert by_cell < 0.7 * pixels


def test_slopes_by_cell_say_nothing_of_a_blank_and_do_not_mind_their_neighbours(few: Digits) -> None:
    assert not slopes_by_cell(np.zeros((2, 28, 28), np.uint8)).any()
    together = Slopes().transform(few.images)
    assert together.shape == (200, 520)
    assert together.dtype == np.float32
    assert np.allclose(slopes_by_cell(few.images[70:71]), together[70:71], atol=1e-4)


def test_the_nearest_neighbour_of_a_known_digit_is_itself(train: Digits) -> None:
    model = ShiftedNeighbours(k=1).fit(train.images, np.arange(len(train)))
    assert np.array_equal(model.predict(train.images[:50]), np.arange(50))


def test_virtual_examples_are_the_support_vectors_and_these_a_pixel_off(train: Digits) -> None:
    model = TECHNIQUES["svm-virtual"].build(0).fit(train.images, train.labels)
    virtual = model[-1]
    first = clone(virtual.machine).fit(deskew(train.images), train.labels)
    assert virtual.support_ == len(first[-1].support_)
    assert len(virtual.machine_[-1].support_) <= 5 * virtual.support_


def test_the_names_are_there_before_scikit_learn_is() -> None:
    code = "import sys, inkdigits.lab.compare; print([name for name in ('sklearn', 'torch') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"

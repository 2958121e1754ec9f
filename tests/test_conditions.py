"""What the reader is trained with: each condition does what it says, and a non-digit is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from inkdigits.digits.dataset import Digits
from inkdigits.nets import conditions, nondigits
from inkdigits.nets.conditions import FAMILIES, expose, sometimes, wear
from inkdigits.nets.forms import draw_forms
from inkdigits.nets.strokes import BOX, curve
from inkdigits.nets.train import train
from inkdigits.reader.model import load_model

Change = Callable[[Tensor, torch.Generator], Tensor]
CHANGES: list[Change] = [
    conditions.warp, conditions.pen, conditions.uneven, conditions.neighbour, conditions.rule, conditions.stray,
    conditions.gap, conditions.patch, conditions.blur, conditions.coarse, conditions.light, conditions.grain,
    conditions.shot, conditions.impulse, conditions.jpeg, wear, expose,
]  # fmt: skip


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def images(few: Digits) -> Tensor:
    return torch.from_numpy(few.images.copy()).unsqueeze(1).float() / 255


@pytest.fixture(scope="module")
def labels(few: Digits) -> Tensor:
    return torch.from_numpy(few.need_labels("test").astype(np.int64))


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_condition_keeps_the_range_changes_something_and_repeats_with_the_seed(
    change: Change, images: Tensor
) -> None:
    changed = change(images, generator())
    assert changed.shape == images.shape
    assert float(changed.min()) >= 0
    assert float(changed.max()) <= 1
    assert float((changed - images).abs().mean()) > 0.002
    assert torch.equal(changed, change(images, generator()))
    assert not torch.equal(changed, change(images, generator(1)))


def test_sometimes_changes_its_share_and_leaves_the_others(images: Tensor) -> None:
    many = images.repeat(10, 1, 1, 1)
    changed = sometimes(0.3, lambda some, _: 1 - some, many, generator())
    touched = (changed != many).flatten(1).any(1)
    assert float(touched.float().mean()) == pytest.approx(0.3, abs=0.04)
    assert torch.equal(changed[~touched], many[~touched])
    assert torch.equal(sometimes(0.0, lambda some, _: 1 - some, many, generator()), many)


def test_a_third_of_the_digits_are_only_warped_and_written(images: Tensor) -> None:
    many = images.repeat(5, 1, 1, 1)
    untouched = (expose(many, generator()) == many).flatten(1).all(1)
    assert 0.3 < float(untouched.float().mean()) < 0.5


def test_rules_slips_and_neighbours_add_ink_and_gaps_and_dry_pens_take_it_away(images: Tensor) -> None:
    for adding in (conditions.rule, conditions.stray, conditions.neighbour):
        assert bool((adding(images, generator()) >= images).all())
    for taking in (conditions.gap, conditions.uneven):
        assert bool((taking(images, generator()) <= images).all())


def test_a_patch_is_one_grey_rectangle(images: Tensor) -> None:
    for before, after in zip(images[:20], conditions.patch(images, generator())[:20], strict=True):
        rows, columns = (before != after)[0].nonzero(as_tuple=True)
        if len(rows):
            inside = after[0, rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
            assert float(inside.max() - inside.min()) == 0


def test_pens_are_thinner_and_thicker(images: Tensor) -> None:
    ratio = conditions.pen(images, generator()).sum((1, 2, 3)) / images.sum((1, 2, 3))
    assert float(ratio.min()) < 0.8
    assert float(ratio.max()) > 1.4
    assert float(conditions.pen(images, generator()).amax((1, 2, 3)).min()) > 0.5


def test_noise_has_the_strength_that_it_says() -> None:
    grey = torch.full((400, 1, 28, 28), 0.5)
    spread = (conditions.grain(grey, generator()) - grey).flatten(1).std(1)
    assert float(spread.min()) < 0.05
    assert 0.2 < float(spread.max()) < 0.27
    salt = (conditions.impulse(grey, generator()) != 0.5).float().mean((1, 2, 3))
    assert float(salt.max()) == pytest.approx(0.2, abs=0.04)


def test_the_cosine_transform_is_one() -> None:
    matrix = conditions._cosines()
    assert torch.allclose(matrix @ matrix.T, torch.eye(8), atol=1e-6)


def test_what_the_reader_is_examined_on_is_no_family_of_the_training() -> None:
    unseen = {"canny_edges", "zigzag", "dotted_line", "stripe", "spatter", "fog"}
    assert len(FAMILIES) == 9
    assert not unseen & set(FAMILIES)


def test_non_digits_are_as_many_as_asked_for_and_repeat_with_the_seed(images: Tensor, labels: Tensor) -> None:
    scribbles = torch.from_numpy(nondigits.draw_scribbles(50, np.random.default_rng(0))).unsqueeze(1)
    for count in (1, 7, 64):
        made = nondigits.make_non_digits(images, labels, scribbles, count, generator())
        assert made.shape == (count, 1, 28, 28)
        assert torch.equal(made, nondigits.make_non_digits(images, labels, scribbles, count, generator()))
        assert 0 <= float(made.min()) <= float(made.max()) <= 1


def test_refit_fills_the_box_and_centres_the_ink() -> None:
    small = torch.zeros(1, 1, 28, 28)
    small[:, :, 3:8, 2:5] = 1
    refitted = nondigits.refit(small)[0, 0]
    rows, columns = (refitted > 0.5).any(1).nonzero(), (refitted > 0.5).any(0).nonzero()
    assert len(rows) == 20
    assert len(columns) == 12
    assert abs(float(rows.float().mean()) - 13.5) <= 0.5
    assert torch.equal(nondigits.refit(torch.zeros(2, 1, 28, 28)), torch.zeros(2, 1, 28, 28))


def test_half_digits_have_lost_ink_on_one_side(images: Tensor, labels: Tensor) -> None:
    place = torch.arange(28.0)
    halves = nondigits.half_digits(images, labels, 40, generator())
    wide = (halves.sum(2)[:, 0] > 0.5).float()
    reach = (wide * place).amax(1) - torch.where(wide > 0, place, 28.0).amin(1)
    assert len(halves) == 40
    assert float(reach[:20].mean()) < float(reach[20:].mean())  # left and right halves are narrow, the others flat


def test_several_digits_are_wider_than_high_unless_stacked(images: Tensor) -> None:
    made = nondigits.several_digits(images, 200, generator())
    wide = (made.amax(2)[:, 0] > 0.25).sum(1)
    high = (made.amax(3)[:, 0] > 0.25).sum(1)
    assert float((wide > high).float().mean()) > 0.6


def test_turned_digits_are_of_the_labels_that_allow_it(labels: Tensor) -> None:
    """A picture of nothing but the label, by its grey: turning does not change it."""
    flat = (labels.float() / 10).view(-1, 1, 1, 1).expand(-1, 1, 28, 28)
    made = (nondigits.turned_digits(flat, labels, 80, generator())[:, 0, 0, 0] * 10).round().long()
    assert set(made[:40].tolist()) <= set(nondigits.QUARTER_TURNED)
    assert set(made[40:60].tolist()) <= set(nondigits.HALF_TURNED)
    assert set(made[60:].tolist()) <= set(nondigits.MIRRORED)


def test_scribbles_fit_the_frame_and_differ() -> None:
    made = nondigits.draw_scribbles(60, np.random.default_rng(0))
    assert made.shape == (60, 28, 28)
    assert made.dtype == np.uint8
    assert len({image.tobytes() for image in made}) == 60
    extent = np.maximum((made.max(1) > 0).sum(1), (made.max(2) > 0).sum(1))
    assert (extent[made.any((1, 2))] == BOX).mean() > 0.9


def test_drawn_forms_fit_the_frame_and_have_all_their_labels() -> None:
    images, labels = draw_forms(300, np.random.default_rng(0))
    assert set(labels.tolist()) == {0, 1, 2, 3, 4, 5, 7, 8, 9}
    extent = np.maximum((images.max(1) > 0).sum(1), (images.max(2) > 0).sum(1))
    assert (extent == BOX).mean() > 0.9
    again, _ = draw_forms(300, np.random.default_rng(0))
    assert np.array_equal(images, again)
    assert draw_forms(0, np.random.default_rng(0))[0].shape == (0, 28, 28)


def test_a_drawn_one_leans_on_its_upstroke_and_a_seven_is_level_at_the_top() -> None:
    """The upper fifth of a 7 has ink far to the left; a 1's begins at the stem."""
    images, labels = draw_forms(400, np.random.default_rng(1))
    top = images[:, 4:7].astype(float).sum(1)
    spread = np.sqrt((top * (np.arange(28) - 14) ** 2).sum(1) / top.sum(1).clip(1))
    assert spread[labels == 7].mean() > 1.3 * spread[labels == 1].mean()


def test_a_curve_goes_through_its_knots() -> None:
    knots = np.array([[0.0, 0.0], [1.0, 2.0], [3.0, 1.0]])
    line = curve(knots)
    assert np.allclose(line[[0, 12, -1]], knots)
    assert np.allclose(curve(knots[:2])[:, 1], 2 * curve(knots[:2])[:, 0])


def test_drawn_forms_and_non_digits_are_trained_on(
    few: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inkdigits.nets.fit.SCRIBBLES", 40)
    run = train(few, net="reader", width=12, epochs=1, batch=20, validation=40, drawn_forms=30, output=tmp_path / "run")
    assert run.metrics["train"]["of"] == 160  # as many of MNIST; what was drawn is in the settings
    assert run.settings.drawn_forms == 30
    model = load_model(run.folder)
    assert model.metadata["augmentation_families"].split(",") == list(FAMILIES)
    assert "novelty" in {output.name for output in model.session.get_outputs()}
    resumed = train(few, output=run.folder, resume=True)
    assert resumed.model.read_bytes() == run.model.read_bytes()

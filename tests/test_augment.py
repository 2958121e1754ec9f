"""Each augmentation does what its name says, and no more; seen on a bar, a dot and real digits."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from inkdigits.digits.dataset import Digits
from inkdigits.nets.augment import augment, elastic_displacement
from inkdigits.nets.catalogue import Settings, settings_for

COUNT = 400


def still(**changes: object) -> Settings:
    """Settings of affine augmentation that move nothing, but for `changes`."""
    nothing: dict[str, object] = {"augmentation": "affine", "shift": 0, "turn": 0.0, "scale": 0.0, "shear": 0.0}
    return settings_for("fast", **{**nothing, **changes})


def bars() -> Tensor:
    """An upright bar in the middle, COUNT times: 16 pixels high, 4 wide."""
    images = torch.zeros(COUNT, 1, 28, 28)
    images[:, :, 6:22, 12:16] = 1
    return images


def changed(images: Tensor, settings: Settings, seed: int = 0) -> Tensor:
    return augment(images, settings, torch.Generator().manual_seed(seed))


def moments(images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Centre (row, column) and second moments (rows, columns, mixed) of each image's ink."""
    ink = images[:, 0] / images[:, 0].sum((1, 2), keepdim=True)
    place = torch.arange(28.0)
    row, column = (ink.sum(2) * place).sum(1), (ink.sum(1) * place).sum(1)
    down, right = place[None] - row[:, None], place[None] - column[:, None]
    high, wide = (ink.sum(2) * down**2).sum(1), (ink.sum(1) * right**2).sum(1)
    mixed = (ink * down[:, :, None] * right[:, None, :]).sum((1, 2))
    return row, column, high, wide, mixed


def test_none_changes_nothing() -> None:
    assert torch.equal(changed(bars(), settings_for("fast", augmentation="none")), bars())


def test_shift_moves_whole_pixels_to_every_place_within_reach_and_no_further() -> None:
    dot = torch.zeros(COUNT, 1, 28, 28)
    dot[:, :, 14, 14] = 1
    moved = changed(dot, settings_for("fast", augmentation="shift", shift=2))
    places = {tuple(place) for place in moved.nonzero()[:, 2:].tolist()}
    assert float(moved.sum()) == COUNT
    assert places == {(row, column) for row in range(12, 17) for column in range(12, 17)}


def test_shift_brings_paper_in_at_the_edge_not_the_other_side() -> None:
    full = torch.ones(COUNT, 1, 28, 28)
    assert set(changed(full, settings_for("fast", augmentation="shift", shift=1)).sum((1, 2, 3)).tolist()) == {
        27.0 * 27,
        27.0 * 28,
        28.0 * 28,
    }


def test_affine_without_amounts_changes_nothing() -> None:
    assert torch.allclose(changed(bars(), still()), bars(), atol=1e-5)


def test_turn_turns_to_both_sides_within_its_degrees_about_the_centre() -> None:
    row, column, high, wide, mixed = moments(changed(bars(), still(turn=20.0)))
    degrees = torch.rad2deg(torch.atan2(2 * mixed, high - wide) / 2)
    assert float(degrees.abs().max()) <= 20.5
    assert float(degrees.min()) < -17
    assert float(degrees.max()) > 17
    assert torch.allclose(row, torch.full_like(row, 13.5), atol=0.05)
    assert torch.allclose(column, torch.full_like(column, 13.5), atol=0.05)


def test_scale_grows_and_shrinks_alike() -> None:
    heights = moments(changed(bars(), still(scale=0.25)))[2].sqrt() / moments(bars())[2].sqrt()
    assert float(heights.max()) == pytest.approx(1.25, abs=0.03)
    assert float(heights.min()) == pytest.approx(1 / 1.25, abs=0.03)
    assert float(heights.log().mean()) == pytest.approx(0, abs=0.02)


def test_shear_slants_and_keeps_the_height() -> None:
    _, _, high, _, mixed = moments(changed(bars(), still(shear=0.3)))
    slants = mixed / high
    assert float(slants.abs().max()) == pytest.approx(0.3, abs=0.02)
    assert abs(float(slants.mean())) < 0.03
    assert torch.allclose(high, moments(bars())[2], rtol=0.03)


def test_affine_shift_reaches_its_pixels_in_both_directions() -> None:
    row, column, *_ = moments(changed(bars(), still(shift=3)))
    for place in (row, column):
        assert float((place - 13.5).abs().max()) == pytest.approx(3, abs=0.1)
        assert abs(float((place - 13.5).mean())) < 0.2


def test_elastic_displaces_by_its_pixels_smoothly() -> None:
    field = elastic_displacement(bars(), 1.5, torch.Generator().manual_seed(0)) * 14  # half an image is 14 pixels
    assert float(field.square().mean().sqrt()) == pytest.approx(1.5, rel=0.03)
    neighbours = (field[:, 1:] - field[:, :-1]).square().mean().sqrt()
    # A field smoothed by σ has neighbours that differ by its own size times √(1 − exp(−1/(4σ²))) · √2.
    assert float(neighbours) == pytest.approx(1.5 * math.sqrt(2 * (1 - math.exp(-1 / 64))), rel=0.05)


def test_elastic_bends_what_affine_keeps_straight() -> None:
    bent = changed(bars(), still(augmentation="elastic", elastic=2.0))
    columns = torch.arange(28.0)
    rows = bent[:, 0, 10:18]
    centre = (rows * columns).sum(2) / rows.sum(2).clamp(min=0.1)
    line = torch.linspace(-1, 1, centre.shape[1])
    straight = (centre * line).sum(1, keepdim=True) / (line**2).sum() * line + centre.mean(1, keepdim=True)
    assert float((centre - straight).abs().mean()) > 0.1


@pytest.mark.parametrize("name", ["shift", "affine", "elastic"])
def test_digits_stay_readable_unmirrored_and_repeatable(name: str, few: Digits) -> None:
    images = torch.from_numpy(few.images.copy()).unsqueeze(1).float() / 255
    settings = settings_for("fast", augmentation=name)
    moved = changed(images, settings)
    assert moved.shape == images.shape
    assert float(moved.min()) >= 0
    assert float(moved.max()) <= 1 + 1e-6
    assert torch.equal(moved, changed(images, settings))
    assert not torch.equal(moved, changed(images, settings, seed=1))

    def likeness(other: Tensor) -> float:
        return float(torch.nn.functional.cosine_similarity(moved.flatten(1), other.flatten(1)).mean())

    assert likeness(images) > likeness(images.flip(3)) + 0.1
    assert likeness(images) > likeness(images.flip(2)) + 0.1


@pytest.mark.parametrize("kind", ["shift", "affine", "elastic"])
def test_a_square_of_paper_is_somewhere_on_each_image(kind: str) -> None:
    full = torch.ones(COUNT, 1, 28, 28)
    still_full = changed(full, still(augmentation=kind, elastic=0.0))
    erased = changed(full, still(augmentation=kind, elastic=0.0, erase=4))
    gone = ((still_full - erased)[:, 0] > 0.5).float()
    assert bool((gone.sum((1, 2)) == 16).all())
    places = [(int(hole.amax(1).argmax()), int(hole.amax(0).argmax())) for hole in gone]
    assert {row for row, _ in places} == {column for _, column in places} == set(range(25))
    for hole, (row, column) in zip(gone, places, strict=True):
        assert float(hole[row : row + 4, column : column + 4].sum()) == 16

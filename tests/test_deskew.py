"""Deskewed digits stand upright, whatever their slant was, and a model that deskews does so before all else."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inkdigits.digits.dataset import Digits
from inkdigits.nets.calibrate import Calibration
from inkdigits.nets.catalogue import settings_for
from inkdigits.nets.deskew import STEEPEST, Deskew
from inkdigits.nets.export import to_onnx
from inkdigits.nets.precision import grid_nodes, quantised
from inkdigits.nets.views import Views, with_views
from inkdigits.nets.zoo import build, count_parameters


@pytest.fixture
def images(few: Digits) -> Tensor:
    return torch.from_numpy(few.images[:50].copy()).unsqueeze(1).float() / 255


def sheared(images: Tensor, slant: float) -> Tensor:
    """The images with their ink moved so many pixels to the right from a row to the next below."""
    theta = torch.tensor([[1.0, -slant, 0.0], [0.0, 1.0, 0.0]]).expand(len(images), 2, 3)
    return F.grid_sample(images, F.affine_grid(theta, list(images.shape), align_corners=False), align_corners=False)


def test_the_slant_of_a_bar_is_known() -> None:
    bar = torch.zeros(1, 1, 28, 28)
    for row in range(4, 24):
        bar[0, 0, row, 6 + row // 2] = 1  # half a pixel to the right from a row to the next
    assert float(Deskew().slant(bar)) == pytest.approx(0.5, abs=0.01)
    upright = Deskew()(bar)[0, 0, 4:24]
    columns = (upright * torch.arange(28.0)).sum(1) / upright.sum(1)
    assert float(columns.max() - columns.min()) < 0.6
    assert float(columns.mean()) == pytest.approx(float((6 + torch.arange(4, 24) // 2).float().mean()), abs=0.1)


def test_no_slant_is_left(images: Tensor) -> None:
    deskew = Deskew()
    assert float(deskew.slant(images).abs().max()) > 0.2
    assert torch.allclose(deskew.slant(deskew(images)), torch.zeros(len(images), 1), atol=1e-4)
    # All their ink is there: rows have moved sideways, and nothing else.
    assert torch.allclose(deskew(images).sum((2, 3)), images.sum((2, 3)), rtol=1e-3)


@pytest.mark.parametrize("slant", [-0.3, 0.2])
def test_a_digit_looks_the_same_whatever_its_slant_was(slant: float, images: Tensor) -> None:
    deskew = Deskew()
    moved = (deskew(sheared(images, slant)) - deskew(images)).abs().mean()
    assert float(moved) < 0.2 * float((sheared(images, slant) - images).abs().mean())


def test_hardly_an_image_has_a_slant_and_none_is_too_steep() -> None:
    blank = torch.zeros(2, 1, 28, 28)
    blank[1, 0, 5, 20] = 1e-3
    assert float(Deskew().slant(blank).abs().max()) < 1e-6
    assert Deskew()(blank).isfinite().all()
    lying = torch.zeros(1, 1, 28, 28)
    for row in range(13, 15):
        lying[0, 0, row, 4 + 10 * (row - 13) : 14 + 10 * (row - 13)] = 1
    assert float(Deskew().slant(lying)) == STEEPEST


def test_views_are_taken_of_the_deskewed_image() -> None:
    plain = build(settings_for("least"))
    network = with_views(plain, 9)
    assert [type(layer) for layer in network[:3]] == [Deskew, Views, nn.Conv2d]
    assert count_parameters(network) == count_parameters(plain) <= 700
    # Nothing of it is kept with the weights.
    assert not any(name.startswith("0.") for name in plain.state_dict())


def test_how_far_a_digit_leans_is_not_rounded_to_eight_bits(few: Digits) -> None:
    network = with_views(build(settings_for("least")).eval(), 2)
    exported = to_onnx(network, Calibration(1.0, 0.0, 1.0), {"format": "1"})
    model = onnx.load_from_string(exported)
    leaning = grid_nodes(model)
    assert [node.op_type for node in leaning if node.op_type in ("Flatten", "MatMul", "Clip", "Add")] == [
        *["Flatten", *["MatMul"] * 4], "Clip", "Add",
    ]  # fmt: skip
    whole = quantised(model, few.images[:100])
    kept = {node.op_type: node for node in grid_nodes(whole)}
    assert "DequantizeLinear" not in kept
    assert any(node.op_type == "DequantizeLinear" for node in whole.graph.node)


def test_a_model_without_it_computes_no_grid() -> None:
    network = with_views(build(settings_for("tiny")).eval(), 2)
    model = onnx.load_from_string(to_onnx(network, Calibration(1.0, 0.0, 1.0), {"format": "1"}))
    assert grid_nodes(model) == []
    assert np.mean([node.op_type == "GridSample" for node in model.graph.node]) > 0

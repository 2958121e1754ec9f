"""Views are what they are called, and a model that takes several answers with their mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from inkdigits.digits.dataset import Digits
from inkdigits.digits.mnist import load_mnist
from inkdigits.errors import InputError
from inkdigits.nets.catalogue import settings_for
from inkdigits.nets.classifier import DigitClassifier
from inkdigits.nets.train import train
from inkdigits.nets.views import VIEWS, Views, with_views
from inkdigits.nets.zoo import build
from inkdigits.reader.model import load_model


@pytest.fixture
def images(few: Digits) -> Tensor:
    return torch.from_numpy(few.images[:20].copy()).unsqueeze(1).float() / 255


def seen(images: Tensor) -> Tensor:
    """The views of each image: (N, views, 28, 28)."""
    return Views(len(VIEWS))(images).view(len(images), len(VIEWS), 28, 28)


def test_the_first_view_is_the_image_itself(images: Tensor) -> None:
    assert torch.allclose(seen(images)[:, 0], images[:, 0], atol=1e-5)


@pytest.mark.parametrize(("view", "right", "down"), [(1, 1, 0), (2, -1, 0), (3, 0, 1), (4, 0, -1)])
def test_the_next_four_are_moved_by_a_pixel(view: int, right: int, down: int, images: Tensor) -> None:
    moved = torch.roll(images[:, 0], (down, right), (1, 2))  # digits end four pixels from the edge, so none comes round
    assert torch.allclose(seen(images)[:, view], moved, atol=1e-5)


def test_one_turns_as_far_clockwise_as_another_anticlockwise(images: Tensor) -> None:
    one, other = seen(images)[:, 5], seen(images.flip(3))[:, 6].flip(2)
    assert torch.allclose(one, other, atol=1e-5)
    assert float((one - images[:, 0]).abs().max()) > 0.1
    # An upright bar, turned as the clock goes, has its top to the right.
    bar = torch.zeros(1, 1, 28, 28)
    bar[:, :, 6:22, 13:15] = 1
    top = seen(bar)[0, 5, 6:9].sum(0)
    assert float((top * torch.arange(28.0)).sum() / top.sum()) > 14


def test_one_is_larger_and_another_smaller(images: Tensor) -> None:
    ink = seen(images).sum((2, 3)).mean(0)
    assert float(ink[7] / ink[0]) == pytest.approx(1.08**2, rel=0.02)
    assert float(ink[8] / ink[0]) == pytest.approx(1.08**-2, rel=0.02)


@pytest.mark.parametrize("count", [2, 9])
def test_the_answer_is_the_mean_over_the_views(count: int, images: Tensor) -> None:
    network = build(settings_for("b-regularised")).eval()
    each = torch.stack([network(view[:, None]) for view in seen(images)[:, :count].unbind(1)])
    with torch.no_grad():
        assert torch.allclose(with_views(network, count)(images), each.mean(0), atol=1e-4)


def test_one_view_is_the_network_itself() -> None:
    network = build(settings_for("softmax"))
    assert with_views(network, 1) is network


@pytest.mark.parametrize("more", [{}, {"non_digits": 0.25, "second_look": True, "drawn_forms": 20}])
def test_the_file_of_a_training_with_views_answers_with_their_mean(
    more: dict[str, float], few: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inkdigits.nets.fit.SCRIBBLES", 200)
    # Whether the file says what the network says, the training looks for itself.
    some = load_mnist("train").take(slice(600))
    told: dict[str, Any] = {"net": "fast", "target": "99.0", **more}
    runs = [train(some, views=views, output=tmp_path / f"{views}", **told) for views in (1, 9)]
    one, nine = (load_model(run.folder).predict(few.images) for run in runs)
    assert runs[0].metrics["parameters"] == runs[1].metrics["parameters"]
    assert np.abs(one.probabilities - nine.probabilities).max() > 0.01
    assert (one.labels == nine.labels).mean() > 0.8


def test_an_estimator_takes_views_of_images_and_refuses_those_of_other_features(few: Digits) -> None:
    rows = few.images.reshape(len(few), -1)
    fitted = [
        DigitClassifier(net="softmax", epochs=20, settings={"views": views}).fit(rows, few.labels) for views in (1, 5)
    ]
    assert np.abs(fitted[0].predict_proba(rows) - fitted[1].predict_proba(rows)).max() > 0.01
    with pytest.raises(InputError, match="setting views: is for images, expected 784 pixels, found 5 features"):
        DigitClassifier(net="softmax", settings={"views": 5}).fit(rows[:, 300:305], few.labels)

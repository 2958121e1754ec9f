"""Several views of an image, moved and turned a little, and the mean of what a network makes of them.

    >>> steadier = with_views(network, 9)

A digit moved by a pixel is the same digit, but to a network not quite the same pixels: the mean over a few such views
is right more often than one look. It costs as many times the arithmetic, and no parameter.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..digits.dataset import SIDE
from .deskew import Deskew

# Pixels to the right and down, degrees turned as the clock goes, and how many times as large; the first is the image.
VIEWS: tuple[tuple[float, float, float, float], ...] = (
    (0, 0, 0, 1),
    (1, 0, 0, 1), (-1, 0, 0, 1), (0, 1, 0, 1), (0, -1, 0, 1),
    (0, 0, 8, 1), (0, 0, -8, 1), (0, 0, 0, 1.08), (0, 0, 0, 1 / 1.08),
)  # fmt: skip


def view_grid(count: int) -> Tensor:
    """Where the pixels of the first `count` of VIEWS come from, one view below the other: (1, count × 28, 28, 2)."""
    thetas = []
    for right, down, degrees, times in VIEWS[:count]:
        turn = math.radians(degrees)
        cosine, sine = math.cos(turn) / times, math.sin(turn) / times
        # The grid's unit is half an image; it says where a pixel comes from, so it moves against the image.
        thetas.append([[cosine, sine, -right * 2 / SIDE], [-sine, cosine, -down * 2 / SIDE]])
    grid = F.affine_grid(torch.tensor(thetas), [count, 1, SIDE, SIDE], align_corners=False)
    return grid.reshape(1, count * SIDE, SIDE, 2)


class Views(nn.Module):
    """Images (N, 1, 28, 28) as `count` views of each: (N × count, 1, 28, 28), those of one image together."""

    grid: Tensor

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count
        self.register_buffer("grid", view_grid(count), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        # The images stand where channels do: all of them are sampled at the same places.
        seen = F.grid_sample(images.reshape(1, -1, SIDE, SIDE), self.grid, padding_mode="zeros", align_corners=False)
        return seen.reshape(-1, 1, SIDE, SIDE)


class MeanOfViews(nn.Module):
    """Features (N × count, D) of views as their mean (N, D).

    What follows is linear, so that this is the mean of the logits: up to a number that all classes have in common,
    which makes no difference, that of the logarithms of the probabilities.
    """

    def __init__(self, count: int, features: int) -> None:
        super().__init__()
        self.count, self.features = count, features

    def forward(self, features: Tensor) -> Tensor:
        return features.reshape(-1, self.count, self.features).mean(1)


def with_views(network: nn.Sequential, count: int) -> nn.Sequential:
    """A network that answers with the mean over `count` views, of the same layers: itself for one view.

    `network` is of the zoo: images in, its last layer linear. One that sets digits upright does so before they are
    turned, which it would undo.
    """
    if count == 1:
        return network
    *body, last = network
    assert isinstance(last, nn.Linear)
    before = [body.pop(0)] if isinstance(body[0], Deskew) else []
    layers = [*before, Views(count), *body, MeanOfViews(count, last.in_features), last]
    return nn.Sequential(*layers).train(network.training)

"""Digits set upright: their slant is taken off before a network sees them.

    >>> network = nn.Sequential(Deskew(), *layers)

Most people write at a slant, each at another one, and a small network has few parameters to spare for that. The slant
is read off the image itself: ink that lies further to the right the higher it is has a covariance between its two
coordinates, and a shear by that covariance over the vertical variance takes it away. Nothing of it is learnt.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..digits.dataset import SIDE

STEEPEST = 1.0  # pixels sideways a row; a digit that lies flatter is something else
LEAST = 1e-6  # in place of the variance of an image without ink


class Deskew(nn.Module):
    """Images (N, 1, 28, 28) in 0…1 with their rows moved sideways, so that their ink stands upright.

    The middle row stays. Y. LeCun et al., "Gradient-based learning applied to document recognition", 1998, deskews for
    its simpler classifiers.

    Attributes
    ----------
    sums, weights: (784, 4); two sums over the ink whose products make its covariances.
    covariance, variance: (4, 1); which products of them.
    upright, lean: (28, 28, 2); where a pixel comes from, and how that moves with the slant.
    """

    sums: Tensor
    weights: Tensor
    covariance: Tensor
    variance: Tensor
    upright: Tensor
    lean: Tensor

    def __init__(self) -> None:
        super().__init__()
        upright = F.affine_grid(torch.eye(2, 3)[None], [1, 1, SIDE, SIDE], align_corners=False)[0]
        right, down = upright.flatten(0, 1).unbind(1)
        one = torch.ones_like(down)
        # Covariance: E[xy] − E[x] E[y], variance: E[yy] − E[y] E[y], both times the square of all ink.
        constants = {
            "sums": torch.stack([right * down, right, down * down, down], 1),
            "weights": torch.stack([one, down, one, down], 1),
            "covariance": torch.tensor([[1.0], [-1.0], [0.0], [0.0]]),
            "variance": torch.tensor([[0.0], [0.0], [1.0], [-1.0]]),
            "upright": upright,
            "lean": torch.stack([upright[..., 1], torch.zeros(SIDE, SIDE)], -1),
        }
        for name, values in constants.items():
            self.register_buffer(name, values.contiguous(), persistent=False)

    def slant(self, images: Tensor) -> Tensor:
        """Pixels to the right by which the ink moves from a row to the next below it: (N, 1)."""
        ink = images.flatten(1)
        products = (ink @ self.sums) * (ink @ self.weights)
        slant = (products @ self.covariance) / (products @ self.variance).clamp_min(LEAST)
        return slant.clamp(-STEEPEST, STEEPEST)

    def forward(self, images: Tensor) -> Tensor:
        grid = self.upright + self.slant(images).reshape(-1, 1, 1, 1) * self.lean
        return F.grid_sample(images, grid, padding_mode="zeros", align_corners=False)

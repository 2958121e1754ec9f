"""Training images changed a little, anew in each epoch, a whole batch at once.

    >>> moved = augment(images, settings_for("fast", augmentation="affine"), torch.Generator().manual_seed(0))
    >>> moved.shape
    torch.Size([256, 1, 28, 28])

Never a mirror image: a mirrored digit is not a digit. All functions take and give float32 (N, 1, 28, 28), 0 = paper.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from .catalogue import Settings

ELASTIC_SIGMA = 4.0  # pixels; how smooth an elastic displacement is (Simard et al. 2003 use 4)


def augment(images: Tensor, settings: Settings, generator: torch.Generator) -> Tensor:
    """`images` changed as `settings.augmentation` says; the random numbers come from `generator` (on the CPU).

    What `conditions` does is in a file of its own, conditions.py.
    """
    if settings.augmentation == "none":
        return images
    if settings.augmentation == "shift":
        images = shift(images, settings.shift, generator)
    else:
        grid = affine_grid(images, settings, generator)
        if settings.augmentation == "elastic":
            grid = grid + elastic_displacement(images, settings.elastic, generator)
        images = F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return erase(images, settings.erase, generator) if settings.erase else images


def shift(images: Tensor, most: int, generator: torch.Generator) -> Tensor:
    """Each image moved by whole pixels, −most…most in either direction, paper moving in."""
    count, _, height, width = images.shape
    padded = F.pad(images[:, 0], (most, most, most, most))
    offsets = torch.randint(0, 2 * most + 1, (2, count, 1), generator=generator).to(images.device)
    rows = offsets[0] + torch.arange(height, device=images.device)
    columns = offsets[1] + torch.arange(width, device=images.device)
    each = torch.arange(count, device=images.device)[:, None, None]
    return padded[each, rows[:, :, None], columns[:, None, :]][:, None]


def erase(images: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """Each image with a square of paper, `side` pixels wide, somewhere on it, wholly inside.

    DeVries and Taylor, "Improved regularization of convolutional neural networks with cutout", 2017.
    """
    count, _, height, width = images.shape
    top = torch.randint(0, height - side + 1, (count, 1), generator=generator)
    left = torch.randint(0, width - side + 1, (count, 1), generator=generator)
    rows, columns = torch.arange(height), torch.arange(width)
    high = (rows >= top) & (rows < top + side)
    wide = (columns >= left) & (columns < left + side)
    return images.masked_fill((high[:, :, None] & wide[:, None, :])[:, None].to(images.device), 0)


def affine_grid(images: Tensor, settings: Settings, generator: torch.Generator) -> Tensor:
    """Sampling grid (N, 28, 28, 2) of a turn, two scales, a shear and a shift for each image, each drawn uniformly."""
    count, side = len(images), images.shape[-1]
    uniform = torch.rand((6, count), generator=generator) * 2 - 1
    turn = uniform[0] * math.radians(settings.turn)
    # Scales are drawn in their logarithm, so that growing and shrinking by the same factor are equally likely.
    wide, high = (uniform[1:3] * math.log1p(settings.scale)).exp()
    shear = uniform[3] * settings.shear
    right, down = uniform[4:6] * settings.shift * 2 / side  # the grid's unit is half an image
    cosine, sine = turn.cos(), turn.sin()
    first = torch.stack([wide * cosine, wide * (shear * cosine - sine), right], 1)
    second = torch.stack([high * sine, high * (shear * sine + cosine), down], 1)
    theta = torch.stack([first, second], 1).to(images.device)
    return F.affine_grid(theta, list(images.shape), align_corners=False)


def elastic_displacement(images: Tensor, pixels: float, generator: torch.Generator) -> Tensor:
    """Smooth random displacement (N, 28, 28, 2), `pixels` root mean square, in the grid's unit (half an image).

    Simard, Steinkraus and Platt, "Best practices for convolutional neural networks", 2003.
    """
    count, side = len(images), images.shape[-1]
    reach = int(3 * ELASTIC_SIGMA)
    offsets = torch.arange(-reach, reach + 1, dtype=torch.float32)
    kernel = torch.exp(-(offsets**2) / (2 * ELASTIC_SIGMA**2))
    # Smoothing leaves the kernel's sum of squares of the noise's variance, along each axis: this brings it back to one.
    kernel = kernel / kernel.square().sum().sqrt()
    # As a matrix with the kernel along its diagonal: to multiply by it twice is much faster than to convolve.
    wide = side + 2 * reach
    band = torch.stack([F.pad(kernel, (row, side - 1 - row)) for row in range(side)])
    noise = torch.randn((2 * count, wide, wide), generator=generator)
    field = (band @ noise @ band.T).view(count, 2, side, side).permute(0, 2, 3, 1)
    return (field * (pixels * 2 / side)).to(images.device)

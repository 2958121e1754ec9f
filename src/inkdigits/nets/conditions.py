"""What happens to handwriting on its way to a digit image: warps, pens, light, noise, rules and neighbours.

    >>> worn = wear(images, torch.Generator().manual_seed(0))
    >>> worn.shape
    torch.Size([256, 1, 28, 28])

The augmentation `conditions`, with which the shipped reader is trained. Each change falls on a share of the images,
drawn anew, so that clean digits stay among them. All functions take and give float32 (N, 1, 28, 28) in 0…1, 0 = paper;
random numbers come from the generator (on the CPU), and nothing is ever mirrored.

Of the corruptions in MNIST-C (Mu and Gilmer, 2019) six are kept out under any name, so that they can be a test: canny
edges, zigzag, dotted line, stripe, spatter and fog.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from .augment import elastic_displacement

# The families of MNIST-C that these conditions resemble; the model file says so to those who measure it.
FAMILIES = (
    "shot_noise", "impulse_noise", "glass_blur", "motion_blur", "shear", "scale", "rotate", "brightness", "translate"
)  # fmt: skip

# Share of the images on which each condition falls. About a third of them keep their light, pen and grain.
PERSPECTIVE, ELASTIC, ROUGH, BADLY_CROPPED = 0.3, 0.5, 0.06, 0.13
PEN, UNEVEN, RULE, STRAY, GAP, PATCH, NEIGHBOUR = 0.5, 0.1, 0.1, 0.1, 0.1, 0.06, 0.12
BLUR, COARSE, LIGHT, GRAIN, SHOT, IMPULSE, JPEG = 0.2, 0.1, 0.25, 0.2, 0.08, 0.1, 0.08

TURN = math.radians(20)
BADLY_TURNED = math.radians(28)
STRETCH = math.log(1.3)  # of width and height, each on its own
ALIKE = math.log(1.2)  # of both together
SHEAR = 0.4
SHIFT = 1.5  # pixels; a reader centres what it reads
FAR_SHIFT = 4.0
TILT = 0.15  # how much nearer one side of the paper is than the other, as a share
DISPLACEMENT = 1.3  # pixels, root mean square, of the elastic warp
KERNEL = 9  # pixels, side of the largest blur


def wear(images: Tensor, generator: torch.Generator) -> Tensor:
    """Each image as it might come off paper through a lens: warped, then written otherwise, then seen badly."""
    images = warp(images, generator)
    images = sometimes(PEN, pen, images, generator)
    images = sometimes(UNEVEN, uneven, images, generator)
    images = sometimes(NEIGHBOUR, neighbour, images, generator)
    images = sometimes(GAP, gap, images, generator)
    images = sometimes(RULE, rule, images, generator)
    images = sometimes(STRAY, stray, images, generator)
    images = sometimes(PATCH, patch, images, generator)
    return expose(images, generator)


def expose(images: Tensor, generator: torch.Generator) -> Tensor:
    """The camera's and the scanner's part: blur, coarse pixels, light, noise, compression."""
    images = sometimes(BLUR, blur, images, generator)
    images = sometimes(COARSE, coarse, images, generator)
    images = sometimes(LIGHT, light, images, generator)
    images = sometimes(GRAIN, grain, images, generator)
    images = sometimes(SHOT, shot, images, generator)
    images = sometimes(IMPULSE, impulse, images, generator)
    return sometimes(JPEG, jpeg, images, generator)


def sometimes(
    share: float, change: Callable[[Tensor, torch.Generator], Tensor], images: Tensor, generator: torch.Generator
) -> Tensor:
    """`change` applied to a random share of the images, the others left as they are."""
    chosen = (torch.rand(len(images), generator=generator) < share).nonzero()[:, 0].to(images.device)
    if not len(chosen):
        return images
    result = images.clone()
    result[chosen] = change(images[chosen], generator)
    return result


def uniform(low: float, high: float, count: int, generator: torch.Generator, like: Tensor) -> Tensor:
    """`count` numbers between `low` and `high`, shaped to multiply images: (count, 1, 1, 1)."""
    return (torch.rand(count, generator=generator) * (high - low) + low).to(like.device).view(-1, 1, 1, 1)


def warp(images: Tensor, generator: torch.Generator) -> Tensor:
    """Turn, stretch, slant, shift, perspective and elastic displacement in one sampling of the image."""
    count, _, side, _ = images.shape

    def draw(most: float) -> Tensor:
        return (torch.rand(count, generator=generator) * 2 - 1) * most

    def share(part: float) -> Tensor:
        return (torch.rand(count, generator=generator) < part).float()

    bad = share(BADLY_CROPPED)
    turn = draw(TURN) + bad * draw(BADLY_TURNED - TURN)
    both = draw(ALIKE) + bad * draw(math.log(1.25))
    wide, high = (draw(STRETCH / 2) + both).exp(), (draw(STRETCH / 2) + both).exp()
    slant = draw(SHEAR)
    right = (draw(SHIFT) + bad * draw(FAR_SHIFT - SHIFT)) * 2 / side  # the grid's unit is half an image
    down = (draw(SHIFT) + bad * draw(FAR_SHIFT - SHIFT)) * 2 / side
    cosine, sine = turn.cos(), turn.sin()
    first = torch.stack([wide * cosine, wide * (slant * cosine - sine), right], 1)
    second = torch.stack([high * sine, high * (slant * sine + cosine), down], 1)
    grid = F.affine_grid(torch.stack([first, second], 1), [count, 1, side, side], align_corners=False)
    tilted = share(PERSPECTIVE)
    tilt = torch.stack([draw(TILT) * tilted, draw(TILT) * tilted], 1)[:, None, None, :]
    grid = grid / (1 + (grid * tilt).sum(-1, keepdim=True))
    grid = grid.to(images.device)
    strength = (share(ELASTIC) * torch.rand(count, generator=generator)).view(-1, 1, 1, 1).to(images.device)
    grid = grid + strength * elastic_displacement(images, DISPLACEMENT * 1.5, generator)
    rough = (share(ROUGH) * (0.4 + 0.6 * torch.rand(count, generator=generator))).view(-1, 1, 1, 1)
    grid = grid + (rough * torch.randn((count, side, side, 2), generator=generator) * 2 / side).to(images.device)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def pen(images: Tensor, generator: torch.Generator) -> Tensor:
    """Strokes thinner or thicker, edges softer or harder: blurred a little, then cut at another grey.

    A stroke that would vanish keeps its darkest pixels: the cut is relative to each image's own peak.
    """
    count = len(images)
    thick = uniform(0, 1, count, generator, images) * (uniform(0, 1, count, generator, images) < 0.5)
    images = torch.lerp(images, F.max_pool2d(images, 3, stride=1, padding=1), thick)
    soft = F.avg_pool2d(F.avg_pool2d(images, 2, stride=1, padding=1), 2, stride=1)  # binomial, sigma 0.7
    peak = soft.amax((2, 3), keepdim=True).clamp_min(1e-3)
    cut = uniform(0.15, 0.6, count, generator, images) * peak
    edge = uniform(0.15, 0.7, count, generator, images) * peak
    return ((soft - cut) / edge + 0.5).clamp(0, 1)


def uneven(images: Tensor, generator: torch.Generator) -> Tensor:
    """Ink that the pencil or a dry pen left unevenly along the stroke."""
    field = torch.rand(images.shape, generator=generator).to(images.device)
    field = F.avg_pool2d(field, 3, stride=1, padding=1, count_include_pad=False)
    field = (field - 0.5) * 3 + 0.5  # as spread out as before the smoothing
    return images * (1 - field.clamp(0, 1) * uniform(0.3, 1, len(images), generator, images))


def neighbour(images: Tensor, generator: torch.Generator) -> Tensor:
    """Part of another digit at the left or right edge."""
    count, side = len(images), images.shape[-1]
    other = images[torch.randperm(count, generator=generator).to(images.device)]
    way = torch.where(torch.rand(count, generator=generator) < 0.5, -1.0, 1.0)
    right = way * (torch.rand(count, generator=generator) * 6 + 16) * 2 / side
    down = (torch.rand(count, generator=generator) * 2 - 1) * 5 * 2 / side
    theta = torch.eye(2, 3).repeat(count, 1, 1)
    theta[:, 0, 2], theta[:, 1, 2] = right, down
    grid = F.affine_grid(theta, [count, 1, side, side], align_corners=False).to(images.device)
    return torch.maximum(images, F.grid_sample(other, grid, padding_mode="zeros", align_corners=False))


def _line(images: Tensor, generator: torch.Generator, *, leaning: float = math.radians(8)) -> Tensor:
    """A straight line across each image, 0 beside it and 1 on it, not further than `leaning` from upright or level."""
    count = len(images)
    angle = uniform(-leaning, leaning, count, generator, images)
    angle = angle + (uniform(0, 1, count, generator, images) < 0.5) * (math.pi / 2)
    down, right = _places(images)
    across = down * angle.cos() + right * angle.sin() - uniform(-14, 14, count, generator, images)
    return (uniform(0.6, 2.1, count, generator, images) / 2 + 0.5 - across.abs()).clamp(0, 1)


def _places(images: Tensor) -> tuple[Tensor, Tensor]:
    """Pixels below and to the right of the middle: (1, 1, 28, 1) and (1, 1, 1, 28)."""
    side = images.shape[-1]
    place = torch.arange(side, dtype=torch.float32, device=images.device) - (side - 1) / 2
    return place.view(1, 1, -1, 1), place.view(1, 1, 1, -1)


def rule(images: Tensor, generator: torch.Generator) -> Tensor:
    """A printed ruling line left in the image, sometimes two."""
    count = len(images)
    lines = _line(images, generator) * uniform(0.2, 1, count, generator, images)
    second = (uniform(0, 1, count, generator, images) < 0.3).float()
    lines = torch.maximum(lines, second * _line(images, generator) * uniform(0.2, 1, count, generator, images))
    return torch.maximum(images, lines)


def stray(images: Tensor, generator: torch.Generator) -> Tensor:
    """A slip of the pen: a piece of a line or bow in any direction."""
    count = len(images)
    down, right = _places(images)
    down = down - uniform(-12, 12, count, generator, images)
    right = right - uniform(-12, 12, count, generator, images)
    angle = uniform(0, math.pi, count, generator, images)
    along = right * angle.cos() + down * angle.sin()
    beside = down * angle.cos() - right * angle.sin() + along.square() * uniform(-0.05, 0.05, count, generator, images)
    near = (uniform(0.6, 2.2, count, generator, images) / 2 + 0.5 - beside.abs()).clamp(0, 1)
    piece = near * (uniform(3, 14, count, generator, images) + 0.5 - along.abs()).clamp(0, 1)
    return torch.maximum(images, piece * uniform(0.3, 1, count, generator, images))


def patch(images: Tensor, generator: torch.Generator) -> Tensor:
    """Something over a part of the digit: a rectangle of one grey (Zhong et al., "Random erasing", 2017)."""
    count = len(images)
    down, right = _places(images)
    down = (down - uniform(-12, 12, count, generator, images)).abs() < uniform(1.5, 5, count, generator, images)
    right = (right - uniform(-12, 12, count, generator, images)).abs() < uniform(1.5, 5, count, generator, images)
    return torch.where(down & right, uniform(0, 1, count, generator, images), images)


def gap(images: Tensor, generator: torch.Generator) -> Tensor:
    """A stroke broken where a ruling line was taken away, or where the pen failed."""
    return images * (1 - _line(images, generator) * uniform(0.4, 1, len(images), generator, images))


def blur(images: Tensor, generator: torch.Generator) -> Tensor:
    """Out of focus or moved: each image smoothed by a Gaussian of its own length, width and direction."""
    count, side = len(images), images.shape[-1]
    long, short = uniform(0.4, 3.0, count, generator, images), uniform(0.3, 0.9, count, generator, images)
    moved = uniform(0, 1, count, generator, images) < 0.5
    long = torch.where(moved, long, (long * 0.5).clamp_min(0.4))
    short = torch.where(moved, short, long)
    angle = uniform(0, math.pi, count, generator, images)
    place = torch.arange(KERNEL, dtype=torch.float32, device=images.device) - KERNEL // 2
    down, right = place.view(1, 1, -1, 1), place.view(1, 1, 1, -1)
    along = right * angle.cos() + down * angle.sin()
    beside = down * angle.cos() - right * angle.sin()
    kernel = torch.exp(-((along / long) ** 2 + (beside / short) ** 2) / 2)
    kernel = kernel / kernel.sum((2, 3), keepdim=True)
    result = F.conv2d(images.view(1, count, side, side), kernel, padding=KERNEL // 2, groups=count)
    return result.view(count, 1, side, side)


def coarse(images: Tensor, generator: torch.Generator) -> Tensor:
    """Few pixels: shrunk to 8…18 a side and enlarged again."""
    side = int(torch.randint(8, 19, (), generator=generator))
    small = F.interpolate(images, size=(side, side), mode="area")
    return F.interpolate(small, size=images.shape[-2:], mode="bilinear", align_corners=False)


def light(images: Tensor, generator: torch.Generator) -> Tensor:
    """Weak ink on paper that is not white, lit from one side."""
    count, side = len(images), images.shape[-1]
    place = torch.linspace(-1, 1, side, device=images.device)
    slope = uniform(-0.25, 0.25, count, generator, images) * place.view(1, 1, -1, 1)
    slope = slope + uniform(-0.25, 0.25, count, generator, images) * place.view(1, 1, 1, -1)
    bright = uniform(0, 0.55, count, generator, images) * (uniform(0, 1, count, generator, images) < 0.7)
    return (images * uniform(0.3, 1, count, generator, images) + bright + slope).clamp(0, 1)


def grain(images: Tensor, generator: torch.Generator) -> Tensor:
    """A sensor's Gaussian noise."""
    noise = torch.randn(images.shape, generator=generator).to(images.device)
    return (images + noise * uniform(0.02, 0.25, len(images), generator, images)).clamp(0, 1)


def shot(images: Tensor, generator: torch.Generator) -> Tensor:
    """Little light: each pixel a Poisson count."""
    photons = (torch.rand(len(images), generator=generator) * 18 + 2).view(-1, 1, 1, 1)
    return (torch.poisson(images.cpu() * photons, generator=generator) / photons).clamp(0, 1).to(images.device)


def impulse(images: Tensor, generator: torch.Generator) -> Tensor:
    """Pixels that are all ink or all paper."""
    chance = torch.rand(images.shape, generator=generator).to(images.device)
    half = uniform(0.005, 0.1, len(images), generator, images)
    return torch.where(chance < half, 0.0, torch.where(chance > 1 - half, 1.0, images))


def _cosines() -> Tensor:
    """The 8×8 matrix of the discrete cosine transform (type II, orthonormal), on which JPEG is built."""
    k, n = torch.arange(8.0).view(-1, 1), torch.arange(8.0).view(1, -1)
    matrix = torch.cos(math.pi * (2 * n + 1) * k / 16) * math.sqrt(2 / 8)
    matrix[0] /= math.sqrt(2)
    return matrix


def jpeg(images: Tensor, generator: torch.Generator) -> Tensor:
    """Compressed strongly: 8×8 blocks, cosine transform, coefficients rounded, the higher ones more coarsely."""
    count, side = len(images), images.shape[-1]
    wide = -(-side // 8) * 8
    blocks = F.pad(images, (0, wide - side, 0, wide - side), mode="replicate")
    blocks = blocks.view(count, wide // 8, 8, wide // 8, 8).permute(0, 1, 3, 2, 4)
    matrix = _cosines().to(images.device)
    order = torch.arange(8.0, device=images.device)
    step = uniform(0.05, 0.3, count, generator, images)[:, :, None] * (1 + (order.view(-1, 1) + order.view(1, -1)) / 4)
    rounded = (matrix @ blocks @ matrix.T / step).round() * step
    blocks = (matrix.T @ rounded @ matrix).permute(0, 1, 3, 2, 4).reshape(count, 1, wide, wide)
    return blocks[:, :, :side, :side].clamp(0, 1)

"""Sheets of paper, drawn procedurally, and photographs of them: what `compose.py` writes on, and the camera.

Everything is float32 RGB in 0…1 until `photograph` makes bytes of it, and everything random comes from the generator
that is handed in. Nothing here knows about digits.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from scipy import ndimage

Floats = NDArray[np.float32]
Generator = np.random.Generator

# Colour in 0…255, how much its brightness varies, and how coarse its fibres are in pixels.
PAPERS = {
    "white": ((244, 244, 241), 0.006, 3.0),
    "yellow": ((247, 231, 128), 0.010, 3.0),
    "grey": ((200, 199, 194), 0.030, 2.0),
    "brown": ((196, 164, 121), 0.035, 4.0),
    "lined": ((247, 246, 242), 0.006, 3.0),
    "squared": ((247, 246, 243), 0.006, 3.0),
}
RULES = ((150, 178, 214), (170, 172, 178), (128, 158, 176), (205, 150, 150))  # what lines and squares are printed in
MARGIN_RULE = (222, 120, 120)
TABLES = ((52, 36, 26), (38, 40, 44), (84, 62, 44), (24, 26, 30))
SHADOWS = ("no", "soft", "hard")
FINEST = 6.0  # pixels; noise with larger features is drawn on a coarser grid


@dataclass(frozen=True, eq=False)
class Photograph:
    """What the camera made of a sheet.

    pixels: uint8 (H, W, 3); points: float (N, 2), where the points x, y of the sheet have come to lie.
    """

    pixels: NDArray[np.uint8]
    points: NDArray[np.float64]


def clouds(rng: Generator, shape: tuple[int, int], size: float) -> Floats:
    """Smooth noise (H, W) of mean 0 and standard deviation 1 whose features are `size` pixels across."""
    if size <= FINEST:
        noise = ndimage.gaussian_filter(rng.standard_normal(shape, np.float32), 0.4 * size)
    else:  # the same, drawn small and enlarged
        height, width = (max(2, round(FINEST / 2 * side / size)) for side in shape)
        coarse = ndimage.gaussian_filter(rng.standard_normal((height, width), np.float32), 0.2 * FINEST)
        noise = np.asarray(Image.fromarray(coarse).resize((shape[1], shape[0]), Image.Resampling.BICUBIC))
    return (noise - noise.mean()) / max(float(noise.std()), 1e-6)


def blur(picture: Floats, radius: float) -> Floats:
    """A picture (H, W) in 0…1 blurred with a Gaussian of this standard deviation in pixels."""
    grey = Image.fromarray(np.round(picture * 255).astype(np.uint8))
    return np.asarray(grey.filter(ImageFilter.GaussianBlur(radius)), np.float32) / 255


def make_paper(rng: Generator, shape: tuple[int, int], kind: str, *, pitch: float, start: float = 0.0) -> Floats:
    """A sheet (H, W, 3) of one of PAPERS.

    pitch: pixels between its rules, or between the rules of its squares; start: where the first rule lies, in pixels
    from the top.
    """
    colour, roughness, fibre = PAPERS[kind]
    sheet = np.empty((*shape, 3), np.float32)
    sheet[:] = np.asarray(colour, np.float32) / 255 * rng.uniform(0.96, 1.03, 3).astype(np.float32)
    grain = 0.7 * clouds(rng, shape, fibre) + 0.5 * clouds(rng, shape, fibre * 6) + 0.4 * clouds(rng, shape, 1.2)
    sheet *= 1 + roughness * grain[..., None]
    if kind in ("grey", "brown"):
        _sprinkle_fibres(rng, sheet)
    if kind in ("lined", "squared"):
        _rule(rng, sheet, kind, pitch, start)
    return np.clip(sheet, 0, 1)


def _sprinkle_fibres(rng: Generator, sheet: Floats) -> None:
    """The short pale and dark fibres of recycled paper; far fainter than any pen."""
    height, width = sheet.shape[:2]
    layer = Image.new("L", (width, height), 128)
    draw = ImageDraw.Draw(layer)
    for _ in range(height * width // 900):
        x, y, angle = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(0, np.pi)
        length = rng.uniform(2, 7)
        end = (x + length * np.cos(angle), y + length * np.sin(angle))
        draw.line([(x, y), end], fill=int(rng.integers(108, 146)), width=1)
    sheet *= 1 + 0.6 * (np.asarray(layer, np.float32)[..., None] / 128 - 1)


def _rule(rng: Generator, sheet: Floats, kind: str, pitch: float, start: float) -> None:
    """Print lines, or squares, onto the sheet: thin, antialiased, a little uneven."""
    height, width = sheet.shape[:2]
    colour = np.asarray(RULES[rng.integers(len(RULES))], np.float32) / 255
    strength, thick = rng.uniform(0.55, 1.0), rng.uniform(0.7, max(1.1, 0.028 * pitch))
    ink = _stripes(height, pitch, start, thick)[:, None] * np.ones(width, np.float32)
    if kind == "squared":
        across = _stripes(width, pitch, rng.uniform(0, pitch), thick)
        ink = np.maximum(ink, across[None, :])
    ink *= np.clip(strength + 0.08 * clouds(rng, (height, width), 9.0), 0, 1)
    sheet *= 1 - ink[..., None] * (1 - colour)
    if kind == "lined" and rng.random() < 0.3:
        place = np.arange(width, dtype=np.float32) - rng.uniform(0.1, 0.5) * pitch
        margin = np.clip(thick / 2 + 0.5 - np.abs(place), 0, 1)
        sheet *= 1 - margin[None, :, None] * (1 - np.asarray(MARGIN_RULE, np.float32) / 255)


def _stripes(length: int, pitch: float, start: float, thick: float) -> Floats:
    """How much of each pixel (length,) is covered by stripes `thick` pixels wide, `pitch` pixels apart."""
    place = np.arange(length, dtype=np.float32) - np.float32(start)
    distance = np.abs(place - np.round(place / pitch) * pitch)
    return np.clip(thick / 2 + 0.5 - distance, 0, 1).astype(np.float32)


def make_table(rng: Generator, shape: tuple[int, int]) -> Floats:
    """A dark table (H, W, 3) with a grain along it."""
    colour = np.asarray(TABLES[rng.integers(len(TABLES))], np.float32) / 255
    along = clouds(rng, (shape[0], max(2, shape[1] // 40)), 3.0)
    grain = np.asarray(Image.fromarray(along).resize((shape[1], shape[0]), Image.Resampling.BICUBIC))
    table = colour * (1 + 0.12 * grain[..., None] + 0.05 * clouds(rng, shape, 1.5)[..., None])
    return np.clip(table, 0, 1).astype(np.float32)


def make_light(rng: Generator, shape: tuple[int, int], shadow: str) -> Floats:
    """The light (H, W, 3) that falls on a scene: a lamp to one side, and a shadow of one of SHADOWS."""
    height, width = shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = x / width - 0.5, y / height - 0.5
    angle = rng.uniform(0, 2 * np.pi)
    light = 1 + rng.uniform(0.0, 0.3) * (x * np.cos(angle) + y * np.sin(angle))
    light -= rng.uniform(0.0, 0.25) * (x * x + y * y)
    if shadow != "no":
        depth = rng.uniform(0.25, 0.45) if shadow == "soft" else rng.uniform(0.25, 0.5)
        light *= 1 - depth * _shade(rng, shape, shadow)
    tint = np.asarray([1, 1, 1], np.float32) + rng.uniform(-0.045, 0.045, 3).astype(np.float32)
    return (rng.uniform(0.8, 1.0) * light[..., None] * tint).astype(np.float32)


def _shade(rng: Generator, shape: tuple[int, int], shadow: str) -> Floats:
    """Where the shadow of a head, a hand or the edge of a book lies: 0 lit … 1 in shadow, (H, W)."""
    height, width = shape
    layer = Image.new("L", (width, height), 0)
    draw = ImageDraw.Draw(layer)
    size = max(height, width)
    if rng.random() < 0.5:  # a straight edge across the picture
        angle, through = rng.uniform(0, 2 * np.pi), rng.uniform(0.25, 0.75, 2) * (width, height)
        along, away = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
        corners = [through + 2 * size * (a * along + b * away) for a, b in ((-1, 0), (1, 0), (1, 1), (-1, 1))]
        draw.polygon([tuple(corner) for corner in corners], fill=255)
    else:  # a head, or a hand with the phone in it
        centre, radius = rng.uniform(0.0, 1.0, 2) * (width, height), rng.uniform(0.25, 0.55) * size
        stretch = rng.uniform(0.6, 1.0)
        box = [centre[0] - radius, centre[1] - stretch * radius, centre[0] + radius, centre[1] + stretch * radius]
        draw.ellipse(box, fill=255)
    edge = rng.uniform(0.06, 0.16) * size if shadow == "soft" else rng.uniform(0.006, 0.014) * size
    return blur(np.asarray(layer, np.float32) / 255, edge)


def photograph(
    rng: Generator,
    sheet: Floats,
    points: NDArray[np.float64],
    *,
    shadow: str = "no",
    tilt: float = 0.05,
    turn: float = 0.06,
    table: bool = False,
    softness: float = 0.8,
) -> Photograph:
    """Photograph a sheet (H, W, 3), and say where `points` (N, 2) of it have gone.

    Parameters
    ----------
    tilt: how far a corner may move by perspective, as a share of the shorter side.
    turn: the largest turn of the camera, in radians.
    table: whether the table is seen around the sheet; otherwise the picture ends inside it.
    softness: standard deviation of the blur, in pixels.
    """
    height, width = sheet.shape[:2]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)
    angle = rng.uniform(-turn, turn)
    spin = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    moved = (corners - corners.mean(axis=0)) @ spin + rng.uniform(-tilt, tilt, (4, 2)) * min(height, width)
    if table:
        low, high = moved.min(axis=0), moved.max(axis=0)
        room = rng.uniform(0.02, 0.08, 4) * max(height, width)
        low, high = low - room[:2], high + room[2:]
    else:  # the largest upright frame around the middle that stays within the sheet
        low = np.array([max(moved[0, 0], moved[3, 0]), max(moved[0, 1], moved[1, 1])])
        high = np.array([min(moved[1, 0], moved[2, 0]), min(moved[2, 1], moved[3, 1])])
        low, high = np.ceil(low) + 2, np.floor(high) - 2
    moved -= low
    size = (int(max(high[0] - low[0], 16)), int(max(high[1] - low[1], 16)))
    back = _homography(moved, corners)
    scene = _warp(sheet, back, size)
    if table:
        inside = _warp(np.ones((height, width, 1), np.float32), back, size)
        scene = inside * scene + (1 - inside) * make_table(rng, (size[1], size[0]))
    scene = scene * make_light(rng, (size[1], size[0]), shadow)
    forth = _homography(corners, moved)
    return Photograph(_expose(rng, scene, softness), project(forth, points))


def _homography(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """The projective map (3, 3) that takes four points (4, 2) to four others."""
    rows: list[Sequence[float]] = []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
    found = np.linalg.solve(np.array(rows), target.reshape(-1))
    return np.append(found, 1.0).reshape(3, 3)


def project(homography: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points (N, 2) under a projective map (3, 3)."""
    moved = np.column_stack([points, np.ones(len(points))]) @ homography.T
    return moved[:, :2] / moved[:, 2:]


def _warp(picture: Floats, back: NDArray[np.float64], size: tuple[int, int]) -> Floats:
    """A picture (H, W, C) seen through a projective map, given as where each pixel of the result comes from."""
    channels = [
        Image.fromarray(np.ascontiguousarray(picture[..., channel])).transform(
            size, Image.Transform.PERSPECTIVE, tuple(back.reshape(-1)[:8]), Image.Resampling.BICUBIC
        )
        for channel in range(picture.shape[2])
    ]
    warped: Floats = np.clip(np.stack([np.asarray(channel) for channel in channels], axis=-1), 0, 1)
    return warped


def _expose(rng: Generator, scene: Floats, softness: float) -> NDArray[np.uint8]:
    """What lens, sensor and JPEG make of a scene (H, W, 3) in 0…1."""
    picture = Image.fromarray(np.round(np.clip(scene, 0, 1) * 255).astype(np.uint8))
    light = np.asarray(picture.filter(ImageFilter.GaussianBlur(softness)), np.float32) / 255
    noise = rng.standard_normal(light.shape).astype(np.float32)
    light = light + noise * np.sqrt(rng.uniform(0.002, 0.014) ** 2 + rng.uniform(0, 0.0004) * light)
    exposed = Image.fromarray(np.round(np.clip(light, 0, 1) * 255).astype(np.uint8))
    file = io.BytesIO()
    exposed.save(file, "JPEG", quality=int(rng.integers(55, 95)))
    return np.array(Image.open(file).convert("RGB"))

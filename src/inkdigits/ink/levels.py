"""Pixels of any kind as 0…255: PIL images of every mode, arrays of every kind of number, transparency laid on paper.

>>> pixels_of_array(np.eye(28) > 0, "array")[0, :3]
array([255,   0,   0], dtype=uint8)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import InputError

Pixels = NDArray[np.uint8]

LEAST_CONTRAST = 1 / 16  # of the largest value; a range narrower than this is the noise of a blank sheet, kept faint
A_FEW = 64  # rows of a picture in which mostly some pixel is brighter than 1
OWN_PAPER_SHARE = 0.5  # of the picture is opaque, and …
OWN_PAPER_RANGE = 100  # … its grey levels reach over so many: it has paper of its own


def pixels_of_image(image: Image.Image, where: object) -> Pixels:
    """A decoded PIL image of any mode as uint8 (H, W) grey or (H, W, 3) RGB, without transparency.

    More than eight bits a pixel are scaled as `to_bytes` says. Raises InputError for pixels that are not numbers.
    """
    if image.mode.startswith(("I", "F")):
        return to_bytes(np.asarray(image), where)
    if image.has_transparency_data:
        image = on_paper(image)
    return np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB"))


def pixels_of_array(array: NDArray[Any], where: object) -> Pixels:
    """An array (H, W) or (H, W, C), C = 1 to 4, as uint8 (H, W) grey or (H, W, 3) RGB, without transparency.

    Two and four channels end in alpha. Values are scaled as `to_bytes` says, colours and alpha each for themselves.
    Raises InputError for other shapes, other things than numbers, and numbers that are not finite.
    """
    if array.dtype.kind not in "buif":
        expected = "truth values, whole or real numbers"
        raise InputError(where, "not a picture", expected=expected, found=f"dtype {array.dtype}")
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or channels not in (1, 2, 3, 4) or array.size == 0:
        expected, mend = "(H, W) or (H, W, C) with C = 1 to 4 and something in it", _mend_shape(array.shape)
        raise InputError(where, "not a picture", expected=expected, found=f"shape {array.shape}", mend=mend)
    if array.ndim == 2:
        return to_bytes(array, where)
    if channels in (1, 3):
        pixels = to_bytes(array, where)
        return pixels if channels == 3 else pixels[:, :, 0]
    colours, alpha = to_bytes(array[:, :, :-1], where), to_bytes(array[:, :, -1:], where)
    together = np.ascontiguousarray(np.concatenate([colours, alpha], axis=2))
    return np.asarray(on_paper(Image.fromarray(together)))


def _mend_shape(shape: tuple[int, ...]) -> str | None:
    if shape == (784,):
        return "give array.reshape(28, 28)"
    if len(shape) == 3 and shape[0] in (1, 3, 4):
        return "give array.transpose(1, 2, 0)"
    if len(shape) == 3 and shape[1:] == (28, 28):
        return "digit images are uint8"
    return "give one picture at a time" if len(shape) > 3 else None


def to_bytes(values: NDArray[Any], where: object) -> Pixels:
    """Numbers of any kind and shape as uint8 of the same shape, 0 darkest.

    Truth values and numbers within 0…1 are taken as shares of full brightness, numbers within 0…255 as they are; any
    others by their own range, so that 12 bits in a file of 16 are as bright as they should be. Raises InputError for
    what is not finite.
    """
    if values.dtype == np.bool_:
        return np.where(values, np.uint8(255), np.uint8(0))
    if values.dtype == np.uint8 and values[:: max(1, len(values) // A_FEW)].max() > 1:
        return values
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        found = "nan" if np.isnan(values).any() else "infinity"
        raise InputError(where, "not a picture", expected="finite numbers", found=found)
    least, most = values.min(), values.max()
    if least >= 0 and most <= 1:
        return np.round(values.astype(np.float32) * 255).astype(np.uint8)
    if least >= 0 and most <= 255:
        return values if values.dtype == np.uint8 else np.round(values).astype(np.uint8)
    low, high = float(least), float(most)
    span = max(high - low, LEAST_CONTRAST * max(abs(low), abs(high)))
    scaled = (values.astype(np.float64) - low) * (255 / span)
    return np.round(scaled).astype(np.uint8)


def on_paper(image: Image.Image) -> Image.Image:
    """A transparent image as L or RGB, laid on white or black, whichever lets its opaque pixels stand out.

    A canvas on which only the strokes are opaque gets the paper that its strokes lack. Where most of a picture is
    opaque and has both dark and bright in it, it has its own paper, and what is transparent of it (round corners, a
    margin) becomes like that.
    """
    grey = image.mode in ("L", "LA", "La")
    image = image.convert("LA" if grey else "RGBA")
    alpha = image.getchannel("A")
    solid = image.convert("L" if grey else "RGB")
    levels = np.asarray(alpha)
    if levels.min() == 255:
        return solid
    opaque = Image.fromarray(levels > levels.max() // 2)
    counts = np.array(solid.convert("L").histogram(opaque), np.int64)
    total = max(int(counts.sum()), 1)
    low, middle, high = np.searchsorted(np.cumsum(counts) / total, (0.05, 0.5, 0.95))
    if total > OWN_PAPER_SHARE * image.width * image.height and high - low > OWN_PAPER_RANGE:
        white = middle > 127
    else:
        white = counts @ np.arange(256) < 128 * total
    level = 255 if white else 0
    paper = Image.new(solid.mode, solid.size, level if grey else (level, level, level))
    paper.paste(solid, mask=alpha)
    return paper

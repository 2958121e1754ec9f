"""What a reader meets outside MNIST: digits of other people, and images that are no digits at all.

    >>> uci_digits().images.shape
    (1797, 28, 28)
    >>> [(name, len(images)) for name, images in non_digits(load_digits("mnist:test")).items()]
    [('fashion_mnist', 10000), ('noise', 2000), ('textures', 2000), ('turned_digits', 7028), ('mirrored_digits', 4991),
     ('blank', 256)]

None of these images is trained on. The textures are of kinds that the trainings do not draw: checkerboards, gratings,
rings, bricks and cells (theirs are Gaussian noise of every grain, whole, cut to black and white, or inside a shape).
Turned and mirrored digits and plain sheets the trainings know as kinds; here they are made of the digits measured on.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..digits.dataset import SIDE, Digits, Images
from ..digits.formats import load_digits
from ..errors import MissingExtraError

FASHION = Path("/usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz")
FASHION_PACKAGE = "dataset-fashion-mnist"  # Debian's, which puts it there
COUNT = 2_000  # images of noise, and of textures
UCI_FULL = 16  # UCI's pixels are counts 0…16
ENLARGED = 10  # times, along each side
FAINT = 32  # grey below which an enlarged edge does not count as the digit's
BOX = 20  # pixels a side, into which MNIST's digits are fitted
# What a quarter turn or a mirror makes of the others may be read as a digit: 0, 1 and 8 stay themselves, a mirrored 2
# or 5 is nearly the other.
TURNED = (2, 3, 4, 5, 6, 7, 9)
MIRRORED = (3, 4, 6, 7, 9)


def uci_digits() -> Digits:
    """The 1,797 test digits of "Optical Recognition of Handwritten Digits" by 13 writers, brought into MNIST's frame.

    Alpaydin and Kaynak 1998, as scikit-learn carries them: 8×8 pixels, here enlarged, fitted into 20×20 with their
    aspect kept and centred by mass. Raises MissingExtraError without scikit-learn.
    """
    try:
        from sklearn.datasets import load_digits as load_uci
    except ImportError:
        raise MissingExtraError("UCI's digits", "lab") from None
    cells, labels = load_uci(return_X_y=True)
    greys = np.rint(cells.reshape(-1, 8, 8) * (255 / UCI_FULL)).astype(np.uint8)
    images = np.stack([_framed(image) for image in greys])
    return Digits(images, labels.astype(np.uint8), "UCI digits")


def _framed(small: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A small grey image (H, W), 0 = paper, as MNIST would have it: enlarged, fitted into 20×20 and centred by mass.

    No stroke is made thinner or bolder, as a reader would do: what is measured is the model.
    """
    padded = Image.fromarray(np.pad(small, 1))  # or the outermost strokes would be cut off straight
    large = padded.resize((ENLARGED * padded.width, ENLARGED * padded.height), Image.Resampling.BICUBIC)
    ink = np.asarray(large) > FAINT
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    width, height = box[2] - box[0], box[3] - box[1]
    factor = BOX / max(width, height)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    fitted = np.asarray(large.resize(size, Image.Resampling.BOX, box=box))
    image = np.zeros((SIDE, SIDE), np.uint8)
    place = []
    for axis, side in enumerate(fitted.shape):
        mass = fitted.sum(axis=1 - axis, dtype=np.float64)
        start = round((SIDE - 1) / 2 - float(mass @ np.arange(side) / mass.sum()))
        start = min(max(start, 0), SIDE - side)
        place.append(slice(start, start + side))
    image[place[0], place[1]] = fitted
    return image


def non_digits(digits: Digits, *, seed: int = 0) -> dict[str, Images]:
    """Images uint8 (N, 28, 28) of each kind that is no digit, by name; `turned…` and `mirrored…` are made of `digits`.

    A kind is left out where it cannot be had: `fashion_mnist` where Debian's package is not installed, turned and
    mirrored digits where there are none of the classes that become no digits by it.
    """
    labels = digits.need_labels("turn and mirror those that are then no digits")
    rng = np.random.default_rng([seed, COUNT])
    sideways = digits.images[np.isin(labels, TURNED)]
    quarters = rng.choice([1, 3], len(sideways))
    kinds = {
        "fashion_mnist": load_digits(FASHION).images if FASHION.is_file() else sideways[:0],
        "noise": rng.integers(0, 256, (COUNT, SIDE, SIDE), np.uint8),
        "textures": textures(COUNT, rng),
        "turned_digits": np.where(quarters[:, None, None] == 1, _quarter(sideways, 1), _quarter(sideways, 3)),
        "mirrored_digits": digits.images[np.isin(labels, MIRRORED)][:, :, ::-1],
        "blank": np.broadcast_to(np.arange(256, dtype=np.uint8)[:, None, None], (256, SIDE, SIDE)).copy(),
    }
    return {name: images for name, images in kinds.items() if len(images)}


def _quarter(images: Images, times: int) -> Images:
    return np.rot90(images, times, axes=(1, 2))


def textures(count: int, rng: np.random.Generator) -> Images:
    """`count` images uint8 (count, 28, 28) full of a pattern, of five kinds in turn, half of them as negatives."""
    kinds = (_checkerboard, _grating, _rings, _bricks, _cells)
    result = np.empty((count, SIDE, SIDE), np.uint8)
    for first, kind in enumerate(kinds):
        shares = len(range(first, count, len(kinds)))
        pattern = kind(shares, rng)
        pattern = np.where(rng.random((shares, 1, 1)) < 0.5, pattern, 1 - pattern)
        result[first :: len(kinds)] = np.rint(255 * rng.uniform(0.5, 1, (shares, 1, 1)) * pattern)
    return result


# Each pattern is float (count, 28, 28) in 0…1.


def _turned(count: int, rng: np.random.Generator) -> tuple[NDArray[Any], NDArray[Any]]:
    """Two axes at right angles, turned and shifted at random: coordinates in pixels, (count, 28, 28) each."""
    angle = rng.uniform(0, math.pi, (count, 1, 1))
    down, right = (grid[None] + rng.uniform(0, SIDE, (count, 1, 1)) for grid in np.mgrid[:SIDE, :SIDE])
    return right * np.cos(angle) + down * np.sin(angle), down * np.cos(angle) - right * np.sin(angle)


def _checkerboard(count: int, rng: np.random.Generator) -> NDArray[Any]:
    along, across = _turned(count, rng)
    side = rng.uniform(2, 5, (count, 1, 1))
    return np.asarray((np.floor(along / side) + np.floor(across / side)) % 2)


def _grating(count: int, rng: np.random.Generator) -> NDArray[Any]:
    along, _ = _turned(count, rng)
    return np.asarray(0.5 + 0.5 * np.sin(2 * math.pi * along / rng.uniform(3, 8, (count, 1, 1))))


def _rings(count: int, rng: np.random.Generator) -> NDArray[Any]:
    """Waves around a point, near enough to one another that no image holds a single ring."""
    down, right = (grid[None] - rng.uniform(0, SIDE, (count, 1, 1)) for grid in np.mgrid[:SIDE, :SIDE])
    return np.asarray(0.5 + 0.5 * np.sin(2 * math.pi * np.hypot(down, right) / rng.uniform(3, 6, (count, 1, 1))))


def _bricks(count: int, rng: np.random.Generator) -> NDArray[Any]:
    down, right = (grid[None] + rng.integers(0, SIDE, (count, 1, 1)) for grid in np.mgrid[:SIDE, :SIDE])
    high, wide = rng.integers(3, 7, (count, 1, 1)), rng.integers(6, 12, (count, 1, 1))
    shifted = right + (down // high % 2) * (wide // 2)
    return np.where((down % high == 0) | (shifted % wide == 0), 1.0, 0.0)


def _cells(count: int, rng: np.random.Generator) -> NDArray[Any]:
    """Distances to the nearest of scattered points (Worley, "A cellular texture basis function", 1996)."""
    down, right = np.mgrid[:SIDE, :SIDE]
    nearest = np.full((count, SIDE, SIDE), np.inf)
    for _ in range(30):
        points = rng.uniform(0, SIDE, (2, count, 1, 1))
        nearest = np.minimum(nearest, np.hypot(down - points[0], right - points[1]))
    return np.clip(nearest / rng.uniform(3, 6, (count, 1, 1)), 0, 1)

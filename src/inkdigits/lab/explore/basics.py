"""What one sees first in a set of digits: how many, how dark, what the classes look like, which are odd or doubled.

>>> found = class_images(images, labels)
>>> found[3].mean.shape
(28, 28)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...digits.dataset import CLASSES, PIXELS, SIDE, Images, Labels, pixel_hashes
from ...digits.mnist import PARTS, load_mnist
from .neighbours import Neighbours
from .scene import Scene

QUARTILES = (0.25, 0.5, 0.75)
INKED = 128  # grey from which a pixel counts as ink
CANDIDATES = 100  # pairs whose pixels are compared at a time

Doubles = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ClassImages:
    """A class in pictures: mean, median and standard deviation of each pixel, uint8 (28, 28), 0 = paper."""

    mean: NDArray[np.uint8]
    median: NDArray[np.uint8]
    deviation: NDArray[np.uint8]


def class_images(images: Images, labels: Labels | None) -> dict[int | None, ClassImages]:
    """For each class that occurs, or for all digits under None. The deviation is shown from 0 to 128, its most."""
    classes: list[int | None] = [None] if labels is None else sorted(set(labels.tolist()))
    found = {}
    for label in classes:
        some = images if label is None else images[labels == label]
        flat = some.reshape(len(some), PIXELS)
        mean, deviation = flat.mean(axis=0), flat.std(axis=0)
        pictures = [mean, np.median(flat, axis=0), np.minimum(2 * deviation, 255)]
        found[label] = ClassImages(*(np.rint(picture).astype(np.uint8).reshape(SIDE, SIDE) for picture in pictures))
    return found


@dataclass(frozen=True)
class Column:
    """One column of the table, as `describe()` of pandas or polars would have it."""

    name: str
    count: int
    mean: float
    deviation: float
    least: float
    quartiles: tuple[float, float, float]
    most: float


def column(name: str, values: NDArray[Any]) -> Column:
    """The summary of a column (N,); of a single value the deviation is NaN, as there is none."""
    deviation = float(values.std(ddof=1)) if len(values) > 1 else float("nan")
    least, most = float(values.min()), float(values.max())
    low, middle, high = (float(value) for value in np.quantile(values, QUARTILES))
    mean = float(values.mean())
    return Column(name, len(values), mean, deviation, least, (low, middle, high), most)


def ink(images: Images) -> Doubles:
    """The share (N,) of pixels that are more ink than paper."""
    share: Doubles = (images >= INKED).mean(axis=(1, 2))
    return share


@dataclass(frozen=True, eq=False)
class Duplicates:
    """Images that occur more than once, and pairs that nearly do.

    exact: how many repeat an earlier one; disputed: how many have a copy with another label. between: how many images
    of a part stand in another part too, or in a part of the embedded MNIST, by `PART in OTHER`. pairs: (P, 2) places of
    pairs that lie near to each other but are not equal; distances: (P,) between their pixels.
    """

    exact: int
    disputed: int
    between: dict[str, int]
    pairs: NDArray[np.int64]
    distances: Doubles


def duplicates(scene: Scene, *, most: int) -> Duplicates:
    """Exact and near duplicates: of each class and of two classes the nearest pair, without labels the `most` nearest.

    Every class has its own measure of what is near: the nearest pairs of all would be ones.
    """
    hashes = {name: pixel_hashes(part.images) for name, part in scene.parts.items()}
    every = np.concatenate(list(hashes.values()))
    known = {f"mnist:{part}": pixel_hashes(load_mnist(part).images) for part in PARTS if part not in scene.embedded}
    names = list(hashes)
    between = {
        f"{second} in {first}": int(np.isin(hashes[second], hashes[first]).sum())
        for place, first in enumerate(names)
        for second in names[place + 1 :]
    }
    between |= {
        f"{name} in {other}": int(np.isin(own, theirs).sum())
        for name, own in hashes.items()
        for other, theirs in known.items()
    }
    near = scene.near.places
    pairs = np.column_stack([np.repeat(np.arange(len(near)), near.shape[1]), near.ravel()])
    pairs = np.unique(np.sort(pairs, axis=1), axis=0)
    pairs = pairs[every[pairs[:, 0]] != every[pairs[:, 1]]]
    kinds = np.zeros(len(pairs), np.intp)
    if scene.labels is not None:
        first, second = scene.labels[pairs].T
        kinds, most = np.where(first == second, first, CLASSES), 1
    found = [_nearest_pairs(scene, pairs[kinds == kind], most) for kind in np.unique(kinds)]
    return Duplicates(
        len(every) - len(np.unique(every)),
        0 if scene.labels is None else _disputed(every, scene.labels),
        between,
        np.concatenate([chosen for chosen, _ in found] or [np.zeros((0, 2), np.int64)]),
        np.concatenate([apart for _, apart in found] or [np.zeros(0)]),
    )


def _nearest_pairs(scene: Scene, pairs: NDArray[np.int64], most: int) -> tuple[NDArray[np.int64], Doubles]:
    """The `most` pairs whose pixels lie nearest to each other, with their distances.

    Coarse distances are never above those of the pixels, so pairs farther apart than what was found need no look.
    """
    rough = np.linalg.norm(scene.coarse[pairs[:, 0]] - scene.coarse[pairs[:, 1]], axis=1)
    order = np.argsort(rough, kind="stable")
    pairs, rough, apart = pairs[order], rough[order], np.zeros(0)
    for start in range(0, len(pairs), CANDIDATES):
        if len(apart) >= most and rough[start] > np.partition(apart, most - 1)[most - 1]:
            break
        some = pairs[start : start + CANDIDATES]
        between = scene.vectors[some[:, 0]].astype(np.float64) - scene.vectors[some[:, 1]]
        apart = np.append(apart, np.sqrt((between**2).sum(axis=1)))
    nearest = np.argsort(apart, kind="stable")[:most]
    return pairs[nearest], apart[nearest]


def _disputed(hashes: NDArray[np.uint64], labels: Labels) -> int:
    """How many images have a copy that bears another label."""
    _, group = np.unique(hashes, return_inverse=True)
    bears = np.zeros((group.max() + 1, CLASSES), bool)
    bears[group, labels] = True
    return int((bears.sum(axis=1)[group] > 1).sum())


@dataclass(frozen=True, eq=False)
class Characters:
    """Places of digits of three kinds, each list ordered.

    typical: for each class the digits nearest to many others of it. odd: the farthest from all others. ambiguous: those
    whose neighbours are of different classes in the most equal shares; empty without labels.
    """

    typical: dict[int | None, NDArray[np.intp]]
    odd: NDArray[np.intp]
    ambiguous: NDArray[np.intp]


def characters(near: Neighbours, labels: Labels | None, shares: NDArray[np.float32] | None, *, each: int) -> Characters:
    """Typical, odd and ambiguous digits by their nearest neighbours; shares: (N, 10) of the classes among them."""
    reach = near.distances.mean(axis=1)
    classes: list[int | None] = [None] if labels is None else sorted(set(labels.tolist()))
    typical = {}
    for label in classes:
        members = np.arange(len(reach)) if label is None else np.flatnonzero(labels == label)
        typical[label] = members[np.argsort(reach[members], kind="stable")[:each]]
    odd = np.argsort(-reach, kind="stable")[: 2 * each]
    if shares is None:
        return Characters(typical, odd, np.zeros(0, np.intp))
    with np.errstate(divide="ignore", invalid="ignore"):
        entropy = -np.where(shares > 0, shares * np.log(shares), 0).sum(axis=1)
    torn = np.argsort(-entropy, kind="stable")[: 2 * each]
    return Characters(typical, odd, torn[entropy[torn] > 0])

"""Digit images as one array: the set, its split, and the fingerprints that tell whether two sets overlap.

>>> from inkdigits import load_digits
>>> train, validation = load_digits("mnist:train").split(5_000, seed=0)
>>> len(train), len(validation)
(55000, 5000)
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

SIDE = 28  # pixels; MNIST's height and width
PIXELS = SIDE * SIDE
CLASSES = 10
BLOCKS = 10  # of neighbours, that `Digits.split` may hold out

Images = NDArray[np.uint8]
Labels = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Digits:
    """A set of digit images.

    Attributes
    ----------
    images: uint8 (N, 28, 28), 0 = paper, 255 = ink.
    labels: uint8 (N,) of 0…9, or None where nobody has said.
    source: where they came from, for messages and reports.

    Raises InputError if the shapes, the types or a label are not these, or if there are no images.
    """

    images: Images
    labels: Labels | None = None
    source: str = "array"

    def __post_init__(self) -> None:
        images, labels = np.asarray(self.images), self.labels
        if images.dtype != np.uint8 or images.shape[1:] != (SIDE, SIDE):
            found = f"{images.dtype} {images.shape}"
            raise InputError(self.source, "not digit images", expected="uint8 (N, 28, 28)", found=found)
        if len(images) == 0:
            raise InputError(self.source, "no digits in it", expected="at least one row", found="none")
        if labels is not None:
            labels = np.asarray(labels)
            if labels.shape != (len(images),):
                found = f"labels of shape {labels.shape}"
                raise InputError(self.source, "images and labels differ", expected=f"{len(images)} labels", found=found)
            if not np.issubdtype(labels.dtype, np.integer):
                raise InputError(self.source, "not labels", expected="integers 0…9", found=f"dtype {labels.dtype}")
            outside = np.flatnonzero((labels < 0) | (labels >= CLASSES))
            if len(outside):
                where = f"{self.source}, row {outside[0] + 1}"
                raise InputError(where, "not a label", expected="an integer 0…9", found=str(labels[outside[0]]))
            labels = labels.astype(np.uint8, copy=False)
        object.__setattr__(self, "images", images)
        object.__setattr__(self, "labels", labels)

    def __len__(self) -> int:
        return len(self.images)

    def take(self, index: NDArray[np.integer] | NDArray[np.bool_] | slice, *, source: str | None = None) -> Digits:
        """The digits at `index` (integers, a mask or a slice), in that order."""
        labels = None if self.labels is None else self.labels[index]
        return Digits(self.images[index], labels, source or self.source)

    def sample(self, most: int) -> Digits:
        """At most `most` of the digits, evenly spaced, so that a set sorted by label gives some of each."""
        return self if len(self) <= most else self.take(spaced(len(self), most))

    def need_labels(self, purpose: str) -> Labels:
        """The labels, or an InputError that says what they were wanted for."""
        if self.labels is None:
            raise InputError(self.source, "has no labels", expected=f"labels to {purpose}", found="pixels only")
        return self.labels

    def split(self, validation: int, *, seed: int, blocks: bool = False) -> tuple[Digits, Digits]:
        """Training and validation part, drawn class by class so that both have the classes' proportions.

        Parameters
        ----------
        validation: how many digits to hold out; at least one training digit of every class stays.
        seed: the same seed gives the same parts.
        blocks: hold out BLOCKS runs of neighbours, evenly spaced, instead. Files of digits are often written writer by
            writer: so most writers are on one side alone, and the validation part is of hands that training has not
            seen. The classes' proportions are what they are.

        Raises InputError without labels, or where `validation` is less than 1 or leaves fewer digits than classes.
        """
        labels = self.need_labels("split by class")
        most = len(self) - len(np.unique(labels))
        if not 0 < validation <= most:
            expected = f"1 to {most} digits to hold out of {len(self)}"
            raise InputError(self.source, "cannot be split", expected=expected, found=str(validation))
        kept, held = (split_in_blocks if blocks else split_by_class)(labels, validation, seed=seed)
        return (
            self.take(kept, source=f"{self.source} without {validation} for validation"),
            self.take(held, source=f"{validation} of {self.source}"),
        )


def spaced(count: int, most: int) -> NDArray[np.intp]:
    """At most `most` of the numbers 0…count − 1, evenly spaced."""
    return np.arange(count) if count <= most else np.linspace(0, count - 1, most).astype(np.intp)


def split_by_class(
    labels: NDArray[np.integer], validation: int, *, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where the training and the validation part are, both ascending; `Digits.split` says what they are."""
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(labels))
    # Each digit is ranked within its class by its place in the shuffle, as a fraction of the class: holding out the
    # smallest fractions takes the same share of every class, to within one digit. The last of each class stays.
    rank = np.empty(len(labels))
    for label in np.unique(labels):
        members = shuffled[labels[shuffled] == label]
        rank[members] = (np.arange(len(members)) + 0.5) / len(members)
        rank[members[-1]] = 1
    order = shuffled[np.argsort(rank[shuffled], kind="stable")]
    return np.sort(order[validation:]), np.sort(order[:validation])


def split_in_blocks(
    labels: NDArray[np.integer], validation: int, *, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The same with neighbours held out together; the seed says where the first block begins.

    Raises InputError if no digit of a class would be left to train on.
    """
    count = len(labels)
    spans, sizes = (np.array_split(np.arange(some), BLOCKS) for some in (count, validation))
    first = np.concatenate([span[: len(size)] for span, size in zip(spans, sizes, strict=True)])
    held = np.zeros(count, bool)
    held[(first + np.random.default_rng(seed).integers(count)) % count] = True
    if gone := sorted(set(labels[held].tolist()) - set(labels[~held].tolist())):
        found = f"every {gone[0]} among those held out"
        raise InputError("setting split", "cannot be in blocks", found=found, mend="split=random, or hold out fewer")
    return np.flatnonzero(~held), np.flatnonzero(held)


def join(parts: Sequence[Digits], source: str) -> Digits:
    """Several sets as one, in their order; without labels if any of them has none."""
    labels = [part.labels for part in parts if part.labels is not None]
    images = np.concatenate([part.images for part in parts])
    return Digits(images, np.concatenate(labels) if len(labels) == len(parts) else None, source)


def pixel_hashes(images: Images) -> NDArray[np.uint64]:
    """A 64-bit fingerprint of each image's pixels, uint64 (N,); equal pixels, equal fingerprint, on every machine.

    BLAKE2b (RFC 7693): among 70,000 images the chance of one accidental match is 10⁻¹⁰.
    """
    pixels = np.ascontiguousarray(images).data.cast("B") if len(images) else b""
    step = images[:1].size or 1
    starts = range(0, len(pixels), step)
    digests = b"".join([hashlib.blake2b(pixels[start : start + step], digest_size=8).digest() for start in starts])
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


def data_hash(digits: Digits) -> str:
    """SHA-256 of the pixels and labels as one hexadecimal string: names a data set in `config.json`."""
    digest = hashlib.sha256(digits.images.tobytes())
    if digits.labels is not None:
        digest.update(digits.labels.tobytes())
    return digest.hexdigest()


def overlap(images: Images, hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which images (N,) have a fingerprint among `hashes` (M,)."""
    return np.isin(pixel_hashes(images), hashes)

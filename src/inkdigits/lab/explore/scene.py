"""The digits that are explored, and what several parts of an exploration need of them, worked out once.

>>> scene = open_scene("mnist", quick=True)
>>> len(scene), scene.coarse.shape
(4000, (4000, 50))
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...digits.dataset import PIXELS, Digits, Images, Labels, join, spaced
from ...digits.formats import Source, embedded_parts, load_parts
from ...reader.model import Model, Predictions, load_model
from .neighbours import Neighbours, nearest, nearly_nearest

QUICK_DIGITS = 4_000
MOST_DIGITS = 100_000  # more would neither be drawn nor waited for
COARSE = 50  # principal components in which neighbours are looked for: 82 % of MNIST's variance, and less noise
NEAR = 30
MANY = 20_000  # points of which the neighbours are looked for in a part of them

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Components:
    """Principal components of N vectors (N, D).

    mean: (D,); axes: (D, D), a row each, the one of most variance first; variances: (D,) along them. All float64.
    """

    mean: NDArray[np.float64]
    axes: NDArray[np.float64]
    variances: NDArray[np.float64]

    def project(self, vectors: Floats, most: int) -> Floats:
        """Coordinates float32 (M, most) of vectors (M, D) on the first axes."""
        axes = self.axes[:most].astype(np.float32)
        return np.ascontiguousarray((vectors - self.mean.astype(np.float32)) @ axes.T)

    def needed(self, share: float) -> int:
        """How many axes together hold this share, 0…1, of the variance; 0 if there is none."""
        total = self.variances.sum()
        return int(np.searchsorted(np.cumsum(self.variances) / total, share) + 1) if total > 0 else 0


@dataclass(frozen=True, eq=False)
class Scene:
    """The digits of a source.

    parts: by name, `train` and `test` or `all`, in the order of `digits`. rows: for each part, which rows of the source
    these are. total: digits in the source, of which these may be a sample. seed, quick, threads: as given to `explore`.
    embedded: which parts of the embedded MNIST these are.
    """

    source: str
    parts: dict[str, Digits]
    rows: dict[str, NDArray[np.intp]]
    total: int
    seed: int = 0
    quick: bool = False
    threads: int | None = None
    embedded: tuple[str, ...] = ()
    cache: dict[str, Any] = field(default_factory=dict)  # what one part worked out and another needs

    def __len__(self) -> int:
        return sum(map(len, self.parts.values()))

    @cached_property
    def digits(self) -> Digits:
        """All parts together."""
        return join(list(self.parts.values()), self.source)

    @property
    def images(self) -> Images:
        return self.digits.images

    @property
    def labels(self) -> Labels | None:
        return self.digits.labels

    def name(self, place: int) -> str:
        """What the digit at `place` is called in the source: `test no. 247`."""
        for part, digits in self.parts.items():
            if place < len(digits):
                row = f"no. {self.rows[part][place]}"
                return row if part == "all" else f"{part} {row}"
            place -= len(digits)
        raise IndexError(place)

    @cached_property
    def vectors(self) -> Floats:
        """The pixels as float32 (N, 784), 0 = paper, 1 = ink."""
        return self.images.reshape(len(self), PIXELS).astype(np.float32) / np.float32(255)

    @cached_property
    def components(self) -> Components:
        """The principal components of `vectors`."""
        with self._clock("components"):
            return components_of(self.vectors)

    @cached_property
    def coarse(self) -> Floats:
        """The first COARSE principal coordinates, float32 (N, COARSE)."""
        components = self.components
        with self._clock("components"):
            return components.project(self.vectors, COARSE)

    @cached_property
    def near(self) -> Neighbours:
        """For each digit the NEAR nearest others in `coarse`, fewer where there are not so many; of MANY, nearly."""
        coarse = self.coarse
        with self._clock("near"):
            return near_in(coarse, threads=self.threads)

    def seconds(self, *names: str) -> float:
        """How long `components` (with `coarse`) and `near` took, or those named, of those that were worked out."""
        return float(sum(self.cache.get(f"seconds of {name}", 0.0) for name in names or ("components", "near")))

    @contextmanager
    def _clock(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.cache[f"seconds of {name}"] = self.seconds(name) + time.perf_counter() - began

    @cached_property
    def reader(self) -> Model:
        """The shipped reader."""
        return load_model("reader", threads=self.threads)

    @cached_property
    def answers(self) -> Predictions:
        """What the reader says of every digit, with features."""
        return self.reader.predict(self.images, features=True)

    def rng(self, purpose: str) -> np.random.Generator:
        """A generator for one purpose: the same whichever other parts are run."""
        return np.random.default_rng([self.seed, zlib.crc32(purpose.encode())])


def open_scene(source: Source, *, seed: int = 0, quick: bool = False, threads: int | None = None) -> Scene:
    """The digits of a source (any that `load_digits` takes), all of them up to MOST_DIGITS, or QUICK_DIGITS.

    A sample is evenly spaced and takes the same share of each part. Raises InputError as `load_digits` does.
    """
    parts = load_parts(source)
    total, most = sum(map(len, parts.values())), QUICK_DIGITS if quick else MOST_DIGITS
    rows = {name: spaced(len(part), max(1, round(len(part) * min(1.0, most / total)))) for name, part in parts.items()}
    taken = {name: part.take(rows[name]) for name, part in parts.items()}
    given = str(source) if not isinstance(source, Digits) else source.source
    return Scene(given, taken, rows, total, seed, quick, threads, embedded_parts(source))


def near_in(points: Floats, *, threads: int | None = None) -> Neighbours:
    """The NEAR nearest others of each of points (N, D), exact unless there are MANY."""
    return nearest(points, NEAR) if len(points) < MANY else nearly_nearest(points, NEAR, threads=threads)


def components_of(vectors: Floats) -> Components:
    """Principal components, from the covariance: exact, and of 70,000 vectors the work of two seconds."""
    mean = vectors.mean(axis=0, dtype=np.float64)
    scatter = np.zeros((vectors.shape[1],) * 2)
    for start in range(0, len(vectors), 8192):
        block = vectors[start : start + 8192] - mean.astype(np.float32)
        scatter += block.T @ block
    variances, axes = np.linalg.eigh(scatter / max(len(vectors) - 1, 1))
    axes = axes[:, ::-1].T
    # The sign of an axis is free; this one does not depend on the machine.
    signs = np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])
    return Components(mean, axes * signs[:, None], np.maximum(variances[::-1], 0))

"""What the parts of the chapter on shape need of each other, worked out once: samples, clouds, components.

>>> Ground.of(scene).whole.cloud.dimension
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ...digits.dataset import CLASSES, Labels
from .arms import DIMENSION_K, Cloud, cloud_of
from .chapter import CannotSayError
from .density import Level, components_by_level
from .dimension import distinct
from .homology import Persistence, densest, gaussian_like, persistence_of
from .mapper import MapperGraph, mapper_of
from .neighbours import Neighbours, nearest
from .paths import SOURCES
from .scene import Floats, Scene, near_in
from .shape_verdict import DENSE, Shape, Verdict, tempered, weigh

LEAST_WHOLE = 100  # distinct digits, of which a shape can be said
LEAST_CLASS = 50

# How many digits are looked at, (full, quick): what takes the square or more of their number.
WHOLE_SAMPLE, CLASS_SAMPLE = (6_000, 1_300), (1_500, 400)  # three times 1,300 are less than the quick sample
WHOLE_CLOUD, CLASS_CLOUD = (3_000, 800), (1_000, 300)
WHOLE_LANDMARKS, CLASS_LANDMARKS = (300, 120), (200, 80)
RESAMPLES = (40, 20)
GEODESIC_SOURCES = (SOURCES, 200)
REPEATS = (4, 2)  # other samples on which the verdict is asked again
SHARES = (0.85, DENSE, 0.5)  # of the digits, the densest, whose arms are counted


class Ground:
    """The distinct digits of a scene, and what was found of their shape.

    Copies are left out: they say how often a digit was written down, not where digits lie. places: int64 (M,), rows of
    the scene; points: float32 (M, COARSE), their principal coordinates; labels: (M,) or None.
    """

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.places = distinct(scene.images)
        self.points: Floats = scene.coarse[self.places]
        self.labels: Labels | None = None if scene.labels is None else scene.labels[self.places]

    @classmethod
    def of(cls, scene: Scene) -> Ground:
        """The ground of a scene, made when it is first asked for."""
        if "shape" not in scene.cache:
            scene.cache["shape"] = cls(scene)
        ground: Ground = scene.cache["shape"]
        if len(ground.places) < LEAST_WHOLE:
            raise CannotSayError(
                f"The shape of {len(ground.places):,} different digits cannot be told: at least {LEAST_WHOLE} are "
                "needed."
            )
        return ground

    def __len__(self) -> int:
        return len(self.places)

    def _most(self, sizes: tuple[int, int]) -> int:
        return sizes[self.scene.quick]

    def drawn(self, among: NDArray[np.int64], sizes: tuple[int, int], purpose: str) -> NDArray[np.int64]:
        """At most (full, quick) of these places, drawn at random, in order."""
        rng = self.scene.rng(f"shape, sample for {purpose}")
        return np.sort(rng.permutation(among)[: self._most(sizes)])

    @cached_property
    def near(self) -> Neighbours:
        """The neighbours of all distinct digits, as places in `points`."""
        if len(self) == len(self.scene):
            return self.scene.near
        return near_in(self.points, threads=self.scene.threads)

    @cached_property
    def classes(self) -> tuple[int, ...]:
        """The classes with enough digits to be looked at one by one; none where there is only one: it is the whole."""
        return () if self.labels is None else _classes_of(self.labels)

    def of_class(self, digit: int) -> NDArray[np.int64]:
        assert self.labels is not None
        return np.flatnonzero(self.labels == digit)

    @cached_property
    def levels(self) -> list[Level]:
        return components_by_level(self.near)

    @cached_property
    def sample(self) -> NDArray[np.int64]:
        """The digits whose ways are measured, as places in `points`."""
        return self.drawn(np.arange(len(self)), WHOLE_SAMPLE, "ways")

    @cached_property
    def whole(self) -> Shape:
        """The shape of the sample; the places of its ways are places in `sample[ways.kept]`."""
        return self._shape(self.points[self.sample], "whole")

    @cached_property
    def whole_places(self) -> NDArray[np.int64]:
        """Where the points of the whole's ways are in `points`."""
        return self.sample[self.whole.cloud.ways.kept]

    @cached_property
    def dense_places(self) -> dict[float, NDArray[np.int64]]:
        """The densest of the sample, by their share, as places in `points`."""
        return {share: self.sample[densest(self.points[self.sample], share)] for share in SHARES}

    @cached_property
    def dense(self) -> dict[float, Shape]:
        return {
            share: self._shape(self.points[places], f"densest {share}") for share, places in self.dense_places.items()
        }

    @cached_property
    def class_samples(self) -> dict[int, NDArray[np.int64]]:
        return {d: self.drawn(self.of_class(d), CLASS_SAMPLE, f"ways of {d}") for d in self.classes}

    @cached_property
    def class_shapes(self) -> dict[int, Shape]:
        return {d: self._shape(self.points[places], str(d)) for d, places in self.class_samples.items()}

    def _shape(self, points: Floats, name: str) -> Shape:
        rng = self.scene.rng(f"shape, ways of {name}")
        sources = self._most(GEODESIC_SOURCES)
        cloud: Cloud = cloud_of(points, rng=rng, near=nearest(points, DIMENSION_K), sources=sources)
        # The foil is a foil of what was measured: the largest connected piece.
        foil = gaussian_like(cloud.ways.points, rng=rng).astype(np.float32)
        return Shape(cloud, cloud_of(foil, rng=rng, sources=sources))

    @cached_property
    def persistence(self) -> dict[str, Persistence]:
        """Homology of each class and of the whole, by "0" … "9" and "all"."""
        resamples = self._most(RESAMPLES)
        found = {}
        for d in self.classes:
            points = self.points[self.drawn(self.of_class(d), CLASS_CLOUD, f"homology of {d}")]
            rng, most = self.scene.rng(f"shape, homology of {d}"), self._most(CLASS_LANDMARKS)
            found[str(d)] = persistence_of(points, rng=rng, landmarks=most, resamples=resamples)
        points = self.points[self.drawn(np.arange(len(self)), WHOLE_CLOUD, "homology")]
        rng, most = self.scene.rng("shape, homology"), self._most(WHOLE_LANDMARKS)
        found["all"] = persistence_of(points, rng=rng, landmarks=most, resamples=resamples)
        return found

    @cached_property
    def mapper(self) -> MapperGraph:
        """The Mapper graph of the whole's points, through their eccentricity."""
        cloud = self.whole.cloud
        return mapper_of(cloud.ways.points, cloud.ways.eccentricity)

    @cached_property
    def own_class(self) -> float | None:
        """The share of digits whose nearest neighbour bears the same label."""
        if self.labels is None or len(np.unique(self.labels)) < 2:
            return None
        return float((self.labels[self.near.places[:, 0]] == self.labels).mean())

    @cached_property
    def foil_mapper(self) -> MapperGraph:
        """The Mapper graph of the Gaussian cloud that goes with the whole."""
        ways = self.whole.foil.ways
        return mapper_of(ways.points, ways.eccentricity)

    @cached_property
    def verdict(self) -> Verdict:
        """What the sample says, as strongly as the least sure of all samples."""
        found = weigh(self.levels, self.whole, self.dense, list(self.class_shapes.values()))
        return tempered(found, self.repeats)

    @cached_property
    def repeats(self) -> list[Verdict]:
        """The verdict on other digits than the sample's, where there are enough for as many again."""
        size = len(self.sample)
        others = np.setdiff1d(np.arange(len(self)), self.sample)
        others = self.scene.rng("shape, other samples").permutation(others)
        most = min(self._most(REPEATS), len(others) // size)
        return [self._asked_again(np.sort(others[i * size :][:size]), f"repeat {i}") for i in range(most)]

    def _asked_again(self, places: NDArray[np.int64], name: str) -> Verdict:
        """The verdict on a sample, from it alone: its density, its densest, and its digits of each class."""
        points = self.points[places]
        dense = {share: self._shape(points[densest(points, share)], f"densest {share} of {name}") for share in SHARES}
        classes = []
        if self.labels is not None:
            labels = self.labels[places]
            classes = [self._shape(points[labels == d], f"{d} of {name}") for d in _classes_of(labels)]
        return weigh(components_by_level(near_in(points)), self._shape(points, name), dense, classes)


def _classes_of(labels: Labels) -> tuple[int, ...]:
    counts = np.bincount(labels, minlength=CLASSES)
    return tuple(np.flatnonzero(counts >= LEAST_CLASS).tolist()) if np.count_nonzero(counts) > 1 else ()

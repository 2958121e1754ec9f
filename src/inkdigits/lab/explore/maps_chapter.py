"""The chapter of maps: by components, t-SNE and UMAP, of the pixels and of what the reader makes of them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...measure import wilson_interval
from ..comparison import spoken_seconds
from ..report import percent, prose, table
from ..score import rounded
from .chapter import CannotSayError, Chapter, Part, Picture
from .drawing import map_image
from .maps import JUDGED, LEAST_POINTS, Quality, quality, tsne, umap
from .neighbours import Neighbours
from .scene import COARSE, Scene, components_of, near_in
from .viewer import Shown, viewer

NETWORK = "network"
MAPS = "maps"  # where the scene keeps the maps that were made
LEARNT = " The reader has learnt from MNIST's training digits and their labels; the other maps know no labels."
FAITHFUL, LOST = 0.8, 0.5  # of a rank correlation, or of the neighbours: above, kept; below, lost


@dataclass(frozen=True, eq=False)
class Drawn:
    """A map that was made: its places (N, 2), the time it took from the pixels on, how far it can be trusted."""

    title: str
    placed: NDArray[np.float32]
    seconds: float
    quality: Quality


def components(scene: Scene) -> Part:
    """The first two principal components."""
    _need_points(scene)
    placed = np.ascontiguousarray(scene.coarse[:, :2])
    seconds = scene.seconds("components")
    return _map_part(scene, "pca", "Principal components", placed, seconds, scene.coarse, scene.near)


def by_tsne(scene: Scene) -> Part:
    """t-SNE of the pixels."""
    _need_points(scene)
    points, near = scene.coarse, scene.near  # timed by themselves
    seconds, placed = _timed(lambda: tsne(points, near, seed=scene.seed, threads=scene.threads))
    seconds += scene.seconds()
    return _map_part(scene, "tsne", "t-SNE", placed, seconds, points, near)


def by_umap(scene: Scene) -> Part:
    """UMAP of the pixels."""
    _need_points(scene)
    if scene.quick:
        raise CannotSayError("UMAP is compiled anew at every start, which takes longer than --quick allows.")
    points, near = scene.coarse, scene.near  # timed by themselves
    seconds, placed = _timed(lambda: umap(points, near, seed=scene.seed))
    seconds += scene.seconds()
    return _map_part(scene, "umap", "UMAP", placed, seconds, points, near)


def of_network(scene: Scene) -> Part:
    """t-SNE of the reader's last layer: the space in which its answers are one step away."""
    _need_points(scene)
    began = time.perf_counter()
    features = scene.answers.features
    assert features is not None  # asked for, and the shipped reader has them
    points = components_of(features).project(features, COARSE)
    near = near_in(points, threads=scene.threads)
    placed = tsne(points, near, seed=scene.seed, threads=scene.threads)
    seconds = time.perf_counter() - began
    return _map_part(scene, NETWORK, "The reader's last layer", placed, seconds, points, near, note=LEARNT)


def compared(scene: Scene) -> Part:
    """The maps beside each other in numbers, and all of them to walk about in."""
    _need_points(scene)
    made: dict[str, Drawn] = scene.cache[MAPS]
    rows = [
        [
            drawn.title,
            "–" if drawn.quality.accuracy is None else percent(drawn.quality.accuracy, 1),
            f"{drawn.quality.trustworthiness:.3f}",
            percent(drawn.quality.kept, 1),
            _signed(drawn.quality.distances),
            _signed(drawn.quality.sizes),
            spoken_seconds(drawn.seconds),
        ]
        for drawn in made.values()
    ]
    caption = (
        f"Vote: classes named rightly by the {JUDGED} nearest in the map. Trust: one less for neighbours in the map "
        f"that are far apart in truth. Kept: of the {JUDGED} nearest in the map, those that are in truth. Distances, "
        "sizes: rank correlation of distances, and of how densely the digits lie, with those in truth, which for the "
        "last layer are those in that layer. Time from the pixels on."
    )
    best = max((drawn for name, drawn in made.items() if name != NETWORK), key=lambda drawn: drawn.quality.kept)
    blocks = (
        viewer(scene, [Shown(name, drawn.title, drawn.placed) for name, drawn in made.items()]),
        table(["map", "vote", "trust", "kept", "distances", "sizes", "time"], rows, caption=caption),
        prose(f"Of the maps of the pixels {best.title} keeps the most neighbours, {percent(best.quality.kept, 1)}."),
    )
    return Part({}, blocks)


def _need_points(scene: Scene) -> None:
    if len(scene) < LEAST_POINTS:
        raise CannotSayError(f"A map needs at least {LEAST_POINTS} digits, and here are {len(scene)}.")
    if not scene.components.variances[0]:
        raise CannotSayError("All images here are the same, so every map of them is a single point.")


def _timed(make: Callable[[], NDArray[np.float32]]) -> tuple[float, NDArray[np.float32]]:
    began = time.perf_counter()
    placed = make()
    return time.perf_counter() - began, placed


def _map_part(
    scene: Scene, name: str, title: str, placed: NDArray[np.float32], seconds: float, points: NDArray[np.float32],
    near: Neighbours, note: str = "",
) -> Part:  # fmt: skip
    judged = quality(placed, points, near, scene.labels, rng=scene.rng(f"map {name}"))
    drawn = Drawn(title, placed, seconds, judged)
    scene.cache.setdefault(MAPS, {})[name] = drawn
    facts: dict[str, Any] = {key: None if value is None else rounded(value) for key, value in asdict(judged).items()}
    if judged.accuracy is not None:
        right = round(judged.accuracy * len(placed))
        facts["accuracy_interval95"] = [rounded(end) for end in wilson_interval(right, len(placed))]
    facts["seconds"] = round(seconds, 1)
    picture = Picture(
        f"map-{name}",
        map_image(placed, scene.labels, scene.images),
        alt=f"map of {len(scene):,} digits, {title}; {_distortion(judged)}",
        caption=f"{title}, {len(scene):,} digits. {_distortion(judged)}{note}",
        first=name == "tsne",
    )
    said = "" if judged.accuracy is None else f": {percent(judged.accuracy, 1)} by the vote of neighbours"
    return Part(facts, (picture,), (f"map, {title}{said}",))


def _distortion(judged: Quality) -> str:
    """What the map keeps and what it distorts."""
    kept = f"{percent(judged.kept, 0)} of the {JUDGED} nearest digits on it are the nearest in truth"
    if judged.accuracy is not None:
        kept += f", and their vote names {percent(judged.accuracy, 1)} of the digits"
    distances = _verdict(
        judged.distances, "Distances on it can be trusted", "Distances on it are a rough guide",
        "How far apart islands lie says little",
    )  # fmt: skip
    sizes = _verdict(
        judged.sizes, "dense regions are drawn dense", "density is drawn roughly",
        "density is lost: loose and tight regions are drawn alike",
    )  # fmt: skip
    if not distances or not sizes:
        return f"{kept}."
    return f"{kept}. {distances} (rank correlation {_signed(judged.distances)}); {sizes} ({_signed(judged.sizes)})."


def _verdict(value: float, good: str, fair: str, poor: str) -> str:
    """What to say of a rank correlation; nothing where there is none."""
    return "" if math.isnan(value) else good if value >= FAITHFUL else fair if value >= LOST else poor


def _signed(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2f}".replace("-", "−")


CHAPTER = Chapter(
    "maps",
    "Maps",
    {"tsne": by_tsne, "umap": by_umap, "pca": components, "network": of_network, "compared": compared},
)

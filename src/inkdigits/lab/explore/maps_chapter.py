"""The chapter of maps: by components, t-SNE and UMAP, of the pixels and of what the reader makes of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...measure import wilson_interval
from ..report import percent, prose, table
from ..score import rounded
from .chapter import CannotSayError, Chapter, Part, Picture
from .drawing import map_image
from .maps import JUDGED, LEAST_POINTS, Quality, quality, tsne, umap
from .neighbours import Neighbours
from .scene import COARSE, Scene, components_of, near_in
from .viewer import Shown, viewer

MAPS = "maps"  # where the scene keeps the maps that were made
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
    began = time.perf_counter()
    placed = np.ascontiguousarray(scene.coarse[:, :2])
    if not np.ptp(placed):
        raise CannotSayError("All images here are the same, so every map of them is a single point.")
    return _map_part(
        scene, "pca", "Principal components", placed, time.perf_counter() - began, scene.coarse, scene.near
    )


def by_tsne(scene: Scene) -> Part:
    """t-SNE of the pixels."""
    _need_points(scene)
    seconds, placed = _timed(lambda: tsne(scene.coarse, scene.near, seed=scene.seed, threads=scene.threads))
    seconds += scene.seconds()
    return _map_part(scene, "tsne", "t-SNE", placed, seconds, scene.coarse, scene.near)


def by_umap(scene: Scene) -> Part:
    """UMAP of the pixels."""
    _need_points(scene)
    if scene.quick:
        raise CannotSayError("UMAP is compiled anew at every start, which takes longer than --quick allows.")
    seconds, placed = _timed(lambda: umap(scene.coarse, scene.near, seed=scene.seed))
    seconds += scene.seconds()
    return _map_part(scene, "umap", "UMAP", placed, seconds, scene.coarse, scene.near)


def of_network(scene: Scene) -> Part:
    """t-SNE of the reader's last layer: the space in which its answers are one step away."""
    _need_points(scene)
    began = time.perf_counter()
    features = scene.answers.features
    assert features is not None  # asked for, and the shipped reader has them
    points = components_of(features).project(features, COARSE)
    near = near_in(points, threads=scene.threads)
    placed = tsne(points, near, seed=scene.seed, threads=scene.threads)
    return _map_part(scene, "network", "The reader's last layer", placed, time.perf_counter() - began, points, near)


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
            f"{drawn.quality.distances:.2f}",
            f"{drawn.quality.sizes:.2f}",
            f"{drawn.seconds:.0f} s",
        ]
        for drawn in made.values()
    ]
    caption = (
        f"Vote: classes named rightly by the {JUDGED} nearest in the map. Trust: one less for neighbours in the map "
        f"that are far apart in truth. Kept: of the {JUDGED} nearest in the map, those that are in truth. Distances, "
        "sizes: rank correlation of distances, and of how densely the digits lie, with those in truth, which for the "
        "last layer are those in that layer. Time from the pixels on."
    )
    best = max(made.values(), key=lambda drawn: drawn.quality.kept)
    blocks = (
        prose(
            "Point at the map to see a digit; drag it, zoom in until digits stand in place of dots, choose another map."
        ),
        viewer(scene, [Shown(name, drawn.title, drawn.placed) for name, drawn in made.items()]),
        table(["map", "vote", "trust", "kept", "distances", "sizes", "time"], rows, caption=caption),
        prose(f"{best.title} keeps most of the neighbours ({percent(best.quality.kept, 1)})."),
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
    near: Neighbours,
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
        alt=f"map of {len(scene):,} digits: {title}",
        caption=f"{title}, {len(scene):,} digits. {_distortion(judged)}",
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
        judged.distances, "distances on it can be trusted", "distances on it are a rough guide",
        "how far apart islands lie says little",
    )  # fmt: skip
    sizes = _verdict(
        judged.sizes, "dense regions are drawn dense", "density is drawn roughly",
        "density is lost: loose and tight regions are drawn alike",
    )  # fmt: skip
    return f"{kept}. {distances.capitalize()} (rank correlation {judged.distances:.2f}); {sizes} ({judged.sizes:.2f})."


def _verdict(value: float, good: str, fair: str, poor: str) -> str:
    return good if value >= FAITHFUL else fair if value >= LOST else poor


CHAPTER = Chapter(
    "maps",
    "Maps",
    {"tsne": by_tsne, "umap": by_umap, "pca": components, "network": of_network, "compared": compared},
)

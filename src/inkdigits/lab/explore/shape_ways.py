"""Parts of the chapter on shape: ways along the digits, arms, walks, and the Mapper graph.

>>> print(*geodesics(scene).said)
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...digits.dataset import SIDE
from ..report import Strip, counted, listed, percent, prose, strips, subheading, table
from .arms import along
from .chapter import CannotSayError, Part, Plate
from .paths import Walk, neighbour_graph, walk_between
from .scene import Scene
from .shape_figures import mapper_figure, outwards_figure, stretch_figure, walks_figure
from .shape_ground import Ground

SHOWN = 8  # digits in a row
PAIRS = ((1, 1), (2, 2), (4, 9), (3, 8), (1, 7), (0, 6))  # walks; whichever of them the labels allow


def geodesics(scene: Scene) -> Part:
    """Geodesic against straight distance, eccentricity, arms, and the local dimension along them."""
    ground = Ground.of(scene)
    whole, shapes = ground.whole, ground.class_shapes
    ways = whole.cloud.ways
    facts: dict[str, Any] = {"all": whole.as_dict(), **{str(d): shape.as_dict() for d, shape in shapes.items()}}
    said = (
        f"Along {counted(len(ways.points), 'digit')} joined to their ten nearest, the way between two is "
        f"{whole.cloud.stretch:.2f} times the straight line (Gaussian cloud: {whole.foil.stretch:.2f}), and around a "
        "digit there "
        f"are {whole.cloud.dimension:.1f} dimensions ({whole.foil.dimension:.1f})."
    )
    blocks: list[str | Plate] = [prose(said)]
    if len(shapes) > 1:
        assert ground.labels is not None
        labels = ground.labels[ground.whole_places]
        classes = list(shapes)
        square = np.array([[ways.stretch(labels == a, labels == b) for b in classes] for a in classes])
        square = (square + square.T) / 2
        within, between = np.diag(square), square[~np.eye(len(classes), dtype=bool)]
        facts["geodesic over straight between classes"] = {"classes": classes, "median": square.round(4).tolist()}
        lowest, highest = classes[int(np.nanargmin(within))], np.unravel_index(np.nanargmax(square), square.shape)
        caption = (
            "How many times longer the way along the digits is than the straight line: within a class "
            f"{np.nanmin(within):.1f} "
            f"({lowest}) to {np.nanmax(within):.1f}, between classes up to {np.nanmax(between):.1f} "
            f"({classes[highest[0]]} and {classes[highest[1]]})."
        )
        alt = "Ratio of geodesic to straight distance for each pair of classes."
        blocks.append(Plate("geodesics", stretch_figure(square, classes), alt, caption))
    profile, foil = whole.cloud.outwards.dimension, whole.foil.outwards.dimension
    blocks.append(
        Plate(
            "dimension-outwards",
            outwards_figure(whole),
            "Local dimension from the middle of the cloud outwards, of the digits and of a Gaussian cloud.",
            f"Local dimension from the most central eighth of the digits ({profile[0]:.1f}) to the farthest out "
            f"({profile[-1]:.1f}); "
            f"a Gaussian cloud of the same covariance falls from {foil[0]:.1f} to {foil[-1]:.1f}.",
        )
    )
    having = [str(d) for d, shape in shapes.items() if shape.has_arms]
    tips = (
        f"The whole has {counted(len(whole.cloud.arms), 'arm')}, the Gaussian cloud {len(whole.foil.arms)}"
        + (f"; three or more, and more than their Gaussian cloud, have {listed(having)}." if having else ".")
        + ("" if having or not shapes else " No class has three or more.")
        + " An arm is a place of locally largest eccentricity that rises by a fifth of its range above the pass to a "
        "farther one."
    )
    rows = list(_arm_rows(ground))
    facts["along the arms"] = [{"of": name, **arm} for name, arm, _ in rows]
    lead = (
        "From the centre of each class along the digits to its farthest tip"
        if shapes
        else "From the centre along the digits to each tip"
    )
    counts = [("all", ground.whole, ground.whole_places)]
    counts += [
        (f"densest {100 * x:.0f} %", s, ground.dense_places[x][s.cloud.ways.kept]) for x, s in ground.dense.items()
    ]
    facts["arms by density"] = {
        name: {"digits": len(s.cloud.arms), "Gaussian cloud": len(s.foil.arms)} for name, s, _ in counts
    }
    told = ground.labels is not None
    lines = [
        (
            name,
            f"{len(s.cloud.arms)}",
            f"{len(s.foil.arms)}",
            *(
                (", ".join(str(ground.labels[places[tip]]) for tip in s.cloud.arms.tips),)
                if ground.labels is not None
                else ()
            ),
        )
        for name, s, places in counts
    ]
    head = ("digits", "arms", "Gaussian: arms", *(("class at the tips",) if told else ()))
    blocks += [
        subheading("Arms"),
        prose(
            tips,
            "Stray digits may bridge what would otherwise be arms, so they are counted once more without the sparsest.",
        ),
        table(head, lines, caption="Arms of the cloud, by how many of the digits count"),
        prose(lead + ":"),
        strips(strip for _, _, strip in rows),
    ]
    return Part(facts, tuple(blocks), (said, tips))


def _arm_rows(ground: Ground) -> Iterable[tuple[str, dict[str, object], Strip]]:
    """The digits from the centre to the farthest tip of each class, or to each tip of the whole."""
    if ground.class_shapes:
        chosen = [
            (str(d), shape.cloud, ground.class_samples[d][shape.cloud.ways.kept], 0)
            for d, shape in ground.class_shapes.items()
        ]
    else:
        cloud = ground.whole.cloud
        chosen = [(f"tip {i + 1}", cloud, ground.whole_places, i) for i in range(len(cloud.arms))]
    for name, cloud, places, arm in chosen:
        path = cloud.arms.paths[arm]
        profile = along(cloud.ways, path, cloud.dimensions, bins=3)
        shown = path[np.linspace(0, len(path) - 1, min(len(path), SHOWN)).round().astype(int)]
        inner, outer = profile.dimension[0], profile.dimension[-1]
        images = ground.scene.images[ground.places[places[shown]]]
        facts = {
            "dimension": profile.dimension.tolist(),
            "distance to the 20th neighbour": profile.reach.tolist(),
            "digits": profile.n.tolist(),
        }
        ends = (
            f"dimension {_number(inner)} → {_number(outer)}",
            f"neighbours within {_number(profile.reach[0])} → {_number(profile.reach[-1])}",
        )
        yield name, facts, Strip(images, f"{name}, from the centre to the tip", name, f"{len(path) - 1} steps", ends)


def _number(value: float) -> str:
    return f"{value:.1f}" if np.isfinite(value) else "–"


def walks(scene: Scene) -> Part:
    """Walks between two digits along the digits, beside the straight blend."""
    ground = Ground.of(scene)
    graph = neighbour_graph(ground.near)
    found: dict[str, Walk] = {}
    vectors = scene.vectors[ground.places] if len(ground) < len(scene) else scene.vectors
    for name, start, end in _pairs(ground):
        walk = walk_between(vectors, graph, start, end)
        if walk is not None:
            found[name] = walk
    if not found:
        raise CannotSayError("There is no walk to show: no two of the digits chosen are connected through neighbours.")
    # Between two neighbours is about as far as a walk can be from any digit.
    typical = float(np.median(np.linalg.norm(vectors - vectors[ground.near.places[:, 0]], axis=1)))
    peaks = {name: (float(w.from_walk.max()), float(w.from_blend.max())) for name, w in found.items()}
    farther = sum(blend > walk for walk, blend in peaks.values())
    times = float(np.median([blend / walk for walk, blend in peaks.values()]))
    grey = [
        float(np.median([w.max() for w in each]))
        for each in ([w.grey_walk for w in found.values()], [w.grey_blend for w in found.values()])
    ]
    said = (
        f"In {farther} of {counted(len(found), 'pair')} the straight blend gets farther from the nearest digit than "
        "the walk "
        f"does, in the median {times:.1f} times as far; at its greyest {percent(grey[1], 0)} of its ink is neither "
        "light nor dark, "
        f"on the walk {percent(grey[0], 0)}."
    )
    facts = {
        name: {
            "digits on the walk": len(w.places),
            "farthest from the nearest digit": {"walk": peaks[name][0], "blend": peaks[name][1]},
            "greyest": {"walk": float(w.grey_walk.max()), "blend": float(w.grey_blend.max())},
        }
        for name, w in found.items()
    } | {"distance of neighbours": {"median": typical}}
    rows = []
    for name, w in found.items():
        at = np.linspace(0, len(w.places) - 1, SHOWN).round().astype(int)
        steps = np.linspace(0, len(w.share) - 1, SHOWN).round().astype(int)
        blend = (255 * w.blended[steps]).round().astype(np.uint8).reshape(-1, SIDE, SIDE)
        real = scene.images[ground.places[w.places[at]]]
        rows.append(
            Strip(
                real,
                f"walk, {name}",
                name,
                "walk",
                (f"{counted(len(w.places), 'digit')}, {peaks[name][0]:.1f} off at most",),
            )
        )
        rows.append(Strip(blend, f"blend, {name}", "", "blend", (f"{peaks[name][1]:.1f} off at most",)))
    plate = Plate(
        "walks",
        walks_figure(found, typical),
        "Distance to the nearest digit along walks and along blends.",
        f"Distance (a pixel of full ink is 1) to the nearest of {counted(len(ground), 'digit')}: the blend is "
        f"farther off in {farther} of "
        f"{len(found)}. Between digits of a walk too there is a blend, of near ones; dashed: how far apart "
        f"neighbours are, {typical:.1f} in the middle.",
    )
    return Part(facts, (prose(said), strips(rows), plate), (said,))


def _pairs(ground: Ground) -> list[tuple[str, int, int]]:
    """Two digits for each walk, as places of the ground: the farthest apart in a class, the medians of two classes."""
    if not ground.classes:
        cloud, places = ground.whole.cloud, ground.whole_places
        rows = np.argsort(-cloud.ways.lengths.max(axis=1), kind="stable")[: 3 * SHOWN : SHOWN]
        return [
            (f"far apart, {i + 1}", int(places[cloud.ways.sources[row]]), int(places[cloud.ways.lengths[row].argmax()]))
            for i, row in enumerate(rows)
        ]
    found = []
    able = [pair for pair in PAIRS if set(pair) <= set(ground.classes)]
    for a, b in able or [(ground.classes[0], ground.classes[-1])]:
        if a == b:
            ways, places = (
                ground.class_shapes[a].cloud.ways,
                ground.class_samples[a][ground.class_shapes[a].cloud.ways.kept],
            )
            row, column = np.unravel_index(ways.lengths.argmax(), ways.lengths.shape)
            found.append((f"{a} to {a}", int(places[ways.sources[row]]), int(places[column])))
        else:
            found.append((f"{a} to {b}", _central(ground, a), _central(ground, b)))
    return found


def _central(ground: Ground, digit: int) -> int:
    shape = ground.class_shapes[digit]
    return int(ground.class_samples[digit][shape.cloud.ways.kept][shape.cloud.arms.centre])


def mapper(scene: Scene) -> Part:
    """The Mapper graph of the whole."""
    ground = Ground.of(scene)
    graph, cloud = ground.mapper, ground.whole.cloud
    if not len(graph):
        raise CannotSayError("No Mapper graph: no window of the lens holds a cluster large enough.")
    places = ground.whole_places
    lens = _wide_view(cloud.ways.lengths, cloud.ways.sources)
    points = cloud.ways.points
    at = np.array([lens[members].mean(axis=0) for members in graph.members])
    labels = None if ground.labels is None else ground.labels[places]
    majority: list[int | None] = [None] * len(graph)
    if labels is not None:
        majority = [int(np.bincount(labels[members]).argmax()) for members in graph.members]
    middles = []
    for members, digit in zip(graph.members, majority, strict=True):
        own = members if labels is None else members[labels[members] == digit]
        middles.append(int(own[np.linalg.norm(points[own] - points[own].mean(axis=0), axis=1).argmin()]))
    sizes = [len(members) for members in graph.members]
    foil = ground.foil_mapper
    facts = graph.as_dict() | {"Gaussian cloud of the same covariance": foil.as_dict()}
    if labels is not None:
        own_share = [float((labels[m] == d).mean()) for m, d in zip(graph.members, majority, strict=True)]
        facts["share of the most frequent class in a node"] = float(np.average(own_share, weights=sizes))
    held = len(graph.covered()) / len(points)
    said = (
        f"Seen through their eccentricity, {percent(held, 0)} of {counted(len(points), 'digit')} form a Mapper graph "
        "of "
        f"{counted(len(graph), 'node')} in {counted(graph.components, 'component')}, with "
        f"{counted(len(graph.branches), 'branch', 'branches')} and "
        f"{counted(graph.loops, 'loop')}; that of the Gaussian cloud has {counted(len(foil), 'node')} and "
        f"{counted(len(foil.branches), 'branch', 'branches')}."
    )
    blocks: list[str | Plate] = [prose(said)]
    blocks.append(
        Plate(
            "mapper",
            mapper_figure(graph, at, ground.scene.images[ground.places[places[middles]]], majority, sizes),
            "The Mapper graph with a digit on each node.",
            f"The Mapper graph: on each node a digit of its most frequent class, from the middle of it, with a frame "
            f"thicker for more digits; thick links are its {counted(len(graph.branches), 'branch', 'branches')}.",
        )
    )
    if graph.branches:
        rows = []
        for run in graph.branches[:6]:
            tip = [middles[node] for node in reversed(run)]
            inside = np.unique(np.concatenate([graph.members[node] for node in run]))
            name = f"branch of {counted(len(run), 'node')}"
            kind = "" if labels is None else f"mostly {np.bincount(labels[inside]).argmax()}"
            rows.append(
                Strip(
                    ground.scene.images[ground.places[places[tip]]], name, name, kind, (counted(len(inside), "digit"),)
                )
            )
        blocks += [subheading("Its longest branches, from where they begin to the tip"), strips(rows)]
    blocks.append(
        prose(
            "Nodes are clusters (DBSCAN) of digits that are about equally far from all others; two are linked if "
            "they share digits. "
            "They are drawn where they lie in the two widest directions of the ways along the digits. The rest of "
            "the digits lie too sparsely "
            "to be in a cluster. How many branches there are depends on the windows and the reach that are set: they "
            "are read as a picture, and the verdict does not count them."
        )
    )
    return Part(facts, tuple(blocks), (said,))


def _wide_view(lengths: NDArray[np.float64], sources: NDArray[np.int64]) -> NDArray[np.float64]:
    """Two coordinates (N, 2) for which ways are distances, as nearly as two can: landmark MDS, de Silva & Tenenbaum "
    "2004."""
    squares = lengths[:, sources] ** 2
    centred = squares - squares.mean(axis=0) - squares.mean(axis=1)[:, None] + squares.mean()
    sizes, axes = np.linalg.eigh(-centred / 2)
    weights = axes[:, -2:][:, ::-1] / np.sqrt(np.maximum(sizes[-2:][::-1], np.finfo(np.float64).tiny))
    weights *= np.sign(weights[np.abs(weights).argmax(axis=0), [0, 1]])
    return np.asarray(-(lengths.T**2 - squares.mean(axis=0)) @ weights / 2)

"""Parts of the chapter on shape: geodesics, arms, walks, and the Mapper graph.

>>> print(*geodesics(scene).said)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...digits.dataset import SIDE, Labels
from ..report import Strip, counted, listed, percent, prose, strips, subheading, table
from ..score import rounded
from .arms import DIMENSION_K, PROMINENT, along, each_rounded
from .chapter import CannotSayError, Part, Plate
from .paths import LINKS, Walk, Ways, neighbour_graph, walk_between
from .scene import COARSE, Scene
from .shape_figures import mapper_figure, outwards_figure, stretch_figure, walks_figure
from .shape_ground import Ground
from .shape_verdict import MANY_ARMS

SHOWN = 8  # digits in a row
PAIRS = ((1, 1), (2, 2), (4, 9), (3, 8), (1, 7), (0, 6))  # walks; whichever of them the labels allow


def geodesics(scene: Scene) -> Part:
    """Geodesic against straight distance, eccentricity, arms, and the local dimension along them."""
    ground = Ground.of(scene)
    whole, shapes = ground.whole, ground.class_shapes
    rng = scene.rng("shape, intervals")
    facts: dict[str, Any] = {
        "all": whole.as_dict(rng),
        "by_class": {str(d): shape.as_dict(rng) for d, shape in shapes.items()},
    }
    n = len(whole.cloud.ways.points)
    said = (
        f"Along {counted(n, 'digit')} joined to their {LINKS} nearest, the geodesic between two is "
        f"{_number(whole.cloud.stretch, 2)} times the straight line (Gaussian reference: "
        f"{_number(whole.foil.stretch, 2)}); around a digit there are {_number(whole.cloud.dimension)} dimensions "
        f"({_number(whole.foil.dimension)})."
    )
    how = (
        f"Distances are those in {COARSE} principal components, and the Gaussian reference has the same covariance "
        f"there. The dimension is the median of the likeliest by {DIMENSION_K} neighbours over these "
        f"{counted(n, 'digit')}: what depends on their number and on the components is in the reference too, so it is "
        "to be compared with that only, not with estimates on other digits or in all pixels."
    )
    blocks: list[str | Plate] = [prose(said, how)]
    if len(shapes) > 1:
        blocks += _between_classes(ground, facts)
    profile, foil = whole.cloud.outwards, whole.foil.outwards
    if np.isfinite(profile.dimension).any() and np.isfinite(foil.dimension).any():
        blocks.append(
            Plate(
                "dimension-outwards",
                outwards_figure(whole),
                "Local dimension from the middle of the cloud outwards, of the digits and of a Gaussian reference.",
                f"Local dimension in {len(profile.n)} groups of as many digits, from the most central "
                f"({_number(profile.dimension[0])}) to the farthest out ({_number(profile.dimension[-1])}); a "
                f"Gaussian reference of the same covariance goes from {_number(foil.dimension[0])} to "
                f"{_number(foil.dimension[-1])}.",
            )
        )
    having = [str(d) for d, shape in shapes.items() if shape.has_arms]
    arms = len(whole.cloud.arms)
    tips = (
        f"The whole has {counted(arms, 'arm')}"
        + (" (one is the least there can be: the farthest point)" if arms == 1 else "")
        + f", the Gaussian reference {len(whole.foil.arms)}"
        + (f"; {MANY_ARMS} or more, and more than their Gaussian reference, have {listed(having)}." if having else ".")
        + ("" if having or not shapes else f" No class has {MANY_ARMS} or more and more than its Gaussian reference.")
        + f" An arm is a place of locally largest eccentricity that rises by {100 * PROMINENT:.0f} % of its range "
        "above the saddle to a farther one."
    )
    rows = list(_arm_rows(ground))
    facts["along_arms"] = [{"of": name, **arm} for name, arm, _ in rows]
    lead = (
        "From the centre of each class along the digits to its farthest tip"
        if shapes
        else "From the centre along the digits to each tip"
    )
    counts = [("all", ground.whole, ground.whole_places)]
    counts += [
        (f"densest {100 * x:.0f} %", s, ground.dense_places[x][s.cloud.ways.kept]) for x, s in ground.dense.items()
    ]
    facts["arms_by_density"] = [
        {"share": share, "digits": len(s.cloud.arms), "gaussian": len(s.foil.arms)}
        for share, s in ((1.0, whole), *ground.dense.items())
    ]
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


def _between_classes(ground: Ground, facts: dict[str, Any]) -> Iterable[Plate]:
    """The square of the ratios between classes, in the facts, and its figure where two classes have one."""
    assert ground.labels is not None
    labels, classes = ground.labels[ground.whole_places], list(ground.class_shapes)
    square = between(ground.whole.cloud.ways, labels, classes)
    facts["between_classes"] = {"classes": classes, "median": [each_rounded(row) for row in square]}
    known = np.flatnonzero(np.isfinite(np.diag(square)))
    if len(known) < 2:
        return
    names, square = [classes[i] for i in known], square[np.ix_(known, known)]
    within = np.diag(square)
    others = np.where(np.isfinite(square) & ~np.eye(len(names), dtype=bool), square, -np.inf)
    one, two = np.unravel_index(int(others.argmax()), others.shape)
    yield Plate(
        "geodesics",
        stretch_figure(square, names),
        "Ratio of geodesic to straight distance for each pair of classes.",
        f"How many times longer the geodesic is than the straight line, in {COARSE} principal components: within a "
        f"class {within.min():.1f} ({names[int(within.argmin())]}) to {within.max():.1f} "
        f"({names[int(within.argmax())]}), between classes up to {others.max():.1f} ({names[one]} and {names[two]}).",
    )


def between(ways: Ways, labels: Labels, classes: Sequence[int]) -> NDArray[np.float64]:
    """The median of geodesic over straight (C, C) for two classes, from either side; NaN where none was measured."""
    square = np.array([[ways.stretch(labels == a, labels == b) for b in classes] for a in classes])
    other = np.where(np.isfinite(square.T), square.T, square)
    return (np.where(np.isfinite(square), square, other) + other) / 2


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
        profile = along(cloud, arm, bins=3)
        shown = path[np.linspace(0, len(path) - 1, min(len(path), SHOWN)).round().astype(int)]
        images = ground.scene.images[ground.places[places[shown]]]
        ends = tuple(
            f"{what} {_number(values[0])} → {_number(values[-1])}"
            for what, values in (
                ("eccentricity", profile.eccentricity),
                ("dimension", profile.dimension),
                ("neighbours within", profile.reach),
            )
        )
        strip = Strip(images, f"{name}, from the centre to the tip", name, f"{len(path) - 1} steps", ends)
        yield name, profile.as_dict(), strip


def _number(value: float, decimals: int = 1) -> str:
    return f"{value:.{decimals}f}" if np.isfinite(value) else "–"


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
    # How far a digit is from its nearest: a walk through digits cannot be much nearer to those that it leaves out.
    typical = float(np.median(np.linalg.norm(vectors - vectors[ground.near.places[:, 0]], axis=1)))
    # Not at most: both begin and end at the same digits, which may be the farthest off.
    halfway = {name: (float(np.median(w.from_walk)), float(np.median(w.from_blend))) for name, w in found.items()}
    farther = sum(blend > walk for walk, blend in halfway.values())
    times = float(np.median([blend / walk for walk, blend in halfway.values()]))
    grey = [
        float(np.median([w.max() for w in each]))
        for each in ([w.grey_walk for w in found.values()], [w.grey_blend for w in found.values()])
    ]
    said = (
        f"In {farther} of {counted(len(found), 'pair')} the straight blend is farther than the walk from the nearest "
        f"digit that is not on the walk (medians along the way; typically {times:.2f} times as far); at its greyest "
        f"{percent(grey[1], 0)} of its ink is neither light nor dark, on the walk {percent(grey[0], 0)}."
    )
    facts = {
        "pairs": {
            name: {
                "digits_on_walk": len(w.places),
                "median_from_digit": {"walk": rounded(halfway[name][0]), "blend": rounded(halfway[name][1])},
                "farthest_from_digit": {
                    "walk": rounded(float(w.from_walk.max())),
                    "blend": rounded(float(w.from_blend.max())),
                },
                "greyest": {"walk": rounded(float(w.grey_walk.max())), "blend": rounded(float(w.grey_blend.max()))},
            }
            for name, w in found.items()
        },
        "neighbour_distance_median": rounded(typical),
    }
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
                (f"{counted(len(w.places), 'digit')}, {halfway[name][0]:.1f} off",),
            )
        )
        rows.append(Strip(blend, f"blend, {name}", "", "blend", (f"{halfway[name][1]:.1f} off",)))
    plate = Plate(
        "walks",
        walks_figure(found, typical),
        "Distance to the nearest digit along walks and along blends.",
        f"Distance (a pixel of full ink is 1) to the nearest of {counted(len(ground), 'digit')}, those of the walk "
        f"left out: the blend is farther off, in the median of the way, in {farther} of {len(found)}. Between digits "
        f"of a walk too there is a blend, of near ones; dashed: how far apart neighbours are, {typical:.1f} in the "
        "middle.",
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
    facts: dict[str, Any] = graph.as_dict() | {"gaussian": foil.as_dict()}
    if labels is not None:
        own_share = [float((labels[m] == d).mean()) for m, d in zip(graph.members, majority, strict=True)]
        facts["most_frequent_class_share"] = rounded(float(np.average(own_share, weights=sizes)))
    held = len(graph.covered()) / len(points)
    said = (
        f"Seen through their eccentricity, {percent(held, 0)} of {counted(len(points), 'digit')} form a Mapper graph "
        f"of {counted(len(graph), 'node')} in {counted(graph.components, 'component')}, with "
        f"{counted(len(graph.branches), 'branch', 'branches')} and {counted(graph.loops, 'loop')}; that of the "
        f"Gaussian cloud has {counted(len(foil), 'node')} and {counted(len(foil.branches), 'branch', 'branches')}."
    )
    blocks: list[str | Plate] = [prose(said)]
    blocks.append(
        Plate(
            "mapper",
            mapper_figure(graph, at, ground.scene.images[ground.places[places[middles]]], majority, sizes),
            "The Mapper graph with a digit on each node.",
            "The Mapper graph: on each node a digit of its most frequent class, from the middle of it, with a frame "
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
            "Nodes are clusters (DBSCAN) of digits that are about equally far from all others; two are linked if they "
            "share digits. They are drawn where they lie in the two widest directions of the geodesics. The rest of "
            "the digits lie too sparsely to be in a cluster. How many branches there are depends on the windows and "
            "the reach that are set: they are read as a picture, and the verdict does not count them."
        )
    )
    return Part(facts, tuple(blocks), (said,))


def _wide_view(lengths: NDArray[np.float64], sources: NDArray[np.int64]) -> NDArray[np.float64]:
    """Two coordinates (N, 2) whose distances are the geodesics (S, N) as nearly as two can.

    Landmark MDS: V. de Silva and J. Tenenbaum 2004.
    """
    squares = lengths[:, sources] ** 2
    centred = squares - squares.mean(axis=0) - squares.mean(axis=1)[:, None] + squares.mean()
    sizes, axes = np.linalg.eigh(-centred / 2)
    weights = axes[:, -2:][:, ::-1] / np.sqrt(np.maximum(sizes[-2:][::-1], np.finfo(np.float64).tiny))
    weights *= np.sign(weights[np.abs(weights).argmax(axis=0), [0, 1]])
    return np.asarray(-(lengths.T**2 - squares.mean(axis=0)) @ weights / 2)

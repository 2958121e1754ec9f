"""Blobs or tentacles? The topology of the digits: loops, components, geodesics, arms, and what they come to.

>>> for part in CHAPTER.parts.values():
...     print(*part(scene).said)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...measure import wilson_interval
from ..report import Strip, counted, listed, percent, prose, strips, subheading, table, terms
from ..score import rounded
from .chapter import CannotSayError, Chapter, Part, Plate, headed
from .density import CORE_K, LEAST
from .homology import KEPT, Persistence
from .loops import HOLES_OF, LEVELS, SMALLEST, count_loops, holes, holes_as_dict
from .scene import COARSE, Scene
from .shape_figures import density_figure, loops_figure, persistence_figure
from .shape_ground import Ground
from .shape_verdict import at_whole, paragraph
from .shape_ways import SHOWN, geodesics, mapper, walks

NAMED = 0.05  # of a density component: a class with that share of it is named


def strokes(scene: Scene) -> Part:
    """Holes in the strokes of each image."""
    found = holes(scene.images)
    rule = (
        f"A hole is paper enclosed by ink, of at least {SMALLEST} pixels at any of {len(LEVELS)} levels of what "
        "counts as ink, the lightest of which bridges gaps in a faint stroke; both numbers were chosen on MNIST's "
        "training digits."
    )
    if scene.labels is None:
        counts = np.bincount(np.minimum(found, 2), minlength=3)
        said = (
            f"{counts[0]:,} of {counted(len(scene), 'digit')} have no hole in their strokes, {counts[1]:,} have one, "
            f"{counts[2]:,} two or more; without labels this cannot be held against the classes."
        )
        return Part({"holes": holes_as_dict(counts)}, (prose(said, rule),), (said,))
    counted_all = count_loops(found, scene.labels)
    facts = counted_all.as_dict()
    start, by_part = 0, {}
    for name, digits in scene.parts.items():
        rows = slice(start, start + len(digits))
        start += len(digits)
        by_part[name] = count_loops(found[rows], scene.labels[rows])
    if len(by_part) > 1:
        facts["parts"] = {name: part.as_dict() for name, part in by_part.items()}
    if not counted_all.n:
        raise CannotSayError("Only fours are given, which may be open or closed: loops need another class.")
    low, high = wilson_interval(counted_all.right, counted_all.n)
    said = (
        f"{percent(counted_all.accuracy, 1)} of the digits other than 4 ({100 * low:.1f} to {percent(high, 1)}) have "
        "as many loops in their strokes as their class should: one for 0, 6 and 9, two for 8, none for 1, 2, 3, 5 and "
        "7."
    )
    tested = by_part.get("test")
    held = (
        f"On those of the test digits, on which nothing was chosen, it is {percent(tested.accuracy, 1)}."
        if tested and len(by_part) > 1
        else ""
    )
    shares = counted_all.shares()
    present = [d for d in range(10) if np.isfinite(shares[d, 0]) and HOLES_OF[d] is not None]
    worst = sorted(present, key=lambda d: shares[d, HOLES_OF[d] or 0])[:2]
    misses = "The rule fails most for " + listed(
        [f"{d} ({percent(1 - shares[d, HOLES_OF[d] or 0], 0)})" for d in worst]
    )
    curls = ": a 2 with a curl does have a loop, a 6 or 9 left open has none, and an 8 left open at one end has one."
    misses += curls if {2, 8} & set(worst) else "."
    plate = Plate(
        "loops",
        loops_figure(counted_all),
        "Share of each class without a hole, with one, and with two or more.",
        f"Loops in the strokes of {counted(len(scene), 'digit')} by class.",
    )
    others = list(_exceptions(scene, found))
    shown = (subheading("Digits with other loops than their class"), strips(others)) if others else ()
    return Part(facts, (prose(said, held), plate, prose(misses, rule), *shown), (said,))


def _exceptions(scene: Scene, found: NDArray[np.int64]) -> Iterable[Strip]:
    assert scene.labels is not None
    for digit, expected in enumerate(HOLES_OF):
        own = scene.labels == digit
        if expected is None or not own.any():
            continue
        other = np.flatnonzero(own & (np.minimum(found, 2) != expected))
        if len(other):
            rng = scene.rng(f"shape, exceptions of {digit}")
            chosen = np.sort(rng.permutation(other)[:SHOWN])
            loops = ("no loop", "one loop", "two loops")
            yield Strip(
                scene.images[chosen],
                f"{digit} with other loops than expected",
                f"{digit}, not with {loops[expected]}",
                percent(len(other) / own.sum(), 1),
                (f"{len(other):,} of {int(own.sum()):,}",),
            )


def homology(scene: Scene) -> Part:
    """Persistent homology of each class and of the whole."""
    ground = Ground.of(scene)
    found = ground.persistence
    whole = found["all"]
    looped = [name for name, each in found.items() if each.loops]
    apart = [name for name, each in found.items() if each.components > 1]
    n = len(found)
    said = _several(found, looped, apart) if n > 1 else _single(whole)
    fewer = ", fewer for a class" if n > 1 else ""
    how = (
        f"Each cloud is {whole.landmarks} landmarks spread over the densest {100 * KEPT:.0f} % of {whole.points:,} "
        f"digits drawn from all{fewer}. Distances are those in {COARSE} principal components. The grey band is twice "
        "the distance that a digit may have to its nearest landmark in 95 % of resamples: a cloud without loops shows "
        "none above it. It is wide, for in many dimensions a few hundred landmarks lie far apart; the orange line is "
        "less strict: the longest loop of Gaussian clouds of the same covariance, which have none."
    )
    rows = [
        (
            name,
            f"{each.components}",
            f"{each.loops}",
            f"{each.longest:.2f}",
            f"{np.median(each.null_longest):.2f} / {each.null_longest.max():.2f}",
            f"{each.chance:.2f}",
            f"{each.band:.1f}",
        )
        for name, each in found.items()
    ]
    head = ("cloud", "components", "loops", "longest loop", "Gaussian: median / longest", "p", "band")
    plate = Plate(
        "persistence",
        persistence_figure(found),
        "Persistence of loops, a panel for each class and one for all digits, with the confidence band.",
        f"Loops of {counted(n, 'cloud')}, each a dot: {_above(looped, n)} stands out of the grey 95 % band, which "
        "reaches up to the number in it; the orange line is the longest loop of Gaussian clouds. Distances in "
        f"{COARSE} principal components.",
    )
    caption = "Components and loops above the band, and the longest loop against Gaussian clouds"
    facts: dict[str, Any] = {"all": whole.as_dict()}
    if n > 1:
        facts["by_class"] = {name: each.as_dict() for name, each in found.items() if name != "all"}
    return Part(facts, (prose(said), plate, prose(how), table(head, rows, caption=caption)), (said,))


def _single(whole: Persistence) -> str:
    loops = "shows a loop" if whole.loops else "shows no loop"
    apart = "falls into several components" if whole.components > 1 else "does not fall into several components"
    longer = "longer than any" if whole.longer_than_chance else "no longer than the longest"
    return (
        f"The cloud {loops} above the 95 % band, and {apart}; its longest loop lasts {longer} of "
        f"{len(whole.null_longest)} Gaussian clouds (p = {whole.chance:.2f})."
    )


def _several(found: Mapping[str, Persistence], looped: list[str], apart: list[str]) -> str:
    n, nulls = len(found), len(found["all"].null_longest)
    longer = sum(each.longer_than_chance > 0 for each in found.values())
    split = _none_or(apart, n)
    return (
        f"{_none_or(looped, n)} shows a loop above the 95 % band, and {split[0].lower() + split[1:]} falls into "
        f"several components; in {longer} of {n} the longest loop lasts longer than in any of {nulls} Gaussian "
        f"clouds, which chance alone would do in {n / (1 + nulls):.2g}."
    )


def _none_or(names: list[str], n: int) -> str:
    if not names:
        return f"None of {counted(n, 'cloud')}"
    return f"The cloud of {listed(names)}" if len(names) == 1 else f"Each of {len(names)} clouds ({listed(names)})"


def _above(names: list[str], n: int) -> str:
    if not names:
        return "none"
    return "one" if n == 1 else f"in {len(names)} of {n} one"


def density(scene: Scene) -> Part:
    """How many density components there are by how dense a place must be."""
    ground = Ground.of(scene)
    levels = ground.levels
    most = max(levels, key=lambda level: (level.large, level.share))
    nearly = at_whole(levels)
    together = min(1.0, nearly.sizes[0] / (nearly.share * len(ground))) if nearly.sizes else 0.0
    facts: dict[str, Any] = {
        "levels": [
            {"share": x.share, "radius": rounded(x.radius), "large_components": x.large, "sizes": x.sizes}
            for x in levels
        ],
        "most_large_components": most.large,
        "largest_of_densest": {"share": nearly.share, "holds": rounded(together)},
    }
    where = f", which is among the densest {100 * most.share:.0f} %" if most.large > 1 else ""
    said = (
        f"At no level do the digits fall into more than {counted(most.large, 'large density component')} "
        f"({100 * LEAST:.0f} % of the digits or more){where}; of the densest {100 * nearly.share:.0f} %, "
        f"{percent(together, 1)} hang together."
    )
    blocks: list[str | Plate] = [prose(said)]
    blocks.append(
        Plate(
            "density-components",
            density_figure(levels),
            "Number of large density components, and the share of digits in them, by level of density.",
            f"Above, the density components with at least {100 * LEAST:.0f} % of the digits, {most.large} at most; "
            "below, the digits in the largest (blue), in the other large ones (orange), and all that count (dashed). "
            f"Density is that in {COARSE} principal components.",
        )
    )
    if ground.labels is not None and most.large > 1:
        inside = [np.bincount(ground.labels[most.component == i], minlength=10) for i in range(most.large)]
        held = [
            {
                d: float(counts[d] / size)
                for d in np.argsort(-counts, kind="stable").tolist()
                if counts[d] >= NAMED * size
            }
            for counts, size in zip(inside, most.sizes, strict=True)
        ]
        facts["classes_in_them"] = [
            {"digits": size, "by_class": {str(d): rounded(share) for d, share in shares.items()}}
            for size, shares in zip(most.sizes, held, strict=True)
        ]
        rows = [
            (f"no. {i + 1}", f"{size:,}", ", ".join(f"{d} ({percent(share, 0)})" for d, share in shares.items()))
            for i, (size, shares) in enumerate(zip(most.sizes, held, strict=True))
        ]
        caption = f"What the large components among the densest {100 * most.share:.0f} % hold"
        blocks.append(table(("component", "digits", f"classes ({100 * NAMED:.0f} % or more)"), rows, caption=caption))
    blocks.append(
        prose(
            "Two digits are joined that are neighbours within the radius in which the sparsest that counts has "
            f"{CORE_K} others, as DBSCAN* does, but each with its {ground.near.k} nearest at most: there can be more "
            "components than DBSCAN* has, not fewer. One level for all cannot show components of unequal density at "
            "once, which is why many are asked; that of all digits, where the farthest outlier sets the radius, says "
            "nothing."
        )
    )
    return Part(facts, tuple(blocks), (said,))


def verdict(scene: Scene) -> Part:
    """What all of it comes to."""
    ground = Ground.of(scene)
    found, persistence = ground.verdict, ground.persistence
    repeats = ground.repeats
    said = paragraph(
        found,
        ground.whole,
        dense=ground.dense,
        branches=(len(ground.mapper.branches), len(ground.foil_mapper.branches)),
        repeats=repeats,
        homology=persistence,
        own_class=ground.own_class,
    )
    names = {"blobs": "blobs", "tentacles": "tentacles", "sheet": "one body"}
    tests = {
        t.asked: f"{t.found}. Speaks for {listed([names[f] for f in t.favours])}; {t.threshold}." for t in found.tests
    }
    facts = found.as_dict() | {"paragraph": " ".join(said), "other_samples": [r.as_dict() for r in repeats]}
    if ground.own_class is not None:
        facts["nearest_of_same_class"] = rounded(ground.own_class)
    return Part(facts, (prose(*said), subheading("The tests"), terms(tests)), (said[0],))


CHAPTER = Chapter(
    "shape",
    "Blobs or tentacles?",
    {
        "loops": headed("Loops in the strokes", strokes),
        "homology": headed("Loops of the cloud", homology),
        "density": headed("Density components", density),
        "geodesics": headed("Geodesics", geodesics),
        "walks": headed("Walks and blends", walks),
        "mapper": headed("A Mapper graph", mapper),
        "verdict": headed("What it comes to", verdict),
    },
)

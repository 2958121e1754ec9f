"""Blobs or tentacles? The topology of the digits: loops, components, arms, ways, and what they come to.

>>> for part in CHAPTER.parts.values():
...     print(*part(scene).said)
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from ...measure import wilson_interval
from ..report import Strip, counted, listed, percent, prose, strips, subheading, table, terms
from .chapter import CannotSayError, Chapter, Part, Plate, headed
from .loops import HOLES_OF, LEVELS, SMALLEST, count_loops, holes
from .scene import Scene
from .shape_figures import density_figure, loops_figure, persistence_figure
from .shape_ground import Ground
from .shape_verdict import paragraph
from .shape_ways import SHOWN, geodesics, mapper, walks


def strokes(scene: Scene) -> Part:
    """Holes in the strokes of each image."""
    found = holes(scene.images)
    rule = (
        f"A hole is paper enclosed by ink, of at least {SMALLEST} pixels at any of {len(LEVELS)} levels of what "
        "counts as "
        "ink, the lightest of which bridges gaps in a faint stroke; both numbers were chosen on MNIST's training "
        "digits."
    )
    if scene.labels is None:
        counts = np.bincount(np.minimum(found, 2), minlength=3)
        said = (
            f"{counts[0]:,} of {counted(len(scene), 'digit')} have no hole in their strokes, {counts[1]:,} have one, "
            f"{counts[2]:,} two or more; without labels this cannot be held against the classes."
        )
        return Part(
            {"holes": dict(zip(("0", "1", "2 or more"), counts.tolist(), strict=True))}, (prose(said, rule),), (said,)
        )
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
        f"{percent(counted_all.accuracy, 1)} of the digits ({100 * low:.1f} to {percent(high, 1)}) have as many "
        "loops in "
        f"their strokes as their class should: one for 0, 6 and 9, two for 8, none for 1, 2, 3, 5 and 7."
    )
    tested = by_part.get("test")
    held = (
        f"On the test digits, on which nothing was chosen, it is {percent(tested.accuracy, 1)}."
        if tested and len(by_part) > 1
        else ""
    )
    shares = counted_all.shares()
    present = [d for d in range(10) if np.isfinite(shares[d, 0]) and HOLES_OF[d] is not None]
    worst = sorted(present, key=lambda d: shares[d, HOLES_OF[d] or 0])[:2]
    misses = "The rule fails most for " + listed(
        [f"{d} ({percent(1 - shares[d, HOLES_OF[d] or 0], 0)})" for d in worst]
    )
    misses += ": a 2 with a curl does have a loop, and a 6, 8 or 9 left open has none." if {2, 8} & set(worst) else "."
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
    longer = [name for name, each in found.items() if each.longer_than_chance]
    n = len(found)
    said = (
        f"{_none_or(looped, n)} shows a loop above the 95 % band, and {_none_or(apart, n).lower()} falls into "
        "several components; "
        f"in {len(longer)} of {n} the longest loop lasts longer than in any of {len(whole.null_longest)} Gaussian "
        "clouds, "
        f"which chance alone would do in {n / (1 + len(whole.null_longest)):.1f}."
    )
    how = (
        f"Each cloud is {whole.landmarks} landmarks spread over the densest 80 % of {whole.points:,} digits drawn "
        "from all, "
        "fewer for a class, in 50 principal components. The grey band is twice the distance that a digit may have to "
        "its nearest "
        "landmark in 95 % of resamples: a cloud without loops shows none above it. It is wide, for in many "
        "dimensions a few hundred landmarks lie far "
        "apart; the orange line is less strict: the longest loop of Gaussian clouds of the same covariance, which "
        "have none."
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
        "reaches up to the number in it; the orange line is "
        f"the longest loop of Gaussian clouds.",
    )
    caption = "Components and loops above the band, and the longest loop against Gaussian clouds"
    facts = {name: each.as_dict() for name, each in found.items()}
    return Part(facts, (prose(said), plate, prose(how), table(head, rows, caption=caption)), (said,))


def _none_or(names: list[str], n: int) -> str:
    if not names:
        return f"None of {counted(n, 'cloud')}" if n > 1 else "The cloud never"
    return f"The cloud of {listed(names)}" if len(names) == 1 else f"Each of {len(names)} clouds ({listed(names)})"


def _above(names: list[str], n: int) -> str:
    return "none" if not names else f"in {len(names)} of {n} one"


def density(scene: Scene) -> Part:
    """How many crowds there are by how dense a place must be."""
    ground = Ground.of(scene)
    levels = ground.levels
    most = max(levels, key=lambda level: (level.large, level.share))
    every = levels[-1]
    facts = {
        "levels": [
            {"share": x.share, "radius": x.radius, "large components": x.large, "sizes": x.sizes} for x in levels
        ],
        "most large components": most.large,
    }
    said = (
        f"At no scale do the digits fall into more than {counted(most.large, 'large component')} (1 % of the digits "
        "or more)"
        f"{f', which is among the densest {100 * most.share:.0f} %' if most.large > 1 else ''}; of all of them "
        f"{percent(every.sizes[0] / len(ground), 1) if every.sizes else 'none'} hang together."
    )
    blocks: list[str | Plate] = [prose(said)]
    blocks.append(
        Plate(
            "density-components",
            density_figure(levels),
            "Number of large density components, and the share of digits in them, by level of density.",
            f"Above, the components with at least 1 % of the digits, {most.large} at most; below, the digits in the "
            "largest (blue), "
            f"in the other large ones (orange), and all that count (dashed).",
        )
    )
    if ground.labels is not None and most.large > 1:
        rows = []
        for number, size in enumerate(most.sizes):
            inside = np.bincount(ground.labels[most.component == number], minlength=10)
            classes = [d for d in np.argsort(-inside, kind="stable") if inside[d] >= 0.05 * size]
            rows.append(
                (f"no. {number + 1}", f"{size:,}", ", ".join(f"{d} ({percent(inside[d] / size, 0)})" for d in classes))
            )
        facts["classes in them"] = [{"digits": r[1], "classes": r[2]} for r in rows]
        caption = f"What the large components among the densest {100 * most.share:.0f} % hold"
        blocks.append(table(("component", "digits", "classes (5 % or more)"), rows, caption=caption))
    blocks.append(
        prose(
            "Two digits are joined that are neighbours within the radius in which the sparsest that counts has ten "
            "others (DBSCAN*). "
            "One level for all cannot show crowds of unequal density at once, which is why many are asked."
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
    facts = found.as_dict() | {"paragraph": " ".join(said), "on other samples": [r.as_dict() for r in repeats]}
    if ground.own_class is not None:
        facts["nearest neighbour of the same class"] = ground.own_class
    return Part(facts, (prose(*said), subheading("The tests"), terms(tests)), (said[0],))


CHAPTER = Chapter(
    "shape",
    "Blobs or tentacles?",
    {
        "loops in strokes": headed("Loops in the strokes", strokes),
        "homology": headed("Loops of the cloud", homology),
        "density": headed("Crowds", density),
        "geodesics": headed("Ways along the digits", geodesics),
        "walks": headed("Walks and blends", walks),
        "mapper": headed("A Mapper graph", mapper),
        "verdict": headed("What it comes to", verdict),
    },
)

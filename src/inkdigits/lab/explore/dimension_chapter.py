"""How many dimensions the digits have: along straight axes, near each digit, and through a narrow place.

>>> CHAPTER.parts["components"](open_scene("mnist")).facts["needed"]
{'0.90': 87, '0.95': 154, '0.99': 331}
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...digits.dataset import spaced
from ..report import Strip, counted, listed, percent, prose, strips, subheading
from ..score import rounded
from .chapter import CannotSayError, Chapter, Part, Plate
from .dimension_bent import autoencoder
from .dimension_figures import kept_figure, spectrum_figure
from .dimension_near import intrinsic
from .scene import Scene
from .spectrum import Kept, as_images, rebuilt, standing

SHARES = (0.90, 0.95, 0.99)
SHUFFLES = 3
SHOWN = (2, 4, 8, 16, 32, 64)  # components that digits are rebuilt from, and as many as keep 95 %
EXAMPLES = 10


def components(scene: Scene) -> Part:
    """The spectrum of principal components, against chance, and what digits look like in few of them."""
    own = scene.components
    kept = Kept.of(own)
    if kept.total == 0:
        raise CannotSayError("All images are the same, and components need something that varies.")
    needed = {share: own.needed(share) for share in SHARES}
    found = standing(scene.vectors, own, shuffles=SHUFFLES, rng=scene.rng("shuffles"))
    varying, first = len(found.variances), [found.share(place) for place in range(min(2, len(found.variances)))]
    counts = sorted({count for count in SHOWN if count < needed[0.99]} | {needed[0.95]})
    facts = {
        "pixels": len(kept.shares) - 1,
        "pixels_that_vary": varying,
        "needed": {f"{share:.2f}": count for share, count in needed.items()},
        "by_components": [
            {"components": count, "kept": rounded(float(kept.shares[count])), "error": rounded(kept.error(count))}
            for count in counts
        ],
        "standardised": {
            "first_two": [rounded(share) for share in first],
            "more_than_shuffled": found.above_chance,
            "shuffles": SHUFFLES,
            "more_than_edge": found.above_edge,
            "edge": rounded(found.edge),
        },
    }
    shares = listed([f"{count:,} keep {percent(share, 0)}" for share, count in needed.items()])
    real = counted(found.above_chance, "component is", "components are")
    pair = listed([percent(share, 1) for share in first])
    blocks = (
        prose(
            f"Of the {len(kept.shares) - 1} principal components {shares} of the variance.",
            "That counts the directions of a flat space that holds the digits, not the ways in which a digit can vary.",
        ),
        Plate(
            "dimension-kept",
            kept_figure(kept, needed),
            alt=f"The share of the variance kept rises with the number of components: {shares}.",
            caption=f"How much of the variance the first components keep: {shares}.",
        ),
        prose(
            f"How many are more than chance? With each of the {counted(varying, 'pixel')} that vary given the same "
            f"variance, {real} larger than where every pixel is shuffled on its own (the largest of {SHUFFLES} "
            f"shuffles, rank by rank: Horn 1965). {found.above_edge:,} exceed {found.edge:.2f}, the most that "
            "independent normal noise would have (Marchenko and Pastur 1967).",
            f"The first {'two then hold' if len(first) == 2 else 'then holds'} {pair} of the variance"
            + (": a plane shows little of the digits." if sum(first) < 0.2 else "."),
        ),
        Plate(
            "dimension-spectrum",
            spectrum_figure(found),
            alt="The components' variances fall; those of shuffled pixels hardly do, and are less than the first.",
            caption=(
                f"Each component's variance, in units of one pixel's, beside what shuffling the pixels leaves of it: "
                f"{real} more than chance."
            ),
        ),
        subheading("Digits from few components"),
        strips(_rebuilt_rows(scene, kept, counts)),
        prose(
            "On the right the share of the variance that so many components keep; below, by how much a pixel is off, "
            "as root mean square, where paper is 0 and ink is 1."
        ),
    )
    said = f"Of the principal components {shares} of the variance; {real} more than chance."
    return Part(facts, blocks, (said,))


def _rebuilt_rows(scene: Scene, kept: Kept, counts: list[int]) -> list[Strip]:
    chosen = _examples(scene)
    rows = [
        Strip(
            as_images(rebuilt(scene.vectors[chosen], scene.components, count)),
            alt=f"digits rebuilt from {counted(count, 'principal component')}",
            title=counted(count, "component"),
            figure=percent(float(kept.shares[count]), 1),
            lines=(f"a pixel is {kept.error(count):.3f} off",),
        )
        for count in counts
    ]
    return [*rows, Strip(scene.images[chosen], alt="the same digits as they are", title="the digits", figure="100 %")]


def _examples(scene: Scene) -> NDArray[np.intp]:
    """The first digit of each class, or evenly spaced ones where there are no classes."""
    if scene.labels is None or len(np.unique(scene.labels)) < 2:
        return spaced(len(scene), EXAMPLES)
    return np.unique(scene.labels, return_index=True)[1]


CHAPTER = Chapter(
    "dimension",
    "How many dimensions?",
    {"components": components, "intrinsic": intrinsic, "autoencoder": autoencoder},
)

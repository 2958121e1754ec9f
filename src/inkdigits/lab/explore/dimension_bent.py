"""Bent against straight: what an autoencoder keeps of unseen digits, and what as many principal components do.

>>> row = autoencoder(open_scene("mnist", quick=True)).facts["by_dimensions"][2]
>>> row["dimensions"], row["components"]["value"], row["autoencoder"]["value"]
(8, 0.0377475, 0.0262372)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...digits.dataset import spaced
from ..report import Strip, counted, listed, percent, prose, strips, subheading, table
from ..score import rounded
from .chapter import CannotSayError, Part, Plate
from .dimension import distinct
from .dimension_figures import rebuilding_figure
from .scene import Components, Scene, components_of
from .spectrum import as_images, rebuilt

CODES = (2, 4, 8, 16, 32)
NAMED = 8  # the code that captions speak of
STRIP = (2, 8, 32)  # codes whose digits are shown
STEPS, QUICK_STEPS = 1_200, 100
PASSES = 60  # through the digits at most, which bounds the steps where there are few
LEARNT_FROM, HELD_OUT = 250, 50  # the fewest digits for an autoencoder, and to measure it on
EXAMPLES = 10

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Rebuilding:
    """Errors (M,) of unseen digits that were squeezed into `code` numbers: mean squares over the pixels, ink being 1.

    straight, clipped: by principal components, plain and cut off at paper and ink; bent: by the autoencoder.
    as_good: how many components it takes to be as good as that.
    """

    code: int
    straight: Floats
    clipped: Floats
    bent: Floats
    as_good: int

    def as_dict(self) -> dict[str, Any]:
        return {
            "dimensions": self.code,
            "components": _mean(self.straight),
            "components_clipped": _mean(self.clipped),
            "autoencoder": _mean(self.bent),
            "as_good_components": self.as_good,
        }


def _mean(errors: Floats) -> dict[str, Any]:
    value, half = float(errors.mean()), 1.96 * float(errors.std(ddof=1)) / len(errors) ** 0.5
    return {"value": rounded(value), "interval95": [rounded(value - half), rounded(value + half)]}


def autoencoder(scene: Scene) -> Part:
    """What digits held out lose through few dimensions, along curves that were learnt and along straight axes."""
    learnt_from, held = held_out(scene)
    if len(learnt_from) < LEARNT_FROM or len(held) < HELD_OUT:
        needed, count = LEARNT_FROM + max(HELD_OUT, LEARNT_FROM // 4), len(learnt_from) + len(held)
        there = "is only one" if count == 1 else f"are {count}"
        raise CannotSayError(f"An autoencoder needs about {needed} digits that differ; there {there}.")
    from ...nets.autoencoder import SETTINGS, Start, squeeze

    train, tested = scene.vectors[learnt_from], scene.vectors[held]
    own = components_of(train)
    start = Start(own.mean, own.axes, own.variances)
    steps = min(QUICK_STEPS if scene.quick else STEPS, PASSES * len(train) // SETTINGS.batch)
    left = left_over(tested, own)
    chosen = _examples(scene, held)
    rows, shown = [], []
    for code in CODES:
        bent = squeeze(train, tested, start, code=code, steps=steps, seed=scene.seed, threads=scene.threads)
        straight = rebuilt(tested, own, code)
        errors = _squares(bent, tested)
        as_good = int(np.argmax(left <= errors.mean()))
        clipped = _squares(np.clip(straight, 0, 1), tested)
        rows.append(Rebuilding(code, _squares(straight, tested), clipped, errors, as_good))
        if code in STRIP:
            for vectors, name in ((straight, "components"), (bent, "autoencoder")):
                keeps = 1 - float(_squares(vectors, tested).mean() / left[0])
                title, alt = f"{code}, {name}", f"digits rebuilt from {code} numbers: {name}"
                shown.append(Strip(as_images(vectors[chosen]), alt, title, percent(keeps, 1)))
    shown.append(Strip(scene.images[held[chosen]], "the same digits as they are", "the digits", "100 %"))
    facts = {
        "learnt_from": len(train),
        "held_out": len(tested),
        "steps": steps,
        "variance": rounded(float(left[0])),
        "by_dimensions": [row.as_dict() for row in rows],
    }
    middle = rows[CODES.index(NAMED)]
    lost = {name: percent(errors.mean() / left[0], 0) for name, errors in _both(middle)}
    blocks = (
        subheading("Through a narrow place"),
        prose(*_words(rows, len(train), len(tested))),
        Plate(
            "dimension-autoencoder",
            rebuilding_figure(
                CODES,
                np.array([row.straight.mean() for row in rows]) / left[0],
                np.array([row.bent.mean() for row in rows]) / left[0],
            ),
            alt="The share of the variance lost falls with the dimensions, for the autoencoder and for components.",
            caption=(
                f"What unseen digits lose of their variance: squeezed into {NAMED} numbers, {lost['autoencoder']} by "
                f"the autoencoder and {lost['components']} by principal components."
            ),
        ),
        table(
            ["numbers", "components", "cut off", "autoencoder", "as good as"],
            [
                [
                    str(row.code),
                    *(f"{errors.mean():.4f}" for errors in (row.straight, row.clipped, row.bent)),
                    str(row.as_good),
                ]
                for row in rows
            ],
            caption=(
                f"Mean squared error of a pixel, paper 0 and ink 1, over {counted(len(tested), 'unseen digit')}; cut "
                "off: with the components' pixels kept between paper and ink; as good as: the components it takes to "
                "equal the autoencoder."
            ),
        ),
        strips(shown),
        prose("On the right the share of the variance that is kept."),
    )
    said = f"Squeezed into {NAMED} numbers, an autoencoder loses {lost['autoencoder']} of the variance of unseen digits"
    said += f", {NAMED} principal components {lost['components']}."
    return Part(facts, blocks, (said,))


def held_out(scene: Scene) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Places of distinct digits to learn from and of those to measure on: the source's parts, or else a fifth of all.

    A digit of the test part that the training part has too is in neither.
    """
    places = distinct(scene.images)
    if list(scene.parts) == ["train", "test"]:
        border = len(scene.parts["train"])
        learnt_from, held = places[places < border], places[places >= border]
        if len(learnt_from) >= LEARNT_FROM and len(held) >= HELD_OUT:
            return learnt_from, held
    shuffled = scene.rng("held out").permutation(places)
    return np.sort(shuffled[len(places) // 5 :]), np.sort(shuffled[: len(places) // 5])


def left_over(tested: NDArray[np.float32], own: Components) -> Floats:
    """The mean squared error of a pixel (D + 1,) of vectors (M, D) rebuilt from 0, 1, … all components."""
    along = own.project(tested, len(own.axes)).astype(np.float64)
    powers = (along**2).mean(axis=0) / len(own.axes)
    return np.append(powers[::-1].cumsum()[::-1], 0.0)


def _squares(made: NDArray[np.float32], meant: NDArray[np.float32]) -> Floats:
    return np.asarray(((made - meant) ** 2).mean(axis=1, dtype=np.float64))


def _examples(scene: Scene, held: NDArray[np.intp]) -> NDArray[np.intp]:
    """Which of those held out are shown: the first of each class, or evenly spaced ones."""
    if scene.labels is None or len(np.unique(scene.labels[held])) < 2:
        return spaced(len(held), EXAMPLES)
    return np.unique(scene.labels[held], return_index=True)[1]


def _both(row: Rebuilding) -> tuple[tuple[str, Floats], ...]:
    return ("components", row.straight), ("autoencoder", row.bent)


def _words(rows: Sequence[Rebuilding], learnt_from: int, tested: int) -> list[str]:
    behind = [str(row.code) for row in rows if row.bent.mean() >= row.straight.mean()]
    ahead = [row for row in rows if str(row.code) not in behind]
    words = [
        f"A small autoencoder learns from {learnt_from:,} digits to squeeze each into a few numbers and to rebuild it "
        "from them, along curves where principal components go straight. Both are measured on "
        f"{counted(tested, 'digit')} that neither has seen."
    ]
    if ahead:
        words.append(
            f"From {listed([str(row.code) for row in ahead])} numbers it rebuilds them as well as "
            f"{listed([str(row.as_good) for row in ahead])} principal components do."
        )
    if behind:
        words.append(
            f"From {listed(behind)} it does no better than as many components: so few digits teach too little."
        )
    else:
        words.append("So the digits lie along something bent, of fewer dimensions than the flat space that holds it.")
    return words

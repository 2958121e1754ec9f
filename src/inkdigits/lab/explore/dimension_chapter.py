"""How many dimensions the digits have: along straight axes, near each digit, and through a narrow place.

>>> part = intrinsic(open_scene("mnist", quick=True))
>>> part.facts["overall"]["ml10"]
{'value': 12.3, 'interval95': [12.1, 12.5]}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...digits.dataset import Images, Labels, pixel_hashes, spaced
from ..report import Strip, counted, percent, prose, strips, subheading, table
from .chapter import CannotSayError, Chapter, Part, Plate
from .dimension import KS, NEAREST, Estimate, Floats, as_of_noise, estimates_of, noise, surroundings
from .dimension_figures import DRAWN, estimates_figure, kept_figure, rebuilding_figure, spectrum_figure
from .scene import Components, Scene, components_of
from .spectrum import Kept, Standing, rebuilt, standing

SHARES = (0.90, 0.95, 0.99)
SHUFFLES = 3
SHOWN = (2, 4, 8, 16, 32, 64)  # components that digits are rebuilt from, and as many as keep 95 %

TRUE = (2, 5, 10, 15, 20, 25)  # dimensions of the noise
ASKED, QUICK_ASKED = 5_000, 2_000  # digits whose neighbours are looked at
OF_CLASS, QUICK_OF_CLASS = 1_000, 500  # of one class
OF_NOISE = 2_000
PAIRED = 0.4  # the share of them that the correlation integral takes, which needs their distances to all
FEWEST = 100  # distinct digits, below which an estimate says nothing

CODES = (2, 4, 8, 16, 32)
STEPS, QUICK_STEPS = 1_200, 150
LEARNT_FROM, HELD_OUT = 250, 50  # the fewest digits for an autoencoder, and to measure it on
PASSES = 60  # through the digits at most, which bounds the steps where there are few
STRIP = (2, 8, 32)  # codes whose digits are shown

NAMES = {
    "twonn": "TwoNN",
    **{f"ml{k}": f"maximum likelihood, {k} neighbours" for k in KS},
    "correlation": "correlation",
}


def components(scene: Scene) -> Part:
    """The spectrum of principal components, against chance, and what digits look like in few of them."""
    kept = Kept.of(scene.components)
    if kept.total == 0:
        raise CannotSayError("All images are the same, so there is no variance to divide among components.")
    found = standing(scene.vectors, scene.components, shuffles=SHUFFLES, rng=scene.rng("shuffles"))
    needed = {share: kept.needed(share) for share in SHARES}
    first = [found.share(place) for place in range(min(2, len(found.variances)))]
    counts = [count for count in (*SHOWN, needed[0.95]) if count <= needed[SHARES[-1]]] or [1]
    counts = sorted(set(counts))
    rows = [{"components": count, "kept": float(kept.shares[count]), "error": kept.error(count)} for count in counts]
    facts = {
        "pixels": len(kept.shares) - 1,
        "pixels_that_vary": len(found.variances),
        "needed": {f"{share:.2f}": count for share, count in needed.items()},
        "by_components": rows,
        "standardised": {
            "first_two": first,
            "more_than_shuffled": found.above_chance,
            "shuffles": SHUFFLES,
            "more_than_edge": found.above_edge,
            "edge": found.edge,
        },
    }
    counted_shares = _listed([f"{count:,} keep {percent(share, 0)}" for share, count in needed.items()])
    straight = (
        f"Of the {len(kept.shares) - 1} principal components {counted_shares} of the variance. That counts the "
        "directions of a flat space in which the digits lie, and so is the most that they can need."
    )
    varying = len(found.variances)
    chance = (
        f"Most of these are real. With each of the {varying} pixels that vary given the same variance, "
        if found.above_chance > needed[SHARES[0]]
        else f"Of the {varying} pixels that vary, each given the same variance, "
    )
    chance += (
        f"{counted(found.above_chance, 'component is', 'components are')} larger than where every pixel is shuffled "
        f"on its own (the largest of {SHUFFLES} shuffles, rank by rank: Horn 1965), and {found.above_edge:,} exceed "
        f"{found.edge:.2f}, the most that independent normal noise would have (Marchenko and Pastur 1967)."
    )
    pair = " and ".join(percent(share, 1) for share in first)
    flat = f"The first {'two then hold' if len(first) == 2 else 'then holds'} {pair} of the variance" + (
        ": a plane shows little of the digits." if sum(first) < 0.2 else "."
    )
    chosen = _examples(scene)
    vectors = scene.vectors[chosen]
    pictures = [
        Strip(
            _as_images(rebuilt(vectors, scene.components, row["components"])),
            alt=f"digits rebuilt from {row['components']} principal components",
            title=counted(row["components"], "component"),
            figure=percent(row["kept"], 1),
            lines=(f"a pixel is {row['error']:.3f} off",),
        )
        for row in rows
    ]
    pictures.append(Strip(scene.images[chosen], alt="the same digits as they are", title="the digits", figure="100 %"))
    blocks = (
        prose(straight),
        Plate(
            "dimension-kept",
            kept_figure(kept, SHARES),
            alt=f"The share of the variance kept rises with the number of components: {counted_shares}.",
            caption=f"How much of the variance the first components keep: {counted_shares}.",
        ),
        prose(chance, flat),
        Plate(
            "dimension-spectrum",
            spectrum_figure(found),
            alt="The variances of the components fall; those of shuffled pixels hardly do, and lie below the first ones.",
            caption=(
                f"Each component's variance, in units of one pixel's, and what is left of it when the {varying} pixels "
                f"are shuffled: the first {found.above_chance:,} are more than chance."
            ),
        ),
        subheading("Digits from few components"),
        strips(pictures),
        prose(
            "On the right the share of the variance that so many components keep; below, how far a pixel is off, as "
            "root mean square, where paper is 0 and ink is 1."
        ),
    )  # fmt: skip
    said = f"{counted_shares} of the variance; {found.above_chance:,} components are more than chance."
    return Part(facts, blocks, (said[0].upper() + said[1:] if said[0].isalpha() else f"Of the components {said}",))


def _examples(scene: Scene) -> NDArray[np.intp]:
    """The first digit of each class, or ten that are evenly spaced."""
    if scene.labels is None or len(np.unique(scene.labels)) < 2:
        return spaced(len(scene), 10)
    return np.unique(scene.labels, return_index=True)[1]


def _as_images(vectors: NDArray[np.float32]) -> Images:
    return np.round(255 * np.clip(vectors, 0, 1)).astype(np.uint8).reshape(-1, 28, 28)


Estimates = dict[str, Estimate]


def intrinsic(scene: Scene) -> Part:
    """The dimension near the digits by several estimators, of all and of each class, beside noise of known dimension."""
    places = distinct(scene.images)
    if len(places) < FEWEST:
        raise CannotSayError(
            f"The dimension near a digit needs {FEWEST} digits that differ; there {_are(len(places))}."
        )
    points = scene.vectors[places]
    asked = _drawn(scene, "intrinsic", len(points), QUICK_ASKED if scene.quick else ASKED)
    near = surroundings(points, asked, paired=_paired(len(asked)))
    overall = estimates_of(near, scene.rng("intrinsic intervals"))
    if not all(np.isfinite(estimate.value) for estimate in overall.values()):
        raise CannotSayError(
            "Most digits are equally far from all their neighbours, and such distances say nothing of a dimension."
        )
    labels = None if scene.labels is None else scene.labels[places]
    by_class = _by_class(scene, points, labels)
    typical = int(np.median([np.sum(labels == label) for label in by_class])) if by_class and labels is not None else 0
    of_noise = {count: _of_noise(scene, count) for count in (len(points), typical) if count}
    alike = {name: _alike(overall, of_noise[len(points)], name) for name in overall}
    close = _close_share(near.inside[:, -1], asked, labels)
    facts = {
        "distinct": len(points),
        "asked": len(asked),
        "overall": _facts(overall),
        "as_of_noise": alike,
        "by_digit": {str(label): _facts(found) for label, found in by_class.items()},
        "noise": {
            str(count): {str(true): _facts(found) for true, found in of_true.items()}
            for count, of_true in of_noise.items()
        },
        "close_pairs": close,
    }
    blocks: list[str | Plate] = [
        prose(*_overall_words(overall, len(asked), len(points))),
        Plate(
            "dimension-noise",
            estimates_figure(
                [("the digits", overall, None)]
                + [(f"noise of {true}", found, true) for true, found in of_noise[len(points)].items()],
                heavy=1,
            ),
            alt="Estimates of the dimension of the digits, and of noise of known dimensions beside the true values.",
            caption=(
                f"What three estimators say of the digits and of as many points of noise: {_noise_short(of_noise[len(points)])}."
            ),
        ),
        prose(*_noise_words(of_noise, alike, len(points))),
        table(
            ["", "estimate", "95 % interval", "noise alike"],
            [
                [NAMES[name], f"{found.value:.1f}", _interval(found), _dimension(alike[name])]
                for name, found in overall.items()
            ],
            caption="All estimates of all digits, and the dimension of the noise of which the same is said.",
        ),
        prose(_close_words(close, overall)) if close else "",
    ]
    if len(by_class) > 1:
        blocks += [
            subheading("Digit by digit"),
            prose(*_class_words(by_class, of_noise[typical], typical)),
            Plate(
                "dimension-digits",
                estimates_figure([(str(label), found, None) for label, found in by_class.items()]),
                alt="Estimates of the dimension near the digits of each class.",
                caption=_class_caption(by_class),
            ),
        ]
    elif labels is None:
        blocks.append(prose("Without labels nothing can be said of each digit on its own."))
    said = (
        f"Near a digit there are about {overall['ml10'].value:.0f} dimensions by maximum likelihood, "
        f"{overall['twonn'].value:.0f} by TwoNN."
    )
    return Part(facts, tuple(filter(None, blocks)), (said,))


def distinct(images: Images) -> NDArray[np.intp]:
    """Where the images (N, 28, 28) are that no earlier one equals, ascending."""
    return np.sort(np.unique(pixel_hashes(images), return_index=True)[1])


def _drawn(scene: Scene, purpose: str, count: int, most: int) -> NDArray[np.intp]:
    return scene.rng(purpose).permutation(count)[:most]


def _paired(asked: int) -> int:
    return max(FEWEST // 2, round(PAIRED * asked))


def _by_class(scene: Scene, points: Floats, labels: Labels | None) -> dict[int, Estimates]:
    """Estimates among the digits of each class that has FEWEST distinct ones."""
    found = {}
    for label in [] if labels is None else np.unique(labels).tolist():
        members = points[labels == label]
        if len(members) >= FEWEST:
            asked = _drawn(scene, f"class {label}", len(members), QUICK_OF_CLASS if scene.quick else OF_CLASS)
            near = surroundings(members, asked, paired=_paired(len(asked)))
            found[label] = estimates_of(near, scene.rng(f"class {label} intervals"))
    return found


def _of_noise(scene: Scene, count: int) -> dict[int, Estimates]:
    """Estimates of `count` points of noise of the dimensions TRUE."""
    found = {}
    for true in TRUE:
        rng = scene.rng(f"noise {true} {count}")
        points = noise(true, count, rng)
        asked = np.arange(min(OF_NOISE, count))
        found[true] = estimates_of(surroundings(points, asked, paired=_paired(len(asked))), rng)
    return found


def _alike(found: Estimates, of_noise: Mapping[int, Estimates], name: str) -> float:
    return as_of_noise(found[name].value, {true: known[name].value for true, known in of_noise.items()})


def _close_share(inside: NDArray[np.int64], asked: NDArray[np.intp], labels: Labels | None) -> dict[str, Any] | None:
    """Which class has most of the close pairs, what share of them, and what share of the digits."""
    if labels is None or len(np.unique(labels)) < 2 or not inside.sum():
        return None
    classes = labels[asked[: len(inside)]]
    shares = np.bincount(classes, weights=inside, minlength=10) / inside.sum()
    label = int(shares.argmax())
    return {"digit": label, "of_pairs": float(shares[label]), "of_digits": float(np.mean(labels == label))}


def _facts(found: Estimates) -> dict[str, Any]:
    return {name: estimate.as_dict() for name, estimate in found.items()}


def _overall_words(found: Estimates, asked: int, points: int) -> list[str]:
    by_k = ", ".join(f"{found[f'ml{k}'].value:.1f}" for k in KS)
    trend = found[f"ml{KS[-1]}"].value - found[f"ml{KS[0]}"].value
    fewer = "fewer" if trend < 0 else "more"
    return [
        f"Among its nearest others a digit lies as if it had {found['ml10'].value:.1f} numbers to vary, says maximum "
        f"likelihood of ten neighbours (Levina and Bickel 2005), or {found['twonn'].value:.1f}, says the ratio of the "
        "two nearest (TwoNN, Facco et al. 2017).",
        f"The wider one looks, the {fewer} they seem: {by_k} of {', '.join(map(str, KS))} neighbours."
        if abs(trend) > 0.3
        else f"Of {', '.join(map(str, KS))} neighbours maximum likelihood says {by_k}.",
        f"The correlation dimension (Grassberger and Procaccia 1983) is {found['correlation'].value:.1f}.",
        f"Neighbours were looked for among {points:,} distinct digits, in all 784 pixels, of "
        f"{'each' if asked == points else f'{asked:,} drawn at random'}. Intervals say how much depends on which "
        "digits were asked; they do not cover what the estimators do wrong.",
    ]


def _noise_short(of_noise: Mapping[int, Estimates]) -> str:
    last = of_noise[TRUE[-1]]
    said = " to ".join(f"{value:.1f}" for value in _ends([last[name].value for name in DRAWN]))
    return f"of {TRUE[-1]} dimensions they find {said}"


def _ends(values: Sequence[float]) -> tuple[float, float]:
    return min(values), max(values)


def _noise_words(of_noise: Mapping[int, Mapping[int, Estimates]], alike: Mapping[str, float], count: int) -> list[str]:
    words = []
    for true in (10, 20):
        said = [f"{of_noise[count][true][name].value:.1f} ({DRAWN[name][0]})" for name in DRAWN]
        words.append(f"of {true} dimensions {_listed(said)}")
    low = all(of_noise[count][20][name].interval95[1] < 20 for name in DRAWN)
    told = [f"{alike[name]:.1f} ({DRAWN[name][0]})" for name in DRAWN if np.isfinite(alike[name])]
    return [
        f"How far can they be trusted? Of {count:,} points of normal noise they say, {'; '.join(words)}.",
        "Where there are many dimensions they say too little, for the nearest points are no longer near."
        if low
        else "",
        f"The noise of which they say what they say of the digits has {_listed(told)} dimensions." if told else "",
    ]


def _close_words(close: Mapping[str, Any], overall: Estimates) -> str:
    if close["of_pairs"] < 2 * close["of_digits"]:
        return ""
    lower = overall["correlation"].value < overall["ml10"].value
    return (
        f"The correlation dimension is an average over pairs, not over digits: {percent(close['of_pairs'], 0)} of the "
        f"pairs that it counts are those of a {close['digit']}, though only {percent(close['of_digits'], 0)} of the "
        f"digits are. {'That is why it is lower.' if lower else ''}".rstrip()
    )


def _extremes(by_class: Mapping[int, Estimates]) -> tuple[int, int]:
    values = {label: found["ml10"].value for label, found in by_class.items()}
    return min(values, key=values.__getitem__), max(values, key=values.__getitem__)


def _class_words(by_class: Mapping[int, Estimates], of_noise: Mapping[int, Estimates], typical: int) -> list[str]:
    words = []
    for label in _extremes(by_class):
        found = by_class[label]
        words.append(
            f"a {label} {found['ml10'].value:.1f} ({_interval(found['ml10'])}) by maximum likelihood and "
            f"{found['twonn'].value:.1f} by TwoNN"
        )
    known = of_noise[20]["ml10"].value
    return [
        f"Among those of its own class alone, {words[0]} is the least; {words[1]} is the most.",
        f"These are fewer points: of {typical:,} points of noise of 20 dimensions maximum likelihood says {known:.1f}.",
    ]


def _class_caption(by_class: Mapping[int, Estimates]) -> str:
    least, most = _extremes(by_class)
    return (
        f"The dimension near the digits of each class, with 95 % intervals: by maximum likelihood from "
        f"{by_class[least]['ml10'].value:.1f} (the {least}s) to {by_class[most]['ml10'].value:.1f} (the {most}s)."
    )


def _interval(found: Estimate) -> str:
    low, high = found.interval95
    return f"{low:.1f}–{high:.1f}"


def _dimension(value: float) -> str:
    return f"{value:.1f}" if np.isfinite(value) else "–"


@dataclass(frozen=True, eq=False)
class Rebuilding:
    """Errors of digits held out that were squeezed into a few numbers, (M,) mean squared errors of a pixel each.

    linear, clipped: by principal components, plain and cut off at paper and ink; learnt: by the autoencoder.
    alike: components whose error is no larger than the autoencoder's.
    """

    code: int
    linear: NDArray[np.float64]
    clipped: NDArray[np.float64]
    learnt: NDArray[np.float64]
    alike: int

    def as_dict(self) -> dict[str, Any]:
        return {
            "dimensions": self.code,
            "components": _mean(self.linear),
            "components_clipped": _mean(self.clipped),
            "autoencoder": _mean(self.learnt),
            "components_alike": self.alike,
        }


def _mean(errors: NDArray[np.float64]) -> dict[str, Any]:
    half = 1.96 * float(errors.std(ddof=1)) / len(errors) ** 0.5
    value = float(errors.mean())
    return {"value": value, "interval95": [value - half, value + half]}


def autoencoder(scene: Scene) -> Part:
    """What a bent surface keeps of digits held out, and what a flat one does, of the same number of dimensions."""
    learnt_from, held = _held_out(scene)
    if len(learnt_from) < LEARNT_FROM:
        needed = LEARNT_FROM + max(HELD_OUT, LEARNT_FROM // 4)
        raise CannotSayError(
            f"An autoencoder needs about {needed} digits that differ; there {_are(len(learnt_from) + len(held))}."
        )
    from ...nets.autoencoder import SETTINGS, Start, squeeze

    train, tested = scene.vectors[learnt_from], scene.vectors[held]
    own = components_of(train)
    start = Start(own.mean, own.axes, own.variances)
    steps = min(QUICK_STEPS if scene.quick else STEPS, PASSES * len(train) // SETTINGS.batch)
    curve, total = _linear_errors(tested, own)
    rows, shown = [], []
    chosen = spaced(len(held), 10) if scene.labels is None else _first_of_each(scene.labels[held])
    for code in CODES:
        bent = squeeze(train, tested, start, code=code, steps=steps, seed=scene.seed, threads=scene.threads)
        flat = rebuilt(tested, own, code)
        learnt = _squared(bent, tested)
        alike = int(np.argmax(curve <= learnt.mean())) if curve[-1] <= learnt.mean() else len(curve) - 1
        rows.append(Rebuilding(code, _squared(flat, tested), _squared(np.clip(flat, 0, 1), tested), learnt, alike))
        if code in STRIP:
            for images, name, errors in ((flat, "components", rows[-1].linear), (bent, "autoencoder", learnt)):
                shown.append(_squeezed(images[chosen], code, name, float(errors.mean()) / total))
    shown.append(
        Strip(scene.images[held[chosen]], alt="the same digits as they are", title="the digits", figure="100 %")
    )
    facts = {
        "learnt_from": len(train),
        "held_out": len(tested),
        "steps": steps,
        "variance": total,
        "by_dimensions": [row.as_dict() for row in rows],
    }
    linear = np.array([row.linear.mean() for row in rows]) / total
    bent_errors = np.array([row.learnt.mean() for row in rows]) / total
    blocks = (
        prose(*_rebuilding_words(rows, len(train), len(tested))),
        Plate(
            "dimension-autoencoder",
            rebuilding_figure(CODES, linear, bent_errors),
            alt="The share of the variance lost falls with the dimensions, for the autoencoder and for components.",
            caption=_rebuilding_caption(rows, total),
        ),
        table(
            ["dimensions", "components", "cut off", "autoencoder", "as good as"],
            [
                [
                    str(row.code),
                    *(f"{errors.mean():.4f}" for errors in (row.linear, row.clipped, row.learnt)),
                    counted(row.alike, "component"),
                ]
                for row in rows
            ],
            caption=(
                f"Mean squared error of a pixel, paper 0 and ink 1, of {len(tested):,} digits held out; cut off: the "
                "components' pixels that are less than paper or more than ink."
            ),
        ),
        strips(shown),
        prose("On the right the share of the variance that is kept."),
    )  # fmt: skip
    return Part(facts, blocks, (_rebuilding_said(rows),))


def _held_out(scene: Scene) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Places of distinct digits to learn from and to measure on: the source's own parts, or a fifth drawn at random."""
    places = distinct(scene.images)
    if list(scene.parts) == ["train", "test"]:
        border = len(scene.parts["train"])
        train, test = places[places < border], places[places >= border]
        if len(train) >= LEARNT_FROM and len(test) >= HELD_OUT:
            return train, test
    shuffled = scene.rng("held out").permutation(places)
    return np.sort(shuffled[len(places) // 5 :]), np.sort(shuffled[: len(places) // 5])


def _linear_errors(tested: NDArray[np.float32], own: Components) -> tuple[NDArray[np.float64], float]:
    """The mean squared error of a pixel with 0, 1, … all components (D + 1,), and the first of these."""
    along = own.project(tested, len(own.axes)).astype(np.float64)
    powers = (along**2).mean(axis=0) / len(own.axes)
    left = np.append(powers[::-1].cumsum()[::-1], 0.0)
    return left, float(left[0])


def _squared(made: NDArray[np.float32], meant: NDArray[np.float32]) -> NDArray[np.float64]:
    return ((made - meant) ** 2).mean(axis=1, dtype=np.float64)


def _first_of_each(labels: Labels) -> NDArray[np.intp]:
    first = np.unique(labels, return_index=True)[1]
    return first if len(first) > 1 else spaced(len(labels), 10)


def _squeezed(vectors: NDArray[np.float32], code: int, name: str, lost: float) -> Strip:
    return Strip(
        _as_images(vectors),
        alt=f"digits rebuilt from {code} numbers: {name}",
        title=f"{code}, {name}",
        figure=percent(1 - lost, 1),
    )


def _rebuilding_words(rows: Sequence[Rebuilding], train: int, tested: int) -> list[str]:
    ahead = [row for row in rows if row.learnt.mean() < row.linear.mean()]
    behind = [row for row in rows if row.learnt.mean() >= row.linear.mean()]
    words = [
        f"A small autoencoder squeezes {train:,} digits into a few numbers and learns to rebuild them, along curves where "
        f"principal components go straight; both are then measured on {tested:,} digits that neither has seen."
    ]
    if ahead:
        gains = [f"{row.alike:,} for {row.code}" for row in ahead]
        words.append(f"As many straight ones would be needed for what the bent ones rebuild: {_listed(gains)}.")
    if behind:
        codes = _listed([str(row.code) for row in behind])
        words.append(f"With {codes} numbers it is no better than components: it had too few digits or steps to learn.")
    else:
        words.append("The digits lie along something bent, of fewer dimensions than the flat space around it.")
    return words


def _rebuilding_caption(rows: Sequence[Rebuilding], total: float) -> str:
    row = next(row for row in rows if row.code == 8)
    return (
        f"The variance lost of digits held out: squeezed into 8 numbers, the autoencoder loses "
        f"{percent(row.learnt.mean() / total, 0)} and the first 8 components lose {percent(row.linear.mean() / total, 0)}."
    )


def _rebuilding_said(rows: Sequence[Rebuilding]) -> str:
    row = next(row for row in rows if row.code == 8)
    return f"An autoencoder of {row.code} numbers rebuilds unseen digits as well as {counted(row.alike, 'component')}."


def _are(count: int) -> str:
    return "is one" if count == 1 else f"are {count:,}"


def _listed(words: Sequence[str]) -> str:
    """`a, b and c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


CHAPTER = Chapter(
    "dimension",
    "How many dimensions?",
    {"components": components, "intrinsic": intrinsic, "autoencoder": autoencoder},
)

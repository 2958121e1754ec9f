"""The dimension near the digits by several estimators, beside noise whose dimension is known.

>>> intrinsic(open_scene("mnist", quick=True)).facts["overall"]["ml10"]
{'value': 12.3108, 'interval95': [12.0734, 12.5633]}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...digits.dataset import CLASSES, Labels
from ..report import listed, percent, prose, subheading, table
from ..score import rounded
from .chapter import CannotSayError, Part, Plate
from .dimension import KS, Estimate, Floats, as_of_noise, distinct, estimates_of, noise, surroundings
from .dimension_figures import DRAWN, estimates_figure
from .scene import Scene

TRUE = (2, 5, 10, 15, 20, 25)  # dimensions of the noise
ASKED, QUICK_ASKED = 5_000, 2_000  # digits whose neighbours are looked at
OF_CLASS, QUICK_OF_CLASS = 1_000, 500  # of one class
OF_NOISE = 2_000
PAIRED = 0.4  # the share of them that the correlation integral takes, which needs their distances to all
SPARSE = 0.1  # the share of the points among which the estimates are repeated, to look less closely
FEWEST = 100  # distinct digits, below which an estimate says nothing

NAMES = {"twonn": "TwoNN", **{f"ml{k}": f"likelihood, {k} near" for k in KS}, "correlation": "correlation"}

Estimates = Mapping[str, Estimate]
OfNoise = Mapping[int, Estimates]


def intrinsic(scene: Scene) -> Part:
    """Estimates for all digits and for each class, and what the same estimators say of as many points of noise."""
    places = distinct(scene.images)
    if len(places) < FEWEST:
        there = "is only one" if len(places) == 1 else f"are {len(places)}"
        raise CannotSayError(f"The dimension near a digit needs {FEWEST} digits that differ; there {there}.")
    points = scene.vectors[places]
    labels = None if scene.labels is None else scene.labels[places]
    asked = scene.rng("intrinsic").permutation(len(points))[: QUICK_ASKED if scene.quick else ASKED]
    around = surroundings(points, asked, paired=_paired(asked))
    overall = estimates_of(around, scene.rng("intrinsic intervals"))
    if not _all_said(overall):
        raise CannotSayError("Too many digits are equally far from their neighbours for a dimension to be told.")
    sparse, of_sparse = _of_sparse(scene, points)
    by_class = {} if labels is None else _by_class(scene, points, labels)
    typical = _typical(by_class, labels)
    counts = {len(points), typical, sparse if of_sparse else 0} - {0}
    of_noise = {count: _of_noise(scene, count) for count in sorted(counts, reverse=True)}
    alike = {name: _alike(overall, of_noise[len(points)], name) for name in overall}
    alike_sparse = {name: _alike(of_sparse, of_noise[sparse], name) for name in of_sparse}
    pairs = None if labels is None else _most_pairs(around.inside[:, -1], asked, labels)
    facts = {
        "distinct": len(points),
        "asked": len(asked),
        "overall": _facts(overall),
        "as_of_noise": {name: rounded(value) for name, value in alike.items()},
        "sparse": {
            "distinct": sparse,
            "overall": _facts(of_sparse),
            "as_of_noise": {name: rounded(value) for name, value in alike_sparse.items()},
        },
        "by_digit": {str(label): _facts(found) for label, found in by_class.items()},
        "noise": {
            str(count): {str(true): _facts(found) for true, found in of_true.items()}
            for count, of_true in of_noise.items()
        },
        "most_pairs": pairs,
    }
    blocks = [
        subheading("Near a digit"),
        prose(*_overall_words(overall, len(asked), len(points))),
        *_noise_blocks(overall, of_noise[len(points)], alike, len(points)),
        prose(_sparse_words(of_sparse, alike_sparse, alike, sparse)) if of_sparse else "",
        prose(_pair_words(pairs)) if pairs and pairs["of_pairs"] > 0.5 else "",
        *_class_blocks(by_class, of_noise, typical),
        prose("Without labels nothing can be said of each digit on its own.") if labels is None else "",
    ]
    said = (
        f"Near a digit there are about {overall['ml10'].value:.1f} dimensions by maximum likelihood, "
        f"{overall['twonn'].value:.1f} by TwoNN."
    )
    return Part(facts, tuple(block for block in blocks if block), (said,))


def _paired(asked: NDArray[np.intp]) -> int:
    return max(FEWEST, round(PAIRED * len(asked)))


def _all_said(found: Estimates) -> bool:
    return all(np.isfinite(estimate.value) for estimate in found.values())


def _of_sparse(scene: Scene, points: Floats) -> tuple[int, Estimates]:
    """How many points a part of them is, and estimates of that part; none where these would be too few."""
    count = round(len(points) * SPARSE)
    if count < FEWEST:
        return count, {}
    rng = scene.rng("intrinsic of a part")
    some = points[rng.permutation(len(points))[:count]]
    asked = np.arange(min(OF_NOISE, count))
    found = estimates_of(surroundings(some, asked, paired=_paired(asked)), rng)
    return count, found if _all_said(found) else {}


def _by_class(scene: Scene, points: Floats, labels: Labels) -> dict[int, Estimates]:
    """Estimates among the digits of each class of which there are enough."""
    found: dict[int, Estimates] = {}
    for label in np.unique(labels).tolist():
        members = points[labels == label]
        if len(members) >= FEWEST:
            rng = scene.rng(f"intrinsic of {label}")
            asked = rng.permutation(len(members))[: QUICK_OF_CLASS if scene.quick else OF_CLASS]
            said = estimates_of(surroundings(members, asked, paired=_paired(asked)), rng)
            if _all_said(said):
                found[label] = said
    return found


def _typical(by_class: Mapping[int, Estimates], labels: Labels | None) -> int:
    """How many digits a class has, in the middle; 0 without classes."""
    if labels is None or not by_class:
        return 0
    return int(np.median([np.sum(labels == label) for label in by_class]))


def _of_noise(scene: Scene, count: int) -> dict[int, Estimates]:
    """Estimates of `count` points of noise of the dimensions TRUE."""
    found: dict[int, Estimates] = {}
    for true in TRUE:
        rng = scene.rng(f"{count} points of noise of {true}")
        points, asked = noise(true, count, rng), np.arange(min(OF_NOISE, count))
        found[true] = estimates_of(surroundings(points, asked, paired=_paired(asked)), rng)
    return found


def _alike(found: Estimates, of_noise: OfNoise, name: str) -> float:
    return as_of_noise(found[name].value, {true: known[name].value for true, known in of_noise.items()})


def _most_pairs(inside: NDArray[np.int64], asked: NDArray[np.intp], labels: Labels) -> dict[str, Any]:
    """Of the class with most of the close pairs: which it is, its share of them and its share of the digits."""
    pairs = np.bincount(labels[asked[: len(inside)]], weights=inside, minlength=CLASSES) / inside.sum()
    label = int(pairs.argmax())
    of_digits = float(np.mean(labels == label))
    return {"digit": label, "of_pairs": rounded(float(pairs[label])), "of_digits": rounded(of_digits)}


def _facts(found: Estimates) -> dict[str, Any]:
    return {name: estimate.as_dict() for name, estimate in found.items()}


def _overall_words(found: Estimates, asked: int, points: int) -> list[str]:
    values = {k: f"{found[f'ml{k}'].value:.1f}" for k in KS}
    return [
        "Intrinsic dimension asks how many numbers can vary near a digit, however bent the paths.",
        f"Maximum likelihood (Levina and Bickel 2005) says {values[10]} from ten neighbours, {values[5]} from five and "
        f"{values[20]} from twenty; TwoNN (Facco et al. 2017), from the ratio of the nearest two, says "
        f"{found['twonn'].value:.1f}; the correlation dimension (Grassberger and Procaccia 1983) is "
        f"{found['correlation'].value:.1f}.",
        f"{'All' if asked == points else f'{asked:,} of'} {points:,} distinct digits were asked for their neighbours "
        "among all, in all pixels. The intervals say how much depends on which were asked; they do not cover what an "
        "estimator does wrong.",
    ]


def _sparse_words(found: Estimates, alike: Mapping[str, float], of_all: Mapping[str, float], count: int) -> str:
    said = (
        f"Among {count:,} of the digits alone, whose neighbours are farther, TwoNN says {found['twonn'].value:.1f} and "
        f"maximum likelihood {found['ml10'].value:.1f}, as of noise in {_dimensions(alike['twonn'])} and "
        f"{_dimensions(alike['ml10'])}."
    )
    if of_all["ml10"] > alike["ml10"] + 0.5:
        said += " So the closer one looks, the more there is that varies."
    return said


def _noise_blocks(
    overall: Estimates, of_noise: OfNoise, alike: Mapping[str, float], points: int
) -> tuple[str | Plate, ...]:
    said = [
        f"of {true} dimensions they say {listed([f'{of_noise[true][name].value:.1f}' for name in DRAWN])}"
        for true in (10, 20)
    ]
    short = all(of_noise[20][name].interval95[1] < 20 for name in DRAWN)
    rows: list[tuple[str, Estimates, int | None]] = [("the digits", overall, None)]
    rows += [(f"noise in {true}-D", found, true) for true, found in of_noise.items()]
    names = listed([name for name, *_ in DRAWN.values()])
    return (
        prose(
            f"How far can they be trusted? Of {points:,} points of normal noise {' and '.join(said)} ({names}).",
            "So of many dimensions they say too few: the nearest points are no longer near." if short else "",
        ),
        Plate(
            "dimension-noise",
            estimates_figure(rows, heavy=1),
            alt="Estimates of the dimension of the digits, and of noise of known dimensions beside the true values.",
            caption=(
                f"What {names} say of the digits and of as many points of noise: of 20 true dimensions "
                f"{listed([f'{of_noise[20][name].value:.1f}' for name in DRAWN])}. Bars are 95 % intervals."
            ),
        ),
        table(
            ["", "estimate", "95 % interval", "as noise in"],
            [
                [NAMES[name], f"{found.value:.1f}", _interval(found), _dimensions(alike[name])]
                for name, found in overall.items()
            ],
            caption="All digits; on the right the dimensions of the noise of which the same is said.",
        ),
    )


def _interval(found: Estimate) -> str:
    low, high = found.interval95
    return f"{low:.1f}–{high:.1f}"


def _dimensions(value: float) -> str:
    return f"{value:.1f}-D" if np.isfinite(value) else "–"


def _pair_words(pairs: Mapping[str, Any]) -> str:
    if pairs["of_pairs"] < 1.5 * pairs["of_digits"]:
        return ""
    return (
        "The correlation dimension is an average over pairs of digits that are close, and these are not shared out "
        f"evenly: {percent(pairs['of_pairs'], 0)} of them are pairs of a {pairs['digit']}, though only "
        f"{percent(pairs['of_digits'], 0)} of the digits are. It tells more of these than of the others."
    )


def _class_blocks(
    by_class: Mapping[int, Estimates], of_noise: Mapping[int, OfNoise], typical: int
) -> Sequence[str | Plate]:
    if len(by_class) < 2:
        return ()
    values = {label: found["ml10"].value for label, found in by_class.items()}
    least, most = min(values, key=values.__getitem__), max(values, key=values.__getitem__)
    spans = [f"{values[label]:.1f} ({_interval(by_class[label]['ml10'])}) for the {label}" for label in (least, most)]
    return (
        subheading("Digit by digit"),
        prose(
            f"Among its own kind a digit has, by maximum likelihood from ten neighbours, from {' to '.join(spans)}.",
            f"These are fewer points: of {typical:,} points of noise of 20 dimensions the same estimator says "
            f"{of_noise[typical][20]['ml10'].value:.1f}.",
        ),
        Plate(
            "dimension-digits",
            estimates_figure([(str(label), found, None) for label, found in by_class.items()]),
            alt="Estimates of the dimension near the digits of each class.",
            caption=(
                f"The dimension near the digits of each class, with 95 % intervals: least for the {least}, most for "
                f"the {most} by maximum likelihood from ten neighbours."
            ),
        ),
    )

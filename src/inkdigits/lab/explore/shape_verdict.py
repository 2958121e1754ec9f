"""Blobs or tentacles: what the measurements say together, by stated thresholds, in a paragraph.

>>> verdict = weigh(levels, whole, dense, classes)
>>> verdict.favoured, verdict.strength
('sheet', 'strongly')
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..report import counted, listed
from .arms import DIMENSION_K, Cloud
from .density import Level
from .homology import Persistence
from .scene import COARSE

HYPOTHESES = {
    "blobs": "separate or solid blobs",
    "tentacles": "a body with tentacles",
    "sheet": "one connected body of few dimensions, without gaps or arms",
}

DENSE = 0.7  # share of the points, the densest, that are asked for arms a second time: stray ones may bridge them
STRENGTHS = ("strongly", "moderately", "weakly", "not at all")
WHOLE = 0.95  # share of the points, the densest, among which components that are apart are separate blobs
LEAST_CLASSES = 3  # that vote on arms and taper; what one or two do says little of the whole
LEAST_REPEATS = 2  # other samples, without which nothing is said strongly
TWICE = 2  # times the branches of the Mapper graph of a Gaussian cloud, which has some by chance, are a hint
MANY_ARMS = 3  # a blob that is longer than wide has two ends
THIN = 0.75  # of the local dimension of a Gaussian cloud of the same covariance, which is solid
BENT = 1.1  # times the geodesic over straight of that cloud
TAPERED = 0.85  # of the dimension at the centre, and of what is left there in that cloud


@dataclass(frozen=True, eq=False)
class Shape:
    """A cloud and its foil: a Gaussian cloud of the same covariance and number, measured in the same way."""

    cloud: Cloud
    foil: Cloud

    @property
    def has_arms(self) -> bool:
        return len(self.cloud.arms) >= MANY_ARMS and len(self.cloud.arms) > len(self.foil.arms)

    @property
    def thinness(self) -> float:
        return self.cloud.dimension / self.foil.dimension

    @property
    def bend(self) -> float:
        return self.cloud.stretch / self.foil.stretch

    @property
    def tapers(self) -> bool:
        return self.cloud.taper <= TAPERED and self.cloud.taper <= TAPERED * self.foil.taper

    def as_dict(self, rng: np.random.Generator) -> dict[str, Any]:
        """Plain facts; `rng` draws for the intervals."""
        return {**self.cloud.as_dict(rng), "gaussian": self.foil.as_dict(rng)}


@dataclass(frozen=True)
class Test:
    """One piece of evidence: what was asked, found and compared with, and the hypotheses that expect what was found."""

    asked: str
    found: str
    threshold: str
    favours: tuple[str, ...]


@dataclass(frozen=True)
class Verdict:
    """The hypothesis that most tests favour, None where two share the lead. strength: how strongly, in a word."""

    favoured: str | None
    strength: str
    votes: dict[str, int]
    tests: tuple[Test, ...]

    def as_dict(self) -> dict[str, Any]:
        return {
            "favoured": None if self.favoured is None else HYPOTHESES[self.favoured],
            "strength": self.strength,
            "tests": [
                {
                    "asked": t.asked,
                    "found": t.found,
                    "threshold": t.threshold,
                    "favours": [HYPOTHESES[f] for f in t.favours],
                }
                for t in self.tests
            ],
        }


def weigh(
    levels: Sequence[Level], whole: Shape, dense: Mapping[float, Shape], classes: Sequence[Shape] = ()
) -> Verdict:
    """Six tests, a vote each for the hypotheses that expect what was found.

    dense: by their share of the points the densest of them, DENSE among the shares. classes: shapes of classes, of
    which half may decide where there are LEAST_CLASSES. strongly: all six, and arms at
    none of these shares, or for tentacles at all; moderately: at least two more than for any other; weakly: one more;
    not at all: a tie. A test without an answer (a dimension that cannot be estimated) is left out.
    """
    asked = (
        _gaps(levels),
        _arms("arms", whole, classes),
        _arms(f"arms of the densest {100 * DENSE:.0f} %", dense[DENSE]),
        _thin(whole),
        _bent(whole),
        _taper(whole, classes),
    )
    tests = tuple(test for test in asked if test)
    votes = {name: sum(name in test.favours for test in tests) for name in HYPOTHESES}
    first, second = sorted(votes.values(), reverse=True)[:2]
    if first == second:
        return Verdict(None, "not at all", votes, tests)
    favoured = max(votes, key=lambda name: votes[name])
    at_one = all(shape.has_arms == (favoured == "tentacles") for shape in dense.values())
    sure = first == len(asked) and at_one
    strength = "strongly" if sure else "moderately" if first - second >= 2 else "weakly"
    return Verdict(favoured, strength, votes, tests)


def tempered(verdict: Verdict, repeats: Sequence[Verdict]) -> Verdict:
    """The verdict with the weakest strength of all samples.

    It is weakly at most where one favours something else, and moderately at most without LEAST_REPEATS of them: fewer
    digits are less evidence.
    """
    words = [other.strength if other.favoured == verdict.favoured else "weakly" for other in repeats]
    if len(repeats) < LEAST_REPEATS:
        words.append("moderately")
    weakest = max([verdict.strength, *words], key=STRENGTHS.index)
    return verdict if verdict.favoured is None else replace(verdict, strength=weakest)


def at_whole(levels: Sequence[Level]) -> Level:
    """The level of the WHOLE densest: at that of all the farthest outlier says how far apart joined points may be."""
    return min(levels, key=lambda each: abs(each.share - WHOLE))


def _gaps(levels: Sequence[Level]) -> Test:
    level = at_whole(levels)
    apart = level.large >= 2
    return Test(
        f"density components among the densest {100 * level.share:.0f} %",
        f"{level.large}",
        "2 or more are blobs",
        ("blobs",) if apart else ("tentacles", "sheet"),
    )


def _arms(asked: str, whole: Shape, classes: Sequence[Shape] = ()) -> Test:
    having = sum(shape.has_arms for shape in classes)
    vote = len(classes) >= LEAST_CLASSES
    arms = whole.has_arms or (vote and having >= len(classes) / 2)
    found = f"{len(whole.cloud.arms)} (Gaussian {len(whole.foil.arms)})"
    if vote:
        found += f"; {having} of {len(classes)} classes have them"
    return Test(
        asked, found, f"{MANY_ARMS} or more, and more than Gaussian", ("tentacles",) if arms else ("blobs", "sheet")
    )


def _thin(whole: Shape) -> Test | None:
    if math.isnan(whole.thinness):
        return None
    return Test(
        "local dimension",
        f"{whole.cloud.dimension:.1f} (Gaussian {whole.foil.dimension:.1f})",
        f"up to {THIN:g} of Gaussian is thin",
        ("tentacles", "sheet") if whole.thinness <= THIN else ("blobs",),
    )


def _bent(whole: Shape) -> Test | None:
    if math.isnan(whole.bend):
        return None
    return Test(
        "geodesic over straight line",
        f"{whole.cloud.stretch:.2f} (Gaussian {whole.foil.stretch:.2f})",
        f"{BENT:g} times Gaussian is bent",
        ("tentacles", "sheet") if whole.bend >= BENT else ("blobs",),
    )


def _taper(whole: Shape, classes: Sequence[Shape]) -> Test | None:
    if math.isnan(whole.cloud.taper) or math.isnan(whole.foil.taper):
        return None
    having = sum(shape.tapers for shape in classes)
    vote = len(classes) >= LEAST_CLASSES
    tapers = whole.tapers or (vote and having >= len(classes) / 2)
    found = f"{whole.cloud.taper:.2f} (Gaussian {whole.foil.taper:.2f})"
    if vote:
        found += f"; falls in {having} of {len(classes)} classes"
    return Test(
        "dimension far out over that at the centre",
        found,
        f"up to {TAPERED:g}, and of Gaussian, is falling",
        ("tentacles",) if tapers else ("blobs", "sheet"),
    )


def paragraph(
    verdict: Verdict,
    whole: Shape,
    *,
    dense: Mapping[float, Shape] | None = None,
    branches: tuple[int, int] | None = None,
    repeats: Sequence[Verdict] = (),
    homology: Mapping[str, Persistence] | None = None,
    own_class: float | None = None,
) -> list[str]:
    """The verdict in sentences, `tempered` already.

    dense: as given to `weigh`. branches: of the Mapper graph, and of that of the Gaussian cloud. repeats: verdicts on
    other samples of the same digits. homology: of each class and of the whole, which is "all".
    own_class: the share of digits whose nearest neighbour has their label.
    """
    n = len(verdict.tests)
    ranked = sorted(verdict.votes.items(), key=lambda vote: -vote[1])
    said = []
    if verdict.favoured is None:
        tally = listed([f"{votes} for {HYPOTHESES[name]}" for name, votes in ranked])
        said.append(f"The evidence does not decide: of {n} tests, of which one may speak for two, {tally}.")
    else:
        others = listed([f"{votes} for {HYPOTHESES[name]}" for name, votes in ranked[1:]])
        said.append(
            f"The evidence {verdict.strength} favours {HYPOTHESES[verdict.favoured]}: {ranked[0][1]} of {n} tests "
            f"speak for it, {others} (a test may speak for two)."
        )
        against = [f"{test.asked} ({test.found})" for test in verdict.tests if verdict.favoured not in test.favours]
        if against:
            said.append(f"Against it {'speak' if len(against) > 1 else 'speaks'}: {listed(against)}.")
    if verdict.favoured in ("blobs", "sheet"):
        said += _hints(dense or {}, branches)
    said.append(_on_others(verdict, repeats))
    if not math.isnan(whole.thinness):
        said.append(
            f"Around a point, in {COARSE} principal components and by {DIMENSION_K} neighbours, the median of "
            f"{len(whole.cloud.dimensions):,} estimates is {whole.cloud.dimension:.1f} dimensions, to be compared only "
            f"with the {whole.foil.dimension:.1f} of a Gaussian cloud of the same covariance."
        )
    if not math.isnan(whole.bend):
        said.append(
            f"The geodesic is {whole.cloud.stretch:.2f} times as long as the straight line, in the Gaussian cloud "
            f"{whole.foil.stretch:.2f} times."
        )
    said += _loops(homology) if homology else []
    if own_class is not None and verdict.favoured == "sheet":
        said.append(
            f"Yet {100 * own_class:.1f} % of the digits lie nearest to one of their own class: the classes are "
            "regions of the one body, and what parts them is not empty."
        )
    elif own_class is not None:
        said.append(f"{100 * own_class:.1f} % of the digits lie nearest to one of their own class.")
    said.append(
        "What no test here can tell is a gap or an arm thinner than the distance between neighbours, which in so many "
        f"dimensions is {np.median(whole.cloud.ways.near.distances[:, 0] / _across(whole)):.0%}".replace("%", " %")
        + " of that between two digits taken at random."
    )
    return said


def _on_others(verdict: Verdict, repeats: Sequence[Verdict]) -> str:
    """What other samples of the digits say."""
    if not repeats:
        return "There are too few digits to ask other samples."
    asked = counted(len(repeats), "other sample")
    words = [other.strength for other in repeats if other.favoured == verdict.favoured]
    if verdict.favoured is None:
        others = Counter(other.favoured for other in repeats if other.favoured)
        found = [f"{len(words)} {'does' if len(words) == 1 else 'do'} not decide either"] if words else []
        found += [f"{count} {_favour(count)} {HYPOTHESES[name]}" for name, count in others.items()]
        return f"Of {asked} of the digits, {listed(found)}."
    if not words:
        return f"Of {asked} of the digits, none favours the same, so that it is said weakly at most."
    how = listed([f"{words.count(word)} {word}" for word in STRENGTHS if word in words])
    said = f"Of {asked} of the digits, {len(words)} {_favour(len(words))} the same ({how})"
    if len(words) < len(repeats):
        return f"{said}; as not all do, it is said weakly at most."
    few = "" if len(repeats) >= LEAST_REPEATS else ", and a single one is too few to say anything strongly"
    return f"{said}; the weakest word of all samples is the one given here{few}."


def _favour(count: int) -> str:
    return "favours" if count == 1 else "favour"


def _hints(dense: Mapping[float, Shape], branches: tuple[int, int] | None) -> list[str]:
    """What looks like tentacles although the tests do not count it."""
    hints = [
        f"the densest {100 * share:.0f} % alone have {len(shape.cloud.arms)} arms (Gaussian {len(shape.foil.arms)})"
        for share, shape in dense.items()
        if share != DENSE and shape.has_arms
    ]
    if branches is not None and branches[0] >= max(MANY_ARMS, TWICE * branches[1]):
        hints.append(
            f"the Mapper graph, which leaves the sparsest out, has {branches[0]} branches (Gaussian {branches[1]})"
        )
    return [f"There are hints of tentacles that sparser digits bridge: {listed(hints)}."] if hints else []


def _loops(homology: Mapping[str, Persistence]) -> list[str]:
    n, whole = len(homology), homology["all"]
    sure = sum(each.loops > 0 for each in homology.values())
    longer = sum(each.longer_than_chance > 0 for each in homology.values())
    chance = n / (1 + len(whole.null_longest))
    if n == 1:
        who, has = ("The cloud", "has a loop") if sure else ("The cloud", "has no loop")
    else:
        who, has = f"{sure or 'None'} of {counted(n, 'cloud')}", "have a loop" if sure > 1 else "has a loop"
    said = [
        f"{who} {has} that is sure; with landmarks so far apart it would have to last over a distance of "
        f"{whole.band:.1f}, so smaller ones are neither shown nor ruled out."
    ]
    if longer > max(sure, 2 * chance):
        where = "the longest loop" if n == 1 else f"in {longer} the longest loop"
        they, have = ("it is", "it has") if n == 1 else ("they are", "they have")
        said.append(
            f"That {where} is longer than in any Gaussian cloud, which chance would do in "
            f"{chance:.2g}{' of such cases' if n == 1 else ''}, says that {they} not Gaussian rather than that {have} "
            "a hole."
        )
    return said


def _across(shape: Shape) -> float:
    straight = shape.cloud.ways.straight
    return float(np.median(straight[straight > 0]))

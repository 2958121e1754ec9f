"""The chapter on random points: what they look like, how far from digits they are, how many one would have to draw."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...digits.dataset import PIXELS, Images
from ...measure import auroc, wilson_interval
from ..report import BLUE, INK, MUTED, ORANGE, Strip, new_figure, prose, strips, table, tidy
from ..score import rounded
from .chapter import CannotSayError, Chapter, Part, Plate
from .neighbours import nearest
from .noise import draws_needed, power_of_ten, random_points
from .scene import Scene

POINTS, QUICK_POINTS = 1_000, 500  # of each kind
SHOWN = 10
LEAST = 20  # digits without which a distance between digits, or an area, is chance
VARIANCE = 0.9  # of the digits, kept by the components that a point is rebuilt from
RESAMPLES = 200
NAMES = {
    "digits": "digits",
    "uniform": "every grey equally likely",
    "marginals": "each pixel's own greys",
    "gaussian": "Gaussian with the digits' covariance",
}
MEASURES = {
    "distance": "distance to the nearest digit",
    "rebuilt": "error when rebuilt from components",
    "novelty": "the reader's novelty",
}


def noise(scene: Scene) -> Part:
    """Random points beside digits: pictures, distances, areas under the curve, draws needed."""
    if len(scene) < LEAST:
        raise CannotSayError(f"Random points are compared with at least {LEAST} digits, and here are {len(scene)}.")
    rng = scene.rng("random points")
    points = QUICK_POINTS if scene.quick else POINTS
    # The reader has learnt from MNIST's training part, so its novelty is asked of test digits where there are any.
    first = len(scene) - len(scene.parts["test"]) if "test" in scene.parts else 0
    asked = first + rng.choice(len(scene) - first, min(points, len(scene) - first), replace=False)
    sets = {"digits": scene.images[asked]} | random_points(scene.images, scene.components, points, rng=rng)
    measured = {name: _measure(scene, images, asked if name == "digits" else None) for name, images in sets.items()}
    radius = float(np.median(measured["digits"]["distance"]))
    if radius == 0:
        raise CannotSayError("Most digits here have an exact double, so there is no distance between digits to go by.")
    draws = draws_needed(scene.images, radius=radius, rng=rng)
    kinds = [name for name in sets if name != "digits"]
    told = {
        name: {measure: _area(measured["digits"][measure], measured[name][measure], rng) for measure in MEASURES}
        for name in kinds
    }
    powers = {"uniform": draws.uniform, "marginals": draws.marginals}
    within = {name: int((measured[name]["distance"] <= radius).sum()) for name in kinds}
    read = {name: 1 - float(of["refused"].mean()) for name, of in measured.items()}
    facts = {
        "points": points,
        "nearest_digit_median": {name: rounded(float(np.median(of["distance"]))) for name, of in measured.items()},
        "auroc": told,
        "draws_at_least_power_of_ten": {name: rounded(power) for name, power in powers.items()},
        "draws_radius": rounded(radius),
        "within_radius": {name: _share(count, points) for name, count in within.items()},
        "answered_by_reader": {name: rounded(share) for name, share in read.items()},
    }
    far = measured["uniform"]["distance"]
    opening = (
        f"A point drawn at random is noise, and far from every digit: from a digit to the nearest other one it is "
        f"{radius:.1f} (the distance from paper to ink in one pixel is 1), from a random point to the nearest digit "
        f"{np.median(far):.1f} (median of {points:,})."
    )
    blocks = (
        prose(opening, _draws_words(powers, within["gaussian"], points)),
        strips(_strip(name, images, measured[name], read[name]) for name, images in sets.items()),
        Plate(
            "random-points",
            _figure(measured),
            alt="how digits and three kinds of random points are spread in three measures",
            caption=_figure_words(told),
        ),
        table(
            ["told from digits by", *MEASURES.values()],
            [[NAMES[name], *(_cell(told[name][measure]) for measure in MEASURES)] for name in kinds],
            caption=(
                "The chance that a random point scores higher than a digit (area under the ROC curve), with its 95 % "
                "interval over resampled points: 1 and 0 tell them apart without a mistake, 0.5 not at all."
            ),
        ),
    )
    said = f"random points: at least {power_of_ten(powers['uniform'])} uniform draws for one near a digit"
    return Part(facts, blocks, (said,))


def _measure(scene: Scene, images: Images, own: NDArray[np.intp] | None) -> dict[str, NDArray[Any]]:
    """The three measures (n,) of images, and which the reader refuses; `own`: which of the scene's digits they are."""
    vectors = images.reshape(len(images), PIXELS).astype(np.float32) / np.float32(255)
    near = nearest(scene.vectors, 1 if own is None else 2, queries=vectors)
    distances = near.distances[:, -1]  # a digit's first neighbour is itself, or its double
    kept = scene.components.needed(VARIANCE)
    axes = scene.components.axes[:kept]
    centred = vectors - scene.components.mean
    lost = centred - (centred @ axes.T) @ axes
    answers = scene.reader.predict(images)
    refused = scene.reader.refused(answers)
    assert answers.novelty is not None  # the shipped reader has it …
    assert refused is not None  # … and its thresholds
    rebuilt = np.sqrt((lost**2).mean(axis=1))
    return {"distance": distances, "rebuilt": rebuilt, "novelty": answers.novelty, "refused": refused}


def _area(digits: NDArray[Any], others: NDArray[Any], rng: np.random.Generator) -> dict[str, Any]:
    """The AUROC with a 95 % percentile interval from resampling both sides."""
    drawn = [auroc(rng.choice(digits, len(digits)), rng.choice(others, len(others))) for _ in range(RESAMPLES)]
    low, high = np.quantile(drawn, (0.025, 0.975))
    value = rounded(auroc(digits, others))
    return {"value": value, "interval95": [rounded(float(low)), rounded(float(high))]}


def _cell(area: dict[str, Any]) -> str:
    value, (low, high) = area["value"], area["interval95"]
    return f"{value:.3f}" if low == high else f"{value:.3f} ({low:.3f}–{high:.3f})"


def _share(count: int, of: int) -> dict[str, Any]:
    return {"value": rounded(count / of), "interval95": [rounded(end) for end in wilson_interval(count, of)]}


def _draws_words(powers: dict[str, float], near: int, points: int) -> str:
    """How many draws it takes. near: of so many points of the Gaussian, how many are as near as digits are."""
    text = (
        "For one point to fall as near to a digit as half of the digits are to another, one would have to draw at "
        f"least {power_of_ten(powers['uniform'])} of them"
    )
    if powers["marginals"] >= 1:
        text += f", or {power_of_ten(powers['marginals'])} if each pixel is drawn with its own greys"
    low, high = wilson_interval(near, points)
    return text + (
        f" (Chernoff's bound). Of a Gaussian with the digits' covariance {near:,} of {points:,} are as near "
        f"(95 % interval {100 * low:.2f} to {100 * high:.2f} %)."
    )


def _strip(name: str, images: Images, measured: dict[str, NDArray[Any]], read: float) -> Strip:
    return Strip(
        images[:SHOWN],
        alt=f"{len(images[:SHOWN])} images: {NAMES[name]}",
        title=NAMES[name].capitalize(),
        figure=f"{np.median(measured['distance']):.1f}",
        lines=(f"to the nearest digit; the reader answers {100 * read:.1f} % of them",),
    )


def _figure(measured: dict[str, dict[str, NDArray[Any]]]) -> Any:
    """A panel a measure, a row a kind: the middle half and nine tenths of the points."""
    figure = new_figure(6.3)
    panels = figure.subplots(len(MEASURES), 1)
    for axes, (measure, title) in zip(panels, MEASURES.items(), strict=True):
        for place, (name, of) in enumerate(measured.items()):
            values = np.asarray(of[measure], np.float64)
            if measure == "novelty":
                values = np.clip(values, 1e-4, 1 - 1e-4)
            low, quarter, middle, upper, high = np.quantile(values, (0.05, 0.25, 0.5, 0.75, 0.95))
            colour = BLUE if name == "digits" else ORANGE
            axes.plot([low, high], [place, place], color=colour, linewidth=2, alpha=0.5, solid_capstyle="round")
            axes.plot([quarter, upper], [place, place], color=colour, linewidth=6, alpha=0.6, solid_capstyle="round")
            axes.plot(middle, place, "o", color=colour, markersize=7)
        if measure == "novelty":
            axes.set_xscale("logit")
            axes.set_xlim(5e-5, 1 - 5e-5)
            axes.set_xticks(
                (0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999), ("0.001", ".01", ".1", ".5", ".9", ".99", ".999")
            )
        else:
            axes.set_xlim(left=0)
        axes.set_title(title, loc="left", color=INK, fontsize=10.5)
        axes.set_ylim(len(measured) - 0.4, -0.6)
        axes.set_yticks(range(len(measured)), ["digits", "uniform", "marginals", "Gaussian"])
        tidy(axes, grid="x")
        axes.tick_params(axis="y", labelcolor=INK)
        axes.tick_params(axis="x", labelcolor=MUTED)
    return figure


def _figure_words(told: dict[str, dict[str, Any]]) -> str:
    hardest = min(
        ((area["value"], name, measure) for name, of in told.items() for measure, area in of.items()),
        key=lambda found: abs(found[0] - 0.5),
    )
    least = hardest[0]
    text = "Middle half (thick) and nine tenths (thin) of each kind; the components are those of the digits. "
    if least >= 0.999:
        return text + "Every measure tells every kind from digits almost without a mistake."
    lower = ", since it scores lower than the digits do" if least < 0.5 else ""
    return (
        text + f"The hardest to tell is {NAMES[hardest[1]]} by {MEASURES[hardest[2]]} "
        f"(area under the ROC curve {least:.3f}){lower}."
    )


CHAPTER = Chapter("random", "Random points", {"noise": noise})

"""Dimensions: known manifolds have theirs, chance is told from structure, and bad input is answered in one sentence."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inkdigits.digits.dataset import Digits
from inkdigits.errors import MissingExtraError
from inkdigits.lab import report
from inkdigits.lab.explore import dimension, dimension_bent, dimension_near
from inkdigits.lab.explore.chapter import CannotSayError, Part, Plate
from inkdigits.lab.explore.dimension import (
    as_of_noise,
    correlation,
    count_inside,
    distinct,
    estimates_of,
    maximum_likelihood,
    noise,
    surroundings,
    two_nn,
)
from inkdigits.lab.explore.dimension_bent import autoencoder, held_out, left_over
from inkdigits.lab.explore.dimension_chapter import CHAPTER, components
from inkdigits.lab.explore.dimension_near import intrinsic
from inkdigits.lab.explore.scene import Scene, components_of
from inkdigits.lab.explore.spectrum import Kept, as_images, rebuilt, standing

PARTS = list(CHAPTER.parts.values())

Points = np.ndarray


def scene_of(digits: Digits, *, seed: int = 0, **parts: Digits) -> Scene:
    given = parts or {"all": digits}
    rows = {name: np.arange(len(part)) for name, part in given.items()}
    return Scene("test", given, rows, sum(map(len, given.values())), seed, quick=True, threads=1)


def turned(points: Points, dimensions: int, rng: np.random.Generator) -> Points:
    """Points (N, D) laid into a space of more dimensions, at a random angle."""
    axes, _ = np.linalg.qr(rng.normal(size=(dimensions, points.shape[1])))
    return (points @ axes.T).astype(np.float32)


def ball(d: int) -> Callable[[np.random.Generator], Points]:
    def points(rng: np.random.Generator) -> Points:
        directions = rng.normal(size=(3_000, d))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        return turned(directions * rng.random((3_000, 1)) ** (1 / d), 784, rng)

    return points


def sphere(rng: np.random.Generator) -> Points:
    points = rng.normal(size=(3_000, 3))
    return turned(points / np.linalg.norm(points, axis=1, keepdims=True), 10, rng)


def torus(rng: np.random.Generator) -> Points:
    along, around = rng.random((2, 3_000)) * 2 * np.pi
    ring = 3 + np.cos(around)
    return turned(np.stack([ring * np.cos(along), ring * np.sin(along), np.sin(around)], axis=1), 10, rng)


def swiss_roll(rng: np.random.Generator) -> Points:
    turn = 1.5 * np.pi * (1 + 2 * rng.random(3_000))
    return turned(np.stack([turn * np.cos(turn), 21 * rng.random(3_000), turn * np.sin(turn)], axis=1), 10, rng)


def circle(rng: np.random.Generator) -> Points:
    turn = rng.random(3_000) * 2 * np.pi
    return turned(np.stack([np.cos(turn), np.sin(turn)], axis=1), 5, rng)


@pytest.mark.parametrize(
    ("manifold", "true", "off"),
    [(circle, 1, 0.05), (sphere, 2, 0.06), (torus, 2, 0.08), (swiss_roll, 2, 0.08), (ball(5), 5, 0.12)],
)
def test_a_manifold_has_its_dimension_by_every_estimator(
    manifold: Callable[[np.random.Generator], Points], true: int, off: float
) -> None:
    rng = np.random.default_rng(0)
    found = estimates_of(surroundings(manifold(rng), np.arange(2_000)), rng)
    assert list(found) == ["twonn", "ml5", "ml10", "ml20", "correlation"]
    for name, estimate in found.items():
        assert estimate.value == pytest.approx(true, rel=off), name
        assert estimate.interval95[0] <= estimate.value <= estimate.interval95[1]


def test_of_many_dimensions_estimates_rise_and_fall_short() -> None:
    values = []
    for d in (5, 10, 20):
        rng = np.random.default_rng(d)
        near = surroundings(ball(d)(rng), np.arange(1_500))
        values.append([two_nn(near.near), maximum_likelihood(near.near, 10), correlation(near.radii, near.inside)])
    assert (np.diff(values, axis=0) > 1).all()
    assert (np.array(values[2]) < 18).all()
    assert (np.array(values[2]) > 10).all()


def test_estimates_know_neither_the_scale_nor_the_place_of_the_points() -> None:
    points = noise(4, 800, np.random.default_rng(0))
    plain = surroundings(points, np.arange(800))
    moved = surroundings(1000 * points + 5000, np.arange(800))
    assert two_nn(moved.near) == pytest.approx(two_nn(plain.near), rel=2e-3)
    assert maximum_likelihood(moved.near, 10) == pytest.approx(maximum_likelihood(plain.near, 10), rel=2e-3)
    assert correlation(moved.radii, moved.inside) == pytest.approx(correlation(plain.radii, plain.inside), rel=5e-3)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(5, 60), st.integers(1, 5))
def test_points_within_a_radius_are_counted_without_the_point_itself(seed: int, n: int, d: int) -> None:
    rng = np.random.default_rng(seed)
    points, asked = rng.normal(size=(n, d)).astype(np.float32), rng.permutation(n)[: n // 2]
    radii = np.array([0.5, 1.0, 2.0])
    apart = np.linalg.norm(points[asked, None].astype(float) - points, axis=2)
    close = np.abs(apart[:, :, None] - radii).min() < 1e-5
    expected = (apart[:, :, None] <= radii).sum(axis=1) - 1
    assert close or np.array_equal(count_inside(points, asked, radii), expected)


def test_the_estimators_are_what_their_papers_say() -> None:
    # Ratios at the very quantiles of TwoNN's law lie on its line; distances at rank^(1 / d) have a known likelihood.
    d, n = 7.0, 1_000
    ratios = (1 - np.arange(1, n + 1) / (n + 1)) ** (-1 / d)
    assert two_nn(np.stack([np.ones(n), ratios], axis=1)) == pytest.approx(d, rel=0.01)
    near = np.tile(np.arange(1, 11) ** (1 / d), (5, 1))
    expected = 9 / sum(math.log((10 / rank) ** (1 / d)) for rank in range(1, 10))
    assert maximum_likelihood(near, 10) == pytest.approx(expected)
    radii = np.array([1.0, 2.0, 4.0])
    assert correlation(radii, np.array([[1, 2**3, 4**3]])) == pytest.approx(3)


def test_a_lattice_has_no_dimension_that_distances_tell() -> None:
    near = np.ones((50, 20))
    assert math.isnan(two_nn(near))
    assert math.isnan(maximum_likelihood(near, 10))
    assert math.isnan(correlation(np.ones(3), np.full((50, 3), 6)))


def test_intervals_hold_what_the_estimator_says_of_other_points() -> None:
    estimates = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        estimates.append(estimates_of(surroundings(noise(3, 1_000, rng), np.arange(300)), rng))
    for name in estimates[0]:
        mean = np.mean([found[name].value for found in estimates])
        inside = [found[name].interval95[0] <= mean <= found[name].interval95[1] for found in estimates]
        assert sum(inside) >= 15, name


def test_what_is_said_of_the_digits_is_read_off_the_noise() -> None:
    of_noise = {5: 4.8, 10: 9.0, 20: 15.0}
    assert as_of_noise(12.0, of_noise) == pytest.approx(15.0)
    assert as_of_noise(4.8, of_noise) == 5
    assert math.isnan(as_of_noise(16.0, of_noise))
    assert math.isnan(as_of_noise(4.0, of_noise))


# The spectrum


def test_components_of_two_factors_stand_out_and_noise_does_not() -> None:
    rng = np.random.default_rng(0)
    chance = rng.normal(size=(2_000, 40)).astype(np.float32)
    factors = (rng.normal(size=(2_000, 2)) @ rng.normal(size=(2, 40))).astype(np.float32)
    for vectors, expected in ((chance, 0), (chance + factors, 2)):
        found = standing(vectors, components_of(vectors), shuffles=3, rng=rng)
        assert found.above_chance <= expected + 1
        assert abs(found.above_edge - expected) <= 1
        assert found.variances.sum() == pytest.approx(40)
        assert found.chance[0] == pytest.approx(found.edge, rel=0.05)
    assert found.above_chance >= 2


def test_the_standardised_spectrum_is_that_of_the_correlations(few: Digits) -> None:
    vectors = scene_of(few).vectors
    found = standing(vectors, components_of(vectors), shuffles=1, rng=np.random.default_rng(0))
    varying = vectors[:, np.ptp(vectors, axis=0) > 0].astype(np.float64)
    reference = np.linalg.eigvalsh(np.corrcoef(varying.T))[::-1]
    assert len(found.variances) == varying.shape[1]
    assert found.variances[:50] == pytest.approx(reference[:50], rel=1e-3)
    assert found.share(0) == pytest.approx(reference[0] / len(reference), rel=1e-3)


def test_what_is_kept_is_what_rebuilding_shows(few: Digits) -> None:
    vectors = scene_of(few).vectors
    own = components_of(vectors)
    kept = Kept.of(own)
    for count in (0, 1, 8, 50):
        error = float(((rebuilt(vectors, own, count) - vectors) ** 2).mean())
        assert kept.error(count) ** 2 * (len(few) - 1) / len(few) == pytest.approx(error, rel=1e-3)
        assert left_over(vectors, own)[count] == pytest.approx(error, rel=1e-3)
    assert (np.diff(kept.shares) >= 0).all()
    assert (kept.shares[0], kept.shares[-1]) == (0, pytest.approx(1))
    assert np.array_equal(as_images(rebuilt(vectors, own, 784)), few.images)


# The parts


def words_of(part: Part) -> str:
    """A part's text; every figure of it can be drawn."""
    text = list(part.said)
    for block in part.blocks:
        if isinstance(block, Plate):
            assert block.alt
            text.append(report.plot(block.figure, block.name, alt=block.alt, caption=block.caption))
        else:
            assert isinstance(block, str)
            text.append(block)
    words = re.sub(r"base64,[^\"]*", "", " ".join(text))
    assert not re.search(r"\b(nan|inf)\b", words)
    return words


@pytest.fixture(scope="module")
def some(mnist_test: Digits) -> Digits:
    return mnist_test.take(slice(1_500), source="some")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Less work than a quick exploration."""
    monkeypatch.setattr(dimension, "DRAWS", 40)
    monkeypatch.setattr(dimension_near, "OF_NOISE", 300)
    monkeypatch.setattr(dimension_bent, "QUICK_STEPS", 25)
    monkeypatch.setattr(dimension_bent, "CODES", (2, 8))


def test_components_say_how_many_keep_the_variance_and_exceed_chance(some: Digits) -> None:
    part = components(scene_of(some))
    needed = part.facts["needed"]
    assert 60 < needed["0.90"] < needed["0.95"] < needed["0.99"] < 400
    assert 40 < part.facts["standardised"]["more_than_shuffled"] < 150
    assert part.facts["standardised"]["first_two"] == pytest.approx([0.06, 0.045], abs=0.012)
    words = words_of(part)
    assert f"{needed['0.95']} keep 95" in words
    assert "Marchenko" in words


@pytest.mark.usefixtures("small")
def test_digits_have_about_a_dozen_dimensions_and_ones_the_fewest(some: Digits) -> None:
    part = intrinsic(scene_of(some))
    overall = part.facts["overall"]
    assert 9 < overall["ml10"]["value"] < 14
    assert 11 < overall["twonn"]["value"] < 16
    low, high = overall["twonn"]["interval95"]
    assert low < overall["twonn"]["value"] < high
    of_digits = {label: found["ml10"]["value"] for label, found in part.facts["by_digit"].items()}
    assert min(of_digits, key=of_digits.__getitem__) == "1"
    of_noise = part.facts["noise"]["1500"]
    assert list(of_noise) == [str(true) for true in dimension_near.TRUE]
    assert of_noise["20"]["ml10"]["value"] < 18
    assert part.facts["as_of_noise"]["ml10"] > overall["ml10"]["value"]
    assert "Digit by digit" in words_of(part)


def test_an_autoencoder_loses_less_than_as_many_components(some: Digits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dimension_bent, "QUICK_STEPS", 25)
    part = autoencoder(scene_of(some))
    assert (part.facts["learnt_from"], part.facts["held_out"]) == (1_200, 300)
    rows = part.facts["by_dimensions"]
    assert [row["dimensions"] for row in rows] == [2, 4, 8, 16, 32]
    errors = [row["autoencoder"]["value"] for row in rows]
    assert errors == sorted(errors, reverse=True)
    for row in rows[1:]:
        assert row["autoencoder"]["value"] < row["components_clipped"]["value"] < row["components"]["value"]
        assert row["as_good_components"] > row["dimensions"]
    assert "bent" in words_of(part)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("part", PARTS)
def test_the_same_seed_finds_the_same(part: Callable[[Scene], Part], some: Digits) -> None:
    one, other = (part(scene_of(some.take(slice(700)))).facts for _ in range(2))
    assert one == other


def test_what_is_measured_was_not_learnt_from(some: Digits) -> None:
    train, test = some.take(slice(0, 1_000)), some.take(slice(900, 1_500))
    learnt_from, held = held_out(scene_of(some, train=train, test=test))
    assert (len(learnt_from), len(held)) == (1_000, 500)
    assert held.min() >= 1_000
    learnt_from, held = held_out(scene_of(some))
    assert not set(learnt_from) & set(held)
    assert len(held) == 300


def test_doubles_are_asked_once(few: Digits) -> None:
    images = np.concatenate([few.images, few.images[:50]])
    assert np.array_equal(distinct(images), np.arange(200))


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("kind", ["one class", "no labels", "mostly doubles", "three classes"])
def test_odd_sets_are_told_about(kind: str, some: Digits) -> None:
    labels = some.need_labels("test")
    digits = {
        "one class": lambda: Digits(np.concatenate([some.images[labels == 1], some.images[labels == 7]]), None),
        "no labels": lambda: Digits(some.images[:600], None),
        "mostly doubles": lambda: some.take(np.arange(3_000) % 500),
        "three classes": lambda: some.take(np.isin(labels, [1, 3, 8])),
    }[kind]()
    if kind == "one class":
        digits = Digits(digits.images, np.ones(len(digits), np.uint8))
    for part in PARTS:
        found = part(scene_of(digits))
        words_of(found)
        assert len(found.said) == 1
        if part is intrinsic:
            assert len(found.facts["by_digit"]) == {"no labels": 0, "one class": 1, "three classes": 3}.get(
                kind, len(found.facts["by_digit"])
            )


@pytest.mark.parametrize("kind", ["constant", "one digit 5,000 times", "ten", "two", "one"])
def test_what_cannot_be_said_is_refused_in_one_sentence(kind: str, few: Digits) -> None:
    digits = {
        "constant": Digits(np.full((300, 28, 28), 7, np.uint8), np.arange(300) % 10),
        "one digit 5,000 times": Digits(np.repeat(few.images[:1], 5_000, axis=0), np.full(5_000, 7)),
        "ten": few.take(slice(10)),
        "two": few.take(slice(2)),
        "one": few.take(slice(1)),
    }[kind]
    for part in PARTS:
        if part is components and kind in ("ten", "two"):
            words_of(part(scene_of(digits)))
            continue
        with pytest.raises(CannotSayError) as caught:
            part(scene_of(digits))
        message = str(caught.value)
        assert message.endswith(".")
        assert "\n" not in message
        assert "needs" in message or "need" in message


def test_images_of_a_single_pixel_each_have_no_dimension() -> None:
    images = np.zeros((784, 28, 28), np.uint8)
    images.reshape(784, 784)[np.arange(784), np.arange(784)] = 255
    with pytest.raises(CannotSayError, match="equally far"):
        intrinsic(scene_of(Digits(images)))


def test_without_pytorch_the_missing_extra_is_named(some: Digits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "inkdigits.nets.autoencoder", raising=False)
    monkeypatch.setitem(sys.modules, "inkdigits.nets.optimiser", None)
    with pytest.raises(MissingExtraError, match=r"inkdigits\[lab\]"):
        autoencoder(scene_of(some))

"""The chapter on shape as a whole: real digits, and sets that do not allow an answer."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from inkdigits.digits.dataset import Digits
from inkdigits.lab.explore.chapter import CannotSayError, Part, Plate
from inkdigits.lab.explore.neighbours import nearest
from inkdigits.lab.explore.paths import ways_of
from inkdigits.lab.explore.scene import Scene, open_scene
from inkdigits.lab.explore.shape_chapter import CHAPTER
from inkdigits.lab.explore.shape_ground import Ground
from inkdigits.lab.explore.shape_ways import between


def told(scene: Scene) -> dict[str, Part | str]:
    """Each part of the chapter, or why it cannot be."""
    found: dict[str, Part | str] = {}
    for name, part in CHAPTER.parts.items():
        try:
            found[name] = part(scene)
        except CannotSayError as error:
            found[name] = str(error)
    return found


def one_line(reason: str) -> None:
    assert reason.endswith(".")
    assert "\n" not in reason


def sound(part: Part) -> None:
    """What every part is to be: facts for JSON, sentences, and plates with a caption and something to hear."""
    json.dumps(part.facts, allow_nan=False)
    assert part.said
    for sentence in part.said:
        assert "nan" not in sentence.lower().split()
    for block in part.blocks:
        assert block if isinstance(block, str) else block.alt and block.caption


def parts_of(scene: Scene) -> set[str]:
    """The names of the parts that say something."""
    found = told(scene)
    for part in found.values():
        if isinstance(part, Part):
            sound(part)
        else:
            one_line(part)
    return {name for name, part in found.items() if isinstance(part, Part)}


ALL = set(CHAPTER.parts)
OF_STROKES = {"loops"}


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


@pytest.fixture(scope="module")
def many(mnist_test: Digits) -> Digits:
    return mnist_test.take(slice(1200), source="many")


def test_every_part_tells_something_of_real_digits_and_the_same_again(many: Digits) -> None:
    first, again = told(open_scene(many, quick=True)), told(open_scene(many, quick=True))
    for name, part in first.items():
        other = again[name]
        assert isinstance(part, Part), part
        assert isinstance(other, Part)
        sound(part)
        assert part.said == other.said
        assert json.dumps(part.facts) == json.dumps(other.facts)
    plates = {b.name for part in first.values() if isinstance(part, Part) for b in part.blocks if isinstance(b, Plate)}
    assert {"loops", "persistence", "density-components", "geodesics", "walks", "mapper"} <= plates


def test_the_parts_do_not_need_each_other(many: Digits) -> None:
    alone = CHAPTER.parts["verdict"](open_scene(many, quick=True))
    assert alone.facts["favoured"] is not None or "does not decide" in alone.said[0]


def test_digits_without_labels_are_told_without_classes(many: Digits) -> None:
    assert parts_of(open_scene(Digits(many.images), quick=True)) == ALL


@pytest.mark.parametrize("seed", range(3))
def test_seven_hundred_digits_are_told_without_numbers_that_are_none(mnist_test: Digits, seed: int) -> None:
    chosen = np.random.default_rng(seed).permutation(len(mnist_test))[:700]
    assert parts_of(open_scene(mnist_test.take(np.sort(chosen)), quick=True, seed=seed)) == ALL


def test_a_class_in_a_piece_of_its_own_is_left_out_of_the_square(mnist_test: Digits) -> None:
    """Half of the digits as they are, half inverted: nothing joins them."""
    images = mnist_test.images[:600].copy()
    images[300:] = 255 - images[300:] // 4
    labels = (np.arange(600) >= 300).astype(np.uint8)
    scene = open_scene(Digits(images, labels), quick=True)
    assert parts_of(scene) == ALL
    square = told(scene)["geodesics"].facts["between_classes"]["median"]  # type: ignore[union-attr]
    assert sum(value is None for row in square for value in row) == 3


def test_a_rare_class_is_told_with_the_others(mnist_test: Digits) -> None:
    assert mnist_test.labels is not None
    many, rare = np.flatnonzero(mnist_test.labels <= 1)[:800], np.flatnonzero(mnist_test.labels == 5)[:52]
    scene = open_scene(mnist_test.take(np.sort(np.concatenate([many, rare]))), quick=True)
    assert parts_of(scene) == ALL


def test_the_figures_between_classes_are_those_of_two_classes(rng: np.random.Generator) -> None:
    points = rng.standard_normal((300, 3))
    labels = np.repeat([0, 1, 2], 100)
    square = between(ways_of(points, nearest(points, 10), rng=rng), labels, [0, 1, 2, 3])
    np.testing.assert_array_equal(square, square.T)
    assert np.isfinite(square[:3, :3]).all()
    assert np.isnan(square[3]).all()


def test_facts_have_names_that_a_program_can_use(many: Digits) -> None:
    def names(facts: object) -> set[str]:
        if isinstance(facts, dict):
            return set(facts) | {name for value in facts.values() for name in names(value)}
        return {name for value in facts for name in names(value)} if isinstance(facts, list) else set()

    for name, part in told(open_scene(many, quick=True)).items():
        assert isinstance(part, Part)
        facts = {key: value for key, value in part.facts.items() if key != "pairs"}
        assert all(re.fullmatch(r"[a-z0-9_]+", key) for key in names(facts) | {name})
    assert {"loops", "homology", "density", "geodesics", "walks", "mapper", "verdict"} == ALL


def test_too_few_digits_for_other_samples_are_not_judged_strongly(many: Digits) -> None:
    found = CHAPTER.parts["verdict"](open_scene(many, quick=True)).facts
    assert found["other_samples"] == []
    assert found["strength"] != "strongly"
    assert "too few digits to ask other samples" in found["paragraph"]


def test_other_samples_are_asked_anew(mnist_test: Digits) -> None:
    ground = Ground.of(open_scene(mnist_test, quick=True))
    assert len(ground.repeats) == 2
    found = [test.found for verdict in ground.repeats for test in verdict.tests]
    assert len(set(found)) > len(ground.repeats[0].tests)


def test_one_class_is_told_as_a_whole(mnist_test: Digits) -> None:
    threes = mnist_test.take(mnist_test.labels == 3)
    scene = open_scene(threes, quick=True)
    assert parts_of(scene) == ALL
    said = told(scene)["homology"].said[0]  # type: ignore[union-attr]
    assert said.startswith("The cloud shows")
    assert "chance alone" not in said


def test_two_classes_are_enough(mnist_test: Digits) -> None:
    assert mnist_test.labels is not None
    two = mnist_test.take(mnist_test.labels <= 1).take(slice(600))
    assert parts_of(open_scene(two, quick=True)) == ALL


def test_only_fours_have_no_loops_to_be_held_against(mnist_test: Digits) -> None:
    fours = mnist_test.take(mnist_test.labels == 4).take(slice(120))
    assert "fours" in str(told(open_scene(fours, quick=True))["loops"])


@pytest.mark.parametrize("n", [1, 2, 10])
def test_a_few_digits_have_strokes_but_no_shape(few: Digits, n: int) -> None:
    scene = open_scene(few.take(slice(n)), quick=True)
    assert parts_of(scene) == OF_STROKES
    assert "at least 100" in str(told(scene)["density"])


@pytest.mark.parametrize("value", [0, 128, 255])
def test_constant_images_have_no_shape(value: int) -> None:
    images = np.full((300, 28, 28), value, np.uint8)
    labels = np.arange(300, dtype=np.uint8) % 10
    assert parts_of(open_scene(Digits(images, labels), quick=True)) == OF_STROKES


def test_copies_of_one_digit_do_not_change_the_shape_of_the_others(many: Digits) -> None:
    assert many.labels is not None
    images = np.concatenate([many.images[:400], np.repeat(many.images[:1], 5000, axis=0)])
    labels = np.concatenate([many.labels[:400], np.repeat(many.labels[:1], 5000)])
    scene = open_scene(Digits(images, labels), quick=True)
    assert parts_of(scene) == ALL
    assert told(scene)["geodesics"].facts["all"]["points"] <= 400  # type: ignore[union-attr]


def test_copies_of_one_digit_alone_have_no_shape(few: Digits) -> None:
    copies = few.take(np.zeros(5000, np.int64))
    scene = open_scene(copies, quick=True)
    assert "1 different digit" in str(told(scene)["homology"])


def test_classes_without_a_pair_of_their_own_are_walked_between_all_the_same(mnist_test: Digits) -> None:
    assert mnist_test.labels is not None
    scene = open_scene(mnist_test.take(np.isin(mnist_test.labels, (5, 7))).take(slice(300)), quick=True)
    assert list(CHAPTER.parts["walks"](scene).facts["pairs"]) == ["5 to 7"]

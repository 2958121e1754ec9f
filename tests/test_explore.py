"""Exploring digits: what is common to all sections, the basics, random points, maps."""

from __future__ import annotations

import json
import math
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from inkdigits.app.cli import cli
from inkdigits.digits.dataset import CLASSES, Digits
from inkdigits.errors import InputError, OutputError
from inkdigits.lab.explore import explore as verb
from inkdigits.lab.explore import maps_chapter as chapter_of_maps
from inkdigits.lab.explore import scene as scenes
from inkdigits.lab.explore.answers import answers
from inkdigits.lab.explore.basics import characters, class_images, column, duplicates
from inkdigits.lab.explore.chapter import CannotSayError, Chapter, Part
from inkdigits.lab.explore.chapters import CHAPTERS
from inkdigits.lab.explore.colours import CLASS_COLOURS
from inkdigits.lab.explore.drawing import framed, map_image, sheet
from inkdigits.lab.explore.exploration import plain
from inkdigits.lab.explore.explore import explore
from inkdigits.lab.explore.maps import neighbour_accuracy, quality, tsne, umap
from inkdigits.lab.explore.neighbours import nearest, nearly_nearest
from inkdigits.lab.explore.noise import Draws, draws_needed, power_of_ten, random_points
from inkdigits.lab.explore.report import exploration_report
from inkdigits.lab.explore.scene import Scene, components_of, open_scene


@pytest.fixture(scope="module")
def scene(few: Digits) -> Scene:
    return open_scene(few)


def test_neighbours_are_those_of_a_plain_search(scene: Scene) -> None:
    apart = np.linalg.norm(scene.vectors[:, None] - scene.vectors[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    found = nearest(scene.vectors, 5)
    np.testing.assert_allclose(found.distances, np.sort(apart, axis=1)[:, :5], rtol=1e-5)
    assert (found.places != np.arange(len(scene))[:, None]).all()


def test_equal_points_are_no_distance_apart_and_never_their_own_neighbour() -> None:
    points = np.repeat(np.random.default_rng(0).random((20, 8), np.float32), 4, axis=0)
    found = nearest(points, 3)
    assert (found.distances == 0).all()
    assert (found.places != np.arange(80)[:, None]).all()


def test_few_neighbours_are_missed_where_not_all_points_are_asked(mnist_test: Digits) -> None:
    points = open_scene(mnist_test.take(slice(4000))).coarse
    found, exact = nearly_nearest(points, 10, threads=2), nearest(points, 10)
    kept = np.mean([np.isin(ours, theirs).mean() for ours, theirs in zip(found.places, exact.places, strict=True)])
    assert kept > 0.9
    assert (np.diff(found.distances, axis=1) >= 0).all()
    assert (found.places != np.arange(4000)[:, None]).all()


def test_neighbours_among_doubles_are_found_though_most_cells_are_empty() -> None:
    points = np.repeat(np.random.default_rng(0).random((30, 8), np.float32), 20, axis=0)
    found = nearly_nearest(points, 30)
    assert (found.distances[:, :19] == 0).all()
    assert (found.distances[:, 19:] > 0).all()


def test_there_are_no_more_neighbours_than_points() -> None:
    points = np.eye(3, dtype=np.float32)
    assert nearest(points, 10).places.shape == (3, 2)
    assert nearest(points[:1], 10).places.shape == (1, 0)
    assert nearest(points, 10, queries=points).places.shape == (3, 3)


def test_components_are_those_of_the_covariance(scene: Scene) -> None:
    found = components_of(scene.vectors)
    covariance = np.cov(scene.vectors.T.astype(np.float64))
    np.testing.assert_allclose(np.diag(found.axes @ covariance @ found.axes.T), found.variances, atol=1e-6)
    assert (np.diff(found.variances) <= 1e-12).all()
    assert 1 < found.needed(0.5) < found.needed(0.9999) < len(scene)


def test_a_sample_takes_the_same_share_of_each_part_and_keeps_the_rows_names() -> None:
    sample = open_scene("mnist", quick=True)
    assert {name: len(part) for name, part in sample.parts.items()} == {"train": 3429, "test": 571}
    assert sample.total == 70_000
    last = len(sample) - 1
    assert sample.name(0) == "train no. 0"
    assert sample.name(last) == "test no. 9999"


def test_the_generator_of_a_purpose_does_not_depend_on_others(scene: Scene) -> None:
    first = scene.rng("a").random()
    scene.rng("b").random()
    assert scene.rng("a").random() == first
    assert replace(scene, seed=1).rng("a").random() != first


def test_the_summary_of_a_column_is_that_of_numpy() -> None:
    values = np.array([0, 3, 3, 10])
    found = column("x", values)
    assert (found.mean, found.least, found.most) == (4.0, 0.0, 10.0)
    assert found.deviation == pytest.approx(np.std(values, ddof=1))
    assert math.isnan(column("x", values[:1]).deviation)


def test_the_mean_image_of_a_class_is_the_mean_of_its_digits(few: Digits) -> None:
    labels = few.need_labels("test")
    found = class_images(few.images, labels)[3]
    np.testing.assert_allclose(found.mean, few.images[labels == 3].mean(axis=0), atol=0.5)


def test_duplicates_within_and_between_parts_are_counted(few: Digits) -> None:
    labels = few.need_labels("test")
    again = Digits(few.images[:10], (labels[:10] + 1) % 10)
    train = Digits(np.concatenate([few.images[:50], again.images]), np.concatenate([labels[:50], again.labels]))
    parts = {"train": train, "test": few.take(slice(40, 60))}
    both = Scene("x", parts, {name: np.arange(len(part)) for name, part in parts.items()}, 80)
    found = duplicates(both, most=5)
    assert found.exact == 10 + 10
    assert found.disputed == 20
    assert found.between["test in train"] == 10
    assert found.between["test in mnist:test"] == 20
    assert found.between["test in mnist:train"] == 0
    assert (found.distances > 0).all()


def test_the_nearest_pair_of_a_class_is_that_of_a_plain_search(mnist_test: Digits) -> None:
    scene = open_scene(mnist_test.take(slice(1500)))
    found = duplicates(scene, most=5)
    assert scene.labels is not None
    for (first, second), apart in zip(found.pairs[:10], found.distances, strict=False):
        label = scene.labels[first]
        assert label == scene.labels[second]
        own = scene.vectors[scene.labels == label].astype(np.float64)
        every = ((own[:, None] - own[None]) ** 2).sum(axis=2)
        np.fill_diagonal(every, np.inf)
        assert apart == pytest.approx(float(np.sqrt(every.min())))


def test_what_is_not_a_number_is_null_in_the_findings() -> None:
    assert plain({"a": [1, float("nan")], 2: {"b": float("inf")}}) == {"a": [1, None], "2": {"b": None}}


def test_typical_digits_are_near_to_others_and_odd_ones_far(scene: Scene) -> None:
    found = characters(scene.near, scene.labels, None, each=3)
    reach = scene.near.distances.mean(axis=1)
    assert reach[found.odd].min() >= max(reach[places].max() for places in found.typical.values())


def test_random_points_have_the_moments_that_they_are_drawn_with(mnist_test: Digits) -> None:
    images = mnist_test.images[:2000]
    components = components_of(images.reshape(2000, 784).astype(np.float32) / np.float32(255))
    kinds = random_points(images, components, 2000, rng=np.random.default_rng(0))
    assert abs(kinds["uniform"].mean() - 127.5) < 0.5
    assert np.abs(kinds["marginals"].mean(axis=0) - images.mean(axis=0)).max() < 12
    assert set(np.unique(kinds["marginals"][:, 0, 0])) <= set(np.unique(images[:, 0, 0]))
    assert np.abs(kinds["gaussian"].mean(axis=0) - images.mean(axis=0)).max() < 40  # cut off at paper and ink


def test_the_bound_on_draws_holds_where_the_chance_is_known() -> None:
    # One digit, all paper: a point within 1 of it lies in a part of a ball that is all in the space.
    images = np.zeros((1, 28, 28), np.uint8)
    found = draws_needed(images, radius=1.0, rng=np.random.default_rng(0))
    power = math.lgamma(393) / math.log(10) - 392 * math.log10(math.pi) + 784 * math.log10(2)
    assert 0.8 * power < found.uniform <= power
    assert found.marginals == 0  # every draw of these greys is the digit itself


def test_fewer_draws_are_needed_for_a_wider_net_and_for_more_digits(few: Digits) -> None:
    def draws(count: int, radius: float) -> Draws:
        return draws_needed(few.images[:count], radius=radius, rng=np.random.default_rng(0))

    assert draws(200, 3.0).uniform > draws(200, 6.0).uniform > draws(200, 6.0).marginals
    assert draws(20, 6.0).uniform > draws(200, 6.0).uniform


def test_powers_of_ten_are_printed_as_such() -> None:
    assert power_of_ten(303.9) == "10³⁰³"


def clouds(n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Three clouds far apart in ten dimensions."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), n).astype(np.uint8)
    points = rng.normal(size=(3 * n, 10)).astype(np.float32)
    points[np.arange(3 * n), labels] += 30
    return points, labels


def test_a_map_keeps_clouds_apart_and_is_the_same_every_time() -> None:
    points, labels = clouds()
    near = nearest(points, 30)
    placed = tsne(points, near, seed=0, threads=1)
    assert neighbour_accuracy(placed, labels) == 1
    np.testing.assert_array_equal(placed, tsne(points, near, seed=0, threads=1))


def test_equal_points_can_be_mapped() -> None:
    points = np.repeat(clouds(10)[0], 5, axis=0)
    assert np.isfinite(tsne(points, nearest(points, 30), seed=0, threads=1)).all()


def test_umap_keeps_clouds_apart() -> None:
    points, labels = clouds()
    assert neighbour_accuracy(umap(points, nearest(points, 30), seed=0), labels) == 1


def test_a_perfect_map_is_fully_trusted_and_a_random_one_is_not() -> None:
    rng = np.random.default_rng(0)
    plane = rng.normal(size=(400, 2)).astype(np.float32)
    near = nearest(plane, 30)
    perfect = quality(plane, plane, near, None, rng=rng)
    assert perfect.trustworthiness == perfect.kept == 1
    assert perfect.distances == pytest.approx(1)
    assert perfect.accuracy is None
    other = quality(rng.permutation(plane), plane, near, np.zeros(400, np.uint8), rng=rng)
    assert other.trustworthiness < 0.6
    assert other.kept < 0.1
    assert abs(other.distances) < 0.2
    assert other.accuracy == 1


def test_a_map_is_framed_with_its_aspect_kept_and_up_upwards() -> None:
    at = framed(np.array([[0, 0], [2, 0], [0, 1]]), width=101)
    assert at[1, 0] - at[0, 0] == pytest.approx(2 * (at[0, 1] - at[2, 1]))
    assert at[2, 1] < at[0, 1]
    assert at.min() >= 0
    assert at.max() <= 100


def test_every_class_has_a_colour_of_its_own() -> None:
    assert len(set(CLASS_COLOURS)) == CLASSES


def test_a_map_is_drawn_with_labels_without_and_of_a_single_place(few: Digits) -> None:
    placed = np.random.default_rng(0).normal(size=(200, 2))
    for labels in (few.labels, None):
        image = map_image(placed, labels, few.images)
        assert image.dtype == np.uint8
        assert image[..., 3].any(axis=0)[[0, -1]].all()
    assert map_image(np.zeros((200, 2)), few.labels, few.images)[..., 3].any()


def test_the_sheet_holds_every_digit_in_its_place(few: Digits) -> None:
    laid = sheet(few.images, side=14, columns=16)
    assert laid.shape == (13 * 14, 16 * 14)
    tile = laid[14 * 2 : 14 * 3, 14 * 5 : 14 * 6]
    small = few.images[2 * 16 + 5].reshape(14, 2, 14, 2).mean(axis=(1, 3))
    assert np.abs(tile - small).max() <= 9  # half a step of sixteen greys


def bad(name: str, test: Digits) -> Digits:
    labels = test.need_labels("test")
    if name == "ten":
        return test.take(slice(10))
    if name == "one class":
        return test.take(np.flatnonzero(labels == 3)[:120])
    if name == "no labels":
        return Digits(test.images[:120])
    if name == "constant":
        return Digits(np.full((120, 28, 28), 9, np.uint8), np.arange(120) % 10)
    if name == "doubles":
        return Digits(np.repeat(test.images[:60], 2, axis=0), np.repeat(labels[:60], 2))
    return Digits(np.repeat(test.images[:1], 5000, axis=0), np.zeros(5000, np.uint8))


@pytest.mark.parametrize("name", ["ten", "one class", "no labels", "constant", "doubles", "copies"])
def test_every_part_works_or_says_in_a_line_why_not(name: str, mnist_test: Digits) -> None:
    found = explore(bad(name, mnist_test), quick=True)
    for chapter, results in found.results.items():
        for result in results:
            assert result.failed is None, f"{chapter}, {result.name}: {result.failed}"
            assert result.part or result.skipped
            assert "\n" not in (result.skipped or "")
    json.dumps(found.as_dict(), allow_nan=False)
    page = exploration_report(found)
    assert all(f'<section id="{chapter}">' in page for chapter in CHAPTERS)


def test_a_part_that_breaks_is_told_and_the_others_go_on(few: Digits, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(scene: Scene) -> Part:
        raise ZeroDivisionError("of all things")

    def silent(scene: Scene) -> Part:
        raise CannotSayError("There is nothing to say.")

    def fine(scene: Scene) -> Part:
        return Part({"n": len(scene)}, ("<p>fine</p>",), ("all is well",))

    parts = {"broken": broken, "silent": silent, "fine": fine}
    monkeypatch.setattr(verb, "CHAPTERS", {"x": Chapter("x", "X", parts)})
    found = explore(few)
    assert list(found.warnings()) == ["warning: x, broken: ZeroDivisionError: of all things; please report it"]
    facts = found.as_dict()["findings"]["x"]
    assert facts == {
        "broken": {"failed": "ZeroDivisionError: of all things"},
        "silent": {"skipped": "There is nothing to say."},
        "fine": {"n": 200},
    }
    page = exploration_report(found)
    assert "of all things" in page
    assert "There is nothing to say." in page
    assert "<p>fine</p>" in page


def test_the_folder_gets_page_facts_and_figures_and_may_be_replaced(few: Digits, tmp_path: Path) -> None:
    folder = tmp_path / "space"
    for _ in range(2):
        found = explore(few, output=folder, sections=["basics"])
    assert {path.name for path in folder.iterdir()} == {"report.html", "findings.json", "figures"}
    facts = json.loads((folder / "findings.json").read_text("utf-8"))
    assert facts["digits"] == 200
    assert sum(facts["findings"]["basics"]["counts"]["parts"]["all"]) == 200
    names = {path.name for path in (folder / "figures").iterdir()}
    assert {"counts.svg", "counts.png", "ink.svg", "ink.png"} <= names
    with Image.open(folder / "figures" / "counts.png") as image:
        assert image.width > 600
    assert found.text().endswith(f"report: {folder / 'report.html'}")


def test_a_folder_of_something_else_is_left_alone(few: Digits, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match="holds something else"):
        explore(few, output=tmp_path, sections=["basics"])
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_the_viewer_holds_every_digit_and_no_request(mnist_test: Digits, tmp_path: Path) -> None:
    explore(mnist_test.take(slice(120)), output=tmp_path / "space", sections=["maps"], quick=True)
    page = (tmp_path / "space" / "report.html").read_text("utf-8")
    start = page.index('<script type="application/json">') + len('<script type="application/json">')
    data = json.loads(page[start : page.index("</script>", start)].replace("<\\/", "</"))
    assert data["count"] == 120
    assert [shown["name"] for shown in data["maps"]] == ["tsne", "pca", "network"]
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page


@pytest.mark.parametrize("given", [["tentacles"], []])
def test_unknown_sections_are_answered_with_the_list(given: list[str], few: Digits) -> None:
    with pytest.raises(InputError, match="basics, strange, random"):
        explore(few, sections=given)


def test_the_same_seed_finds_the_same(few: Digits) -> None:
    first, second = (explore(few, sections=["random"], seed=3).as_dict()["findings"] for _ in range(2))
    assert first == second


def test_the_command_prints_what_was_found(train_csv: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["explore", str(train_csv), "-o", str(tmp_path / "space"), "--sections", "basics"])
    assert done.exit_code == 0
    assert "There are 5 digits." in done.stdout
    assert "report: " in done.stdout
    told = CliRunner().invoke(cli, ["explore", str(tmp_path / "none.csv"), "-o", str(tmp_path / "other")])
    assert told.exit_code == 1


def test_answers_are_given_to_what_was_asked_and_could_be_told(few: Digits) -> None:
    found = explore(few, sections=["basics", "random"]).as_dict()["findings"]
    assert list(answers(found)) == [
        "What does a random point of the space look like?",
        "How small is the part where the digits live?",
    ]
    found["random"]["noise"] = {"skipped": "for a reason"}
    assert answers(found) == {}


def test_a_map_is_not_said_to_take_longer_than_it_took(few: Digits, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(points: np.ndarray, k: int) -> object:
        time.sleep(2)
        return nearest(points, k)

    monkeypatch.setattr(scenes, "nearest", slow)
    monkeypatch.setattr(chapter_of_maps, "tsne", lambda points, near, **options: points[:, :2])
    began = time.perf_counter()
    facts = chapter_of_maps.by_tsne(open_scene(few)).facts
    assert 2 <= facts["seconds"] <= time.perf_counter() - began


def test_few_digits_are_not_said_to_be_bent() -> None:
    row: dict[str, object] = {"dimensions": 8, "as_good_components": 5}
    row |= {"components_clipped": {"interval95": [0.03, 0.04]}, "autoencoder": {"interval95": [0.025, 0.035]}}
    found = {"dimension": {"intrinsic": {"skipped": "too few"}, "autoencoder": {"by_dimensions": [row]}}}
    assert "too few" in answers(found)["Is it a manifold of few dimensions?"]
    row["autoencoder"] = {"interval95": [0.01, 0.02]}
    assert "bent" in answers(found)["Is it a manifold of few dimensions?"]

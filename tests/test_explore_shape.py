"""The measures of shape on clouds of known topology."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from manifolds import Points, blobs, circle, sphere, star, swiss_roll, torus, two_circles

from inkdigits.digits.dataset import Digits
from inkdigits.lab.explore.arms import along, cloud_of, profile_of
from inkdigits.lab.explore.density import components_by_level
from inkdigits.lab.explore.dimension import local_dimension
from inkdigits.lab.explore.homology import densest, gaussian_like, persistence_of, spread
from inkdigits.lab.explore.loops import SMALLEST, count_loops, holes
from inkdigits.lab.explore.mapper import branches_of, laid_out, loops_of, mapper_of
from inkdigits.lab.explore.neighbours import nearest
from inkdigits.lab.explore.paths import greyness, neighbour_graph, walk_between, ways_of
from inkdigits.lab.explore.shape_verdict import DENSE, Shape, Verdict, paragraph, tempered, weigh


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


# Homology


@pytest.mark.parametrize(
    ("cloud", "components", "loops"), [(circle, 1, 1), (two_circles, 2, 2), (sphere, 1, 0), (swiss_roll, 1, 0)]
)
def test_components_and_loops_above_the_band_are_those_of_the_cloud(
    cloud: Callable[..., Points], components: int, loops: int, rng: np.random.Generator
) -> None:
    found = persistence_of(cloud(800, rng), rng=rng, landmarks=150, resamples=10, nulls=2)
    assert (found.components, found.loops) == (components, loops)


def test_a_torus_has_two_loops(rng: np.random.Generator) -> None:
    found = persistence_of(torus(6000, rng), rng=rng, landmarks=450, resamples=5, nulls=1)
    assert (found.components, found.loops) == (1, 2)


def test_a_gaussian_cloud_has_no_loop_longer_than_its_like(rng: np.random.Generator) -> None:
    found = persistence_of(rng.standard_normal((600, 5)), rng=rng, landmarks=120, resamples=5)
    assert found.loops == 0
    assert found.chance > 0.05


def test_the_foil_has_the_covariance_of_the_cloud(rng: np.random.Generator) -> None:
    points = rng.standard_normal((4000, 3)) @ np.array([[3, 0, 0], [1, 1, 0], [0, 0, 0.1]])
    foil = gaussian_like(points, rng=rng)
    np.testing.assert_allclose(np.cov(foil.T), np.cov(points.T), atol=0.5)


def test_landmarks_are_spread_and_distinct(rng: np.random.Generator) -> None:
    points = rng.standard_normal((500, 2))
    chosen = spread(points, 50, rng=rng)
    assert len(np.unique(chosen)) == 50
    assert nearest(points[chosen], 1, queries=points).distances.max() < 1
    assert len(spread(points, 1000, rng=rng)) == 500


def test_the_densest_points_leave_a_stray_one_out(rng: np.random.Generator) -> None:
    points = np.concatenate([rng.standard_normal((99, 2)), [[50.0, 50.0]]])
    assert 99 not in densest(points, 0.9)


# Ways, arms, dimension


@pytest.mark.parametrize(("cloud", "dimension"), [(circle, 1), (sphere, 2), (swiss_roll, 2), (torus, 2)])
def test_the_local_dimension_of_a_manifold_is_found(
    cloud: Callable[..., Points], dimension: int, rng: np.random.Generator
) -> None:
    points = cloud(3000, rng, noise=0) if cloud is circle else cloud(3000, rng)
    assert np.median(local_dimension(nearest(points, 20).distances)) == pytest.approx(dimension, abs=0.3)


def test_a_local_dimension_that_cannot_be_told_is_nan() -> None:
    assert np.isnan(local_dimension(np.zeros((3, 2), np.float32))).all()
    assert np.isnan(local_dimension(np.ones((3, 8), np.float32))).all()


def test_the_way_round_half_a_circle_is_longer_than_the_straight_line(rng: np.random.Generator) -> None:
    points = circle(600, rng, noise=0.0)
    ways = ways_of(points, nearest(points, 10), rng=rng, sources=100)
    ratios = ways.ratios()
    assert (ratios > 1 - 1e-6).all()
    assert np.quantile(ratios, 0.99) == pytest.approx(np.pi / 2, rel=0.05)
    assert np.isnan(ways.stretch(np.zeros(600, bool)))


def test_the_interval_of_the_stretch_holds_it_and_the_same_again(rng: np.random.Generator) -> None:
    points = swiss_roll(1500, rng)
    ways = ways_of(points, nearest(points, 10), rng=rng)
    found = ways.stretch_estimate(np.random.default_rng(1))
    low, high = found.interval95
    assert low < found.value == ways.stretch() < high
    assert high - low < 0.2 * found.value
    assert found == ways.stretch_estimate(np.random.default_rng(1))


def test_eccentricity_rises_along_an_arm_and_what_is_not_known_is_null(rng: np.random.Generator) -> None:
    cloud = cloud_of(star(1500, rng, arms=5), rng=rng)
    profile = along(cloud, 0, bins=4)
    assert (np.diff(profile.eccentricity) > 0).all()
    facts = replace(profile, dimension=np.array([1.0, np.nan])).as_dict()
    assert facts["local_dimension"] == [1.0, None]
    json.dumps(cloud.as_dict(rng), allow_nan=False)


def test_ways_are_those_of_the_largest_piece(rng: np.random.Generator) -> None:
    points = np.concatenate([circle(200, rng), circle(100, rng) + np.array([9, 0])])
    ways = ways_of(points, nearest(points, 10), rng=rng)
    assert (ways.kept < 200).all()
    assert ways.left_out == 100
    assert np.isfinite(ways.lengths).all()


def test_a_star_has_as_many_arms_as_it_was_given(rng: np.random.Generator) -> None:
    cloud = cloud_of(star(1500, rng, arms=5), rng=rng)
    assert len(cloud.arms) == 5
    assert all(path[0] == cloud.arms.centre for path in cloud.arms.paths)
    assert [path[-1] for path in cloud.arms.paths] == cloud.arms.tips.tolist()
    assert cloud.taper < 1


def test_a_round_cloud_has_fewer_than_three_arms(rng: np.random.Generator) -> None:
    assert len(cloud_of(rng.standard_normal((1500, 10)), rng=rng).arms) < 3


def test_a_profile_runs_from_the_middle_outwards(rng: np.random.Generator) -> None:
    position = rng.uniform(size=100)
    profile = profile_of(position, position, position, bins=5)
    assert profile.n.tolist() == [20] * 5
    assert (np.diff(profile.out) > 0).all()
    assert (np.diff(profile.dimension) > 0).all()


def test_a_walk_stays_nearer_to_the_points_than_the_blend(rng: np.random.Generator) -> None:
    points = circle(400, rng, noise=0.0).astype(np.float32)
    order = np.argsort(np.arctan2(points[:, 1], points[:, 0]))
    start, end = int(order[0]), int(order[200])
    walk = walk_between(points, neighbour_graph(nearest(points, 15), 15), start, end)
    assert walk is not None
    assert (walk.places[0], walk.places[-1]) == (start, end)
    assert walk.from_walk.max() < 0.1 < 0.9 < walk.from_blend.max()
    np.testing.assert_allclose(walk.walked[[0, -1]], points[[start, end]], atol=1e-6)


def test_the_digits_of_a_walk_do_not_make_it_near_to_digits() -> None:
    line = np.column_stack([np.arange(8), np.zeros(8)]).astype(np.float32)
    points = np.concatenate([line, line + np.array([0, 50], np.float32)])
    walk = walk_between(points, neighbour_graph(nearest(points, 2), 2), 0, 7)
    assert walk is not None
    assert set(walk.places) <= set(range(8))
    assert walk.from_walk.max() == walk.from_blend.max()
    alone = walk_between(points[:2], neighbour_graph(nearest(points[:2], 1), 1), 0, 1)
    assert alone is None


def test_there_is_no_walk_between_pieces(rng: np.random.Generator) -> None:
    points = two_circles(100, rng).astype(np.float32)
    assert walk_between(points, neighbour_graph(nearest(points, 5)), 0, 99) is None


def test_greyness_is_that_of_the_ink() -> None:
    images = np.array([[0, 0, 1, 1], [0, 0.5, 0.5, 1], [0.5, 0.5, 0, 0], [0, 0, 0, 0]])
    np.testing.assert_allclose(greyness(images), [0, 0.5, 1, 0])


# Density


def test_blobs_are_separate_at_every_level_and_a_roll_hangs_together(rng: np.random.Generator) -> None:
    apart = components_by_level(nearest(blobs(1000, rng), 30))
    assert [level.large for level in apart[4:]] == [5] * (len(apart) - 4)
    assert sum(apart[-1].sizes) == 1000
    assert components_by_level(nearest(swiss_roll(1500, rng), 30))[-1].large == 1


def test_components_are_numbered_from_the_largest(rng: np.random.Generator) -> None:
    points = np.concatenate([rng.standard_normal((100, 2)), rng.standard_normal((300, 2)) + 50])
    level = components_by_level(nearest(points, 20), levels=[1.0])[0]
    assert level.sizes == [300, 100]
    assert (level.component[100:] == 0).all()


# Mapper


def test_the_mapper_graph_of_a_star_has_its_arms_for_branches(rng: np.random.Generator) -> None:
    points = star(1500, rng, arms=5)
    graph = mapper_of(points, -np.linalg.norm(points, axis=1))
    assert len(graph.branches) == 5
    assert graph.loops == 0


def test_the_mapper_graph_of_a_circle_is_a_loop() -> None:
    angles = np.linspace(0, 2 * np.pi, 600, endpoint=False)
    points = np.column_stack([np.cos(angles), np.sin(angles)])
    graph = mapper_of(points, points[:, 0])
    assert (graph.components, graph.loops, len(graph.branches)) == (1, 1, 0)
    assert len(graph.covered()) == 600


def test_branches_end_before_the_fork() -> None:
    links = np.array([[0, 1], [1, 2], [2, 3], [2, 4], [4, 5]])
    assert branches_of(links, 6) == ((0, 1), (5, 4), (3,))
    assert branches_of(np.array([[0, 1], [1, 2]]), 3) == ()


def test_a_triangle_is_no_loop_and_a_square_is_one() -> None:
    assert loops_of(np.array([[0, 1], [1, 2], [0, 2]]), 4) == 0
    assert loops_of(np.array([[0, 1], [1, 2], [2, 3], [0, 3]]), 4) == 1


def test_nodes_are_laid_out_apart_within_the_frame(rng: np.random.Generator) -> None:
    at = np.concatenate([rng.standard_normal((20, 2)), np.zeros((5, 2))])
    placed = laid_out(at, width=4, height=5, apart=0.3)
    gaps = np.linalg.norm(placed[:, None] - placed[None], axis=2)[np.triu_indices(25, 1)]
    assert gaps.min() > 0.27
    assert (placed >= 0).all()
    assert (placed <= [4, 5]).all()


# Loops in strokes


def drawn(*holes_at: tuple[int, int, int]) -> np.ndarray:
    """An inked square with holes: row, column and side of each."""
    image = np.zeros((28, 28), np.uint8)
    image[4:24, 4:24] = 255
    for row, column, side in holes_at:
        image[row : row + side, column : column + side] = 0
    return image


def test_holes_are_counted_and_pinholes_are_not() -> None:
    images = np.stack([drawn(), drawn((8, 8, 4)), drawn((6, 6, 4), (16, 16, 4)), drawn((8, 8, 2))])
    assert SMALLEST > 4
    assert holes(images).tolist() == [0, 1, 2, 0]


def test_a_gap_in_faint_ink_is_bridged_and_a_gap_of_paper_is_not() -> None:
    ring = drawn((8, 8, 8))
    open_ring = ring.copy()
    open_ring[10:12, :8] = 0
    faint = ring.copy()
    faint[10:12, :8] = np.minimum(faint[10:12, :8], 20)
    assert holes(np.stack([ring, open_ring, faint])).tolist() == [1, 0, 1]


def test_holes_do_not_depend_on_the_other_images(few: Digits) -> None:
    together = holes(few.images)
    assert [int(holes(image[None])[0]) for image in few.images[:20]] == together[:20].tolist()
    many = np.concatenate([few.images] * 21)
    np.testing.assert_array_equal(holes(many), np.tile(together, 21))


def test_blank_and_full_images_have_no_holes() -> None:
    assert holes(np.stack([np.zeros((28, 28), np.uint8), np.full((28, 28), 255, np.uint8)])).tolist() == [0, 0]


def test_most_digits_have_the_loops_of_their_class(mnist_test: Digits) -> None:
    assert mnist_test.labels is not None
    found = count_loops(holes(mnist_test.images[:3000]), mnist_test.labels[:3000])
    assert found.accuracy > 0.8
    assert found.n == (mnist_test.labels[:3000] != 4).sum()
    shares = found.shares()
    assert shares[[0, 6, 9], 1].min() > 0.75
    assert shares[8, 2] > 0.6
    assert shares[[1, 2, 3, 5, 7], 0].min() > 0.6


# The verdict


def shape_of(points: Points, rng: np.random.Generator) -> Shape:
    cloud = cloud_of(points, rng=rng)
    return Shape(cloud, cloud_of(gaussian_like(cloud.ways.points, rng=rng), rng=rng))


@pytest.mark.parametrize(("cloud", "favoured"), [(blobs, "blobs"), (star, "tentacles"), (swiss_roll, "sheet")])
def test_the_verdict_is_what_the_cloud_was_made_to_be(
    cloud: Callable[..., Points], favoured: str, rng: np.random.Generator
) -> None:
    points = cloud(1500, rng)
    levels = components_by_level(nearest(points, 30))
    whole, dense = shape_of(points, rng), shape_of(points[densest(points, DENSE)], rng)
    found = weigh(levels, whole, {DENSE: dense})
    assert found.favoured == favoured
    assert found.votes[favoured] == max(found.votes.values())
    said = paragraph(found, whole, repeats=[found, found])
    assert said[0].startswith(f"The evidence {found.strength} favours")
    assert any("2 favour the same" in sentence for sentence in said)


def test_a_verdict_is_as_strong_as_the_least_sure_sample() -> None:
    own, unsure, other = (
        Verdict("sheet", "strongly", {}, ()),
        Verdict("sheet", "moderately", {}, ()),
        Verdict("blobs", "strongly", {}, ()),
    )
    assert tempered(own, [own, own]).strength == "strongly"
    assert tempered(own, [own, unsure]).strength == "moderately"
    assert tempered(own, [unsure, other]).strength == "weakly"
    undecided = Verdict(None, "not at all", {}, ())
    assert tempered(undecided, [own]) == undecided


def test_nothing_is_said_strongly_of_too_few_digits_for_other_samples() -> None:
    strong, weak = Verdict("sheet", "strongly", {}, ()), Verdict("sheet", "weakly", {}, ())
    assert tempered(strong, []).strength == tempered(strong, [strong]).strength == "moderately"
    assert tempered(weak, []).strength == "weakly"


@pytest.fixture(scope="module")
def round_shape() -> Shape:
    rng = np.random.default_rng(3)
    return shape_of(rng.standard_normal((300, 4)), rng)


@pytest.mark.parametrize(
    ("favoured", "others", "sentence"),
    [
        ("sheet", [], "There are too few digits to ask other samples."),
        ("sheet", ["sheet", "blobs"], "1 favours the same (1 weakly); as not all do"),
        ("sheet", ["sheet", "sheet"], "2 favour the same (2 weakly); the weakest word"),
        ("sheet", ["sheet"], "a single one is too few to say anything strongly."),
        ("sheet", ["blobs", None], "Of 2 other samples of the digits, none favours the same, so that it is said"),
        (None, [None], "Of 1 other sample of the digits, 1 does not decide either."),
        (None, ["blobs", "blobs"], "Of 2 other samples of the digits, 2 favour separate or solid blobs."),
    ],
)
def test_what_other_samples_say_is_told_as_it_is(
    favoured: str | None, others: list[str | None], sentence: str, round_shape: Shape
) -> None:
    def verdict(name: str | None) -> Verdict:
        return Verdict(name, "weakly" if name else "not at all", {"blobs": 2, "tentacles": 2, "sheet": 2}, ())

    said = " ".join(paragraph(verdict(favoured), round_shape, repeats=[verdict(other) for other in others]))
    assert sentence in said


def with_arms(shape: Shape, count: int) -> Shape:
    """The shape, as if it had so many arms."""
    arms = shape.cloud.arms
    more = replace(arms, tips=np.zeros(count, np.int64), prominence=np.ones(count))
    return Shape(replace(shape.cloud, arms=more), shape.foil)


def test_one_or_two_classes_do_not_decide_for_all(round_shape: Shape, rng: np.random.Generator) -> None:
    levels = components_by_level(nearest(rng.standard_normal((300, 4)), 30))
    whole, armed = with_arms(round_shape, 1), with_arms(round_shape, 9)
    few, enough = (weigh(levels, whole, {DENSE: whole}, [armed] * count) for count in (2, 3))
    assert "tentacles" not in few.tests[1].favours
    assert "classes" not in few.tests[1].found
    assert enough.tests[1].favours == ("tentacles",)


@pytest.mark.parametrize(("branches", "hinted"), [((18, 17), False), ((34, 17), True), ((2, 0), False), ((3, 0), True)])
def test_a_few_branches_more_than_by_chance_are_no_hint(
    branches: tuple[int, int], hinted: bool, round_shape: Shape
) -> None:
    verdict = Verdict("sheet", "weakly", {"blobs": 1, "tentacles": 1, "sheet": 2}, ())
    said = " ".join(paragraph(verdict, round_shape, branches=branches))
    assert ("hints of tentacles" in said) == hinted


def test_the_loops_of_a_single_cloud_are_told_without_counting_clouds(
    round_shape: Shape, rng: np.random.Generator
) -> None:
    verdict = Verdict("sheet", "weakly", {"blobs": 1, "tentacles": 1, "sheet": 2}, ())
    found = persistence_of(rng.standard_normal((300, 4)), rng=rng, landmarks=50, resamples=5)
    said = " ".join(paragraph(verdict, round_shape, homology={"all": found}))
    assert "The cloud has no loop that is sure" in said
    assert "of 1" not in said

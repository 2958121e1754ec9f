"""An explanation points at what matters, and what it says can be checked by asking the model again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from support import somebody_elses_model

from inkdigits.app.cli import status_of
from inkdigits.digits.dataset import Digits, Images
from inkdigits.digits.formats import save_digits
from inkdigits.digits.mnist import load_mnist
from inkdigits.errors import InputError, OutputError
from inkdigits.lab.attribution import (
    evidence,
    nearest,
    occlusion,
    place_of,
    random_masks,
    smallest_change,
    smooth_masks,
    together,
)
from inkdigits.lab.explain import explain
from inkdigits.lab.explanation import Explanation
from inkdigits.nets.train import Run, train
from inkdigits.reader.model import load_model

INK, GAP = (slice(12, 16), slice(5, 9)), (slice(12, 16), slice(19, 23))


def patches(images: Images) -> NDArray[np.float32]:
    """A model that answers 1, the surer the more ink there is in INK and the emptier GAP is; else 7."""
    light = images.astype(np.float32) / 255
    score = 8 * light[:, *INK].mean(axis=(1, 2)) - 6 * light[:, *GAP].mean(axis=(1, 2)) - 3
    probabilities = np.full((len(images), 10), 1e-4, np.float32)
    probabilities[:, 1] = 1 / (1 + np.exp(-score))
    probabilities[:, 7] = 1 - probabilities[:, 1]
    return probabilities / probabilities.sum(axis=1, keepdims=True)


@pytest.fixture
def image() -> NDArray[np.uint8]:
    """Ink in INK and, as much, in a place that does not matter."""
    image = np.zeros((28, 28), np.uint8)
    image[INK] = 255
    image[20:24, 5:9] = 255
    return image


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    digits = load_mnist("train").take(slice(2_000), source="2000")
    return train(digits, output=tmp_path_factory.mktemp("runs") / "run", net="a-mlp-relu-adam", epochs=2)


@pytest.fixture(scope="module")
def near() -> Digits:
    return load_mnist("train").take(slice(300), source="300 digits")


@pytest.fixture(scope="module")
def digit(run: Run, near: Digits) -> Explanation:
    return explain(run.folder, load_mnist("test").images[4], training=near).digits[0]


def test_both_maps_find_the_ink_and_the_gap_that_matter(image: NDArray[np.uint8], few: Digits) -> None:
    rng = np.random.default_rng(0)
    maps = [occlusion(image, patches, 1), random_masks(image, patches, 1, others=few.images, rng=rng)]
    for found in (*maps, together(*maps)):
        assert found.shape == (28, 28)
        assert found[INK].mean() > 3 * abs(found[20:24, 5:9].mean())
        assert found[GAP].mean() > 3 * abs(found[2:6, 12:16].mean())


def test_what_speaks_against_the_answer_is_below_zero(image: NDArray[np.uint8]) -> None:
    assert occlusion(image, patches, 7)[INK].mean() < 0


def test_random_masks_are_the_same_for_the_same_seed_and_keep_half() -> None:
    first, second = (smooth_masks(500, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(first, second)
    assert first.min() >= 0
    assert first.max() <= 1
    assert np.abs(first.mean(axis=0) - 0.5).max() < 0.1
    # Smooth: from one pixel to the next a mask changes by no more than a cell's width allows.
    assert np.abs(np.diff(first, axis=1)).max() <= 0.25 + 1e-6


def test_the_log_odds_of_a_sure_answer_are_finite() -> None:
    odds = evidence(np.array([[0, 1], [1, 0], [0.5, 0.5]], np.float32), 1)
    assert np.isfinite(odds).all()
    assert odds[2] == pytest.approx(0)


def test_the_smallest_change_changes_the_answer_and_says_how_much_ink_it_takes(image: NDArray[np.uint8]) -> None:
    change = smallest_change(image, patches)
    assert change is not None
    assert change.digit == 7 == patches(change.image[None])[0].argmax()
    assert change.probability == pytest.approx(patches(change.image[None])[0, 7], abs=1e-4)
    difference = (change.image.astype(float) - image) / 255
    assert change.added == pytest.approx(difference.clip(min=0).sum(), abs=1e-3)
    assert change.removed == pytest.approx((-difference).clip(min=0).sum(), abs=1e-3)
    # Emptying all sixteen pixels would do; the search must find that less is enough, and at the right place.
    assert 0 < change.removed < 16
    assert np.abs(difference)[11:17, 4:10].sum() == pytest.approx(np.abs(difference).sum())


def test_where_no_small_change_helps_there_is_none(image: NDArray[np.uint8]) -> None:
    def stubborn(images: Images) -> NDArray[np.float32]:
        return np.tile(np.eye(10, dtype=np.float32)[3], (len(images), 1))

    assert smallest_change(image, stubborn) is None


def test_blank_paper_can_be_explained(few: Digits) -> None:
    blank = np.zeros((28, 28), np.uint8)
    assert np.isfinite(occlusion(blank, patches, 7)).all()
    change = smallest_change(blank, patches)
    assert change is not None
    assert change.removed == 0


def test_the_nearest_are_nearest_and_in_order() -> None:
    points = np.random.default_rng(0).normal(size=(50, 4))
    places, distances = nearest(points[7], points, 5)
    assert places[0] == 7
    assert (np.diff(distances) >= 0).all()
    assert distances[-1] == np.sort(np.linalg.norm(points - points[7], axis=1))[4]
    assert len(nearest(points[0], points[:3], 5)[0]) == 3


@pytest.mark.parametrize(
    ("at", "words"), [((5, 6), "top left"), ((14, 14), "middle"), ((23, 14), "bottom"), ((14, 21), "right")]
)
def test_places_are_named_within_the_digit(at: tuple[int, int], words: str) -> None:
    square, weight = np.zeros((28, 28), np.uint8), np.zeros((28, 28))
    square[4:24, 4:24] = 255
    weight[at] = 1
    assert place_of(weight, square) == words


def test_an_explanation_says_what_the_model_says(digit: Explanation, run: Run, near: Digits) -> None:
    model = load_model(run.folder)
    assert np.array_equal(digit.image, load_mnist("test").images[4])
    assert np.array_equal(digit.probabilities, model.predict(digit.image[None]).probabilities[0])
    order = np.argsort(digit.probabilities)
    assert (digit.answer, digit.second) == (order[-1], order[-2])
    assert digit.change is not None
    assert model.predict(digit.change.image[None]).labels[0] == digit.change.digit != digit.answer
    assert np.abs(digit.evidence).max() <= 1
    assert -1 <= digit.agreement <= 1
    points = model.predict(near.images, features=True).features
    own = model.predict(digit.image[None], features=True).features
    assert points is not None
    assert own is not None
    seen = np.isin(np.arange(300), [neighbour.index for neighbour in digit.nearest])
    distances = np.linalg.norm(points - own, axis=1)
    assert distances[seen].max() <= distances[~seen].min()
    assert [neighbour.label for neighbour in digit.nearest] == [int(near.labels[n.index]) for n in digit.nearest]


def test_the_caption_is_one_sentence_for_people(digit: Explanation) -> None:
    caption = digit.caption()
    assert caption.startswith((f"Read as {digit.answer} (", "Refused, the likeliest digit being"))
    assert caption.count(". ") == 0
    assert caption.endswith(".")
    assert "of ink" in caption


def test_the_same_seed_explains_the_same(run: Run, near: Digits, digit: Explanation) -> None:
    again = explain(run.folder, digit.image, training=near).digits[0]
    assert again.as_dict() == digit.as_dict() | {"picture": again.name}
    other = explain(run.folder, digit.image, training=near, seed=1).digits[0]
    assert not np.array_equal(other.random_masks, digit.random_masks)
    assert np.array_equal(other.occlusion, digit.occlusion)


def test_a_training_digit_is_not_its_own_neighbour(run: Run, near: Digits) -> None:
    found = explain(run.folder, near.images[10], training=near).digits[0]
    assert 10 not in [neighbour.index for neighbour in found.nearest]


def test_the_nearest_are_looked_for_among_what_the_run_was_trained_on(run: Run, few: Digits) -> None:
    found = explain(run.folder, few.images[0], among=200)
    assert (found.training, found.among, found.known, found.space) == ("mnist:train", 200, True, "features")
    assert all(neighbour.index < 2_000 for neighbour in found.digits[0].nearest)
    strangers = explain(run.folder, few.images[0], training=few)
    assert (strangers.known, strangers.among) == (False, 200)


def test_a_foreign_model_is_explained_by_pixels(near: Digits, tmp_path: Path) -> None:
    path = somebody_elses_model(tmp_path / "other.onnx", load_mnist("train").take(slice(2_000)))
    found = explain(path, load_mnist("test").images[4], training=near, input_scale="unit")
    assert (found.input_scale, found.space, found.known) == ("unit", "pixels", False)
    assert found.digits[0].novelty is None
    assert found.digits[0].refused is False
    distances = np.sqrt(((near.images / 255.0 - found.digits[0].image / 255.0) ** 2).sum(axis=(1, 2)))
    assert found.digits[0].nearest[0].distance == pytest.approx(distances.min(), rel=1e-5)


def test_digits_of_a_source_are_named_by_number(run: Run, near: Digits, few: Digits, tmp_path: Path) -> None:
    save_digits(few, tmp_path / "few.npz")
    found = explain(run.folder, ["mnist:test#3", f"{tmp_path / 'few.npz'}#7,1-2"], training=near).digits
    assert [digit.name.split("/")[-1] for digit in found] == [
        "mnist:test no. 3",
        "few.npz no. 7",
        "few.npz no. 1",
        "few.npz no. 2",
    ]
    assert [digit.label for digit in found] == [int(few.labels[row]) for row in (3, 7, 1, 2)]
    disputed = explain(run.folder, "mnist:test#947", training=near).digits[0]
    assert disputed.contested
    if disputed.label != disputed.answer:
        assert "dispute" in disputed.caption()


def test_the_wrong_ones_come_surest_first(run: Run, near: Digits, few: Digits, tmp_path: Path) -> None:
    said = load_model(run.folder).predict(few.images)
    wrong = np.flatnonzero(said.labels != few.labels)
    save_digits(few.take(np.append(wrong[:3], [0, 1])), tmp_path / "few.npz")
    found = explain(run.folder, f"{tmp_path / 'few.npz'}#wrong", training=near).digits
    assert len(found) == 3
    assert all(digit.answer != digit.label for digit in found)
    assert [digit.confidence for digit in found] == sorted((digit.confidence for digit in found), reverse=True)


def test_a_picture_is_cut_into_its_digits(run: Run, near: Digits, few: Digits, tmp_path: Path) -> None:
    page = np.full((200, 500), 230, np.uint8)
    for place, row in enumerate((0, 1)):
        glyph = np.kron(few.images[row], np.ones((5, 5), np.uint8))
        page[30:170, 60 + 200 * place : 200 + 200 * place] -= (glyph * 0.8).astype(np.uint8)
    Image.fromarray(page).save(tmp_path / "page.png")
    found = explain(run.folder, tmp_path / "page.png", training=near).digits
    assert len(found) == 2
    assert all(digit.box is not None and len(digit.box) == 4 for digit in found)
    assert found[0].box[0] < found[1].box[0]  # type: ignore[index]


def test_the_folder_holds_a_page_the_figures_and_what_they_show(run: Run, near: Digits, tmp_path: Path) -> None:
    folder = tmp_path / "why"
    found = explain(run.folder, load_mnist("test").images[:2], training=near, output=folder)
    assert found.output == folder
    figures = sorted(path.name for path in folder.glob("*.png"))
    assert figures == [f"{number:03}-{digit.answer}.png" for number, digit in enumerate(found.digits, 1)]
    with Image.open(folder / figures[0]) as figure:
        assert figure.width == 920
        assert figure.height < 2 * figure.width + 200
    content = json.loads((folder / "explanation.json").read_text())
    assert content == json.loads(json.dumps(found.as_dict()))
    assert np.shape(content["digits"][0]["occlusion"]) == (28, 28)
    page = (folder / "report.html").read_text()
    assert page.count("<figure") == 2
    assert found.digits[1].caption().split(" (")[0] in page
    explain(run.folder, load_mnist("test").images[2], training=near, output=folder)
    assert len(list(folder.glob("*.png"))) == 1  # replaced as a whole
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="holds something else"):
        explain(run.folder, load_mnist("test").images[2], training=near, output=folder)
    assert (folder / "notes.txt").exists()


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        ("mnist:test", "mnist:test#247"),
        ("mnist:test#10000", "no such digit, expected 0 to 9999"),
        ("mnist:test#5-3", "no such digit"),
        ("mnist:test#0-99999999999", "no such digit"),
        ("nosuch.csv#3", "no such file"),
        ("nosuch.png", "nosuch.png"),
    ],
)
def test_what_cannot_be_explained_is_one_line(
    picture: str, message: str, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of(["explain", str(run.folder), picture, "-o", str(tmp_path / "why")]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_good_pictures_are_explained_beside_a_bad_one(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = ["nosuch.png", "mnist:test#0"]
    arguments = ["explain", str(run.folder), *pictures, "-o", str(tmp_path / "why"), "--among", "200", "--json"]
    assert status_of(arguments) == 1
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert [digit["picture"] for digit in found["digits"]] == ["mnist:test no. 0"]
    assert "error: " in err
    with pytest.raises(InputError):
        explain(run.folder, "nosuch.png")


def test_blank_paper_leaves_with_three(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("L", (200, 200), 240).save(tmp_path / "blank.png")
    arguments = ["explain", str(run.folder), str(tmp_path / "blank.png"), "-o", str(tmp_path / "why"), "--among", "200"]
    assert status_of(arguments) == 3
    assert "nothing to explain (blank)" in capsys.readouterr().out

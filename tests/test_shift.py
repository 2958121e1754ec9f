"""evaluate --shift: what is measured on worse images, on other people's digits and on what is no digit, and is said."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from inkdigits.app.cli import status_of
from inkdigits.digits.dataset import Digits, Images
from inkdigits.digits.formats import save_digits
from inkdigits.errors import MissingExtraError
from inkdigits.lab import evaluate as evaluate_module
from inkdigits.lab import outside, report, shift
from inkdigits.lab.corrupt import CORRUPTIONS, HELD_BACK, corrupt
from inkdigits.lab.evaluate import evaluate
from inkdigits.lab.outside import MIRRORED, TURNED, non_digits, textures, uci_digits
from inkdigits.lab.shift import measure_shift
from inkdigits.lab.shift_report import shift_section
from inkdigits.measure import auroc
from inkdigits.reader.model import Model, Predictions


@dataclass
class Centroids(Model):
    """Reads a digit as the class whose mean image is nearest; the farther that is, the more novel."""

    means: np.ndarray
    spread: float = 0.05
    name: str = "centroids"
    folder: Path | None = None
    novelty_threshold: float | None = 0.5
    input_scale: str | None = None
    path: Path = Path("centroids.onnx")
    metadata: dict[str, str] = field(default_factory=dict)

    def training_hashes(self):
        return None

    def predict(self, images: Images, *, features: bool = False) -> Predictions:
        pixels = images.reshape(-1, 784) / 255
        distance = (pixels**2).sum(axis=1)[:, None] - 2 * pixels @ self.means.T + (self.means**2).sum(axis=1)
        shares = np.exp(-(distance - distance.min(axis=1, keepdims=True)) / 10)
        novelty = 1 / (1 + np.exp(-(distance.min(axis=1) - 60) / 20))
        return Predictions((shares / shares.sum(axis=1, keepdims=True)).astype(np.float32), novelty.astype(np.float32))


@pytest.fixture(scope="module")
def model(mnist_test: Digits) -> Centroids:
    some = mnist_test.take(slice(200, 2_000))
    pixels = some.images.reshape(-1, 784) / 255
    return Centroids(np.stack([pixels[some.labels == label].mean(axis=0) for label in range(10)]))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Few images of what is made here, and no Fashion-MNIST, whatever is installed."""
    monkeypatch.setattr(outside, "COUNT", 60)
    monkeypatch.setattr(outside, "FASHION", tmp_path / "t10k-images-idx3-ubyte.gz")


@pytest.fixture(scope="module")
def found(model: Centroids, few: Digits) -> shift.Shift:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outside, "COUNT", 60)
        patch.setattr(outside, "FASHION", Path("nowhere"))
        return measure_shift(model, few)


def foreign(path: Path, means: np.ndarray) -> Path:
    """The same reading as one matrix product, by somebody who does not say how novel an image is."""
    weights = {"w": (means.T * 0.2).astype(np.float32), "b": (-(means**2).sum(axis=1) * 0.1).astype(np.float32)}
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "w", "b"], ["out"])],
        "other",
        [helper.make_tensor_value_info("x", 1, ["N", 784])],
        [helper.make_tensor_value_info("out", 1, ["N", 10])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


# What is measured


def test_every_corruption_is_scored_and_refused_as_the_model_answers_it(found, model, few):
    assert [condition.name for condition in found.corruptions] == list(CORRUPTIONS)
    for condition in found.corruptions:
        answers = model.predict(corrupt(few.images, condition.name))
        right, refused = answers.labels == few.labels, answers.novelty > 0.5
        assert condition.score.errors == 200 - right.sum()
        assert condition.refusal.refused == refused.sum()
        if not refused.all():
            assert condition.refusal.answered.errors == (~right[~refused]).sum()
    assert found.clean.score.errors == (model.predict(few.images).labels != few.labels).sum()


def test_the_means_are_over_all_fifteen_and_over_those_held_back(found):
    accuracies = {condition.name: condition.score.accuracy for condition in found.corruptions}
    assert found.mean == pytest.approx(np.mean(list(accuracies.values())))
    assert found.held_back_mean == pytest.approx(np.mean([accuracies[name] for name in HELD_BACK]))


def test_what_is_no_digit_is_told_from_the_clean_digits_by_its_novelty(found, model, few):
    names = ["noise", "textures", "turned_digits", "mirrored_digits", "blank"]
    assert [kind.name for kind in found.strangers] == names
    clean, kinds = model.predict(few.images).novelty, non_digits(few)
    for kind in found.strangers:
        novelty = model.predict(kinds[kind.name]).novelty
        assert kind.n == len(kinds[kind.name])
        assert kind.auroc == auroc(clean, novelty)
        assert kind.refused == (novelty > 0.5).sum()
    assert found.strangers[0].auroc > 0.99  # noise is far from every mean


def test_the_same_seed_measures_the_same_and_another_one_does_not(found, model, few):
    assert measure_shift(model, few).as_dict() == found.as_dict()
    assert measure_shift(model, few, seed=1).as_dict() != found.as_dict()


def test_of_a_large_set_only_so_many_are_corrupted(model, mnist_test, monkeypatch):
    monkeypatch.setattr(shift, "MOST_DIGITS", 30)
    assert measure_shift(model, mnist_test).clean.score.n == 30


@pytest.mark.parametrize(
    ("metadata", "input_scale", "trained", "not_trained", "unknown"),
    [
        ({"augmentation_families": "shot_noise, Motion blur,motion-blur"}, None, 2, 13, 0),
        ({"augmentation_families": ""}, None, 0, 15, 0),
        ({"augmentation_families": "fog"}, "unit", 1, 14, 0),
        ({}, None, 0, 6, 9),
        ({}, "unit", 0, 0, 15),
    ],
    ids=["families named", "none named", "foreign, with a name", "ours, says nothing", "foreign, says nothing"],
)
def test_whether_a_corruption_was_trained_on_is_read_from_the_model(
    few, model, metadata, input_scale, trained, not_trained, unknown
):
    other = Centroids(model.means, metadata=metadata, input_scale=input_scale)
    said = [condition.trained_on for condition in measure_shift(other, few.take(slice(20))).corruptions]
    assert [said.count(answer) for answer in (True, False, None)] == [trained, not_trained, unknown]


def test_a_set_of_one_class_is_measured_too(model, few):
    zeros = few.take(few.labels == 0)
    found = measure_shift(model, zeros)
    assert [kind.name for kind in found.strangers] == ["noise", "textures", "blank"]
    assert len(found.clean.examples) == 1


# Other people's digits, and what is no digit


def test_ucis_digits_stand_as_mnist_has_them():
    digits = uci_digits()
    assert len(digits) == 1_797
    assert np.bincount(digits.labels).min() > 170
    ink = digits.images > 0
    sides = np.stack([ink.any(axis=axis).sum(axis=1) for axis in (1, 2)])
    assert (sides.max(axis=0) <= 20).all()
    assert np.median(sides.max(axis=0)) == 20
    mass = digits.images.reshape(len(digits), 28, 28).astype(float)
    for axis in (1, 2):
        centre = mass.sum(axis=axis) @ np.arange(28) / mass.sum(axis=(1, 2))
        assert np.abs(centre - 13.5).max() <= 0.51


def test_turned_and_mirrored_digits_are_those_that_become_none_by_it(few):
    kinds = non_digits(few)
    turned = few.images[np.isin(few.labels, TURNED)]
    quarters = [np.rot90(turned, times, axes=(1, 2)) for times in (1, 3)]
    each = [(kinds["turned_digits"] == quarter).all(axis=(1, 2)) for quarter in quarters]
    assert np.logical_or(*each).all()
    assert each[0].any()
    assert each[1].any()
    assert np.array_equal(kinds["mirrored_digits"][:, :, ::-1], few.images[np.isin(few.labels, MIRRORED)])
    assert not set(TURNED) & {0, 1, 8}
    assert not set(MIRRORED) & {0, 1, 8}


def test_textures_fill_the_image_and_repeat_with_the_seed():
    once, again = (textures(50, np.random.default_rng(4)) for _ in range(2))
    assert np.array_equal(once, again)
    assert len(np.unique(once, axis=0)) == 50
    assert (once.reshape(50, -1).std(axis=1) > 10).all()
    borders = np.concatenate([once[:, 0], once[:, -1], once[:, :, 0], once[:, :, -1]], axis=1)
    assert (borders.std(axis=1) > 5).all()


def test_plain_sheets_have_every_grey_once(few):
    blank = non_digits(few)["blank"]
    assert blank[:, 0, 0].tolist() == list(range(256))
    assert (blank == blank[:, :1, :1]).all()


def test_without_fashion_mnist_its_absence_is_said(found):
    assert "Fashion-MNIST is not among them: Debian's package dataset-fashion-mnist" in found.text()
    assert "Debian's package" in found.as_dict()["not_measured"]


def test_fashion_mnist_is_taken_from_where_debian_puts_it(few, model, monkeypatch, tmp_path):
    path = tmp_path / "t10k-images-idx3-ubyte.gz"
    save_digits(Digits(few.images[:30] // 2, few.labels[:30]), path)
    monkeypatch.setattr(outside, "FASHION", path)
    found = measure_shift(model, few)
    assert (found.strangers[0].name, found.strangers[0].n) == ("fashion_mnist", 30)
    assert "  Fashion-MNIST " in found.text()
    assert not found.not_measured


# What is said


def test_the_command_line_gets_a_line_for_each_condition_and_each_kind(found):
    lines = found.text().splitlines()
    head = f"under the fifteen corruptions {found.mean:.2%} right on average, clean {found.clean.score.accuracy:.2%}"
    assert lines[0].startswith(head.replace("%", " %"))
    names = [line.split("  ")[1] for line in lines[2:-1]]
    assert names[0] == "clean"
    assert names[1:16] == [name.replace("_", " ") for name in CORRUPTIONS]
    kinds = ["noise", "textures", "turned digits", "mirrored digits", "plain sheets"]
    assert names[16:] == ["UCI digits", "no digits", *kinds]
    assert {line.index(" %") for line in lines[3:18]} == {lines[2].index(" %")}


def test_metrics_and_report_gain_the_shift(model, few, tmp_path):
    found = evaluate(model, few, shift=True, output=tmp_path / "out")
    metrics = json.loads(found.metrics.read_text())
    assert metrics["test"] == json.loads(json.dumps(found.as_dict()))
    said = metrics["shift"]
    assert list(said["corruptions"]) == list(CORRUPTIONS)
    assert said["mean"] == pytest.approx(found.shift.mean, rel=1e-5)
    assert said["held_back"]["names"] == [name for name in CORRUPTIONS if name in HELD_BACK]
    assert said["corruptions"]["fog"]["trained_on"] is False
    assert said["corruptions"]["scale"]["trained_on"] is None
    measured = {"n", "errors", "accuracy", "interval95", "refused", "answered", "trained_on"}
    assert set(said["corruptions"]["fog"]) == measured
    assert set(said["not_digits"]["noise"]) == {"n", "auroc", "refused", "rate"}
    page = found.report.read_text()
    assert '<a href="#shift">' in page
    assert page.count('alt="canny edges: examples"') == 1
    assert page.count('<ul class="strips">') == 3
    assert 'id="novelty-' in page
    assert found.shift.text() in found.text()


def test_what_an_earlier_evaluation_said_of_shifts_does_not_outlive_its_report(model, few, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate_module, "evaluation_report", lambda *parts: "a page")
    (tmp_path / "metrics.json").write_text('{"test": {}, "shift": {"mean": 1}}')
    found = evaluate(model, few, output=tmp_path)
    assert set(json.loads(found.metrics.read_text())) == {"name", "test"}


def test_the_same_shift_makes_the_same_section(found):
    once, again = shift_section(found), shift_section(found)
    assert once.html == again.html
    assert "<em>never trained on</em>" in once.html
    assert "What else it was trained on its file does not say." in once.html


def test_a_foreign_model_is_measured_as_far_as_it_says_anything(model, few, tmp_path):
    path = foreign(tmp_path / "other.onnx", model.means)
    found = evaluate(path, few, shift=True, input_scale="unit")
    assert found.shift.clean.score.accuracy > 0.7
    assert "It does not say how novel an image is" in found.text()
    assert "AUROC" not in found.text()
    said = found.shift.as_dict()
    assert said["clean"]["refused"] is None
    assert said["not_digits"]["noise"] == {"n": 60, "auroc": None, "refused": None, "rate": None}
    section = shift_section(found.shift).html
    assert "It does not say how novel an image is" in section
    assert "AUROC" not in section
    assert "refused" not in section


def test_a_missing_library_is_named_before_anything_is_done(model, few, tmp_path, monkeypatch):
    monkeypatch.setattr(report, "find_spec", lambda name: None if name == "sklearn" else object())
    asked = Centroids(model.means)
    monkeypatch.setattr(asked, "predict", None)
    with pytest.raises(MissingExtraError, match=r'--shift.*pip install "inkdigits\[lab\]"'):
        evaluate(asked, few, shift=True, output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command_line_measures_a_file_of_digits(model, few, tmp_path, capsys):
    path = foreign(tmp_path / "other.onnx", model.means)
    save_digits(few, tmp_path / "few.npz")
    assert status_of(["evaluate", str(path), str(tmp_path / "few.npz"), "--shift", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["n"] == said["shift"]["clean"]["n"] == 200
    assert said["shift"]["uci_digits"]["n"] == 1_797

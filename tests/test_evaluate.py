"""evaluate on stand-in models whose answers are known: the numbers, the files, the report, and what is refused."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from inkdigits.digits.dataset import Digits, pixel_hashes
from inkdigits.digits.formats import load_digits
from inkdigits.digits.mnist import CONTESTED_LABELS, NO_CONSENSUS
from inkdigits.errors import InputError, MissingExtraError, OutputError
from inkdigits.lab import evaluate as evaluate_module
from inkdigits.lab import report
from inkdigits.lab.evaluate import evaluate
from inkdigits.lab.evaluation import is_mnist_test
from inkdigits.lab.report import percent
from inkdigits.measure import wilson_interval
from inkdigits.reader.model import Model, Predictions

HISTORY = """epoch,seconds,train_loss,train_accuracy,validation_loss,validation_accuracy,learning_rate
1,1.5,0.41,0.88,0.21,0.934,0.01
2,3,0.11,0.97,0.08,0.976,0.005
3,4.5,0.06,0.98,0.09,0.974,0.0001
"""


@dataclass
class FakeModel(Model):
    """Gives the same answers whatever the images."""

    probabilities: np.ndarray
    name: str = "fake"
    folder: Path | None = None
    novelty: np.ndarray | None = None
    novelty_threshold: float | None = None
    hashes: np.ndarray | None = None
    input_scale: str | None = None
    path: Path = Path("fake.onnx")
    metadata: dict[str, str] = field(default_factory=dict)

    def training_hashes(self):
        return self.hashes

    def predict(self, images, *, features=False):
        assert len(images) == len(self.probabilities)
        return Predictions(self.probabilities, self.novelty)


def answers(labels, wrong, *, seed=0):
    """Probabilities float32 (N, 10) that name the label, or at the indices `wrong` the digit after it."""
    said = labels.astype(int)
    said[wrong] = (said[wrong] + 1) % 10
    rng = np.random.default_rng(seed)
    probabilities = rng.random((len(labels), 10)) * 0.05
    probabilities[np.arange(len(labels)), said] = rng.uniform(0.6, 20, len(labels))
    return (probabilities / probabilities.sum(axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def mnist_test():
    return load_digits("mnist:test")


@pytest.fixture(scope="module")
def few(mnist_test):
    """The first 300 test digits: quick, and not MNIST's test part."""
    return mnist_test.take(slice(0, 300), source="few.csv")


@pytest.fixture
def run(tmp_path):
    return run_folder(tmp_path / "run")


def run_folder(folder):
    """A run folder as train leaves it, in what evaluate looks at."""
    folder.mkdir()
    (folder / "metrics.json").write_text('{"name": "fast", "validation": {"n": 5000, "errors": 30}, "parameters": 7}')
    (folder / "config.json").write_text('{"source": "mnist", "settings": {"net": "<fast>", "dropout": null}}')
    (folder / "history.csv").write_text(HISTORY)
    return folder


class Page(HTMLParser):
    """The tags of a page, checked to be closed in order."""

    EMPTY = frozenset({"meta", "img", "br", "hr", "link", "path", "use", "rect"})

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text = [], [], ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br", "hr", "link"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.text += data.replace("\xa0", " ")

    def all(self, name):
        return [attributes for tag, attributes in self.tags if tag == name]


# Numbers


def test_the_test_part_of_mnist_is_scored_raw_by_halves_and_without_the_contested_labels(mnist_test):
    wrong = [0, 17, 4_999, 5_000, *CONTESTED_LABELS[:4], *NO_CONSENSUS[:2]]
    found = evaluate(FakeModel(answers(mnist_test.labels, wrong)))
    assert (found.source, found.n, found.errors, found.accuracy) == ("mnist:test", 10_000, 10, 0.999)
    assert found.interval95 == wilson_interval(9_990, 10_000)
    assert (found.without_contested.n, found.without_contested.errors) == (9_985, 4)
    first, second = found.halves
    assert (first.n, first.errors, second.n, second.errors) == (
        5_000,
        sum(i < 5_000 for i in wrong),
        5_000,
        sum(i >= 5_000 for i in wrong),
    )
    assert {answer.index for answer in found.wrong if answer.contested} == set(wrong[4:])
    assert "without the 15 contested labels 99.96 %" in found.text()


def test_mnist_is_known_by_its_pixels_and_not_by_its_name(mnist_test, few):
    renamed = Digits(mnist_test.images.copy(), mnist_test.labels, "my-own.csv")
    assert is_mnist_test(renamed)
    turned = Digits(mnist_test.images[::-1], mnist_test.labels[::-1], "mnist:test")
    assert not is_mnist_test(turned)
    assert not is_mnist_test(few)
    found = evaluate(FakeModel(answers(turned.labels, [3])), turned)
    assert found.without_contested is None
    assert found.halves is None
    assert "contested" not in found.text()


def test_wrong_digits_come_surest_first_and_the_least_sure_right_ones_least_sure_first(few):
    probabilities = answers(few.labels, [5, 50, 150])
    found = evaluate(FakeModel(probabilities), few)
    assert {answer.index for answer in found.wrong} == {5, 50, 150}
    for answer in found.wrong:
        assert answer.label == few.labels[answer.index]
        assert answer.said == (answer.label + 1) % 10 == probabilities[answer.index].argmax()
        assert answer.confidence == probabilities[answer.index].max()
        assert answer.second == np.argsort(probabilities[answer.index])[-2]
    sure = [answer.confidence for answer in found.wrong]
    assert sure == sorted(sure, reverse=True)
    unsure = [answer.confidence for answer in found.least_sure]
    assert unsure == sorted(unsure)
    assert all(answer.label == answer.said for answer in found.least_sure)
    right = np.delete(probabilities.max(axis=1), [5, 50, 150])
    assert unsure == sorted(right)[: len(unsure)]


def test_images_seen_in_training_are_counted_warned_about_and_left_out_beside_the_raw_score(few):
    seen = pixel_hashes(few.images[:100])
    found = evaluate(FakeModel(answers(few.labels, [5, 150, 160]), hashes=seen), few)
    assert found.errors == 3
    assert found.overlap == 100
    assert (found.without_overlap.n, found.without_overlap.errors) == (200, 2)
    assert "without the images that it was trained on 99.00 % of 200" in found.text()
    assert found.warnings() == ["warning: 100 of these 300 images are among those that fake was trained on"]


def test_overlap_is_none_where_nobody_kept_the_hashes_and_zero_where_there_is_none(few):
    assert evaluate(FakeModel(answers(few.labels, [])), few).overlap is None
    none = evaluate(FakeModel(answers(few.labels, []), hashes=np.array([1], np.uint64)), few)
    assert (none.overlap, none.without_overlap) == (0, None)
    everything = evaluate(FakeModel(answers(few.labels, []), hashes=pixel_hashes(few.images)), few)
    assert (everything.overlap, everything.without_overlap) == (300, None)
    assert everything.warnings()


def test_labels_are_doubted_on_digits_that_were_not_learnt_from(few):
    probabilities = answers(few.labels, [5, 150, 160])
    found = evaluate(FakeModel(probabilities, hashes=pixel_hashes(few.images[:100])), few).label_doubt
    assert (found.n, found.left_out, found.disputed) == (200, 100, 2)
    assert {doubt.index for doubt in found.first[:2]} == {150, 160}
    assert min(doubt.index for doubt in found.first) >= 100
    for doubt in found.first[:2]:
        assert doubt.label == few.labels[doubt.index]
        assert doubt.suggested == (doubt.label + 1) % 10
        assert doubt.probability == probabilities[doubt.index].max()
    seen = FakeModel(probabilities, hashes=pixel_hashes(few.images))
    assert evaluate(seen, few).label_doubt is None


def test_contested_labels_among_the_doubtful_ones_are_counted(mnist_test):
    wrong = [0, 17, *CONTESTED_LABELS[:4]]
    found = evaluate(FakeModel(answers(mnist_test.labels, wrong)))
    assert found.label_doubt.contested[0] == 15
    assert found.label_doubt.contested[1] >= 4
    written = found.as_dict()["label_doubt"]
    assert written["contested_among_first"] == found.label_doubt.contested[1]
    assert len(written["first"]) == 50
    assert {row["index"] for row in written["first"] if "contested" in row} >= set(CONTESTED_LABELS[:4])


def test_refusal_is_what_lies_above_the_models_threshold(few):
    novelty = np.zeros(300, np.float32)
    novelty[:30], novelty[30] = 0.9, 0.5
    model = FakeModel(answers(few.labels, [5, 150]), novelty=novelty, novelty_threshold=0.5)
    refusal = evaluate(model, few).refusal
    assert (refusal.refused, refusal.answered.n, refusal.answered.errors) == (30, 270, 1)
    assert evaluate(FakeModel(answers(few.labels, [])), few).refusal is None


def test_a_foreign_model_says_how_its_pixels_were_scaled(few):
    found = evaluate(FakeModel(answers(few.labels, []), input_scale="signed"), few)
    assert "given its pixels scaled as 'signed'" in found.text()
    assert found.as_dict()["input_scale"] == "signed"


def test_a_second_model_is_compared_digit_by_digit(few):
    other = FakeModel(answers(few.labels, [2, 3, 4]), name="other", hashes=pixel_hashes(few.images[:7]))
    found = evaluate(FakeModel(answers(few.labels, [1, 2])), few, against=other)
    beside = found.against
    assert (beside.model, beside.score.errors, beside.overlap) == ("other", 3, 7)
    assert (beside.both_right, beside.test.only_first, beside.test.only_second, beside.both_wrong) == (296, 2, 1, 1)
    assert {answer.index for answer in beside.mended} == {1}
    assert {answer.index for answer in beside.broken} == {3, 4}
    assert beside.test.p == 1
    assert "no more than chance explains" in found.text()


def test_digits_without_labels_cannot_be_evaluated(few):
    with pytest.raises(InputError, match="has no labels"):
        evaluate(FakeModel(answers(few.labels, [])), Digits(few.images, None, "test.csv"))


def test_keras_npz_means_its_test_part(tmp_path, few):
    path = tmp_path / "mnist.npz"
    np.savez(path, x_train=few.images[:200], y_train=few.labels[:200], x_test=few.images[200:], y_test=few.labels[200:])
    assert evaluate(FakeModel(answers(few.labels[200:], [0])), path).n == 100


# Files


def test_metrics_keep_what_training_wrote_and_gain_the_test(few, run):
    found = evaluate(FakeModel(answers(few.labels, [1, 7]), folder=run), few)
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["name"] == "fast"
    assert metrics["validation"] == {"n": 5000, "errors": 30}
    assert metrics["parameters"] == 7
    test = metrics["test"]
    assert (test["source"], test["n"], test["errors"], test["accuracy"]) == ("few.csv", 300, 2, 0.993333)
    assert test["interval95"] == pytest.approx(wilson_interval(298, 300), abs=1e-6)
    assert [row["index"] for row in test["wrong"]] == [answer.index for answer in found.wrong]
    assert set(test["wrong"][0]) == {"index", "label", "said", "confidence", "second"}
    assert np.sum(test["confusion"]) == 300
    assert sum(row["n"] for row in test["per_class"]) == sum(row["n"] for row in test["reliability"]) == 300
    assert found.metrics == run / "metrics.json"
    assert found.report == run / "report.html"
    assert str(found.report) in found.text()


def test_the_same_evaluation_writes_the_same_bytes(few, run):
    model = FakeModel(answers(few.labels, [1, 7]), folder=run)
    evaluate(model, few)
    first = [(run / name).read_bytes() for name in ("metrics.json", "report.html")]
    evaluate(model, few)
    assert [(run / name).read_bytes() for name in ("metrics.json", "report.html")] == first
    assert not [entry for entry in run.iterdir() if entry.name.startswith(".")]


def test_a_model_without_a_run_folder_writes_nothing_unless_told_where(few, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = evaluate(FakeModel(answers(few.labels, [1])), few)
    assert (found.metrics, found.report) == (None, None)
    assert list(tmp_path.iterdir()) == []
    evaluate(FakeModel(answers(few.labels, [1])), few, output="new/results")
    assert sorted(entry.name for entry in (tmp_path / "new/results").iterdir()) == ["metrics.json", "report.html"]


def test_a_model_is_loaded_by_its_name_with_the_options_given(few, monkeypatch):
    asked = []

    def load(name, **options):
        asked.append((name, options))
        foreign = str(name) == "two.onnx"
        return FakeModel(answers(few.labels, []), name=str(name), input_scale="unit" if foreign else None)

    monkeypatch.setattr(evaluate_module, "load_model", load)
    evaluate("one.onnx", few, against=Path("two.onnx"), threads=1, input_scale="raw")
    found, given = {"threads": 1}, {"threads": 1, "input_scale": "raw"}
    assert asked == [("one.onnx", found), (Path("two.onnx"), found), (Path("two.onnx"), given)]
    with pytest.raises(InputError, match="is for foreign models"):
        evaluate("one.onnx", few, input_scale="raw")


def test_an_earlier_result_is_replaced(few, tmp_path):
    for wrong in ([1], [1, 2]):
        evaluate(FakeModel(answers(few.labels, wrong)), few, output=tmp_path / "results")
    assert json.loads((tmp_path / "results/metrics.json").read_text())["test"]["errors"] == 2


@pytest.mark.parametrize(
    "files",
    [
        {"notes.txt": "mine"},
        {"report.html": "of another verb"},
        {"report.html": "", "metrics.json": '{"validation": {}}'},
        {"metrics.json": '{"test": {}}', "report.html": "", "model.onnx": ""},
    ],
    ids=["a note", "another report", "no test in it", "another run"],
)
def test_a_folder_that_holds_something_else_is_refused_and_left_alone(few, tmp_path, files):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(OutputError, match="holds something else, expected an empty folder or an earlier result"):
        evaluate(FakeModel(answers(few.labels, [1])), few, output=tmp_path)
    assert {entry.name: entry.read_text() for entry in tmp_path.iterdir()} == files


def test_the_run_folder_itself_may_be_given_as_output(few, run):
    evaluate(FakeModel(answers(few.labels, [1]), folder=run), few, output=run)
    assert set(json.loads((run / "metrics.json").read_text())) == {"name", "validation", "parameters", "test"}


def test_a_file_in_place_of_the_output_folder_is_refused(few, tmp_path):
    (tmp_path / "results").write_text("a file")
    with pytest.raises(OutputError, match="expected a folder, found a file"):
        evaluate(FakeModel(answers(few.labels, [1])), few, output=tmp_path / "results")
    with pytest.raises(OutputError):
        evaluate(FakeModel(answers(few.labels, [1])), few, output=tmp_path / "results" / "inside")


@pytest.mark.parametrize("text", ["{", "[1]", "\x00\x01"])
def test_broken_metrics_are_not_overwritten(few, run, text):
    (run / "metrics.json").write_text(text)
    with pytest.raises(OutputError, match=r"metrics\.json: not metrics that can be added to, expected a JSON object"):
        evaluate(FakeModel(answers(few.labels, [1]), folder=run), few)
    assert (run / "metrics.json").read_text() == text
    assert not (run / "report.html").exists()


def test_without_matplotlib_nothing_is_started_and_the_extra_is_named(few, run, monkeypatch):
    monkeypatch.setattr(report, "find_spec", lambda name: None)
    model = FakeModel(answers(few.labels, [1]), folder=run)
    monkeypatch.setattr(model, "predict", None)
    with pytest.raises(MissingExtraError, match=r'report\.html.*pip install "inkdigits\[lab\]"'):
        evaluate(model, few)
    assert evaluate(FakeModel(answers(few.labels, [1])), few).report is None


# Report


@pytest.fixture(scope="module")
def page_text(few, tmp_path_factory):
    run = run_folder(tmp_path_factory.mktemp("page") / "run")
    other = FakeModel(answers(few.labels, [2, 3, 4]), name="<other>", hashes=pixel_hashes(few.images[:7]))
    model = FakeModel(
        answers(few.labels, [1, 7, 9, 20]), folder=run, name="a <b> & c", hashes=pixel_hashes(few.images[:9])
    )
    evaluate(model, few, against=other)
    return (run / "report.html").read_text("utf-8")


@pytest.fixture(scope="module")
def page(page_text):
    return Page(page_text)


def test_the_report_is_one_file_that_asks_nothing_of_the_network(page, page_text):
    assert not [sign for sign in ("http:", "https:", "<script", "@import", "url(http") if sign in page_text]
    for tag, attributes in page.tags:
        for name in ("src", "href", "xlink:href"):
            assert attributes.get(name, "#").startswith(("#", "data:image/png;base64,")), (tag, attributes)
    assert [attributes["lang"] for attributes in page.all("html")] == ["en-GB"]


def test_the_report_names_each_part_once_and_links_to_it(page):
    idents = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(idents) == len(set(idents))
    links = [attributes["href"][1:] for attributes in page.all("a")]
    assert links == ["wrong", "least-sure", "doubt", "classes", "sureness", "against", "learning", "settings"]
    used = [value[1:] for _, attributes in page.tags for name, value in attributes.items() if name.endswith("href")]
    assert {ident for ident in used if ident.startswith(tuple("abcdefghijklmnopqrstuvwxyz"))} <= set(idents)


def test_the_report_shows_every_wrong_digit_and_describes_every_picture(page, few):
    shown = [attributes["alt"] for attributes in page.all("img")]
    for index in (1, 7, 9, 20):
        label = few.labels[index]
        assert f"digit {index}, labelled {label}, read as {(label + 1) % 10}" in shown
    assert all(attributes.get("aria-label") for attributes in page.all("svg"))
    assert len(page.all("svg")) == len(page.all("figure")) == len(page.all("figcaption")) == 6


@pytest.mark.parametrize(
    ("known", "words"),
    [
        (None, "Nobody kept what it was trained on"),
        (0, "It was trained on none of these digits"),
        (9, "The 9 images that it was trained on are left out."),
        (300, "It was trained on all of these images"),
    ],
)
def test_the_report_says_whether_the_doubts_are_fair(few, tmp_path, known, words):
    hashes = None if known is None else np.append(pixel_hashes(few.images[:known]), np.uint64(1))
    evaluate(FakeModel(answers(few.labels, [20]), hashes=hashes), few, output=tmp_path)
    page = Page((tmp_path / "report.html").read_text("utf-8"))
    assert words in page.text
    shown = [attributes["alt"] for attributes in page.all("img")]
    suspected = f"no. 20, labelled {few.labels[20]}, perhaps {(few.labels[20] + 1) % 10}"
    assert (suspected in shown) == (known != 300)


def test_the_report_says_what_was_measured_and_escapes_names(page):
    assert "a <b> & c on few.csv" in page.text
    assert "98.67 %" in page.text
    assert "9 of these 300 images were in its training set" in page.text
    assert "Against <other> (99.00 % right)" in page.text
    assert "After 3 epochs it errs on 2.60 % of the validation digits, after the first on 6.60 %." in page.text
    assert "the loss was least after epoch 2; what it learnt later, it learnt by heart" in page.text
    assert "settings.net<fast>" in page.text


@pytest.mark.parametrize("history", ["epoch\n1\n", HISTORY.replace("0.41", "much")])
def test_a_history_that_cannot_be_read_costs_only_its_section(few, run, history):
    (run / "history.csv").write_text(history)
    (run / "config.json").write_text("[")
    evaluate(FakeModel(answers(few.labels, [1]), folder=run), few)
    text = Page((run / "report.html").read_text("utf-8")).text
    assert "history.csv is there, but is not one that train writes." in text
    assert "config.json is there, but is not one that train writes." in text


def test_a_run_without_validation_shows_its_training_alone(few, run):
    rows = "\n".join(f"{epoch},1,0.{5 - epoch},0.9{epoch},nan,,0.1" for epoch in (1, 2))
    (run / "history.csv").write_text(HISTORY.splitlines()[0] + "\n" + rows + "\n")
    evaluate(FakeModel(answers(few.labels, [1]), folder=run), few)
    assert "errs on 8.00 % of the train digits" in Page((run / "report.html").read_text("utf-8")).text


@pytest.mark.parametrize("wrong", [[], [0], list(range(300))], ids=["none wrong", "one wrong", "all wrong"])
def test_a_report_can_be_made_of_the_best_and_of_the_worst_model(few, tmp_path, wrong):
    found = evaluate(FakeModel(answers(few.labels, wrong)), few, output=tmp_path)
    text = Page(found.report.read_text("utf-8")).text
    assert f"{100 - len(wrong) / 3:.2f} %" in text
    assert ("There are none" in text) == (not wrong)
    assert json.loads(found.metrics.read_text())["test"]["errors"] == len(wrong)


def test_one_digit_is_enough_for_a_report(few, tmp_path):
    one = few.take(slice(0, 1))
    found = evaluate(FakeModel(answers(one.labels, [])), one, output=tmp_path)
    assert "of 1 digit read correctly" in Page(found.report.read_text("utf-8")).text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.9953, "99.53 %"), (1.0, "100.00 %"), (0.999_99, "over 99.99 %"), (0.0, "0.00 %"), (1e-6, "under 0.01 %")],
)
def test_a_percentage_is_never_rounded_to_all_or_nothing(share, text):
    assert percent(share) == text


# The search of a run


def entry(number, state, accuracy, **settings):
    judged = {} if accuracy is None else {"accuracy": accuracy, "loss": 0.1}
    reason = {"reason": "too <large>"} if state == "impossible" else {}
    told = {"learning_rate": 0.00123456, "batch": 64, "augmentation": "affine"} | settings
    times = {"epochs": 1.0, "seconds": 12.34}
    return {"trial": number, "state": state, **reason, "validation": judged, **times, "settings": told}


TRIALS = [
    entry(1, "complete", 0.9668, augmentation="none"),
    entry(2, "impossible", None),
    entry(3, "complete", 0.9756, batch=128),
    entry(4, "stopped early", 0.9478),
    entry(5, "complete", 0.97),
]


def searched(run, trials, *, best, wanted=5):
    space = {"learning_rate": {"low": 1e-4, "high": 0.03, "log": True}, "batch": [64, 128], "augmentation": ["none"]}
    record = {"trials_wanted": wanted, "epochs_a_trial": 2.0, "judged_by": "errors", "space": space}
    (run / "search.json").write_text(json.dumps(record | {"best": best, "trials": trials}))


def page_of(run, few):
    evaluate(FakeModel(answers(few.labels, [1]), folder=run), few)
    return Page((run / "report.html").read_text("utf-8"))


def test_a_run_that_was_searched_shows_its_trials_and_what_was_chosen(few, run):
    plain = page_of(run, few)
    assert "search" not in [attributes.get("id") for attributes in plain.all("section")]
    searched(run, TRIALS, best=3)
    page = page_of(run, few)
    assert len(page.all("svg")) == len(plain.all("svg")) + 1
    assert "5 trials of 2 epochs looked for better settings" in page.text
    chosen = (
        "Chosen were those of trial 3, learning_rate 0.00123, batch 128, augmentation affine: 97.56 % right, against"
    )
    assert f"{chosen} 96.68 % with those that it began with." in page.text
    assert "3, chosen97.56 %10.00123128affine12.3" in page.text
    assert "1, stopped" in page.text
    assert "impossible: too <large>" in page.text


def test_a_search_that_found_nothing_better_says_so(few, run):
    searched(run, TRIALS[:2], best=1)
    text = page_of(run, few).text
    assert "The settings that it began with were not beaten: 96.68 % right." in text
    assert "2 of 5 trials of 2 epochs" in text


@pytest.mark.parametrize("trials", [[], [TRIALS[1]], [TRIALS[3]]], ids=["none", "impossible", "stopped"])
def test_a_search_in_which_nothing_was_finished_is_shown_too(few, run, trials):
    searched(run, trials, best=None)
    assert "None of them could be trained to its end." in page_of(run, few).text


def test_trials_without_errors_can_be_drawn(few, run):
    searched(run, [entry(1, "complete", 1.0), entry(2, "complete", 1.0)], best=1)
    assert "not beaten: 100.00 % right" in page_of(run, few).text


@pytest.mark.parametrize("text", ["[", "[]", "{}", '{"trials": [{"trial": 1}]}', '{"trials": [3]}'])
def test_a_search_that_cannot_be_read_costs_only_its_section(few, run, text):
    (run / "search.json").write_text(text)
    page = page_of(run, few)
    assert "search.json is there, but is not one that train writes." in page.text
    assert "How it learnt" in page.text

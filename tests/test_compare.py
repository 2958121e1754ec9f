"""compare on few digits: real trials where it matters, stand-ins where only what is done with them does."""

from __future__ import annotations

import csv
import json
import math
import os
import signal
import subprocess
import sys
import time
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import mcnemar as reference
from support import run_here

from inkdigits.app.cli import status_of
from inkdigits.digits.dataset import Digits, Labels, split_by_class
from inkdigits.digits.formats import save_parts
from inkdigits.digits.mnist import load_mnist
from inkdigits.errors import InputError, MissingExtraError, OutputError
from inkdigits.lab import compare as compare_module
from inkdigits.lab import running
from inkdigits.lab.classic import TECHNIQUES
from inkdigits.lab.compare import compare
from inkdigits.lab.compare_figures import place_names, spread
from inkdigits.lab.comparison import (
    errors_left_by_doubling,
    jury_of,
    pairs_of,
    spoken_bytes,
    spoken_seconds,
    standings_of,
    verdict_of,
    votes_of,
)
from inkdigits.lab.ledger import FILES, FOLDS
from inkdigits.lab.networks import LEAST_STEPS, epochs_for, network_names, network_settings
from inkdigits.lab.running import time_left
from inkdigits.lab.trial import COLUMNS, Task, Trial, nested_order, run_trial
from inkdigits.measure import wilson_interval
from inkdigits.nets.train import train as train_network


@pytest.fixture(scope="module")
def train() -> Digits:
    return load_mnist("train").take(slice(600), source="six hundred")


# A stand-in for trials: 60 % right and more with more digits, at once and in this process.

SKILL = {"logistic": 0.10, "svm-rbf": 0.2, "constant": -0.5, "fast": 0.22}


def stand_in(task: Task, train: Digits, test: Digits) -> tuple[Trial, Labels | None]:
    labels = test.need_labels("measure")
    share = min(0.6 + SKILL.get(task.technique, 0) + 0.05 * math.log2(task.size / 200), 0.99)
    hard = np.random.default_rng(1).permutation(len(labels))
    said = labels.copy()
    wrong = hard[: round((1 - share) * len(labels))]
    said[wrong] = (said[wrong] + 1) % 10
    right = int((said == labels).sum())
    low, high = wilson_interval(right, len(said))
    kind = "network" if task.technique == "fast" else "classic"
    trial = Trial(
        task.technique, kind, task.size, task.seed, "done", task.size, len(said), right, right / len(said), low, high,
        0.5 if task.technique == "constant" else 20.0, 12.0, 0.4, 150.0, 3_000, task.budget,
    )  # fmt: skip
    return trial, said


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> list[Task]:
    """Trials by the stand-in; gives the list of those that were run."""
    return run_here(monkeypatch, stand_in)


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


# What is tried


@given(st.integers(0, 2**32 - 1), st.integers(1, 400))
def test_every_beginning_of_the_order_has_the_classes_shares(seed: int, size: int) -> None:
    labels = np.repeat(np.arange(4), (200, 100, 60, 40))
    order = nested_order(labels, seed)
    assert sorted(order) == list(range(400))
    counts = np.bincount(labels[order[:size]], minlength=4)
    assert np.abs(counts - size * np.array([0.5, 0.25, 0.15, 0.1])).max() <= 2


def test_few_digits_still_make_enough_steps() -> None:
    settings = network_settings("lenet5")
    assert epochs_for(settings, 60_000) == settings["epochs"]
    assert epochs_for(settings, 500) * round(400 / settings["batch"]) >= LEAST_STEPS
    assert network_settings("mlp-elastic")["net"] == "a-mlp-relu-adam"
    assert not set(network_names()) & set(TECHNIQUES)


def test_names_and_sizes_that_are_wrong_are_said_before_anything_is_written(train: Digits, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    with pytest.raises(
        InputError, match=r"svm-rfb: unknown technique, expected one of constant, .*did you mean svm-rbf"
    ):
        compare(train, output=folder, techniques=["svm-rfb"])
    with pytest.raises(InputError, match="--techniques: none named"):
        compare(train, output=folder, techniques=[])
    with pytest.raises(InputError, match="--sizes: out of range, expected 200 to 500, found 600"):
        compare(train, output=folder, sizes=[600])
    with pytest.raises(InputError, match="--seeds: out of range"):
        compare(train, output=folder, seeds=0)
    with pytest.raises(InputError, match="--budget: out of range"):
        compare(train, output=folder, budget=math.nan)
    with pytest.raises(InputError, match="has no labels"):
        compare(Digits(train.images), output=folder)
    with pytest.raises(InputError, match="no earlier result of compare to go on with"):
        compare(train, output=folder, resume=True)
    assert not folder.exists()


def test_without_ray_the_extra_is_named(train: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r'pip install "inkdigits\[scale\]"'):
        compare(train, output=tmp_path / "out", ray="auto")
    assert not (tmp_path / "out").exists()


def test_a_folder_with_something_else_is_refused(train: Digits, tmp_path: Path, quickly: list[Task]) -> None:
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"holds something else.*note\.txt"):
        compare(train, output=tmp_path, techniques=["constant"])
    (tmp_path / "note.txt").unlink()
    (tmp_path / "config.json").write_text('{"net": "fast"}')
    with pytest.raises(OutputError, match=r"holds something else.*config\.json"):
        compare(train, output=tmp_path, techniques=["constant"])
    with pytest.raises(OutputError, match="cannot hold the results"):
        compare(train, output=tmp_path / "config.json")
    assert quickly == []


# What is done with the results


def test_the_folder_holds_a_row_an_answer_and_a_report(train: Digits, tmp_path: Path, quickly: list[Task]) -> None:
    said: list[str] = []
    names = ["constant", "logistic", "svm-rbf", "fast"]
    found = compare(
        train, output=tmp_path / "out", techniques=names, sizes=[400, 200], seeds=2, budget=9, say=said.append
    )
    assert {entry.name for entry in (tmp_path / "out").iterdir()} == FILES - {FOLDS}
    assert [task.size for task in quickly] == [200] * 8 + [400] * 8
    assert len(rows(tmp_path / "out")) == len(said) == 16
    assert "left" in said[0]
    assert "left" not in said[-1]
    assert [line.technique for line in found.standings] == ["fast", "svm-rbf", "logistic", "constant"]
    assert (found.n_train, found.n_test, found.sizes) == (500, 100, (200, 400))
    answers = np.load(tmp_path / "out" / "predictions.npz")
    for trial in found.trials:
        assert len(answers[trial.key]) == 100
        assert Trial.of(dict(zip(COLUMNS, trial.cells(), strict=True))) == trial
    assert json.loads(json.dumps(found.as_dict()))["neighbours"][0]["first"] == "fast"
    assert found.text().splitlines()[1].startswith("fast")
    page = Page(found.report.read_text("utf-8"))
    assert all(name in page.text for name in names)
    assert all(sentence in page.text for sentence in found.verdict)


class Page(HTMLParser):
    """The text of a report, and whether it asks for anything from outside."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self.outside, self.svgs = "", [], 0
        self.feed(html)
        self.text = " ".join(self.text.replace("\xa0", " ").split())
        assert "<script" not in html
        assert "http" not in html
        assert self.outside == []
        assert self.svgs == 2

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.svgs += tag == "svg"
        self.outside += [
            v for k, v in attrs if k in ("src", "href", "xlink:href") and not str(v).startswith(("#", "data:"))
        ]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_an_interrupted_comparison_goes_on_where_it_was(
    train: Digits, tmp_path: Path, quickly: list[Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, names = tmp_path / "out", ["constant", "logistic", "svm-rbf"]
    whole = compare(train, output=tmp_path / "whole", techniques=names, sizes=[200, 400])
    quickly.clear()
    add, count = running.Ledger.add, [0]

    def interrupted(self: Any, trial: Trial, said: Labels | None) -> None:
        count[0] += 1
        if count[0] == 4:
            raise KeyboardInterrupt
        add(self, trial, said)

    monkeypatch.setattr(running.Ledger, "add", interrupted)
    with pytest.raises(KeyboardInterrupt):
        compare(train, output=folder, techniques=names, sizes=[200, 400])
    assert len(rows(folder)) == 3
    assert not (folder / "report.html").exists()
    monkeypatch.setattr(running.Ledger, "add", add)
    quickly.clear()
    again = compare(train, output=folder, resume=True)
    assert len(quickly) == 3
    assert again.trials == whole.trials
    assert again.verdict == whole.verdict
    quickly.clear()
    wider = compare(train, output=folder, resume=True, techniques=["fast"], sizes=[300])
    assert {(task.technique, task.size) for task in quickly} == {
        ("fast", 200), ("fast", 300), ("fast", 400), ("constant", 300), ("logistic", 300), ("svm-rbf", 300),
    }  # fmt: skip
    assert wider.standings[0].technique == "fast"
    with pytest.raises(InputError, match="began with other digits"):
        compare(train.take(slice(1, 600)), output=folder, resume=True)
    (folder / "results.csv").write_text("technique\nlogistic\n")
    with pytest.raises(InputError, match="not earlier results"):
        compare(train, output=folder, resume=True)
    fresh = compare(train, output=folder, techniques=["constant"], sizes=[200])
    assert len(rows(folder)) == len(fresh.trials) == 1


def test_what_was_stopped_or_failed_is_a_row_and_larger_sizes_are_not_tried(
    train: Digits, tmp_path: Path, quickly: list[Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(task: Task, train: Digits, test: Digits) -> tuple[Trial, Labels | None]:
        quickly.append(task)
        if task.technique == "svm-rbf" and task.size >= 300 and task.budget < 100:
            return running.empty_trial(task, "stopped", "stopped at 9 s while fitting"), None
        if task.technique == "knn":
            return running.empty_trial(task, "failed", "not enough memory"), None
        return stand_in(task, train, test)

    monkeypatch.setattr(running, "run_trial", run)
    names = ["svm-rbf", "knn", "constant"]
    found = compare(train, output=tmp_path, techniques=names, sizes=[200, 300, 400], budget=9)
    assert [(row["technique"], row["status"]) for row in rows(tmp_path) if row["size"] == "400"] == [
        ("svm-rbf", "skipped"), ("knn", "failed"), ("constant", "done"),
    ]  # fmt: skip
    line = next(line for line in found.standings if line.technique == "svm-rbf")
    assert line.size == 200
    assert line.notes == ("with 300 digits stopped at 9 s while fitting", "shown with 200 digits")
    assert "Nothing was finished by knn" in found.verdict[-1]
    assert "by svm-rbf, shown here with fewer digits" in found.verdict[-1]
    text = Page(found.report.read_text("utf-8")).text
    assert "failed: not enough memory" in text
    assert "not tried, since with 300 digits it was stopped at 9 s" in text
    quickly.clear()
    richer = compare(train, output=tmp_path, resume=True, budget=200)
    assert {task.technique for task in quickly} == {"svm-rbf", "knn"}
    assert next(line for line in richer.standings if line.technique == "svm-rbf").size == 400


def test_a_comparison_in_which_nothing_finished_still_has_a_report(
    train: Digits, tmp_path: Path, quickly: list[Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(task: Task, *_: Digits) -> tuple[Trial, Labels | None]:
        return running.empty_trial(task, "failed", "ValueError: no"), None

    monkeypatch.setattr(running, "run_trial", run)
    found = compare(train, output=tmp_path, techniques=["constant"], sizes=[200])
    assert found.verdict == ("No technique finished: the reasons are in results.csv.",)
    assert "ValueError: no" in found.report.read_text("utf-8")


def test_test_labels_that_the_best_agree_against_are_shown_by_their_rows_in_the_source(
    train: Digits, tmp_path: Path, quickly: list[Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = train.need_labels("test").copy()
    _, held = split_by_class(labels, 100, seed=running.SPLIT_SEED)
    truth = labels.copy()
    labels[held[13]] = (truth[held[13]] + 4) % 10
    # Another label moves a digit to another place of its class, so the parts are looked up anew.
    _, held = split_by_class(labels, 100, seed=running.SPLIT_SEED)
    spoilt = next(int(row) for row in held if labels[row] != truth[row])

    def run(task: Task, some: Digits, test: Digits) -> tuple[Trial, Labels | None]:
        known = {image.tobytes(): label for image, label in zip(train.images, truth, strict=True)}
        said = np.array([known[image.tobytes()] for image in test.images], np.uint8)
        trial, _ = stand_in(task, some, test)
        return trial, said

    monkeypatch.setattr(running, "run_trial", run)
    source = Digits(train.images, labels, "one label wrong")
    names = ["constant", "logistic", "svm-rbf", "fast"]
    found = compare(source, output=tmp_path, techniques=names, sizes=[200, 400])
    assert found.test_doubt is not None
    assert found.test_doubt.flagged == 1
    first = found.test_doubt.first[0]
    assert (first.index, first.label, first.suggested) == (spoilt, labels[spoilt], truth[spoilt])
    assert found.label_doubt is None
    text = Page(found.report.read_text("utf-8")).text
    assert "the best 3 (fast, svm-rbf and logistic)" in text
    assert f"3 of 3no. {spoilt}" in text
    few = compare(source, output=tmp_path, techniques=["logistic", "constant"], sizes=[200])
    assert few.test_doubt is None


def test_labels_to_learn_from_are_doubted_once_if_asked(
    train: Digits, tmp_path: Path, quickly: list[Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def fold(digits: Digits, **_: object) -> np.ndarray:
        asked.append(len(digits))
        certain = np.full((len(digits), 10), 0.01, np.float32)
        certain[np.arange(len(digits)), digits.need_labels("test")] = 0.91
        certain[5] = np.roll(certain[5], 1)
        return certain

    monkeypatch.setattr(compare_module, "out_of_fold", fold)
    names = ["constant", "logistic"]
    plain = compare(train, output=tmp_path, techniques=names, sizes=[200, 400])
    assert plain.label_doubt is None
    found = compare(train, output=tmp_path, resume=True, doubt=True)
    assert found.label_doubt is not None
    assert (found.label_doubt.n, found.label_doubt.flagged, found.label_doubt.first[0].index) == (600, 1, 5)
    assert "Labels in doubt: 1 of 600 digits to learn from." in found.text()
    assert "All labels in doubt" in Page(found.report.read_text("utf-8")).text
    assert json.loads(json.dumps(found.as_dict()))["label_doubt"]["first"][0]["index"] == 5
    again = compare(train, output=tmp_path, resume=True, doubt=True)
    assert asked == [600]
    assert again.label_doubt == found.label_doubt
    assert (tmp_path / FOLDS).exists()
    compare(train, output=tmp_path, techniques=names, sizes=[200])
    assert not (tmp_path / FOLDS).exists()
    (tmp_path / FOLDS).write_text("no archive")
    with pytest.raises(InputError, match="not earlier results"):
        compare(train, output=tmp_path, resume=True)


def test_digits_that_cannot_be_doubted_are_refused_before_anything_is_tried(train: Digits, tmp_path: Path) -> None:
    labels = train.need_labels("test").copy()
    labels[labels == 9] = 8
    labels[0] = 9
    with pytest.raises(InputError, match=r"found 1 of class 9"):
        compare(Digits(train.images, labels, "lonely"), output=tmp_path / "out", doubt=True)
    assert not (tmp_path / "out").exists()


def test_the_votes_of_a_technique_are_the_mean_over_its_seeds() -> None:
    test = load_mnist("test").take(slice(100))
    names = ("svm-rbf", "logistic", "fast")
    made = [stand_in(Task(name, 200, seed, 9), None, test) for name in names for seed in range(2)]  # type: ignore[arg-type]
    trials = [trial for trial, _ in made]
    answers = {trial.key: said for trial, said in made if said is not None}
    answers["fast|200|1"] = np.zeros(100, np.uint8)
    jury = jury_of(standings_of(trials))
    assert {line.technique for line in jury} == set(names)
    votes = votes_of(jury, trials, answers)
    assert votes is not None
    assert votes.sum(axis=1) == pytest.approx(np.ones(100))
    assert votes[:, 0].min() == pytest.approx(1 / 6)
    assert votes_of(jury, trials, {}) is None
    assert jury_of(standings_of(trials[:4])) == []


def test_neighbours_are_compared_as_statsmodels_does() -> None:
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 10, 500).astype(np.uint8)
    trials, answers = [], {}
    for name, share in (("svm-rbf", 0.95), ("logistic", 0.93), ("constant", 0.6)):
        said = np.where(rng.random(500) < share, labels, (labels + 1) % 10).astype(np.uint8)
        right = int((said == labels).sum())
        trial = Trial(name, "classic", 200, 0, "done", 200, 500, right, right / 500, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1)
        trials.append(trial)
        answers[trial.key] = said
    standings = standings_of(trials)
    neighbours, with_best = pairs_of(standings, trials, answers, labels)
    assert len(neighbours) == len(with_best) == 2
    for pair in (*neighbours, *with_best):
        first, second = (answers[f"{name}|200|0"] == labels for name in (pair.first, pair.second))
        table = [[(first & second).sum(), (first & ~second).sum()], [(~first & second).sum(), (~first & ~second).sum()]]
        assert pair.test.p == pytest.approx(reference(table, exact=True).pvalue, rel=1e-9)
    assert "do not tell it from logistic" in verdict_of(standings, with_best, trials)[1] or with_best[0].differ


def test_a_doubling_is_measured_on_the_curve() -> None:
    assert errors_left_by_doubling([(1_000, 0.9), (2_000, 0.95), (4_000, 0.975)]) == pytest.approx(0.5)
    assert errors_left_by_doubling([(1_000, 0.9)]) is None
    assert errors_left_by_doubling([(1_000, 0.9), (2_000, 1.0)]) is None


def test_what_is_left_is_judged_by_the_same_technique_with_fewer_digits() -> None:
    task = Task("svm-rbf", 200, 0, 900)
    trial = stand_in(task, None, load_mnist("test").take(slice(100)))[0]  # type: ignore[arg-type]
    tried = [(task, trial)]
    one = time_left([Task("svm-rbf", 400, 0, 900)], tried, 2, 5)
    assert 40 < one < 60
    assert time_left([Task("svm-rbf", 400, 0, 900)] * 2, tried, 2, 5) == pytest.approx(one)
    assert time_left([Task("svm-rbf", 40_000, 0, 10)], tried, 1, 5) < 30


def test_a_training_whose_epochs_are_set_is_judged_by_the_images_it_sees() -> None:
    short = Task("lenet5", 500, 0, 900, variant="few", changes={"epochs": 8.0})
    trial = stand_in(short, None, load_mnist("test").take(slice(100)))[0]  # type: ignore[arg-type]
    same, half = (
        time_left([Task("lenet5", 4_000, 0, 900, variant=name, changes={"epochs": epochs})], [(short, trial)], 1, 5)
        for name, epochs in (("few", 1.0), ("other", 0.5))
    )
    assert half < same == pytest.approx(time_left([short], [(short, trial)], 1, 5))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4e-5, "40 µs"), (0.0042, "4.2 ms"), (0.51, "0.51 s"), (75.2, "75 s"), (720, "12 min"), (math.nan, "–")],
)
def test_durations_are_short(seconds: float, text: str) -> None:
    assert spoken_seconds(seconds) == text


def test_sizes_are_short() -> None:
    assert [spoken_bytes(count) for count in (820, 31_400, 1_600_000, 2e9)] == ["820 B", "31 kB", "1.6 MB", "2.0 GB"]


# The figures


@given(st.lists(st.floats(-50, 350), min_size=1, max_size=25))
def test_names_at_the_ends_keep_apart_and_in_order(heights: list[float]) -> None:
    heights.sort()
    places = spread(heights, 10.0, 300.0)
    assert all(b - a >= 10 - 1e-6 for a, b in pairwise(places))
    assert places[0] >= -1e-6
    assert places[-1] <= 300 + 1e-6
    if len(heights) == 1:
        assert places == [min(max(heights[0], 0), 300)]


def test_names_that_are_far_apart_stay_where_they_are() -> None:
    assert spread([10, 50, 200], 10.0, 300.0) == [10, 50, 200]


def test_names_beside_dots_do_not_overlap_and_the_first_are_never_left_out() -> None:
    rng = np.random.default_rng(0)
    points = {f"technique-{i}": (float(x), float(y)) for i, (x, y) in enumerate(rng.uniform(60, 240, (30, 2)))}
    places = place_names(points, (0, 0, 300, 300))
    assert "technique-0" in places
    assert 5 < len(places) < 30
    assert len(place_names({"a": (100.0, 100.0), "b": (100.0, 100.0)}, (0, 0, 300, 300))) == 2


# Real trials, each in a process of its own


def test_a_trial_measures_what_it_runs(train: Digits, few: Digits) -> None:
    trial, said = run_trial(Task("logistic", 500, 0, 60), train.take(slice(500)), few)
    assert said is not None
    assert trial.status == "done", trial.note
    assert trial.right == (said == few.labels).sum()
    assert 0.75 < trial.accuracy < 1
    assert trial.low < trial.accuracy < trial.high
    assert (trial.n_train, trial.n_test, trial.kind, trial.note) == (500, 200, "classic", "")
    assert 0 < trial.fit_seconds < 60
    assert trial.single_milliseconds > 0
    assert 60 < trial.peak_megabytes < 2_000
    assert 30_000 < trial.model_bytes < 40_000  # ten weights a pixel


def test_a_technique_that_fails_says_why(train: Digits, few: Digits) -> None:
    ones = train.take(train.labels == 1)
    trial, said = run_trial(Task("logistic", len(ones), 0, 60), ones, few)
    assert said is None
    assert trial.status == "failed"
    assert trial.note.startswith("ValueError: ")
    assert "class" in trial.note


def test_the_budget_stops_what_cannot_stop_itself_and_keeps_what_can(train: Digits, few: Digits) -> None:
    trial, said = run_trial(Task("svm-virtual", 600, 0, 0.02), train, few)
    assert said is None
    assert (trial.status, trial.note) == ("stopped", "stopped at 0.02 s while fitting")
    trial, said = run_trial(Task("softmax", 600, 0, 20, parts=True), train, few)
    assert trial.status == "done", trial.note
    assert trial.n_train == 480
    assert trial.kind == "network"


def test_a_training_that_is_out_of_time_is_finished_as_it_then_is(train: Digits, tmp_path: Path) -> None:
    run = train_network(train, net="softmax", output=tmp_path / "run", epochs=9, stop_after=0)
    assert run.metrics["epochs"] == 1
    assert run.model.is_file()


def test_a_comparison_that_is_killed_leaves_no_process_and_goes_on(
    train: Digits, few: Digits, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, folder = tmp_path / "digits.npz", tmp_path / "out"
    save_parts({"train": train, "test": few}, source)
    command = ["compare", str(source), "-o", str(folder), "--techniques", "constant,nearest-mean", "--sizes", "200,600"]
    process = subprocess.Popen(
        [sys.executable, "-m", "inkdigits", *command, "--threads", "1"], stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while not (folder / "results.csv").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = rows(folder)
    assert 1 <= len(before) < 4
    assert status_of([*command, "--threads", "1", "--resume", "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["standings"][0]["technique"] == "nearest-mean"
    assert f"going on: {len(before)} of 4" in said.err
    after = rows(folder)
    assert after[: len(before)] == before
    assert [row["status"] for row in after] == ["done"] * 4

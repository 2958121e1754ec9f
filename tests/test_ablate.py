"""An ablation runs what it plans, once each, and finds the effects that are in the results."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_1samp
from support import run_here

from inkdigits.app.cli import status_of
from inkdigits.digits.dataset import Digits, Labels
from inkdigits.digits.mnist import load_mnist
from inkdigits.errors import InputError, OutputError
from inkdigits.lab import running
from inkdigits.lab.ablate import ablate
from inkdigits.lab.ablation import Ablation, Estimate, estimate, interval, points
from inkdigits.lab.study import FAILURES, PARTS, plan_study
from inkdigits.lab.trial import Task, Trial, run_trial
from inkdigits.measure import wilson_interval
from inkdigits.nets.catalogue import settings_for

# What the stand-in's networks gain from what: in shares of the test digits, apart from a share of each seed's own.
GAINS = {"dropout": 0.03, "L2": 0.0, "batch norm": 0.02}
TOGETHER = -0.015  # dropout with batch norm
PLAIN = 0.9


@pytest.fixture(scope="module")
def train() -> Digits:
    return load_mnist("train").take(slice(1_500), source="a few")


def truth(task: Task) -> float:
    """The accuracy that a task's network would have, were there no luck."""
    settings = settings_for(task.technique, **task.changes)
    share = PLAIN + 0.01 * math.log2(task.size / 1_250)
    dropout, norm = settings.dropout is None, settings.batch_norm
    share += GAINS["dropout"] * dropout + GAINS["batch norm"] * norm + TOGETHER * (dropout and norm)
    share += {"zeros": -0.8, "glorot-uniform": 0.0}.get(settings.initialisation, 0)
    share += {"elastic": 0.012, "affine": 0.008}.get(settings.augmentation, 0)
    if settings.net == "a-conv5":
        share -= 0.0 if settings.norm_memory == 0.9 else 0.8
    return share


def stand_in(task: Task, train: Digits, test: Digits) -> tuple[Trial, Labels | None]:
    luck = 0.004 * (task.seed - 2)
    wobble = np.random.default_rng([task.seed, *task.key.encode()]).normal(0, 0.0005)
    share = min(truth(task) + luck + wobble, 0.999)
    n = len(test)
    right = round(share * n)
    trial = Trial(
        task.technique, "network", task.size, task.seed, "done", len(train) * 4 // 5, n, right, share,
        *wilson_interval(right, n), 3.0, 12.0, 0.4, 150.0, 3_000, task.budget,
        variant=task.variant, train_accuracy=1.0, train_loss=0.001, test_loss=0.3,
    )  # fmt: skip
    return trial, test.need_labels("measure")


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> list[Task]:
    """Trials by the stand-in; gives the list of those that were run."""
    return run_here(monkeypatch, stand_in)


@pytest.fixture
def found(train: Digits, quickly: list[Task], tmp_path: Path) -> Ablation:
    return ablate(train, output=tmp_path / "out")


# What is run


def test_the_factorial_has_every_combination_and_nothing_is_run_twice() -> None:
    study = plan_study("b-plain", digits=60_000)
    assert [cell.name for cell in study.cells] == [
        "plain", "dropout", "L2", "batch norm", "dropout + L2", "dropout + batch norm", "L2 + batch norm",
        "dropout + L2 + batch norm",
    ]  # fmt: skip
    tasks = study.tasks(60)
    assert len({task.key for task in tasks}) == len(tasks)
    kept = {(task.technique, task.size, task.seed, json.dumps(task.changes, sort_keys=True)) for task in tasks}
    assert len(kept) == len(tasks)
    # The network as it is is the plain cell, so that no base is run beside the factorial.
    assert study.base.name == "plain"
    assert {task.seed for task in tasks[: len(tasks) // 5]} == {0}


def test_a_network_is_studied_with_the_factors_that_it_has() -> None:
    names = {net: [f.name for f in plan_study(net, digits=5_000).factors] for net in ("softmax", "fast", "a-conv7")}
    assert names == {"softmax": ["L2"], "fast": ["L2", "batch norm"], "a-conv7": ["dropout", "L2", "batch norm"]}
    assert plan_study("a-conv7", digits=5_000).base.name == "dropout + batch norm"


@pytest.mark.parametrize("net", ["b-plain", "softmax", "lenet5", "a-mlp-bn-dropout-adam", "fast", "reader"])
def test_every_change_makes_another_network_that_can_be_built(net: str) -> None:
    from inkdigits.nets.zoo import build

    study = plan_study(net, digits=5_000)
    for change in study.changes:
        assert change.variant.settings != study.base.settings
        build(change.variant.settings)
    shapes = {change.kind for change in study.changes}
    assert ("depth" in shapes) == (net != "softmax")


def test_a_change_that_changes_nothing_is_left_out() -> None:
    names = [change.variant.name for change in plan_study("a-conv7", digits=5_000).changes]
    assert "padded convolutions" not in names  # they are
    assert "unpadded convolutions" not in names  # nothing would be left of an image
    assert "He-normal weights" in names


def test_the_ladder_ends_at_fast_with_its_own_settings() -> None:
    study = plan_study("b-plain", digits=60_000)
    last = study.task(study.rungs[-1], 20_000, 0, 60)
    made = settings_for(last.technique, **last.changes)
    assert made == replace(settings_for("fast"), validation=4_000, dropout=0.0)
    # Up to the last one all are as long as the network's own training.
    assert {study.epochs(rung, 20_000) for rung in study.rungs[:-1]} == {10}
    assert [rung.net for rung in study.rungs] == ["b-plain"] * 5 + ["fast"] * 3
    # A rung keeps what the rungs before it brought, but for the few settings that it is about.
    for before, after in pairwise(study.rungs):
        one, two = before.settings.as_dict(), after.settings.as_dict()
        changed = {name for name in one if one[name] != two[name]}
        assert len(changed) <= 5
        assert changed or after is study.rungs[-1]


def test_few_digits_are_seen_as_often_as_makes_up_for_their_number() -> None:
    study = plan_study("b-plain", digits=60_000)
    assert [study.epochs(study.cells[0], size) for size in (500, 1_250, 5_000, 20_000)] == [40, 40, 20, 10]


def test_failures_are_run_as_long_as_their_authors_did() -> None:
    study = plan_study("b-plain", digits=60_000)
    lengths = {study.task(v, 5_000, 0, 9).changes["epochs"] for f in FAILURES for v in (f.broken, f.mended)}
    assert lengths == {12, 15}


# What is found


def test_the_effects_that_are_in_the_results_are_found(found: Ablation) -> None:
    gains = {(effect.kind, effect.name): effect.gain for effect in found.effects if effect.size == 1_250}
    expected = {
        ("factor", "dropout"): GAINS["dropout"] + TOGETHER / 2,
        ("factor", "batch norm"): GAINS["batch norm"] + TOGETHER / 2,
        ("factor", "L2"): 0.0,
        ("alone", "dropout"): GAINS["dropout"],
        ("alone", "batch norm"): GAINS["batch norm"],
        ("alone", "L2"): 0.0,
    }
    assert {name: gain.mean for name, gain in gains.items()} == pytest.approx(expected, abs=0.0012)
    # The luck of a seed, 80 times the wobble, is in both sides of each difference.
    assert all(gain.high - gain.low < 0.004 for gain in gains.values())
    extras = {(each.first, each.second): each.extra.mean for each in found.interactions if each.size == 1_250}
    assert extras == pytest.approx(
        {("dropout", "L2"): 0, ("dropout", "batch norm"): TOGETHER, ("L2", "batch norm"): 0}, abs=0.001
    )


def test_the_verdict_says_what_the_results_say(found: Ablation) -> None:
    text = " ".join(found.verdict)
    assert "b-plain without regularisation overfits with 400 digits" in text
    assert "dropout buys 1.4" in text or "dropout buys 1.5" in text
    assert "less where there is batch norm too" in text
    assert "claim that dropout helps an overfitting model holds here" in text
    assert "claim that L2 helps an overfitting model is not borne out here" in text
    assert "claim that batch norm adds accuracy holds here" in text
    assert "all weights zero (−80" in text
    assert "a-conv5 collapsed" in text


def test_single_changes_and_rungs_are_compared_with_the_right_base(found: Ablation) -> None:
    gains = {effect.name: effect.gain.mean for effect in found.changes}
    assert gains["all weights zero"] == pytest.approx(-0.8, abs=0.001)
    assert gains["… and elastically distorted"] == pytest.approx(0.012, abs=0.001)
    assert gains["twice the filters"] == pytest.approx(0, abs=0.001)
    rungs = {effect.name: effect.gain.mean for effect in found.ladder}
    assert rungs["batch norm"] == pytest.approx(GAINS["batch norm"], abs=0.001)
    assert rungs["label smoothing"] == pytest.approx(0, abs=0.001)


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=12).filter(lambda values: np.std(values) > 1e-6))
def test_intervals_are_those_of_students_t(values: list[float]) -> None:
    expected = ttest_1samp(values, 0).confidence_interval(0.95)
    assert estimate(values).low == pytest.approx(expected.low)
    assert estimate(values).high == pytest.approx(expected.high)


def test_a_single_seed_has_no_interval_and_proves_nothing() -> None:
    alone = estimate([0.5])
    assert alone.mean == 0.5
    assert math.isnan(alone.low)
    assert not alone.sure
    assert interval(alone) == "–"


def test_points_have_a_true_minus() -> None:
    assert [points(-0.0123), points(0.004), points(-0.001, sign=False)] == ["−1.23", "+0.40", "−0.10"]
    assert interval(Estimate(0, -0.01, 0.02, 5)) == "−1.00 to +2.00"


# The folder


def test_an_interrupted_study_goes_on_and_may_be_widened(train: Digits, quickly: list[Task], tmp_path: Path) -> None:
    folder = tmp_path / "out"
    ablate(train, output=folder, parts=["factors"], sizes=[500], seeds=2)
    assert len(quickly) == 16
    quickly.clear()
    again = ablate(train, output=folder, resume=True)
    assert not quickly
    assert {effect.size for effect in again.effects} == {500}
    wider = ablate(train, output=folder, resume=True, seeds=3, parts=["failures"])
    assert len(quickly) == 8 + 3 * 4
    assert {effect.gain.n for effect in wider.effects} == {3}
    assert wider.failures
    with pytest.raises(InputError, match="another network"):
        ablate(train, output=folder, resume=True, net="fast")
    with (folder / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 36
    assert {row["variant"] for row in rows} >= {"plain", "dropout + batch norm", "running values that keep 90 % a step"}


def test_the_report_shows_every_part(found: Ablation) -> None:
    page = found.report.read_text(encoding="utf-8")
    for ident in ("verdict", "factors", "cells", "gap", "changes", "ladder", "failures", "how"):
        assert f'<section id="{ident}">' in page
    assert "Li et al. 2018" in page
    assert "with up to 1,000 digits of" in page  # not as many as there are: a fifth is held out
    assert page.count("<svg") == 5


def test_a_study_with_one_seed_or_without_a_run_still_has_a_report(
    train: Digits, quickly: list[Task], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = ablate(train, output=tmp_path / "one", parts=["factors", "changes"], sizes=[500], seeds=1)
    assert one.report.exists()
    assert "–" in one.text()

    def fails(task: Task, train: Digits, test: Digits) -> tuple[Trial, Labels | None]:
        return running.empty_trial(task, "failed", "not enough memory"), None

    monkeypatch.setattr(running, "run_trial", fails)
    none = ablate(train, output=tmp_path / "none", parts=["factors"], sizes=[500], seeds=1)
    assert none.verdict == ("No run finished: the reasons are in results.csv.",)
    assert "not enough memory" in none.report.read_text(encoding="utf-8")


def test_what_is_wrong_is_said_before_anything_is_written(train: Digits, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    for wrong, match in (
        ({"net": "b-plane"}, "b-plain"),
        ({"parts": ["factor"]}, ", ".join(PARTS)),
        ({"sizes": [100]}, "200 to 1,250"),
        ({"sizes": [2_000]}, "200 to 1,250"),
        ({"seeds": 0}, "1 or more"),
        ({"budget": math.nan}, "seconds above 0"),
        ({"resume": True}, "no earlier result of ablate"),
    ):
        with pytest.raises(InputError, match=match):
            ablate(train, output=folder, **wrong)  # type: ignore[arg-type]
    assert not folder.exists()
    folder.mkdir()
    (folder / "thesis.tex").write_text("mine")
    with pytest.raises(OutputError, match=r"thesis\.tex"):
        ablate(train, output=folder)


def test_a_trial_trains_the_network_that_its_changes_say(train: Digits) -> None:
    task = Task("b-plain", 300, 0, 60.0, True, "narrow", {"widen": 0.1, "epochs": 2.0, "validation": 60})
    trial, said = run_trial(task, train.take(slice(300)), train.take(slice(300, 400)))
    assert (trial.status, trial.note) == ("done", "")
    assert said is not None
    assert trial.name == "b-plain narrow"
    assert trial.n_train == 240
    assert trial.model_bytes < 100_000  # the whole one has 275,326 weights of four bytes
    assert 0 < trial.train_accuracy <= 1
    assert trial.test_loss > 0
    assert trial.train_loss > 0


def test_the_command_answers_in_json(
    train: Digits, quickly: list[Task], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from inkdigits.digits.formats import save_digits

    save_digits(train, tmp_path / "digits.npz")
    arguments = ["ablate", str(tmp_path / "digits.npz"), "-o", str(tmp_path / "out"), "--quick", "--json"]
    assert status_of(arguments) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [effect["name"] for effect in answer["effects"] if effect["kind"] == "factor"] == list(GAINS)
    assert answer["verdict"]

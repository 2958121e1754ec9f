"""Labels in doubt: planted errors are found, each class has its own threshold, no fold is asked of what learnt it."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkdigits.digits.dataset import Digits
from inkdigits.digits.mnist import load_mnist
from inkdigits.errors import InputError
from inkdigits.lab import folds as folds_module
from inkdigits.lab.doubt import class_thresholds, doubts_of
from inkdigits.lab.doubt_report import doubt_gallery, doubt_words
from inkdigits.lab.folds import doubtful, folds_of, out_of_fold
from inkdigits.nets import train as train_module
from inkdigits.reader.model import Predictions


def answered(truth: np.ndarray, *, seed: int, sure: float = 30.0) -> np.ndarray:
    """Probabilities (N, 10) of a model that mostly names the truth."""
    rng = np.random.default_rng(seed)
    weights = rng.random((len(truth), 10))
    weights[np.arange(len(truth)), truth] = rng.uniform(sure, 3 * sure, len(truth))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


@given(st.integers(0, 2**32 - 1))
def test_labels_that_were_changed_are_the_most_doubtful(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 10, 400)
    labels = truth.copy()
    changed = rng.choice(400, 12, replace=False)
    labels[changed] = (labels[changed] + rng.integers(1, 10, 12)) % 10
    found = doubts_of(answered(truth, seed=seed), labels)
    assert {doubt.index for doubt in found.first[:12]} == set(changed.tolist())
    assert found.disputed == 12
    for doubt in found.first[:12]:
        assert (doubt.label, doubt.suggested) == (labels[doubt.index], truth[doubt.index])


@given(st.integers(0, 2**32 - 1), st.integers(1, 30))
def test_flagged_ones_come_first_and_each_part_by_its_score(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, n)
    found = doubts_of(rng.dirichlet(np.full(10, 0.3), n), labels, most=None)
    assert found.n == len(found.first) == n
    assert sorted(doubt.index for doubt in found.first) == list(range(n))
    order = [(not doubt.flagged, -doubt.score) for doubt in found.first]
    assert order == sorted(order)
    assert found.flagged == sum(doubt.flagged for doubt in found.first)
    assert all(doubt.suggested != doubt.label and -1 <= doubt.score <= 1 for doubt in found.first)


@given(st.integers(0, 2**32 - 1))
def test_what_is_flagged_is_what_the_paper_counts_off_the_diagonal(seed: int) -> None:
    rng = np.random.default_rng(seed)
    probabilities, labels = rng.dirichlet(np.ones(4), 60), rng.integers(0, 4, 60)
    thresholds = [
        np.mean([p[c] for p, label in zip(probabilities, labels, strict=True) if label == c] or [np.inf])
        for c in range(4)
    ]
    expected = {}
    for index, (row, label) in enumerate(zip(probabilities, labels, strict=True)):
        reached = [c for c in range(4) if row[c] >= thresholds[c]]
        if reached and (best := max(reached, key=lambda c: row[c])) != label:
            expected[index] = best
    found = doubts_of(probabilities, labels, most=None)
    assert {doubt.index: doubt.suggested for doubt in found.first if doubt.flagged} == expected


def test_a_class_of_which_the_model_is_never_sure_has_a_low_threshold() -> None:
    # Of ones it is always sure, of sevens never: what is 60 % a seven counts as one, what is 60 % a one does not.
    labels = np.repeat([1, 7], 20)
    probabilities = np.zeros((40, 10))
    probabilities[:20, 1], probabilities[:20, 7] = 0.99, 0.01
    probabilities[20:, 7], probabilities[20:, 1] = 0.55, 0.45
    probabilities[0, [1, 7]] = 0.4, 0.6
    probabilities[20, [1, 7]] = 0.6, 0.4
    found = doubts_of(probabilities, labels)
    assert class_thresholds(probabilities, labels)[[1, 7]] == pytest.approx([0.9605, 0.5425])
    assert [doubt.index for doubt in found.first if doubt.flagged] == [0]
    assert found.first[1].index == 20
    assert class_thresholds(probabilities, labels)[0] == np.inf


def test_a_model_that_says_the_same_of_all_doubts_nothing() -> None:
    found = doubts_of(np.full((30, 10), 0.1), np.arange(30) % 10)
    assert found.disputed == 0
    certain = np.eye(10)[np.arange(30) % 10]
    assert doubts_of(certain, np.arange(30) % 10).flagged == 0


def test_digits_that_were_learnt_from_count_for_nothing() -> None:
    truth = np.arange(200) % 10
    labels = truth.copy()
    labels[[3, 150]] = (labels[[3, 150]] + 1) % 10
    probabilities = answered(truth, seed=0)
    seen = np.arange(200) < 100
    found = doubts_of(probabilities, labels, seen=seen, most=5)
    alone = doubts_of(probabilities[100:], labels[100:], rows=np.arange(100, 200), most=5)
    assert (found.n, found.left_out, len(found.first)) == (100, 100, 5)
    assert found.first == alone.first
    assert found.first[0].index == 150


def test_known_contested_labels_are_told_and_change_nothing() -> None:
    labels = np.arange(100) % 10
    probabilities = answered(labels, seed=1)
    contested = np.zeros(100, bool)
    plain = doubts_of(probabilities, labels, most=10)
    contested[[plain.first[0].index, plain.first[3].index]] = True
    contested[[i for i in range(100) if i not in {d.index for d in plain.first}][:1]] = True
    told = doubts_of(probabilities, labels, contested=contested, most=10)
    assert told.contested == (3, 2)
    assert [doubt.index for doubt in told.first] == [doubt.index for doubt in plain.first]
    assert "contested" in told.as_dict()["first"][0]
    assert "contested" not in told.as_dict()["first"][1]
    assert plain.as_dict()["contested"] is None


# The page


class Words(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self.alts = "", list[str | None]()
        self.feed(html)
        self.text = self.text.replace("\xa0", " ")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.alts += [value for name, value in attrs if name == "alt"]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_gallery_shows_each_digit_with_what_it_may_be(few: Digits) -> None:
    truth = few.need_labels("test").astype(int)
    labels = truth.copy()
    labels[[4, 9]] = (labels[[4, 9]] + 3) % 10
    found = doubts_of(answered(truth, seed=2), labels, most=5)
    page = Words(doubt_gallery(found, few.images))
    assert len(page.alts) == 5
    assert {f"no. {i}, labelled {labels[i]}, perhaps {truth[i]}" for i in (4, 9)} == set(page.alts[:2])
    text = Words(doubt_words(found, origin="From the oracle.")).text
    assert text.startswith("From the oracle. By confident learning")
    assert "Shown are 5 digits" in text
    assert "of 2 it is the likelier" in text


def test_what_is_flagged_stands_apart_from_what_comes_next(few: Digits) -> None:
    labels = few.need_labels("test").astype(int)
    probabilities = np.full((200, 10), 0.02)
    probabilities[np.arange(200), labels] = 0.82
    probabilities[7] = np.eye(10)[(labels[7] + 1) % 10]
    found = doubts_of(probabilities, labels, most=4)
    text = Words(doubt_gallery(found, few.images)).text
    assert "In doubt (1)" in text
    assert "The next (3)" in text
    assert "1 label is in doubt" in Words(doubt_words(found, origin="")).text


# Out of fold


@given(st.lists(st.integers(0, 9), min_size=2, max_size=60), st.integers(0, 2**32 - 1), st.data())
def test_each_digit_is_in_one_fold_and_classes_are_shared_out(
    labels: list[int], seed: int, data: st.DataObject
) -> None:
    folds = data.draw(st.integers(2, len(labels)))
    fold = folds_of(np.array(labels), folds, seed=seed)
    counts = np.array([[np.sum(fold[np.array(labels) == c] == k) for k in range(folds)] for c in set(labels)])
    assert np.ptp(counts, axis=1).max() <= 1
    assert np.ptp(counts.sum(axis=0)) <= 1


@pytest.mark.parametrize("folds", [1, 41])
def test_there_are_at_least_two_folds_and_no_more_than_digits(folds: int) -> None:
    with pytest.raises(InputError, match="folds: out of range, expected 2 to 40"):
        folds_of(np.arange(40) % 10, folds, seed=0)


def test_digits_that_cannot_be_cut_into_folds_are_refused(few: Digits) -> None:
    lonely = Digits(few.images[:9], np.array([0, 0, 1, 1, 2, 2, 3, 3, 8]), "nine")
    with pytest.raises(InputError, match=r"nine: too few to cut into folds.*found 1 of class 8"):
        out_of_fold(lonely)
    with pytest.raises(InputError, match="has no labels"):
        out_of_fold(Digits(few.images))


def test_labels_planted_wrongly_are_found_by_networks_that_did_not_learn_them(monkeypatch: pytest.MonkeyPatch) -> None:
    digits = load_mnist("train").take(slice(1_000), source="some")
    labels = digits.need_labels("test").copy()
    changed = np.random.default_rng(0).choice(1_000, 10, replace=False)
    labels[changed] = (labels[changed] + 1) % 10
    learnt: list[set[bytes]] = []
    train, load = train_module.train, folds_module.load_model

    class Watched:
        def __init__(self, folder: Path, *, threads: int | None) -> None:
            self.model = load(folder, threads=threads)

        def predict(self, images: np.ndarray) -> Predictions:
            assert not {image.tobytes() for image in images} & learnt[-1]
            return self.model.predict(images)

    def watched(kept: Digits, **settings: Any) -> Any:
        learnt.append({image.tobytes() for image in kept.images})
        return train(kept, **settings)

    monkeypatch.setattr(train_module, "train", watched)
    monkeypatch.setattr(folds_module, "load_model", Watched)
    monkeypatch.setattr(folds_module, "epochs_for", lambda settings, count: 12)
    said: list[str] = []
    found = doubtful(Digits(digits.images, labels, "spoilt"), folds=2, threads=1, say=said.append)
    assert len(learnt) == len(said) == 2
    assert said[0].startswith("fold 1/2: ")
    assert found.n == 1_000
    assert len({doubt.index for doubt in found.first} & set(changed.tolist())) >= 8

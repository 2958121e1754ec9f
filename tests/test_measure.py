"""The formulas of measure.py against scikit-learn, statsmodels and torchmetrics, and against their definitions."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, log_loss, precision_recall_fscore_support, roc_auc_score
from sklearn.metrics import confusion_matrix as sklearn_confusion

from inkdigits import measure


@pytest.fixture(scope="module")
def answers():
    """Labels (N,) and float32 probabilities (N, 10) of a model that is mostly right, a little too sure of itself."""
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 10, 3_000)
    logits = rng.normal(0, 1.5, (3_000, 10))
    logits[np.arange(3_000), labels] += 4
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return labels, probabilities.astype(np.float32)


def test_accuracy_is_that_of_scikit_learn(answers):
    labels, probabilities = answers
    said = probabilities.argmax(axis=1)
    assert measure.accuracy(labels, said) == pytest.approx(accuracy_score(labels, said))


def test_accuracy_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="no predictions"):
        measure.accuracy([], [])


@pytest.mark.parametrize(("right", "n"), [(0, 1), (1, 1), (0, 10_000), (9_953, 10_000), (10_000, 10_000), (7, 20)])
def test_wilson_interval_is_that_of_statsmodels(right, n):
    from statsmodels.stats.proportion import proportion_confint

    assert measure.wilson_interval(right, n) == pytest.approx(
        proportion_confint(right, n, alpha=0.05, method="wilson"), abs=1e-12
    )
    low, high = measure.wilson_interval(right, n, confidence=0.99)
    assert (low, high) == pytest.approx(proportion_confint(right, n, alpha=0.01, method="wilson"), abs=1e-12)
    assert 0 <= low <= right / n <= high <= 1


@pytest.mark.parametrize(("right", "n"), [(0, 0), (-1, 5), (6, 5)])
def test_wilson_interval_refuses_impossible_counts(right, n):
    with pytest.raises(ValueError, match="right out of"):
        measure.wilson_interval(right, n)


def test_confusion_matrix_is_that_of_scikit_learn(answers):
    labels, probabilities = answers
    said = probabilities.argmax(axis=1).astype(np.uint8)  # 9 × 10 + 9 fits a byte, 26 × 10 would not: no uint8 sums
    expected = sklearn_confusion(labels, said, labels=range(10))
    assert np.array_equal(measure.confusion_matrix(labels.astype(np.uint8), said), expected)


def test_class_scores_are_those_of_scikit_learn_also_where_a_class_is_missing(answers):
    labels, probabilities = answers
    said = probabilities.argmax(axis=1)
    # No digit is labelled 3, none is read as 8, and 5 neither occurs nor is said.
    kept = (labels != 3) & (labels != 5) & (said != 8) & (said != 5)
    labels, said = labels[kept], said[kept]
    scores = measure.class_scores(measure.confusion_matrix(labels, said))
    expected = precision_recall_fscore_support(labels, said, labels=range(10), zero_division=np.nan)
    for ours, theirs in zip((scores.precision, scores.recall, scores.f1, scores.n), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    assert np.isnan(scores.recall[3])
    assert np.isnan(scores.precision[8])
    assert np.isnan(scores.f1[5])


def test_negative_log_likelihood_is_that_of_scikit_learn(answers):
    labels, probabilities = answers
    exact = probabilities.astype(np.float64)
    exact /= exact.sum(axis=1, keepdims=True)
    assert measure.negative_log_likelihood(exact, labels) == pytest.approx(log_loss(labels, exact), rel=1e-9)


def test_a_probability_of_zero_for_the_label_costs_much_but_not_infinity():
    probabilities = np.array([[1, 0], [0.5, 0.5]], np.float32)
    assert measure.negative_log_likelihood(probabilities, [1, 0]) == pytest.approx((87.3365 + np.log(2)) / 2, abs=1e-3)


@pytest.mark.parametrize("bins", [5, 15])
def test_expected_calibration_error_is_that_of_torchmetrics(answers, bins):
    import torch
    from torchmetrics.functional.classification import multiclass_calibration_error

    labels, probabilities = answers
    expected = multiclass_calibration_error(
        torch.from_numpy(probabilities), torch.from_numpy(labels), num_classes=10, n_bins=bins, norm="l1"
    )
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    assert measure.reliability(confidence, right, bins=bins).expected_calibration_error == pytest.approx(
        float(expected), abs=1e-6
    )


def test_reliability_bins_are_half_open_and_the_last_one_holds_certainty():
    found = measure.reliability([0.0, 0.2, 0.39, 0.8, 1.0, 1.0], [0, 1, 0, 1, 1, 0], bins=5)
    assert found.n.tolist() == [1, 2, 0, 0, 3]
    assert found.accuracy.tolist() == pytest.approx([0, 0.5, np.nan, np.nan, 2 / 3], nan_ok=True)
    assert found.confidence.tolist() == pytest.approx([0, 0.295, np.nan, np.nan, 2.8 / 3], nan_ok=True)


def test_risk_coverage_counts_the_errors_among_the_surest():
    curve = measure.risk_coverage([0.9, 0.5, 0.8, 0.7], [True, False, True, False])
    assert curve.coverage.tolist() == [0.25, 0.5, 0.75, 1]
    assert curve.risk.tolist() == pytest.approx([0, 0, 1 / 3, 2 / 4])
    assert curve.area == pytest.approx((1 / 3 + 1 / 2) / 4)
    assert [curve.risk_at(c) for c in (0.01, 0.5, 0.8, 1.0)] == pytest.approx([0, 0, 1 / 3, 1 / 2])


def test_risk_coverage_of_ties_is_the_mean_over_all_their_orders():
    confidence, right = np.array([0.9, 0.7, 0.7, 0.7, 0.2]), np.array([True, False, True, False, True])
    curves = []
    for order in permutations(range(5)):
        shuffled = np.array(order)
        by_confidence = shuffled[np.argsort(-confidence[shuffled], kind="stable")]
        curves.append(np.cumsum(~right[by_confidence]) / np.arange(1, 6))
    np.testing.assert_allclose(measure.risk_coverage(confidence, right).risk, np.mean(curves, axis=0), rtol=1e-12)


def test_risk_coverage_does_not_depend_on_the_order_of_the_rows():
    rng = np.random.default_rng(2)
    confidence, right = rng.integers(0, 20, 500) / 20, rng.random(500) < 0.9
    mixed = rng.permutation(500)
    once, again = measure.risk_coverage(confidence, right), measure.risk_coverage(confidence[mixed], right[mixed])
    np.testing.assert_allclose(once.risk, again.risk, rtol=1e-12)
    assert once.risk_at(1) == pytest.approx(1 - right.mean())


@pytest.mark.parametrize("steps", [10, 10_000_000], ids=["many ties", "no ties"])
def test_auroc_is_that_of_scikit_learn(steps):
    rng = np.random.default_rng(3)
    known, strange = (np.round(rng.normal(mean, 1, n) * steps) / steps for mean, n in ((0, 700), (1, 300)))
    truth = np.repeat([0, 1], [700, 300])
    assert measure.auroc(known, strange) == pytest.approx(roc_auc_score(truth, np.concatenate([known, strange])))


def test_auroc_is_one_where_all_is_told_apart_and_a_half_where_nothing_is():
    assert measure.auroc([0.1, 0.2], [0.3]) == 1
    assert measure.auroc([0.3], [0.1, 0.2]) == 0
    assert measure.auroc([0.5, 0.5], [0.5, 0.5, 0.5]) == 0.5


@pytest.mark.parametrize("counts", [(0, 0), (1, 0), (12, 3), (20, 20), (21, 40), (3_000, 2_800)])
def test_mcnemar_is_that_of_statsmodels(counts):
    from statsmodels.stats.contingency_tables import mcnemar

    only_first, only_second = counts
    first = np.repeat([True, False, True, False], [only_first, only_second, 50, 4])
    second = np.repeat([False, True, True, False], [only_first, only_second, 50, 4])
    found = measure.mcnemar(first, second)
    assert (found.only_first, found.only_second) == counts
    assert found.p == pytest.approx(mcnemar([[50, only_first], [only_second, 4]], exact=True).pvalue, rel=1e-8)
    assert measure.mcnemar(second, first).p == found.p

"""Novelty, prototypes and thresholds, fitted on features whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch

from inkdigits.digits.dataset import Digits
from inkdigits.nets.calibrate import PROTOTYPES, Calibration, calibrate, distance, find_prototypes, log_odds, log_sum
from inkdigits.nets.catalogue import settings_for
from inkdigits.nets.export import to_onnx
from inkdigits.nets.zoo import build


@pytest.fixture(scope="module")
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def clusters(rng: np.random.Generator, count: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Features (N, 30) in ten bunches, one a class, and their labels."""
    labels = np.arange(count, dtype=np.uint8) % 10
    features = np.abs(rng.normal(0, 0.2, (count, 30)))
    features[np.arange(count), labels * 3] += 4
    return features.astype(np.float32), labels


def test_log_odds_are_those_of_the_softmax(rng: np.random.Generator) -> None:
    logits = rng.normal(0, 3, (50, 11))
    share = torch.softmax(torch.from_numpy(logits), 1)[:, 10].numpy()
    assert log_odds(logits) == pytest.approx(np.log(share / (1 - share)))
    assert log_odds(logits[:, :10]) == pytest.approx(-torch.logsumexp(torch.from_numpy(logits[:, :10]), 1).numpy())
    assert log_sum(np.array([[1_000.0, 1_000.0]])) == pytest.approx([1_000 + np.log(2)])


def test_prototypes_are_in_the_bunches_and_of_length_one(rng: np.random.Generator) -> None:
    features, labels = clusters(rng)
    prototypes = find_prototypes(features, labels, seed=0)
    assert prototypes.shape == (10 * PROTOTYPES, 30)
    assert np.linalg.norm(prototypes, axis=1) == pytest.approx(np.ones(len(prototypes)), abs=1e-5)
    assert (prototypes.argmax(1) // 3).tolist() == [label for label in range(10) for _ in range(PROTOTYPES)]
    assert np.array_equal(prototypes, find_prototypes(features, labels, seed=0))


def test_a_class_with_few_digits_has_them_all_as_prototypes(rng: np.random.Generator) -> None:
    features, labels = clusters(rng, 43)
    assert len(find_prototypes(features, labels, seed=0)) == 43
    assert distance(features, find_prototypes(features, labels, seed=0)) == pytest.approx(np.zeros(43), abs=1e-6)


def test_what_lies_between_the_bunches_is_novel_and_a_share_of_the_digits_is_refused(rng: np.random.Generator) -> None:
    features, labels = clusters(rng, 2_000)
    logits = np.column_stack([features[:, ::3] * 2, rng.normal(-8, 0.5, len(features))]).astype(np.float64)
    labels[::50] = (labels[::50] + 1) % 10  # some are wrong, or no temperature would be low enough
    calibration = calibrate(logits, labels, features, find_prototypes(features, labels, seed=0))
    novelty = calibration.novelty(logits, features)
    assert (novelty > 0.5).mean() == pytest.approx(0.005, abs=0.001)
    strange = np.abs(rng.normal(0, 1, (100, 30))).astype(np.float32)
    assert (calibration.novelty(logits[:100], strange) > 0.99).all()
    assert (calibration.novelty(logits[:100] + np.eye(11)[10] * 20, features[:100]) > 0.99).all()
    confidence = torch.softmax(torch.from_numpy(logits[:, :10] / calibration.temperature), 1).amax(1).numpy()
    assert (confidence < calibration.least_confidence).mean() == pytest.approx(0.005, abs=0.001)


def test_the_file_scores_novelty_as_the_calibration_does(few: Digits) -> None:
    network = build(settings_for("softmax", non_digits=0.25, initialisation="he-normal")).eval()
    with torch.inference_mode():
        features = network[:-1](torch.from_numpy(few.images.copy()).unsqueeze(1).float() / 255)
        logits = network[-1](features).double().numpy()
    labels = few.need_labels("test")
    prototypes = find_prototypes(features.numpy(), labels, seed=0)
    calibration = calibrate(logits, labels, features.numpy(), prototypes)
    assert calibration.distance_weight > 0
    session = onnxruntime.InferenceSession(to_onnx(network, calibration, {}), providers=["CPUExecutionProvider"])
    (novelty,) = session.run(["novelty"], {"images": few.images})
    assert novelty == pytest.approx(calibration.novelty(logits, features.numpy()), abs=2e-4)


def test_the_file_looks_again_at_what_is_strange_as_the_calibration_does(few: Digits) -> None:
    network = build(settings_for("softmax", non_digits=0.25, initialisation="he-normal")).eval()
    images = torch.from_numpy(few.images.copy()).unsqueeze(1).float() / 255
    looks = []
    with torch.inference_mode():
        for some in (images, torch.nn.functional.max_pool2d(images, 3, stride=1, padding=1)):
            features = network[:-1](some)
            looks.append((network[-1](features).double().numpy() * 0.3, features.numpy()))
        network[-1].weight *= 0.3
        network[-1].bias *= 0.3
    (logits, features), second = looks
    labels = few.need_labels("test")
    calibration = calibrate(logits, labels, features, find_prototypes(second[1], labels, seed=0), second=second)
    assert calibration.second_look
    usual = float(np.quantile(calibration.score(logits, features), 0.9))
    # The network has learnt nothing, so no temperature fits; with a low one every difference shows.
    calibration = replace(calibration, novelty_centre=usual, temperature=0.1)
    session = onnxruntime.InferenceSession(to_onnx(network, calibration, {}), providers=["CPUExecutionProvider"])
    (shares,) = session.run(["probabilities"], {"images": few.images})
    seen = calibration.after_second_look((logits, features), second)
    expected = torch.softmax(torch.from_numpy(seen) / calibration.temperature, 1).numpy()
    assert shares == pytest.approx(expected, abs=2e-4)
    once = torch.softmax(torch.from_numpy(logits[:, :10]) / calibration.temperature, 1).numpy()
    changed = np.abs(once - expected).max(1) > 1e-3
    assert 0.05 < changed.mean() < 0.95, "some images are looked at again, others are not"
    alone = [session.run(["probabilities"], {"images": image[None]})[0][0] for image in few.images[:40]]
    assert np.array(alone) == pytest.approx(shares[:40], abs=1e-5)


def test_a_second_look_counts_only_as_far_as_it_shows_something_more_like_a_digit() -> None:
    calibration = Calibration(1.0, novelty_centre=0.0, novelty_scale=1.0, second_look=True)
    nothing = np.zeros((1, 0), np.float32)

    def look(label: int, strange: float) -> tuple[np.ndarray, np.ndarray]:
        logits = np.full((1, 10), -50.0)
        logits[0, label] = -strange  # the energy is minus the largest logit here
        return logits, nothing

    def answer(first: float, second: float) -> int:
        return int(calibration.after_second_look(look(3, first), look(8, second)).argmax())

    assert answer(3.0, -3.0) == 8
    assert answer(3.0, 4.0) == 3
    assert answer(-3.0, -9.0) == 3, "what looks like a digit is not looked at again"


def test_what_differs_by_rounding_alone_does_not_decide_on_novelty(rng: np.random.Generator) -> None:
    """A network that learnt nothing says the same of every digit, but for the last place of its numbers."""
    logits = np.full((400, 10), 0.1) + rng.normal(0, 1e-7, (400, 10))
    fitted = calibrate(logits, np.arange(400, dtype=np.uint8) % 10)
    nothing = np.zeros((400, 0), np.float32)
    assert np.ptp(fitted.novelty(logits, nothing)) < 1e-4

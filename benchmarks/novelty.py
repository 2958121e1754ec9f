"""Which score tells digits from what is none: log-odds of the eleventh class, energy, or distance between features?

    $ .venv/bin/python benchmarks/novelty.py [MODEL]

Digits are the held-out 5,000 of the training part, half of them worn as in training; strangers are of kinds that the
training does not make: curves of Lissajous, spirals, stars, superposed digits, digits with their quarters exchanged,
plasma. The area under the ROC curve of each score on each kind goes to benchmarks/results/novelty.json. The model's
novelty is the log-odds with the distance to typical features added.
"""

from __future__ import annotations

import argparse

import cv2
import numpy as np
import onnx
import torch
from common import commit, machine, write_result
from numpy.typing import NDArray
from onnx import numpy_helper

from inkdigits.digits.formats import load_digits
from inkdigits.measure import auroc
from inkdigits.nets.conditions import wear
from inkdigits.nets.nondigits import refit
from inkdigits.reader.model import Model, load_model

COUNT = 1_000  # strangers of each kind
SHEET = 112  # pixels, side of the sheet that curves are drawn on
NEAREST = 10  # neighbours whose distance counts

Images = NDArray[np.uint8]


def drawn(curve: NDArray[np.float64], rng: np.random.Generator) -> Images:
    """A curve (N, 2) in −1…1 drawn with a pen and brought into the digit's frame."""
    sheet = np.zeros((SHEET, SHEET), np.uint8)
    line = np.round((curve * 0.42 + 0.5) * SHEET * 16).astype(np.int32).reshape(-1, 1, 2)
    cv2.polylines(sheet, [line], False, 255, int(rng.integers(5, 13)), cv2.LINE_AA, shift=4)
    return np.asarray(cv2.resize(sheet, (28, 28), interpolation=cv2.INTER_AREA), np.uint8)


def lissajous(rng: np.random.Generator) -> NDArray[np.float64]:
    t = np.linspace(0, 2 * np.pi, 120)
    a, b = rng.integers(2, 5, 2)
    return np.stack([np.sin(a * t + rng.uniform(0, 6)), np.sin((b + (a == b)) * t)], 1)


def spiral(rng: np.random.Generator) -> NDArray[np.float64]:
    t = np.linspace(0, rng.uniform(4, 7) * np.pi, 120)
    t0 = rng.uniform(0, 6)
    return np.stack([np.cos(t + t0), np.sin(t + t0)], 1) * (t / t[-1])[:, None]


def star(rng: np.random.Generator) -> NDArray[np.float64]:
    points = int(rng.integers(5, 9))
    t = np.arange(points * 2 + 1) * np.pi / points + rng.uniform(0, 6)
    reach = np.where(np.arange(points * 2 + 1) % 2, rng.uniform(0.3, 0.6), 1.0)
    return np.stack([np.cos(t), np.sin(t)], 1) * reach[:, None]


def plasma(rng: np.random.Generator) -> Images:
    layers = [cv2.resize(rng.random((n, n)).astype(np.float32), (28, 28)) / n**0.7 for n in (2, 4, 8, 16, 28)]
    field = np.sum(layers, 0)
    return np.asarray((field - field.min()) / np.ptp(field) * 255, np.uint8)


def strangers(digits: Images, rng: np.random.Generator) -> dict[str, Images]:
    def some() -> Images:
        return digits[rng.integers(0, len(digits), COUNT)]

    kinds = {name: np.stack([drawn(make(rng), rng) for _ in range(COUNT)]) for name, make in CURVES.items()}
    kinds["superposed digits"] = np.maximum(some(), some())
    quarters = np.roll(some(), 14, 1)
    left = rng.random(COUNT) < 0.5
    quarters[left] = np.roll(quarters[left], 14, 2)
    kinds["exchanged quarters"] = quarters
    framed = refit(torch.from_numpy(np.stack(list(kinds.values()))).view(-1, 1, 28, 28).float() / 255)
    framed_images = (framed.numpy() * 255).astype(np.uint8).reshape(len(kinds), COUNT, 28, 28)
    kinds = dict(zip(kinds, framed_images, strict=True))
    kinds["plasma"] = np.stack([plasma(rng) for _ in range(COUNT)])
    return kinds


CURVES = {"lissajous": lissajous, "spirals": spiral, "stars": star}


def last_layers(model: Model) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Weights and biases of the layers that take the features: the digits', then the eleventh class's."""
    graph = onnx.load(model.path).graph
    values = {weight.name: numpy_helper.to_array(weight) for weight in graph.initializer}
    heads = [node for node in graph.node if node.op_type == "Gemm" and node.input[0] == "features"]
    return [(values[node.input[1]], values[node.input[2]]) for node in heads]


def scores(model: Model, images: Images, known: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    said = model.predict(images, features=True)
    features = said.features
    assert features is not None
    assert said.novelty is not None
    (digits, digits_bias), (stranger, stranger_bias) = last_layers(model)
    logits = features @ digits.T + digits_bias
    energy = -np.logaddexp.reduce(logits, 1)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    alike = np.concatenate([np.sort(part @ known.T, 1)[:, -NEAREST] for part in np.array_split(unit, 20)])
    log_odds = (features @ stranger.T + stranger_bias)[:, 0] + energy
    return {
        "log-odds of the eleventh class": log_odds,
        "energy": energy,
        "distance of features": -alike,
        "the model's novelty": said.novelty,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="reader")
    model = load_model(parser.parse_args().model)
    rng = np.random.default_rng(0)
    kept, held = load_digits("mnist:train").split(5_000, seed=0)
    features = model.predict(kept.sample(10_000).images, features=True).features
    assert features is not None
    known = features / np.linalg.norm(features, axis=1, keepdims=True)
    half = len(held) // 2
    worn = torch.from_numpy(held.images[half:]).unsqueeze(1).float() / 255
    worn_images = (wear(worn, torch.Generator().manual_seed(0))[:, 0].numpy() * 255).astype(np.uint8)
    parts = {"clean digits": held.images[:half], "worn digits": worn_images}
    table: dict[str, dict[str, dict[str, float]]] = {}
    of_strangers = {name: scores(model, images, known) for name, images in strangers(held.images, rng).items()}
    for part, images in parts.items():
        of_digits = scores(model, images, known)
        table[part] = {}
        for score, values in of_digits.items():
            found = {kind: round(auroc(values, other[score]), 5) for kind, other in of_strangers.items()}
            found["mean"] = round(float(np.mean(list(found.values()))), 5)
            table[part][score] = found
            print(f"{part:14s} {score:32s} {found['mean']:.4f}  {found}")
    content = {"command": "python benchmarks/novelty.py", "machine": machine(), "commit": commit(), "auroc": table}
    print(write_result("novelty", content))


if __name__ == "__main__":
    main()

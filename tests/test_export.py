"""The ONNX file says what the network says, and nothing about where it was made."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from inkdigits.digits.dataset import Digits
from inkdigits.digits.formats import save_digits
from inkdigits.errors import ModelError
from inkdigits.nets.calibrate import Calibration
from inkdigits.nets.catalogue import NETWORKS, settings_for
from inkdigits.nets.export import to_onnx
from inkdigits.nets.train import train
from inkdigits.nets.zoo import build

CALIBRATION = Calibration(temperature=1.7, novelty_centre=-3.0, novelty_scale=2.0)


def lived_in(name: str, images: torch.Tensor) -> nn.Sequential:
    """A network whose batch norms have seen digits and whose scales are not one."""
    network = build(settings_for(name, initialisation="he-normal"))
    generator = torch.Generator().manual_seed(0)
    for layer in network:
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.momentum = 0.5
            with torch.no_grad():
                layer.weight.copy_(torch.randn(layer.weight.shape, generator=generator))
                layer.bias.copy_(torch.randn(layer.bias.shape, generator=generator))
    network.train()(images)
    return network.eval()


@pytest.mark.parametrize("name", NETWORKS)
def test_the_file_agrees_with_the_network(name: str, few: Digits) -> None:
    images = torch.from_numpy(few.images.copy()).unsqueeze(1).float() / 255
    network = lived_in(name, images)
    content = to_onnx(network, CALIBRATION, {"format": "1"})
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    names = ["probabilities", "novelty", "features"]
    probabilities, novelty, features = session.run(names, {"images": few.images})
    with torch.inference_mode():
        logits = network(images)
        score = -torch.logsumexp(logits[:, :10], 1)
        if logits.shape[1] == 11:
            score, logits = score + logits[:, 10], logits[:, :10]
        expected = torch.sigmoid((score - CALIBRATION.novelty_centre) / CALIBRATION.novelty_scale)
        np.testing.assert_allclose(probabilities, torch.softmax(logits / 1.7, 1).numpy(), atol=2e-5)
        np.testing.assert_allclose(novelty, expected.numpy(), atol=2e-5)
        np.testing.assert_allclose(features, network[:-1](images).numpy(), atol=1e-3, rtol=1e-3)


def test_the_same_network_gives_the_same_bytes_without_paths_or_dates() -> None:
    network = build(settings_for("lenet5")).eval()
    first = to_onnx(network, CALIBRATION, {"b": "2", "a": "1"})
    assert first == to_onnx(network, CALIBRATION, {"a": "1", "b": "2"})
    model = onnx.load_from_string(first)
    texts = [model.doc_string, model.domain, model.producer_version, *(node.doc_string for node in model.graph.node)]
    texts += [entry.value for entry in model.metadata_props]
    assert [text for text in texts if text] == ["1", "2"]
    assert b".py" not in first


def test_the_file_of_a_run_does_not_tell_where_it_was_made(few: Digits, tmp_path: Path) -> None:
    source = tmp_path / "somebodys-folder" / "train.csv"
    source.parent.mkdir()
    save_digits(few, source)
    content = train(source, output=tmp_path / "run", net="softmax", epochs=1).model.read_bytes()
    for trace in (str(tmp_path), "somebodys-folder", "train.csv", ".py", str(date.today().year)):
        assert trace.encode() not in content


def test_batch_norm_after_a_convolution_is_multiplied_into_it() -> None:
    model = onnx.load_from_string(to_onnx(build(settings_for("b-regularised")).eval(), CALIBRATION, {}))
    operators = [node.op_type for node in model.graph.node]
    assert "BatchNormalization" not in operators
    assert operators.count("Conv") == 3


def test_a_layer_without_a_rule_is_an_error_not_a_wrong_file() -> None:
    with pytest.raises(ModelError, match="GELU"):
        to_onnx(nn.Sequential(nn.Flatten(), nn.GELU(), nn.Linear(784, 10)), CALIBRATION, {})
    with pytest.raises(ModelError, match="last layer"):
        to_onnx(nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.ReLU()), CALIBRATION, {})

"""Another format is the same model: it answers alike, or it is not written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper
from support import somebody_elses_model

from inkdigits.app.cli import status_of
from inkdigits.digits.dataset import Digits
from inkdigits.digits.formats import save_digits
from inkdigits.digits.mnist import load_mnist
from inkdigits.errors import InputError, MissingExtraError, ModelError, OutputError
from inkdigits.nets import convert
from inkdigits.nets.convert import FORMATS, export
from inkdigits.nets.precision import as_bytes, halved, quantised, widened
from inkdigits.nets.train import Run, train
from inkdigits.reader.model import load_model

HELD_OUT = 1_000  # fewer than in earnest


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convert, "HELD_OUT", HELD_OUT)
    monkeypatch.setattr(convert, "SPEED_IMAGES", 128)
    monkeypatch.setattr(convert, "CALIBRATION", 300)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    digits = load_mnist("train").take(slice(3_000), source="3000")
    return train(digits, output=tmp_path_factory.mktemp("runs") / "tiny", net="fast", width=16, epochs=2)


@pytest.fixture(scope="module")
def model(run: Run) -> onnx.ModelProto:
    return onnx.load(run.model)


@pytest.mark.parametrize("to", [name for name in FORMATS if name.startswith("onnx")])
def test_an_onnx_export_is_a_model_like_any_other(to: str, run: Run, few: Digits, tmp_path: Path) -> None:
    path = tmp_path / "other.onnx"
    result = export(run.folder, to=to, output=path, check=few, threads=1)
    original, other = load_model(run.folder), load_model(path)
    assert other.metadata == original.metadata | {"precision": to.removeprefix("onnx-")}
    before, after = original.predict(few.images, features=True), other.predict(few.images, features=True)
    assert np.abs(before.probabilities - after.probabilities).max() <= FORMATS[to].difference
    assert before.features is not None
    assert after.features is not None
    assert before.features.shape == after.features.shape
    assert result.before.size == run.model.stat().st_size
    assert result.after.size == path.stat().st_size
    assert (result.before.errors, result.after.errors) == (
        int((before.labels != few.labels).sum()),
        int((after.labels != few.labels).sum()),
    )
    assert result.held_out == HELD_OUT
    assert result.same_answers >= FORMATS[to].agreement * HELD_OUT
    assert result.failing == ()


def test_smaller_weights_make_a_smaller_file(model: onnx.ModelProto, few: Digits) -> None:
    sizes = [len(as_bytes(made, "x")) for made in (widened(model), halved(model), quantised(model, few.images))]
    assert sizes[1] < 0.65 * sizes[0]
    assert sizes[2] < 0.75 * sizes[0]


def test_the_same_model_gives_the_same_bytes_without_paths(model: onnx.ModelProto, few: Digits) -> None:
    for make in (widened, halved, lambda given: quantised(given, few.images)):
        first, second = (as_bytes(make(model), "x") for _ in range(2))
        assert first == second
        assert b"/tmp" not in first
        assert b".py" not in first


def test_converting_leaves_the_model_given_as_it_was(model: onnx.ModelProto, few: Digits) -> None:
    before = model.SerializeToString(deterministic=True)
    for make in (widened, halved, lambda given: quantised(given, few.images)):
        make(model)
        assert model.SerializeToString(deterministic=True) == before


def test_half_weights_can_be_widened_again(model: onnx.ModelProto) -> None:
    back = widened(halved(model))
    assert [node.op_type for node in back.graph.node] == [node.op_type for node in model.graph.node]
    kinds = {tensor.name: tensor.data_type for tensor in back.graph.initializer}
    assert TensorProto.FLOAT16 not in kinds.values()
    first = next(tensor for tensor in model.graph.initializer if len(tensor.dims) == 4)
    again = next(tensor for tensor in back.graph.initializer if tensor.name == first.name)
    np.testing.assert_allclose(numpy_helper.to_array(again), numpy_helper.to_array(first), rtol=1e-3, atol=1e-4)


def test_the_layer_that_sees_the_image_and_the_answers_stay_float(model: onnx.ModelProto, few: Digits) -> None:
    made = quantised(model, few.images)
    from_integers = {name for node in made.graph.node if node.op_type == "DequantizeLinear" for name in node.output}
    layers = [node for node in made.graph.node if node.op_type in ("Conv", "Gemm")]
    assert [node.input[1] in from_integers for node in layers] == [False] + [True] * (len(layers) - 2) + [False]


@pytest.mark.parametrize("to", [name for name in FORMATS if name.startswith("openvino")])
def test_openvino_answers_as_the_original(to: str, run: Run, few: Digits, tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino")
    result = export(run.folder, to=to, output=tmp_path / "model.xml", check=few, threads=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.bin", "model.xml"]
    assert result.after.size == sum(path.stat().st_size for path in tmp_path.iterdir())
    said = openvino.Core().compile_model(tmp_path / "model.xml", "CPU")({"images": few.images})
    expected = load_model(run.folder).predict(few.images)
    np.testing.assert_allclose(said["probabilities"], expected.probabilities, atol=FORMATS[to].difference)
    np.testing.assert_allclose(said["novelty"], expected.novelty, atol=FORMATS[to].difference)
    text = (tmp_path / "model.xml").read_text()
    assert "novelty_threshold" in text
    assert str(tmp_path) not in text


def test_another_model_is_not_written_unless_forced(
    run: Run, few: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(model: onnx.ModelProto) -> onnx.ModelProto:
        made = widened(model)
        last = [node for node in made.graph.node if node.op_type == "Gemm"][-1]
        weights = next(tensor for tensor in made.graph.initializer if tensor.name == last.input[1])
        array = numpy_helper.to_array(weights)
        weights.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(np.roll(array, 1, axis=0)), weights.name))
        return made

    monkeypatch.setattr("inkdigits.nets.precision.widened", broken)
    path = tmp_path / "model.onnx"
    with pytest.raises(OutputError, match=r"not written: it is another model.*answers the same.*--force"):
        export(run.folder, to="onnx-fp32", output=path, check=few)
    assert list(tmp_path.iterdir()) == []
    assert len(export(run.folder, to="onnx-fp32", output=path, check=few, force=True).failing) >= 2
    assert path.exists()


def test_what_cannot_be_exported_is_said_before_the_work(
    run: Run, few: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.onnx"
    with pytest.raises(InputError, match=r"--to: unknown, expected onnx-fp32 or .*, found tflite"):
        export(run.folder, to="tflite", output=path)
    with pytest.raises(OutputError, match=r"another ending, expected one that ends in \.xml"):
        export(run.folder, to="openvino", output=path)
    with pytest.raises(OutputError, match="is what is exported"):
        export(run.folder, to="onnx-fp16", output=run.model)
    with pytest.raises(ModelError, match="expected a model of inkdigits"):
        export(somebody_elses_model(tmp_path / "other.onnx", few), to="onnx-fp16", output=path)
    with pytest.raises(InputError, match="has no labels"):
        export(run.folder, to="onnx-fp16", output=path, check=few.images)
    monkeypatch.setattr(convert, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"inkdigits\[export\]"):
        export(run.folder, to="onnx-fp16", output=path)
    assert not path.exists()


def test_a_converter_that_gives_up_is_one_line(
    run: Run, few: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gives_up(model: onnx.ModelProto) -> onnx.ModelProto:
        raise RuntimeError("unsupported operator\nwith a long story")

    monkeypatch.setattr("inkdigits.nets.precision.halved", gives_up)
    with pytest.raises(ModelError, match=r"could not be converted to onnx-fp16, found unsupported operator$"):
        export(run.folder, to="onnx-fp16", output=tmp_path / "model.onnx", check=few)


def test_the_command_prints_both_side_by_side(
    run: Run, few: Digits, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_digits(few, tmp_path / "few.npz")
    arguments = ["export", str(run.folder), "--to", "onnx-int8", "-o", str(tmp_path / "int8.onnx")]
    arguments += ["--check", str(tmp_path / "few.npz")]
    assert status_of(arguments) == 0
    out = capsys.readouterr().out
    for words in ("tiny", "onnx-int8", "few.npz", "images a second", "held-out digits"):
        assert words in out
    assert out.endswith(f"written to {tmp_path / 'int8.onnx'}\n")
    assert status_of([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["original"]["bytes"] > found["export"]["bytes"] > 0
    assert found["parity"]["n"] == HELD_OUT
    assert found["checked_on"] == {"source": str(tmp_path / "few.npz"), "n": 200}


def test_a_model_of_16_bits_is_taken_and_one_of_8_is_not(run: Run, few: Digits, tmp_path: Path) -> None:
    half, eight = tmp_path / "half.onnx", tmp_path / "eight.onnx"
    export(run.folder, to="onnx-fp16", output=half, check=few)
    result = export(half, to="onnx-int8", output=eight, check=few)
    assert result.same_answers >= 0.995 * HELD_OUT
    assert "DequantizeLinear" in [node.op_type for node in onnx.load(eight).graph.node]
    with pytest.raises(ModelError, match="expected 16 or 32 bits, found 8 bits"):
        export(eight, to="onnx-fp32", output=tmp_path / "back.onnx", check=few)

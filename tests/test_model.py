"""Loading models: ours, foreign ones, and files that are none."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from inkdigits.digits.dataset import Digits, pixel_hashes
from inkdigits.digits.mnist import load_mnist
from inkdigits.errors import InputError, ModelError
from inkdigits.nets.train import Run, train
from inkdigits.reader.model import SCALES, load_model


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    digits = load_mnist("train").take(slice(5_000), source="5000")
    return train(digits, output=tmp_path_factory.mktemp("runs") / "run", net="a-mlp-relu-adam", epochs=3)


def foreign(path: Path, run: Run, scale: str, shape: list[object], *, softmax: bool = False, kind: int = 1) -> Path:
    """The network of `run` as somebody else would have exported it, for pixels scaled as `scale` says."""
    own = onnx.load(run.model)
    dtype = np.float16 if kind == TensorProto.FLOAT16 else np.float32
    # x = scaled · slope + offset brings the foreign scale back to 0…1.
    black, white = (float(SCALES[scale](np.array([value], np.float32))[0]) for value in (0.0, 255.0))
    weights = {tensor.name: numpy_helper.to_array(tensor).astype(dtype) for tensor in own.graph.initializer}
    weights |= {"slope": np.array(1 / (white - black), dtype), "offset": np.array(-black / (white - black), dtype)}
    layers = [node for node in own.graph.node if node.op_type in ("Gemm", "Relu")]
    layers[0].input[0] = "unit"
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"], axis=1),
        helper.make_node("Mul", ["flat", "slope"], ["scaled"]),
        helper.make_node("Add", ["scaled", "offset"], ["unit"]),
        *layers,
        helper.make_node("Softmax" if softmax else "Identity", [layers[-1].output[0]], ["out"]),
    ]
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "other",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("out", kind, [shape[0], 10])],
        [numpy_helper.from_array(array, name) for name, array in weights.items() if name in used],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


def test_a_model_is_found_by_folder_and_by_file(run: Run, few: Digits) -> None:
    by_folder, by_file = load_model(run.folder), load_model(run.model)
    assert (by_folder.name, by_file.name) == ("run", "model")
    assert load_model(by_folder) is by_folder
    first, second = by_folder.predict(few.images), by_file.predict(few.images)
    assert np.array_equal(first.probabilities, second.probabilities)
    assert first.probabilities.sum(1) == pytest.approx(np.ones(len(few)), abs=1e-5)
    assert (first.labels == few.labels).mean() > 0.9
    assert first.novelty is not None
    assert first.novelty.shape == (len(few),)
    assert first.features is None
    features = by_folder.predict(few.images, features=True).features
    assert features is not None
    assert features.shape == (len(few), 128)


def test_the_shipped_model_reads_mnist_and_knows_what_it_was_trained_on(mnist_test: Digits) -> None:
    reader = load_model("reader")
    assert reader.path.stat().st_size < 2_000_000
    assert (reader.predict(mnist_test.images).labels == mnist_test.labels).mean() >= 0.995
    hashes = reader.training_hashes()
    assert hashes is not None
    assert len(hashes) == 60_000


def test_batches_do_not_change_the_answer(run: Run, mnist_test: Digits) -> None:
    model = load_model(run.folder)
    images = mnist_test.images[:1_100]
    one_by_one = np.concatenate([model.predict(image[None]).probabilities for image in images[::50]])
    np.testing.assert_allclose(model.predict(images).probabilities[::50], one_by_one, atol=1e-6)
    assert model.predict(images[:0]).probabilities.shape == (0, 10)


def test_a_model_may_be_used_from_several_threads(run: Run, few: Digits) -> None:
    model = load_model(run.folder)
    expected = model.predict(few.images).probabilities
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: model.predict(few.images).probabilities, range(32)))
    assert all(np.array_equal(result, expected) for result in results)


def test_novelty_is_higher_for_what_is_not_a_digit(run: Run, mnist_test: Digits) -> None:
    model = load_model(run.folder)
    blank = np.zeros((1, 28, 28), np.uint8)
    novelty, strange = model.predict(mnist_test.images).novelty, model.predict(blank).novelty
    assert novelty is not None
    assert strange is not None
    assert strange[0] > np.median(novelty)
    assert model.novelty_threshold == 0.5


def test_training_hashes_are_those_of_the_run(run: Run) -> None:
    hashes = load_model(run.folder).training_hashes()
    assert hashes is not None
    assert np.isin(hashes, pixel_hashes(load_mnist("train").images[:5_000])).all()
    assert load_model(run.model).training_hashes() is None


def test_a_file_trained_on_mnist_remembers_it_without_its_folder(run: Run, tmp_path: Path) -> None:
    hashes = load_model(changed(run, tmp_path / "m.onnx", trained_on="mnist:train")).training_hashes()
    assert hashes is not None
    assert np.array_equal(hashes, pixel_hashes(load_mnist("train").images))


@pytest.mark.parametrize("scale", SCALES)
def test_the_scale_of_a_foreign_model_is_found(scale: str, run: Run, few: Digits, tmp_path: Path) -> None:
    model = load_model(foreign(tmp_path / "other.onnx", run, scale, ["N", 784]))
    own = load_model(run.folder)
    assert np.array_equal(model.predict(few.images).labels, own.predict(few.images).labels)
    assert model.predict(few.images).novelty is None
    assert model.novelty_threshold is None


@pytest.mark.parametrize("shape", [[None, 1, 28, 28], ["N", 28, 28, 1], ["N", 28, 28], [64, 784], [1, 1, 28, 28]])
@pytest.mark.parametrize("softmax", [False, True])
def test_every_common_shape_of_a_foreign_model_is_accepted(
    shape: list[object], softmax: bool, run: Run, few: Digits, tmp_path: Path
) -> None:
    path = foreign(tmp_path / "other.onnx", run, "unit", shape, softmax=softmax)
    said = load_model(path, input_scale="unit").predict(few.images)
    assert np.array_equal(said.labels, load_model(run.folder).predict(few.images).labels)
    assert said.probabilities.sum(1) == pytest.approx(np.ones(len(few)), abs=1e-4)


def test_a_foreign_model_in_half_precision_is_accepted(run: Run, few: Digits, tmp_path: Path) -> None:
    path = foreign(tmp_path / "half.onnx", run, "unit", ["N", 784], kind=TensorProto.FLOAT16)
    agree = load_model(path).predict(few.images).labels == load_model(run.folder).predict(few.images).labels
    assert agree.mean() > 0.98


def test_what_is_not_a_model_is_said_in_one_line(run: Run, tmp_path: Path) -> None:
    rubbish, empty = tmp_path / "rubbish.onnx", tmp_path / "empty.onnx"
    rubbish.write_bytes(bytes(range(256)) * 20)
    empty.write_bytes(b"")
    truncated = tmp_path / "truncated.onnx"
    truncated.write_bytes(run.model.read_bytes()[:5_000])
    folder = tmp_path / "folder"
    folder.mkdir()
    unfinished = tmp_path / "unfinished"
    unfinished.mkdir()
    (unfinished / "config.json").write_text("{}")
    for path, message in [
        (rubbish, "not a model"),
        (empty, "not a model"),
        (truncated, "not a model"),
        (folder, "no model in this folder"),
        (unfinished, "--resume"),
        (tmp_path / "missing", "no such model"),
    ]:
        with pytest.raises(ModelError) as caught:
            load_model(path)
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)


def changed(run: Run, path: Path, **metadata: str) -> Path:
    model = onnx.load(run.model)
    known = {entry.key: entry.value for entry in model.metadata_props}
    del model.metadata_props[:]
    helper.set_model_props(model, known | metadata)
    onnx.save(model, str(path))
    return path


def test_a_file_whose_metadata_is_damaged_or_newer_is_refused(run: Run, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="written by another version"):
        load_model(changed(run, tmp_path / "newer.onnx", format="9"))
    with pytest.raises(ModelError, match="metadata is damaged"):
        load_model(changed(run, tmp_path / "damaged.onnx", novelty_threshold="high"))
    for metadata in ({"novelty_threshold": "nan"}, {"labels": "9,8,7,6,5,4,3,2,1,0"}, {"preparation": "99"}):
        with pytest.raises(ModelError, match="metadata is damaged"):
            load_model(changed(run, tmp_path / "damaged.onnx", **metadata))


def test_a_file_with_names_that_are_no_text_is_refused(run: Run, tmp_path: Path) -> None:
    content = run.model.read_bytes()
    for name in (b"preparation", b"novelty_threshold"):
        assert name in content
        path = tmp_path / "model.onnx"
        path.write_bytes(content.replace(name, b"\xd7" + name[1:]))
        with pytest.raises(ModelError, match="damaged, expected names in UTF-8"):
            load_model(path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_model_with_damaged_weights_is_refused(value: float, run: Run, tmp_path: Path) -> None:
    model = onnx.load(run.model)
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.ndim == 2:
            tensor.CopyFrom(numpy_helper.from_array(np.full_like(array, value), tensor.name))
    onnx.save(model, str(tmp_path / "damaged.onnx"))
    with pytest.raises(ModelError, match="damaged, expected finite answers"):
        load_model(tmp_path / "damaged.onnx")


def test_a_model_of_ours_with_other_outputs_is_refused(run: Run, tmp_path: Path) -> None:
    model = onnx.load(run.model)
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    last = [node for node in model.graph.node if node.op_type == "Gemm"][-1]
    for name in last.input[1:]:
        array = numpy_helper.to_array(weights[name])
        weights[name].CopyFrom(numpy_helper.from_array(np.ascontiguousarray(array[:5]), name))
    for output in model.graph.output:
        if output.name == "probabilities":
            output.type.tensor_type.shape.dim[1].dim_value = 5
    onnx.save(model, str(tmp_path / "five.onnx"))
    with pytest.raises(ModelError, match="not an inkdigits model"):
        load_model(tmp_path / "five.onnx")


def test_a_model_whose_weights_are_in_another_file_is_refused(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where the runtime would look for them
    model = onnx.load(run.model)
    path = tmp_path / "outside.onnx"
    onnx.save_model(model, str(path), save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert (tmp_path / "weights.bin").exists()
    with pytest.raises(ModelError, match="not a model"):
        load_model(path)


def test_a_network_for_something_else_is_refused(run: Run, tmp_path: Path) -> None:
    layer = helper.make_node("GlobalAveragePool", ["x"], ["out"])
    pixels = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 224, 224])
    answer = helper.make_tensor_value_info("out", TensorProto.FLOAT, ["N", 3, 1, 1])
    graph = helper.make_graph([layer], "colours", [pixels], [answer])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(tmp_path / "c.onnx")
    )
    with pytest.raises(ModelError, match="not a digit classifier"):
        load_model(tmp_path / "c.onnx")


def test_a_scale_is_refused_where_it_makes_no_sense(run: Run, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is for foreign models"):
        load_model(run.folder, input_scale="unit")
    with pytest.raises(InputError, match="unknown, expected unit or raw"):
        load_model(foreign(tmp_path / "other.onnx", run, "unit", ["N", 784]), input_scale="huge")


@pytest.mark.parametrize("array", [np.zeros((2, 28, 28)), np.zeros((28, 28), np.uint8), np.zeros((2, 784), np.uint8)])
def test_only_digit_images_are_predicted(array: np.ndarray, run: Run) -> None:
    with pytest.raises(InputError, match=r"expected uint8 \(N, 28, 28\)"):
        load_model(run.folder).predict(array)

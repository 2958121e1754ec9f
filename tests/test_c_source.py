"""A model as C does what the model does, whatever it is made of, and compiles without a word."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import nn

from inkdigits.app.cli import status_of
from inkdigits.digits.dataset import Digits
from inkdigits.errors import InputError, ModelError
from inkdigits.nets import convert
from inkdigits.nets.c_source import c_name, c_source, rounded
from inkdigits.nets.calibrate import Calibration
from inkdigits.nets.catalogue import settings_for
from inkdigits.nets.convert import export
from inkdigits.nets.export import to_onnx
from inkdigits.nets.views import with_views
from inkdigits.nets.zoo import build
from inkdigits.reader.model import load_model

STRICT = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror", "-O2"]
COMPILER = next(filter(None, map(shutil.which, convert.COMPILERS)), "")
needs_compiler = pytest.mark.skipif(not COMPILER, reason="no C compiler")
METADATA = {
    "format": "1", "labels": "0,1,2,3,4,5,6,7,8,9", "preparation": "1",
    "novelty_threshold": "0.5", "confidence_threshold": "0.25", "net": "some", "data_licence": "none */ at all",
}  # fmt: skip


def model_of(network: nn.Sequential, digits: Digits, views: int = 1) -> onnx.ModelProto:
    """The network as it could come out of a training: batch norm knows its values, and logits are some units apart."""
    images = torch.from_numpy(digits.images[:100].copy()).unsqueeze(1).float() / 255
    for layer in network:
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 1.0
    last = network[-1]
    assert isinstance(last, nn.Linear)
    with torch.no_grad():
        network.train()(images)
        last.weight /= network.eval()(images).std(0)[:, None] / 2
    made = to_onnx(with_views(network, views), Calibration(1.3, -2.0, 0.7), METADATA)
    return onnx.load_from_string(made)


def answers(text: str, name: str, images: NDArray[np.uint8], folder: Path) -> tuple[NDArray[np.float32], ...]:
    """Labels, probabilities and novelty by the header, compiled with all warnings as errors."""
    (folder / f"{name}.h").write_text(text)
    (folder / "user.c").write_text(f'#include "{name}.h"\nlong floats(void) {{ return {name.upper()}_WORKSPACE; }}\n')
    (folder / "body.c").write_text(f'#define {name.upper()}_IMPLEMENTATION\n#include "{name}.h"\n')
    library = folder / f"{name}.so"
    sources = [str(folder / file) for file in ("user.c", "body.c")]
    subprocess.run([COMPILER, *STRICT, "-shared", "-fPIC", *sources, "-o", str(library), "-lm"], check=True)
    made = ctypes.CDLL(str(library))
    read, guard = getattr(made, f"{name}_read"), np.float32(12345)
    probabilities, novelty = np.zeros((len(images), 10), np.float32), np.zeros(len(images), np.float32)
    workspace = np.full(made.floats() + 1, guard)
    labels = []
    for at, image in enumerate(np.ascontiguousarray(images)):
        places = [image, probabilities[at:], novelty[at:], workspace]
        labels.append(read(*(ctypes.c_void_p(place.ctypes.data) for place in places)))
    assert workspace[-1] == guard  # nothing was written behind it
    return np.array(labels), probabilities, novelty


@needs_compiler
@pytest.mark.parametrize(
    ("net", "changes", "views"),
    [
        ("tiny", {}, 9),
        ("tiny", {"padding": "same"}, 2),
        ("least", {}, 9),  # deskewing before the views are taken, channels by themselves
        ("least", {"width": 8}, 1),
        ("fast", {"width": 16}, 1),  # pooling before batch norm
        ("bulk", {"width": 8}, 1),  # strides
        ("best", {"width": 12}, 3),
        ("lenet5", {}, 1),  # tanh, means, margins
        ("a-mlp-sigmoid-adam", {}, 1),
        ("softmax", {"initialisation": "glorot-uniform"}, 1),
    ],
)
def test_the_header_answers_as_the_model_with_rounded_weights(
    net: str, changes: dict[str, Any], views: int, few: Digits, tmp_path: Path
) -> None:
    images = few.images[:40]
    model = model_of(build(settings_for(net, **changes)), few, views)
    text = c_source(model, "some")
    layers = {node.input[1] for node in model.graph.node if node.op_type in ("Conv", "Gemm")}
    for tensor in model.graph.initializer:
        if tensor.name in layers:
            integers, scales = rounded(numpy_helper.to_array(tensor))
            exact = integers * scales.reshape(-1, *[1] * (integers.ndim - 1))
            tensor.CopyFrom(numpy_helper.from_array(exact.astype(np.float32), tensor.name))
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    expected = load_model(tmp_path / "model.onnx").predict(images)
    labels, probabilities, novelty = answers(text, "some", images, tmp_path)
    np.testing.assert_allclose(probabilities, expected.probabilities, atol=2e-5)
    assert expected.novelty is not None
    np.testing.assert_allclose(novelty, expected.novelty, atol=2e-5)
    assert np.ptp(expected.probabilities, axis=0).max() > 0.1  # or it would say nothing
    assert (labels == probabilities.argmax(1)).all()


@needs_compiler
def test_two_models_fit_into_one_program(few: Digits, tmp_path: Path) -> None:
    model = model_of(build(settings_for("tiny", width=4)), few)
    for name in ("one", "other"):
        (tmp_path / f"{name}.h").write_text(c_source(model, name))
    lines = [
        line for name in ("one", "other") for line in (f"#define {name.upper()}_IMPLEMENTATION", f'#include "{name}.h"')
    ]
    declarations = "static float w[ONE_WORKSPACE], p[10], n; static uint8_t i[784];"
    main = f"int main(void) {{ {declarations} return one_read(i, p, &n, w) != other_read(i, p, &n, w); }}"
    (tmp_path / "main.c").write_text("\n".join([*lines, main, ""]))
    program = tmp_path / "main"
    subprocess.run([COMPILER, *STRICT, str(tmp_path / "main.c"), "-o", str(program), "-lm"], check=True)
    subprocess.run([program], check=True)


def test_rounding_is_by_output_channel_and_keeps_zeros() -> None:
    weights = np.array([[1.0, -2.0, 0.0], [0.001, 0.002, -0.002], [0, 0, 0]], np.float32)
    integers, scales = rounded(weights)
    assert integers.tolist() == [[64, -127, 0], [64, 127, -127], [0, 0, 0]]
    np.testing.assert_allclose(integers * scales[:, None], weights, atol=0.02)
    assert np.isfinite(scales).all()


@pytest.mark.parametrize(
    ("stem", "name"),
    [("tiny", "tiny"), ("My-net 2", "my_net_2"), ("2nd", "digits_2nd"), ("_x", "digits__x"), ("é", "digits")],
)
def test_a_file_s_name_becomes_one_that_c_takes(stem: str, name: str) -> None:
    assert c_name(stem) == name


def test_the_text_is_the_same_for_the_same_model_and_no_comment_ends_early(few: Digits) -> None:
    model = model_of(build(settings_for("tiny", width=3)), few)
    text = c_source(model, "tiny")
    assert text == c_source(model, "tiny")
    assert "none  at all" in text
    assert all(len(line) <= 120 for line in text.splitlines())


def test_what_is_more_than_layers_in_a_row_is_refused() -> None:
    with pytest.raises(ModelError, match="a second look"):
        c_source(onnx.load(str(load_model("reader").path)), "reader")


@needs_compiler
def test_the_verb_writes_a_header_that_was_compiled_and_compared(
    few: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convert, "HELD_OUT", 200)
    monkeypatch.setattr(convert, "SPEED_IMAGES", 64)
    result = export("tiny", to="c", output=tmp_path / "my tiny.h", check=few, threads=2)
    assert [file.name for file in tmp_path.iterdir()] == ["my tiny.h"]
    assert result.same_answers >= 199
    assert result.after.errors <= result.before.errors + 2
    assert "my_tiny_read" in (tmp_path / "my tiny.h").read_text()


@needs_compiler
def test_the_page_s_program_reads_a_digit(few: Digits, tmp_path: Path) -> None:
    page = (Path(__file__).parent.parent / "docs/howto/embed_the_model.md").read_text(encoding="utf-8")
    [program] = re.findall(r"```c\n(.*?)```", page, re.DOTALL)
    model = load_model("tiny")
    (tmp_path / "tiny.h").write_text(c_source(onnx.load(str(model.path)), "tiny"))
    (tmp_path / "digit.c").write_text(program)
    subprocess.run([COMPILER, *STRICT, str(tmp_path / "digit.c"), "-o", str(tmp_path / "digit"), "-lm"], check=True)
    expected = model.predict(few.images[:3])
    for image, digit in zip(few.images, expected.labels, strict=False):
        said = subprocess.run([tmp_path / "digit"], input=image.tobytes(), capture_output=True, check=True).stdout
        assert said.split()[0] == str(digit).encode()
        assert said.split()[3] in (b"read", b"refused")


def test_without_a_compiler_it_says_so_and_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="no C compiler"):
        export("tiny", to="c", output=tmp_path / "tiny.h")
    assert list(tmp_path.iterdir()) == []


def test_another_ending_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(["export", "tiny", "--to", "c", "-o", str(tmp_path / "tiny.c")]) == 1
    assert "ends in .h" in capsys.readouterr().err

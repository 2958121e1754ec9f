"""What the tests of several formats share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from inkdigits.digits.dataset import Digits
from inkdigits.digits.formats import load_digits
from inkdigits.errors import InkdigitsError, InputError
from inkdigits.lab import running


def same(one: Digits, other: Digits) -> bool:
    if one.labels is None or other.labels is None:
        return one.labels is other.labels and np.array_equal(one.images, other.images)
    return np.array_equal(one.labels, other.labels) and np.array_equal(one.images, other.images)


def target(folder: Path, name: str) -> str:
    """As a string, since a Path loses the slash at the end that means a folder."""
    return f"{folder}/{name}"


def error_of(source: object, kind: type[InkdigitsError] = InputError) -> str:
    """The message that loading the source ends with: one line, beginning with the source's name."""
    with pytest.raises(kind) as caught:
        load_digits(source)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(source))
    return message


def somebody_elses_model(path: Path, digits: Digits) -> Path:
    """A foreign classifier, written to `path`: float [N, 1, 28, 28] in, ten numbers out, the nearest mean wins."""
    images = digits.images.reshape(-1, 784).astype(np.float32) / 255
    means = np.stack([images[digits.labels == label].mean(axis=0) for label in range(10)])
    weights = {"means": means.T, "bias": -(means**2).sum(axis=1) / 2}
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["x"], ["flat"], axis=1),
            helper.make_node("Gemm", ["flat", "means", "bias"], ["out"]),
        ],
        "other",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 1, 28, 28])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["N", 10])],
        [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


def alike(one: np.ndarray, other: np.ndarray) -> float:
    """The correlation of two digit images, one of them moved by a pixel if that makes it higher."""
    moved = [np.roll(one, (down, right), (0, 1)) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    return max(float(np.corrcoef(each.ravel(), other.ravel())[0, 1]) for each in moved)


def run_here(monkeypatch: pytest.MonkeyPatch, trial: Callable[..., Any]) -> list[Any]:
    """Let trials be run by `trial`, at once and in this process; gives the list of the tasks that were."""
    made: list[Any] = []

    def run(task: Any, train: Any, test: Any) -> Any:
        made.append(task)
        assert len(train) == task.size
        return trial(task, train, test)

    def results(calls: Callable[..., Any], tasks: Any, *_: object) -> Iterator[Any]:
        for function, arguments, _ in calls(tasks):
            yield function(*arguments)

    monkeypatch.setattr(running, "run_trial", run)
    monkeypatch.setattr(running, "_results", results)
    return made

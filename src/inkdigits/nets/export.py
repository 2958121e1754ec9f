"""A trained network as a self-contained ONNX file: uint8 pixels in, calibrated probabilities out.

The graph is written node by node with `onnx.helper`: a tenth of a second, the same bytes for the same weights, and no
source paths in the file, which PyTorch's own exporter leaves there.

Input `images` uint8 [N, 28, 28]; outputs `probabilities` float32 [N, 10], `novelty` float32 [N] in 0…1 (higher = less
like a digit) and `features` float32 [N, D], what goes into the last layer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from ..digits.dataset import CLASSES, SIDE
from ..errors import ModelError
from .calibrate import DOUBT, MARGIN, SHORTEST, TWICE, Calibration
from .deskew import LEAST, STEEPEST, Deskew
from .views import MeanOfViews, Views

OPSET = 17
IR_VERSION = 8  # read by every ONNX Runtime since 1.10
PARITY = 1e-4  # largest difference of a probability that rounding explains


class Graph:
    """Nodes and weights gathered one after the other; `flow` is the name of the last tensor."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.flow = "images"

    def weight(self, array: NDArray[Any] | np.float32, name: str) -> str:
        name = f"{name}.{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def add(
        self, operator: str, *inputs: str, output: str | None = None, after: str | None = None, **attributes: Any
    ) -> str:
        """Append a node that takes the flow (or `after`), then `inputs`."""
        result = output or f"{operator.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, [after or self.flow, *inputs], [result], **attributes))
        self.flow = result
        return result

    def name_flow(self, name: str) -> str:
        """Give the last tensor another name, without a node that would copy it."""
        self.nodes[-1].output[0] = self.flow = name
        return name

    def repeat(self, nodes: list[onnx.NodeProto], start: str, flow: str) -> dict[str, str]:
        """Append nodes once more, what follows from `start` now from `flow`; gives each tensor's second name."""
        second = {start: flow}
        for node in nodes:
            if any(name in second for name in node.input):
                copied = onnx.NodeProto()
                copied.CopyFrom(node)
                del copied.input[:], copied.output[:]
                copied.input.extend(second.get(name, name) for name in node.input)
                for name in node.output:
                    second[name] = f"{name}.again"
                copied.output.extend(second[name] for name in node.output)
                self.nodes.append(copied)
        return second


def to_onnx(network: nn.Sequential, calibration: Calibration, metadata: dict[str, str]) -> bytes:
    """The network as the bytes of an ONNX file.

    Parameters
    ----------
    network: layers from the zoo, the last one linear; taken as in evaluation (no dropout, batch norm's running values).
    calibration: fitted temperature and energy.
    metadata: written into the file as it is.

    Raises ModelError for a layer that it has no rule for.
    """
    graph = Graph()
    graph.add("Cast", to=TensorProto.FLOAT)
    graph.add("Mul", graph.weight(np.float32(1 / 255), "scale"))
    graph.add("Unsqueeze", graph.weight(np.array([1], np.int64), "axes"))
    pixels = graph.flow
    *body, last = _without_dropout(network)
    for index, layer in enumerate(body):
        following = body[index + 1] if index + 1 < len(body) else None
        before = body[index - 1] if index else None
        _write_layer(graph, layer, before=before, following=following)
    features = graph.name_flow("features")
    digits, stranger = _split_classes(last)
    width = _write_linear(graph, digits)
    logits = graph.flow
    known = graph.add("ReduceLogSumExp", after=logits, axes=[1], keepdims=0)
    # The score is 0, or the eleventh class, less what the ten say together. Without either term below nothing but a
    # sign is left of it, which goes into the centre and the scale.
    centre, scale = calibration.novelty_centre - calibration.distance_weight, calibration.novelty_scale
    if stranger is not None:
        graph.flow = features
        _write_linear(graph, stranger)
        graph.add("Squeeze", graph.weight(np.array([1], np.int64), "axes"))
        novelty = graph.add("Sub", known)
    elif calibration.prototypes is not None:
        novelty = graph.add("Neg")
    else:
        centre, scale = -centre, -scale
    if calibration.prototypes is not None:
        length = graph.add("ReduceL2", after=features, axes=[1], keepdims=1)
        length = graph.add("Max", graph.weight(np.float32(SHORTEST), "shortest"))
        graph.add("Div", length, after=features)
        graph.add("MatMul", graph.weight(np.ascontiguousarray(calibration.prototypes.T), "prototypes"))
        graph.add("ReduceMax", axes=[1], keepdims=0)
        # The score grows by the weight times one minus the cosine; the one goes into the centre below.
        graph.add("Mul", graph.weight(np.float32(-calibration.distance_weight), "weight"))
        graph.add("Add", novelty)
    # sigmoid((score − centre) / scale)
    graph.add("Sub", graph.weight(np.float32(centre), "centre"))
    strange = graph.add("Div", graph.weight(np.float32(scale), "spread"))
    graph.add("Sigmoid", output="novelty")
    if calibration.second_look:
        logits = _write_second_look(graph, pixels, logits, strange)
    graph.add("Div", graph.weight(np.float32(calibration.temperature), "temperature"), after=logits)
    graph.add("Softmax", output="probabilities", axis=1)
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "inkdigits",
            [helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", 28, 28])],
            [
                helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 10]),
                helper.make_tensor_value_info("novelty", TensorProto.FLOAT, ["N"]),
                helper.make_tensor_value_info(features, TensorProto.FLOAT, ["N", width]),
            ],
            graph.weights,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="inkdigits",
    )
    helper.set_model_props(model, dict(sorted(metadata.items())))
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def _write_second_look(graph: Graph, pixels: str, logits: str, strange: str) -> str:
    """`Calibration.after_second_look`, for those images alone that are strange enough; gives the new logits.

    A second look costs as much as the first, and few images need it. One is always taken, the strangest, since not
    every runtime can do with none.
    """
    shown = list(graph.nodes)
    least = graph.add("Min", graph.weight(np.float32(DOUBT), "doubt"), after=graph.add("ReduceMax", after=strange))
    rows = graph.add("NonZero", after=graph.add("GreaterOrEqual", least, after=strange))
    rows = graph.add("Squeeze", graph.weight(np.array([0], np.int64), "axes"))
    graph.add("Gather", rows, after=pixels, axis=0)
    thicker = graph.add("MaxPool", kernel_shape=[3, 3], strides=[1, 1], pads=[1, 1, 1, 1])
    again = graph.repeat(shown, pixels, thicker)
    first = graph.add("Gather", rows, after=strange, axis=0)
    graph.add("Sub", again[strange])
    graph.add("Sub", graph.weight(np.float32(MARGIN), "margin"))
    graph.add("Mul", graph.weight(np.float32(TWICE), "twice"))
    share = graph.add("Sigmoid")
    graph.add("Sub", graph.weight(np.float32(DOUBT), "doubt"), after=first)
    graph.add("Clip", graph.weight(np.float32(0), "none"), graph.weight(np.float32(1), "all"))
    graph.add("Mul", share)
    share = graph.add("Unsqueeze", graph.weight(np.array([1], np.int64), "axes"))
    one = graph.add("Gather", rows, after=logits, axis=0)
    graph.add("Sub", one, after=again[logits])
    graph.add("Mul", share)
    seen = graph.add("Add", one)
    places = graph.add("Unsqueeze", graph.weight(np.array([1], np.int64), "axes"), after=rows)
    return graph.add("ScatterND", places, seen, after=logits)


def _split_classes(last: nn.Module) -> tuple[nn.Module, nn.Module | None]:
    """The last layer as one for the ten digits and, if it has an eleventh class, one for what is no digit."""
    if not isinstance(last, nn.Linear) or last.out_features == CLASSES:
        return last, None
    parts = []
    for rows in (slice(0, CLASSES), slice(CLASSES, None)):
        part = nn.Linear(last.in_features, len(last.weight[rows]))
        part.load_state_dict({"weight": last.weight[rows].detach(), "bias": last.bias[rows].detach()})
        parts.append(part)
    return parts[0], parts[1]


def _without_dropout(network: nn.Sequential) -> list[nn.Module]:
    return [layer for layer in network if not isinstance(layer, nn.Dropout)]


def _array(tensor: object) -> NDArray[np.float32]:
    return np.ascontiguousarray(tensor.detach().cpu().float().numpy())  # type: ignore[attr-defined]


def _write_layer(graph: Graph, layer: nn.Module, *, before: nn.Module | None, following: nn.Module | None) -> None:
    if isinstance(layer, nn.Conv2d):
        _write_conv(graph, layer, following if isinstance(following, nn.BatchNorm2d) else None)
    elif isinstance(layer, nn.Linear):
        _write_linear(graph, layer)
    elif isinstance(layer, nn.BatchNorm2d) and isinstance(before, nn.Conv2d):
        pass  # already inside the convolution
    elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
        values = [layer.weight, layer.bias, layer.running_mean, layer.running_var]
        names = [graph.weight(_array(value), "norm") for value in values]
        graph.add("BatchNormalization", *names, epsilon=layer.eps)
    elif isinstance(layer, nn.MaxPool2d | nn.AvgPool2d):
        kernel, stride = _pair(layer.kernel_size), _pair(layer.stride)
        operator = "MaxPool" if isinstance(layer, nn.MaxPool2d) else "AveragePool"
        graph.add(operator, kernel_shape=kernel, strides=stride, pads=2 * _pair(layer.padding))
    elif isinstance(layer, nn.ReLU | nn.Tanh | nn.Sigmoid):
        graph.add({nn.ReLU: "Relu", nn.Tanh: "Tanh", nn.Sigmoid: "Sigmoid"}[type(layer)])
    elif isinstance(layer, Deskew):
        _write_deskew(graph, layer)
    elif isinstance(layer, Views):
        # As the layer does it: the images stand where channels do.
        _reshape(graph, 1, -1, SIDE, SIDE)
        grid = graph.weight(layer.grid.numpy(), "grid")
        graph.add("GridSample", grid, mode="bilinear", padding_mode="zeros", align_corners=0)
        _reshape(graph, -1, 1, SIDE, SIDE)
    elif isinstance(layer, MeanOfViews):
        _reshape(graph, -1, layer.count, layer.features)
        graph.add("ReduceMean", axes=[1], keepdims=0)
    elif isinstance(layer, nn.Flatten):
        graph.add("Flatten", axis=1)
    else:
        raise ModelError(type(layer).__name__, "cannot be exported", expected="a layer that the zoo uses")


def _write_conv(graph: Graph, layer: nn.Conv2d, norm: nn.BatchNorm2d | None) -> None:
    """A convolution, with the batch norm that follows it multiplied in: one pass over the pixels instead of two."""
    weight = _array(layer.weight)
    bias = _array(layer.bias) if layer.bias is not None else np.zeros(len(weight), np.float32)
    if norm is not None:
        factor = _array(norm.weight) / np.sqrt(_array(norm.running_var) + np.float32(norm.eps))
        weight = weight * factor[:, None, None, None]
        bias = (bias - _array(norm.running_mean)) * factor + _array(norm.bias)
    graph.add(
        "Conv",
        graph.weight(weight, "conv"),
        graph.weight(bias, "bias"),
        kernel_shape=_pair(layer.kernel_size),
        strides=_pair(layer.stride),
        pads=2 * _pair(layer.padding),
        group=layer.groups,
    )


def _write_deskew(graph: Graph, layer: Deskew) -> None:
    image = graph.flow
    ink = graph.add("Flatten", axis=1)
    sums = graph.add("MatMul", graph.weight(_array(layer.sums), "sums"))
    graph.add("MatMul", graph.weight(_array(layer.weights), "weights"), after=ink)
    products = graph.add("Mul", sums)
    graph.add("MatMul", graph.weight(_array(layer.variance), "variance"))
    variance = graph.add("Max", graph.weight(np.float32(LEAST), "least"))
    graph.add("MatMul", graph.weight(_array(layer.covariance), "covariance"), after=products)
    graph.add("Div", variance)
    steepest = [graph.weight(np.float32(sign * STEEPEST), "steepest") for sign in (-1, 1)]
    graph.add("Clip", *steepest)
    _reshape(graph, -1, 1, 1, 1)
    graph.add("Mul", graph.weight(_array(layer.lean), "lean"))
    grid = graph.add("Add", graph.weight(_array(layer.upright), "upright"))
    graph.add("GridSample", grid, after=image, mode="bilinear", padding_mode="zeros", align_corners=0)


def _write_linear(graph: Graph, layer: nn.Module) -> int:
    """A linear layer; gives the width of what goes in."""
    if not isinstance(layer, nn.Linear):
        raise ModelError(type(layer).__name__, "cannot be the last layer", expected="a linear one")
    bias = _array(layer.bias) if layer.bias is not None else np.zeros(layer.out_features, np.float32)
    graph.add("Gemm", graph.weight(_array(layer.weight), "linear"), graph.weight(bias, "bias"), transB=1)
    return int(layer.in_features)


def _reshape(graph: Graph, *shape: int) -> None:
    graph.add("Reshape", graph.weight(np.array(shape, np.int64), "shape"))


def _pair(value: object) -> list[int]:
    height, width = value if isinstance(value, tuple) else (value, value)
    return [int(height), int(width)]

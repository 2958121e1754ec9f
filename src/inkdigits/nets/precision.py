"""A model of ours in other precisions: weights of 16 bits, whole layers of 8 bits. ONNX in, ONNX out, no PyTorch.

>>> model = onnx.load("runs/fast-0/model.onnx")
>>> onnx.save(quantised(model, load_digits("mnist:train").images[:1000]), "model-int8.onnx")

Nothing here knows which network it is: what may be changed is told by operators, and by the output `features`, behind
which the answers are made. Inputs, outputs and metadata stay what they are.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ..digits.dataset import Images

LAYERS = ("Conv", "Gemm", "MatMul")  # where nearly all weights are, and nearly all the time goes
PASSING = ("MaxPool", "Relu", "Flatten", "Reshape", "Transpose")  # and what hands 8-bit numbers on as they are
CALIBRATION_BATCH = 100  # images at a time; the ranges that are found do not depend on it
# With these the runtime takes a model as prepared; without them it warns about a step that would change nothing here.
_PREPARED = {"onnx.infer": "onnxruntime.quant", "onnx.quant.pre_process": "onnxruntime.quant"}


def widened(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same model with every weight stored as float32: those kept as float16 behind a Cast are written out."""
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    casts = [
        node
        for node in model.graph.node
        if node.op_type == "Cast" and node.input[0] in stored and node.attribute[0].i == TensorProto.FLOAT
    ]
    wide = [
        numpy_helper.from_array(numpy_helper.to_array(stored[node.input[0]]).astype(np.float32), node.output[0])
        for node in casts
    ]
    gone = {node.output[0] for node in casts}
    nodes = [node for node in model.graph.node if not gone.intersection(node.output)]
    needed = {name for node in nodes for name in node.input}
    weights = [tensor for tensor in (*model.graph.initializer, *wide) if tensor.name in needed]
    return _with(model, nodes, weights)


def halved(model: onnx.ModelProto) -> onnx.ModelProto:
    """The weights of its layers as float16, widened again when the file is loaded: half the size, the same speed.

    The arithmetic stays float32, which a processor without 16-bit arithmetic would fall back to anyway. Weights beyond
    the range of float16 stay as they are.
    """
    model = widened(model)
    layers = {node.input[1] for node in model.graph.node if node.op_type in LAYERS}
    casts, weights = [], []
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if tensor.name in layers and array.dtype == np.float32 and np.abs(array).max() < np.finfo(np.float16).max:
            half = numpy_helper.from_array(array.astype(np.float16), f"{tensor.name}.half")
            casts.append(helper.make_node("Cast", [half.name], [tensor.name], to=TensorProto.FLOAT))
            weights.append(half)
        else:
            weights.append(tensor)
    return _with(model, [*casts, *model.graph.node], weights)


def quantised(model: onnx.ModelProto, images: Images) -> onnx.ModelProto:
    """Its layers in 8 bits, with ranges found on `images` uint8 (N, 28, 28), which are to be training digits.

    Static quantisation, weights by channel (Jacob et al., "Quantization and training of neural networks for efficient
    integer-arithmetic-only inference", 2018), written as QuantizeLinear and DequantizeLinear. Weights use 7 of the 8
    bits: processors without instructions for it add products up in 16 bits, which 8 would overflow. Three things stay
    float32: what is behind `features` (probabilities and novelty, small and touchy), how far a digit leans, and
    convolutions of the image itself or of each channel by itself (one channel: eight times slower in integers than in
    float32 on the processor where this was measured).
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        """The images in batches, for the runtime to ask for."""

        def __init__(self) -> None:
            self.batches: Iterator[Images] = iter(np.array_split(images, -(-len(images) // CALIBRATION_BATCH)))

        def get_next(self) -> dict[str, Any] | None:
            batch = next(self.batches, None)
            return None if batch is None else {"images": batch}

    metadata = {entry.key: entry.value for entry in model.metadata_props}
    model = widened(model)
    for number, node in enumerate(model.graph.node):
        node.name = f"{node.op_type.lower()}{number}"  # by which the runtime is told what to leave alone
    helper.set_model_props(model, metadata | _PREPARED)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        quantize_static(
            model,
            path,
            Reader(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=[*LAYERS, *PASSING],
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=[
                node.name for node in (*_behind_features(model), *_on_the_image(model), *grid_nodes(model))
            ],
        )
        result = onnx.load(path)
    result.producer_name, result.producer_version, result.ir_version = model.producer_name, "", model.ir_version
    helper.set_model_props(result, metadata)
    return result


def _behind_features(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """The nodes that work on the output `features`, or on what such a node gives; nodes stand in order."""
    names, nodes = {"features"}, []
    for node in model.graph.node:
        if names.intersection(node.input):
            names.update(node.output)
            nodes.append(node)
    return nodes


def _on_the_image(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    channels = {tensor.name: tensor.dims[1] for tensor in model.graph.initializer if len(tensor.dims) == 4}
    return [node for node in model.graph.node if node.op_type == "Conv" and channels.get(node.input[1]) == 1]


def grid_nodes(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """The nodes that compute from where in an image a GridSample takes its pixels; none where that is written down."""
    names = {node.input[1] for node in model.graph.node if node.op_type == "GridSample"}
    nodes = []
    for node in reversed(model.graph.node):
        if names.intersection(node.output):
            names.update(node.input)
            nodes.append(node)
    # They begin with the image, laid out flat; what comes before is not theirs alone.
    begin = next((place for place, node in enumerate(nodes) if node.op_type == "Flatten"), 0)
    return nodes[begin::-1]


def as_bytes(model: onnx.ModelProto, precision: str) -> bytes:
    """The checked model as the bytes of a file that says its precision: the same bytes for the same model."""
    metadata = {entry.key: entry.value for entry in model.metadata_props} | {"precision": precision}
    helper.set_model_props(model, dict(sorted(metadata.items())))
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def _with(model: onnx.ModelProto, nodes: list[onnx.NodeProto], weights: list[onnx.TensorProto]) -> onnx.ModelProto:
    """A copy of the model with these nodes and weights."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    del result.graph.node[:], result.graph.initializer[:]
    result.graph.node.extend(nodes)
    result.graph.initializer.extend(weights)
    return result

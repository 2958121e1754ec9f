"""A model of ours as one C header: its weights in 8 bits and the few loops that read a digit with them.

>>> text = c_source(onnx.load("runs/tiny-0/model.onnx"), name="tiny")

C99, no library but `math.h`, no allocation: what a microcontroller has. Weights are rounded to 8 bits, symmetrically
and by output channel (Jacob et al., "Quantization and training of neural networks for efficient integer-arithmetic-only
inference", 2018); arithmetic is float32. ONNX in, text out, no PyTorch and no compiler.
"""

from __future__ import annotations

import re
import textwrap
from string import Template
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from ..digits.dataset import PIXELS, SIDE
from ..errors import ModelError
from .precision import grid_nodes

WIDTH = 100  # columns of the header
# What stands behind the last layer of a model with nothing but a temperature and an energy for novelty.
ENDING = ("ReduceLogSumExp", "Sub", "Div", "Sigmoid", "Div", "Softmax")
START = ("Cast", "Mul", "Unsqueeze")  # bytes to 0…1
POINTWISE = {
    "Relu": "value > 0.0f ? value : 0.0f",
    "Tanh": "tanhf(value)",
    "Sigmoid": "1.0f / (1.0f + expf(-value))",
}

HEAD = Template("""\
/* $name.h: reads handwritten digits. $about
 *
 * In one source file, before including it:  #define ${NAME}_IMPLEMENTATION
 * Everywhere else include it as it is. C99; needs math.h (link with -lm) and allocates nothing.
 *
 *     static float workspace[${NAME}_WORKSPACE], probabilities[10], novelty;
 *     int digit = ${name}_read(image, probabilities, &novelty, workspace);
 *     if (novelty > ${NAME}_MOST_NOVELTY || probabilities[digit] < ${NAME}_LEAST_CONFIDENCE)
 *         ;  // looks like no digit, or like several: better ask
 *
 * image: 28 x 28 bytes, row by row, ink bright (255) on dark (0), the digit in a box of 20 x 20 with its centre of
 * mass in the middle, as in MNIST. One workspace for each thread that calls.
 *
 * Weights: $licence
 */
#ifndef ${NAME}_H
#define ${NAME}_H

#include <stdint.h>

#define ${NAME}_WORKSPACE $workspace /* floats */
#define ${NAME}_MOST_NOVELTY $novelty_threshold
#define ${NAME}_LEAST_CONFIDENCE $confidence_threshold

#ifdef __cplusplus
extern "C" {
#endif

/* The likeliest digit. Fills in ten probabilities, and a novelty in 0..1, higher where it looks less like a digit. */
int ${name}_read(const uint8_t *image, float *probabilities, float *novelty, float *workspace);

#ifdef __cplusplus
}
#endif
#endif /* ${NAME}_H */

#ifdef ${NAME}_IMPLEMENTATION
#undef ${NAME}_IMPLEMENTATION
#include <math.h>

""")

HELPERS = {
    "convolve": """\
static void ${name}_convolve(const float *in, float *out, const int8_t *weights, const float *scales,
                             const float *biases, int inputs, int outputs, int groups, int side, int kernel,
                             int stride, int padding) {
    const int wide = (side + 2 * padding - kernel) / stride + 1;
    for (int to = 0; to < outputs; to++, out += wide * wide) {
        const int begin = to / (outputs / groups) * (inputs / groups);
        for (int at = 0; at < wide * wide; at++) out[at] = 0.0f;
        for (int from = begin; from < begin + inputs / groups; from++)
            for (int row = 0; row < kernel; row++)
                for (int column = 0; column < kernel; column++) {
                    const float weight = *weights++;
                    for (int y = 0; y < wide; y++) {
                        const int above = y * stride + row - padding;
                        if (above < 0 || above >= side) continue;
                        const float *line = in + (from * side + above) * side;
                        int first = 0, last = wide;
                        while (first * stride + column < padding) first++;
                        while ((last - 1) * stride + column - padding >= side) last--;
                        for (int x = first; x < last; x++)
                            out[y * wide + x] += weight * line[x * stride + column - padding];
                    }
                }
        for (int at = 0; at < wide * wide; at++) out[at] = out[at] * scales[to] + biases[to];
    }
}
""",
    "connect": """\
static void ${name}_connect(const float *in, float *out, const int8_t *weights, const float *scales,
                            const float *biases, int inputs, int outputs) {
    for (int to = 0; to < outputs; to++) {
        float sum = 0.0f;
        for (int from = 0; from < inputs; from++) sum += *weights++ * in[from];
        out[to] = sum * scales[to] + biases[to];
    }
}
""",
    "normalise": """\
static void ${name}_normalise(float *values, const float *scales, const float *biases, int channels, int size) {
    for (int channel = 0; channel < channels; channel++)
        for (int at = 0; at < size; at++, values++) *values = *values * scales[channel] + biases[channel];
}
""",
    "pool_max": """\
static void ${name}_pool_max(const float *in, float *out, int channels, int side, int kernel, int stride) {
    const int wide = (side - kernel) / stride + 1;
    for (int channel = 0; channel < channels; channel++, in += side * side)
        for (int y = 0; y < wide; y++)
            for (int x = 0; x < wide; x++) {
                const float *corner = in + y * stride * side + x * stride;
                float most = *corner;
                for (int row = 0; row < kernel; row++)
                    for (int column = 0; column < kernel; column++)
                        if (corner[row * side + column] > most) most = corner[row * side + column];
                *out++ = most;
            }
}
""",
    "pool_mean": """\
static void ${name}_pool_mean(const float *in, float *out, int channels, int side, int kernel, int stride) {
    const int wide = (side - kernel) / stride + 1;
    for (int channel = 0; channel < channels; channel++, in += side * side)
        for (int y = 0; y < wide; y++)
            for (int x = 0; x < wide; x++) {
                float sum = 0.0f;
                for (int row = 0; row < kernel; row++)
                    for (int column = 0; column < kernel; column++)
                        sum += in[(y * stride + row) * side + x * stride + column];
                *out++ = sum / (float)(kernel * kernel);
            }
}
""",
    "look": """\
/* The image as it looks moved, turned or scaled: `places` say where a pixel comes from, linear in row and column. */
static void ${name}_look(const float *in, float *out, const float *places) {
    for (int row = 0; row < 28; row++)
        for (int column = 0; column < 28; column++) {
            const float x = places[0] * (float)column + places[1] * (float)row + places[2];
            const float y = places[3] * (float)column + places[4] * (float)row + places[5];
            const float left = floorf(x), top = floorf(y);
            float sum = 0.0f;
            for (int corner = 0; corner < 4; corner++) {
                const int right = corner & 1, below = corner >> 1;
                const int from_x = (int)left + right, from_y = (int)top + below;
                if (from_x < 0 || from_x > 27 || from_y < 0 || from_y > 27) continue;
                sum += in[from_y * 28 + from_x] * (right ? x - left : 1.0f - (x - left))
                       * (below ? y - top : 1.0f - (y - top));
            }
            *out++ = sum;
        }
}
""",
    "deskew": """\
/* The image with its rows moved sideways, so that its ink stands upright. */
static void ${name}_deskew(const float *in, float *out, float steepest) {
    float all = 0.0f, right = 0.0f, down = 0.0f, both = 0.0f, high = 0.0f;
    for (int row = 0; row < 28; row++)
        for (int column = 0; column < 28; column++) {
            const float ink = in[row * 28 + column], x = (float)column - 13.5f, y = (float)row - 13.5f;
            all += ink;
            right += ink * x;
            down += ink * y;
            both += ink * x * y;
            high += ink * y * y;
        }
    const float variance = high * all - down * down;
    float slant = (both * all - right * down) / (variance > 1e-6f ? variance : 1e-6f);
    if (slant > steepest) slant = steepest;
    if (slant < -steepest) slant = -steepest;
    const float places[6] = {1.0f, slant, -13.5f * slant, 0.0f, 1.0f, 0.0f};
    ${name}_look(in, out, places);
}
""",
}

ANSWER = Template("""\
    float most = $logits[0], sum = 0.0f;
    int digit = 0;
    for (int at = 1; at < 10; at++)
        if ($logits[at] > most) most = $logits[digit = at];
    for (int at = 0; at < 10; at++) sum += expf($logits[at] - most);
    *novelty = 1.0f / (1.0f + expf(-((most + logf(sum)) - $centre) / $spread));
    sum = 0.0f;
    for (int at = 0; at < 10; at++) sum += probabilities[at] = expf(($logits[at] - most) / $temperature);
    for (int at = 0; at < 10; at++) probabilities[at] /= sum;
    return digit;
}
""")


def c_name(text: str) -> str:
    """A file's stem as a name that C takes: `my-net 2` is `my_net_2`."""
    name = re.sub(r"\W", "_", text.lower(), flags=re.ASCII)
    return name if re.match(r"[a-z]", name) else f"digits_{name}".rstrip("_")


def c_source(model: onnx.ModelProto, name: str) -> str:
    """The text of the header. Raises ModelError for a model that has more in it than layers in a row.

    Parameters
    ----------
    model: with all weights in 32 bits.
    name: a valid C name that everything in the header starts with.
    """
    return _Writer(model, name).text()


def rounded(weights: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """A layer's weights (outputs, …) as integers from -127 to 127 of the same shape, and scales (outputs,) for them."""
    rows = weights.reshape(len(weights), -1)
    scales = np.maximum(np.abs(rows).max(1), np.finfo(np.float32).tiny) / np.float32(127)
    return np.round(rows / scales[:, None]).astype(np.int8).reshape(weights.shape), scales


class _Writer:
    """Walks through the layers once, from the image to the logits; two buffers take turns."""

    def __init__(self, model: onnx.ModelProto, name: str) -> None:
        self.name = name
        self.metadata = {entry.key: entry.value for entry in model.metadata_props}
        self.weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
        self.nodes = list(model.graph.node)
        self.leaning = grid_nodes(model)  # which find out how far a digit leans
        self.statements: list[str] = []
        self.arrays: list[str] = []
        self.used: set[str] = set()
        self.bytes = 0  # of weights
        self.shape: tuple[int, ...] = (1, SIDE, SIDE)
        self.views = 0
        self.deskewed = False
        self.mean = 0  # numbers of which the mean over views is taken
        self.largest = PIXELS
        self.side = 0  # which of the two buffers the flow is in
        self.depth = 1  # of indentation

    def text(self) -> str:
        operators = [node.op_type for node in self.nodes]
        if tuple(operators[:3]) != START or tuple(operators[-len(ENDING) :]) != ENDING:
            expected = "layers in a row and a temperature"
            found = "a second look" if "Gather" in operators else "more than that"
            mend = "choose a model of another network, tiny for example"
            raise ModelError(self.name, "cannot be written in C", expected=expected, found=found, mend=mend)
        apart = [node.output[0] for node in self.leaning]
        for node in self.nodes[3 : -len(ENDING)]:
            if node.output[0] not in apart:
                self._layer(node)
        logits = self._buffer(self.side)
        ending = self.nodes[-len(ENDING) :]
        constants = {"centre": ending[1], "spread": ending[2], "temperature": ending[4]}
        numbers = {key: _number(float(self.weights[node.input[1]])) for key, node in constants.items()}
        parts = [
            self._head(),
            *(Template(text).substitute(name=self.name) + "\n" for key, text in HELPERS.items() if key in self.used),
            *self.arrays,
            self._opening(),
            *(f"{line}\n" for line in self.statements),
            ANSWER.substitute(logits=logits, **numbers),
            f"#endif /* {self.name.upper()}_IMPLEMENTATION */\n",
        ]
        return "".join(parts)

    def _head(self) -> str:
        about = f"Network {self.metadata.get('net', '?')}, {self.bytes:,} bytes of weights and biases."
        return HEAD.substitute(
            name=self.name,
            NAME=self.name.upper(),
            about=about,
            licence=self.metadata.get("data_licence", "as the data that they were learnt from").replace("*/", ""),
            workspace=self._places()[-1],
            novelty_threshold=_number(float(self.metadata["novelty_threshold"])),
            confidence_threshold=_number(float(self.metadata.get("confidence_threshold", "0"))),
        )

    def _opening(self) -> str:
        """The function's first lines, with names for the parts of the workspace."""
        image, first, second, mean, _ = self._places()
        lines = [
            f"\nint {self.name}_read(const uint8_t *image, float *probabilities, float *novelty, float *workspace) {{",
            f"    float *const first = workspace + {first}, *const second = workspace + {second};",
        ]
        pixels = "pixels" if self.views and not self.deskewed else "first"
        if self.views:
            lines.append(f"    float *const pixels = workspace + {image}, *const mean = workspace + {mean};")
        lines.append(f"    for (int at = 0; at < {PIXELS}; at++) {pixels}[at] = image[at] / 255.0f;")
        return "\n".join(lines) + "\n"

    def _places(self) -> tuple[int, int, int, int, int]:
        """Where pixels, the two buffers and the mean over views begin in the workspace, and its size."""
        sizes = [PIXELS if self.views else 0, self.largest, self.largest, self.mean]
        ends = np.cumsum([0, *sizes])
        return tuple(int(end) for end in ends)  # type: ignore[return-value]

    def _layer(self, node: onnx.NodeProto) -> None:
        told = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
        kind = node.op_type
        if kind == "Conv":
            self._convolution(node, told)
        elif kind == "Gemm":
            self._connection(node)
        elif kind == "BatchNormalization":
            self._normalisation(node, told)
        elif kind in ("MaxPool", "AveragePool"):
            self._pool(kind, told)
        elif kind in POINTWISE:
            size, here = int(np.prod(self.shape)), self._buffer(self.side)
            self._say(f"for (int at = 0; at < {size}; at++) {{")
            self._say(f"    const float value = {here}[at];")
            self._say(f"    {here}[at] = {POINTWISE[kind]};")
            self._say("}")
        elif kind == "GridSample" and node.input[1] in self.weights:
            self._open_views(self.weights[node.input[1]])
        elif kind == "GridSample":
            self._deskew()
        elif kind == "ReduceMean":
            self._close_views()
        elif kind == "Flatten":
            self.shape = (int(np.prod(self.shape)),)
        elif kind != "Reshape":
            raise ModelError(self.name, "cannot be written in C", expected="layers that the zoo uses", found=kind)

    def _convolution(self, node: onnx.NodeProto, told: dict[str, Any]) -> None:
        weights, biases = self.weights[node.input[1]], self.weights[node.input[2]]
        outputs, kernel = weights.shape[0], weights.shape[2]
        inputs, groups = self.shape[0], told.get("group", 1)
        [stride, _], padding = told["strides"], told["pads"][0]
        side = self.shape[1]
        wide = (side + 2 * padding - kernel) // stride + 1
        sizes = f"{inputs}, {outputs}, {groups}, {side}, {kernel}, {stride}, {padding}"
        self._say(f"{self._call('convolve')}, {self._learnt(weights, biases)}, {sizes});")
        self._moved((outputs, wide, wide))

    def _connection(self, node: onnx.NodeProto) -> None:
        weights, biases = self.weights[node.input[1]], self.weights[node.input[2]]
        outputs, inputs = weights.shape
        self._say(f"{self._call('connect')}, {self._learnt(weights, biases)}, {inputs}, {outputs});")
        self._moved((outputs,))

    def _normalisation(self, node: onnx.NodeProto, told: dict[str, Any]) -> None:
        weight, bias, mean, variance = (self.weights[name].astype(np.float64) for name in node.input[1:])
        scales = weight / np.sqrt(variance + told["epsilon"])
        names = [self._array(values.astype(np.float32), "float") for values in (scales, bias - mean * scales)]
        channels, size = self.shape[0], int(np.prod(self.shape[1:], dtype=int))
        self.used.add("normalise")
        here = self._buffer(self.side)
        self._say(f"{self.name}_normalise({here}, {names[0]}, {names[1]}, {channels}, {size});")

    def _pool(self, kind: str, told: dict[str, Any]) -> None:
        [kernel, _], [stride, _] = told["kernel_shape"], told["strides"]
        if any(told.get("pads", [])):
            raise ModelError(self.name, "cannot be written in C", expected="pooling without a margin", found="one")
        channels, side, _ = self.shape
        call = self._call("pool_max" if kind == "MaxPool" else "pool_mean")
        self._say(f"{call}, {channels}, {side}, {kernel}, {stride});")
        wide = (side - kernel) // stride + 1
        self._moved((channels, wide, wide))

    def _deskew(self) -> None:
        clip = next(node for node in self.leaning if node.op_type == "Clip")
        steepest = _number(float(self.weights[clip.input[2]]))
        self.used.update({"look", "deskew"})
        if any(node.op_type == "GridSample" and node.input[1] in self.weights for node in self.nodes):
            self.deskewed = True  # what the views are taken of
            self._say(f"{self.name}_deskew(first, pixels, {steepest});")
        else:
            self._say(f"{self._call('deskew')}, {steepest});")
            self._moved(self.shape)

    def _open_views(self, grid: NDArray[np.float32]) -> None:
        """What follows is done for each view: the grid's places are linear in row and column, six numbers a view."""
        self.views = grid.shape[1] // SIDE
        pixels = ((grid.reshape(self.views, SIDE, SIDE, 2).astype(np.float64) + 1) * SIDE - 1) / 2
        corner, along, down = pixels[:, 0, 0], pixels[:, 0, -1], pixels[:, -1, 0]
        parts = [(along - corner) / (SIDE - 1), (down - corner) / (SIDE - 1), corner]
        places = self._array(np.stack(parts, 2).reshape(self.views * 6).astype(np.float32), "float")
        self.used.add("look")
        self._say(f"for (int view = 0; view < {self.views}; view++) {{")
        self.depth += 1
        self._say(f"{self.name}_look(pixels, first, {places} + 6 * view);")

    def _close_views(self) -> None:
        [self.mean], here = self.shape, self._buffer(self.side)
        size = self.mean
        self._say(f"for (int at = 0; at < {size}; at++) mean[at] = (view ? mean[at] : 0.0f) + {here}[at];")
        self.depth -= 1
        self._say("}")
        self._say(f"for (int at = 0; at < {size}; at++) {here}[at] = mean[at] / {self.views}.0f;")

    def _learnt(self, weights: NDArray[np.float32], biases: NDArray[np.float32]) -> str:
        """The arguments that name a layer's weights, their scales and the biases, which are written down."""
        integers, scales = rounded(weights)
        names = [self._array(integers.ravel(), "int8_t")]
        names += [self._array(values.astype(np.float32), "float") for values in (scales, biases)]
        return ", ".join(names)

    def _array(self, values: NDArray[Any], kind: str) -> str:
        name = f"{self.name}_{len(self.arrays)}"
        numbers = ", ".join(map(str, values.tolist()) if kind == "int8_t" else map(_number, values.tolist()))
        lines = textwrap.fill(numbers, WIDTH, initial_indent="    ", subsequent_indent="    ")
        self.arrays.append(f"static const {kind} {name}[{len(values)}] = {{\n{lines}\n}};\n")
        self.bytes += values.nbytes
        return name

    def _call(self, helper: str) -> str:
        self.used.add(helper)
        return f"{self.name}_{helper}({self._buffer(self.side)}, {self._buffer(1 - self.side)}"

    def _moved(self, shape: tuple[int, ...]) -> None:
        """The flow is in the other buffer now, and has another shape."""
        self.shape, self.side = shape, 1 - self.side
        self.largest = max(self.largest, int(np.prod(shape)))

    def _buffer(self, side: int) -> str:
        return ("first", "second")[side]

    def _say(self, statement: str) -> None:
        self.statements.append("    " * self.depth + statement)


def _number(value: float) -> str:
    """A float32 as C writes it, with the fewest digits that give the same one back: `0.5f`."""
    exact = np.float32(value)
    return min(np.format_float_positional(exact, trim="0"), np.format_float_scientific(exact, trim="0"), key=len) + "f"

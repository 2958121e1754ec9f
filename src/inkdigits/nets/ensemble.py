"""Several models as one: the mean of the logarithms of their probabilities, in a single ONNX file.

$ inkdigits ensemble runs/best-0 runs/best-1 runs/best-2 -o three.onnx

Networks that differ in nothing but their seed err on different digits, and their mean errs on fewer than any of them
(L. Hansen and P. Salamon, "Neural network ensembles", 1990). ONNX in, ONNX out, no PyTorch.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..digits.files import write_whole
from ..errors import InputError, MissingExtraError, ModelError, OutputError
from ..reader.model import Model, load_model

if TYPE_CHECKING:
    import onnx

LEAST = 1e-12  # of a probability whose logarithm is taken
OUTPUTS = ("probabilities", "novelty", "features")
MEANS = ("novelty_threshold", "confidence_threshold")  # of the members' metadata
# What a member's own metadata says of it alone.
OWN = ("net", "temperature", "validation_accuracy", "validation_n", "validation_of", *MEANS)


@dataclass(frozen=True)
class Ensemble:
    """What `ensemble` gives back: the file written, its members' names, and its size in bytes."""

    output: Path
    members: tuple[str, ...]
    size: int

    def as_dict(self) -> dict[str, Any]:
        """What `--json` prints."""
        return {"output": str(self.output), "members": list(self.members), "bytes": self.size}

    def text(self) -> str:
        """What the command prints."""
        return f"{len(self.members)} models ({', '.join(self.members)}) in {self.output}, {self.size / 1000:,.0f} kB"


def ensemble(
    models: Sequence[str | os.PathLike[str] | Model], *, output: str | os.PathLike[str], threads: int | None = None
) -> Ensemble:
    """Write one model that answers with the mean of `models`.

    Its probabilities are the mean of the logarithms of theirs, normalised; novelty and the thresholds for refusal are
    the means of theirs; its features are theirs, one behind the other.

    Parameters
    ----------
    models: at least two run folders, `.onnx` files of ours or shipped names.
    output: the `.onnx` file.

    Raises InputError for fewer than two models or one that is named twice, ModelError for one that is not ours or was
    made for another runtime than the first, OutputError if the file cannot be written.
    """
    try:
        import onnx
        from onnx import compose, helper, numpy_helper
    except ModuleNotFoundError as error:
        raise MissingExtraError("ensemble", "export") from error

    path = Path(output)
    if path.suffix != ".onnx":
        raise OutputError(path, "has another ending", expected="one that ends in .onnx")
    opened = [load_model(model, threads=threads) for model in models]
    _check(opened, path)
    parts = [onnx.load_from_string(model.path.read_bytes()) for model in opened]
    operators = [sorted((entry.domain, entry.version) for entry in part.opset_import) for part in parts]
    for model, version in zip(opened, operators, strict=True):
        if version != operators[0]:
            expected = ", ".join(f"{domain or 'ONNX'} {number}" for domain, number in operators[0])
            found = ", ".join(f"{domain or 'ONNX'} {number}" for domain, number in version)
            raise ModelError(model.path, "made of other operators", expected=expected, found=found)
    nodes: list[onnx.NodeProto] = []
    weights = [
        numpy_helper.from_array(np.array(LEAST, np.float32), "least"),
        numpy_helper.from_array(np.array(len(parts), np.float32), "members"),
    ]
    for number, part in enumerate(parts):
        graph = compose.add_prefix(part, f"{number}.", rename_inputs=False).graph
        nodes.extend(graph.node)
        weights.extend(graph.initializer)
        nodes.append(helper.make_node("Max", [f"{number}.probabilities", "least"], [f"floored.{number}"]))
        nodes.append(helper.make_node("Log", [f"floored.{number}"], [f"log.{number}"]))
    numbers = range(len(parts))
    nodes += [
        helper.make_node("Mean", [f"log.{number}" for number in numbers], ["log"]),
        helper.make_node("Softmax", ["log"], ["probabilities"], axis=1),
        helper.make_node("Mean", [f"{number}.novelty" for number in numbers], ["novelty"]),
        helper.make_node("Concat", [f"{number}.features" for number in numbers], ["features"], axis=1),
    ]
    made = onnx.ModelProto()
    made.CopyFrom(parts[0])
    made.graph.ClearField("node")
    made.graph.ClearField("initializer")
    made.graph.node.extend(nodes)
    made.graph.initializer.extend(weights)
    width = sum(_width(part) for part in parts)
    features = next(put for put in made.graph.output if put.name == "features")
    features.type.tensor_type.shape.dim[1].dim_value = width
    helper.set_model_props(made, dict(sorted(_metadata(opened).items())))
    onnx.checker.check_model(made)
    with write_whole(path) as file:
        file.write_bytes(made.SerializeToString(deterministic=True))
        load_model(file, threads=threads)  # which tries it
    return Ensemble(path, tuple(model.name for model in opened), path.stat().st_size)


def _check(models: Sequence[Model], output: Path) -> None:
    if len(models) < 2:
        raise InputError("MODEL", "too few of them", expected="two or more", found=str(len(models)))
    for place, model in enumerate(models):
        if model.input_scale is not None:
            raise ModelError(model.path, "cannot be a member", expected="a model of inkdigits", found="another")
        if any(model.path.samefile(other.path) for other in models[:place]):
            raise InputError(model.path, "named twice", mend="name each model once")
        if output.exists() and output.samefile(model.path):
            raise OutputError(output, "is one of the members", expected="another file", mend="choose another -o")


def _width(model: onnx.ModelProto) -> int:
    features = next(put for put in model.graph.output if put.name == "features")
    return int(features.type.tensor_type.shape.dim[1].dim_value)


def _metadata(models: Sequence[Model]) -> dict[str, str]:
    """What all members say alike, and the means of their thresholds."""
    first = models[0].metadata
    alike = {
        name: value
        for name, value in first.items()
        if name not in OWN and all(model.metadata.get(name) == value for model in models)
    }
    for name in MEANS:
        alike[name] = f"{np.mean([float(model.metadata.get(name, '0')) for model in models]):.6g}"
    licences = dict.fromkeys(model.metadata.get("data_licence", "unknown") for model in models)
    return alike | {
        "net": f"ensemble of {', '.join(model.metadata.get('net', model.name) for model in models)}",
        "members": str(len(models)),
        "data_licence": " and ".join(licences),
    }

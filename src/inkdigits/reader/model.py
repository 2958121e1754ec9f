"""A network as an ONNX file, run without a training framework.

    >>> model = load_model("runs/fast-0")
    >>> model.predict(load_digits("mnist:test").images).labels[:5]
    array([7, 2, 1, 0, 4], dtype=uint8)

Our own files take uint8 digit images and carry what belongs to them in their metadata. A foreign classifier (float
[N, 1, 28, 28], [N, 28, 28, 1] or [N, 784] in, ten numbers out) is accepted too; how it scales its input is given, or
found on a few hundred MNIST training images.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from ..digits.dataset import CLASSES, PIXELS, SIDE, Images, pixel_hashes
from ..digits.files import is_file, is_folder
from ..digits.formats import load_digits
from ..errors import InputError, ModelError

SHIPPED = Path(__file__).parent / "models"
MODEL_FILE = "model.onnx"
HASHES_FILE = "training-hashes.npy"
MOST_BYTES = 512 << 20  # a model file larger than this is not a digit reader
BATCH = 128  # images a call of the runtime: as fast as larger ones, or faster, since a layer stays in the cache
FORMAT = "1"
PREPARATION = "1"  # how digit images are made of pictures
NOWHERE = SHIPPED / "no-weights-outside-the-file"
PROBES = 500  # training digits on which a foreign model's input scaling is found

Floats = NDArray[np.float32]

# What a foreign model may expect in place of 0…255; the names are those of `--input-scale`.
SCALES: dict[str, Callable[[Floats], Floats]] = {
    "unit": lambda pixels: pixels / np.float32(255),
    "raw": lambda pixels: pixels,
    "signed": lambda pixels: pixels / np.float32(127.5) - np.float32(1),
    "standard": lambda pixels: (pixels / np.float32(255) - np.float32(0.1307)) / np.float32(0.3081),
    "inverted": lambda pixels: np.float32(1) - pixels / np.float32(255),
}


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a model says of N digit images.

    Attributes
    ----------
    probabilities: float32 (N, 10), each row summing to one.
    novelty: float32 (N,) in 0…1, how unlike a digit; None from a model that does not say.
    features: float32 (N, D), what the last layer saw, where it was asked for; else None.
    """

    probabilities: Floats
    novelty: Floats | None = None
    features: Floats | None = None

    @property
    def labels(self) -> NDArray[np.uint8]:
        """The likeliest digit of each image, uint8 (N,)."""
        labels: NDArray[np.uint8] = self.probabilities.argmax(axis=1).astype(np.uint8)
        return labels

    @property
    def confidence(self) -> Floats:
        """The probability of that digit, float32 (N,)."""
        confidence: Floats = self.probabilities.max(axis=1)
        return confidence


class Model:
    """An open model. Made by `load_model`; safe to use from several threads.

    Attributes
    ----------
    name, path: what it is called, and its file.
    folder: the run folder that it came from, or None.
    metadata: what the file says of itself.
    input_scale: how pixels are prepared for a foreign model; None for our own, which take them as they are.
    """

    def __init__(
        self, path: Path, *, name: str, folder: Path | None, threads: int | None, input_scale: str | None
    ) -> None:
        self.path, self.name, self.folder = path, name, folder
        self.session = _open(path, threads)
        self.input_scale: str | None = None
        try:
            self.metadata: dict[str, str] = dict(self.session.get_modelmeta().custom_metadata_map)
            if self.metadata.get("format") is None:
                self._adopt(input_scale)
            elif input_scale is not None:
                raise InputError("--input-scale", "is for foreign models", found=f"{path}, which scales its own input")
            else:
                self._check()
        except UnicodeDecodeError as error:  # of a name or of what it says of itself
            raise ModelError(path, "damaged", expected="names in UTF-8", found=str(error)) from error

    @property
    def novelty_threshold(self) -> float | None:
        """Above this novelty an image is refused; None where the model does not say."""
        text = self.metadata.get("novelty_threshold")
        return None if text is None else float(text)

    @property
    def confidence_threshold(self) -> float:
        """Below this confidence an answer is refused as unsure; 0 where the model does not say."""
        return float(self.metadata.get("confidence_threshold", "0"))

    def refused(self, predictions: Predictions) -> NDArray[np.bool_] | None:
        """Which of its answers (N,) the model would rather not have given, or None if it cannot say."""
        if predictions.novelty is None or self.novelty_threshold is None:
            return None
        unsure = predictions.confidence < self.confidence_threshold
        return np.asarray((predictions.novelty > self.novelty_threshold) | unsure)

    def training_hashes(self) -> NDArray[np.uint64] | None:
        """Fingerprints (M,) of the images it was trained on, or None where nobody kept them."""
        file = self.folder / HASHES_FILE if self.folder else None
        if file is None or not file.is_file():
            if self.metadata.get("trained_on") == "mnist:train":
                return pixel_hashes(load_digits("mnist:train").images)
            return None
        try:
            with file.open("rb") as stream:
                hashes: NDArray[np.uint64] = np.lib.format.read_array(stream, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise ModelError(file, "cannot be read", found=str(error), mend="train again, or remove it") from error
        if hashes.dtype != np.uint64 or hashes.ndim != 1:
            found = f"{hashes.dtype} {hashes.shape}"
            raise ModelError(file, "not fingerprints", expected="uint64 (M,)", found=found, mend="train again")
        return hashes

    def predict(self, images: Images, *, features: bool = False) -> Predictions:
        """Probabilities, novelty and, where wanted, features of digit images uint8 (N, 28, 28).

        Raises InputError for an array of another type or shape.
        """
        images = np.asarray(images)
        if images.dtype != np.uint8 or images.shape[1:] != (SIDE, SIDE):
            found = f"{images.dtype} {images.shape}"
            raise InputError("images", "not digit images", expected="uint8 (N, 28, 28)", found=found)
        if self.input_scale is not None:
            outputs = self._foreign(images, self.input_scale)
            return self._finite(Predictions(_softmax(outputs) if self._logits else outputs))
        wanted = ["probabilities", "novelty", *(["features"] if features else [])]
        parts = [
            self.session.run(wanted, {"images": images[start : start + BATCH]})
            for start in range(0, len(images), BATCH)
        ] or [self.session.run(wanted, {"images": images})]
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
        return self._finite(Predictions(*columns))

    def _finite(self, predictions: Predictions) -> Predictions:
        for values in (predictions.probabilities, predictions.novelty):
            if values is not None and not np.isfinite(values).all():
                found = "what is not a number"
                raise ModelError(self.path, "damaged", expected="finite answers", found=found, mend="train it again")
        return predictions

    def _check(self) -> None:
        """That a file which calls itself ours has what `predict` and its callers rely on."""
        if self.metadata["format"] != FORMAT:
            found = f"format {self.metadata['format']}"
            raise ModelError(self.path, "written by another version", expected=f"format {FORMAT}", found=found)
        outputs = {output.name for output in self.session.get_outputs()}
        inputs = {put.name: put.type for put in self.session.get_inputs()}
        if inputs != {"images": "tensor(uint8)"} or not {"probabilities", "novelty", "features"} <= outputs:
            expected = "images in; probabilities, novelty and features out"
            found = f"{', '.join(inputs)} in; {', '.join(sorted(outputs))} out"
            raise ModelError(self.path, "not an inkdigits model", expected=expected, found=found)
        known = {"labels": ",".join(map(str, range(CLASSES))), "preparation": PREPARATION}
        wrong = [name for name, value in known.items() if self.metadata.get(name) != value]
        for name, without in (("novelty_threshold", ""), ("confidence_threshold", "0")):
            try:
                if not math.isfinite(float(self.metadata.get(name, without))):
                    wrong.append(name)
            except ValueError:
                wrong.append(name)
        if wrong:
            found = ", ".join(f"{name} {self.metadata.get(name)!r}" for name in wrong)
            raise ModelError(self.path, "its metadata is damaged, or of another version", found=found)
        self._try()

    def _try(self) -> None:
        """One answer to two blank images, to see whether the outputs are what they are called."""
        try:
            said = self.session.run(
                ["probabilities", "novelty", "features"], {"images": np.zeros((2, SIDE, SIDE), np.uint8)}
            )
        except Exception as error:  # the runtime has no common error class
            raise ModelError(self.path, "fails on digit images", found=_first_line(error)) from error
        shapes = [(value.dtype.name, value.shape) for value in said]
        fits = [shape == ("float32", size) for shape, size in zip(shapes, [(2, CLASSES), (2,)], strict=False)]
        if not all(fits) or shapes[2][0] != "float32" or shapes[2][1][:1] != (2,) or len(shapes[2][1]) != 2:
            found = "; ".join(f"{kind} {shape}" for kind, shape in shapes)
            expected = "float32 (2, 10), (2,) and (2, D)"
            raise ModelError(self.path, "not an inkdigits model", expected=expected, found=found)
        self._finite(Predictions(said[0], said[1]))

    def _adopt(self, input_scale: str | None) -> None:
        """Find out how a foreign classifier wants its pixels."""
        inputs, outputs = self.session.get_inputs(), self.session.get_outputs()
        if len(inputs) != 1 or not outputs:
            found = f"{len(inputs)} inputs and {len(outputs)} outputs"
            raise ModelError(self.path, "not a digit classifier", expected="one input and ten numbers out", found=found)
        expected = "one float input [N, 1, 28, 28], [N, 28, 28, 1] or [N, 784] and ten numbers out"
        self._input, self._output = inputs[0], outputs[0]
        free = [side if isinstance(side, int) else None for side in self._input.shape]
        shapes: dict[tuple[int | None, ...], tuple[int, ...]] = {
            (1, SIDE, SIDE): (1, SIDE, SIDE),
            (SIDE, SIDE, 1): (SIDE, SIDE, 1),
            (SIDE, SIDE): (SIDE, SIDE),
            (PIXELS,): (PIXELS,),
        }
        shape = shapes.get(tuple(free[1:]))
        if len(inputs) != 1 or shape is None or self._input.type not in ("tensor(float)", "tensor(float16)"):
            found = "; ".join(f"{put.name} {put.type} {put.shape}" for put in inputs)
            raise ModelError(self.path, "not a digit classifier", expected=expected, found=found)
        self._shape, self._fixed = shape, free[0]
        if input_scale is not None and input_scale not in SCALES:
            raise InputError("--input-scale", "unknown", expected=" or ".join(SCALES), found=input_scale)
        probes = load_digits("mnist:train").take(slice(0, PROBES))
        wrong: dict[str, int] = {}
        losses: dict[str, float] = {}
        for name in [input_scale] if input_scale else SCALES:
            outputs = self._foreign(probes.images, name)
            self._logits = not _are_probabilities(outputs)
            probabilities = _softmax(outputs) if self._logits else outputs
            labels = probes.need_labels("find the input scale")
            likelihood = probabilities[np.arange(len(probes)), labels]
            wrong[name] = int((probabilities.argmax(axis=1) != labels).sum())
            losses[name] = -float(np.log(np.maximum(likelihood, 1e-12)).mean())
        # A network of ReLUs hardly minds 0…255 for 0…1: it gets as many right, and is far too sure of the rest. Among
        # the scales that get about as many right, the likelihood tells.
        close = [name for name in wrong if wrong[name] <= min(wrong.values()) + PROBES // 50]
        self.input_scale = min(close, key=lambda name: losses[name])

    def _foreign(self, images: Images, scale: str) -> Floats:
        step = self._fixed or BATCH
        kind = np.float16 if self._input.type == "tensor(float16)" else np.float32
        parts = []
        for start in range(0, len(images), step):
            part = images[start : start + step]
            short = step - len(part) if self._fixed else 0
            pixels = SCALES[scale](np.pad(part, ((0, short), (0, 0), (0, 0))).astype(np.float32))
            batch = pixels.reshape(len(pixels), *self._shape).astype(kind)
            try:
                out = self.session.run([self._output.name], {self._input.name: batch})[0]
            except Exception as error:  # the runtime has no common error class
                raise ModelError(self.path, "fails on digit images", found=_first_line(error)) from error
            out = np.asarray(out, np.float32)
            if out.size != len(batch) * CLASSES or out.shape[0] != len(batch):
                found = f"{out.shape} for {len(batch)} images"
                raise ModelError(self.path, "not a digit classifier", expected="ten numbers an image", found=found)
            parts.append(out.reshape(len(batch), CLASSES)[: len(part)])
        return np.concatenate(parts) if parts else np.zeros((0, CLASSES), np.float32)


def load_model(
    model: str | os.PathLike[str] | Model,
    *,
    threads: int | None = None,
    input_scale: str | None = None,
) -> Model:
    """Open a model: a run folder, an `.onnx` file, or the name of a shipped one.

    Parameters
    ----------
    threads: processor threads to use; all of them unless told otherwise.
    input_scale: what a foreign model expects for pixels, a name in SCALES; if not given, found on MNIST digits.

    Raises ModelError if there is no such model, or if the file is not one.
    """
    if isinstance(model, Model):
        return model
    path = Path(model)
    name = path.resolve().name if is_folder(path) else path.stem
    shipped = sorted(file.stem for file in SHIPPED.glob("*.onnx"))
    if is_folder(path):
        file = path / MODEL_FILE
        if not file.is_file():
            mend = "train it to its end with --resume" if (path / "config.json").is_file() else None
            raise ModelError(path, "no model in this folder", expected=f"a run folder with {MODEL_FILE}", mend=mend)
        return Model(file, name=name, folder=path, threads=threads, input_scale=input_scale)
    if is_file(path):
        return Model(path, name=name, folder=None, threads=threads, input_scale=input_scale)
    if str(model) in shipped:
        file = SHIPPED / f"{model}.onnx"
        return Model(file, name=str(model), folder=None, threads=threads, input_scale=input_scale)
    names = ", ".join(shipped) or "none in this version"
    expected = f"a run folder, an .onnx file or a shipped model ({names})"
    raise ModelError(model, "no such model", expected=expected, mend="make one with `inkdigits train`")


def _open(path: Path, threads: int | None) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 4  # what goes wrong is raised, and said once
    # A model given as bytes is looked up for weights in other files where the process happens to be; there it is not.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(NOWHERE))
    if threads is not None:
        options.intra_op_num_threads = threads
    ort.disable_telemetry_events()
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise ModelError(
                path, "too large for a model", expected=f"at most {MOST_BYTES >> 20} MB", found=f"{size >> 20} MB"
            )
        # Read here and handed over as bytes, so that a model cannot name other files that hold its weights.
        return ort.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    except OSError as error:
        raise ModelError(path, "cannot be read", found=error.strerror or str(error)) from error
    except ModelError:
        raise
    except Exception as error:  # the runtime has no common error class
        raise ModelError(path, "not a model", expected="an ONNX file", found=_first_line(error)) from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _are_probabilities(outputs: Floats) -> bool:
    """Whether every row is ten probabilities; if not, they are taken as logits."""
    return bool(np.all(outputs >= 0) and np.allclose(outputs.sum(axis=1), 1, atol=1e-2))


def _softmax(outputs: Floats) -> Floats:
    powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    result: Floats = powers / powers.sum(axis=1, keepdims=True)
    return result

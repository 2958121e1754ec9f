"""A trained model in another format or precision, checked against the original before it is written.

$ inkdigits export runs/fast-0 --to onnx-int8 -o fast-int8.onnx

Converting needs `onnx`, and for OpenVINO its package, but no PyTorch: `pip install "inkdigits[export]"`. For C it needs
a C compiler, which compiles what was written for the check.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..digits.dataset import CLASSES, Digits, Images
from ..digits.files import write_whole
from ..digits.formats import Source, load_digits
from ..errors import InkdigitsError, InputError, MissingExtraError, ModelError, OutputError
from ..reader.model import BATCH, Model, Predictions, load_model

if TYPE_CHECKING:
    import onnx

HELD_OUT = 5_000  # of MNIST's training digits, the ones that training holds out unless told otherwise; parity is …
SPLIT_SEED = 0  # … judged on these, so that no choice is made on the test digits
CALIBRATION = 1_000  # of the other training digits, on which the ranges of 8-bit numbers are found
SPEED_IMAGES = 1_024  # eight batches a round
ROUNDS = 5  # original and export in turn, so that a busy moment of the machine slows both

Answer = Callable[[Images], Predictions]


@dataclass(frozen=True)
class Format:
    """What a model can be exported to, and what it must then still do.

    Attributes
    ----------
    about: for people.
    ending: of the file's name.
    agreement: least share of held-out digits with the same answer, and of those with the same refusal.
    difference: largest change of one probability.
    """

    about: str
    ending: str
    agreement: float
    difference: float


FORMATS = {
    "onnx-fp32": Format("ONNX, weights of 32 bits", ".onnx", 1.0, 1e-4),
    "onnx-fp16": Format("ONNX, weights of 16 bits, arithmetic of 32", ".onnx", 0.999, 0.05),
    "onnx-int8": Format("ONNX, layers of 8 bits", ".onnx", 0.995, 0.5),
    "openvino": Format("OpenVINO IR, weights of 32 bits: an .xml with its .bin beside it", ".xml", 1.0, 1e-3),
    "openvino-fp16": Format("the same with weights of 16 bits", ".xml", 0.999, 0.05),
    "c": Format("one header in C99, weights of 8 bits, arithmetic of 32", ".h", 0.995, 0.5),
}
COMPILERS = ("cc", "gcc", "clang")
COMPILE = ("-std=c99", "-O3", "-shared", "-fPIC")
# What the check adds to a header: the images of an array, one after the other.
EVERY = """\
#define {NAME}_IMPLEMENTATION
#include "{file}"
void every(const uint8_t *images, long count, float *probabilities, float *novelty, float *workspace) {{
    for (long at = 0; at < count; at++)
        {name}_read(images + 784 * at, probabilities + 10 * at, novelty + at, workspace);
}}
long floats(void) {{ return {NAME}_WORKSPACE; }}
"""


@dataclass(frozen=True)
class Side:
    """One of the two models that are compared.

    size: bytes of its file or files; errors: of the digits it was checked on; images_per_second: on this machine.
    """

    size: int
    errors: int
    images_per_second: float


@dataclass(frozen=True)
class Exported:
    """What `export` gives back.

    Attributes
    ----------
    model: the original's name; to: a name in FORMATS; output: the file written.
    before, after: the original and the export.
    source, n: the digits on which errors were counted.
    held_out: how many digits parity was judged on; same_answers, same_refusals: how many of them came out alike.
    largest_difference, mean_difference: of a probability, over all of them.
    novelty_difference: the largest.
    threads: that were used, or None for all of them.
    failing: what is beyond the format's limits, in words; written all the same because that was asked for.
    """

    model: str
    to: str
    output: Path
    before: Side
    after: Side
    source: str
    n: int
    held_out: int
    same_answers: int
    same_refusals: int
    largest_difference: float
    mean_difference: float
    novelty_difference: float
    threads: int | None
    failing: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """What `--json` prints."""
        limits = FORMATS[self.to]
        sides = {
            name: {
                "bytes": side.size,
                "errors": side.errors,
                "accuracy": round(1 - side.errors / self.n, 6),
                "images_per_second": round(side.images_per_second),
            }
            for name, side in (("original", self.before), ("export", self.after))
        }
        return {
            "model": self.model,
            "to": self.to,
            "output": str(self.output),
            **sides,
            "checked_on": {"source": self.source, "n": self.n},
            "parity": {
                "n": self.held_out,
                "same_answers": self.same_answers,
                "same_refusals": self.same_refusals,
                "largest_difference": self.largest_difference,
                "mean_difference": self.mean_difference,
                "novelty_difference": self.novelty_difference,
                "limits": {"agreement": limits.agreement, "difference": limits.difference},
                "failing": list(self.failing),
            },
            "threads": self.threads,
        }

    def text(self) -> str:
        """What the command prints: the two side by side, and how far they agree."""
        sides = (self.before, self.after)
        rows = [
            ["", self.model, self.to],
            ["size", *(f"{side.size / 1000:,.0f} kB" for side in sides)],
            [f"on {self.source}", *(f"{100 * (1 - side.errors / self.n):.2f} % right" for side in sides)],
            [f"  of {self.n:,}", *(f"{side.errors:,} wrong" for side in sides)],
            ["images a second", *(f"{side.images_per_second:,.0f}" for side in sides)],
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]
        apart = f"differ by at most {_plain(self.largest_difference)}, by {_plain(self.mean_difference)} on average"
        lines.append(
            f"the same answer to {self.same_answers:,} of {self.held_out:,} held-out digits, the same refusals for "
            f"{self.same_refusals:,}; the probabilities {apart if self.largest_difference else 'are the same'}"
        )
        lines.append(f"written to {self.output}")
        return "\n".join(lines)


def _plain(value: float) -> str:
    """Two digits that count, without an exponent: `0.000057`."""
    return str(np.format_float_positional(float(f"{value:.2g}"), trim="-"))


def export(
    model: str | os.PathLike[str] | Model,
    *,
    to: str,
    output: str | os.PathLike[str],
    check: Source = "mnist",
    force: bool = False,
    threads: int | None = None,
) -> Exported:
    """Writes `model` in another format or precision, if what comes out still answers as the original does.

    Parameters
    ----------
    model: a run folder, an `.onnx` file of ours or a shipped name, or one of these already loaded.
    to: a name in FORMATS.
    output: the file; of OpenVINO the `.xml`, whose weights go into the `.bin` beside it.
    check: labelled digits on which errors are counted before and after; of `mnist` the test part.
    force: write it even if it answers otherwise than the format's limits allow.
    threads: processor threads for the check; all of them unless told otherwise.

    Raises InputError for an unknown format or unusable digits, ModelError for a model that is not ours or already in 8
    bits, OutputError if it would be another model (without `force`) or cannot be written, and MissingExtraError.
    """
    form, path = _format(to), Path(output)
    if path.suffix != form.ending:
        raise OutputError(path, "has another ending", expected=f"one that ends in {form.ending} for {to}")
    _need_libraries(to)
    original = load_model(model, threads=threads)
    _need_ours(original)
    targets = [path, path.with_suffix(".bin")] if form.ending == ".xml" else [path]
    if any(target.exists() and target.samefile(original.path) for target in targets):
        raise OutputError(path, "is what is exported", expected="another file", mend="choose another -o")
    digits = load_digits(check, part="test")
    digits.need_labels("count errors with")
    rest, held_out = load_digits("mnist:train").split(HELD_OUT, seed=SPLIT_SEED)
    with ExitStack() as stack:
        # Opened before the work, and closed in reverse: the weights take their place before the file that names them.
        written = [stack.enter_context(write_whole(target)) for target in targets]
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        made = [folder / f"{path.stem or 'model'}{target.suffix}" for target in targets]
        try:
            answer = _convert(original.path, to, made[0], rest.images[:CALIBRATION], threads)
        except InkdigitsError:
            raise
        except Exception as error:  # the converters have no common error class
            found = (str(error).splitlines() or [type(error).__name__])[0][:200]
            raise ModelError(original.path, f"could not be converted to {to}", found=found) from error
        result = _compare(original, answer, digits, held_out, to=to, output=path, made=made, threads=threads)
        if result.failing and not force:
            mend = "--force writes it all the same"
            raise OutputError(path, "not written: it is another model", found=", ".join(result.failing), mend=mend)
        for target, source in zip(written, made, strict=True):
            target.write_bytes(source.read_bytes())
    return result


def _format(name: str) -> Format:
    if name not in FORMATS:
        raise InputError("--to", "unknown", expected=" or ".join(FORMATS), found=name)
    return FORMATS[name]


def _need_libraries(to: str) -> None:
    for library in ("onnx", *(["openvino"] if to.startswith("openvino") else [])):
        if find_spec(library) is None:
            raise MissingExtraError(f"--to {to}", "export")
    if to == "c" and not any(map(shutil.which, COMPILERS)):
        expected = f"one of {', '.join(COMPILERS)} on the path, to compare what was written with the original"
        raise InputError("--to c", "no C compiler found", expected=expected, mend="install gcc or clang")


def _need_ours(model: Model) -> None:
    if model.input_scale is not None:
        mend = "use the tools of the library that it comes from"
        raise ModelError(model.path, "cannot be exported", expected="a model of inkdigits", found="another", mend=mend)
    if model.metadata.get("precision") == "int8":
        found, mend = "8 bits", "export the model that it was made from"
        raise ModelError(model.path, "cannot be exported", expected="16 or 32 bits", found=found, mend=mend)


def _convert(source: Path, to: str, path: Path, images: Images, threads: int | None) -> Answer:
    """Writes the model of `source` to `path` as `to`, and gives what runs the file just written."""
    import onnx

    from .c_source import c_name, c_source
    from .precision import as_bytes, halved, quantised, widened

    model = onnx.load_from_string(source.read_bytes())
    if to.startswith("openvino"):
        _write_openvino(widened(model), path, half=to == "openvino-fp16")
        return _open_openvino(path, threads)
    if to == "c":
        name = c_name(path.stem)
        path.write_text(c_source(widened(model), name), encoding="utf-8")
        return _compile(path, name, threads)
    if to == "onnx-int8":
        model = quantised(model, images)
    elif to == "onnx-fp16":
        model = halved(model)
    else:
        model = widened(model)
    path.write_bytes(as_bytes(model, precision=to.removeprefix("onnx-")))
    return load_model(path, threads=threads).predict


def _write_openvino(model: onnx.ModelProto, path: Path, *, half: bool) -> None:
    import openvino
    from onnx import version_converter

    # OpenVINO (2026.4) takes the axes of a reduction for all of them where they are an attribute, as before opset 18;
    # it is given the model as bytes, for of a file it would note the name.
    if model.opset_import[0].version < 18:
        model = version_converter.convert_version(model, 18)
    converted = openvino.Core().read_model(model.SerializeToString(deterministic=True), b"")
    openvino.save_model(converted, path, compress_to_fp16=half)


def _open_openvino(path: Path, threads: int | None) -> Answer:
    import openvino

    settings = {} if threads is None else {"INFERENCE_NUM_THREADS": threads}
    session = openvino.Core().compile_model(path, "CPU", settings)

    def answer(images: Images) -> Predictions:
        parts = []
        for start in range(0, len(images), BATCH):
            said = session({"images": images[start : start + BATCH]})
            parts.append((said["probabilities"], said["novelty"]))
        return Predictions(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    return answer


def _compile(path: Path, name: str, threads: int | None) -> Answer:
    """What runs the header: it is compiled as C99 and shares the images out among threads."""
    source, library = path.with_suffix(".c"), path.with_suffix(".so")
    source.write_text(EVERY.format(name=name, NAME=name.upper(), file=path.name), encoding="utf-8")
    compiler = next(found for found in map(shutil.which, COMPILERS) if found)
    done = subprocess.run(
        [compiler, *COMPILE, str(source), "-o", str(library), "-lm"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{compiler}: {(done.stderr.splitlines() or ['failed'])[0]}")
    made = ctypes.CDLL(str(library))
    made.every.argtypes = [ctypes.c_void_p, ctypes.c_long, *[ctypes.c_void_p] * 3]
    made.every.restype = None
    made.floats.restype = ctypes.c_long
    count = threads or os.cpu_count() or 1

    def some(images: Images) -> Predictions:
        images = np.ascontiguousarray(images)
        probabilities = np.empty((len(images), CLASSES), np.float32)
        novelty, workspace = (np.empty(size, np.float32) for size in (len(images), made.floats()))
        made.every(images.ctypes.data, len(images), *(put.ctypes.data for put in (probabilities, novelty, workspace)))
        return Predictions(probabilities, novelty)

    def answer(images: Images) -> Predictions:
        with ThreadPoolExecutor(count) as pool:
            parts = list(pool.map(some, np.array_split(images, count)))
        return Predictions(
            np.concatenate([part.probabilities for part in parts]), np.concatenate([part.novelty for part in parts])
        )

    return answer


def _compare(
    original: Model,
    answer: Answer,
    digits: Digits,
    held_out: Digits,
    *,
    to: str,
    output: Path,
    made: list[Path],
    threads: int | None,
) -> Exported:
    before, after = original.predict(held_out.images), answer(held_out.images)
    assert before.novelty is not None  # our own models say
    assert after.novelty is not None
    if after.novelty.shape != before.novelty.shape:
        found = f"novelty {after.novelty.shape} for {len(held_out)} images"
        raise OutputError(output, "not written: the converter made another model", found=found)
    differences = np.abs(after.probabilities - before.probabilities)
    labels = digits.need_labels("count errors with")
    errors = [int((said(digits.images).labels != labels).sum()) for said in (original.predict, answer)]
    speeds = _speeds(original.predict, answer, held_out.images[:SPEED_IMAGES])
    sizes = [original.path.stat().st_size, sum(file.stat().st_size for file in made)]
    same_answers = int((before.labels == after.labels).sum())
    same_refusals = int((_refusals(original, before) == _refusals(original, after)).sum())
    largest = float(differences.max())
    limits, failing = FORMATS[to], []
    for what, count in (("answers", same_answers), ("refusals", same_refusals)):
        if count < limits.agreement * len(held_out):
            failing.append(f"{count:,} of {len(held_out):,} {what} the same (at least {limits.agreement:.1%} expected)")
    if largest > limits.difference:
        failing.append(f"a probability changed by {largest:.2g} (at most {limits.difference:g} expected)")
    return Exported(
        model=original.name,
        to=to,
        output=output,
        before=Side(sizes[0], errors[0], speeds[0]),
        after=Side(sizes[1], errors[1], speeds[1]),
        source=digits.source,
        n=len(digits),
        held_out=len(held_out),
        same_answers=same_answers,
        same_refusals=same_refusals,
        largest_difference=largest,
        mean_difference=float(differences.mean()),
        novelty_difference=float(np.abs(after.novelty - before.novelty).max()),
        threads=threads,
        failing=tuple(failing),
    )


def _refusals(model: Model, said: Predictions) -> NDArray[np.bool_]:
    refused = model.refused(said)
    assert refused is not None  # our own models know
    return refused


def _speeds(first: Answer, second: Answer, images: Images) -> list[float]:
    """Images a second of both, run in turn: the median of the rounds."""
    seconds: list[list[float]] = [[], []]
    for _ in range(ROUNDS):
        for answer, taken in zip((first, second), seconds, strict=True):
            start = time.perf_counter()
            answer(images)
            taken.append(time.perf_counter() - start)
    return [len(images) / float(np.median(taken)) for taken in seconds]

"""Measures a model on labelled digits, through the file that ships: everything beyond accuracy, and a report to read.

$ inkdigits evaluate ridge.onnx -o ridge
ridge on mnist:test: 85.42 % right, 1,458 of 10,000 wrong (95 % interval 84.71 to 86.10 %)
a foreign model, given its pixels scaled as 'unit'
without the 15 contested labels 85.48 %; first half 81.06 %, second half 89.78 %; human level about 99.8 %
says 78.61 % sure on average (calibration error 6.81 %, negative log-likelihood 0.5180)
wrong digits and figures: ridge/report.html
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..digits.dataset import Digits
from ..digits.files import names_in, refuse_others, unwritable, write_whole
from ..digits.formats import load_digits
from ..errors import InputError, OutputError
from ..reader.model import Model, load_model
from .evaluate_report import evaluation_report
from .evaluation import Evaluation, add_comparison, measure_answers
from .report import need_libraries, need_matplotlib
from .shift import measure_shift

METRICS, REPORT = "metrics.json", "report.html"
LINE = 100  # characters of JSON that may share a line

ModelLike = str | os.PathLike[str] | Model


def evaluate(
    model: ModelLike,
    source: str | os.PathLike[str] | Digits = "mnist",
    *,
    output: str | os.PathLike[str] | None = None,
    against: ModelLike | None = None,
    shift: bool = False,
    threads: int | None = None,
    input_scale: str | None = None,
) -> Evaluation:
    """Measures `model` on the labelled digits of `source` (the test part, where it has one) and writes what it found.

    Parameters
    ----------
    model: a run folder, an `.onnx` file, a shipped name, or a Model already loaded.
    source: any SOURCE of `load_digits`, or Digits.
    output: folder for `metrics.json` and `report.html`; without it they go into the model's run folder (where
        `metrics.json` keeps what training wrote), or nowhere if the model has none.
    against: a second model for the same digits, compared by McNemar's test.
    shift: also measure it on corrupted digits, on digits of other people and on what is no digit; about a minute.
    threads: as in `load_model`; input_scale too, for whichever of the two models is foreign.

    Raises InputError (a source that cannot be read or has no labels), ModelError, OutputError (a folder that holds
    something else, or cannot be written) and MissingExtraError (no matplotlib for the report, no scipy or scikit-learn
    for the shift).
    """
    first = _loaded(model, threads, input_scale)
    second = None if against is None else _loaded(against, threads, input_scale)
    if input_scale is not None and first.input_scale is None and (second is None or second.input_scale is None):
        raise InputError("--input-scale", "is for foreign models", found=f"{first.path}, which scales its own input")
    folder = _output_folder(output, first)
    earlier: dict[str, Any] = {}
    if shift:
        need_libraries("--shift", "scipy", "sklearn")
    if folder is not None:
        # What can go wrong in the end is looked at before the work, not after it.
        need_matplotlib(f"{folder / REPORT}")
        earlier = _read_metrics(folder / METRICS)
    digits = load_digits(source, part="test")
    digits.need_labels("measure against")
    answers = first.predict(digits.images)
    evaluation = measure_answers(digits, answers, first)
    if second is not None:
        others = second.predict(digits.images)
        evaluation = add_comparison(evaluation, digits, answers, others, first_model=first, model=second)
    if shift:
        evaluation = replace(evaluation, shift=measure_shift(first, digits))
    if folder is None:
        return evaluation
    page = evaluation_report(evaluation, digits, first.folder)
    _make(folder)
    # What an earlier evaluation said of shifts is not in the new report, so it does not stay in the metrics either.
    earlier.pop("shift", None)
    metrics = {"name": evaluation.model} | earlier | {"test": evaluation.as_dict()}
    if evaluation.shift:
        metrics["shift"] = evaluation.shift.as_dict()
    for name, text in ((METRICS, json_text(metrics) + "\n"), (REPORT, page)):
        with write_whole(folder / name) as path:
            path.write_bytes(text.encode("utf-8", errors="replace"))
    return replace(evaluation, metrics=folder / METRICS, report=folder / REPORT)


def _loaded(model: ModelLike, threads: int | None, input_scale: str | None) -> Model:
    """The model, a foreign one with the scale that was asked for, if any was."""
    opened = load_model(model, threads=threads)
    if input_scale is None or opened.input_scale is None or isinstance(model, Model):
        return opened
    return load_model(model, threads=threads, input_scale=input_scale)


def _output_folder(output: str | os.PathLike[str] | None, model: Model) -> Path | None:
    """Where the results go, or an OutputError if something else than an earlier evaluation is there."""
    if output is None:
        return model.folder
    folder = Path(output)
    if not folder.exists() or (model.folder is not None and folder.resolve() == model.folder.resolve()):
        return folder
    held = names_in(folder)
    is_ours = held <= {METRICS, REPORT} and "test" in _read_metrics(folder / METRICS)
    refuse_others(folder, set() if is_ours else held - {METRICS, REPORT} or held, "evaluate")
    return folder


def _read_metrics(path: Path) -> dict[str, Any]:
    """What a `metrics.json` holds so far, {} if there is none. It is to be added to: one that is broken is an error."""
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text("utf-8"), parse_constant=_no_number)
    except (OSError, ValueError, RecursionError) as error:
        found = error
    if not isinstance(found, dict):
        what = "not metrics that can be added to"
        raise OutputError(
            path, what, expected="a JSON object", found=str(found)[:60], mend="move it away and try again"
        )
    return found


def _no_number(name: str) -> float:
    raise ValueError(f"{name}, which is not JSON")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error


def json_text(value: Any, indent: str = "") -> str:
    """JSON for people: what is short, or holds plain values only, stands on one line; so does each digit, each row."""
    line = json.dumps(value, ensure_ascii=False, allow_nan=False)
    held = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if len(line) <= LINE or not any(isinstance(item, (dict, list)) for item in held):
        return line
    deeper = indent + "  "
    if isinstance(value, dict):
        lines = [f"{json.dumps(name, ensure_ascii=False)}: {json_text(item, deeper)}" for name, item in value.items()]
        opening, closing = "{", "}"
    else:
        lines = [json_text(item, deeper) for item in value]
        opening, closing = "[", "]"
    return opening + "\n" + deeper + f",\n{deeper}".join(lines) + f"\n{indent}" + closing

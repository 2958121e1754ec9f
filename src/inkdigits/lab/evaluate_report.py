"""The report of an evaluation: what `report.html` shows, and the sentence under each figure, worked out from numbers.

$ inkdigits evaluate runs/fast-0
$ open runs/fast-0/report.html
"""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..digits.dataset import Digits
from ..measure import RiskCoverage
from .doubt_report import doubt_gallery, doubt_words
from .evaluation import HUMAN_LEVEL, Answer, Evaluation
from .figures import (
    accuracy_figure,
    confusion_figure,
    errors_figure,
    first_coverage_that_matters,
    losses_figure,
    reliability_figure,
    risk_coverage_figure,
)
from .report import (
    Section,
    Tile,
    counted,
    gallery,
    page,
    percent,
    plot,
    prose,
    settings,
    side_by_side,
    subheading,
    table,
)
from .search_report import search_section
from .shift_report import shift_section

MOST_TILES = 120  # a page of more is neither read nor printed
SOME_TILES = 16  # of the digits that only one of two models reads: two rows
MARKS = (0.99, 0.98)  # coverages at which the risk is said and written into the figure …
POOR_MARKS = (0.8, 0.5)  # … and where a model errs so often that a percent or two make no difference
HISTORY = ("epoch", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy")


def evaluation_report(evaluation: Evaluation, digits: Digits, run: Path | None) -> str:
    """The page as HTML. `run` is the run folder, of which `search.json`, `history.csv` and `config.json` are shown."""
    parts = [_wrong(evaluation, digits), _least_sure(evaluation, digits), _doubt(evaluation, digits)]
    parts += [_classes(evaluation), _sureness(evaluation)]
    if evaluation.shift:
        parts.append(shift_section(evaluation.shift))
    if evaluation.against:
        parts.append(_comparison(evaluation, digits))
    if run is not None:
        parts += filter(None, (search_section(run), _learning(run), _settings(run)))
    title = f"{evaluation.model} on {evaluation.source}"
    return page(title, lead=_lead(evaluation), sections=parts)


def _lead(found: Evaluation) -> str:
    low, high = found.interval95
    headline = (
        f'<p class="headline"><strong>{percent(found.accuracy)}</strong>'
        f"<span>of {counted(found.n, 'digit')} read correctly</span></p>"
    )
    sentences = [
        f"{found.errors:,} {'was' if found.errors == 1 else 'were'} misread." if found.errors else "None was misread.",
        f"With 95 % confidence the true accuracy lies between {100 * low:.2f} and {100 * high:.2f} %.",
    ]
    rows = [(f"all {found.n:,}", found.score)]
    if found.without_contested and found.halves:
        left_out = found.n - found.without_contested.n
        sentences.append(
            f"People do not agree with {left_out} of the labels; without these it is right in "
            f"{percent(found.without_contested.accuracy)}. The first half was written by students and the second by "
            "census employees, who write more clearly."
        )
        rows.append((f"less {left_out} contested", found.without_contested))
        rows += [("first half", found.halves[0]), ("second half", found.halves[1])]
    if found.without_overlap:
        rows.append(("less those trained on", found.without_overlap))
    if found.refusal and found.refusal.answered and found.refusal.refused:
        rows.append((f"less {found.refusal.refused:,} refused", found.refusal.answered))
    if found.against:
        rows.append((_short(found.against.model), found.against.score))
    text = headline + "\n" + prose(*sentences) + _overlap_warning(found) + _refusal_sentence(found)
    caption = f"{_against_people(found)} Lines are 95 % intervals. On the axis, equal steps divide the errors equally."
    figure = plot(accuracy_figure(rows), "accuracy", alt=f"Accuracy {percent(found.accuracy)}", caption=caption)
    return side_by_side(f"<div>{text}</div>", figure)


def _against_people(found: Evaluation) -> str:
    if found.halves is None:
        return "The dashed line is what people reach on MNIST's test digits."
    low, high = found.interval95
    if high < HUMAN_LEVEL:
        times = (1 - found.accuracy) / (1 - HUMAN_LEVEL)
        return f"The model errs {times:.1f} times as often as people do."
    if low > HUMAN_LEVEL:
        return "The model errs less often than people do."
    return "People are within the interval: these digits do not tell the model from them."


def _overlap_warning(found: Evaluation) -> str:
    if not found.overlap:
        return "" if found.overlap is None else prose("None of these images was in its training set.", kind="quiet")
    rest = found.without_overlap
    text = f"{found.overlap:,} of these {counted(found.n, 'image')} were in its training set, which flatters it."
    tail = (
        f"On the other {rest.n:,} it reads {percent(rest.accuracy)}."
        if rest
        else "Not one that it has not seen is left."
    )
    return prose(text, tail, kind="warning")


def _refusal_sentence(found: Evaluation) -> str:
    if found.refusal is None:
        return ""
    refused = found.refusal.refused
    text = f"At its own threshold it would refuse {refused:,} ({percent(refused / found.n)}) as not looking like digits"
    answered = found.refusal.answered
    return prose(text + (f" and read {percent(answered.accuracy)} of the others." if answered else "."), kind="quiet")


def _wrong(found: Evaluation, digits: Digits) -> Section:
    if not found.wrong:
        return Section("wrong", "Wrong digits", prose(f"There are none: all {found.n:,} were read correctly."))
    shown = found.wrong[:MOST_TILES]
    sure = sum(answer.confidence > 0.9 for answer in found.wrong)
    contested = sum(answer.contested for answer in found.wrong)
    intro = prose(
        "Label → what was read, the surest mistakes first.",
        f"In {sure:,} of {found.errors:,} it was more than 90 % sure.",
        f"{counted(contested, 'is', 'are')} contested: people read another digit than the label says, or do not agree."
        if contested
        else "",
        f"Shown are the first {len(shown)}; all are in metrics.json." if len(shown) < found.errors else "",
    )
    return Section("wrong", "Wrong digits", intro + gallery(_tile(answer, digits) for answer in shown))


def _least_sure(found: Evaluation, digits: Digits) -> Section:
    if not found.least_sure:
        return Section("least-sure", "Right, but least sure", prose("No digit was read correctly."))
    last = found.least_sure[-1].confidence
    intro = prose(
        f"The {len(found.least_sure)} correctly read digits of which it was least sure ("
        f"{percent(found.least_sure[0].confidence, 1)} to {percent(last, 1)}), each with its second choice."
    )
    tiles = gallery((_tile(answer, digits) for answer in found.least_sure), kind="calm")
    return Section("least-sure", "Right, but least sure", intro + tiles)


def _doubt(found: Evaluation, digits: Digits) -> Section:
    doubts = found.label_doubt
    if doubts is None:
        words = prose("It was trained on all of these images, and a model does not doubt labels that it has learnt.")
        return Section("doubt", "Labels in doubt", words)
    if found.overlap is None:
        origin = "Nobody kept what it was trained on; of digits that it has learnt it would have no doubts."
    elif doubts.left_out:
        origin = f"The {counted(doubts.left_out, 'image')} that it was trained on are left out."
    else:
        origin = "It was trained on none of these digits, so that what it says can be held against their labels."
    intro = doubt_words(doubts, origin=origin)
    return Section("doubt", "Labels in doubt", intro + doubt_gallery(doubts, digits.images))


def _tile(answer: Answer, digits: Digits) -> Tile:
    right = answer.label == answer.said
    title = f"{answer.said}, or {answer.second}?" if right else f"{answer.label} → {answer.said}"
    return Tile(
        digits.images[answer.index],
        alt=f"digit {answer.index}, labelled {answer.label}, read as {answer.said}",
        title=title,
        lines=(f"{percent(answer.confidence, 1)} sure", f"no. {answer.index}"),
        sure=answer.confidence,
        mark="contested" if answer.contested else None,
    )


def _classes(found: Evaluation) -> Section:
    errors = found.confusion.copy()
    np.fill_diagonal(errors, 0)
    order = np.argsort(-errors, axis=None, kind="stable")[:3]
    pairs = [(int(i) // len(errors), int(i) % len(errors), int(errors.flat[i])) for i in order if errors.flat[i]]
    worst = ", ".join(f"{label} read as {said} ({n:,})" for label, said, n in pairs)
    caption = f"Most frequent: {worst}." if pairs else "No digit was taken for another."
    caption += " The deeper the colour, the more errors; the pale diagonal is what was read correctly."
    figure = plot(confusion_figure(found.confusion), "confusion", alt="Confusion matrix", caption=caption)
    scores = found.class_scores
    columns = zip(scores.n, scores.precision, scores.recall, scores.f1, errors.sum(axis=1), strict=True)
    rows = [
        (str(digit), f"{n:,}", f"{wrong:,}", *(percent(share).removesuffix(" %") for share in (precision, recall, f1)))
        for digit, (n, precision, recall, f1, wrong) in enumerate(columns)
    ]
    hardest = int(np.nanargmin(scores.recall))
    words = (
        f"The hardest is {hardest}: {percent(float(scores.recall[hardest]))} of them are read. " if pairs else ""
    ) + (
        "In per cent. Precision: how many of "
        "those read as this digit are one; recall: how many of this digit are read as one; F1: their harmonic mean."
    )
    figures = table(["digit", "n", "wrong", "precision", "recall", "F1"], rows, caption=words)
    return Section("classes", "Digit by digit", side_by_side(figure, f"<div>{figures}</div>"))


def _sureness(found: Evaluation) -> Section:
    gap = found.mean_confidence - found.accuracy
    verdict = "overconfident" if gap > 0 else "underconfident"
    # Half an interval: closer than that, the digits do not tell the two apart.
    if abs(gap) < (found.interval95[1] - found.interval95[0]) / 2:
        verdict = "as sure as it should be"
    calibration = (
        f"On average it says it is {percent(found.mean_confidence)} sure, and {percent(found.accuracy)} is right: "
        f"{verdict}. On the dashed line it would be exactly as sure as it is right. Expected calibration error "
        f"{percent(found.expected_calibration_error)}, negative log-likelihood {found.negative_log_likelihood:.4f}."
    )
    sure = plot(reliability_figure(found.reliability), "reliability", alt="Reliability diagram", caption=calibration)
    risk = _risk(found.risk_coverage) if found.errors else ""
    return Section("sureness", "How sure it is", side_by_side(sure, risk))


def _risk(curve: RiskCoverage) -> str:
    start = first_coverage_that_matters(curve)
    marks = MARKS if start >= 0.9 else POOR_MARKS
    few, more = (f"{percent(curve.risk_at(mark))}" for mark in marks)
    caption = (
        f"If it answers everything, {percent(curve.risk_at(1.0))} is wrong. If it leaves the least sure "
        f"{percent(1 - marks[0], 0)} to a person, {few} of the rest; if {percent(1 - marks[1], 0)}, {more}."
    )
    if start:
        caption += f" Below {percent(start, 0)}, where the axis starts, hardly any answer is wrong."
    caption += f" Area under the whole curve: {percent(curve.area, 3)}."
    return plot(risk_coverage_figure(curve, marks=marks), "risk", alt="Risk-coverage curve", caption=caption)


def _comparison(found: Evaluation, digits: Digits) -> Section:
    other = found.against
    assert other is not None
    head = ["", f"{_short(other.model)} right", "wrong"]
    rows = [
        (f"{_short(found.model)} right", f"{other.both_right:,}", f"{other.test.only_first:,}"),
        ("wrong", f"{other.test.only_second:,}", f"{other.both_wrong:,}"),
    ]
    more = f"{counted(other.overlap, 'image')} of these were in its training set." if other.overlap else ""
    sentence = found.against_text()
    parts = [
        prose(sentence[0].upper() + sentence[1:] + ".", more),
        side_by_side(table(head, rows, caption="Digits that each of them reads correctly or not.")),
        _some_of(other.mended, f"Misread by {found.model}, not by {other.model}", digits),
        _some_of(other.broken, f"Misread by {other.model}, not by {found.model}", digits),
    ]
    return Section("against", "Beside another model", "\n".join(parts))


def _some_of(answers: tuple[Answer, ...], heading: str, digits: Digits) -> str:
    if not answers:
        return ""
    shown = answers[:SOME_TILES]
    count = f"{len(shown)} of {len(answers):,}" if len(shown) < len(answers) else f"{len(answers)}"
    return subheading(f"{heading} ({count})") + gallery(_tile(answer, digits) for answer in shown)


def _learning(run: Path) -> Section | None:
    path = run / "history.csv"
    if not path.is_file():
        return None
    history = _read_history(path)
    if history is None:
        text = prose("history.csv is there, but is not one that train writes.", kind="quiet")
        return Section("learning", "How it learnt", text)
    part = "train" if np.isnan(history["validation_accuracy"]).all() else "validation"
    wrong = 1 - history[f"{part}_accuracy"]
    errors = (
        f"After {counted(len(wrong), 'epoch')} it errs on {percent(float(wrong[-1]))} of the {part} digits, "
        f"after the first on {percent(float(wrong[0]))}."
    )
    losses = _overfitting(history) if part == "validation" else "The loss that it was trained to lower."
    figures = side_by_side(
        plot(errors_figure(history), "errors", alt="Errors by epoch", caption=errors),
        plot(losses_figure(history), "losses", alt="Loss by epoch", caption=losses),
    )
    return Section("learning", "How it learnt", figures)


def _overfitting(history: dict[str, NDArray[np.float64]]) -> str:
    losses = history["validation_loss"]
    best = int(np.nanargmin(losses))
    if best < len(losses) - 1:
        return (
            f"On the validation digits the loss was least after epoch {history['epoch'][best]:g}; "
            "what it learnt later, it learnt by heart."
        )
    return "On the validation digits the loss was least at the end: it had not begun to learn by heart."


def _read_history(path: Path) -> dict[str, NDArray[np.float64]] | None:
    """The columns of a `history.csv` by name, NaN where a cell is empty; None if it is not such a file."""
    try:
        rows = list(csv.DictReader(path.read_text("utf-8").splitlines()))
        columns = {name: np.array([float(row[name] or math.nan) for row in rows]) for name in HISTORY}
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        return None
    return columns if rows else None


def _settings(run: Path) -> Section | None:
    path = run / "config.json"
    if not path.is_file():
        return None
    try:
        config: Any = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        config = None
    if not isinstance(config, dict):
        return Section(
            "settings", "Settings", prose("config.json is there, but is not one that train writes.", kind="quiet")
        )
    return Section("settings", "Settings", settings(config))


def _short(name: str) -> str:
    return name if len(name) <= 22 else name[:10] + "…" + name[-11:]

"""Why a model reads a digit as it does: what it looked at, what would change its mind, which digits it learnt from.

$ inkdigits explain reader mnist:test#4 -o why
mnist:test no. 4: Read as 4 (99.9 % sure); all 5 most similar training digits are 4s; 7 pixels of ink added at the top
right would make it a 9.
pictures and maps: why/report.html

Any ONNX classifier will do, since nothing but its answers is needed: the methods are in `attribution.py`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..digits.dataset import SIDE, Digits, Images, overlap
from ..digits.files import write_whole_folder
from ..digits.formats import embedded_parts, load_digits
from ..digits.mnist import CONTESTED_LABELS, NO_CONSENSUS
from ..errors import InputError
from ..reader.model import Model, load_model
from .attribution import nearest, occlusion, random_masks, smallest_change
from .evaluate import json_text
from .evaluation import is_mnist_test
from .explanation import REPORT, RESULT, Explanation, Explanations, Neighbour
from .report import need_matplotlib

if TYPE_CHECKING:
    from PIL import Image

    Given: TypeAlias = str | os.PathLike[str] | bytes | Image.Image | NDArray[Any] | Digits

AMONG = 10_000  # training digits among which the nearest are looked for: two seconds' work; all 60,000 take thirteen
NEAREST = 5
MOST_WRONG = 24  # digits that SOURCE#wrong stands for
FIGURE = re.compile(r"\d{3,}-\d\.png")  # 001-4.png: the first digit, read as 4
PLACES = re.compile(r"wrong|\d+(-\d+)?(,\d+(-\d+)?)*")


@dataclass(frozen=True, eq=False)
class _Case:
    """A digit to be explained."""

    name: str
    image: NDArray[np.uint8]
    box: tuple[int, ...] | None = None
    label: int | None = None
    contested: bool = False
    refused: bool = False


@dataclass(frozen=True, eq=False)
class _Training:
    """The digits among which the nearest are looked for, with their place in the space."""

    digits: Digits
    rows: NDArray[np.intp]
    points: NDArray[np.float32]
    space: str
    known: bool


def explain(
    model: str | os.PathLike[str] | Model,
    pictures: Given | list[Given] | tuple[Given, ...],
    *,
    output: str | os.PathLike[str] | None = None,
    training: str | os.PathLike[str] | Digits | None = None,
    among: int = AMONG,
    one: bool = False,
    seed: int = 0,
    threads: int | None = None,
    input_scale: str | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Explanations:
    """Explains how `model` reads every digit of `pictures`.

    Parameters
    ----------
    model: a run folder, an `.onnx` file (a foreign one too), a shipped name, or a Model already loaded.
    pictures: one or several of: a picture (path, bytes, PIL image, array), which is cut into digits; digit images
        uint8 (28, 28) or (N, 28, 28); `Digits`; or digits of a source by number, from 0: `mnist:test#247`,
        `train.csv#0,5-9`, `mnist:test#wrong` (the surest mistakes).
    output: a folder for a picture of each digit, `explanation.json` and `report.html`; without it nothing is written.
    training: where the nearest digits are looked for; else what the model says it was trained on, or MNIST.
    among: at most so many of them, evenly spaced.
    one: each picture holds exactly one digit.
    seed: of the random masks.
    threads, input_scale: as for `load_model`.
    say: where talk goes.

    Raises InputError if not one of the pictures can be read, or for unusable training digits; ModelError, OutputError
    (a folder that holds something else) and MissingExtraError (no matplotlib for the figures).
    """
    opened = load_model(model, threads=threads, input_scale=input_scale)
    given = list(pictures) if isinstance(pictures, list | tuple) else [pictures]
    if output is None:
        return _explained(opened, given, training, among, one, seed, say)
    folder = Path(output)
    need_matplotlib(f"{folder / REPORT}")
    from .explain_report import explanation_figure, explanation_report

    # Opened before the work: a folder that holds something else is refused at once.
    with write_whole_folder(folder, mark=RESULT, is_ours=_is_ours) as beside:
        result = _explained(opened, given, training, among, one, seed, say)
        for number, digit in enumerate(result.digits, 1):
            explanation_figure(digit, captioned=True).savefig(beside / f"{number:03}-{digit.answer}.png", dpi=200)
        (beside / RESULT).write_text(json_text(result.as_dict()) + "\n", encoding="utf-8", errors="replace")
        page = explanation_report(result)
        (beside / REPORT).write_text(page, encoding="utf-8", errors="replace")
    return replace(result, output=folder)


def _is_ours(place: PurePath) -> bool:
    return len(place.parts) == 1 and (place.name == REPORT or FIGURE.fullmatch(place.name) is not None)


def _explained(
    model: Model,
    pictures: Sequence[Any],
    training: str | os.PathLike[str] | Digits | None,
    among: int,
    one: bool,
    seed: int,
    say: Callable[[str], None],
) -> Explanations:
    cases: list[_Case] = []
    empty: list[tuple[str, str]] = []
    unread: list[InputError] = []
    for picture in pictures:
        try:
            found, reason = _cases(picture, model, one)
        except InputError as error:
            unread.append(error)
            continue
        cases += found
        if reason:
            empty.append((_name(picture), reason))
    if unread and not cases and not empty:
        raise unread[0]
    near = _training(model, training, among)
    rng = np.random.default_rng(seed)
    digits = []
    for number, case in enumerate(cases, 1):
        if len(cases) > 1:
            say(f"{number} of {len(cases)}: {case.name}")
        digits.append(_explain(case, model, near, rng))
    return Explanations(
        model=model.name,
        input_scale=model.input_scale,
        space=near.space,
        training=near.digits.source,
        among=len(near.digits),
        known=near.known,
        digits=tuple(digits),
        empty=tuple(empty),
        unread=tuple(map(str, unread)),
    )


def _explain(case: _Case, model: Model, near: _Training, rng: np.random.Generator) -> Explanation:
    def answer(images: Images) -> NDArray[np.float32]:
        return model.predict(images).probabilities

    predictions = model.predict(case.image[None], features=True)
    said = int(predictions.labels[0])
    change = smallest_change(case.image, answer)
    point = _points(model, case.image[None])[0][0]
    # The digit itself, where it is one of the training digits, explains nothing.
    others = (near.digits.images != case.image).any(axis=(1, 2))
    places, distances = nearest(point, near.points[others], NEAREST)
    rows = np.flatnonzero(others)[places]
    labels = near.digits.need_labels("name the nearest digits")
    return Explanation(
        name=case.name,
        image=case.image,
        box=case.box,
        label=case.label,
        contested=case.contested,
        probabilities=predictions.probabilities[0],
        novelty=None if predictions.novelty is None else float(predictions.novelty[0]),
        refused=case.refused or _refused(model, case.image),
        occlusion=occlusion(case.image, answer, said),
        random_masks=random_masks(case.image, answer, said, others=near.digits.images, rng=rng),
        nearest=tuple(
            Neighbour(int(near.rows[row]), int(labels[row]), float(distance), near.digits.images[row])
            for row, distance in zip(rows, distances, strict=True)
        ),
        change=change,
        refused_after=change is not None and _refused(model, change.image),
    )


def _refused(model: Model, image: NDArray[np.uint8]) -> bool:
    refused = model.refused(model.predict(image[None]))
    return refused is not None and bool(refused[0])


def _training(model: Model, given: str | os.PathLike[str] | Digits | None, among: int) -> _Training:
    """The training digits as points. They are the model's own where it says so and these can be had."""
    digits = load_digits(_trained_on(model) if given is None else given, part="train")
    digits.need_labels("name the nearest digits")
    hashes = model.training_hashes()
    seen = np.ones(len(digits), bool) if hashes is None else overlap(digits.images, hashes)
    known = hashes is not None and bool(seen.any())
    own = np.flatnonzero(seen) if known else np.arange(len(digits))
    rows = own[np.linspace(0, len(own) - 1, min(len(own), among)).astype(np.intp)]
    chosen = digits.take(rows)
    points, space = _points(model, chosen.images)
    return _Training(chosen, rows, points, space, known)


def _trained_on(model: Model) -> str:
    """The source in the run's `config.json` where it can still be read, else MNIST."""
    try:
        source = json.loads((model.folder / "config.json").read_text("utf-8"))["source"] if model.folder else None
        if isinstance(source, str) and not embedded_parts(source):
            load_digits(source, part="train").need_labels("name the nearest digits")
            return source
    except (OSError, ValueError, KeyError, TypeError, InputError):
        pass
    return "mnist"


def _points(model: Model, images: Images) -> tuple[NDArray[np.float32], str]:
    """Where images lie in the model's own space, float32 (N, D); a foreign model has none to show, so pixels."""
    features = model.predict(images, features=True).features
    if features is None:
        return images.reshape(len(images), SIDE * SIDE).astype(np.float32) / np.float32(255), "pixels"
    return features, "features"


def _cases(given: Any, model: Model, one: bool) -> tuple[list[_Case], str | None]:
    """The digits of one thing given, and why there are none. Raises InputError where it cannot be read."""
    if isinstance(given, Digits):
        return list(_of_digits(given, range(len(given)))), None
    if isinstance(given, np.ndarray) and given.dtype == np.uint8 and given.shape[-2:] == (SIDE, SIDE):
        if given.ndim in (2, 3):
            digits = Digits(given.reshape(-1, SIDE, SIDE))
            return list(_of_digits(digits, range(len(digits)))), None
    elif isinstance(given, str | os.PathLike) and not os.path.lexists(given):
        source, _, places = os.fspath(given).rpartition("#")
        if source and PLACES.fullmatch(places):
            digits = load_digits(source, part="test")
            return list(_of_digits(digits, _rows(digits, places, model))), None
        if embedded_parts(given):
            mend = f"name one: {given}#247, or the wrong ones: {given}#wrong"
            raise InputError(given, "which of its digits?", expected="a number after #", mend=mend)
    return _of_picture(given, model, one)


def _rows(digits: Digits, places: str, model: Model) -> Sequence[int]:
    """The numbers that the part after # stands for, in its order."""
    if places == "wrong":
        labels = digits.need_labels("tell which are wrong")
        said = model.predict(digits.images)
        wrong = np.flatnonzero(said.labels != labels)
        if len(wrong) == 0:
            raise InputError(f"{digits.source}#wrong", "none is wrong", found=f"all {len(digits):,} read correctly")
        surest: list[int] = wrong[np.argsort(-said.confidence[wrong], kind="stable")][:MOST_WRONG].tolist()
        return surest
    rows: list[int] = []
    for part in places.split(","):
        first, _, last = part.partition("-")
        # Compared as they are given: a range of a billion is refused before it is spelt out.
        if max(int(first), int(last or first)) >= len(digits) or int(last or first) < int(first):
            expected = f"0 to {len(digits) - 1}"
            raise InputError(f"{digits.source}#{part}", "no such digit", expected=expected, found=part)
        rows += range(int(first), int(last or first) + 1)
    return rows


def _of_digits(digits: Digits, rows: Sequence[int]) -> Iterator[_Case]:
    disputed = {*CONTESTED_LABELS, *NO_CONSENSUS}
    contested = bool(disputed.intersection(rows)) and is_mnist_test(digits)
    for row in rows:
        yield _Case(
            name=f"{digits.source} no. {row}",
            image=digits.images[row],
            label=None if digits.labels is None else int(digits.labels[row]),
            contested=contested and row in disputed,
        )


def _of_picture(given: Any, model: Model, one: bool) -> tuple[list[_Case], str | None]:
    from ..reader.read import Reader

    reading = Reader(model).read(given, one=one)
    name = reading.file or _name(given)
    if not reading.digits:
        return [], reading.reason or "no digits in it"
    many = len(reading.digits) > 1
    cases = [
        _Case(
            name=f"{name}, sign {number} of {len(reading.digits)}" if many else name,
            image=sign.glyph,
            box=tuple(int(side) for side in sign.box),
            refused=sign.digit is None,
        )
        for number, sign in enumerate(reading.digits, 1)
    ]
    return cases, None


def _name(given: Any) -> str:
    return os.fspath(given) if isinstance(given, str | os.PathLike) else type(given).__name__

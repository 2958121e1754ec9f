"""What readings of pictures whose text is known are worth, and contact sheets of those that went wrong."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from inkdigits.measure import wilson_interval

PANEL = (460, 300)  # pixels: the room for one picture on a contact sheet
MOST_PANELS = 48
GLYPHS = 24  # digit images shown under a picture at most, twice as large as they are


@dataclass(frozen=True, eq=False)
class Case:
    """A picture (a path, or an array), its text, and what it is counted with: its kind, paper, pen and the like."""

    name: str
    picture: Any
    text: str
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Outcome:
    """What was read on a case. reading: the whole Reading, or None from a peer."""

    case: Case
    text: str
    refused: bool = False
    reading: Any = None

    @property
    def right(self) -> bool:
        return self.text == self.case.text


Score = Callable[[Sequence[Outcome]], dict[str, Any]]


def read_cases(read: Callable[..., Any], cases: Iterable[Case], **options: Any) -> list[Outcome]:
    """Every case read by `Reader.read` with these options."""
    outcomes = []
    for case in cases:
        reading = read(case.picture, **options)
        outcomes.append(Outcome(case, reading.text, reading.refused, reading))
    return outcomes


def real_cases(folder: Path) -> tuple[list[Case], list[Case]]:
    """The single digits and the numbers of a folder of real handwriting: `labels.csv` and `numbers/labels.csv`."""
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as table:
        singles = [
            Case(row["file"], folder / row["file"], row["label"], (row["kind"],)) for row in csv.DictReader(table)
        ]
    with (folder / "numbers" / "labels.csv").open(encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table))
    return singles, [Case(row["file"], folder / "numbers" / row["file"], row["label"]) for row in rows]


def share(right: int, n: int) -> dict[str, Any]:
    """A share with its Wilson interval; only n where there is nothing to share."""
    if n == 0:
        return {"n": 0}
    low, high = wilson_interval(right, n)
    return {"n": n, "right": int(right), "accuracy": round(right / n, 4), "interval95": [round(low, 4), round(high, 4)]}


def by_group(outcomes: Sequence[Outcome], score: Score, group_score: Score | None = None) -> dict[str, Any]:
    """The score of all outcomes, and of those of each group, if wanted by another score."""
    groups = sorted({group for outcome in outcomes for group in outcome.case.groups})
    members = {group: [outcome for outcome in outcomes if group in outcome.case.groups] for group in groups}
    return {"all": score(outcomes)} | {group: (group_score or score)(several) for group, several in members.items()}


def whole_texts(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Pictures whose whole text is right."""
    return share(sum(outcome.right for outcome in outcomes), len(outcomes))


def answered(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """With refusal on: how many pictures are answered, and how many of the answers are right."""
    given = [outcome for outcome in outcomes if not outcome.refused]
    return {
        "n": len(outcomes),
        "answered": len(given),
        "answered_share": round(len(given) / max(1, len(outcomes)), 4),
        "of_answered": whole_texts(given),
    }


def refused(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Pictures that are refused, which is what is wanted where there is nothing to read."""
    return share(sum(outcome.refused for outcome in outcomes), len(outcomes))


def numbers(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Written numbers all of whose digits are right: those in the longest row that truth and answer have in common."""
    pairs = [(outcome.case.text.split(), outcome.text.split()) for outcome in outcomes]
    return share(sum(common_length(true, said) for true, said in pairs), sum(len(true) for true, _ in pairs))


def texts(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Pictures all right, numbers all right, and the digit error rate.

    The digit error rate counts the digits put in, left out and changed (Levenshtein 1966) for each digit of the truth;
    a `?` is a changed one.
    """
    pairs = [("".join(outcome.case.text.split()), "".join(outcome.text.split())) for outcome in outcomes]
    digits, wrong = sum(len(true) for true, _ in pairs), sum(edit_distance(true, said) for true, said in pairs)
    rate = {"digits": digits, "digit_error_rate": round(wrong / max(1, digits), 5)}
    return {"pictures": whole_texts(outcomes), "numbers": numbers(outcomes)} | rate


def edit_distance(first: Sequence[Any], second: Sequence[Any]) -> int:
    """How many insertions, deletions and changes turn one sequence into the other."""
    row = list(range(len(second) + 1))
    for i, one in enumerate(first, start=1):
        before, row[0] = row[0], i
        for j, other in enumerate(second, start=1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (one != other))
    return row[-1]


def common_length(first: Sequence[Any], second: Sequence[Any]) -> int:
    """The length of the longest sequence that both contain in this order, not necessarily without gaps."""
    row = [0] * (len(second) + 1)
    for one in first:
        before = 0
        for j, other in enumerate(second, start=1):
            before, row[j] = row[j], before + 1 if one == other else max(row[j], row[j - 1])
    return row[-1]


# Contact sheets


def write_sheet(outcomes: Sequence[Outcome], file: Path) -> None:
    """One picture of the first 48 outcomes: what was read, what is true, and the digit images that the model saw."""
    file.parent.mkdir(parents=True, exist_ok=True)
    shown = outcomes[:MOST_PANELS]
    if not shown:
        file.unlink(missing_ok=True)
        return
    columns = min(4, len(shown))
    rows = -(-len(shown) // columns)
    sheet = Image.new("RGB", (columns * PANEL[0], rows * PANEL[1]), "white")
    for place, outcome in enumerate(shown):
        sheet.paste(_panel(outcome), (place % columns * PANEL[0], place // columns * PANEL[1]))
    sheet.save(file)


def _panel(outcome: Outcome) -> Image.Image:
    panel = Image.new("RGB", PANEL, "white")
    draw, font = ImageDraw.Draw(panel), ImageFont.load_default(13)
    reason = f" ({outcome.reading.reason})" if outcome.refused else ""
    said, true = _differing_lines(outcome)
    draw.text((4, 2), f"{outcome.case.name}: {', '.join(outcome.case.groups)}", "grey", font)
    draw.text((4, 18), f"said {said}{reason}"[:75], "red", font)
    draw.text((4, 34), f"true {true}"[:75], "black", font)
    picture = _opened(outcome.case.picture)
    drawn = ImageDraw.Draw(picture)
    signs = () if outcome.reading is None else outcome.reading.digits
    for sign in signs:
        x, y, width, height = sign.box
        drawn.rectangle([x, y, x + width, y + height], outline=(255, 0, 200), width=max(1, picture.width // 400))
    room = (PANEL[0] - 8, PANEL[1] - 52 - (76 if signs else 0))
    fit = min(room[0] / picture.width, room[1] / picture.height, 4.0)
    size = (max(1, round(picture.width * fit)), max(1, round(picture.height * fit)))
    panel.paste(picture.resize(size, Image.Resampling.LANCZOS if fit < 1 else Image.Resampling.NEAREST), (4, 52))
    for place, sign in enumerate(signs[:GLYPHS]):
        side = 56 if len(signs) <= 7 else 36
        at = (4 + place % 12 * (side + 2), PANEL[1] - 74 + place // 12 * 38)
        panel.paste(Image.fromarray(255 - sign.glyph).resize((side, side)), at)
        label = "?" if sign.digit is None else str(sign.digit)
        draw.text((at[0] + 1, at[1] - 2), label, "red", font)
        if len(signs) <= 7:
            draw.text(
                (at[0], at[1] + 56), f"{sign.confidence:.2f} {sign.novelty:.2f}", "blue", ImageFont.load_default(10)
            )
    return panel


def _differing_lines(outcome: Outcome) -> tuple[str, str]:
    """What was said and what is true; of a page whose lines were found only the lines that differ."""
    said, true = outcome.text.split("\n"), outcome.case.text.split("\n")
    if len(said) == len(true) and not outcome.right:
        said, true = zip(*[pair for pair in zip(said, true, strict=True) if pair[0] != pair[1]], strict=True)
    return " / ".join(said), " / ".join(true)


def _opened(picture: Any) -> Image.Image:
    if isinstance(picture, np.ndarray):
        return Image.fromarray(picture).convert("RGB")
    with Image.open(picture) as opened:
        return opened.convert("RGB")

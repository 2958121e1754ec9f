"""Pictures of handwriting whose text is known: MNIST digits drawn large on paper and photographed.

    $ .venv/bin/python benchmarks/compose.py pages --count 20 --seed 1 --digits development -o work/pages

Kinds: `singles` (one digit), `numbers` (one number of 3–8 digits), `pages` (several lines of one to three numbers) and
`nothing` (blank paper, noise, textures and scribbles, in which there is nothing to read). The digits are those of
MNIST's test part, without the fifteen on whose label people do not agree, or, to develop with, the last 5,000 of its
training part. A picture depends only on its kind, its place in the row and the seed.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from paper import PAPERS, SHADOWS, Floats, Generator, clouds, make_light, make_paper, photograph
from PIL import Image
from scipy import ndimage
from strokes import HEIGHT, PENS, Hand, draw_digit, lay_ink, scribble, take_hand

from inkdigits.digits.dataset import Digits
from inkdigits.digits.mnist import CONTESTED_LABELS, NO_CONSENSUS, load_mnist

KINDS = ("singles", "numbers", "pages", "nothing")
PLAIN = ("white", "yellow", "grey", "brown")  # papers without rules
DEVELOPMENT = 5_000  # digits at the end of MNIST's training part
CONTACT = 0.3  # of a digit's height: touching neighbours come near one another in one place, no longer than this
TIGHT = (0.09, 0.25)  # of a digit's height: paper between neighbours where some touch, or wide gaps would part numbers
WIDE = (0.25, 0.7)
NEAR = 0.05  # of a digit's height; two strokes nearer than that look as one when blurred


@dataclass(frozen=True, eq=False)
class Composed:
    """A picture whose text is known.

    Attributes
    ----------
    pixels: uint8 (H, W, 3).
    text: its digits as `inkdigits read` writes them: a space between numbers, a new line between lines of writing.
    boxes: float (N, 4): x, y, width and height of each digit, in the order of the text.
    touching: how many pairs of neighbours touch.
    name: kind and number in its row; made_of: paper, pen, shadow and the like.
    """

    pixels: NDArray[np.uint8]
    text: str
    boxes: NDArray[np.float64]
    touching: int
    name: str
    made_of: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Written:
    """Ink on a stretch of paper: how much, 0…1 (H, W), and the box x, y, width, height of each digit in it."""

    ink: Floats
    boxes: NDArray[np.float64]
    touching: int = 0


def load_source(digits: str = "test") -> Digits:
    """The digits to write with: MNIST's `test` part, or the `development` part at the end of its training part."""
    if digits == "development":
        return load_mnist("train").take(slice(-DEVELOPMENT, None))
    test = load_mnist("test")
    return test.take(np.setdiff1d(np.arange(len(test)), [*CONTESTED_LABELS, *NO_CONSENSUS]))


def compose(
    kind: str, count: int, source: Digits, *, seed: int = 0, touching: float = 0.2, start: int = 0
) -> Iterator[Composed]:
    """Pictures `start` … `start + count` of one of KINDS.

    touching: the share of neighbours that shall touch in numbers written tightly, which are half of `numbers` and all
    of `pages`; fewer do, since some digits cannot and stay legible.
    """
    made = {"singles": _single, "numbers": _number, "pages": _page, "nothing": _nothing}[kind]
    for index in range(start, start + count):
        rng = np.random.default_rng([seed, KINDS.index(kind), index])
        yield made(rng, source, f"{kind}-{index:04}", touching)


def paste_digit(rng: Generator, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A digit image enlarged by 3 to 9, in the colour of some pen on plain paper, uint8 (H, W, 3); its strokes kept."""
    scale = rng.uniform(3, 9)
    side = round(28 * scale)
    large = Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC)
    frame = rng.integers(0, side, 4)
    ink = np.pad(np.asarray(large, np.float32) / np.float32(255), ((frame[0], frame[1]), (frame[2], frame[3])))
    kind, pen = PLAIN[rng.integers(len(PLAIN))], list(PENS)[rng.integers(len(PENS))]
    sheet = make_paper(rng, ink.shape, kind, pitch=side)
    written = lay_ink(rng, sheet, ink, pen) * make_light(rng, ink.shape, "soft")
    return np.round(np.clip(written, 0, 1) * 255).astype(np.uint8)


def _single(rng: Generator, source: Digits, name: str, _: float) -> Composed:
    hand = take_hand(rng, height=float(np.exp(rng.uniform(np.log(36), np.log(320)))))
    written, text = _write_number(rng, source, hand, length=1, gap=0.0, touching=0.0)
    return _on_paper(rng, [[written]], text, hand, name, margin=(0.18, 1.1), table=0.05)


def _number(rng: Generator, source: Digits, name: str, touching: float) -> Composed:
    hand = take_hand(rng, height=float(np.exp(rng.uniform(np.log(32), np.log(150)))))
    tight, length = bool(rng.random() < 0.5), int(rng.integers(3, 9))
    gap, share = float(rng.uniform(*(TIGHT if tight else WIDE))), touching if tight else 0.0
    written, text = _write_number(rng, source, hand, length=length, gap=gap, touching=share)
    return _on_paper(rng, [[written]], text, hand, name, margin=(0.35, 1.3), table=0.2)


def _page(rng: Generator, source: Digits, name: str, touching: float) -> Composed:
    hand = take_hand(rng, height=float(np.exp(rng.uniform(np.log(32), np.log(80)))))
    gap, lines, texts = float(rng.uniform(*TIGHT)), [], []
    for _ in range(rng.integers(2, 9)):
        numbers = [
            _write_number(rng, source, hand, length=int(rng.integers(2, 8)), gap=gap, touching=touching)
            for _ in range(rng.integers(1, 4))
        ]
        lines.append([written for written, _ in numbers])
        texts.append(" ".join(text for _, text in numbers))
    return _on_paper(rng, lines, "\n".join(texts), hand, name, margin=(0.8, 2.2), table=0.7)


# Numbers and lines


def _write_number(
    rng: Generator, source: Digits, hand: Hand, *, length: int, gap: float, touching: float
) -> tuple[Written, str]:
    """A number of `length` digits, and its text. gap: paper between neighbours, in heights; touching: which share."""
    chosen = rng.integers(len(source), size=length)
    text = "".join(str(label) for label in source.need_labels("write them")[chosen])
    digits = [draw_digit(rng, source.images[index], hand) for index in chosen]
    tops, lefts, joined = [], [], 0
    for place, digit in enumerate(digits):
        drift = 0.07 * hand.wobble * rng.uniform(-1, 1) * hand.height
        # A digit lower than the others hangs half-way between the baseline and their middle.
        tops.append(drift - digit.shape[0] - max(0.0, hand.height - digit.shape[0]) * 0.3)
        if place == 0:
            lefts.append(0.0)
            continue
        room, overlap = _clearances(digits[place - 1], tops[-2], digit, tops[-1], hand)
        after = lefts[-1] + digits[place - 1].shape[1]
        if rng.random() < touching and overlap is not None:
            lefts.append(after - overlap)
            joined += 1
        else:
            paper = max(gap * rng.uniform(0.6, 1.4), TIGHT[0]) * hand.height
            lefts.append(max(after - room, lefts[-1] + 0.1 * hand.height) + paper)
    return _join(list(zip(digits, lefts, tops, strict=True)), joined), text


def _clearances(
    left: Floats, left_top: float, right: Floats, right_top: float, hand: Hand
) -> tuple[float, float | None]:
    """How far the box of the right digit may be pushed into that of the left one, in pixels.

    First until their inks are about to come near one another; then until they touch, or None where they would lie side
    by side over such a length, or in two places, that nobody could tell them apart.
    """
    shift = round(right_top - left_top)
    height = max(left.shape[0], shift + right.shape[0]) - min(0, shift)
    begin = max(0, -shift)
    end_of_left, start_of_right = np.full(height, -np.inf), np.full(height, np.inf)
    for edge, ink, top in ((end_of_left, left, begin), (start_of_right, right, begin + shift)):
        dark = ink > 0.4
        rows = np.nonzero(dark.any(axis=1))[0]
        if edge is end_of_left:
            edge[top + rows] = dark.shape[1] - 1 - dark[rows, ::-1].argmax(axis=1) - dark.shape[1]
        else:
            edge[top + rows] = dark[rows].argmax(axis=1)
    reach = 2 * round(0.06 * hand.height) + 1  # inks above one another come near one another as well
    room = float((ndimage.minimum_filter1d(start_of_right, reach) - ndimage.maximum_filter1d(end_of_left, reach)).min())
    nearest = float((start_of_right - end_of_left).min())
    limit = 0.4 * min(left.shape[1], right.shape[1])
    depth = 0.45 * hand.stroke / HEIGHT * hand.height
    overlap = nearest + depth
    meeting = np.nonzero(start_of_right - end_of_left < overlap + NEAR * hand.height)[0]
    legible = len(meeting) and np.ptp(meeting) < CONTACT * hand.height and overlap <= limit / 2 + depth
    return min(room if np.isfinite(room) else limit, limit), (overlap if legible else None)


def _join(pieces: list[tuple[Floats, float, float]], touching: int = 0) -> Written:
    """Pieces of ink, each with its left and top, on one stretch of paper just large enough."""
    left, top = min(x for _, x, _ in pieces), min(y for _, _, y in pieces)
    placed = [(ink, round(x - left), round(y - top)) for ink, x, y in pieces]
    height, width = (max(at[axis] + at[0].shape[2 - axis] for at in placed) for axis in (2, 1))
    ink, boxes = np.zeros((height, width), np.float32), []
    for piece, x, y in placed:
        window = ink[y : y + piece.shape[0], x : x + piece.shape[1]]
        np.maximum(window, piece, out=window)
        boxes.append((x, y, piece.shape[1], piece.shape[0]))
    return Written(ink, np.array(boxes, np.float64), touching)


def _on_paper(
    rng: Generator,
    lines: list[list[Written]],
    text: str,
    hand: Hand,
    name: str,
    *,
    margin: tuple[float, float],
    table: float,
) -> Composed:
    """Lines of numbers written on a sheet and photographed.

    margin: paper around the writing, in heights, from … to; table: how often the table is seen around the sheet.
    """
    kind, shadow = list(PAPERS)[rng.integers(len(PAPERS))], SHADOWS[rng.integers(len(SHADOWS))]
    pitch = hand.height * rng.uniform(1.6, 2.3)
    left, top, right, bottom = rng.uniform(*margin, 4) * hand.height
    placed, boxes, touching = [], [], 0
    for row, numbers in enumerate(lines):
        x, baseline = left + rng.uniform(0, 0.8) * hand.height * (len(lines) > 1), top + hand.height + row * pitch
        for number in numbers:
            y = baseline - number.ink.shape[0] + 0.05 * hand.height * hand.wobble * rng.uniform(-1, 1)
            placed.append((number.ink, x, y))
            boxes.append(number.boxes + np.array([round(x), round(y), 0, 0]))
            touching += number.touching
            x += number.ink.shape[1] + rng.uniform(1.2, 2.4) * hand.height
    height = int(max(y + ink.shape[0] for ink, _, y in placed) + bottom)
    width = int(max(x + ink.shape[1] for ink, x, _ in placed) + right)
    ink = np.zeros((height, width), np.float32)
    for piece, x, y in placed:
        window = ink[round(y) : round(y) + piece.shape[0], round(x) : round(x) + piece.shape[1]]
        np.maximum(window, piece, out=window)

    rules = pitch if kind == "lined" else pitch * rng.choice([0.5, 0.5, 0.34, 1.0])
    sheet = make_paper(rng, (height, width), kind, pitch=rules, start=top + rng.uniform(1.02, 1.14) * hand.height)
    sheet = lay_ink(rng, sheet, ink, hand.pen)
    flat = np.concatenate(boxes)
    corners = flat[:, None, :2] + np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * flat[:, None, 2:]
    on_table = bool(rng.random() < table)
    # Near a close frame nothing of the writing may be turned or tilted out of the picture.
    free = 1.0 if on_table else min(1.0, 2.2 * min(left, top, right, bottom) / max(height, width))
    photo = photograph(
        rng,
        sheet,
        corners.reshape(-1, 2),
        shadow=shadow,
        tilt=0.05 * free,
        turn=0.06 * free,
        table=on_table,
        softness=rng.uniform(0.35, max(0.6, 0.013 * hand.height)),
    )
    spots = photo.points.reshape(-1, 4, 2)
    low, high = spots.min(axis=1), spots.max(axis=1)
    made_of = (f"{kind} paper", hand.pen, f"{shadow} shadow", "table" if on_table else "close")
    return Composed(photo.pixels, text, np.hstack([low, high - low]), touching, name, made_of)


# Pictures with nothing to read


def _nothing(rng: Generator, source: Digits, name: str, _: float) -> Composed:
    del source
    shape = (int(rng.integers(90, 520)), int(rng.integers(90, 520)))
    what = ("blank paper", "noise", "texture", "scribble")[rng.integers(4)]
    shadow = SHADOWS[rng.integers(len(SHADOWS))]
    if what == "noise":
        grain = float(np.exp(rng.uniform(0, np.log(12))))
        grey = np.stack([clouds(rng, shape, grain) for _ in range(3 if rng.random() < 0.5 else 1)], axis=-1)
        sheet = np.clip(0.5 + rng.uniform(0.08, 0.3) * grey, 0, 1) * np.ones(3, np.float32)
    elif what == "texture":
        sheet = _texture(rng, shape)
    else:
        kind = list(PAPERS)[rng.integers(len(PAPERS))]
        sheet = make_paper(rng, shape, kind, pitch=rng.uniform(24, 90), start=rng.uniform(0, 40))
        if what == "scribble":
            sheet = lay_ink(rng, sheet, scribble(rng, shape), list(PENS)[rng.integers(len(PENS))])
    sheet = sheet.astype(np.float32)
    photo = photograph(rng, sheet, np.zeros((0, 2)), shadow=shadow, softness=rng.uniform(0.4, 1.0))
    return Composed(photo.pixels, "", np.zeros((0, 4)), 0, name, (what, f"{shadow} shadow"))


def _texture(rng: Generator, shape: tuple[int, int]) -> Floats:
    """Cloth, boards or marble (H, W, 3): a pattern all over, with nothing written on it."""
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    angle, pitch = rng.uniform(0, np.pi), rng.uniform(5, 40)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    bent = along + rng.uniform(0, 1.5) * pitch * clouds(rng, shape, 60.0)
    pattern = (
        np.sin(2 * np.pi * bent / pitch),
        np.sin(2 * np.pi * along / pitch) * np.sin(2 * np.pi * across / pitch),
        np.abs(clouds(rng, shape, pitch * 2)) - 1,
    )[rng.integers(3)]
    first, second = rng.uniform(0.25, 0.9, (2, 3)).astype(np.float32)
    share = (0.5 + 0.5 * np.clip(pattern, -1, 1))[..., None]
    cloth: Floats = first * share + second * (1 - share) + 0.01 * clouds(rng, shape, 1.2)[..., None]
    return cloth


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--start", type=int, default=0, help="the first picture of the row")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--digits", choices=["test", "development"], default="test")
    parser.add_argument("--touching", type=float, default=0.2, help="the share of neighbours that shall touch")
    parser.add_argument("-o", "--folder", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    source = load_source(arguments.digits)
    pictures = compose(
        arguments.kind,
        arguments.count,
        source,
        seed=arguments.seed,
        touching=arguments.touching,
        start=arguments.start,
    )
    with (arguments.folder / "labels.csv").open("w", newline="", encoding="utf-8") as table:
        rows = csv.writer(table)
        rows.writerow(["file", "label", "touching", "made of"])
        for picture in pictures:
            Image.fromarray(picture.pixels).save(arguments.folder / f"{picture.name}.png")
            rows.writerow([f"{picture.name}.png", picture.text, picture.touching, ", ".join(picture.made_of)])


if __name__ == "__main__":
    main()

"""What was read, drawn: the picture with a box and an answer for each digit, and below it what the model saw of each.

    $ inkdigits read note.jpg --annotate drawn
    $ open drawn/note-read.png

Made to be looked at on a telephone: at a quarter of its width all but the smallest lettering is still legible.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

from ..ink.picture import Picture

if TYPE_CHECKING:
    from .read import ReadDigit, Reading

LARGEST = 1_600  # pixels of the longer side of the picture
SMALLEST = 640  # … to which a small one is enlarged
NARROWEST = 800  # pixels of the whole sheet
MOST_ENLARGED = 24  # times
MOST_LINES = 6  # of the text above the picture; the rest is in the cards
COLUMNS = ((2, 2), (12, 3), (40, 4))  # cards in a row up to so many digits …
MOST_COLUMNS = 5  # … and for more
MARGIN = 1 / 12  # of a box, shown around it in its card

# The colours of the reports. Blue and orange differ for colour-blind eyes too, and a refused digit is a “?” besides.
INK, MUTED, RULE, PAPER = "#1d1c1a", "#6b665f", "#dcd7ce", "#fffefb"
ANSWERED, REFUSED = "#0b66a8", "#c4500c"

Box = tuple[float, float, float, float]  # left, top, right, bottom


def annotate(picture: Picture, reading: Reading) -> Image.Image:
    """A picture and what was read on it as one RGB image, 800 to 1,600 pixels wide."""
    photo = Image.fromarray(picture.pixels).convert("RGB")
    longer = max(photo.size)
    scale = LARGEST / longer if longer > LARGEST else min(max(SMALLEST / longer, 1), MOST_ENLARGED)
    size = max(1, round(photo.width * scale)), max(1, round(photo.height * scale))
    shown = photo.resize(size, Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.BICUBIC)
    boxes = [_box(digit, scale / picture.shrunk) for digit in reading.digits]
    _draw_boxes(shown, boxes, reading)

    width = max(shown.width, NARROWEST)
    gap = width // 50
    head = _head(reading, width, gap)
    cards = _cards(photo, picture.shrunk, reading, width, gap)
    sheet = Image.new("RGB", (width, head.height + shown.height + cards.height), PAPER)
    sheet.paste(head, (0, 0))
    sheet.paste(shown, ((width - shown.width) // 2, head.height))
    sheet.paste(cards, (0, head.height + shown.height))
    return sheet


def _box(digit: ReadDigit, scale: float) -> Box:
    left, top, width, height = (value * scale for value in digit.box)
    return left, top, left + width, top + height


def _colour(digit: ReadDigit, reading: Reading) -> str:
    """That of refusal for the digits for which the picture was refused; where none of them is named, for all."""
    unnamed = reading.refused and all(each.digit is not None for each in reading.digits)
    return REFUSED if digit.digit is None or unnamed else ANSWERED


def _answer(digit: ReadDigit) -> str:
    return "?" if digit.digit is None else str(digit.digit)


def _draw_boxes(shown: Image.Image, boxes: list[Box], reading: Reading) -> None:
    """Boxes with a bright rim, so that they show on dark ground, and each answer on a tag at its upper left corner."""
    draw = ImageDraw.Draw(shown)
    line = max(2, round(max(shown.size) / 400))
    for digit, (left, top, right, bottom) in zip(reading.digits, boxes, strict=True):
        outer = left - 3 * line, top - 3 * line, right + 3 * line, bottom + 3 * line
        draw.rectangle(outer, outline=PAPER, width=3 * line)
        draw.rectangle(
            (outer[0] + line, outer[1] + line, outer[2] - line, outer[3] - line),
            outline=_colour(digit, reading),
            width=line,
        )
    for digit, (left, top, _, bottom) in zip(reading.digits, boxes, strict=True):
        size = max(14, min(max(shown.size) / 28, 0.5 * (bottom - top)))
        font = _font(size)
        tag = round(size), round(size * 1.25)
        x = min(max(left - 3 * line, 0), shown.width - tag[0])
        y = max(top - 3 * line - tag[1], 0)
        draw.rectangle((x, y, x + tag[0], y + tag[1]), fill=_colour(digit, reading))
        draw.text((x + tag[0] / 2, y + tag[1] / 2), _answer(digit), fill=PAPER, font=font, anchor="mm")


def _head(reading: Reading, width: int, gap: int) -> Image.Image:
    """The text as large as it fits, and why it was refused."""
    lines = [(line, INK, 1.0) for line in reading.text.split("\n")[:MOST_LINES] if line]
    if reading.text.count("\n") >= MOST_LINES:
        lines.append(("…", INK, 1.0))
    if reading.refused:
        lines.append((f"refused: {reading.reason}", REFUSED, 0.7))
    base = width / (14 if len(lines) < 3 else 20)
    fonts = [_fitting(text, base * share, width - 2 * gap) for text, _, share in lines]
    height = sum(round(font.size * 1.3) for font in fonts) + 2 * gap
    head = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(head)
    y = gap
    for (text, colour, _), font in zip(lines, fonts, strict=True):
        draw.text((gap, y + font.size * 0.65), text, fill=colour, font=font, anchor="lm")
        y += round(font.size * 1.3)
    return head


@dataclass(frozen=True)
class _Card:
    """The measures of a card, in pixels."""

    width: int
    padding: int
    tile: int
    height: int


def _cards(photo: Image.Image, shrunk: int, reading: Reading, width: int, gap: int) -> Image.Image:
    """A card for each digit, in the order of reading: its place on the picture, what the model saw, what it says."""
    count = len(reading.digits)
    columns = next((columns for most, columns in COLUMNS if count <= most), MOST_COLUMNS)
    rows = -(-count // columns)
    card_width = (width - gap * (columns + 1)) // columns
    padding = card_width // 30
    tile = (card_width - 3 * padding) // 2
    card = _Card(card_width, padding, tile, padding * 3 + tile + round(card_width * 0.47))
    sheet = Image.new("RGB", (width, rows * (card.height + gap) + (gap if rows else 0)), PAPER)
    for place, digit in enumerate(reading.digits):
        x = gap + place % columns * (card.width + gap)
        y = gap + place // columns * (card.height + gap)
        sheet.paste(_card(card, photo, _box(digit, 1 / shrunk), digit, _colour(digit, reading)), (x, y))
    return sheet


def _card(card: _Card, photo: Image.Image, box: Box, digit: ReadDigit, colour: str) -> Image.Image:
    sheet = Image.new("RGB", (card.width, card.height), "white")
    draw = ImageDraw.Draw(sheet)
    draw.rectangle((0, 0, card.width - 1, card.height - 1), outline=RULE, width=max(1, card.padding // 4))
    sheet.paste(_cut_out(photo, box, card.tile), (card.padding, card.padding))
    glyph = Image.fromarray(255 - digit.glyph).resize((card.tile, card.tile), Image.Resampling.NEAREST)
    right = 2 * card.padding + card.tile
    sheet.paste(glyph.convert("RGB"), (right, card.padding))
    draw.rectangle((right, card.padding, right + card.tile, card.padding + card.tile), outline=RULE)

    order = sorted(range(10), key=lambda label: -digit.probabilities[label])
    likely, second = order[0], order[1]
    lines = [
        f"{_percent(digit.probabilities[likely])} sure" if digit.digit is not None else f"perhaps {likely}",
        f"or {second}, {_percent(digit.probabilities[second])}",
        f"novelty {digit.novelty:.2f}",
    ]
    top = 2 * card.padding + card.tile
    middle = top + (card.height - top) // 2
    draw.text((card.padding * 2 + card.width * 0.1, middle), _answer(digit), fill=colour,
              font=_font(card.width * 0.36), anchor="mm")  # fmt: skip
    left = card.width * 0.3
    for number, (line, ink) in enumerate(zip(lines, (INK, MUTED, MUTED), strict=True)):
        font = _fitting(line, card.width * 0.115, card.width - left - card.padding)
        draw.text((left, middle + (number - 1) * card.width * 0.14), line, fill=ink, font=font, anchor="lm")
    return sheet


def _cut_out(photo: Image.Image, box: Box, side: int) -> Image.Image:
    """The picture around a box as a square of `side` pixels; what lies outside the picture is paper."""
    left, top, right, bottom = box
    half = max(right - left, bottom - top, 1) * (0.5 + MARGIN)
    x, y = (left + right) / 2, (top + bottom) / 2
    place = round(x - half), round(y - half), round(x + half), round(y + half)
    inside = max(place[0], 0), max(place[1], 0), min(place[2], photo.width), min(place[3], photo.height)
    square = Image.new("RGB", (max(place[2] - place[0], 1), max(place[3] - place[1], 1)), RULE)
    if inside[0] < inside[2] and inside[1] < inside[3]:
        square.paste(photo.crop(inside), (inside[0] - place[0], inside[1] - place[1]))
    return square.resize((side, side), Image.Resampling.BICUBIC)


def _percent(share: float) -> str:
    if share >= 0.9995:
        return "> 99.9 %"
    return "< 0.1 %" if share < 0.0005 else f"{100 * share:.1f} %"


def _fitting(text: str, size: float, width: float) -> ImageFont.FreeTypeFont:
    """The font at this size in pixels, or smaller so that the text is at most `width` wide."""
    length = _font(size).getlength(text)
    return _font(size if length <= width else size * width / length)


def _font(size: float) -> ImageFont.FreeTypeFont:
    # Pillow carries this font itself, so that the result is the same on every machine.
    font = ImageFont.load_default(max(8.0, size))
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font

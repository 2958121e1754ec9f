"""Lay the pictures of the page, of a photograph that was read and of the map side by side, for the top of README.

$ .venv/bin/python docs/collage.py
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image

IMAGES = Path(__file__).resolve().parent / "images"
PAPER = "#fffefb"
LEFT, RIGHT, GAP = 701, 559, 20  # pixels, with which both columns are as high
PHOTO, SIGNS = (80, 188, 720, 608), (16, 624, 784, 1009)  # where they are on read.png


def main() -> None:
    read, serve, explore = (Image.open(IMAGES / f"{name}.png").convert("RGB") for name in ("read", "serve", "explore"))
    columns = [
        [_wide(read.crop(PHOTO), LEFT), _wide(serve, LEFT)],
        [_wide(explore, RIGHT), _wide(read.crop(SIGNS), RIGHT)],
    ]
    height = max(sum(part.height for part in column) + GAP for column in columns)
    sheet = Image.new("RGB", (LEFT + GAP + RIGHT, height), PAPER)
    for left, column in zip((0, LEFT + GAP), columns, strict=True):
        first, second = column
        sheet.paste(first, (left, 0))
        sheet.paste(second, (left, height - second.height))
    sheet.save(IMAGES / "overview.jpg", quality=88, optimize=True)


def _wide(picture: Image.Image, width: int) -> Image.Image:
    return picture.resize((width, round(picture.height * width / picture.width)), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    main()

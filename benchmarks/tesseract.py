"""Tesseract, the best known free text recogniser, told that there are only digits: a peer for benchmarks/reader.py.

It is made for print; where it stands on handwriting shows what people get who use what is at hand. Needs the program
`tesseract` (Debian: tesseract-ocr).
"""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Iterable

import numpy as np
from PIL import Image
from reading import Case, Outcome

# Its page segmentation modes; on single digits "a word" does better for it than "a character".
ONE_DIGIT, ONE_LINE, ONE_BLOCK = "8", "7", "6"
BORDER = 20  # pixels of paper that its manual asks for around the writing


def version() -> str | None:
    """What it calls itself, or None where it is not installed."""
    if shutil.which("tesseract") is None:
        return None
    said = subprocess.run(["tesseract", "--version"], capture_output=True, text=True, check=True)
    return (said.stdout or said.stderr).splitlines()[0]


def read(cases: Iterable[Case], mode: str) -> list[Outcome]:
    """What it reads on each case; a picture on which it finds nothing counts as refused."""
    command = ["tesseract", "stdin", "stdout", "--psm", mode, "-c", "tessedit_char_whitelist=0123456789"]
    outcomes = []
    for case in cases:
        answer = subprocess.run(command, input=_png(case), capture_output=True, check=False)
        lines = answer.stdout.decode("utf-8", "replace").split("\n")
        text = "\n".join(" ".join(line.split()) for line in lines if line.strip())
        outcomes.append(Outcome(case, text, refused=not text))
    return outcomes


def _png(case: Case) -> bytes:
    """The picture with a margin in the colour of its border, enlarged where it is smaller than its manual asks for."""
    picture = case.picture
    opened = Image.fromarray(picture) if isinstance(picture, np.ndarray) else Image.open(picture)
    pixels = np.asarray(opened.convert("RGB"))
    edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    wide = Image.new(
        "RGB",
        (opened.width + 2 * BORDER, opened.height + 2 * BORDER),
        tuple(np.median(edge, axis=0).astype(int).tolist()),
    )
    wide.paste(Image.fromarray(pixels), (BORDER, BORDER))
    if opened.height < 60:
        wide = wide.resize((wide.width * 3, wide.height * 3), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    wide.save(file, "PNG")
    return file.getvalue()

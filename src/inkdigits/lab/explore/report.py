"""The page of an exploration, and its figures as files of their own.

$ inkdigits explore -o space
$ open space/report.html
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from html import escape
from pathlib import Path

from PIL import Image

from ..report import Section, counted, page, plot, prose
from .chapter import Part, Picture, Plate
from .explore import FIGURES, REPORT, Exploration

DOTS = 200  # an inch, of figures as PNG
QUALITY = 85  # of maps within the page; the files are exact


def write_report(found: Exploration, folder: Path) -> None:
    """Writes `report.html` and `figures/` into a folder."""
    (folder / FIGURES).mkdir()
    for results in found.results.values():
        for result in results:
            if result.part:
                _write_figures(result.part, folder / FIGURES)
    (folder / REPORT).write_text(exploration_report(found), encoding="utf-8", errors="replace")


def exploration_report(found: Exploration) -> str:
    """The page as HTML."""
    sample = "" if found.n == found.total else f", a sample of {found.total:,}"
    lead = prose(f"{counted(found.n, 'digit')} of {found.source}{sample}.", kind="quiet")
    lead += "<ul>" + "".join(f"<li>{escape(_sentence(line))}</li>" for line in found.said()) + "</ul>"
    sections = [
        Section(chapter, found.headings[chapter], "\n".join(_html(found, chapter))) for chapter in found.results
    ]
    return page(f"The space of digits: {found.source}", lead=lead, sections=sections)


def _sentence(line: str) -> str:
    return line[0].upper() + line[1:] + ("" if line.endswith(".") else ".")


def _html(found: Exploration, chapter: str) -> Iterator[str]:
    for result in found.results[chapter]:
        if result.part is None:
            yield prose(result.skipped or f"This part broke ({result.failed}).", kind="warning")
            continue
        for block in result.part.blocks:
            if isinstance(block, Plate):
                yield plot(block.figure, block.name, alt=block.alt, caption=block.caption)
            elif isinstance(block, Picture):
                yield _picture(block)
            else:
                yield block


def _picture(picture: Picture) -> str:
    buffer = io.BytesIO()
    Image.fromarray(picture.image).save(buffer, "WEBP", quality=QUALITY)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    height, width = picture.image.shape[:2]
    return (
        f'<figure class="plot"><img src="data:image/webp;base64,{data}" alt="{escape(picture.alt)}" '
        f'width="{width}" height="{height}"><figcaption>{escape(picture.caption)}</figcaption></figure>'
    )


def _write_figures(part: Part, folder: Path) -> None:
    for block in part.blocks:
        if isinstance(block, Plate):
            block.figure.savefig(folder / f"{block.name}.svg", facecolor="white")
            block.figure.savefig(folder / f"{block.name}.png", facecolor="white", dpi=DOTS)
        elif isinstance(block, Picture):
            Image.fromarray(block.image).save(folder / f"{block.name}.png")

"""The page of an exploration, and its figures as files of their own.

$ inkdigits explore -o space
$ open space/report.html
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from PIL import Image

from ..report import Section, counted, page, plain_text, plot_of, prose, side_by_side, terms
from .answers import answers
from .chapter import Picture, Plate
from .exploration import FIGURES, REPORT, Exploration, Result

DOTS = 200  # an inch, of figures as PNG
QUALITY = 85  # of maps within the page; the files are exact


def write_report(found: Exploration, folder: Path) -> None:
    """Writes `report.html` and `figures/` into a folder."""
    (folder / FIGURES).mkdir()
    for name, block in _plates(found):
        if isinstance(block, Plate):
            alone = block.svg.replace("<svg ", '<svg style="background: white" ', 1)
            (folder / FIGURES / f"{name}.svg").write_text(alone, encoding="utf-8")
            block.figure.savefig(folder / FIGURES / f"{name}.png", facecolor="white", dpi=DOTS)
        else:
            Image.fromarray(block.image).save(folder / FIGURES / f"{name}.png")
    (folder / REPORT).write_text(exploration_report(found), encoding="utf-8", errors="replace")


def exploration_report(found: Exploration) -> str:
    """The page as HTML."""
    sample = "" if found.n == found.total else f", a sample of its {found.total:,}"
    lead = prose(f"{counted(found.n, 'digit')} of {found.source}{sample}.", kind="quiet")
    lead += terms(answers(found.as_dict()["findings"]))
    first = [block for _, block in _plates(found) if isinstance(block, Picture) and block.first]
    lead += "\n".join(map(_picture, first))
    sections = [
        Section(chapter, found.headings[chapter], "\n".join(_html(results)))
        for chapter, results in found.results.items()
    ]
    return page(f"The space of digits: {found.source}", lead=lead, sections=sections)


def _html(results: Sequence[Result]) -> Iterator[str]:
    told: set[str] = set()
    for result in results:
        if result.part is None:
            why = result.skipped or f"This part broke ({result.failed})."
            if why not in told:
                yield prose(why, kind="quiet" if result.skipped else "warning")
            told.add(why)
            continue
        for block in result.part.blocks:
            if isinstance(block, tuple):
                yield side_by_side(*map(_block, block))
            elif not (isinstance(block, Picture) and block.first):
                yield _block(block)


def _block(block: str | Plate | Picture) -> str:
    if isinstance(block, Plate):
        size = block.figure.get_size_inches()
        return plot_of(block.svg, block.name, size=size, alt=block.alt, caption=block.caption)
    return _picture(block) if isinstance(block, Picture) else block


def _plates(found: Exploration) -> Iterator[tuple[str, Plate | Picture]]:
    """All figures of the page, by name."""
    for results in found.results.values():
        for result in results:
            for block in result.part.blocks if result.part else ():
                for one in block if isinstance(block, tuple) else (block,):
                    if not isinstance(one, str):
                        yield one.name, one


def _picture(picture: Picture) -> str:
    buffer = io.BytesIO()
    Image.fromarray(picture.image).save(buffer, "WEBP", quality=QUALITY)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    height, width = picture.image.shape[:2]
    return (
        f'<figure class="plot"><img src="data:image/webp;base64,{data}" alt="{escape(picture.alt)}" '
        f'width="{width}" height="{height}"><figcaption>{plain_text(picture.caption)}</figcaption></figure>'
    )

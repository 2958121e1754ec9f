"""One self-contained page for people: sections, figures as SVG, digits as small pictures, tables. No network or script.

Every report of the lab is made of these parts; what is in it is decided by the verb that writes it.

    >>> page("Nothing yet", lead="", sections=[Section("hello", "Hello", prose("A first sentence."))])[:15]
    '<!doctype html>'

Figures take their colours from this module. In the page these turn into the page's own colours, so that a figure is
as legible in the dark as in the light.
"""

from __future__ import annotations

import base64
import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources
from importlib.util import find_spec
from string import Template
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import MissingExtraError

# Blue and orange of equal weight, told apart by every kind of colour vision (after Okabe & Ito 2008).
INK, MUTED, RULE, PAPER = "#1d1c1a", "#6b665f", "#dcd7ce", "#fffefb"
BLUE, ORANGE = "#0b66a8", "#c4500c"
_IN_THE_PAGE = {INK: "ink", MUTED: "muted", RULE: "rule", PAPER: "paper", BLUE: "blue", ORANGE: "orange"}

LONGEST_SETTING = 40  # characters; a hash is told by its first twelve
FIGURE_WIDTH = 4.6  # inches: 440 px on a screen, and text still 10 px high where a phone shrinks it to 330


@dataclass(frozen=True)
class Section:
    """A part of the page: `ident` for links to it, its heading, and its content as HTML."""

    ident: str
    heading: str
    html: str


@dataclass(frozen=True)
class Tile:
    """A digit in a gallery.

    image: uint8 (28, 28), 0 = paper, 255 = ink; alt: what a screen reader says; title, lines: plain text under it;
    sure: 0…1 for the bar, or None; mark: a word set off from the rest, such as "contested".
    """

    image: NDArray[np.uint8]
    alt: str
    title: str
    lines: tuple[str, ...] = ()
    sure: float | None = None
    mark: str | None = None


@dataclass(frozen=True)
class Strip:
    """A row of digits with what they have in common.

    images: uint8 (K, 28, 28), 0 = paper, 255 = ink; alt: what a screen reader says; title, figure, lines: plain text
    beside it, the figure on the right; mark: as in a Tile.
    """

    images: NDArray[np.uint8]
    alt: str
    title: str
    figure: str
    lines: tuple[str, ...] = ()
    mark: str | None = None


def page(title: str, *, lead: str, sections: Sequence[Section]) -> str:
    """The whole document: title, a lead (HTML), links to the sections, the sections."""
    links = " ".join(f'<a href="#{s.ident}">{escape(s.heading)}</a>' for s in sections)
    body = "\n".join(f'<section id="{s.ident}">\n<h2>{escape(s.heading)}</h2>\n{s.html}\n</section>' for s in sections)
    skeleton = resources.files(__package__).joinpath("report.html").read_text("utf-8")
    return Template(skeleton).substitute(title=escape(title), lead=lead, links=links, body=body)


def prose(*sentences: str, kind: str | None = None) -> str:
    """A paragraph of plain sentences; the empty ones are left out."""
    start = f'<p class="{kind}">' if kind else "<p>"
    return start + plain_text(" ".join(filter(None, sentences))) + "</p>"


def plain_text(plain: str) -> str:
    """Plain text as HTML; a number stays on the line of its per cent sign."""
    return escape(plain).replace(" %", "&nbsp;%")


def subheading(text: str) -> str:
    return f"<h3>{escape(text)}</h3>"


def side_by_side(*parts: str) -> str:
    """Parts next to each other where there is room, below each other on a phone."""
    return '<div class="beside">\n' + "\n".join(filter(None, parts)) + "\n</div>"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, caption: str) -> str:
    """A table of plain text; the first column is text, the others are numbers and stand to the right."""
    lines = [
        '<div class="scroll" tabindex="0"><table>',
        f"<caption><p>{plain_text(caption)}</p></caption>",
        "<thead><tr>",
    ]
    lines += [f'<th scope="col">{escape(cell)}</th>' for cell in head]
    lines.append("</tr></thead>\n<tbody>")
    for first, *others in rows:
        cells = "".join(f"<td>{escape(cell)}</td>" for cell in others)
        lines.append(f'<tr><th scope="row">{escape(first)}</th>{cells}</tr>')
    return "\n".join([*lines, "</tbody></table></div>"])


def settings(values: dict[str, Any]) -> str:
    """Settings as a list of names and values; nested ones are named `outer.inner`."""
    rows = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>\n" for name, value in _flattened(values)
    )
    return f'<dl class="settings">\n{rows}</dl>'


def terms(values: Mapping[str, str]) -> str:
    """Names, each with a sentence under it, in columns where there is room."""
    rows = "".join(f"<div><dt>{escape(name)}</dt><dd>{plain_text(text)}</dd></div>\n" for name, text in values.items())
    return f'<dl class="terms">\n{rows}</dl>'


def _flattened(values: dict[str, Any], outer: str = "") -> Iterable[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from _flattened(value, f"{outer}{name}.")
        else:
            yield f"{outer}{name}", _shown(value)


def _shown(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, dict)):
        return ", ".join(map(_shown, value)) or "none"
    text = str(value)
    return text if len(text) <= LONGEST_SETTING else text[:12] + "…"


def gallery(tiles: Iterable[Tile], *, kind: str = "") -> str:
    """Digits side by side, each with what there is to say about it; of the kind "calm" the bars are blue."""
    return f'<ul class="{f"gallery {kind}".strip()}">\n' + "\n".join(map(_tile, tiles)) + "\n</ul>"


def _tile(tile: Tile) -> str:
    parts = [f'<img src="{ink_png(tile.image)}" alt="{escape(tile.alt)}" width="84" height="84">']
    if tile.sure is not None:
        parts.append(f'<span class="sure"><i style="width:{100 * tile.sure:.1f}%"></i></span>')
    parts.append(f"<b>{escape(tile.title)}</b>")
    parts += [f"<span>{escape(line)}</span>" for line in tile.lines]
    if tile.mark:
        parts.append(f"<em>{escape(tile.mark)}</em>")
    return "<li>" + "".join(parts) + "</li>"


def strips(rows: Iterable[Strip]) -> str:
    """Rows of digits below each other, each with its title and figure; on a phone these stand above the digits."""
    return '<ul class="strips">\n' + "\n".join(map(_strip, rows)) + "\n</ul>"


def _strip(row: Strip) -> str:
    lines = "".join(f"<span>{plain_text(line)}</span>" for line in row.lines)
    mark = f"<em>{escape(row.mark)}</em>" if row.mark else ""
    image = ink_png(np.concatenate(list(row.images), axis=1))
    width, height = 56 * len(row.images), 56
    return (
        f"<li><div><b>{escape(row.title)}</b><b>{plain_text(row.figure)}</b>{lines}{mark}</div>"
        f'<img src="{image}" alt="{escape(row.alt)}" width="{width}" height="{height}"></li>'
    )


def ink_png(image: NDArray[np.uint8]) -> str:
    """A digit image uint8 (H, W) as a PNG in a data URI: black ink on nothing, so that it lies on any ground."""
    sheet = np.stack([np.zeros_like(image), image], axis=-1)
    buffer = io.BytesIO()
    Image.fromarray(sheet).save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def need_matplotlib(what: str) -> None:
    """Raises MissingExtraError now rather than after minutes of work, if figures cannot be drawn for `what`."""
    need_libraries(what, "matplotlib")


def need_libraries(what: str, *names: str) -> None:
    """Raises MissingExtraError if one of the lab's libraries, named as they are imported, is missing for `what`."""
    if any(find_spec(name) is None for name in names):
        raise MissingExtraError(what, "lab")


def new_figure(height: float, *, width: float = FIGURE_WIDTH) -> Any:
    """An empty matplotlib Figure of this size in inches, without any window system or global state."""
    need_matplotlib("a figure")
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def tidy(axes: Any, *, grid: str | None = "both") -> None:
    """Gives the axes of a figure the reports' look: no frame, a light grid, quiet ticks."""
    for side in axes.spines.values():
        side.set_visible(False)
    if grid is not None:
        axes.grid(True, axis=grid, color=RULE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=MUTED, labelsize=10, length=0, pad=6)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_formatter("")
        axis.set_tick_params(which="minor", length=0)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(color=MUTED, size=10)


def plot(figure: Any, name: str, *, alt: str, caption: str) -> str:
    """A matplotlib figure as inline SVG with its sentence below; `name` tells its inner ids from other figures'."""
    return plot_of(svg_of(figure, name), name, size=figure.get_size_inches(), alt=alt, caption=caption)


def plot_of(svg: str, name: str, *, size: Sequence[float], alt: str, caption: str) -> str:
    """The same of a drawing that `svg_of` has made; size: its width and height in inches."""
    shown = _in_page(svg, name, size, alt)
    return f'<figure class="plot">\n{shown}\n<figcaption>{plain_text(caption)}</figcaption>\n</figure>'


def svg_of(figure: Any, name: str) -> str:
    """A matplotlib figure as SVG, the same on every run; what was random in it depends on `name`."""
    from matplotlib import rc_context

    buffer = io.StringIO()
    # Text stays text (small, searchable, in the page's typeface); the salt makes the ids, else random, repeatable.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", transparent=True)
    svg = buffer.getvalue()
    return re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)


def _in_page(svg: str, name: str, size: Sequence[float], alt: str) -> str:
    """The drawing with ids of its own, in the page's colours, as wide as it was drawn at the most."""
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'\b(?:xlink:)?href="#', f'href="#{name}-', svg).replace("url(#", f"url(#{name}-")
    for colour, variable in _IN_THE_PAGE.items():
        svg = svg.replace(colour, f"var(--{variable})")
    width, height = (72 * side for side in size)
    start = (
        f'<svg viewBox="0 0 {width:g} {height:g}" style="max-width:{width / 72 * 96:.0f}px" '
        f'role="img" aria-label="{escape(alt)}">'
    )
    return start + svg[svg.index(">") + 1 :].strip()


def percent(share: float, decimals: int = 2) -> str:
    """A share 0…1 for people: `99.53 %`. What is not quite all never reads as 100 %, what is not nothing never as 0."""
    if math.isnan(share):
        return "–"
    text = f"{100 * share:.{decimals}f}"
    if share < 1 and float(text) == 100:
        return f"over {100 - 10**-decimals:.{decimals}f} %"
    if share > 0 and float(text) == 0:
        return f"under {10**-decimals:.{decimals}f} %"
    return f"{text} %"


def counted(n: int, one: str, many: str | None = None) -> str:
    """A number with its noun: `1 digit`, `10,000 digits`."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def listed(names: Sequence[str], *, last: str = "and") -> str:
    """Names in a sentence: `a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}"


def a_digit(label: object) -> str:
    """A digit with its article: `a 3`, `an 8`."""
    return f"an {label}" if str(label) == "8" else f"a {label}"

"""Explanations as pictures: one figure a digit, and the page with all of them.

>>> from inkdigits import explain
>>> explanation = explain("reader", "mnist:test#1901").digits[0]
>>> explanation_figure(explanation, captioned=True).savefig("why.png", dpi=200)

Blue is ink that the answer rests on, and ink to take away; orange is paper that must stay empty, and ink to add.
"""

from __future__ import annotations

import re
import textwrap
from typing import Any

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.patches import Patch
from numpy.typing import NDArray

from ..digits.dataset import CLASSES
from .explanation import Explanation, Explanations
from .report import (
    BLUE,
    FIGURE_WIDTH,
    INK,
    MUTED,
    ORANGE,
    PAPER,
    RULE,
    Section,
    Tile,
    counted,
    gallery,
    new_figure,
    page,
    percent,
    plot,
    prose,
    side_by_side,
)

GREY = "#c9c3b9"  # ink that does not matter
ENLARGED = 12  # times: drawn in whole blocks, for viewers that smooth what they enlarge
LINE, NAME = 62, 38  # characters of caption and name in a line of the figure
HEIGHT = 7.9  # inches, of the figure without title and caption
SMALL = 9.5  # points
TEXT = {"color": INK, "fontsize": 10}

Colour = NDArray[np.floating]


def explanation_figure(digit: Explanation, *, captioned: bool = False) -> Any:
    """What the model saw, where it looked, what would change its mind, its nearest training digits, its doubts.

    `captioned` writes title and caption into the figure, for a file that stands alone.
    """
    # Numbers stay on the line of their per cent sign, digits on that of their article.
    caption = re.sub(r"(?<=\d) (?=%)|(?<=\ba) (?=\d)|(?<=\ban) (?=\d)", "\N{NO-BREAK SPACE}", digit.caption())
    lines = textwrap.wrap(caption, LINE) if captioned else []
    head = 0.5 + 0.19 * len(lines) if captioned else 0.0
    sheet = _Sheet(new_figure(head + HEIGHT))
    if captioned:
        name = digit.name if len(digit.name) <= NAME else f"…{digit.name[1 - NAME :]}"
        sheet.write(0.1, 0.27, name, fontsize=13, fontweight="bold")
        for number, line in enumerate(lines, 1):
            sheet.write(0.1, 0.35 + 0.19 * number, line)
    saw = [("what it saw", _paper(digit.image)), ("where it looked", _evidence(digit))]
    _panels(sheet, head, saw, [(BLUE, "ink it rests on"), (ORANGE, "must stay empty")])
    _panels(sheet, head + 2.6, *_change(digit))
    _neighbours(sheet, head + 5.2, digit)
    _bars(sheet.axes(0.15, head + 6.9, FIGURE_WIDTH - 0.3, 0.65), digit)
    return sheet.figure


class _Sheet:
    """A figure with places in inches from its top left corner: laid out by hand, a tenth of the automatic's time."""

    def __init__(self, figure: Any) -> None:
        self.figure = figure
        figure.set_layout_engine("none")
        self.width, self.height = figure.get_size_inches()

    def axes(self, x: float, y: float, width: float, height: float) -> Any:
        """Axes whose top left corner is at (x, y)."""
        bottom = self.height - y - height
        return self.figure.add_axes((x / self.width, bottom / self.height, width / self.width, height / self.height))

    def write(self, x: float, y: float, text: str, **style: Any) -> None:
        """A line of text that stands on y."""
        self.figure.text(x / self.width, 1 - y / self.height, text, **(TEXT | style))

    def picture(self, x: float, y: float, side: float, image: Colour) -> Any:
        """Colours (28, 28, 3) in a thin frame."""
        axes = self.axes(x, y, side, side)
        axes.imshow(np.kron(image, np.ones((ENLARGED, ENLARGED, 1))), interpolation="none")
        axes.set_xticks([])
        axes.set_yticks([])
        for edge in axes.spines.values():
            edge.set(color=RULE, linewidth=0.8)
        return axes


def _panels(sheet: _Sheet, top: float, panels: list[tuple[str, Colour]], legend: list[tuple[str, str]]) -> None:
    """Pictures side by side, each with its title, and what the colours of the last mean."""
    for place, (title, image) in enumerate(panels):
        sheet.picture(0.15 + 2.25 * place, top + 0.3, 2.05, image).set_title(title, **TEXT)
    if legend:
        sheet.figure.legend(
            [Patch(color=colour) for colour, _ in legend], [text for _, text in legend], loc="center", frameon=False,
            bbox_to_anchor=(0.5, 1 - (top + 2.48) / sheet.height), ncols=len(legend), fontsize=SMALL, labelcolor=MUTED,
            handlelength=0.9, handleheight=0.9, columnspacing=1.4,
        )  # fmt: skip


def _paper(image: NDArray[np.uint8], ink: str = INK) -> Colour:
    """A digit image as colours (28, 28, 3): ink on paper."""
    return _between(PAPER, ink, image / 255)


def _between(low: str | Colour, high: str | Colour, share: Colour) -> Colour:
    """Colours (28, 28, 3) between two, by the share (28, 28) of the second."""
    first, second = (np.asarray(to_rgb(colour) if isinstance(colour, str) else colour) for colour in (low, high))
    return np.asarray(first + (second - first) * share[..., None])


def _evidence(digit: Explanation) -> Colour:
    """The digit in grey; ink turns blue and paper orange, the more the answer rests on it."""
    worth = digit.evidence.clip(min=0)
    worth = worth / max(float(worth.max()), 1e-6)
    ink = digit.image / 255
    return _between(_between(PAPER, ORANGE, worth**1.5), _between(GREY, BLUE, worth**0.7), ink)


def _change(digit: Explanation) -> tuple[list[tuple[str, Colour]], list[tuple[str, str]]]:
    change = digit.change
    if change is None:
        none = _between(PAPER, GREY, digit.image / 255)
        return [("no small change does it", none), (f"it stays {digit.answer}", _paper(digit.image))], []
    difference = (change.image.astype(float) - digit.image) / 255
    marked = _between(PAPER, GREY, digit.image / 255)
    marked = _between(marked, ORANGE, _seen(difference))
    marked = _between(marked, BLUE, _seen(-difference))
    legend = [(ORANGE, "add this ink")] if change.added > 0 else []
    legend += [(BLUE, "take this ink away")] if change.removed > 0 else []
    verdict = f"now {change.digit}, {percent(change.probability, 0)} sure"
    return [("what would change its mind", marked), (verdict, _paper(change.image))], legend


def _seen(amount: Colour) -> Colour:
    """Ink made visible: what is faint but there is coloured by half at least."""
    return np.where(amount > 0.05, 0.5 + amount / 2, 0)


def _neighbours(sheet: _Sheet, top: float, digit: Explanation) -> None:
    sheet.write(FIGURE_WIDTH / 2, top + 0.2, "the training digits most like it", ha="center")
    for place, near in enumerate(digit.nearest):
        axes = sheet.picture(0.15 + 0.87 * place, top + 0.3, 0.82, _paper(near.image))
        colour = INK if near.label == digit.answer else ORANGE
        axes.set_xlabel(f"{near.label}", color=colour, fontsize=11, fontweight="bold", labelpad=3)


def _bars(axes: Any, digit: Explanation) -> None:
    chances = digit.probabilities.astype(float)
    colours = [INK if place == digit.answer else MUTED for place in range(CLASSES)]
    axes.bar(range(CLASSES), chances, color=colours, width=0.7)
    for place in (digit.answer, digit.second):
        # The second's number leans away from the bar of the first where that stands next to it.
        side, edge = {-1: ("right", 0.35), 1: ("left", -0.35)}.get(place - digit.answer, ("center", 0.0))
        text = percent(chances[place], 1).replace("under", "<").replace("over", ">")
        axes.annotate(
            text, (place + edge, chances[place]), (0, 3), textcoords="offset points", ha=side, color=INK, fontsize=SMALL
        )
    axes.set_ylim(0, 1.25)
    axes.set_xlim(-0.6, CLASSES - 0.4)
    axes.set_xticks(range(CLASSES), [str(place) for place in range(CLASSES)], color=INK, fontsize=11)
    axes.set_yticks([])
    axes.tick_params(length=0)
    for name, side in axes.spines.items():
        side.set_visible(name == "bottom")
        side.set(color=RULE)
    axes.set_title("how sure it is of each digit", **TEXT)


def explanation_report(found: Explanations) -> str:
    """The page as HTML."""
    wrong = sum(digit.label is not None and digit.label != digit.answer for digit in found.digits)
    lead = prose(
        f"{counted(len(found.digits), 'digit')}, read by {found.model}.",
        f"{wrong:,} of them otherwise than labelled." if wrong else "",
        f"{counted(len(found.unread), 'picture')} could not be read." if found.unread else "",
    )
    entries = side_by_side(*(_entry(number, digit) for number, digit in enumerate(found.digits, 1)))
    sections = [Section("digits", "Digit by digit", entries)]
    if len(found.digits) > 1:
        sections.insert(0, Section("all", "All of them", gallery(map(_tile, found.digits), kind="calm")))
    return page(f"Why {found.model} reads it so", lead=lead, sections=[*sections, _how(found)])


def _entry(number: int, digit: Explanation) -> str:
    alt = f"{digit.name}: what was seen, where the model looked, what would change its answer"
    return plot(explanation_figure(digit), f"digit{number}", alt=alt, caption=f"{digit.name}. {digit.caption()}")


def _tile(digit: Explanation) -> Tile:
    wrong = digit.label is not None and digit.label != digit.answer
    return Tile(
        digit.image,
        alt=f"{digit.name}, read as {digit.answer}",
        title=f"{digit.label} → {digit.answer}" if wrong else f"{digit.answer}, or {digit.second}?",
        lines=(f"{percent(digit.confidence, 1)} sure", digit.name),
        sure=digit.confidence,
        mark="contested" if digit.contested else "refused" if digit.refused else None,
    )


def _how(found: Explanations) -> Section:
    space = (
        "as the last layer of the model sees them"
        if found.space == "features"
        else "compared pixel by pixel, since this model does not show what its last layer sees"
    )
    training = f"{found.among:,} digits of {found.training}"
    text = [
        prose(
            "Where it looked: parts of the image were covered, ink by paper and paper by ink, and the image was mixed "
            "with other digits in random places. What weakens the answer is coloured, blue where it is ink and orange "
            "where it is paper. The colour is the mean of both methods; each alone is in explanation.json."
        ),
        prose(
            "What would change its mind: the least ink, added where it touches the digit or taken away, that a search "
            "found to be enough for another answer. An even smaller change may exist."
        ),
        prose(
            f"The training digits most like it: the nearest among {training}, {space}.",
            "" if found.known else "Whether the model was trained on these is not known.",
        ),
        prose(
            "All of this tells what the model does, not what is true: a model that looks at the right place can be "
            "wrong, and one that is right can have looked at the wrong place."
        ),
    ]
    return Section("how", "How to read this", "\n".join(text))

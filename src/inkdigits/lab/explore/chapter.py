"""What a part of an exploration found: facts for `findings.json`, sentences and figures for the page.

A part is a function of the Scene. Where the digits given do not allow an answer it raises CannotSayError, and the page
says why in its place.

    >>> def counted(scene: Scene) -> Part:
    ...     return Part({"digits": len(scene)}, (prose(f"There are {len(scene):,} digits."),))
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..report import subheading, svg_of
from .scene import Scene


class CannotSayError(Exception):
    """The digits do not allow what was asked: one sentence that says why and what would be needed."""


@dataclass(frozen=True, eq=False)
class Plate:
    """A figure of the page, which is also a file of its own.

    name: of `figures/NAME.svg` and `.png`; figure: a matplotlib Figure. alt: what a screen reader says; caption: the
    sentence below, which says what it shows.
    """

    name: str
    figure: Any
    alt: str
    caption: str

    @cached_property
    def svg(self) -> str:
        """The figure as SVG, drawn once for the page and the file."""
        drawn = svg_of(self.figure, self.name)
        self.figure.set_layout_engine("none")  # laid out now; to do it again takes longer than to draw
        return drawn


@dataclass(frozen=True, eq=False)
class Picture:
    """A plate that is an image already, uint8 (H, W, 3) or (H, W, 4); `NAME.png` alone is written.

    first: whether it opens the page, instead of standing in its section.
    """

    name: str
    image: NDArray[np.uint8]
    alt: str
    caption: str
    first: bool = False


Block: TypeAlias = "str | Plate | Picture | tuple[str | Plate | Picture, ...]"


@dataclass(frozen=True, eq=False)
class Part:
    """What one part found.

    facts: plain dictionaries, lists, strings and numbers (None for what is not a number). blocks: HTML, and plates in
    between; those of a tuple stand side by side where there is room. said: sentences for the terminal, the shortest
    form of what was found.
    """

    facts: dict[str, Any]
    blocks: tuple[Block, ...] = ()
    said: tuple[str, ...] = ()


@dataclass(frozen=True)
class Chapter:
    """A section of the page: `ident` is its name for `--sections`; parts by the name their facts get."""

    ident: str
    heading: str
    parts: dict[str, Callable[[Scene], Part]] = field(default_factory=dict)


def headed(heading: str, part: Callable[[Scene], Part]) -> Callable[[Scene], Part]:
    """The part under a heading of its own."""

    def with_heading(scene: Scene) -> Part:
        found = part(scene)
        return replace(found, blocks=(subheading(heading), *found.blocks))

    return with_heading

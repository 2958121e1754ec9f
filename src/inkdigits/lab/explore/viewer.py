"""Maps to walk about in: a page that shows the digit under the pointer, without a server.

>>> html = viewer(scene, [Shown("tsne", "t-SNE", placed)])

Everything is in the page: the places as 16-bit numbers, the classes, and every digit at half its size on one sheet.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources
from string import Template

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .colours import CLASS_COLOURS
from .drawing import WITHOUT, framed, sheet
from .scene import Scene

TILE, COLUMNS = 14, 256  # pixels a side of a digit on the sheet, digits in a row
FULL = 65_535  # the width of a map, so that a place is two bytes a side
UNLABELLED = 255


@dataclass(frozen=True, eq=False)
class Shown:
    """A map of the viewer: its name in the page, its title, its places (N, 2)."""

    name: str
    title: str
    placed: NDArray[np.float32]


def viewer(scene: Scene, maps: Sequence[Shown]) -> str:
    """The maps as HTML with a script; without scripts it says where the pictures are."""
    labels = np.full(len(scene), UNLABELLED, np.uint8) if scene.labels is None else scene.labels
    facts = {
        "count": len(scene),
        "tile": TILE,
        "columns": COLUMNS,
        "colours": CLASS_COLOURS,
        "without": WITHOUT,
        "maps": [{"name": shown.name, "title": shown.title, "places": _places(shown.placed)} for shown in maps],
        "labels": _text(labels.astype(np.uint8).tobytes()),
        "parts": [
            {"name": name, "count": len(rows), "rows": None if _in_order(rows) else _text(rows.astype("<u4").tobytes())}
            for name, rows in scene.rows.items()
        ],
    }
    buttons = "".join(
        f'<button type="button" data-map="{place}" aria-pressed="{"true" if place == 0 else "false"}">'
        f"{escape(shown.title)}</button>"
        for place, shown in enumerate(maps)
    )
    skeleton = resources.files(__package__).joinpath("viewer.html").read_text("utf-8")
    data = json.dumps(facts, separators=(",", ":")).replace("</", "<\\/")
    return Template(skeleton).substitute(buttons=buttons, data=data, sheet=_png(sheet(scene.images, side=TILE)))


def _in_order(rows: NDArray[np.intp]) -> bool:
    return bool((rows == np.arange(len(rows))).all())


def _places(placed: NDArray[np.float32]) -> str:
    at = framed(placed, width=FULL + 1)
    return _text(np.clip(np.rint(at), 0, FULL).astype("<u2").tobytes())


def _png(grey: NDArray[np.uint8]) -> str:
    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, "PNG", optimize=True)
    return _text(buffer.getvalue())


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")

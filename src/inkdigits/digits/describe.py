"""What is in a set of digits: counts, pixel statistics, repeats, and overlap with the embedded MNIST.

$ inkdigits data mnist:test
mnist:test               test
digits                 10,000
  of 0                    980
  of 1                  1,135
  …
pixels                  0…255
  mean                  33.79
  standard deviation    79.17
  inked                 19.3%
  never inked, of 784     116
duplicates                  0
also in mnist:train         0
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .dataset import CLASSES, PIXELS, Images, pixel_hashes
from .formats import Source, embedded_parts, load_parts
from .mnist import PARTS, load_mnist

INVERTED_FROM = 128  # mean pixel; a digit covers a fifth of its image, so a bright mean is dark ink on white paper
HISTOGRAM_ROWS = 2_000  # images counted at a time: `bincount` widens each pixel to 8 bytes


@dataclass(frozen=True)
class PartDescription:
    """One part of a source.

    Attributes
    ----------
    count: digits in it.
    classes: digits of each class 0…9, or None without labels.
    mean, deviation, lowest, highest: of the pixels, 0 = paper, 255 = ink.
    ink: share of the pixels that are not 0.
    never_inked: how many of the 784 pixels are 0 in every image.
    duplicates: images whose pixels repeat those of an earlier one.
    found_in: how many images stand also in another part of the source or in a part of the embedded MNIST, by its name.
    """

    count: int
    classes: tuple[int, ...] | None
    mean: float
    deviation: float
    lowest: int
    highest: int
    ink: float
    never_inked: int
    duplicates: int
    found_in: dict[str, int]


@dataclass(frozen=True)
class Description:
    """What is in a source, by part (`train` and `test`, or `all`)."""

    source: str
    parts: dict[str, PartDescription]

    def as_dict(self) -> dict[str, Any]:
        """The same as plain dictionaries, lists and numbers, for JSON."""
        return {"source": self.source, "parts": {name: asdict(part) for name, part in self.parts.items()}}

    def text(self) -> str:
        """A table for a terminal, a column for each part, and a line for what looks wrong."""
        table = {name: _rows(part) for name, part in self.parts.items()}
        names = list(dict.fromkeys(row for rows in table.values() for row in rows))
        lines = [[self.source, *("" if name == "all" else name for name in table)]]
        lines += [[name, *(rows.get(name, "") for rows in table.values())] for name in names]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        text = ["  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]) for line in lines]
        notes = [
            f"{name}: mostly bright: dark ink on white paper? Digit images have paper 0 and ink 255."
            for name, part in self.parts.items()
            if part.mean >= INVERTED_FROM
        ]
        return "\n".join(line.rstrip() for line in text + notes)


def describe(source: Source = "mnist") -> Description:
    """What is in a source (any that `load_digits` takes), part by part. Raises InputError as `load_digits` does."""
    parts = load_parts(source)
    own = {name: pixel_hashes(digits.images) for name, digits in parts.items()}
    embedded = embedded_parts(source)
    known = {f"mnist:{part}": pixel_hashes(load_mnist(part).images) for part in PARTS if part not in embedded}
    described = {}
    for name, digits in parts.items():
        beside = {f"mnist:{other}" if embedded else other: own[other] for other in own if other != name}
        found_in = {other: int(np.isin(own[name], hashes).sum()) for other, hashes in (beside | known).items()}
        described[name] = _describe_part(digits.images, digits.labels, own[name], found_in)
    given = os.fspath(source) if isinstance(source, str | os.PathLike) else next(iter(parts.values())).source
    return Description(given, described)


def _describe_part(
    images: Images, labels: NDArray[np.uint8] | None, hashes: NDArray[np.uint64], found_in: dict[str, int]
) -> PartDescription:
    values = np.zeros(256, np.int64)
    for start in range(0, len(images), HISTOGRAM_ROWS):
        values += np.bincount(images[start : start + HISTOGRAM_ROWS].ravel(), minlength=256)
    total = int(values.sum())
    present = np.flatnonzero(values)
    # From the histogram: exact, and without 8 bytes a pixel.
    mean = float(values @ np.arange(256)) / total
    variance = float(values @ (np.arange(256) - mean) ** 2) / total
    return PartDescription(
        count=len(images),
        classes=None if labels is None else tuple(int(n) for n in np.bincount(labels, minlength=CLASSES)),
        mean=mean,
        deviation=variance**0.5,
        lowest=int(present[0]),
        highest=int(present[-1]),
        ink=1 - int(values[0]) / total,
        never_inked=PIXELS - int(np.count_nonzero(images.max(axis=0))),
        duplicates=len(images) - len(np.unique(hashes)),
        found_in=found_in,
    )


def _rows(part: PartDescription) -> dict[str, str]:
    rows = {"digits": f"{part.count:,}"}
    if part.classes is None:
        rows["labels"] = "none"
    else:
        rows |= {f"  of {label}": f"{count:,}" for label, count in enumerate(part.classes)}
    rows |= {
        "pixels": f"{part.lowest}…{part.highest}",
        "  mean": f"{part.mean:.2f}",
        "  standard deviation": f"{part.deviation:.2f}",
        "  inked": f"{part.ink:.1%}",
        f"  never inked, of {PIXELS}": f"{part.never_inked:,}",
        "duplicates": f"{part.duplicates:,}",
    }
    return rows | {f"also in {other}": f"{count:,}" for other, count in part.found_in.items()}

"""Holes in the strokes: the topology of single digits, which anybody can check by eye.

A hole is paper that ink encloses. Ink is grey at its edges, so how dark a pixel must be to count as ink decides whether
a thin stroke closes its loop and whether a small loop is filled. A hole therefore counts if at any of LEVELS it is
large enough: at the lightest level the faintest trace bridges a gap in the stroke, at the darkest a loop that is
nearly full opens again.

    >>> holes(load_digits("mnist:test").images[:10])
    array([0, 0, 0, 1, 0, 0, 0, 1, 0, 1])
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...digits.dataset import CLASSES, SIDE, Images, Labels
from ...measure import wilson_interval
from ..score import rounded

# Both chosen on MNIST's 60,000 training digits, for the most that have the holes of their class.
LEVELS = (1, 32, 64, 96, 128, 160, 192, 224)  # the least ink, of 255, that closes a loop
SMALLEST = 6  # pixels; smaller holes are gaps between pixels of a stroke

HOLES_OF = (1, 0, 0, 0, None, 0, 1, 0, 2, 1)  # by class; a 4 may be written open or closed
MOST = 2  # holes told apart; a digit with more is counted here

ACROSS = 64  # digits beside each other on a sheet, a size for which labelling is fastest


def holes(images: Images, *, levels: tuple[int, ...] = LEVELS, smallest: int = SMALLEST) -> NDArray[np.int64]:
    """The holes int64 (N,) of digit images (N, 28, 28): the most that any level shows of at least `smallest` pixels."""
    import cv2

    most = np.zeros(len(images), np.int64)
    # Laid out on one sheet of paper the digits are labelled together: their paper outside is one component.
    cell, per_sheet = SIDE + 2, ACROSS * ACROSS
    for start in range(0, len(images), per_sheet):
        block = images[start : start + per_sheet]
        down = -(-len(block) // ACROSS)
        cells = np.zeros((down * ACROSS, cell, cell), np.uint8)
        cells[: len(block), 1:-1, 1:-1] = block
        sheet = cells.reshape(down, ACROSS, cell, cell).transpose(0, 2, 1, 3).reshape(down * cell, -1)
        for level in levels:
            # Ink that touches at a corner holds together, so paper must not pass there.
            paper = (sheet < level).astype(np.uint8)
            _, _, boxes, _ = cv2.connectedComponentsWithStats(paper, connectivity=4)
            large = boxes[2:][boxes[2:, cv2.CC_STAT_AREA] >= smallest]  # after the ink and the paper outside
            place = large[:, cv2.CC_STAT_TOP] // cell * ACROSS + large[:, cv2.CC_STAT_LEFT] // cell
            seen = np.bincount(place, minlength=len(block))
            rows = slice(start, start + len(block))
            most[rows] = np.maximum(most[rows], seen)
    return most


@dataclass(frozen=True, eq=False)
class LoopCount:
    """How holes go with classes.

    counts: int64 (10, 3), digits of each class with 0, 1 and 2 or more holes. right, n: digits that have the holes of
    their class, among those whose class says how many (a 4 may have none or one, and is left out).
    """

    counts: NDArray[np.int64]
    right: int
    n: int

    @property
    def accuracy(self) -> float:
        return self.right / self.n if self.n else float("nan")

    def shares(self) -> NDArray[np.float64]:
        """Rows of `counts` as shares, NaN for a class of which there is none."""
        totals = self.counts.sum(axis=1, keepdims=True)
        shares = np.full(self.counts.shape, np.nan)
        np.divide(self.counts, totals, out=shares, where=totals > 0)
        return shares

    def as_dict(self) -> dict[str, Any]:
        known = {str(d): holes_as_dict(row) for d, row in enumerate(self.counts)}
        found: dict[str, Any] = {"holes_by_class": {d: row for d, row in known.items() if sum(row.values())}}
        if self.n:
            interval = [rounded(end) for end in wilson_interval(self.right, self.n)]
            found["as_their_class"] = {"value": rounded(self.accuracy), "interval95": interval, "n": self.n}
        return found


def holes_as_dict(counts: NDArray[np.integer[Any]]) -> dict[str, int]:
    """How many digits have 0, 1 and 2 or more holes (3,)."""
    return dict(zip(("0", "1", "2_or_more"), counts.tolist(), strict=True))


def count_loops(found: NDArray[np.integer[Any]], labels: Labels) -> LoopCount:
    """Counts holes (N,) by the labels (N,)."""
    shown = np.minimum(found, MOST)
    counts = np.bincount(labels.astype(np.int64) * (MOST + 1) + shown, minlength=CLASSES * (MOST + 1))
    counts = counts.reshape(CLASSES, MOST + 1)
    expected = [(d, n) for d, n in enumerate(HOLES_OF) if n is not None]
    right = sum(int(counts[d, n]) for d, n in expected)
    return LoopCount(counts, right, sum(int(counts[d].sum()) for d, _ in expected))

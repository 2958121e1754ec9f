"""Which of the proposed signs are there: the path along a line of writing that the model finds likeliest.

`ink/cut.py` proposes groups of strokes that may be one sign. All of them are shown to the model at once; what each
would cost is the negative logarithm of its being a digit, and of which, and what the strokes' geometry speaks against
it. The cheapest way from the line's left end to its right is found by dynamic programming.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from ..digits.dataset import Images
from ..ink.cut import Group, Layout, Line, Piece, union
from .model import Model, Predictions

SIGN = 3.5  # cost of a "?" that is as high as a digit: what fits digits worse is none
SMALL_SIGN = 0.3  # cost of one that is too low for a digit: a point, a comma, a bar
SPECK = 1.0  # strokes: what is smaller than this each way, and no digit, is dirt and no sign
GOOD = 0.8  # cost below which strokes are not cut: a digit of which the model is sure
EACH = 0.25  # cost of every sign, so that one whole digit is preferred to two halves
LEAST_SHARE = 1e-6  # below which a probability says no more
# The log-odds of novelty are 0 where the model begins to refuse; they count from a little before that, and doubly.
EARLIER, STEEP = 1.0, 2.0
BAR_WIDE, BAR_HIGH = 0.9, 1.6  # line heights, strokes: what is wider and lower at a line's end is left of a rule
LONE = 0.55  # of the usual height of lines: a lower line of one sign or two is dirt
SPACE, SPACE_RATIO = 0.55, 2.2  # of the line's height, and of the usual gap: a wider gap parts two numbers
FEWEST_NARROW = 0.4  # of the gaps are inside numbers
WIDEST_GAP = 3.0  # of the line's height: a wider gap parts them whatever is usual
# One sign is looked for among the largest pieces; bits at the picture's edge count a little.
LARGEST, AT_EDGE, LEFT_OUT, JOINED, CUT_APART = 4, 0.15, 5.0, 0.4, 1.5
AGAIN = 0.8  # cost of the ink with its ruling lines
NEAR_EDGE = 1  # px: what comes nearer to the edge touches it


@dataclass(frozen=True, eq=False)
class Sign:
    """A proposed sign and what the model says of it.

    Attributes
    ----------
    line, group: where it stands. glyph: uint8 (28, 28). probabilities: float32 (10,). novelty: 0…1.
    share: of the picture's ink, where it was chosen as the only sign.
    """

    line: Line
    group: Group
    glyph: NDArray[np.uint8]
    probabilities: NDArray[np.float32]
    novelty: float
    share: float = 1.0

    @property
    def confidence(self) -> float:
        return float(self.probabilities.max())

    @property
    def cost(self) -> float:
        """Of being a digit."""
        novelty = min(max(self.novelty, LEAST_SHARE), 1 - LEAST_SHARE)
        strange = STEEP * (math.log(novelty / (1 - novelty)) + EARLIER)
        return EACH - math.log(max(LEAST_SHARE, self.confidence)) + math.log1p(math.exp(min(strange, 30)))


def choose_signs(layout: Layout, model: Model) -> list[list[Sign]]:
    """The signs of each line of writing, from left to right; dirt is left out.

    Cuts through strokes are only tried where the strokes as they are look like no digit.
    """
    places = [(line, group) for line in layout.lines for group in line.groups if not group.cut]
    signs = _shown(places, layout, model)
    good: dict[Line, set[int]] = {line: set() for line in layout.lines}
    for sign in signs:
        if sign.cost + sign.group.cost < GOOD:
            good[sign.line] |= set(range(sign.group.first, sign.group.last + 1))
    places = [
        (line, group) for line in layout.lines for group in line.groups if group.cut and group.first not in good[line]
    ]
    signs += _shown(places, layout, model)
    rows = []
    for line in layout.lines:
        row = _cheapest_path(line, [sign for sign in signs if sign.line is line])
        rows.append(_without_dirt(row, layout.ink.stroke))
    usual = max((line.height for line, row in zip(layout.lines, rows, strict=True) if len(row) > 2), default=0.0)
    return [row for row in rows if row and (len(row) > 2 or row[0].line.height >= LONE * usual)]


def _shown(places: list[tuple[Line, Group]], layout: Layout, model: Model) -> list[Sign]:
    if not places:
        return []
    return _said(places, np.array([layout.glyph(line, group) for line, group in places]), model)


def _said(places: list[tuple[Line, Group]], glyphs: Images, model: Model) -> list[Sign]:
    said: Predictions = model.predict(glyphs)
    novelty = np.zeros(len(glyphs)) if said.novelty is None else said.novelty
    return [
        Sign(line, group, glyphs[index], said.probabilities[index], float(novelty[index]))
        for index, (line, group) in enumerate(places)
    ]


def _cheapest_path(line: Line, signs: list[Sign]) -> list[Sign]:
    """Signs that cover the line's pieces one after another at the least cost in sum."""
    count = len(line.pieces)
    best = [0.0] + [math.inf] * count
    last: list[Sign | None] = [None] * (count + 1)
    for sign in sorted(signs, key=lambda sign: sign.group.first):
        group = sign.group
        cost = best[group.first] + group.cost + (SMALL_SIGN if group.small else min(sign.cost, SIGN))
        if cost < best[group.last + 1]:
            best[group.last + 1], last[group.last + 1] = cost, sign
    path: list[Sign] = []
    place = count
    while (before := last[place]) is not None:
        path.append(before)
        place = before.group.first
    return path[::-1]


def _without_dirt(row: list[Sign], stroke: float) -> list[Sign]:
    """The signs without specks, and without what is left of a rule at either end."""
    row = [sign for sign in row if not (sign.group.small and _largest_side(sign) < SPECK * stroke)]
    while row and _is_bar(row[0], stroke) and len(row) > 1:
        row = row[1:]
    while row and _is_bar(row[-1], stroke) and len(row) > 1:
        row = row[:-1]
    return row


def _largest_side(sign: Sign) -> int:
    return max(sign.group.width, sign.group.height)


def _is_bar(sign: Sign, stroke: float) -> bool:
    return sign.group.width >= BAR_WIDE * sign.line.height and sign.group.height <= BAR_HIGH * stroke


def choose_one(layouts: list[Layout], model: Model) -> tuple[Layout, Sign]:
    """The one digit that a picture holds, by the likeliest of several layouts of its ink, the first preferred.

    On a picture that is cut close the foot of a 2 looks like a ruling line: with it or without is the model's choice.
    """
    found = [_one_of(layout, model) for layout in layouts]
    best = min(range(len(found)), key=lambda index: found[index][0] + AGAIN * index)
    return layouts[best], found[best][1]


def _one_of(layout: Layout, model: Model) -> tuple[float, Sign]:
    """What the one digit costs, and the digit, merged of its strokes; bits of lines and neighbours are left out.

    Every proposed sign is tried, every choice of the largest pieces, all pieces and all that keep off the edge. What
    counts is what the model says, how much of the ink would be left out, and how many strokes cut apart or joined.
    """
    pieces = [piece for line in layout.lines for piece in line.pieces]
    weights = {piece: _weight(piece, layout.labels.shape) for piece in pieces}
    places = [(line, group) for line in layout.lines for group in line.groups]
    members = [frozenset(line.pieces[group.first : group.last + 1]) for line, group in places]
    largest = sorted(pieces, key=lambda piece: -weights[piece])[:LARGEST]
    more = [frozenset(some) for size in range(2, LARGEST + 1) for some in combinations(largest, size)]
    more += [frozenset(pieces), frozenset(piece for piece in pieces if weights[piece] == piece.area)]
    for some in dict.fromkeys(more):
        if len(some) > 1 and some not in members:
            whole = union(sorted(some, key=lambda piece: piece.box))
            places.append((layout.lines[0], Group(0, 0, whole.box, 0.0)))
            members.append(some)
    glyphs = [
        layout.glyph_of([label for piece in some for label in piece.labels], place[1].box)
        for some, place in zip(members, places, strict=True)
    ]
    signs = _said(places, np.array(glyphs), model)
    total = sum(weights.values())
    shares = [sum(weights[piece] for piece in some) / total for some in members]
    costs = [
        sign.cost + LEFT_OUT * (1 - share) + _strokes_cost(some, layout.lines)
        for sign, share, some in zip(signs, shares, members, strict=True)
    ]
    best = int(np.argmin(costs))
    return costs[best], replace(signs[best], share=shares[best])


def _strokes_cost(some: frozenset[Piece], lines: tuple[Line, ...]) -> float:
    """What speaks against these pieces being one sign: strokes cut apart from others, and loose ones joined."""
    cost = -JOINED
    for line in lines:
        for before, piece in zip((None, *line.pieces), line.pieces, strict=False):
            if piece.cut_before is None or before is None:
                cost += JOINED * (piece in some)
            elif (piece in some) != (before in some):
                cost += CUT_APART
    return cost


def _weight(piece: Piece, shape: tuple[int, ...]) -> float:
    x0, y0, x1, y1 = piece.box
    touches = min(x0, y0, shape[1] - x1, shape[0] - y1) <= NEAR_EDGE
    return piece.area * (AT_EDGE if touches else 1.0)


def number_ends(row: list[Sign]) -> list[bool]:
    """For each sign of a line whether a space follows: the gap behind it is much wider than is usual on the line."""
    if len(row) < 2:
        return [False] * len(row)
    height = row[0].line.height
    gaps = np.array([max(0, after.group.box[0] - sign.group.box[2]) for sign, after in pairwise(row)], np.float64)
    order = np.sort(gaps)
    usual = _usual_gap(order, height)
    least = max(SPACE * height, SPACE_RATIO * usual)
    return [*(bool(gap > min(least, WIDEST_GAP * height)) for gap in gaps), False]


def _usual_gap(order: NDArray[np.float64], height: float) -> float:
    """The usual gap inside a number, of all gaps of a line in ascending order.

    Where the gaps fall into a narrow and a wide sort it is the narrow sort's widest; else the median of all.
    """
    floor = 0.12 * height  # gaps below this are all alike
    raised = np.maximum(order, floor)
    ratios = raised[1:] / raised[:-1]
    narrow = np.arange(1, len(raised)) >= FEWEST_NARROW * len(raised)
    ratios = np.where(narrow, ratios, 0)
    if len(ratios) and ratios.max() >= SPACE_RATIO:
        return float(raised[int(np.argmax(ratios))])
    return float(raised[-1]) if len(raised) > 1 else 0.5 * height

"""Which of the proposed signs are there: the path along a line of writing that the model finds likeliest.

`ink/cut.py` proposes groups of strokes that may be one sign. All of them are shown to the model at once; what each
would cost is the negative logarithm of its being a digit, and of which, and what the strokes' geometry speaks against
it. The cheapest way from the line's left end to its right is found by dynamic programming. Strokes that look like no
digit as they are may be cut apart; their parts are looked at in the same way.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from ..digits.dataset import Images
from ..ink.cut import Group, Layout, Line, cut_apart
from ..ink.pieces import Piece, union
from .model import Model, Predictions

SIGN = 4.5  # cost of a "?" that is as high as a digit: what fits digits worse is none
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
MOST_CUT = 2  # of the largest pieces that are cut apart
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


@dataclass(frozen=True)
class _Way:
    """One way to read pieces first … last of a line: as one sign, or cut apart as several."""

    first: int
    last: int
    cost: float
    signs: tuple[Sign, ...]


def choose_signs(layout: Layout, model: Model) -> list[list[Sign]]:
    """The signs of each line of writing, from left to right; dirt is left out."""
    ways = _ways([(layout, line, math.inf) for line in layout.lines], _is_one_piece, model)
    for line, way in _cut_ways(layout, ways, model):
        ways[line].append(way)
    rows = [_without_dirt(list(_cheapest(line.steps, ways[line]).signs), layout.ink.stroke) for line in layout.lines]
    usual = max((line.height for line, row in zip(layout.lines, rows, strict=True) if len(row) > 2), default=0.0)
    return [row for row in rows if row and (len(row) > 2 or row[0].line.height >= LONE * usual)]


def _cut_ways(layout: Layout, ways: dict[Line, list[_Way]], model: Model) -> Iterator[tuple[Line, _Way]]:
    """For each piece that looks like no digit, as it is or joined with others, the best way to cut it apart."""
    cuts: list[tuple[Line, _Way, Layout]] = []
    for line in layout.lines:
        good = {index for way in ways[line] if way.cost < GOOD for index in range(way.first, way.last + 1)}
        for way in ways[line]:
            if way.first == way.last and way.first not in good:
                parts = cut_apart(layout, line, way.first)
                if parts is not None:
                    cuts.append((line, way, parts))
    found = _ways([(parts, parts.lines[0], whole.cost) for _, whole, parts in cuts], _is_at_an_end, model)
    for line, whole, parts in cuts:
        best = _cheapest(parts.lines[0].steps, found[parts.lines[0]])
        if best.cost < whole.cost:
            yield line, replace(best, first=whole.first, last=whole.last)


def _ways(
    lines: list[tuple[Layout, Line, float]], at_once: Callable[[Line, Group], bool], model: Model
) -> dict[Line, list[_Way]]:
    """The groups of each line as ways to read it; some of those that cannot be on its cheapest path are left out.

    What `at_once` picks is shown to the model at once, of all others only what could make a path cheaper than the best
    of those, and than what the line may cost.
    """
    ways: dict[Line, list[_Way]] = {line: [] for _, line, _ in lines}
    for now in (True, False):
        places = []
        for layout, line, most in lines:
            groups = [group for group in line.groups if at_once(line, group) == now]
            groups = groups if now else _promising(line.steps, groups, ways[line], most)
            places += [(layout, line, group) for group in groups]
        for sign in _shown(places, model):
            ways[sign.line].append(_as_way(sign))
    return ways


def _is_one_piece(_: Line, group: Group) -> bool:
    return group.first == group.last


def _is_at_an_end(line: Line, group: Group) -> bool:
    return group.first == 0 or group.last + 1 == line.steps


def _promising(count: int, groups: list[Group], known: list[_Way], most: float) -> list[Group]:
    """The groups that, were they surely digits, would make a path cheaper than most and than any of the known ways."""
    hoped = [_Way(group.first, group.last, group.cost + EACH, ()) for group in groups]
    most = min(most, _costs(count, known)[count])
    before = _costs(count, known + hoped)
    turned = [replace(way, first=count - 1 - way.last, last=count - 1 - way.first) for way in known + hoped]
    behind = _costs(count, turned)
    return [
        group
        for group, way in zip(groups, hoped, strict=True)
        if before[way.first] + way.cost + behind[count - 1 - way.last] < most
    ]


def _as_way(sign: Sign) -> _Way:
    cost = sign.group.cost + (SMALL_SIGN if sign.group.small else min(sign.cost, SIGN))
    return _Way(sign.group.first, sign.group.last, cost, (sign,))


def _cheapest(count: int, ways: list[_Way]) -> _Way:
    """The ways one after another that cover so many pieces at the least cost in sum; without signs if none do."""
    best = [_Way(0, -1, 0.0, ()), *(_Way(0, place, math.inf, ()) for place in range(count))]
    for way in sorted(ways, key=lambda way: way.first):
        before = best[way.first]
        if before.cost + way.cost < best[way.last + 1].cost:
            best[way.last + 1] = _Way(0, way.last, before.cost + way.cost, before.signs + way.signs)
    return best[count]


def _costs(count: int, ways: list[_Way]) -> list[float]:
    """What the cheapest path to each of the places 0 … count costs."""
    best = [0.0, *(math.inf for _ in range(count))]
    for way in sorted(ways, key=lambda way: way.first):
        best[way.last + 1] = min(best[way.last + 1], best[way.first] + way.cost)
    return best


def _shown(places: list[tuple[Layout, Line, Group]], model: Model) -> list[Sign]:
    if not places:
        return []
    glyphs = np.array([layout.glyph(group) for layout, _, group in places])
    return _said([(line, group) for _, line, group in places], glyphs, model)


def _said(places: list[tuple[Line, Group]], glyphs: Images, model: Model) -> list[Sign]:
    said: Predictions = model.predict(glyphs)
    novelty = np.zeros(len(glyphs)) if said.novelty is None else said.novelty
    return [
        Sign(line, group, glyphs[index], said.probabilities[index], float(novelty[index]))
        for index, (line, group) in enumerate(places)
    ]


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
    counts is what the model says, how much of the ink would be left out, and how many strokes are joined. If that is
    no digit, the largest pieces are cut apart.
    """
    pieces = [piece for line in layout.lines for piece in line.pieces]
    weights = {piece: _weight(piece, layout) for piece in pieces}
    total = sum(weights.values())
    largest = sorted(pieces, key=lambda piece: -weights[piece])[:LARGEST]
    choices = [line.pieces[group.first : group.last + 1] for line in layout.lines for group in line.groups]
    choices += [some for size in range(2, LARGEST + 1) for some in combinations(largest, size)]
    choices += [tuple(pieces), tuple(piece for piece in pieces if weights[piece] == piece.area)]
    distinct = [tuple(some) for some in dict.fromkeys(map(frozenset, choices)) if some]
    places = [(layout.lines[0], Group.of(union(some), 0, 0, JOINED * (len(some) - 1))) for some in distinct]
    signs = _said(places, np.array([layout.glyph(union(some)) for some in distinct]), model)
    found = [
        _costed(sign, sum(weights[piece] for piece in some) / total) for sign, some in zip(signs, distinct, strict=True)
    ]
    if min(cost for cost, _ in found) >= GOOD:
        for line in layout.lines:
            for index, piece in enumerate(line.pieces):
                parts = cut_apart(layout, line, index) if piece in largest[:MOST_CUT] else None
                if parts is not None:
                    found += _parts_as_one(parts, weights[piece] / total, model)
    return min(found, key=lambda each: each[0])


def _costed(sign: Sign, share: float) -> tuple[float, Sign]:
    """What a sign costs as the only one, with its share of the ink."""
    return sign.cost + sign.group.cost + LEFT_OUT * (1 - share), replace(sign, share=share)


def _parts_as_one(parts: Layout, share: float, model: Model) -> Iterator[tuple[float, Sign]]:
    """Each run of the parts of a piece, which has a share of the ink, as the only sign."""
    line = parts.lines[0]
    area = sum(part.area for part in line.pieces)
    for sign in _shown([(parts, line, group) for group in line.groups], model):
        ends = int(sign.group.first > 0) + int(sign.group.last + 1 < line.steps)
        cost, costed = _costed(sign, share * sign.group.area / area)
        yield cost - sign.group.cost + CUT_APART * ends, costed


def _weight(piece: Piece, layout: Layout) -> float:
    """Its area, of which little counts if the piece touches the edge."""
    x0, y0, x1, y1 = piece.box
    height, width = layout.labels.shape
    touches = min(x0, y0, width - x1, height - y1) <= NEAR_EDGE
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

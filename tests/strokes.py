"""Digits as the strokes of a pen, shaped as MNIST's writers shape them.

Points in a box 60 wide and 100 high, x to the right and y down, in the order in which a hand draws them.
"""

from __future__ import annotations

import numpy as np

Stroke = list[tuple[float, float]]

WIDTH, HEIGHT = 60, 100

STROKES: dict[int, list[Stroke]] = {
    0: [
        [(36, 4), (24, 5), (13, 16), (7, 34), (5, 54), (8, 76), (18, 92), (31, 97), (44, 90), (53, 73), (56, 51),
         (54, 30), (47, 13), (36, 4), (28, 5)],
    ],
    1: [
        [(36, 3), (34, 20), (31, 42), (28, 65), (26, 82), (24, 97)],
    ],
    2: [
        [(8, 24), (12, 12), (23, 4), (37, 5), (47, 15), (48, 29), (42, 45), (31, 62), (18, 79), (5, 94), (18, 92),
         (34, 93), (56, 95)],
    ],
    3: [
        [(9, 13), (20, 4), (35, 4), (46, 13), (45, 27), (35, 39), (21, 46), (36, 48), (48, 57), (52, 71), (46, 86),
         (32, 95), (17, 95), (5, 86)],
    ],
    4: [
        [(12, 6), (9, 22), (7, 40), (8, 54), (20, 57), (36, 55), (54, 51)],
        [(47, 5), (45, 28), (43, 52), (41, 76), (40, 97)],
    ],
    5: [
        [(15, 6), (13, 22), (11, 42), (24, 37), (38, 40), (49, 52), (51, 69), (44, 85), (30, 95), (15, 94), (5, 86)],
        [(15, 6), (30, 6), (53, 4)],
    ],
    6: [
        [(42, 3), (30, 13), (19, 29), (11, 48), (8, 66), (11, 83), (21, 95), (35, 96), (47, 87), (50, 73), (43, 61),
         (30, 57), (18, 64), (11, 76)],
    ],
    7: [
        [(5, 14), (20, 12), (36, 10), (54, 8), (48, 24), (40, 44), (32, 66), (26, 83), (22, 97)],
    ],
    8: [
        [(47, 14), (36, 4), (22, 6), (13, 17), (16, 31), (28, 43), (42, 56), (50, 71), (46, 87), (33, 96), (18, 93),
         (10, 80), (15, 65), (28, 51), (42, 38), (50, 25), (47, 14)],
    ],
    9: [
        [(46, 20), (37, 6), (23, 5), (11, 15), (8, 30), (14, 43), (27, 47), (40, 40), (46, 22), (46, 20), (46, 42),
         (44, 64), (40, 82), (36, 97)],
    ],
}  # fmt: skip

# A tangle that is no digit.
SCRIBBLE: list[Stroke] = [
    [(2, 50), (58, 8), (10, 90), (50, 20), (5, 30), (55, 80), (20, 5), (40, 98), (0, 70), (60, 50), (15, 60), (45, 5),
     (30, 95), (58, 30), (2, 15), (55, 95), (25, 40), (60, 65), (5, 95), (48, 55)],
]  # fmt: skip


def smooth(stroke: Stroke, parts: int = 3) -> Stroke:
    """The stroke through the same points, bent as a hand bends it: Catmull and Rom's curve, so many points for one."""
    points = np.array([stroke[0], *stroke, stroke[-1]], float)
    share = np.linspace(0, 1, parts, endpoint=False)[:, None]
    curve = [
        before + 0.5 * share * (after - old)
        + share**2 * (old - 2.5 * before + 2 * after - 0.5 * new)
        + share**3 * (1.5 * (before - after) + 0.5 * (new - old))
        for old, before, after, new in zip(points, points[1:], points[2:], points[3:], strict=False)
    ]  # fmt: skip
    return [(float(x), float(y)) for x, y in [*np.concatenate(curve), points[-1]]]

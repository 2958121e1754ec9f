"""Digits drawn stroke by stroke, in the forms that are common outside America and rare in MNIST.

    >>> images, labels = draw_forms(4_000, numpy.random.default_rng(0))
    >>> images.shape, sorted(set(labels.tolist()))
    ((4000, 28, 28), [0, 1, 2, 3, 4, 5, 7, 8, 9])

A 0 that is struck through; a 1 with a long upstroke, with and without a foot; a 2 like a Z; a 3 with a level top; a 4
that is open, round, written in one stroke, or whose stem runs through a bowl; a 5 whose top stands apart; a 7 with a
bar through it or a tick at its left end; an 8 of two rings; a 9 with a tiny or open loop or a tail that curls back
under it. MNIST's writers were American, and a network that saw only theirs takes such a 1 for a 7. Points are in the
digit's own frame: 0…1 to the right and downwards; `pen` is the width of the stroke, as a share of the digit's height.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from .strokes import CANVAS, curve, framed

Points = NDArray[np.float64]
Strokes = list[Points]

TREMBLE = 0.018  # of the digit's height: how far a point strays from where it was meant


def moved(point: Points, right: float, down: float) -> Points:
    return np.asarray(point + np.array([right, down]))


def one(rng: np.random.Generator, pen: float) -> Strokes:
    """Upstroke, downstroke, and now and then a foot."""
    top = np.array([rng.uniform(0.5, 0.62), 0.0])
    reach = rng.uniform(0.18, 0.62)
    drop = rng.uniform(max(0.14, 0.55 * reach), 0.6)  # as level as a 7's top it is nobody's 1
    start = moved(top, -reach, drop)
    bottom = np.array([top[0] + rng.uniform(-0.12, 0.08), 1.0])
    bend = moved((start + top) / 2, rng.uniform(-0.02, 0.05), rng.uniform(-0.02, 0.06))
    strokes = [np.concatenate([curve(np.array([start, bend, top])), [bottom]])]
    if rng.random() < 0.3:
        half = rng.uniform(0.12, 0.3)
        strokes.append(np.array([moved(bottom, -half, rng.uniform(-0.02, 0.02)), moved(bottom, half, 0)]))
    return strokes


def zero(rng: np.random.Generator, pen: float) -> Strokes:
    """A ring with a stroke through it from the lower left to the upper right."""
    wide, tall = rng.uniform(0.25, 0.42), 0.44
    reach = rng.uniform(0.5, 1.2)
    slash = np.array([[0.5 - wide * reach, 0.5 + tall * reach * 0.9], [0.5 + wide * reach, 0.5 - tall * reach * 0.9]])
    return [ring(rng, np.array([0.5, 0.5]), wide, tall), slash]


def ring(rng: np.random.Generator, middle: Points, wide: float, tall: float) -> Points:
    """Once round, from somewhere at the top; the ends meet, fail to meet or overlap."""
    begin = rng.uniform(-2.2, -0.9)
    turn = np.linspace(begin, begin - 2 * np.pi + rng.uniform(-0.3, 0.25), 24)
    return middle + np.stack([np.cos(turn) * wide, np.sin(turn) * tall], 1)


def two(rng: np.random.Generator, pen: float) -> Strokes:
    """Like a Z: a level or little bent top, a leaning stem, a level foot; sometimes with a bar."""
    left, right = np.array([rng.uniform(0.08, 0.25), rng.uniform(0.0, 0.15)]), np.array([rng.uniform(0.7, 0.85), 0.08])
    hump = moved((left + right) / 2, 0, rng.uniform(-0.14, 0.0))
    corner = np.array([rng.uniform(0.05, 0.22), rng.uniform(0.9, 1.0)])
    foot = np.array([rng.uniform(0.75, 1.0), rng.uniform(0.9, 1.02)])
    strokes = [np.concatenate([curve(np.array([left, hump, right])), [corner], [foot]])]
    if rng.random() < 0.25:
        middle, half = (right + corner) / 2, rng.uniform(0.12, 0.22)
        strokes.append(np.array([moved(middle, -half, 0), moved(middle, half, 0)]))
    return strokes


def three(rng: np.random.Generator, pen: float) -> Strokes:
    """A level top, back to the middle in a straight line, and a bow below."""
    left, right = np.array([rng.uniform(0.1, 0.25), rng.uniform(0.0, 0.06)]), np.array([rng.uniform(0.7, 0.85), 0.02])
    middle = np.array([rng.uniform(0.38, 0.52), rng.uniform(0.36, 0.46)])
    out = np.array([rng.uniform(0.78, 0.92), rng.uniform(0.6, 0.72)])
    bottom = np.array([rng.uniform(0.4, 0.55), 1.0])
    tip = np.array([rng.uniform(0.05, 0.2), rng.uniform(0.8, 0.92)])
    return [np.concatenate([[left], [right], curve(np.array([middle, out, bottom, tip]))])]


def five(rng: np.random.Generator, pen: float) -> Strokes:
    """Down and round in one stroke; the top is a second one, which may miss the first."""
    top = np.array([rng.uniform(0.2, 0.35), rng.uniform(0.02, 0.1)])
    waist = np.array([rng.uniform(0.14, 0.28), rng.uniform(0.4, 0.52)])
    out = np.array([rng.uniform(0.75, 0.9), rng.uniform(0.58, 0.74)])
    bottom = np.array([rng.uniform(0.4, 0.55), 1.0])
    tip = np.array([rng.uniform(0.05, 0.18), rng.uniform(0.82, 0.94)])
    bow = curve(np.array([waist, moved((waist + out) / 2, 0.05, -0.12), out, bottom, tip]))
    start = moved(top, rng.uniform(-0.04, 0.16), rng.uniform(-0.1, 0.02))
    bar = np.array([start, moved(start, rng.uniform(0.3, 0.6), rng.uniform(-0.08, 0.03))])
    return [np.concatenate([[top], bow]), bar]


def eight(rng: np.random.Generator, pen: float) -> Strokes:
    """Two rings, one on the other."""
    share = rng.uniform(0.4, 0.52)
    upper, lower = share / 2, (1 - share) / 2
    overlap = rng.uniform(-0.02, 0.04)
    top = ring(rng, np.array([0.5 + rng.uniform(-0.06, 0.1), upper]), rng.uniform(0.2, 0.3), upper)
    return [top, ring(rng, np.array([0.5, share + lower - overlap]), rng.uniform(0.22, 0.36), lower)]


def seven(rng: np.random.Generator, pen: float) -> Strokes:
    """A level top, a leaning stem, a bar through it; sometimes a tick down from the left end."""
    left, right = np.array([rng.uniform(0.1, 0.2), rng.uniform(0.0, 0.08)]), np.array([rng.uniform(0.72, 0.85), 0.02])
    bottom = np.array([rng.uniform(0.25, 0.5), 1.0])
    stem = curve(np.array([right, moved((right + bottom) / 2, rng.uniform(-0.02, 0.08), 0), bottom]))
    line = np.concatenate([[left], stem])
    if rng.random() < 0.35:
        line = np.concatenate([[moved(left, rng.uniform(-0.04, 0.02), rng.uniform(0.08, 0.2))], line])
    strokes = [line]
    if rng.random() < 0.85:
        middle = stem[np.argmin(np.abs(stem[:, 1] - rng.uniform(0.42, 0.62)))]
        half, rise = rng.uniform(0.12, 0.26), rng.uniform(-0.04, 0.08)
        strokes.append(np.array([moved(middle, -half, rise), moved(middle, half, -rise)]))
    return strokes


def nine(rng: np.random.Generator, pen: float) -> Strokes:
    """A loop, which may be tiny or open, and a tail that is straight, curls to the left or runs back under the loop."""
    if rng.random() < 0.35:
        return _nine_in_one(rng)
    high = rng.uniform(0.06 + 0.75 * pen, 0.28)  # so that the pen does not fill it
    wide = high * rng.uniform(0.6, 1.05)
    begin = rng.uniform(-0.6, 0.2)
    turn = np.linspace(begin, begin - 2 * np.pi + rng.uniform(-0.2, 0.5), 20)
    middle = np.array([0.5, high])
    loop = middle + np.stack([np.cos(turn) * wide, np.sin(turn) * high], 1)
    side = moved(middle, wide, rng.uniform(-0.05, 0.1))
    if rng.random() < 0.45:
        bottom = np.array([side[0] + rng.uniform(-0.3, 0.05), 1.0])
        return [loop, curve(np.array([side, moved((side + bottom) / 2, rng.uniform(0, 0.05), 0), bottom]))]
    low = np.array([side[0] + rng.uniform(-0.06, 0.04), rng.uniform(0.65, 0.82)])
    bottom = np.array([0.5 + rng.uniform(-0.08, 0.08), 1.0])
    tip = np.array([rng.uniform(0.15, 0.35), rng.uniform(0.8, 0.95)])
    return [loop, curve(np.array([side, low, bottom, tip]))]


def _nine_in_one(rng: np.random.Generator) -> Strokes:
    """From the right round the loop without closing it, up, down, and far to the left."""
    begin = np.array([rng.uniform(0.62, 0.9), rng.uniform(0.0, 0.12)])
    left = np.array([rng.uniform(0.1, 0.3), rng.uniform(0.25, 0.42)])
    low = np.array([rng.uniform(0.35, 0.5), rng.uniform(0.45, 0.66)])
    up = np.array([rng.uniform(0.68, 0.82), rng.uniform(0.1, 0.25)])
    side = np.array([up[0] + rng.uniform(-0.12, 0.02), rng.uniform(0.6, 0.78)])
    bottom = np.array([rng.uniform(0.38, 0.52), rng.uniform(0.92, 1.0)])
    tip = np.array([rng.uniform(-0.08, 0.18), rng.uniform(0.8, 0.97)])
    crown = moved((begin + left) / 2, rng.uniform(-0.1, 0.0), rng.uniform(-0.14, -0.08))
    loop = curve(np.array([begin, crown, left, low, up]))
    return [np.concatenate([loop, curve(np.array([up, side, bottom, tip]))])]


def _four_with_bowl(rng: np.random.Generator) -> Strokes:
    """A stem through a bowl that is open at the top, or whose right arm bends back to the stem's top."""
    arm = np.array([rng.uniform(0.12, 0.35), rng.uniform(0.0, 0.12)])
    left = np.array([rng.uniform(0.05, 0.22), rng.uniform(0.38, 0.52)])
    low = np.array([rng.uniform(0.35, 0.5), rng.uniform(0.54, 0.66)])
    right = np.array([rng.uniform(0.78, 0.98), rng.uniform(0.22, 0.42)])
    stem = np.array([rng.uniform(0.4, 0.56), rng.uniform(0.0, 0.2)])
    bottom = moved(stem, rng.uniform(-0.08, 0.06), 1 - stem[1])
    bowl = curve(np.array([arm, left, low, right]))
    if rng.random() < 0.5:
        return [bowl, np.array([stem, bottom])]
    back = np.array([moved(right, rng.uniform(-0.1, 0.0), rng.uniform(-0.16, -0.08)), moved(stem, 0, 0.05)])
    return [np.concatenate([bowl, curve(np.array([right, *back])), [bottom]])]


def four(rng: np.random.Generator, pen: float) -> Strokes:
    """Open at the top: down, to the right, and a stem across; the same closed; all of it without lifting; a bowl."""
    if rng.random() < 0.25:
        return _four_with_bowl(rng)
    top = np.array([rng.uniform(0.25, 0.5), 0.0])
    elbow = np.array([rng.uniform(0.08, 0.22), rng.uniform(0.5, 0.68)])
    end = np.array([rng.uniform(0.75, 0.92), elbow[1] + rng.uniform(-0.08, 0.04)])
    stem = np.array([rng.uniform(0.58, 0.72), rng.uniform(0.12, 0.42)])
    kind = rng.random()
    if kind < 0.25:
        stem = top = np.array([rng.uniform(0.5, 0.7), 0.0])
    bottom = moved(stem, rng.uniform(-0.1, 0.04), rng.uniform(0.55, 0.7) if kind >= 0.25 else 1.0)
    bend = moved((top + elbow) / 2, rng.uniform(-0.06, 0.02), 0)
    if kind > 0.65:  # round, and on without lifting: the hand runs up to the stem
        low = moved(elbow, rng.uniform(0.1, 0.2), rng.uniform(0.02, 0.08))
        return [np.concatenate([curve(np.array([top, bend, elbow, low, stem])), [bottom]])]
    if kind > 0.5:  # the bar is a bow
        bow = moved((elbow + end) / 2, 0, rng.uniform(0.04, 0.12))
        return [
            np.concatenate([curve(np.array([top, bend, elbow])), curve(np.array([elbow, bow, end]))]),
            np.array([stem, bottom]),
        ]
    return [np.concatenate([curve(np.array([top, bend, elbow])), [end]]), np.array([stem, bottom])]


FORMS: dict[int, Callable[[np.random.Generator, float], Strokes]] = {
    0: zero, 1: one, 2: two, 3: three, 4: four, 5: five, 7: seven, 8: eight, 9: nine
}  # fmt: skip
SHARES = {0: 0.04, 1: 0.26, 2: 0.07, 3: 0.06, 4: 0.18, 5: 0.06, 7: 0.11, 8: 0.05, 9: 0.17}


def draw_forms(count: int, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """`count` drawn digits: images uint8 (count, 28, 28) in MNIST's frame, and labels uint8 (count,)."""
    labels = rng.choice(list(SHARES), count, p=list(SHARES.values())).astype(np.uint8)
    images = [_draw(FORMS[int(label)], rng) for label in labels]
    return (np.stack(images) if images else np.zeros((0, 28, 28), np.uint8)), labels


def _draw(form: Callable[[np.random.Generator, float], Strokes], rng: np.random.Generator) -> NDArray[np.uint8]:
    sheet = np.zeros((CANVAS, CANVAS), np.uint8)
    width = int(rng.integers(7, 16))
    stretch = np.array([rng.uniform(0.55, 0.85), 0.8]) * CANVAS
    for points in form(rng, width / stretch[1]):
        # Neighbouring points stray together, or the line would be rough.
        stray = np.cumsum(rng.normal(0, TREMBLE / np.sqrt(len(points)), points.shape), 0)
        place = (points + stray - 0.5) * stretch + CANVAS / 2
        line = np.round(place * 16).astype(np.int32).reshape(-1, 1, 2)
        cv2.polylines(sheet, [line], False, 255, width, cv2.LINE_AA, shift=4)
    return framed(sheet)

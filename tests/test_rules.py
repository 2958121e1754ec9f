"""Printed lines are taken away, and strokes stay."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from inkdigits.ink.rules import Frame, find_rules

WIDE, HIGH = 360, 160
STROKE = 6.0


def signs() -> NDArray[np.bool_]:
    """A 7, a 1 and a 4, one beside another."""
    canvas = np.zeros((HIGH, WIDE), np.uint8)
    for points in (
        [[40, 40], [90, 40], [60, 120]],
        [[160, 40], [160, 120]],
        [[250, 40], [220, 90], [280, 90]],
        [[265, 50], [265, 120]],
    ):
        cv2.polylines(canvas, [np.array(points)], False, 1, int(STROKE))
    return canvas > 0


def kept_and_gone(mask: NDArray[np.bool_], lines: NDArray[np.bool_], writing: NDArray[np.bool_]) -> tuple[float, float]:
    """Shares of the writing that stays, and of the lines beside it that goes."""
    rules = find_rules(mask, STROKE, Frame(0, 0, mask.shape[1], mask.shape[0]))
    beside = lines & ~(cv2.dilate(writing.view(np.uint8), np.ones((9, 9), np.uint8)) > 0)
    return float((writing & ~rules).sum() / writing.sum()), float((beside & rules).sum() / beside.sum())


@pytest.mark.parametrize("slope", [0, 4, -12])
def test_a_ruling_line_goes_and_the_strokes_that_cross_it_stay(slope: int) -> None:
    lines = np.zeros((HIGH, WIDE), np.uint8)
    for row in (20, 78, 140):
        cv2.line(lines, (0, row), (WIDE - 1, row + slope), 1, 2)
    kept, gone = kept_and_gone(signs() | (lines > 0), lines > 0, signs())
    assert kept > 0.9
    assert gone > 0.9


def test_squares_go() -> None:
    lines = np.zeros((HIGH, WIDE), np.bool_)
    lines[8::48, :] = lines[9::48, :] = True
    lines[:, 10::48] = lines[:, 11::48] = True
    kept, gone = kept_and_gone(signs() | lines, lines, signs())
    assert kept > 0.85
    assert gone > 0.85


def test_an_underline_goes_that_ends_within_the_picture() -> None:
    lines = np.zeros((HIGH, WIDE), np.bool_)
    lines[136:140, 20:320] = True
    kept, gone = kept_and_gone(signs() | lines, lines, signs())
    assert kept == 1
    assert gone > 0.95


def test_the_border_of_a_cell_goes() -> None:
    lines = np.zeros((HIGH, WIDE), np.bool_)
    lines[:5], lines[:, -7:] = True, True
    kept, gone = kept_and_gone(signs() | lines, lines, signs())
    assert kept == 1
    assert gone > 0.95


def test_without_lines_nothing_goes() -> None:
    assert not find_rules(signs(), STROKE, Frame(0, 0, WIDE, HIGH)).any()


def test_a_one_and_the_bars_of_sevens_are_no_lines() -> None:
    canvas = np.zeros((HIGH, WIDE), np.uint8)
    for left in range(30, 300, 70):
        cv2.polylines(canvas, [np.array([[left, 40], [left + 50, 40], [left + 20, 120]])], False, 1, int(STROKE))
    assert not find_rules(canvas > 0, STROKE, Frame(0, 0, WIDE, HIGH)).any()
    one = np.zeros((HIGH, 60), np.bool_)
    one[12:148, 27:33] = True
    assert not find_rules(one, STROKE, Frame(0, 0, 60, HIGH)).any()

"""A real browser for the tests of the page, and a hand that draws in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from strokes import STROKES, Stroke, smooth

NAMES = ("chromium", "chromium-browser", "google-chrome")
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}


@contextmanager
def open_browser() -> Iterator[Any]:
    """Chromium, from INKDIGITS_CHROMIUM or the path; skips the tests without it unless CI_REQUIRES_BROWSER is set."""
    path = os.environ.get("INKDIGITS_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _without("Playwright")
    if path is None:
        _without("Chromium; set INKDIGITS_CHROMIUM to its path")
    with sync_playwright() as playwright:
        # Nothing is asked of anybody outside; run by root, as in a container, it starts without its sandbox only.
        arguments = [
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-first-run",
        ]
        arguments += ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


def _without(what: str) -> None:
    message = f"the page is tested in a browser: needs {what}"
    if os.environ.get("CI_REQUIRES_BROWSER"):
        pytest.fail(message)
    pytest.skip(message)


def on_pad(page: Any, strokes: list[Stroke], place: tuple[float, float], height: float) -> list[Stroke]:
    """Strokes of the box 60×100 as points of the window: smooth, at a place on the pad, so many pixels high."""
    pad = page.locator("#pad").bounding_box()
    left, top = pad["x"] + place[0], pad["y"] + place[1]
    return [[(left + x * height / 100, top + y * height / 100) for x, y in smooth(stroke)] for stroke in strokes]


def draw(page: Any, strokes: list[Stroke], place: tuple[float, float] = (250, 60), height: float = 300) -> None:
    """Draws with the mouse."""
    for stroke in on_pad(page, strokes, place, height):
        page.mouse.move(*stroke[0])
        page.mouse.down()
        for point in stroke[1:]:
            page.mouse.move(*point)
        page.mouse.up()


def draw_number(page: Any, digits: str, left: float = 60, height: float = 190) -> None:
    for place, digit in enumerate(digits):
        draw(page, STROKES[int(digit)], (left + place * 0.85 * height, 110), height)


def draw_by_touch(page: Any, strokes: list[Stroke], place: tuple[float, float], height: float) -> None:
    """Draws with a finger, as the system reports it: a browser that may scroll then scrolls."""
    system = page.context.new_cdp_session(page)
    for stroke in on_pad(page, strokes, place, height):
        kinds = ["touchStart", *["touchMove"] * (len(stroke) - 1)]
        for kind, (x, y) in zip(kinds, stroke, strict=True):
            system.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
        system.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def draw_by_pen(page: Any, strokes: list[Stroke], pressure: float) -> None:
    system = page.context.new_cdp_session(page)
    for stroke in on_pad(page, strokes, (250, 60), 300):
        kinds = ["mousePressed", *["mouseMoved"] * (len(stroke) - 1), "mouseReleased"]
        for kind, (x, y) in zip(kinds, [*stroke, stroke[-1]], strict=True):
            event = {"type": kind, "x": x, "y": y, "button": "left", "buttons": 1, "clickCount": 1}
            system.send("Input.dispatchMouseEvent", {**event, "pointerType": "pen", "force": pressure})


def answer(page: Any) -> str:
    """What is read, once everything that was drawn has been."""
    page.locator("#answer[aria-busy='false']").wait_for()
    return str(page.locator("#text").inner_text())

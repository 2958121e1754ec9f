"""The page of `inkdigits serve`, in a real browser and with the real reader."""

from __future__ import annotations

import base64
import io
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import PHONE, answer, draw, draw_by_pen, draw_by_touch, draw_number, open_browser
from page_server import PageServer, page_server
from PIL import Image
from strokes import SCRIBBLE, STROKES

from inkdigits.app.serving.routes import PAGE
from inkdigits.digits.corrections import CorrectionStore
from inkdigits.digits.dataset import Digits
from inkdigits.reader.read import Reader

OpenPage = Callable[..., Any]

DROP = """([bytes, kind]) => {
  const files = new DataTransfer();
  const content = Uint8Array.from(atob(bytes), (each) => each.charCodeAt(0));
  files.items.add(new File([content], "note.png", { type: "image/png" }));
  const target = document.querySelector("main");
  if (kind === "paste") target.dispatchEvent(new ClipboardEvent("paste", { clipboardData: files, bubbles: true }));
  else for (const name of ["dragenter", "dragover", "drop"]) {
    target.dispatchEvent(new DragEvent(name, { dataTransfer: files, bubbles: true, cancelable: true }));
  }
}"""
UNNAMED = """() => [...document.querySelectorAll("button, input, img, [role]")]
  .filter((each) => !(each.getAttribute("aria-label") ?? each.labels?.[0]?.textContent ?? each.textContent).trim())
  .filter((each) => !(each.tagName === "IMG" && each.hasAttribute("alt")) && each.getAttribute("role") !== "alert")
  .filter((each) => each.getAttribute("role") !== "status").map((each) => each.outerHTML)"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with open_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def one_thread() -> Reader:
    return Reader(threads=1)


@pytest.fixture
def server(request: pytest.FixtureRequest, one_thread: Reader, tmp_path: Path) -> Iterator[PageServer]:
    """A server that keeps corrections, unless the test gives it other parameters."""
    how = {"corrections": tmp_path / "corrections.sqlite", **getattr(request, "param", {})}
    with page_server(one_thread, **how) as server:
        yield server


@pytest.fixture
def open_page(browser: Any, server: PageServer) -> Iterator[OpenPage]:
    """Opens the page; afterwards nothing may have been complained about, nor asked for outside of it.

    With `troubled` answers of 400 and more, which the browser logs, are meant.
    """
    contexts, complaints, outside = [], [], []

    def open_page(*, troubled: bool = False, **options: Any) -> Any:
        context = browser.new_context(**{"viewport": {"width": 1200, "height": 800}, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)

        def listen(message: Any) -> None:
            if not (troubled and message.text.startswith("Failed to load resource")):
                complaints.append(message.text)

        page.on("console", listen)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: outside.append(request.url) if _leaves(request.url, server) else None)
        page.goto(server.address)
        page.locator("#model:not(:empty)").wait_for()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
    assert outside == []


def _leaves(url: str, server: PageServer) -> bool:
    return not url.startswith((server.address, "data:", f"blob:{server.address}"))


@pytest.fixture
def page(open_page: OpenPage) -> Any:
    return open_page()


@pytest.fixture(scope="module")
def photo(mnist_test: Digits) -> bytes:
    """A sheet in uneven light with 314 above 27, of real digits, 1,000×750 pixels, as PNG."""
    height, width = 750, 1000
    ink = np.zeros((height, width))
    assert mnist_test.labels is not None
    for number, (label, x, y) in enumerate([(3, 120, 90), (1, 300, 95), (4, 480, 90), (2, 160, 400), (7, 340, 410)]):
        image = mnist_test.images[mnist_test.labels == label][10 + number]
        ink[y : y + 160, x : x + 160] = np.asarray(Image.fromarray(image).resize((160, 160), Image.Resampling.BICUBIC))
    down, across = np.mgrid[:height, :width]
    grain = np.random.default_rng(0).normal(0, 3, ink.shape)
    light = 210 - 0.04 * across - 0.03 * down + grain
    pixels = (light * (1 - 0.75 * ink / 255)).clip(0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def _choose(page: Any, content: bytes, name: str = "note.png") -> None:
    page.set_input_files("#file", {"name": name, "mimeType": "image/png", "buffer": content})


def _bars(page: Any) -> list[float]:
    """How high the ten bars are, in percent."""
    heights = page.eval_on_selector_all("#bars .track i", "all => all.map((bar) => parseFloat(bar.style.height))")
    return [float(height) for height in heights]


def _overflow(page: Any) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def test_each_digit_drawn_with_the_mouse_is_read(page: Any) -> None:
    read = {}
    for digit, strokes in STROKES.items():
        draw(page, strokes)
        read[digit] = answer(page)
        assert page.locator("#sentence").inner_text().endswith("% sure.")
        assert int(np.argmax(_bars(page))) == digit
        page.keyboard.press("Escape")
        assert answer(page) == ""
    assert read == {digit: str(digit) for digit in STROKES}


def test_a_whole_number_is_read_and_each_digit_of_it_can_be_chosen(page: Any) -> None:
    draw_number(page, "407")
    assert answer(page) == "407"
    assert page.locator(".box b").all_inner_texts() == ["4", "0", "7"]
    assert int(np.argmax(_bars(page))) == 7, "the digit drawn last is chosen"
    page.locator("#text button").first.click()
    assert int(np.argmax(_bars(page))) == 4
    glyph = page.locator("#glyph")
    assert glyph.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [28, 28]
    pad = page.locator("#pad").bounding_box()
    box = page.locator(".box").nth(2).bounding_box()
    assert abs(box["x"] - pad["x"] - 60 - 2 * 0.85 * 190 - 0.05 * 190) < 20
    assert abs(box["height"] - 0.9 * 190) < 30


def test_it_is_read_while_it_is_drawn(page: Any, server: PageServer) -> None:
    pad = page.locator("#pad").bounding_box()
    page.mouse.move(pad["x"] + 300, pad["y"] + 80)
    page.mouse.down()
    page.mouse.move(pad["x"] + 290, pad["y"] + 350, steps=5)
    assert answer(page) == "1"
    page.mouse.up()


def test_one_question_at_a_time_and_none_about_what_is_gone(page: Any) -> None:
    under_way: list[Any] = []
    page.route("**/v1/read?*", lambda route: under_way.append(route))
    draw(page, STROKES[3])
    page.wait_for_timeout(400)
    draw(page, STROKES[1], (500, 60))
    page.wait_for_timeout(400)
    assert len(under_way) == 1
    page.keyboard.press("Escape")
    page.wait_for_timeout(300)
    assert answer(page) == ""
    page.unroute("**/v1/read?*")
    draw(page, STROKES[7])
    assert answer(page) == "7"


def test_a_finger_draws_and_does_not_scroll(open_page: OpenPage) -> None:
    page = open_page(**PHONE)
    draw_by_touch(page, STROKES[7], (90, 30), 220)
    assert answer(page) == "7"
    assert page.evaluate("scrollY") == 0
    assert page.evaluate("document.documentElement.scrollHeight > innerHeight"), "there is something to scroll"
    assert page.locator("#camera").evaluate("input => input.closest('label').checkVisibility()")
    sizes = page.eval_on_selector_all(
        "button, .file, .switches label",
        "all => all.filter((each) => each.checkVisibility()).map((each) => each.getBoundingClientRect().height)",
    )
    assert min(sizes) >= 24


def test_nothing_is_wider_than_a_phone(open_page: OpenPage, photo: bytes, server: PageServer) -> None:
    page = open_page(**PHONE)
    assert _overflow(page) == 0
    draw_number(page, "407", left=25, height=110)
    assert answer(page) == "407"
    assert _overflow(page) == 0
    for label in (1, 2):
        page.locator("#bars button").nth(label).tap()
        page.locator("#correct-hint", has_text=f"Kept as a {label}.").wait_for()
    assert [each.label for each in server.corrections] == [2]
    assert _overflow(page) == 0
    _choose(page, photo)
    assert answer(page) == "314\n27"
    assert _overflow(page) == 0


@pytest.mark.parametrize("way", ["choose", "drop", "paste"])
def test_a_picture_is_read_with_boxes_over_it(page: Any, photo: bytes, server: PageServer, way: str) -> None:
    if way == "choose":
        _choose(page, photo)
    else:
        page.evaluate(DROP, [base64.b64encode(photo).decode(), way])
    assert answer(page) == "314\n27"
    assert server.asked == [photo], "the file is sent as it is"
    assert page.locator("#photo").is_visible()
    assert page.locator(".box b").all_inner_texts() == ["3", "1", "4", "2", "7"]
    area = page.locator("#boxes").bounding_box()
    four = page.locator(".box").nth(2).bounding_box()
    assert 0.48 < (four["x"] - area["x"]) / area["width"] < 0.56
    assert 0.12 < (four["y"] - area["y"]) / area["height"] < 0.2
    page.mouse.click(four["x"] + four["width"] / 2, four["y"] + four["height"] / 2)
    assert int(np.argmax(_bars(page))) == 4
    page.locator("#clear").click()
    assert page.locator("#photo").is_hidden()
    draw(page, STROKES[2])
    assert answer(page) == "2"


def test_a_scribble_is_refused_in_words_and_guessed_on_request(page: Any) -> None:
    draw(page, SCRIBBLE)
    assert answer(page) == "?"
    assert page.locator("#sentence").inner_text() == "This does not look like a digit."
    page.get_by_role("switch", name="Best guess").check(force=True)
    assert re.fullmatch(r"\d", answer(page))
    assert page.locator("#sentence").inner_text().startswith("A guess: only")


def test_two_digits_are_refused_where_one_is_expected(page: Any) -> None:
    draw_number(page, "888")
    assert answer(page) == "888"
    page.get_by_role("switch", name="One digit").check(force=True)
    answer(page)
    assert page.locator("#answer").get_attribute("data-state") == "refused"
    assert "more than one digit" in page.locator("#sentence").inner_text()


def test_a_correction_is_kept_listed_and_deleted(page: Any, server: PageServer, one_thread: Reader) -> None:
    draw(page, STROKES[7])
    assert answer(page) == "7"
    page.get_by_role("button", name="It was a 1").click()
    page.get_by_text("Kept as a 1.").first.wait_for()
    (kept,) = server.corrections
    assert (kept.label, kept.answer) == (1, 7)
    assert np.array_equal(kept.glyph, one_thread.read(server.asked[-1]).digits[0].glyph)
    with closing(sqlite3.connect(server.file)) as database:
        assert database.execute("select picture from correction").fetchone()[0] == server.asked[-1]
    page.keyboard.press("4")
    page.get_by_text("Kept as a 4.").first.wait_for()
    assert [each.label for each in server.corrections] == [4], "one digit has one correction"
    page.reload()
    page.locator("#kept li").wait_for()
    assert page.locator("#kept li").inner_text().split() == ["4", "read", "7", "×"]
    page.get_by_role("button", name="Delete the correction: a 4 that was read as a 7").click()
    page.locator("#none").wait_for()
    assert server.corrections == []


def test_a_correction_can_be_taken_back(page: Any, server: PageServer) -> None:
    draw(page, SCRIBBLE)
    assert answer(page) == "?"
    page.keyboard.press("8")
    page.get_by_text("Kept as an 8.").first.wait_for()
    assert server.corrections[0].answer is None
    page.get_by_role("button", name="Take back").click()
    page.locator("#none").wait_for()
    assert server.corrections == []
    assert answer(page) == "?"


def test_many_corrections_are_shown_bit_by_bit(open_page: OpenPage, server: PageServer) -> None:
    with CorrectionStore(server.file) as store:
        for _ in range(30):
            store.add(np.zeros((28, 28), np.uint8), 3, answer=5)
    page = open_page()
    page.locator("#kept li").first.wait_for()
    assert page.locator("#kept li").count() == 24
    page.locator("#more").click()
    page.locator("#kept li").nth(29).wait_for()
    assert page.locator("#more").is_hidden()


@pytest.mark.parametrize("server", [{"corrections": None}], indirect=True)
def test_without_corrections_there_is_nothing_to_correct_with(page: Any) -> None:
    draw(page, STROKES[7])
    assert answer(page) == "7"
    assert page.locator("#bars button:enabled").count() == 0
    assert page.locator("#corrections").is_hidden()
    page.keyboard.press("4")
    assert "--corrections FILE" in page.locator("#correct-hint").inner_text()


def test_everything_is_reached_and_done_by_keyboard(page: Any, server: PageServer) -> None:
    draw_number(page, "47")
    assert answer(page) == "47"
    page.keyboard.press("ArrowLeft")
    assert int(np.argmax(_bars(page))) == 4
    page.evaluate("document.activeElement.blur()")
    reached = []
    for _ in range(26):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))
    wanted = ["undo", "clear", "width", "file", "4", "7", *"0123456789", "one", "guess"]
    assert set(wanted) <= set(reached)
    page.keyboard.press("Control+z")
    assert answer(page) == "4"
    page.keyboard.press("Escape")
    assert answer(page) == ""
    page.keyboard.press("Control+z")
    assert answer(page) == "4"
    page.keyboard.press("Delete")
    assert answer(page) == ""
    assert server.corrections == []


def test_every_part_has_a_name_and_what_is_read_is_said(page: Any) -> None:
    assert page.evaluate(UNNAMED) == []
    draw_number(page, "47")
    assert answer(page) == "47"
    said = page.get_by_role("status")
    said.filter(has_text="Read: 47.").wait_for(state="attached")
    assert said.get_attribute("aria-live") == "polite"
    assert page.get_by_role("button", name="Digit 1 of 2: 4").count() == 1
    assert page.evaluate(UNNAMED) == []


def test_the_pen_has_a_width_and_feels_pressure(page: Any, server: PageServer) -> None:
    inked = []
    for width, pressure in ((13, 0.1), (13, 0.9), (26, 0.9)):
        page.locator("#width").fill(str(width))
        draw_by_pen(page, STROKES[1], pressure)
        assert answer(page) == "1"
        sent = Image.open(io.BytesIO(server.asked[-1])).convert("L")
        inked.append(np.sum(np.asarray(sent) < 128))
        page.keyboard.press("Escape")
    assert inked[0] * 1.4 < inked[1] < inked[2] / 1.4


def test_a_hand_that_rests_beside_the_pen_does_not_draw(open_page: OpenPage) -> None:
    page = open_page(has_touch=True)
    draw_by_pen(page, STROKES[7], 0.5)
    draw_by_touch(page, STROKES[0], (450, 150), 250)
    assert answer(page) == "7"


def test_dark_pages_send_dark_ink_on_white(open_page: OpenPage, server: PageServer) -> None:
    page = open_page(color_scheme="dark")
    colours = page.locator("#frame").evaluate("frame => [getComputedStyle(frame).backgroundColor, "
                                              "getComputedStyle(frame.firstElementChild).color]")  # fmt: skip
    paper, ink = (sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in colours)
    assert paper < 200 < 600 < ink
    draw(page, STROKES[5])
    assert answer(page) == "5"
    sent = np.asarray(Image.open(io.BytesIO(server.asked[-1])).convert("L"))
    assert max(sent.shape) <= 1000
    assert np.mean(sent > 250) > 0.9
    assert sent.min() == 0


def test_what_is_drawn_fits_the_paper_when_the_window_changes(page: Any) -> None:
    draw_number(page, "47")
    assert answer(page) == "47"
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_timeout(300)
    assert answer(page) == "47"
    page.keyboard.press("Control+z")
    assert answer(page) == "4"


def test_a_drawing_is_as_large_as_before_when_the_window_is(page: Any, server: PageServer) -> None:
    draw_number(page, "47")
    assert answer(page) == "47"
    boxes = [page.locator(".box").nth(index).bounding_box() for index in range(2)]
    page.keyboard.press("4")
    page.get_by_text("Kept as a 4.").first.wait_for()
    page.set_viewport_size({"width": 500, "height": 430})
    page.wait_for_timeout(200)
    small = page.locator(".box").nth(1).bounding_box()
    assert small["height"] < 0.9 * boxes[1]["height"]
    page.set_viewport_size({"width": 1200, "height": 800})
    page.wait_for_timeout(200)
    again = [page.locator(".box").nth(index).bounding_box() for index in range(2)]
    for one, other in zip(boxes, again, strict=True):
        assert [round(value) for value in one.values()] == [round(value) for value in other.values()]
    assert page.get_by_role("button", name="Take back").is_visible(), "what was put right is still known"
    draw(page, STROKES[1], (390, 110), 190)
    assert answer(page) == "471"


def test_what_went_wrong_is_told_within_a_phone(open_page: OpenPage) -> None:
    page = open_page(**PHONE, troubled=True)
    page.context.set_offline(True)
    draw_by_touch(page, STROKES[7], (90, 30), 220)
    page.get_by_text("The reader does not answer.").wait_for()
    box = page.locator("#notice").bounding_box()
    assert 0 <= box["x"] <= box["x"] + box["width"] <= 390
    page.context.set_offline(False)


def test_less_motion_on_request(open_page: OpenPage) -> None:
    page = open_page(reduced_motion="reduce")
    duration = "bar => getComputedStyle(bar).transitionProperty + getComputedStyle(bar).transitionDuration"
    assert page.locator("#bars i").first.evaluate(duration) in ("none0s", "all0s")


def test_a_busy_reader_is_asked_again(open_page: OpenPage, server: PageServer) -> None:
    page = open_page(troubled=True)
    server.busy = 1_000  # until the page has said so, however often it asks before the drawing is done
    draw(page, STROKES[6])
    page.get_by_text("The reader is busy.").wait_for()
    server.busy = 0
    page.locator("#text", has_text="6").wait_for()
    assert page.locator("#notice").is_hidden()


def test_a_reader_that_is_gone_is_waited_for(open_page: OpenPage) -> None:
    page = open_page(troubled=True)
    page.context.set_offline(True)
    draw(page, STROKES[6])
    page.get_by_text("The reader does not answer.").wait_for()
    page.context.set_offline(False)
    page.locator("#text", has_text="6").wait_for()
    assert page.locator("#notice").is_hidden()


def test_a_file_that_is_no_picture_is_told_in_a_sentence(open_page: OpenPage) -> None:
    page = open_page(troubled=True)
    draw(page, STROKES[7])
    assert answer(page) == "7"
    _choose(page, b"not a picture", "<img src=x onerror=alert(1)>.png")
    page.locator("#notice", has_text="not a picture").wait_for()
    assert answer(page) == "7", "the drawing is back"
    assert page.locator("#notice").is_visible()
    page.keyboard.press("Escape")
    assert page.locator("#notice").is_hidden()
    draw(page, STROKES[2])
    assert answer(page) == "2"


@pytest.mark.parametrize("server", [{"token": "open-sesame"}], indirect=True)
def test_a_token_is_asked_for_where_one_is_needed(open_page: OpenPage) -> None:
    page = open_page(troubled=True)
    for given in ("wrong", "open-sesame"):
        page.get_by_role("textbox", name="Token").fill(given)
        page.keyboard.press("Enter")
        time.sleep(0.2)
    page.locator("#none").wait_for()
    assert page.locator("#token").is_hidden()
    draw(page, STROKES[4])
    assert answer(page) == "4"
    assert page.evaluate("localStorage.length") == 0


def test_the_page_holds_nothing_that_a_strict_policy_forbids() -> None:
    html = (PAGE / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|<script(?![^>]* src=)", html)
    for file in PAGE.iterdir():
        text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|//cdn|@import|eval\(|innerHTML", text), file.name

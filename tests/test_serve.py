"""The HTTP interface as the contract has it: what is answered, who may ask, what the page needs."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from serving import asked, npy, png_of, post, problem
from starlette.testclient import TestClient

from inkdigits.app.serving.settings import Limits, Settings
from inkdigits.digits.dataset import Digits
from inkdigits.errors import InputError
from inkdigits.reader.answers import as_object
from inkdigits.reader.read import Reader


def test_one_picture_as_the_body_is_read_as_the_command_line_reads_it(
    server: TestClient, reader: Reader, few: Digits
) -> None:
    large = png_of(255 - np.kron(np.hstack([few.images[0], few.images[2]]), np.ones((4, 4), np.uint8)))
    for picture in (png_of(few.images[1]), large):
        answer = post(server, picture)
        assert answer.status_code == 200
        expected = as_object(reader.read(picture))
        assert answer.json() == {
            "model": {"name": "reader", "version": "1"},
            "readings": [expected | {"file": "picture"}],
        }


def test_several_pictures_in_a_form_are_answered_in_their_order(server: TestClient, few: Digits) -> None:
    files = [("file", (f"{label}.png", png_of(image))) for image, label in zip(few.images[:5], "72104", strict=True)]
    readings = server.post("/v1/read", files=files).json()["readings"]
    assert [reading["text"] for reading in readings] == list("72104")
    assert [reading["file"] for reading in readings] == [f"{label}.png" for label in "72104"]


def test_options_are_heard(server: TestClient, few: Digits) -> None:
    lines = np.full((120, 120), 255, np.uint8)
    lines[20:100, 40:45] = lines[20:100, 75:80] = lines[40:45, 20:100] = lines[75:80, 20:100] = 0
    scribble = png_of(lines)
    assert post(server, scribble).json()["readings"][0]["refused"]
    assert not post(server, scribble, path="/v1/read?best_guess=true").json()["readings"][0]["refused"]
    two = png_of(255 - np.kron(np.hstack([few.images[0], few.images[2]]), np.ones((3, 3), np.uint8)))
    assert len(post(server, two, path="/v1/read?one=true").json()["readings"][0]["digits"]) == 1
    digit = post(server, png_of(few.images[0]), path="/v1/read?glyphs=true").json()["readings"][0]["digits"][0]
    seen = np.asarray(Image.open(io.BytesIO(base64.b64decode(digit["glyph"]))))
    assert np.array_equal(seen, few.images[0])


def test_a_picture_that_cannot_be_read_among_others_is_said_and_the_others_are_read(
    server: TestClient, png: bytes
) -> None:
    files = [("file", ("a.txt", b"not a picture")), ("file", ("b.png", png))]
    answer = server.post("/v1/read", files=files)
    assert answer.status_code == 200
    first, second = answer.json()["readings"]
    assert (first["reason"], first["refused"], second["text"]) == ("unreadable file", True, "7")
    assert "not a picture" in first["note"]


def test_a_blank_picture_is_refused_in_words(server: TestClient) -> None:
    reading = post(server, png_of(np.full((80, 80), 255, np.uint8))).json()["readings"][0]
    assert (reading["text"], reading["refused"], reading["reason"]) == ("", True, "blank")


def test_digit_images_are_told_from_json_and_from_npy(server: TestClient, reader: Reader, few: Digits) -> None:
    images = few.images[:40]
    said = reader.model.predict(images)
    body = json.dumps({"images": images.reshape(-1, 784).tolist()}).encode()
    for content, kind in [
        (body, "application/json"),
        *((npy(images.astype(t)), "application/x-npy") for t in (np.uint8, np.int64, np.dtype(">i4"))),
    ]:
        answer = post(server, content, kind, "/v1/digits").json()
        assert answer["labels"] == said.labels.tolist()
        assert answer["confidences"] == pytest.approx(said.confidence.tolist(), abs=1e-4)
        assert answer["novelties"] == pytest.approx(said.novelty.tolist(), abs=1e-4)
        assert len(answer["refused"]) == 40


def test_about_says_what_the_page_needs_to_know(server: TestClient) -> None:
    said = server.get("/v1/about").json()
    assert said["model"] == {"name": "reader", "version": "1"}
    assert (said["corrections"], said["token"]) == (False, False)
    assert said["limits"] == {"body_bytes": 32 << 20, "pictures": 20, "pixels": 50_000_000, "digits": 10_000}


def test_health_and_numbers_are_shown(server: TestClient, png: bytes) -> None:
    assert server.get("/healthz").json() == {"status": "ok"}
    assert server.get("/readyz").json() == {"status": "ready"}
    post(server, png)
    numbers = server.get("/metrics").text
    assert 'inkdigits_requests_total{method="POST",route="/v1/read",status="200"}' in numbers
    assert 'inkdigits_model{name="reader",version="1"} 1.0' in numbers
    assert "inkdigits_waiting 0.0" in numbers
    assert "inkdigits_body_bytes 0.0" in numbers


def test_the_interface_describes_itself_with_nothing_from_outside(server: TestClient) -> None:
    described = server.get("/openapi.json").json()
    assert {"/v1/read", "/v1/digits", "/v1/about", "/healthz", "/readyz", "/metrics"} <= set(described["paths"])
    page = server.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    for path in described["paths"]:
        assert path in page.text
    assert "http" not in page.text.replace("openapi", "")
    assert "<script" not in page.text
    assert server.get("/docs.css").status_code == 200


def test_the_page_is_served_with_headers_that_keep_a_browser_careful(reader: Reader, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<!doctype html>")
    (tmp_path / "draw.js").write_text("export {}")
    with asked(reader, page=tmp_path) as client:
        index, script = client.get("/"), client.get("/page/draw.js")
        assert index.headers["content-type"].startswith("text/html")
        assert script.headers["content-type"].startswith("text/javascript")
        for answer in (index, script, client.get("/v1/about"), client.get("/nothing")):
            assert "default-src 'none'" in answer.headers["content-security-policy"]
            assert answer.headers["x-content-type-options"] == "nosniff"
        again = client.get("/page/draw.js", headers={"if-none-match": script.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        (tmp_path / "late.js").write_text("export {}")
        for name in ("late.js", "..%2findex.html", "%2e%2e/index.html", "nothing"):
            problem(client.get(f"/page/{name}"), 404)


def test_without_a_page_the_interface_is_there_all_the_same(reader: Reader, tmp_path: Path) -> None:
    with asked(reader, page=tmp_path / "nothing") as client:
        problem(client.get("/"), 404)
        assert client.get("/healthz").status_code == 200


def test_with_a_token_only_those_who_bring_it_are_answered(reader: Reader, png: bytes) -> None:
    with asked(reader, Settings(token="s3cret-8")) as client:
        for brought in (
            None,
            "Bearer wrong",
            "Bearer",
            "s3cret-8",
            "Basic s3cret-8",
            "Bearer s3cret-",
            "Bearer s3cret-8-and-more",
        ):
            headers = {"content-type": "image/png"} | ({"authorization": brought.encode()} if brought else {})
            for answer in (client.post("/v1/read", content=png, headers=headers), client.get("/metrics")):
                problem(answer, 401)
                assert answer.headers["www-authenticate"] == "Bearer"
        headers = {"authorization": "Bearer s3cret-8", "content-type": "image/png"}
        assert client.post("/v1/read", content=png, headers=headers).status_code == 200
        assert client.get("/v1/about").json()["token"]
        assert client.get("/healthz").status_code == 200


def test_a_token_is_not_shown_with_the_settings() -> None:
    assert "s3cret" not in repr(Settings(token="s3cret"))


def test_other_pages_may_call_it_only_where_that_is_wanted(reader: Reader, png: bytes) -> None:
    asks = {"origin": "https://a.example", "access-control-request-method": "POST"}
    with asked(reader) as client:
        assert "access-control-allow-origin" not in client.options("/v1/read", headers=asks).headers
        assert "access-control-allow-origin" not in client.get("/v1/about", headers=asks).headers
    with asked(reader, Settings(cors=("https://a.example",), token="x")) as client:
        assert client.options("/v1/read", headers=asks).headers["access-control-allow-origin"] == "https://a.example"
        other = client.get("/v1/about", headers={"origin": "https://b.example"})
        assert "access-control-allow-origin" not in other.headers


def test_names_that_are_not_its_own_are_not_answered(reader: Reader) -> None:
    with asked(reader, Settings(hosts=("127.0.0.1", "[::1]"))) as client:
        for host, status in (("127.0.0.1:8000", 200), ("[::1]:80", 200), ("evil.example", 421), ("", 421)):
            assert client.get("/v1/about", headers={"host": host}).status_code == status


def test_settings_have_defaults_that_are_safe() -> None:
    settings = Settings()
    assert (settings.token, settings.cors, settings.corrections, settings.log) == (None, (), None, False)
    limits = settings.limits
    assert (limits.body_bytes, limits.pixels, limits.pictures, limits.digits) == (32 << 20, 50_000_000, 20, 10_000)
    assert (limits.seconds, limits.body_seconds, limits.held_bytes) == (30, 52, 256 << 20)
    assert limits.open_per_client < limits.waiting < limits.open_requests


@pytest.mark.parametrize("origin", ["x", "http://x/path", "ftp://x", ""])
def test_what_is_no_origin_cannot_be_let_in(origin: str) -> None:
    with pytest.raises(InputError, match="cors"):
        Settings(cors=(origin,))


@pytest.mark.parametrize("seconds", [0.0, float("nan"), float("inf")])
def test_a_time_limit_is_a_time(seconds: float) -> None:
    with pytest.raises(InputError, match="max-seconds"):
        Limits(seconds=seconds)


@pytest.mark.parametrize("token", ["", "s3cret-ß", "two words", "a\nb"])
def test_a_token_that_no_header_can_bring_is_refused_at_once(token: str) -> None:
    with pytest.raises(InputError, match="token"):
        Settings(token=token)


def test_pages_from_elsewhere_may_not_ask(reader: Reader, png: bytes) -> None:
    def status(client: Any, origin: str | None) -> int:
        headers = {"content-type": "image/png"} | ({"origin": origin} if origin else {})
        return int(client.post("/v1/read", content=png, headers=headers).status_code)

    settings = Settings(cors=("https://a.example",), hosts=("127.0.0.1", "digits.example"))
    with asked(reader) as client, asked(reader, settings) as open_client:
        for origin in (None, "http://127.0.0.1"):
            assert status(client, origin) == status(open_client, origin) == 200
        for origin in (
            "http://127.0.0.1:8000",
            "http://localhost",
            "https://evil.example",
            "null",
            "https://a.example.evil",
            "http://127.0.0.1.evil:80",
            "",
        ):
            assert status(open_client, origin) == (403 if origin else 200)
        problem(client.post("/v1/read", content=png, headers={"origin": "https://a.example"}), 403)
        assert status(open_client, "https://a.example") == status(open_client, "https://digits.example") == 200
        assert client.get("/page/index.html", headers={"origin": "https://evil.example"}).status_code == 200

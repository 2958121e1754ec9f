"""Corrections over HTTP: kept, listed, deleted, exported; what is none is not kept."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from serving import asked, png_of, png_of_size, post, problem
from starlette.testclient import TestClient

from inkdigits.app.cli import cli
from inkdigits.app.serving.settings import Settings
from inkdigits.digits.dataset import Digits
from inkdigits.digits.formats import load_digits
from inkdigits.reader.read import Reader


@pytest.fixture
def kept(reader: Reader, tmp_path: Path) -> Iterator[TestClient]:
    with asked(reader, Settings(corrections=tmp_path / "corrections.sqlite")) as client:
        yield client


def correction(few: Digits, **changes: Any) -> dict[str, Any]:
    glyph = base64.b64encode(png_of(few.images[0])).decode()
    return {"glyph": glyph, "label": 4, "answer": 7, "picture": glyph} | changes


def test_corrections_are_kept_listed_deleted_and_exported(
    reader: Reader, few: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with asked(reader, Settings(corrections=Path("corrections.sqlite"))) as client:
        assert client.get("/v1/about").json()["corrections"]
        ids = [client.post("/v1/corrections", json=correction(few, label=label)).json()["id"] for label in (4, 5, 6)]
        assert client.delete(f"/v1/corrections/{ids[1]}").status_code == 204
        problem(client.delete(f"/v1/corrections/{ids[1]}"), 404)
        listed = client.get("/v1/corrections").json()
        assert [(each["id"], each["label"]) for each in listed["corrections"]] == [(ids[2], 6), (ids[0], 4)]
        assert (listed["count"], listed["corrections"][0]["answer"]) == (2, 7)
        assert client.get("/v1/corrections?limit=1").json()["count"] == 2
        seen = np.asarray(Image.open(io.BytesIO(base64.b64decode(listed["corrections"][0]["glyph"]))))
        assert np.array_equal(seen, few.images[0])
        done = CliRunner().invoke(cli, ["data", "corrections.sqlite", "--to", "mine.npz"])
        assert done.exit_code == 0, done.output
    digits = load_digits("mine.npz")
    assert digits.need_labels("test").tolist() == [4, 6]
    assert np.array_equal(digits.images[0], few.images[0])
    assert sorted(file.name for file in tmp_path.iterdir()) == ["corrections.sqlite", "mine.npz"]


def test_without_a_file_for_them_corrections_are_not_there(server: TestClient, few: Digits) -> None:
    for answer in (
        server.get("/v1/corrections"),
        server.post("/v1/corrections", json=correction(few)),
        server.delete("/v1/corrections/1"),
    ):
        assert "--corrections FILE" in problem(answer, 404)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"label": 10}, 422),
        ({"label": True}, 422),
        ({"label": None}, 422),
        ({"label": "'; drop table correction; --"}, 422),
        ({"answer": "<script>alert(1)</script>"}, 422),
        ({"answer": 4.0}, 422),
        ({"glyph": None}, 422),
        ({"glyph": "'; drop table correction; --"}, 422),
        ({"glyph": "ü"}, 422),
        ({"glyph": base64.b64encode(b"<svg></svg>").decode()}, 422),
        ({"glyph": base64.b64encode(png_of(np.zeros((29, 28), np.uint8))).decode()}, 422),
        ({"glyph": base64.b64encode(png_of_size(28, 28)).decode()}, 422),
        ({"glyph": base64.b64encode(bytes(20_000)).decode()}, 422),
        ({"picture": "a"}, 422),
        ({"picture": base64.b64encode(b"<svg></svg>").decode()}, 415),
        ({"picture": base64.b64encode(b"<html>").decode()}, 415),
        ({"picture": base64.b64encode(png_of_size(65_000, 65_000)).decode()}, 422),
    ],
)
def test_what_is_no_correction_is_not_kept(kept: TestClient, few: Digits, changes: dict[str, Any], status: int) -> None:
    problem(kept.post("/v1/corrections", json=correction(few, **changes)), status)
    assert kept.get("/v1/corrections").json() == {"corrections": [], "count": 0}


def test_corrections_of_another_type_are_refused_so_that_no_other_page_can_send_them(
    kept: TestClient, few: Digits
) -> None:
    body = json.dumps(correction(few)).encode()
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        problem(post(kept, body, kind, "/v1/corrections"), 415)
    for body in (b"[", b"[" * 100_000, b"\xff", b"[]"):
        assert post(kept, body, "application/json", "/v1/corrections").status_code in (400, 413, 422)


@pytest.mark.parametrize("number", ["0", "-1", "9" * 30, "x", "1;drop table correction"])
def test_ids_that_are_none_are_answered(kept: TestClient, number: str) -> None:
    problem(kept.delete(f"/v1/corrections/{number}"), 422)


@pytest.mark.parametrize("limit", ["0", "1001", "x", "-1"])
def test_limits_that_are_none_are_answered(kept: TestClient, limit: str) -> None:
    problem(kept.get(f"/v1/corrections?limit={limit}"), 422)


def test_a_full_file_of_corrections_is_said_and_keeps_its_size(reader: Reader, few: Digits, tmp_path: Path) -> None:
    path = tmp_path / "corrections.sqlite"
    noise = np.random.default_rng(0).integers(0, 256, (200, 200), np.uint8)
    large = correction(few, picture=base64.b64encode(png_of(noise)).decode())
    with asked(reader, Settings(corrections=path, corrections_bytes=100_000)) as client:
        said = [client.post("/v1/corrections", json=large) for _ in range(4)]
        assert [answer.status_code for answer in said[:2]] == [201, 201]
        assert "full" in problem(said[-1], 507)
        assert client.get("/v1/corrections").json()["count"] == 2
        client.delete(f"/v1/corrections/{said[0].json()['id']}")
        assert client.post("/v1/corrections", json=large).status_code == 201
    assert path.stat().st_size <= 100_000

"""Whatever is sent is answered with the right code, and the next request is served."""

from __future__ import annotations

import gzip
import io
import json
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile
from serving import asked, npy, png_of, png_of_size, post, problem, still_reads
from starlette.testclient import TestClient

from inkdigits.app.serving.answers import SMALL_BYTES, Answers, LargeError, ReadAsk
from inkdigits.app.serving.bodies import Upload
from inkdigits.app.serving.metrics import Metrics
from inkdigits.app.serving.settings import Limits, Settings
from inkdigits.digits.dataset import Digits
from inkdigits.reader.read import Reader

SCRIPTS = ["'; drop table correction; --", "<script>alert(1)</script>", "\x00\x1b[31m", "../../../etc/passwd"]


def npy_header(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def zip_bomb() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(20 << 20))
    return file.getvalue()


BAD_PICTURES = {
    "no body": (b"", "image/png", 400),
    "text": (b"a letter", "image/png", 415),
    "a zip bomb": (zip_bomb(), "application/octet-stream", 415),
    "SVG": (b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', "image/svg+xml", 415),
    "HTML": (b"<!doctype html><script>alert(1)</script>", "image/png", 415),
    "HTML by its type": (b"<!doctype html>", "text/html", 415),
    "JSON": (b"{}", "application/json", 415),
    "what curl says of data": (b"a=b", "application/x-www-form-urlencoded", 415),
    "a PNG of four billion pixels": (png_of_size(65_000, 65_000), "image/png", 422),
    "a PNG of 60 million": (png_of_size(60_000, 1_000, bytes(60_001_000)), "image/png", 422),
    "a PNG of two billion on a side": (png_of_size(2**31 - 1, 2**31 - 1), "image/png", 422),
    "a PNG cut short": (png_of_size(28, 28)[:-20], "image/png", 422),
    "a dot": (png_of_size(1, 1, b"\0\0"), "image/png", 422),
    "a form without a boundary": (b"--x\r\n", "multipart/form-data", 400),
    "a form that is none": (b"hello", "multipart/form-data; boundary=x", 400),
    "a form cut short": (
        b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nabc', "multipart/form-data; boundary=x", 400
    ),
    "an endless boundary": (b"--x--", "multipart/form-data; boundary=" + "x" * 5000, 400),
    "an empty form": (b"--x--\r\n", "multipart/form-data; boundary=x", 422),
    "another field": (
        b'--x\r\nContent-Disposition: form-data; name="image"\r\n\r\nabc\r\n--x--\r\n',
        "multipart/form-data; boundary=x", 422,
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD_PICTURES)
def test_what_is_no_picture_is_answered_with_its_code(server: TestClient, png: bytes, what: str) -> None:
    body, kind, status = BAD_PICTURES[what]
    problem(post(server, body, kind), status)
    assert still_reads(server, png)


ROW = [0] * 784
BAD_DIGITS = {
    "no body": (b"", 400),
    "text": (b"a letter", 400),
    "broken UTF-8": (b'{"images": "\xff\xfe"}', 400),
    "deep lists": (b"[" * 10_000, 400),
    "deeper lists": (b"[" * 200_000, 413),
    "deep objects": (b'{"images":' * 10_000, 400),
    "a number of many digits": (b'{"images": [[' + b"9" * 100_000 + b"]]}", 400),
    "a list": (b"[]", 422),
    "nothing": (b"null", 422),
    "no images": (b"{}", 422),
    "images that are a word": (b'{"images": "many"}', 422),
    "no rows": (b'{"images": []}', 422),
    "a short row": (json.dumps({"images": [ROW, ROW[1:]]}).encode(), 422),
    "a pixel of 256": (json.dumps({"images": [[256, *ROW[1:]]]}).encode(), 422),
    "a pixel below nothing": (json.dumps({"images": [[-1, *ROW[1:]]]}).encode(), 422),
    "half a pixel": (json.dumps({"images": [[0.5, *ROW[1:]]]}).encode(), 422),
    "a true pixel": (json.dumps({"images": [[True, *ROW[1:]]]}).encode(), 422),
    "a pixel that is no number": (b'{"images": [[NaN' + b",0" * 783 + b"]]}", 422),
    "SQL for a pixel": (json.dumps({"images": [["'; drop table correction; --", *ROW[1:]]]}).encode(), 422),
    "a huge pixel": (b'{"images": [[' + b"9" * 4000 + b",0" * 783 + b"]]}", 422),
    "too many rows": (b'{"images": [' + b"0," * 10_000 + b"0]}", 413),
    "an array that would run code": (
        npy_header("{'descr': '|O', 'fortran_order': False, 'shape': (1, 28, 28)}\n"), 422
    ),
    "a header that is code": (npy_header("__import__('os').system('true')\n"), 400),
    "a header that lies": (npy_header("{'descr': '|u1', 'fortran_order': False, 'shape': (99999999, 28, 28)}\n"), 400),
    "a shape of truth values": (
        npy_header("{'descr': '|u1', 'fortran_order': False, 'shape': (True, 28, 28)}\n") + bytes(784), 400
    ),
    "a header beyond all numbers": (
        npy_header("{'descr': '|u1', 'fortran_order': False, 'shape': (" + "9" * 300 + ", 28, 28)}\n"), 400
    ),
    "a header of many brackets": (npy_header("(" * 3000 + "\n"), 400),
    "no array after it": (b"\x93NUMPY", 400),
    "another version": (b"\x93NUMPY\x09\x00", 400),
    "another shape": (npy(np.zeros((3, 27, 28), np.uint8)), 422),
    "another number": (npy(np.zeros((3, 28, 28), np.float32)), 422),
    "times": (npy(np.zeros((3, 28, 28), "M8[s]")), 422),
    "a negative pixel": (npy(np.full((3, 28, 28), -1)), 422),
    "no digits": (npy(np.zeros((0, 28, 28), np.uint8)), 422),
    "too many digits": (npy(np.zeros((10_001, 28, 28), np.uint8)), 413),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD_DIGITS)
def test_what_are_no_digits_is_answered_with_its_code(server: TestClient, png: bytes, what: str) -> None:
    body, status = BAD_DIGITS[what]
    problem(post(server, body, "application/json", "/v1/digits"), status)
    assert still_reads(server, png)


def test_digits_of_another_type_are_answered_with_415(server: TestClient) -> None:
    problem(post(server, b"0,0,0", "text/csv", "/v1/digits"), 415)
    problem(post(server, b"0,0,0", "application/octet-stream", "/v1/digits"), 400)


def test_packed_bodies_are_not_unpacked(server: TestClient, png: bytes) -> None:
    headers = {"content-type": "image/png", "content-encoding": "gzip"}
    problem(server.post("/v1/read", content=gzip.compress(bytes(20 << 20)), headers=headers), 415)
    assert still_reads(server, png)


def test_too_large_a_body_is_refused_whether_or_not_its_length_is_stated(reader: Reader, png: bytes) -> None:
    with asked(reader, Settings(Limits(body_bytes=100_000))) as client:
        for body in (bytes(100_001), iter([bytes(60_000)] * 2)):
            answer = client.post("/v1/read", content=body, headers={"content-type": "image/png"})
            assert "100,000 bytes" in problem(answer, 413)
        assert still_reads(client, png)
        assert "inkdigits_body_bytes 0.0" in client.get("/metrics").text


def test_all_bodies_together_have_a_limit(reader: Reader, png: bytes) -> None:
    with asked(reader, Settings(Limits(held_bytes=1_000))) as client:
        answer = post(client, bytes(1_001))
        problem(answer, 503)
        assert int(answer.headers["retry-after"]) > 0
        assert still_reads(client, png)


def test_a_million_tiny_pictures_in_one_request_are_too_many(server: TestClient, png: bytes) -> None:
    part = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n.\r\n'
    detail = problem(post(server, part * 300_000, "multipart/form-data; boundary=x"), 413)
    assert "more than 20 pictures" in detail
    other = part.replace(b'"file"', b'"x"')
    problem(post(server, other * 300_000, "multipart/form-data; boundary=x"), 413)
    assert still_reads(server, png)


def test_few_bytes_that_stand_for_very_many_pixels_are_no_small_picture(reader: Reader, png: bytes) -> None:
    wide = png_of(np.full((1000, 4000), 255, np.uint8))
    assert len(wide) <= SMALL_BYTES
    answers = Answers(reader, Limits(), Metrics())
    asks = [ReadAsk([Upload("a.png", content)]) for content in (wide, png, b"nothing")]
    large, small, nothing = answers.read_small(asks)
    assert isinstance(large, LargeError)
    assert isinstance(nothing, LargeError)
    assert json.loads(small)["readings"][0]["text"] == "7"
    assert json.loads(answers.read_large(asks[:1])[0])["readings"][0]["reason"] == "blank"


def test_a_file_of_very_many_pages_stops_at_the_first_too_many(server: TestClient, png: bytes) -> None:
    file = io.BytesIO()
    pages = [Image.new("1", (20, 20))] * 400
    pages[0].save(file, "TIFF", save_all=True, append_images=pages[1:])
    seeks: list[int] = []
    seek = TiffImageFile.seek
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TiffImageFile, "seek", lambda image, frame: (seeks.append(frame), seek(image, frame))[1])
        problem(post(server, file.getvalue(), "image/tiff"), 413)
    assert max(seeks) <= 21
    assert still_reads(server, png)


@pytest.mark.parametrize("address", ["/v1/digits", "/v1/corrections"])
def test_json_of_very_many_lists_is_not_made_into_lists(
    reader: Reader, png: bytes, tmp_path: Path, address: str
) -> None:
    with asked(reader, Settings(corrections=tmp_path / "a.sqlite")) as client:
        body = b'{"images": [' + b"[]," * 1_000_000 + b"[]]}"
        assert "lists and objects" in problem(post(client, body, "application/json", address), 413)
        assert still_reads(client, png)


def test_many_pages_of_one_file_are_too_many(reader: Reader, few: Digits) -> None:
    file = io.BytesIO()
    pages = [Image.fromarray(image) for image in few.images[:4]]
    pages[0].save(file, "TIFF", save_all=True, append_images=pages[1:])
    with asked(reader, Settings(Limits(pictures=3))) as client:
        problem(post(client, file.getvalue(), "image/tiff"), 413)
    with asked(reader) as client:
        readings = post(client, file.getvalue(), "image/tiff").json()["readings"]
        assert [(reading["page"], reading["text"]) for reading in readings] == [(1, "7"), (2, "2"), (3, "1"), (4, "0")]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("/etc/shadow", "shadow"),
        ("..", ".."),
        ("a\x1b[31mb.png", "a[31mb.png"),
        ("<script>alert(1)<", "<script>alert(1)<"),
        ("'; drop table correction; --", "'; drop table correction; --"),
        ("/", "picture"),
        ("x" * 1000, "x" * 200),
    ],
)
def test_names_of_files_are_names_and_nothing_more(server: TestClient, png: bytes, sent: str, kept: str) -> None:
    head = f'--x\r\nContent-Disposition: form-data; name="file"; filename="{sent}"\r\n\r\n'.encode()
    answer = post(server, head + png + b"\r\n--x--\r\n", "multipart/form-data; boundary=x")
    assert answer.json()["readings"][0]["file"] == kept
    assert answer.headers["content-type"] == "application/json"


def test_a_name_without_end_is_no_form(server: TestClient, png: bytes) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="' + b"x" * 5000 + b'"\r\n\r\n'
    problem(post(server, head + png + b"\r\n--x--\r\n", "multipart/form-data; boundary=x"), 400)
    assert still_reads(server, png)


def test_a_name_in_broken_utf_8_is_shown_as_far_as_it_goes(server: TestClient, png: bytes) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="\xff\xfe7.png"\r\n\r\n'
    answer = post(server, head + png + b"\r\n--x--\r\n", "multipart/form-data; boundary=x")
    assert answer.json()["readings"][0]["file"].endswith("7.png")


@pytest.mark.parametrize("text", SCRIPTS)
def test_parameters_that_are_no_truth_values_are_named(server: TestClient, png: bytes, text: str) -> None:
    answer = server.post("/v1/read", params={"one": text}, content=png, headers={"content-type": "image/png"})
    assert "parameter one" in problem(answer, 422)


def test_wrong_addresses_and_methods_are_problems_too(server: TestClient) -> None:
    problem(server.get("/v1/nothing"), 404)
    answer = server.get("/v1/read")
    problem(answer, 405)
    assert answer.headers["allow"] == "POST"

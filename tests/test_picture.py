"""Pictures of every kind come in as the same upright pixels, and what cannot be one is refused in one clear line."""

from __future__ import annotations

import io
import os
import struct
import sys
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from inkdigits.errors import InkdigitsError, InputError, MissingExtraError
from inkdigits.ink import picture as module
from inkdigits.ink.light import ENOUGH
from inkdigits.ink.picture import Picture, open_picture, open_pictures

WIDTH, HEIGHT = 40, 60
STROKE = (slice(10, 50), slice(18, 24))  # of ink, upright, nearer to the left edge


@pytest.fixture
def paper() -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Black ink on white: uint8 (60, 40), with a stroke at the top left so that every turn looks different."""
    pixels = np.full((HEIGHT, WIDTH), 255, np.uint8)
    pixels[STROKE] = 0
    pixels[10:16, 4:18] = 0
    return pixels


@pytest.fixture
def image(paper: Any) -> Image.Image:
    return Image.fromarray(paper)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def grey(picture: Picture) -> np.ndarray[Any, np.dtype[np.int16]]:
    """Its pixels as grey (H, W), after a look at what every picture has to be."""
    assert picture.pixels.dtype == np.uint8
    assert picture.pixels.ndim == 2 or picture.pixels.shape[2] == 3
    return np.asarray(Image.fromarray(picture.pixels).convert("L")).astype(np.int16)


def error_of(source: object, kind: type[InkdigitsError] = InputError) -> str:
    with pytest.raises(kind) as caught:
        list(open_pictures(source))
    message = str(caught.value)
    assert "\n" not in message
    return message


# Kinds of files and images


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "PA"])
def test_an_image_of_any_mode_gives_the_same_picture(mode: str, image: Image.Image, paper: Any) -> None:
    start = image.convert("RGB") if mode in ("LAB", "HSV", "PA") else image
    assert np.abs(grey(open_picture(start.convert(mode))) - paper).max() <= 3


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "PPM", "TIFF", "JPEG2000", "PCX", "SGI", "JPEG", "WEBP", "AVIF"])
def test_a_file_of_any_kind_gives_the_same_picture(kind: str, image: Image.Image, paper: Any) -> None:
    lossy = {"JPEG": 40, "WEBP": 40, "AVIF": 40}
    found = grey(open_picture(encoded(image.convert("RGB") if kind in lossy else image, kind)))
    assert np.abs(found - paper).max() <= lossy.get(kind, 0)


def test_a_path_bytes_a_stream_an_image_and_an_array_are_all_taken(
    image: Image.Image, paper: Any, tmp_path: Path
) -> None:
    data = encoded(image, "PNG")
    path = tmp_path / "a.png"
    path.write_bytes(data)
    sources = [path, str(path), data, bytearray(data), memoryview(data), io.BytesIO(data), image, paper]
    assert all(np.array_equal(open_picture(source).pixels, paper) for source in sources)
    assert [open_picture(source).name for source in sources[:3]] == [str(path), str(path), "picture"]
    assert open_picture(data, "upload").name == "upload"


def test_a_cmyk_jpeg_is_not_inverted(image: Image.Image) -> None:
    found = grey(open_picture(encoded(image.convert("CMYK"), "JPEG")))
    assert found[30, 20] < 40
    assert found[30, 35] > 215


def test_a_colour_picture_keeps_its_colours_and_a_grey_one_stays_grey(paper: Any, image: Image.Image) -> None:
    red = np.dstack([paper, paper // 2, paper // 2])
    assert np.array_equal(open_picture(Image.fromarray(red)).pixels, red)
    assert open_picture(image).pixels.shape == (HEIGHT, WIDTH)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_exif_orientation_is_obeyed(kind: str, orientation: int, image: Image.Image, paper: Any) -> None:
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }  # fmt: skip
    stored = image.transpose(turns[orientation]) if orientation in turns else image  # what the camera's chip saw
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = grey(open_picture(encoded(stored.convert("RGB"), kind, exif=exif)))
    assert found.shape == paper.shape
    assert np.abs(found - paper).mean() < 3


def test_damaged_exif_is_no_reason_not_to_read(image: Image.Image, paper: Any) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(image, "PNG", exif=exif)
    start = data.index(b"eXIf") + 4
    length = struct.unpack(">I", data[start - 8 : start - 4])[0]
    rubbish = b"II*\0\xff\xff\xff\xff".ljust(length, b"\xff")
    damaged = data[:start] + rubbish + struct.pack(">I", zlib.crc32(b"eXIf" + rubbish)) + data[start + length + 4 :]
    assert np.array_equal(open_picture(damaged).pixels, paper)


# Depth


@pytest.mark.parametrize("most", [255, 1023, 4095, 65535])
def test_sixteen_bits_are_scaled_by_their_own_range(most: int, paper: Any) -> None:
    deep = (paper.astype(np.uint16) // 255) * np.uint16(most)
    for source in (deep, Image.fromarray(deep), encoded(Image.fromarray(deep), "PNG"), deep.astype(np.int32)):
        assert np.array_equal(open_picture(source).pixels, paper)


def test_a_faint_range_of_sixteen_bits_is_not_blown_up() -> None:
    noise = np.random.default_rng(0).integers(60_000, 60_050, (50, 50)).astype(np.uint16)
    assert np.ptp(open_picture(noise).pixels) < 10


@pytest.mark.parametrize(
    "change",
    [
        lambda paper: paper > 127,
        lambda paper: paper.astype(np.int64),
        lambda paper: paper / 255,
        lambda paper: paper.astype(np.float16),
        lambda paper: paper.astype(np.float64) / 127.5 - 1,
        lambda paper: (paper > 127).astype(np.uint8),
        lambda paper: paper[:, :, None],
        lambda paper: np.dstack([paper] * 3),
        lambda paper: np.dstack([paper, np.full_like(paper, 255)]),
        lambda paper: np.dstack([paper] * 3 + [np.full_like(paper, 255)]) / 255,
        lambda paper: np.dstack([paper * 0, 255 - paper]),
        lambda paper: np.dstack([paper * 0] * 3 + [255 - paper]).astype(np.uint16) * 257,
    ],
)
def test_arrays_of_any_kind_of_number_and_channels_are_taken(change: Any, paper: Any) -> None:
    assert np.array_equal(grey(open_picture(change(paper))), paper)


def test_what_turns_into_an_array_is_taken_as_one(paper: Any) -> None:
    class Tensor:
        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            return paper

    assert np.array_equal(open_picture(Tensor()).pixels, paper)


# Transparency


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "TIFF", "P", "array"])
@pytest.mark.parametrize(("ink", "white"), [((0, 0, 0), True), ((255, 255, 255), False), ((20, 40, 160), True)])
def test_strokes_on_a_transparent_canvas_stand_out(
    kind: str, ink: tuple[int, int, int], white: bool, paper: Any
) -> None:
    canvas = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    canvas[paper == 0] = (*ink, 255)
    image = Image.fromarray(canvas)
    source = {
        "array": canvas,
        "P": encoded(image.quantize(4), "PNG"),
        "WEBP": encoded(image, "WEBP", lossless=True),
    }.get(kind) if kind in ("array", "P", "WEBP") else encoded(image, kind)  # fmt: skip
    found = grey(open_picture(source))
    background, stroke = found[paper == 255], found[paper == 0]
    assert np.all(background == (255 if white else 0))
    assert abs(int(stroke.mean()) - int(background.mean())) > 150


def test_soft_edges_of_transparent_strokes_become_greys() -> None:
    canvas = np.zeros((30, 30, 2), np.uint8)
    canvas[10:20, 10:20, 1] = 255
    canvas[10:20, 20, 1] = 128
    assert grey(open_picture(canvas))[15, 20] == pytest.approx(127, abs=1)


def test_round_corners_get_the_colour_of_the_paper_within(paper: Any) -> None:
    alpha = np.full_like(paper, 255)
    alpha[:6, :6] = 0
    assert np.array_equal(grey(open_picture(np.dstack([paper, alpha]))), paper)
    dark = 255 - paper
    assert np.array_equal(grey(open_picture(np.dstack([dark, alpha]))), dark)


def test_an_entirely_transparent_picture_is_blank() -> None:
    assert np.ptp(open_picture(Image.new("RGBA", (30, 30))).pixels) == 0


# Files of several images


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_of_an_animation_the_first_frame_is_taken_and_that_is_said(kind: str, image: Image.Image, paper: Any) -> None:
    others = [image.rotate(90).convert("RGB"), image.rotate(180).convert("RGB")]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(image.convert("RGB"), kind, save_all=True, append_images=others, **options)
    pictures = list(open_pictures(data))
    assert [picture.note for picture in pictures] == ["first of several frames"]
    assert np.abs(grey(pictures[0]) - paper).max() <= 3
    assert open_picture(encoded(image, "PNG")).note is None


def test_a_telephone_picture_with_a_preview_in_it_is_no_film(image: Image.Image) -> None:
    data = encoded(image, "MPO", save_all=True, append_images=[image])
    assert [picture.note for picture in open_pictures(data)] == [None]


@pytest.mark.parametrize("compression", ["raw", "tiff_deflate"])
def test_every_page_of_a_tiff_is_a_picture(compression: str, image: Image.Image, paper: Any, tmp_path: Path) -> None:
    path = tmp_path / "scan.tif"
    image.save(path, save_all=True, append_images=[ImageOps.invert(image)], compression=compression)
    pictures = list(open_pictures(path))
    assert [(picture.name, picture.page) for picture in pictures] == [(str(path), 1), (str(path), 2)]
    assert np.array_equal(pictures[0].pixels, paper)
    assert np.array_equal(pictures[1].pixels, 255 - paper)
    assert open_picture(encoded(image, "TIFF")).page is None


def test_the_reduced_copy_of_a_page_is_not_a_page(image: Image.Image) -> None:
    small = image.resize((20, 30))
    small.encoderinfo = {"tiffinfo": {254: 1}}
    data = encoded(image, "TIFF", save_all=True, append_images=[small])
    assert len(list(open_pictures(data))) == 1


def test_every_page_of_a_pdf_is_a_picture(image: Image.Image) -> None:
    pytest.importorskip("pypdfium2")
    data = encoded(image, "PDF", save_all=True, append_images=[image], resolution=50)
    pictures = list(open_pictures(data))
    assert [picture.page for picture in pictures] == [1, 2]
    height, width = grey(pictures[0]).shape
    assert height == pytest.approx(HEIGHT * 4, abs=1)  # drawn at 200 dots an inch
    assert grey(pictures[0])[height // 2, int(20.5 / WIDTH * width)] < 60
    assert open_picture(encoded(image, "PDF")).page is None


def test_heic_is_read_and_turned(image: Image.Image, paper: Any) -> None:
    heif = pytest.importorskip("pillow_heif")
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = heif.from_pillow(image.transpose(Image.Transpose.ROTATE_90).convert("RGB"))
    stored.info["exif"] = exif.tobytes()
    buffer = io.BytesIO()
    stored.save(buffer, quality=95)
    assert np.abs(grey(open_picture(buffer.getvalue())) - paper).mean() < 5


@pytest.mark.parametrize(
    ("library", "data"),
    [("pypdfium2", b"%PDF-1.4\n"), ("pillow_heif", b"\0\0\0\x1cftypheic\0\0\0\0mif1heic")],
)
def test_a_missing_library_is_named_by_the_extra_that_brings_it(
    library: str, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    assert error_of(data, MissingExtraError).endswith('pip install "inkdigits[pictures]"')


# Large pictures


def test_a_large_jpeg_is_decoded_smaller_but_no_smaller_than_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ENOUGH_SIDE", 200)
    for sides, decoded, shrunk in [
        ((399, 300), (399, 300), 1),
        ((400, 301), (200, 151), 2),
        ((900, 300), (225, 75), 4),
    ]:
        data = encoded(Image.linear_gradient("L").resize(sides), "JPEG")
        picture = open_picture(data)
        assert picture.pixels.shape[::-1] == decoded
        assert picture.shrunk == shrunk
        assert open_picture(Image.open(io.BytesIO(data))).shrunk == 1


def test_a_jpeg_decoded_smaller_still_has_all_that_is_looked_at() -> None:
    assert module.ENOUGH_SIDE >= ENOUGH


def bomb(width: int, height: int) -> bytes:
    """A PNG that says it is large, and holds hardly anything."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


@pytest.mark.parametrize("sides", [(10_001, 10_000), (14_000, 14_000), (60_000, 60_000), (2**31 - 1, 2**31 - 1)])
def test_a_decompression_bomb_is_refused_before_it_is_decoded(
    sides: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image.Image, "load", lambda *_: pytest.fail("decoded"))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert "too many pixels, expected at most 100,000,000" in error_of(bomb(*sides))
    assert said == []


def test_pillows_own_warning_does_not_leak_and_the_filters_stay_as_they_were(
    image: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", WIDTH * HEIGHT - 1)
    before = warnings.filters[:]
    data = encoded(image, "PNG")
    threads = [threading.Thread(target=lambda: [open_picture(data) for _ in range(20)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert warnings.filters == before


# What is refused


@pytest.mark.parametrize(
    ("sides", "reason"),
    [
        ((1, 1), "too small to hold a digit, expected at least 3×8 pixels, found 1×1"),
        ((7, 7), "too small to hold a digit"),
        ((2, 60), "too small to hold a digit"),
        ((30_000, 1), "too elongated to hold a digit, expected sides of at most 100 : 1, found 30000×1"),
        ((1, 30_000), "too elongated to hold a digit"),
    ],
)
def test_pictures_that_cannot_hold_a_digit_say_why(sides: tuple[int, int], reason: str) -> None:
    image = Image.new("L", sides, 255)
    for source in (image, encoded(image, "PNG"), np.asarray(image)):
        assert reason in error_of(source)


@pytest.mark.parametrize("sides", [(3, 8), (8, 8), (28, 28), (2_000, 20)])
def test_small_and_long_pictures_that_can_are_taken(sides: tuple[int, int]) -> None:
    assert open_picture(Image.new("L", sides)).pixels.shape == sides[::-1]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "an empty file"),
        (b"label,pixel0\n1,0\n", "not a picture, expected a JPEG, PNG, WebP, TIFF or other picture of pixels"),
        (bytes(range(256)) * 40, "not a picture"),
        (b"<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg'/>", "found SVG, which is made of lines"),
        (b"\xff\xd8\xff\xe0 and so on", "a picture cut short"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 50 50\n", "not a picture"),
    ],
)
def test_a_file_that_is_no_picture_says_so(data: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(data)
    assert reason in error_of(path)
    assert error_of(path).startswith(str(path))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "GIF", "WEBP", "BMP"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_file_cut_short_is_refused(kind: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (80, 80, 3)).astype(np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    message = error_of(data[: int(len(data) * share)])
    assert "picture" in message
    assert "get the file again" in message


def test_a_damaged_pdf_and_one_with_a_password_are_refused(image: Image.Image) -> None:
    pytest.importorskip("pypdfium2")
    assert "a damaged picture" in error_of(b"%PDF-1.4 rubbish")
    encrypted = encoded(image, "PDF").replace(
        b"trailer\n<<", b"trailer\n<< /Encrypt << /Filter /Standard /V 1 /R 2 /O (" + b"x" * 32 + b") /U ("
        + b"y" * 32 + b") /P -4 >> /ID [(0123456789abcdef) (0123456789abcdef)]"
    )  # fmt: skip
    assert "a PDF with a password" in error_of(encrypted)


def test_a_folder_a_missing_file_and_a_strange_name_are_refused(tmp_path: Path) -> None:
    assert "a folder, expected a picture, found a folder; name the pictures in it" in error_of(tmp_path)
    assert "no such file" in error_of(tmp_path / "nosuch.png")
    assert "cannot be read" in error_of("a\0b")
    assert "cannot be read" in error_of("x" * 5000)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_refused(image: Image.Image, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    image.save(path)
    path.chmod(0)
    assert "no permission to read it" in error_of(path)


def test_no_permission_is_said_in_our_words(image: Image.Image, tmp_path: Path, monkeypatch: Any) -> None:
    path = tmp_path / "a.png"
    image.save(path)

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refused)
    assert "no permission to read it; check the rights" in error_of(path)


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros((0, 28)), "something in it, found shape (0, 28)"),
        (np.zeros((28, 28), complex), "found dtype complex128"),
        (np.full((28, 28), None), "found dtype object"),
        (np.full((28, 28), "a"), "found dtype <U1"),
        (np.full((28, 28), np.nan), "expected finite numbers, found nan"),
        (np.full((28, 28, 3), np.inf, np.float32), "expected finite numbers, found infinity"),
        (np.zeros(784), "give array.reshape(28, 28)"),
        (np.zeros((3, 40, 40)), "give array.transpose(1, 2, 0)"),
        (np.zeros((5, 28, 28)), "digit images are uint8"),
        (np.zeros((40, 40, 5)), "found shape (40, 40, 5)"),
        (np.zeros((2, 40, 40, 3)), "give one picture at a time"),
        (np.float64(3), "found shape ()"),
    ],
)
def test_arrays_that_are_no_picture_say_why(array: Any, reason: str) -> None:
    assert reason in error_of(array)


def test_other_things_than_pictures_are_refused() -> None:
    assert "expected a path, bytes, a PIL image or an array, found list" in error_of([[0, 1]])
    assert "expected a path" in error_of(None)
    assert "not a binary stream, expected bytes, found str" in error_of(io.StringIO("text"))


def test_nothing_in_the_callers_hands_is_changed(image: Image.Image, paper: Any) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    opened = Image.open(io.BytesIO(encoded(image, "PNG", exif=exif)))
    assert open_picture(opened).pixels.shape == (WIDTH, HEIGHT)
    assert opened.size == (WIDTH, HEIGHT)
    assert opened.getexif()[0x0112] == 6


def test_a_pipe_is_read_like_a_file(image: Image.Image, paper: Any) -> None:
    read, write = os.pipe()
    os.write(write, encoded(image, "PNG"))
    os.close(write)
    with os.fdopen(read, "rb") as stream:
        assert np.array_equal(open_picture(stream).pixels, paper)


def damaged_files(image: Image.Image) -> Iterator[bytes]:
    rng = np.random.default_rng(0)
    for kind in ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF"):
        whole = encoded(image, kind)
        for _ in range(40):
            data = bytearray(whole)
            for place in rng.integers(0, min(len(data), 300), 3):
                data[place] = rng.integers(256)
            yield bytes(data)


def test_whatever_is_wrong_in_a_file_the_answer_is_a_picture_or_our_own_error(image: Image.Image) -> None:
    read = 0
    for data in damaged_files(image):
        with suppress(InkdigitsError):
            read += all(picture.pixels.dtype == np.uint8 for picture in open_pictures(data))
    assert 40 < read < 240

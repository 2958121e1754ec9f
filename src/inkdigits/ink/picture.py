"""Pictures of any kind as upright pixels without transparency: files, bytes, PIL images and arrays.

>>> from inkdigits.ink.picture import open_picture
>>> picture = open_picture("photo.jpg")
>>> picture.pixels.shape, picture.shrunk
((2016, 1512, 3), 2)

Every page of a TIFF or PDF is a picture of its own; of an animation the first frame is taken, and that is said.
"""

from __future__ import annotations

import io
import os
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from ..errors import InkdigitsError, InputError, MissingExtraError
from .levels import Pixels, pixels_of_array, pixels_of_image

MOST_PIXELS = 100_000_000  # once decoded: 300 MB of colour, a sheet of A4 at 1,000 dots an inch
MOST_BYTES = 1 << 30  # of a pipe or of standard input, whose size cannot be asked
LEAST_SIDES = (3, 8)  # pixels, shorter and longer side: an upright stroke cut out tightly may still be a 1
MOST_ELONGATED = 100  # longer side to shorter; a line of fifty digits is about 60 to 1
ENOUGH_SIDE = 1_360  # pixels of the longer side: larger pictures are averaged down to no less (`light.ENOUGH`)
PDF_DPI = 200  # dots an inch: a digit of 4 mm is 32 pixels high
PDF_SIDE = 4_000  # pixels of the longer side, for a page larger than a sheet of paper

# What is asked of Pillow: pictures of pixels, known by their first bytes. Not among them are formats that start other
# programs (EPS) and formats that any bytes can be taken for (TGA).
COMMON_FORMATS = ["JPEG", "PNG", "GIF", "BMP", "PPM"]
RARER_FORMATS = ["TIFF", "WEBP", "AVIF", "JPEG2000", "PCX", "PSD", "SGI", "QOI"]
NOT_FRAMES = ("MPO", "PSD")  # formats whose further images are previews and layers, not a film
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
EXTRA = "pictures"
NOT_A_PICTURE, NOT_OF_PIXELS = UNKNOWN_KINDS = "not a picture", "not a picture of pixels"
KINDS = "a JPEG, PNG, WebP, TIFF or other picture of pixels"
SMALLER_FILE = 1  # the bit of TIFF's tag NewSubfileType that says: a reduced copy of another page
NEW_SUBFILE_TYPE = 254

# What Pillow's readers raise for damaged files.
_DAMAGED = (
    OSError, EOFError, SyntaxError, ValueError, TypeError, IndexError, KeyError, AttributeError, ArithmeticError,
    NotImplementedError, RuntimeError, MemoryError, struct.error, zlib.error,
)  # fmt: skip

_pillow_lock = threading.Lock()  # Python's warnings are silenced for all threads or for none
_pdf_lock = threading.Lock()  # PDFium serves one thread at a time


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture, ready to look for ink in.

    Attributes
    ----------
    pixels: uint8 (H, W) grey or (H, W, 3) RGB, upright, laid on paper where it was transparent.
    name: the file, or what else to call it in messages.
    note: what was left out or is worth knowing, such as "first of 12 frames".
    page: counted from 1, of a file with several pages.
    shrunk: pixels of the file, along each side, for one here; more than 1 where a large JPEG was decoded smaller.
    """

    pixels: Pixels
    name: str
    note: str | None = None
    page: int | None = None
    shrunk: int = 1


def open_picture(source: object, name: str | None = None, *, most_pixels: int = MOST_PIXELS) -> Picture:
    """The first picture of a source, as `open_pictures` gives it."""
    return next(open_pictures(source, name, most_pixels=most_pixels))


def open_pictures(source: object, name: str | None = None, *, most_pixels: int = MOST_PIXELS) -> Iterator[Picture]:
    """The pictures of a source one after another: each page of a multi-page TIFF or PDF, one of anything else.

    Parameters
    ----------
    source: a path, the bytes of a file, a binary stream, a PIL image, or an array: (H, W), or (H, W, C) of one channel
        (grey), two (grey and alpha), three (RGB) or four (RGB and alpha), of truth values, whole or real numbers; also
        what turns into one, such as a tensor. Numbers within 0…1 or 0…255 are taken so, others by their own range.
    name: what to call it in messages; the path, unless given.
    most_pixels: that a file or a PIL image may have, once decoded; no more than MOST_PIXELS.

    Raises, when a picture is asked for, InputError if it cannot be read or cannot hold a digit, and MissingExtraError
    if it needs a library that is not installed.
    """
    if isinstance(source, Image.Image):
        yield _of_image(source, name or str(getattr(source, "filename", "")) or "picture", most_pixels)
    elif isinstance(source, bytes | bytearray | memoryview):
        yield from _of_file(io.BytesIO(source), name or "picture", most_pixels)
    elif isinstance(source, str | os.PathLike):
        yield from _of_path(Path(source), name or os.fspath(source), most_pixels)
    elif hasattr(source, "read"):
        yield from _of_file(_held(source, name or "stream"), name or "stream", most_pixels)
    elif hasattr(source, "__array__"):
        pixels = pixels_of_array(np.asarray(source), name or "array")
        check_size(name or "array", pixels.shape[1], pixels.shape[0])
        yield Picture(pixels, name or "array")
    else:
        expected = "a path, bytes, a PIL image or an array"
        raise InputError(name or "picture", "not a picture", expected=expected, found=type(source).__name__)


def check_size(where: object, width: int, height: int, *, most_pixels: int = MOST_PIXELS) -> None:
    """InputError if a picture of this size in pixels is too small, too elongated or too large to look for digits in."""
    found = f"{width}×{height}"
    shorter, longer = sorted((width, height))
    if longer > MOST_ELONGATED * max(shorter, 1):
        expected = f"sides of at most {MOST_ELONGATED} : 1"
        raise InputError(where, "too elongated to hold a digit", expected=expected, found=found)
    if shorter < LEAST_SIDES[0] or longer < LEAST_SIDES[1]:
        expected = f"at least {LEAST_SIDES[0]}×{LEAST_SIDES[1]} pixels"
        raise InputError(where, "too small to hold a digit", expected=expected, found=found)
    if width * height > most_pixels:
        raise _too_large(where, found, most_pixels)


def _too_large(where: object, found: str, most_pixels: int) -> InputError:
    expected, mend = f"at most {most_pixels:,} pixels", "make it smaller or cut it up"
    return InputError(where, "too many pixels", expected=expected, found=found, mend=mend)


def _of_path(path: Path, name: str, most_pixels: int) -> Iterator[Picture]:
    try:
        if path.is_dir():
            raise InputError(name, "a folder", expected="a picture", found="a folder", mend="name the pictures in it")
        with path.open("rb") as file:
            yield from _of_file(file if path.is_file() else _held(file, name), name, most_pixels)
    except FileNotFoundError:
        raise InputError(name, "no such file", mend="check the name and the folder") from None
    except PermissionError:
        raise InputError(name, "no permission to read it", mend="check the rights of the file and its folder") from None
    except (OSError, ValueError) as error:
        raise InputError(name, "cannot be read", found=getattr(error, "strerror", None) or str(error)) from None


def _held(stream: Any, name: str) -> io.BytesIO:
    """What a pipe or another stream holds, in memory, since the readers want to go back and forth in it."""
    data = stream.read(MOST_BYTES + 1)
    if not isinstance(data, bytes):
        raise InputError(name, "not a binary stream", expected="bytes", found=type(data).__name__)
    if len(data) > MOST_BYTES:
        raise InputError(name, "too long for a picture", expected=f"at most {MOST_BYTES >> 20} MB", found="more")
    return io.BytesIO(data)


def _of_file(file: IO[bytes], name: str, most_pixels: int) -> Iterator[Picture]:
    head = file.read(1024)
    if not head:
        raise InputError(name, "an empty file", expected=KINDS, found="0 bytes", mend="get the file again")
    if b"%PDF-" in head:
        yield from _pages_of_pdf(file, name, most_pixels)
        return
    image = _identified(file, name, head, most_pixels)
    with image:
        if image.format == "TIFF":
            yield from _pages_of_tiff(image, name, most_pixels)
            return
        original = image.width
        if image.format in ("JPEG", "MPO"):
            # The decoder itself can leave out detail: at half the size it takes half the time and a quarter of the
            # memory. Where it does, ink would be looked for at that scale or a coarser one anyhow.
            share = ENOUGH_SIDE / max(image.size)
            image.draft(image.mode, (max(1, int(image.width * share)), max(1, int(image.height * share))))
        shrunk = round(original / image.width) if image.width else 1
        yield _of_image(image, name, most_pixels, note=_note_on_frames(image), shrunk=shrunk)


def _identified(file: IO[bytes], name: str, head: bytes, most_pixels: int) -> Image.Image:
    """The file as a PIL image that is not decoded yet."""
    try:
        with _no_warnings():
            try:
                return Image.open(file, formats=COMMON_FORMATS)
            except UnidentifiedImageError:
                Image.init()
                return Image.open(file, formats=[name for name in RARER_FORMATS if name in Image.OPEN])
    except Image.DecompressionBombError:
        raise _too_large(name, "more", most_pixels) from None
    except UnidentifiedImageError:
        if head[4:8] == b"ftyp" and head[8:12] in HEIF_BRANDS:
            return _of_heif(file, name, most_pixels)
        raise _not_a_picture(name, head) from None
    except _DAMAGED as error:
        raise _damaged(name, error) from None


def _of_heif(file: IO[bytes], name: str, most_pixels: int) -> Image.Image:
    library = _library("pillow_heif", f"{name}: HEIC")
    file.seek(0)
    try:
        with _no_warnings():
            opened = library.open_heif(file)
            check_size(name, *opened.size, most_pixels=most_pixels)
            image: Image.Image = opened.to_pillow()
            return image
    except _DAMAGED as error:
        raise _damaged(name, error) from None


def _library(module: str, what: str) -> Any:
    try:
        return import_module(module)
    except ImportError:
        raise MissingExtraError(what, EXTRA) from None


def _pages_of_tiff(image: Image.Image, name: str, most_pixels: int) -> Iterator[Picture]:
    try:
        with _no_warnings():
            several = _has_more(image)
        # They are not counted before they are read: that takes hours for a file of millions of empty pages.
        for number in count(1):
            where = f"{name}, page {number}" if several else name
            with _no_warnings():
                try:
                    image.seek(number - 1)
                except EOFError:
                    return
                smaller = getattr(image, "tag_v2", {}).get(NEW_SUBFILE_TYPE, 0)
                check_size(where, *image.size, most_pixels=most_pixels)
                image.load()  # here, since this reader also warns while it decodes
            if number > 1 and isinstance(smaller, int) and smaller & SMALLER_FILE:
                continue
            yield _of_image(image, where, most_pixels, called=name, page=number if several else None)
    except InkdigitsError:
        raise
    except _DAMAGED as error:
        raise _damaged(name, error) from None


def _has_more(image: Image.Image) -> bool:
    try:
        image.seek(1)
    except EOFError:
        return False
    image.seek(0)
    return True


def _pages_of_pdf(file: IO[bytes], name: str, most_pixels: int) -> Iterator[Picture]:
    library = _library("pypdfium2", f"{name}: PDF")
    file.seek(0)
    document = None
    try:
        with _pdf_lock:
            document = library.PdfDocument(file.read())
            pages = len(document)
        if pages == 0:
            raise InputError(name, "a PDF without pages", expected="at least one", found="none")
        for number in range(1, pages + 1):
            where = f"{name}, page {number}"
            with _pdf_lock:
                page = document[number - 1]
                width, height = page.get_size()
                scale = min(PDF_DPI / 72, PDF_SIDE / max(width, height, 1))  # the unit of a page is 1/72 inch
                check_size(where, round(width * scale), round(height * scale), most_pixels=most_pixels)
                image = page.render(scale=scale).to_pil()
                page.close()
            yield _of_image(image, where, most_pixels, called=name, page=number if pages > 1 else None)
    except library.PdfiumError as error:
        if "password" in str(error).lower():
            mend = "save it without one"
            raise InputError(name, "a PDF with a password", expected="one without", mend=mend) from None
        raise _damaged(name, error) from None
    finally:
        if document is not None:
            with _pdf_lock:
                document.close()


def _of_image(
    image: Image.Image,
    where: str,
    most_pixels: int,
    *,
    called: str | None = None,
    note: str | None = None,
    page: int | None = None,
    shrunk: int = 1,
) -> Picture:
    """A PIL image, decoded or not, as a Picture; `where` is for messages, `called` the picture's name."""
    check_size(where, *image.size, most_pixels=most_pixels)
    try:
        image.load()
        return Picture(pixels_of_image(_upright(image), where), called or where, note, page, shrunk)
    except InkdigitsError:
        raise
    except _DAMAGED as error:
        raise _damaged(where, error) from None


def _upright(image: Image.Image) -> Image.Image:
    """The image turned as its EXIF orientation says; damaged EXIF says nothing."""
    with _no_warnings():
        try:
            if image.getexif().get(ExifTags.Base.Orientation, 1) == 1:
                return image
            return ImageOps.exif_transpose(image)
        except _DAMAGED:
            return image


def _note_on_frames(image: Image.Image) -> str | None:
    try:
        with _no_warnings():
            several = image.format not in NOT_FRAMES and getattr(image, "is_animated", False)
    except _DAMAGED:
        several = True
    return "first of several frames" if several else None


def _not_a_picture(name: str, head: bytes) -> InputError:
    if b"<svg" in head.lower():
        found, mend = "SVG, which is made of lines", "export it as PNG"
        return InputError(name, NOT_OF_PIXELS, expected=KINDS, found=found, mend=mend)
    return InputError(name, NOT_A_PICTURE, expected=KINDS, found="something else")


def _damaged(name: str, error: BaseException) -> InputError:
    found = str(error).rstrip(".") or type(error).__name__
    if isinstance(error, MemoryError):
        return InputError(name, "not enough memory to decode it", mend="make it smaller")
    if "truncated" in found.lower():
        return InputError(name, "a picture cut short", expected="a whole one", mend="get the file again")
    return InputError(name, "a damaged picture", expected="a whole one", found=found, mend="get the file again")


@contextmanager
def _no_warnings() -> Iterator[None]:
    """Silences what Pillow says of sizes, which are checked here, and of damaged metadata, which are not needed."""
    with _pillow_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield

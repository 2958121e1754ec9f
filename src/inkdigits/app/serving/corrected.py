"""Corrections as they come over HTTP, checked in every part before any of it is kept."""

from __future__ import annotations

import base64
import binascii
import io
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...digits.corrections import Correction, CorrectionStore, StoreFullError
from ...digits.dataset import CLASSES, SIDE
from ...errors import InkdigitsError
from ...ink.picture import UNKNOWN_KINDS, open_picture
from .bodies import of_json
from .problems import ProblemError

GLYPH_BYTES = 16 << 10  # of the PNG of a digit image, which takes a few hundred


def keep(store: CorrectionStore, body: bytes, most_pixels: int) -> int:
    """Put the correction of a request into the store; gives its id. ProblemError if it is none, or finds no room."""
    content = of_json(body)
    if not isinstance(content, dict):
        raise ProblemError(422, 'expected {"glyph": …, "label": …}')
    label, answer = content.get("label"), content.get("answer")
    if not _is_label(label):
        raise ProblemError(422, "label: expected an integer 0…9")
    if answer is not None and not _is_label(answer):
        raise ProblemError(422, "answer: expected an integer 0…9 or null")
    glyph = _glyph(_bytes("glyph", content.get("glyph")))
    picture = None if content.get("picture") is None else _bytes("picture", content["picture"])
    if picture is not None:
        try:
            open_picture(picture, "picture", most_pixels=most_pixels)
        except InkdigitsError as error:
            raise ProblemError(415 if error.what in UNKNOWN_KINDS else 422, str(error)) from None
    try:
        return store.add(glyph, label, answer=answer, picture=picture)
    except StoreFullError:
        raise ProblemError(
            507, "the file of corrections is full; delete some, or start the server with more room"
        ) from None


def shown(correction: Correction) -> dict[str, Any]:
    """A correction of the store as the interface shows it."""
    png = io.BytesIO()
    Image.fromarray(correction.glyph).save(png, "PNG")
    return {
        "id": correction.id,
        "created": correction.created,
        "label": correction.label,
        "answer": correction.answer,
        "glyph": base64.b64encode(png.getvalue()).decode("ascii"),
    }


def _is_label(value: object) -> TypeGuard[int]:
    return type(value) is int and 0 <= value < CLASSES


def _bytes(name: str, text: object) -> bytes:
    if not isinstance(text, str) or not text:
        raise ProblemError(422, f"{name}: expected base64")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ProblemError(422, f"{name}: not base64") from None


def _glyph(png: bytes) -> NDArray[np.uint8]:
    try:
        if len(png) > GLYPH_BYTES:
            raise ValueError
        with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
            if image.size != (SIDE, SIDE) or image.mode not in ("1", "L", "P", "RGB", "RGBA", "LA"):
                raise ValueError
            return np.asarray(image.convert("L"))
    except Exception:  # the reader of PNG has no common error class
        raise ProblemError(422, f"glyph: not a PNG of {SIDE}×{SIDE} pixels") from None

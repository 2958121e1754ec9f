"""What the tests of several formats share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from inkdigits.digits.dataset import Digits
from inkdigits.digits.formats import load_digits
from inkdigits.errors import InkdigitsError, InputError


def same(one: Digits, other: Digits) -> bool:
    if one.labels is None or other.labels is None:
        return one.labels is other.labels and np.array_equal(one.images, other.images)
    return np.array_equal(one.labels, other.labels) and np.array_equal(one.images, other.images)


def target(folder: Path, name: str) -> str:
    """As a string, since a Path loses the slash at the end that means a folder."""
    return f"{folder}/{name}"


def error_of(source: object, kind: type[InkdigitsError] = InputError) -> str:
    """The message that loading the source ends with: one line, beginning with the source's name."""
    with pytest.raises(kind) as caught:
        load_digits(source)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(source))
    return message

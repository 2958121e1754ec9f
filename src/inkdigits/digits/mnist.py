"""MNIST, embedded: the four original IDX files, so that nothing is ever downloaded.

>>> from inkdigits.digits.mnist import load_mnist
>>> len(load_mnist("train")), len(load_mnist("test"))
(60000, 10000)

By Yann LeCun and Corinna Cortes; licence (CC BY-SA 3.0) and citation stand beside the files, in `mnist/LICENSE`.
"""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Literal

import numpy as np

from .dataset import SIDE, Digits

Part = Literal["train", "test"]
PARTS: tuple[Part, ...] = ("train", "test")

MNIST_FOLDER = Path(__file__).parent / "mnist"

# SHA-256 of each file unpacked, bit for bit the original IDX files of http://yann.lecun.com/exdb/mnist/.
SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}

_PREFIX = {"train": "train", "test": "t10k"}

# Test digits (counted from 0) whose label a majority of people disputes on looking again.
CONTESTED_LABELS = (947, 1621, 1901, 2462, 2597, 3558, 5937, 6651, 6783, 9729)
# Test digits in which people see no digit, or do not agree on one.
NO_CONSENSUS = (2654, 3520, 9679, 2130, 8527)


def load_mnist(part: Part) -> Digits:
    """One part of MNIST: 60,000 digits to train on or 10,000 to test on, in the original order."""
    images = np.frombuffer(_unpack(f"{_PREFIX[part]}-images-idx3-ubyte"), np.uint8, offset=16)
    labels = np.frombuffer(_unpack(f"{_PREFIX[part]}-labels-idx1-ubyte"), np.uint8, offset=8)
    # Copied, since what is read from bytes cannot be written to, at which PyTorch warns.
    return Digits(images.reshape(-1, SIDE, SIDE).copy(), labels.copy(), f"mnist:{part}")


def _unpack(name: str) -> bytes:
    return gzip.decompress((MNIST_FOLDER / f"{name}.gz").read_bytes())

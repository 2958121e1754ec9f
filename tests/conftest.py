"""What several tests need: real digits, a few of them, taken from the embedded MNIST."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Before anything loads PyTorch: the tests run in as many processes as there are cores, and threads of several
# processes that wait for one another in a busy loop take ten times as long.
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import pytest
from PIL import Image

from inkdigits.digits.dataset import Digits
from inkdigits.digits.mnist import load_mnist
from inkdigits.reader.read import Reader


@pytest.fixture(scope="session")
def mnist_test() -> Digits:
    """The 10,000 digits of MNIST's test part; not to be written to."""
    digits = load_mnist("test")
    digits.images.flags.writeable = False
    return digits


@pytest.fixture(scope="session")
def few(mnist_test: Digits) -> Digits:
    """The first 200 of them, every class among them."""
    return mnist_test.take(slice(200), source="few")


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader(threads=1)


@pytest.fixture(scope="module")
def server(reader: Reader) -> Iterator[Any]:
    """A client of a server in this process, with its usual settings."""
    from serving import asked  # here, so that only the tests of the server load its libraries

    with asked(reader) as client:
        yield client


@pytest.fixture(scope="module")
def png(few: Digits) -> bytes:
    """A 7 as PNG, 28×28."""
    file = io.BytesIO()
    Image.fromarray(few.images[0]).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def train_csv(tmp_path: Path, few: Digits) -> Path:
    """A small file in the form of Kaggle's train.csv, written independently of the package: five rows of LF."""
    path = tmp_path / "train.csv"
    rows = np.column_stack([few.labels, few.images.reshape(-1, 784)])[:5]
    header = "label," + ",".join(f"pixel{i}" for i in range(784))
    np.savetxt(path, rows, fmt="%d", delimiter=",", header=header, comments="")
    return path

"""What several tests need: real digits, a few of them, taken from the embedded MNIST."""

from __future__ import annotations

import os
from pathlib import Path

# Before anything loads PyTorch: the tests run in as many processes as there are cores, and threads of several
# processes that wait for one another in a busy loop take ten times as long.
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import pytest

from inkdigits.digits.dataset import Digits
from inkdigits.digits.mnist import load_mnist


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


@pytest.fixture
def train_csv(tmp_path: Path, few: Digits) -> Path:
    """A small file in the form of Kaggle's train.csv, written independently of the package: five rows of LF."""
    path = tmp_path / "train.csv"
    rows = np.column_stack([few.labels, few.images.reshape(-1, 784)])[:5]
    header = "label," + ",".join(f"pixel{i}" for i in range(784))
    np.savetxt(path, rows, fmt="%d", delimiter=",", header=header, comments="")
    return path

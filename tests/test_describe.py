from __future__ import annotations

import json

import numpy as np
import pytest

from inkdigits.digits.dataset import Digits
from inkdigits.digits.describe import describe
from inkdigits.digits.formats import save_digits
from inkdigits.errors import InputError


@pytest.fixture(scope="module")
def of_test():
    return describe("mnist:test")


def test_the_figures_are_those_that_numpy_finds(of_test, mnist_test):
    part = of_test.parts["test"]
    assert part.count == 10_000
    assert part.classes == tuple(np.bincount(mnist_test.labels))
    assert part.mean == pytest.approx(mnist_test.images.mean())
    assert part.deviation == pytest.approx(mnist_test.images.std())
    assert (part.lowest, part.highest) == (0, 255)
    assert part.ink == pytest.approx((mnist_test.images > 0).mean())
    assert part.never_inked == (mnist_test.images == 0).all(axis=0).sum()
    assert part.duplicates == 0


def test_an_embedded_part_is_compared_with_the_other_part_and_not_with_itself(of_test):
    assert of_test.parts["test"].found_in == {"mnist:train": 0}


def test_both_parts_of_mnist_are_described_apart():
    parts = describe().parts
    assert {name: part.count for name, part in parts.items()} == {"train": 60_000, "test": 10_000}
    assert parts["train"].found_in == {"mnist:test": 0}


def test_overlap_and_duplicates_are_counted(tmp_path, few):
    noise = np.random.default_rng(0).integers(0, 256, (3, 28, 28), np.uint8)
    images = np.concatenate([few.images[:20], few.images[:5], noise])
    save_digits(Digits(images), tmp_path / "mixed.csv")
    part = describe(tmp_path / "mixed.csv").parts["all"]
    assert part.classes is None
    assert part.duplicates == 5
    assert part.found_in == {"mnist:train": 0, "mnist:test": 25}


def test_a_leak_between_the_parts_of_a_file_is_counted(tmp_path, few):
    path = tmp_path / "keras.npz"
    images, labels = few.images, few.labels
    np.savez(path, x_train=images[:100], y_train=labels[:100], x_test=images[90:120], y_test=labels[90:120])
    parts = describe(path).parts
    assert parts["train"].found_in["test"] == parts["test"].found_in["train"] == 10


def test_it_becomes_json_and_a_table(of_test):
    as_dict = json.loads(json.dumps(of_test.as_dict()))
    assert as_dict["source"] == "mnist:test"
    assert as_dict["parts"]["test"]["classes"][0] == 980
    lines = of_test.text().splitlines()
    assert lines[0].split() == ["mnist:test", "test"]
    assert lines[1].split() == ["digits", "10,000"]
    assert "also in mnist:train         0" in lines
    assert len({len(line) for line in lines}) == 1


def test_dark_ink_on_white_paper_is_pointed_out(few):
    assert "dark ink on white paper?" in describe(Digits(255 - few.images)).text()
    assert "dark ink on white paper?" not in describe(few).text()


def test_a_missing_file_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        describe(tmp_path / "none.csv")

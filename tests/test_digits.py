from __future__ import annotations

import gzip
import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inkdigits.digits.dataset import BLOCKS, Digits, data_hash, overlap, pixel_hashes, split_in_blocks
from inkdigits.digits.formats import load_digits
from inkdigits.digits.mnist import CONTESTED_LABELS, MNIST_FOLDER, NO_CONSENSUS, SHA256
from inkdigits.errors import InputError


def labelled(labels: list[int]) -> Digits:
    images = np.zeros((len(labels), 28, 28), np.uint8)
    images[:, 0, 0] = np.arange(len(labels)) % 256
    images[:, 0, 1] = np.arange(len(labels)) // 256
    return Digits(images, np.array(labels, np.uint8))


@pytest.mark.parametrize("name", SHA256)
def test_the_embedded_files_are_the_original_ones_bit_for_bit(name):
    content = gzip.decompress((MNIST_FOLDER / f"{name}.gz").read_bytes())
    assert hashlib.sha256(content).hexdigest() == SHA256[name]


def test_the_licence_of_mnist_lies_beside_it():
    assert "CC BY-SA 3.0" in (MNIST_FOLDER / "LICENSE").read_text()


def test_mnist_has_its_known_size_and_first_labels(mnist_test):
    train = load_digits("mnist:train")
    assert (len(train), len(mnist_test)) == (60_000, 10_000)
    assert train.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert mnist_test.labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert train.images.flags.writeable  # or torch.from_numpy warns
    assert train.source == "mnist:train"


def test_the_contested_test_digits_are_fifteen():
    assert len(set(CONTESTED_LABELS) | set(NO_CONSENSUS)) == 15


def test_images_of_another_size_or_type_are_refused():
    with pytest.raises(InputError, match=r"expected uint8 \(N, 28, 28\), found uint8 \(2, 27, 28\)"):
        Digits(np.zeros((2, 27, 28), np.uint8))
    with pytest.raises(InputError, match="found float64"):
        Digits(np.zeros((2, 28, 28)))


def test_a_set_without_digits_is_refused():
    with pytest.raises(InputError, match="no digits in it"):
        Digits(np.zeros((0, 28, 28), np.uint8))


def test_a_label_of_ten_is_refused_with_its_row():
    with pytest.raises(InputError, match=r"row 3: not a label, expected an integer 0…9, found 10"):
        Digits(np.zeros((3, 28, 28), np.uint8), np.array([1, 2, 10]))


def test_a_label_below_zero_is_refused_and_does_not_wrap():
    with pytest.raises(InputError, match="found -1"):
        Digits(np.zeros((1, 28, 28), np.uint8), np.array([-1]))


def test_labels_of_another_number_or_type_are_refused():
    with pytest.raises(InputError, match="images and labels differ"):
        Digits(np.zeros((3, 28, 28), np.uint8), np.array([1, 2]))
    with pytest.raises(InputError, match="dtype float64"):
        Digits(np.zeros((1, 28, 28), np.uint8), np.array([1.5]))


def test_missing_labels_are_reported_with_what_they_were_wanted_for():
    with pytest.raises(InputError, match="expected labels to measure accuracy, found pixels only"):
        Digits(np.zeros((1, 28, 28), np.uint8)).need_labels("measure accuracy")


def test_take_keeps_order_and_labels(few):
    taken = few.take(np.array([5, 3, 3]))
    assert np.array_equal(taken.images, few.images[[5, 3, 3]])
    assert np.array_equal(taken.labels, few.labels[[5, 3, 3]])


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 9), min_size=2, max_size=400), st.data())
def test_a_split_is_disjoint_complete_and_stratified(labels, data):
    digits = labelled(labels)
    classes = len(set(labels))
    if classes == len(labels):
        return
    held = data.draw(st.integers(1, len(labels) - classes))
    train, validation = digits.split(held, seed=data.draw(st.integers(0, 5)))
    assert len(validation) == held
    everything = np.concatenate([pixel_hashes(train.images), pixel_hashes(validation.images)])
    assert np.array_equal(np.sort(everything), np.sort(pixel_hashes(digits.images)))
    assert set(train.labels) == set(labels)
    for label in set(labels):
        share = held / len(labels)
        expected = share * labels.count(label)
        # To within one digit, and the one of each class that always stays may push as many on to the others.
        assert abs(np.sum(validation.labels == label) - expected) <= 1 + classes


def test_a_split_of_mnist_holds_out_each_class_in_proportion(mnist_test):
    train, validation = mnist_test.split(1_000, seed=0)
    shares = np.bincount(validation.labels) / np.bincount(mnist_test.labels)
    assert np.abs(shares - 0.1).max() < 0.002
    assert len(train) == 9_000


def test_the_same_seed_gives_the_same_split_and_another_seed_another(few):
    first, again, other = (few.split(50, seed=seed)[1].images for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@given(st.integers(20, 200), st.data())
def test_blocks_are_disjoint_complete_and_of_neighbours(count, data):
    images = np.arange(count, dtype=np.uint8)[:, None, None] * np.ones((28, 28), np.uint8)
    digits = Digits(images, np.zeros(count, np.uint8))
    held = data.draw(st.integers(10, count - 10))
    train, validation = digits.split(held, seed=data.draw(st.integers(0, 5)), blocks=True)
    kept, out = (part.images[:, 0, 0].astype(int) for part in (train, validation))
    assert len(out) == held
    assert sorted([*kept, *out]) == list(range(count))
    assert list(kept) == sorted(kept)
    # Seen as a ring, there are as many blocks as were meant (fewer where they meet).
    is_out = np.isin(np.arange(count), out)
    assert (is_out & ~np.roll(is_out, 1)).sum() <= BLOCKS


def test_blocks_lie_all_over_the_set_and_elsewhere_for_another_seed(mnist_test):
    held = [mnist_test.split(1_000, seed=seed, blocks=True)[1] for seed in (0, 0, 1)]
    assert np.array_equal(held[0].images, held[1].images)
    assert not np.array_equal(held[0].images, held[2].images)
    places = np.flatnonzero(np.isin(pixel_hashes(mnist_test.images), pixel_hashes(held[0].images)))
    assert np.bincount(places // 1_000, minlength=10) == pytest.approx(np.full(10, 100), abs=1)


def test_blocks_that_leave_no_digit_of_a_class_are_refused(few):
    labels = np.zeros(len(few), np.uint8)
    _, held = split_in_blocks(labels, 50, seed=0)
    labels[held[7]] = 9
    with pytest.raises(InputError, match="setting split: cannot be in blocks, found every 9 among those held out"):
        Digits(few.images, labels).split(50, seed=0, blocks=True)


@pytest.mark.parametrize("validation", [0, -1, 191, 200, 1000])
def test_a_split_that_leaves_nothing_is_refused(few, validation):
    with pytest.raises(InputError, match=f"expected 1 to 190 digits to hold out of 200, found {validation}"):
        few.split(validation, seed=0)


def test_hashes_depend_on_pixels_alone(few):
    hashes = pixel_hashes(few.images)
    assert hashes.dtype == np.uint64
    assert len(np.unique(hashes)) == 200
    assert np.array_equal(hashes[::-1], pixel_hashes(few.images[::-1]))
    changed = few.images[:1].copy()
    changed[0, 0, 0] = 1
    assert pixel_hashes(changed)[0] != hashes[0]
    assert len(pixel_hashes(few.images[:0])) == 0


def test_the_hash_of_an_image_is_the_same_on_every_machine():
    # A fixed value: runs remember these hashes in a file.
    assert pixel_hashes(np.zeros((1, 28, 28), np.uint8))[0] == 0x9FE56B9985269551


def test_overlap_is_told_image_by_image(few):
    found = overlap(few.images[:10], pixel_hashes(few.images[8:]))
    assert found.tolist() == [False] * 8 + [True] * 2


def test_a_sample_is_spread_over_the_whole_set(few):
    by_label = few.take(np.argsort(few.labels, kind="stable"))
    assert set(by_label.sample(50).labels) == set(range(10))
    assert len(by_label.sample(50)) == 50
    assert few.sample(1_000) is few


def test_the_data_hash_changes_with_a_pixel_and_with_a_label(few):
    other = few.labels.copy()
    other[0] = (other[0] + 1) % 10
    assert data_hash(few) == data_hash(few.take(slice(None)))
    assert len({data_hash(few), data_hash(Digits(few.images, other)), data_hash(Digits(few.images))}) == 3

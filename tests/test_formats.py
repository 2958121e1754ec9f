from __future__ import annotations

import gzip
import io
import os
import sqlite3
import struct
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from support import error_of, same, target

from inkdigits.digits.dataset import Digits
from inkdigits.digits.formats import load_digits, load_parts, save_digits
from inkdigits.errors import InputError, MissingExtraError, OutputError

FILES = ["a.csv", "a.csv.gz", "a.zip", "a-images-idx3-ubyte", "a-images.idx3-ubyte.gz", "a.npz", "a.parquet"]
LABELLED = [*FILES, "a.sqlite", "folder", "folder.d/"]
# There and back, in every format


@pytest.mark.parametrize("name", LABELLED)
def test_labelled_digits_come_back_from_every_format(tmp_path, few, name):
    save_digits(few, target(tmp_path, name))
    assert same(load_digits(target(tmp_path, name)), few)


@pytest.mark.parametrize("name", FILES)
def test_unlabelled_digits_come_back_from_every_format_that_has_them(tmp_path, few, name):
    unlabelled = Digits(few.images)
    save_digits(unlabelled, target(tmp_path, name))
    assert same(load_digits(target(tmp_path, name)), unlabelled)


@pytest.mark.parametrize("name", ["a.sqlite", "folder"])
def test_formats_that_need_labels_say_so_and_write_nothing(tmp_path, few, name):
    with pytest.raises(InputError, match="has no labels"):
        save_digits(Digits(few.images), tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", LABELLED)
def test_the_same_digits_give_the_same_bytes(tmp_path, few, name):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        save_digits(few.take(slice(20)), target(tmp_path / folder, name))
    written = [
        {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
        for folder in (tmp_path / "one", tmp_path / "two")
    ]
    assert written[0] == written[1]


@pytest.mark.parametrize("name", LABELLED)
def test_saving_again_replaces_the_earlier_result_and_leaves_nothing_else(tmp_path, few, name):
    save_digits(few, target(tmp_path, name))
    before = sorted(path.name for path in tmp_path.iterdir())
    save_digits(few.take(slice(9)), target(tmp_path, name))
    assert len(load_digits(target(tmp_path, name))) == 9
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(images=arrays(np.uint8, st.tuples(st.integers(1, 3), st.just(28), st.just(28))), name=st.sampled_from(LABELLED))
def test_any_pixels_survive_every_format(tmp_path, images, name):
    digits = Digits(images, np.arange(len(images)))
    save_digits(digits, target(tmp_path, name))
    assert same(load_digits(target(tmp_path, name)), digits)


# Names


def test_mnist_means_the_part_that_is_asked_for(mnist_test):
    assert same(load_digits("mnist", part="test"), mnist_test)
    assert same(load_digits("mnist:test", part="train"), mnist_test)
    both = load_digits()
    assert len(both) == 70_000
    assert same(both.take(slice(60_000, None)), mnist_test)


def test_an_unknown_part_is_refused():
    with pytest.raises(InputError, match="expected train, test or all, found 'validation'"):
        load_digits("mnist", part="validation")


def test_digits_and_arrays_are_taken_as_they_are(few):
    assert load_digits(few) is few
    assert np.array_equal(load_digits(few.images).images, few.images)
    assert np.array_equal(load_digits(few.images[0]).images, few.images[:1])
    assert np.array_equal(load_digits(few.images.reshape(-1, 784).astype(int)).images, few.images)


def test_an_array_with_a_pixel_of_256_is_refused():
    images = np.zeros((2, 28, 28), int)
    images[1, 0, 3] = 256
    with pytest.raises(InputError, match="array, row 2, pixel 3: not a pixel, expected an integer 0…255, found 256"):
        load_digits(images)


@pytest.mark.parametrize("source", [None, "", 3, [[0]]])
def test_what_is_no_source_is_refused(source):
    with pytest.raises(InputError, match="not a source of digits, expected mnist, "):
        load_digits(source)


def test_keras_arrays_are_two_parts(tmp_path, few):
    path = tmp_path / "mnist.npz"
    np.savez(path, x_train=few.images[:150], y_train=few.labels[:150], x_test=few.images[150:], y_test=few.labels[150:])
    assert list(load_parts(path)) == ["train", "test"]
    assert same(load_digits(path), few)
    assert same(load_digits(path, part="train"), few.take(slice(150)))
    assert same(load_digits(f"{path}:test"), few.take(slice(150, None)))
    assert list(load_parts(f"{path}:test")) == ["test"]


def test_a_part_of_a_source_without_parts_is_refused(train_csv):
    with pytest.raises(InputError, match="has no parts, expected a training and a test part"):
        load_digits(f"{train_csv}:test")


@pytest.mark.parametrize("name", ["digits.txt", "digits", "mnits"])
def test_an_unknown_or_missing_source_is_answered_with_those_there_are(tmp_path, name):
    assert "no such file or source, expected mnist, .csv" in error_of(tmp_path / name)
    (tmp_path / name).write_text("1,2,3")
    assert "an unknown kind of file" in error_of(tmp_path / name)


def test_a_name_that_is_too_long_is_an_input_error(tmp_path):
    assert error_of(tmp_path / ("x" * 5000 + ".csv"))
    with pytest.raises(OutputError, match="cannot be written"):
        save_digits(load_digits(np.zeros((28, 28), np.uint8)), tmp_path / ("x" * 5000 + ".csv"))


@pytest.mark.parametrize(
    "name", ["a.csv", "a.csv.gz", "a.zip", "a-images-idx3-ubyte", "a.npz", "a.parquet", "a.sqlite"]
)
def test_missing_empty_and_rubbish_files_are_one_clear_line(tmp_path, name):
    path = tmp_path / name
    assert "no such file" in error_of(path)
    path.touch()
    assert "an empty file" in error_of(path)
    for rubbish in (
        np.random.default_rng(0).bytes(5000),
        b"\x1f\x8b" + bytes(50),
        b"PK\x03\x04" + bytes(60),
        b"PAR1xxPAR1",
    ):
        path.write_bytes(rubbish)
        error_of(path)


@pytest.mark.parametrize(
    "name", ["a.csv.gz", "a.zip", "a-images-idx3-ubyte", "a-images-idx3-ubyte.gz", "a.npz", "a.parquet"]
)
def test_a_file_cut_short_or_with_a_changed_byte_never_ends_in_a_traceback(tmp_path, few, name):
    path = tmp_path / name
    save_digits(few.take(slice(30)), path)
    whole = path.read_bytes()
    for size in (4, 20, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        error_of(path)
    rng = np.random.default_rng(0)
    for place in [*range(40), *rng.integers(0, len(whole), 60), *range(len(whole) - 40, len(whole))]:
        changed = bytearray(whole)
        changed[place] ^= rng.integers(1, 256)
        path.write_bytes(changed)
        with suppress(InputError):
            load_digits(path)


# IDX


def idx(path: Path, magic: int, shape: tuple[int, ...], size: int) -> Path:
    path.write_bytes(struct.pack(f">{1 + len(shape)}I", magic, *shape) + bytes(size))
    return path


def test_labels_beside_the_images_are_found_packed_or_not(tmp_path, few):
    images, labels = few.images[:4], few.labels[:4]
    image_bytes = struct.pack(">4I", 2051, 4, 28, 28) + images.tobytes()
    label_bytes = struct.pack(">2I", 2049, 4) + labels.tobytes()
    (tmp_path / "train-images.idx3-ubyte").write_bytes(image_bytes)
    (tmp_path / "train-labels.idx1-ubyte.gz").write_bytes(gzip.compress(label_bytes))
    assert same(load_digits(tmp_path / "train-images.idx3-ubyte"), few.take(slice(4)))


def test_the_embedded_files_are_read_as_files_too(few):
    from inkdigits.digits.mnist import MNIST_FOLDER

    assert same(load_digits(MNIST_FOLDER / "t10k-images-idx3-ubyte.gz").take(slice(200)), few)


@pytest.mark.parametrize(
    ("magic", "shape", "size", "message"),
    [
        (2052, (2, 28, 28), 1568, "not an IDX file of images, expected magic number 2051, found 2052"),
        (2049, (2,), 2, "not an IDX file of images, expected magic number 2051, found"),
        (2051, (2, 32, 32), 2048, "expected 28×28 pixels, found 32×32"),
        (2051, (2, 28, 28), 1567, "a file cut short, expected 1,584 bytes for 2 images, found 1,583"),
        (2051, (2, 28, 28), 1569, "a file too long, expected 1,584 bytes for 2 images"),
        (2051, (2**32 - 1, 28, 28), 784, "a file cut short"),
        (2051, (0, 28, 28), 0, "no digits in it"),
    ],
)
def test_a_wrong_idx_file_is_refused(tmp_path, magic, shape, size, message):
    assert message in error_of(idx(tmp_path / "x-images-idx3-ubyte", magic, shape, size))


def test_the_file_of_labels_given_for_the_images_is_pointed_out(tmp_path):
    path = idx(tmp_path / "x-labels-idx1-ubyte", 2049, (20,), 20)
    assert "found 2049; name the file of images" in error_of(path)


def test_images_and_labels_of_different_counts_are_refused(tmp_path):
    path = idx(tmp_path / "x-images-idx3-ubyte", 2051, (2, 28, 28), 1568)
    labels = idx(tmp_path / "x-labels-idx1-ubyte", 2049, (3,), 3)
    with pytest.raises(InputError, match=r"differ in number, expected 2 labels .*, found 3") as caught:
        load_digits(path)
    assert str(caught.value).startswith(str(labels))


def test_a_label_of_ten_beside_images_is_named(tmp_path):
    path = idx(tmp_path / "x-images-idx3-ubyte", 2051, (2, 28, 28), 1568)
    (tmp_path / "x-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 2049, 2) + bytes([3, 10]))
    with pytest.raises(InputError, match="x-labels-idx1-ubyte, row 2: not a label, expected an integer 0…9, found 10"):
        load_digits(path)


def test_unlabelled_images_are_not_put_beside_the_labels_of_others(tmp_path, few):
    path = tmp_path / "x-images-idx3-ubyte"
    save_digits(few, path)
    with pytest.raises(OutputError, match="labels of other digits lie beside it"):
        save_digits(Digits(few.images), path)
    assert same(load_digits(path), few)


# .npz


def npz(path: Path, **content: object) -> Path:
    np.savez(path, **content)
    return path


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"a": np.zeros(3)},
            "other arrays, expected x_train, y_train, x_test and y_test, or images and labels, found a",
        ),
        ({"images": np.zeros((2, 28, 28))}, "images: not pixels, expected integers 0…255, found float64 from 0 to 0"),
        ({"images": np.ones((2, 28, 28)) / 2}, "save (255 * images).round().astype('uint8')"),
        (
            {"images": np.zeros((2, 28, 27), np.uint8)},
            "expected (N, 28, 28) or (N, 784), found an array of shape (2, 28, 27)",
        ),
        ({"images": np.zeros((), np.uint8)}, "found an array of shape ()"),
        (
            {"images": np.full((1, 784), 256)},
            "images, row 1, pixel 0: not a pixel, expected an integer 0…255, found 256",
        ),
        ({"images": np.full((1, 784), -1)}, "found -1"),
        ({"images": np.zeros((0, 784), np.uint8)}, "no digits in it"),
        ({"images": np.array([["a"] * 784])}, "expected integers 0…255, found <U1"),
        ({"images": np.zeros((2, 784), np.uint8), "labels": np.zeros(3, int)}, "differ in number"),
        ({"images": np.zeros((1, 784), np.uint8), "labels": np.array([10])}, "labels, row 1: not a label"),
        ({"images": np.zeros((1, 784), np.uint8), "labels": np.eye(10)[:1]}, "save labels.argmax(axis=1)"),
        ({"images": np.zeros((1, 784), np.uint8), "labels": np.array(["7"])}, "not labels, expected integers"),
        ({"images": np.array([{}], object)}, "not plain arrays, expected arrays of integers, found pickled objects"),
    ],
)
def test_wrong_arrays_are_refused(tmp_path, content, message):
    assert message in error_of(npz(tmp_path / "a.npz", **content))


def test_a_pickle_called_npz_is_never_run(tmp_path):
    import pickle

    class Harm:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "harm"),))

    (tmp_path / "a.npz").write_bytes(pickle.dumps(Harm()))
    np.savez(tmp_path / "b.npz", images=np.array([Harm()], object))
    assert "pickled objects" in error_of(tmp_path / "a.npz")
    assert "pickled objects" in error_of(tmp_path / "b.npz")
    assert not (tmp_path / "harm").exists()


def test_a_single_array_called_npz_is_refused(tmp_path):
    with (tmp_path / "a.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    assert "not an .npz, expected named arrays" in error_of(tmp_path / "a.npz")


def test_integers_of_other_types_and_shapes_are_taken(tmp_path, few):
    labels = few.labels.astype(np.int64)[:, None]
    path = npz(tmp_path / "a.npz", images=few.images[..., None].astype(np.int32), labels=labels)
    assert same(load_digits(path), few)


# Parquet


def test_parquet_has_the_columns_of_the_hub(tmp_path, few):
    polars = pytest.importorskip("polars")
    save_digits(few, tmp_path / "a.parquet")
    frame = polars.read_parquet(tmp_path / "a.parquet")
    image = polars.Struct({"bytes": polars.Binary, "path": polars.String})
    assert dict(frame.schema) == {"image": image, "label": polars.Int64}
    first = Image.open(io.BytesIO(frame["image"][0]["bytes"]))
    assert first.format == "PNG"
    assert np.array_equal(np.array(first), few.images[0])


def test_wrong_parquet_is_refused_with_row_and_column(tmp_path, few):
    polars = pytest.importorskip("polars")
    path = tmp_path / "a.parquet"
    buffer = io.BytesIO()
    Image.fromarray(few.images[0]).resize((32, 32)).save(buffer, "PNG")
    for cells, labels, message in [
        ([{"bytes": b"no picture"}], [1], "row 1, column image: cannot be read as a picture"),
        (
            [{"bytes": buffer.getvalue()}],
            [1],
            "row 1, column image: not a digit image, expected 28×28 pixels, found 32×32",
        ),
        ([{"bytes": None}], [1], "row 1, column image: not a picture, expected the bytes"),
        (
            [1],
            [1],
            "expected a column image of struct(bytes, path), as the Hugging Face hub has it, found image (Int64)",
        ),
    ]:
        polars.DataFrame({"image": cells, "label": labels}, strict=False).write_parquet(path)
        if cells == [{"bytes": None}]:
            kind = {"image": polars.Struct({"bytes": polars.Binary}), "label": polars.Int64}
            polars.DataFrame({"image": cells, "label": labels}, schema=kind).write_parquet(path)
        assert message in error_of(path)
    png = io.BytesIO()
    Image.fromarray(few.images[0]).save(png, "PNG")
    for labels, message in [
        ([10], "column label, row 1: not a label, expected an integer 0…9, found 10"),
        ([None], "column label: not labels"),
        (["7"], "column label: not labels, expected integers 0…9, found String"),
    ]:
        polars.DataFrame({"image": [{"bytes": png.getvalue()}], "label": labels}).write_parquet(path)
        assert message in error_of(path)


def test_parquet_without_polars_says_what_to_install(tmp_path, few, monkeypatch):
    monkeypatch.setitem(sys.modules, "polars", None)
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    assert 'pip install "inkdigits[tables]"' in error_of(tmp_path / "a.parquet", MissingExtraError)
    with pytest.raises(MissingExtraError, match=r"inkdigits\[tables\]"):
        save_digits(few, tmp_path / "b.parquet")
    assert not (tmp_path / "b.parquet").exists()


# A folder of pictures


def picture(path: Path, image: Image.Image) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return path


def test_a_folder_of_pictures_of_several_kinds_is_read(tmp_path, few):
    grey = Image.fromarray(few.images[0])
    for name, mode in [("a.png", "L"), ("b.bmp", "RGB"), ("c.png", "RGBA"), ("d.gif", "P"), ("e.tiff", "L")]:
        picture(tmp_path / "7" / name, grey.convert(mode))
    (tmp_path / "7" / ".DS_Store").write_bytes(b"x")
    (tmp_path / "7" / "Thumbs.db").write_bytes(b"x")
    (tmp_path / "3").mkdir()
    digits = load_digits(tmp_path)
    assert digits.labels.tolist() == [7] * 5
    assert np.all(digits.images == few.images[0])


def test_what_does_not_fit_into_a_folder_of_pictures_is_named(tmp_path, few):
    grey = Image.fromarray(few.images[0])
    assert "a folder without sub-folders, expected one sub-folder of pictures for each class" in error_of(tmp_path)
    (tmp_path / "loose.png").touch()
    assert "found loose.png" in error_of(tmp_path)
    (tmp_path / "loose.png").unlink()
    (tmp_path / "0").mkdir()
    assert "no digits in it" in error_of(tmp_path)
    for name, content in [
        ("0/text.png", b"not a picture"),
        ("0/empty.png", b""),
        ("0/cut.png", picture(tmp_path / "0/whole.png", grey).read_bytes()[:80]),
    ]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError) as caught:
            load_digits(tmp_path)
        assert str(caught.value).startswith(f"{tmp_path / name}: ")
        (tmp_path / name).unlink()
    faint = Image.new("LA", (28, 28))
    for image, message in [
        (faint, "expected grey, found transparency"),
        (Image.new("I;16", (28, 28)), "expected 8 bits a pixel, found mode I;16"),
    ]:
        picture(tmp_path / "0/b.png", image)
        with pytest.raises(InputError, match=rf"b\.png: not a digit image, {message}"):
            load_digits(tmp_path)
    picture(tmp_path / "ten/a.png", grey)
    with pytest.raises(InputError, match="ten: not a class, expected sub-folders 0 … 9, found ten"):
        load_digits(tmp_path)


def test_pictures_of_other_sizes_in_a_folder_are_prepared_as_photographs_are(tmp_path, few):
    picture(tmp_path / "7" / "0.png", Image.fromarray(few.images[0]))
    picture(tmp_path / "7" / "1.png", Image.fromarray(255 - np.pad(few.images[0], 8)).resize((176, 176)))
    digits = load_digits(tmp_path)
    same, prepared = digits.images.astype(int)
    assert np.array_equal(same, few.images[0])
    assert np.abs(prepared - same).mean() < 12
    picture(tmp_path / "7" / "2.png", Image.new("L", (100, 100), "white"))
    assert "a blank picture, expected a digit on it, found no ink" in error_of_folder(tmp_path)
    picture(tmp_path / "7" / "2.png", Image.new("L", (2, 2), "white"))
    assert "too small to hold a digit" in error_of_folder(tmp_path)


def error_of_folder(folder):
    with pytest.raises(InputError) as caught:
        load_digits(folder)
    assert str(caught.value).startswith(str(folder / "7" / "2.png"))
    return str(caught.value)


def test_what_was_added_to_a_written_folder_is_never_thrown_away(tmp_path, few):
    save_digits(few, tmp_path / "mine")
    save_digits(few, tmp_path / "mine")  # unchanged, it is replaced
    for added in ("notes.txt", "3/zz.png", "3/more/00001.png", "photos/a.png"):
        place = tmp_path / "mine" / added
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(b"precious")
        with pytest.raises(OutputError, match="holds something else"):
            save_digits(few, tmp_path / "mine")
        assert place.read_bytes() == b"precious"
        place.unlink()
        if place.parent.name in ("more", "photos"):
            place.parent.rmdir()


def test_a_picture_beside_the_classes_is_said(tmp_path, few):
    save_digits(few, tmp_path / "mine")
    (tmp_path / "mine" / "one.png").write_bytes((tmp_path / "mine" / "7" / "00000.png").read_bytes())
    with pytest.raises(InputError, match="lies beside the classes"):
        load_digits(tmp_path / "mine")


def test_labels_in_the_last_column_without_a_header_are_noticed(tmp_path, few):
    rows = np.column_stack([few.images.reshape(-1, 784), few.labels])
    np.savetxt(tmp_path / "last.csv", rows, fmt="%d", delimiter=",")
    with pytest.raises(InputError, match="labels all 0"):
        load_digits(tmp_path / "last.csv")


def test_pixel_names_that_are_sorted_as_words_and_not_understood_are_refused(tmp_path, few):
    names = sorted(f"p {i}" for i in range(784))
    np.savetxt(tmp_path / "a.csv", few.images.reshape(-1, 784)[:3], "%d", ",", header=",".join(names), comments="")
    with pytest.raises(InputError, match="names of pixels out of order"):
        load_digits(tmp_path / "a.csv")


def test_a_folder_that_holds_something_else_is_never_replaced(tmp_path, few):
    (tmp_path / "mine" / "0").mkdir(parents=True)
    (tmp_path / "mine" / "0" / "00000.png").write_bytes(b"precious")
    with pytest.raises(OutputError, match="holds something else, expected a new, an empty or an earlier"):
        save_digits(few, tmp_path / "mine")
    assert (tmp_path / "mine" / "0" / "00000.png").read_bytes() == b"precious"
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_file_where_the_folder_should_be_is_kept(tmp_path, few):
    (tmp_path / "file").write_text("precious")
    with pytest.raises(OutputError, match="expected a folder, found a file"):
        save_digits(few, target(tmp_path, "file/"))
    assert (tmp_path / "file").read_text() == "precious"


# Corrections


def test_corrections_are_read_in_the_order_they_were_made(tmp_path, few):
    path = tmp_path / "corrections.sqlite"
    save_digits(few.take(slice(2)), path)
    with sqlite3.connect(path) as database:
        row = ("2026-01-01T00:00:00Z", b"a photograph", few.images[2].tobytes(), 7, 1)
        database.execute("insert into correction(created, picture, glyph, answer, label) values (?, ?, ?, ?, ?)", row)
    database.close()
    digits = load_digits(path)
    assert np.array_equal(digits.images, few.images[:3])
    assert digits.labels.tolist() == [7, 2, 1]


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("update correction set label = 10 where id = 2", "row 2, column label: not a label, expected an integer 0…9"),
        ("update correction set label = 'x' where id = 2", "row 2, column label: not a label"),
        (
            "update correction set glyph = x'00' where id = 1",
            "row 1, column glyph: not a digit image, expected 784 bytes",
        ),
        ("update correction set glyph = 'abc' where id = 1", "row 1, column glyph"),
        ("delete from correction", "no digits in it, expected at least one correction"),
        ("drop table correction", "not a corrections file, expected SQLite with a table correction"),
        ("alter table correction rename column glyph to image", "not a corrections file"),
    ],
)
def test_wrong_corrections_are_named_by_row_and_column(tmp_path, few, statement, message):
    path = tmp_path / "corrections.sqlite"
    save_digits(few.take(slice(3)), path)
    with sqlite3.connect(path) as database:
        database.execute(statement)
    database.close()
    assert message in error_of(path)


def test_reading_corrections_changes_nothing(tmp_path, few):
    path = tmp_path / "a b?#.sqlite"
    save_digits(few, path)
    before = path.read_bytes()
    load_digits(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [path.name]

"""The submission: what is in it, what is said about it, and that it is whole or not there."""

from __future__ import annotations

import csv
import errno
import subprocess
import sys
import threading
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inkdigits.digits.dataset import Digits
from inkdigits.digits.formats import save_digits
from inkdigits.digits.mnist import load_mnist
from inkdigits.errors import InputError, OutputError
from inkdigits.nets.train import Run, train
from inkdigits.reader.model import load_model
from inkdigits.reader.predict import Counts, check_submission, predict


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    digits = load_mnist("train").take(slice(2_000), source="2000")
    return train(digits, output=tmp_path_factory.mktemp("runs") / "kaggle", net="softmax", epochs=4)


def test_a_submission_has_kaggles_form(run: Run, few: Digits, tmp_path: Path) -> None:
    source, output = tmp_path / "test.csv", tmp_path / "submission.csv"
    save_digits(Digits(few.images), source)
    result = predict(source, model=run.folder, output=output)
    labels = load_model(run.folder).predict(few.images).labels
    expected = "ImageId,Label\n" + "".join(f"{row},{label}\n" for row, label in enumerate(labels, 1))
    assert output.read_bytes() == expected.encode()
    assert result.accuracy is None
    assert result.overlap == 0
    assert "200 digits from" in result.text()
    assert "warning" not in result.text()


def test_details_say_how_sure_and_what_is_refused(run: Run, few: Digits, tmp_path: Path) -> None:
    output = tmp_path / "submission.csv"
    result = predict(few, model=run.folder, output=output, details=True)
    assert result.predictions is None  # they are in the file
    kept = predict(few, model=run.folder).predictions
    assert kept is not None
    with output.open(newline="") as text:
        rows = list(csv.DictReader(text))
    assert list(rows[0]) == ["ImageId", "Label", "Confidence", "Novelty", "Refused"]
    assert kept.novelty is not None
    for row, confidence, strange in zip(rows, kept.confidence, kept.novelty, strict=True):
        assert float(row["Confidence"]) == pytest.approx(float(confidence), abs=1e-4)
        assert float(row["Novelty"]) == pytest.approx(float(strange), abs=1e-4)
        assert row["Refused"] == str(int(strange > 0.5 or confidence < load_model(run.folder).confidence_threshold))
        assert row["Label"] in "0123456789"
    assert sum(int(row["Refused"]) for row in rows) == result.refused


def test_images_that_were_trained_on_are_counted_and_scored_without(run: Run, few: Digits) -> None:
    hashes = load_model(run.folder).training_hashes()
    assert hashes is not None
    training = load_mnist("train").take(slice(2_000))
    seen = Digits(
        np.concatenate([few.images, training.images[:300]]),
        np.concatenate([few.need_labels("join"), training.need_labels("join")[:300]]),
        "mixed",
    )
    result = predict(seen, model=run.folder)
    assert result.overlap is not None
    assert 200 < result.overlap < 300  # the rest of the 300 was held out for validation
    assert result.accuracy_without_overlap is not None
    fresh = ~np.isin(np.arange(500), np.flatnonzero(_seen(seen, hashes)))
    assert result.predictions is not None
    right = result.predictions.labels == seen.labels
    assert result.accuracy_without_overlap == pytest.approx(right[fresh].mean())
    assert f"warning: {result.overlap} of these images" in result.text()
    assert "without them" in result.text()


def _seen(digits: Digits, hashes: np.ndarray) -> np.ndarray:
    from inkdigits.digits.dataset import pixel_hashes

    return np.isin(pixel_hashes(digits.images), hashes)


def test_of_mnist_the_test_part_is_predicted(run: Run) -> None:
    assert predict("mnist", model=run.folder).n == 10_000


def test_a_bad_row_leaves_an_earlier_submission_as_it_was(run: Run, few: Digits, tmp_path: Path) -> None:
    source, output = tmp_path / "test.csv", tmp_path / "submission.csv"
    save_digits(Digits(few.images), source)
    source.write_text(source.read_text().replace("\n0,", "\n256,", 1))
    output.write_text("earlier")
    with pytest.raises(InputError, match="256"):
        predict(source, model=run.folder, output=output)
    assert output.read_text() == "earlier"
    assert [file.name for file in tmp_path.iterdir() if "part" in file.name] == []


def test_a_full_disk_leaves_an_earlier_submission_as_it_was(
    run: Run, few: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "submission.csv"
    output.write_text("earlier")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OutputError, match="no space left"):
        predict(few, model=run.folder, output=output)
    assert output.read_text() == "earlier"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("ImageId", "Id"), "expected ImageId,Label"),
        (lambda text: text.replace("\n7,", "\n8,"), "expected 7 and a digit, found 8,"),
        (lambda text: text.replace("\n7,", "\n7,1"), "expected 7 and a digit, found 7,1."),
        (lambda text: text.replace("\n7,1", "\n7,2").replace("\n7,4", "\n7,1"), "200 rows with other labels"),
        (lambda text: text.rsplit("\n", 2)[0] + "\n", "expected 200 rows, found 199 rows"),
    ],
)
def test_a_file_that_reads_back_wrong_is_noticed(
    change: Any, message: str, run: Run, few: Digits, tmp_path: Path
) -> None:
    output = tmp_path / "submission.csv"
    predict(few, model=run.folder, output=output)
    text = output.read_text()
    labels = "".join(line.split(",")[1] for line in text.splitlines()[1:])
    counts = Counts(n=200, checksum=zlib.crc32(labels.encode()))
    check_submission(output, counts)
    assert change(text) != text
    output.write_text(change(text))
    with pytest.raises(OutputError, match=message):
        check_submission(output, counts)


def test_what_is_read_is_never_written_over(run: Run, few: Digits, tmp_path: Path) -> None:
    source = tmp_path / "digits.csv"
    save_digits(few, source)
    for output in (source, run.model):
        before = output.read_bytes()
        with pytest.raises(OutputError, match="is what is read"):
            predict(source, model=run.folder, output=output)
        assert output.read_bytes() == before


def test_a_device_or_a_pipe_is_written_to_like_a_file(run: Run, few: Digits, tmp_path: Path) -> None:
    predict(few, model=run.folder, output="/dev/null")
    code = "import sys; from inkdigits import predict; predict('mnist', model=sys.argv[1], output='/dev/stdout')"
    command = [sys.executable, "-c", code, str(run.folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert len(done.stdout.splitlines()) == 10_001


def stopped_at(rows: int, error: type[BaseException] = KeyboardInterrupt) -> Any:
    """A watcher that ends the command when so many digits are done."""

    def watch(done: int, share: float) -> None:
        if done >= rows:
            raise error

    return watch


@pytest.mark.parametrize("details", [False, True])
@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
def test_an_interrupted_submission_is_gone_on_with(name: str, details: bool, run: Run, tmp_path: Path) -> None:
    digits = load_mnist("test")
    first, second = tmp_path / "a.npz", tmp_path / "b.csv"
    save_digits(digits.take(slice(0, 6_000)), first)
    save_digits(digits.take(slice(6_000, 10_000)), second)
    told: dict[str, Any] = {"model": run.folder, "details": details}
    whole = predict([first, second], output=tmp_path / f"whole-{name}", **told)
    output = tmp_path / name
    for rows in (3_000, 7_000, 9_500):
        with pytest.raises(KeyboardInterrupt):
            predict([first, second], output=output, resume=rows > 3_000, watch=stopped_at(rows), **told)
        assert not output.exists()
    said: list[str] = []
    resumed = predict([first, second], output=output, resume=True, say=said.append, **told)
    assert output.read_bytes() == (tmp_path / f"whole-{name}").read_bytes()
    assert resumed.as_dict() == whole.as_dict() | {"output": str(output)}
    assert len(said) == 1
    assert "going on after" in said[0]
    assert sorted(file.name for file in tmp_path.glob("*part*")) == []


def test_other_sources_models_or_columns_are_not_gone_on_with(run: Run, few: Digits, tmp_path: Path) -> None:
    source, output = tmp_path / "test.csv", tmp_path / "out.csv"
    save_digits(Digits(np.tile(few.images, (50, 1, 1))), source)
    with pytest.raises(KeyboardInterrupt):
        predict(source, model=run.folder, output=output, watch=stopped_at(5_000))
    with pytest.raises(InputError, match="was begun otherwise, expected details false, found true"):
        predict(source, model=run.folder, output=output, resume=True, details=True)
    with pytest.raises(InputError, match="was begun otherwise, expected model"):
        predict(source, output=output, resume=True)
    source.write_text(source.read_text() + source.read_text().splitlines()[1] + "\n")
    with pytest.raises(InputError, match="was begun otherwise, expected sources"):
        predict(source, model=run.folder, output=output, resume=True)
    with pytest.raises(InputError, match="--resume: goes on with a file"):
        predict(source, model=run.folder, resume=True)
    assert predict(source, model=run.folder, output=output).n == 10_001


def test_several_sources_and_patterns_are_read_in_their_order(run: Run, few: Digits, tmp_path: Path) -> None:
    for place, name in enumerate(["b.csv", "a.csv", "c[1].csv"]):
        save_digits(few.take(slice(place * 10, place * 10 + 10)), tmp_path / name)
    labels = load_model(run.folder).predict(few.images).labels
    found = predict(str(tmp_path / "?.csv"), model=run.folder).predictions
    assert found is not None
    assert found.labels.tolist() == [*labels[10:20], *labels[:10]]
    # What is there by its very name is no pattern.
    result = predict([str(tmp_path / "c[1].csv"), few.images[:2]], model=run.folder, output=tmp_path / "out.csv")
    assert result.n == 12
    assert result.source == f"{tmp_path / 'c[1].csv'}, array"
    rows = (tmp_path / "out.csv").read_text().splitlines()[1:]
    assert [int(row.split(",")[0]) for row in rows] == list(range(1, 13))
    with pytest.raises(InputError, match="no such file, expected a file, or a pattern"):
        predict(str(tmp_path / "*.gz"), model=run.folder)
    with pytest.raises(InputError, match=r"nosuch\.csv: no such file"):
        predict([tmp_path / "a.csv", tmp_path / "nosuch.csv"], model=run.folder, watch=stopped_at(0, AssertionError))
    with pytest.raises(InputError, match="mnst: no such file or source, expected mnist, "):
        predict(["mnist", "mnst"], model=run.folder, watch=stopped_at(0, AssertionError))
    with pytest.raises(InputError, match="none given"):
        predict([], model=run.folder)


def test_a_mistake_far_down_is_named_and_leaves_nothing(run: Run, few: Digits, tmp_path: Path) -> None:
    source, output = tmp_path / "test.csv", tmp_path / "out.csv"
    save_digits(Digits(np.tile(few.images, (50, 1, 1))), source)
    source.write_text(source.read_text() + ",".join(["256"] * 784) + "\n")
    with pytest.raises(InputError, match="row 10001, column pixel0"):
        predict(source, model=run.folder, output=output)
    assert [file.name for file in tmp_path.iterdir()] == ["test.csv"]


def test_the_reader_ahead_ends_when_nobody_listens_any_more(run: Run, few: Digits) -> None:
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        predict(np.tile(few.images, (200, 1, 1)), model=run.folder, watch=stopped_at(4_000))
    assert threading.active_count() == before


MEASURE = """
import sys
from inkdigits.reader.predict import predict
result = predict(sys.argv[1], model=sys.argv[2], output=sys.argv[3], threads=1)
lines = open("/proc/self/status").read().splitlines()
peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
print(result.n, peak / 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted as Linux counts it")
def test_memory_does_not_grow_with_the_rows(run: Run, few: Digits, tmp_path: Path) -> None:
    megabytes = []
    for times in (100, 500):
        file = tmp_path / f"{times}.npz"
        np.savez(file, images=np.tile(few.images, (times, 1, 1)))
        command = [sys.executable, "-c", MEASURE, str(file), str(run.folder), str(tmp_path / "out.csv")]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        count, peak = done.stdout.split()
        assert int(count) == times * 200
        megabytes.append(float(peak))
    # 80,000 rows more, 63 MB of pixels.
    assert megabytes[1] - megabytes[0] < 15
    assert megabytes[1] < 400

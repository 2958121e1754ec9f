"""The submission: what is in it, what is said about it, and that it is whole or not there."""

from __future__ import annotations

import csv
import errno
import subprocess
import sys
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
from inkdigits.reader.predict import check_submission, predict


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
    with output.open(newline="") as text:
        rows = list(csv.DictReader(text))
    assert list(rows[0]) == ["ImageId", "Label", "Confidence", "Novelty", "Refused"]
    novelty = result.predictions.novelty
    assert novelty is not None
    for row, confidence, strange in zip(rows, result.predictions.confidence, novelty, strict=True):
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
    right = result.predictions.labels == seen.labels
    assert result.accuracy_without_overlap == pytest.approx(right[fresh].mean())
    assert f"warning: {result.overlap} of these images" in result.text()
    assert "without them" in result.text()


def _seen(digits: Digits, hashes: np.ndarray) -> np.ndarray:
    from inkdigits.digits.dataset import pixel_hashes

    return np.isin(pixel_hashes(digits.images), hashes)


def test_of_mnist_the_test_part_is_predicted(run: Run) -> None:
    assert len(predict("mnist", model=run.folder).predictions.labels) == 10_000


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
        (lambda text: text.replace("\n7,", "\n8,"), "the first that differs being 7"),
        (lambda text: text.rsplit("\n", 2)[0] + "\n", "199 rows"),
    ],
)
def test_a_file_that_reads_back_wrong_is_noticed(
    change: Any, message: str, run: Run, few: Digits, tmp_path: Path
) -> None:
    output = tmp_path / "submission.csv"
    result = predict(few, model=run.folder, output=output)
    output.write_text(change(output.read_text()))
    with pytest.raises(OutputError, match=message):
        check_submission(output, result.predictions)


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

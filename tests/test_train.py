"""Training: what it writes, that it can be interrupted anywhere and repeated exactly, and that it plays fair."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import inkdigits.digits.mnist
from inkdigits.digits.dataset import Digits, pixel_hashes
from inkdigits.digits.formats import load_digits, save_digits
from inkdigits.digits.mnist import load_mnist
from inkdigits.errors import InputError, OutputError
from inkdigits.lab.evaluate import evaluate
from inkdigits.nets.calibrate import calibrate
from inkdigits.nets.catalogue import settings_for
from inkdigits.nets.finish import MNIST_LICENCE
from inkdigits.nets.fit import rate_at
from inkdigits.nets.train import Run, train
from inkdigits.reader.model import load_model

# Small, and with everything that has a state of its own: dropout, batch norm, an optimiser's moments, an average.
STATEFUL: dict[str, Any] = {
    "net": "b-regularised",
    "epochs": 3,
    "batch": 64,
    "augmentation": "affine",
    "averaging": 0.9,
    "optimiser": "adamw",
    "weight_decay": 0.01,
}


class StopError(Exception):
    """Stands for whatever ends a training early."""


@pytest.fixture(scope="module")
def some() -> Digits:
    """600 training digits."""
    return load_mnist("train").take(slice(600), source="some")


@pytest.fixture(scope="module")
def whole(some: Digits, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """An uninterrupted run."""
    return train(some, output=tmp_path_factory.mktemp("runs") / "whole", **STATEFUL)


def test_too_few_steps_are_said_with_the_epochs_that_would_be_enough(some: Digits, tmp_path: Path) -> None:
    said: list[str] = []
    train(some, output=tmp_path / "few", net="softmax", epochs=2, say=said.append)
    assert any(re.search(r"warning: 8 steps are few .* --epochs 125 would make 500", line) for line in said), said
    said.clear()
    train(some, output=tmp_path / "enough", net="softmax", epochs=60, say=said.append)
    assert not any("few" in line for line in said[1:])


def stop_after(epoch: int, error: type[BaseException] = StopError) -> Callable[[str], None]:
    def say(line: str) -> None:
        if line.startswith(f"epoch {epoch}/"):
            raise error

    return say


def test_a_run_folder_holds_what_the_contract_says(whole: Run, some: Digits) -> None:
    names = {file.name for file in whole.folder.iterdir()}
    assert names == {
        "config.json",
        "history.csv",
        "checkpoint",
        "model.onnx",
        "training-hashes.npy",
        "metrics.json",
        "MODEL_CARD.md",
    }
    config = json.loads((whole.folder / "config.json").read_text())
    assert config["settings"] == whole.settings.as_dict()
    assert config["data"]["train"]["n"] == 480
    assert set(config["versions"]) >= {"inkdigits", "torch", "numpy", "onnxruntime"}
    with (whole.folder / "history.csv").open(newline="") as text:
        rows = list(csv.DictReader(text))
    assert [float(row["epoch"]) for row in rows] == [1, 2, 3]
    assert list(rows[0]) == [
        "epoch",
        "seconds",
        "train_loss",
        "train_accuracy",
        "validation_loss",
        "validation_accuracy",
        "learning_rate",
    ]
    metrics = json.loads((whole.folder / "metrics.json").read_text())
    assert metrics == whole.metrics
    assert metrics["validation"]["n"] == 120
    assert set(metrics["seconds"]) == {"load", "train", "export"}
    hashes = np.load(whole.folder / "training-hashes.npy", allow_pickle=False)
    assert np.isin(hashes, pixel_hashes(some.images)).all()
    assert len(hashes) == 480


def test_the_metrics_are_those_of_the_file(whole: Run, some: Digits) -> None:
    _, held = some.split(120, seed=whole.settings.split_seed)
    said = load_model(whole.folder).predict(held.images)
    assert whole.metrics["validation"]["accuracy"] == pytest.approx((said.labels == held.labels).mean())
    assert whole.metrics["validation"]["accuracy"] > 0.5


def test_the_same_training_gives_the_same_bytes(whole: Run, some: Digits, tmp_path: Path) -> None:
    again = train(some, output=tmp_path / "again", **STATEFUL)
    assert again.model.read_bytes() == whole.model.read_bytes()
    other = train(some, output=tmp_path / "other", **STATEFUL, seed=1)
    assert other.model.read_bytes() != whole.model.read_bytes()


@pytest.mark.parametrize("epoch", [1, 2])
def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(
    epoch: int, whole: Run, some: Digits, tmp_path: Path
) -> None:
    folder = tmp_path / "stopped"
    with pytest.raises(StopError):
        train(some, output=folder, say=stop_after(epoch), **STATEFUL)
    assert not (folder / "model.onnx").exists()
    resumed = train(some, output=folder, resume=True)
    assert resumed.model.read_bytes() == whole.model.read_bytes()
    kept = np.load(folder / "checkpoint", allow_pickle=False)
    expected = np.load(whole.folder / "checkpoint", allow_pickle=False)
    assert set(kept.files) == set(expected.files)
    for name in set(kept.files) - {"history"}:  # which holds seconds
        assert np.array_equal(kept[name], expected[name]), name


@pytest.mark.parametrize(
    "changes",
    [
        {"net": "a-mlp-bn-dropout-adam", "optimiser": "adadelta", "learning_rate": 1.0},
        {"net": "lenet5", "optimiser": "sgd", "momentum": 0.9, "learning_rate": 0.05, "patience": 1},
        {"net": "fast"},
    ],
)
def test_every_kind_of_optimiser_can_be_resumed(changes: dict[str, Any], some: Digits, tmp_path: Path) -> None:
    settings = {"epochs": 3, "batch": 64, **changes}
    straight = train(some, output=tmp_path / "straight", **settings)
    with pytest.raises(StopError):
        train(some, output=tmp_path / "stopped", say=stop_after(1), **settings)
    resumed = train(some, output=tmp_path / "stopped", resume=True)
    assert resumed.model.read_bytes() == straight.model.read_bytes()


def test_ctrl_c_leaves_a_run_that_can_be_resumed(whole: Run, some: Digits, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(some, output=tmp_path / "run", say=stop_after(2, KeyboardInterrupt), **STATEFUL)
    assert train(some, output=tmp_path / "run", resume=True).model.read_bytes() == whole.model.read_bytes()


def test_a_run_interrupted_before_its_first_checkpoint_starts_anew(whole: Run, some: Digits, tmp_path: Path) -> None:
    def at_once(line: str) -> None:
        raise StopError

    with pytest.raises(StopError):
        train(some, output=tmp_path / "run", say=at_once, **STATEFUL)
    assert not (tmp_path / "run" / "checkpoint").exists()
    assert train(some, output=tmp_path / "run", resume=True).model.read_bytes() == whole.model.read_bytes()


def test_a_finished_run_resumed_stays_as_it_is(whole: Run, some: Digits, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    train(some, output=folder, **STATEFUL)
    metrics = json.loads((folder / "metrics.json").read_text()) | {"test": {"n": 10_000}}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    assert train(some, output=folder, resume=True).model.read_bytes() == whole.model.read_bytes()
    assert json.loads((folder / "metrics.json").read_text())["test"] == {"n": 10_000}


def test_force_removes_the_files_of_the_run_and_nothing_else(some: Digits, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    train(some, output=folder, net="softmax", epochs=1)
    (folder / "notes.txt").write_text("mine")
    (folder / "report.html").write_text("old")
    train(some, output=folder, net="softmax", epochs=1, seed=1, force=True)
    assert (folder / "notes.txt").read_text() == "mine"
    assert not (folder / "report.html").exists()


@pytest.mark.parametrize(
    "changes", [{"device": "cuda"}, {"net": "b-regularised", "batch": 1}, {"extra": ["nosuch.csv"]}]
)
def test_what_cannot_be_trained_removes_nothing(
    changes: dict[str, Any], some: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    folder = tmp_path / "run"
    before = train(some, output=folder, net="softmax", epochs=1).model.read_bytes()
    with pytest.raises(InputError):
        train(some, output=folder, force=True, **changes)
    assert (folder / "model.onnx").read_bytes() == before


def test_a_run_is_repeated_from_its_config(tmp_path: Path, some: Digits) -> None:
    file = tmp_path / "some.npz"
    save_digits(some, file)
    first = train(file, output=tmp_path / "first", net="softmax", epochs=2, seed=5)
    again = train(output=tmp_path / "again", from_config=first.folder / "config.json")
    assert again.settings == first.settings
    assert again.model.read_bytes() == first.model.read_bytes()
    assert train(output=tmp_path / "other", from_config=first.folder / "config.json", seed=6).settings.seed == 6
    assert train(output=tmp_path / "split", from_config=first.folder / "config.json", split_seed=1).folder.is_dir()
    with pytest.raises(InputError, match="is what the earlier run says"):
        train(output=tmp_path / "third", from_config=first.folder / "config.json", net="lenet5")
    save_digits(some.take(slice(300)), file)
    with pytest.raises(InputError, match="not the data that the run began with"):
        train(output=tmp_path / "third", from_config=first.folder / "config.json")
    assert not (tmp_path / "third").exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda config: config["settings"].update(seed=1.5),
        lambda config: config["settings"].update(batch_norm="false"),
        lambda config: config["settings"].update(epochs="many"),
        lambda config: config.pop("platform"),
        lambda config: config.update(data=[]),
        lambda config: config.update(settings=None),
    ],
)
def test_a_damaged_config_is_said_in_one_line(damage: Callable[[Any], Any], whole: Run, tmp_path: Path) -> None:
    config = json.loads((whole.folder / "config.json").read_text())
    damage(config)
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config))
    with pytest.raises(InputError, match="not the settings of a run") as caught:
        train(output=tmp_path / "run", from_config=file)
    assert "\n" not in str(caught.value)


def test_a_training_on_all_digits_takes_over_what_the_one_on_a_part_found(
    whole: Run, some: Digits, few: Digits, tmp_path: Path
) -> None:
    every = train(some, all_of=whole.folder, output=tmp_path / "all", seed=1)
    assert every.settings == replace(whole.settings, seed=1)
    assert every.metrics["train"]["of"] == len(some) == 600
    assert every.metrics["validation"] == whole.metrics["validation"] | {"run": "whole"}
    assert every.metrics["calibration"] == whole.metrics["calibration"]
    assert every.text().splitlines()[1].endswith(", by whole")
    metadata = [load_model(run.folder).metadata for run in (whole, every)]
    for name in ("temperature", "confidence_threshold", "validation_accuracy", "validation_n"):
        assert metadata[0][name] == metadata[1][name]
    assert "validation_of" in metadata[1]
    assert np.isin(pixel_hashes(some.images), np.load(every.folder / "training-hashes.npy")).all()
    assert "held out of the same training, whole" in (every.folder / "MODEL_CARD.md").read_text()
    config = json.loads((every.folder / "config.json").read_text())
    assert config["data"]["train"]["n"] == 600
    assert config["data"]["validation"]["n"] == 0
    assert evaluate(every.folder, few).n == len(few)


def test_a_training_on_all_digits_can_be_gone_on_with_and_repeated(whole: Run, some: Digits, tmp_path: Path) -> None:
    every = train(some, all_of=whole.folder, output=tmp_path / "all")
    with pytest.raises(StopError):
        train(some, all_of=whole.folder, output=tmp_path / "stopped", say=stop_after(2))
    resumed = train(some, output=tmp_path / "stopped", resume=True)
    repeated = train(some, output=tmp_path / "repeated", from_config=every.folder / "config.json")
    assert every.model.read_bytes() == resumed.model.read_bytes() == repeated.model.read_bytes()
    assert every.model.read_bytes() != whole.model.read_bytes()


def test_a_training_on_all_digits_refuses_what_does_not_belong_to_it(
    whole: Run, some: Digits, few: Digits, tmp_path: Path
) -> None:
    output = tmp_path / "all"
    with pytest.raises(
        InputError,
        match="--all-of: trains as that run says, expected another seed, start or teachers at most, found ep",
    ):
        train(some, all_of=whole.folder, output=output, epochs=1)
    with pytest.raises(InputError, match="few: not the data that the run began with"):
        train(few, all_of=whole.folder, output=output)
    with pytest.raises(InputError, match="--from-config: cannot be used with --all-of"):
        train(all_of=whole.folder, from_config=whole.folder / "config.json", output=output)
    with pytest.raises(InputError, match="--search: cannot be used with --all-of"):
        train(all_of=whole.folder, search=2, output=output)
    with pytest.raises(InputError, match="--net: is what the earlier run says"):
        train(all_of=whole.folder, net="lenet5", output=output)
    with pytest.raises(InputError, match=r"nowhere.config\.json: no such file"):
        train(all_of="nowhere", output=output)
    assert not output.exists()
    every = train(some, all_of=whole.folder, output=output)
    with pytest.raises(InputError, match="was itself trained on all digits"):
        train(some, all_of=every.folder, output=tmp_path / "again")
    older = tmp_path / "older"
    shutil.copytree(whole.folder, older)
    metrics = json.loads((older / "metrics.json").read_text())
    del metrics["calibration"]
    (older / "metrics.json").write_text(json.dumps(metrics))
    with pytest.raises(InputError, match="has no calibration to take over"):
        train(some, all_of=older, output=tmp_path / "of-older")
    # As the message says, that mends it.
    train(some, output=older, resume=True)
    train(some, all_of=older, output=tmp_path / "of-older")


def test_training_never_opens_the_test_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    opened: list[str] = []
    unpack = inkdigits.digits.mnist._unpack

    def watched(name: str) -> bytes:
        opened.append(name)
        return unpack(name)

    monkeypatch.setattr(inkdigits.digits.mnist, "_unpack", watched)
    run = train(output=tmp_path / "run", net="softmax", epochs=0.01)
    assert run.metrics["data_licence"] == MNIST_LICENCE
    assert opened
    assert not [name for name in opened if "t10k" in name]


def test_of_a_file_with_both_parts_the_training_part_is_trained_on(tmp_path: Path, some: Digits, few: Digits) -> None:
    parts = {"x_train": some.images, "y_train": some.labels, "x_test": few.images, "y_test": few.labels}
    np.savez(tmp_path / "both.npz", **parts)
    run = train(tmp_path / "both.npz", output=tmp_path / "run", net="softmax", epochs=1)
    assert run.metrics["train"]["of"] + run.metrics["validation"]["n"] == len(some)


def test_extra_digits_are_trained_on_and_never_held_out(tmp_path: Path, some: Digits, few: Digits) -> None:
    run = train(some, output=tmp_path / "run", extra=[few], net="softmax", epochs=1)
    assert run.metrics["train"]["of"] == 480 + len(few)
    assert run.metrics["validation"]["n"] == 120
    hashes = load_model(run.folder).training_hashes()
    assert hashes is not None
    assert np.isin(pixel_hashes(few.images), hashes).all()


def test_extra_digits_that_are_held_out_are_left_out_and_counted(tmp_path: Path, some: Digits) -> None:
    said: list[str] = []
    run = train(
        some, output=tmp_path / "run", extra=[some, some.take(slice(1))], net="softmax", epochs=1, say=said.append
    )
    assert run.metrics["train"]["of"] <= 480 + 480 + 1
    assert run.metrics["validation"]["also_trained_on"] == 0
    assert "some: 120 of 600 digits are among those held out, and left out" in said
    _, held = some.split(120, seed=0)
    hashes = load_model(run.folder).training_hashes()
    assert hashes is not None
    assert not np.isin(pixel_hashes(held.images), hashes).any()


def test_doubled_digits_on_both_sides_of_the_split_are_said(tmp_path: Path, few: Digits) -> None:
    said: list[str] = []
    labels = few.need_labels("double")
    twice = Digits(np.concatenate([few.images, few.images]), np.concatenate([labels, labels]), "twice")
    run = train(twice, output=tmp_path / "run", net="softmax", epochs=1, say=said.append)
    assert run.metrics["validation"]["also_trained_on"] > 0
    assert any(line.startswith("warning: ") and "also among those trained on" in line for line in said)


def test_the_train_figure_is_of_all_classes_even_of_a_sorted_file(
    tmp_path: Path, some: Digits, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_label = some.take(np.argsort(some.need_labels("sort"), kind="stable"))
    monkeypatch.setattr("inkdigits.nets.finish.TRAIN_SAMPLE", 100)
    measured: list[Digits] = []
    sample = Digits.sample
    monkeypatch.setattr(Digits, "sample", lambda self, most: measured.append(sample(self, most)) or measured[-1])
    train(by_label, output=tmp_path / "run", net="fast", epochs=1, batch=64)
    assert measured
    assert all(set(digits.need_labels("count")) == set(range(10)) for digits in measured)


def test_a_diverged_training_is_said_and_leaves_no_model(tmp_path: Path, some: Digits) -> None:
    with pytest.raises(InputError, match="the training diverged"):
        train(some, output=tmp_path / "run", net="b-plain", optimiser="sgd", learning_rate=99.0, batch=32)
    assert not (tmp_path / "run" / "model.onnx").exists()


def test_early_stopping_ends_with_the_best_weights(tmp_path: Path, some: Digits) -> None:
    # A rate that is far too high: the loss soon rises.
    settings: dict[str, Any] = {"net": "lenet5", "optimiser": "sgd", "schedule": "constant", "batch": 32, "epochs": 30}
    run = train(some, output=tmp_path / "run", patience=2, learning_rate=0.3, momentum=0.9, **settings)
    with (run.folder / "history.csv").open(newline="") as text:
        losses = [float(row["validation_loss"]) for row in csv.DictReader(text)]
    best = losses.index(min(losses))
    assert len(losses) == best + 3 < 30
    shorter = train(
        some, output=tmp_path / "short", learning_rate=0.3, momentum=0.9, **{**settings, "epochs": best + 1}
    )
    assert shorter.model.read_bytes() == run.model.read_bytes()


def test_half_precision_trains_and_ships_a_file_that_agrees(tmp_path: Path, some: Digits) -> None:
    # Slow without the hardware, and the same code: the file is checked against the network inside.
    run = train(some, output=tmp_path / "run", net="fast", epochs=4, batch=32, precision="bf16")
    assert run.metrics["precision"] == "bfloat16"
    assert run.metrics["validation"]["accuracy"] > 0.5


def test_a_fraction_of_an_epoch_stops_inside_it(tmp_path: Path, some: Digits) -> None:
    run = train(some, output=tmp_path / "run", net="softmax", epochs=1.5, batch=48)
    assert run.metrics["epochs"] == 1.5


def test_the_schedules_rise_and_fall_as_they_say() -> None:
    one_cycle = settings_for("fast", schedule="one-cycle", learning_rate=1.0, warmup=0.25)
    rates = [rate_at(one_cycle, step, 100) for step in range(100)]
    assert rates.index(max(rates)) in (24, 25)
    assert rates[0] < 0.05
    assert rates[-1] < 0.05
    cosine = settings_for("fast", schedule="cosine", learning_rate=1.0)
    assert rate_at(cosine, 49, 99) == pytest.approx(0.5)
    assert rate_at(settings_for("fast", schedule="constant", learning_rate=0.3), 7, 9) == 0.3


def test_temperature_brings_back_the_scale_that_the_labels_were_drawn_with() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20_000, 10)) * 2
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = (shares.cumsum(1) > rng.random((len(shares), 1))).argmax(1).astype(np.uint8)
    calibration = calibrate(logits * 3, labels)
    assert calibration.temperature == pytest.approx(3, rel=0.03)


def test_one_held_out_digit_in_a_hundred_is_refused(whole: Run) -> None:
    assert whole.metrics["validation"]["refused"] == pytest.approx(0.01, abs=0.01)


def test_without_a_name_each_run_gets_a_folder_of_its_own(
    tmp_path: Path, some: Digits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folders = [str(train(some, net="softmax", epochs=1, seed=4).folder) for _ in range(2)]
    assert folders == ["runs/softmax-4", "runs/softmax-4-2"]


def test_a_folder_that_exists_is_refused_and_nothing_in_it_lost(whole: Run, some: Digits, tmp_path: Path) -> None:
    before = whole.model.read_bytes()
    with pytest.raises(OutputError, match="exists already"):
        train(some, output=whole.folder, **STATEFUL)
    assert whole.model.read_bytes() == before
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match="is not an earlier run"):
        train(some, output=other, force=True, **STATEFUL)
    assert (other / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"resume": True}, "which run"),
        ({"resume": True, "output": "nowhere"}, "no run to go on with"),
        ({"from_config": "nowhere.json"}, "no such file"),
        ({"net": "nonet"}, "unknown network"),
        ({"optimizer": "adam"}, "did you mean optimiser?"),
        ({"device": "cuda"}, "no GPU that PyTorch can use"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    arguments: dict[str, Any], message: str, some: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(InputError) as caught:
        train(some, **arguments)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_resuming_with_other_data_or_a_damaged_checkpoint_is_refused(some: Digits, few: Digits, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with pytest.raises(StopError):
        train(some, output=folder, say=stop_after(1), **STATEFUL)
    with pytest.raises(InputError, match="not the data that the run began with"):
        train(few, output=folder, resume=True)
    (folder / "checkpoint").write_bytes((folder / "checkpoint").read_bytes()[:1000])
    with pytest.raises(InputError, match="not a checkpoint"):
        train(some, output=folder, resume=True)
    np.savez(folder / "x.npz", history=np.array([{"a": 1}], dtype=object), allow_pickle=True)
    (folder / "x.npz").rename(folder / "checkpoint")
    with pytest.raises(InputError, match="not a checkpoint"):
        train(some, output=folder, resume=True)


def test_digits_without_labels_cannot_be_trained_on(some: Digits, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no labels"):
        train(Digits(some.images, source="blind"), output=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_split_of_mnist_is_stratified() -> None:
    digits = load_digits("mnist:train")
    _, held = digits.split(5_000, seed=0)
    shares = np.bincount(held.need_labels("count")) / 5_000
    assert np.abs(shares - np.bincount(digits.need_labels("count")) / 60_000).max() < 0.0005

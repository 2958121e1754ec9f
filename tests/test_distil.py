"""A network learns from teachers: what they answer, as far as it was told to, and the same after an interruption."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from inkdigits.app.cli import status_of
from inkdigits.digits.dataset import Digits
from inkdigits.digits.formats import save_digits
from inkdigits.digits.mnist import load_mnist
from inkdigits.errors import InputError
from inkdigits.nets.distil import load_teachers
from inkdigits.nets.train import Run, train
from inkdigits.nets.trained import load_trained
from inkdigits.reader.model import load_model

STUDENT: dict[str, Any] = {
    "net": "softmax",
    "initialisation": "pytorch",
    "epochs": 3,
    "batch": 64,
    "learning_rate": 0.01,
    "threads": 1,
}


@pytest.fixture(scope="module")
def some() -> Digits:
    """600 training digits."""
    return load_mnist("train").take(slice(600), source="some")


@pytest.fixture(scope="module")
def teacher(some: Digits, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that knows most of them."""
    return train(some, output=tmp_path_factory.mktemp("runs") / "teacher", net="fast", epochs=4, threads=1)


def test_what_the_teacher_answers_counts_and_not_the_label(
    some: Digits, teacher: Run, tmp_path: Path, few: Digits
) -> None:
    wrong = Digits(some.images, (some.labels + 1) % 10, "every label one too high")
    said = load_model(teacher.model).predict(few.images).labels
    taught: dict[float, float] = {}
    for share in (0.0, 1.0):
        settings = STUDENT | {"epochs": 20, "distillation": share}
        run = train(wrong, output=tmp_path / f"{share}", teachers=[teacher.folder], **settings)
        taught[share] = float((load_model(run.model).predict(few.images).labels == said).mean())
    assert taught[1.0] > 0.75
    assert taught[0.0] < 0.1


def test_without_a_share_in_the_loss_teachers_change_nothing(some: Digits, teacher: Run, tmp_path: Path) -> None:
    alone = train(some, output=tmp_path / "alone", **STUDENT)
    beside = train(some, output=tmp_path / "beside", teachers=[teacher.folder], distillation=0.0, **STUDENT)
    assert beside.model.read_bytes() == alone.model.read_bytes()


def test_several_teachers_answer_as_an_ensemble_does(some: Digits, teacher: Run, tmp_path: Path, few: Digits) -> None:
    other = train(some, output=tmp_path / "other", **STUDENT)
    images = torch.from_numpy(few.images.copy()).unsqueeze(1).float() / 255
    both = load_teachers([teacher.folder, other.folder])
    assert both is not None
    logarithms = [torch.log_softmax(load_trained(run.folder).network(images), 1) for run in (teacher, other)]
    mean = (logarithms[0] + logarithms[1]) / 2
    np.testing.assert_allclose(both.answers(images), torch.softmax(mean, 1), atol=1e-6)


@pytest.mark.parametrize(
    "changes",
    [
        {"net": "fast"},
        {"net": "b-regularised", "averaging": 0.9},
        {"net": "a-mlp-bn-adam", "patience": 1, "epochs": 4, "learning_rate": 0.05},
        {"net": "tiny", "epochs": 1, "non_digits": 0.25},
    ],
)
def test_a_trained_network_is_the_one_in_the_models_file(
    changes: dict[str, Any], some: Digits, tmp_path: Path, few: Digits
) -> None:
    run = train(some, output=tmp_path / "run", **{"epochs": 2, "views": 1, "batch": 64} | changes)
    model = load_model(run.model)
    images = torch.from_numpy(few.images.copy()).unsqueeze(1).float() / 255
    logits = load_trained(run.folder).network(images)[:, :10] / float(model.metadata["temperature"])
    said = model.predict(few.images).probabilities
    np.testing.assert_allclose(torch.softmax(logits, 1), said, atol=1e-4)


def test_a_training_with_a_teacher_can_be_interrupted_and_repeated(some: Digits, teacher: Run, tmp_path: Path) -> None:
    file = tmp_path / "some.npz"
    save_digits(some, file)
    straight = train(file, output=tmp_path / "straight", teachers=[teacher.folder], **STUDENT)

    def stop(line: str) -> None:
        if line.startswith("epoch 2/"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(file, output=tmp_path / "stopped", teachers=[teacher.folder], say=stop, **STUDENT)
    resumed = train(output=tmp_path / "stopped", resume=True)
    assert resumed.model.read_bytes() == straight.model.read_bytes()
    repeated = train(output=tmp_path / "repeated", from_config=straight.folder / "config.json")
    assert repeated.model.read_bytes() == straight.model.read_bytes()
    whole = train(output=tmp_path / "whole", all_of=straight.folder)
    config = json.loads((whole.folder / "config.json").read_text())
    assert [one["run"] for one in config["teachers"]] == [str(teacher.folder)]
    other = train(output=tmp_path / "other", all_of=straight.folder, teachers=[straight.folder])
    assert other.model.read_bytes() != whole.model.read_bytes()


def test_a_teacher_that_is_another_now_is_not_taken(some: Digits, teacher: Run, tmp_path: Path) -> None:
    mine, file = tmp_path / "teacher", tmp_path / "some.npz"
    shutil.copytree(teacher.folder, mine)
    save_digits(some, file)
    run = train(file, output=tmp_path / "run", teachers=[mine], **STUDENT)
    train(some, output=mine, force=True, net="fast", epochs=1)
    with pytest.raises(InputError, match="teacher: has other weights than the run began with"):
        train(output=tmp_path / "again", from_config=run.folder / "config.json")
    shutil.rmtree(mine)
    with pytest.raises(InputError, match=r"teacher: no run, expected a folder with config\.json"):
        train(output=tmp_path / "again", from_config=run.folder / "config.json")
    assert not (tmp_path / "again").exists()


def test_card_and_licence_tell_of_the_teachers(some: Digits, teacher: Run, tmp_path: Path) -> None:
    own = "that of its owner"
    assert load_model(teacher.model).metadata["data_licence"] == own
    run = train("mnist", output=tmp_path / "run", teachers=[teacher.folder], net="softmax", epochs=0.1)
    assert run.metrics["teachers"] == ["teacher"]
    assert "- Learnt beside the labels from: teacher.\n" in (run.folder / "MODEL_CARD.md").read_text()
    licences = load_model(run.model).metadata["data_licence"].split(" and ")
    assert licences[0].startswith("CC BY-SA 3.0 (MNIST")
    assert licences[1:] == [own]


def test_it_is_said_when_a_teacher_has_seen_what_is_held_out(some: Digits, teacher: Run, tmp_path: Path) -> None:
    said: list[str] = []
    train(some, output=tmp_path / "same", teachers=[teacher.folder], say=said.append, **STUDENT)
    assert not [line for line in said if "held out; what" in line]
    train(some, output=tmp_path / "other", teachers=[teacher.folder], split_seed=1, say=said.append, **STUDENT)
    [warning] = [line for line in said if line.startswith("warning: ") and str(teacher.folder) in line]
    assert "of the 120 digits held out" in warning


def test_what_cannot_teach_is_refused_in_one_line(
    some: Digits, teacher: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unfinished = tmp_path / "unfinished"
    shutil.copytree(teacher.folder, unfinished)
    (unfinished / "model.onnx").unlink()
    damaged = tmp_path / "damaged"
    shutil.copytree(teacher.folder, damaged)
    config = json.loads((damaged / "config.json").read_text())
    config["settings"]["width"] = 32
    (damaged / "config.json").write_text(json.dumps(config))
    for teachers, what in (
        ([tmp_path / "none"], "none: no run"),
        ([teacher.model], r"model\.onnx: no run, expected a folder"),
        ([unfinished], "has no trained weights"),
        ([damaged], "damaged, expected the weights of fast"),
        ([teacher.folder, teacher.folder], "teaches twice"),
    ):
        with pytest.raises(InputError, match=what) as raised:
            train(some, output=tmp_path / "run", teachers=teachers, **STUDENT)
        assert "\n" not in str(raised.value)
    with pytest.raises(InputError, match="--search: cannot be used with --teacher"):
        train(some, output=tmp_path / "run", teachers=[teacher.folder], search=2, **STUDENT)
    train(some, output=tmp_path / "run", **STUDENT)
    with pytest.raises(InputError, match="goes on with the run's own settings, found teachers"):
        train(some, output=tmp_path / "run", resume=True, teachers=[teacher.folder])
    assert status_of(["train", "--teacher", str(tmp_path / "none"), "-o", str(tmp_path / "x")]) == 1
    assert "no run" in capsys.readouterr().err

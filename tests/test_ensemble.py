"""An ensemble answers with the mean of its members, and is a model like any other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support import somebody_elses_model

from inkdigits.app.cli import status_of
from inkdigits.digits.dataset import Digits
from inkdigits.digits.mnist import load_mnist
from inkdigits.errors import InputError, ModelError, OutputError
from inkdigits.lab.evaluate import evaluate
from inkdigits.nets.ensemble import ensemble
from inkdigits.nets.train import train
from inkdigits.reader.model import load_model


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three runs that differ: by their seed, by their network."""
    folder, some = tmp_path_factory.mktemp("runs"), load_mnist("train").take(slice(600), source="some")
    told = [("softmax", 0), ("softmax", 1), ("fast", 0)]
    return [
        train(some, net=net, seed=seed, epochs=1, initialisation="pytorch", output=folder / f"{net}-{seed}").folder
        for net, seed in told
    ]


@pytest.fixture(scope="module")
def three(members: list[Path]) -> Path:
    return ensemble(members, output=members[0].parent / "three.onnx").output


def test_its_probabilities_are_the_normalised_mean_of_the_logarithms(
    members: list[Path], three: Path, few: Digits
) -> None:
    said = [load_model(member).predict(few.images, features=True) for member in members]
    logs = np.mean([np.log(one.probabilities.astype(float)) for one in said], axis=0)
    expected = np.exp(logs) / np.exp(logs).sum(1, keepdims=True)
    found = load_model(three).predict(few.images, features=True)
    assert found.probabilities == pytest.approx(expected, abs=1e-5)
    assert found.novelty == pytest.approx(np.mean([one.novelty for one in said], axis=0), abs=1e-5)
    assert found.features is not None
    assert found.features == pytest.approx(np.concatenate([one.features for one in said], axis=1), abs=1e-4)


def test_it_says_what_its_members_say_alike_and_the_mean_of_their_thresholds(members: list[Path], three: Path) -> None:
    made, own = load_model(three), [load_model(member) for member in members]
    assert made.confidence_threshold == pytest.approx(np.mean([one.confidence_threshold for one in own]), rel=1e-4)
    assert made.novelty_threshold == 0.5
    assert made.metadata["net"] == "ensemble of softmax, softmax, fast"
    assert made.metadata["data_licence"] == own[0].metadata["data_licence"]
    assert "temperature" not in made.metadata


def test_an_ensemble_of_all_of_mnists_training_part_says_so(tmp_path: Path) -> None:
    told = {"net": "softmax", "epochs": 0.05}
    runs = [train("mnist", seed=seed, output=tmp_path / f"{seed}", **told).folder for seed in (0, 1)]
    hashes = load_model(ensemble(runs, output=tmp_path / "two.onnx").output).training_hashes()
    assert hashes is not None
    assert len(hashes) == 60_000


def test_ensembles_can_be_members(members: list[Path], three: Path, few: Digits, tmp_path: Path) -> None:
    nested = ensemble([three, members[0]], output=tmp_path / "nested.onnx")
    assert nested.members == ("three", "softmax-0")
    said = [load_model(model).predict(few.images).probabilities for model in (three, members[0])]
    logs = np.mean(np.log(np.asarray(said, float)), axis=0)
    expected = np.exp(logs) / np.exp(logs).sum(1, keepdims=True)
    assert load_model(nested.output).predict(few.images).probabilities == pytest.approx(expected, abs=1e-5)


def test_it_is_measured_and_read_like_any_other_model(three: Path, few: Digits) -> None:
    assert evaluate(three, few).n == len(few)


def test_the_same_members_give_the_same_bytes(members: list[Path], three: Path, tmp_path: Path) -> None:
    again = ensemble(members, output=tmp_path / "again.onnx").output
    assert again.read_bytes() == three.read_bytes()


def test_what_cannot_be_an_ensemble_is_refused(members: list[Path], three: Path, tmp_path: Path) -> None:
    file = tmp_path / "out.onnx"
    with pytest.raises(InputError, match="MODEL: too few of them, expected two or more, found 1"):
        ensemble(members[:1], output=file)
    with pytest.raises(InputError, match="named twice"):
        ensemble([members[0], members[0] / "model.onnx"], output=file)
    with pytest.raises(OutputError, match=r"another ending, expected one that ends in \.onnx"):
        ensemble(members, output=tmp_path / "out")
    with pytest.raises(OutputError, match="is one of the members"):
        ensemble([three, members[0]], output=three)
    with pytest.raises(ModelError, match="no such model"):
        ensemble([members[0], "nosuch"], output=file)
    assert not file.exists()


def test_a_model_of_another_library_is_no_member(members: list[Path], few: Digits, tmp_path: Path) -> None:
    foreign_onnx = somebody_elses_model(tmp_path / "other.onnx", few)
    with pytest.raises(ModelError, match="cannot be a member, expected a model of inkdigits"):
        ensemble([members[0], foreign_onnx], output=tmp_path / "out.onnx")


def test_the_command_says_what_it_wrote(
    members: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "two.onnx"
    assert status_of(["ensemble", *map(str, members[:2]), "-o", str(file)]) == 0
    assert f"2 models (softmax-0, softmax-1) in {file}" in capsys.readouterr().out
    assert status_of(["ensemble", str(members[0]), "-o", str(file)]) == 1
    assert capsys.readouterr().err == (
        "error: MODEL: too few of them, expected two or more, found 1 (docs/ensemble.md)\n"
    )

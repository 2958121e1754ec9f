"""A training begins with the weights of a finished one, and says so wherever that matters."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inkdigits.app.cli import status_of
from inkdigits.digits.dataset import Digits, overlap
from inkdigits.digits.formats import save_digits
from inkdigits.digits.mnist import load_mnist
from inkdigits.errors import InputError, OutputError
from inkdigits.nets.train import Run, train
from inkdigits.reader.model import load_model

FIRST: dict[str, Any] = {"net": "fast", "epochs": 3, "batch": 64, "width": 8, "threads": 1}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """600 training digits."""
    file = tmp_path_factory.mktemp("data") / "some.npz"
    save_digits(load_mnist("train").take(slice(600), source="some"), file)
    return file


@pytest.fixture(scope="module")
def first(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(file, output=tmp_path_factory.mktemp("runs") / "first", **FIRST)


@pytest.fixture(scope="module")
def other() -> Digits:
    """300 digits that the first training has not seen."""
    return load_mnist("train").take(slice(1000, 1300), source="other")


def answers(run: Run, digits: Digits) -> np.ndarray:
    return load_model(run.model).predict(digits.images).probabilities


def test_hardly_moved_weights_answer_as_those_they_began_with(
    file: Path, first: Run, few: Digits, tmp_path: Path
) -> None:
    small = {"epochs": 0.2, "learning_rate": 1e-9, "threads": 1}
    run = train(start_from=first.folder, output=tmp_path / "run", **small)
    assert run.settings.width == first.settings.width
    assert json.loads((run.folder / "config.json").read_text())["source"] == str(file)
    said, before = answers(run, few), answers(first, few)
    assert (said.argmax(1) == before.argmax(1)).mean() > 0.97
    anew = train(from_config=run.folder / "config.json", start_from=first.folder, output=tmp_path / "anew")
    assert anew.model.read_bytes() == run.model.read_bytes()


def test_it_learns_other_digits_from_where_it_began(first: Run, few: Digits, other: Digits, tmp_path: Path) -> None:
    changes = {"epochs": 2, "batch": 64, "seed": 3, "threads": 1}
    alone = train(other, output=tmp_path / "alone", net="fast", width=8, **changes)
    begun = train(other, start_from=first.folder, output=tmp_path / "begun", **changes)
    right = [int((answers(run, few).argmax(1) == few.labels).sum()) for run in (alone, begun)]
    assert right[1] > right[0] + 20


def test_card_licence_and_fingerprints_tell_of_the_start(first: Run, tmp_path: Path) -> None:
    short = {"epochs": 0.02, "threads": 1}
    run = train("mnist", start_from=first.folder, output=tmp_path / "run", **short)
    assert run.metrics["start"] == "first"
    assert "- Began with the weights of: first.\n" in (run.folder / "MODEL_CARD.md").read_text()
    model = load_model(run.folder)
    assert model.metadata["data_licence"].endswith("and that of its owner")
    hashes, before = model.training_hashes(), load_model(first.folder).training_hashes()
    assert hashes is not None
    assert before is not None
    assert len(before) < len(hashes)
    assert np.isin(before, hashes).all()
    assert json.loads((run.folder / "config.json").read_text())["start"]["run"] == str(first.folder)


def test_it_is_said_when_the_start_has_seen_what_is_held_out(first: Run, tmp_path: Path) -> None:
    said: list[str] = []
    short = {"epochs": 0.2, "threads": 1, "say": said.append}
    train(start_from=first.folder, output=tmp_path / "same", **short)
    assert not [line for line in said if "held out; what" in line]
    run = train(start_from=first.folder, output=tmp_path / "split", split_seed=1, **short)
    [warning] = [line for line in said if "held out; what" in line]
    seen = load_model(first.folder).training_hashes()
    _, held = load_mnist("train").take(slice(600)).split(run.settings.held_out_of(600), seed=1)
    assert seen is not None
    count = int(overlap(held.images, seen).sum())
    assert warning.startswith(f"warning: {first.folder} was trained on {count} of the 120 digits held out")
    assert run.metrics["validation"]["also_trained_on"] == count
    assert f"- {count} of these were also trained on" in (run.folder / "MODEL_CARD.md").read_text()
    assert f"{count} of them also trained on" in run.text()
    assert "also trained on" not in first.text()


def test_an_interrupted_training_with_a_start_ends_as_if_it_was_not(first: Run, tmp_path: Path) -> None:
    straight = train(start_from=first.folder, output=tmp_path / "straight", threads=1)

    def stop(line: str) -> None:
        if line.startswith("epoch 2/"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(start_from=first.folder, output=tmp_path / "stopped", threads=1, say=stop)
    ended = train(output=tmp_path / "stopped", resume=True)
    assert ended.model.read_bytes() == straight.model.read_bytes()
    cards = [(run.folder / "MODEL_CARD.md").read_text() for run in (ended, straight)]
    assert cards[0] == cards[1]
    assert ended.metrics["start"] == "first"
    whole = train(output=tmp_path / "whole", all_of=straight.folder)
    assert whole.metrics["start"] == "first"
    second = train(output=tmp_path / "second", all_of=straight.folder, start_from=whole.folder)
    assert second.metrics["start"] == "whole"
    assert second.model.read_bytes() != whole.model.read_bytes()


def test_what_it_cannot_begin_with_is_refused_in_one_line(
    first: Run, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for changes, what in (
        ({"start_from": tmp_path / "none"}, "none: no run"),
        ({"start_from": first.model}, r"model\.onnx: no run, expected a folder"),
        (
            {"start_from": first.folder, "width": 12},
            r"first: is another network, expected Conv2d\(16, 12, .*, found Conv2d\(16, 8, ",
        ),
        ({"start_from": first.folder, "non_digits": 0.1}, r"expected Linear.*features=11, .*found Linear.*features=10"),
        ({"start_from": first.folder, "net": "tiny"}, "--net: is what the earlier run says"),
        ({"start_from": first.folder, "search": 2}, "--search: cannot be used with --start-from"),
        ({"start_from": first.folder, "resume": True, "output": first.folder}, "own settings, found start_from"),
    ):
        with pytest.raises(InputError, match=what) as raised:
            train(file, **{"output": tmp_path / "run"} | changes)
        assert "\n" not in str(raised.value)
        assert not (tmp_path / "run").exists()
    moved = tmp_path / "moved"
    shutil.copytree(first.folder, moved)
    run = train(start_from=moved, output=tmp_path / "run", epochs=0.2, threads=1)
    shutil.rmtree(moved)
    shutil.copytree(run.folder, moved)
    with pytest.raises(InputError, match="moved: has other weights than the run began with"):
        train(from_config=run.folder / "config.json", output=tmp_path / "more")
    assert status_of(["train", "--start-from", str(tmp_path / "none"), "-o", str(tmp_path / "x")]) == 1
    assert "no run" in capsys.readouterr().err


@pytest.mark.parametrize("role", ["start_from", "teachers"])
def test_no_run_replaces_the_one_that_it_comes_from(role: str, first: Run, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    shutil.copytree(first.folder, mine)
    files = {file.name: file.read_bytes() for file in mine.iterdir() if file.is_file()}
    with pytest.raises(OutputError, match="mine: is a run that this one begins with or learns from; choose another -o"):
        train(
            load_mnist("train").take(slice(300)),
            output=mine,
            force=True,
            **{role: mine if role == "start_from" else [mine]},
        )
    assert {file.name: file.read_bytes() for file in mine.iterdir() if file.is_file()} == files


def test_a_model_says_mnist_only_where_all_its_digits_are_mnists(first: Run, other: Digits, tmp_path: Path) -> None:
    short = {"epochs": 0.02, "threads": 1}
    foreign = load_mnist("train").take(slice(600))
    turned = Digits(foreign.images[:, ::-1].copy(), foreign.labels, "turned")
    begun = train(turned, output=tmp_path / "turned", **FIRST | {"epochs": 0.2})
    run = train("mnist", start_from=begun.folder, output=tmp_path / "run", **short)
    assert "trained_on" not in load_model(run.folder).metadata
    known = train("mnist", start_from=first.folder, output=tmp_path / "known", **short)
    seen = load_model(known.folder).training_hashes()
    assert seen is not None
    assert ("trained_on" in load_model(known.folder).metadata) == (len(seen) == 55_000)


def test_the_settings_are_listed_that_it_would_train_with(first: Run, capsys: pytest.CaptureFixture[str]) -> None:
    config = str(first.folder / "config.json")
    for earlier in (["--start-from", str(first.folder)], ["--from-config", config], ["--all-of", str(first.folder)]):
        assert status_of(["train", *earlier, "--seed", "5", "--settings", "--json"]) == 0
        listed = json.loads(capsys.readouterr().out)
        assert listed == first.settings.as_dict() | {"seed": 5}
    assert status_of(["train", "--start-from", str(first.folder), "--net", "tiny", "--settings"]) == 1
    assert "--net: is what the earlier run says" in capsys.readouterr().err
    assert status_of(["train", "--resume", "--settings"]) == 1
    assert "which run?" in capsys.readouterr().err

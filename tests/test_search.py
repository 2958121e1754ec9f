"""The search for settings: what it tries, that it can be interrupted anywhere, and that it plays fair."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest

import inkdigits.digits.mnist
from inkdigits.app.cli import status_of
from inkdigits.digits.dataset import Digits
from inkdigits.digits.mnist import load_mnist
from inkdigits.errors import InputError
from inkdigits.nets import search as searching
from inkdigits.nets.catalogue import NETWORKS, settings_for
from inkdigits.nets.search import Range, changed, space_of, url_of
from inkdigits.nets.train import Run, train
from inkdigits.nets.zoo import WIDE

TRIALS = 8  # more than are needed before one is stopped early
SEARCHED: dict[str, Any] = {"net": "softmax", "epochs": 3, "search": TRIALS, "seed": 1}


class StopError(Exception):
    """Stands for whatever ends a search early."""


@pytest.fixture(scope="module")
def some() -> Digits:
    """400 training digits."""
    return load_mnist("train").take(slice(400), source="some")


@pytest.fixture(scope="module")
def said() -> list[str]:
    """What the uninterrupted search said."""
    return []


@pytest.fixture(scope="module")
def whole(some: Digits, said: list[str], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """An uninterrupted search, in a folder with a name in which every sign could be taken for something else."""
    return train(some, output=tmp_path_factory.mktemp("runs") / "a {b} %20?c#d é", say=said.append, **SEARCHED)


def trials_of(run: Run | Path) -> list[dict[str, Any]]:
    """The trials in `search.json` but for how long they took."""
    folder = run if isinstance(run, Path) else run.folder
    trials: list[dict[str, Any]] = json.loads((folder / "search.json").read_text())["trials"]
    return [{name: value for name, value in trial.items() if name != "seconds"} for trial in trials]


def stop_at(beginning: str, error: type[BaseException] = StopError) -> Callable[[str], None]:
    def say(line: str) -> None:
        if line.startswith(beginning):
            raise error

    return say


def test_the_run_folder_holds_the_study_and_every_trial(whole: Run, said: list[str]) -> None:
    names = {file.name for file in whole.folder.iterdir()}
    assert names >= {"study.sqlite", "search.json", "config.json", "model.onnx", "metrics.json"}
    record = json.loads((whole.folder / "search.json").read_text())
    assert record["trials_wanted"] == len(record["trials"]) == TRIALS
    assert record["epochs_a_trial"] == 3
    assert [trial["trial"] for trial in record["trials"]] == list(range(1, TRIALS + 1))
    assert {trial["state"] for trial in record["trials"]} == {"complete", "stopped early"}
    assert all(trial["seconds"] > 0 for trial in record["trials"])
    assert set(record["trials"][1]["settings"]) <= set(record["space"])
    assert sum(line.startswith("trial ") for line in said) == TRIALS
    assert whole.metrics["search"] == {"trials": TRIALS, "best": record["best"], "epochs": 3}
    assert set(whole.metrics["seconds"]) == {"load", "search", "train", "export"}
    assert f"the best of {TRIALS} on these digits" in whole.text()
    assert f"{TRIALS} trials on the same digits" in (whole.folder / "MODEL_CARD.md").read_text()
    study = optuna.storages.RDBStorage(url_of(whole.folder / "study.sqlite"))
    assert study.get_n_trials(1) == TRIALS
    study.engine.dispose()


def test_the_first_trial_has_the_settings_that_the_search_began_with(whole: Run) -> None:
    base = settings_for("softmax", epochs=3, seed=1)
    assert changed(base, trials_of(whole)[0]["settings"]) == base


def test_the_run_is_trained_with_the_settings_of_the_best_trial(whole: Run, some: Digits, tmp_path: Path) -> None:
    record = json.loads((whole.folder / "search.json").read_text())
    finished = [trial for trial in record["trials"] if trial["state"] == "complete"]
    best = max(trial["validation"]["accuracy"] for trial in finished)
    chosen = record["trials"][record["best"] - 1]
    assert chosen["validation"]["accuracy"] == best
    base = settings_for("softmax", epochs=3, seed=1)
    assert whole.settings == changed(base, chosen["settings"])
    assert json.loads((whole.folder / "config.json").read_text())["settings"] == whole.settings.as_dict()
    assert whole.metrics["validation"]["accuracy"] == pytest.approx(best, abs=0.02)  # of the same network as a file
    again = train(some, output=tmp_path / "again", from_config=whole.folder / "config.json")
    assert again.model.read_bytes() == whole.model.read_bytes()
    assert not (again.folder / "search.json").exists()


@pytest.mark.parametrize("beginning", ["trial 6/", "epoch 2/"])
def test_a_search_that_is_taken_up_again_ends_as_if_it_had_not_stopped(
    beginning: str, whole: Run, some: Digits, tmp_path: Path
) -> None:
    folder = tmp_path / "stopped"
    with pytest.raises(StopError):
        train(some, output=folder, say=stop_at(beginning), **SEARCHED)
    assert not (folder / "model.onnx").exists()
    resumed = train(some, output=folder, resume=True)
    assert trials_of(resumed) == trials_of(whole)
    assert resumed.settings == whole.settings
    assert resumed.model.read_bytes() == whole.model.read_bytes()


def test_a_trial_that_is_cut_off_is_made_again(
    whole: Run, some: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_whole, begun = searching.Training.run, 0

    def run_until_cut(self: Any, **options: Any) -> None:
        nonlocal begun
        begun += 1
        if begun in (1, 4):  # the first of all, and one later
            raise KeyboardInterrupt
        run_whole(self, **options)

    folder, said = tmp_path / "run", []
    monkeypatch.setattr(searching.Training, "run", run_until_cut)
    with pytest.raises(KeyboardInterrupt):
        train(some, output=folder, say=said.append, **SEARCHED)
    assert said[-1] == f"stopped; `inkdigits train --resume -o {folder}` goes on"
    with pytest.raises(KeyboardInterrupt):
        train(some, output=folder, resume=True)
    resumed = train(some, output=folder, resume=True)
    assert trials_of(resumed) == trials_of(whole)
    assert resumed.model.read_bytes() == whole.model.read_bytes()


def test_a_search_can_be_made_longer_and_its_run_is_trained_anew_only_for_better_settings(
    whole: Run, some: Digits, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    short = train(some, output=folder, **SEARCHED | {"search": 1})
    assert short.settings == settings_for("softmax", epochs=3, seed=1)
    weights = short.model.read_bytes()
    (folder / "report.html").write_text("of the first")
    same = train(some, output=folder, resume=True)
    assert same.model.read_bytes() == weights
    assert (folder / "report.html").exists()
    longer = train(some, output=folder, resume=True, search=TRIALS)
    assert trials_of(longer) == trials_of(whole)
    assert longer.model.read_bytes() == whole.model.read_bytes()
    assert longer.model.read_bytes() != weights
    assert not (folder / "report.html").exists()
    assert json.loads((folder / "config.json").read_text())["search"]["trials"] == TRIALS


def test_another_seed_tries_other_settings(whole: Run, some: Digits, tmp_path: Path) -> None:
    other = train(some, output=tmp_path / "run", **SEARCHED | {"seed": 2, "search": 2})
    assert trials_of(other)[1]["settings"] != trials_of(whole)[1]["settings"]


def test_what_was_given_is_left_alone(some: Digits, tmp_path: Path) -> None:
    given: dict[str, Any] = {"augmentation": "shift", "batch": 32, "label_smoothing": 0.03}
    run = train(some, output=tmp_path / "run", net="softmax", epochs=1, search=3, **given)
    assert {name: getattr(run.settings, name) for name in given} == given
    assert all(not given.keys() & trial["settings"].keys() for trial in trials_of(run))
    assert "augmentation_strength" in trials_of(run)[2]["settings"]


def test_trials_may_be_shorter_than_the_training(some: Digits, tmp_path: Path) -> None:
    run = train(some, output=tmp_path / "run", net="softmax", epochs=4, search=2, search_epochs=1)
    assert [trial["epochs"] for trial in trials_of(run)] == [1, 1]
    assert run.settings.epochs == run.metrics["epochs"] == 4
    long = train(some, output=tmp_path / "long", net="softmax", epochs=7, search=1)
    assert trials_of(long)[0]["epochs"] == 5


def test_a_search_never_opens_the_test_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    opened: list[str] = []
    unpack = inkdigits.digits.mnist._unpack

    def watched(name: str) -> bytes:
        opened.append(name)
        return unpack(name)

    monkeypatch.setattr(inkdigits.digits.mnist, "_unpack", watched)
    train(output=tmp_path / "run", net="softmax", epochs=0.01, search=2)
    assert opened
    assert not [name for name in opened if "t10k" in name]


@pytest.mark.parametrize("name", NETWORKS)
def test_the_space_of_every_network_has_its_own_settings_in_it(name: str) -> None:
    settings = settings_for(name)
    space = space_of(settings)
    for key, values in space.items():
        own = getattr(settings, key, 1.0)
        assert values.low <= own <= values.high if isinstance(values, Range) else own in values, key
    assert ("width" in space) == (name in ("fast", *WIDE))
    assert ("augmentation" in space) == (name != "reader")
    assert ("dropout" in space) == (
        name.startswith(("b-", "a-conv")) or name in ("reader", "best", "a-mlp-bn-dropout-adam")
    )


def test_the_strength_of_augmentation_is_one_factor() -> None:
    settings = settings_for("fast", augmentation="affine", shift=2, turn=12.0, scale=0.15, shear=0.15)
    weak = changed(settings, {"augmentation_strength": 0.5})
    assert (weak.shift, weak.turn, weak.scale, weak.shear) == (1, 6.0, 0.075, 0.075)
    assert changed(settings, {}) == changed(settings, {"augmentation_strength": 1.0}) == settings
    assert changed(settings, {"width": 32}) == replace(settings, width=32)


def test_of_trials_with_as_many_errors_the_one_with_the_lower_loss_is_better() -> None:
    scores = [
        searching._score(0.9, 0.1, 100),
        searching._score(0.9, 0.2, 100),
        searching._score(0.9, 50.0, 100),
        searching._score(0.9, math.nan, 100),
        searching._score(0.89, 0.01, 100),
    ]
    assert scores == sorted(scores)
    assert len(set(scores)) == len(scores)


def test_an_impossible_trial_is_recorded_and_the_search_goes_on(some: Digits, tmp_path: Path) -> None:
    # A turn of 60 degrees and a shift of two pixels would be ones of 540 and 18, which no setting may have.
    given: dict[str, Any] = {"augmentation": "affine", "turn": 60.0, "scale": 0.0, "shear": 0.0, "elastic": 0.0}
    said: list[str] = []
    space = {"augmentation_strength": Range(0.5, 9.0)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(searching, "space_of", lambda settings, fixed=(): space)
        run = train(some, output=tmp_path / "run", net="softmax", epochs=1, search=5, say=said.append, **given)
    assert {trial["state"] for trial in trials_of(run)} >= {"complete", "impossible"}
    assert any("impossible: setting " in line for line in said)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"search": 0}, "--search: not a number of trials, expected 1 or more, found 0"),
        ({"search": -3}, "--search: not a number of trials"),
        ({"search": 2, "from_config": "config.json"}, "--search: cannot be used with --from-config"),
        ({"search_epochs": 2}, "--search-epochs: is for a new search"),
        ({"search": 2, "search_epochs": math.nan}, "--search-epochs: out of range"),
        (
            {"search": 2, "net": "softmax", "learning_rate": 0.1, "batch": 64, "weight_decay": 0.0}
            | {"label_smoothing": 0.0, "augmentation": "none"},
            "--search: nothing is left to search",
        ),
    ],
)
def test_what_cannot_be_searched_is_said_in_one_line(
    arguments: dict[str, Any], message: str, some: Digits, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        train(some, output=tmp_path / "run", **arguments)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_run_without_a_search_and_a_damaged_study_cannot_be_gone_on_with(some: Digits, tmp_path: Path) -> None:
    train(some, output=tmp_path / "plain", net="softmax", epochs=1)
    with pytest.raises(InputError, match="--search: the run was trained without one"):
        train(some, output=tmp_path / "plain", resume=True, search=3)
    folder = tmp_path / "run"
    train(some, output=folder, net="softmax", epochs=1, search=1)
    (folder / "study.sqlite").write_text("hello" * 1000)
    with pytest.raises(InputError, match=r"study\.sqlite: not a study") as caught:
        train(some, output=folder, resume=True, search=3)
    assert "\n" not in str(caught.value)
    fresh = train(some, output=folder, net="softmax", epochs=1, force=True)
    assert not (fresh.folder / "study.sqlite").exists()
    assert "search" not in fresh.metrics


def test_the_command_searches_and_says_what_it_found(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    arguments = ["train", "--net", "softmax", "--epochs", "0.02", "--search", "2", "-o", str(folder), "--json"]
    assert status_of(arguments) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["search"]["trials"] == 2
    assert "trial 2/2: " in err
    assert status_of(["train", "--search", "0"]) == 1
    assert capsys.readouterr().err.startswith("error: --search: not a number of trials")


def test_without_optuna_the_extra_is_named(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['optuna'] = None; from inkdigits.app.cli import main\n"
        f"main(['train', '--net', 'softmax', '--search', '2', '-o', {str(tmp_path / 'run')!r}])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert said.returncode == 1
    assert said.stderr.strip().endswith('pip install "inkdigits[lab]" (docs/install.md)')
    assert not (tmp_path / "run").exists()

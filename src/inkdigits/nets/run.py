"""The run folder: what one training wrote, each file whole or not at all.

runs/fast-0/
    config.json           every setting, the seed, versions and the data's hash; written before training starts
    history.csv           a row an epoch
    checkpoint            weights and optimiser after the last whole epoch, for --resume (numpy's npz, no pickle)
    model.onnx            the network as it is used
    training-hashes.npy   fingerprints of the training images
    metrics.json          what was measured
    MODEL_CARD.md         the same in words
    report.html           made by `inkdigits evaluate`
    search.json           after --search: every trial; and study.sqlite, the same as Optuna keeps it
"""

from __future__ import annotations

import csv
import itertools
import json
import os
import platform
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..digits.dataset import Digits, data_hash
from ..digits.files import is_folder, unwritable, write_whole
from ..errors import InputError, OutputError
from ..reader.model import HASHES_FILE, MODEL_FILE
from .catalogue import Settings, settings_for

CONFIG, HISTORY, CHECKPOINT, METRICS, CARD = "config.json", "history.csv", "checkpoint", "metrics.json", "MODEL_CARD.md"
REPORT = "report.html"  # which lab/ writes
SEARCH, STUDY = "search.json", "study.sqlite"
TRAINED = (HISTORY, CHECKPOINT, MODEL_FILE, HASHES_FILE, METRICS, CARD, REPORT)
FILES = (*TRAINED, SEARCH, STUDY)  # but for CONFIG, which is written anew


@dataclass(frozen=True)
class Epoch:
    """One row of `history.csv`: seconds since training began, mean loss in nats and accuracy, on both parts."""

    epoch: float
    seconds: float
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    learning_rate: float


@dataclass(frozen=True, eq=False)
class State:
    """Where a training stands after an epoch: arrays by name, and the rows of history so far."""

    arrays: dict[str, NDArray[Any]]
    history: list[Epoch]


@dataclass(frozen=True)
class Taken:
    """What a training on all digits takes over from the same training on a part of them.

    Attributes
    ----------
    run: that run's name; data: how many digits its parts have, and their hashes, as `config.json` says.
    calibration: its numbers by name (see `Calibration`), without prototypes.
    validation: what it measured on the digits that it held out.
    """

    run: str
    data: dict[str, Any]
    calibration: dict[str, Any]
    validation: dict[str, Any]


def taken_from(folder: Path) -> Taken:
    """What a training on all digits takes over from a finished run. Raises InputError if there is nothing to take."""
    _, config = read_config(folder / CONFIG)
    metrics = read_metrics(folder)
    if "all_of" in config:
        mend = "name the run that this one names"
        raise InputError(folder, "was itself trained on all digits", expected="a run that held some out", mend=mend)
    if not isinstance(metrics.get("calibration"), dict) or not isinstance(metrics.get("validation"), dict):
        mend = "train it to its end with --resume, which also renews an older run"
        raise InputError(folder, "has no calibration to take over", expected="a finished run", mend=mend)
    return Taken(folder.resolve().name, config["data"], metrics["calibration"], metrics["validation"])


def next_folder(settings: Settings) -> Path:
    """The folder of a run that was given none, made: `runs/NET-SEED`, `runs/NET-SEED-2`, … Raises OutputError."""
    stem = Path("runs") / f"{settings.net}-{settings.seed}"
    for count in itertools.count(1):
        folder = stem if count == 1 else stem.with_name(f"{stem.name}-{count}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise unwritable(folder, error) from error
        return folder
    raise AssertionError("there is always a next number")


def make_ready(folder: Path, *, force: bool) -> None:
    """See to it that nothing of an earlier run is in a folder which a new one writes to.

    Raises OutputError if anything is in it (unless `force` and an earlier run), or it cannot be written. With `force`
    the files of the earlier run are removed, so that they are not taken for the new one's if that is interrupted;
    whatever else is in the folder stays.
    """
    try:
        if any(folder.iterdir()):
            if not force:
                mend = "--force replaces it, --resume goes on with it"
                raise OutputError(folder, "exists already", expected="a new folder", mend=mend)
            if not _is_run(folder):
                expected = f"a folder with the {CONFIG} of a run"
                raise OutputError(folder, "is not an earlier run", expected=expected, mend="choose another")
            _remove(folder, FILES)
    except OSError as error:
        raise unwritable(folder, error) from error


def remove_training(folder: Path) -> None:
    """Remove what a training wrote into a run folder, `config.json` and the search apart. Raises OutputError."""
    try:
        _remove(folder, TRAINED)
    except OSError as error:
        raise unwritable(folder, error) from error


def _remove(folder: Path, names: Sequence[str]) -> None:
    for name in names:
        (folder / name).unlink(missing_ok=True)


def _is_run(folder: Path) -> bool:
    try:
        read_config(folder / CONFIG)
    except InputError:
        return False
    return True


def config_to_resume(output: str | os.PathLike[str] | None) -> Path:
    """The `config.json` of the run in `output`. Raises InputError if none is named, or there is none."""
    if output is None:
        raise InputError("--resume", "which run?", expected="-o RUN", mend="name the interrupted run's folder")
    folder = Path(output)
    if not is_folder(folder) or not (folder / CONFIG).is_file():
        raise InputError(folder, "no run to go on with", expected=f"a folder with {CONFIG}")
    return folder / CONFIG


def write_config(
    folder: Path,
    settings: Settings,
    source: str | None,
    extra: list[str | None],
    train: Digits,
    validation: Digits | None,
    *,
    search: Mapping[str, Any] | None = None,
    taken: Taken | None = None,
    start: Mapping[str, str] | None = None,
    teachers: Sequence[Mapping[str, str]] = (),
) -> None:
    """Write `config.json`.

    A source is None where it was given as arrays, which no command can read again. `search` is what a search for the
    settings was told, `taken` what a training on all digits takes over, `start` whose weights it begins with,
    `teachers` whose answers it learns (see `trained.Trained.as_dict`).
    """
    write_json(
        folder / CONFIG,
        {
            "source": source,
            "extra": extra,
            "settings": settings.as_dict(),
            **({"search": search} if search else {}),
            **({"all_of": vars(taken)} if taken else {}),
            **({"start": start} if start else {}),
            **({"teachers": list(teachers)} if teachers else {}),
            "data": {
                "train": {"n": len(train), "sha256": data_hash(train)},
                "validation": {
                    "n": len(validation) if validation else 0,
                    "sha256": data_hash(validation) if validation else "",
                },
            },
            "versions": {
                "inkdigits": version("inkdigits"),
                "python": platform.python_version(),
                "torch": torch.__version__,
                "numpy": np.__version__,
                "onnx": version("onnx"),
                "onnxruntime": version("onnxruntime"),
            },
            "platform": {
                "system": platform.system(),
                "machine": platform.machine(),
                "threads": torch.get_num_threads(),
            },
        },
    )


def read_config(file: Path) -> tuple[Settings, dict[str, Any]]:
    """The settings in a `config.json`, and the whole of it. Raises InputError if it is missing or not one."""
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
        settings = settings_for(**config["settings"])
        for kind, value in [
            (str | None, config["source"]),
            (list, config["extra"]),
            (int, config["platform"]["threads"]),
            (str, config["data"]["train"]["sha256"]),
            (str, config["data"]["validation"]["sha256"]),
        ]:
            if not isinstance(value, kind):
                raise TypeError(f"{value!r} where {kind} belongs")
        if search := config.get("search"):
            settings_for(**search["settings"])
            if not (search["trials"] > 0 and search["epochs"] > 0 and isinstance(search["fixed"], list)):
                raise ValueError(f"a search of {search['trials']!r} trials")
        for other in [*config.get("teachers", []), *([config["start"]] if "start" in config else [])]:
            if not (isinstance(other["run"], str) and isinstance(other["sha256"], str)):
                raise TypeError(f"another run {other!r}")
        if "all_of" in config:
            taken = Taken(**config["all_of"])
            for part in ("train", "validation"):
                if not isinstance(taken.data[part]["sha256"], str):
                    raise TypeError(f"data {taken.data!r}")
            if not all(isinstance(value, dict) for value in (taken.calibration, taken.validation)):
                raise TypeError("all_of without calibration and validation")
    except FileNotFoundError:
        raise InputError(file, "no such file", expected=f"the {CONFIG} of a run") from None
    except OSError as error:
        raise InputError(file, "cannot be read", found=error.strerror or str(error)) from error
    except InputError as error:
        raise InputError(file, "not the settings of a run", found=str(error)) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        found = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise InputError(file, "not the settings of a run", expected=f"a {CONFIG}", found=found) from error
    return settings, config


def read_metrics(folder: Path) -> dict[str, Any]:
    """What `metrics.json` holds, {} if there is none or it cannot be read: it is about to be made anew."""
    try:
        content = json.loads((folder / METRICS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def save_state(folder: Path, state: State) -> None:
    """Write `history.csv`, then `checkpoint`: a run cut off between them makes its last row anew."""
    with write_whole(folder / HISTORY) as file, file.open("w", newline="", encoding="utf-8") as text:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(vars(state.history[0]))
        writer.writerows([f"{value:.6g}" for value in vars(row).values()] for row in state.history)
    rows = np.array([list(vars(row).values()) for row in state.history], np.float64)
    with write_whole(folder / CHECKPOINT) as file, file.open("wb") as stream:
        np.savez(stream, allow_pickle=False, history=rows, **state.arrays)


def load_state(folder: Path) -> State | None:
    """The last checkpoint, or None before the first. Raises InputError if it is damaged."""
    file = folder / CHECKPOINT
    if not file.exists():
        return None
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            content = {name: arrays[name] for name in arrays.files}
        history = np.asarray(content.pop("history"), np.float64)
        # Where nothing was held out, the columns of it are nan.
        known = history[:, [not field.name.startswith("validation") for field in fields(Epoch)]]
        if history.shape[1:] != (len(fields(Epoch)),) or not len(history) or not np.isfinite(known).all():
            raise ValueError(f"a history of shape {history.shape}")
        if any(array.dtype.kind not in "fiu" for array in content.values()):
            raise ValueError("weights that are not numbers")
        return State(content, [Epoch(*row) for row in history.tolist()])
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        mend = "train this run again with --force"
        raise InputError(file, "not a checkpoint", found=str(error) or type(error).__name__, mend=mend) from error


def write_json(file: Path, content: Mapping[str, Any]) -> None:
    with write_whole(file) as path:
        # ASCII: a file name that is not UTF-8 is escaped instead of refused.
        path.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="ascii")


def write_card(folder: Path, settings: Settings, metrics: Mapping[str, Any], source: str) -> None:
    """The model in words: what it is, what it was trained on, how good it was on the digits held out."""
    validation, search = metrics["validation"], metrics.get("search")
    other = f" of the same training, {validation['run']}" if "run" in validation else " of them"
    # Of many trials the best has had some luck on the digits that it was chosen by.
    chosen = (
        f"- Settings chosen by {search['trials']} trials on the same digits: expect a little less.\n" if search else ""
    )
    begun = f"- Began with the weights of: {metrics['start']}.\n" if "start" in metrics else ""
    seen = validation.get("also_trained_on")
    known = f"- {seen:,} of these were also trained on: what was measured on them is too good.\n" if seen else ""
    taught = f"- Learnt beside the labels from: {', '.join(metrics['teachers'])}.\n" if "teachers" in metrics else ""
    text = f"""# {settings.net}

A classifier of handwritten digits, written by inkdigits {version("inkdigits")}.

- Input: `images`, uint8 [N, 28, 28], 0 = paper, 255 = ink, the digit fitted into 20×20 and centred by mass (as MNIST).
- Output: `probabilities` [N, 10], `novelty` [N] (above {metrics["novelty_threshold"]} refused), `features` [N, D].
- Parameters: {metrics["parameters"]:,}.
- Trained on: {metrics["train"]["of"]:,} digits of {source}, seed {settings.seed}.
- On {validation["n"]:,} digits held out{other}: {validation["accuracy"]:.2%} right ({validation["errors"]} wrong),
  negative log-likelihood {validation["loss"] or float("inf"):.4f}. Temperature and
  refusal threshold were fitted on these.
{known}{begun}{taught}{chosen}- Licence of the training data: {metrics["data_licence"]}.
- Not for: signs other than 0…9, several digits in one image, pictures that were not prepared as above.
"""
    with write_whole(folder / CARD) as path:
        path.write_text(text, encoding="utf-8", errors="replace")

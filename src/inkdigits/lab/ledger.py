"""The results of a comparison or an ablation on disk: whole at any time, so that an interrupted one goes on.

>>> ledger = Ledger.opened(Path("comparison"), config, resume=True)
>>> ledger.add(trial, said)

`config.json` says what was asked for, `results.csv` has a row a trial, `predictions.npz` what each answered.
"""

from __future__ import annotations

import csv
import io
import json
from contextlib import suppress
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from ..digits.dataset import Labels
from ..digits.files import names_in, refuse_others, unwritable, write_whole
from ..errors import InputError
from .trial import COLUMNS, Task, Trial

CONFIG, RESULTS, PREDICTIONS, REPORT = "config.json", "results.csv", "predictions.npz", "report.html"
FOLDS = "out-of-fold.npz"  # of a comparison's --doubt
FILES = {CONFIG, RESULTS, PREDICTIONS, FOLDS, REPORT}

Floats = NDArray[np.float32]


def earlier_config(folder: Path, verb: str, resume: bool) -> dict[str, Any]:
    """The config of the results to go on with, {} for new ones.

    Raises OutputError if something else than an earlier result of the verb is in the folder, InputError if there is
    none to go on with.
    """
    held = names_in(folder)
    config = _read_config(folder / CONFIG, verb) if CONFIG in held else None
    # What is cut off between two files leaves a part behind, which is no reason to refuse.
    others = {name for name in held - FILES if not name.endswith(".part")}
    refuse_others(folder, others or (held if config is None else set()), verb)
    if not resume:
        return {}
    if config is None:
        raise InputError(folder, f"no earlier result of {verb} to go on with", expected=f"a folder with {CONFIG}")
    return config


def _read_config(path: Path, verb: str) -> dict[str, Any] | None:
    """The config that the verb wrote, None if the file is something else."""
    with suppress(OSError, ValueError, RecursionError):
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        kinds = {"verb": str, "source": str, "data": dict, "techniques": list, "sizes": list, "seeds": int}
        fits = isinstance(config, dict) and all(isinstance(config.get(name), kind) for name, kind in kinds.items())
        if fits and config["verb"] == verb and isinstance(config.get("budget"), int | float):
            return config
    return None


class Ledger:
    """The results of a folder, each file whole at any time; predictions.npz is never behind the rows of results.csv.

    trials, answers: by `Trial.key`. folds: probabilities (N, 10) of `folds.out_of_fold`, None unless they were made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.trials: dict[str, Trial] = {}
        self.answers: dict[str, Labels] = {}
        self.folds: Floats | None = None

    @classmethod
    def opened(cls, folder: Path, config: dict[str, Any], resume: bool) -> Ledger:
        """The ledger of earlier results to go on with, or a new one, its folder made and its config written."""
        ledger = cls(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if resume:
                ledger._read()
            else:
                for name in sorted(FILES):
                    (folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise unwritable(folder, error) from error
        with write_whole(folder / CONFIG) as path:
            path.write_text(json.dumps(config, indent=1) + "\n", encoding="ascii")
        return ledger

    def _read(self) -> None:
        try:
            if (self.folder / RESULTS).exists():
                with (self.folder / RESULTS).open(newline="", encoding="utf-8") as file:
                    trials = [Trial.of(row) for row in csv.DictReader(file)]
                self.trials = {trial.key: trial for trial in trials}
            if (self.folder / PREDICTIONS).exists():
                with np.load(self.folder / PREDICTIONS, allow_pickle=False) as arrays:
                    self.answers = {name: arrays[name] for name in arrays.files if name in self.trials}
            if (self.folder / FOLDS).exists():
                with np.load(self.folder / FOLDS, allow_pickle=False) as arrays:
                    self.folds = arrays["probabilities"]
        except (ValueError, KeyError, TypeError, BadZipFile) as error:
            what, mend = "not earlier results", "start again without --resume"
            raise InputError(self.folder, what, found=str(error), mend=mend) from error

    def add(self, trial: Trial, said: Labels | None) -> None:
        """One more row, and its answers."""
        if said is not None:
            self.answers[trial.key] = said
            with write_whole(self.folder / PREDICTIONS) as path, path.open("wb") as stream:
                np.savez_compressed(stream, allow_pickle=False, **self.answers)
        # As it will be read again, so that going on makes the same of it as not having stopped.
        self.trials[trial.key] = Trial.of(dict(zip(COLUMNS, trial.cells(), strict=True)))
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(each.cells() for each in self.trials.values())
        with write_whole(self.folder / RESULTS) as path:
            path.write_bytes(text.getvalue().encode("utf-8", errors="replace"))

    def add_folds(self, probabilities: Floats) -> None:
        """The out-of-fold probabilities."""
        self.folds = probabilities
        with write_whole(self.folder / FOLDS) as path, path.open("wb") as stream:
            np.savez_compressed(stream, allow_pickle=False, probabilities=probabilities)

    def settles(self, task: Task) -> bool:
        """Whether there is nothing left to try: it was done, or stopped although it had no less time."""
        known = self.trials.get(task.key)
        if known is None or known.status == "failed":
            return False
        return known.status == "done" or known.budget >= task.budget

"""One trial of a comparison: a technique, so many digits, a seed; run in a process of its own that can be stopped.

>>> trial, said = run_trial(Task("logistic", size=2_000, seed=0, budget=60), train, test)
>>> trial.accuracy, trial.fit_seconds, trial.note
(0.9302, 0.41, '')

A process of its own has its own peak memory, can be ended at its budget whatever it is doing, and takes nothing with it
when it runs out of memory.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_type_hints

import numpy as np
from numpy.typing import NDArray

from ..digits.dataset import Digits, Labels
from ..measure import negative_log_likelihood, wilson_interval

TASK, DIGITS, STAGE, RESULT, ERRORS = "task.json", "digits.npz", "stage", "result.json", "stderr"
SAID, PROBABILITIES = "said.npy", "probabilities.npy"
STAGES = ("starting", "fitting", "answering", "measuring")
LONGEST_START = 120.0  # seconds for imports and data, before the budget begins to count
GRACE = 1.5  # budgets after which even a technique that stops by itself is stopped
POLL = 0.05  # seconds between looks at a running trial

Status = Literal["done", "stopped", "failed", "skipped"]


@dataclass(frozen=True)
class Task:
    """What is to be tried: a technique by name, on the first `size` digits of the order that `seed` makes.

    budget: seconds for fitting, and as many again for the answers; parts: whether it stops fitting there by itself.
    variant: what is changed about a network, in a word; changes: the settings that this means.
    """

    technique: str
    size: int
    seed: int
    budget: float
    parts: bool = False
    variant: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return _key(self.technique, self.variant, self.size, self.seed)

    @property
    def name(self) -> str:
        return _name(self.technique, self.variant)


def _key(technique: str, variant: str, size: int, seed: int) -> str:
    return "|".join(filter(None, (technique, variant, str(size), str(seed))))


def _name(technique: str, variant: str) -> str:
    return f"{technique} {variant}".strip()


@dataclass(frozen=True)
class Trial:
    """A row of `results.csv`.

    Attributes
    ----------
    technique, kind: its name, and `classic` or `network`.
    size, seed: how many digits were offered, and the seed of their choice and of the technique.
    status: `done`; `stopped` at its budget with nothing to show; `failed`; `skipped`, since a smaller size was stopped.
    n_train: digits that were learnt from; networks hold some back.
    n_test, right: test digits and how many were answered rightly; accuracy, low, high: the share and Wilson's 95 %.
    fit_seconds: one core; bulk_microseconds, single_milliseconds: for an answer, of all test digits at once and of one.
    peak_megabytes: of the whole process, imports and data included; model_bytes: as it is kept.
    budget: seconds it was given; note: what was not as planned, in words.
    variant: what was changed about a network; train_accuracy, train_loss, test_loss: of a network, by the model that it
        leaves, on the digits it learnt from and on the test digits (mean negative log-likelihood in nats).
    """

    technique: str
    kind: str
    size: int
    seed: int
    status: Status
    n_train: int = 0
    n_test: int = 0
    right: int = 0
    accuracy: float = math.nan
    low: float = math.nan
    high: float = math.nan
    fit_seconds: float = math.nan
    bulk_microseconds: float = math.nan
    single_milliseconds: float = math.nan
    peak_megabytes: float = math.nan
    model_bytes: int = 0
    budget: float = math.nan
    note: str = ""
    variant: str = ""
    train_accuracy: float = math.nan
    train_loss: float = math.nan
    test_loss: float = math.nan

    @property
    def key(self) -> str:
        return _key(self.technique, self.variant, self.size, self.seed)

    @property
    def name(self) -> str:
        return _name(self.technique, self.variant)

    def cells(self) -> list[str]:
        """The row as text; what was not measured is empty."""
        return [_cell(getattr(self, name)) for name in COLUMNS]

    @classmethod
    def of(cls, row: dict[str, str]) -> Trial:
        """The row back from text; a column that it lacks stays at its default. Raises ValueError if it is none."""
        kinds = get_type_hints(cls)
        values: dict[str, Any] = {}
        for name in COLUMNS:
            if name not in row:
                continue
            text = row[name]
            if kinds[name] is int:
                values[name] = int(text)
            elif kinds[name] is float:
                values[name] = float(text) if text else math.nan
            else:
                values[name] = text
        if values.get("status") not in ("done", "stopped", "failed", "skipped"):
            raise ValueError(f"status {values.get('status')!r}")
        return cls(**values)


COLUMNS = tuple(column.name for column in fields(Trial))


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.6g}"
    return " ".join(str(value).split())


def kind_of(technique: str) -> str:
    from .classic import TECHNIQUES

    return "classic" if technique in TECHNIQUES else "network"


def empty_trial(task: Task, status: Status, note: str) -> Trial:
    """The row of a trial that gave no answers."""
    return Trial(
        task.technique, kind_of(task.technique), task.size, task.seed, status,
        budget=task.budget, note=note, variant=task.variant,
    )  # fmt: skip


def run_trial(task: Task, train: Digits, test: Digits) -> tuple[Trial, Labels | None]:
    """Run one task on the digits chosen for it, and give its row and its answers uint8 (n_test,), None without any.

    Never raises for what the technique does: an exception, a lack of memory or the end of the budget is a row.
    """
    with tempfile.TemporaryDirectory(prefix="inkdigits-") as name:
        folder = Path(name)
        (folder / TASK).write_text(json.dumps(asdict(task)), encoding="ascii")
        np.savez(
            folder / DIGITS,
            images=train.images,
            labels=train.need_labels("learn from"),
            test_images=test.images,
        )
        status, note = _supervise(task, folder)
        if status != "done":
            return empty_trial(task, status, note), None
        measured = json.loads((folder / RESULT).read_text(encoding="utf-8"))
        said: Labels = np.load(folder / SAID, allow_pickle=False)
        labels = test.need_labels("measure")
        if (folder / PROBABILITIES).exists():
            probabilities = np.load(folder / PROBABILITIES, allow_pickle=False)
            measured["test_loss"] = negative_log_likelihood(probabilities, labels)
    right = int((said == labels).sum())
    low, high = wilson_interval(right, len(said))
    trial = Trial(
        task.technique, kind_of(task.technique), task.size, task.seed, "done",
        n_test=len(said), right=right, accuracy=right / len(said), low=low, high=high, budget=task.budget,
        variant=task.variant, **measured,
    )  # fmt: skip
    return trial, said


def _supervise(task: Task, folder: Path) -> tuple[Status, str]:
    """Run the worker until it ends or has had its time."""
    root = str(Path(__file__).parents[2])
    paths = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    parent = os.getppid()
    with (folder / ERRORS).open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "inkdigits.lab.worker", str(folder)],
            # The worker ends when this pipe does, that is with this process, however that ends.
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            env=os.environ | one | {"PYTHONPATH": paths},
        )
    try:
        stage, since = STAGES[0], time.monotonic()
        while process.poll() is None:
            now, found = time.monotonic(), _stage(folder)
            if found != stage:
                stage, since = found, now
            limit = LONGEST_START if stage == "starting" else task.budget * (GRACE if task.parts else 1)
            if now - since > limit:
                return "stopped", f"stopped at {limit:,.3g} s while {stage}"
            if os.getppid() != parent:
                return "stopped", "the comparison was interrupted"
            time.sleep(POLL)
        if process.returncode == 0 and (folder / RESULT).exists():
            return "done", ""
        return "failed", _reason(process.returncode, folder)
    finally:
        process.kill()
        process.wait()
        if process.stdin:
            process.stdin.close()


def _stage(folder: Path) -> str:
    try:
        return (folder / STAGE).read_text(encoding="ascii") or STAGES[0]
    except OSError:
        return STAGES[0]


def _reason(status: int, folder: Path) -> str:
    """Why a worker ended without a result, in one line."""
    lines = (folder / ERRORS).read_text(encoding="utf-8", errors="replace").strip().splitlines()
    if status < 0:
        return f"ended by signal {-status}" + (", probably for want of memory" if status == -9 else "")
    return lines[-1][:200] if lines else f"ended with status {status}"


def nested_order(labels: NDArray[np.integer], seed: int) -> NDArray[np.intp]:
    """An order of digits (N,) of which every beginning has the classes' proportions, to within a digit each.

    So the training digits of a small size are among those of each larger one.
    """
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    rank = np.empty(len(labels))
    for label in np.unique(labels):
        members = shuffled[labels[shuffled] == label]
        rank[members] = (np.arange(len(members)) + 0.5) / len(members)
    return np.asarray(shuffled[np.argsort(rank[shuffled], kind="stable")])

"""Runs trials side by side, on this machine's cores or a Ray cluster, each result written as it comes.

>>> run_tasks(tasks, ledger, train, held, ray=None, jobs=2, say=print, progress=False)
[1/8] logistic, 500 digits: 87.12 % in 0.21 s; about 3 s left
"""

from __future__ import annotations

import math
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..digits.dataset import Digits, Labels, data_hash, split_by_class
from ..digits.formats import load_parts
from ..errors import InputError
from .cluster import failed
from .comparison import spoken_seconds
from .ledger import Ledger
from .report import percent
from .trial import Task, Trial, empty_trial, nested_order, run_trial

LEAST_SIZE = 200  # digits; what works on 150 principal components needs more than so many
TEST_SHARE = 6  # a source without a test part gives one digit of so many to it, as MNIST does …
SPLIT_SEED = 0  # … always the same ones

Source = str | os.PathLike[str] | Digits


@dataclass(frozen=True, eq=False)
class Material:
    """The digits of a comparison or an ablation.

    train, test: to learn from, to measure on. whole: those that `doubt` looks at: the training part, or all of a source
    that has no parts. rows: where in `whole` the test digits are, None if they are a part of their own.
    """

    train: Digits
    test: Digits
    whole: Digits
    rows: NDArray[np.intp] | None = None


def digits_of(source: Source, test: Digits | None) -> Material:
    """The digits to learn from, and those to measure on: the parts of the source, or `test` in place of its second.

    Of a source without a test part a sixth is set aside, class by class. Raises InputError for unlabelled or too few
    digits.
    """
    parts = load_parts(source)
    for part in parts.values():
        part.need_labels("learn from")
    if test is not None:
        test.need_labels("learn from")
        train = parts["train"] if "train" in parts else next(iter(parts.values()))
        return Material(train, test, train)
    if len(parts) > 1:
        return Material(parts["train"], parts["test"], parts["train"])
    whole = next(iter(parts.values()))
    if len(whole) < LEAST_SIZE:
        expected = f"at least {LEAST_SIZE} digits"
        raise InputError(
            whole.source, "too few to learn from and to measure on", expected=expected, found=f"{len(whole):,}"
        )
    share = len(whole) // TEST_SHARE
    train, held = whole.split(share, seed=SPLIT_SEED)
    _, rows = split_by_class(whole.need_labels("learn from"), share, seed=SPLIT_SEED)
    return Material(train, held, whole, rows)


def data_to_go_on_with(folder: Path, earlier: dict[str, Any], digits: Material) -> dict[str, str]:
    """The hashes of the digits. Raises InputError if the earlier results in the folder, {} for none, are of others."""
    data = {"train": data_hash(digits.train), "test": data_hash(digits.test)}
    if earlier and earlier["data"] != data:
        raise InputError(folder, "began with other digits", mend="give the same ones, or leave --resume out")
    return data


def check_limits(seeds: int, budget: float) -> None:
    """Raises InputError unless there is a seed and a budget of some seconds."""
    if seeds < 1:
        raise InputError("--seeds", "out of range", expected="1 or more", found=str(seeds))
    if not (math.isfinite(budget) and budget > 0):
        raise InputError("--budget", "out of range", expected="seconds above 0", found=f"{budget:g}")


def parse_list(text: str) -> list[str]:
    """`a,b` of a command line as the names in it."""
    return [name.strip() for name in text.split(",") if name.strip()]


def parse_sizes(text: str) -> list[int]:
    """`500,2000` of a command line as numbers. Raises InputError for anything else."""
    try:
        return [int(part.replace("_", "")) for part in parse_list(text)]
    except ValueError:
        raise InputError("--sizes", "not numbers", expected="such as 500,2000,8000", found=text) from None


def run_tasks(
    tasks: Sequence[Task],
    ledger: Ledger,
    train: Digits,
    held: Digits,
    ray: bool,
    jobs: int,
    say: Callable[[str], None],
    progress: bool,
) -> None:
    """Run what is left of the tasks in their order, each on the first digits of an order that its seed makes.

    ray: whether Ray runs them (see join_ray) rather than processes here; jobs: how many at a time here.
    """
    from joblib import Parallel, delayed
    from tqdm import tqdm

    left = [task for task in tasks if not ledger.settles(task)]
    if len(left) < len(tasks):
        say(f"going on: {len(tasks) - len(left)} of {len(tasks)} trials are there already")
    orders = {seed: nested_order(train.need_labels("learn from"), seed) for seed in {task.seed for task in left}}
    began = time.monotonic()
    waiting, planned = {task.key: task for task in left}, {task.key: task for task in tasks}

    def calls(some: Iterable[Task]) -> Iterator[Any]:
        for task in some:
            if stopped := _stopped_smaller(task, ledger):
                note = f"not tried, since with {stopped.size:,} digits it was {stopped.note.partition(' while')[0]}"
                yield delayed(_skipped)(task, note)
            else:
                yield delayed(run_trial)(task, train.take(orders[task.seed][: task.size]), held)

    results = _results(calls, left, Parallel, ray, jobs)
    bar = tqdm(total=len(left), disable=not progress, file=sys.stderr, unit="trial", leave=False)
    with bar, warnings.catch_warnings(), closing(results):
        # When something goes wrong trials under way are given up, of which joblib need not speak beside the error.
        warnings.filterwarnings("ignore", message=r"\d+ tasks which were still being processed by the workers")
        try:
            for trial, said in results:
                ledger.add(trial, said)
                del waiting[trial.key]
                bar.update()
                bar.clear()
                tried = [(planned[key], trial) for key, trial in ledger.trials.items() if key in planned]
                remaining = time_left(list(waiting.values()), tried, jobs, time.monotonic() - began)
                say(_line(trial, len(left) - len(waiting), len(left), remaining if waiting else None))
        except BaseException as error:
            if not ray:
                _hush_loky()
            if isinstance(error, BrokenProcessPool) or type(error).__module__.startswith("ray."):
                raise failed("a worker of the cluster" if ray else "a worker process", error) from error
            raise


@cache
def _hush_loky() -> None:
    """From now on nothing is printed of its thread, which stumbles now and then over trials that were given up."""
    loud = threading.excepthook

    def hook(failed: threading.ExceptHookArgs) -> None:
        if failed.thread is None or failed.thread.name != "ExecutorManagerThread":
            loud(failed)

    threading.excepthook = hook


def _results(
    calls: Callable[[Iterable[Task]], Iterator[Any]], tasks: Sequence[Task], parallel: Any, ray: bool, jobs: int
) -> Generator[tuple[Trial, Labels | None]]:
    """The results as they come. Nothing is handed out before a process is free for it, so that a stop is heeded."""
    if not ray:
        runner = parallel(
            n_jobs=jobs, backend="loky", return_as="generator_unordered", batch_size=1, pre_dispatch="n_jobs"
        )
        yield from runner(calls(tasks))
        return
    from joblib import parallel_config

    with parallel_config(backend="ray"):
        # Its backend gives back whole lists only: as many tasks at a time as the cluster has cores.
        runner = parallel(n_jobs=-1, batch_size=1)
        wave = max(1, runner._effective_n_jobs())
        for start in range(0, len(tasks), wave):
            yield from runner(calls(tasks[start : start + wave]))


def _skipped(task: Task, note: str) -> tuple[Trial, None]:
    return empty_trial(task, "skipped", note), None


def _stopped_smaller(task: Task, ledger: Ledger) -> Trial | None:
    """The trial of the technique that was stopped with fewer digits and no less time, if one was."""
    for trial in list(ledger.trials.values()):
        same = trial.name == task.name and trial.size < task.size
        if same and trial.status == "stopped" and trial.budget >= task.budget:
            return trial
    return None


def _line(trial: Trial, done: int, of: int, remaining: float | None) -> str:
    if trial.status == "done":
        said = f"{percent(trial.accuracy)} in {spoken_seconds(trial.fit_seconds)}"
        said += f" ({trial.note})" if trial.note else ""
    else:
        said = f"{trial.status}: {trial.note}"
    tail = "" if remaining is None else f"; about {_duration(remaining)} left"
    return f"[{done}/{of}] {trial.name}, {trial.size:,} digits: {said}{tail}"


def _duration(seconds: float) -> str:
    return f"{max(seconds, 1):.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


START = 3.0  # seconds to begin a trial: a new interpreter, its imports, the digits
GROWTH = 1.3  # the time of a trial goes with this power of its digits: between a network's 1 and a kernel's 2


def time_left(waiting: Sequence[Task], tried: Sequence[tuple[Task, Trial]], jobs: int, elapsed: float) -> float:
    """Seconds that the waiting tasks will take, from the technique's own time with less to do where there is one.

    A technique of which nothing is known yet counts as the mean of the others, if any, and else as the time `elapsed`.
    """
    known: dict[str, tuple[float, float]] = {}
    for task, trial in sorted(tried, key=lambda pair: _work(pair[0])):
        if trial.status == "done":
            known[task.name] = _work(task), trial.fit_seconds + trial.n_test * trial.bulk_microseconds / 1e6
    rate = fmean(seconds / work for work, seconds in known.values()) if known else None

    def guess(task: Task) -> float:
        if task.name in known:
            work, seconds = known[task.name]
            seconds *= _work(task) / work
        else:
            seconds = elapsed if rate is None else rate * _work(task)
        return START + min(seconds, 2 * task.budget)

    return sum(map(guess, waiting)) / max(1, min(jobs, len(waiting)))


def _work(task: Task) -> float:
    """How much there is to do, in units of its own: the images seen where the epochs are set, else by the digits."""
    epochs = task.changes.get("epochs")
    return float(task.size**GROWTH if epochs is None else task.size * epochs)

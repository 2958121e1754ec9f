"""Compares techniques from a constant guess to networks, on the same digits: accuracy, time, memory, need of data.

$ inkdigits compare --quick -o comparison
technique      right   digits   training     answer      model

Every trial (a technique, a number of training digits, a seed) runs in a process of its own on one core. Rows are added
to results.csv as they come, so that an interrupted comparison goes on with `resume`.
"""

from __future__ import annotations

import difflib
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..digits.dataset import Digits, Labels, data_hash, split_by_class
from ..digits.files import names_in, refuse_others, write_whole
from ..digits.formats import load_parts
from ..errors import InputError
from .classic import TECHNIQUES
from .cluster import join_ray
from .comparison import Comparison, jury_of, pairs_of, spoken_seconds, standings_of, verdict_of, votes_of
from .doubt import doubts_of
from .evaluation import contested_in
from .folds import labels_to_fold, out_of_fold
from .ledger import CONFIG, FILES, REPORT, RESULTS, Ledger
from .networks import DEFAULT_NETWORKS, network_names
from .report import need_libraries, percent
from .trial import Task, Trial, empty_trial, nested_order, run_trial

SIZES = (500, 2_000, 8_000, 30_000, 60_000)  # about four times as many each, and once twice as many
LEAST_SIZE = 200  # digits; what works on 150 principal components needs more than so many
BUDGET = 900.0  # seconds; what takes longer on one core is hardly used to read digits
TEST_SHARE = 6  # a source without a test part gives one digit of so many to it, as MNIST does …
SPLIT_SEED = 0  # … always the same ones

# Chosen so that two cores need less than two minutes.
QUICK_TECHNIQUES = (
    "constant", "darkness", "nearest-mean", "lda", "qda", "logistic-raw", "logistic", "knn", "knn-upright", "svm-rbf",
    "extra-trees", "softmax", "lenet5",
)  # fmt: skip
QUICK_SIZES = (1_000, 4_000)
QUICK_BUDGET = 15.0

Source = str | os.PathLike[str] | Digits


@dataclass(frozen=True, eq=False)
class Material:
    """The digits of a comparison.

    train, test: to learn from, to measure on. whole: those that `doubt` looks at: the training part, or all of a source
    that has no parts. rows: where in `whole` the test digits are, None if they are a part of their own.
    """

    train: Digits
    test: Digits
    whole: Digits
    rows: NDArray[np.intp] | None = None


def compare(
    source: Source = "mnist",
    *,
    output: str | os.PathLike[str],
    test: Digits | None = None,
    techniques: Sequence[str] | None = None,
    sizes: Sequence[int] | None = None,
    seeds: int | None = None,
    budget: float | None = None,
    quick: bool = False,
    resume: bool = False,
    ray: str | None = None,
    doubt: bool = False,
    threads: int | None = None,
    say: Callable[[str], None] = lambda line: None,
    progress: bool = False,
) -> Comparison:
    """Try every technique with every number of training digits and every seed, and write what comes out.

    Parameters
    ----------
    source: labelled digits with a training and a test part, such as `mnist`; of digits without a test part a sixth is
        set aside, class by class. test: Digits to measure on in place of either.
    output: folder for results.csv, predictions.npz, config.json and report.html; an earlier comparison is replaced.
    techniques: names from `classic.TECHNIQUES`, the catalogue of networks and `networks.VARIANTS`.
    sizes: numbers of training digits. The smaller choices are parts of the larger ones, each with the classes' shares.
    seeds: each technique runs with the seeds 0 … seeds − 1, which also choose the digits.
    budget: seconds of one core that a technique may learn, and as many again to answer.
    quick: few techniques and sizes, less than two minutes on two cores; what is given beside it counts.
    resume: go on with the comparison in `output`; what is given may widen it.
    ray: address of a Ray cluster that runs the trials, in place of processes on this machine.
    doubt: also look for doubtful labels among the digits to learn from, by five trainings of the quickest network.
    threads: how many trials run at a time, one core each; as many as there are cores unless given.
    say, progress: where talk goes, and whether to draw a progress bar on stderr.

    Raises InputError (unknown names, unusable sizes or digits), OutputError and MissingExtraError. A technique that
    fails is a row of the results.
    """
    folder = Path(output)
    need_libraries("compare", "sklearn", "scipy", "matplotlib")
    if doubt:
        need_libraries("--doubt", "torch", "onnx")
    if ray is not None:
        join_ray(ray)
    earlier = _earlier(folder, resume)
    names = _names(techniques, earlier.get("techniques"), quick)
    digits = _digits(source, test)
    train, held = digits.train, digits.test
    if doubt:
        labels_to_fold(digits.whole)
    data = {"train": data_hash(train), "test": data_hash(held)}
    if resume and earlier["data"] != data:
        raise InputError(folder, "began with other digits", mend="give the same ones, or leave --resume out")
    wanted = _sizes(sizes, earlier.get("sizes"), quick, len(train))
    count = seeds if seeds is not None else int(earlier.get("seeds", 1))
    if count < 1:
        raise InputError("--seeds", "out of range", expected="1 or more", found=str(count))
    seconds = budget if budget is not None else float(earlier.get("budget", QUICK_BUDGET if quick else BUDGET))
    if not (math.isfinite(seconds) and seconds > 0):
        raise InputError("--budget", "out of range", expected="seconds above 0", found=f"{seconds:g}")
    config = {
        "verb": "compare",
        "source": train.source if isinstance(source, Digits) else os.fspath(source),
        "data": data,
        "techniques": list(names),
        "sizes": list(wanted),
        "seeds": count,
        "budget": seconds,
        "versions": {name: version(name) for name in ("inkdigits", "numpy", "scikit-learn")},
    }
    ledger = Ledger.opened(folder, config, resume)
    tasks = _tasks(names, wanted, count, seconds)
    _run(tasks, ledger, train, held, ray, threads or os.cpu_count() or 1, say, progress)
    if doubt and ledger.folds is None:
        say(f"looking for doubtful labels among {len(digits.whole):,} digits")
        ledger.add_folds(out_of_fold(digits.whole, threads=threads, say=say))
    return _conclude(folder, config, ledger, digits)


def _conclude(folder: Path, config: dict[str, Any], ledger: Ledger, digits: Material) -> Comparison:
    """The comparison with its verdict and its report."""
    from .compare_report import comparison_report

    order = {name: place for place, name in enumerate(config["techniques"])}
    trials = sorted(ledger.trials.values(), key=lambda t: (order.get(t.technique, len(order)), t.size, t.seed))
    standings = standings_of(trials)
    labels = digits.test.need_labels("measure")
    neighbours, with_best = pairs_of(standings, trials, ledger.answers, labels) if standings else ((), ())
    votes = votes_of(jury_of(standings), trials, ledger.answers)
    found = Comparison(
        config["source"], len(digits.train), len(digits.test), tuple(config["sizes"]), config["seeds"],
        config["budget"], tuple(trials), standings, neighbours, with_best, verdict_of(standings, with_best, trials),
        folder / RESULTS, folder / REPORT,
        None if votes is None else doubts_of(votes, labels, contested=contested_in(digits.test), rows=digits.rows),
        None if ledger.folds is None else doubts_of(ledger.folds, digits.whole.need_labels("doubt")),
    )  # fmt: skip
    # Doubtful digits are called by their rows, so they are looked up where these count from.
    asked = digits.test if digits.rows is None else digits.whole
    page = comparison_report(found, tested=asked.images, folded=digits.whole.images)
    with write_whole(folder / REPORT) as path:
        path.write_bytes(page.encode("utf-8", errors="replace"))
    return found


def _run(
    tasks: Sequence[Task],
    ledger: Ledger,
    train: Digits,
    held: Digits,
    ray: str | None,
    jobs: int,
    say: Callable[[str], None],
    progress: bool,
) -> None:
    """Run what is left of the tasks, smallest sizes first, each result written as it comes."""
    from joblib import Parallel, delayed
    from tqdm import tqdm

    left = [task for task in tasks if not ledger.settles(task)]
    if len(left) < len(tasks):
        say(f"going on: {len(tasks) - len(left)} of {len(tasks)} trials are there already")
    orders = {seed: nested_order(train.need_labels("learn from"), seed) for seed in {task.seed for task in left}}
    began = time.monotonic()
    waiting = {task.key: task for task in left}

    def calls(some: Iterable[Task]) -> Iterator[Any]:
        for task in some:
            if stopped := _stopped_smaller(task, ledger):
                note = f"not tried, since with {stopped.size:,} digits it was {stopped.note.partition(' while')[0]}"
                yield delayed(_skipped)(task, note)
            else:
                yield delayed(run_trial)(task, train.take(orders[task.seed][: task.size]), held)

    with tqdm(total=len(left), disable=not progress, file=sys.stderr, unit="trial", leave=False) as bar:
        for trial, said in _results(calls, left, Parallel, ray, jobs):
            ledger.add(trial, said)
            del waiting[trial.key]
            bar.update()
            bar.clear()
            remaining = time_left(list(waiting.values()), list(ledger.trials.values()), jobs, time.monotonic() - began)
            say(_line(trial, len(left) - len(waiting), len(left), remaining if waiting else None))


def _results(
    calls: Callable[[Iterable[Task]], Iterator[Any]], tasks: Sequence[Task], parallel: Any, ray: str | None, jobs: int
) -> Iterator[tuple[Trial, Labels | None]]:
    """The results as they come. Nothing is handed out before a process is free for it, so that a stop is heeded."""
    if ray is None:
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
        same = trial.technique == task.technique and trial.size < task.size
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
    return f"[{done}/{of}] {trial.technique}, {trial.size:,} digits: {said}{tail}"


def _duration(seconds: float) -> str:
    return f"{max(seconds, 1):.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


START = 3.0  # seconds to begin a trial: a new interpreter, its imports, the digits
GROWTH = 1.3  # the time of a trial goes with this power of its digits: between a network's 1 and a kernel's 2


def time_left(waiting: Sequence[Task], trials: Sequence[Trial], jobs: int, elapsed: float) -> float:
    """Seconds that the waiting tasks will take, from the technique's own time with fewer digits where there is one.

    A technique of which nothing is known yet counts as the mean of the others at its size, if any, and as its start.
    """
    known: dict[str, tuple[int, float]] = {}
    for trial in sorted(trials, key=lambda trial: trial.size):
        if trial.status == "done":
            seconds = trial.fit_seconds + trial.n_test * trial.bulk_microseconds / 1e6
            known[trial.technique] = trial.size, seconds

    def guess(task: Task, others: float) -> float:
        size, seconds = known.get(task.technique, (task.size, others))
        return START + min(seconds * math.pow(task.size / size, GROWTH), 2 * task.budget)

    work = 0.0
    for size in {task.size for task in waiting}:
        rates = [seconds * math.pow(size / other, GROWTH) for other, seconds in known.values()]
        others = fmean(rates) if rates else elapsed
        work += sum(guess(task, others) for task in waiting if task.size == size)
    return work / max(1, min(jobs, len(waiting)))


def _tasks(names: Sequence[str], sizes: Sequence[int], seeds: int, budget: float) -> list[Task]:
    """All trials, the small ones first: a comparison that is cut short has compared something.

    Of the sizes above the most that a technique takes only the first is tried; the next would be the same again.
    """
    tasks = []
    for size in sizes:
        for seed in range(seeds):
            for name in names:
                technique = TECHNIQUES.get(name)
                most = technique.most if technique else None
                if most is None or all(smaller < most for smaller in sizes if smaller < size):
                    parts = technique is None or technique.parts is not None
                    tasks.append(Task(name, size, seed, budget, parts))
    return tasks


def parse_list(text: str) -> list[str]:
    """`a,b` of a command line as the names in it."""
    return [name.strip() for name in text.split(",") if name.strip()]


def parse_sizes(text: str) -> list[int]:
    """`500,2000` of a command line as numbers. Raises InputError for anything else."""
    try:
        return [int(part.replace("_", "")) for part in parse_list(text)]
    except ValueError:
        raise InputError("--sizes", "not numbers", expected="such as 500,2000,8000", found=text) from None


def _names(given: Sequence[str] | None, earlier: list[str] | None, quick: bool) -> tuple[str, ...]:
    known = (*TECHNIQUES, *network_names())
    if given is None:
        return tuple(earlier or (QUICK_TECHNIQUES if quick else (*TECHNIQUES, *DEFAULT_NETWORKS)))
    names = dict.fromkeys(given)
    if not names:
        raise InputError("--techniques", "none named", expected=f"some of {', '.join(known)}")
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            raise InputError(
                name,
                "unknown technique",
                expected=f"one of {', '.join(known)}",
                mend=f"did you mean {near[0]}?" if near else None,
            )
    return tuple(dict.fromkeys([*(earlier or ()), *names]))


def _sizes(given: Sequence[int] | None, earlier: list[int] | None, quick: bool, most: int) -> tuple[int, ...]:
    if most < LEAST_SIZE:
        expected = f"at least {LEAST_SIZE} training digits"
        raise InputError("source", "too few digits to compare on", expected=expected, found=f"{most:,}")
    if given is None:
        if earlier:
            return tuple(earlier)
        usual = QUICK_SIZES if quick else SIZES
        fitting = tuple(size for size in usual if size <= most)
        # All digits of a smaller source are a size of their own.
        return fitting if len(fitting) == len(usual) else (*(size for size in fitting if 2 * size <= most), most)
    for size in given:
        if not LEAST_SIZE <= size <= most:
            raise InputError("--sizes", "out of range", expected=f"{LEAST_SIZE} to {most:,}", found=f"{size:,}")
    if not given:
        raise InputError("--sizes", "none given", expected=f"numbers from {LEAST_SIZE} to {most:,}")
    return tuple(sorted({*given, *(earlier or ())}))


def _digits(source: Source, test: Digits | None) -> Material:
    """The digits to learn from, and those to measure on."""
    parts = load_parts(source)
    for part in parts.values():
        part.need_labels("compare on")
    if test is not None:
        test.need_labels("compare on")
        train = parts["train"] if "train" in parts else next(iter(parts.values()))
        return Material(train, test, train)
    if len(parts) > 1:
        return Material(parts["train"], parts["test"], parts["train"])
    whole = next(iter(parts.values()))
    if len(whole) < LEAST_SIZE:
        expected = f"at least {LEAST_SIZE} digits"
        raise InputError(whole.source, "too few to compare on", expected=expected, found=f"{len(whole):,}")
    share = len(whole) // TEST_SHARE
    train, held = whole.split(share, seed=SPLIT_SEED)
    _, rows = split_by_class(whole.need_labels("compare on"), share, seed=SPLIT_SEED)
    return Material(train, held, whole, rows)


def _earlier(folder: Path, resume: bool) -> dict[str, Any]:
    """The config of the comparison to go on with, {} for a new one; OutputError if something else is in the folder."""
    held = names_in(folder)
    config = _read_config(folder / CONFIG) if CONFIG in held else None
    # What is cut off between two files leaves a part behind, which is no reason to refuse.
    others = {name for name in held - FILES if not name.endswith(".part")}
    refuse_others(folder, others or (held if config is None else set()), "compare")
    if not resume:
        return {}
    if config is None:
        raise InputError(folder, "no comparison to go on with", expected=f"a folder with {CONFIG}")
    return config


def _read_config(path: Path) -> dict[str, Any] | None:
    """A comparison's config, None if the file is something else."""
    with suppress(OSError, ValueError, RecursionError):
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        kinds = {"verb": str, "source": str, "data": dict, "techniques": list, "sizes": list, "seeds": int}
        fits = isinstance(config, dict) and all(isinstance(config.get(name), kind) for name, kind in kinds.items())
        if fits and config["verb"] == "compare" and isinstance(config.get("budget"), int | float):
            return config
    return None

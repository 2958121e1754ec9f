"""Compares techniques from a constant guess to networks, on the same digits: accuracy, time, memory, need of data.

$ inkdigits compare --quick -o comparison
technique      right   digits   training     answer      model

Every trial (a technique, a number of training digits, a seed) runs in a process of its own on one core. Rows are added
to results.csv as they come, so that an interrupted comparison goes on with `resume`.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..digits.dataset import Digits
from ..digits.files import hold, write_whole
from ..errors import InputError
from .classic import TECHNIQUES
from .cluster import join_ray
from .comparison import Comparison, jury_of, pairs_of, standings_of, verdict_of, votes_of
from .doubt import doubts_of
from .evaluation import contested_in
from .folds import labels_to_fold, out_of_fold
from .ledger import REPORT, RESULTS, Ledger, earlier_config
from .networks import DEFAULT_NETWORKS, network_names
from .report import need_libraries
from .running import LEAST_SIZE, Material, Source, check_limits, data_to_go_on_with, digits_of, run_tasks
from .trial import Task

SIZES = (500, 2_000, 8_000, 30_000, 60_000)  # about four times as many each, and once twice as many
BUDGET = 900.0  # seconds; what takes longer on one core is hardly used to read digits

# Chosen so that two cores need less than two minutes.
QUICK_TECHNIQUES = (
    "constant", "darkness", "nearest-mean", "lda", "qda", "logistic-raw", "logistic", "knn", "knn-upright", "svm-rbf",
    "extra-trees", "softmax", "lenet5",
)  # fmt: skip
QUICK_SIZES = (1_000, 4_000)
QUICK_BUDGET = 15.0


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
    earlier = earlier_config(folder, "compare", resume)
    names = _names(techniques, earlier.get("techniques"), quick)
    digits = digits_of(source, test)
    train, held = digits.train, digits.test
    if doubt:
        labels_to_fold(digits.whole)
    data = data_to_go_on_with(folder, earlier, digits)
    wanted = _sizes(sizes, earlier.get("sizes"), quick, len(train))
    count = seeds if seeds is not None else int(earlier.get("seeds", 1))
    seconds = budget if budget is not None else float(earlier.get("budget", QUICK_BUDGET if quick else BUDGET))
    check_limits(count, seconds)
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
    with hold(folder):
        ledger = Ledger.opened(folder, config, resume)
        tasks = _tasks(names, wanted, count, seconds)
        run_tasks(tasks, ledger, train, held, ray is not None, threads or os.cpu_count() or 1, say, progress)
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

"""Shows what each regulariser buys: dropout, L2 and batch norm in all combinations, then one change at a time.

$ inkdigits ablate --quick -o ablation
effect       digits   without      with    gain  95 % interval

Every run is a process of its own on one core. Rows are added to results.csv as they come, seed by seed, so that an
interrupted study goes on with `resume` and has something to say before it is whole.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..digits.dataset import Digits
from ..digits.files import hold, write_whole
from ..errors import InputError
from .ablation import Ablation, ablation_of
from .cluster import join_ray
from .ledger import REPORT, RESULTS, Ledger, earlier_config
from .report import need_libraries
from .running import LEAST_SIZE, Source, check_limits, data_to_go_on_with, digits_of, run_tasks
from .study import MOST_EPOCHS, PARTS, Study, plan_study

SEEDS = 5  # fewer give intervals too wide to say anything
BUDGET = 900.0  # seconds of one training
QUICK: dict[str, Any] = {"parts": ["factors"], "sizes": [600], "seeds": 3}


def ablate(
    source: Source = "mnist",
    *,
    output: str | os.PathLike[str],
    net: str | None = None,
    test: Digits | None = None,
    parts: Sequence[str] | None = None,
    sizes: Sequence[int] | None = None,
    seeds: int | None = None,
    budget: float | None = None,
    quick: bool = False,
    resume: bool = False,
    ray: str | None = None,
    threads: int | None = None,
    say: Callable[[str], None] = lambda line: None,
    progress: bool = False,
) -> Ablation:
    """Train a network with and without its parts, and write what each buys.

    Parameters
    ----------
    source, test, output: as in `compare`.
    net: the network studied, `b-plain` unless given.
    parts: some of `study.PARTS`: `factors` (dropout, L2 and batch norm in all combinations), `failures` (two of system
        A's), `changes` (one at a time), `gap` (overfitting at several sizes), `ladder` (step by step to `fast`).
    sizes: numbers of training digits of the factorial; the changes are made at the largest.
    seeds: runs of each, with the seeds 0 … seeds − 1, which also choose the digits.
    budget: seconds of one core that a training may take.
    quick: the factors alone, at one small size with three seeds; what is given beside it counts.
    resume, ray, threads, say, progress: as in `compare`; what is given may widen the earlier study.

    Raises InputError (unknown names, unusable sizes or digits), OutputError and MissingExtraError. A training that
    fails is a row of the results.
    """
    folder = Path(output)
    need_libraries("ablate", "scipy", "matplotlib", "torch")
    if ray is not None:
        join_ray(ray)
    earlier = earlier_config(folder, "ablate", resume)
    digits = digits_of(source, test)
    train, held = digits.train, digits.test
    data = data_to_go_on_with(folder, earlier, digits)
    study, seconds = _study(earlier, len(train), quick, net, parts, sizes, seeds, budget)
    config = {
        "verb": "ablate",
        "source": train.source if isinstance(source, Digits) else os.fspath(source),
        "data": data,
        "techniques": [study.net],
        "parts": [part for part in PARTS if part in _parts_of(study)],
        "sizes": list(study.sizes or (study.changes_size,)),
        "seeds": study.seeds,
        "budget": seconds,
        "most_epochs": study.most_epochs,
        "versions": {name: version(name) for name in ("inkdigits", "numpy", "torch")},
    }
    with hold(folder):
        ledger = Ledger.opened(folder, config, resume)
        jobs = threads or os.cpu_count() or 1
        run_tasks(study.tasks(seconds), ledger, train, held, ray is not None, jobs, say, progress)
        return _conclude(folder, config, study, ledger, len(train), len(held))


def _study(
    earlier: dict[str, Any],
    digits: int,
    quick: bool,
    net: str | None,
    parts: Sequence[str] | None,
    sizes: Sequence[int] | None,
    seeds: int | None,
    budget: float | None,
) -> tuple[Study, float]:
    """The study that was asked for, on top of the earlier one, and the seconds of a training."""
    usual = earlier or (QUICK if quick else {})
    if net is not None and earlier and net != earlier["techniques"][0]:
        found = f"{net} after {earlier['techniques'][0]}"
        raise InputError("--net", "is another network than before", found=found, mend="choose another -o")
    if digits < LEAST_SIZE:
        raise InputError(
            "source", "too few digits", expected=f"at least {LEAST_SIZE} to learn from", found=f"{digits:,}"
        )
    for size in sizes or ():
        if not LEAST_SIZE <= size <= digits:
            raise InputError("--sizes", "out of range", expected=f"{LEAST_SIZE} to {digits:,}", found=f"{size:,}")
    count = seeds if seeds is not None else int(usual.get("seeds", SEEDS))
    seconds = budget if budget is not None else float(usual.get("budget", BUDGET))
    check_limits(count, seconds)
    chosen = [*(earlier.get("parts", ())), *(parts or ())] or usual.get("parts", PARTS)
    wanted = sorted({*(earlier.get("sizes", ())), *(sizes or ())}) or usual.get("sizes")
    return (
        plan_study(
            net or (earlier["techniques"][0] if earlier else "b-plain"),
            digits=digits,
            sizes=wanted,
            seeds=count,
            parts=chosen,
            most_epochs=float(usual.get("most_epochs", MOST_EPOCHS)),
        ),
        seconds,
    )


def _parts_of(study: Study) -> set[str]:
    held = {
        "factors": study.sizes,
        "failures": study.failures_size,
        "changes": study.changes_size,
        "gap": study.gap_sizes,
        "ladder": study.ladder_size,
    }
    return {name for name, value in held.items() if value}


def _conclude(
    folder: Path, config: dict[str, Any], study: Study, ledger: Ledger, n_train: int, n_test: int
) -> Ablation:
    """The ablation with its verdict and its report."""
    from .ablate_report import ablation_report
    from .ablate_verdict import verdict_of

    order = {task.key: place for place, task in enumerate(study.tasks(config["budget"]))}
    trials = sorted(ledger.trials.values(), key=lambda trial: order.get(trial.key, len(order)))
    found = ablation_of(
        study,
        trials,
        source=config["source"],
        n_train=n_train,
        n_test=n_test,
        results=folder / RESULTS,
        report=folder / REPORT,
    )
    found = replace(found, verdict=verdict_of(found))
    with write_whole(folder / REPORT) as path:
        path.write_bytes(ablation_report(found).encode("utf-8", errors="replace"))
    return found

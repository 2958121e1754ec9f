"""What an ablation found: effects with intervals from paired differences, interactions, gaps and a ladder.

>>> effect = ablation.effects[0]
>>> effect.name, effect.size, effect.gain.mean, effect.gain.low, effect.gain.high
('dropout', 5000, 0.0042, 0.0021, 0.0063)

Pure functions on trials. Two variants are compared seed by seed: a seed chooses the digits, their order and the first
weights, so what they have in common falls out of the difference.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations, pairwise
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

from .comparison import finished
from .report import percent
from .score import rounded
from .study import HELD, PLAIN, Study, Variant
from .trial import Trial

LEAST_SEEDS = 2  # of which a difference can have an interval


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with Student's 95 % interval, NaN at both ends of a single value; n: how many seeds."""

    mean: float
    low: float
    high: float
    n: int

    @property
    def sure(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Cell:
    """A variant at a size: means over the seeds that finished.

    digits: offered; learnt: learnt from. accuracy, sd: on the test digits; loss: there, in nats; train_accuracy,
    train_loss: on the digits learnt from; gap: their difference in accuracy; fit_seconds: median, of one core.
    """

    name: str
    net: str
    size: int
    learnt: int
    seeds: int
    accuracy: float
    sd: float
    loss: float
    train_accuracy: float
    train_loss: float
    gap: Estimate
    fit_seconds: float


@dataclass(frozen=True)
class Effect:
    """What something buys in test accuracy, as a share of the test digits.

    kind: `factor` (averaged over the other factors), `alone` (added to the plain network), `change` or `rung`.
    without, having: mean accuracies; gain: the difference, paired by seed.
    """

    kind: str
    name: str
    size: int
    without: float
    having: float
    gain: Estimate


@dataclass(frozen=True)
class Interaction:
    """How much more the first factor buys where the second is there too, averaged over the other factors."""

    first: str
    second: str
    size: int
    extra: Estimate


@dataclass(frozen=True)
class Ablation:
    """What `ablate` gives back.

    Attributes
    ----------
    study: what was run; source, n_train, n_test: on which digits.
    trials: the rows of results.csv; cells: every variant and size.
    effects: of the factors and, alone, of each; interactions between two of them.
    changes: one at a time, each with its kind in `kinds`; ladder: the rungs after the first.
    verdict: sentences computed from these; results, report: the files.
    """

    study: Study
    source: str
    n_train: int
    n_test: int
    trials: tuple[Trial, ...]
    cells: tuple[Cell, ...]
    effects: tuple[Effect, ...]
    interactions: tuple[Interaction, ...]
    changes: tuple[Effect, ...]
    ladder: tuple[Effect, ...]
    failures: tuple[Effect, ...]
    verdict: tuple[str, ...]
    results: Path
    report: Path

    def cell(self, variant: Variant, size: int) -> Cell | None:
        return next((c for c in self.cells if (c.net, c.name, c.size) == (variant.net, variant.name, size)), None)

    def text(self) -> str:
        """What the command prints: effects, then the verdict."""
        shown = [*(e for e in self.effects if e.kind == "factor"), *self.changes, *self.ladder, *self.failures]
        width = max([len(effect.name) for effect in shown] + [6])
        head = f"{'effect':{width}}  {'digits':>7}  {'without':>8}  {'with':>8}  {'gain':>6}  95 % interval"
        rows = [
            f"{effect.name:{width}}  {learnt_of(effect.size):>7,}  {percent(effect.without):>8}  "
            f"{percent(effect.having):>8}  {points(effect.gain.mean):>6}  {interval(effect.gain)}"
            for effect in shown
        ]
        return "\n".join([head, *rows, *self.verdict, f"figures: {self.report}"])

    def as_dict(self) -> dict[str, Any]:
        """As JSON: everything but the trials, which are in results.csv."""
        groups = ("cells", "effects", "interactions", "changes", "ladder", "failures")
        return {
            "net": self.study.net,
            "source": self.source,
            "n_train": self.n_train,
            "n_test": self.n_test,
            "seeds": self.study.seeds,
            **{name: [_plain(asdict(each)) for each in getattr(self, name)] for name in groups},
            "verdict": list(self.verdict),
            "results": str(self.results),
            "report": str(self.report),
        }


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _plain(value) if isinstance(value, dict) else rounded(value) if isinstance(value, float) else value
        for name, value in values.items()
    }


def learnt_of(size: int) -> int:
    """How many of `size` digits a network of a study learns from; the others set its sureness."""
    return size - size // HELD


def estimate(values: Iterable[float]) -> Estimate:
    """Mean and Student's 95 % interval of independent values, such as differences paired by seed."""
    several = list(values)
    mean, n = fmean(several), len(several)
    if n < LEAST_SEEDS:
        return Estimate(mean, math.nan, math.nan, n)
    from scipy.stats import t

    half = float(t.ppf(0.975, n - 1)) * stdev(several) / math.sqrt(n)
    return Estimate(mean, mean - half, mean + half, n)


Table = dict[tuple[str, str, int], dict[int, Trial]]


def table_of(trials: Sequence[Trial]) -> Table:
    """The finished trials by network, variant and size, then by seed."""
    table: Table = {}
    for trial in finished(trials):
        table.setdefault((trial.technique, trial.variant, trial.size), {})[trial.seed] = trial
    return table


def cells_of(table: Table) -> tuple[Cell, ...]:
    """A line for each variant and size that finished anything."""
    found = []
    for (net, name, size), by_seed in table.items():
        several = list(by_seed.values())
        accuracies = [trial.accuracy for trial in several]
        found.append(
            Cell(
                name, net, size, several[0].n_train, len(several), fmean(accuracies),
                stdev(accuracies) if len(several) > 1 else math.nan,
                fmean(trial.test_loss for trial in several), fmean(trial.train_accuracy for trial in several),
                fmean(trial.train_loss for trial in several),
                estimate(trial.train_accuracy - trial.accuracy for trial in several),
                median(trial.fit_seconds for trial in several),
            )
        )  # fmt: skip
    return tuple(found)


def _accuracies(table: Table, variant: Variant, size: int) -> dict[int, float]:
    return {seed: trial.accuracy for seed, trial in table.get((variant.net, variant.name, size), {}).items()}


def _effect(
    kind: str, name: str, size: int, pairs: Sequence[tuple[dict[int, float], dict[int, float]]]
) -> list[Effect]:
    """The effect over pairs of (without, with) accuracies by seed, for the seeds that have all of them, if any."""
    seeds = set.intersection(*(set(side) for pair in pairs for side in pair)) if pairs else set()
    if not seeds:
        return []
    gains = [fmean(having[seed] - without[seed] for without, having in pairs) for seed in sorted(seeds)]
    without, having = (fmean(pair[side][seed] for pair in pairs for seed in seeds) for side in (0, 1))
    return [Effect(kind, name, size, without, having, estimate(gains))]


def effects_of(study: Study, table: Table) -> tuple[Effect, ...]:
    """For each size what every factor buys on average over the others, and added alone to the plain network."""
    found: list[Effect] = []
    for size in study.sizes:
        by_name = {_parts(cell): _accuracies(table, cell, size) for cell in study.cells}
        for factor in study.factors:
            pairs = [(by_name[parts], by_name[parts | {factor.name}]) for parts in by_name if factor.name not in parts]
            found += _effect("factor", factor.name, size, pairs)
            found += _effect("alone", factor.name, size, pairs[:1])
    return tuple(found)


def _parts(cell: Variant) -> frozenset[str]:
    return frozenset() if cell.name == PLAIN else frozenset(cell.name.split(" + "))


def interactions_of(study: Study, table: Table) -> tuple[Interaction, ...]:
    """For each size and two factors the difference of differences, averaged over the third."""
    found = []
    for size in study.sizes:
        by_name = {_parts(cell): _accuracies(table, cell, size) for cell in study.cells}
        seeds = set.intersection(*(set(side) for side in by_name.values()))
        for one, two in combinations([factor.name for factor in study.factors], 2):
            rest = [parts for parts in by_name if not parts & {one, two}]
            extras = [
                fmean(
                    by_name[p | {one, two}][seed]
                    - by_name[p | {two}][seed]
                    - by_name[p | {one}][seed]
                    + by_name[p][seed]
                    for p in rest
                )
                for seed in sorted(seeds)
            ]
            if extras:
                found.append(Interaction(one, two, size, estimate(extras)))
    return tuple(found)


def changes_of(study: Study, table: Table) -> tuple[Effect, ...]:
    """What each change buys, against the network as it is with the same seeds."""
    size = study.changes_size
    base = _accuracies(table, study.base, size)
    return tuple(
        effect
        for change in study.changes
        for effect in _effect("change", change.variant.name, size, [(base, _accuracies(table, change.variant, size))])
    )


def ladder_of(study: Study, table: Table) -> tuple[Effect, ...]:
    """What each rung buys, against the rung before it."""
    size = study.ladder_size
    return tuple(
        effect
        for before, after in pairwise(study.rungs)
        for effect in _effect(
            "rung",
            after.name.removeprefix("ladder: "),
            size,
            [(_accuracies(table, before, size), _accuracies(table, after, size))],
        )
    )


def failures_of(study: Study, table: Table) -> tuple[Effect, ...]:
    """What mends each failure, against the network as it failed."""
    size = study.failures_size
    return tuple(
        effect
        for failure in study.failures
        for effect in _effect(
            "failure",
            f"{failure.broken.net}: {failure.mended.name}",
            size,
            [(_accuracies(table, failure.broken, size), _accuracies(table, failure.mended, size))],
        )
    )


def ablation_of(
    study: Study, trials: Sequence[Trial], *, source: str, n_train: int, n_test: int, results: Path, report: Path
) -> Ablation:
    """Everything worked out from the trials, without a verdict yet."""
    table = table_of(trials)
    return Ablation(
        study, source, n_train, n_test, tuple(trials), cells_of(table), effects_of(study, table),
        interactions_of(study, table), changes_of(study, table), ladder_of(study, table), failures_of(study, table),
        (), results, report,
    )  # fmt: skip


def points(share: float, *, sign: bool = True) -> str:
    """A difference of accuracies in percentage points, two decimals, a true minus."""
    text = f"{100 * share:+.2f}" if sign else f"{100 * share:.2f}"
    return text.replace("-", "−")


def interval(value: Estimate) -> str:
    """An interval in percentage points; a dash of a single seed."""
    return "–" if math.isnan(value.low) else f"{points(value.low)} to {points(value.high)}"

"""What an ablation found: effects with intervals from paired differences, interactions, gaps, a ladder, and a verdict.

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

from .comparison import finished, listed, spoken_seconds
from .report import percent
from .score import rounded
from .study import HELD, PLAIN, Study, Variant
from .trial import Trial

LEAST_SEEDS = 2  # of which a difference can have an interval
BIG_GAP = 0.01  # between training and test accuracy, from which a network is said to overfit


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
    """Everything worked out from the trials."""
    table = table_of(trials)
    found = Ablation(
        study, source, n_train, n_test, tuple(trials), cells_of(table), effects_of(study, table),
        interactions_of(study, table), changes_of(study, table), ladder_of(study, table), failures_of(study, table),
        (), results, report,
    )  # fmt: skip
    return Ablation(**{**vars(found), "verdict": verdict_of(found)})


def verdict_of(found: Ablation) -> tuple[str, ...]:
    """The study in sentences, every figure in them worked out from the trials."""
    if not found.cells:
        return ("No run finished: the reasons are in results.csv.",)
    sentences = [
        *_overfitting(found),
        *_factors(found),
        *_interactions(found),
        *_claims(found),
        *_best_changes(found),
        *_ladder(found),
        *_failures(found),
    ]
    return tuple(sentences) or ("Too few runs have finished to say anything yet.",)


def _overfitting(found: Ablation) -> Iterable[str]:
    plain, full = found.study.extremes
    cells = sorted((c for c in found.cells if (c.net, c.name) == (plain.net, plain.name)), key=lambda c: c.size)
    if not cells:
        return
    least, most = cells[0], cells[-1]
    verb = "overfits" if least.gap.mean > BIG_GAP else "hardly overfits"
    sentence = (
        f"{found.study.net} without regularisation {verb} with {least.learnt:,} digits: it knows "
        f"{percent(least.train_accuracy)} of them and {percent(least.accuracy)} of the test digits, "
        f"{points(least.gap.mean, sign=False)} points less"
    )
    if most is not least:
        sentence += f"; with {most.learnt:,} the gap is {points(most.gap.mean, sign=False)}"
    yield sentence + "."
    regular = found.cell(full, least.size)
    if regular and full is not plain:
        yield (
            f"With {full.name} the gap is {points(regular.gap.mean, sign=False)} points "
            f"and {percent(regular.accuracy)} of the test digits are right."
        )


def _factors(found: Ablation) -> Iterable[str]:
    for size in found.study.sizes:
        several = [effect for effect in found.effects if effect.kind == "factor" and effect.size == size]
        if several:
            said = listed([f"{e.name} {points(e.gain.mean)} points ({interval(e.gain)})" for e in several])
            yield f"With {learnt_of(size):,} digits, averaged over all combinations: {said}."


def _interactions(found: Ablation) -> Iterable[str]:
    sure = [each for each in found.interactions if each.extra.sure]
    for each in sure:
        less = "less" if each.extra.mean < 0 else "more"
        yield (
            f"With {learnt_of(each.size):,} digits {each.first} buys {points(abs(each.extra.mean), sign=False)} points "
            f"{less} where there is {each.second} too ({interval(each.extra)})."
        )
    if found.interactions and not sure:
        yield "No two of them were seen to help or hinder each other beyond chance."


def _claims(found: Ablation) -> Iterable[str]:
    """System B's two claims, by what each does alone to the plain network."""
    for name, claim in (
        ("dropout", "that dropout helps an overfitting model"),
        ("L2", "that L2 helps an overfitting model"),
        ("batch norm", "that batch norm adds accuracy"),
    ):
        alone = [effect for effect in found.effects if effect.kind == "alone" and effect.name == name]
        if not alone or any(math.isnan(effect.gain.low) for effect in alone):
            continue
        figures = listed(
            [f"{points(e.gain.mean)} ({interval(e.gain)}) with {learnt_of(e.size):,} digits" for e in alone]
        )
        helps = [effect.gain.low > 0 for effect in alone]
        harms = [effect.gain.high < 0 for effect in alone]
        if all(helps):
            holds = "holds here"
        elif any(helps) and not any(harms):
            holds = "holds at " + listed(
                [f"{learnt_of(e.size):,} digits" for e, h in zip(alone, helps, strict=True) if h]
            )
            holds += ", and elsewhere nothing is shown"
        elif any(harms):
            holds = "does not hold here"
        else:
            holds = "is not borne out here, nor refuted"
        yield f"System B's claim {claim} {holds}: alone it buys, in points, {figures}."


def _best_changes(found: Ablation) -> Iterable[str]:
    able = [effect for effect in found.changes if not math.isnan(effect.gain.low)]
    gains = sorted((e for e in able if e.gain.low > 0), key=lambda e: -e.gain.mean)
    losses = sorted((e for e in able if e.gain.high < 0), key=lambda e: e.gain.mean)
    size = learnt_of(found.study.changes_size)
    if gains:
        most = listed([f"{e.name} ({points(e.gain.mean)})" for e in gains[:3]])
        yield f"Of single changes with {size:,} digits these help most: {most}."
    if losses:
        worst = listed([f"{e.name} ({points(e.gain.mean)})" for e in losses[:3]])
        yield f"{'These' if len(losses) > 1 else 'This'} cost{'' if len(losses) > 1 else 's'} accuracy: {worst}."
    rest = [e.name for e in able if not e.gain.sure]
    if rest:
        yield f"Not told from nothing by {found.study.seeds} seeds: {listed(rest)}."


def _ladder(found: Ablation) -> Iterable[str]:
    if len(found.ladder) < len(found.study.rungs) - 1 or not found.ladder:
        return
    size, rungs = found.study.ladder_size, found.study.rungs
    first, last = found.cell(rungs[0], size), found.cell(rungs[-1], size)
    best = max(found.ladder, key=lambda effect: effect.gain.mean)
    if first and last:
        yield (
            f"Step by step from {found.study.net} to fast with {learnt_of(size):,} digits: from "
            f"{percent(first.accuracy)} in {spoken_seconds(first.fit_seconds)} to {percent(last.accuracy)} in "
            f"{spoken_seconds(last.fit_seconds)}; the largest step is “{best.name}” ({points(best.gain.mean)} points)."
        )


def _failures(found: Ablation) -> Iterable[str]:
    for failure in found.study.failures:
        broken, mended = (found.cell(v, found.study.failures_size) for v in (failure.broken, failure.mended))
        if broken and mended:
            yield (
                f"{failure.claim}: with {broken.learnt:,} digits and {failure.broken.name} "
                f"{percent(broken.accuracy)} of the test digits are right at a loss of {broken.loss:.2f}; with "
                f"{failure.mended.name} {percent(mended.accuracy)}, {mended.loss:.2f}."
            )


def points(share: float, *, sign: bool = True) -> str:
    """A difference of accuracies in percentage points, two decimals, a true minus."""
    text = f"{100 * share:+.2f}" if sign else f"{100 * share:.2f}"
    return text.replace("-", "−")


def interval(value: Estimate) -> str:
    """An interval in percentage points; a dash of a single seed."""
    return "–" if math.isnan(value.low) else f"{points(value.low)} to {points(value.high)}"

"""What an ablation comes to, in sentences worked out from its figures.

>>> verdict_of(ablation)[0]
'b-plain without regularisation overfits with 400 digits: it knows 100.00 % of them and 88.66 % of the test digits, …'
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from .ablation import Ablation, interval, learnt_of, points
from .comparison import spoken_seconds
from .report import listed, percent

BIG_GAP = 0.01  # between training and test accuracy, from which a network is said to overfit


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

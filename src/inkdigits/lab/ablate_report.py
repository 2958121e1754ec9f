"""The report of an ablation: the verdict, what each part buys, two together, the gap, single changes, the ladder.

$ inkdigits ablate --quick -o ablation
$ open ablation/report.html
"""

from __future__ import annotations

import math
from itertools import product
from statistics import fmean

from .ablate_figures import gains_figure, gap_figure, ladder_figure, together_figure
from .ablation import Ablation, Cell, Effect, Estimate, estimate, interval, learnt_of, points, table_of
from .comparison import finished, spoken_seconds
from .networks import about_network
from .report import Section, counted, page, percent, plot, prose, settings, subheading, table, terms
from .study import L2

CHANCE = (
    "An interval that holds 0 shows neither a gain nor a loss. Each is a 95 % interval by itself: of twenty such one "
    "misses on average."
)


def ablation_report(found: Ablation) -> str:
    """The whole page as HTML."""
    sections = [
        _verdict(found),
        _factors(found),
        _cells(found),
        _gap(found),
        _changes(found),
        _ladder(found),
        _failures(found),
        _unplanned(found),
        _how(found),
    ]
    done, planned = len(finished(found.trials)), len(found.trials)
    most = max((cell.learnt for cell in found.cells), default=0)
    lead = prose(
        f"{found.study.net}: {about_network(found.study.net)}. {counted(done, 'training')} of {planned} finished, with "
        f"up to {most:,} digits of {found.source} to learn from, each measured on {found.n_test:,} test digits.",
        kind="lead",
    )
    return page(
        f"What each part of {found.study.net} buys", lead=lead, sections=[section for section in sections if section]
    )


def _verdict(found: Ablation) -> Section:
    return Section("verdict", "In short", "\n".join(prose(sentence) for sentence in found.verdict))


def _factors(found: Ablation) -> Section | None:
    study = found.study
    main = [effect for effect in found.effects if effect.kind == "factor"]
    if not main:
        return None
    sizes = [size for size in study.sizes if any(effect.size == size for effect in main)]
    rows = []
    for factor in study.factors:
        for kind, words in (("factor", "on average"), ("alone", "alone")):
            several = [
                e for size in sizes for e in found.effects if (e.kind, e.name, e.size) == (kind, factor.name, size)
            ]
            if several:
                rows.append((f"{factor.name}, {words}", [effect.gain for effect in several]))
    figure = plot(
        gains_figure(rows, names=[f"{learnt_of(size):,} digits" for size in sizes]),
        "gains",
        alt="Gain of each factor with its interval; the numbers are in the table below",
        caption="Points of test accuracy that each buys: on average over all combinations of the others, and added "
        "alone to the network without any.",
    )
    lines = [
        [effect.name if effect.kind == "factor" else f"{effect.name} alone", *_cells_of(effect)]
        for effect in sorted(found.effects, key=lambda effect: (effect.size, effect.kind == "alone"))
    ]
    head = ["factor", "digits", "without", "with", "gain", "95 % interval"]
    text = prose(
        f"{counted(2 ** len(study.factors), 'network')} with every combination of "
        f"{', '.join(factor.name for factor in study.factors)}, each trained with {counted(study.seeds, 'seed')}. Two "
        "networks of one seed learn the same digits in the same order; gains are differences between such pairs. "
        + CHANCE
    )
    return Section(
        "factors",
        "What each buys",
        text + figure + table(head, lines, caption="Accuracies are means over the test digits.") + _together(found),
    )


def _cells_of(effect: Effect) -> list[str]:
    return [
        f"{learnt_of(effect.size):,}",
        percent(effect.without),
        percent(effect.having),
        points(effect.gain.mean),
        interval(effect.gain),
    ]


def _together(found: Ablation) -> str:
    """Two factors together, with a picture of the pair that the argument is about."""
    if not found.interactions:
        return ""
    rows = [
        [f"{each.first} × {each.second}", f"{learnt_of(each.size):,}", points(each.extra.mean), interval(each.extra)]
        for each in found.interactions
    ]
    text = prose(
        "Does one buy as much where the other is there already? Below 0: they do part of the same work, or hinder each "
        "other (dropout shifts the spread of the numbers that batch norm has measured: Li et al. 2018). "
    )
    picture = ""
    names = {factor.name for factor in found.study.factors}
    size = max(found.study.sizes)
    if {"dropout", "batch norm"} <= names and (means := _pair_means(found, "dropout", "batch norm", size)):
        picture = plot(
            together_figure(means, "dropout", "batch norm"),
            "together",
            alt="Accuracy with and without dropout and batch norm; the numbers are in the tables",
            caption=f"{learnt_of(size):,} digits, averaged over L2. Parallel lines would mean that neither cares about "
            "the other.",
        )
    head = ["two factors", "digits", "extra gain together", "95 % interval"]
    caption = "What the first buys with the second, less what it buys without."
    return subheading("Two together") + text + picture + table(head, rows, caption=caption)


def _pair_means(found: Ablation, first: str, second: str, size: int) -> dict[tuple[bool, bool], Estimate] | None:
    """Accuracy with and without two factors, averaged over the third, by (has the first, has the second)."""
    grid = table_of(found.trials)
    means = {}
    for has in product((False, True), (False, True)):
        cells = [
            {seed: trial.accuracy for seed, trial in grid.get((cell.net, cell.name, size), {}).items()}
            for cell in found.study.cells
            if (first in cell.name, second in cell.name) == has
        ]
        seeds = set.intersection(*map(set, cells))
        if not seeds:
            return None
        means[has] = estimate(fmean(cell[seed] for cell in cells) for seed in seeds)
    return means


def _cells(found: Ablation) -> Section | None:
    names = [(cell.net, cell.name) for cell in found.study.cells]
    lines = [cell for cell in found.cells if (cell.net, cell.name) in names and cell.size in found.study.sizes]
    if not lines:
        return None
    rows = [_row(cell) for cell in sorted(lines, key=lambda cell: (cell.size, names.index((cell.net, cell.name))))]
    return Section("cells", "Every combination", prose(_COLUMNS) + table(_HEAD, rows, caption=_CAPTION))


_HEAD = ["network", "digits", "seeds", "test", "training", "gap", "test loss", "training loss", "seconds"]
_CAPTION = "Mean ± standard deviation over the seeds."
_COLUMNS = (
    "Losses are mean negative log-likelihoods of the models as they are used, their sureness set on digits held out; "
    "the gap is the points between training and test accuracy, the measure of overfitting."
)


def _row(cell: Cell, name: str = "") -> list[str]:
    return [
        name or cell.name,
        f"{cell.learnt:,}",
        str(cell.seeds),
        percent(cell.accuracy) + ("" if math.isnan(cell.sd) else f" ± {100 * cell.sd:.2f}"),
        percent(cell.train_accuracy),
        points(cell.gap.mean, sign=False),
        f"{cell.loss:.3f}",
        f"{cell.train_loss:.3f}",
        spoken_seconds(cell.fit_seconds),
    ]


def _gap(found: Ablation) -> Section | None:
    lines = {}
    for variant in found.study.extremes:
        cells = [cell for cell in found.cells if (cell.net, cell.name) == (variant.net, variant.name)]
        if len(cells) > 1:
            lines[variant.name] = sorted(cells, key=lambda cell: cell.size)
    if not lines:
        return None
    figure = plot(
        gap_figure(lines),
        "gap",
        alt="The gap between training and test accuracy against the digits; the numbers are in the table below",
        caption="The shading is the 95 % interval of the mean over the seeds.",
    )
    text = prose(
        "What a network knows of the digits it has learnt, less what it knows of digits it has not seen. More digits "
        "close the gap whatever the network; a regulariser is worth most where they are few."
    )
    rows = [_row(cell) for cells in lines.values() for cell in cells]
    return Section("gap", "Overfitting, by the digits", text + figure + table(_HEAD, rows, caption=_CAPTION))


def _changes(found: Ablation) -> Section | None:
    if not found.changes:
        return None
    size, kinds = found.study.changes_size, {c.variant.name: c.kind for c in found.study.changes}
    figure = plot(
        gains_figure([(f"{kinds[e.name]}: {e.name}", [e.gain]) for e in found.changes]),
        "changes",
        alt="Gain of each single change with its interval; the numbers are in the table below",
        caption=f"Against {found.study.net} as it is, {learnt_of(size):,} digits, paired by seed.",
    )
    rows = [[f"{kinds[e.name]}: {e.name}", *_cells_of(e)] for e in found.changes]
    head = ["change", "digits", "as it is", "changed", "gain", "95 % interval"]
    text = prose(f"{found.study.net} with one thing changed and everything else as it was. " + CHANCE)
    return Section(
        "changes", "One change at a time", text + figure + table(head, rows, caption="Means over the seeds.")
    )


def _ladder(found: Ablation) -> Section | None:
    size = found.study.ladder_size
    cells = [(rung, found.cell(rung, size)) for rung in found.study.rungs]
    if not found.ladder or any(cell is None for _, cell in cells):
        return None
    gains = {effect.name: effect for effect in found.ladder}
    rungs = []
    for rung, cell in cells:
        name = rung.name.removeprefix("ladder: ")
        assert cell is not None
        gain = f"{points(gains[name].gain.mean)}, " if name in gains else ""
        rungs.append((name if name in gains else found.study.net, cell, f"{gain}{spoken_seconds(cell.fit_seconds)}"))
    figure = plot(
        ladder_figure(rungs),
        "ladder",
        alt="Accuracy on each rung from the network to fast; the numbers are in the table below",
        caption="At the right the gain of the step and the time of a training on one core.",
    )
    rows = [
        [name, *_row(cell)[1:], *([interval(gains[name].gain)] if name in gains else ["–"])] for name, cell, _ in rungs
    ]
    text = prose(
        f"From {found.study.net} to fast with {learnt_of(size):,} digits, each rung keeping what the ones above it "
        "brought. The order matters: what a step buys depends on what is there already."
    )
    head = [*_HEAD, "95 % interval of the gain"]
    return Section("ladder", "Step by step to fast", text + figure + table(head, rows, caption=_CAPTION))


def _failures(found: Ablation) -> Section | None:
    size, parts = found.study.failures_size, []
    for failure in found.study.failures:
        cells = [found.cell(variant, size) for variant in (failure.broken, failure.mended)]
        present = [cell for cell in cells if cell]
        if present:
            rows = [_row(cell) for cell in present]
            parts.append(
                subheading(failure.claim) + prose(_WHY[failure.broken.net]) + table(_HEAD, rows, caption=_CAPTION)
            )
    return Section("failures", "Two failures of system A", "\n".join(parts)) if parts else None


_WHY = {
    "a-conv2": "Its printed result after 15 epochs is 11.34 %, a loss of 2.3021: guessing. Adadelta's paper has no "
    "rate, that is a rate of 1; its framework's default is a thousandth of that. The same network, digits and steps at "
    "both:",
    "a-conv5": "Its printed training accuracy is 97.99 %, its test accuracy 38.36 % at a loss of 6.17, which was put "
    "down to overfitting. While it learns, batch norm uses the batch before it; when it reads, running values that "
    "keep 99 % a step and so lag some hundred steps behind. The two trainings below are the same number for number up "
    "to those running values:",
}


def _unplanned(found: Ablation) -> Section | None:
    remarks = {
        f"{trial.name}, {trial.size:,} digits, seed {trial.seed}": (
            trial.note if trial.status == "done" else f"{trial.status}: {trial.note}"
        )
        for trial in found.trials
        if trial.note
    }
    if not remarks:
        return None
    intro = prose(f"{counted(len(remarks), 'training')} of {len(found.trials)} did not go as planned.")
    return Section("unplanned", "Not as planned", intro + terms(remarks))


def _how(found: Ablation) -> Section:
    study = found.study
    text = prose(
        "Every training ran in a process of its own on one core and was measured through the model file that it left. "
        "Four fifths of the digits offered are learnt from; the others set the model's sureness and nothing else. A "
        f"training lasts its network's own epochs, and with few digits so many that {study.images:,} images are seen, "
        f"at most {study.most_epochs:g}. No setting was chosen on the test digits."
    )
    facts = {
        "network": study.net,
        "training digits": f"{found.n_train:,}",
        "test digits": f"{found.n_test:,}",
        "seeds": study.seeds,
        "dropout": "the network's own rates",
        "L2": f"{L2:g} times each weight added to its gradient",
        "trainings": len(found.trials),
        "finished": len(finished(found.trials)),
    }
    return Section("how", "How it was measured", text + settings(facts))

"""The report of a comparison: the verdict, accuracy against time and against data, the table, what was not as planned.

$ inkdigits compare --quick -o comparison
$ open comparison/report.html
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..digits.dataset import Images
from .classic import TECHNIQUES
from .compare_figures import data_figure, time_figure, worth_drawing
from .comparison import (
    SURE,
    Comparison,
    Standing,
    curves_of,
    errors_left_by_doubling,
    finished,
    jury_of,
    spoken_bytes,
    spoken_seconds,
)
from .doubt_report import doubt_gallery, doubt_words
from .folds import FOLDS, NET, TARGET
from .networks import about_network
from .report import Section, counted, listed, page, percent, plot, prose, settings, side_by_side, table, terms


def comparison_report(found: Comparison, *, tested: Images, folded: Images) -> str:
    """The page as HTML. tested, folded: the images that the doubtful digits of each kind are counted in."""
    parts = []
    if found.standings:
        parts += [_table(found), _pictures(found), _sizes(found)]
    parts += filter(None, [_test_doubt(found, tested), _label_doubt(found, folded), _unplanned(found)])
    parts += [_techniques(found), _how(found)]
    return page(f"{counted(_tried(found), 'technique')} on {found.source}", lead=_lead(found), sections=parts)


def _tried(found: Comparison) -> int:
    return len({trial.technique for trial in found.trials})


def _lead(found: Comparison) -> str:
    if not found.standings:
        return prose(*found.verdict)
    best = found.standings[0]
    headline = (
        f'<p class="headline"><strong>{percent(best.accuracy)}</strong>'
        f"<span>of {counted(found.n_test, 'test digit')} read correctly by {best.technique}, the best of "
        f"{len(found.standings)}</span></p>"
    )
    first, *others = found.verdict
    text = headline + prose(first) + "\n".join(prose(sentence) for sentence in others)
    return side_by_side(f"<div>{text}</div>", _time_plot(found))


def _time_plot(found: Comparison) -> str:
    drawn = worth_drawing({line.technique: line.accuracy for line in found.standings})
    shown = [line for line in found.standings if line.technique in drawn]
    front = _front(shown)
    left_out = [line.technique for line in found.standings if line.technique not in drawn]
    caption = (
        f"Accuracy against the seconds of one core that learning took. On the line are those that nothing beats in "
        f"both: {listed([line.technique for line in front])}. Networks "
        "are orange, the others blue; equal steps up divide the errors equally."
        + (f" Below the figure: {listed(left_out)}." if left_out else "")
    )
    alt = "Accuracy against training time, a dot a technique; the numbers are in the table"
    return plot(time_figure(shown, front), "time", alt=alt, caption=caption)


def _front(standings: Sequence[Standing]) -> list[Standing]:
    """Those that no other beats in accuracy without taking longer to learn, the quickest first."""
    front: list[Standing] = []
    for line in sorted(standings, key=lambda line: (line.fit_seconds, -line.accuracy)):
        if not front or line.accuracy > front[-1].accuracy:
            front.append(line)
    return front


def _table(found: Comparison) -> Section:
    below = {pair.first: pair for pair in found.pairs}
    several = found.seeds > 1
    rows = []
    for line in found.standings:
        pair = below.get(line.technique)
        row = [
            line.technique,
            percent(line.accuracy) + (f" ± {100 * line.sd:.2f}" if not math.isnan(line.sd) else ""),
            f"{100 * line.low:.2f}–{100 * line.high:.2f}",
            _p(pair.test.p) if pair else "",
            f"{line.n_train:,}",
            spoken_seconds(line.fit_seconds),
            spoken_seconds(line.bulk_microseconds / 1e6),
            spoken_seconds(line.single_milliseconds / 1e3),
            spoken_bytes(line.model_bytes),
            "–" if math.isnan(line.peak_megabytes) else f"{line.peak_megabytes:,.0f} MB",
        ]
        rows.append(row)
    head = ["technique", "right", "95 % interval", "p to the next", "learnt from", "learning", "a digit of many"]
    head += ["a single digit", "model", "memory"]
    tied = sum(not pair.differ for pair in found.pairs)
    # Above the table and not its caption, which on a phone is as wide as the table.
    words = prose(
        "The best first, each at the largest size that it finished"
        + (f", the mean ± standard deviation of {found.seeds} seeds" if several else "")
        + ". p is McNemar's: the chance of a difference at least this large to the next line if both erred equally "
        f"often. {counted(tied, 'line')} of {len(found.standings)} {'is' if tied == 1 else 'are'} not told from the "
        f"next by it (above {SURE:g}; not corrected for the number of lines)."
    )
    return Section("table", "Side by side", words + table(head, rows, caption="Times are of one core."))


def _p(p: float) -> str:
    return f"{p:.2f}" if p >= 0.0995 else f"{p:.2g}" if p >= 1e-4 else "< 0.0001"


def _pictures(found: Comparison) -> Section:
    curves = curves_of(found.trials)
    kinds = {trial.technique: trial.kind for trial in found.trials}
    last = {name: curve[-1] for name, curve in curves.items()}
    if all(len(curve) < 2 for curve in curves.values()):
        return Section("data", "How much data each needs", prose("Only one size was tried."))
    gains = {name: 1 - share for name, curve in curves.items() if (share := errors_left_by_doubling(curve)) is not None}
    able = [name for name in gains if last[name][1] > 0.5]
    steep = sorted(able, key=lambda name: -gains[name])[:3]
    flat = sorted(able, key=lambda name: gains[name])[:3]
    words = [
        "Each line is a technique learning from more and more digits, the smaller choices being parts of the larger.",
        "Straight on these axes means that every doubling takes away the same share of the errors: most of it in "
        + ", ".join(f"{name} ({percent(gains[name], 0)})" for name in steep)
        + "; least in "
        + ", ".join(f"{name} ({percent(max(gains[name], 0), 0)})" for name in flat)
        + "."
        if able
        else "",
    ]
    drawn = worth_drawing({name: accuracy for name, (_, accuracy) in last.items()})
    figure = plot(
        data_figure({name: curves[name] for name in drawn}, kinds),
        "data",
        alt="Accuracy against the number of training digits, a line a technique; the numbers are in the table below",
        caption="Networks orange, the others blue, in the order of their last accuracies. Both axes are logarithmic, "
        "the upright one in the errors.",
    )
    return Section("data", "How much data each needs", prose(*words) + figure)


def _sizes(found: Comparison) -> Section:
    curves = curves_of(found.trials)
    sizes = sorted({size for curve in curves.values() for size, _ in curve})
    rows = []
    for line in found.standings:
        at = dict(curves[line.technique])
        share = errors_left_by_doubling(curves[line.technique])
        cells = [percent(at[size]) if size in at else "–" for size in sizes]
        rows.append([line.technique, *cells, "–" if share is None else percent(max(1 - share, 0), 0)])
    head = ["technique", *(f"{size:,}" for size in sizes), "errors a doubling takes"]
    caption = "Accuracy by the number of training digits. A dash: not tried, stopped or failed."
    return Section("sizes", "Accuracy by size", table(head, rows, caption=caption))


def _test_doubt(found: Comparison, images: Images) -> Section | None:
    if found.test_doubt is None:
        return None
    jury = jury_of(found.standings)
    origin = (
        f"None of the techniques learnt from the test digits, so where the best {len(jury)} ("
        f"{listed([line.technique for line in jury])}) agree on another digit than the label, that may be wrong. They "
        "learnt from the same digits, though, and may share their mistakes; the share that says so stands for its "
        "probability."
    )
    tiles = doubt_gallery(
        found.test_doubt, images, said=lambda doubt: f"{doubt.probability * len(jury):.3g} of {len(jury)}"
    )
    return Section("test-doubt", "Test labels in doubt", doubt_words(found.test_doubt, origin=origin) + tiles)


def _label_doubt(found: Comparison, images: Images) -> Section | None:
    if found.label_doubt is None:
        return None
    origin = (
        f"The {found.label_doubt.n:,} digits were cut into {FOLDS} parts, each answered by a network that learnt from "
        f"the others ({NET}, the preset for {TARGET} %)."
    )
    words = doubt_words(found.label_doubt, origin=origin)
    heading = "Training labels in doubt" if found.label_doubt.n == found.n_train else "All labels in doubt"
    return Section("doubt", heading, words + doubt_gallery(found.label_doubt, images))


def _unplanned(found: Comparison) -> Section | None:
    remarks = {
        f"{trial.technique}, {trial.size:,} digits" + (f", seed {trial.seed}" if found.seeds > 1 else ""): (
            trial.note if trial.status == "done" else f"{trial.status}: {trial.note}"
        )
        for trial in found.trials
        if trial.note
    }
    if not remarks:
        return None
    intro = prose(
        f"{counted(len(remarks), 'trial')} of {len(found.trials)} did not go as planned. A technique that could be "
        "stopped with what it had learnt so far is measured with that; otherwise it stands with the largest size it "
        "finished."
    )
    return Section("unplanned", "Not as planned", intro + terms(remarks))


def _techniques(found: Comparison) -> Section:
    names = dict.fromkeys([line.technique for line in found.standings] + [trial.technique for trial in found.trials])
    about = {name: TECHNIQUES[name].about if name in TECHNIQUES else about_network(name) for name in names}
    return Section("techniques", "What they are", terms(about))


def _how(found: Comparison) -> Section:
    text = prose(
        "Every trial ran in a process of its own on one core. Every technique saw the same training digits and "
        "nothing of the test digits but their pixels, after it had learnt; no setting was chosen on them. Networks "
        "hold a part of their digits back to set their sureness, and are measured through the model file that they "
        "leave. Memory is the most that the whole process held, the digits and the libraries included."
    )
    facts = {
        "training digits": f"{found.n_train:,}",
        "test digits": f"{found.n_test:,}",
        "sizes": ", ".join(f"{size:,}" for size in found.sizes),
        "seeds": found.seeds,
        "budget of a training": spoken_seconds(found.budget),
        "trials": len(found.trials),
        "finished": len(finished(found.trials)),
    }
    return Section("how", "How it was measured", text + settings(facts))

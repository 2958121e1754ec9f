"""What a comparison found: a line for each technique, tests between neighbours, and a verdict worked out from numbers.

>>> comparison.standings[0].technique, comparison.verdict[0]
('fast', 'Most accurate is fast: 99.53 % of 10,000 test digits (95 % interval 99.38 to 99.65 %), learnt in 96 s.')

Pure functions on trials and answers; nothing here runs a technique or writes a file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..digits.dataset import CLASSES, Labels
from ..measure import McNemar, mcnemar, wilson_interval
from .doubt import Doubts
from .report import counted, listed, percent
from .score import rounded
from .trial import Trial

SURE = 0.05  # p below which two techniques are said to differ
SHORT = 10.0  # seconds of training that "fast" may take
ABLE = 0.5  # accuracy above which a technique is more than a guess
JURY, LEAST_JURY = 7, 3  # how many of the best are asked whether they doubt a test label
GOOD = 0.98  # accuracy from which the smallest and the quickest are named; lower where nothing reaches it


@dataclass(frozen=True)
class Standing:
    """A technique at the largest size that it finished: means over its seeds.

    accuracy, low, high: mean, and Wilson's 95 % of it on the test digits; sd: over the seeds, NaN for one.
    The other figures as in `trial.Trial`, medians over the seeds. notes: what was not as planned, at any size.
    """

    technique: str
    kind: str
    size: int
    seeds: int
    n_train: int
    accuracy: float
    low: float
    high: float
    sd: float
    fit_seconds: float
    bulk_microseconds: float
    single_milliseconds: float
    peak_megabytes: float
    model_bytes: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Pair:
    """Two techniques on the same digits, the better one first, with their least common seed: McNemar's test."""

    first: str
    second: str
    seed: int
    test: McNemar

    @property
    def differ(self) -> bool:
        return self.test.p < SURE


@dataclass(frozen=True)
class Comparison:
    """What `compare` gives back.

    Attributes
    ----------
    source, n_train, n_test: where the digits came from, and how many there were of each part.
    sizes, seeds, budget: what was asked for.
    trials: the rows of results.csv; standings: a line for each technique, the best first.
    pairs: neighbours among the standings; with_best: each technique but the best against the best.
    verdict: sentences computed from these; results, report: the files.
    test_doubt: the test labels that the best techniques agree against, None where there are too few of those.
    label_doubt: the doubtful labels among the digits to learn from, None unless they were asked for.
    """

    source: str
    n_train: int
    n_test: int
    sizes: tuple[int, ...]
    seeds: int
    budget: float
    trials: tuple[Trial, ...]
    standings: tuple[Standing, ...]
    pairs: tuple[Pair, ...]
    with_best: tuple[Pair, ...]
    verdict: tuple[str, ...]
    results: Path
    report: Path
    test_doubt: Doubts | None = None
    label_doubt: Doubts | None = None

    def text(self) -> str:
        """What the command prints: a table, then the verdict."""
        width = max([len(line.technique) for line in self.standings] + [9])
        head = f"{'technique':{width}}  {'right':>8}  {'digits':>7}  {'training':>9}  {'answer':>9}  {'model':>9}"
        rows = [
            f"{line.technique:{width}}  {percent(line.accuracy):>8}  {line.n_train:>7,}  "
            f"{spoken_seconds(line.fit_seconds):>9}  {spoken_seconds(line.bulk_microseconds / 1e6):>9}  "
            f"{spoken_bytes(line.model_bytes):>9}"
            for line in self.standings
        ]
        doubt = self.label_doubt
        doubtful = [f"Labels in doubt: {doubt.flagged:,} of {doubt.n:,} digits to learn from."] if doubt else []
        return "\n".join([head, *rows, *self.verdict, *doubtful, f"figures: {self.report}"])

    def as_dict(self) -> dict[str, Any]:
        """As JSON: the standings, the tests and the verdict; every trial is in results.csv."""
        pairs = [
            [{"first": pair.first, "second": pair.second, "seed": pair.seed, **asdict(pair.test)} for pair in some]
            for some in (self.pairs, self.with_best)
        ]
        return {
            "source": self.source,
            "n_train": self.n_train,
            "n_test": self.n_test,
            "sizes": list(self.sizes),
            "seeds": self.seeds,
            "budget": rounded(self.budget),
            "standings": [
                {name: rounded(value) if isinstance(value, float) else value for name, value in asdict(line).items()}
                for line in self.standings
            ],
            "neighbours": pairs[0],
            "with_best": pairs[1],
            "verdict": list(self.verdict),
            "test_doubt": self.test_doubt and self.test_doubt.as_dict(),
            "label_doubt": self.label_doubt and self.label_doubt.as_dict(),
            "results": str(self.results),
            "report": str(self.report),
        }


def finished(trials: Sequence[Trial]) -> list[Trial]:
    return [trial for trial in trials if trial.status == "done"]


def standings_of(trials: Sequence[Trial]) -> tuple[Standing, ...]:
    """A line for each technique that finished anything, the most accurate first."""
    lines = []
    for name in dict.fromkeys(trial.technique for trial in trials):
        own = [trial for trial in trials if trial.technique == name]
        done = finished(own)
        if done:
            lines.append(_standing(own, [trial for trial in done if trial.size == max(t.size for t in done)]))
    return tuple(sorted(lines, key=lambda line: (-line.accuracy, line.technique)))


def _standing(own: Sequence[Trial], last: Sequence[Trial]) -> Standing:
    accuracies = [trial.accuracy for trial in last]
    mean, n = fmean(accuracies), last[0].n_test
    low, high = wilson_interval(round(mean * n), n)
    largest = last[0].size
    notes = dict.fromkeys(trial.note for trial in last if trial.note)
    notes |= dict.fromkeys(
        f"with {trial.size:,} digits {trial.note}" for trial in own if trial.status in ("stopped", "failed")
    )
    if any(trial.size > largest and trial.status != "done" for trial in own):
        notes[f"shown with {largest:,} digits"] = None

    def middle(name: str) -> float:
        return float(median(getattr(trial, name) for trial in last))

    return Standing(
        last[0].technique, last[0].kind, largest, len(last), last[0].n_train, mean, low, high,
        stdev(accuracies) if len(last) > 1 else math.nan,
        middle("fit_seconds"), middle("bulk_microseconds"), middle("single_milliseconds"), middle("peak_megabytes"),
        round(middle("model_bytes")), tuple(notes),
    )  # fmt: skip


def pairs_of(
    standings: Sequence[Standing], trials: Sequence[Trial], answers: Mapping[str, Labels], labels: Labels
) -> tuple[tuple[Pair, ...], tuple[Pair, ...]]:
    """McNemar's test between neighbours of the standings, and between the best and every other one."""
    right = {
        (trial.technique, trial.seed): np.asarray(answers[trial.key] == labels)
        for line in standings
        for trial in finished(trials)
        if (trial.technique, trial.size) == (line.technique, line.size) and trial.key in answers
    }

    def pair(first: Standing, second: Standing) -> Pair | None:
        seeds = [{seed for name, seed in right if name == line.technique} for line in (first, second)]
        common = seeds[0] & seeds[1]
        if not common:
            return None
        seed = min(common)
        return Pair(
            first.technique,
            second.technique,
            seed,
            mcnemar(right[first.technique, seed], right[second.technique, seed]),
        )

    neighbours = (pair(*two) for two in pairwise(standings))
    with_best = (pair(standings[0], line) for line in standings[1:])
    return tuple(filter(None, neighbours)), tuple(filter(None, with_best))


def jury_of(standings: Sequence[Standing]) -> list[Standing]:
    """The best techniques, whose agreement against a label counts; none where fewer than LEAST_JURY are able."""
    able = [line for line in standings if line.accuracy > ABLE][:JURY]
    return able if len(able) >= LEAST_JURY else []


def votes_of(
    jury: Sequence[Standing], trials: Sequence[Trial], answers: Mapping[str, Labels]
) -> NDArray[np.float64] | None:
    """For each test digit the share (n_test, 10) of the jury that gave each answer, the seeds of a technique averaged.

    These stand for probabilities, which not every technique has. None where the answers of one are missing.
    """
    shares = []
    for line in jury:
        own = [t for t in finished(trials) if (t.technique, t.size) == (line.technique, line.size)]
        said = [answers[trial.key] for trial in own if trial.key in answers]
        if not said:
            return None
        shares.append(np.mean([np.eye(CLASSES)[each] for each in said], axis=0))
    return np.asarray(np.mean(shares, axis=0)) if shares else None


def curves_of(trials: Sequence[Trial]) -> dict[str, list[tuple[int, float]]]:
    """For each technique its sizes, rising, and the mean accuracy over the seeds at each."""
    curves: dict[str, list[tuple[int, float]]] = {}
    for name in dict.fromkeys(trial.technique for trial in finished(trials)):
        own = [trial for trial in finished(trials) if trial.technique == name]
        sizes = sorted({trial.size for trial in own})
        curves[name] = [(size, fmean(trial.accuracy for trial in own if trial.size == size)) for size in sizes]
    return curves


def errors_left_by_doubling(curve: Sequence[tuple[int, float]]) -> float | None:
    """The share of the errors that stays when the digits double: the slope of the learning curve on log axes.

    None of a curve with fewer than two sizes, or with no errors somewhere.
    """
    if len(curve) < 2 or any(accuracy >= 1 for _, accuracy in curve):
        return None
    sizes = np.log2([size for size, _ in curve])
    errors = np.log2([1 - accuracy for _, accuracy in curve])
    return float(2 ** np.polyfit(sizes, errors, 1)[0])


def verdict_of(standings: Sequence[Standing], with_best: Sequence[Pair], trials: Sequence[Trial]) -> tuple[str, ...]:
    """The comparison in sentences, every figure in them worked out from the trials."""
    if not standings:
        return ("No technique finished: the reasons are in results.csv.",)
    best = standings[0]
    n_test = next(trial.n_test for trial in finished(trials))
    sentences = [
        f"Most accurate is {best.technique}: {percent(best.accuracy)} of {counted(n_test, 'test digit')} "
        f"(95 % interval {_interval(best)}), learnt in {spoken_seconds(best.fit_seconds)}."
    ]
    sentences += filter(
        None,
        [
            _ties(best, with_best),
            _best_classic(standings),
            _best_within(standings),
            _doubling(standings, trials),
            _smallest(standings),
            _quickest(standings),
            _unfinished(standings, trials),
        ],
    )
    return tuple(sentences)


def _interval(line: Standing) -> str:
    return f"{100 * line.low:.2f} to {100 * line.high:.2f} %"


def _ties(best: Standing, with_best: Sequence[Pair]) -> str:
    tied = [pair.second for pair in with_best if not pair.differ]
    if not with_best:
        return ""
    if not tied:
        return f"No other is within chance of it (McNemar's test, p below {SURE:g} for each)."
    return f"These digits do not tell it from {listed(tied)} (McNemar's test, p above {SURE:g})."


def _best_classic(standings: Sequence[Standing]) -> str:
    classic = next((line for line in standings if line.kind == "classic"), None)
    if classic is None or classic is standings[0]:
        return ""
    times = (1 - classic.accuracy) / max(1 - standings[0].accuracy, 1e-9)
    return (
        f"The best that is no network is {classic.technique} with {percent(classic.accuracy)}, "
        f"{times:.1f} times as many errors, learnt in {spoken_seconds(classic.fit_seconds)}."
    )


def _best_within(standings: Sequence[Standing]) -> str:
    quick = [line for line in standings if line.fit_seconds <= SHORT]
    if not quick or quick[0] is standings[0]:
        return ""
    return (
        f"With at most {SHORT:g} seconds of one core to learn, {quick[0].technique} is best: "
        f"{percent(quick[0].accuracy)} in {spoken_seconds(quick[0].fit_seconds)}."
    )


def _doubling(standings: Sequence[Standing], trials: Sequence[Trial]) -> str:
    # The guesses learn nothing from more digits, so they would only blur what the others do.
    able = {line.technique for line in standings if line.accuracy > ABLE}
    curves = {name: curve for name, curve in curves_of(trials).items() if name in able}
    left = {name: share for name, curve in curves.items() if (share := errors_left_by_doubling(curve)) is not None}
    if len(left) < 2:
        return ""
    most, least = min(left, key=left.__getitem__), max(left, key=left.__getitem__)
    return (
        f"Twice the digits take away {percent(1 - median(left.values()), 0)} of the errors of the median technique: "
        f"most from {most} ({percent(1 - left[most], 0)}), least from {least} ({percent(max(1 - left[least], 0), 0)})."
    )


def _worth(standings: Sequence[Standing]) -> tuple[list[Standing], float]:
    """The techniques that are good enough to be chosen for something else, and how good that is."""
    for bar in (GOOD, 0.95, 0.9):
        found = [line for line in standings if line.accuracy >= bar]
        if len(found) > 1:
            return found, bar
    return [], 0.0


def _smallest(standings: Sequence[Standing]) -> str:
    found, bar = _worth(standings)
    if not found:
        return ""
    small = min(found, key=lambda line: line.model_bytes)
    return (
        f"The smallest model above {percent(bar, 0)} is {small.technique}'s: {spoken_bytes(small.model_bytes)} "
        f"for {percent(small.accuracy)}."
    )


def _quickest(standings: Sequence[Standing]) -> str:
    found, bar = _worth(standings)
    if not found:
        return ""
    quick = min(found, key=lambda line: line.bulk_microseconds)
    slow = max(found, key=lambda line: line.bulk_microseconds)
    times = slow.bulk_microseconds / quick.bulk_microseconds
    return (
        f"Above {percent(bar, 0)} the quickest to answer is {quick.technique}, "
        f"{spoken_seconds(quick.bulk_microseconds / 1e6)} a digit; {slow.technique} takes {times:,.0f} times as long."
    )


def _unfinished(standings: Sequence[Standing], trials: Sequence[Trial]) -> str:
    shown = {line.technique for line in standings}
    missing = [name for name in dict.fromkeys(trial.technique for trial in trials) if name not in shown]
    short = [line.technique for line in standings if any(note.startswith("shown with") for note in line.notes)]
    parts = []
    if missing:
        parts.append(f"Nothing was finished by {listed(missing)}.")
    if short:
        parts.append(f"Not every size was finished by {listed(short)}, shown here with fewer digits.")
    return " ".join(parts)


def spoken_seconds(seconds: float) -> str:
    """A duration for people, two significant digits or more: `38 µs`, `4.2 ms`, `0.51 s`, `75 s`, `12 min`."""
    if math.isnan(seconds):
        return "–"
    for unit, size in (("µs", 1e-6), ("ms", 1e-3)):
        if seconds < 1000 * size * 0.9995 and seconds < 0.1:
            return f"{_two(seconds / size)} {unit}"
    return f"{_two(seconds)} s" if seconds < 300 else f"{seconds / 60:.0f} min"


def spoken_bytes(count: float) -> str:
    """A size for people, in powers of ten: `820 B`, `31 kB`, `1.6 MB`."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{_two(count / size)} {unit}"
    return f"{count:.0f} B"


def _two(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}" if value >= 1 else f"{value:.2g}"

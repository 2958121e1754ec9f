"""The search for settings as a page shows it: what was chosen, how the best got better, every trial.

$ inkdigits train --search 20 -o runs/searched
$ inkdigits evaluate runs/searched
$ open runs/searched/report.html#search
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .report import BLUE, ORANGE, Section, counted, new_figure, percent, plot, prose, side_by_side, table, tidy

SEARCH = "search.json"
LEAST_WRONG = 0.005  # %, where a logarithmic axis shows no errors at all
TICKS = ((1, 2, 5), (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8))  # the second where the first leaves fewer than three


@dataclass(frozen=True)
class SearchTrial:
    """One trial of `search.json`; the accuracy is that on the digits held out, NaN where there is none."""

    number: int
    state: str
    accuracy: float
    epochs: float
    seconds: float
    settings: dict[str, Any]
    reason: str

    @classmethod
    def of(cls, row: dict[str, Any]) -> SearchTrial:
        """From its entry. Raises KeyError, TypeError, ValueError or AttributeError for what is none."""
        accuracy = row["validation"].get("accuracy")
        known = math.nan if accuracy is None else float(accuracy)
        times = float(row["epochs"]), float(row["seconds"])
        return cls(int(row["trial"]), str(row["state"]), known, *times, dict(row["settings"]), row.get("reason", ""))

    @property
    def is_complete(self) -> bool:
        return self.state == "complete"

    def trained(self) -> str:
        if self.is_complete:
            return f"{self.epochs:g}"
        return f"{self.epochs:g}, stopped" if self.state == "stopped early" else f"impossible: {self.reason}"


def search_section(run: Path) -> Section | None:
    """The section of a run folder, None of one without a search."""
    path = run / SEARCH
    if not path.is_file():
        return None
    try:
        held = json.loads(path.read_text("utf-8"))
        trials = [SearchTrial.of(row) for row in held["trials"]]
        names, wanted, epochs = list(held["space"]), int(held["trials_wanted"]), float(held["epochs_a_trial"])
        best = next((trial for trial in trials if trial.number == held["best"]), None)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        text = prose(f"{SEARCH} is there, but is not one that train writes.", kind="quiet")
        return Section("search", "The search", text)
    made = counted(wanted, "trial") if len(trials) == wanted else f"{len(trials)} of {counted(wanted, 'trial')}"
    intro = prose(
        f"Before it was trained, {made} of {_epochs(epochs)} looked for better settings, judged by the digits "
        "held out of the training.",
        _chosen(trials, best),
    )
    drawn = [trial for trial in trials if not math.isnan(trial.accuracy)]
    figure = side_by_side(_plot(drawn)) if drawn else ""
    rows = [_row(trial, names, trial is best) for trial in trials]
    head = ["trial", "right", "epochs", *names, "seconds"]
    return Section("search", "The search", intro + figure + table(head, rows, caption="Every trial, in their order."))


def _epochs(epochs: float) -> str:
    return f"{epochs:g} epoch" + ("" if epochs == 1 else "s")


def _chosen(trials: Sequence[SearchTrial], best: SearchTrial | None) -> str:
    if best is None:
        return "None of them could be trained to its end."
    first = trials[0]
    if best is first:
        return f"The settings that it began with were not beaten: {percent(best.accuracy)} right."
    values = ", ".join(f"{name} {_value(value)}" for name, value in best.settings.items())
    before = f", against {percent(first.accuracy)} with those that it began with" if first.is_complete else ""
    return (
        f"Chosen were those of trial {best.number}, {values}: {percent(best.accuracy)} right{before}. The best of many "
        "has had some luck on the digits that it was chosen by; on others it is a little worse."
    )


def _row(trial: SearchTrial, names: Sequence[str], chosen: bool) -> list[str]:
    number = f"{trial.number}, chosen" if chosen else f"{trial.number}"
    values = [_value(trial.settings[name]) if name in trial.settings else "–" for name in names]
    return [number, percent(trial.accuracy), trial.trained(), *values, f"{trial.seconds:.1f}"]


def _value(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _plot(trials: Sequence[SearchTrial]) -> str:
    complete = [trial for trial in trials if trial.is_complete]
    stopped = len(trials) - len(complete)
    caption = (
        "What each trial had wrong of the digits held out. The line is the best so far."
        + (f" Hollow: {stopped}, stopped early, as it then was." if stopped == 1 else "")
        + (f" Hollow: the {stopped} that were stopped early, as they then were." if stopped > 1 else "")
    )
    alt = "Errors of each trial; the numbers are in the table"
    return plot(search_figure(trials), "search", alt=alt, caption=caption)


def search_figure(trials: Sequence[SearchTrial]) -> Any:
    """The errors of each trial against its number, and those of the best so far among the ones that were completed."""
    figure = new_figure(3.4)
    axes = figure.add_subplot()
    for trial in trials:
        fill = BLUE if trial.is_complete else "none"
        axes.plot(trial.number, _wrong(trial.accuracy), "o", markeredgecolor=BLUE, markerfacecolor=fill, markersize=6)
    complete = [trial for trial in trials if trial.is_complete]
    if complete:
        best = np.minimum.accumulate([_wrong(trial.accuracy) for trial in complete])
        numbers = [trial.number for trial in complete] + [trials[-1].number]
        axes.step(numbers, [*best, best[-1]], where="post", color=ORANGE, linewidth=2, zorder=1)
    axes.set_yscale("log")
    axes.margins(y=0.12)
    low, high = axes.get_ylim()
    for parts in TICKS:
        ticks = [part * 10.0**power for power in range(-4, 3) for part in parts if low <= part * 10.0**power <= high]
        if len(ticks) >= 3:
            break
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_ylim(low, high)
    axes.set_ylabel("wrong (%)")
    axes.set_xlabel("trial")
    axes.xaxis.get_major_locator().set_params(integer=True)
    tidy(axes)
    return figure


def _wrong(accuracy: float) -> float:
    return max(100 * (1 - accuracy), LEAST_WRONG)

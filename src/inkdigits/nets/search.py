"""Settings chosen by trials on the digits held out, by Optuna: what `inkdigits train --search N` does first.

    $ inkdigits train --search 20 -o runs/searched

Every trial is a training like any other, on the same digits and from the same seed; it is stopped early where it is
worse than most were at the same epoch. The first one has the settings that the search began with. Trial K is the same
whether the search was interrupted before it or not: what is drawn depends on the seed, K and the trials before it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from ..digits.dataset import Digits
from ..errors import InputError, MissingExtraError
from .catalogue import Settings

try:
    import optuna
    import torch
    from optuna.trial import TrialState
    from torch import nn

    from . import run, zoo
    from .fit import Training
except ModuleNotFoundError as error:
    raise MissingExtraError("train --search", "lab") from error

RANDOM_TRIALS = 10  # before the first that is chosen by what the others found
PRUNE_AFTER = 5  # trials that must be there to compare with
LEARNING_RATES = {"sgd": (1e-3, 1.0), "adam": (1e-4, 3e-2), "adamw": (1e-4, 3e-2), "adadelta": (1e-2, 10.0)}
# Taken from the weights by adamw, at the learning rate; part of the gradient for the others.
WEIGHT_DECAYS = {"adamw": (0.0, 0.001, 0.01, 0.1)}
OTHER_WEIGHT_DECAYS = (0.0, 1e-5, 1e-4, 1e-3)
BATCHES = (64, 128, 256, 512)
WIDTHS = (0.5, 0.75, 1.0, 1.5)  # of the network's own
DROPOUTS = (0.0, 0.1, 0.2, 0.3, 0.5)
SMOOTHINGS = (0.0, 0.05, 0.1, 0.2)
AUGMENTATIONS = ("none", "shift", "affine", "elastic")
STRENGTHS = (0.25, 1.5)  # of the settings below, all by the same factor
AUGMENTED = ("shift", "turn", "scale", "shear", "elastic")


@dataclass(frozen=True)
class Range:
    """Any number from `low` to `high`; with `log`, as many below as above their geometric mean."""

    low: float
    high: float
    log: bool = False


Space = dict[str, Range | tuple[Any, ...]]


@dataclass(frozen=True)
class Found:
    """What `search` gives back: the settings of the best trial, its number (from 1), and how many trials were made."""

    settings: Settings
    best: int
    trials: int


def space_of(settings: Settings, fixed: Sequence[str] = ()) -> Space:
    """What a search from `settings` tries, by name: a range, or the values; `fixed` settings are left alone.

    Each has the value of `settings` in it. `augmentation_strength` multiplies the five settings of AUGMENTED; what
    `conditions` does has strengths of its own and stays as it is. Raises InputError where nothing is left to try.
    """
    rate = settings.learning_rate
    low, high = LEARNING_RATES[settings.optimiser]
    decays = WEIGHT_DECAYS.get(settings.optimiser, OTHER_WEIGHT_DECAYS)
    space: Space = {
        "learning_rate": Range(min(low, rate) or low, max(high, rate), log=True),
        "batch": _with(BATCHES, settings.batch),
        "weight_decay": _with(decays, settings.weight_decay),
        "label_smoothing": _with(SMOOTHINGS, settings.label_smoothing),
    }
    if settings.net == "fast" or settings.net in zoo.WIDE:
        space["width"] = tuple(sorted({max(2, round(settings.width * factor)) for factor in WIDTHS} | {settings.width}))
    if any(isinstance(layer, nn.Dropout) for layer in zoo.build(replace(settings, dropout=None))):
        space["dropout"] = DROPOUTS if settings.dropout in DROPOUTS else (settings.dropout, *DROPOUTS)
    if settings.augmentation != "conditions":
        space["augmentation"] = AUGMENTATIONS
        if not set(AUGMENTED) & set(fixed):
            space["augmentation_strength"] = Range(*STRENGTHS)
    space = {name: values for name, values in space.items() if name not in fixed}
    if "augmentation" in fixed and settings.augmentation == "none":
        space.pop("augmentation_strength", None)
    if not space:
        raise InputError("--search", "nothing is left to search", found=f"{', '.join(fixed)} given")
    return space


def _with(values: tuple[Any, ...], own: Any) -> tuple[Any, ...]:
    return tuple(sorted({*values, own}))


def changed(settings: Settings, found: Mapping[str, Any]) -> Settings:
    """The settings with what a trial was given, by the names of `space_of`."""
    changes = dict(found)
    strength = changes.pop("augmentation_strength", 1.0)
    if strength != 1:
        # To three digits, which is enough and can be read.
        scaled = {name: float(f"{getattr(settings, name) * strength:.3g}") for name in AUGMENTED if name != "shift"}
        changes |= scaled | {"shift": max(1, round(settings.shift * strength))}
    return replace(settings, **changes)


def search(
    settings: Settings,
    kept: Digits,
    held: Digits,
    folder: Path,
    *,
    trials: int,
    epochs: float,
    fixed: Sequence[str] = (),
    say: Callable[[str], None] = lambda line: None,
) -> Found:
    """Choose settings by trials; those found have the epochs of `settings`.

    Parameters
    ----------
    settings: where the search begins, and what it does not try.
    kept, held: the digits that a trial is trained and judged on. Judged by how many are wrong; of equals by the loss.
    folder: gets `study.sqlite`, Optuna's, and `search.json`. A study that is there is gone on with.
    trials: in total, those included that an earlier search made.
    epochs: of each trial.
    fixed: settings that are left alone.

    Raises InputError where no trial could be trained, or the study in `folder` cannot be read.
    """
    space = space_of(settings, fixed)
    short = replace(settings, epochs=epochs)
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with _open(folder / run.STUDY) as study:
            _go_on(study, short, space, kept, held, folder, trials, say)
            return _best(study, settings)
    finally:
        optuna.logging.set_verbosity(verbosity)


def _go_on(
    study: optuna.Study,
    settings: Settings,
    space: Space,
    kept: Digits,
    held: Digits,
    folder: Path,
    trials: int,
    say: Callable[[str], None],
) -> None:
    """Make the trials that are missing."""
    for stale in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(stale.number, state=TrialState.FAIL)  # cut off with the process that made it
    while (done := len(_done(study))) < trials:
        _prepare(study, settings, space, done)
        trial = study.ask()
        try:
            _make(trial, study, settings, space, kept, held)
        except BaseException:
            study.tell(trial, state=TrialState.FAIL)
            raise
        _record(folder, study, space, trials, settings.epochs)
        say(f"trial {done + 1}/{trials}: {_in_words(_done(study)[-1])}")


def _best(study: optuna.Study, settings: Settings) -> Found:
    made = _done(study)
    finished = [(trial.value, number) for number, trial in enumerate(made, 1) if trial.state == TrialState.COMPLETE]
    if not finished:
        found = made[-1].user_attrs.get("reason")
        raise InputError("--search", "no trial could be trained", found=found)
    _, best = min(finished)
    return Found(changed(settings, made[best - 1].params), best, len(made))


@contextmanager
def _open(file: Path) -> Iterator[optuna.Study]:
    """The study in a file, made if there is none."""
    try:
        storage = optuna.storages.RDBStorage(url_of(file))
        study = optuna.create_study(storage=storage, study_name="inkdigits", load_if_exists=True)
    except Exception as error:
        # SQLAlchemy, sqlite3, alembic and optuna each have errors of their own for a file that is no study.
        found = str(error).partition("\n")[0]
        mend = "start again with --force"
        raise InputError(file, "not a study", expected="what --search wrote", found=found, mend=mend) from error
    try:
        yield study
    finally:
        storage.remove_session()
        storage.engine.dispose()


def url_of(study: Path) -> str:
    """The file as Optuna wants it named. SQLite gets a URI, in which a name may hold "?", "#", "%" and braces."""
    return f"sqlite:///{quote(study.resolve().as_uri(), safe=':/')}?uri=true"  # SQLAlchemy takes one quoting away


def _done(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """The trials that were made: to their end, stopped early, or found impossible; not those that were interrupted."""
    trials = study.get_trials(deepcopy=False)
    return [trial for trial in trials if trial.state.is_finished() and "settings" in trial.user_attrs]


def _prepare(study: optuna.Study, settings: Settings, space: Space, done: int) -> None:
    """Set how trial number `done` is drawn, by nothing but the seed and the trials before it."""
    seed = int(np.random.SeedSequence([settings.seed, done]).generate_state(1)[0])
    study.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=RANDOM_TRIALS)
    # Not in the first third, where a high learning rate that will do well looks bad.
    warmup = math.ceil(settings.epochs / 3)
    study.pruner = optuna.pruners.MedianPruner(n_startup_trials=PRUNE_AFTER, n_warmup_steps=warmup)
    if not done and not study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
        own = {name: getattr(settings, name, 1.0) for name in space}
        if settings.learning_rate == 0:
            own.pop("learning_rate", None)
        study.enqueue_trial(own)


def _suggest(trial: optuna.Trial, settings: Settings, space: Space) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, values in space.items():
        if name == "augmentation_strength" and found.get("augmentation", settings.augmentation) == "none":
            continue
        if isinstance(values, Range):
            found[name] = trial.suggest_float(name, values.low, values.high, log=values.log)
        else:
            found[name] = trial.suggest_categorical(name, values)
    return found


def _make(
    trial: optuna.Trial, study: optuna.Study, settings: Settings, space: Space, kept: Digits, held: Digits
) -> None:
    """Train and judge one trial."""
    began = time.perf_counter()
    found = _suggest(trial, settings, space)
    made = 0.0

    def on_epoch(training: Training) -> None:
        nonlocal made
        row = training.history[-1]
        made = row.epoch
        trial.report(_score(row.validation_accuracy, row.validation_loss, len(held)), len(training.history))
        if len(training.history) * training.batches < training.steps and trial.should_prune():
            raise optuna.TrialPruned

    judged: dict[str, Any] = {}
    score: float | None = None
    try:
        tried = changed(settings, found)
        training = Training(zoo.build(tried), kept, held, tried)
        training.run(on_epoch=on_epoch)
        assert training.validation is not None
        loss, accuracy = training.evaluate(training.validation)
        score, state = _score(accuracy, loss, len(held)), TrialState.COMPLETE
        judged = {"accuracy": accuracy, "loss": loss if math.isfinite(loss) else None}
    except optuna.TrialPruned:
        state = TrialState.PRUNED
        row = training.history[-1]
        loss = row.validation_loss
        judged = {"accuracy": row.validation_accuracy, "loss": loss if math.isfinite(loss) else None}
    except (InputError, torch.OutOfMemoryError) as error:
        state = TrialState.FAIL
        trial.set_user_attr("reason", str(error).partition("\n")[0])
    trial.set_user_attr("validation", judged)
    trial.set_user_attr("epochs", made)
    trial.set_user_attr("seconds", time.perf_counter() - began)
    trial.set_user_attr("settings", found)
    study.tell(trial, score, state=state)


def _score(accuracy: float, loss: float, count: int) -> float:
    """How many digits are wrong; the fraction, below one, says which of equals has the lower loss."""
    return round((1 - accuracy) * count) + (loss / (1 + loss) if math.isfinite(loss) else 1.0)


def _record(folder: Path, study: optuna.Study, space: Space, trials: int, epochs: float) -> None:
    """Write `search.json`: every trial, in their order."""
    made = _done(study)
    finished = [(trial.value, number) for number, trial in enumerate(made, 1) if trial.state == TrialState.COMPLETE]
    run.write_json(
        folder / run.SEARCH,
        {
            "trials_wanted": trials,
            "epochs_a_trial": epochs,
            "judged_by": "fewest errors on the digits held out, of equals the lowest loss",
            "space": {
                name: vars(values) if isinstance(values, Range) else list(values) for name, values in space.items()
            },
            "best": min(finished)[1] if finished else None,
            "trials": [
                {
                    "trial": number,
                    "state": {TrialState.COMPLETE: "complete", TrialState.PRUNED: "stopped early"}.get(
                        trial.state, "impossible"
                    ),
                    **trial.user_attrs,
                }
                for number, trial in enumerate(made, 1)
            ],
        },
    )


def _in_words(trial: optuna.trial.FrozenTrial) -> str:
    known = trial.user_attrs
    tried = ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in known["settings"].items()
    )
    if trial.state == TrialState.FAIL:
        return f"impossible: {known.get('reason')} ({tried})"
    stopped = f" when stopped after epoch {known['epochs']:g}" if trial.state == TrialState.PRUNED else ""
    return f"{known['validation']['accuracy']:.2%} right{stopped}, {known['seconds']:.1f} s ({tried})"

"""Train a network by name and write its run folder.

    $ inkdigits train mnist --net softmax -o runs/softmax
    network      softmax, 7,850 parameters
    validation   92.44% of 5,000 digits held out (378 wrong), loss 0.2790
    seconds      0.58 to load, 11.42 to train, 0.61 to export and check
    model        runs/softmax/model.onnx

The last thing a training does is to write the ONNX file and to measure it, through the code that users run, on the
digits that were held out. The test set is never opened here.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..digits.dataset import Digits
from ..digits.files import hold
from ..errors import InputError, MissingExtraError, OutputError
from ..reader.model import MODEL_FILE
from .catalogue import Settings, settings_for
from .threads import sleep_while_waiting

if TYPE_CHECKING:
    from .search import Found

sleep_while_waiting()
try:
    import torch
    from tqdm import tqdm

    from . import run, zoo
    from .distil import start_and_teachers
    from .finish import finish
    from .fit import Training
    from .plan import Plan, Source, earlier_config, load_parts, need_no_network, plan_of
    from .ranks import Ranks
except ModuleNotFoundError as error:
    raise MissingExtraError("train", "train") from error

FEW_STEPS = 200  # below which even the smallest preset on a few digits has hardly begun to learn
ENOUGH_STEPS = 500
SEARCH_EPOCHS = 5  # of a trial, at most, unless told otherwise


@dataclass(frozen=True)
class Run:
    """What `train` gives back.

    Attributes
    ----------
    folder: the run folder; model: the ONNX file in it.
    settings: what it was trained with.
    metrics: the content of `metrics.json`.
    """

    folder: Path
    model: Path
    settings: Settings
    metrics: dict[str, Any]

    def text(self) -> str:
        """What the command prints: one line a fact."""
        validation, seconds = self.metrics["validation"], self.metrics["seconds"]
        seen = validation.get("also_trained_on")
        searched = f"{seconds['search']:.2f} to search, " if "search" in seconds else ""
        return "\n".join(
            [
                f"network      {self.settings.net}, {self.metrics['parameters']:,} parameters",
                f"validation   {validation['accuracy']:.2%} of {validation['n']:,} digits held out "
                f"({validation['errors']} wrong), loss {_shown(validation['loss'])}"
                + (f", by {validation['run']}" if "run" in validation else "")
                + (f"; {seen:,} of them also trained on" if seen else ""),
                *self._searched(),
                f"seconds      {seconds['load']:.2f} to load, {searched}{seconds['train']:.2f} to train, "
                f"{seconds['export']:.2f} to export and check",
                f"model        {self.model}",
            ]
        )

    def _searched(self) -> list[str]:
        search = self.metrics.get("search")
        if not search:
            return []
        return [f"settings     of trial {search['best']}, the best of {search['trials']} on these digits: {run.SEARCH}"]


def _shown(loss: float | None) -> str:
    return "infinite" if loss is None else f"{loss:.4f}"


def train(
    source: Source | None = None,
    *,
    net: str | None = None,
    target: str | None = None,
    output: str | os.PathLike[str] | None = None,
    extra: Sequence[Source] = (),
    resume: bool = False,
    force: bool = False,
    from_config: str | os.PathLike[str] | None = None,
    all_of: str | os.PathLike[str] | None = None,
    start_from: str | os.PathLike[str] | None = None,
    teachers: Sequence[str | os.PathLike[str]] = (),
    search: int | None = None,
    search_epochs: float | None = None,
    threads: int | None = None,
    stop_after: float | None = None,
    say: Callable[[str], None] = lambda line: None,
    progress: bool = False,
    **changes: Any,
) -> Run:
    """Train a network and write a run folder.

    PyTorch's number of threads and its global generator are set, for this process, as the training needs them.

    Parameters
    ----------
    source: labelled digits; MNIST's training part unless given.
    net, target, changes: which network (`fast`), which preset of it, and settings by name (see `catalogue.Settings`).
    output: the run folder; `runs/NET-SEED` unless given. Refused if it exists, unless `force` or `resume`.
    extra: more labelled digits to train on. None of them is held out, and those that are held out already are left out.
    resume: go on with the interrupted run in `output`, with its own settings and threads.
    from_config: repeat the run that wrote this `config.json`; `changes` may still be made.
    all_of: train on all digits of this finished run, those that it held out among them, with its settings; temperature
        and thresholds are taken from it, and so is what is said of the digits held out. `seed`, `device`,
        `start_from` and the teachers may change.
    start_from: begin with the weights of this finished run, with its settings as `changes` alter them, and on its data
        unless others are given. With `from_config` or `all_of` the settings are those of that run, whose network must
        be the same. That of an earlier run that is repeated, unless given.
    teachers: folders of finished runs; the network learns what these answer, beside the labels (see `distil`), as far
        as the setting `distillation` says. Those of an earlier run that is repeated, unless given.
    search: choose settings by so many trials on the digits held out, then train with the best; `changes` are left as
        they are. With `resume`, trials in total.
    search_epochs: of each trial; those of the training, at most SEARCH_EPOCHS, unless given.
    threads: processor threads; all of them unless given. Another number rounds otherwise.
    stop_after: seconds of training by which it ends, with the epoch before, and is finished as it then is.
    say, progress: where talk goes, and whether to draw a progress bar on stderr.

    Raises InputError for unusable data or settings, OutputError where the folder cannot be written.
    """
    earlier = [
        name
        for name, given in (("--resume", resume), ("--from-config", from_config), ("--all-of", all_of))
        if given not in (None, False)
    ]
    if len(earlier) > 1:
        raise InputError(earlier[0], f"cannot be used with {earlier[1]}", mend="use one of them")
    if search is not None:
        if earlier and not resume:
            raise InputError("--search", f"cannot be used with {earlier[0]}", mend="use one of them")
        for option, given in (("--teacher", teachers), ("--start-from", start_from is not None)):
            if given:
                raise InputError("--search", f"cannot be used with {option}", mend="search first, then train with both")
        if isinstance(search, bool) or not isinstance(search, int) or search < 1:
            raise InputError("--search", "not a number of trials", expected="1 or more", found=str(search))
    if search_epochs is not None:
        if search is None or resume:
            mend = "give it with --search N, when the search begins"
            raise InputError("--search-epochs", "is for a new search", mend=mend)
        if not 0.01 <= search_epochs <= 10_000:
            raise InputError("--search-epochs", "out of range", expected="0.01 to 10000", found=f"{search_epochs:g}")
    if earlier or start_from is not None:
        need_no_network(net, target)
    if earlier:
        if resume and (changes.keys() - {"device"} or extra or teachers or start_from is not None):
            other = {"extra": extra, "teachers": teachers, "start_from": start_from is not None}
            found = ", ".join([*changes, *(name for name, given in other.items() if given)])
            raise InputError("--resume", "goes on with the run's own settings", found=found)
        file = earlier_config(output, resume, from_config, all_of, start_from)
        plan = plan_of(file, source, extra, threads, resume)
        plan = replace(plan, **start_and_teachers(run.read_config(file)[1], start_from, teachers))
        if all_of is not None:
            plan = replace(plan, taken=run.taken_from(Path(all_of)))
        if plan.taken and (changes.keys() - {"device", "seed"} or extra):
            # What it takes over belongs to these settings and these digits.
            found = ", ".join([*changes, *(["extra"] if extra else [])])
            expected = "another seed, start or teachers at most"
            raise InputError(earlier[0], "trains as that run says", expected=expected, found=found)
        if not resume and {"validation", "split_seed"} & set(changes):
            plan = replace(plan, earlier=None)  # another split on purpose: its parts cannot be those of the earlier run
        plan = replace(plan, settings=settings_for(**plan.settings.as_dict() | changes))
        if resume:
            plan = replace(plan, search=_search_to_resume(file, plan.earlier or {}, search))
    elif start_from is not None:
        # Before its settings are read: this says best what is missing.
        networks = start_and_teachers({}, start_from, teachers)
        plan = plan_of(earlier_config(output, resume, from_config, all_of, start_from), source, extra, threads, resume)
        settings = settings_for(**plan.settings.as_dict() | changes)
        if source is not None:
            plan = replace(plan, extra=extra)
        plan = replace(plan, settings=settings, threads=threads, earlier=None, taken=None, **networks)
    else:
        settings = settings_for(net or "fast", target=target, **changes)
        networks = start_and_teachers({}, None, teachers)
        plan = Plan(settings, "mnist" if source is None else source, extra, threads, **networks)
        if search is not None:
            each = min(settings.epochs, SEARCH_EPOCHS) if search_epochs is None else search_epochs
            told = {"trials": search, "epochs": each, "fixed": sorted(changes), "settings": settings.as_dict()}
            plan = replace(plan, search=told)
    if plan.threads is not None:
        torch.set_num_threads(plan.threads)
    with ExitStack() as locks:
        return _train(
            plan, Path(output) if output is not None else None, resume, force, stop_after, say, progress, locks
        )


def _search_to_resume(file: Path, config: dict[str, Any], trials: int | None) -> dict[str, Any] | None:
    """What the search of an earlier run was told, with another number of trials if that was given."""
    told: dict[str, Any] | None = config.get("search")
    if told is None and trials is not None:
        mend = "leave --search out, or start a new run"
        raise InputError("--search", "the run was trained without one", found=str(file.parent), mend=mend)
    return told and told | {"trials": trials or told["trials"]}


def _train(
    plan: Plan,
    output: Path | None,
    resume: bool,
    force: bool,
    stop_after: float | None,
    say: Callable[[str], None],
    progress: bool,
    locks: ExitStack,
) -> Run:
    settings = plan.settings
    ranks = Ranks()
    if not ranks.is_first:
        say, progress = _silence, False
    if ranks.count > 1 and plan.search:
        raise InputError(
            "--search", "is for one process", found=f"{ranks.count} of them", mend="search without torchrun"
        )
    began = time.perf_counter()
    kept, held = load_parts(plan, say)
    loaded = time.perf_counter()
    # Whatever is impossible is found out before anything of an earlier run is replaced.
    training = Training(zoo.build(settings), kept, held, settings, plan.teachers, plan.start)
    for other in plan.others:
        if output is not None and not resume and Path(other.folder).resolve() == output.resolve():
            raise OutputError(output, "is a run that this one begins with or learns from", mend="choose another -o")
        count = other.known(held) if held else 0
        if held and other.hashes is None:
            say(
                f"warning: {other.folder} does not say which digits it was trained on; some may be among those held out"
            )
        if held and count:
            say(
                f"warning: {other.folder} was trained on {count:,} of the {len(held):,} digits held out; "
                "what is measured on them will be too good"
            )
    look = _searcher(plan, kept, held, say)
    sources = [_recorded(source) for source in (plan.source, *plan.extra)]
    write_config = partial(
        run.write_config, source=sources[0], extra=sources[1:], train=kept, validation=held,
        search=plan.search, taken=plan.taken, start=plan.start.as_dict() if plan.start else None,
        teachers=[teacher.as_dict() for teacher in plan.teachers.each] if plan.teachers else [],
    )  # fmt: skip
    folder = output or Path()
    if ranks.is_first:
        folder = output or run.next_folder(settings)
        locks.enter_context(hold(folder))
        if not resume:
            run.make_ready(folder, force=force)
            write_config(folder, settings)
        elif plan.search and plan.earlier and plan.search != plan.earlier["search"]:
            write_config(folder, settings)
    folder = ranks.agree(folder)
    found = look(folder) if look else None
    if found:
        settings = found.settings
        if settings != plan.settings:
            # Whatever is there was trained with other settings.
            run.remove_training(folder)
            write_config(folder, settings)
        plan = replace(plan, settings=settings)
        training = Training(zoo.build(settings), kept, held, settings)
    searched = time.perf_counter()
    state = run.load_state(folder) if resume else None
    if state:
        training.restore(state)
    say(f"{folder}: {settings.net}, {settings.epochs:.3g} epochs of {len(kept):,} digits; {len(held or ()):,} held out")
    if state:
        say(f"going on after epoch {state.history[-1].epoch:g}")
    try:
        _fit(training, folder, stop_after, say, progress)
    except KeyboardInterrupt:
        say(f"stopped; `inkdigits train --resume -o {folder}` goes on")
        raise
    trained = time.perf_counter()
    if not ranks.is_first:
        ranks.agree(None)  # until the first has finished
        return Run(folder, folder / MODEL_FILE, settings, run.read_metrics(folder))
    metrics = finish(training, folder, kept, held, sources=(plan.source, *plan.extra), taken=plan.taken, say=say)
    if found and plan.search:
        metrics["search"] = {"trials": found.trials, "best": found.best, "epochs": plan.search["epochs"]}
    metrics["seconds"] = {
        "load": loaded - began,
        **({"search": searched - loaded} if plan.search else {}),
        "train": training.history[-1].seconds if state else trained - searched,
        "export": time.perf_counter() - trained,
    }
    if resume:
        # The same weights again: what `evaluate` found of them still holds.
        metrics |= {name: value for name, value in run.read_metrics(folder).items() if name == "test"}
    run.write_json(folder / run.METRICS, metrics)
    run.write_card(folder, settings, metrics, " and ".join(_name(source) for source in (plan.source, *plan.extra)))
    ranks.agree(None)
    return Run(folder, folder / MODEL_FILE, settings, metrics)


def _silence(line: str) -> None:
    """Talk that the first process does for all."""


def _searcher(
    plan: Plan, kept: Digits, held: Digits | None, say: Callable[[str], None]
) -> Callable[[Path], Found] | None:
    """What searches the settings, given the run folder; None where there is nothing to search."""
    told = plan.search
    if told is None or held is None:
        return None
    from .search import search, space_of  # whose library takes as long to load as a small training

    # On another device than the search began on if that was asked for.
    base = replace(settings_for(**told["settings"]), device=plan.settings.device)
    names = ", ".join(space_of(base, told["fixed"]))

    def look(folder: Path) -> Found:
        say(f"{folder}: {told['trials']} trials of {told['epochs']:.3g} epochs; {names}")
        try:
            return search(
                base, kept, held, folder,
                trials=told["trials"], epochs=told["epochs"], fixed=told["fixed"], say=say,
            )  # fmt: skip
        except KeyboardInterrupt:
            say(f"stopped; `inkdigits train --resume -o {folder}` goes on")
            raise

    return look


def _fit(
    training: Training, folder: Path, stop_after: float | None, say: Callable[[str], None], progress: bool
) -> None:
    """Run the training with its checkpoints, words and bar, unless `stop_after` (seconds) ends it before."""
    done = len(training.history) * training.batches
    if training.steps < FEW_STEPS:
        epochs = math.ceil(ENOUGH_STEPS / training.batches)
        say(f"warning: {training.steps} steps are few to learn from; --epochs {epochs} would make {ENOUGH_STEPS}")
    with tqdm(
        total=training.steps, initial=done, disable=not progress, file=sys.stderr, unit="batch", leave=False
    ) as bar:

        def on_step(loss: torch.Tensor, hits: torch.Tensor) -> None:
            bar.update()
            if bar.n % 20 == 0:
                bar.set_postfix_str(f"loss {float(loss):.3f}, {float(hits) / training.settings.batch:.1%} right")

        def on_epoch(training: Training) -> None:
            row = training.history[-1]
            if training.ranks.is_first:
                run.save_state(folder, training.state())
            late = stop_after is not None and row.seconds * (1 + 1 / len(training.history)) > stop_after
            if training.ranks.agree(late):
                training.steps = min(training.steps, len(training.history) * training.batches)
            bar.clear()
            held = f"; held out {row.validation_loss:.4f}, {row.validation_accuracy:.2%}"
            say(
                f"epoch {row.epoch:.3g}/{training.steps / training.batches:.3g}: loss {row.train_loss:.4f}, "
                f"{row.train_accuracy:.2%} right{held if training.validation else ''}"
            )

        training.run(on_epoch=on_epoch, on_step=on_step if progress else None)


def _name(source: Source) -> str:
    return source.source if isinstance(source, Digits) else os.fspath(source)


def _recorded(source: Source) -> str | None:
    """A source as `config.json` records it: what can be read again, or None for arrays."""
    return None if isinstance(source, Digits) else os.fspath(source)

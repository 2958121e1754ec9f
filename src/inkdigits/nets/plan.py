"""What a training is told and what it is given: settings, digits, and what an earlier run says of both."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..digits.dataset import Digits, data_hash, join, overlap, pixel_hashes
from ..digits.formats import load_digits
from ..errors import InputError
from . import run
from .catalogue import Settings
from .distil import Teachers
from .run import Taken
from .trained import Trained

Source = str | os.PathLike[str] | Digits


@dataclass(frozen=True)
class Plan:
    """What is to be trained, on what, and whether an earlier run says so.

    earlier: the `config.json` that is gone on with or repeated, or None; its data must be found again.
    search: what a search for the settings is told (`trials`, `epochs` of each, `fixed` settings, the `settings` that it
        begins with), or None.
    taken: what a training on all digits takes over from one on a part of them, or None.
    teachers: the networks that it learns from beside the labels, or None.
    start: the network whose weights it begins with, or None.
    """

    settings: Settings
    source: Source
    extra: Sequence[Source]
    threads: int | None
    earlier: dict[str, Any] | None = None
    search: dict[str, Any] | None = None
    taken: Taken | None = None
    teachers: Teachers | None = None
    start: Trained | None = None

    @property
    def others(self) -> tuple[Trained, ...]:
        """The start and the teachers."""
        return (*((self.start,) if self.start else ()), *(self.teachers.each if self.teachers else ()))


def earlier_config(
    output: str | os.PathLike[str] | None,
    resume: bool,
    from_config: str | os.PathLike[str] | None,
    all_of: str | os.PathLike[str] | None,
    start_from: str | os.PathLike[str] | None,
) -> Path:
    """The `config.json` whose settings a training takes over: that of the start only where no other run is named.

    Raises InputError if there is no run to go on with in `output`.
    """
    if from_config is not None:
        return Path(from_config)
    for folder in (all_of, None if resume else start_from):
        if folder is not None:
            return Path(folder) / run.CONFIG
    return run.config_to_resume(output)


def need_no_network(net: str | None, target: str | None) -> None:
    """Raises InputError if a network or a preset is named beside an earlier run, which says that itself."""
    if net is not None or target is not None:
        named = "--net" if net is not None else "--target"
        raise InputError(named, "is what the earlier run says", mend="leave it out, or start a new run")


def plan_of(file: Path, source: Source | None, extra: Sequence[Source], threads: int | None, resume: bool) -> Plan:
    """The plan of the run that wrote this `config.json`, with other digits or threads where they are given."""
    settings, config = run.read_config(file)
    if source is None and config["source"] is None:
        raise InputError(file, "the run was given arrays", expected="the same digits again", mend="give them as source")
    return Plan(
        settings,
        config["source"] if source is None else source,
        extra or config["extra"],
        threads or config["platform"]["threads"],
        # To repeat with other digits on purpose is a new run with the same settings; the same names must mean the same
        # digits, and to go on is to go on with the same.
        config if resume or (source is None and not extra) else None,
        taken=Taken(**config["all_of"]) if "all_of" in config else None,
    )


def load_parts(plan: Plan, say: Callable[[str], None]) -> tuple[Digits, Digits | None]:
    """The training digits and the held-out ones; of `extra`, those whose pixels are held out are left out.

    Where all digits are trained on, nothing is held out.
    """
    digits = load_digits(plan.source, part="train")
    digits.need_labels("train on")
    if len(digits) < 2:
        raise InputError(digits.source, "too few digits", expected="at least 2", found=str(len(digits)))
    settings = plan.settings
    count, blocks = settings.held_out_of(len(digits)), settings.split == "blocks"
    kept, held = digits.split(count, seed=settings.split_seed, blocks=blocks)
    for source in plan.extra:
        added = load_digits(source, part="train")
        added.need_labels("train on")
        known = overlap(added.images, pixel_hashes(held.images))
        if known.all():
            say(f"{added.source}: all {len(added):,} digits are among those held out, and left out")
            continue
        if known.any():
            say(f"{added.source}: {known.sum():,} of {len(added):,} digits are among those held out, and left out")
            added = added.take(~known)
        kept = join([kept, added], f"{kept.source} and {added.source}")
    for part, some in (("train", kept), ("validation", held)):
        told = plan.taken.data if plan.taken else plan.earlier and plan.earlier["data"]
        recorded = told and told[part]["sha256"]
        if recorded and recorded != data_hash(some):
            mend = "give the same files, or start a new run"
            raise InputError(digits.source, "not the data that the run began with", mend=mend)
    if plan.taken:
        return join([kept, held], digits.source), None
    return kept, held

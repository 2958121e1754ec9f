"""What an ablation runs: a network with and without each part, with one change at a time, with more digits, in steps.

>>> study = plan_study("b-plain", digits=60_000)
>>> [cell.name for cell in study.cells][:4]
['plain', 'dropout', 'L2', 'dropout + L2']

Every run is a `Task` whose variant says in words what its settings change; a run that two questions need is made once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

from ..errors import InputError
from ..nets.catalogue import Settings, settings_for
from .trial import Task

PARTS = ("factors", "failures", "changes", "gap", "ladder")

SIZES = (1_250, 5_000)  # digits of the factorial; the networks learn from four fifths, 1,000 and 4,000
GAP_SIZES = (500, 1_250, 2_500, 5_000, 10_000, 20_000)  # of the question how overfitting goes with the digits
LADDER_SIZE = 20_000
FAILURES_SIZE = 5_000
HELD = 5  # one digit of so many is held out of the training, to set the model's sureness

# So many images are seen in a training at least, or so many epochs made: enough for the plain network to know its
# digits by heart, which is what the regularisers are there to prevent, and for these to gain more than they slow down.
IMAGES, MOST_EPOCHS = 80_000, 40

L2 = 5e-4  # of 1e-4 … 5e-3 the best for 1,000 digits, judged by held-out training digits; for 4,000 none helped

PLAIN, OWN = "plain", "as it is"


@dataclass(frozen=True)
class Factor:
    """A part that a network can have or not: the settings without and with it."""

    name: str
    off: dict[str, Any]
    on: dict[str, Any]


FACTORS = (
    Factor("dropout", {"dropout": 0.0}, {"dropout": None}),
    Factor("L2", {"weight_decay": 0.0}, {"weight_decay": L2}),
    Factor("batch norm", {"batch_norm": False}, {"batch_norm": True}),
)


@dataclass(frozen=True)
class Variant:
    """A network with some settings changed.

    name: what differs, in words; net: which network; changes: its settings by name.
    share: of the epochs that a study gives it; None for exactly those of its settings.
    """

    name: str
    net: str
    changes: dict[str, Any] = field(default_factory=dict)
    share: float | None = 1.0

    @property
    def settings(self) -> Settings:
        return settings_for(self.net, **self.changes)


@dataclass(frozen=True)
class Change:
    """One change of the network as it is: what kind of thing it is, and the variant that has it."""

    kind: str
    variant: Variant


@dataclass(frozen=True)
class Failure:
    """A result of system A that went wrong, as it was, and with the one change that is held to be the cause."""

    claim: str
    broken: Variant
    mended: Variant


@dataclass(frozen=True)
class Study:
    """All that is to be run for one network.

    Attributes
    ----------
    net, digits, seeds: which network, how many training digits there are, how many seeds.
    factors: what the network can have or not; cells: every combination of them, the plain one first.
    base: the network as it is, the base of the changes; changes: one each.
    rungs: from the network to `fast`, each with one change more than the one before.
    failures: of system A.
    sizes, changes_size, gap_sizes, ladder_size, failures_size: how many digits the factorial, the changes, the extremes
        (nothing and everything), the rungs and the failures are run with; nothing where a part is left out.
    most_epochs, images: how long a training lasts.
    """

    net: str
    digits: int
    seeds: int
    factors: tuple[Factor, ...]
    cells: tuple[Variant, ...]
    base: Variant
    changes: tuple[Change, ...]
    rungs: tuple[Variant, ...]
    failures: tuple[Failure, ...]
    sizes: tuple[int, ...]
    changes_size: int
    gap_sizes: tuple[int, ...]
    ladder_size: int
    failures_size: int
    most_epochs: float
    images: int

    def epochs(self, variant: Variant, size: int) -> float:
        """Passes over the digits learnt from: those of the network, or as many more as the study gives few digits."""
        own, learnt = float(variant.settings.epochs), size - size // HELD
        if variant.share is None:
            return own
        return variant.share * max(min(own, self.most_epochs), min(self.images / learnt, self.most_epochs))

    def task(self, variant: Variant, size: int, seed: int, budget: float) -> Task:
        changes = variant.changes | {"epochs": round(self.epochs(variant, size), 3), "validation": size // HELD}
        return Task(variant.net, size, seed, budget, True, variant.name, changes)

    def tasks(self, budget: float) -> list[Task]:
        """All runs, seed by seed: an interrupted study has everything for fewer seeds."""
        found: dict[str, Task] = {}
        for seed in range(self.seeds):
            for variant, size in self._runs():
                task = self.task(variant, size, seed, budget)
                found.setdefault(task.key, task)
        return list(found.values())

    def _runs(self) -> Iterator[tuple[Variant, int]]:
        yield from ((cell, size) for size in self.sizes for cell in self.cells)
        if self.failures_size:
            for failure in self.failures:
                yield failure.broken, self.failures_size
                yield failure.mended, self.failures_size
        if self.changes_size:
            yield self.base, self.changes_size
            yield from ((change.variant, self.changes_size) for change in self.changes)
        yield from ((cell, size) for size in self.gap_sizes for cell in self.extremes)
        if self.ladder_size:
            yield from ((rung, self.ladder_size) for rung in self.rungs)

    @property
    def extremes(self) -> tuple[Variant, Variant]:
        """The network with none and with all of the factors."""
        return self.cells[0], self.cells[-1]


def plan_study(
    net: str = "b-plain",
    *,
    digits: int,
    sizes: Sequence[int] | None = None,
    seeds: int = 5,
    parts: Sequence[str] = PARTS,
    most_epochs: float = MOST_EPOCHS,
    images: int = IMAGES,
) -> Study:
    """The study of a network by name.

    Parameters
    ----------
    digits: how many training digits there are; sizes: of the factorial, fewer than those.
    seeds: how often each run is made; parts: some of PARTS.
    most_epochs, images: of a training, at most and at least.

    Raises InputError for unknown networks and parts.
    """
    settings_for(net)  # an unknown name is answered before anything is built
    for part in parts:
        if part not in PARTS:
            raise InputError("--parts", "unknown part", expected=f"some of {', '.join(PARTS)}", found=part)
    factors = _factors(net)
    cells = tuple(_cell(net, factors, chosen) for chosen in _subsets(factors))
    own = settings_for(net)
    base = next((cell for cell in cells if cell.settings == own), Variant(OWN, net))
    usable = tuple(size for size in sizes or SIZES if size <= digits) or (digits,)
    return Study(
        net=net,
        digits=digits,
        seeds=seeds,
        factors=factors,
        cells=cells,
        base=base,
        changes=_changes(net, base) if "changes" in parts else (),
        rungs=_rungs(net, base) if "ladder" in parts else (),
        failures=FAILURES if "failures" in parts else (),
        sizes=usable if "factors" in parts else (),
        changes_size=max(usable) if "changes" in parts else 0,
        gap_sizes=tuple(sorted({*(s for s in GAP_SIZES if s <= digits), *usable})) if "gap" in parts else (),
        ladder_size=min(LADDER_SIZE, digits) if "ladder" in parts else 0,
        failures_size=min(FAILURES_SIZE, digits) if "failures" in parts else 0,
        most_epochs=most_epochs,
        images=images,
    )


def _subsets(factors: Sequence[Factor]) -> list[tuple[Factor, ...]]:
    return [chosen for count in range(len(factors) + 1) for chosen in combinations(factors, count)]


def _cell(net: str, factors: Sequence[Factor], chosen: Sequence[Factor]) -> Variant:
    changes: dict[str, Any] = {}
    for factor in factors:
        changes |= factor.on if factor in chosen else factor.off
    return Variant(" + ".join(factor.name for factor in chosen) or PLAIN, net, changes)


def _factors(net: str) -> tuple[Factor, ...]:
    """The factors that make a difference to the network: one without a layer for dropout has none to leave out."""
    from ..nets.zoo import build

    whole = str(build(settings_for(net, dropout=None, batch_norm=True)))
    layers = {"dropout": "Dropout", "batch norm": "BatchNorm", "L2": ""}
    return tuple(factor for factor in FACTORS if layers[factor.name] in whole)


_ONE_EACH: dict[str, tuple[tuple[str, dict[str, Any]], ...]] = {
    "initialisation": (
        ("all weights zero", {"initialisation": "zeros"}),
        ("PyTorch's uniform weights", {"initialisation": "pytorch"}),
        ("Glorot-uniform weights", {"initialisation": "glorot-uniform"}),
        ("He-normal weights", {"initialisation": "he-normal"}),
        ("He-uniform weights", {"initialisation": "he-uniform"}),
    ),
    "padding": (("padded convolutions", {"padding": "same"}), ("unpadded convolutions", {"padding": "valid"})),
    "width": (("half the filters", {"widen": 0.5}), ("twice the filters", {"widen": 2.0})),
    "depth": (("a layer fewer", {"depth": -1}), ("a layer more", {"depth": 1})),
    "augmentation": (
        ("digits shifted", {"augmentation": "shift"}),
        ("digits shifted, turned, scaled and sheared", {"augmentation": "affine"}),
        ("… and elastically distorted", {"augmentation": "elastic"}),
    ),
}


def _changes(net: str, base: Variant) -> tuple[Change, ...]:
    """The changes that make another network of it: what cannot be built, or is what it is already, is left out."""
    found = []
    for kind, several in _ONE_EACH.items():
        for name, changes in several:
            variant = Variant(name, net, base.changes | changes)
            if variant.settings != base.settings and _differs(variant, base):
                found.append(Change(kind, variant))
    return tuple(found)


def _differs(variant: Variant, base: Variant) -> bool:
    from ..nets.zoo import build

    shape = {"padding", "widen", "depth"} & set(variant.changes)
    try:
        made = build(variant.settings)
    except InputError:
        return False
    return not shape or str(made) != str(build(base.settings))


def _rungs(net: str, base: Variant) -> tuple[Variant, ...]:
    """From the network to `fast`, one change more on each rung; a change that changes nothing has none."""
    fast = settings_for("fast")
    taken = ("augmentation", "shift", "turn", "scale", "shear")
    steps: tuple[tuple[str, dict[str, Any]], ...] = (
        ("a learning rate that rises to 0.003 and falls to 0", {"schedule": "one-cycle", "learning_rate": 0.003}),
        ("batch norm", {"batch_norm": True}),
        ("label smoothing", {"label_smoothing": fast.label_smoothing}),
        ("digits shifted, turned, scaled and sheared", {name: getattr(fast, name) for name in taken}),
        ("the layers of fast", {"net": "fast", "initialisation": fast.initialisation}),
        ("its optimiser", {name: getattr(fast, name) for name in ("optimiser", "learning_rate", "beta2", "warmup")}),
    )
    rungs, now = [base], base.settings
    for name, changes in steps:
        before, now = now, replace(now, **changes)
        if now != before:
            rungs.append(Variant(f"ladder: {name}", now.net, _beyond_own(now)))
    if fast.epochs < now.epochs:
        name = f"ladder: its epochs, {fast.epochs:g} for every {now.epochs:g}"
        rungs.append(Variant(name, "fast", _beyond_own(now), fast.epochs / now.epochs))
    return tuple(rungs)


def _beyond_own(settings: Settings) -> dict[str, Any]:
    """The settings that are not their network's own."""
    own = settings_for(settings.net).as_dict()
    return {name: value for name, value in settings.as_dict().items() if value != own[name]}


FAILURES = (
    Failure(
        "a-conv2 never learnt",
        Variant("Adadelta at a rate of 0.001", "a-conv2", share=None),
        Variant("Adadelta at a rate of 1, as in its paper", "a-conv2", {"learning_rate": 1.0}, share=None),
    ),
    Failure(
        "a-conv5 collapsed, which system A called overfitting",
        Variant("running values that keep 99 % a step", "a-conv5", share=None),
        Variant("running values that keep 90 % a step", "a-conv5", {"norm_memory": 0.9}, share=None),
    ),
)

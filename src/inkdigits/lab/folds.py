"""Out-of-fold probabilities: what a model says of digits that it has not learnt from, for every digit of a set.

>>> found = doubtful(load_digits("mnist:train"))
>>> found.flagged, found.first[0]

The set is cut into folds; each is answered by a network that learnt from the others. So even the digits that are there
to learn from can be asked for their doubtful labels.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..digits.dataset import CLASSES, Digits, Labels
from ..errors import InputError
from ..nets.catalogue import settings_for
from ..reader.model import load_model
from .doubt import Doubts, doubts_of
from .networks import epochs_for

FOLDS = 5  # four fifths of the digits to learn from are nearly as good as all
NET, TARGET = "fast", "99.0"  # the quickest: 99.2 % is enough to find a wrong label

Floats = NDArray[np.float32]


def doubtful(
    digits: Digits,
    *,
    folds: int = FOLDS,
    seed: int = 0,
    threads: int | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Doubts:
    """The labels in doubt among digits to learn from, by `out_of_fold`. Raises InputError as that does."""
    probabilities = out_of_fold(digits, folds=folds, seed=seed, threads=threads, say=say)
    return doubts_of(probabilities, digits.need_labels("doubt"))


def out_of_fold(
    digits: Digits,
    *,
    folds: int = FOLDS,
    seed: int = 0,
    threads: int | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Floats:
    """Probabilities float32 (N, 10) of each digit, by a network that learnt from the other folds alone.

    Parameters
    ----------
    digits: with labels, two of each class that occurs; equal images may be on both sides of a fold.
    folds: how many trainings, each of `fast` with its quickest preset; of few digits it makes more epochs.
    seed: of the folds, which have the classes' shares, and of the trainings.
    threads: as in `train`. say: gets a line a fold.

    Raises InputError without labels or with fewer digits of a class than that, MissingExtraError without PyTorch.
    """
    labels = labels_to_fold(digits)
    from ..nets.train import train

    fold = folds_of(labels, folds, seed=seed)
    probabilities = np.zeros((len(digits), CLASSES), np.float32)
    settings = settings_for(NET, target=TARGET, seed=seed).as_dict()
    for number in range(folds):
        held = fold == number
        kept = digits.take(~held, source=f"{digits.source} without fold {number + 1}")
        told = settings | {"epochs": epochs_for(settings, len(kept))}
        with tempfile.TemporaryDirectory(prefix="inkdigits-") as folder:
            run = train(kept, output=Path(folder) / "run", threads=threads, **told)
            model = load_model(run.folder, threads=threads)
            probabilities[held] = model.predict(digits.images[held]).probabilities
        right = float((probabilities[held].argmax(axis=1) == labels[held]).mean())
        say(f"fold {number + 1}/{folds}: {right:.2%} of {held.sum():,} digits read as labelled")
    return probabilities


def labels_to_fold(digits: Digits) -> Labels:
    """The labels of digits that can be cut into folds. Raises InputError for others."""
    labels = digits.need_labels("doubt")
    rare = [f"{n} of class {label}" for label, n in enumerate(np.bincount(labels, minlength=CLASSES)) if n == 1]
    if rare:
        raise InputError(digits.source, "too few to cut into folds", expected="2 of each class", found=", ".join(rare))
    return labels


def folds_of(labels: NDArray[np.integer], folds: int, *, seed: int) -> NDArray[np.int64]:
    """The fold 0…folds − 1 of each digit (N,), drawn class by class: a class is in all of them alike, to within one."""
    if not 2 <= folds <= len(labels):
        raise InputError("folds", "out of range", expected=f"2 to {len(labels)}", found=str(folds))
    rng = np.random.default_rng(seed)
    order = np.concatenate([rng.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)])
    fold = np.empty(len(labels), np.int64)
    fold[order] = np.arange(len(labels)) % folds
    return fold

"""Does label doubt find labels that are wrong?

    $ .venv/bin/python benchmarks/doubt.py [--threads N]

Three answers go to benchmarks/results/doubt.json. How many of the 15 labels of MNIST's test part that people contest
are among the first 50 and 100 of 10,000, by the shipped model: in the order that the reports use, and beside it in the
two other orders that are common. Which training digits come first, by networks that did not learn from them. And how
many of 600 training labels are found that were exchanged for another digit at random, which says how good the method
is where it is known what is wrong. About four minutes on two cores.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from common import commit, machine, write_result
from numpy.typing import NDArray

from inkdigits.digits.dataset import CLASSES, Digits
from inkdigits.digits.formats import load_digits
from inkdigits.digits.mnist import CONTESTED_LABELS, NO_CONSENSUS
from inkdigits.lab.doubt import doubts_of
from inkdigits.lab.folds import FOLDS, NET, TARGET, out_of_fold
from inkdigits.reader.model import load_model

MODEL = "reader"
FIRST = (50, 100)
EXCHANGED = 600  # of 60,000: one in a hundred
NAMED = 20  # of the training digits

Floats = NDArray[np.float64]


def orders(probabilities: Floats, labels: NDArray[np.uint8]) -> dict[str, NDArray[np.intp]]:
    """The digits (N,), most doubtful first, by each measure."""
    own = probabilities[np.arange(len(labels)), labels]
    safe = np.maximum(probabilities, np.finfo(np.float32).tiny)
    entropy = -(probabilities * np.log(safe)).sum(axis=1) / np.log(CLASSES)
    weighted = entropy / np.maximum(own, np.finfo(np.float32).tiny)
    margin = [doubt.index for doubt in doubts_of(probabilities, labels, most=None).first]
    return {
        "normalised margin": np.array(margin),
        "self-confidence": np.argsort(own, kind="stable"),
        "confidence-weighted entropy": np.argsort(-weighted, kind="stable"),
    }


def contested() -> dict[str, Any]:
    test = load_digits("mnist:test")
    labels = test.need_labels("doubt")
    probabilities = load_model(MODEL).predict(test.images).probabilities.astype(np.float64)
    known = [*CONTESTED_LABELS, *NO_CONSENSUS]
    found = {
        name: {str(first): int(np.isin(order[:first], known).sum()) for first in FIRST}
        for name, order in orders(probabilities, labels).items()
    }
    doubts = doubts_of(probabilities, labels)
    counts = {"n": doubts.n, "contested": len(known), "flagged": doubts.flagged, "misread": doubts.disputed}
    return {"model": MODEL} | counts | {"contested_among_first": found}


def training(train: Digits, threads: int | None) -> dict[str, Any]:
    doubts = doubts_of(out_of_fold(train, threads=threads, say=print), train.need_labels("doubt"))
    first = [doubt.as_dict() for doubt in doubts.first[:NAMED]]
    return {"n": doubts.n, "flagged": doubts.flagged, "disputed": doubts.disputed, "first": first}


def exchanged(train: Digits, threads: int | None) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    labels = train.need_labels("spoil").copy()
    wrong = rng.choice(len(labels), EXCHANGED, replace=False)
    labels[wrong] = (labels[wrong] + rng.integers(1, CLASSES, EXCHANGED)) % CLASSES
    probabilities = out_of_fold(Digits(train.images, labels, train.source), threads=threads, say=print)
    doubts = doubts_of(probabilities, labels, most=None)
    flagged = [doubt for doubt in doubts.first if doubt.flagged]
    right = train.need_labels("compare with")
    return {
        "exchanged": EXCHANGED,
        "flagged": len(flagged),
        "flagged_and_exchanged": int(np.isin([doubt.index for doubt in flagged], wrong).sum()),
        "flagged_and_rightly_suggested": sum(doubt.suggested == int(right[doubt.index]) for doubt in flagged),
        "exchanged_among_first": int(np.isin([doubt.index for doubt in doubts.first[:EXCHANGED]], wrong).sum()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int)
    threads = parser.parse_args().threads
    train = load_digits("mnist:train")
    content = {
        "command": "python benchmarks/doubt.py",
        "machine": machine(),
        "commit": commit(),
        "test": contested(),
        "folds": {"folds": FOLDS, "net": NET, "target": TARGET},
        "training": training(train, threads),
        "planted": exchanged(train, threads),
    }
    for name in ("test", "training", "planted"):
        print(name, content[name])
    print(write_result("doubt", content))


if __name__ == "__main__":
    main()

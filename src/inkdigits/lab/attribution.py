"""Why a model reads a digit as it does, found from its answers alone: no gradients, so any classifier will do.

>>> answer = lambda images: model.predict(images).probabilities
>>> change = smallest_change(image, answer)
>>> change.digit, round(change.added, 1), round(change.removed, 1)
(9, 6.6, 0.0)

Everything here works on digit images uint8 (28, 28) and on a function that answers many of them at once. What is
measured is evidence: how far the log-odds of the model's answer fall when a part of the image is no longer what it is.
Probabilities themselves hardly move while a model is sure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..digits.dataset import SIDE, Images

BRUSHES = (1.0, 2.0, 3.0)  # radii in pixels of the windows that are averaged; a stroke is 2 to 4 pixels wide
CHANGE_BRUSHES = (0.6, 1.4)  # and of the dabs that a smallest change is made of: a fine pen, a stroke's width
MASKS = 2_000  # random masks: with more, the map of a digit hardly changes any more
CELLS = 7  # a random mask is this many cells wide before it is made smooth: 4 pixels, a stroke's width
MOST_DABS = 8  # of a change: what takes more is another digit, not a small change; 2⁸ subsets are tried at the end
TOUCH = 0.5  # pixels between a dab and the ink that it prolongs, at most
LEAST_DAB = 0.25  # pixels of ink: less is not seen
FLOOR = 1e-6  # of a probability: the log-odds of a float32 one beyond that are rounding

Floats = NDArray[np.floating]
Answer = Callable[[Images], NDArray[np.float32]]  # digit images (N, 28, 28) → probabilities (N, 10)


@dataclass(frozen=True, eq=False)
class Change:
    """A small change of the ink after which the model reads another digit.

    Attributes
    ----------
    image: uint8 (28, 28), what it then sees.
    digit, probability: what it then says, and how sure it is.
    added, removed: ink, in pixels from white to black.
    """

    image: NDArray[np.uint8]
    digit: int
    probability: float
    added: float
    removed: float


def evidence(probabilities: Floats, digit: int) -> NDArray[np.float64]:
    """The log-odds (N,) of `digit` in probabilities (N, 10), in nats."""
    chance = np.clip(probabilities[:, digit].astype(np.float64), FLOOR, 1 - FLOOR)
    return np.log(chance / (1 - chance))


@lru_cache(maxsize=16)
def brush(radius: float) -> NDArray[np.float32]:
    """A round dab of this radius in pixels at every place: float32 (784, 28, 28) in 0…1, soft at its edge."""
    row, column = np.mgrid[:SIDE, :SIDE].reshape(2, -1).astype(np.float32)
    across, down = column[:, None] - column[None], row[:, None] - row[None]
    dabs: NDArray[np.float32] = np.clip(radius + 0.5 - np.hypot(across, down), 0, 1).astype(np.float32)
    dabs = dabs.reshape(-1, SIDE, SIDE)
    dabs.flags.writeable = False  # kept, and given to everybody who asks
    return dabs


def inked(image: NDArray[np.uint8], dabs: NDArray[np.float32]) -> Images:
    """The image with full ink where the dabs (N, 28, 28) are: one image for each, uint8 (N, 28, 28)."""
    return np.maximum(image, (255 * dabs).round().astype(np.uint8))


def erased(image: NDArray[np.uint8], dabs: NDArray[np.float32]) -> Images:
    """The image with the ink taken away where the dabs (N, 28, 28) are: one image for each, uint8 (N, 28, 28)."""
    return np.minimum(image, (255 * (1 - dabs)).round().astype(np.uint8))


def occlusion(image: NDArray[np.uint8], answer: Answer, digit: int) -> NDArray[np.float32]:
    """What each pixel is worth to the answer `digit`: float32 (28, 28), in nats of its log-odds.

    A round window slides over the image (Zeiler & Fergus, "Visualizing and understanding convolutional networks",
    2014), in several sizes. On ink it takes the ink away, on paper it puts ink there: in a digit the gaps say as much
    as the strokes. A pixel is worth what is lost, on average, by the windows that cover it; below zero, what is won.
    """
    before = evidence(answer(image[None]), digit)[0]
    ink = image / np.float32(255)
    worth = []
    for radius in BRUSHES:
        dabs = brush(radius)
        cover = np.maximum(dabs.sum(0), 1e-6)
        losses = []
        for changed in (erased(image, dabs), inked(image, dabs)):
            loss = np.zeros(len(dabs))
            touched = (changed != image).any(axis=(1, 2))
            loss[touched] = before - evidence(answer(changed[touched]), digit)
            losses.append(np.tensordot(loss, dabs, 1) / cover)
        worth.append(losses[0] * ink + losses[1] * (1 - ink))
    return np.asarray(np.mean(worth, axis=0), np.float32)


def random_masks(
    image: NDArray[np.uint8], answer: Answer, digit: int, *, others: Images, rng: np.random.Generator, n: int = MASKS
) -> NDArray[np.float32]:
    """The same by another way: float32 (28, 28), in nats, from `n` images that are this one only in random places.

    Smooth random masks as in RISE (Petsiuk, Das & Saenko, 2018), under which the image is kept; where it is not, one of
    the `others` (M, 28, 28) shows through, so that empty places count too (RISE itself puts black there). A pixel is
    worth the mean log-odds where it was kept, less the mean where it was not.
    """
    keep = smooth_masks(n, rng)
    behind = others[rng.integers(len(others), size=n)]
    mixed = (keep * image + (1 - keep) * behind).round().astype(np.uint8)
    odds = evidence(answer(mixed), digit).astype(np.float32)
    kept = np.tensordot(odds, keep, 1) / keep.sum(0)
    left = np.tensordot(odds, 1 - keep, 1) / (1 - keep).sum(0)
    return np.asarray(kept - left, np.float32)


def smooth_masks(n: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Random masks float32 (n, 28, 28) in 0…1: coarse cells, half of them kept, enlarged linearly and shifted."""
    cells = rng.integers(2, size=(n, CELLS + 2, CELLS + 2)).astype(np.float32)
    step = SIDE / CELLS
    starts = rng.uniform(0, 1, size=(n, 2)).astype(np.float32)
    places = starts[:, :, None] + np.arange(SIDE, dtype=np.float32) / step
    below = places.astype(np.intp)
    part = places - below
    each = np.arange(n)[:, None]
    rows = (
        cells[each, below[:, 0]] * (1 - part[:, 0])[..., None] + cells[each, below[:, 0] + 1] * part[:, 0][..., None]
    ).transpose(0, 2, 1)
    mask = rows[each, below[:, 1]] * (1 - part[:, 1])[..., None] + rows[each, below[:, 1] + 1] * part[:, 1][..., None]
    return np.ascontiguousarray(mask.transpose(0, 2, 1))


def together(*maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Maps of different methods as one, float32 (28, 28) in −1…1: their mean, each scaled by its largest value."""
    scaled = [part / max(float(np.abs(part).max()), 1e-6) for part in maps]
    return np.asarray(np.mean(scaled, axis=0), np.float32)


def smallest_change(image: NDArray[np.uint8], answer: Answer) -> Change | None:
    """A change of as little ink as could be found after which the model reads another digit, or None.

    A search from the answers alone: dab by dab, ink is added (or else taken away) where that brings another digit
    closest, until it is ahead; of all subsets of these dabs, the one with the least ink that is enough is kept. Ink is
    added only where it touches ink, as a pen would. Adding or taking away, whichever is less; both only where neither
    is enough alone. It is an upper bound: a smaller change may exist.
    """
    for ways in (((True,), (False,)), ((True, False),)):
        found = [change for kinds in ways if (change := _change_by(image, answer, kinds)) is not None]
        if found:
            return min(found, key=lambda change: change.added + change.removed)
    return None


def _change_by(image: NDArray[np.uint8], answer: Answer, kinds: tuple[bool, ...]) -> Change | None:
    """The smallest change by adding ink (True), taking it away (False) or both."""
    said = int(answer(image[None])[0].argmax())
    dabs: list[tuple[bool, NDArray[np.float32]]] = []
    current = image
    while len(dabs) < MOST_DABS:
        tried = [(adds, _candidates(current, image, adds)) for adds in kinds]
        changed = np.concatenate([(inked if adds else erased)(current, brushes) for adds, brushes in tried])
        if len(changed) == 0:
            return None
        lead = _lead(answer(changed), said)
        amount = np.abs(changed.astype(np.float32) - current).sum(axis=(1, 2)) / 255
        lead[amount < LEAST_DAB] = np.inf
        ahead = np.flatnonzero(lead < 0)
        best = int(ahead[amount[ahead].argmin()] if len(ahead) else lead.argmin())
        if not np.isfinite(lead[best]):
            return None
        dabs.append([(adds, dab) for adds, brushes in tried for dab in brushes][best])
        current = changed[best]
        if len(ahead):
            return _least(image, dabs, answer, said)
    return None


def _candidates(image: NDArray[np.uint8], original: NDArray[np.uint8], adds: bool) -> NDArray[np.float32]:
    """The dabs (N, 28, 28) that may be added, where they touch ink, or taken away, on the original's ink."""
    chosen = []
    for radius in CHANGE_BRUSHES:
        places = (brush(radius + TOUCH) * (image > 127)).any(axis=(1, 2)) if adds else original.ravel() > 63
        # On blank paper ink may go anywhere, and there is none to take away.
        chosen.append(brush(radius)[places if places.any() or not adds else slice(None)])
    return np.concatenate(chosen)


def _lead(probabilities: Floats, digit: int) -> NDArray[np.float64]:
    """How far `digit` is ahead of the likeliest other one (N,), in nats."""
    logs = np.log(np.maximum(probabilities.astype(np.float64), 1e-12))
    own = logs[:, digit].copy()
    logs[:, digit] = -np.inf
    lead: NDArray[np.float64] = own - logs.max(axis=1)
    return lead


def _least(image: NDArray[np.uint8], dabs: list[tuple[bool, NDArray[np.float32]]], answer: Answer, said: int) -> Change:
    """The subset of the dabs that still changes the answer with the least ink; the whole set does."""
    subsets = np.array([[subset >> place & 1 for place in range(len(dabs))] for subset in range(1, 2 ** len(dabs))])
    images = []
    for subset in subsets:
        changed = image
        for used, (adds, dab) in zip(subset, dabs, strict=True):
            if used:
                changed = (inked if adds else erased)(changed, dab[None])[0]
        images.append(changed)
    stack = np.stack(images)
    probabilities = answer(stack)
    difference = (stack.astype(np.float32) - image) / 255
    amount = np.abs(difference).sum(axis=(1, 2))
    amount[_lead(probabilities, said) >= 0] = np.inf
    best = int(amount.argmin())
    digit = int(probabilities[best].argmax())
    return Change(
        image=stack[best],
        digit=digit,
        probability=float(probabilities[best, digit]),
        added=float(difference[best].clip(min=0).sum()),
        removed=float((-difference[best]).clip(min=0).sum()),
    )


def nearest(features: Floats, among: Floats, n: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The rows of `among` (M, D) nearest to one row of `features` (D,): their places (n,) and Euclidean distances."""
    distances = np.linalg.norm(among - features, axis=1).astype(np.float64)
    n = min(n, len(distances))
    first = np.argpartition(distances, n - 1)[:n]
    order = first[np.argsort(distances[first], kind="stable")]
    return order, distances[order]


def place_of(where: Floats, image: NDArray[np.uint8]) -> str:
    """Where in the digit the weight (28, 28) lies, in words: `top left`, `middle`, `bottom` …"""
    ink = np.argwhere(image > 63)
    if len(ink) == 0:
        ink = np.argwhere(np.ones_like(image))
    (top, left), (bottom, right) = ink.min(0), ink.max(0)
    total = float(where.sum())
    row = float((where.sum(axis=1) * np.arange(SIDE)).sum()) / total
    column = float((where.sum(axis=0) * np.arange(SIDE)).sum()) / total
    down = (row - top) / max(bottom - top, 1)
    # A narrow digit, most of all a 1, has no left and right.
    across = 0.5 if right - left < 8 else (column - left) / (right - left)
    vertical = "top" if down < 1 / 3 else "bottom" if down > 2 / 3 else ""
    horizontal = "left" if across < 1 / 3 else "right" if across > 2 / 3 else ""
    return " ".join(filter(None, (vertical, horizontal))) or "middle"

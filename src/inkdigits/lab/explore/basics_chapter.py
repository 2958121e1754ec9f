"""The first chapters: what is in the set, and which of its digits are strange, doubled or perhaps mislabelled."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ...digits.dataset import CLASSES, PIXELS, SIDE
from ..doubt import doubts_of
from ..doubt_report import doubt_gallery, doubt_words
from ..evaluation import contested_in
from ..report import (
    BLUE,
    INK,
    MUTED,
    ORANGE,
    Strip,
    Tile,
    a_digit,
    counted,
    gallery,
    listed,
    new_figure,
    percent,
    prose,
    strips,
    subheading,
    table,
    tidy,
)
from ..score import rounded
from .basics import INKED, Column, characters, class_images, column, duplicates, ink
from .chapter import Block, CannotSayError, Chapter, Part, Plate
from .maps import votes
from .scene import Scene

HEAD = 5  # rows, as head() gives
COLUMNS = (0, 210, 322, 406, 490, 574, 783)  # pixels of the table shown: corners and down the middle
EACH = 12  # digits of a row
PAIRS = 12
FULL = 250  # grey from which a pixel is as good as ink: pens in MNIST end at 252 to 255
VOTERS = 15  # neighbours whose classes make a digit's probabilities
NAMED = {None: "all digits"} | {label: f"{label}" for label in range(CLASSES)}


def counts(scene: Scene) -> Part:
    """How many digits of each class, by part."""
    labels = scene.labels
    facts: dict[str, Any] = {"digits": len(scene), "of": scene.total}
    of = "" if len(scene) == scene.total else f", a sample of the {scene.total:,} there are"
    if labels is None:
        facts["parts"] = {name: len(part) for name, part in scene.parts.items()}
        sentence = f"There are {counted(len(scene), 'digit')}{of}. Nobody has said which they are."
        return Part(facts, (prose(sentence),), (f"{counted(len(scene), 'digit')}, no labels",))
    by_part = {
        name: np.bincount(part.need_labels("count"), minlength=CLASSES).tolist() for name, part in scene.parts.items()
    }
    facts["parts"] = by_part
    total = np.sum(list(by_part.values()), axis=0)
    most, least = int(total.argmax()), int(total.argmin())
    sentence = f"There are {counted(len(scene), 'digit')}{of}."
    if total[least]:
        ratio = total[most] / total[least]
        sentence += f" The commonest, {most}, occurs {ratio:.2f} times as often as the rarest, {least}."
    else:
        missing = listed([str(label) for label in range(CLASSES) if not total[label]], last="or")
        sentence += f" There is no {missing}."
    rows = [
        [str(label), *(f"{values[label]:,}" for values in by_part.values()), percent(total[label] / len(scene), 1)]
        for label in range(CLASSES)
    ]
    plate = Plate("counts", _counts_figure(total), alt="digits of each class as bars", caption="Digits of each class.")
    shown = table(["digit", *by_part, "share"], rows, caption="Digits of each class and part.")
    return Part(facts, (prose(sentence), (plate, shown)), (sentence,))


def rows(scene: Scene) -> Part:
    """Head and summary of the table."""
    flat, labels = scene.images.reshape(len(scene), PIXELS), scene.labels
    names = [f"pixel{pixel}" for pixel in COLUMNS]
    head = [[str(value) for value in flat[row, COLUMNS]] for row in range(min(HEAD, len(scene)))]
    if labels is not None:
        names = ["label", *names]
        head = [[str(labels[row]), *cells] for row, cells in enumerate(head)]
    described = [column(f"pixel{pixel}", flat[:, pixel]) for pixel in COLUMNS]
    if labels is not None:
        described = [column("label", labels), *described]
    facts = {
        "head": [dict(zip(names, map(int, cells), strict=True)) for cells in head],
        "describe": {one.name: _column_facts(one) for one in described},
    }
    blocks = (
        subheading("The table"),
        table(
            ["row", *names],
            [[scene.name(row), *cells] for row, cells in enumerate(head)],
            caption=f"The first of these rows: 784 pixels each, 0 = paper, 255 = ink, {len(COLUMNS)} of them shown.",
        ),
        table(
            ["column", "mean", "sd", "least", "25 %", "50 %", "75 %", "most"],
            [_column_row(one) for one in described],
            caption=f"Summary of these columns over {counted(len(scene), 'row')}.",
        ),
    )
    return Part(facts, blocks)


def _column_facts(one: Column) -> dict[str, Any]:
    low, middle, high = one.quartiles
    return {
        "count": one.count, "mean": rounded(one.mean), "sd": rounded(one.deviation), "min": one.least,
        "25%": low, "50%": middle, "75%": high, "max": one.most,
    }  # fmt: skip


def _column_row(one: Column) -> list[str]:
    numbers = (one.mean, one.deviation, one.least, *one.quartiles, one.most)
    return [one.name, *("–" if np.isnan(number) else f"{number:.4g}" for number in numbers)]


def pixels(scene: Scene) -> Part:
    """How dark the pixels are, and which never carry ink."""
    values = np.zeros(256, np.int64)
    for block in np.array_split(scene.images, 1 + len(scene) // 2000):  # counting widens each pixel to 8 bytes
        values += np.bincount(block.ravel(), minlength=256)
    shares = values / values.sum()
    ever = scene.images.max(axis=0) > 0
    never = int((~ever).sum())
    full = float(shares[FULL:].sum())
    grey = 1 - float(shares[0]) - full
    facts = {
        "histogram": [int(count) for count in values],
        "mean": rounded(float(shares @ np.arange(256))),
        "paper": rounded(float(shares[0])),
        "full_ink": rounded(full),
        "never_inked": never,
    }
    words = (
        f"{percent(float(shares[0]), 1)} of all pixels are paper, {percent(full, 1)} full ink ({FULL} and more), and "
        f"{percent(grey, 1)} the greys between, which are the edges of strokes."
    )
    blank = f"{never} of the 784 pixels are paper in every image; they say nothing about any digit."
    plate = Plate("pixels", _pixels_figure(shares), alt="share of the pixels by grey", caption=words)
    where = Plate("never-inked", _never_figure(ever), alt="the pixels that are inked in some image", caption=blank)
    return Part(facts, (subheading("Pixels"), (plate, where)), (blank,))


def ink_of_digits(scene: Scene) -> Part:
    """How much ink the digits of each class have."""
    share = ink(scene.images)
    groups = (
        [(f"{label}", share[scene.labels == label]) for label in np.unique(scene.labels)]
        if (scene.labels is not None)
        else [("all", share)]
    )
    facts = {
        name: {"mean": rounded(float(values.mean())), "sd": rounded(float(values.std()))} for name, values in groups
    }
    most = max(groups, key=lambda group: group[1].mean())
    least = min(groups, key=lambda group: group[1].mean())
    words = f"Share of an image's pixels that are ink (over {INKED - 1}): middle half and nine tenths of the digits."
    if len(groups) > 1 and least[1].mean() > 0:
        times = most[1].mean() / least[1].mean()
        words += f" {a_digit(most[0]).capitalize()} has {times:.1f} times the ink of {a_digit(least[0])}."
    plate = Plate("ink", _ink_figure(groups), alt="ink of the digits of each class", caption=words)
    return Part(facts, (plate,))


def faces(scene: Scene) -> Part:
    """Mean, median and spread of each class."""
    found = class_images(scene.images, scene.labels).values()
    kinds = {
        "Mean": ("the digit out of focus: the blur is where hands differ", [of.mean for of in found]),
        "Median": ("what most writers share", [of.median for of in found]),
        "Standard deviation": ("where they differ: the outlines", [of.deviation for of in found]),
    }
    rows = [
        Strip(np.stack(pictures), alt=f"{name.lower()} of each class", title=name, figure="", lines=(about,))
        for name, (about, pictures) in kinds.items()
    ]
    return Part({}, (subheading("Faces of the classes"), strips(rows)))


def odd(scene: Scene) -> Part:
    """Typical, odd and ambiguous digits."""
    if scene.near.k == 0:
        raise CannotSayError("A single digit is neither typical nor odd.")
    shares = None if scene.labels is None else votes(scene.near.first(VOTERS), scene.labels)
    found = characters(scene.near, scene.labels, shares, each=EACH)
    reach = scene.near.distances.mean(axis=1)
    facts = {
        "typical": {NAMED[label]: [scene.name(int(at)) for at in places] for label, places in found.typical.items()},
        "odd": [scene.name(int(at)) for at in found.odd],
        "ambiguous": [scene.name(int(at)) for at in found.ambiguous],
    }
    blocks = [
        prose("Typical digits lie nearest to others; of each class the first ones."),
        strips(
            Strip(
                scene.images[places], alt=f"typical digits: {NAMED[label]}", title=NAMED[label].capitalize(),
                figure=f"{reach[places].mean():.1f}", lines=("mean distance to the neighbours",),
            )
            for label, places in found.typical.items()
        ),
        subheading("Odd"),
        prose(
            f"The digits that lie farthest from their {scene.near.k} nearest: thick pens, slips, unusual forms. "
            "Distances here are in the first principal components."
        ),
        gallery(_tile(scene, int(at), f"{reach[at]:.1f} away") for at in found.odd),
    ]  # fmt: skip
    if shares is not None and len(found.ambiguous):
        blocks += [
            subheading("Ambiguous"),
            prose(
                f"Digits whose {VOTERS} nearest neighbours are of several classes in the most equal shares, with the "
                "classes of these neighbours."
            ),
            gallery(_tile(scene, int(at), _voters(scene, int(at))) for at in found.ambiguous),
        ]
    return Part(facts, tuple(blocks))


def _tile(scene: Scene, at: int, line: str) -> Tile:
    title = "–" if scene.labels is None else str(scene.labels[at])
    return Tile(scene.images[at], alt=f"{scene.name(at)}, labelled {title}", title=title, lines=(line, scene.name(at)))


def _voters(scene: Scene, at: int) -> str:
    """The classes of a digit's neighbours, the commonest first."""
    assert scene.labels is not None
    counts = np.bincount(scene.labels[scene.near.places[at, :VOTERS]], minlength=CLASSES)
    return " ".join(str(label) * counts[label] for label in np.argsort(-counts, kind="stable") if counts[label])


def doubled(scene: Scene) -> Part:
    """Exact and near duplicates, and what stands in two parts."""
    if len(scene) < 2:
        raise CannotSayError("A single digit has no duplicate.")
    found = duplicates(scene, most=PAIRS)
    sample = "" if len(scene) == scene.total else " of this sample"
    repeating = counted(found.exact, "digit repeats", "digits repeat")
    said = (
        f"{repeating} another one{sample} pixel by pixel"
        if found.exact
        else f"No two of the digits{sample} are equal pixel by pixel"
    )
    disputed = f"{counted(found.disputed, 'digit has', 'digits have')} a copy that is labelled otherwise."
    across = _across(found.between, sample, several=len(scene.parts) > 1)
    facts = {
        "among": len(scene),
        "exact": found.exact,
        "copies_labelled_otherwise": found.disputed,
        "between": found.between,
        "nearest_pairs": [
            {"first": scene.name(int(a)), "second": scene.name(int(b)), "distance": rounded(float(apart))}
            for (a, b), apart in zip(found.pairs, found.distances, strict=True)
        ],
    }
    words = prose(f"{said}.", disputed if found.disputed else "", *across)
    blocks: list[Block] = [subheading("Duplicates"), words]
    if len(found.pairs):
        which = (
            "The two digits of each class that come nearest to it, and the two of different classes"
            if scene.labels is not None
            else "The pairs that come nearest to it"
        )
        blocks += [
            prose(f"{which}, with the distance between their pixels (from paper to ink in one pixel is 1)."),
            _two_columns(
                Strip(
                    scene.images[[a, b]], alt=f"{scene.name(int(a))} and {scene.name(int(b))}",
                    title=_pair_labels(scene, int(a), int(b)), figure=f"{apart:.2f}",
                    lines=(f"{scene.name(int(a))}, {scene.name(int(b))}",),
                )
                for (a, b), apart in zip(found.pairs, found.distances, strict=True)
            ),
        ]  # fmt: skip
    return Part(facts, tuple(blocks), (said,))


def _across(between: dict[str, int], sample: str, *, several: bool) -> list[str]:
    """What `duplicates` counted between two parts, named "PART in OTHER", in sentences."""
    named = [(part, other, count) for name, count in between.items() for part, other in [name.split(" in ")]]
    parts = list(dict.fromkeys(part for part, _, _ in named))

    def of(part: str) -> str:
        return f" of {part}{' in this sample' if sample else ''}" if several else sample

    if not any(count for _, _, count in named):
        return [
            f"No digit{of(part)} stands in {listed([other for own, other, _ in named if own == part], last='or')}."
            for part in parts
        ]
    return [
        f"{counted(count, f'digit{of(part)} stands', f'digits{of(part)} stand')} in {other} as well."
        for part, other, count in named
        if count
    ]


def _two_columns(rows: Iterable[Strip]) -> tuple[str, ...]:
    listed = list(rows)
    half = -(-len(listed) // 2)
    return tuple(strips(part) for part in (listed[:half], listed[half:]) if part)


def _pair_labels(scene: Scene, first: int, second: int) -> str:
    if scene.labels is None:
        return "Two digits"
    return f"{scene.labels[first]} and {scene.labels[second]}"


def doubt(scene: Scene) -> Part:
    """The labels that a digit's neighbours dispute."""
    labels = scene.labels
    if labels is None:
        raise CannotSayError("Nobody has said which digits these are, so no label can be wrong.")
    if scene.near.k < VOTERS:
        raise CannotSayError(f"To doubt a label takes {VOTERS} neighbours, and here are {scene.near.k}.")
    if len(np.unique(labels)) < 2:
        raise CannotSayError("All digits here are of one class, so nothing speaks for another label.")
    shares = votes(scene.near.first(VOTERS), labels)
    contested = np.concatenate([contested_in(part) for part in scene.parts.values()])
    # Where all neighbours agree on another class, one that lies in the thick of them is more doubtful than a stray.
    reach = scene.near.distances[:, :VOTERS].mean(axis=1)
    found = doubts_of(shares, labels, contested=contested, ties=reach, most=EACH * 4)
    facts = found.as_dict()
    for one, told in zip(found.first, facts["first"], strict=True):
        told["name"] = scene.name(one.index)
    origin = f"A digit's {VOTERS} nearest neighbours, without itself, vote on what it is."
    shown = doubt_gallery(
        found,
        scene.images,
        said=lambda one: f"{round(VOTERS * one.probability)} of {VOTERS}",
        named=lambda one: scene.name(one.index),
    )
    said = f"{counted(found.flagged, 'label is', 'labels are')} in doubt"
    if found.flagged:
        said += ": their neighbours agree on another digit"
    return Part(facts, (subheading("Labels in doubt"), doubt_words(found, origin=origin), shown), (said,))


def _counts_figure(total: Any) -> Any:
    figure = new_figure(2.6)
    axes = figure.add_subplot()
    axes.bar(range(CLASSES), total, color=BLUE, alpha=0.75, width=0.78)
    axes.set_xticks(range(CLASSES))
    tidy(axes, grid="y")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.tick_params(axis="x", labelcolor=INK)
    return figure


def _pixels_figure(shares: Any) -> Any:
    figure = new_figure(2.8)
    axes = figure.add_subplot()
    axes.bar(np.arange(256), 100 * shares, color=BLUE, width=1.0)
    axes.set_yscale("log")
    axes.set_xlim(-4, 259)
    axes.set_xticks((0, 64, 128, 192, 255))
    axes.set_xlabel("grey: 0 is paper, 255 is ink")
    axes.set_ylabel("pixels (%)")
    low = int(np.floor(np.log10(100 * shares[shares > 0].min())))
    ticks = [10.0**power for power in range(low, 3)]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    tidy(axes, grid="y")
    return figure


def _never_figure(ever: Any) -> Any:
    figure = new_figure(3.2, width=3.2)
    axes = figure.add_subplot()
    down, right = np.nonzero(ever)
    axes.plot(right, down, "s", color=BLUE, markersize=4.4, markeredgewidth=0)
    down, right = np.nonzero(~ever)
    axes.plot(right, down, "s", color=MUTED, markersize=1.4, markeredgewidth=0)
    axes.set_xlim(-0.8, SIDE - 0.2)
    axes.set_ylim(SIDE - 0.2, -0.8)
    axes.set_aspect("equal")
    axes.set_xticks(())
    axes.set_yticks(())
    tidy(axes, grid=None)
    return figure


def _ink_figure(groups: Any) -> Any:
    figure = new_figure(0.9 + 0.28 * len(groups))
    axes = figure.add_subplot()
    for place, (_, values) in enumerate(groups):
        low, quarter, middle, upper, high = 100 * np.quantile(values, (0.05, 0.25, 0.5, 0.75, 0.95))
        axes.plot([low, high], [place, place], color=BLUE, linewidth=2, alpha=0.5, solid_capstyle="round")
        axes.plot([quarter, upper], [place, place], color=BLUE, linewidth=6, alpha=0.6, solid_capstyle="round")
        axes.plot(middle, place, "o", color=ORANGE, markersize=6)
    axes.set_ylim(len(groups) - 0.4, -0.6)
    axes.set_xlim(left=0)
    axes.set_xlabel("ink (% of the pixels)")
    axes.set_yticks(range(len(groups)), [name for name, _ in groups])
    tidy(axes, grid="x")
    axes.tick_params(axis="y", labelcolor=INK)
    return figure


BASICS = Chapter(
    "basics", "What is in it", {"counts": counts, "table": rows, "pixels": pixels, "ink": ink_of_digits, "faces": faces}
)
STRANGE = Chapter(
    "strange", "Typical, odd, doubled, doubtful", {"characters": odd, "doubles": doubled, "labels": doubt}
)

"""The section of an evaluation's report on worse images: corruptions, digits of other people, and what is no digit.

$ inkdigits evaluate runs/fast-0 --shift
$ open runs/fast-0/report.html
"""

from __future__ import annotations

from .figures import novelty_figure
from .report import Section, Strip, percent, plot, prose, strips, subheading
from .shift import Condition, Shift, Strangers, refusal_texts, spoken, stranger_texts


def shift_section(found: Shift) -> Section:
    """The section as HTML: the means, a row of pictures for each condition, and the novelty of what is no digit."""
    unknown = any(condition.trained_on is None for condition in found.corruptions)
    worst = min(found.corruptions, key=lambda condition: condition.score.accuracy)
    parts = [
        prose(
            f"Under the fifteen corruptions of MNIST-C it reads {percent(found.mean)} on average, clean digits "
            f"{percent(found.clean.score.accuracy)}. The hardest is {spoken(worst)}, with "
            f"{percent(worst.score.accuracy)}.",
            "Under the six that this program's trainings leave out, so that something is left that nobody prepared "
            f"for, it reads {percent(found.held_back_mean)}.",
            "What else it was trained on its file does not say." if unknown else "",
        ),
        _conditions(found),
        subheading("Digits of other people"),
        prose(
            "Thirteen others wrote these for another collection (UCI's Optical Recognition of Handwritten Digits), "
            "8×8 pixels each; here they are enlarged and centred as MNIST's are."
        ),
        strips([_condition(found.others)]),
        subheading("What is no digit"),
        _strangers(found),
    ]
    return Section("shift", "On worse images", "\n".join(parts))


def _conditions(found: Shift) -> str:
    order = sorted(found.corruptions, key=lambda condition: condition.score.accuracy)
    return strips(map(_condition, (found.clean, *order)))


def _condition(condition: Condition) -> Strip:
    lines = []
    if condition.refusal:
        refused, rest = refusal_texts(condition)
        lines.append(f"{refused} refused" + (f", others {rest} right" if condition.refusal.answered else ""))
    if condition.trained_on:
        lines.append("trained on")
    return Strip(
        condition.examples,
        alt=f"{spoken(condition)}: examples",
        title=spoken(condition),
        figure=percent(condition.score.accuracy),
        lines=tuple(lines),
        mark="never trained on" if condition.trained_on is False else None,
    )


def _strangers(found: Shift) -> str:
    if found.novelty is None:
        return prose(found.not_measured, kind="quiet") + strips(map(_stranger, found.strangers))
    figure = novelty_figure(
        [
            ("digits", found.novelty),
            *((spoken(kind), kind.novelty) for kind in found.strangers if kind.novelty is not None),
        ],
        threshold=found.threshold,
    )
    caption = (
        "How novel it finds them: a dot at the middle, a thick line around half of the images, a thin one around nine "
        "in ten. Right of the dashed line it refuses. The axis is stretched towards both ends."
    )
    explained = (
        "AUROC is the chance that it finds one of these more novel than a clean digit: 1 if always, 0.5 if by chance."
    )
    return "\n".join(
        [
            prose(explained, found.not_measured),
            strips(map(_stranger, found.strangers)),
            plot(figure, "novelty", alt="Novelty of digits and of what is no digit", caption=caption),
        ]
    )


def _stranger(kind: Strangers) -> Strip:
    score, refused = stranger_texts(kind)
    return Strip(
        kind.examples,
        alt=f"{spoken(kind)}: examples",
        title=spoken(kind),
        figure=refused if kind.refused is None else f"{refused} refused",
        lines=() if kind.auroc is None else (f"AUROC {score}, of {kind.n:,}",),
    )

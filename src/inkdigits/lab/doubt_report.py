"""Labels in doubt as a page shows them: what there is to say, and the digits themselves, the most doubtful first.

$ inkdigits evaluate runs/fast-0
$ open runs/fast-0/report.html#doubt
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..digits.dataset import Images
from .doubt import Doubt, Doubts
from .report import Tile, a_digit, counted, gallery, percent, prose, subheading


def doubt_words(found: Doubts, *, origin: str) -> str:
    """Two paragraphs: where the probabilities come from and how many labels are in doubt; what is shown."""
    shown = len(found.first)
    method = "By confident learning (Northcutt, Jiang and Chuang 2021)"
    if found.flagged:
        verdict = (
            f"{method} {counted(found.flagged, 'label is', 'labels are')} in doubt: another digit is there at least as "
            "likely as that digit is, on average, where it is the label."
        )
    else:
        verdict = (
            f"{method} no label is in doubt: nowhere is another digit as likely as that digit is, on average, where it "
            "is the label."
        )
    likelier = sum(doubt.score > 0 for doubt in found.first)
    count = f"the first {shown:,}" if shown < max(found.flagged, found.disputed) else counted(shown, "digit")
    rest = [
        f"Shown {'is' if shown == 1 else 'are'} {count}, each with its label and the other digit that it may be, "
        "ordered by how much likelier that is than the label"
        + (f"; of {likelier:,} it is the likelier." if likelier < shown else ".")
    ]
    if found.contested:
        rest.append(f"{found.contested[1]} of the {found.contested[0]} contested labels are among them.")
    rest.append("Whether a label is wrong is for a person to say.")
    return prose(origin, verdict) + prose(*rest)


def doubt_gallery(
    found: Doubts,
    images: Images,
    *,
    said: Callable[[Doubt], str] = lambda doubt: f"{percent(doubt.probability, 1)}",
    named: Callable[[Doubt], str] = lambda doubt: f"no. {doubt.index}",
) -> str:
    """The digits, those in doubt before the next ones.

    images: (N, 28, 28), by `Doubt.index`; said: what speaks for `suggested`; named: what the digit is called.
    """
    flagged = [doubt for doubt in found.first if doubt.flagged]
    others = [doubt for doubt in found.first if not doubt.flagged]
    if not flagged or not others:
        return _tiles(found.first, images, said, named)
    headings = f"In doubt ({len(flagged)})", f"The next ({len(others)})"
    parts = zip(headings, (flagged, others), strict=True)
    return "\n".join(subheading(heading) + _tiles(some, images, said, named) for heading, some in parts)


def _tiles(doubts: Sequence[Doubt], images: Images, said: Callable[[Doubt], str], named: Callable[[Doubt], str]) -> str:
    return gallery(
        Tile(
            images[doubt.index],
            alt=f"{named(doubt)}, labelled {doubt.label}, perhaps {doubt.suggested}",
            title=f"{doubt.label}: {a_digit(doubt.suggested)}?",
            lines=(said(doubt), named(doubt)),
            sure=doubt.probability,
            mark="contested" if doubt.contested else None,
        )
        for doubt in doubts
    )

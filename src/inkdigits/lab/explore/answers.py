"""The questions that an exploration answers, and its answers in a sentence or two each, from the facts it found.

>>> for question, answer in answers(explore("mnist").as_dict()["findings"]).items():
...     print(question, answer)
"""

from __future__ import annotations

from typing import Any

from ..report import a_digit, counted, percent
from .noise import power_of_ten

Facts = dict[str, Any]


def answers(findings: Facts) -> dict[str, str]:
    """The answers by question; a question is left out where what it needs was not asked or cannot be told."""
    found = {
        "What does a random point of the space look like?": _random(_of(findings, "random", "noise")),
        "How small is the part where the digits live?": _small(
            _of(findings, "dimension", "components"),
            _of(findings, "random", "noise"),
            _of(findings, "basics", "pixels"),
        ),
        "Is it a manifold of few dimensions?": _manifold(
            _of(findings, "dimension", "intrinsic"), _of(findings, "dimension", "autoencoder")
        ),
        "Is it blobs, or blobs with tentacles?": _shape(_of(findings, "shape", "verdict")),
        "Which digits are strange, doubled or mislabelled?": _strange(
            _of(findings, "strange", "doubles"), _of(findings, "strange", "labels")
        ),
        "Can all of them be seen at once?": _maps(findings.get("maps", {})),
    }
    return {question: answer for question, answer in found.items() if answer}


def _of(findings: Facts, chapter: str, part: str) -> Facts | None:
    """The facts of a part, None where it was not asked for or could not say."""
    facts: Facts | None = findings.get(chapter, {}).get(part)
    return None if facts is None or "skipped" in facts or "failed" in facts else facts


def _random(noise: Facts | None) -> str:
    if noise is None:
        return ""
    distances, read = noise["nearest_digit_median"], noise["answered_by_reader"]
    return (
        f"Noise: {distances['uniform'] / distances['digits']:.1f} times as far from the nearest digit as digits are "
        f"from each other. The reader answers {percent(read['uniform'], 1)} of such points and "
        f"{percent(read['digits'], 1)} of the digits."
    )


def _small(components: Facts | None, noise: Facts | None, pixels: Facts | None) -> str:
    said = []
    if noise is not None:
        power = noise["draws_at_least_power_of_ten"]["uniform"]
        if power >= 1:
            said.append(f"One would draw at least {power_of_ten(power)} random points for one as near to a digit.")
    if components is not None:
        inked = "" if pixels is None else f" {784 - pixels['never_inked']} of the 784 pixels are ever inked."
        said.append(f"{components['needed']['0.95']} directions hold 95 % of what varies.{inked}")
    return " ".join(said)


def _manifold(intrinsic: Facts | None, autoencoder: Facts | None) -> str:
    said = []
    if intrinsic is not None:
        values = [intrinsic["overall"][name]["value"] for name in ("ml10", "twonn")]
        low, high = f"{min(values):.0f}", f"{max(values):.0f}"
        about = low if low == high else f"{low} to {high}"
        said.append(f"Near a digit about {about} numbers vary" + _by_class(intrinsic["by_digit"]) + ".")
    if autoencoder is not None:
        row = next(row for row in autoencoder["by_dimensions"] if row["dimensions"] == 8)
        # The components' pixels are cut off at paper and ink, which the autoencoder's are by themselves.
        if row["autoencoder"]["interval95"][1] < row["components_clipped"]["interval95"][0]:
            said.append(
                f"It is bent: along curves eight numbers rebuild unseen digits as well as {row['as_good_components']} "
                "straight directions do."
            )
        else:
            said.append("These digits are too few to show that it is bent.")
    return " ".join(said)


def _by_class(by_digit: Facts) -> str:
    values = {label: found["ml10"]["value"] for label, found in by_digit.items()}
    if len(values) < 2:
        return ""
    least, most = min(values, key=lambda label: values[label]), max(values, key=lambda label: values[label])
    return f" ({values[least]:.0f} for {a_digit(least)} among its own kind, {values[most]:.0f} for {a_digit(most)})"


def _shape(verdict: Facts | None) -> str:
    return "" if verdict is None else str(verdict["paragraph"]).split(". ")[0].rstrip(".") + "."


def _strange(doubles: Facts | None, labels: Facts | None) -> str:
    said = []
    if doubles is not None:
        repeating = counted(doubles["exact"], "digit repeats", "digits repeat")
        none = f"No two of the {doubles['among']:,} are equal."
        said.append(f"{repeating} another pixel by pixel." if doubles["exact"] else none)
    if labels is not None:
        flagged = counted(labels["flagged"], "label is", "labels are")
        why = "in doubt, since the digits nearby agree on another"
        said.append(f"{flagged} {why}." if labels["flagged"] else "No label is in doubt.")
    return " ".join(said)


def _maps(maps: Facts) -> str:
    judged = {
        name: facts for name in ("tsne", "umap", "pca") if (facts := _of({"maps": maps}, "maps", name)) is not None
    }
    voted = {name: facts["accuracy"] for name, facts in judged.items() if facts["accuracy"] is not None}
    if not voted:
        return ""
    titles = {"tsne": "t-SNE", "umap": "UMAP", "pca": "the first two components"}
    told = ", ".join(f"{percent(share, 1)} by {titles[name]}" for name, share in voted.items())
    return f"On a map made without labels the ten nearest tell what a digit is: {told}."

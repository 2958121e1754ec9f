"""What an exploration found, part by part.

>>> found = explore("mnist", quick=True)
>>> found.as_dict()["findings"]["basics"]["counts"]["digits"]
4000
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .chapter import Part

FINDINGS, REPORT, FIGURES = "findings.json", "report.html", "figures"


@dataclass(frozen=True, eq=False)
class Result:
    """A part of an exploration as it ended: what it found, or why it could not say (`skipped`) or broke (`failed`)."""

    name: str
    part: Part | None
    skipped: str | None = None
    failed: str | None = None

    @property
    def facts(self) -> dict[str, Any]:
        if self.part is None:
            return {"skipped": self.skipped} if self.skipped else {"failed": self.failed}
        return self.part.facts


@dataclass(frozen=True, eq=False)
class Exploration:
    """What an exploration found.

    source: what was explored; n of `total` digits. results: by chapter, its parts in order. output: the folder with
    `report.html`, `findings.json` and `figures/`, or None where nothing was written.
    """

    source: str
    n: int
    total: int
    seed: int
    quick: bool
    results: dict[str, tuple[Result, ...]]
    seconds: dict[str, float]
    output: Path | None = None
    headings: dict[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The facts as plain dictionaries, lists and numbers, for `findings.json`."""
        found = {
            chapter: {result.name: result.facts for result in results} for chapter, results in self.results.items()
        }
        about = {"source": self.source, "digits": self.n, "of": self.total, "seed": self.seed, "quick": self.quick}
        return {
            **about,
            "findings": plain(found),
            "seconds": {name: round(took, 1) for name, took in self.seconds.items()},
        }

    def said(self) -> Iterator[str]:
        """The findings in their shortest form."""
        for results in self.results.values():
            for result in results:
                yield from result.part.said if result.part else ()

    def warnings(self) -> Iterator[str]:
        """A line for every part that broke."""
        for chapter, results in self.results.items():
            for result in results:
                if result.failed:
                    yield f"warning: {chapter}, {result.name}: {result.failed}; please report it"

    def text(self) -> str:
        """The findings for a terminal, and where the page is."""
        lines = list(self.said())
        if self.output is not None:
            lines.append(f"report: {self.output / REPORT}")
        return "\n".join(lines)

    def silent(self) -> Iterator[str]:
        """A line for every part that the digits do not allow, each reason once in a chapter."""
        for chapter, results in self.results.items():
            yield from (f"{chapter}: {why}" for why in dict.fromkeys(each.skipped for each in results) if why)


def plain(value: Any) -> Any:
    """Facts as JSON takes them: what is not a number is None, so that no part can lose the others' work."""
    if isinstance(value, dict):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

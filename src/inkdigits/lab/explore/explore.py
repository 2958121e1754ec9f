"""What shape is the space of handwritten digits? Opens a set of them and answers with pictures and numbers.

$ inkdigits explore mnist -o space --quick
…
report: space/report.html

Every part of the page stands on its own: one that the digits do not allow says so in a line and the others go on.
"""

from __future__ import annotations

import difflib
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path, PurePath

from ...digits.files import write_whole_folder
from ...digits.formats import Source
from ...errors import InkdigitsError, InputError
from ...nets.threads import sleep_while_waiting
from ..evaluate import json_text
from ..report import need_libraries
from .chapter import CannotSayError, Chapter, Part
from .chapters import CHAPTERS
from .exploration import FIGURES, FINDINGS, REPORT, Exploration, Result
from .scene import Scene, open_scene

LIBRARIES = ("matplotlib", "sklearn", "scipy", "openTSNE", "umap", "ripser", "kmapper", "torch")
MOST_SEED = 2**32 - 1  # of the libraries that draw at random


def explore(
    source: Source = "mnist",
    *,
    output: str | os.PathLike[str] | None = None,
    sections: Sequence[str] | None = None,
    quick: bool = False,
    seed: int = 0,
    threads: int | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Exploration:
    """Explores the digits of a source.

    Parameters
    ----------
    source: any that `load_digits` takes, labelled or not; of more than 100,000 digits a sample.
    output: a folder for `report.html`, `findings.json` and `figures/`; without it nothing is written.
    sections: some of `CHAPTERS`; None for all.
    quick: a sample of 4,000 digits, in under a minute.
    seed: of everything that is drawn at random. threads: processor threads, None for all.
    say: where talk goes, a line a section.

    Raises InputError for a source that cannot be read and for an unknown section, OutputError for a folder that holds
    something else, MissingExtraError if a library is not installed.
    """
    sleep_while_waiting()  # before the first library that has threads is loaded
    chapters = _chosen(sections)
    need_libraries("explore", *LIBRARIES)
    if not 0 <= seed <= MOST_SEED:
        raise InputError("--seed", "out of range", expected=f"0 to {MOST_SEED}", found=str(seed))
    if output is None:
        return _explored(source, chapters, quick, seed, threads, say)
    from .report import write_report

    folder = Path(output)
    # Opened before the work: a folder that holds something else is refused at once.
    with write_whole_folder(folder, mark=FINDINGS, is_ours=_is_ours) as beside:
        found = _explored(source, chapters, quick, seed, threads, say)
        write_report(found, beside)
        (beside / FINDINGS).write_text(json_text(found.as_dict()) + "\n", encoding="utf-8", errors="replace")
    return replace(found, output=folder)


def _is_ours(place: PurePath) -> bool:
    if place.parts[0] == FIGURES:
        return len(place.parts) == 1 or (len(place.parts) == 2 and place.suffix in (".svg", ".png"))
    return place == PurePath(REPORT)


def _chosen(sections: Sequence[str] | None) -> list[Chapter]:
    names = list(CHAPTERS) if sections is None else list(dict.fromkeys(sections))
    expected = f"some of {', '.join(CHAPTERS)}"
    if not names:
        raise InputError("--sections", "none named", expected=expected)
    for name in names:
        if name not in CHAPTERS:
            near = difflib.get_close_matches(name, CHAPTERS, n=1, cutoff=0.5)
            mend = f"did you mean {near[0]}?" if near else None
            raise InputError("--sections", "unknown section", expected=expected, found=name, mend=mend)
    # In the page's order, whatever order they were named in: later chapters use what earlier ones worked out.
    return [chapter for name, chapter in CHAPTERS.items() if name in names]


def _explored(
    source: Source, chapters: Sequence[Chapter], quick: bool, seed: int, threads: int | None, say: Callable[[str], None]
) -> Exploration:
    from threadpoolctl import threadpool_limits

    with threadpool_limits(threads):
        scene = open_scene(source, seed=seed, quick=quick, threads=threads)
        results, seconds = {}, {}
        for number, chapter in enumerate(chapters, 1):
            began = time.perf_counter()
            say(f"{number} of {len(chapters)}: {chapter.heading.lower()}")
            results[chapter.ident] = tuple(_result(name, part, scene) for name, part in chapter.parts.items())
            seconds[chapter.ident] = time.perf_counter() - began
    headings = {chapter.ident: chapter.heading for chapter in chapters}
    return Exploration(scene.source, len(scene), scene.total, seed, quick, results, seconds, headings=headings)


def _result(name: str, part: Callable[[Scene], Part], scene: Scene) -> Result:
    try:
        return Result(name, part(scene))
    except CannotSayError as reason:
        return Result(name, None, skipped=str(reason))
    except InkdigitsError:
        raise
    except Exception as error:  # minutes of work in the other parts must not be lost to a fault in one
        return Result(name, None, failed=" ".join(f"{type(error).__name__}: {error}".split()))

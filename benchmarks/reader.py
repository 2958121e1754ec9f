"""The reader that ships, on real handwriting, on composed pictures, on MNIST, on what is no digit, and by the clock.

    $ .venv/bin/python benchmarks/reader.py [--real DIR] [--only SECTION …] [--sheets DIR] [--share S] [--peers]

Sections: real (other people's handwriting, if the folder is there), composed (`compose.py`), agreement (MNIST digits
drawn on paper and read back), mnist (its test part), shift (`evaluate --shift`), nothing (pictures with nothing to
read), speed, installed (the package alone in an empty environment). `--peers` adds Tesseract, where it is installed.
Written to benchmarks/results/reader.json, where `--only` replaces the sections that it ran. `--development` composes
from training digits instead of test digits, to develop with; that and `--share 0.1`, a tenth of the pictures, write
nothing.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tesseract
from common import INKDIGITS, RESULTS, WORK, commit, machine, timed, write_result
from compose import compose, load_source, paste_digit
from PIL import Image
from reading import (
    Case,
    Outcome,
    answered,
    by_group,
    numbers,
    read_cases,
    real_cases,
    refused,
    share,
    texts,
    whole_texts,
    write_sheet,
)

from inkdigits.digits.dataset import Digits
from inkdigits.lab.evaluate import evaluate
from inkdigits.reader.read import Reader

REAL = Path("../shared/real-digits")
SINGLES, NUMBERS, PAGES, NOTHING, AGREEMENT = 600, 300, 60, 240, 1_500  # pictures
SEEDS = {"test": 7, "development": 1}
PHOTO = (4000, 3000)  # pixels: what a telephone makes
WARM, PHOTOS, PROCESSES = 2_000, 21, 9  # repetitions of a timing; the median is quoted
# What is kept of an evaluation on MNIST's test part.
FIGURES = (
    *("n", "errors", "accuracy", "interval95", "without_contested", "halves"),
    *("negative_log_likelihood", "expected_calibration_error", "refusal"),
)
MOST_OUTCOMES = 40  # wrong answers listed in the result


@dataclass(frozen=True, eq=False)
class Setting:
    """What the sections need: the reader, the folder of real handwriting, the digits to compose with, how many."""

    reader: Reader
    real: Path
    part: str
    source: Digits
    share: float
    sheets: Path | None
    peers: bool

    def count(self, full: int) -> int:
        return max(4, round(full * self.share))

    def sheet(self, name: str, outcomes: Sequence[Outcome]) -> None:
        if self.sheets is not None:
            write_sheet([outcome for outcome in outcomes if not outcome.right], self.sheets / f"{name}.png")

    def composed(self, kind: str, full: int) -> list[Case]:
        pictures = compose(kind, self.count(full), self.source, seed=SEEDS[self.part])
        touching = {True: ("touching",), False: ()}
        return [Case(p.name, p.pixels, p.text, p.made_of + touching[p.touching > 0]) for p in pictures]


def real(setting: Setting) -> dict[str, Any] | None:
    if not (setting.real / "labels.csv").is_file():
        print(f"real: skipped, no {setting.real / 'labels.csv'}", flush=True)
        return None
    singles, strings = real_cases(setting.real)
    best = read_cases(setting.reader.read, singles, one=True, best_guess=True)
    strict = read_cases(setting.reader.read, singles, one=True)
    written = read_cases(setting.reader.read, strings, best_guess=True)
    careful = read_cases(setting.reader.read, strings)
    setting.sheet("real-singles", best)
    setting.sheet("real-singles-refusing", [outcome for outcome in strict if outcome.refused or not outcome.right])
    setting.sheet("real-numbers", written)
    found = {
        "pictures_of": setting.real.resolve().name,
        "singles": {"best_guess": by_group(best, whole_texts), "refusing": by_group(strict, answered)},
        "numbers": {"best_guess": texts(written), "refusing": answered(careful)},
        "wrong": _wrong(best) + _wrong(written),
    }
    if setting.peers and tesseract.version():
        found["tesseract"] = {
            "version": tesseract.version(),
            "singles": by_group(tesseract.read(singles, tesseract.ONE_DIGIT), whole_texts),
            "numbers": texts(tesseract.read(strings, tesseract.ONE_LINE)),
        }
    return found


def composed(setting: Setting) -> dict[str, Any]:
    found: dict[str, Any] = {"digits": f"mnist:{setting.part}", "seed": SEEDS[setting.part]}
    for kind, full, mode in (
        ("singles", SINGLES, tesseract.ONE_DIGIT),
        ("numbers", NUMBERS, tesseract.ONE_LINE),
        ("pages", PAGES, tesseract.ONE_BLOCK),
    ):
        cases, one = setting.composed(kind, full), kind == "singles"
        best = read_cases(setting.reader.read, cases, one=one, best_guess=True)
        strict = read_cases(setting.reader.read, cases, one=one)
        score = whole_texts if one else texts
        refusing = answered(strict) if one else answered(strict) | {"as_read": texts(strict)}
        groups = by_group(best, score, None if one else numbers)
        found[kind] = {"best_guess": groups, "refusing": refusing, "wrong": _wrong(best)}
        setting.sheet(f"composed-{kind}", best)
        if setting.peers and tesseract.version():
            found[kind]["tesseract"] = score(tesseract.read(cases, mode)) | {"version": tesseract.version()}
    return found


def agreement(setting: Setting) -> dict[str, Any]:
    """MNIST digits enlarged, recoloured and pasted on paper, read as pictures, beside what is read on them directly."""
    rng, n = np.random.default_rng(SEEDS[setting.part]), setting.count(AGREEMENT)
    chosen = rng.choice(len(setting.source), n, replace=False)
    digits = setting.source.take(chosen)
    labels, direct = digits.need_labels("compare"), setting.reader.model.predict(digits.images)
    cases = [
        Case(f"digit {index}", paste_digit(rng, image), str(said))
        for index, image, said in zip(chosen, digits.images, direct.labels, strict=True)
    ]
    back = read_cases(setting.reader.read, cases, one=True, best_guess=True)
    setting.sheet("agreement", back)
    right = sum(outcome.text == str(label) for outcome, label in zip(back, labels, strict=True))
    return {
        "agreement": whole_texts(back),
        "right_as_pictures": share(right, n),
        "right_directly": share(int((direct.labels == labels).sum()), n),
    }


def mnist(setting: Setting) -> dict[str, Any]:
    path = Path(setting.reader.model.path)
    measured = evaluate(setting.reader.model, "mnist:test").as_dict()
    return {"model_bytes": path.stat().st_size} | {name: measured[name] for name in FIGURES}


def shift(setting: Setting) -> dict[str, Any]:
    measured = evaluate(setting.reader.model, "mnist:test", shift=True).shift
    assert measured is not None
    return measured.as_dict()


def nothing(setting: Setting) -> dict[str, Any]:
    """How often a picture in which there is nothing to read is refused, as a whole and where one digit is asked for."""
    cases = [replace(case, groups=case.groups[:1]) for case in setting.composed("nothing", NOTHING)]
    found, answers = {}, []
    for name, options in (("read", {}), ("one", {"one": True})):
        outcomes = read_cases(setting.reader.read, cases, **options)
        found[name] = by_group(outcomes, refused)
        answers += [outcome for outcome in outcomes if not outcome.refused]
    if setting.sheets is not None:
        write_sheet(answers, setting.sheets / "nothing.png")
    blanks = [case for case in cases if "blank paper" in case.groups]
    guessed = read_cases(setting.reader.read, blanks, best_guess=True)
    found["best_guess"] = {"blank paper": refused(guessed)}
    return found


def speed(setting: Setting) -> dict[str, Any]:
    image = setting.source.images[0]
    page = next(compose("pages", 1, setting.source, seed=SEEDS[setting.part], start=3))
    photo = Image.fromarray(page.pixels).resize(PHOTO, Image.Resampling.BICUBIC)
    pixels = np.array(photo)
    folder = WORK / "reader"
    folder.mkdir(parents=True, exist_ok=True)
    large, small = folder / "photo-12-megapixels.jpg", folder / "photo-small.jpg"
    photo.save(large, quality=90)
    Image.fromarray(page.pixels).save(small, quality=90)
    whole = {}
    for file in (large, small):
        runs = [timed([*INKDIGITS, "read", "--best-guess", file]) for _ in range(PROCESSES)]
        whole[file.stem] = {
            "pixels": list(Image.open(file).size),
            "seconds": round(statistics.median(seconds for seconds, _ in runs), 3),
            "peak_mb": round(max(megabytes for _, megabytes in runs)),
        }
    return {
        "digit_image_ms": _median_ms(lambda: setting.reader.read(image), WARM),
        "photo_after_decoding_ms": _median_ms(lambda: setting.reader.read(pixels), PHOTOS),
        "photo_text": {"true": page.text, "said": setting.reader.read(pixels).text},
        "process": whole,
    }


def _median_ms(call: Callable[[], Any], times: int) -> float:
    for _ in range(3):
        call()
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return round(1_000 * statistics.median(seconds), 3)


def installed(setting: Setting) -> dict[str, Any]:
    """`pip install .` without extras in an empty environment: its megabytes, and whether it reads a photograph."""
    folder = WORK / "core"
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    (packages,) = folder.glob("lib/python*/site-packages")
    empty = _megabytes(packages)
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "."], check=True)
    page = next(compose("numbers", 1, setting.source, seed=SEEDS[setting.part]))
    photo = folder / "photo.jpg"
    Image.fromarray(page.pixels).save(photo, quality=95)
    command = [str(folder / "bin" / "inkdigits"), "read", "--best-guess", "--json", str(photo)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    full = _megabytes(packages)  # after the first use, which compiles
    heavy = ("torch", "matplotlib", "sklearn", "scipy")
    return {
        "core_mb": round(full - empty, 1),
        "with_pip_mb": round(full, 1),
        "read": {"true": page.text, "said": json.loads(answer.stdout)["text"]},
        "extras_inside": [name for name in heavy if (packages / name).exists()],
        "largest_mb": dict(sorted(_parts(packages).items(), key=lambda item: -item[1])[:6]),
    }


def _parts(packages: Path) -> dict[str, float]:
    return {each.name: round(_megabytes(each), 1) for each in packages.iterdir() if each.is_dir()}


def _megabytes(folder: Path) -> float:
    return sum(file.lstat().st_size for file in folder.rglob("*") if not file.is_dir()) / 1e6


def _wrong(outcomes: Sequence[Outcome]) -> list[dict[str, str]]:
    wrong = [outcome for outcome in outcomes if not outcome.right][:MOST_OUTCOMES]
    return [{"name": outcome.case.name, "true": outcome.case.text, "said": outcome.text} for outcome in wrong]


def _lines(found: dict[str, Any], under: str = " ") -> Iterator[str]:
    """The shares and numbers of a result, a line each, named by the way to them."""
    for name, value in found.items():
        if isinstance(value, dict) and "right" in value:
            yield f"{under} {name}: {value['right']} of {value['n']}, {value['accuracy']:.2%}"
        elif isinstance(value, dict):
            yield from _lines(value, f"{under} {name}")
        elif isinstance(value, (int, float, str)):
            yield f"{under} {name}: {value}"


SECTIONS: dict[str, Callable[[Setting], dict[str, Any] | None]] = {
    "real": real,
    "composed": composed,
    "agreement": agreement,
    "mnist": mnist,
    "shift": shift,
    "nothing": nothing,
    "speed": speed,
    "installed": installed,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--real", type=Path, default=REAL, metavar="DIR", help="real handwriting, with labels.csv")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS), metavar="SECTION")
    parser.add_argument("--sheets", type=Path, metavar="DIR", help="write contact sheets of what went wrong")
    parser.add_argument("--model", default="reader")
    parser.add_argument("--development", action="store_true", help="compose from training digits; nothing is written")
    parser.add_argument("--share", type=float, default=1.0, help="of the composed pictures; under 1 nothing is written")
    parser.add_argument("--peers", action="store_true", help="Tesseract on the same pictures")
    arguments = parser.parse_args()
    if arguments.peers and not tesseract.version():
        print("peers: skipped, tesseract is not installed", flush=True)
    part = "development" if arguments.development else "test"
    setting = Setting(
        reader=Reader(arguments.model),
        real=arguments.real,
        part=part,
        source=load_source(part),
        share=arguments.share,
        sheets=arguments.sheets,
        peers=arguments.peers,
    )
    keep = not arguments.development and arguments.share == 1 and arguments.model == "reader"
    file = RESULTS / "reader.json"
    sections = json.loads(file.read_text(encoding="utf-8"))["sections"] if keep and file.is_file() else {}
    for name in arguments.only:
        began = time.perf_counter()
        found = SECTIONS[name](setting)
        if found is None:
            continue
        print("\n".join([f"{name}, {time.perf_counter() - began:.0f} s", *_lines(found)]), flush=True)
        sections[name] = {"commit": commit()} | found
        if keep:
            ordered = {each: sections[each] for each in SECTIONS if each in sections}
            command = "python benchmarks/reader.py"
            write_result("reader", {"command": command, "machine": machine(), "sections": ordered})
    if keep:
        print(file)


if __name__ == "__main__":
    main()

"""Fill README and docs with what the commands really print and the benchmarks really found.

    $ .venv/bin/python docs/refresh.py            # run the commands, fill in everything
    $ .venv/bin/python docs/refresh.py --results  # only the tables made from benchmarks/results/

A block stands between `<!-- run: NAME -->`, `<!-- results: NAME -->` or `<!-- help: VERB -->` and `<!-- end -->`.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import record_tables
import reliability_tables
import tables

from inkdigits.app.cli import cli

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "work" / "docs"
HELP_WIDTH = 100  # columns
BLOCK = re.compile(r"<!-- (run|results|help): ([\w-]+) -->\n(?:(?!<!--).)*<!-- end -->\n", re.DOTALL)

TABLES = tables.TABLES | record_tables.TABLES | reliability_tables.TABLES

# In the order of the pages: a later command may use what an earlier one made.
COMMANDS = {
    "data-mnist": "inkdigits data",
    "bad-pixel": "inkdigits data bad.csv",
    "train-list": "inkdigits train --list",
    "train": "inkdigits train",
    "evaluate": "inkdigits evaluate runs/fast-0",
    "evaluate-shift": "inkdigits evaluate reader --shift -o shift",
    "predict": "inkdigits predict test.csv -m runs/fast-0 -o submission.csv",
    "predict-leak": "inkdigits predict mnist:train -m runs/fast-0 -o submission.csv",
    "explain": "inkdigits explain reader mnist:test#4,1901 -o why",
    "read": "inkdigits read note.png",
    "read-several": "inkdigits read note.png empty.png nosuch.png seven.png",
    "read-json": "inkdigits read seven.png --json",
    "export": "inkdigits export reader --to onnx-int8 -o reader-int8.onnx",
}


FAILING = {"bad-pixel": 1, "read-several": 1}  # exit statuses that are meant


def run(name: str) -> str:
    command = COMMANDS[name]
    words = [sys.executable, "-m", "inkdigits", *command.split()[1:]]
    done = subprocess.run(words, cwd=WORK, capture_output=True, text=True, check=False)
    if done.returncode != FAILING.get(name, 0):
        raise SystemExit(f"{command}: {done.stderr}")
    # Talk before results: as a person sees them, since the results come last.
    said = (done.stderr + done.stdout).rstrip().replace(f"{WORK}/", "")
    return f"```\n$ {command}\n{said}\n```"


def help_of(verb: str) -> str:
    """What `--help` prints, as wide as a page shows it."""
    with click.Context(cli, info_name="inkdigits", terminal_width=HELP_WIDTH, **cli.context_settings) as parent:
        context = cli.commands[verb].make_context(verb, [], parent=parent, resilient_parsing=True)
        return f"```text\n{cli.commands[verb].get_help(context)}\n```"


def prepare() -> None:
    """Where the commands run: Kaggle's test.csv, a file with a bad pixel in it, and pictures."""
    from PIL import Image

    from inkdigits import Digits, load_digits, save_digits

    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    test = load_digits("mnist:test")
    save_digits(Digits(test.images), WORK / "test.csv")
    lines = (WORK / "test.csv").read_text().splitlines()[:4]
    cells = lines[3].split(",")
    cells[5] = "256"
    (WORK / "bad.csv").write_text("\n".join([*lines[:3], ",".join(cells)]) + "\n")
    Image.fromarray(255 - test.images[0]).resize((140, 140)).save(WORK / "seven.png")
    Image.new("L", (140, 140), 240).save(WORK / "empty.png")
    compose = [sys.executable, str(ROOT / "benchmarks" / "compose.py"), "pages", "--seed", "3", "--start", "3"]
    subprocess.run([*compose, "--count", "1", "-o", str(WORK / "pages")], check=True)
    (WORK / "pages" / "pages-0003.png").rename(WORK / "note.png")


def filled(text: str, outputs: dict[str, str] | None) -> str:
    """The text with its blocks made anew; `run` blocks only where `outputs` has them."""

    def fill(block: re.Match[str]) -> str:
        kind, name = block.groups()
        if kind == "results":
            content = TABLES[name]()
        elif kind == "help":
            content = help_of(name)
        elif outputs is None:
            return block.group()
        else:
            content = outputs[name]
        return f"<!-- {kind}: {name} -->\n{content}\n<!-- end -->\n"

    return BLOCK.sub(fill, text)


def pages() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def main() -> None:
    outputs = None
    if "--results" not in sys.argv:
        prepare()
        outputs = {name: run(name) for name in COMMANDS}
    for page in pages():
        page.write_text(filled(page.read_text(encoding="utf-8"), outputs), encoding="utf-8")


if __name__ == "__main__":
    main()

"""The full comparison: every technique and network on MNIST, 500 to 60,000 training digits, two hours on two cores.

    $ .venv/bin/python benchmarks/compare.py [--threads N] [--seeds N] [--budget SECONDS]

Trials are kept in work/compare, report included; an interrupted comparison goes on when it is started again. At the end
the rows are copied to benchmarks/results/compare.csv, and the standings, tests and verdict with the machine and commit
to compare.json. Needs a quiet machine: each trial has a core, and its times are compared.
"""

from __future__ import annotations

import argparse
import shutil

from common import RESULTS, WORK, commit, machine, write_result

from inkdigits.digits.files import write_whole
from inkdigits.lab.compare import compare
from inkdigits.lab.ledger import CONFIG

FOLDER = WORK / "compare"
BUDGET = 2_700.0  # seconds: a slower machine may need as long for the longest, a network on distorted digits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int)
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--budget", type=float)
    arguments = parser.parse_args()
    going_on = (FOLDER / CONFIG).exists()
    found = compare(
        "mnist",
        output=FOLDER,
        seeds=arguments.seeds,
        budget=arguments.budget or (None if going_on else BUDGET),
        threads=arguments.threads,
        resume=going_on,
        say=print,
    )
    with write_whole(RESULTS / "compare.csv") as beside:
        shutil.copyfile(found.results, beside)
    # The files' places in this checkout say nothing to a reader of the result.
    content = {name: value for name, value in found.as_dict().items() if name not in ("results", "report")}
    write_result("compare", content | {"machine": machine() | {"threads": 1}, "commit": commit()})
    print(found.text())


if __name__ == "__main__":
    main()

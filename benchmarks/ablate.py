"""The full ablation: what each part of b-plain buys, five seeds, about two hours on two cores.

    $ .venv/bin/python benchmarks/ablate.py [--threads N]

Trainings are kept in work/ablate, report included; an interrupted study goes on when it is started again. At the end
the rows are copied to benchmarks/results/ablate.csv, and the effects and verdict with the machine and commit to
ablate.json.
"""

from __future__ import annotations

import argparse
import shutil

from common import RESULTS, WORK, commit, machine, write_result

from inkdigits.digits.files import write_whole
from inkdigits.lab.ablate import ablate
from inkdigits.lab.ledger import CONFIG
from inkdigits.lab.study import PARTS

FOLDER = WORK / "ablate"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    going_on = (FOLDER / CONFIG).exists()
    found = ablate("mnist", output=FOLDER, parts=PARTS, threads=arguments.threads, resume=going_on, say=print)
    with write_whole(RESULTS / "ablate.csv") as beside:
        shutil.copyfile(found.results, beside)
    # The files' places in this checkout say nothing to a reader of the result.
    content = {name: value for name, value in found.as_dict().items() if name not in ("results", "report")}
    write_result("ablate", content | {"machine": machine() | {"threads": 1}, "commit": commit()})
    print(found.text())


if __name__ == "__main__":
    main()

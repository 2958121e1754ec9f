"""Learning from corrections: fifty sevens in an unusual hand put right over HTTP, then trained on beside MNIST.

    $ .venv/bin/python benchmarks/corrections.py [--seeds 3]

The hand writes its seven with a hook and a foot, so that it looks like a 2. For each seed a network is trained on MNIST
and served with --corrections; fifty drawings are posted as the page posts them, and each is corrected to 7. Then
`train mnist --extra corrections.sqlite` with the same settings and seed. Measured before and after: 200 further
drawings of that hand, and MNIST's 10,000 test digits. Written to benchmarks/results/corrections.json, a picture of the
hand to work/corrections/hand.png.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import re
import shutil
import signal
import subprocess
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from common import INKDIGITS, WORK, commit, machine, write_result
from numpy.typing import NDArray
from PIL import Image

from inkdigits.digits.formats import load_digits
from inkdigits.measure import mcnemar, wilson_interval
from inkdigits.reader.read import Reader

FOLDER = WORK / "corrections"
CORRECTED, UNSEEN = 50, 200
SIDE = 280  # pixels of a drawing
SEVEN = np.array([(5, 34), (6, 8), (54, 8), (40, 50), (20, 95), (56, 95)], float)  # in a box 60×100


def drawn(rng: np.random.Generator) -> NDArray[np.uint8]:
    """One of that hand's sevens: its points jittered, slanted and stretched, by a pen of 12 to 19 pixels."""
    points = SEVEN + rng.normal(0, 1.8, SEVEN.shape) - [30, 50]
    points = points @ (np.eye(2) + rng.normal(0, 0.08, (2, 2))).T * 2.2 + SIDE / 2
    paper = np.full((SIDE, SIDE), 255, np.uint8)
    fixed = np.round(points * 16).astype(np.int32)  # sixteenths of a pixel
    cv2.polylines(paper, [fixed], False, 0, int(rng.integers(12, 20)), cv2.LINE_AA, 4)
    return paper


def png(pixels: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@contextmanager
def served(*options: str | Path) -> Iterator[str]:
    """The address of a server that runs meanwhile, and is told to stop afterwards."""
    command = [*INKDIGITS, "serve", "--port", "0", *map(str, options)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found, "the server did not start"
        try:
            yield found.group()
        finally:
            process.send_signal(signal.SIGTERM)


def post(address: str, body: bytes, kind: str) -> Any:
    with urllib.request.urlopen(urllib.request.Request(address, body, {"Content-Type": kind})) as answer:
        return json.load(answer)


def correct(model: Path, file: Path, drawings: list[NDArray[np.uint8]]) -> None:
    """What somebody does at the page: draw, see the answer, say that it was a 7."""
    with served("-m", model, "--corrections", file) as address:
        for drawing in drawings:
            read = post(f"{address}/v1/read?one=true&glyphs=true", png(drawing), "image/png")
            digit = read["readings"][0]["digits"][0]
            correction = {
                "glyph": digit["glyph"],
                "label": 7,
                "answer": digit["digit"],
                "picture": base64.b64encode(png(drawing)).decode(),
            }
            post(f"{address}/v1/corrections", json.dumps(correction).encode(), "application/json")


def trained(folder: Path, seed: int, *options: str | Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([*INKDIGITS, "train", "mnist", "-q", "--seed", str(seed), *options, "-o", folder], check=True)
    return folder


def measured(model: Path, drawings: list[NDArray[np.uint8]]) -> tuple[dict[str, Any], NDArray[np.bool_]]:
    """What a model says of the hand and of MNIST's test digits; which of these it gets right."""
    reader = Reader(model)
    said = Counter(reader.read(drawing, one=True, best_guess=True).text for drawing in drawings)
    answered = Counter(reader.read(drawing, one=True).text for drawing in drawings)
    test = load_digits("mnist:test")
    right = reader.model.predict(test.images).labels == test.labels
    errors = int((~right).sum())
    facts = {
        "hand": {"of": len(drawings), "right": said["7"], "interval95": wilson_interval(said["7"], len(drawings)),
                 "said": dict(said.most_common()), "answered_right": answered["7"], "refused": answered["?"]},
        "mnist": {"of": len(test), "errors": errors, "interval95": wilson_interval(len(test) - errors, len(test))},
    }  # fmt: skip
    return facts, right


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(7)
    drawings = [drawn(rng) for _ in range(CORRECTED + UNSEEN)]
    Image.fromarray(np.hstack(drawings[:8])).resize((8 * 100, 100)).save(FOLDER / "hand.png")
    rows = []
    for seed in range(arguments.seeds):
        file = FOLDER / f"corrections-{seed}.sqlite"
        file.unlink(missing_ok=True)
        before = trained(FOLDER / f"before-{seed}", seed)
        correct(before, file, drawings[:CORRECTED])
        after = trained(FOLDER / f"after-{seed}", seed, "--extra", file)
        row: dict[str, Any] = {"seed": seed}
        row["before"], first = measured(before, drawings[CORRECTED:])
        row["after"], second = measured(after, drawings[CORRECTED:])
        row["mcnemar_p"] = mcnemar(first, second).p
        rows.append(row)
        print(json.dumps(row), flush=True)
        result = {"corrected": CORRECTED, "rows": rows, "machine": machine(), "commit": commit()}
        write_result("corrections", result)


if __name__ == "__main__":
    main()

"""The code on the pages runs: every Python block, and the commands that take seconds, with files of the names they use.

Commands that train or compare for minutes are only taken apart, in test_docs.py.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from serving import running
from support import somebody_elses_model
from test_docs import PAGES, ROOT, commands

from inkdigits.app.cli import status_of
from inkdigits.digits.dataset import Digits
from inkdigits.digits.formats import load_digits, save_digits
from inkdigits.nets.train import train

PYTHON = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
RUNS = ("fast-0", "fast-1", "fast-2", "kaggle", "first", "mine", "both", "b-regularised-0", "best-all")
# Verbs whose commands take seconds, with what of them does not.
QUICK = re.compile(r"inkdigits (data|read|predict|ensemble|evaluate|explain|export|train --(list|settings))\b")
SLOW = re.compile(r"--shift|--ray|SOURCE|/scans|openvino|#wrong|explain reader|mnist:train -m runs/fast-0")
STATUS = {
    "inkdigits data bad.csv": 1,
    "inkdigits read note.png empty.png nosuch.png seven.png": 1,
    "inkdigits predict 'scans/*.csv.gz' -o answers.csv --resume": 0,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, mnist_test: Digits) -> Path:
    """A folder with every file that the pages name, small."""
    folder = tmp_path_factory.mktemp("pages")
    some = load_digits("mnist:train").take(slice(1_000), source="some")
    few = mnist_test.take(slice(300), source="few")
    for place, name in enumerate(RUNS):
        train(some, net="softmax", epochs=1, seed=place, initialisation="pytorch", output=folder / "runs" / name)
    (folder / "scans").mkdir()
    for name in (
        "train.csv",
        "mine-train.csv",
        "mine-test.csv",
        "my-digits.csv",
        "my-digits/",
        "corrections.sqlite",
        "forms.parquet",
        "train.parquet",
    ):
        save_digits(few, f"{folder}/{name}")
    for name in ("test.csv", "scans/1.csv.gz", "scans/2.csv.gz"):
        save_digits(Digits(few.images), folder / name)
    lines = (folder / "train.csv").read_text().splitlines()[:4]
    (folder / "bad.csv").write_text("\n".join([*lines[:3], lines[3].replace(",0", ",256", 1)]) + "\n")
    somebody_elses_model(folder / "other.onnx", some)
    page = np.full((120, 400), 235, np.uint8)
    for place, index in enumerate((4, 3, 0)):  # 4, 0, 7
        page[40:68, 60 + 50 * place : 88 + 50 * place] -= (few.images[index] * (200 / 255)).astype(np.uint8)
    photo = Image.fromarray(page)
    for name in ("photo.jpg", "photo.png", "note.png", "form.pdf"):
        photo.save(folder / name)
    Image.fromarray(255 - few.images[0]).resize((140, 140)).save(folder / "seven.png")
    Image.new("L", (140, 140), 240).save(folder / "empty.png")
    assert status_of(shlex.split(f"ensemble {folder}/runs/fast-0 {folder}/runs/fast-1 -o {folder}/three.onnx")) == 0
    shutil.copy(folder / "three.onnx", folder / "reader-int8.onnx")
    return folder


@pytest.fixture
def there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize(
    "page", [page for page in PAGES if "```python" in page.read_text("utf-8")], ids=lambda p: p.stem
)
def test_the_python_of_a_page_runs(page: Path, there: Path) -> None:
    text = page.read_text(encoding="utf-8")
    code = "\n".join(["import numpy as np", "images = np.zeros((2, 28, 28), np.uint8)", *PYTHON.findall(text)])
    with running() if "127.0.0.1:8000" in code else nullcontext() as server:
        if server is not None:
            code = code.replace("127.0.0.1:8000", f"127.0.0.1:{server.port}")
        environment = os.environ | {"OMP_NUM_THREADS": "2"}
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=there, capture_output=True, text=True, check=False, env=environment
        )
    assert done.returncode == 0, done.stderr


QUICK_COMMANDS = [command for command in commands() if QUICK.match(command) and not SLOW.search(command)]


@pytest.mark.parametrize("command", QUICK_COMMANDS)
def test_a_command_of_a_page_runs(command: str, there: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = []
    for word in shlex.split(command)[1:]:
        words += sorted(str(file) for file in there.glob(word)) if word == "*.png" else [word]
    for name in ("answers.csv", "answers.parquet", "submission.csv"):
        (there / name).unlink(missing_ok=True)
    status = status_of(words)
    assert status in ({STATUS.get(command, 0)} | ({3} if "read" in words else set())), capfd.readouterr().err


def test_enough_of_them_run_for_that_to_mean_something() -> None:
    assert len(QUICK_COMMANDS) > 25
    assert (ROOT / "README.md") in PAGES

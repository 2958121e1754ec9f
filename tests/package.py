"""Builds the package as it is released, installs it into clean environments, and uses it there.

    $ .venv/bin/python tests/package.py [--floors]

The wheel is made from the sdist, so that nothing is missing in that. In a new environment with the wheel and what it
needs, and no more, a digit is read, MNIST's test part predicted and what is missing for training said; in another with
the light extras a page is served and Parquet written. `--floors` does the former with the oldest versions that
`pyproject.toml` allows.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
EXTRAS = "tables,pictures,serve"
CORE = """
import sys
from pathlib import Path
import numpy as np
import inkdigits
from PIL import Image

assert "site-packages" in inkdigits.__file__, inkdigits.__file__
test = inkdigits.load_digits("mnist:test")
Image.fromarray(255 - test.images[0]).resize((140, 140)).save("seven.png")
assert inkdigits.read("seven.png").text == "7"
found = inkdigits.predict("mnist", output="out.csv")
assert found.accuracy > 0.995, found
assert (Path(inkdigits.__file__).parent / "py.typed").exists()
try:
    inkdigits.train
except inkdigits.InkdigitsError as error:
    assert 'pip install "inkdigits[train]"' in str(error), error
else:
    raise AssertionError("PyTorch is there")
assert "torch" not in sys.modules
"""
WITH_EXTRAS = """
import re, subprocess, sys, urllib.request
import inkdigits

inkdigits.predict("mnist", output="out.parquet")
command = [sys.executable, "-m", "inkdigits", "serve", "--port", "0"]
with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
    try:
        address = re.search(r"http://\\S+", server.stdout.readline()).group()
        with urllib.request.urlopen(address) as page:
            assert b"<canvas" in page.read()
        with urllib.request.urlopen(address.rstrip("/") + "/readyz") as answer:
            assert answer.status == 200
    finally:
        server.terminate()
"""


def run(*words: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, cwd=cwd, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, words))}:\n{done.stdout}{done.stderr}")
    return done.stdout


def build(folder: Path) -> tuple[Path, Path]:
    """The sdist, and the wheel made from it."""
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT)
    sdist, wheel = next(folder.glob("*.tar.gz")), next(folder.glob("*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    for needed in ("inkdigits/py.typed", "inkdigits/reader/models/reader.onnx", "inkdigits/app/page/index.html"):
        assert needed in names, needed
    strange = [name for name in names if not re.match(r"inkdigits(-[\d.]+\.dist-info)?/", name)]
    assert not strange, strange
    with tarfile.open(sdist) as archive:
        inside = archive.getnames()
    assert not [name for name in inside if "/work/" in name or name.endswith(".pyc")]
    return sdist, wheel


def environment(folder: Path, *what: str | Path) -> Path:
    """A new environment with `what` installed; gives its Python."""
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *what)
    return python


def floors() -> list[str]:
    """The oldest version of each core dependency that is allowed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [re.sub(r">=([\d.]+).*", r"==\1.*", dependency) for dependency in project["dependencies"]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--floors", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sdist, wheel = build(folder / "dist")
        sizes = {file.suffix.lstrip("."): round(file.stat().st_size / 1e6, 1) for file in (sdist, wheel)}
        print(f"built: sdist {sizes['gz']} MB, wheel {sizes['whl']} MB", flush=True)
        if arguments.floors:
            python = environment(folder / "floors", wheel, *floors())
            listed = json.loads(run(python, "-m", "pip", "list", "--format", "json"))
            print("oldest:", ", ".join(f"{one['name']} {one['version']}" for one in listed if one["name"] != "pip"))
            run(python, "-W", "error::DeprecationWarning:inkdigits", "-c", CORE, cwd=folder)
            print("the oldest versions read, and predict")
            return
        constraints = ("--constraint", ROOT / "constraints.txt")
        python = environment(folder / "core", wheel, *constraints)
        run(python, "-c", CORE, cwd=folder)
        print("installed alone it reads, predicts, and says what training needs", flush=True)
        python = environment(folder / "extras", f"{wheel}[{EXTRAS}]", *constraints)
        run(python, "-c", WITH_EXTRAS, cwd=folder)
        print(f"with [{EXTRAS}] it serves, and writes Parquet")


if __name__ == "__main__":
    main()

"""Make the documentation: run the tutorials, gather the pages, and build a site that needs no network to be viewed.

    $ .venv/bin/python docs/build.py                            # everything into site/
    $ .venv/bin/python docs/build.py --only overfitting         # run this tutorial alone, keep the others as they are
    $ .venv/bin/python docs/build.py --only none                # the pages alone

Every tutorial is run from its first cell to its last; one that fails, warns or takes longer than MOST_SECONDS stops
the build, as does a link inside the site that leads nowhere.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import inkdigits

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
WORK, SITE = ROOT / "work" / "site", ROOT / "site"
SOURCE, NOTEBOOKS, MADE = WORK / "source", WORK / "notebooks", WORK / "made" / "html"
MOST_SECONDS = 300  # of a tutorial, on two cores

TUTORIALS = (
    "look_at_the_data",
    "from_regression_to_a_network",
    "overfitting",
    "kaggle_in_ten_minutes",
    "your_own_handwriting",
    "build_it_yourself",
)
# What the side of every page lists: a heading, and pages by their place under docs/.
PARTS = {
    "Learn": [f"tutorials/{name}" for name in TUTORIALS],
    "Do": [
        "howto/own_data", "howto/deploy", "howto/embed_the_model", "howto/several_gpus", "howto/cluster",
    ],
    "Commands": [
        "read", "serve", "data", "explore", "train", "evaluate", "compare", "ablate", "explain", "predict", "ensemble",
        "export", "classifier",
    ],
    "Know": [
        "install", "figures", "records", "models", "reliability", "security", "faq", "glossary", "python",
        "contributing", "SECURITY", "CHANGELOG",
    ],
}  # fmt: skip
# The reference of the Python interface: headings, and what stands under them.
REFERENCE = {
    "Read": ["read", "Reader", "Reading", "load_model", "Model", "predict"],
    "Digits": ["Digits", "load_digits", "save_digits", "data"],
    "Train and measure": ["train", "evaluate", "ensemble", "export", "DigitClassifier"],
    "Study": ["explore", "compare", "ablate", "explain"],
    "Serve": ["serve"],
    "Errors": ["InkdigitsError"],
}


def run_tutorial(name: str) -> float:
    """Run a tutorial into a notebook with its outputs. Gives the seconds that it took."""
    import jupytext
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    folder = WORK / "run" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    notebook = jupytext.read(HERE / "tutorials" / f"{name}.py")
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    began = time.perf_counter()
    client = NotebookClient(notebook, timeout=MOST_SECONDS, resources={"metadata": {"path": str(folder)}})
    try:
        client.execute(stderr=subprocess.DEVNULL)  # where its kernel talks of ports
    except CellExecutionError as error:
        raise SystemExit(f"docs/tutorials/{name}.py: {error}") from None
    seconds = time.perf_counter() - began
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.get("name") == "stderr":
                raise SystemExit(f"docs/tutorials/{name}.py: a cell wrote to stderr: {output['text'].strip()}")
    NOTEBOOKS.mkdir(parents=True, exist_ok=True)
    _leave_out_times(notebook)
    nbformat.write(notebook, NOTEBOOKS / f"{name}.ipynb")
    return seconds


def _leave_out_times(notebook: Any) -> None:
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)


def gather() -> None:
    """Put every page where Sphinx looks for it, README as the first, and make the page of the Python interface."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    shutil.copytree(HERE, SOURCE, ignore=shutil.ignore_patterns("*.py", "__pycache__", "*.css"))
    for name in ("LICENSE", "SECURITY.md", "CITATION.cff", "CHANGELOG.md"):
        shutil.copy(ROOT / name, SOURCE / name)
    shutil.copy(ROOT / "src/inkdigits/digits/mnist/LICENSE", SOURCE / "MNIST-LICENSE")
    for notebook in NOTEBOOKS.glob("*.ipynb"):
        _as_page(notebook, SOURCE / "tutorials")
    first = (ROOT / "README.md").read_text(encoding="utf-8")
    (SOURCE / "index.md").write_text(f"{first}\n{contents()}", encoding="utf-8")
    shutil.copy(ROOT / "CONTRIBUTING.md", SOURCE / "contributing.md")
    for page in SOURCE.rglob("*.md"):
        page.write_text(inside(page.read_text(encoding="utf-8")), encoding="utf-8")
    (SOURCE / "python.md").write_text(reference(), encoding="utf-8")


def _as_page(file: Path, folder: Path) -> None:
    """Put a notebook among the pages, with a line that gives it and its program away."""
    import nbformat

    notebook = nbformat.read(file, as_version=4)
    (folder / "download").mkdir(parents=True, exist_ok=True)
    for copied in (file, HERE / "tutorials" / f"{file.stem}.py"):
        shutil.copy(copied, folder / "download" / copied.name)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = re.sub(r"\]\((\w+)\.py\)", r"](\1.ipynb)", inside(cell.source))
    line = f"To run it yourself: {{download}}`the notebook <download/{file.stem}.ipynb>` with these outputs, or "
    line += f"{{download}}`the program <download/{file.stem}.py>`."
    notebook.cells.insert(1, nbformat.v4.new_markdown_cell(line))
    nbformat.write(notebook, folder / file.name)


def inside(text: str) -> str:
    """A page whose links lead to their places in the site, where docs/ is the top."""
    text = text.replace("](docs/", "](/")
    text = re.sub(r"\]\((?:\.\./)+README\.md", "](/index.md", text)
    text = re.sub(r"\]\((?:\.\./)*CONTRIBUTING\.md", "](/contributing.md", text)
    text = re.sub(r"\]\((?:\.\./)*(LICENSE|SECURITY\.md|CITATION\.cff|CHANGELOG\.md)\)", r"](/\1)", text)
    text = re.sub(r"\]\([./]*src/inkdigits/digits/mnist/LICENSE\)", "](/MNIST-LICENSE)", text)
    # A tutorial is a program in the repository, and a page here.
    return re.sub(r"(\]\([./]*tutorials/\w+)\.py\)", r"\1.ipynb)", text)


def contents() -> str:
    lists = []
    for heading, pages in PARTS.items():
        there = [page for page in pages if page in ("python", "contributing") or any(SOURCE.glob(f"{page}.*"))]
        if heading == "Commands":
            there = [f"{page} <{page}>" for page in there]  # their titles are sentences
        lists.append("\n".join(["```{toctree}", ":hidden:", f":caption: {heading}", "", *there, "```"]))
    return "\n\n".join(lists) + "\n"


def reference() -> str:
    """The page of the Python interface, made of the docstrings."""
    missing = set(inkdigits.__all__) - {name for names in REFERENCE.values() for name in names} - {"__version__"}
    if missing:
        raise SystemExit(f"docs/build.py: {', '.join(sorted(missing))} in no part of REFERENCE")
    parts = ["# Python", "Every verb is a function of the same name; what it needs is loaded when it is first used."]
    for heading, names in REFERENCE.items():
        parts.append(f"## {heading}")
        for name in names:
            kind = "class" if isinstance(getattr(inkdigits, name), type) else "function"
            kind = "exception" if name.endswith("Error") else kind
            more = ["   :members:"] if kind != "function" else []
            parts.append("\n".join(["```{eval-rst}", f".. auto{kind}:: inkdigits.{name}", *more, "```"]))
    return "\n\n".join(parts) + "\n"


def build() -> None:
    words = ["-W", "--keep-going", "-q", "-c", str(HERE), "-d", str(WORK / "doctrees"), str(SOURCE), str(MADE)]
    environment = os.environ | {"PYTHONWARNINGS": "ignore::DeprecationWarning"}
    done = subprocess.run([sys.executable, "-m", "sphinx", *words], check=False, env=environment)
    if done.returncode:
        raise SystemExit("docs/build.py: the site was not built, for the reasons above")
    shutil.rmtree(SITE, ignore_errors=True)
    shutil.copytree(MADE, SITE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=[*TUTORIALS, "none"], default=TUTORIALS)
    for name in parser.parse_args().only:
        if name != "none":
            seconds = run_tutorial(name)
            print(f"{name}: {seconds:.0f} s", flush=True)
            if seconds > MOST_SECONDS:
                raise SystemExit(f"docs/tutorials/{name}.py: took {seconds:.0f} s, expected at most {MOST_SECONDS}")
    gather()
    build()
    print(f"{SITE.relative_to(ROOT)}/index.html")


if __name__ == "__main__":
    main()

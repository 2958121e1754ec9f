"""README and docs say what the result files say, and their examples run."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import build
import click
import pytest
import refresh

from inkdigits.app.cli import cli

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_table_is_the_one_that_its_result_file_makes(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert refresh.filled(text, None) == text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_block_is_left_empty(page: Path) -> None:
    for block in refresh.BLOCK.finditer(page.read_text(encoding="utf-8")):
        assert len(block.group().splitlines()) > 2, block.group()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        if not target.startswith("https://"):
            assert (page.parent / target).exists(), target


def commands() -> list[str]:
    """Every command that a page or a verb's help shows, its output and comments left out."""
    texts = [page.read_text(encoding="utf-8") for page in PAGES]
    texts += [verb.help or "" for verb in [cli, *cli.commands.values()]]
    lines = [line.strip().removeprefix("$ ") for text in texts for line in text.splitlines()]
    found = [line for line in lines if line.startswith("inkdigits ") and not re.search(r"[\[|>…]|: ", line)]
    return sorted({re.split(r"\s{3,}", line)[0] for line in found})


@pytest.mark.parametrize("command", commands())
def test_every_command_shown_is_one_that_the_program_takes(command: str) -> None:
    words = shlex.split(command)[1:]
    if words[0].startswith("-"):
        return
    verb = cli.commands[words[0]]
    with click.Context(cli) as parent:
        verb.make_context(words[0], words[1:], parent=parent, resilient_parsing=False)


def test_the_pages_show_enough_commands_for_that_to_mean_something() -> None:
    assert len(commands()) > 15


TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.py"))


def test_every_tutorial_is_one_that_the_site_has() -> None:
    assert {file.stem for file in TUTORIALS} == set(build.TUTORIALS)


@pytest.mark.parametrize("file", TUTORIALS, ids=lambda file: file.stem)
def test_what_a_tutorial_imports_is_there(file: Path) -> None:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert len(imports) > 3
    for node in imports:
        exec(compile(ast.Module([node], []), file.name, "exec"), {})


@pytest.mark.parametrize("file", TUTORIALS, ids=lambda file: file.stem)
def test_every_exercise_of_a_tutorial_has_a_solution_that_is_folded_away(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.startswith("# %% [markdown]\n# # ")
    exercises = text.split("\n# ### Exercise ")[1:]
    assert len(exercises) >= 3
    for exercise in exercises:
        assert '\n# %% tags=["hide-cell"]\n# Solution' in exercise, exercise.splitlines()[0]


def test_the_site_has_every_page() -> None:
    listed = {page for pages in build.PARTS.values() for page in pages}
    pages = {file.relative_to(ROOT / "docs").with_suffix("").as_posix() for file in PAGES[2:]}
    assert pages <= listed

"""README and docs say what the result files say, and their examples run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

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

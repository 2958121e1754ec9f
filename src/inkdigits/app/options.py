"""What the verbs share: kinds of argument, common options, talk and errors."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from ..nets.catalogue import NETWORKS

BETWEEN = 0.2  # seconds from one drawing of a progress bar to the next
Command = TypeVar("Command", bound=Callable[..., Any])


class SourceType(click.ParamType[str]):
    """A source of digits: a word or a file; completion offers both."""

    name = "source"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        words = [word for word in ("mnist", "mnist:train", "mnist:test") if word.startswith(incomplete)]
        return [*(CompletionItem(word) for word in words), CompletionItem(incomplete, type="file")]


class NetType(click.ParamType[str]):
    """A network's name; an unknown one is the catalogue's to explain."""

    name = "net"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(name, help=net.about) for name, net in NETWORKS.items() if name.startswith(incomplete)]


ON_RAY = "Let a Ray cluster do it: HOST:PORT, auto, or local to start one here."
SOURCE, NET, FILE = SourceType(), NetType(), click.Path(path_type=Path)


def say(line: str) -> None:
    """Talk: to stderr, and not at all with --quiet."""
    context = click.get_current_context(silent=True)
    if context is None or not context.params.get("quiet"):
        # Talk that nobody can hear any more must not end the work.
        with suppress(OSError, ValueError, AttributeError):
            click.echo(line, err=True)


@contextmanager
def progress_bar(quiet: bool) -> Iterator[Callable[[int, float], None]]:
    """A line on a terminal's stderr that says how many digits are done, how fast, and how long the rest will take.

    Gives what is to be told how many they are, and which share of all; elsewhere than on a terminal nothing is drawn.
    """
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield lambda rows, share: None
        return
    began, drawn = time.monotonic(), 0.0
    first: tuple[int, float] | None = None  # where it began to count: after what an earlier command had done

    def watch(rows: int, share: float) -> None:
        nonlocal drawn, first
        now = time.monotonic()
        first = first or (rows, share)
        if now - drawn < BETWEEN:
            return
        drawn = now
        seconds = now - began
        line = f"{rows:,} digits, {share:.0%}"
        if seconds > 1 and share > first[1]:
            left = seconds * (1 - share) / (share - first[1])
            line += f", {(rows - first[0]) / seconds:,.0f} a second, {_spoken(left)} left"
        _draw(line)

    try:
        yield watch
    finally:
        _draw("")


@contextmanager
def ray_talk(address: str | None, quiet: bool) -> Iterator[None]:
    """What Ray prints goes where talk goes; without an address nothing is changed."""
    if address is None:
        yield
        return
    os.environ.setdefault("RAY_COLOR_PREFIX", "0")
    with ExitStack() as files:
        nowhere = files.enter_context(Path(os.devnull).open("w")) if quiet else None
        files.enter_context(redirect_stdout(nowhere or sys.stderr))
        yield


def _draw(line: str) -> None:
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(f"\r\x1b[K{line}")
        sys.stderr.flush()


def _spoken(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def shared(*, threads: bool = True) -> Callable[[Command], Command]:
    """The options that several verbs have."""

    def decorate(command: Command) -> Command:
        command = click.option("-q", "--quiet", is_flag=True, help="No talk on stderr, errors apart.")(command)
        command = click.option("--json", "as_json", is_flag=True, help="The result as one JSON object.")(command)
        if threads:
            kind = click.IntRange(1, 1024)
            command = click.option("--threads", type=kind, help="Processor threads.  [default: all]")(command)
        return command

    return decorate


def to_json(content: dict[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False)


def fail(message: str, status: int) -> int:
    with suppress(OSError, ValueError, AttributeError):
        click.echo(f"error: {' '.join(message.split())}", err=True)
    return status

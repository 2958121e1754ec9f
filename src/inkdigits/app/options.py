"""What the verbs share: kinds of argument, common options, talk and errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from ..nets.catalogue import NETWORKS

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


SOURCE, NET, FILE = SourceType(), NetType(), click.Path(path_type=Path)


def say(line: str) -> None:
    """Talk: to stderr, and not at all with --quiet."""
    context = click.get_current_context(silent=True)
    if context is None or not context.params.get("quiet"):
        # Talk that nobody can hear any more must not end the work.
        with suppress(OSError, ValueError, AttributeError):
            click.echo(line, err=True)


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

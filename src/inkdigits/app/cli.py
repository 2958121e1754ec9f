"""The command line: one verb a function, its docstring the manual.

    $ inkdigits read photo.jpg
    $ inkdigits train mnist -o runs/first
    $ inkdigits evaluate runs/first
    $ inkdigits predict test.csv -m runs/first -o submission.csv

Results go to stdout, talk to stderr. Exit status: 0 done, 1 an unusable input or environment, 2 an unknown verb or
option or a missing argument, 3 refused, 130 interrupted.
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem, get_completion_class

from .. import __version__
from ..errors import InkdigitsError, InputError
from ..nets.catalogue import NETWORKS, TARGETS, parse_setting, settings_for

# What is heavy is imported inside the verb that needs it: help, completion and error messages stay instant.

Command = TypeVar("Command", bound=Callable[..., Any])

SHELLS = ("bash", "zsh", "fish")


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


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="SOURCE is mnist (embedded), a CSV as Kaggle's, IDX, .npz, .parquet or .sqlite file, or a folder of images.",
)
@click.version_option(__version__, prog_name="inkdigits")
def cli() -> None:
    """Read handwritten digits, and see how that is learnt.

    \b
    inkdigits read photo.jpg                                 the digits on a photograph, scan or drawing
    inkdigits train                                          train on the embedded MNIST
    inkdigits evaluate runs/fast-0                           measure it, and look at what it gets wrong
    inkdigits train train.csv -o runs/kaggle                 train on Kaggle's Digit Recognizer …
    inkdigits predict test.csv -m runs/kaggle -o sub.csv     … and write the submission
    """


@cli.command()
@click.argument("pictures", nargs=-1, required=True, metavar="PICTURE...", type=click.Path())
@click.option("-m", "--model", default="reader", show_default=True, help="Run folder, .onnx file or shipped model.")
@click.option("--one", is_flag=True, help="Each picture holds exactly one digit.")
@click.option("--best-guess", is_flag=True, help="Never refuse, unless the picture is blank.")
@click.option("--digits-only", is_flag=True, help="Leave out signs that are no digits, in place of a “?”.")
@click.option("--strictness", metavar="NAME", default="normal", help="When to refuse: lenient, normal or strict.")
@click.option("--csv", "table", type=FILE, metavar="FILE", help="Also write a table, a row for each digit.")
@click.option("--annotate", "drawings", type=FILE, metavar="DIR", help="Also draw what was read, a PNG a picture.")
@click.option("--glyphs", is_flag=True, help="With --json: the 28×28 that the model saw of each digit.")
@shared()
def read(
    pictures: tuple[str, ...],
    model: str,
    one: bool,
    best_guess: bool,
    digits_only: bool,
    strictness: str,
    table: Path | None,
    drawings: Path | None,
    glyphs: bool,
    threads: int | None,
    quiet: bool,
    as_json: bool,
) -> int:
    """Read the digits on each PICTURE: a photograph, a scan, a drawing; `-` is standard input.

    Prints the text; of several pictures each line with its file before it; with --json one object a picture. Numbers
    on a line are parted by a space; a sign that is no digit is “?”. Exit status 3 if a picture was refused (blank,
    unsure …), 1 if one could not be read; the others are answered all the same.

    \b
    inkdigits read photo.jpg
    inkdigits read *.png --one --csv answers.csv
    inkdigits read form.pdf --json --annotate drawn
    """
    from ..reader.answers import json_line, open_drawings, open_table, read_all, text_lines
    from ..reader.read import STRICTNESS, Reader

    if strictness not in STRICTNESS:
        raise InputError("--strictness", "unknown", expected=" or ".join(STRICTNESS), found=strictness)
    if glyphs and not as_json:
        raise InputError("--glyphs", "is for --json", mend="add --json")
    reader = Reader(model, threads=threads)
    options = {"one": one, "best_guess": best_guess, "digits_only": digits_only, "strictness": strictness}
    unread = refused = False
    heard = True
    with ExitStack() as files:
        add = files.enter_context(open_table(table, reader)) if table else None
        draw = files.enter_context(open_drawings(drawings)) if drawings else None
        for answer in read_all(pictures, reader, **options):
            reading = answer.reading
            named = len(pictures) > 1 or reading.page is not None
            if answer.error:
                unread = True
                _fail(str(answer.error), 1)
            elif not as_json:
                if reading.note:
                    say(f"{answer.label}: {reading.note}")
                if reading.refused:
                    say(f"{answer.label}: refused: {reading.reason}")
            refused |= reading.refused
            line = json_line(reading, glyphs=glyphs) if as_json else text_lines(answer, named=named)
            try:
                if heard and (line or named):
                    click.echo(line)
            except BrokenPipeError:
                # Whoever read along has seen enough; the files that were asked for are still written.
                if not (add or draw):
                    raise
                heard = False
            if add:
                add(reading)
            if draw:
                draw(answer)
    return 1 if unread else 3 if refused else 0


@cli.command()
@click.argument("source", type=SOURCE, default="mnist")
@click.option("--to", "target", type=FILE, help="Convert: write the digits to this file or folder.")
@shared(threads=False)
def data(source: str, target: Path | None, quiet: bool, as_json: bool) -> None:
    """Say what is in SOURCE, or convert it.

    Counts, classes, pixel statistics, duplicates and the overlap with the embedded MNIST, for training and test part
    separately. The format written is told by the name: .csv, .csv.gz, .zip, .npz, .parquet, .sqlite,
    NAME-images-idx3-ubyte (with .gz if wanted; labels beside it), anything else a folder of images.

    \b
    inkdigits data
    inkdigits data train.csv --json
    inkdigits data mnist:train --to train.csv
    """
    from ..digits.describe import describe
    from ..digits.formats import load_parts, save_parts

    if target is not None:
        parts = load_parts(source)
        save_parts(parts, target)
        count = sum(map(len, parts.values()))
        if as_json:
            click.echo(_json({"source": source, "output": str(target), "n": count}))
        say(f"{count:,} digits from {source} written to {target}")
        if len(parts) > 1 and target.suffix != ".npz":
            say(f"warning: training and test part are in it together; {source}:train would be the training part alone")
        return
    description = describe(source)
    click.echo(_json(description.as_dict()) if as_json else description.text())


@cli.command()
@click.argument("source", type=SOURCE, required=False)
@click.option("--net", type=NET, help="Which network.  [default: fast]")
@click.option("--target", metavar="|".join(TARGETS), help="Test accuracy that the preset of fast is made for.")
@click.option("-o", "--output", type=FILE, help="Run folder.  [default: runs/NET-SEED]")
@click.option("--extra", type=SOURCE, multiple=True, metavar="SOURCE", help="More digits to train on; repeatable.")
@click.option("--resume", is_flag=True, help="Go on with the interrupted run in -o.")
@click.option("--force", is_flag=True, help="Replace the earlier run in -o.")
@click.option("--from-config", type=FILE, metavar="FILE", help="Repeat the run that wrote this config.json.")
@click.option("--seed", type=int, help="Seed of weights, order and augmentation.  [default: 0]")
@click.option("--device", metavar="auto|cpu|cuda", help="Where to compute.  [default: auto]")
@click.option("--epochs", type=float, help="Passes over the training digits.")
@click.option("--set", "changes", multiple=True, metavar="NAME=VALUE", help="Any other setting; repeatable.")
@click.option("--list", "list_nets", is_flag=True, help="List the networks and stop.")
@click.option("--settings", "list_settings", is_flag=True, help="List the settings of the chosen network and stop.")
@shared()
def train(
    source: str | None,
    net: str | None,
    target: str | None,
    output: Path | None,
    extra: tuple[str, ...],
    resume: bool,
    force: bool,
    from_config: Path | None,
    changes: tuple[str, ...],
    list_nets: bool,
    list_settings: bool,
    quiet: bool,
    as_json: bool,
    threads: int | None,
    **named: Any,
) -> None:
    """Train a network on SOURCE (MNIST's training part) and write a run folder.

    Part of the digits is held out; the test set is never opened. The folder gets the model as an ONNX file, settings,
    history, a checkpoint and metrics. Ctrl-C leaves a run that --resume goes on with.

    \b
    inkdigits train
    inkdigits train train.csv -o runs/kaggle
    inkdigits train --target 99.0
    inkdigits train --net b-regularised --seed 3 --set dropout=0.3 --set weight_decay=1e-4
    inkdigits train --resume -o runs/kaggle
    """
    if list_nets:
        click.echo("\n".join(f"{name:24}{network.about}" for name, network in NETWORKS.items()))
        return
    settings = dict(parse_setting(change) for change in changes)
    settings |= {name: value for name, value in named.items() if value is not None}
    if list_settings:
        chosen = settings_for(net or "fast", target=target, **settings).as_dict()
        click.echo(_json(chosen) if as_json else "\n".join(f"{name:18}{value}" for name, value in chosen.items()))
        return
    if not (resume or from_config):
        # Before PyTorch is loaded: a misspelt name is answered at once.
        settings_for(net or "fast", target=target, **settings)
    from ..nets.train import train as run_training

    run = run_training(
        source,
        net=net,
        target=target,
        output=output,
        extra=extra,
        resume=resume,
        force=force,
        from_config=from_config,
        threads=threads,
        say=say,
        progress=not quiet and sys.stderr is not None and sys.stderr.isatty(),
        **settings,
    )
    click.echo(_json({"run": str(run.folder), **run.metrics}) if as_json else run.text())
    say(f"next: inkdigits evaluate {run.folder}")


@cli.command()
@click.argument("model")
@click.argument("source", type=SOURCE, default="mnist")
@click.option("-o", "--output", type=FILE, help="Folder for metrics.json and report.html.  [default: the run folder]")
@click.option("--against", metavar="MODEL2", help="A second model for the same digits (McNemar's test).")
@click.option("--shift", is_flag=True, help="Also corrupted digits, digits of other people and what is no digit.")
@click.option("--input-scale", metavar="NAME", help="For foreign models: unit, raw, signed, standard or inverted.")
@shared()
def evaluate(
    model: str,
    source: str,
    output: Path | None,
    against: str | None,
    shift: bool,
    input_scale: str | None,
    threads: int | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Measure MODEL on the labelled digits of SOURCE (MNIST's test part).

    Accuracy with its interval, per class, calibration, what it would refuse, which digits it gets wrong: metrics.json
    and report.html. MODEL is a run folder, an .onnx file or the name of a shipped model. --shift takes another minute:
    fifteen corruptions (MNIST-C), UCI's digits, clothes, noise, textures, turned and mirrored digits.

    \b
    inkdigits evaluate runs/fast-0
    inkdigits evaluate reader --shift -o results
    inkdigits evaluate runs/fast-0 --against runs/b-regularised-0
    inkdigits evaluate other.onnx my-digits.csv -o results
    """
    from ..lab.evaluate import evaluate as run_evaluation

    if shift:
        say("on worse images too: this takes about a minute")
    result = run_evaluation(
        model, source, output=output, against=against, shift=shift, threads=threads, input_scale=input_scale
    )
    shifted = {"shift": result.shift.as_dict()} if result.shift else {}
    click.echo(_json(result.as_dict() | shifted) if as_json else result.text())
    for line in result.warnings():
        say(line)


@cli.command()
@click.argument("source", type=SOURCE)
@click.option("-m", "--model", default="reader", show_default=True, help="Run folder, .onnx file or shipped model.")
@click.option("-o", "--output", type=FILE, required=True, help="The CSV to write.")
@click.option("--details", is_flag=True, help="Also write Confidence, Novelty and Refused.")
@click.option("--input-scale", metavar="NAME", help="For foreign models: unit, raw, signed, standard or inverted.")
@shared()
def predict(
    source: str,
    model: str,
    output: Path,
    details: bool,
    input_scale: str | None,
    threads: int | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Read every digit of SOURCE and write `ImageId,Label`, ids counting from 1 in the order of the rows.

    The label is always 0…9; --details says which images look unlike a digit. The file is read back and checked.

    \b
    inkdigits predict test.csv -m runs/kaggle -o submission.csv
    inkdigits predict forms.parquet -o answers.csv --details
    """
    from ..reader.predict import predict as run_prediction

    result = run_prediction(
        source, model=model, output=output, details=details, threads=threads, input_scale=input_scale
    )
    if as_json:
        click.echo(_json(result.as_dict()))
    for line in result.text().splitlines():
        say(line)


@cli.command()
@click.argument("model")
@click.argument("pictures", nargs=-1, required=True, metavar="PICTURE...")
@click.option("-o", "--output", type=FILE, required=True, help="Folder for the pictures, report.html and JSON.")
@click.option("--one", is_flag=True, help="Each picture holds exactly one digit.")
@click.option(
    "--training", type=SOURCE, metavar="SOURCE", help="Where similar digits are looked for.  [default: its own]"
)
@click.option("--among", type=click.IntRange(1), help="At most so many of them, evenly spaced.  [default: 10000]")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the random masks.")
@click.option("--input-scale", metavar="NAME", help="For foreign models: unit, raw, signed, standard or inverted.")
@shared()
def explain(
    model: str,
    pictures: tuple[str, ...],
    output: Path,
    one: bool,
    training: str | None,
    among: int | None,
    seed: int,
    input_scale: str | None,
    threads: int | None,
    quiet: bool,
    as_json: bool,
) -> int:
    """Show why MODEL reads each digit as it does.

    For every digit a picture: what the model saw, where it looked, the least ink that would make it another digit, the
    training digits most like it, how sure it is of each digit. PICTURE is a photograph, scan or drawing, or digits of
    a source by number, counted from 0: SOURCE#4, SOURCE#0,2,10-19, or SOURCE#wrong for the surest mistakes. Takes three
    seconds a digit.

    \b
    inkdigits explain reader mnist:test#1901,2130 -o why
    inkdigits explain runs/fast-0 mnist:test#wrong -o mistakes
    inkdigits explain other.onnx photo.jpg --one -o why
    """
    from ..lab.explain import AMONG
    from ..lab.explain import explain as run_explanation

    result = run_explanation(
        model,
        pictures,
        output=output,
        one=one,
        training=training,
        among=among or AMONG,
        seed=seed,
        threads=threads,
        input_scale=input_scale,
        say=say,
    )
    click.echo(_json(result.as_dict()) if as_json else result.text())
    for error in result.unread:
        _fail(error, 1)
    return 1 if result.unread else 3 if result.empty else 0


@cli.command()
@click.argument("model")
@click.option(
    "--to", metavar="FORMAT", required=True, help="onnx-fp32, onnx-fp16, onnx-int8, openvino or openvino-fp16."
)
@click.option("-o", "--output", type=FILE, required=True, help="The file: .onnx, or .xml for OpenVINO.")
@click.option(
    "--check", type=SOURCE, default="mnist", metavar="SOURCE", help="Digits to count errors on.  [default: mnist]"
)
@click.option("--force", is_flag=True, help="Write it even if it answers otherwise than the original.")
@shared()
def export(
    model: str,
    to: str,
    output: Path,
    check: str,
    force: bool,
    threads: int | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Write MODEL in another format or precision, and compare the two.

    The answers to 5,000 digits held out of MNIST's training part must be the original's, or nothing is written. Size,
    errors on MNIST's test part and speed stand beside the original's. 8-bit numbers get their ranges from 1,000
    training digits. All but OpenVINO's are read like any other model: -m fast-int8.onnx.

    \b
    inkdigits export runs/fast-0 --to onnx-int8 -o fast-int8.onnx
    inkdigits export reader --to openvino -o reader.xml
    """
    from ..nets.convert import export as run_export

    result = run_export(model, to=to, output=output, check=check, force=force, threads=threads)
    click.echo(_json(result.as_dict()) if as_json else result.text())
    for failing in result.failing:
        say(f"warning: {failing}")


@cli.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the completion script of a SHELL.

    \b
    inkdigits completion bash >> ~/.bashrc
    inkdigits completion zsh >> ~/.zshrc
    inkdigits completion fish > ~/.config/fish/completions/inkdigits.fish
    """
    maker = get_completion_class(shell)
    assert maker is not None  # click knows every shell of SHELLS
    click.echo(maker(cli, {}, "inkdigits", "_INKDIGITS_COMPLETE").source())


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave the process with the status that the module's docstring lists."""
    sys.exit(status_of(arguments))


def status_of(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; gives the exit status."""
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal's encoding cannot show is shown with question marks.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        result = cli.main(args=arguments, prog_name="inkdigits", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
    except SystemExit:
        return 0  # click's answer to a reader that has seen enough and left
    except InkdigitsError as error:
        return _fail(str(error), 1)
    except (click.NoSuchOption, click.MissingParameter) as error:
        return _usage(error)
    except click.BadParameter as error:
        where = (error.param and error.param.opts[0]) or "option"
        return _fail(f"{where}: {error.message.rstrip('.')}", 1)
    except click.UsageError as error:
        return _usage(error)
    except (click.Abort, KeyboardInterrupt) as error:
        if isinstance(error.__cause__, EOFError):  # which click takes for an interruption too
            return _fail("input: ended too early", 1)
        say("interrupted")
        return 130
    except BrokenPipeError:
        # The same; nothing may be written any more, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        # What no room foresaw: still one line, with the file's name if there is one.
        return _fail(f"{error.filename or 'system'}: {error.strerror or error}", 1)
    except MemoryError:
        return _fail("not enough memory; give a smaller source", 1)
    return result if isinstance(result, int) else 0


def _fail(message: str, status: int) -> int:
    with suppress(OSError, ValueError, AttributeError):
        click.echo(f"error: {' '.join(message.split())}", err=True)
    return status


def _usage(error: click.UsageError) -> int:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
        return 2
    command = error.ctx.command_path if error.ctx else "inkdigits"
    message = error.format_message().rstrip(".")
    return _fail(f"{message[:1].lower()}{message[1:]}; `{command} --help` says what there is", 2)

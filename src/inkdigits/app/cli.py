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
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from .. import __version__
from ..errors import InkdigitsError, InputError, MissingExtraError, ModelError
from .lab import ablate, compare, ensemble, evaluate, explain, explore, export, train
from .options import FILE, ON_RAY, SOURCE, fail, progress_bar, ray_talk, say, shared, to_json
from .serve_verb import serve

# What is heavy is imported inside the verb that needs it: help, completion and error messages stay instant.

SHELLS = ("bash", "zsh", "fish")


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
@click.option("--input-scale", metavar="NAME", help="For foreign models: unit, raw, signed, standard or inverted.")
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
    input_scale: str | None,
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
    from ..reader.model import load_model
    from ..reader.read import STRICTNESS, Reader

    if strictness not in STRICTNESS:
        raise InputError("--strictness", "unknown", expected=" or ".join(STRICTNESS), found=strictness)
    if glyphs and not as_json:
        raise InputError("--glyphs", "is for --json", mend="add --json")
    reader = Reader(load_model(model, threads=threads, input_scale=input_scale))
    if scale := reader.model.input_scale:
        say(f"read by {reader.model.name} (a foreign model, given its pixels scaled as {scale!r})")
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
                fail(str(answer.error), 1)
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
            click.echo(to_json({"source": source, "output": str(target), "n": count}))
        say(f"{count:,} digits from {source} written to {target}")
        if len(parts) > 1 and target.suffix != ".npz":
            say(f"warning: training and test part are in it together; {source}:train would be the training part alone")
        return
    description = describe(source)
    click.echo(to_json(description.as_dict()) if as_json else description.text())


@cli.command()
@click.argument("sources", type=SOURCE, nargs=-1, required=True, metavar="SOURCE...")
@click.option("-m", "--model", default="reader", show_default=True, help="Run folder, .onnx file or shipped model.")
@click.option("-o", "--output", type=FILE, required=True, help="The CSV or .parquet file to write.")
@click.option("--details", is_flag=True, help="Also write Confidence, Novelty and Refused.")
@click.option("--resume", is_flag=True, help="Go on with -o where it was interrupted.")
@click.option("--ray", metavar="ADDRESS", help=ON_RAY)
@click.option("--input-scale", metavar="NAME", help="For foreign models: unit, raw, signed, standard or inverted.")
@shared()
def predict(
    sources: tuple[str, ...],
    model: str,
    output: Path,
    details: bool,
    resume: bool,
    ray: str | None,
    input_scale: str | None,
    threads: int | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Read every digit of SOURCE and write `ImageId,Label`, ids counting from 1 in the order of the rows.

    A file may be of any size, and there may be several: they are read in their order, a few thousand digits at a time.
    The label is always 0…9; --details says which it would refuse. The file is read back and checked. Ctrl-C leaves
    what --resume goes on with.

    \b
    inkdigits predict test.csv -m runs/kaggle -o submission.csv
    inkdigits predict forms.parquet -o answers.csv --details
    inkdigits predict 'scans/*.csv.gz' -o answers.parquet
    inkdigits predict 'scans/*.csv.gz' -o answers.parquet --resume
    """
    if ray is None:
        from ..reader.predict import predict as run_prediction
    else:
        from .cluster import predict_on_ray

        run_prediction = partial(predict_on_ray, ray=ray)
    with progress_bar(quiet) as watch, ray_talk(ray, quiet):
        result = run_prediction(
            list(sources), model=model, output=output, details=details, resume=resume, threads=threads,
            input_scale=input_scale, say=say, watch=watch,
        )  # fmt: skip
    if as_json:
        click.echo(to_json(result.as_dict()))
    for line in result.text().splitlines():
        say(line)


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


for verb in (explore, compare, ablate, train, evaluate, explain, ensemble, export, serve):
    cli.add_command(verb)


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
    except SystemExit as error:
        # 1 is click's answer to a reader that has seen enough and left.
        return error.code if isinstance(error.code, int) and error.code != 1 else 0
    except InkdigitsError as error:
        return fail(f"{error}{page_of(error, arguments)}", 1)
    except (click.NoSuchOption, click.MissingParameter) as error:
        return _usage(error)
    except click.BadParameter as error:
        where = (error.param and error.param.opts[0]) or "option"
        return fail(f"{where}: {error.message.rstrip('.')}", 1)
    except click.UsageError as error:
        return _usage(error)
    except (click.Abort, KeyboardInterrupt) as error:
        if isinstance(error.__cause__, EOFError):  # which click takes for an interruption too
            return fail("input: ended too early", 1)
        say("interrupted")
        return 130
    except BrokenPipeError:
        # The same; nothing may be written any more, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        # What no room foresaw: still one line, with the file's name if there is one.
        return fail(f"{error.filename or 'system'}: {error.strerror or error}", 1)
    except MemoryError:
        return fail("not enough memory; give a smaller source", 1)
    return result if isinstance(result, int) else 0


def page_of(error: InkdigitsError, arguments: Sequence[str] | None) -> str:
    """Which page helps: that of installing, of models, or of the verb."""
    if isinstance(error, MissingExtraError):
        return " (docs/install.md)"
    if isinstance(error, ModelError):
        return " (docs/models.md)"
    words = sys.argv[1:] if arguments is None else arguments
    verb = next((word for word in words if word in cli.commands), "completion")
    return "" if verb == "completion" else f" (docs/{verb}.md)"


def _usage(error: click.UsageError) -> int:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
        return 2
    command = error.ctx.command_path if error.ctx else "inkdigits"
    message = error.format_message().rstrip(".")
    return fail(f"{message[:1].lower()}{message[1:]}; `{command} --help` says what there is", 2)

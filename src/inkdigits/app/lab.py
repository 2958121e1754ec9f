"""The verbs of the lab: explore, compare, ablate, train, evaluate, explain, ensemble, export."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from ..nets.catalogue import NETWORKS, TARGETS, parse_setting, settings_for
from .options import FILE, NET, ON_RAY, SOURCE, fail, ray_talk, say, shared, to_json


@click.command()
@click.argument("source", type=SOURCE, required=False)
@click.option("--net", type=NET, help="Which network.  [default: fast]")
@click.option("--target", metavar="|".join(TARGETS), help="Test accuracy that the preset of fast is made for.")
@click.option("-o", "--output", type=FILE, help="Run folder.  [default: runs/NET-SEED]")
@click.option("--extra", type=SOURCE, multiple=True, metavar="SOURCE", help="More digits to train on; repeatable.")
@click.option("--resume", is_flag=True, help="Go on with the interrupted run in -o.")
@click.option("--force", is_flag=True, help="Replace the earlier run in -o.")
@click.option("--from-config", type=FILE, metavar="FILE", help="Repeat the run that wrote this config.json.")
@click.option("--all-of", type=FILE, metavar="RUN", help="Train as RUN was, on all of its digits: none is held out.")
@click.option("--start-from", type=FILE, metavar="RUN", help="Begin with the weights and the settings of RUN.")
@click.option(
    "--teacher", "teachers", type=FILE, multiple=True, metavar="RUN", help="Learn what RUN answers, too; repeatable."
)
@click.option("--search", type=int, metavar="N", help="First choose settings by N trials on the digits held out.")
@click.option("--search-epochs", type=float, help="Epochs of each trial.  [default: as trained, at most 5]")
@click.option("--seed", type=int, help="Seed of weights, order and augmentation.  [default: 0]")
@click.option("--device", metavar="auto|cpu|cuda", help="Where to compute.  [default: auto]")
@click.option("--epochs", type=float, help="Passes over the training digits.")
@click.option("--set", "changes", multiple=True, metavar="NAME=VALUE", help="Any other setting; repeatable.")
@click.option("--list", "list_nets", is_flag=True, help="List the networks and stop.")
@click.option("--settings", "list_settings", is_flag=True, help="List the settings it would train with and stop.")
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
    all_of: Path | None,
    start_from: Path | None,
    teachers: tuple[Path, ...],
    search: int | None,
    search_epochs: float | None,
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
    inkdigits train --search 20 -o runs/searched
    inkdigits train --all-of runs/kaggle -o runs/kaggle-all
    inkdigits train --net tiny --teacher runs/best-0 --teacher runs/fast-0
    inkdigits train my-digits --start-from runs/best-0 --epochs 5 --set learning_rate=0.002
    """
    if list_nets:
        click.echo("\n".join(f"{name:24}{network.about}" for name, network in NETWORKS.items()))
        return
    settings = dict(parse_setting(change) for change in changes)
    settings |= {name: value for name, value in named.items() if value is not None}
    if list_settings:
        if resume or from_config or all_of or start_from:
            from ..nets.plan import earlier_config, need_no_network
            from ..nets.run import read_config

            need_no_network(net, target)
            base = read_config(earlier_config(output, resume, from_config, all_of, start_from))[0]
            chosen = settings_for(**base.as_dict() | settings).as_dict()
        else:
            chosen = settings_for(net or "fast", target=target, **settings).as_dict()
        click.echo(to_json(chosen) if as_json else "\n".join(f"{name:18}{value}" for name, value in chosen.items()))
        return
    if not (resume or from_config or all_of or start_from):
        # Before PyTorch is loaded: a misspelt name is answered at once.
        settings_for(net or "fast", target=target, **settings)
    from ..nets.ranks import Ranks
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
        all_of=all_of,
        start_from=start_from,
        teachers=teachers,
        search=search,
        search_epochs=search_epochs,
        threads=threads,
        say=say,
        progress=not quiet and sys.stderr is not None and sys.stderr.isatty(),
        **settings,
    )
    if Ranks().is_first:
        click.echo(to_json({"run": str(run.folder), **run.metrics}) if as_json else run.text())
        say(f"next: inkdigits evaluate {run.folder}")


@click.command()
@click.argument("source", type=SOURCE, default="mnist")
@click.option("-o", "--output", type=FILE, required=True, help="Folder for report.html, findings.json and figures.")
@click.option(
    "--sections", metavar="NAME,…", help="Some of basics, strange, random, dimension, maps, shape.  [default: all]"
)
@click.option("--quick", is_flag=True, help="A sample of 4,000 digits: under a minute.")
@click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Of everything drawn at random."
)
@shared()
def explore(
    source: str,
    output: Path,
    sections: str | None,
    quick: bool,
    seed: int,
    threads: int | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Show what shape the space of the digits of SOURCE (MNIST) has.

    What is in it and which digits are odd, doubled or perhaps mislabelled; random points beside digits; how many
    dimensions the digits need; maps of all of them to walk about in; whether they are blobs or tentacles. Facts go into
    findings.json, the page is report.html, its figures stand in figures/. All of MNIST takes about ten minutes.

    \b
    inkdigits explore --quick -o space
    inkdigits explore train.csv -o space
    inkdigits explore my-digits -o space --sections maps,shape
    """
    from ..lab.explore.explore import explore as run_exploration
    from ..lab.running import parse_list

    result = run_exploration(
        source,
        output=output,
        sections=None if sections is None else parse_list(sections),
        quick=quick,
        seed=seed,
        threads=threads,
        say=say,
    )
    for line in (*result.silent(), *result.warnings()):
        say(line)
    click.echo(to_json(result.as_dict()) if as_json else result.text())


@click.command()
@click.argument("source", type=SOURCE, default="mnist")
@click.option("-o", "--output", type=FILE, required=True, help="Folder for results.csv and report.html.")
@click.option("--techniques", metavar="NAME,…", help="Which, separated by commas.  [default: all but most networks]")
@click.option("--sizes", metavar="N,…", help="Numbers of training digits.  [default: 500,2000,8000,30000,60000]")
@click.option("--seeds", type=int, metavar="N", help="Trials of each, with the seeds 0 … N−1.  [default: 1]")
@click.option("--budget", type=float, metavar="SECONDS", help="For one training.  [default: 900]")
@click.option("--quick", is_flag=True, help="A dozen techniques, up to 4,000 digits: under two minutes.")
@click.option("--resume", is_flag=True, help="Go on with the interrupted comparison in -o, or widen it.")
@click.option("--ray", metavar="ADDRESS", help=ON_RAY)
@click.option("--doubt", is_flag=True, help="Also show which labels to learn from are in doubt: five short trainings.")
@shared()
def compare(
    source: str,
    output: Path,
    techniques: str | None,
    sizes: str | None,
    seeds: int | None,
    budget: float | None,
    quick: bool,
    resume: bool,
    ray: str | None,
    doubt: bool,
    threads: int | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Compare techniques from a constant guess to networks on SOURCE (MNIST).

    Each learns from more and more of the training digits, on one core and in a process of its own; accuracy with its
    interval, time, memory and size go into results.csv, the verdict and its figures into report.html. All of it takes
    hours: Ctrl-C leaves a comparison that --resume goes on with. --budget stops what takes too long with what it has.

    \b
    inkdigits compare --quick -o comparison
    inkdigits compare train.csv -o comparison --techniques logistic,svm-rbf,fast --sizes 2000,20000 --seeds 5
    inkdigits compare -o comparison --resume
    """
    from ..lab.compare import compare as run_comparison
    from ..lab.running import parse_list, parse_sizes

    with ray_talk(ray, quiet):
        result = run_comparison(
            source,
            output=output,
            techniques=None if techniques is None else parse_list(techniques),
            sizes=None if sizes is None else parse_sizes(sizes),
            seeds=seeds,
            budget=budget,
            quick=quick,
            resume=resume,
            ray=ray,
            doubt=doubt,
            threads=threads,
            say=say,
            progress=not quiet and sys.stderr is not None and sys.stderr.isatty(),
        )
    click.echo(to_json(result.as_dict()) if as_json else result.text())


@click.command()
@click.argument("source", type=SOURCE, default="mnist")
@click.option("-o", "--output", type=FILE, required=True, help="Folder for results.csv and report.html.")
@click.option("--net", type=NET, help="The network studied.  [default: b-plain]")
@click.option("--parts", metavar="NAME,…", help="Some of factors, failures, changes, gap, ladder.  [default: all]")
@click.option("--sizes", metavar="N,…", help="Numbers of training digits of the factors.  [default: 1250,5000]")
@click.option("--seeds", type=int, metavar="N", help="Trainings of each, with the seeds 0 … N−1.  [default: 5]")
@click.option("--budget", type=float, metavar="SECONDS", help="For one training.  [default: 900]")
@click.option("--quick", is_flag=True, help="The factors alone, 600 digits, three seeds: about six minutes.")
@click.option("--resume", is_flag=True, help="Go on with the interrupted study in -o, or widen it.")
@click.option("--ray", metavar="ADDRESS", help=ON_RAY)
@shared()
def ablate(
    source: str,
    output: Path,
    net: str | None,
    parts: str | None,
    sizes: str | None,
    seeds: int | None,
    budget: float | None,
    quick: bool,
    resume: bool,
    ray: str | None,
    threads: int | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Show what dropout, L2, batch norm and other choices buy a network on SOURCE (MNIST).

    Every combination of the three with several seeds, gains as paired differences with their intervals; then one change
    at a time (initialisation, padding, width, depth, augmentation), overfitting by the number of digits, the steps from
    the network to fast, and the causes of two famous failures. All of it takes about two hours of two cores: Ctrl-C
    leaves a study that --resume goes on with.

    \b
    inkdigits ablate --quick -o ablation
    inkdigits ablate -o ablation --parts factors,gap
    inkdigits ablate train.csv -o ablation --net lenet5 --sizes 2000 --seeds 10
    """
    from ..lab.ablate import ablate as run_study
    from ..lab.running import parse_list, parse_sizes

    with ray_talk(ray, quiet):
        result = run_study(
            source,
            output=output,
            net=net,
            parts=None if parts is None else parse_list(parts),
            sizes=None if sizes is None else parse_sizes(sizes),
            seeds=seeds,
            budget=budget,
            quick=quick,
            resume=resume,
            ray=ray,
            threads=threads,
            say=say,
            progress=not quiet and sys.stderr is not None and sys.stderr.isatty(),
        )
    click.echo(to_json(result.as_dict()) if as_json else result.text())


@click.command()
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
    click.echo(to_json(result.as_dict() | shifted) if as_json else result.text())
    for line in result.warnings():
        say(line)


@click.command()
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
    click.echo(to_json(result.as_dict()) if as_json else result.text())
    for error in result.unread:
        fail(error, 1)
    return 1 if result.unread else 3 if result.empty else 0


@click.command()
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.option("-o", "--output", type=FILE, required=True, help="The file: .onnx.")
@shared()
def ensemble(models: tuple[str, ...], output: Path, threads: int | None, quiet: bool, as_json: bool) -> None:
    """Write one model that answers with the mean of several.

    Each MODEL is a run folder, an .onnx file or a shipped name; networks of other seeds or other shapes err on other
    digits, and their mean errs on fewer. It is read like any other model, and takes as long as all of them together.

    \b
    inkdigits ensemble runs/fast-0 runs/fast-1 runs/fast-2 -o three.onnx
    inkdigits evaluate three.onnx
    """
    from ..nets.ensemble import ensemble as run_ensemble

    result = run_ensemble(models, output=output, threads=threads)
    click.echo(to_json(result.as_dict()) if as_json else result.text())
    say(f"next: inkdigits evaluate {output}")


@click.command()
@click.argument("model")
@click.option(
    "--to", metavar="FORMAT", required=True, help="onnx-fp32, onnx-fp16, onnx-int8, openvino, openvino-fp16 or c."
)
@click.option("-o", "--output", type=FILE, required=True, help="The file: .onnx, .xml for OpenVINO, .h for C.")
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
    training digits. The ONNX ones are read like any other model: -m fast-int8.onnx. Of c comes one C99 header that
    needs nothing else, for microcontrollers.

    \b
    inkdigits export runs/fast-0 --to onnx-int8 -o fast-int8.onnx
    inkdigits export reader --to openvino -o reader.xml
    """
    from ..nets.convert import export as run_export

    result = run_export(model, to=to, output=output, check=check, force=force, threads=threads)
    click.echo(to_json(result.as_dict()) if as_json else result.text())
    for failing in result.failing:
        say(f"warning: {failing}")

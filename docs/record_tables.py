"""The tables and sentences of docs/records.md, made of the files in benchmarks/results/records/."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
from tables import RESULTS, machine_text, percent, result, table

RECORDS = RESULTS / "records"
MODELS = Path(__file__).resolve().parent.parent / "src/inkdigits/reader/models"
# record: what it is called on the page.
NAMES = {
    "taught": "`taught`, which ships as `best`",
    "best": "`best`",
    "tiny": "`tiny`, the fewest parameters at 99.4 %",
    "least": "`least`, fewer than 700 parameters",
    "bulk": "`bulk`, for millions of digits",
    "fast": "`fast`, for comparison",
}
STEPS = ("taught", "longer")  # six epochs more than best's, with teachers and without
KAGGLE = ("best-kaggle", "taught-kaggle")
SEEDS = 5  # that a mean is taken over before it is a claim


def record(name: str) -> Any:
    """What is known of a record, None where it was not measured yet."""
    file = RECORDS / f"{name}.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None


def known(names: dict[str, str]) -> list[tuple[str, Any]]:
    return [(words, found) for name, words in names.items() if (found := record(name))]


def records_table() -> str:
    rows = []
    for words, found in known(NAMES):
        seeds = found["seeds"]
        rows.append(
            [
                words,
                f"{found['parameters']:,}",
                _spread([row["accuracy"] for row in seeds]),
                percent(fmean(row["without_contested"]["accuracy"] for row in seeds)),
                " / ".join(
                    percent(fmean(row["halves"][half]["accuracy"] for row in seeds)) for half in seeds[0]["halves"]
                ),
                str(len(seeds)),
                _time(fmean(row["training_seconds"] for row in seeds)),
            ]
        )
    head = [
        "network", "parameters", "test accuracy, mean ± sd", "without contested labels", "first half / second half",
        "seeds", "training, mean",
    ]  # fmt: skip
    machines = {machine_text(row) for _, found in known(NAMES) for row in found["seeds"]}
    return f"{table(head, rows)}\n\n{' '.join(sorted(machines))} `benchmarks/records.py`"


def choices_table() -> str:
    """What was seen before the test set was: the digits held out."""
    rows = []
    for words, found in known(NAMES):
        held, settings = found["validation"], found["settings"]
        rows.append(
            [
                words.split(",")[0],
                f"{percent(held['accuracy'])} ({held['errors']} of {held['n']:,} wrong)",
                f"{settings['epochs']:g}",
                f"{settings['optimiser']}, {settings['learning_rate']:g}, {settings['schedule']}",
                _augmentation(settings),
                f"{settings['averaging']:g}",
                str(settings["views"]),
            ]
        )
    head = ["network", "held out", "epochs", "optimiser, rate", "augmentation", "averaged weights", "views"]
    return table(head, rows)


def _augmentation(settings: dict[str, Any]) -> str:
    if settings["augmentation"] == "none":
        return "none"
    parts = [f"shift {settings['shift']} px"]
    if settings["augmentation"] != "shift":
        parts += [f"turn {settings['turn']:g}°", f"scale {settings['scale']:g}", f"shear {settings['shear']:g}"]
    if settings["augmentation"] == "elastic":
        parts.append(f"elastic {settings['elastic']:g} px")
    if settings["erase"]:
        parts.append(f"{settings['erase']} × {settings['erase']} erased")
    return ", ".join(parts)


def variants_table(net: str) -> str:
    """The records that are `net` but for a setting or two, and `net` itself: the members of the ensemble, the curve."""
    rows = []
    for file in RECORDS.glob("*.json"):
        found = record(file.stem)
        if found.get("net") != net or file.stem.endswith("-kaggle"):
            continue
        usual = record(net)["settings"]
        # A setting that one of the two files does not know yet is at its default there.
        changed = {key: value for key, value in found["settings"].items() if value != usual.get(key, value)}
        other = [f"{key} {value}" if isinstance(value, str) else f"{key} {value:g}" for key, value in changed.items()]
        if file.stem.endswith("-again"):
            other.append(f"seed {found['seeds'][0]['seed']} on another processor")
        if "start" in found["seeds"][0]:
            other.append("begun with trained weights")
        if "teachers" in found["seeds"][0]:
            other.append("teachers")
        accuracies = [row["accuracy"] for row in found["seeds"]]
        wrong = [row["errors"] for row in found["seeds"]]
        row = [f"`{file.stem}`", ", ".join(other) or "–", f"{found['parameters']:,}", _spread(accuracies)]
        row += [f"{fmean(wrong):g}", str(len(wrong)), _time(fmean(row["training_seconds"] for row in found["seeds"]))]
        rows.append((found["parameters"], other, row))
    head = ["", "other than usual", "parameters", "test accuracy", "wrong of 10,000", "seeds", "training"]
    return table(head, [row for *_, row in sorted(rows, key=lambda row: row[:2])])


def taught_table() -> str:
    """What a few epochs changed with teachers and without, seed by seed."""
    taught, longer = ({row["seed"]: row for row in (record(name) or {"seeds": []})["seeds"]} for name in STEPS)
    rows = []
    for seed, row in taught.items():
        stages = [row["start"], longer.get(seed), row]
        wrong = ["–" if stage is None else str(stage["errors"]) for stage in stages]
        losses = ["–" if stage is None else f"{stage['negative_log_likelihood']:.4f}" for stage in stages]
        rows.append([f"`{row['start']['run']}`", ", ".join(f"`{name}`" for name in row["teachers"]), *wrong, *losses])
    if taught.keys() == longer.keys():
        groups = [[row["start"] for row in taught.values()], list(longer.values()), list(taught.values())]
        wrong = [f"{fmean(row['errors'] for row in group):.1f}" for group in groups]
        losses = [f"{fmean(row['negative_log_likelihood'] for row in group):.4f}" for group in groups]
        rows.append(["mean", "", *wrong, *losses])
    head = [
        "begun with",
        "taught by",
        "wrong before",
        "`longer`",
        "`taught`",
        "log loss before",
        "`longer`",
        "`taught`",
    ]
    return table(head, rows) + "\n\n`benchmarks/records.py taught longer`"


def wrong_text() -> str:
    """Which test digits `taught` gets wrong with more than half of its seeds."""
    found = record("taught")
    seeds = found["seeds"]
    times = Counter(answer["index"] for row in seeds for answer in row["wrong"])
    said = {answer["index"]: answer for row in seeds for answer in row["wrong"]}
    often = sorted(index for index, count in times.items() if count > len(seeds) / 2)
    contested = [index for index in often if said[index].get("contested")]
    words = ", ".join(str(index) for index in often)
    which = f"with more than half of {len(seeds)} seeds" if len(seeds) > 1 else "with the one seed there is"
    return (
        f"{len(often)} digits are wrong for `taught` {which}, {len(contested)} of them among the 15 contested ones. "
        f"By their place in the test file: {words}."
    )


def mcnemar_table() -> str:
    """`best` and `taught` against `fast`, all trained on all digits, seed by seed."""
    from inkdigits.measure import mcnemar

    fast = {row["seed"]: row for row in record("fast")["seeds"]}
    tables = []
    for name in ("best", "taught"):
        ours, rows = {row["seed"]: row for row in record(name)["seeds"]}, []
        for seed in sorted(ours.keys() & fast.keys()):
            right = np.ones((2, ours[seed]["n"]), bool)
            for side, row in enumerate((ours[seed], fast[seed])):
                right[side, [answer["index"] for answer in row["wrong"]]] = False
            test = mcnemar(*right)
            wrong = [str(count) for count in (~right).sum(1)]
            rows.append([str(seed), *wrong, str(test.only_first), str(test.only_second), f"{test.p:.1g}"])
        head = ["seed", f"`{name}` wrong", "`fast` wrong", f"only `{name}` right", "only `fast` right", "p (McNemar)"]
        tables.append(table(head, rows))
    return "\n\n".join(tables)


def _spread(values: list[float]) -> str:
    return percent(fmean(values)) + (f" ± {stdev(values) * 100:.2f}".rstrip() if len(values) > 1 else "")


def _time(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"


def throughput_table() -> str:
    found = result("records/throughput")
    parts = []
    for name, net in found["nets"].items():
        rows = []
        for engine in net["one_core"]:
            one, every = net["one_core"][engine], net["all_cores"].get(engine, {})
            if "failed" in one:
                rows.append([engine, "did not run", "", ""])
                continue
            rate = one["images_per_second"]
            rows.append(
                [
                    engine,
                    f"{rate:,}",
                    f"{every['images_per_second']:,}" if "images_per_second" in every else "did not run",
                    f"{net['one_core']['predict']['images_per_second'] / rate:.2g}",
                ]
            )
        errors = " and ".join(f"{100 - count / 100:.2f} % right in {kind}" for kind, count in net["errors"].items())
        command = net["command"]
        head = ["engine", "digits a second, one core", "all cores", "`predict` is so many times as fast"]
        parts.append(
            f"**`{name}`**, {net['parameters']:,} parameters, {errors}:\n\n{table(head, rows)}\n\n"
            f"The command `predict` read {command['digits'][0]:,} digits in {command['seconds'][0]} s and "
            f"{command['digits'][1]:,} in {command['seconds'][1]} s, files opened and written: "
            f"{command['images_per_second']:,} further digits a second."
        )
    return "\n\n".join(parts) + f"\n\n{machine_text(found)} `benchmarks/throughput.py`"


def shapes_table() -> str:
    """Channels of `bulk`, and what they do to its speed."""
    found = result("records/throughput")["shapes"]
    rows = [
        [
            ", ".join(map(str, one["channels"])) + (" (`bulk`)" if one["channels"] == [16, 32, 64] else ""),
            f"{one['multiplications']:,}",
            f"{one['images_per_second']:,}",
        ]
        for one in found
    ]
    return table(["channels", "multiplications a digit", "digits a second, one core"], rows)


def models_table() -> str:
    """The models that ship: what their files hold, and what was measured with each."""
    rates = result("records/throughput")["shipped"]
    rows = []
    for file in sorted(MODELS.glob("*.onnx"), key=lambda file: -file.stat().st_size):
        metrics = json.loads(file.with_suffix(".metrics.json").read_text(encoding="utf-8"))
        seed = json.loads(file.with_suffix(".config.json").read_text(encoding="utf-8"))["settings"]["seed"]
        if file.stem == "reader":
            right = percent(result("reader")["sections"]["mnist"]["accuracy"])
        else:
            name = "taught" if "teachers" in metrics else file.stem
            [row] = [row for row in record(name)["seeds"] if row["seed"] == seed]
            right = percent(row["accuracy"])
        held = percent(metrics["validation"]["accuracy"])
        rate = f"{rates[file.stem]:,}"
        rows.append([f"`{file.stem}`", f"{metrics['parameters']:,}", _kilobytes(file), right, held, rate])
    head = [
        "model",
        "parameters",
        "file",
        "MNIST test digits right",
        "digits held out right",
        "digits a second, one core",
    ]
    return table(head, rows)


def _kilobytes(file: Path) -> str:
    return f"{file.stat().st_size / 1000:,.0f} kB"


def sizes_table() -> str:
    """The shipped models in each format: kilobytes and wrong test digits."""
    found = result("records/sizes")["models"]
    formats = list(dict.fromkeys(to for made in found.values() for to in made))
    rows = []
    for name in sorted(found, key=lambda name: -found[name][formats[0]]["bytes"]):
        cells = [
            "–" if "failed" in made else f"{made['bytes'] / 1000:,.0f} kB, {made['errors']} wrong"
            for made in found[name].values()
        ]
        rows.append([f"`{name}`", *cells])
    return table(["", *(f"`{to}`" for to in formats)], rows) + "\n\n`benchmarks/record_sizes.py`"


def ensemble_text() -> str:
    """The ensembles of all members, one measurement each: on MNIST's own split and, where there is one, on Kaggle's."""
    found = record("ensemble")
    means = " and ".join(
        f"{fmean(row['errors'] for row in made['seeds']):.1f} (`{name}`)"
        for name in ("best", "taught")
        if (made := record(name))
    )
    text = f"{_ensemble(found)}. One network alone has {means} wrong, in the mean of its seeds."
    text += f" {found['milliseconds_a_digit']:.0f} ms a digit. `benchmarks/record_ensemble.py`"
    if kaggle := record("ensemble-kaggle"):
        single = {
            name.split("-")[0]: [row["accuracy"] for row in found["seeds"]]
            for name in KAGGLE
            if (found := record(name))
        }
        alone = ", ".join(f"`{name}` {_spread(values)} ({_seeds(len(values))})" for name, values in single.items())
        text += f"\n\nOn Kaggle's split: {_ensemble(kaggle)}; alone {alone}."
        text += " `benchmarks/record_ensemble.py --kaggle`"
    return text


def _ensemble(found: dict[str, Any]) -> str:
    low, high = found["interval95"]
    members = ", ".join(f"`{member}`" for member in found["members"])
    beside = found["without_contested"]
    other = f", {percent(beside['accuracy'])} without contested labels" if beside else ""
    return (
        f"{len(found['members'])} networks as one file of {found['bytes'] / 1e6:.1f} MB ({members}), equally weighted: "
        f"**{percent(found['accuracy'])}** of the test digits right, {found['errors']} of {found['n']:,} wrong "
        f"(Wilson's 95 % interval {percent(low)} to {percent(high)}){other}"
    )


def held_out_table() -> str:
    """On what the ensemble's members were chosen: means of trainings on a part, on the digits that they held out."""
    found = record("ensemble-held-out")
    rows = []
    for mixture in found["mixtures"]:
        members = [
            f"{count} × `{name}`" if count > 1 else f"`{name}`" for name, count in mixture["members"].items() if count
        ]
        rows.append([" and ".join(members), f"{mixture['errors']} of {found['n']:,}", f"{mixture['loss']:.4f}"])
    return (
        table(["mean of", "held-out digits wrong", "log loss"], rows)
        + f"\n\n`{found['command'].removeprefix('python ')}`"
    )


def speedrun_table() -> str:
    """Time to accuracy, the marks that are reached and the one that is not yet."""
    fast = result("fast-cpu")
    rows = []
    for mark, values in fast["targets"].items():
        accuracy, seconds = values["accuracy"], values["training_seconds"]
        right = f"{percent(accuracy['mean'])} ± {accuracy['sd'] * 100:.2f}"
        rows.append([f"{mark} %", f"`train --target {mark}`", right, f"{seconds['median']:.1f} s", str(accuracy["n"])])
    taught = record("taught")["seeds"]
    each = {name: fmean(row["training_seconds"] for row in record(name)["seeds"]) for name in NAMES if record(name)}
    # A seed of taught needs the trainings of its start and of its teachers.
    others = [name.rsplit("-", 1)[0] for name in (taught[0]["start"]["run"], *taught[0]["teachers"])]
    minutes = (each["taught"] + sum(each[name] for name in others)) / 60
    spent = f"{minutes:.0f} min of one core, teachers included"
    accuracies = [row["accuracy"] for row in taught]
    assert fmean(accuracies) >= 0.997
    rows.append(["99.7 %", "`taught`", _spread(accuracies), spent, str(len(taught))])
    head = ["mark", "what", "test accuracy, mean ± sd", "training time, median", "seeds"]
    return table(head, rows) + f"\n\nThe first three: {machine_text(fast)} `benchmarks/fast.py`"


def goals_table() -> str:
    """What was aimed at, before anything was measured, and what came out."""
    rows = []
    kaggle = [name for name in KAGGLE if record(name)][-1]
    for words, name, goal, most in (
        ("one network, mean of its seeds", "taught" if record("taught") else "best", 0.9972, None),
        ("an ensemble", "ensemble", 0.9978, None),
        ("a network on Kaggle's split, 42,000 to learn from and 28,000 to read", kaggle, 0.9976, None),
        ("the same, an ensemble", "ensemble-kaggle", 0.9976, None),
        ("at most 4,874 parameters, mean of its seeds", "tiny", 0.994, 4_874),
        ("at most 700 parameters, mean of its seeds", "least", 0.99, 700),
    ):
        found = record(name)
        if found is None:
            rows.append([words, percent(goal), "not measured yet", ""])
            continue
        assert most is None or found["parameters"] <= most
        values = [row["accuracy"] for row in found["seeds"]] if "seeds" in found else [found["accuracy"]]
        figure = _spread(values) + (f" ({_seeds(len(values))})" if "seeds" in found else "")
        # A mean of fewer than five seeds is no claim, by the page's rules.
        few = " so far" if "seeds" in found and len(values) < SEEDS else ""
        rows.append([words, percent(goal), figure, ("met" if fmean(values) >= goal else "missed") + few])
    goal, words = 39_000, "digits a second of one core through `predict`, with at least 99.3 % right"
    if fastest := _fastest():
        name, rate, right = fastest
        rows.append([words, f"{goal:,}", f"{rate:,} (`{name}`, {percent(right)})", "met" if rate > goal else "missed"])
    else:
        rows.append([words, f"{goal:,}", "not measured yet", ""])
    rows.append(["seconds to 99 % on an H200", "0.4", "not measured yet", ""])
    return table(["", "goal", "measured", ""], rows)


def _fastest() -> tuple[str, int, float] | None:
    """Of the networks with at least 99.3 % right: which, its digits a second of one core, and its accuracy."""
    nets = result("records/throughput")["nets"] if (RECORDS / "throughput.json").exists() else {}
    found = []
    for name, measured in nets.items():
        accuracies = [row["accuracy"] for row in record(name)["seeds"]]
        if fmean(accuracies) >= 0.993 and len(accuracies) >= SEEDS:
            found.append((name, measured["one_core"]["predict"]["images_per_second"], fmean(accuracies)))
    return max(found, key=lambda one: one[1], default=None)


def _seeds(count: int) -> str:
    return "one seed" if count == 1 else f"{count} seeds"


TABLES = {
    "models": models_table,
    "records": records_table,
    "choices": choices_table,
    "shapes-of-best": lambda: variants_table("best") + "\n\n" + variants_table("fast"),
    "curve": lambda: "\n\n".join(variants_table(net) for net in ("least", "tiny", "bulk") if record(net)),
    "taught": taught_table,
    "records-wrong": wrong_text,
    "mcnemar": mcnemar_table,
    "throughput": throughput_table,
    "sizes": sizes_table,
    "ensemble": ensemble_text,
    "ensemble-held-out": held_out_table,
    "speedrun": speedrun_table,
    "goals": goals_table,
    "shapes": shapes_table,
}

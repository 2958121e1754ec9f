"""The tables and sentences of README and docs that are made of the files in benchmarks/results/, by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

STRANGERS = ("fashion_mnist", "noise")
RESULTS = Path(__file__).resolve().parent.parent / "benchmarks" / "results"


def result(name: str) -> Any:
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def percent(share: float) -> str:
    return f"{share:.2%}".replace("%", " %")


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def summary_table() -> str:
    """The figures that a visitor looks for first, each with the page where the rest stands."""
    reader, fast, peers, kaggle, serve = (result(name) for name in ("reader", "fast-cpu", "peers", "kaggle", "serve"))
    read, strangers = reader["sections"], reader["sections"]["shift"]["not_digits"]
    rows = [
        ["real handwriting by other people, one digit a picture", _share(read["real"]["singles"]["best_guess"]["all"])],
        ["… unsure ones refused", _answered(read["real"]["singles"]["refusing"]["all"])],
        ["what is no digit, refused: clothes, noise", " and ".join(percent(strangers[k]["rate"]) for k in STRANGERS)],
    ]
    for target in ("99.0", "99.5"):
        values = fast["targets"][target]
        right = f"{percent(values['accuracy']['mean'])} of MNIST's test digits"
        seconds = f"{values['training_seconds']['median']:.1f} s of training"
        rows.append([f"`train --target {target}`, mean of {values['accuracy']['n']} seeds", f"{right} after {seconds}"])
    for name, file, words in (
        ("best", "taught", "the most accurate model that ships, taught by others of its kind"),
        ("tiny", "tiny", "a network of {:,} parameters"),
    ):
        found = result(f"records/{file}")
        right = f"{percent(fmean(row['accuracy'] for row in found['seeds']))} of MNIST's test digits"
        rows.append([f"`{name}`, {words.format(found['parameters'])}, mean of {len(found['seeds'])} seeds", right])
    speed = result("records/throughput")
    rate = speed["nets"]["bulk"]["one_core"]["predict"]["images_per_second"]
    right = percent(fmean(row["accuracy"] for row in result("records/bulk")["seeds"]))
    rows.append([f"digits a second on one core (an {processor(speed)}), `bulk` ({right})", f"{rate:,}"])
    peer = peers["peers"]["a-conv7"]
    rows += [
        [
            f"the student project's Keras network, to {percent(peer['accuracy'])}",
            f"{peer['training_seconds']:.0f} s; ours beside it {peer['ours_seconds']:.1f} s",
        ],
        [
            "Kaggle's 28,000 rows: file to `submission.csv`",
            f"{kaggle['predict_whole_seconds']['median']:.2f} s, {percent(kaggle['submission']['accuracy'])} right",
        ],
        ["pictures a second over HTTP, on the same two cores", f"{serve['reader']['read']['held']:,.0f}"],
    ]
    return table(["", ""], rows) + "\n\n" + machine_text(fast)


def fast_table() -> str:
    found = result("fast-cpu")
    rows = []
    for target, values in found["targets"].items():
        accuracy, training = values["accuracy"], values["training_seconds"]
        rows.append(
            [
                f"`train --target {target}`",
                f"{percent(accuracy['mean'])} ± {accuracy['sd'] * 100:.2f}",
                f"{training['median']:.1f} s",
                f"{values['whole_seconds']['median']:.1f} s",
                str(accuracy["n"]),
            ]
        )
    head = ["command", "test accuracy, mean ± sd", "training time, median", "whole process", "seeds"]
    return table(head, rows) + "\n\n" + machine_text(found) + " `benchmarks/fast.py`"


def peers_table() -> str:
    found = result("peers")
    rows = []
    for name, peer in found["peers"].items():
        epochs = f"{peer['epochs']} epoch" + ("s" if peer["epochs"] > 1 else "")
        reached = f"{percent(peer['accuracy'])} after {epochs}"
        if not peer["reached"]:
            reached += f", never {found['target']} %"
        time = f"{peer['training_seconds']:.0f} s"
        rows.append(
            [f"{name} (Keras on TensorFlow)", reached, time, f"{peer['ours_seconds']:.1f} s", f"{peer['ratio']:g}×"]
        )
    head = ["network", "test accuracy", "its training time", "ours beside it", "ratio"]
    ours = f"Ours is `train --target {found['target']}`, {percent(found['ours']['accuracy'])} in the mean of "
    ours += f"{len(found['ours']['runs'])} seeds, run in turn with them. "
    return table(head, rows) + "\n\n" + ours + machine_text(found) + " `benchmarks/peers.py`"


def systems_table() -> str:
    grouped: dict[str, list[Any]] = {}
    for row in result("systems"):
        grouped.setdefault(row["name"], []).append(row)
    rows = []
    for name, runs in grouped.items():
        theirs = runs[0]["theirs"]
        rows.append(
            [
                f"`{name}`",
                f"{runs[0]['parameters']:,}",
                f"{runs[0]['epochs']:.3g}",
                _pair(theirs["train_accuracy"], theirs["train_loss"]),
                # One printed figure has three decimals: 99.285.
                _pair(theirs["test_accuracy"], theirs["test_loss"], decimals=3 if name == "b-regularised" else 2),
                *(f"{_mean(runs, part, 'accuracy')} / {_mean(runs, part, 'loss')}" for part in ("train", "test")),
                str(len(runs)),
            ]
        )
    head = ["network", "parameters", "epochs", "their train", "their test", "our train", "our test", "seeds"]
    return table(head, rows) + "\n\nAccuracy / loss. `benchmarks/systems.py`"


def _mean(runs: list[Any], part: str, what: str) -> str:
    """Mean ± standard deviation over the seeds."""
    values = [run[part][what] for run in runs]
    spread = stdev(values) if len(values) > 1 else 0.0
    mean = percent(fmean(values)) if what == "accuracy" else f"{fmean(values):.4f}"
    return mean + (f" ± {spread * 100:.2f}" if what == "accuracy" else f" ± {spread:.4f}") * (len(values) > 1)


def _pair(accuracy: float | None, loss: float | None, *, decimals: int = 2) -> str:
    if accuracy is None:
        return "–"
    return f"{accuracy * 100:.{decimals}f} %" + (f" / {loss:.4f}" if loss is not None else "")


def kaggle_text() -> str:
    found = result("kaggle")
    submission, seconds, memory = found["submission"], found["predict_whole_seconds"], found["predict_peak_mb"]
    low, high = submission["interval95"]
    sentences = [
        "On files of Kaggle's shape made from MNIST (42,000 and 28,000 rows, in a fixed random order) the submission",
        f"had {percent(submission['accuracy'])} right ({submission['errors']} of {submission['rows']:,} wrong;",
        f"95 % interval {low * 100:.2f} to {high * 100:.2f} %). Training took {found['train']['whole_seconds']:.0f} s",
        f"as a whole process, the prediction {seconds['median']:.2f} s and {memory['median']:.0f} MB.",
        f"{machine_text(found)} `benchmarks/kaggle.py`",
    ]
    return " ".join(sentences)


def reader_table() -> str:
    sections = result("reader")["sections"]
    real, composed, agreement = sections["real"], sections["composed"], sections["agreement"]["agreement"]
    rows = [
        ["real handwriting, one digit a picture, best guess", _share(real["singles"]["best_guess"]["all"])],
        ["… with refusal on", _answered(real["singles"]["refusing"]["all"])],
        ["real written numbers, every digit right", _share(real["numbers"]["best_guess"]["pictures"])],
    ]
    for kind, words in (("singles", "one digit"), ("numbers", "a number"), ("pages", "the numbers of a page")):
        best = composed[kind]["best_guess"]["all"]
        found = _share(best["numbers"]) if "numbers" in best else _share(best)
        found += f"; {percent(best['digit_error_rate'])} of the digits wrong" if "numbers" in best else ""
        rows.append([f"composed of MNIST test digits on paper: {words}", found])
    rows.append(["MNIST test digits drawn on paper and read back, the same answer", _share(agreement)])
    mnist, shift = sections["mnist"], sections["shift"]
    rows += [
        ["MNIST test digits", percent(mnist["accuracy"])],
        ["… their negative log-likelihood", f"{mnist['negative_log_likelihood']:.4f}"],
        ["… refused although they are digits", percent(mnist["refusal"]["rate"])],
        ["MNIST-C, mean of 15 corruptions", percent(shift["mean"])],
        ["… mean of the 6 whose kind was never trained on", percent(shift["held_back"]["mean"])],
        ["UCI digits, 8×8 pixels by 13 other writers", percent(shift["uci_digits"]["accuracy"])],
    ]
    strangers = shift["not_digits"]
    rows += [
        [f"{name.replace('_', ' ')}: AUROC of novelty", f"{found['auroc']:.4f}; {percent(found['rate'])} refused"]
        for name, found in strangers.items()
    ]
    head = ["", "right"]
    return table(head, rows) + "\n\n" + machine_text(result("reader")) + " `make bench-reader`"


def _share(found: Any) -> str:
    return f"{percent(found['accuracy'])} ({found['right']:,} of {found['n']:,})"


def _answered(found: Any) -> str:
    given = found["of_answered"]
    return f"{percent(found['answered_share'])} answered, {percent(given['accuracy'])} of those right"


def ablate_text() -> str:
    found = result("ablate")
    rows = [
        [
            effect["name"],
            f"{effect['size'] - effect['size'] // 5:,}",
            percent(effect["without"]),
            percent(effect["having"]),
            _points(effect["gain"]["mean"]),
            f"{_points(effect['gain']['low'])} to {_points(effect['gain']['high'])}",
        ]
        for group in ("effects", "changes", "ladder", "failures")
        for effect in found[group]
        if effect["kind"] != "alone"
    ]
    head = ["what", "digits", "without", "with", "gain in points", "95 % interval"]
    text = "\n".join(f"- {sentence}" for sentence in found["verdict"])
    return f"## What came out\n\n{text}\n\n{table(head, rows)}\n\n{machine_text(found)} `benchmarks/ablate.py`"


def _points(share: float) -> str:
    return f"{share * 100:+.2f}".replace("-", "−")


def compare_table() -> str:
    from inkdigits.lab.comparison import spoken_bytes, spoken_seconds

    found = result("compare")
    rows = [
        [
            f"`{line['technique']}`",
            percent(line["accuracy"]),
            f"{line['low'] * 100:.2f}–{line['high'] * 100:.2f}",
            f"{line['n_train']:,}",
            spoken_seconds(line["fit_seconds"]),
            spoken_seconds(line["bulk_microseconds"] / 1e6),
            spoken_bytes(line["model_bytes"]),
        ]
        for line in found["standings"]
    ]
    head = ["technique", "test accuracy", "95 % interval", "learnt from", "learning, one core", "a digit", "model"]
    text = "\n".join(f"- {sentence}" for sentence in found["verdict"])
    return f"{text}\n\n{table(head, rows)}\n\n{machine_text(found)} `benchmarks/compare.py`"


def doubt_text() -> str:
    found = result("doubt")
    test, training, planted = found["test"], found["training"], found["planted"]
    among = test["contested_among_first"]["normalised margin"]
    others = [name for name in test["contested_among_first"] if name != "normalised margin"]
    beside = "; ".join(f"{name} {test['contested_among_first'][name]['50']}" for name in others)
    flagged = f"{test['flagged']:,} are" if test["flagged"] else "none is"
    votes = result("compare")["test_doubt"]
    return "\n".join(
        [
            f"- `{test['model']}` on MNIST's test part: of the {test['n']:,} labels {flagged} in doubt, and among the "
            f"first 50 digits are {among['50']} of the {test['contested']} contested labels, among the first 100 "
            f"{among['100']} (in other orders, among the first 50: {beside}).",
            f"- The votes of the techniques of [`compare`](compare.md) on the same: {votes['flagged']:,} in doubt, "
            f"and {votes['contested_among_first']} of the {votes['contested']} contested labels among the first "
            f"{len(votes['first'])}. `benchmarks/compare.py`",
            f"- MNIST's {training['n']:,} training labels, by `compare --doubt`: {training['flagged']:,} in doubt. The "
            f"first are numbers {', '.join(str(row['index']) for row in training['first'][:5])}.",
            f"- The same with {planted['exchanged']:,} of the labels exchanged for another at random: "
            f"{planted['flagged']:,} in doubt, {planted['flagged_and_exchanged']:,} of which are exchanged ones; "
            f"the right label is suggested for {planted['flagged_and_rightly_suggested']:,} of these.",
            "",
            "`benchmarks/doubt.py`",
        ]
    )


def explore_text() -> str:
    from inkdigits.lab.explore.answers import answers

    found = result("explore")
    report, findings = found["report"], found["report"]["findings"]
    answered = "\n".join(f"- **{question}** {answer}" for question, answer in answers(findings).items())
    whole, quick = report["whole"], report["quick"]
    dimension = findings["dimension"]
    estimates = dimension["intrinsic"]["overall"]
    names = {"twonn": "TwoNN", "ml5": "maximum likelihood, 5 near", "ml10": "… 10 near", "ml20": "… 20 near"}
    rows = [
        [name, f"{estimates[key]['value']:.1f}", "{:.1f} to {:.1f}".format(*estimates[key]["interval95"])]
        for key, name in (names | {"correlation": "correlation"}).items()
    ]
    bent = [
        [
            str(row["dimensions"]),
            f"{row['components']['value']:.4f}",
            f"{row['autoencoder']['value']:.4f}",
            str(row["as_good_components"]),
        ]
        for row in dimension["autoencoder"]["by_dimensions"]
    ]
    return "\n\n".join(
        [
            answered,
            table(["intrinsic dimension", "estimate", "95 % interval"], rows),
            table(["numbers", "components", "autoencoder", "as good as so many components"], bent)
            + "\n\nMean squared error of a pixel of unseen digits, paper 0 and ink 1.",
            f"All of MNIST took {whole['seconds'] / 60:.1f} minutes and {whole['megabytes'] / 1000:.1f} GB, `--quick` "
            f"{quick['seconds']:.0f} s. {machine_text(found['report_made'])} `benchmarks/explore.py`",
        ]
    )


def maps_table() -> str:
    found = result("explore")
    rows = [
        [name, f"{made['seconds']:.0f} s", percent(made["accuracy"])]
        if "seconds" in made
        else [name, f"not done after {made['ended_after'] / 60:.0f} minutes", "–"]
        for name, made in found["maps"].items()
    ]
    head = ["a map of 70,000 digits", "time from the pixels on", "vote of the 10 nearest"]
    made = f"The others with their default settings. {machine_text(found['maps_made'])} `benchmarks/explore.py`"
    return f"{table(head, rows)}\n\n{made}"


def serve_text() -> str:
    found = result("serve")
    read, at_300, digits, over = (found["reader"][part] for part in ("read", "at_300", "digits", "overload"))
    fast, peers = found["fast"]["digits"], {name: one for name, one in found["peer"].items() if name != "commit"}
    rows = [
        ["from the command to its address", f"{found['starts']['ready']:.2f} s"],
        ["pictures a second, one a request, as fast as 16 clients ask", _rate(read["most"])],
        ["… the highest rate held, asked evenly", f"{read['held']:.0f}; 99 % within {_late(read['tried'][-1])}"],
        ["… at half of that", f"{_rate(read['at_half'])}; half within {_late(read['at_half'], 'p50')}, "
         f"99 % within {_late(read['at_half'])}"],
        ["… at 300", f"half within {_late(at_300, 'p50')}, 99 % within {_late(at_300)}"],
        ["digit images a second, 100 a request, as .npy", f"{digits['npy']['digits_a_second']:,}"],
        ["… as JSON", f"{digits['json']['digits_a_second']:,}"],
        ["… with a small network (`train --target 99.3`), as .npy", f"{fast['npy']['digits_a_second']:,}"],
        ["… as JSON", f"{fast['json']['digits_a_second']:,}"],
    ]  # fmt: skip
    peer = [
        [name, _rate(one["most"]), f"{one['held']:.0f}" if "held" in one else "none of those tried",
         _late(one["at_half"]) if "at_half" in one else "–"]
        for name, one in peers.items()
    ]  # fmt: skip
    answered = sum(each["right"] for each in over["rounds"])
    refused = sum(count for each in over["rounds"] for code, count in each["codes"].items() if code in ("429", "503"))
    every = sum(sum(each["codes"].values()) for each in over["rounds"])
    assert every == answered + refused, "an answer that is wrong, or another code"
    memory = over["memory_megabytes"]
    return "\n\n".join(
        [
            table(["`reader`", "measured"], rows),
            f"1,000 clients at once that want ten times the held rate, three times over, on the same cores: {every:,} "
            f"requests came through, {answered:,} were answered, every one of them right, half of them within "
            f"{over['rounds'][-1]['milliseconds']['p50'] / 1000:.0f} s, {refused:,} were refused with 429 or 503, "
            f"none with anything else. Memory: {memory[0]} MB before, {', '.join(map(str, memory[1:]))} MB after "
            "each round.",
            table(["the same network behind", "at most a second", "rate held", "99 % within, at half of that"], peer),
            f"The load generator shares the cores. {machine_text(found)} `make bench-serve`",
        ]
    )


def _rate(found: Any) -> str:
    return f"{found['answered_a_second']:.0f}"


def _late(found: Any, share: str = "p99") -> str:
    return f"{found['milliseconds'][share]:.0f} ms"


def corrections_text() -> str:
    found = result("corrections")
    rows = []
    for row in found["rows"]:
        hand = [f"{row[when]['hand']['right']} of {row[when]['hand']['of']}" for when in ("before", "after")]
        wrong = [str(row[when]["mnist"]["errors"]) for when in ("before", "after")]
        rows.append([str(row["seed"]), *hand, *wrong, f"{row['mcnemar_p']:.2f}"])
    head = ["seed", "that hand before", "after", "wrong on MNIST's test digits before", "after", "p (McNemar)"]
    return f"{table(head, rows)}\n\n{machine_text(found)} `benchmarks/corrections.py`"


def machine_text(found: Any) -> str:
    machine = found["machine"]
    kind = "with" if machine["amx_bf16"] else "without"
    return f"{machine['cores']} cores of an {processor(found)}, {kind} bf16 hardware."


def processor(found: Any) -> str:
    return str(found["machine"]["processor"]).replace("(R)", "")


TABLES: dict[str, Callable[[], str]] = {
    "summary": summary_table,
    "fast": fast_table,
    "peers": peers_table,
    "systems": systems_table,
    "kaggle": kaggle_text,
    "reader": reader_table,
    "compare": compare_table,
    "ablate": ablate_text,
    "doubt": doubt_text,
    "explore": explore_text,
    "maps": maps_table,
    "serve": serve_text,
    "corrections": corrections_text,
}

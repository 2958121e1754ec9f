"""The tables of docs/reliability.md, made of benchmarks/results/soak.json, fuzz.json and scale.json."""

from __future__ import annotations

from collections.abc import Callable

from tables import machine_text, result, table

BILLION = 1_000_000_000
SCENARIOS = {
    "predict": "`predict`, gone on with by `--resume`: 60,000 answers, the same bytes",
    "train": "`train`, gone on with by `--resume`: the same model, bit for bit",
    "data": "`data --to`: the earlier file or the whole new one",
    "compare": "`compare`, gone on with by `--resume`: the same results",
    "serve": "`serve --corrections`: every correction that it said it kept",
    "disk": "these commands (`serve` apart) on a disk that is full or becomes read-only, then going on",
    "cluster": "`predict --ray`, of two nodes: workers, and every other time a node; the bytes of one machine",
}
KINDS = {"csv": "CSV", "idx": "IDX", "npz": "`.npz`", "parquet": "Parquet"}


def soak_table() -> str:
    found = result("soak")
    rows = [[SCENARIOS[name], str(outcome["kills"])] for name, outcome in found["scenarios"].items()]
    survived = sum(outcome["kills"] for outcome in found["scenarios"].values())
    rows.append(["**all**", f"**{survived}**"])
    return table(["what was killed without warning", "times survived"], rows) + "\n\n`make soak`"


def fuzz_table() -> str:
    found = result("fuzz")
    rows = [
        [f"`{name}`", f"{target['runs']:,}", f"{target['branches']:,}"] for name, target in found["targets"].items()
    ]
    runs = sum(target["runs"] for target in found["targets"].values())
    text = f"{runs:,} inputs in {found['seconds']} s; each ended in an answer or in one of our own errors. `make fuzz`"
    return table(["reader", "inputs", "branches reached"], rows) + f"\n\n{text}"


def scale_table() -> str:
    found = result("scale")
    formats = found["memory"]
    counts = [row["rows"] for row in next(iter(formats.values()))["rows"]]
    rows = []
    for name, measured in formats.items():
        cells = [f"{row['peak_mb']:.0f} MB, {row['seconds']:.1f} s" for row in measured["rows"]]
        rows.append([KINDS[name], *cells, f"{measured['mb_a_million_rows']:+.1f} MB"])
    head = ["file", *(f"{count:,} rows" for count in counts), "memory for a million rows more"]
    grown = [measured["rows"][-1]["peak_mb"] - measured["rows"][-2]["peak_mb"] for measured in formats.values()]
    last = f"From {counts[-2]:,} rows to {counts[-1]:,} it grows by {min(grown):.0f} to {max(grown):.0f} MB. "
    text = last + "Peak memory of the whole process and its time, with a network of `train --target 99.0`. "
    return table(head, rows) + "\n\n" + text + machine_text(found) + " `benchmarks/scale.py`"


def cluster_text() -> str:
    found = result("scale")
    rates, ray = found["rates"], found["ray"]
    here, there = (sorted(ray["seconds"][way])[len(ray["seconds"][way]) // 2] for way in ("here", "ray"))
    thread, writer = rates["a_thread"], rates["the_writer"]
    hours = BILLION / thread / 3600
    lines = [
        f"- A thread answers {thread:,} digits a second with the shipped `reader`: a billion are "
        f"{hours:,.0f} core-hours, {hours / 100:.1f} hours of 100 cores.",
        f"- The process that numbers, writes and checks takes in {writer:,} answers a second: more than "
        f"{writer // thread:,} cores are of no use, and a billion take at least {BILLION / writer / 60:.0f} minutes.",
        f"- Ray costs its start, and the way of digits from task to task: {ray['rows']:,} digits took {there:.1f} s "
        f"with `--ray local` and {here:.1f} s without (medians of {len(ray['seconds']['ray'])}, in turn). The files "
        + ("are the same." if ray["same_bytes"] else "differ."),
    ]
    return "\n".join(lines) + "\n\n" + machine_text(found) + " `benchmarks/scale.py`"


TABLES: dict[str, Callable[[], str]] = {
    "soak": soak_table,
    "fuzz": fuzz_table,
    "scale": scale_table,
    "cluster": cluster_text,
}

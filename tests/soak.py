"""Kills commands without warning at random moments and looks at what they leave.

    $ .venv/bin/python tests/soak.py [--kills 200] [--seed 0] [--only predict train …] [-o soak.json]

A command is run once undisturbed, which says how long it takes and what it makes. Then it is started again and again,
going on where it was killed, and killed (SIGKILL) at a moment drawn at random; after each kill every file must be the
earlier one or the whole new one. In the end it is left to finish, and must have made what the undisturbed one made. A
server's corrections are kept if it said so, whenever it is killed. The disk becomes full, or read-only, at random. Of a
Ray cluster of two nodes workers and nodes are killed, and its answers are those of one machine.

`make test` does a few of these, `make soak` two hundred.
"""

from __future__ import annotations

import argparse
import base64
import csv
import io
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from nodes import PATIENCE, SECRET, two_nodes
from PIL import Image
from serving import START_SECONDS, running

from inkdigits.digits.dataset import Digits
from inkdigits.digits.formats import load_digits, save_digits
from inkdigits.nets.run import load_state, read_config
from inkdigits.reader.predict import predict

COMMAND = [sys.executable, "-m", "inkdigits"]
LATER = 1.1  # kills fall up to so many times the time that the undisturbed command takes


@dataclass(frozen=True)
class Scenario:
    """A command, what it makes, and what must hold whenever it is killed.

    Attributes
    ----------
    words: the command's, given the folder that it writes into and whether there is something to go on with.
    whole: what is compared in the end, given that folder.
    holds: raises AssertionError if something that was left is broken.
    """

    words: Callable[[Path, bool], Sequence[object]]
    whole: Callable[[Path], Any]
    holds: Callable[[Path], None]


@dataclass
class Outcome:
    """What came of a scenario: kills that were made, those that came too late, and how long it takes undisturbed."""

    kills: int = 0
    too_late: int = 0
    seconds: float = 0.0


def scenarios(folder: Path) -> dict[str, Scenario]:
    """What is killed, and the files that it needs, made in `folder`."""
    train, test = load_digits("mnist:train"), load_digits("mnist:test")
    save_digits(train.take(slice(1_500)), folder / "train.npz")
    save_digits(test.take(slice(400)), folder / "test.npz")
    many = folder / "many.npz"
    np.savez(many, images=np.tile(test.images, (6, 1, 1)))
    earlier = folder / "earlier.csv"
    save_digits(test.take(slice(20)), earlier)
    model = folder / "model"
    run([*COMMAND, "train", folder / "train.npz", "--target", "99.0", "--epochs", "1", "-o", model, "-q"])

    def is_earlier_or_new(name: str, whole: Callable[[Path], object]) -> Callable[[Path], None]:
        def holds(place: Path) -> None:
            file = place / name
            if file.read_bytes() != earlier.read_bytes():
                whole(file)

        return holds

    def answers(file: Path) -> bytes:
        with file.open(newline="") as text:
            rows = list(csv.reader(text))
        assert [row[0] for row in rows[1:]] == [str(number) for number in range(1, 60_001)]
        return file.read_bytes()

    def trained(place: Path) -> bytes:
        run_made = place / "run"
        state = load_state(run_made)
        assert state is not None
        json.loads((run_made / "metrics.json").read_text())
        return (run_made / "model.onnx").read_bytes() + (run_made / "training-hashes.npy").read_bytes()

    def run_holds(place: Path) -> None:
        run_made = place / "run"
        if not (run_made / "config.json").exists():
            assert not (run_made / "checkpoint").exists()
            return
        read_config(run_made / "config.json")
        load_state(run_made)
        for name in ("metrics.json", "history.csv", "model.onnx", "training-hashes.npy"):
            file = run_made / name
            assert not file.exists() or file.stat().st_size > 0, name

    def compared(place: Path) -> Any:
        with (place / "comparison" / "results.csv").open(newline="") as text:
            rows = list(csv.DictReader(text))
        found = {(row["technique"], row["size"], row["seed"]): (row["status"], row["right"]) for row in rows}
        assert len(found) == len(rows)
        assert (place / "comparison" / "report.html").read_text().rstrip().endswith("</html>")
        return found

    def comparison_holds(place: Path) -> None:
        file = place / "comparison" / "results.csv"
        if file.exists():
            with file.open(newline="") as text:
                rows = list(csv.DictReader(text))
            assert all(None not in row and None not in row.values() for row in rows)

    techniques = "nearest-mean,lda,ridge,naive-bayes,tree"
    return {
        "predict": Scenario(
            lambda place, going_on: [
                "predict", many, "-m", model, "-o", place / "out.csv", *(["--resume"] if going_on else [])
            ],
            lambda place: answers(place / "out.csv"),
            is_earlier_or_new("out.csv", answers),
        ),
        "train": Scenario(
            lambda place, going_on: (
                ["train", "--resume", "-o", place / "run"]
                if going_on and (place / "run" / "config.json").exists()
                else ["train", folder / "train.npz", "--net", "b-regularised", "--epochs", "3", "-o", place / "run",
                      "--force"]
            ),
            trained,
            run_holds,
        ),
        "data": Scenario(
            lambda place, going_on: ["data", many, "--to", place / "out.csv"],
            lambda place: (place / "out.csv").read_bytes(),
            is_earlier_or_new("out.csv", load_digits),
        ),
        "compare": Scenario(
            lambda place, going_on: [
                "compare", folder / "train.npz", "-o", place / "comparison", "--techniques", techniques,
                "--sizes", "500,1000", *(["--resume"] if going_on else []),
            ],
            compared,
            comparison_holds,
        ),
    }  # fmt: skip


def run(words: Sequence[object]) -> None:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(f"{' '.join(map(str, words))}: {done.stderr}")


def fresh(place: Path, earlier: Path) -> Path:
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    shutil.copy(earlier, place / "out.csv")
    return place


def soak(name: str, scenario: Scenario, folder: Path, kills: int, rng: random.Random) -> Outcome:
    """Run a scenario to its end in spite of so many kills."""
    reference = fresh(folder / f"{name}-whole", folder / "earlier.csv")
    began = time.perf_counter()
    run([*COMMAND, *scenario.words(reference, False), "-q"])
    outcome = Outcome(seconds=time.perf_counter() - began)
    expected = scenario.whole(reference)
    place = fresh(folder / name, folder / "earlier.csv")
    going_on = False
    while outcome.kills < kills:
        words = [str(word) for word in (*COMMAND, *scenario.words(place, going_on), "-q")]
        moment = rng.uniform(0, outcome.seconds * LATER)
        with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
            try:
                status = process.wait(moment)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                outcome.kills += 1
                scenario.holds(place)
                going_on = True
                continue
            assert process.stderr is not None
            assert status == 0, f"{' '.join(words)}: {process.stderr.read()}"
        # It was done before it could be killed: what it made must be right, and it begins anew.
        outcome.too_late += 1
        assert scenario.whole(place) == expected, f"{name}: another result after {outcome.kills} kills"
        place, going_on = fresh(folder / name, folder / "earlier.csv"), False
    run([*COMMAND, *scenario.words(place, going_on), "-q"])
    assert scenario.whole(place) == expected, f"{name}: another result after {outcome.kills} kills"
    return outcome


def soak_disk(known: dict[str, Scenario], folder: Path, times: int, rng: random.Random) -> Outcome:
    """Let the disk be full, or become read-only, at random moments: one line says so, and what is left is whole.

    Then there is room again, and it goes on. Where no small file system may be mounted this does nothing.
    """
    outcome = Outcome()
    place = folder / "disk"
    place.mkdir()
    needs: dict[str, tuple[int, float, Any]] = {}
    for turn in range(10 * times):
        name = sorted(known)[turn % len(known)]
        scenario = known[name]
        if name not in needs:
            reference = fresh(folder / f"{name}-room", folder / "earlier.csv")
            began = time.perf_counter()
            run([*COMMAND, *scenario.words(reference, False), "-q"])
            seconds = time.perf_counter() - began
            size = sum(file.stat().st_size for file in reference.rglob("*") if file.is_file())
            needs[name] = size, seconds, scenario.whole(reference)
        size, seconds, expected = needs[name]
        earlier = (folder / "earlier.csv").stat().st_size
        becomes_read_only = bool(turn // len(known) % 2)
        room = earlier + size * 2 if becomes_read_only else earlier + rng.randrange(1 << 14, size)
        if not _mount(place, f"size={room}"):
            return outcome
        try:
            shutil.copy(folder / "earlier.csv", place / "out.csv")
            words = [str(word) for word in (*COMMAND, *scenario.words(place, False), "-q")]
            moment = time.monotonic() + rng.uniform(0, seconds)
            with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
                # Refused for as long as a file is open for writing.
                while becomes_read_only and process.poll() is None:
                    if time.monotonic() > moment and _mount(place, "remount,ro"):
                        break
                    time.sleep(0.002)
                said = process.communicate()[1]
            if process.returncode:
                assert process.returncode == 1, f"{name}: status {process.returncode}: {said}"
                assert re.fullmatch(r"error: .*\n", said), f"{name}: {said}"
                assert ("no permission" if becomes_read_only else "no space left") in said, f"{name}: {said}"
                scenario.holds(place)
                outcome.kills += 1
            else:
                outcome.too_late += 1
            assert _mount(place, f"remount,rw,size={earlier + size * 4}")
            if process.returncode:
                run([*COMMAND, *scenario.words(place, True), "-q"])
            assert scenario.whole(place) == expected, f"{name}: another result on a disk that was full"
        finally:
            subprocess.run(["umount", str(place)], check=False)
        if outcome.kills == times:
            return outcome
    raise AssertionError(f"the disk was full {outcome.kills} times of {10 * times}")


def _mount(place: Path, options: str) -> bool:
    """A file system in memory at `place`, or the one there changed; whether that was allowed."""
    words = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
    try:
        return subprocess.run(words, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def soak_serve(folder: Path, kills: int, rng: random.Random) -> Outcome:
    """Kill a server that is being given corrections: those that it said it kept are kept, and it starts again."""
    outcome = Outcome()
    file = folder / "corrections.sqlite"
    digits = load_digits("mnist:test").take(slice(50))
    bodies = [_correction(digits, row) for row in range(len(digits))]
    kept = 0
    for _ in range(kills):
        moment = time.monotonic() + rng.uniform(0.05, 0.6)
        with running("--corrections", str(file), "-q") as server:
            address = f"http://127.0.0.1:{server.port}/v1/corrections"
            while time.monotonic() < moment + 0.05:
                if time.monotonic() >= moment:
                    server.process.send_signal(signal.SIGKILL)
                headers = {"content-type": "application/json"}
                request = urllib.request.Request(address, bodies[kept % len(bodies)], headers)
                try:
                    with urllib.request.urlopen(request, timeout=START_SECONDS) as answer:
                        assert answer.status < 300
                except OSError:
                    break
                kept += 1
            server.process.kill()
            server.process.wait()
        outcome.kills += 1
        with closing(sqlite3.connect(file)) as database:
            assert database.execute("pragma integrity_check").fetchone() == ("ok",)
        found = load_digits(file) if kept else None
        # One more may be there than was answered: it was kept, and killed before it could say so.
        count = len(found) if found is not None else 0
        assert kept <= count <= kept + 1, f"serve: {count} corrections kept, {kept} answered"
        kept = count
    return outcome


def soak_cluster(folder: Path, kills: int, rng: random.Random) -> Outcome:
    """`predict` by a Ray cluster of two nodes, of which workers and, every other time, a whole node are killed."""
    outcome = Outcome()
    place = folder / "cluster"
    place.mkdir()
    test = load_digits("mnist:test")
    sources = [place / f"part-{number}.npz" for number in range(6)]
    for source in sources:
        np.savez(source, images=test.images[rng.sample(range(len(test)), 8_000)])
    predict(sources, output=place / "here.csv", details=True)
    made, growing = place / "there.csv", place / "there.csv.part"
    with two_nodes() as cluster:
        words = [*COMMAND, "predict", *map(str, sources), "-o", str(made), "--details", "--ray", cluster.address, "-q"]
        while outcome.kills < kills:
            cluster.revive()
            enough = rng.randrange(1, (place / "here.csv").stat().st_size * 2 // 3)
            began = time.monotonic()
            with subprocess.Popen(words, env=os.environ | SECRET, stderr=subprocess.PIPE) as running:
                killed = 0
                while running.poll() is None and not killed:
                    if growing.exists() and growing.stat().st_size >= enough:
                        killed = cluster.kill_workers()
                        if outcome.kills % 2:
                            cluster.kill_node()
                    time.sleep(0.02)
                said = running.communicate(timeout=PATIENCE)[1]
            assert running.returncode == 0, said
            assert made.read_bytes() == (place / "here.csv").read_bytes()
            outcome.seconds = max(outcome.seconds, time.monotonic() - began)
            outcome.kills += bool(killed)
            outcome.too_late += not killed
    return outcome


def _correction(digits: Digits, row: int) -> bytes:
    picture = io.BytesIO()
    Image.fromarray(digits.images[row]).save(picture, "PNG")
    glyph = base64.b64encode(picture.getvalue()).decode()
    return json.dumps({"glyph": glyph, "label": int(digits.need_labels("correct")[row]), "answer": 0}).encode()


NAMES = ("predict", "train", "data", "compare", "serve", "disk", "cluster")


# What is no command that is started again until it has ended.
APART: dict[str, Callable[[Path, int, random.Random], Outcome]] = {"serve": soak_serve, "cluster": soak_cluster}


def shared_out(kills: int, names: Sequence[str]) -> dict[str, int]:
    """The kills of each scenario; a cluster, which takes a minute to come back, has a third of what others have."""
    weights = np.array([1 if name == "cluster" else 3 for name in names])
    ends = np.cumsum(weights) * kills // weights.sum()
    return dict(zip(names, np.diff(ends, prepend=0).tolist(), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200, help="in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    rng, found = random.Random(arguments.seed), {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        known = scenarios(folder)
        for scenario, kills in shared_out(arguments.kills, arguments.only).items():
            if scenario == "disk":
                outcome = soak_disk(known, folder, kills, rng)
            elif scenario in APART:
                outcome = APART[scenario](folder, kills, rng)
            else:
                outcome = soak(scenario, known[scenario], folder, kills, rng)
            found[scenario] = {"kills": outcome.kills, "undisturbed_seconds": round(outcome.seconds, 2)}
            print(f"{scenario}: {outcome.kills} kills survived, {outcome.too_late} came too late", flush=True)
    if arguments.output:
        arguments.output.write_text(json.dumps({"seed": arguments.seed, "scenarios": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""Two processes that train together do what one does with batches of twice the size."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from inkdigits.digits.formats import save_digits
from inkdigits.digits.mnist import load_mnist
from inkdigits.nets.run import load_state
from inkdigits.nets.train import train

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="torchrun's processes, as Linux starts and kills them")
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "inkdigits"]
PATIENCE = 240  # seconds, on a machine with much else to do


@pytest.fixture(scope="module")
def some(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1,201 digits, a number that two cannot share evenly."""
    path = tmp_path_factory.mktemp("digits") / "some.npz"
    save_digits(load_mnist("train").take(slice(1_201)), path)
    return path


def torchrun(*words: object) -> subprocess.CompletedProcess[str]:
    command = [*TORCHRUN, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)


def weights(folder: Path) -> dict[str, np.ndarray]:
    state = load_state(folder)
    assert state is not None
    return {name: array for name, array in state.arrays.items() if name.startswith("network/")}


def test_two_processes_do_what_one_does_with_twice_the_batch(some: Path, tmp_path: Path) -> None:
    one = train(some, net="lenet5", epochs=2, batch=64, output=tmp_path / "one")
    done = torchrun("train", some, "--net", "lenet5", "--epochs", 2, "--set", "batch=32", "-o", tmp_path / "two")
    assert done.returncode == 0, done.stderr
    # The first talks and writes; the other only computes.
    assert done.stdout.count("validation") == 1
    assert done.stderr.count("epoch 2/2") == 1
    for name, array in weights(tmp_path / "one").items():
        assert weights(tmp_path / "two")[name] == pytest.approx(array, abs=1e-4), name
    metrics = json.loads((tmp_path / "two" / "metrics.json").read_text())
    for part, key in (("train", "last_epoch_loss"), ("validation", "loss")):
        assert metrics[part][key] == pytest.approx(one.metrics[part][key], rel=1e-3)
    assert sorted(file.name for file in (tmp_path / "two").iterdir()) == sorted(
        file.name for file in (tmp_path / "one").iterdir()
    )


def test_when_one_is_killed_all_end_and_the_run_can_be_gone_on_with(some: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["train", some, "--net", "lenet5", "--epochs", 4, "--set", "batch=8", "-o", run]
    train(some, net="lenet5", epochs=4, batch=16, output=tmp_path / "whole")
    with subprocess.Popen([*TORCHRUN, *map(str, words)], stderr=subprocess.DEVNULL) as process:
        began = time.monotonic()
        while not (run / "checkpoint").exists() and time.monotonic() - began < PATIENCE:
            time.sleep(0.02)
        os.kill(_second_rank(process.pid), signal.SIGKILL)
        assert process.wait(PATIENCE) != 0
    assert not (run / "model.onnx").exists()
    resumed = torchrun("train", "--resume", "-o", run)
    assert resumed.returncode == 0, resumed.stderr
    assert "going on after epoch" in resumed.stderr
    for name, array in weights(tmp_path / "whole").items():
        assert weights(run)[name] == pytest.approx(array, abs=1e-4), name


def _second_rank(parent: int) -> int:
    """The process that torchrun started with RANK=1."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            environment = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if int(fields[1]) == parent and b"RANK=1" in environment:
            return int(entry.name)
    raise AssertionError("no second process")


def test_a_search_is_for_one_process(some: Path, tmp_path: Path) -> None:
    done = torchrun("train", some, "--search", 2, "-o", tmp_path / "run")
    assert done.returncode != 0
    assert "error: --search: is for one process, found 2 of them; search without torchrun" in done.stderr
    assert not (tmp_path / "run").exists()

"""A Ray cluster of two nodes, both on this machine, does the work of `predict` as one machine does it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from nodes import PATIENCE, SECRET, Cluster, two_nodes
from onnx import TensorProto, helper, numpy_helper

from inkdigits.digits.formats import load_digits, save_digits
from inkdigits.reader.predict import predict

pytestmark = pytest.mark.skipif(
    find_spec("ray") is None or not Path("/proc").is_dir(), reason="needs Ray, and /proc to find its processes"
)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with two_nodes() as cluster:
        yield cluster


def command(*words: object, verb: str = "predict") -> list[str]:
    return [sys.executable, "-m", "inkdigits", verb, *map(str, words)]


def files(folder: Path, count: int, each: int) -> list[Path]:
    """Digits in files of several kinds, each in another order."""
    digits = load_digits("mnist:test")
    made = []
    for number, ending in zip(range(count), ["csv.gz", "npz", "parquet", "csv"] * count, strict=False):
        order = np.random.default_rng(number).integers(0, len(digits), each)
        made.append(folder / f"part-{number:02}.{ending}")
        save_digits(digits.take(order), made[-1])
    return made


def run(*words: object, folder: Path, verb: str = "predict") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*words, verb=verb),
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=PATIENCE,
        stdin=subprocess.DEVNULL,
        env=os.environ | SECRET,
    )


def test_a_cluster_writes_what_one_machine_writes_though_its_workers_are_killed(
    cluster: Cluster, tmp_path: Path
) -> None:
    made = files(tmp_path, 4, 6_000)
    # The names as a user gives them: the workers are somewhere else.
    words = [*(file.name for file in made), "-o", "there.csv", "--details"]
    with subprocess.Popen(
        command(*words, "--ray", cluster.address),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | SECRET,
    ) as running:
        killed = 0
        while running.poll() is None and not killed:
            killed = cluster.kill_workers("_ask")
            time.sleep(0.02)
        stdout, stderr = running.communicate(timeout=PATIENCE)
    assert (running.returncode, stdout) == (0, ""), stderr
    assert killed
    assert "24,000 digits from part-00.csv.gz, part-01.npz, part-02.parquet and 1 more read by reader" in stderr
    predict(made, output=tmp_path / "here.csv", details=True)
    assert (tmp_path / "there.csv").read_bytes() == (tmp_path / "here.csv").read_bytes()


def test_what_is_wrong_with_a_file_is_said_as_one_machine_says_it(cluster: Cluster, tmp_path: Path) -> None:
    made = files(tmp_path, 1, 5_000)
    rows = ["label," + ",".join(f"pixel{number}" for number in range(784)), *["3" + ",0" * 784] * 5_000]
    rows[4_321] = "3,256" + ",0" * 783
    (tmp_path / "bad.csv").write_text("\n".join(rows) + "\n")
    here = run(made[0].name, "bad.csv", "-o", "out.csv", folder=tmp_path)
    there = run(made[0].name, "bad.csv", "-o", "out.csv", "--ray", cluster.address, folder=tmp_path)
    assert here.returncode == there.returncode == 1
    assert there.stderr == here.stderr
    assert re.match(r"error: bad\.csv, row 4321, column pixel0", there.stderr)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["bad.csv", made[0].name]


@pytest.mark.long
def test_what_is_wrong_with_the_model_is_said_as_one_machine_says_it(cluster: Cluster, tmp_path: Path) -> None:
    # A foreign one that divides by the first pixel, which is 0 in all that it is tried with when it is opened.
    nodes = [
        helper.make_node("Slice", ["images", "from", "to", "axis"], ["corner"]),
        helper.make_node("Log", ["one_less"], ["bad"]),
        helper.make_node("Flatten", ["images"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["plain"]),
        helper.make_node("Add", ["plain", "bad"], ["answers"]),
    ]
    nodes.insert(1, helper.make_node("Sub", ["half", "corner"], ["one_less"]))
    weights = np.random.default_rng(0).normal(size=(784, 10)).astype(np.float32)
    constants = {
        "from": np.array([0]), "to": np.array([1]), "axis": np.array([1]),
        "half": np.full((1, 1), 0.5, np.float32), "weights": weights,
    }  # fmt: skip
    graph = helper.make_graph(
        nodes,
        "broken",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [None, 784])],
        [helper.make_tensor_value_info("answers", TensorProto.FLOAT, [None, 10])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 17)]
    (tmp_path / "broken.onnx").write_bytes(
        helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    )
    images = load_digits("mnist:test").images[:300].copy()
    images[:, 0, 0] = 0
    images[250, 0, 0] = 255
    np.savez(tmp_path / "some.npz", images=images)
    words = ["some.npz", "-m", "broken.onnx", "--input-scale", "unit", "-o", "out.csv"]
    here = run(*words, folder=tmp_path)
    there = run(*words, "--ray", cluster.address, folder=tmp_path)
    assert here.returncode == there.returncode == 1
    assert there.stderr == here.stderr
    assert there.stderr.startswith("error: broken.onnx: damaged, expected finite answers")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["broken.onnx", "some.npz"]


@pytest.mark.long
def test_told_to_end_it_ends_with_a_status_that_says_so(cluster: Cluster, tmp_path: Path) -> None:
    many = tmp_path / "many.npz"
    np.savez(many, images=np.tile(load_digits("mnist:test").images, (4, 1, 1)))
    with subprocess.Popen(
        command(many, "-o", "out.csv", "--ray", cluster.address),
        cwd=tmp_path,
        stderr=subprocess.DEVNULL,
        env=os.environ | SECRET,
    ) as running:
        part = tmp_path / "out.csv.part"
        while running.poll() is None and not (part.exists() and part.stat().st_size > 0):
            time.sleep(0.02)
        running.terminate()
    assert running.returncode == -signal.SIGTERM
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.long
def test_what_was_begun_here_is_gone_on_with_there(cluster: Cluster, tmp_path: Path) -> None:
    many = tmp_path / "many.npz"
    np.savez(many, images=np.tile(load_digits("mnist:test").images, (2, 1, 1)))
    with subprocess.Popen(command(many, "-o", "out.csv"), cwd=tmp_path, stderr=subprocess.DEVNULL) as begun:
        part = tmp_path / "out.csv.part"
        while begun.poll() is None and not (part.exists() and part.stat().st_size > 0):
            time.sleep(0.01)
        begun.send_signal(signal.SIGINT)
    assert begun.returncode == 130
    there = run(many, "-o", "out.csv", "--resume", "--ray", cluster.address, folder=tmp_path)
    assert there.returncode == 0
    assert re.match(r"out\.csv: going on after \d+,\d+ digits\n", there.stderr)
    predict(many, output=tmp_path / "here.csv")
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "here.csv").read_bytes()


@pytest.mark.long
def test_a_comparison_on_a_cluster_finds_what_one_machine_finds(cluster: Cluster, tmp_path: Path) -> None:
    words = ["--techniques", "nearest-mean,naive-bayes", "--sizes", "500"]
    here = run(*words, "-o", "here", "--json", folder=tmp_path, verb="compare")
    there = run(*words, "-o", "there", "--json", "--ray", cluster.address, folder=tmp_path, verb="compare")
    assert (here.returncode, there.returncode) == (0, 0), there.stderr
    rows = [
        {row["technique"]: row["accuracy"] for row in json.loads(said.stdout)["standings"]} for said in (here, there)
    ]
    assert rows[0] == rows[1]
    assert len(rows[0]) == 2


def test_threads_are_for_one_machine(tmp_path: Path) -> None:
    said = run("mnist", "-o", "out.csv", "--ray", "local", "--threads", "2", folder=tmp_path)
    assert said.returncode == 1
    expected = "--threads: cannot be used with --ray; leave it out: each worker has a processor (docs/predict.md)"
    assert said.stderr == f"error: {expected}\n"

"""The command line as a user meets it: in a process of its own, by its exit status and by what it prints."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from inkdigits import __version__
from inkdigits.app.cli import SHELLS, cli, page_of, status_of
from inkdigits.digits.dataset import Digits
from inkdigits.digits.formats import save_digits
from inkdigits.digits.mnist import load_mnist
from inkdigits.errors import InputError
from inkdigits.nets.train import Run, train

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    digits = load_mnist("train").take(slice(1_000), source="1000")
    return train(digits, output=tmp_path_factory.mktemp("runs") / "first", net="softmax", epochs=3)


class Said:
    """What one call printed and its exit status."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *arguments: object) -> None:
        self.status = status_of([str(argument) for argument in arguments])
        self.out, self.err = capsys.readouterr()


def python(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]


def test_importing_the_package_loads_no_framework() -> None:
    heavy = ["torch", "sklearn", "matplotlib", "polars", "onnxruntime", "onnx", "PIL", "click"]
    code = f"import inkdigits, sys; print([name for name in {heavy!r} if name in sys.modules])"
    assert python("-c", code).stdout.strip() == "[]"


@pytest.mark.parametrize(
    "arguments", [["--help"], ["train", "--help"], ["train", "--list"], ["train", "--net", "fsat"]]
)
def test_help_and_error_messages_load_no_framework(arguments: Sequence[str]) -> None:
    code = (
        f"import sys; from inkdigits.app.cli import status_of; status_of({arguments!r});"
        "print([name for name in ['torch', 'matplotlib', 'polars', 'onnxruntime'] if name in sys.modules])"
    )
    assert python("-c", code).stdout.splitlines()[-1] == "[]"


def test_the_module_runs_as_the_command_does() -> None:
    assert python("-m", "inkdigits", "--version").stdout.strip() == f"inkdigits, version {__version__}"


@pytest.mark.parametrize("verb", [None, *cli.commands])
def test_every_verb_explains_itself_with_an_example(verb: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    said = Said(capsys, *([verb] if verb else []), "--help")
    assert said.status == 0
    assert f"  inkdigits {verb or 'train'}" in said.out


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["nosuch"], 2, "error: no such command 'nosuch'"),
        (["train", "--nosuch"], 2, "error: no such option '--nosuch'"),
        (["predict", "mnist"], 2, "error: missing option '-o'"),
        (["evaluate"], 2, "error: missing argument 'MODEL'"),
        (["train", "--net", "fsat"], 1, "did you mean fast?"),
        (["train", "--target", "98"], 1, "error: --target: unknown, expected 99.0 or 99.3 or 99.5, found 98"),
        (
            ["train", "--set", "batch=many"],
            1,
            "error: --set batch: not a value of it, expected a whole number, found many",
        ),
        (["train", "--set", "batch"], 1, "error: --set: not a setting, expected NAME=VALUE, found batch"),
        (["train", "--epochs", "many"], 1, "error: --epochs: 'many' is not a valid float"),
        (["train", "nosuch.csv"], 1, "error: nosuch.csv: no such file"),
        (["data", "nosuch.csv"], 1, "error: nosuch.csv: no such file"),
        (["evaluate", "nosuch"], 1, "error: nosuch: no such model"),
        (["predict", "mnist", "-m", "nosuch", "-o", "out.csv"], 1, "error: nosuch: no such model"),
        (["completion", "tcsh"], 1, "'tcsh' is not one of 'bash', 'zsh', 'fish'"),
    ],
)
def test_what_is_wrong_is_one_line_and_a_status(
    arguments: list[str],
    status: int,
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    said = Said(capsys, *arguments)
    assert said.status == status
    assert message in said.err
    assert len(said.err.splitlines()) == 1
    assert said.out == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", [verb for verb in cli.commands if verb != "completion"])
def test_every_verb_has_a_page_that_its_errors_name(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert (ROOT / "docs" / f"{verb}.md").is_file()
    assert page_of(InputError("a.csv", "no such file"), [verb, "a.csv"]) == f" (docs/{verb}.md)"
    assert Said(capsys, "evaluate", "nosuch").err.endswith(" (docs/models.md)\n")


def test_no_arguments_show_the_help_and_status_two(capsys: pytest.CaptureFixture[str]) -> None:
    said = Said(capsys)
    assert said.status == 2
    assert "Commands:" in said.err


def test_the_main_job_from_training_to_submission(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder, digits = tmp_path / "run", load_mnist("train").take(slice(1_000))
    save_digits(digits, tmp_path / "train.csv")
    save_digits(Digits(load_mnist("test").images[:100]), tmp_path / "test.csv")
    trained = Said(capsys, "train", tmp_path / "train.csv", "--net", "softmax", "-o", folder, "--epochs", 2)
    assert trained.status == 0
    assert "validation" in trained.out
    assert f"next: inkdigits evaluate {folder}" in trained.err
    measured = Said(capsys, "evaluate", folder)
    assert measured.status == 0
    assert "mnist:test" in measured.out
    assert (folder / "report.html").is_file()
    predicted = Said(capsys, "predict", tmp_path / "test.csv", "-m", folder, "-o", tmp_path / "submission.csv")
    assert predicted.status == 0
    assert predicted.out == ""
    assert "100 digits from" in predicted.err
    lines = (tmp_path / "submission.csv").read_text().splitlines()
    assert (lines[0], len(lines)) == ("ImageId,Label", 101)


def test_settings_given_by_name_arrive(capsys: pytest.CaptureFixture[str]) -> None:
    changes = ["--set", "dropout=0.3", "--set", "batch-norm=no", "--set", "optimiser=sgd", "--seed", "7"]
    said = Said(capsys, "train", "--net", "b-regularised", "--settings", "--json", *changes)
    settings = json.loads(said.out)
    assert (settings["dropout"], settings["batch_norm"], settings["optimiser"], settings["seed"]) == (
        0.3,
        False,
        "sgd",
        7,
    )
    said = Said(capsys, "train", "--net", "b-plain", "--settings", "--json", "--set", "dropout=none")
    assert json.loads(said.out)["dropout"] is None


def test_json_is_one_object_on_stdout(run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert json.loads(Said(capsys, "data", "mnist:test", "--json").out)
    measured = json.loads(Said(capsys, "evaluate", run.folder, "--json").out)
    assert measured["n"] == 10_000
    arguments = ["mnist:train", "--net", "softmax", "--epochs", "0.02", "-o", tmp_path / "run", "--json", "-q"]
    said = Said(capsys, "train", *arguments)
    assert json.loads(said.out)["name"] == "softmax"
    assert said.err == ""


def test_data_converts_there_and_back(few: Digits, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    save_digits(few, tmp_path / "few.csv")
    assert Said(capsys, "data", tmp_path / "few.csv", "--to", tmp_path / "few.npz").status == 0
    with np.load(tmp_path / "few.npz", allow_pickle=False) as arrays:
        assert np.array_equal(arrays["images"], few.images)


def test_quiet_is_quiet(run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    said = Said(capsys, "predict", "mnist", "-m", run.folder, "-o", tmp_path / "out.csv", "-q")
    assert (said.status, said.out, said.err) == (0, "", "")


@pytest.mark.parametrize("closed", ["2>&-", "2>/dev/full", ">&-", ">/dev/null"])
def test_the_work_is_done_even_if_nobody_listens(closed: str, tmp_path: Path) -> None:
    command = (
        f"{sys.executable} -m inkdigits train mnist:train --net softmax --epochs 0.02 -o {tmp_path / 'run'} {closed}"
    )
    subprocess.run(["bash", "-c", command], check=False, timeout=120, stderr=subprocess.DEVNULL)
    assert (tmp_path / "run" / "model.onnx").is_file()


def test_a_reader_that_leaves_early_is_no_error() -> None:
    command = f"set -o pipefail; {sys.executable} -m inkdigits data mnist:test --json | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.csv", b"", "an empty file"),
        ("rubbish.csv", bytes(range(256)) * 20, "not a CSV"),
        ("columns.csv", b"1,2,3\n", "wrong number of columns"),
        ("pixel.csv", b"5," + b"0," * 783 + b"256\n", "row 1, column 785: not a pixel"),
        ("minus.csv", b"5," + b"0," * 783 + b"-1\n", "row 1, column 785: not a pixel"),
        ("fraction.csv", b"5," + b"0," * 783 + b"3.5\n", "row 1, column 785: not a pixel"),
        ("letter.csv", b"5," + b"0," * 783 + b"x\n", "row 1, column 785: not a pixel"),
        ("label.csv", b"10," + b"0," * 783 + b"0\n", "row 1, column 1: not a label"),
        ("short.csv.gz", b"\x1f\x8b\x08\x00", "a damaged archive"),
        ("a-images-idx3-ubyte", b"\x00\x00\x08\x03" + b"\x00" * 8, "a-images-idx3-ubyte"),
        ("a.npz", b"PK\x03\x04rubbish", "a.npz"),
        ("a.sqlite", b"rubbish", "a.sqlite"),
        ("a.txt", b"rubbish", "a.txt"),
    ],
)
@pytest.mark.parametrize("verb", ["data", "train", "predict", "evaluate"])
def test_a_bad_file_is_one_line_and_status_one_for_every_verb(
    verb: str,
    name: str,
    content: bytes,
    message: str,
    run: Run,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(content)
    more = {"train": ["-o", "run"], "predict": ["-m", run.folder, "-o", "out.csv"], "data": [], "evaluate": ["-o", "x"]}
    words = [verb, run.folder, name] if verb == "evaluate" else [verb, name]
    said = Said(capsys, *words, *more[verb])
    assert said.status == 1
    assert message in said.err
    assert said.err.startswith("error: ")
    assert len(said.err.splitlines()) == 1
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_ctrl_c_is_said_and_leaves_with_130(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("inkdigits.digits.describe.describe", interrupted)
    said = Said(capsys, "data", "mnist:test")
    assert said.status == 130
    assert "interrupted" in said.err


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_scripts_are_printed(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "_INKDIGITS_COMPLETE" in Said(capsys, "completion", shell).out


def test_completion_offers_networks_and_sources() -> None:
    def complete(line: str, word: int) -> str:
        environment = {"_INKDIGITS_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(word)}
        code = "from inkdigits.app.cli import cli; cli(prog_name='inkdigits')"
        return python("-c", code, env=environment).stdout

    assert "plain,b-regularised" in complete("inkdigits train --net b-", 3)
    assert "plain,mnist:test" in complete("inkdigits data mnist:", 2)

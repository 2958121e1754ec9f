"""Feeds every reader of files with whatever reaches new branches of it: only our own errors may come out.

    $ .venv/bin/python tests/fuzz.py [--seconds 300] [--only csv idx …] [-o fuzz.json]

Coverage-guided, by atheris (libFuzzer). The time is shared among the targets; each begins with small valid files and
keeps what it found in work/fuzz/. A file that breaks something is kept as work/fuzz/TARGET.crash-…, and given to
`--only TARGET --again FILE` it breaks it again. Readers that give digits out bit by bit must give the same ones as
those that load them whole, or find the same mistake.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path("work") / "fuzz"
LARGEST = 1 << 16  # bytes of an input
PLACE = Path("/dev/shm") if Path("/dev/shm").is_dir() else Path(tempfile.gettempdir())
MEGABYTES = 2_000  # that a target may take before it counts as broken


def write(name: str, data: bytes) -> Path:
    """The bytes as a file of this name."""
    folder = PLACE / f"inkdigits-fuzz-{os.getpid()}"
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_bytes(data)
    return path


def as_loaded(path: Path) -> tuple[Any, Any] | str:
    from inkdigits.digits.formats import load_digits
    from inkdigits.errors import InputError

    try:
        digits = load_digits(path)
    except InputError as error:
        return str(error)
    return digits.images, digits.labels


def as_streamed(path: Path) -> tuple[Any, Any] | str:
    from inkdigits.digits.stream import stream_digits
    from inkdigits.errors import InputError

    try:
        chunks = [chunk.digits for chunk in stream_digits(path, rows=3)]
    except InputError as error:
        return str(error)
    labels = [chunk.labels for chunk in chunks if chunk.labels is not None]
    assert len(labels) in (0, len(chunks))
    return np.concatenate([chunk.images for chunk in chunks]), np.concatenate(labels) if labels else None


def file_of_digits(name: str) -> Callable[[bytes], None]:
    """A target: the bytes as a file of this name, loaded whole and bit by bit."""

    def target(data: bytes) -> None:
        path = write(name, data)
        whole, pieces = as_loaded(path), as_streamed(path)
        if isinstance(whole, str) or isinstance(pieces, str):
            # Which of several mistakes is met first may differ; whether there is one may not.
            assert isinstance(whole, str), whole
            assert isinstance(pieces, str), pieces
            assert "\n" not in whole
            return
        assert np.array_equal(whole[0], pieces[0])
        assert (whole[1] is None) == (pieces[1] is None)
        assert whole[1] is None or np.array_equal(whole[1], pieces[1])

    return target


def picture(data: bytes) -> None:
    """A photograph, scan or drawing: opened, its ink found, cut into signs."""
    from inkdigits.errors import InkdigitsError
    from inkdigits.ink.cut import find_signs
    from inkdigits.ink.light import find_ink
    from inkdigits.ink.picture import open_pictures

    with suppress(InkdigitsError):
        for opened in open_pictures(data, "picture", most_pixels=1 << 18):
            find_signs(find_ink(opened.pixels))


def pixels(data: bytes) -> None:
    """Any pixels as a picture: its ink found, cut into signs."""
    from inkdigits.ink.cut import find_signs
    from inkdigits.ink.light import find_ink

    if len(data) < 4:
        return
    width = 1 + data[0]
    rows = np.frombuffer(data[1:], np.uint8)
    height = min(256, len(rows) // width)
    if height:
        find_signs(find_ink(rows[: height * width].reshape(height, width)))


def model(data: bytes) -> None:
    """A model file: opened, and asked for two blank images."""
    from inkdigits.errors import InkdigitsError
    from inkdigits.reader.model import load_model

    with suppress(InkdigitsError):
        load_model(write("model.onnx", data), threads=1).predict(np.zeros((2, 28, 28), np.uint8))


def run(data: bytes) -> None:
    """What a run folder holds: settings, and a checkpoint."""
    from inkdigits.errors import InkdigitsError
    from inkdigits.nets.run import load_state, read_config, read_metrics

    half = data.find(b"\0\0\0\0") + 1
    with suppress(InkdigitsError):
        read_config(write("config.json", data[:half] if half else data))
    path = write("checkpoint", data[half:])
    with suppress(InkdigitsError):
        load_state(path.parent)
    read_metrics(write("metrics.json", data).parent)


def request(data: bytes) -> None:
    """The JSON of a request to the server."""
    from inkdigits.app.serving.bodies import of_json
    from inkdigits.app.serving.problems import ProblemError

    with suppress(ProblemError):
        of_json(data)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "csv": file_of_digits("some.csv"),
    "idx": file_of_digits("some-images-idx3-ubyte"),
    "npz": file_of_digits("some.npz"),
    "parquet": file_of_digits("some.parquet"),
    "sqlite": file_of_digits("some.sqlite"),
    "picture": picture,
    "pixels": pixels,
    "model": model,
    "run": run,
    "request": request,
}


def seeds(name: str) -> Iterable[bytes]:
    """Small valid inputs to begin with."""
    from PIL import Image

    from inkdigits.digits.dataset import Digits
    from inkdigits.digits.formats import load_digits, save_digits

    few = load_digits("mnist:test").take(slice(4))
    endings = {
        "csv": ["a.csv", "b.csv.gz", "c.zip"], "idx": ["a-images-idx3-ubyte", "b-images-idx3-ubyte.gz"],
        "npz": ["a.npz"], "parquet": ["a.parquet"], "sqlite": ["a.sqlite"],
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        for ending in endings.get(name, []):
            for digits in (few, Digits(few.images[:1])):
                with suppress(Exception):  # a format that needs labels
                    save_digits(digits, Path(folder) / ending)
                    yield (Path(folder) / ending).read_bytes()
        if name == "npz":
            np.savez(Path(folder) / "keras.npz", x_train=few.images, y_train=few.labels, x_test=few.images,
                     y_test=few.labels)  # fmt: skip
            yield (Path(folder) / "keras.npz").read_bytes()
        if name == "run":
            from inkdigits.nets.train import train

            made = train(load_digits("mnist:train").take(slice(60)), net="softmax", epochs=1, output=f"{folder}/run")
            yield (made.folder / "config.json").read_bytes()
            yield b"\0\0\0\0" + (made.folder / "metrics.json").read_bytes()
    if name == "picture":
        for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"):
            file = io.BytesIO()
            Image.fromarray(255 - few.images[0]).resize((40, 40)).save(file, kind)
            yield file.getvalue()
    if name == "pixels":
        page = np.full((60, 120), 230, np.uint8)
        for place, image in enumerate(few.images):
            page[16:44, place * 28 + 4 : place * 28 + 32] -= image // 2
        yield bytes([119]) + page.tobytes()
    if name == "model":
        from inkdigits.nets.calibrate import Calibration
        from inkdigits.nets.catalogue import settings_for
        from inkdigits.nets.export import to_onnx
        from inkdigits.nets.zoo import build

        about = {"format": "1", "preparation": "1", "labels": "0,1,2,3,4,5,6,7,8,9", "novelty_threshold": "0.5"}
        yield to_onnx(build(settings_for("tiny", width=2)).eval(), Calibration(1.0, 0.0, 1.0), about)
    if name == "request":
        yield b'{"images": [[0, 255]], "a": {"b": [1.5e3, null, true, "\\u00e9"]}}'


def fuzz(name: str, arguments: list[str]) -> None:
    """In a process of its own: libFuzzer on one target, until its time is over."""
    import atheris

    with atheris.instrument_imports(include=["inkdigits"]):
        import inkdigits.app.serving.bodies
        import inkdigits.digits.stream
        import inkdigits.ink.cut
        import inkdigits.nets.run
        import inkdigits.reader.model  # noqa: F401
    atheris.Setup([sys.argv[0], *arguments], TARGETS[name])
    atheris.Fuzz()


def run_target(name: str, seconds: int, again: Path | None) -> dict[str, Any]:
    corpus = FOLDER / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(seeds(name)):
        (corpus / f"seed-{number}").write_bytes(data)
    prefix = FOLDER / f"{name}."
    told = [str(again)] if again else [str(corpus), f"-max_total_time={seconds}"]
    told += [f"-max_len={LARGEST}", f"-artifact_prefix={prefix}", f"-rss_limit_mb={MEGABYTES}", "-timeout=30"]
    command = [sys.executable, __file__, "--inside", name, *told]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    runs = re.search(r"Done (\d+) runs", done.stderr)
    covered = re.findall(r"cov: (\d+)", done.stderr)
    if done.returncode:
        sys.stderr.write(done.stderr[-6_000:])
        raise SystemExit(f"{name}: broken; see {prefix}*")
    return {"runs": int(runs.group(1)) if runs else 0, "branches": int(covered[-1]) if covered else 0}


def main() -> None:
    if "--inside" in sys.argv:
        fuzz(sys.argv[2], sys.argv[3:])
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=300, help="in all")
    parser.add_argument("--only", nargs="+", choices=TARGETS, default=list(TARGETS))
    parser.add_argument("--again", type=Path, help="one input, once")
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    found = {}
    for name in arguments.only:
        found[name] = run_target(name, max(1, arguments.seconds // len(arguments.only)), arguments.again)
        print(f"{name}: {found[name]['runs']:,} inputs, {found[name]['branches']:,} branches reached", flush=True)
    if arguments.output:
        arguments.output.write_text(json.dumps({"seconds": arguments.seconds, "targets": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()

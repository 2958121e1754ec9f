"""The process in which one technique learns and answers; started by `trial.run_trial` on a folder with its task.

It writes the stage it is in, then its answers and what it measured. It never sees the labels of the test digits.
"""

from __future__ import annotations

import io
import json
import math
import os
import pickle
import sys
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..digits.dataset import Digits, Labels
from ..reader.model import Predictions
from .classic import TECHNIQUES, Parts
from .networks import epochs_for, network_settings
from .trial import DIGITS, PROBABILITIES, RESULT, SAID, STAGE, TASK, Task

SINGLES = 50  # answers to one digit at a time, of which the median counts …
SINGLE_SECONDS = 2.0  # … or as many as fit into this
NOT_CONVERGED = "did not converge"


def main(folder: Path) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    task = Task(**json.loads((folder / TASK).read_text(encoding="ascii")))
    with np.load(folder / DIGITS, allow_pickle=False) as arrays:
        digits = Digits(arrays["images"], arrays["labels"], "training digits")
        asked = arrays["test_images"]
    notes: list[str] = []
    try:
        learn = _classic if task.technique in TECHNIQUES else _network
        predict, measured = learn(task, digits, folder, notes)
        _enter(folder, "answering")
        began = time.perf_counter()
        answers = predict(asked)
        bulk = (time.perf_counter() - began) / len(asked)
        _enter(folder, "measuring")
        measured |= {
            "bulk_microseconds": 1e6 * bulk,
            "single_milliseconds": 1e3 * _single(predict, asked),
            # The model is written to count its bytes only after memory has been looked at.
            "peak_megabytes": _peak_megabytes(),
        }
        size = measured.pop("size")
        measured |= {"model_bytes": size(), "note": "; ".join(notes)}
    except MemoryError:
        raise SystemExit("not enough memory") from None
    except Exception as error:
        text = " ".join(str(error).split())
        raise SystemExit(f"{type(error).__name__}: {text}" if text else type(error).__name__) from None
    said = answers.labels if isinstance(answers, Predictions) else answers
    np.save(folder / SAID, np.asarray(said, np.uint8))
    if isinstance(answers, Predictions):
        np.save(folder / PROBABILITIES, answers.probabilities)
    (folder / RESULT).write_text(json.dumps(measured), encoding="utf-8")


def _end_with_parent() -> None:
    os.read(sys.stdin.fileno(), 1)  # not through sys.stdin, whose lock would not let the interpreter end
    os._exit(1)


def _enter(folder: Path, stage: str) -> None:
    (folder / STAGE).write_text(stage, encoding="ascii")


Answer = Callable[[NDArray[Any]], Labels | Predictions]
Learnt = tuple[Answer, dict[str, Any]]


def _classic(task: Task, digits: Digits, folder: Path, notes: list[str]) -> Learnt:
    technique = TECHNIQUES[task.technique]
    if technique.most is not None and len(digits) > technique.most:
        digits = digits.take(slice(technique.most))
        notes.append(f"subsampled to {technique.most:,}")
    model, labels = technique.build(task.seed), digits.need_labels("learn from")
    _enter(folder, "fitting")
    began, clock = time.perf_counter(), _Clock()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if technique.parts:
            done = fit_in_parts(model, technique.parts, digits.images, labels, until=began + task.budget)
            if done < technique.parts.most:
                unit = technique.parts.unit
                notes.append(f"stopped at its budget after {done} of {technique.parts.most} {unit}")
        else:
            model.fit(digits.images, labels)
    seconds = clock.seconds()
    if not technique.parts and any(warning.category.__name__ == "ConvergenceWarning" for warning in caught):
        notes.append(NOT_CONVERGED)
    return model.predict, {"fit_seconds": seconds, "n_train": len(digits), "size": lambda: _pickled_size(model)}


def fit_in_parts(pipeline: Any, parts: Parts, images: NDArray[Any], labels: Labels, *, until: float) -> int:
    """Fit all of a pipeline, its last step bit by bit until a part more would end after `until`; what was fitted stays.

    Gives how much was fitted, in the unit of `parts.most`: at least one part, however little time there is.
    """
    *before, (_, model) = pipeline.steps
    vectors: Any = images
    for _, step in before:
        vectors = step.fit_transform(vectors, labels)
    began, done = time.perf_counter(), 0
    if parts.kind == "grow":
        model.set_params(warm_start=True)
    while done < parts.most:
        now = time.perf_counter()
        if done and now + (now - began) * parts.step / done > until:
            break
        done = min(done + parts.step, parts.most)
        if parts.kind == "grow":
            model.set_params(**{parts.name: done}).fit(vectors, labels)
        else:
            model.partial_fit(vectors, labels, classes=np.unique(labels))
    return done


def _network(task: Task, digits: Digits, folder: Path, notes: list[str]) -> Learnt:
    from ..nets.train import train
    from ..reader.model import load_model

    settings = network_settings(task.technique) | dict(task.changes)
    # Who changes the epochs has thought of how many digits there are.
    epochs = settings["epochs"] if "epochs" in task.changes else epochs_for(settings, len(digits))
    net = settings.pop("net")
    _enter(folder, "fitting")
    clock = _Clock()
    run = train(
        digits,
        output=folder / "run",
        net=net,
        threads=1,
        stop_after=task.budget,
        **settings | {"seed": task.seed, "epochs": epochs},
    )
    share = clock.share()
    if run.metrics["epochs"] < epochs - 1e-9:
        notes.append(f"stopped at its budget after {run.metrics['epochs']:.3g} of {epochs:.3g} epochs")
    model = load_model(run.folder, threads=1)
    seconds, learnt = run.metrics["seconds"], run.metrics["train"]
    return model.predict, {
        "fit_seconds": share * (seconds["load"] + seconds["train"]),
        "n_train": learnt["of"],
        "train_accuracy": learnt["accuracy"],
        "train_loss": math.inf if learnt["loss"] is None else learnt["loss"],
        "size": lambda: run.model.stat().st_size,
    }


class _Clock:
    """Seconds of a core since it was made: what others did on that core meanwhile is not the technique's."""

    def __init__(self) -> None:
        self._wall, self._used = time.perf_counter(), time.process_time()

    def seconds(self) -> float:
        return time.process_time() - self._used

    def share(self) -> float:
        """Of a core that was had, 1 where nobody else wanted it."""
        return min(1.0, self.seconds() / (time.perf_counter() - self._wall))


def _single(predict: Answer, images: NDArray[Any]) -> float:
    """Median seconds of an answer to one digit, the first one left out."""
    predict(images[:1])
    times: list[float] = []
    while len(times) < SINGLES and sum(times) < SINGLE_SECONDS:
        one = images[len(times) % len(images)][None]
        began = time.perf_counter()
        predict(one)
        times.append(time.perf_counter() - began)
    return float(np.median(times))


def _peak_megabytes() -> float:
    """The most memory (10⁶ bytes) that this process has had at a time, NaN where the system does not say."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            # Not ru_maxrss, which begins with the size of the process that started this one.
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    except OSError:
        pass
    try:
        import resource
    except ImportError:
        return float("nan")
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 1e6 if sys.platform == "darwin" else most * 1024 / 1e6


class _Counter(io.RawIOBase):
    """A file that keeps nothing but its length."""

    def __init__(self) -> None:
        self.length = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        self.length += size
        return size


def _pickled_size(model: Any) -> int:
    counter = _Counter()
    pickle.Pickler(counter, protocol=5).dump(model)
    return counter.length


if __name__ == "__main__":
    main(Path(sys.argv[1]))

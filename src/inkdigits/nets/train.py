"""Train a network by name and write its run folder.

    $ inkdigits train mnist --net fast -o runs/first
    …

The last thing a training does is to write the ONNX file and to measure it, through the code that users run, on the
digits that were held out. The test set is never opened here.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..digits.dataset import CLASSES, Digits, data_hash, pixel_hashes
from ..digits.files import write_whole
from ..digits.formats import load_digits
from ..errors import InputError, MissingExtraError, ModelError
from ..measure import accuracy, negative_log_likelihood
from ..reader.model import FORMAT, HASHES_FILE, MODEL_FILE, load_model
from .catalogue import Settings, settings_for

try:
    import torch
    from tqdm import tqdm

    from . import export, run, zoo
    from .fit import Training
except ModuleNotFoundError as error:
    raise MissingExtraError("train", "train") from error

NOVELTY_THRESHOLD = 0.5  # by construction: see `calibrate`
FALSE_REFUSALS = 0.01  # share of held-out digits that the threshold refuses
TRAIN_SAMPLE = 10_000  # training digits on which the finished model is measured
PARITY_SAMPLE = 256  # digits on which the file is compared with the network that it was made from
MNIST_LICENCE = "CC BY-SA 3.0 (MNIST; Yann LeCun, Corinna Cortes)"


@dataclass(frozen=True)
class Run:
    """What `train` gives back.

    Attributes
    ----------
    folder: the run folder; model: the ONNX file in it.
    settings: what it was trained with.
    metrics: the content of `metrics.json`.
    """

    folder: Path
    model: Path
    settings: Settings
    metrics: dict[str, Any]

    def text(self) -> str:
        """What the command prints: one line a fact."""
        validation, seconds = self.metrics["validation"], self.metrics["seconds"]
        return "\n".join(
            [
                f"network      {self.settings.net}, {self.metrics['parameters']:,} parameters",
                f"validation   {validation['accuracy']:.2%} of {validation['n']:,} digits held out "
                f"({validation['errors']} wrong), loss {validation['loss']:.4f}",
                f"seconds      {seconds['load']:.2f} to load, {seconds['train']:.2f} to train, "
                f"{seconds['export']:.2f} to export and check",
                f"model        {self.model}",
            ]
        )


def train(
    source: str | os.PathLike[str] | Digits | None = None,
    *,
    net: str = "fast",
    target: str | None = None,
    output: str | os.PathLike[str] | None = None,
    extra: Sequence[str | os.PathLike[str] | Digits] = (),
    resume: bool = False,
    force: bool = False,
    from_config: str | os.PathLike[str] | None = None,
    threads: int | None = None,
    say: Callable[[str], None] = lambda line: None,
    progress: bool = False,
    **changes: Any,
) -> Run:
    """Train a network and write a run folder.

    Parameters
    ----------
    source: labelled digits; MNIST's training part unless given.
    net, target, changes: which network, which preset of `fast`, and settings by name (see `catalogue.Settings`).
    output: the run folder; `runs/NET-SEED` unless given. Refused if it exists, unless `force` or `resume`.
    extra: more labelled digits to train on; none of them is held out.
    resume: go on with the interrupted run in `output`, with its own settings.
    from_config: repeat the run that wrote this `config.json`.
    threads: processor threads; all of them unless given.
    say, progress: where talk goes, and whether to draw a progress bar on stderr.

    Raises InputError for unusable data or settings, OutputError where the folder cannot be written.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    folder, settings, source, extra = _plan(source, net, target, output, extra, resume, from_config, changes)
    began = time.perf_counter()
    kept, held = _load(source, extra, settings)
    loaded = time.perf_counter()
    if resume:
        assert folder is not None
        _same_data(folder, kept, held)
    else:
        folder = run.new_folder(folder, settings, force=force)
        run.write_config(folder, settings, _name(source), [_name(more) for more in extra], kept, held)
    say(f"{folder}: {settings.net}, {settings.epochs:.3g} epochs of {len(kept):,} digits; {len(held):,} held out")

    started = time.perf_counter()
    training = Training(zoo.build(settings), kept, held, settings)
    state = run.load_state(folder) if resume else None
    if state:
        training.restore(state)
        say(f"going on after epoch {state.history[-1].epoch:g}")
    try:
        _fit(training, folder, say, progress)
    except KeyboardInterrupt:
        say(f"stopped; `inkdigits train --resume -o {folder}` goes on")
        raise
    trained = time.perf_counter()

    metrics = _finish(training, folder, kept, held, _is_mnist(source, extra))
    metrics["seconds"] = {
        "load": loaded - began,
        "train": training.history[-1].seconds if state else trained - started,
        "export": time.perf_counter() - trained,
    }
    run.write_json(folder / run.METRICS, metrics)
    run.write_card(folder, settings, metrics, _name(source))
    return Run(folder, folder / MODEL_FILE, settings, metrics)


def _plan(
    source: Any,
    net: str,
    target: str | None,
    output: Any,
    extra: Any,
    resume: bool,
    from_config: Any,
    changes: dict[str, Any],
) -> tuple[Path | None, Settings, Any, list[Any]]:
    """Which folder, settings and sources this training has, by what it was told and what an earlier run wrote."""
    folder = Path(output) if output is not None else None
    if not resume and from_config is None:
        settings = settings_for(net, target=target, **changes)
        return folder, settings, "mnist" if source is None else source, list(extra)
    if resume and folder is None:
        raise InputError("--resume", "which run?", expected="-o RUN", mend="name the interrupted run's folder")
    if resume and folder is not None and not (folder / run.CONFIG).is_file():
        raise InputError(folder, "no run to go on with", expected=f"a folder with {run.CONFIG}")
    file = folder / run.CONFIG if resume and folder is not None else Path(from_config)
    settings, config = run.read_config(file)
    device = changes.pop("device", settings.device)  # the one setting that may change on the way
    if resume and changes:
        raise InputError("--resume", "goes on with the run's own settings", found=", ".join(changes))
    settings = replace(settings_for(**{**settings.as_dict(), **changes}), device=device)
    return folder, settings, config["source"] if source is None else source, list(extra) or config["extra"]


def _load(source: Any, extra: Sequence[Any], settings: Settings) -> tuple[Digits, Digits]:
    digits = load_digits(source, part="train")
    digits.need_labels("train on")
    # A small set keeps four fifths for training, whatever the setting says.
    kept, held = digits.split(max(1, min(settings.validation, len(digits) // 5)), seed=settings.split_seed)
    for more in extra:
        added = load_digits(more, part="train")
        labels = np.concatenate([kept.need_labels("train on"), added.need_labels("train on")])
        kept = Digits(np.concatenate([kept.images, added.images]), labels, f"{kept.source} and {added.source}")
    return kept, held


def _same_data(folder: Path, kept: Digits, held: Digits) -> None:
    _, config = run.read_config(folder / run.CONFIG)
    for part, digits in (("train", kept), ("validation", held)):
        recorded = config.get("data", {}).get(part, {}).get("sha256")
        if recorded != data_hash(digits):
            mend = "resume with the same files, or start again with --force"
            raise InputError(digits.source, "not the data that the run began with", mend=mend)


def _fit(training: Training, folder: Path, say: Callable[[str], None], progress: bool) -> None:
    """Run the training with its checkpoints, words and bar."""
    done = len(training.history) * training.batches
    with tqdm(
        total=training.steps, initial=done, disable=not progress, file=sys.stderr, unit="batch", leave=False
    ) as bar:

        def on_step(loss: torch.Tensor, hits: torch.Tensor) -> None:
            bar.update()
            if bar.n % 20 == 0:
                bar.set_postfix_str(f"loss {float(loss):.3f}, {float(hits) / training.settings.batch:.1%} right")

        def on_epoch(training: Training) -> None:
            row = training.history[-1]
            run.save_state(folder, training.state())
            bar.clear()
            say(
                f"epoch {row.epoch:.3g}/{training.steps / training.batches:.3g}: loss {row.train_loss:.4f}, "
                f"{row.train_accuracy:.2%} right; held out {row.validation_loss:.4f}, {row.validation_accuracy:.2%}"
            )

        training.run(on_epoch=on_epoch, on_step=on_step if progress else None)


def _finish(training: Training, folder: Path, kept: Digits, held: Digits, is_mnist: bool) -> dict[str, Any]:
    """Calibrate, write the model, check the file against the network, and measure the file."""
    logits = training.logits(training.validation).numpy().astype(np.float64)
    labels = held.need_labels("validate")
    calibration = calibrate(logits, labels)
    right = int((logits.argmax(1) == labels).sum())
    licence = MNIST_LICENCE if is_mnist else "that of its owner"
    metadata = {
        "format": FORMAT,
        "net": training.settings.net,
        "labels": ",".join(str(label) for label in range(CLASSES)),
        "preparation": "1",
        "novelty_threshold": f"{NOVELTY_THRESHOLD:g}",
        "temperature": f"{calibration.temperature:.6g}",
        "validation_accuracy": f"{right / len(labels):.6g}",
        "validation_n": str(len(labels)),
        "data_licence": licence,
    }
    if is_mnist:
        metadata["trained_on"] = "mnist:train"
    network = training.network.to("cpu").float()
    with write_whole(folder / MODEL_FILE) as file:
        Path(file).write_bytes(export.to_onnx(network, calibration, metadata))
    with write_whole(folder / HASHES_FILE) as file, Path(file).open("wb") as stream:
        np.save(stream, pixel_hashes(kept.images))
    model = load_model(folder)
    _check_parity(network, calibration, model.predict(held.images[:PARITY_SAMPLE]).probabilities, held)

    said = model.predict(held.images)
    sample = kept.take(slice(0, TRAIN_SAMPLE))
    seen = model.predict(sample.images)
    sample_labels = sample.need_labels("measure")
    last = training.history[-1]
    return {
        "name": training.settings.net,
        "parameters": zoo.count_parameters(network),
        "validation": {
            "n": len(held),
            "errors": int((said.labels != labels).sum()),
            "accuracy": accuracy(said.labels, labels),
            "loss": negative_log_likelihood(said.probabilities, labels),
            "refused": float((said.novelty > NOVELTY_THRESHOLD).mean()) if said.novelty is not None else None,
        },
        "train": {
            "of": len(kept),
            "n": len(sample),
            "accuracy": accuracy(seen.labels, sample_labels),
            "loss": negative_log_likelihood(seen.probabilities, sample_labels),
            "last_epoch_accuracy": last.train_accuracy,
            "last_epoch_loss": last.train_loss,
        },
        "temperature": calibration.temperature,
        "novelty_threshold": NOVELTY_THRESHOLD,
        "licence": licence,
        "epochs": last.epoch,
        "precision": str(training.precision).removeprefix("torch."),
        "device": training.device.type,
    }


def calibrate(logits: NDArray[np.float64], labels: NDArray[np.uint8]) -> export.Calibration:
    """Temperature and energy scale from held-out logits (N, 10).

    The temperature is the one with the lowest negative log-likelihood. Novelty is the logistic function of the energy,
    centred so that a share FALSE_REFUSALS of these digits lies above one half.
    """
    low, high = np.log(0.05), np.log(20.0)
    golden = (np.sqrt(5) - 1) / 2

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        top = scaled.max(1)
        total = top + np.log(np.exp(scaled - top[:, None]).sum(1))
        return float((total - scaled[np.arange(len(labels)), labels]).mean())

    for _ in range(40):  # golden-section search: 40 steps narrow the range to 10⁻⁸
        left, right = high - golden * (high - low), low + golden * (high - low)
        low, high = (low, right) if loss(left) < loss(right) else (left, high)
    top = logits.max(1)
    energy = -(top + np.log(np.exp(logits - top[:, None]).sum(1)))
    centre = float(np.quantile(energy, 1 - FALSE_REFUSALS))
    return export.Calibration(float(np.exp((low + high) / 2)), centre, max(float(energy.std()), 1e-6))


def _check_parity(
    network: torch.nn.Sequential, calibration: export.Calibration, said: NDArray[np.float32], held: Digits
) -> None:
    with torch.inference_mode():
        images = torch.from_numpy(np.ascontiguousarray(held.images[: len(said)])).unsqueeze(1).float() / 255
        expected = torch.softmax(network.eval()(images) / calibration.temperature, 1).numpy()
    difference = float(np.abs(expected - said).max())
    if not difference <= export.PARITY:
        found = f"probabilities that differ by {difference:.2g}"
        raise ModelError(
            MODEL_FILE, "does not say what the network says", expected=f"at most {export.PARITY:g}", found=found
        )


def _name(source: Any) -> str:
    return source.source if isinstance(source, Digits) else os.fspath(source)


def _is_mnist(source: Any, extra: Sequence[Any]) -> bool:
    return not extra and _name(source) in ("mnist", "mnist:train")

"""What the end of a training makes of its network: calibrated, written as a model, checked, measured through that file.

Everything is fitted and measured on the digits that were held out. A training on all digits has none: it takes over
what the same training found when it was made on a part.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ..digits.dataset import CLASSES, Digits, join, overlap, pixel_hashes
from ..digits.files import write_whole
from ..digits.formats import Source, embedded_parts
from ..errors import InputError, ModelError
from ..measure import accuracy, negative_log_likelihood
from ..reader.model import FORMAT, HASHES_FILE, MODEL_FILE, PREPARATION, Model, load_model
from . import export, zoo
from .calibrate import Calibration, Look, calibrate, find_prototypes
from .catalogue import Settings
from .conditions import FAMILIES
from .fit import EVALUATION_BATCH, Training
from .run import Taken
from .views import with_views

NOVELTY_THRESHOLD = 0.5  # by construction: see calibrate.py
TRAIN_SAMPLE = 10_000  # training digits on which the finished model is measured
PARITY_SAMPLE = 256  # digits on which the file is compared with the network that it was made from
MNIST_LICENCE = "CC BY-SA 3.0 (MNIST; Yann LeCun, Corinna Cortes)"


def finish(
    training: Training,
    folder: Path,
    kept: Digits,
    held: Digits | None,
    *,
    sources: Sequence[Source],
    taken: Taken | None = None,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Calibrate, write the model, check the file against the network, and measure the file: what `metrics.json` says.

    Parameters
    ----------
    kept, held: what was trained on, and what was held out; without the latter, `taken` stands for it.
    sources: where the digits came from.

    Raises InputError if the training diverged, ModelError if the file does not say what the network says.
    """
    settings = training.settings
    network = with_views(training.network.to("cpu").float().eval(), settings.views)
    shown = held or kept.sample(PARITY_SAMPLE)
    logits, features = _look(network, shown)
    if not np.isfinite(logits).all():
        mend = f"lower it, for instance to {settings.learning_rate / 10:g}"
        raise InputError(
            "setting learning_rate", "the training diverged", found=f"{settings.learning_rate:g}", mend=mend
        )
    prototypes = None
    if settings.non_digits:
        known = join([kept.sample(TRAIN_SAMPLE), *training.drawn], "known digits")
        prototypes = find_prototypes(_look(network, known)[1], known.need_labels("train on"), seed=settings.seed)
    if held is None:
        assert taken is not None
        calibration = Calibration(**taken.calibration, prototypes=prototypes)
        validation = taken.validation | {"run": taken.run}
    else:
        labels = held.need_labels("validate")
        second = _look(network, held, thicker=True) if settings.second_look else None
        calibration = calibrate(logits, labels, features if prototypes is not None else None, prototypes, second=second)
        validation = {"n": len(held), "accuracy": float((logits[:, :CLASSES].argmax(1) == labels).mean())}
    start, teachers = training.start, training.teachers.each if training.teachers else ()
    own = pixel_hashes(kept.images)
    hashes = np.union1d(own, start.hashes) if start and start.hashes is not None else own
    inherited = [other.licence for other in (*([start] if start else []), *teachers)]
    # What it began with may have learnt from other digits, or not say from which.
    alone = start is None or (start.hashes is not None and not len(np.setdiff1d(start.hashes, own)))
    licence, metadata = _metadata(settings, sources, inherited, calibration, validation, alone)
    with write_whole(folder / MODEL_FILE) as file:
        file.write_bytes(export.to_onnx(network, calibration, metadata))
        _check_parity(network, calibration, load_model(file), shown.sample(PARITY_SAMPLE))
    with write_whole(folder / HASHES_FILE) as file, file.open("wb") as stream:
        np.save(stream, hashes)

    model = load_model(folder)
    if held is not None:
        twice = int(overlap(held.images, own).sum())
        if twice:
            say(
                f"warning: {twice:,} of the {len(held):,} digits held out are, "
                "pixel for pixel, also among those trained on"
            )
        validation = _measured(model, held) | {"also_trained_on": int(overlap(held.images, hashes).sum())}
    seen, last = _measured(model, kept.sample(TRAIN_SAMPLE)), training.history[-1]
    return {
        "name": settings.net,
        "parameters": zoo.count_parameters(network),
        "validation": validation,
        "train": {
            "of": len(kept),
            "n": seen["n"],
            "accuracy": seen["accuracy"],
            "loss": seen["loss"],
            "last_epoch_accuracy": last.train_accuracy,
            "last_epoch_loss": _finite(last.train_loss),
        },
        "temperature": calibration.temperature,
        "novelty_threshold": NOVELTY_THRESHOLD,
        "confidence_threshold": calibration.least_confidence,
        "calibration": {name: value for name, value in vars(calibration).items() if name != "prototypes"},
        "data_licence": licence,
        **({"start": Path(start.folder).resolve().name} if start else {}),
        **({"teachers": [Path(teacher.folder).resolve().name for teacher in teachers]} if teachers else {}),
        "epochs": last.epoch,
        "precision": str(training.precision).removeprefix("torch."),
        "device": training.device.type,
    }


def _measured(model: Model, digits: Digits) -> dict[str, Any]:
    labels = digits.need_labels("measure")
    said = model.predict(digits.images)
    refused = model.refused(said)
    return {
        "n": len(digits),
        "errors": int((said.labels != labels).sum()),
        "accuracy": accuracy(labels, said.labels),
        "loss": _finite(negative_log_likelihood(said.probabilities, labels)),
        "refused": None if refused is None else float(refused.mean()),
    }


def _metadata(
    settings: Settings,
    sources: Sequence[Source],
    inherited: Sequence[str],
    calibration: Calibration,
    validation: dict[str, Any],
    alone: bool,
) -> tuple[str, dict[str, str]]:
    """The licence of the data, and what the model file says of itself: no paths, no dates, no durations."""
    embedded = [bool(embedded_parts(source)) for source in sources]
    licences = [MNIST_LICENCE] * any(embedded) + ["that of its owner"] * (not all(embedded))
    # What other networks know they have from their own data.
    licence = " and ".join(dict.fromkeys([*licences, *(part for text in inherited for part in text.split(" and "))]))
    metadata = {
        "format": FORMAT,
        "net": settings.net,
        "labels": ",".join(str(label) for label in range(CLASSES)),
        "preparation": PREPARATION,
        "novelty_threshold": f"{NOVELTY_THRESHOLD:g}",
        "confidence_threshold": f"{calibration.least_confidence:.6g}",
        "temperature": f"{calibration.temperature:.6g}",
        "validation_accuracy": f"{validation['accuracy']:.6g}",
        "validation_n": str(validation["n"]),
        "data_licence": licence,
    }
    if "run" in validation:
        metadata["validation_of"] = "the same training without these digits"
    if embedded == [True] and alone:
        metadata["trained_on"] = "mnist:train"
    if settings.augmentation == "conditions":
        metadata["augmentation_families"] = ",".join(FAMILIES)
    return licence, metadata


def _look(network: nn.Sequential, digits: Digits, *, thicker: bool = False) -> Look:
    """What the network says of digits, as they are or with strokes a pixel thicker each way."""
    logits, features = [], []
    with torch.inference_mode():
        for part in np.array_split(digits.images, max(1, len(digits) // EVALUATION_BATCH)):
            images = torch.from_numpy(part).unsqueeze(1).float() / 255
            if thicker:
                images = torch.nn.functional.max_pool2d(images, 3, stride=1, padding=1)
            features.append(network[:-1](images))
            logits.append(network[-1](features[-1]))
    return torch.cat(logits).double().numpy(), torch.cat(features).numpy()


def _check_parity(network: nn.Sequential, calibration: Calibration, model: Model, digits: Digits) -> None:
    """ModelError unless the file says of `digits` what the network says."""
    said = model.predict(digits.images, features=True)
    logits, features = _look(network, digits)
    seen = logits[:, :CLASSES]
    if calibration.second_look:
        seen = calibration.after_second_look((logits, features), _look(network, digits, thicker=True))
    longest = max(float(np.abs(features).max()), 1.0)
    expected = {
        "probabilities": torch.softmax(torch.from_numpy(seen) / calibration.temperature, 1).numpy(),
        "novelty": calibration.novelty(logits, features),
        "features": features / longest,
    }
    found = {
        "probabilities": said.probabilities,
        "novelty": said.novelty,
        "features": said.features / longest if said.features is not None else None,
    }
    for name, values in expected.items():
        difference = float(np.abs(values - found[name]).max())
        if not difference <= export.PARITY:
            say = f"{name} that differ by {difference:.2g}"
            what = "does not say what the network says"
            raise ModelError(MODEL_FILE, what, expected=f"at most {export.PARITY:g}", found=say)


def _finite(value: float) -> float | None:
    """A loss as JSON can hold it: infinite, where a label was given no probability at all, is null."""
    return value if np.isfinite(value) else None

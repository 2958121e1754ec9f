"""The network of a finished run, as another training takes it up: to begin with its weights, or to learn from it."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ..digits.dataset import Digits, overlap
from ..errors import InputError
from ..reader.model import MODEL_FILE, load_model
from . import run, zoo


@dataclass(frozen=True, eq=False)
class Trained:
    """What a finished run ended with.

    Attributes
    ----------
    folder: the run folder, as it was named; digest: SHA-256 of the weights; licence: of the data that it learnt from.
    network: in evaluation mode and on the CPU, with one look at an image, whatever views the model takes the mean of.
    hashes: of the images that it learnt from, where they are known.
    """

    folder: str
    digest: str
    network: nn.Sequential
    licence: str
    hashes: NDArray[np.uint64] | None

    def as_dict(self) -> dict[str, str]:
        """As `config.json` records it."""
        return {"run": self.folder, "sha256": self.digest}

    def known(self, digits: Digits) -> int:
        """How many of these digits it has learnt from."""
        return 0 if self.hashes is None else int(overlap(digits.images, self.hashes).sum())


def load_trained(folder: str | os.PathLike[str], *, digest: str | None = None) -> Trained:
    """The network of a finished run.

    Parameters
    ----------
    digest: what `config.json` recorded of it, where there is one.

    Raises InputError for a folder that is no finished run, and for weights other than the recorded ones.
    """
    name = os.fspath(folder)
    network = _network(Path(name))
    found = hashlib.sha256()
    for value in network.state_dict().values():
        found.update(np.ascontiguousarray(value.numpy()).tobytes())
    if digest is not None and found.hexdigest() != digest:
        mend = "put the same run there again, or start a new run"
        raise InputError(name, "has other weights than the run began with", mend=mend)
    model = load_model(name)
    licence = model.metadata.get("data_licence", "unknown")
    return Trained(name, found.hexdigest(), network, licence, model.training_hashes())


def _network(folder: Path) -> nn.Sequential:
    if not (folder / run.CONFIG).is_file():
        mend = "name a folder that `inkdigits train` wrote; a model file alone is not enough"
        raise InputError(folder, "no run", expected=f"a folder with {run.CONFIG}", mend=mend)
    settings, _ = run.read_config(folder / run.CONFIG)
    state = run.load_state(folder)
    if state is None or not (folder / MODEL_FILE).is_file():
        mend = f"`inkdigits train --resume -o {folder}` ends it"
        raise InputError(folder, "has no trained weights", expected="the folder of a finished run", mend=mend)
    network = zoo.build(settings)
    values = network.state_dict()
    kind = "best" if any(name.startswith("best/") for name in state.arrays) else "network"
    averaged = kind == "network" and settings.averaging > 0
    names = [name for name, value in values.items() if not averaged or value.is_floating_point()]
    try:
        for number, name in enumerate(names):
            array = state.arrays[f"average/{number}" if averaged else f"{kind}/{name}"]
            if array.shape != tuple(values[name].shape):
                raise ValueError(f"{name} of shape {array.shape}")
            values[name].copy_(torch.from_numpy(array))
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(folder, "damaged", expected=f"the weights of {settings.net}", found=str(error)) from error
    return network.eval().requires_grad_(False)

"""Distillation: a network learns what trained ones answer, beside the labels.

    $ inkdigits train --net best --teacher runs/best-0 --teacher runs/tiny-0

A label says that a digit is a 4; a teacher says how much of a 9 it is, for every turned and stretched copy anew.
Several teachers answer with the mean of the logarithms of their probabilities, as an ensemble does; the one network
that learns from them then costs no more than any other (G. Hinton, O. Vinyals and J. Dean, "Distilling the knowledge in
a neural network", 2015).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..digits.dataset import CLASSES, Digits, overlap
from ..errors import InputError
from ..reader.model import MODEL_FILE, load_model
from . import run, zoo


@dataclass(frozen=True, eq=False)
class Teachers:
    """Trained networks that another one learns from.

    Attributes
    ----------
    folders: their run folders; digests: SHA-256 of the weights of each; licences: of the data that each learnt from.
    networks: in evaluation mode, with one look at an image each, whatever views their models take the mean of.
    """

    folders: tuple[str, ...]
    digests: tuple[str, ...]
    networks: tuple[nn.Sequential, ...]
    licences: tuple[str, ...]

    def to(self, device: torch.device) -> Teachers:
        """The same on a device."""
        for network in self.networks:
            network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return self

    @torch.no_grad()
    def answers(self, images: Tensor) -> Tensor:
        """Probabilities float32 (N, 10) for images float32 (N, 1, 28, 28)."""
        said = [F.log_softmax(network(images)[:, :CLASSES].float(), 1) for network in self.networks]
        return torch.stack(said).mean(0).softmax(1)

    def as_dict(self) -> list[dict[str, str]]:
        """As `config.json` records them."""
        return [{"run": name, "sha256": digest} for name, digest in zip(self.folders, self.digests, strict=True)]

    def knowing(self, held: Digits) -> list[tuple[str, int]]:
        """Those that were trained on digits which are held out, and on how many: they tell more than they should."""
        found = []
        for folder in self.folders:
            hashes = load_model(folder).training_hashes()
            count = 0 if hashes is None else int(overlap(held.images, hashes).sum())
            if count:
                found.append((folder, count))
        return found


def load_teachers(folders: Sequence[str | os.PathLike[str]], digests: Sequence[str] = ()) -> Teachers | None:
    """The networks of finished runs, None for no folders.

    Parameters
    ----------
    digests: what `config.json` recorded of them, where there is one.

    Raises InputError for a folder that is no finished run, one named twice, and weights other than the recorded ones.
    """
    if not folders:
        return None
    names = [os.fspath(folder) for folder in folders]
    networks = [trained_network(Path(name)) for name in names]
    found = [_digest(network) for network in networks]
    for place, name in enumerate(names):
        if found[place] in found[:place]:
            raise InputError(name, "teaches twice", mend="name each teacher once")
        if digests and found[place] != digests[place]:
            mend = "put the same run there again, or start a new run"
            raise InputError(name, "not the teacher that the run began with", mend=mend)
    licences = [load_model(name).metadata.get("data_licence", "unknown") for name in names]
    return Teachers(tuple(names), tuple(found), tuple(networks), tuple(licences))


def trained_network(folder: Path) -> nn.Sequential:
    """The network that a finished training ended with, without views and on the CPU, in evaluation mode.

    Raises InputError if there is none.
    """
    if not (folder / run.CONFIG).is_file():
        mend = "name a folder that `inkdigits train` wrote; a model file alone cannot teach"
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


def _digest(network: nn.Module) -> str:
    digest = hashlib.sha256()
    for value in network.state_dict().values():
        digest.update(np.ascontiguousarray(value.numpy()).tobytes())
    return digest.hexdigest()

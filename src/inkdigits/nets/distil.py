"""Distillation: a network learns what trained ones answer, beside the labels.

    $ inkdigits train --net best --teacher runs/best-0 --teacher runs/tiny-0

A label says that a digit is a 4; a teacher says how much of a 9 it is, for every turned and stretched copy anew.
Several teachers answer with the mean of the logarithms of their probabilities, as an ensemble does; the one network
that learns from them then costs no more than any other (G. Hinton, O. Vinyals and J. Dean, "Distilling the knowledge in
a neural network", 2015).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..digits.dataset import CLASSES
from ..errors import InputError
from .trained import Trained, load_trained


@dataclass(frozen=True, eq=False)
class Teachers:
    """Trained networks that another one learns from."""

    each: tuple[Trained, ...]

    def to(self, device: torch.device) -> Teachers:
        """The same on a device."""
        for teacher in self.each:
            teacher.network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return self

    @torch.no_grad()
    def answers(self, images: Tensor) -> Tensor:
        """Probabilities float32 (N, 10) for images float32 (N, 1, 28, 28)."""
        said = [F.log_softmax(teacher.network(images)[:, :CLASSES].float(), 1) for teacher in self.each]
        return torch.stack(said).mean(0).softmax(1)


def load_teachers(folders: Sequence[str | os.PathLike[str]], digests: Sequence[str] = ()) -> Teachers | None:
    """The networks of finished runs, None for no folders.

    Parameters
    ----------
    digests: what `config.json` recorded of them, where there is one.

    Raises InputError for a folder that is no finished run, one named twice, and weights other than the recorded ones.
    """
    if not folders:
        return None
    recorded: Sequence[str | None] = digests or [None] * len(folders)
    each = [load_trained(folder, digest=digest) for folder, digest in zip(folders, recorded, strict=True)]
    for place, teacher in enumerate(each):
        if any(teacher.digest == other.digest for other in each[:place]):
            raise InputError(teacher.folder, "teaches twice", mend="name each teacher once")
    return Teachers(tuple(each))


def start_and_teachers(
    config: dict[str, Any], start_from: str | os.PathLike[str] | None, teachers: Sequence[str | os.PathLike[str]]
) -> dict[str, Any]:
    """The `start` and the `teachers` of a training: those that are given, or else those of an earlier `config.json`."""
    found: dict[str, Any] = {"start": None, "teachers": load_teachers(teachers)}
    if start_from is not None:
        found["start"] = load_trained(start_from)
    elif begun := config.get("start"):
        found["start"] = load_trained(begun["run"], digest=begun["sha256"])
    if not teachers and (taught := config.get("teachers")):
        found["teachers"] = load_teachers([one["run"] for one in taught], [one["sha256"] for one in taught])
    return found

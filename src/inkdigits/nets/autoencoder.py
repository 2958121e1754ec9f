"""A small autoencoder: digits through a narrow place and back, to be held against principal components.

    >>> rebuilt = squeeze(train, held_out, start, code=8, steps=1_200)
    >>> float(((rebuilt - held_out) ** 2).mean())
    0.0177

It begins as what it is held against. Its code starts as the first principal coordinates and its answer as their way
back, sent through a logistic curve; beside these straight ways lie two small perceptrons, silent at first, that learn
the rest. So it need not find again in a thousand steps what algebra knows (G. Hinton and R. Salakhutdinov 2006,
Science 313, started theirs well for the same reason).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import MissingExtraError
from .catalogue import Settings
from .threads import sleep_while_waiting

sleep_while_waiting()
try:
    import torch
    from torch import Tensor, nn

    from .fit import EVALUATION_BATCH, a_core_of_its_own, rate_at
    from .optimiser import Optimiser
except ModuleNotFoundError as error:
    raise MissingExtraError("an autoencoder", "lab") from error

SEEN = 100  # principal coordinates that the encoder sees: 91 % of MNIST's variance, for an eighth of the work
WIDTHS = (256, 128)  # units of the encoder's layers; the decoder has the same the other way round
STEEP = 4.0  # of the logistic curve, which then has slope 1 where a pixel is half ink
SETTINGS = Settings(batch=128, optimiser="adam", beta2=0.99, learning_rate=0.003, schedule="one-cycle", warmup=0.2)

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Start:
    """The principal components of the digits to learn from: mean (D,), axes (D, D) a row each, variances (D,)."""

    mean: NDArray[np.floating[Any]]
    axes: NDArray[np.floating[Any]]
    variances: NDArray[np.floating[Any]]


class Autoencoder(nn.Module):
    """Takes and gives float32 (N, D), pixels in 0…1, by way of a code of a few numbers."""

    mean: Tensor
    seen: Tensor
    axes: Tensor
    deviations: Tensor

    def __init__(self, start: Start, code: int) -> None:
        super().__init__()
        # A direction in which nothing varies has no scale of its own; it is given that of the others.
        deviations = np.sqrt(np.maximum(start.variances[:code], 1e-4 * start.variances[0]))
        for name, values in (
            ("mean", start.mean),
            ("seen", start.axes[:SEEN]),
            ("axes", start.axes[:code]),
            ("deviations", deviations),
        ):
            self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(values, np.float32)))
        self.encoder = _perceptron(len(self.seen), *WIDTHS, code)
        self.decoder = _perceptron(code, *reversed(WIDTHS), len(self.mean))

    def encode(self, pixels: Tensor) -> Tensor:
        """The code (N, code), each number of about unit variance."""
        centred = pixels - self.mean
        straight: Tensor = centred @ self.axes.T / self.deviations
        learnt: Tensor = self.encoder(centred @ self.seen.T)
        return straight + learnt

    def decode(self, code: Tensor) -> Tensor:
        straight = self.mean + (code * self.deviations) @ self.axes
        return torch.sigmoid(STEEP * (straight - 0.5) + self.decoder(code))

    def forward(self, pixels: Tensor) -> Tensor:
        return self.decode(self.encode(pixels))


def _perceptron(*units: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(units):
        layers += [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU(inplace=True)]
    last = nn.Linear(units[-2], units[-1])
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(*layers[:-3], last)


def squeeze(
    train: Floats,
    held: Floats,
    start: Start,
    *,
    code: int,
    steps: int,
    seed: int = 0,
    threads: int | None = None,
) -> Floats:
    """Trains an autoencoder and gives back what it makes of digits that it has not seen, float32 (M, D).

    PyTorch's number of threads, where given, and its global generator are set for this process.

    Parameters
    ----------
    train: the pixels to learn from, float32 (N, D) in 0…1, two or more. held: those to rebuild, (M, D).
    start: the principal components of `train`. code: numbers that a digit is squeezed into.
    steps: of SETTINGS.batch digits, or of all if there are fewer. seed: of the weights and of the order of the digits.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    torch.manual_seed(seed)
    network = Autoencoder(start, code)
    pixels, generator = torch.from_numpy(train), torch.Generator().manual_seed(seed)
    optimiser, batch = Optimiser(network, SETTINGS), min(SETTINGS.batch, len(train))
    order = torch.empty(0, dtype=torch.int64)
    with a_core_of_its_own():
        for step in range(steps):
            if len(order) < batch:
                order = torch.randperm(len(pixels), generator=generator)
            some, order = pixels[order[:batch]], order[batch:]
            loss = nn.functional.mse_loss(network(some), some)
            optimiser.forget_gradients()
            loss.backward()
            optimiser.step(rate_at(SETTINGS, step, steps))
    network.eval()
    with torch.inference_mode():
        parts = [network(some) for some in torch.from_numpy(held).split(EVALUATION_BATCH)]
    return np.asarray(torch.cat(parts).numpy(), np.float32)

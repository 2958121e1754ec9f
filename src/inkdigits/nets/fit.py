"""The training loop: a network, two sets of samples and the settings in, trained weights and their history out.

The whole set is one tensor; batches are slices of a permutation of it. All randomness of an epoch comes from the seed
and the epoch's number, so that a training taken up after any epoch goes on bit for bit as if it had not stopped.
"""

from __future__ import annotations

import ctypes
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from ..digits.dataset import Digits, spaced
from ..errors import InputError
from .augment import augment
from .catalogue import Settings
from .conditions import wear
from .distil import Teachers
from .forms import draw_forms
from .nondigits import draw_scribbles, make_non_digits
from .optimiser import Optimiser
from .ranks import Ranks
from .run import Epoch, State
from .trained import Trained
from .zoo import Whitening

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
EVALUATION_BATCH = 1_000  # images a forward pass without gradients
SCRIBBLES = 30_000  # drawn before training begins, for all its epochs
# A scribble may happen to be a digit. The loss of an image that is none cannot exceed −log of this, and an image that
# the network takes for a digit without a doubt no longer pulls.
FORGIVEN = 0.01


@dataclass(frozen=True, eq=False)
class Tensors:
    """A set of samples.

    Attributes
    ----------
    inputs: images (N, 1, 28, 28) of 0…255, uint8 or float32; or float32 (N, F), for a network without convolutions.
    labels: int64 (N,), counted from 0.
    """

    inputs: Tensor
    labels: Tensor

    @classmethod
    def of(cls, digits: Digits) -> Tensors:
        labels = digits.need_labels("train on")
        images = torch.from_numpy(np.ascontiguousarray(digits.images)).unsqueeze(1)
        return cls(images, torch.from_numpy(labels.astype(np.int64)))

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device) -> Tensors:
        return Tensors(self.inputs.to(device), self.labels.to(device))


def choose_device(device: str) -> torch.device:
    """`auto` is a GPU where PyTorch sees one. Raises InputError for `cuda` where it does not."""
    if device == "cuda" and not torch.cuda.is_available():
        mend = "use --device cpu, or install a CUDA build of PyTorch"
        raise InputError("--device cuda", "no GPU that PyTorch can use", mend=mend)
    return torch.device("cuda" if device != "cpu" and torch.cuda.is_available() else "cpu")


def choose_precision(precision: str, device: torch.device) -> torch.dtype:
    """`auto` is bfloat16 where the processor multiplies it in hardware (elsewhere it is slower), float32 if not."""
    if precision == "auto" and device.type == "cpu":
        capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
        return torch.bfloat16 if capabilities.get("amx_bf16") else torch.float32
    if precision == "auto" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.float32
    return torch.float32 if precision == "fp32" else torch.bfloat16


def rate_at(settings: Settings, step: int, steps: int) -> float:
    """The learning rate of a step (counted from 0)."""
    if settings.schedule == "constant":
        return settings.learning_rate
    done = (step + 0.5) / steps
    if settings.schedule == "cosine":
        return settings.learning_rate * (1 + math.cos(math.pi * done)) / 2
    rising, falling = done / max(settings.warmup, 1e-9), (1 - done) / max(1 - settings.warmup, 1e-9)
    return settings.learning_rate * min(rising, falling, 1)


class Averaged:
    """An exponential average of a network's weights and running statistics (Polyak and Juditsky, 1992)."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.live = [value for value in network.state_dict().values() if value.is_floating_point()]
        self.mean = [value.clone() for value in self.live]

    @torch.no_grad()
    def update(self, step: int) -> None:
        # The first steps count less than the decay says, or the average would remember the random start.
        torch._foreach_lerp_(self.mean, self.live, 1 - min(self.decay, (1 + step) / (10 + step)))

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the network's weights and the average."""
        for live, mean in zip(self.live, self.mean, strict=True):
            kept = live.clone()
            live.copy_(mean)
            mean.copy_(kept)


def _check_alike(start: Trained, network: nn.Sequential) -> None:
    """Raise InputError, naming the first layer that differs, where the network cannot begin with these weights."""
    for theirs, own in zip_longest(start.network, network):
        layers = [theirs, own]
        shapes = [layer and {name: value.shape for name, value in layer.state_dict().items()} for layer in layers]
        if type(theirs) is not type(own) or shapes[0] != shapes[1]:
            expected, found = ("no more layers" if layer is None else repr(layer) for layer in (own, theirs))
            mend = "begin with a run of the same network and width"
            raise InputError(start.folder, "is another network", expected=expected, found=found, mend=mend)


class Training:
    """One training from its first step to its last; `run` does it, `state` and `restore` make it resumable.

    Without a validation part, the history has no such figures (they are nan) and `settings.patience` is of no effect.
    With teachers, `settings.distillation` of the loss is the divergence from what they answer to the same images.
    With a start, the network begins with its weights; InputError if it is another network.
    """

    def __init__(
        self,
        network: nn.Sequential,
        train: Digits | Tensors,
        validation: Digits | Tensors | None,
        settings: Settings,
        teachers: Teachers | None = None,
        start: Trained | None = None,
    ) -> None:
        _keep_freed_memory()
        self.settings = settings
        train = Tensors.of(train) if isinstance(train, Digits) else train
        validation = Tensors.of(validation) if isinstance(validation, Digits) else validation
        # An output more than there are classes is for what is none of them.
        self.classes = len(network[-1].bias) - bool(settings.non_digits)  # type: ignore[arg-type]
        self.ranks = Ranks()
        self.device = choose_device(settings.device)
        if self.device.type == "cuda":
            self.device = torch.device("cuda", self.ranks.local)
        self.ranks.join(self.device)
        self.precision = choose_precision(settings.precision, self.device)
        for layer in network:
            if isinstance(layer, Whitening):
                images = train.inputs[torch.from_numpy(spaced(len(train), layer.LOOK))].float() / 255
                layer.look_at(images, torch.Generator().manual_seed(settings.seed))
        self.start = start
        if start:
            _check_alike(start, network)
            network.load_state_dict(start.network.state_dict())
        self.network = network.to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.drawn: list[Digits] = []
        if settings.drawn_forms:
            forms, labels = draw_forms(settings.drawn_forms, np.random.default_rng(settings.seed))
            self.drawn = [Digits(forms, labels, "drawn forms")]
            drawn = Tensors.of(self.drawn[0])
            train = Tensors(torch.cat([train.inputs, drawn.inputs]), torch.cat([train.labels, drawn.labels]))
        self.train = train.to(self.device)
        self.validation = validation.to(self.device) if validation is not None else None
        self.scribbles: Tensor | None = None
        if settings.non_digits:
            scribbles = draw_scribbles(SCRIBBLES, np.random.default_rng(settings.seed))
            self.scribbles = torch.from_numpy(scribbles).unsqueeze(1).to(self.device)
        self.model = self.ranks.wrap(self.network, self.device)  # what is trained, with the weights of `network`
        self.optimiser = Optimiser(self.network, settings)
        self.average = Averaged(self.network, settings.averaging) if settings.averaging else None
        self.teachers = teachers.to(self.device) if teachers else None
        self.best: dict[str, Tensor] | None = None
        self.history: list[Epoch] = []
        # Each process has a batch of its own, as on a machine of its own: together they make one of so many times more.
        self.batches = max(1, round(len(train) / (settings.batch * self.ranks.count)))
        each = len(train) // self.batches // self.ranks.count
        if not each or (each < 2 and any(isinstance(layer, _BATCH_NORMS) for layer in network)):
            found = f"{each} of {len(train)} digits"
            what = "batch norm cannot work" if each else "fewer digits than processes"
            raise InputError("setting batch", what, expected="2 or more digits a batch", found=found)
        self.steps = max(1, round(settings.epochs * self.batches))

    def run(
        self,
        *,
        on_epoch: Callable[[Training], None] | None = None,
        on_step: Callable[[Tensor, Tensor], None] | None = None,
    ) -> None:
        """Train to the end; the network then holds the result, in evaluation mode.

        Parameters
        ----------
        on_epoch: called after each epoch, the last one included.
        on_step: called with the loss and the number of right answers of each batch.
        """
        began = time.perf_counter() - (self.history[-1].seconds if self.history else 0.0)
        with a_core_of_its_own():
            self._run(began, on_epoch, on_step)
        if self.best is not None:
            self.network.load_state_dict(self.best)
        elif self.average:
            self.average.swap()
        self.network.eval()

    def _run(
        self,
        began: float,
        on_epoch: Callable[[Training], None] | None,
        on_step: Callable[[Tensor, Tensor], None] | None,
    ) -> None:
        while len(self.history) * self.batches < self.steps and not self._patience_is_over():
            loss, accuracy, rate = self._epoch(len(self.history), on_step)
            if self.average:
                self.average.swap()
            tested_loss, tested_accuracy = self.evaluate(self.validation) if self.validation else (math.nan, math.nan)
            self._remember_best(tested_loss)
            if self.average:
                self.average.swap()
            done = min((len(self.history) + 1) * self.batches, self.steps) / self.batches
            seconds = time.perf_counter() - began
            self.history.append(Epoch(done, seconds, loss, accuracy, tested_loss, tested_accuracy, rate))
            if on_epoch:
                on_epoch(self)

    def _epoch(self, number: int, on_step: Callable[[Tensor, Tensor], None] | None) -> tuple[float, float, float]:
        seed = int(np.random.SeedSequence([self.settings.seed, number]).generate_state(1)[0])
        generator = torch.Generator().manual_seed(seed)
        torch.manual_seed(seed + self.ranks.rank)  # dropout draws from the global generator
        order = torch.randperm(len(self.train.labels), generator=generator).to(self.device)
        if not self.ranks.is_first:
            # The same order, but not the same augmentation of other digits.
            generator = torch.Generator().manual_seed(seed + self.ranks.rank)
        first = number * self.batches
        losses = torch.zeros((), device=self.device)
        right = torch.zeros((), device=self.device)
        seen, rate = 0, 0.0
        self.model.train()
        self.network.train()
        for step, batch in enumerate(order.tensor_split(self.batches)[: self.steps - first], start=first):
            rate = rate_at(self.settings, step, self.steps)
            index = self.ranks.share(batch)
            labels = self.train.labels[index]
            images = self._changed(_prepare(self.train.inputs[index]), labels, generator)
            with torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32):
                taught = self.teachers.answers(images[: len(labels)]) if self.teachers else None
                logits = self.model(images)
            loss = self._loss(logits.float(), labels, taught)
            if self.ranks.count > 1:
                # Gradients are averaged over the processes, whose shares may differ by one digit.
                loss = loss * (len(index) * self.ranks.count / len(batch))
            self.optimiser.forget_gradients()
            loss.backward()
            self.optimiser.step(rate)
            if self.average:
                self.average.update(step)
            with torch.no_grad():
                digits = logits[: len(labels), : self.classes]
                hits = (digits.argmax(1) == labels).sum()
                # Of the digits alone, without smoothing and teachers, so that both parts' losses are the same thing.
                simple = not self.settings.label_smoothing and not self.settings.non_digits
                simple = simple and self.ranks.count == 1 and taught is None
                plain = loss.detach() if simple else F.cross_entropy(digits.float(), labels)
                losses += plain * len(index)
                right += hits
                seen += len(index)
            if on_step:
                on_step(plain, hits)
        said = self.ranks.total(torch.stack([losses, right, torch.tensor(float(seen), device=self.device)]))
        return float(said[0] / said[2]), float(said[1] / said[2]), rate

    def _changed(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """A batch as it is trained on: its digits first, then the images that are none, all of them augmented."""
        if self.scribbles is not None:
            count = max(1, round(len(images) * self.settings.non_digits))
            strangers = make_non_digits(images, labels, self.scribbles, count, generator)
            images = torch.cat([images, strangers])
        if self.settings.augmentation == "conditions":
            images = wear(images, generator)
        else:
            images = augment(images, self.settings, generator)
        return _channels_last(images)

    def _loss(self, logits: Tensor, labels: Tensor, taught: Tensor | None) -> Tensor:
        """Mean loss in nats of a batch as `_changed` makes it: cross-entropy, and divergence from the teachers."""
        count = len(labels)
        loss = F.cross_entropy(logits[:count], labels, label_smoothing=self.settings.label_smoothing)
        if taught is not None:
            said = F.log_softmax(logits[:count], 1)[:, : self.classes]
            share = self.settings.distillation
            loss = (1 - share) * loss + share * F.kl_div(said, taught, reduction="batchmean")
        if self.scribbles is None:
            return loss
        refused = F.softmax(logits[count:], 1)[:, self.classes]
        strangers = -torch.log(refused + FORGIVEN)
        return (loss * count + strangers.sum()) / len(logits)

    def evaluate(self, part: Tensors) -> tuple[float, float]:
        """Mean loss in nats and accuracy on a set; no dropout, batch norm at its running values."""
        logits, labels = logits_of(self.network, part.inputs, self.precision)[:, : self.classes], part.labels.cpu()
        return float(F.cross_entropy(logits, labels)), float((logits.argmax(1) == labels).float().mean())

    def _remember_best(self, loss: float) -> None:
        if self.settings.patience and self.validation and all(loss < row.validation_loss for row in self.history):
            self.best = {name: value.clone() for name, value in self.network.state_dict().items()}

    def _patience_is_over(self) -> bool:
        if not self.settings.patience or not self.validation or not self.history:
            return False
        losses = [row.validation_loss for row in self.history]
        return len(losses) - 1 - losses.index(min(losses)) >= self.settings.patience

    def state(self) -> State:
        """Everything that going on needs, as arrays by name."""
        arrays: dict[str, NDArray[np.generic]] = {}
        for name, value in self.network.state_dict().items():
            arrays[f"network/{name}"] = value.cpu().numpy()
        arrays["optimiser/steps"] = np.array(self.optimiser.steps)
        for name, values in self.optimiser.moments.items():
            for index, value in enumerate(values):
                arrays[f"optimiser/{name}/{index}"] = value.cpu().numpy()
        for index, value in enumerate(self.average.mean if self.average else []):
            arrays[f"average/{index}"] = value.cpu().numpy()
        for name, value in (self.best or {}).items():
            arrays[f"best/{name}"] = value.cpu().numpy()
        return State(arrays, self.history)

    def restore(self, state: State) -> None:
        """Take up where `state` was taken. Raises InputError if it belongs to another network or other settings."""
        parts: dict[str, dict[str, Tensor]] = {"network": {}, "optimiser": {}, "average": {}, "best": {}}
        for name, array in state.arrays.items():
            kind, _, rest = name.partition("/")
            # A copy that torch owns: numpy's memory may be aligned otherwise, and alignment decides which kernel runs.
            parts.setdefault(kind, {})[rest] = torch.from_numpy(array).clone()
        try:
            self.network.load_state_dict(parts["network"])
            self.optimiser.steps = int(parts["optimiser"]["steps"])
            for name, values in self.optimiser.moments.items():
                for index, value in enumerate(values):
                    value.copy_(parts["optimiser"][f"{name}/{index}"])
            for number, mean in enumerate(self.average.mean if self.average else []):
                mean.copy_(parts["average"][str(number)])
        except (RuntimeError, KeyError, ValueError) as error:
            found = str(error).splitlines()[0]
            raise InputError(
                "checkpoint", "belongs to another network", found=found, mend="train this run again with --force"
            ) from error
        self.best = {name: value.to(self.device) for name, value in parts["best"].items()} or None
        self.history = list(state.history)


def logits_of(network: nn.Module, inputs: Tensor, precision: torch.dtype = torch.float32) -> Tensor:
    """What a network says of inputs as `Tensors` holds them, float32 (N, outputs), on the CPU."""
    network.eval()
    with torch.inference_mode(), torch.autocast(inputs.device.type, precision, enabled=precision != torch.float32):
        parts = [network(_prepare(some)).float() for some in inputs.split(EVALUATION_BATCH)]
    return torch.cat(parts).cpu()


def _prepare(inputs: Tensor) -> Tensor:
    return _channels_last(inputs.float() / 255) if inputs.ndim == 4 else inputs


def _channels_last(inputs: Tensor) -> Tensor:
    return inputs.contiguous(memory_format=torch.channels_last) if inputs.ndim == 4 else inputs


@contextmanager
def a_core_of_its_own() -> Iterator[None]:
    """While this lasts, the calling thread has a processor core to itself and PyTorch's other threads have the rest.

    Only where PyTorch uses every core there is. The schedulers of some virtual machines leave two busy threads on one
    core and the other core idle: the same training took 98 s instead of 13 s. Where the system has no such call nothing
    happens.
    """
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    if len(cores) < 2 or torch.get_num_threads() != len(cores):
        yield
        return
    own = {min(cores)}
    torch.ones(1 << 20).add_(1)  # so that PyTorch's threads are there
    try:
        _pin(lambda thread: own if thread == threading.get_native_id() else cores - own)
        yield
    finally:
        _pin(lambda thread: cores)


def _pin(cores_of: Callable[[int], set[int]]) -> None:
    """Give every thread of this process the cores that it may run on."""
    for task in Path("/proc/self/task").iterdir():
        thread = int(task.name)
        with suppress(OSError):  # it may have ended meanwhile
            os.sched_setaffinity(thread, cores_of(thread))


def _keep_freed_memory() -> None:
    """Ask glibc to keep large freed blocks for the next step instead of returning their pages to the system.

    Every step allocates the same tensors of a few megabytes; without this each is mapped and zeroed page by page anew,
    which costs up to a third of a small network's training time. Elsewhere than on glibc nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    trim_threshold, top_pad, mmap_max = -1, -2, -4  # M_TRIM_THRESHOLD, M_TOP_PAD and M_MMAP_MAX of malloc.h
    mallopt(mmap_max, 0)
    mallopt(trim_threshold, 2**31 - 1)
    mallopt(top_pad, 64 << 20)

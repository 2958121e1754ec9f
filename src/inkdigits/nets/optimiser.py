"""The four update rules, written on PyTorch's grouped tensor operations.

`torch.optim` has them all, and its first use imports PyTorch's compiler: 1.6 s, half of a training to 99 %. The tests
hold these against it, step by step.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .catalogue import Settings

BETA1 = 0.9  # decay of Adam's first moment
RHO = 0.95  # decay of Adadelta's averages
EPSILON = 1e-7  # Adam's and Adadelta's, as Keras sets it

# What each rule remembers of each parameter.
MOMENTS = {
    "sgd": ["velocity"],
    "adam": ["mean", "square"],
    "adamw": ["mean", "square"],
    "adadelta": ["square", "delta"],
}


class Optimiser:
    """Moves a network's parameters by the rule of `settings.optimiser`.

    `weight_decay` is L2: added to the gradient, or for adamw taken from the weight (Loshchilov and Hutter, 2019).
    Only matrices and kernels decay; biases and norms have nothing to gain from it.

    Attributes
    ----------
    steps: how many were made; moments: by name, a tensor for each parameter, in its memory format.
    """

    def __init__(self, network: nn.Module, settings: Settings) -> None:
        self.settings, self.steps = settings, 0
        parameters: list[Tensor] = [parameter for parameter in network.parameters() if parameter.requires_grad]
        self.parameters = sorted(parameters, key=lambda parameter: parameter.ndim <= 1)
        self.decaying = sum(parameter.ndim > 1 for parameter in parameters)  # these come first
        self.moments = {
            name: [torch.zeros_like(parameter) for parameter in self.parameters] for name in MOMENTS[settings.optimiser]
        }

    def forget_gradients(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Move every parameter once, by its gradient and the learning rate `rate`."""
        self.steps += 1
        gradients = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        if self.settings.weight_decay:
            matrices = self.parameters[: self.decaying]
            if self.settings.optimiser == "adamw":
                torch._foreach_mul_(matrices, 1 - rate * self.settings.weight_decay)
            else:
                torch._foreach_add_(gradients[: self.decaying], matrices, alpha=self.settings.weight_decay)
        match self.settings.optimiser:
            case "sgd":
                self._sgd(gradients, rate)
            case "adam" | "adamw":
                self._adam(gradients, rate)
            case "adadelta":
                self._adadelta(gradients, rate)

    def _sgd(self, gradients: list[Tensor], rate: float) -> None:
        """Gradient descent; with momentum, Nesterov's (Sutskever et al., 2013, as PyTorch has it)."""
        momentum, velocity = self.settings.momentum, self.moments["velocity"]
        if momentum:
            torch._foreach_mul_(velocity, momentum)
            torch._foreach_add_(velocity, gradients)
            gradients = list(torch._foreach_add(gradients, velocity, alpha=momentum))
        torch._foreach_add_(self.parameters, gradients, alpha=-rate)

    def _adam(self, gradients: list[Tensor], rate: float) -> None:
        """Kingma and Ba, 2015."""
        beta2, mean, square = self.settings.beta2, self.moments["mean"], self.moments["square"]
        torch._foreach_lerp_(mean, gradients, 1 - BETA1)
        torch._foreach_mul_(square, beta2)
        torch._foreach_addcmul_(square, gradients, gradients, 1 - beta2)
        scale = torch._foreach_sqrt(square)
        torch._foreach_div_(scale, (1 - beta2**self.steps) ** 0.5)
        torch._foreach_add_(scale, EPSILON)
        torch._foreach_addcdiv_(self.parameters, mean, scale, -rate / (1 - BETA1**self.steps))

    def _adadelta(self, gradients: list[Tensor], rate: float) -> None:
        """Zeiler, 2012, with a learning rate as Keras and PyTorch give it."""
        square, delta = self.moments["square"], self.moments["delta"]
        torch._foreach_mul_(square, RHO)
        torch._foreach_addcmul_(square, gradients, gradients, 1 - RHO)
        step = torch._foreach_add(delta, EPSILON)
        torch._foreach_sqrt_(step)
        scale = torch._foreach_add(square, EPSILON)
        torch._foreach_sqrt_(scale)
        torch._foreach_div_(step, scale)
        torch._foreach_mul_(step, gradients)
        torch._foreach_mul_(delta, RHO)
        torch._foreach_addcmul_(delta, step, step, 1 - RHO)
        torch._foreach_add_(self.parameters, step, alpha=-rate)

"""Every network of the catalogue as a readable stack of layers.

    >>> from inkdigits.nets.catalogue import settings_for
    >>> count_parameters(build(settings_for("lenet5")))
    61706

A network takes float32 (N, 1, 28, 28) in 0…1 and gives float32 (N, 10), the logits; (N, 11) where it is to learn what
is not a digit, which is the last. It is one flat `nn.Sequential` of the layers that `export.py` knows how to write; its
last layer is linear and what goes into that are its features. Those without convolutions can be built for any number of
inputs, all of them for any number of classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from ..digits.dataset import CLASSES, PIXELS
from ..errors import InputError
from .catalogue import Settings
from .deskew import Deskew
from .reshape import UNCHANGED, reshape

KERAS_EPSILON = 1e-3  # batch norm's, where a network was written in Keras
KERAS_MOMENTUM = 0.01  # the same as Keras' 0.99, counted the other way round


def conv(inputs: int, outputs: int, side: int, *, same: bool = False, he_uniform: bool = False) -> list[nn.Module]:
    """A convolution and its ReLU."""
    layer = nn.Conv2d(inputs, outputs, side, padding=side // 2 if same else 0)
    if he_uniform:
        prescribe(layer, _he_uniform)
    return [layer, nn.ReLU()]


def dense(
    inputs: int, outputs: int, activation: type[nn.Module] = nn.ReLU, *, sd: float | None = None
) -> list[nn.Module]:
    """A fully connected layer and its activation; `sd` draws the weights from a normal distribution of that width."""
    layer = nn.Linear(inputs, outputs)
    if sd is not None:
        prescribe(layer, partial(_normal, sd=sd, inputs=inputs))
    return [layer, activation()]


def _normal(weight: torch.Tensor, *, sd: float, inputs: int) -> torch.Tensor:
    """A spread that was prescribed for so many inputs, for another number: the sums that they go into stay as wide."""
    return nn.init.normal_(weight, std=sd * math.sqrt(inputs / weight.shape[1]))


def _he_uniform(weight: torch.Tensor) -> torch.Tensor:
    return nn.init.kaiming_uniform_(weight, nonlinearity="relu")


def norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=KERAS_EPSILON, momentum=KERAS_MOMENTUM)


def norm1d(channels: int) -> nn.BatchNorm1d:
    return nn.BatchNorm1d(channels, eps=KERAS_EPSILON, momentum=KERAS_MOMENTUM)


def prescribe(layer: nn.Conv2d | nn.Linear, draw: Callable[[torch.Tensor], object]) -> None:
    """Initialise a layer as belongs to its network, and mark it: the setting leaves it alone."""
    draw(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    layer.prescribed = draw  # type: ignore[assignment]


def softmax(inputs: int) -> list[nn.Module]:
    return [nn.Flatten(), nn.Linear(inputs, 10)]


def lenet5() -> list[nn.Module]:
    """Y. LeCun et al. 1998, with plain average pooling, a full second convolution and a softmax as output layer."""
    return [
        nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2),
        nn.Conv2d(16, 120, 5), nn.Tanh(), nn.Flatten(),
        nn.Linear(120, 84), nn.Tanh(),
        nn.Linear(84, 10),
    ]  # fmt: skip


def b() -> list[nn.Module]:
    """LeNet-5's plan with ReLU, max pooling and the convolution that system B added."""
    return [
        *_b_conv(1, 32, 5, same=True), nn.MaxPool2d(2), nn.Dropout(0.1),
        *_b_conv(32, 64, 5), nn.MaxPool2d(2), nn.Dropout(0.2),
        *_b_conv(64, 128, 3), nn.Flatten(),
        *dense(128 * 3 * 3, 120), nn.Dropout(0.4),
        *dense(120, 84), nn.Dropout(0.2),
        nn.Linear(84, 10),
    ]  # fmt: skip


def _b_conv(inputs: int, outputs: int, side: int, *, same: bool = False) -> list[nn.Module]:
    layer, activation = conv(inputs, outputs, side, same=same)
    return [layer, nn.BatchNorm2d(outputs), activation]


def a_conv2() -> list[nn.Module]:
    return [
        *conv(1, 32, 3), *conv(32, 64, 3), nn.MaxPool2d(2), nn.Dropout(0.25), nn.Flatten(),
        *dense(64 * 12 * 12, 256), nn.Dropout(0.25),
        nn.Linear(256, 10),
    ]  # fmt: skip


def a_conv3() -> list[nn.Module]:
    return [
        *conv(1, 32, 3), *conv(32, 64, 3), nn.MaxPool2d(2), nn.Dropout(0.25),
        *conv(64, 128, 3), nn.MaxPool2d(2), nn.Dropout(0.5), nn.Flatten(),
        *dense(128 * 5 * 5, 256), nn.Dropout(0.5),
        nn.Linear(256, 10),
    ]  # fmt: skip


def a_conv5() -> list[nn.Module]:
    return [
        *conv(1, 32, 3), *conv(32, 32, 3), nn.MaxPool2d(2), norm(32), nn.Dropout(0.4),
        *conv(32, 64, 3), *conv(64, 64, 3), nn.MaxPool2d(2), norm(64), nn.Dropout(0.4),
        *conv(64, 128, 3), norm(128), nn.Dropout(0.5), nn.Flatten(),
        *dense(128 * 2 * 2, 256), nn.Dropout(0.5),
        *dense(256, 128), nn.Dropout(0.4),
        nn.Linear(128, 10),
    ]  # fmt: skip


def a_conv7() -> list[nn.Module]:
    def same(inputs: int, outputs: int) -> list[nn.Module]:
        return conv(inputs, outputs, 3, same=True, he_uniform=True)

    first = nn.Linear(128, 256)
    prescribe(first, _he_uniform)
    return [
        *same(1, 16), *same(16, 16), nn.MaxPool2d(2), norm(16), nn.Dropout(0.25),
        *same(16, 32), *same(32, 32), nn.MaxPool2d(2), norm(32), nn.Dropout(0.3),
        *same(32, 64), *same(64, 64), nn.MaxPool2d(2), norm(64), nn.Dropout(0.4),
        *same(64, 128), nn.MaxPool2d(2), norm(128), nn.Dropout(0.5), nn.Flatten(),
        first, nn.ReLU(), nn.Dropout(0.5),
        *dense(256, 128),
        nn.Linear(128, 10),
    ]  # fmt: skip


def a_mlp_sigmoid(inputs: int) -> list[nn.Module]:
    return [nn.Flatten(), *dense(inputs, 512, nn.Sigmoid), *dense(512, 128, nn.Sigmoid), nn.Linear(128, 10)]


def _as_of_784(sd: float, inputs: int) -> float:
    """A spread that was prescribed for 784 inputs, for another number: the sums that they go into stay as wide."""
    return sd * math.sqrt(PIXELS / inputs)


def a_mlp_relu(inputs: int) -> list[nn.Module]:
    first = dense(inputs, 512, sd=_as_of_784(0.062, inputs))
    return [nn.Flatten(), *first, *dense(512, 128, sd=0.125), nn.Linear(128, 10)]


def a_mlp_bn(inputs: int) -> list[nn.Module]:
    return [
        nn.Flatten(),
        *dense(inputs, 512, nn.Sigmoid, sd=_as_of_784(0.039, inputs)), norm1d(512),
        *dense(512, 128, nn.Sigmoid, sd=0.55), norm1d(128),
        nn.Linear(128, 10),
    ]  # fmt: skip


def a_mlp_bn_dropout(inputs: int) -> list[nn.Module]:
    return [
        nn.Flatten(),
        *dense(inputs, 512, nn.Sigmoid, sd=_as_of_784(0.039, inputs)), norm1d(512), nn.Dropout(0.5),
        *dense(512, 128, nn.Sigmoid, sd=0.55), norm1d(128), nn.Dropout(0.5),
        nn.Linear(128, 10),
    ]  # fmt: skip


class Whitening(nn.Conv2d):
    """A convolution that is computed from images instead of learnt, and stays as it is.

    Its kernels are the leading principal components of the images' patches, each scaled to unit variance and taken with
    both signs, so that the ReLU that follows loses nothing. K. Jordan, "94% on CIFAR-10 in 3.29 seconds", 2024.
    """

    LOOK = 1_000  # images that it is computed from
    PATCHES = 100_000  # of their patches
    SMALL = 1e-2  # added to each variance: directions that hardly vary are noise

    def __init__(self, outputs: int, side: int, *, stride: int = 1) -> None:
        super().__init__(1, outputs, side, stride=stride)
        self.requires_grad_(False)
        self.prescribed = True

    @torch.no_grad()
    def look_at(self, images: torch.Tensor, generator: torch.Generator) -> None:
        """Compute the kernels from images float32 (N, 1, 28, 28) in 0…1."""
        patches = nn.functional.unfold(images, self.kernel_size).transpose(1, 2).flatten(0, 1)
        patches = patches[torch.randint(len(patches), (self.PATCHES,), generator=generator)]
        variance, directions = torch.linalg.eigh(patches.T @ patches / len(patches))
        scaled = (directions / (variance + self.SMALL).sqrt()).T.flip(0)[: self.out_channels // 2]
        self.weight.copy_(torch.cat([scaled, -scaled]).view_as(self.weight))
        if self.bias is not None:
            nn.init.zeros_(self.bias)


def fast(width: int, stem: str) -> list[nn.Module]:
    """Ours, made for a short training: the first layer is computed, and there is nothing large behind it.

    Pooling comes before batch norm and ReLU, which then have a quarter of the numbers to go through.
    """
    first = [Whitening(16, 6, stride=2)] if stem == "stride" else [Whitening(16, 5), nn.MaxPool2d(2)]
    return [
        *first, nn.ReLU(inplace=True),
        nn.Conv2d(16, width, 3, bias=False), nn.MaxPool2d(2), nn.BatchNorm2d(width), nn.ReLU(inplace=True),
        nn.Conv2d(width, 2 * width, 3, bias=False), nn.BatchNorm2d(2 * width), nn.ReLU(inplace=True), nn.Flatten(),
        nn.Linear(2 * width * 3 * 3, 10),
    ]  # fmt: skip


def reader(width: int) -> list[nn.Module]:
    """Ours, for handwriting as it comes: wider and deeper than `fast`, with the borders of the image in view."""
    return [
        nn.Conv2d(1, width // 2, 5, padding=2, bias=False), nn.MaxPool2d(2), nn.BatchNorm2d(width // 2),
        nn.ReLU(inplace=True),
        *_layer(width // 2, width), nn.Conv2d(width, width * 4 // 3, 3, bias=False), nn.MaxPool2d(2),
        nn.BatchNorm2d(width * 4 // 3), nn.ReLU(inplace=True),
        *_layer(width * 4 // 3, width * 8 // 3, padding=1), *_layer(width * 8 // 3, width * 8 // 3),
        nn.Flatten(), nn.Dropout(0.2), nn.Linear(width * 8 // 3 * 3 * 3, 10),
    ]  # fmt: skip


def tiny(width: int) -> list[nn.Module]:
    """Ours, of few parameters: the image is looked at in full before it is made smaller, and the end is a mean."""
    wide, widest = width * 3 // 2, width * 2
    return [
        *_layer(1, width), *_layer(width, width), nn.MaxPool2d(2),
        *_layer(width, wide), *_layer(wide, wide), nn.MaxPool2d(2),
        *_layer(wide, widest), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(widest, 10),
    ]  # fmt: skip


def least(width: int) -> list[nn.Module]:
    """Ours, of still fewer parameters: digits are deskewed, and all convolutions but one are depthwise separable.

    F. Chollet, "Xception: deep learning with depthwise separable convolutions", 2017. The first pooling overlaps, by
    which less depends on where a stroke falls.
    """
    channels = [width, width * 4 // 3, width * 3 // 2, width * 2]
    return [
        Deskew(), *_layer(1, width), nn.MaxPool2d(3, 2),
        *_separable(*channels[0:2]), *_separable(*channels[1:3]), nn.MaxPool2d(2),
        *_separable(*channels[2:4]), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(channels[3], 10),
    ]  # fmt: skip


def bulk(width: int) -> list[nn.Module]:
    """Ours, for millions of digits: strides leave little to multiply, and nothing is computed only to be pooled.

    Channels are multiples of 8, as many floats as a processor multiplies at once: with 10, 30 and 60 it was slower than
    with 16, 48 and 96.
    """
    return [
        *_layer(1, width, 5, stride=2), *_layer(width, 2 * width, stride=2), *_layer(2 * width, 4 * width),
        nn.Flatten(), nn.Linear(4 * width * 3 * 3, 10),
    ]  # fmt: skip


def _layer(inputs: int, outputs: int, side: int = 3, *, stride: int = 1, padding: int = 0) -> list[nn.Module]:
    """A convolution, batch norm and ReLU."""
    convolution = nn.Conv2d(inputs, outputs, side, stride=stride, padding=padding, bias=False)
    return [convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]


def _separable(inputs: int, outputs: int) -> list[nn.Module]:
    """A convolution of each channel by itself, one across the channels, batch norm and ReLU."""
    return [nn.Conv2d(inputs, inputs, 3, groups=inputs, bias=False), *_layer(inputs, outputs, 1)]


CONVOLUTIONAL: dict[str, Callable[[], list[nn.Module]]] = {
    "lenet5": lenet5,
    "b-plain": b,
    "b-regularised": b,
    "a-conv2": a_conv2,
    "a-conv3": a_conv3,
    "a-conv5": a_conv5,
    "a-conv7": a_conv7,
}
WIDE: dict[str, Callable[[int], list[nn.Module]]] = {
    "reader": reader,
    "best": reader,
    "tiny": tiny,
    "least": least,
    "bulk": bulk,
}
DENSE: dict[str, Callable[[int], list[nn.Module]]] = {
    "softmax": softmax,
    "a-softmax-sgd-1000": softmax,
    "a-softmax-sgd": softmax,
    "a-softmax-adam-15": softmax,
    "a-softmax-adam": softmax,
    "a-mlp-softmax-sgd": softmax,
    "a-mlp-sigmoid-sgd": a_mlp_sigmoid,
    "a-mlp-sigmoid-adam": a_mlp_sigmoid,
    "a-mlp-relu-sgd": a_mlp_relu,
    "a-mlp-relu-adam": a_mlp_relu,
    "a-mlp-bn-adam": a_mlp_bn,
    "a-mlp-bn-dropout-adam": a_mlp_bn_dropout,
    "a-mlp-grid-relu": a_mlp_relu,
    "a-mlp-grid-sigmoid": a_mlp_sigmoid,
}


def build(settings: Settings, *, inputs: int = PIXELS, classes: int = CLASSES) -> nn.Sequential:
    """The network of `settings.net`, freshly initialised from `settings.seed`.

    The settings change its shape, take its batch-norm layers away, set its dropout rates, and initialise the layers for
    which it prescribes nothing: what it prescribes (He-uniform in `a-conv7`, say) stays.

    Parameters
    ----------
    inputs: numbers that one sample has; other than 784 for those in DENSE alone, which then take float32 (N, inputs).
    classes: to tell apart.

    Raises InputError for a convolutional network of other than 784 inputs.
    """
    if inputs != PIXELS and settings.net not in DENSE:
        expected, mend = f"{PIXELS} pixels, 28 × 28", f"take one that takes any number: {', '.join(DENSE)}"
        raise InputError(settings.net, "reads images", expected=expected, found=f"{inputs} features", mend=mend)
    torch.manual_seed(settings.seed)
    if settings.net == "fast":
        layers = fast(settings.width, settings.stem)
    elif settings.net in WIDE:
        layers = WIDE[settings.net](settings.width)
    else:
        layers = DENSE[settings.net](inputs) if settings.net in DENSE else CONVOLUTIONAL[settings.net]()
    outputs = classes + bool(settings.non_digits)
    if outputs != CLASSES:
        layers[-1] = nn.Linear(layers[-1].in_features, outputs)  # type: ignore[arg-type]
    widen, padding, depth = settings.widen, settings.padding, settings.depth
    if (widen, padding, depth) != UNCHANGED:
        sample = (inputs,) if settings.net in DENSE else (1, 28, 28)
        layers = reshape(layers, widen=widen, padding=padding, depth=depth, sample=sample)
    if not settings.batch_norm:
        layers = [layer for layer in layers if not isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)]
    if settings.dropout == 0:
        layers = [layer for layer in layers if not isinstance(layer, nn.Dropout)]
    for layer in layers:
        if isinstance(layer, nn.Dropout) and settings.dropout is not None:
            layer.p = settings.dropout
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) and settings.norm_memory is not None:
            layer.momentum = 1 - settings.norm_memory
        if isinstance(layer, nn.Conv2d | nn.Linear) and not hasattr(layer, "prescribed"):
            initialise(layer, settings.initialisation)
    return nn.Sequential(*layers)


def initialise(layer: nn.Conv2d | nn.Linear, how: str) -> None:
    """Draw a layer's weights anew: zeros, Glorot (2010) or He (2015), biases zero; `pytorch` changes nothing."""
    if how == "pytorch":
        return
    draw: dict[str, Callable[[torch.Tensor], object]] = {
        "zeros": nn.init.zeros_,
        "glorot-uniform": nn.init.xavier_uniform_,
        "he-normal": lambda weight: nn.init.kaiming_normal_(weight, nonlinearity="relu"),
        "he-uniform": lambda weight: nn.init.kaiming_uniform_(weight, nonlinearity="relu"),
    }
    draw[how](layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def count_parameters(network: nn.Module) -> int:
    """How many weights and biases it has, computed ones (`Whitening`) included; not batch norm's running statistics."""
    return sum(parameter.numel() for parameter in network.parameters())

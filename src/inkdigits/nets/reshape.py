"""A network's layers made anew: more or fewer channels, other padding, a convolution more or fewer.

    >>> wide = reshape(zoo.b(), widen=2, padding="valid", depth=-1)

What an ablation changes about a network's shape, for any flat stack of the zoo: the layers behind a changed one take
the numbers that it now gives. Which kind of initialisation a layer prescribes stays.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import nn

from ..errors import InputError
from .catalogue import Padding

EXTRA_SIDE = 3  # pixels of the kernel of a convolution that is added
UNCHANGED = (1.0, "own", 0)  # widen, padding and depth of which nothing comes


def reshape(
    layers: Sequence[nn.Module],
    *,
    widen: float = 1.0,
    padding: Padding = "own",
    depth: int = 0,
    sample: tuple[int, ...] = (1, 28, 28),
) -> list[nn.Module]:
    """The layers with other shapes, freshly initialised where they had to be made anew.

    Parameters
    ----------
    layers: of the zoo, the last one linear; computed ones stay as they are.
    widen: times as many channels or units in every layer but the last.
    padding: of the convolutions: `own` changes nothing, `same` keeps the sides of odd kernels, `valid` pads nothing.
    depth: convolutions more behind the last one (3×3, padded, as many channels), or so many of the last ones fewer; of
        a network without convolutions its hidden layers.
    sample: shape of one input.

    Raises InputError where nothing would be left of an image, or there are not so many layers to leave out.
    """
    changed = _with_depth([copy.deepcopy(layer) for layer in layers], depth)
    made: list[nn.Module] = []
    flow = torch.zeros(2, *sample)
    for place, layer in enumerate(changed):
        new = _fitted(layer, flow.shape, widen if place < len(changed) - 1 else 1.0, padding)
        with torch.no_grad():
            try:
                flow = new.eval()(flow)
            except RuntimeError as error:
                what = f"{padding} padding and {depth:+d} in depth"
                raise InputError("network", "too deep for 28 by 28 pixels", found=what) from error
        made.append(new.train())
    return made


def _fitted(layer: nn.Module, shape: torch.Size, widen: float, padding: Padding) -> nn.Module:
    """The layer for inputs of `shape`, itself if it fits and nothing is asked for."""
    if isinstance(layer, nn.Conv2d) and layer.weight.requires_grad:
        pad = {"own": layer.padding[0], "same": layer.kernel_size[0] // 2, "valid": 0}[padding]
        outputs = _widened(layer.out_channels, widen)
        groups = 1
        if layer.groups > 1:  # each channel by itself, however many there are now
            groups = outputs = shape[1]
        if (shape[1], outputs, pad) == (layer.in_channels, layer.out_channels, layer.padding[0]):
            return layer
        side, bias = layer.kernel_size[0], layer.bias is not None
        new = nn.Conv2d(shape[1], outputs, side, stride=layer.stride, padding=pad, groups=groups, bias=bias)  # type: ignore[arg-type]
        return _drawn(new, layer)
    if isinstance(layer, nn.Linear):
        outputs = _widened(layer.out_features, widen)
        if (shape[1], outputs) == (layer.in_features, layer.out_features):
            return layer
        return _drawn(nn.Linear(shape[1], outputs, bias=layer.bias is not None), layer)
    if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) and layer.num_features != shape[1]:
        return type(layer)(shape[1], eps=layer.eps, momentum=layer.momentum)
    return layer


def _widened(count: int, widen: float) -> int:
    return count if widen == 1 else max(1, round(count * widen))


def _drawn(new: nn.Conv2d | nn.Linear, old: nn.Module) -> nn.Conv2d | nn.Linear:
    """The new layer, initialised as the old one prescribes, if it does."""
    draw = getattr(old, "prescribed", None)
    if draw is not None:
        draw(new.weight)
        if new.bias is not None:
            nn.init.zeros_(new.bias)
        new.prescribed = draw
    return new


def _with_depth(layers: list[nn.Module], depth: int) -> list[nn.Module]:
    """So many blocks (a layer that learns, and what follows it up to the next pooling or such layer) more or fewer."""
    kind = nn.Conv2d if any(isinstance(layer, nn.Conv2d) for layer in layers) else nn.Linear
    for _ in range(abs(depth)):
        places = [
            place for place, layer in enumerate(layers[:-1]) if isinstance(layer, kind) and layer.weight.requires_grad
        ]
        if not places or (depth < 0 and len(places) < 2):
            raise InputError("setting depth", "not so many layers", expected=f"above {depth}", found=str(depth))
        start, end = places[-1], places[-1] + 1
        while not isinstance(layers[end], nn.Conv2d | nn.Linear | nn.Flatten | nn.MaxPool2d | nn.AvgPool2d):
            end += 1
        if depth < 0:
            del layers[start:end]
        else:
            layers[end:end] = _block(layers[start:end])
    return layers


def _block(block: Sequence[nn.Module]) -> list[nn.Module]:
    """A block like this one on top of it."""
    first, *rest = (copy.deepcopy(layer) for layer in block)
    if isinstance(first, nn.Conv2d):
        channels, bias = first.out_channels, first.bias is not None
        more = _drawn(nn.Conv2d(channels, channels, EXTRA_SIDE, padding=EXTRA_SIDE // 2, bias=bias), first)
    else:
        assert isinstance(first, nn.Linear)
        more = _drawn(nn.Linear(first.out_features, first.out_features), first)
    return [more, *rest]

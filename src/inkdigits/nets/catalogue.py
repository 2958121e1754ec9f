"""The networks by name and the settings each is trained with; nothing here loads PyTorch.

    >>> from inkdigits.nets.catalogue import settings_for
    >>> settings_for("lenet5", seed=3).learning_rate
    0.002

Systems A and B are two student projects whose networks are rebuilt layer by layer: A is a set of Keras notebooks on
MNIST, B a LeNet-5 with one layer more for Kaggle's Digit Recognizer. Their settings are their authors' where they said
them, ours (marked) where they did not.
"""

from __future__ import annotations

import difflib
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache
from typing import Any, Literal, get_args, get_type_hints

from ..errors import InputError

Optimiser = Literal["sgd", "adam", "adamw", "adadelta"]
Schedule = Literal["constant", "cosine", "one-cycle"]
Stem = Literal["stride", "pool"]
Initialisation = Literal["pytorch", "zeros", "glorot-uniform", "he-normal", "he-uniform"]
Padding = Literal["own", "same", "valid"]
Augmentation = Literal["none", "shift", "affine", "elastic", "conditions"]
Split = Literal["random", "blocks"]
Precision = Literal["auto", "fp32", "bf16"]
Device = Literal["auto", "cpu", "cuda"]


@lru_cache  # this is asked for each network in the list below, whenever a command starts
def _kinds() -> dict[str, Any]:
    return get_type_hints(Settings)


def _is_a(value: object, kind: Any) -> bool:
    """Whether a value is of a setting's type: a whole number may stand for a fraction, a truth value for neither."""
    if isinstance(value, bool):
        return kind is bool
    kinds = get_args(kind) or (kind,)
    if isinstance(kinds[0], str):
        return value in kinds
    return isinstance(value, (*kinds, int) if float in kinds else kinds)


def _described(kind: Any) -> str:
    names = {bool: "yes or no", int: "a whole number", float: "a number", str: "a name", type(None): "none"}
    kinds = get_args(kind) or (kind,)
    return "one of " + ", ".join(kinds) if isinstance(kinds[0], str) else " or ".join(names[part] for part in kinds)


def _wrong(name: str, expected: str, found: object) -> InputError:
    return InputError(f"setting {name}", "out of range", expected=expected, found=str(found))


@dataclass(frozen=True)
class Settings:
    """Everything that decides what a training does; written to `config.json` before it starts.

    Attributes
    ----------
    net: a name from NETWORKS.
    epochs: passes over the training part; a fraction stops inside the last one.
    batch: images a step.
    optimiser, learning_rate: the rule and its (highest) rate.
    momentum, beta2: sgd's (Nesterov's form), and the decay of the second moment in adam and adamw.
    weight_decay: L2. Decoupled from the gradient for adamw, part of the gradient for the others.
    schedule, warmup: the rate over time; `one-cycle` rises linearly for `warmup` of the steps and falls to zero.
    width: channels of the first learned layer of `fast`, and of a middle one of `reader` and `best`; of the first layer
        of `tiny`, `least` and `bulk`. The others have as many times more.
    stem: for `fast` alone, whether the frozen layer before that strides or is pooled.
    dropout: None for the network's own rates, 0 for none, else this rate at each of its dropout layers.
    batch_norm: whether the network's batch-norm layers are there.
    norm_memory: share of batch norm's running values that a step keeps (Keras calls it momentum, and takes 0.99); None
        for the network's own.
    widen, padding, depth: times as many channels or units in every layer but the last; of the convolutions (`own` is
        what the network has, `same` keeps an image's sides, `valid` pads nothing); convolutions more or fewer.
    initialisation: of the layers for which the network prescribes none itself.
    augmentation: what is done to each training image anew in each epoch; `shift` pixels, `turn` degrees, `scale` and
        `shear` as fractions, `elastic` pixels of displacement. `affine` includes shift, `elastic` includes affine;
        `conditions` is all that may happen to handwriting before it is read, in strengths of its own.
    erase: pixels, side of a square of paper that is put on a random place of each image; 0 for none. Not with `none`
        and `conditions`.
    non_digits: images that are no digits, a share of each batch's digits, which the network then learns to refuse as an
        eleventh class; 0 for none.
    drawn_forms: digits drawn stroke by stroke in forms that MNIST hardly has (a 1 with a long upstroke, a barred 7 …)
        and added to the training part.
    second_look: whether the model looks at an image that hardly seems a digit again with thicker strokes.
    label_smoothing: probability moved from the label to the ten classes.
    distillation: share of the loss that is the divergence from the teachers' answers, where the training has teachers.
    averaging: decay per step of an exponential average of the weights, which then is the result; 0 for none.
    views: how many views of an image, moved and turned a little, the finished model takes the mean of; 1 for one look.
        Training and its history know of one look alone.
    validation: digits held out of the training part, chosen by `split_seed`.
    split: whether they are drawn at random, class by class, or are `blocks` of neighbours, which keeps most writers on
        one side.
    patience: epochs without a better validation loss after which training stops with its best weights; 0 for never.
    precision: `auto` is bf16 on a processor that multiplies it in hardware, fp32 elsewhere.
    """

    net: str = "fast"
    epochs: float = 10
    batch: int = 128
    optimiser: Optimiser = "adam"
    learning_rate: float = 0.001
    momentum: float = 0.0
    beta2: float = 0.999
    weight_decay: float = 0.0
    schedule: Schedule = "constant"
    warmup: float = 0.25
    width: int = 64
    stem: Stem = "pool"
    dropout: float | None = None
    batch_norm: bool = True
    norm_memory: float | None = None
    widen: float = 1.0
    padding: Padding = "own"
    depth: int = 0
    initialisation: Initialisation = "glorot-uniform"
    augmentation: Augmentation = "none"
    shift: int = 2
    turn: float = 15.0
    scale: float = 0.15
    shear: float = 0.15
    elastic: float = 1.5
    erase: int = 0
    non_digits: float = 0.0
    drawn_forms: int = 0
    second_look: bool = False
    label_smoothing: float = 0.0
    distillation: float = 0.8
    averaging: float = 0.0
    views: int = 1
    validation: int = 5_000
    split: Split = "random"
    patience: int = 0
    precision: Precision = "auto"
    device: Device = "auto"
    seed: int = 0
    split_seed: int = 0

    def __post_init__(self) -> None:
        for name, kind in _kinds().items():
            if not _is_a(getattr(self, name), kind):
                raise _wrong(name, _described(kind), getattr(self, name))
        for name, (lowest, highest) in _RANGES.items():
            value = getattr(self, name)
            if value is not None and not lowest <= value <= highest:
                raise _wrong(name, f"{lowest} to {highest}", value)

    def held_out_of(self, count: int) -> int:
        """How many of `count` samples to hold out: a small set keeps four fifths for training, whatever was wished."""
        return self.validation if self.validation <= count // 3 else max(1, count // 5)

    def as_dict(self) -> dict[str, Any]:
        """The settings as plain values for `config.json`."""
        return asdict(self)


_RANGES: dict[str, tuple[float, float]] = {
    "epochs": (0.01, 10_000),
    "batch": (1, 65_536),
    "learning_rate": (0, 100),
    "momentum": (0, 0.9999),
    "weight_decay": (0, 100),
    "beta2": (0, 0.999999),
    "width": (1, 4_096),
    "warmup": (0, 1),
    "dropout": (0, 0.95),
    "norm_memory": (0, 0.9999),
    "widen": (0.01, 100),
    "depth": (-20, 20),
    "shift": (0, 8),
    "turn": (0, 180),
    "scale": (0, 0.9),
    "shear": (0, 1),
    "elastic": (0, 10),
    "erase": (0, 14),
    "non_digits": (0, 10),
    "drawn_forms": (0, 10**6),
    "label_smoothing": (0, 0.9),
    "distillation": (0, 1),
    "averaging": (0, 0.99999),
    "views": (1, 9),
    "validation": (1, 10**9),
    "patience": (0, 10_000),
    "seed": (0, 2**32 - 1),
    "split_seed": (0, 2**32 - 1),
}


@dataclass(frozen=True)
class Network:
    """A network in the catalogue: what it is, and the settings that it is trained with unless told otherwise."""

    about: str
    settings: Settings


def _softmax(about: str, **settings: Any) -> Network:
    return Network(about, Settings(batch=100, initialisation="zeros", **settings))


def _mlp(about: str, **settings: Any) -> Network:
    return Network(about, Settings(batch=128, epochs=20, **settings))


def _a(about: str, epochs: int, **settings: Any) -> Network:
    return Network(about, Settings(batch=256, epochs=epochs, **settings))


def _b(about: str, **settings: Any) -> Network:
    return Network(about, Settings(batch=128, initialisation="he-normal", **settings))


# Presets of `fast` by the mean accuracy on the test digits that they are made for. Chosen on validation parts of the
# training set (three splits, several seeds each); benchmarks/fast.py measures them.
TARGETS: dict[str, dict[str, Any]] = {
    "99.0": {"epochs": 1, "width": 32, "stem": "stride", "augmentation": "none"},
    "99.3": {
        "epochs": 1.5,
        "width": 48,
        "augmentation": "affine",
        "shift": 1,
        "turn": 6.0,
        "scale": 0.08,
        "shear": 0.08,
    },
    "99.5": {
        "epochs": 5,
        "width": 64,
        "augmentation": "affine",
        "shift": 1,
        "turn": 12.0,
        "scale": 0.15,
        "shear": 0.15,
    },
}
DEFAULT_TARGET = "99.5"

_FAST = replace(
    Settings(
        batch=128,
        optimiser="adamw",
        beta2=0.99,
        learning_rate=0.015,
        schedule="one-cycle",
        warmup=0.2,
        label_smoothing=0.1,
        initialisation="pytorch",
    ),
    **TARGETS[DEFAULT_TARGET],
)

_LONG = Settings(
    batch=128,
    width=48,
    optimiser="adamw",
    beta2=0.99,
    learning_rate=0.006,
    weight_decay=0.02,
    schedule="one-cycle",
    warmup=0.15,
    averaging=0.999,
    initialisation="pytorch",
)

_READER = replace(_LONG, epochs=40, augmentation="conditions", non_digits=0.25, drawn_forms=10_000, second_look=True)

# What the records are made with, chosen on blocks of the training part held out: docs/records.md.
_BEST = replace(
    _LONG,
    epochs=30,
    augmentation="elastic",
    shift=2,
    turn=12.0,
    scale=0.12,
    shear=0.15,
    elastic=1.0,
    views=9,
    split="blocks",
)
_TINY = replace(
    _BEST,
    epochs=60,
    width=6,
    learning_rate=0.02,
    weight_decay=0.0,
    augmentation="affine",
    shift=1,
    turn=8.0,
    scale=0.1,
    shear=0.1,
)
# So few parameters have enough to learn from 60,000 digits as they are.
_LEAST = replace(_TINY, augmentation="none", learning_rate=0.03)
_BULK = replace(_TINY, epochs=30, width=16, views=1)

_B_REGULARISED = {"epochs": 8, "schedule": "one-cycle", "learning_rate": 0.003}

NETWORKS: dict[str, Network] = {
    "fast": Network("ours: a small convolutional network that trains in seconds", _FAST),
    "reader": Network("ours: the network of the shipped reader, made for handwriting as it comes", _READER),
    "best": Network("ours: for accuracy, whatever it takes: half an hour of a core, nine views of each digit", _BEST),
    "tiny": Network("ours: of fewer than 3,000 parameters", _TINY),
    "least": Network("ours: of fewer than 700 parameters", _LEAST),
    "bulk": Network("ours: for reading millions of digits", _BULK),
    "lenet5": Network(
        "LeNet-5 of 1998 (tanh, average pooling), trained by Adam",
        Settings(epochs=20, batch=128, learning_rate=0.002, schedule="cosine"),
    ),
    "softmax": Network(
        "softmax regression, trained by Adam", Settings(epochs=20, batch=128, schedule="cosine", initialisation="zeros")
    ),
    "b-plain": _b(
        "system B: LeNet-5 with one convolution more, no regularisation", epochs=10, batch_norm=False, dropout=0.0
    ),
    "b-regularised": _b("system B: the same with batch norm and dropout", **_B_REGULARISED),
    "a-conv2": _a("system A: two convolutions, Adadelta at 0.001 (never learnt)", 15, optimiser="adadelta"),
    "a-conv3": _a("system A: three convolutions, dropout", 12),
    "a-conv5": _a("system A: five convolutions, batch norm, dropout", 12),
    "a-conv7": _a("system A: seven convolutions, batch norm, dropout (its headline)", 10),
    "a-softmax-sgd-1000": _softmax(
        "system A: softmax regression, gradient descent, 1,000 batches of 100",
        optimiser="sgd",
        learning_rate=0.05,
        epochs=1_000 / 550,  # 1,000 steps of the 550 that 55,000 training digits make
    ),
    "a-softmax-sgd": _softmax(
        "system A: softmax regression, gradient descent, 100 epochs", optimiser="sgd", learning_rate=0.05, epochs=100
    ),
    "a-softmax-adam-15": _softmax("system A: softmax regression, Adam, 15 epochs", epochs=15),
    "a-softmax-adam": _softmax("system A: softmax regression, Adam, 100 epochs", epochs=100),
    "a-mlp-softmax-sgd": _mlp("system A: softmax regression in Keras, SGD", optimiser="sgd", learning_rate=0.01),
    "a-mlp-sigmoid-sgd": _mlp("system A: 784-512-128-10, sigmoid, SGD", optimiser="sgd", learning_rate=0.01),
    "a-mlp-sigmoid-adam": _mlp("system A: 784-512-128-10, sigmoid, Adam"),
    "a-mlp-relu-sgd": _mlp("system A: 784-512-128-10, ReLU, SGD", optimiser="sgd", learning_rate=0.01),
    "a-mlp-relu-adam": _mlp("system A: 784-512-128-10, ReLU, Adam"),
    "a-mlp-bn-adam": _mlp("system A: 784-512-128-10, sigmoid, batch norm, Adam"),
    "a-mlp-bn-dropout-adam": _mlp("system A: the same with dropout 0.5"),
    # Its grid search over the activation was three-fold: a third of the training set is held out.
    "a-mlp-grid-relu": _mlp("system A: grid search, ReLU (a third held out)", validation=20_000),
    "a-mlp-grid-sigmoid": _mlp("system A: grid search, sigmoid (a third held out)", validation=20_000),
}


def settings_for(net: str = "fast", *, target: str | None = None, **changes: Any) -> Settings:
    """The settings that `net` is trained with, with `changes` by name; `target` picks the preset of `fast`.

    Raises InputError for an unknown network, target or setting, with the nearest known name.
    """
    if net not in NETWORKS:
        raise InputError(net, "unknown network", expected=f"one of {', '.join(NETWORKS)}", mend=_nearest(net, NETWORKS))
    settings = NETWORKS[net].settings
    if target is not None:
        if net != "fast":
            raise InputError("--target", "is a preset of the network fast", expected="--net fast", found=f"--net {net}")
        if target not in TARGETS:
            raise InputError("--target", "unknown", expected=" or ".join(TARGETS), found=target)
        settings = replace(settings, **TARGETS[target])
    known = [field.name for field in fields(Settings)]
    for name in changes:
        if name not in known:
            raise InputError(name, "unknown setting", expected=f"one of {', '.join(known)}", mend=_nearest(name, known))
    return replace(settings, net=net, **changes)


def parse_setting(text: str) -> tuple[str, Any]:
    """`NAME=VALUE` of a command line as the name and a value of its type; `none` is None where that is allowed.

    Raises InputError for an unknown name (`net` has an option of its own) or a value of another type.
    """
    name, equals, value = text.partition("=")
    name = name.replace("-", "_")
    kinds = {key: kind for key, kind in _kinds().items() if key != "net"}
    if not equals or not name:
        raise InputError("--set", "not a setting", expected="NAME=VALUE", found=text)
    if name not in kinds:
        mend = _nearest(name, kinds)
        raise InputError(f"--set {name}", "unknown setting", expected=f"one of {', '.join(kinds)}", mend=mend)
    kind = kinds[name]
    try:
        if kind is bool:
            return name, {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[value.lower()]
        if type(None) in get_args(kind) and value.lower() == "none":
            return name, None
        if kind is int:
            return name, int(value)
        if _is_a(0.5, kind):
            return name, float(value)
    except (ValueError, KeyError):
        raise InputError(f"--set {name}", "not a value of it", expected=_described(kind), found=value) from None
    return name, value


def _nearest(name: str, known: Any) -> str | None:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"did you mean {close[0]}?" if close else None

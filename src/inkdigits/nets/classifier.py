"""Any network of the catalogue as an estimator of scikit-learn.

    >>> digits = load_digits("mnist:train").sample(6_000)
    >>> cross_val_score(DigitClassifier("fast", epochs=3), digits.images, digits.labels, cv=3)
    array([0.9765, 0.9835, 0.973 ])

Images are rows of 784 pixels, or an array (N, 28, 28). The networks without convolutions (`softmax`, `a-softmax-…`,
`a-mlp-…`) take any number of features; all of them take any labels.
"""

from __future__ import annotations

import json
import os
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..digits.dataset import CLASSES, PIXELS, SIDE, split_by_class, split_in_blocks
from ..digits.files import unreadable, write_whole
from ..errors import InkdigitsError, InputError, MissingExtraError, ModelError
from ..reader.model import MOST_BYTES
from .catalogue import Settings, settings_for
from .threads import sleep_while_waiting

sleep_while_waiting()
try:
    import torch
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.preprocessing import StandardScaler
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data

    from . import zoo
    from .fit import Tensors, Training, logits_of
    from .views import with_views
except ModuleNotFoundError as error:
    raise MissingExtraError("DigitClassifier", "lab") from error

FORMAT = "inkdigits DigitClassifier 1"
NAMED = (
    "epochs", "batch", "optimiser", "learning_rate", "weight_decay", "width", "dropout", "augmentation",
    "label_smoothing", "patience", "device", "seed",
)  # fmt: skip
HISTORY = ("epoch", "seconds", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy")

Array = NDArray[Any]


class DigitClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A network by name, trained as `train` does it.

    Nothing is held out of what `fit` is given, unless `patience` is: then it holds out, class by class, as many as
    `train` would (settings `validation` and `split_seed`). Probabilities are the network's own, without the temperature
    that `train` fits on digits held out. Nothing is refused.

    784 features within 0…255, or within 0…1, are pixels and prepared as `train` does it: divided by their range. Any
    other features are standardised, each by the mean and the deviation that `fit` found.

    Parameters
    ----------
    net: a name in the catalogue.
    epochs, batch, optimiser, learning_rate, weight_decay, width, dropout, augmentation, label_smoothing, patience,
        device, seed: settings by name (see `catalogue.Settings`); None is the network's own.
    settings: any other settings, by name.

    Attributes
    ----------
    classes_: the labels, in ascending order; the columns of `predict_proba`.
    n_features_in_, feature_names_in_: of what it was fitted on.
    n_iter_: epochs made, the last of which may be a part of one.
    history_: by name, a number for each epoch: loss in nats and accuracy, of the part held out too if there was one.
    pixel_range_: 255.0 or 1.0 where the features are pixels, else None.
    mean_, scale_: float64 (n_features_in_,) of other features, else None.
    network_: the trained PyTorch module, on the CPU.
    """

    def __init__(
        self,
        net: str = "fast",
        *,
        epochs: float | None = None,
        batch: int | None = None,
        optimiser: str | None = None,
        learning_rate: float | None = None,
        weight_decay: float | None = None,
        width: int | None = None,
        dropout: float | None = None,
        augmentation: str | None = None,
        label_smoothing: float | None = None,
        patience: int | None = None,
        device: str | None = None,
        seed: int | None = None,
        settings: dict[str, Any] | None = None,
    ) -> None:
        self.net = net
        self.epochs = epochs
        self.batch = batch
        self.optimiser = optimiser
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.width = width
        self.dropout = dropout
        self.augmentation = augmentation
        self.label_smoothing = label_smoothing
        self.patience = patience
        self.device = device
        self.seed = seed
        self.settings = settings

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:  # noqa: N803
        """Train the network anew.

        Parameters
        ----------
        X: numbers (N, n_features), or images (N, 28, 28).
        y: labels (N,), numbers or names.

        Raises InputError for settings that do not fit the network or the data, and where a training diverged;
        ValueError, as every estimator does, for arrays that are not samples and labels.
        """
        settings = self._settings()
        rows, y = validate_data(self, _rows(X), y)
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        self._look_at(rows, settings)
        samples = Tensors(self._tensor(rows), torch.from_numpy(labels.astype(np.int64)))
        train, held = samples, None
        if settings.patience and len(self.classes_) < len(samples):
            count = min(settings.held_out_of(len(samples)), len(samples) - len(self.classes_))
            split = split_in_blocks if settings.split == "blocks" else split_by_class
            train, held = (
                Tensors(samples.inputs[index], samples.labels[index])
                for index in map(torch.from_numpy, split(labels, count, seed=settings.split_seed))
            )
        with torch.random.fork_rng(devices=[]):  # a caller's random numbers are the same, whether it fits or not
            network = zoo.build(settings, inputs=self.n_features_in_, classes=len(self.classes_))
            training = Training(network, train, held, settings)
            training.run()
        if not np.isfinite(training.history[-1].train_loss):
            mend = f"lower it, for instance to {settings.learning_rate / 10:g}"
            found = f"{settings.learning_rate:g}"
            raise InputError("setting learning_rate", "the training diverged", found=found, mend=mend)
        self.network_ = training.network.to("cpu").float().eval()
        self.n_iter_ = len(training.history)
        names = HISTORY if held is not None else HISTORY[:4]
        self.history_ = {name: [float(getattr(row, name)) for row in training.history] for name in names}
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:  # noqa: N803
        """The probability of each class of `classes_`, float64 (N, len(classes_))."""
        check_is_fitted(self)
        rows = validate_data(self, _rows(X), reset=False)
        network = with_views(self.network_, self._settings().views)
        logits = logits_of(network, self._tensor(rows))[:, : len(self.classes_)]
        probabilities: NDArray[np.float64] = torch.softmax(logits.double(), 1).numpy()
        return probabilities

    def predict(self, X: ArrayLike) -> Array:  # noqa: N803
        """The most probable label of each sample, (N,)."""
        best = self.predict_proba(X).argmax(1)  # which says so first if nothing was fitted
        labels: Array = self.classes_[best]
        return labels

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write what was given and what was learnt to one file: numpy's npz, no pickle, whole or not at all.

        Raises InputError for labels or settings that such a file cannot hold, OutputError where it cannot be written.
        """
        check_is_fitted(self)
        names = getattr(self, "feature_names_in_", None)
        about = {
            "format": FORMAT,
            "version": version("inkdigits"),
            "parameters": _plain(self.get_params(deep=False)),
            "n_features_in_": self.n_features_in_,
            "feature_names_in_": None if names is None else names.tolist(),
            "labels_are_objects": self.classes_.dtype.kind == "O",
            "n_iter_": self.n_iter_,
            "history_": self.history_,
            "pixel_range_": self.pixel_range_,
        }
        classes = self.classes_
        if classes.dtype.kind == "O" and all(isinstance(label, str) for label in classes):
            classes = classes.astype(np.str_)
        if classes.dtype.kind not in "biufU":
            expected = "numbers or names"
            raise InputError("labels", "cannot be saved", expected=expected, found=str(classes.dtype))
        arrays: dict[str, Array] = {"classes_": classes}
        if self.mean_ is not None and self.scale_ is not None:
            arrays |= {"mean_": self.mean_, "scale_": self.scale_}
        arrays |= {f"network/{name}": value.numpy() for name, value in self.network_.state_dict().items()}
        try:
            text = json.dumps(about, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise InputError("settings", "cannot be saved", expected="numbers and names", found=str(error)) from error
        with write_whole(path) as file, file.open("wb") as stream:
            np.savez(stream, allow_pickle=False, about=np.array(text), **arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """What `save` wrote. Nothing in the file is run. Raises InputError, or ModelError if it is something else."""
        file = Path(path)
        try:
            with zipfile.ZipFile(file) as archive:
                if sum(item.file_size for item in archive.infolist()) > MOST_BYTES:
                    raise ValueError(f"more than {MOST_BYTES:,} bytes")
            with file.open("rb") as stream, np.load(stream, allow_pickle=False) as content:
                arrays = {name: content[name] for name in content.files}
            return cls._of(arrays)
        except FileNotFoundError:
            raise InputError(file, "no such file", expected="a saved classifier") from None
        except OSError as error:
            raise unreadable(file, error) from error
        except (
            ValueError, KeyError, TypeError, AttributeError, RuntimeError, EOFError, MemoryError, RecursionError,
            zipfile.BadZipFile, InkdigitsError,
        ) as error:  # fmt: skip
            found = str(error).partition("\n")[0] or type(error).__name__
            expected = "a file written by DigitClassifier.save"
            raise ModelError(file, "not a saved classifier", expected=expected, found=found) from error

    @classmethod
    def _of(cls, arrays: dict[str, Array]) -> Self:
        about = json.loads(str(arrays.pop("about")))
        if about["format"] != FORMAT:
            raise ValueError(f"format {about['format']!r}")
        self = cls(**about["parameters"])
        classes = arrays.pop("classes_")
        mean, scale = arrays.pop("mean_", None), arrays.pop("scale_", None)
        features, largest = about["n_features_in_"], about["pixel_range_"]
        if classes.ndim != 1 or not classes.size or classes.dtype.kind not in "biufU":
            raise ValueError(f"labels of {classes.dtype} {classes.shape}")
        if largest is None and not all(array is not None and array.shape == (features,) for array in (mean, scale)):
            raise ValueError("features without their mean and scale")
        if largest is not None and (features != PIXELS or largest not in (255, 1)):
            raise ValueError(f"{features} pixels of 0…{largest}")
        self.classes_ = classes.astype(object) if about["labels_are_objects"] else classes
        self.n_features_in_, self.pixel_range_ = features, largest
        self.mean_, self.scale_ = mean, scale
        self.n_iter_, self.history_ = int(about["n_iter_"]), dict(about["history_"])
        if about["feature_names_in_"] is not None:
            self.feature_names_in_ = np.array(about["feature_names_in_"], dtype=object)
        weights = {name.removeprefix("network/"): torch.from_numpy(array).clone() for name, array in arrays.items()}
        with torch.random.fork_rng(devices=[]):
            network = zoo.build(self._settings(), inputs=features, classes=len(classes))
        network.load_state_dict(weights)
        self.network_ = network.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        return self

    def _settings(self) -> Settings:
        more = self.settings if self.settings is not None else {}
        if not isinstance(more, dict):
            found = type(more).__name__
            raise InputError("settings", "not settings by name", expected="a dict or None", found=found)
        named = {name: value for name in NAMED if (value := getattr(self, name)) is not None}
        if twice := sorted({"net", *named} & set(more)):
            raise InputError(f"settings[{twice[0]!r}]", "given twice", mend=f"give {twice[0]} as an argument alone")
        # Out of a grid of numpy's come numpy's numbers.
        return settings_for(self.net, **_plain(more | named))

    def _look_at(self, rows: Array, settings: Settings) -> None:
        """Learn how the features are to be prepared, and find out whether the settings suit them."""
        self.pixel_range_: float | None = None
        self.mean_: NDArray[np.float64] | None = None
        self.scale_: NDArray[np.float64] | None = None
        least, most, count = rows.min(), rows.max(), rows.shape[1]
        if count == PIXELS and least >= 0 and most <= 255:
            self.pixel_range_ = 1.0 if most <= 1 else 255.0
        elif count == PIXELS and settings.net not in zoo.DENSE:
            found, mend = f"{least:g} to {most:g}", "leave the scaling to it"
            raise InputError(settings.net, "reads images", expected="pixels of 0…255 or 0…1", found=found, mend=mend)
        else:
            scaler = StandardScaler().fit(rows)
            self.mean_, self.scale_ = np.asarray(scaler.mean_), np.asarray(scaler.scale_)
        for name, unset in (("augmentation", "none"), ("drawn_forms", 0), ("non_digits", 0), ("views", 1)):
            if getattr(settings, name) == unset:
                continue
            if self.pixel_range_ is None and settings.net in zoo.DENSE:
                found = f"{count} features"
                raise InputError(f"setting {name}", "is for images", expected=f"{PIXELS} pixels", found=found)
            if name in ("drawn_forms", "non_digits") and not np.array_equal(self.classes_, np.arange(CLASSES)):
                found = f"{len(self.classes_)} labels, {self.classes_[0]!s} to {self.classes_[-1]!s}"
                raise InputError(f"setting {name}", "is for digits", expected="the labels 0…9", found=found)

    def _tensor(self, rows: Array) -> torch.Tensor:
        """Samples as the network takes them: images of 0…255, or standardised features."""
        if self.mean_ is not None and self.scale_ is not None:
            return torch.from_numpy(((rows - self.mean_) / self.scale_).astype(np.float32))
        assert self.pixel_range_ is not None
        least, most = rows.min(), rows.max()
        # Of 0…255 there are images without ink, but none in fractions of the faintest ink.
        if least < 0 or most > self.pixel_range_ or (self.pixel_range_ > 1 >= most and np.any(rows % 1)):
            expected = f"0…{self.pixel_range_:g}, as it was fitted on"
            raise InputError("pixels", "out of range", expected=expected, found=f"{least:g} to {most:g}")
        images = rows if self.pixel_range_ > 1 else rows * 255
        kind = np.float32 if np.any(images % 1) else np.uint8
        return torch.from_numpy(images.reshape(-1, 1, SIDE, SIDE).astype(kind))


def _rows(samples: ArrayLike) -> ArrayLike:
    """Images (N, 28, 28) as rows of pixels; anything else as it is."""
    if getattr(samples, "shape", ())[1:] == (SIDE, SIDE):
        return np.asarray(samples).reshape(-1, PIXELS)
    return samples


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """The same with Python's numbers in place of numpy's."""
    return {
        name: value.item() if isinstance(value, np.generic) else _plain(value) if isinstance(value, dict) else value
        for name, value in values.items()
    }

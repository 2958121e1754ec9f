"""inkdigits reads handwritten digits, and shows how it learnt to.

    >>> import inkdigits
    >>> inkdigits.read("photo.jpg").text
    '407'
    >>> model = inkdigits.load_model("runs/fast-0")
    >>> model.predict(inkdigits.load_digits("mnist:test").images).labels[:5]
    array([7, 2, 1, 0, 4], dtype=uint8)

Names are loaded when they are first used: importing the package loads neither PyTorch nor matplotlib.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .app.serve import serve as serve
    from .digits.dataset import Digits as Digits
    from .digits.describe import describe as data  # noqa: F401
    from .digits.formats import load_digits as load_digits
    from .digits.formats import save_digits as save_digits
    from .errors import InkdigitsError as InkdigitsError
    from .lab.ablate import ablate as ablate
    from .lab.compare import compare as compare
    from .lab.evaluate import evaluate as evaluate
    from .lab.explain import explain as explain
    from .lab.explore.explore import explore as explore
    from .nets.classifier import DigitClassifier as DigitClassifier
    from .nets.convert import export as export
    from .nets.ensemble import ensemble as ensemble
    from .nets.train import train as train
    from .reader.model import Model as Model
    from .reader.model import load_model as load_model
    from .reader.predict import predict as predict
    from .reader.read import Reader as Reader
    from .reader.read import Reading as Reading
    from .reader.read import read as read

__version__ = "0.1.0"

_HOME = {
    "data": "digits.describe:describe",  # a verb is a function of the same name
    "DigitClassifier": "nets.classifier",
    "Digits": "digits.dataset",
    "InkdigitsError": "errors",
    "Model": "reader.model",
    "Reader": "reader.read",
    "Reading": "reader.read",
    "ablate": "lab.ablate",
    "compare": "lab.compare",
    "evaluate": "lab.evaluate",
    "explain": "lab.explain",
    "explore": "lab.explore.explore",
    "ensemble": "nets.ensemble",
    "export": "nets.convert",
    "load_digits": "digits.formats",
    "load_model": "reader.model",
    "predict": "reader.predict",
    "read": "reader.read",
    "save_digits": "digits.formats",
    "serve": "app.serve",
    "train": "nets.train",
}

__all__ = [*_HOME, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'inkdigits' has no attribute {name!r}")
    module, _, attribute = _HOME[name].partition(":")
    value = getattr(import_module(f".{module}", __name__), attribute or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

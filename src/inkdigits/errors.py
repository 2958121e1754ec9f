"""The errors that inkdigits raises, all of them under one root.

    InkdigitsError
    ├── InputError         what was given cannot be used: a file, a source, a picture, a setting
    │   └── ModelError     … it was meant to be a model
    ├── OutputError        what was asked for cannot be written
    ├── ClusterError       other processes or machines did not do what they were given
    └── MissingExtraError       a library that this command needs is not installed

Every message is one line that answers five questions: where, what, what was expected, what was found, how to mend it.

    >>> str(InputError("train.csv, row 3, column 5", "not a pixel", expected="an integer 0…255", found="'256'"))
    "train.csv, row 3, column 5: not a pixel, expected an integer 0…255, found '256'"
"""

from __future__ import annotations

from typing import Any, Self


class InkdigitsError(Exception):
    """The root: catch this to catch everything that inkdigits raises on purpose.

    Parameters
    ----------
    where: the file, row, option or array that the message is about.
    what: what is wrong, in a few words.
    expected, found: the two sides of the disagreement, where there is one.
    mend: what the user can do about it.
    """

    def __init__(
        self,
        where: object,
        what: str,
        *,
        expected: str | None = None,
        found: str | None = None,
        mend: str | None = None,
    ) -> None:
        self.where, self.what = str(where), what
        self.expected, self.found, self.mend = expected, found, mend
        text = f"{self.where}: {what}"
        if expected is not None:
            text += f", expected {expected}"
        if found is not None:
            text += f", found {found}"
        if mend is not None:
            text += f"; {mend}"
        # A file name or a cell may hold anything, a line break included; the message stays one line.
        super().__init__(" ".join(text.splitlines()))

    def at(self, where: object) -> Self:
        """The same error at another place."""
        other = type(self).__new__(type(self))
        InkdigitsError.__init__(other, where, self.what, expected=self.expected, found=self.found, mend=self.mend)
        return other

    def __reduce__(self) -> tuple[Any, ...]:
        return _as_it_was, (type(self), self.args, self.__dict__)  # so that it may cross from process to process


class InputError(InkdigitsError):
    """What was given cannot be used."""


class ModelError(InputError):
    """What was given is not a model that can be applied to digit images."""


class OutputError(InkdigitsError):
    """A result cannot be written where it was asked for."""


class ClusterError(InkdigitsError):
    """The processes, or the machines of a cluster, that were given a share of the work failed at it."""


class MissingExtraError(InkdigitsError):
    """A library that only some commands need is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(what, "needs a library that is not installed", mend=f'pip install "inkdigits[{extra}]"')


def _as_it_was(kind: type[InkdigitsError], arguments: tuple[object, ...], fields: dict[str, Any]) -> InkdigitsError:
    error = kind.__new__(kind, *arguments)
    error.args = arguments
    error.__dict__.update(fields)
    return error

"""Digit files read by the machines of a Ray cluster; one file of answers, the same as one machine writes.

    $ inkdigits predict 'scans/*.csv.gz' -m runs/first -o answers.csv --ray 10.0.0.7:6379

Ray Data runs it: tasks that read, each a file at a time, by the same readers as everywhere; tasks that ask the model,
which each worker process opens once; and this process, to which the answers come in the order of the rows, and which
numbers, writes and checks them. What a machine that fails was doing is done again by others.
"""

from __future__ import annotations

import logging
import os
import pickle
import socket
import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import __version__
from ..digits.dataset import Digits
from ..digits.formats import Source, file_of
from ..errors import ClusterError, InkdigitsError, InputError
from ..lab.cluster import connect, failed, need_ray
from ..reader.model import MODEL_FILE, Model, load_model
from ..reader.predict import Answers, Submission, Work, ask, chunks_after, predict, shares_of

# Of a processor: to take a row from its file costs about a third of what the model does with it.
READING, ANSWERING = 0.25, 0.75
BLOCK = 16 << 20  # bytes that a task hands on at once: five chunks of pixels
MOST_TASKS = 1_000  # that read; where there are more files, each reads several

Batch = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Share:
    """A source for a task to read, as every machine finds it; its number among all, and the rows to leave out."""

    number: int
    source: Source
    skip: int


@dataclass(frozen=True, eq=False)
class Chunk:
    """Some digits on their way from the task that read them to a worker; the first three as `Answers` has them."""

    source: int
    row: int
    share: float
    digits: Digits


@dataclass(frozen=True, eq=False)
class Failure:
    """What was wrong with a source, in its place among the digits."""

    source: int
    error: InkdigitsError


@dataclass(frozen=True, eq=False)
class Recipe:
    """What a worker opens its model with."""

    path: str  # of the file here
    content: bytes
    input_scale: str | None
    hashes: NDArray[np.uint64] | None
    version: str


# The model of this process and the recipe that it was opened with, by the recipe's digest.
_opened: dict[str, tuple[Model, Recipe]] = {}


def predict_on_ray(source: Source | Sequence[Source], *, ray: str, **options: Any) -> Submission:
    """`predict`, by the processors of a Ray cluster.

    Parameters
    ----------
    source: as for `predict`; every machine of the cluster must find a file at the same place.
    ray: the cluster's address, `auto` for the one that this machine belongs to, or `local` to start one on it.
    options: those of `predict`, without `threads`.

    Raises what `predict` raises; MissingExtraError without Ray, InputError where no cluster answers, ClusterError where
    it gives up, after which `resume` goes on.
    """
    if options.get("threads") is not None:
        raise InputError("--threads", "cannot be used with --ray", mend="leave it out: each worker has a processor")
    need_ray(ray)
    return predict(source, engine=partial(answers_of, ray), **options)


def answers_of(address: str, work: Work) -> Generator[Answers]:
    """The engine of a cluster. Raises ClusterError where it gives up, InputError as the readers do."""
    shares = shares_of(work.sources)
    left = [
        Share(number, _from_anywhere(source), work.row if number == work.source else 0)
        for number, source in enumerate(work.sources)
        if number >= work.source
    ]
    model = work.model
    content = model.path.read_bytes()
    recipe = Recipe(str(model.path), content, model.input_scale, work.hashes, __version__)
    with _cluster(address):
        for found in _through_ray(left, recipe):
            if isinstance(found, Failure):
                raise _as_given(found.error, work.sources[found.source])
            yield replace(found, share=shares(found.source, found.share))


@contextmanager
def _cluster(address: str) -> Iterator[None]:
    """A connection to a cluster, ended with the block; what Ray raises is said in our words."""
    import ray

    joined = ray.is_initialized()
    connect(address)
    try:
        yield
    except ray.exceptions.RayError as error:
        raise failed(f"--ray {address}", error) from error
    finally:
        if not joined:
            ray.shutdown()


def _through_ray(shares: list[Share], recipe: Recipe) -> Iterator[Answers | Failure]:
    import ray
    from ray.data import DataContext, from_items

    context = DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    context.target_max_block_size = BLOCK
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # what fails is raised, and said once
    items = [{"packed": pickle.dumps(share)} for share in shares]
    ask_model: Any = _ask  # whose signature is not one of those that Ray declares
    answers = (
        from_items(items, override_num_blocks=min(len(items), MOST_TASKS))
        .map_batches(_read, batch_size=1, num_cpus=READING)
        .map_batches(
            ask_model,
            fn_args=(sha256(pickle.dumps(recipe)).hexdigest(), ray.put(recipe)),
            batch_size=1,
            num_cpus=ANSWERING,
        )
    )
    for row in answers.iter_rows():
        yield pickle.loads(row["packed"])


def _read(batch: Batch) -> Iterator[Batch]:
    """A task: the digits of a source, some at a time; what is wrong with it stands in its place."""
    share: Share = pickle.loads(batch["packed"][0])
    try:
        try:
            file_of(share.source)
        except InputError as error:
            where, mend = f"{error.where} on {socket.gethostname()}", "every machine must find it at the same place"
            raise InputError(where, error.what, expected=error.expected, found=error.found, mend=mend) from error
        for row, part, digits in chunks_after(share.source, share.skip):
            yield _packed(Chunk(share.number, row, part, digits))
    except InkdigitsError as error:
        yield _packed(Failure(share.number, error))


def _ask(batch: Batch, digest: str, recipe: Any) -> Batch:
    """A task: what the model says of some digits. `recipe` is Ray's reference to one with this `digest`."""
    chunk: Chunk | Failure = pickle.loads(batch["packed"][0])
    if isinstance(chunk, Failure):
        return batch
    if digest not in _opened:
        import ray

        told: Recipe = ray.get(recipe)
        try:
            model = _open(told)
        except InkdigitsError as error:
            return _packed(Failure(chunk.source, error))
        _opened.clear()
        _opened[digest] = model, told
    model, told = _opened[digest]
    try:
        answers = ask(model, told.hashes, chunk.digits, source=chunk.source, row=chunk.row, share=chunk.share)
    except InkdigitsError as error:
        return _packed(Failure(chunk.source, error.at(error.where.replace(str(model.path), told.path))))
    return _packed(answers)


def _open(recipe: Recipe) -> Model:
    if recipe.version != __version__:
        expected, where = f"inkdigits {recipe.version}", socket.gethostname()
        mend = "install the same version on every machine"
        raise ClusterError(where, "has another version", expected=expected, found=__version__, mend=mend)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / MODEL_FILE
        file.write_bytes(recipe.content)
        return load_model(file, threads=1, input_scale=recipe.input_scale)


def _packed(found: Chunk | Answers | Failure) -> Batch:
    # As one object: numpy would take bytes for text that ends where its zeros begin.
    packed = np.empty(1, dtype=object)
    packed[0] = pickle.dumps(found)
    return {"packed": packed}


def _from_anywhere(source: Source) -> Source:
    """A source by a name that does not depend on where a process happens to be."""
    if isinstance(source, str | os.PathLike) and file_of(source) is not None:
        return str(Path(source).absolute())
    return source


def _as_given(error: InkdigitsError, given: Source) -> InkdigitsError:
    """The same error about the source by the name that the user gave it."""
    if not isinstance(given, str | os.PathLike) or Path(given).is_absolute():
        return error
    return error.at(error.where.replace(f"{Path.cwd()}{os.sep}", ""))

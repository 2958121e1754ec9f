"""Files of digit images in, of any size; a submission file out.

$ inkdigits predict test.csv -m runs/kaggle -o submission.csv
28,000 digits from test.csv read by kaggle; submission.csv written and checked

Reading, the model and writing go on side by side, a few thousand digits at a time, and nothing of them is kept: memory
does not grow with the file. What was interrupted can be gone on with.
"""

from __future__ import annotations

import csv
import os
import queue
import threading
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..digits.dataset import PIXELS, Digits, data_hash, overlap
from ..digits.files import is_device, write_whole
from ..digits.formats import Source, file_of, load_digits
from ..digits.partial import write_on
from ..digits.stream import stream_digits
from ..digits.table import answers_to_parquet
from ..errors import InputError, OutputError
from .model import Model, Predictions, load_model

HEADER = ["ImageId", "Label"]  # as Kaggle's Digit Recognizer wants it
DETAILS = ["Confidence", "Novelty", "Refused"]
AHEAD = 2  # chunks that are read before the model asks for them
PARQUET = ".parquet"
NAMED = 3  # sources that are named, where there are more
DIGITS = frozenset("0123456789")

T = TypeVar("T")
Marks = NDArray[np.bool_] | None  # a mark for each digit; None where that cannot be said


@dataclass(frozen=True, eq=False)
class Work:
    """What is to be read by what.

    Attributes
    ----------
    model: the open model; hashes: fingerprints of what it was trained on, or None.
    sources: in their order. source, row: where to begin: at which of them, after how many of its digits.
    """

    model: Model
    hashes: NDArray[np.uint64] | None
    sources: Sequence[Source]
    source: int = 0
    row: int = 0


@dataclass(frozen=True, eq=False)
class Answers:
    """What a model says of some digits that follow one another in one source.

    Attributes
    ----------
    source, row: in which of the sources they are, and how many digits of it have been read with them.
    share: of the bytes of all sources, 0…1.
    labels: uint8 (N,) as the source has them, or None.
    said: the answers. refused, seen: which of them the model would rather not give, and which digits it was trained on.
    """

    source: int
    row: int
    share: float
    labels: NDArray[np.uint8] | None
    said: Predictions
    refused: Marks
    seen: Marks


Engine = Callable[[Work], Generator[Answers]]


@dataclass
class Counts:
    """What is counted as the digits go by. `None` until something of the kind is known."""

    n: int = 0
    source: int = 0  # the last of the sources that was read in, and how many of its digits
    row: int = 0
    refused: int | None = None
    overlap: int | None = None
    labelled: int = 0
    right: int = 0
    fresh: int = 0  # labelled digits that were not trained on
    fresh_right: int = 0
    checksum: int = 0  # CRC-32 of the answers, a character each

    def add(self, answers: Answers) -> None:
        labels, said, refused, seen = answers.labels, answers.said, answers.refused, answers.seen
        self.n += len(said.labels)
        self.source, self.row = answers.source, answers.row
        self.checksum = zlib.crc32((said.labels + ord("0")).tobytes(), self.checksum)
        if refused is not None:
            self.refused = (self.refused or 0) + int(refused.sum())
        if seen is not None:
            self.overlap = (self.overlap or 0) + int(seen.sum())
        if labels is not None:
            right = said.labels == labels
            fresh = np.ones(len(labels), bool) if seen is None else ~seen
            self.labelled += len(labels)
            self.right += int(right.sum())
            self.fresh += int(fresh.sum())
            self.fresh_right += int((right & fresh).sum())


@dataclass(frozen=True, eq=False)
class Submission:
    """What `predict` gives back.

    Attributes
    ----------
    n: how many digits were read.
    predictions: the model's answer for each digit, in the order of the rows; None where they went into a file.
    output: the file written, or None.
    model: the model's name; input_scale: how a foreign one is given its pixels, or None.
    source: where the digits came from.
    refused: how many images the model would rather not have answered, or None if it cannot say.
    overlap: how many of the images the model was trained on, or None where that is not known.
    accuracy, accuracy_without_overlap: where all sources have labels, on all digits and on those not trained on.
    """

    n: int
    predictions: Predictions | None
    output: Path | None
    model: str
    input_scale: str | None
    source: str
    refused: int | None
    overlap: int | None
    accuracy: float | None
    accuracy_without_overlap: float | None

    def as_dict(self) -> dict[str, Any]:
        """What `--json` prints: everything but the predictions."""
        return {
            "source": self.source,
            "model": self.model,
            "input_scale": self.input_scale,
            "output": None if self.output is None else str(self.output),
            "n": self.n,
            "refused": self.refused,
            "overlap": self.overlap,
            "accuracy": self.accuracy,
            "accuracy_without_overlap": self.accuracy_without_overlap,
        }

    def text(self) -> str:
        """What the command says on stderr."""
        written = f"; {self.output} written and checked" if self.output else ""
        if self.input_scale:
            written += f" (a foreign model, given its pixels scaled as {self.input_scale!r})"
        lines = [f"{self.n:,} digits from {self.source} read by {self.model}{written}"]
        if self.refused:
            lines.append(f"{self.refused:,} of them it would refuse, as unsure or unlike a digit; --details marks them")
        if self.accuracy is not None:
            lines.append(f"{self.accuracy:.2%} agree with the labels in the file")
        if self.overlap:
            share = f" ({self.overlap / self.n:.1%})"
            lines.append(
                f"warning: {self.overlap:,} of these images{share} are among those that {self.model} was trained on"
            )
            if self.accuracy_without_overlap is not None:
                lines.append(f"without them {self.accuracy_without_overlap:.2%} agree")
        return "\n".join(lines)


def predict(
    source: Source | Sequence[Source],
    *,
    model: str | os.PathLike[str] | Model = "reader",
    output: str | os.PathLike[str] | None = None,
    details: bool = False,
    resume: bool = False,
    threads: int | None = None,
    input_scale: str | None = None,
    say: Callable[[str], None] = lambda line: None,
    watch: Callable[[int, float], None] = lambda rows, share: None,
    engine: Engine | None = None,
) -> Submission:
    """Read every digit of one source, or of several in their order, and write `ImageId,Label`.

    Parameters
    ----------
    source: any source of digits; of `mnist` the test part. A name with `*`, `?` or `[` is a pattern if there is no such
        file, and means the files that match, sorted by name.
    model: a run folder, an `.onnx` file, the name of a shipped model, or an open one.
    output: the CSV to write, or a `.parquet` file; ids count from 1 in the order of the rows, through all sources;
        lines end in LF. Without it the answers are kept and given back.
    details: also write confidence, novelty (empty where the model does not say) and whether it refuses.
    resume: go on with an `output` that was interrupted, with the same sources, model and details.
    threads, input_scale: as for `load_model`.
    say: where talk goes. watch: told, now and then, how many digits are done and which share of all.
    engine: what reads the sources and asks the model; threads of this process unless given.

    Raises InputError for an unusable source or model, or for nothing that could be gone on with; OutputError if the
    file cannot be written or reads back wrong.
    """
    opened = load_model(model, threads=threads, input_scale=input_scale)
    path = None if output is None else Path(output)
    sources = _sources(source)
    for given in (opened.path, *sources):
        if path is not None and isinstance(given, str | os.PathLike) and _is_same_file(path, Path(given)):
            raise OutputError(path, "is what is read", expected="another file", mend="choose another -o")
    if resume and (path is None or is_device(path)):
        raise InputError("--resume", "goes on with a file", expected="-o FILE", mend="name the file")
    hashes, counts = opened.training_hashes(), Counts()
    kept: list[Predictions] = []

    def answers(counts: Counts) -> Iterator[Answers]:
        work = Work(opened, hashes, sources, counts.source, counts.row)
        with closing((engine or answers_here)(work)) as found:
            for some in found:
                counts.add(some)
                watch(counts.n, some.share)
                yield some

    if path is None:
        kept = [some.said for some in answers(counts)]
    elif is_device(path):
        with write_whole(path) as file, file.open("wb") as sink:
            sink.writelines(_lines(answers(counts), details))
    else:
        told = {
            "sources": [_identity(one) for one in sources],
            "model": blake2b(opened.path.read_bytes(), digest_size=16).hexdigest(),
            "input scale": opened.input_scale,
            "details": details,
        }
        convert = answers_to_parquet if path.suffix.lower() == PARQUET else None
        with write_on(path, told=told, resume=resume, convert=convert) as growing:
            counts = Counts(**growing.state)
            if counts.n:
                say(f"{path}: going on after {counts.n:,} digits")
            try:
                for lines in _lines(answers(counts), details, counts.n if growing.size else None):
                    growing.write(lines)
                    growing.commit(asdict(counts))
            except KeyboardInterrupt:
                say(f"stopped; the same command with --resume goes on with {path}")
                raise
            growing.flush()
            check_submission(growing.path, counts)
    labelled = counts.labelled == counts.n
    names = [_named(one) for one in sources[:NAMED]]
    return Submission(
        n=counts.n,
        predictions=_joined(kept) if path is None else None,
        output=path,
        model=opened.name,
        input_scale=opened.input_scale,
        source=", ".join(names) + (f" and {len(sources) - NAMED} more" if len(sources) > NAMED else ""),
        refused=counts.refused,
        overlap=counts.overlap,
        accuracy=counts.right / counts.n if labelled else None,
        accuracy_without_overlap=counts.fresh_right / counts.fresh if labelled and counts.fresh else None,
    )


def _sources(source: Source | Sequence[Source]) -> list[Source]:
    """The sources that are meant, patterns resolved. Raises InputError for none, or a pattern that nothing matches."""
    given: list[Source] = list(source) if isinstance(source, list | tuple) else [source]  # type: ignore[list-item]
    found: list[Source] = []
    for one in given:
        if not isinstance(one, str) or os.path.lexists(one) or not set("*?[").intersection(one):
            found.append(one)
            continue
        pattern = Path(one)
        matching = sorted(map(str, Path(pattern.anchor).glob(str(pattern.relative_to(pattern.anchor)))))
        if not matching:
            raise InputError(one, "no such file", expected="a file, or a pattern that some file matches")
        found.extend(matching)
    if not found:
        raise InputError("source", "none given", expected="one or more")
    # Whatever is not there is said before the work, not in the midst of it.
    for one in found:
        file_of(one)
    return found


def _named(source: Source) -> str:
    return source.source if isinstance(source, Digits) else "array" if isinstance(source, np.ndarray) else str(source)


def _identity(source: Source) -> str:
    """What tells whether a source is the one that an interrupted command read: of a file name, size and time."""
    file = file_of(source)
    if file is None:
        return _named(source) if isinstance(source, str) else data_hash(load_digits(source))
    about = file.stat()
    return f"{source} ({about.st_size:,} bytes, {about.st_mtime_ns})"


def _size(source: Source) -> int:
    """About how large a source is beside others, never 0: bytes of a file, otherwise pixels."""
    file = file_of(source)
    if file is None:
        return 10_000 * PIXELS if isinstance(source, str) else len(load_digits(source)) * PIXELS
    return max(1, file.stat().st_size)


def answers_here(work: Work) -> Generator[Answers]:
    """The engine of one machine: a thread reads ahead while the model answers."""
    with closing(_ahead(_chunks(work))) as chunks:
        for number, row, share, digits in chunks:
            yield ask(work.model, work.hashes, digits, source=number, row=row, share=share)


def ask(
    model: Model, hashes: NDArray[np.uint64] | None, digits: Digits, *, source: int, row: int, share: float
) -> Answers:
    """What the model says of some digits; the rest is as `Answers` has it."""
    said = model.predict(digits.images)
    seen = None if hashes is None else overlap(digits.images, hashes)
    return Answers(source, row, share, digits.labels, said, model.refused(said), seen)


def _chunks(work: Work) -> Iterator[tuple[int, int, float, Digits]]:
    """The digits that are left, some at a time: which source, rows of it so far, the share of all, the digits."""
    shares = shares_of(work.sources)
    for number in range(work.source, len(work.sources)):
        skip = work.row if number == work.source else 0
        for row, share, digits in chunks_after(work.sources[number], skip):
            yield number, row, shares(number, share), digits


def chunks_after(source: Source, skip: int) -> Iterator[tuple[int, float, Digits]]:
    """The digits of a source after the first `skip`: rows of it so far, its share that has been read, the digits."""
    row = 0
    for chunk in stream_digits(source, part="test"):
        row += len(chunk.digits)
        if row > skip:
            yield row, chunk.share, chunk.digits.take(slice(max(0, skip - row + len(chunk.digits)), None))


def shares_of(sources: Sequence[Source]) -> Callable[[int, float], float]:
    """What turns the number of a source, and a share of it, into the share of all of them."""
    sizes = np.array([_size(source) for source in sources], float)
    starts = np.cumsum(sizes) - sizes
    return lambda number, share: float((starts[number] + share * sizes[number]) / sizes.sum())


def _ahead(items: Iterator[T]) -> Generator[T]:
    """The same items, made by a thread of their own up to AHEAD before they are asked for."""
    waiting: queue.Queue[tuple[T | None, BaseException | None, bool]] = queue.Queue(AHEAD)
    stopped = threading.Event()

    def put(*item: Any) -> None:
        while not stopped.is_set():
            try:
                waiting.put(item, timeout=0.1)
            except queue.Full:
                continue
            return

    def make() -> None:
        try:
            for item in items:
                put(item, None, False)
                if stopped.is_set():
                    return
        except BaseException as error:
            put(None, error, True)
        else:
            put(None, None, True)

    thread = threading.Thread(target=make, daemon=True, name="reading")
    thread.start()
    try:
        while True:
            item, error, is_last = waiting.get()
            if error is not None:
                raise error
            if is_last:
                return
            yield item  # type: ignore[misc]
    finally:
        stopped.set()
        thread.join()


def _joined(parts: list[Predictions]) -> Predictions:
    columns = [[part.probabilities for part in parts], [part.novelty for part in parts if part.novelty is not None]]
    return Predictions(np.concatenate(columns[0]), np.concatenate(columns[1]) if columns[1] else None)


def _lines(answers: Iterable[Answers], details: bool, rows: int | None = None) -> Iterator[bytes]:
    """The text of a submission in pieces; without a `rows` from the header on, else behind so many rows."""
    if rows is None:
        yield (",".join(HEADER + (DETAILS if details else [])) + "\n").encode("ascii")
    done = rows or 0
    for some in answers:
        yield "".join(_rows(some.said, some.refused, done + 1, details)).encode("ascii")
        done += len(some.said.labels)


def _rows(predictions: Predictions, refused: Marks, first: int, details: bool) -> Iterator[str]:
    labels = predictions.labels.tolist()
    if not details:
        yield from (f"{number},{label}\n" for number, label in enumerate(labels, first))
        return
    nothing = [""] * len(labels)
    novelty = nothing if predictions.novelty is None else [f"{value:.4f}" for value in predictions.novelty.tolist()]
    marks = nothing if refused is None else [str(int(mark)) for mark in refused.tolist()]
    rows = zip(labels, predictions.confidence.tolist(), novelty, marks, strict=True)
    for number, (label, confidence, strange, mark) in enumerate(rows, first):
        yield f"{number},{label},{confidence:.4f},{strange},{mark}\n"


def check_submission(path: Path, counts: Counts) -> None:
    """Read the file back: header, number of rows, ids in order, labels 0…9 and the ones that were meant.

    Raises OutputError where it is not so.
    """
    with path.open(encoding="ascii", newline="") as text:
        rows = csv.reader(text)
        header = next(rows, [])
        if header[:2] != HEADER:
            raise OutputError(path, "reads back wrong", expected=",".join(HEADER), found=",".join(header))
        number = checksum = 0
        for number, row in enumerate(rows, 1):
            if row[0] != str(number) or len(row) < 2 or row[1] not in DIGITS:
                found = ",".join(row[:2])
                raise OutputError(path, "reads back wrong", expected=f"{number} and a digit", found=found)
            checksum = zlib.crc32(row[1].encode(), checksum)
    if (number, checksum) != (counts.n, counts.checksum):
        found = f"{number:,} rows" + (" with other labels" if number == counts.n else "")
        raise OutputError(path, "reads back wrong", expected=f"{counts.n:,} rows", found=found)


def _is_same_file(first: Path, second: Path) -> bool:
    try:
        return first.samefile(second)
    except (OSError, ValueError):
        return False

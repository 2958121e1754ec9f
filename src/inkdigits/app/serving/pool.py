"""A bounded queue and the threads that empty it; small requests that wait together are answered together.

    pool = Pool(threads=2, longest=256, most=128)
    answer = await pool.answer(double, 21, size=1, seconds=30)      # double([21]) -> [42], in a thread

Nothing waits for company: a thread takes what is there. With little to do that is one request, under load many.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

Do = Callable[[Sequence[Any]], Sequence[Any]]


class BusyError(Exception):
    """The queue is full, or the server is about to stop."""


class LateError(Exception):
    """It took too long."""


@dataclass(eq=False)
class _Work:
    do: Do
    ask: Any
    size: int
    accepted: float
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop


class Pool:
    """Threads that answer what coroutines ask.

    Parameters
    ----------
    threads: of which all but one, if there are several, may be busy with large work at once, so that small is not
        kept waiting.
    longest: pieces of work that may wait; the next is refused with BusyError.
    most: images that are answered together; a piece of work with more is large, and answered alone.
    watch: told how many pieces of work each call answered.
    """

    def __init__(self, *, threads: int, longest: int, most: int, watch: Callable[[int], None] | None = None) -> None:
        self._longest, self._most, self._watch = longest, most, watch
        self._small: deque[_Work] = deque()
        self._large: deque[_Work] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._busy_with_large, self._most_large = 0, max(1, threads - 1)
        names = (f"reader-{number}" for number in range(threads))
        self._threads = [threading.Thread(target=self._run, name=name, daemon=True) for name in names]
        for thread in self._threads:
            thread.start()

    def __len__(self) -> int:
        """How many pieces of work wait."""
        return len(self._small) + len(self._large)

    @property
    def open(self) -> bool:
        """Whether more would be accepted."""
        return not self._closed and len(self) < self._longest

    async def answer(self, do: Do, ask: Any, *, size: int, seconds: float) -> Any:
        """What `do` says to `ask`.

        Parameters
        ----------
        do: takes what several requests ask, gives as many answers in the same order; an exception among them is raised
            to the one who asked. Called in a thread.
        size: images in it.
        seconds: after which LateError is raised; work that has not begun by then is left.
        """
        loop = asyncio.get_running_loop()
        work = _Work(do, ask, size, time.monotonic(), loop.create_future(), loop)
        with self._changed:
            if not self.open:
                raise BusyError
            (self._small if size <= self._most else self._large).append(work)
            self._changed.notify()
        try:
            async with asyncio.timeout(seconds):
                return await work.future
        except TimeoutError:
            raise LateError from None

    def close(self) -> None:
        """Accept nothing more, finish what was accepted, end the threads."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while batch := self._next():
            if self._watch:
                self._watch(len(batch))
            try:
                answers = batch[0].do([work.ask for work in batch])
            except Exception as error:  # whatever it is, somebody waits for an answer
                answers = [error] * len(batch)
            if batch[0].size > self._most:
                with self._changed:
                    self._busy_with_large -= 1
                    self._changed.notify()
            with suppress(RuntimeError):  # the loop is closed, and nobody waits any more
                batch[0].loop.call_soon_threadsafe(_tell, batch, list(answers))

    def _next(self) -> list[_Work]:
        """What to do next; nothing when it is time to end."""
        with self._changed:
            while True:
                for waiting in (self._small, self._large):
                    while waiting and waiting[0].future.done():  # nobody waits for it any more
                        waiting.popleft()
                large_may = bool(self._large) and self._busy_with_large < self._most_large
                if self._small and not (large_may and self._large[0].accepted < self._small[0].accepted):
                    return self._small_ones()
                if large_may:
                    self._busy_with_large += 1
                    return [self._large.popleft()]
                if self._closed and not len(self):
                    return []
                self._changed.wait()

    def _small_ones(self) -> list[_Work]:
        batch = [self._small.popleft()]
        room = self._most - batch[0].size
        while self._small and self._small[0].do == batch[0].do and self._small[0].size <= room:
            work = self._small.popleft()
            if not work.future.done():
                room -= work.size
                batch.append(work)
        return batch


def _tell(batch: list[_Work], answers: list[Any]) -> None:
    for work, answer in zip(batch, answers, strict=True):
        if work.future.done():
            continue
        if isinstance(answer, Exception):
            work.future.set_exception(answer)
        else:
            work.future.set_result(answer)

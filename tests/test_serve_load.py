"""Under load, and when something goes wrong inside: what was accepted is answered right, nothing leaks out."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Any

import numpy as np
import pytest
from serving import asked, npy, png_of, post, problem, still_reads

from inkdigits.app.serving.settings import Limits, Settings
from inkdigits.digits.dataset import Digits
from inkdigits.reader.read import Reader


class Slow:
    """A reader that waits for a sign before it reads."""

    def __init__(self, reader: Reader) -> None:
        self.reader, self.model, self.go, self.calls = reader, reader.model, threading.Event(), []

    def read(self, *_: Any, **options: Any) -> Any:
        self.go.wait(60)
        return self.reader.read(*_, **options)

    def read_many(self, pictures: list[Any], options: Any) -> Any:
        self.go.wait(60)
        self.calls.append(len(pictures))
        return self.reader.read_many(pictures, options)


def wait_for(condition: Any) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def in_threads(count: int, ask: Any) -> tuple[list[threading.Thread], list[Any]]:
    answers: list[Any] = []
    threads = [threading.Thread(target=lambda: answers.append(ask())) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads, answers


def test_a_full_queue_refuses_at_once_and_what_it_accepted_is_answered_right(reader: Reader, png: bytes) -> None:
    slow = Slow(reader)
    with asked(slow, Settings(Limits(waiting=3, open_per_client=99, open_requests=99), threads=1)) as client:  # type: ignore[arg-type]
        first, _ = in_threads(1, lambda: post(client, png))
        wait_for(lambda: "inkdigits_batch_requests_count 1.0" in client.get("/metrics").text)
        threads, answers = in_threads(11, lambda: post(client, png))
        wait_for(lambda: len(answers) == 8)
        for answer in answers:
            assert "too much to do" in problem(answer, 503)
            assert int(answer.headers["retry-after"]) > 0
        problem(client.get("/readyz"), 503)
        assert client.get("/healthz").status_code == 200
        slow.go.set()
        for thread in [*first, *threads]:
            thread.join()
        assert [answer.json()["readings"][0]["text"] for answer in answers[8:]] == ["7"] * 3
        assert client.get("/readyz").status_code == 200
        assert still_reads(client, png)


def test_small_requests_that_wait_are_answered_together_each_with_its_own(reader: Reader, few: Digits) -> None:
    slow = Slow(reader)
    with asked(slow, Settings(threads=1)) as client:  # type: ignore[arg-type]
        blocked, _ = in_threads(1, lambda: post(client, png_of(few.images[0])))
        wait_for(lambda: "inkdigits_batch_requests_count 1.0" in client.get("/metrics").text)
        said: dict[int, str] = {}

        def ask(index: int) -> None:
            said[index] = post(client, png_of(few.images[index])).json()["readings"][0]["text"]

        threads = [threading.Thread(target=ask, args=(index,)) for index in range(10)]
        for thread in threads:
            thread.start()
        wait_for(lambda: "inkdigits_waiting 10.0" in client.get("/metrics").text)
        slow.go.set()
        for thread in [*blocked, *threads]:
            thread.join()
    assert slow.calls == [1, 10]
    assert [said[index] for index in range(10)] == [str(label) for label in few.labels[:10]]


def test_what_takes_too_long_is_given_up_with_503(reader: Reader, png: bytes) -> None:
    slow = Slow(reader)
    with asked(slow, Settings(Limits(seconds=0.2), threads=1)) as client:  # type: ignore[arg-type]
        answer = post(client, png)
        assert "0.2 seconds" in problem(answer, 503)
        slow.go.set()


def test_one_address_may_not_take_all_there_is(reader: Reader, png: bytes) -> None:
    slow = Slow(reader)
    with asked(slow, Settings(Limits(open_per_client=2), threads=1)) as client:  # type: ignore[arg-type]
        threads, answers = in_threads(5, lambda: post(client, png))
        wait_for(lambda: len(answers) == 3)
        for answer in answers:
            problem(answer, 429)
            assert int(answer.headers["retry-after"]) > 0
        slow.go.set()
        for thread in threads:
            thread.join()
        assert {answer.status_code for answer in answers[3:]} == {200}


def test_all_together_may_not_ask_more_than_is_held_open(reader: Reader, png: bytes) -> None:
    with asked(reader, Settings(Limits(open_requests=0))) as client:
        problem(post(client, png), 503)
        assert client.get("/healthz").status_code == 200


def test_what_fails_unforeseen_is_said_without_its_words_and_spoils_nothing_else(
    reader: Reader, png: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Slow):
        def read_many(self, *_: Any, **__: Any) -> Any:
            raise RuntimeError("a secret of the picture")

        read = read_many

    with asked(Broken(reader)) as client:  # type: ignore[arg-type]
        problem(post(client, png), 500)
        assert client.get("/healthz").status_code == 200
    assert "RuntimeError" in caplog.text
    assert "secret" not in caplog.text


def test_the_log_has_nothing_of_what_was_sent(reader: Reader, png: bytes, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with asked(reader, Settings(log=True)) as client:
        client.post("/v1/read?one=secret", files=[("file", ("secret.png", png))])
        client.get("/secret")
        client.request("SECRET", "/v1/read")
    assert "POST /v1/read 422" in caplog.text
    assert (
        "secret"
        not in "\n".join(each.getMessage() for each in caplog.records if each.name == "inkdigits.serve").lower()
    )


def test_what_is_sent_is_never_written_to_a_file(reader: Reader, few: Digits) -> None:
    written: list[object] = []
    watching = True

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if watching and event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            written.append(arguments[0])

    noise = np.random.default_rng(0).integers(0, 256, (1500, 1500), np.uint8)
    with asked(reader) as client:
        sys.addaudithook(watch)  # which cannot be taken away again
        try:
            files = [("file", ("a.png", png_of(noise))), ("file", ("b.png", png_of(few.images[0])))]
            assert client.post("/v1/read", files=files).status_code == 200
            assert post(client, npy(few.images), "application/octet-stream", "/v1/digits").status_code == 200
        finally:
            watching = False
    assert written == []

"""Asks a server at a rate that is held, and says what came back; run by benchmarks/serve.py inside .venv-peers.

    $ .venv-peers/bin/python benchmarks/peers/load.py < plan.json

plan: {"url", "rate" (a second, or null for as fast as it answers), "connections", "seconds", "requests": [{"path",
"headers", "body" (base64), "expected"}]}. The users of Locust ask evenly over time, each of them when the one before is
answered; how late an answer is counts from when it should have been asked. Where the server is slower than the rate all
users wait for it, and fewer are asked: "asked_a_second" is what came through. An answer is right if it is 200 and holds
`expected`. Prints one line of JSON.
"""

from __future__ import annotations

import gevent.monkey

gevent.monkey.patch_all()

import base64  # noqa: E402
import itertools  # noqa: E402
import json  # noqa: E402
import random  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from collections import Counter  # noqa: E402

import gevent  # noqa: E402
from locust import FastHttpUser, task  # noqa: E402
from locust.env import Environment  # noqa: E402

SETTLED = 2.0  # seconds until all users ask; what is asked before that does not count

plan = json.load(sys.stdin)
requests = [dict(each, body=base64.b64decode(each["body"]), expected=each["expected"].encode())
            for each in plan["requests"]]  # fmt: skip
period = plan["connections"] / plan["rate"] if plan["rate"] else 0.0
begin = time.perf_counter() + SETTLED
end = begin + plan["seconds"]
turn = itertools.count(random.randrange(len(requests)))
codes: Counter[str] = Counter()
said: Counter[str] = Counter()
milliseconds: list[float] = []


class User(FastHttpUser):
    host = plan["url"]
    connection_timeout = network_timeout = 30.0

    def on_start(self) -> None:
        self.due = time.perf_counter() + random.random() * max(period, 0.1)

    @task
    def ask(self) -> None:
        if period:
            gevent.sleep(max(0.0, self.due - time.perf_counter()))
        else:
            self.due = time.perf_counter()
        due, self.due = self.due, self.due + period
        request = requests[next(turn) % len(requests)]
        path, headers = request["path"], request["headers"]
        sent = time.perf_counter()
        with self.client.post(path, data=request["body"], headers=headers, catch_response=True) as answer:
            took = 1e3 * (time.perf_counter() - due)
            if begin <= sent < end:
                codes[str(answer.status_code)] += 1
                if answer.status_code == 200:
                    milliseconds.append(took)
                    said["right" if request["expected"] in answer.content else "wrong"] += 1
            answer.success()


environment = Environment(user_classes=[User])
runner = environment.create_local_runner()
runner.start(plan["connections"], spawn_rate=plan["connections"])
gevent.sleep(end - time.perf_counter() + 1)
runner.quit()
ranked = sorted(milliseconds)
share = {name: round(ranked[int(part * (len(ranked) - 1))], 1) for name, part in
         (("p50", 0.5), ("p99", 0.99), ("max", 1.0))} if ranked else {}  # fmt: skip
answered = codes["200"] / plan["seconds"]
print(json.dumps({"answered_a_second": round(answered, 1), "asked_a_second": round(codes.total() / plan["seconds"], 1),
                  "codes": codes, "right": said["right"], "wrong": said["wrong"], "milliseconds": share}))  # fmt: skip

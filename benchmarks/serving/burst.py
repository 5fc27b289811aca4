"""Ten times more requests than the queue holds, by 8 clients as fast as they can, while `/health` is asked.

The clients are those of the standard library: a client of the usual kind takes as much of the processor for a request
as the server does for its answer, and both share one machine here.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from typing import Any, NamedTuple

from benchmarks.serving.line import Line
from benchmarks.serving.places import places
from benchmarks.serving.running import PROMPTS, Running, serving
from fair_diffusion.service.jobs import Jobs

CAP, TIMES, CLIENTS = 60, 10, 8
SLOWEST, HEALTH = 100.0, 50.0
"""Milliseconds of a refusal at most, and of 99 % of the answers of `/health`."""


class Answer(NamedTuple):
    """An answer of the server; `wait` is its Retry-After."""

    status: int
    milliseconds: float
    body: dict[str, Any]
    wait: str | None


def measure(requests: int | None) -> list[Line]:
    """SQLite and PostgreSQL."""
    cap, lines = requests or CAP, []
    with places() as found:
        for name, (url, data) in found.items():
            with serving(url, data, workers=1, most_waiting=cap) as service:
                health, ended = list[float](), threading.Event()
                watching = threading.Thread(target=_watch, args=(service, health, ended))
                watching.start()
                answers = _answers(service, TIMES * cap)
                ended.set()
                watching.join()
                finished = _finished(service, [str(each.body["id"]) for each in answers if each.status == 202])
            refused = [each for each in answers if each.status != 202]
            right = all(each.status in (429, 503) and each.wait for each in refused)
            slowest = max([each.milliseconds for each in refused], default=0.0)
            late = sorted(health)[max(0, int(0.99 * len(health)) - 1)] if health else float("inf")
            accepted = len(answers) - len(refused)
            of = f"{TIMES * cap} requests to a queue of {cap}, {CLIENTS} clients, {name}"
            lines += [
                Line(
                    what=f"slowest refusal of a burst ({of}; {len(refused)} refused)",
                    figure=f"{slowest:.0f} ms" + ("" if right else ", and not each with 429 or 503 and Retry-After"),
                    bar=f"≤ {SLOWEST:g} ms, 429 or 503, Retry-After",
                    meets=bool(refused) and right and slowest <= SLOWEST,
                ),
                Line(
                    what=f"accepted requests of the burst that finish ({name})",
                    figure=f"{finished} of {accepted}",
                    bar="all",
                    meets=finished == accepted,
                ),
                Line(
                    what=f"99 % of the answers of `/health` meanwhile ({name}, {len(health)} answers)",
                    figure=f"≤ {late:.0f} ms",
                    bar=f"≤ {HEALTH:g} ms",
                    meets=late <= HEALTH,
                ),
            ]
    return lines


def _answers(service: Running, requests: int) -> list[Answer]:
    """The answers to so many requests."""
    numbers = iter(range(requests))

    def client(_: int) -> Iterator[Answer]:
        with _connection(service) as own:
            for k in numbers:  # the next one that no other client has taken
                asked = {"prompt": PROMPTS[k % len(PROMPTS)], "fairness": {"steps": 2}}
                yield _answer(own, service.secret, "/v1/jobs", asked)

    with ThreadPoolExecutor(CLIENTS) as pool:
        return [each for found in pool.map(lambda k: list(client(k)), range(CLIENTS)) for each in found]


def _connection(service: Running) -> closing[HTTPConnection]:
    return closing(HTTPConnection(service.address.removeprefix("http://"), timeout=600))


def _answer(connection: HTTPConnection, secret: str, path: str, asked: dict[str, Any] | None = None) -> Answer:
    start = time.perf_counter()
    headers = {"authorization": f"Bearer {secret}", "content-type": "application/json"}
    connection.request("GET" if asked is None else "POST", path, json.dumps(asked) if asked else None, headers)
    found = connection.getresponse()
    body = json.loads(found.read())
    return Answer(found.status, 1000 * (time.perf_counter() - start), body, found.headers["retry-after"])


def _watch(service: Running, took: list[float], ended: threading.Event) -> None:
    with _connection(service) as own:
        while not ended.wait(0.02):
            answer = _answer(own, service.secret, "/health")
            if answer.status != 200:
                raise RuntimeError(f"/health answers {answer.status}")
            took.append(answer.milliseconds)


def _finished(service: Running, accepted: list[str]) -> int:
    """How many of the accepted jobs are done, as soon as all have ended."""
    jobs, until = Jobs(service.database), time.monotonic() + 300
    while not all(jobs.get(job).over for job in accepted) and time.monotonic() < until:
        time.sleep(0.2)
    return sum(jobs.get(job).state == "done" for job in accepted)

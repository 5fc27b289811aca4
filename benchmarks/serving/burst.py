"""Ten times more requests than the queue holds, by 8 clients as fast as they can, while `/health` is asked."""

from __future__ import annotations

import threading
import time
from typing import Any

import httpx2

from benchmarks.serving.line import Line
from benchmarks.serving.places import places
from benchmarks.serving.running import PROMPTS, Running, asked, serving
from fair_diffusion.service.jobs import Jobs

CAP, TIMES, CLIENTS = 60, 10, 8
SLOWEST, HEALTH = 100.0, 50.0
"""Milliseconds of a refusal at most, and of 99 % of the answers of `/health`."""


def measure(requests: int | None) -> list[Line]:
    """SQLite and PostgreSQL."""
    cap, lines = requests or CAP, []
    with places() as found:
        for name, (url, data) in found.items():
            with serving(url, data, workers=1, most_waiting=cap) as service:
                health, ended = list[float](), threading.Event()
                watching = threading.Thread(target=_watch, args=(service, health, ended))
                watching.start()
                answers = asked(service, TIMES * cap, CLIENTS, _put)
                ended.set()
                watching.join()
                finished = _finished(service, [str(body["id"]) for status, _, body, _ in answers if status == 202])
            refused = [(status, ms, wait) for status, ms, _, wait in answers if status != 202]
            right = all(status in (429, 503) and wait for status, _, wait in refused)
            slowest = max([ms for _, ms, _ in refused], default=0.0)
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


def _put(client: httpx2.Client, k: int) -> tuple[int, float, dict[str, Any], str | None]:
    """Status, milliseconds, body and Retry-After of one request."""
    start = time.perf_counter()
    asked = {"prompt": PROMPTS[k % len(PROMPTS)], "fairness": {"steps": 2}}
    answer = client.post("/v1/jobs", json=asked)
    milliseconds = 1000 * (time.perf_counter() - start)
    return answer.status_code, milliseconds, dict(answer.json()), answer.headers.get("retry-after")


def _watch(service: Running, took: list[float], ended: threading.Event) -> None:
    with service.client() as client:
        while not ended.wait(0.02):
            start = time.perf_counter()
            client.get("/health").raise_for_status()
            took.append(1000 * (time.perf_counter() - start))


def _finished(service: Running, accepted: list[str]) -> int:
    """How many of the accepted jobs are done, as soon as all have ended."""
    jobs, until = Jobs(service.database), time.monotonic() + 300
    while not all(jobs.get(job).over for job in accepted) and time.monotonic() < until:
        time.sleep(0.2)
    return sum(jobs.get(job).state == "done" for job in accepted)

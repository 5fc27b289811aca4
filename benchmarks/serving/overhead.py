"""What a request takes beside drawing: one client that asks for one image of one step by the policy, again and again.

Beside drawing is all but the seconds in which the pipeline denoises, decodes and reads the image: HTTP, database, turn
of the ledger, matching, waiting for the worker, the file, the answer.
"""

from __future__ import annotations

import statistics
import time

import httpx2

from benchmarks.serving.line import Line
from benchmarks.serving.places import places
from benchmarks.serving.running import PROMPTS, draw, serving
from fair_diffusion.service.jobs import Jobs

REQUESTS, FIRST = 200, 5
BARS = {"SQLite": 15.0, "PostgreSQL": 25.0}


def measure(requests: int | None) -> list[Line]:
    """Both databases."""
    n, lines = requests or REQUESTS, []
    with places() as found:
        for name, (url, data) in found.items():
            with serving(url, data, workers=1) as service, service.client() as client:
                jobs = Jobs(service.database)
                both = [_seconds(client, jobs) for _ in range(n + FIRST)][FIRST:]
            beside = 1000 * statistics.median(whole - drawing for whole, drawing in both)
            drawing = 1000 * statistics.median(drawing for _, drawing in both)
            of = f"median of {n}; drawing and reading take {drawing:.0f} ms"
            lines.append(
                Line(
                    what=f"overhead of a request beside drawing, {name} ({of})",
                    figure=f"{beside:.1f} ms",
                    bar=f"≤ {BARS[name]:g} ms",
                    meets=beside <= BARS[name],
                )
            )
    return lines


def _seconds(client: httpx2.Client, jobs: Jobs) -> tuple[float, float]:
    """The seconds of a request, and those that the pipeline took to draw and read its image."""
    start = time.perf_counter()
    answer = draw(client, PROMPTS[0], steps=1)
    whole = time.perf_counter() - start
    result = jobs.get(answer["fairness"]["job"]).result or {}
    return whole, result["seconds"]

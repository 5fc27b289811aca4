"""A service with a policy of half women in front of a plain one, which alone draws: one-image requests of 6 prompts.

The images that the plain server drew are counted in its own database.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx2
from sqlalchemy import func, select

from benchmarks.serving.line import Line
from benchmarks.serving.proportions import deviation, distances, misses, note_turns, prefix_lines
from benchmarks.serving.running import PROMPTS, Running, asked, serving
from fair_diffusion.service.job import DONE
from fair_diffusion.service.tables import jobs

REQUESTS, CLIENTS = 120, 4
MOST = 1.6
"""Images that the plain server draws for each one that is delivered, at most."""
READERS = ("--perceiver", "pocket", "--judge", "judge", "--upstream-model", "pocket")


def measure(requests: int | None) -> list[Line]:
    """On SQLite."""
    wanted = requests or REQUESTS
    with TemporaryDirectory(prefix="fd-proxy-") as folder:
        here = {name: Path(folder) / name for name in ("plain", "fair")}
        for each in here.values():
            each.mkdir()
        urls = {name: f"sqlite:///{place / 'service.sqlite'}" for name, place in here.items()}
        with serving(urls["plain"], here["plain"], workers=1, policy=None) as plain:
            settings: dict[str, Any] = {"upstream": f"{plain.address}/v1", "upstream_key": plain.secret}
            settings["batch"] = CLIENTS
            with serving(urls["fair"], here["fair"], workers=1, options=READERS, **settings) as fair:
                note_turns(fair.database)
                answers = asked(fair, wanted, CLIENTS, _draw)
                found, missed = distances(fair.database), misses(fair.database)
                judged = deviation(fair.database)
            drawn = _drawn(plain)
    told = sum(int(answer["usage"]["output_tokens"]) for answer in answers)
    assert told == drawn, f"{told} images were told, and {drawn} were drawn"
    of = f"in front of a plain server; {wanted} one-image requests, {len(PROMPTS)} prompts, {CLIENTS} clients"
    return [
        *prefix_lines(found, missed, wanted, of),
        Line(
            what="images that the plain server drew for each one delivered",
            figure=f"{drawn / wanted:.2f}",
            bar=f"≤ {MOST}",
            meets=drawn / wanted <= MOST,
        ),
        Line(what="mean total variation at the end, by the judge, in front of a plain server", figure=f"{judged:.3f}"),
    ]


def _draw(client: httpx2.Client, k: int) -> dict[str, Any]:
    """One image of low quality."""
    body = {"prompt": PROMPTS[k % len(PROMPTS)], "quality": "low"}
    answer = client.post("/v1/images/generations", json=body)
    if answer.status_code != 200:
        raise RuntimeError(f"{answer.status_code}: {answer.text}")
    return dict(answer.json())


def _drawn(service: Running) -> int:
    """How many images a service drew."""
    with service.database.reading() as connection:
        return int(connection.scalar(select(func.sum(jobs.c.images)).where(jobs.c.state == DONE)) or 0)

"""What serving costs beside drawing.

    python -m benchmarks.serving --part database [--jobs 600]

`database`: jobs that are put, claimed, given a turn and ended with their counts, per second, by 1 and 4 threads with a
worker each, in batches of 1 and 8, on SQLite (a file) and on PostgreSQL (a server of its own).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.postgres import postgres
from fair_diffusion.policy.target import uniform
from fair_diffusion.service.claims import Claims
from fair_diffusion.service.database import Database
from fair_diffusion.service.jobs import Jobs
from fair_diffusion.service.streams import Counted

TARGET = uniform("gender")
RULES = 6


def worked(database: Database, worker: str, most: int) -> int:
    """Claim and end jobs until none is left. Returns how many."""
    claims, done = Claims(database, worker), 0
    while found := claims.claim(["draw"], most=most):
        for job in found:
            turn = claims.reserve(job, rule=job.body["rule"], target=TARGET, n=1, model="pocket")
            shown = [cell for cell, n in zip(TARGET.shares, turn.quotas, strict=True) if n]
            claims.end(job, result={"images": [job.id]}, counted=[Counted(turn, shown, shown, shown)])
            done += 1
    return done


def measure(url: str, jobs: int, threads: int, most: int) -> tuple[float, float]:
    """Jobs put per second, and jobs claimed and settled per second."""
    database = Database(url)
    putting = Jobs(database)
    start = time.perf_counter()
    for k in range(jobs):
        putting.put("draw", {"rule": f"rule {k % RULES}"}, key=f"key {k % 3}", lane=str(k % 2))
    put = time.perf_counter() - start
    with ThreadPoolExecutor(threads) as pool:
        start = time.perf_counter()
        done = sum(pool.map(lambda name: worked(database, str(name), most), range(threads)))
        spent = time.perf_counter() - start
    database.close()
    assert done == jobs
    return jobs / put, jobs / spent


@contextmanager
def places() -> Iterator[dict[str, str]]:
    """The URL of each database."""
    with TemporaryDirectory() as folder, postgres() as url:
        yield {"SQLite": str(Path(folder) / "service.sqlite"), "PostgreSQL": url}


def database_part(jobs: int) -> None:
    """Print the table of both databases."""
    print("| database | threads | batch | put / s | claimed and settled / s |\n|---|---|---|---|---|")
    with places() as found:
        for name, url in found.items():
            for threads, most in ((1, 1), (1, 8), (4, 8)):
                put, settled = measure(url, jobs, threads, most)
                print(f"| {name} | {threads} | {most} | {put:.0f} | {settled:.0f} |", flush=True)


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=["database"], required=True)
    parser.add_argument("--jobs", type=int, default=600)
    given = parser.parse_args()
    database_part(given.jobs)


if __name__ == "__main__":
    main()

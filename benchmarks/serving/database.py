"""The ledger and the job table alone: jobs that are claimed, given a turn and ended with their counts, per second.

Two workers, each a process of its own, claim batches of 8, take their turns at once and end them at once, as a worker
that draws does. Jobs are of 6 streams, 3 keys and 2 lanes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

from benchmarks.serving.line import Line
from benchmarks.serving.places import places
from fair_diffusion.policy.target import uniform
from fair_diffusion.service.claims import Claims, Ended
from fair_diffusion.service.database import Database
from fair_diffusion.service.jobs import Jobs
from fair_diffusion.service.ledger import DatabaseLedger
from fair_diffusion.service.streams import Counted, Wanted

TARGET = uniform("gender")
RULES, BATCH, WORKERS = 6, 8, 2
BARS = {"SQLite": 300.0, "PostgreSQL": 800.0}


def worked(database: Database) -> int:
    """Claim and end jobs until none is left. Returns how many."""
    claims, done = Claims(database, str(os.getpid())), 0
    while found := claims.claim(["draw"], most=BATCH):
        wanted = [Wanted(rule=job.body["rule"], target=TARGET, n=1, model="pocket", job=job.id) for job in found]
        turns = claims.reserve_all(found, wanted)
        ends = []
        for job in found:
            (turn,) = turns[job.id]
            shown = [cell for cell, n in zip(TARGET.shares, turn.quotas, strict=True) if n]
            counted = [Counted(turn, shown, shown, shown)]
            ends.append(Ended(job, result={"images": [job.id]}, counted=counted))
        done += len(claims.end_all(ends))
    return done


def measure(requests: int | None) -> list[Line]:
    """Both databases; `requests` jobs in each."""
    jobs, lines = requests or 3000, []
    with places() as found:
        for name, (url, _) in found.items():
            database = Database(url)
            putting, start = Jobs(database), time.perf_counter()
            for k in range(jobs):
                putting.put("draw", {"rule": f"rule {k % RULES}"}, key=f"key {k % 3}", lane=str(k % 2))
            put = jobs / (time.perf_counter() - start)
            settled = jobs / _seconds(url)
            rows = DatabaseLedger(database).rows()
            whole = sum(row.asked for row in rows) == jobs and max(abs(row.deficit) for row in rows) < 1
            database.close()
            per = f"{jobs:,} jobs, {WORKERS} workers, batches of {BATCH}"
            good = whole and settled >= BARS[name]
            bar = f"≥ {BARS[name]:.0f} per second"
            lines += [
                Line(
                    what=f"ledger and job table, {name}: claims and settles ({per})",
                    figure=f"{settled:.0f} per second",
                    bar=bar,
                    meets=good,
                ),
                Line(what=f"jobs put, {name}, by one thread", figure=f"{put:.0f} per second"),
            ]
    return lines


def _seconds(url: str) -> float:
    """How long the workers take, from the moment when all are ready."""
    command = [sys.executable, "-m", "benchmarks.serving.database", url]
    workers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(WORKERS)
    ]
    pipes = [(worker.stdin, worker.stdout) for worker in workers if worker.stdin and worker.stdout]
    for _, said in pipes:
        said.readline()
    start = time.perf_counter()
    for told, _ in pipes:
        told.write("go\n")
        told.flush()
    for _, said in pipes:
        said.readline()
    spent = time.perf_counter() - start
    for worker in workers:
        worker.communicate()
    return spent


if __name__ == "__main__":
    database = Database(sys.argv[1], create=False)
    print("ready", flush=True)
    sys.stdin.readline()
    print(worked(database), flush=True)
    database.close()

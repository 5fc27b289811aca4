"""Workers beside test_worker_kills.py: `python worker_pool.py URL LEASE`. Each line on standard input starts one more.

A worker prints its process id, then claims jobs, takes turns and ends jobs until none is left. When standard input
ends, the pool waits for its workers. They are forked, because one that is killed soon should cost no second to start.
"""

from __future__ import annotations

import os
import random
import sys
import time

from fair_diffusion.policy.target import uniform
from fair_diffusion.service.claims import Claims
from fair_diffusion.service.database import Database
from fair_diffusion.service.job import LostError
from fair_diffusion.service.jobs import Jobs
from fair_diffusion.service.streams import Counted

TARGET = uniform("skin_tone")


def work(url: str, lease: float, pool: int) -> None:
    """Work until every job has ended, or the pool is gone."""
    database = Database(url, create=False)
    claims = Claims(database, str(os.getpid()), lease=lease, attempts=100)
    print(os.getpid(), flush=True)
    while os.getppid() == pool:
        for job in claims.claim(["draw"], most=3):
            try:
                turn = claims.reserve(job, rule="nurse", target=TARGET, n=job.images, model="pocket")
                time.sleep(random.random() * 0.004)
                claims.event(job, "partial", {})
                shown = [cell for cell, n in zip(TARGET.shares, turn.quotas, strict=True) for _ in range(n)]
                claims.end(job, result={"by": os.getpid()}, counted=[Counted(turn, shown, shown, shown)])
            except LostError:
                continue
        if all(state in ("done", "failed") for _, state in Jobs(database).counts()):
            return
        time.sleep(0.01)


def main(url: str, lease: str) -> None:
    """Start workers as asked, and wait for them at the end."""
    pool = os.getpid()
    while sys.stdin.readline():
        if os.fork() == 0:
            work(url, float(lease), pool)
            os._exit(0)
    try:
        while True:
            os.wait()
    except ChildProcessError:
        return


if __name__ == "__main__":
    main(*sys.argv[1:])

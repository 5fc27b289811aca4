"""kill −9 of workers at random moments: every job ends once, and the ledger counts each of its images once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from fair_diffusion.service.database import Database
from fair_diffusion.service.jobs import Jobs
from fair_diffusion.service.ledger import DatabaseLedger

POOL = Path(__file__).with_name("worker_pool.py")
KILLS, WORKERS, LEASE = 30, 2, 1.0


def test_nothing_is_lost_and_nothing_counts_twice(url: str) -> None:
    database, moment, put = Database(url), random.Random(0), 0
    jobs = Jobs(database)
    words = [sys.executable, str(POOL), url, str(LEASE)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as pool:
        assert pool.stdin is not None
        assert pool.stdout is not None
        for k in range(KILLS + WORKERS):
            for _ in range(6):
                jobs.put("draw", {"number": put}, key=f"key {put % 3}", lane=str(put % 2), images=1 + put % 2)
                put += 1
            pool.stdin.write("\n")
            pool.stdin.flush()
            newest = int(pool.stdout.readline())
            if k < KILLS:
                time.sleep(moment.random() * 0.06)
                os.kill(newest, signal.SIGKILL)
        pool.stdin.close()
        assert pool.wait() == 0
    ended = jobs.newest(most=put + 1)
    assert [job.state for job in ended] == ["done"] * put
    assert sorted(job.body["number"] for job in ended) == list(range(put))
    assert {[event.kind for event in jobs.events(job.id)].count("done") for job in ended} == {1}
    assert max(job.attempts for job in ended) > 1, "no kill met a worker with a job"
    rows = DatabaseLedger(database).rows()
    assert {row.n for row in rows} == {sum(job.images for job in ended)}
    assert not any(row.pending for row in rows)
    assert max(abs(row.deficit) for row in rows) < 1
    database.close()

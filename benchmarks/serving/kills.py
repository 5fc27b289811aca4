"""kill −9 of workers at random moments of their drawing: every job ends once, and each of its images counts once.

Two workers draw at any time. One of them is killed again and again, and another one takes its place. Jobs of one to
three images are put all the while.
"""

from __future__ import annotations

import random
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.serving.line import Line
from benchmarks.serving.places import places
from benchmarks.serving.pool import Pool
from benchmarks.serving.running import HALF, PROMPTS
from fair_diffusion.service.database import Database
from fair_diffusion.service.draw_body import DrawBody
from fair_diffusion.service.images import Images
from fair_diffusion.service.jobs import Jobs
from fair_diffusion.service.ledger import DatabaseLedger
from fair_diffusion.service.policies import Policies
from fair_diffusion.service.worker_kind import kind_of

KILLS, WORKERS, STEPS = 30, 2, 8


@dataclass(frozen=True, kw_only=True)
class Survived:
    """What was left after kills.

    Attributes:
        jobs, images: what was asked for.
        done: jobs that are done.
        lost: images without a file, or that were not counted.
        doubled: images that were counted beyond those asked for, and jobs that ended more than once.
        again: jobs that were claimed more than once, because a kill met them.
    """

    jobs: int
    images: int
    done: int
    lost: int
    doubled: int
    again: int


def survived(database: Database, data: Path, pool: Pool, kills: int, longest: float) -> Survived:
    """Kill workers, and look what is left.

    Args:
        database, data: empty ones.
        pool: of workers.
        kills: how many.
        longest: seconds between two kills at most; each is drawn at random.
    """
    moment, jobs, put = random.Random(0), Jobs(database), list[str]()
    workers = [pool.start(database, data) for _ in range(WORKERS)]
    policy = Policies(database).add(HALF).version
    for _ in range(kills):
        put += [_put(jobs, policy, len(put) + k) for k in range(2)]
        time.sleep(longest * moment.random())
        victim = workers.pop(moment.randrange(WORKERS))
        pool.stop(victim, signal.SIGKILL)
        workers.append(pool.start(database, data))
    while not all(jobs.get(job).over for job in put):
        time.sleep(0.2)
    for worker in workers:
        pool.stop(worker, signal.SIGTERM)
    ended = [jobs.get(job) for job in put]
    images = sum(job.images for job in ended)
    counted = sum(row.asked for row in DatabaseLedger(database).rows())
    store = Images(database, data)
    files = [image["file"] for job in ended for image in (job.result or {}).get("images", [])]
    kept = sum(bool(store.get(file, key="k")[0]) for file in files)
    ends = sum(sum(event.kind == "done" for event in jobs.events(job)) for job in put)
    return Survived(
        jobs=len(put),
        images=images,
        done=sum(job.state == "done" for job in ended),
        lost=max(0, images - min(counted, kept)),
        doubled=max(0, counted - images) + max(0, ends - len(put)),
        again=sum(job.attempts > 1 for job in ended),
    )


def _put(jobs: Jobs, policy: int, number: int) -> str:
    body = DrawBody(
        prompt=PROMPTS[number % len(PROMPTS)],
        n=1 + number % 3,
        seed=number,
        steps=STEPS,
        guidance=2.0,
        method="switch",
        policy=policy,
    )
    return jobs.put(kind_of("pocket"), body.stored(), key="k", lane="one", images=body.n)[0].id


def measure(requests: int | None) -> list[Line]:
    """Both databases; `requests` is the number of kills."""
    kills, lines, pool = requests or KILLS, [], Pool()
    try:
        with places() as found:
            for name, (url, data) in found.items():
                database = Database(url)
                left = survived(database, data, pool, kills, longest=3.0)
                database.close()
                of = f"{left.jobs} jobs of {left.images} images, {left.again} jobs met by a kill, {name}"
                lines.append(
                    Line(
                        what=f"kill −9 of a worker at {kills} random moments ({of})",
                        figure=f"{left.lost} lost, {left.doubled} doubled, {left.done} of {left.jobs} finished",
                        bar="0 lost, 0 doubled, all finish",
                        meets=not left.lost and not left.doubled and left.done == left.jobs,
                    )
                )
    finally:
        pool.close()
    return lines

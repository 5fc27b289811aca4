"""SIGTERM to a service in the middle of its work: it ends in time, and nothing is half done."""

from __future__ import annotations

import time

from benchmarks.serving.line import Line
from benchmarks.serving.places import places
from benchmarks.serving.running import PROMPTS, draw, serving
from fair_diffusion.service.jobs import Jobs
from fair_diffusion.service.ledger import DatabaseLedger

JOBS, STEPS = 24, 60
GRACES = (1.0, 20.0)
SLACK = 5.0
"""Seconds beyond the grace time, for processes to end."""


def measure(requests: int | None) -> list[Line]:
    """With little time to finish in, and with enough."""
    wanted, lines = requests or JOBS, []
    for grace in GRACES:
        with places() as found:
            url, data = found["SQLite"]
            with serving(url, data, workers=2, grace=grace) as service:
                jobs = Jobs(service.database)
                with service.client() as client:
                    for k in range(wanted):
                        draw(client, PROMPTS[k % len(PROMPTS)], path="/v1/jobs", steps=STEPS)
                while not any(state == "running" for _, state in jobs.counts()):
                    time.sleep(0.02)
                time.sleep(0.5)
                start = time.perf_counter()
                code = service.stop()
                seconds = time.perf_counter() - start
                states = [job.state for job in jobs.newest(most=wanted)]
                rows = DatabaseLedger(service.database).rows()
                counted = sum(row.asked for row in rows)
        done, queued = states.count("done"), states.count("queued")
        whole = done + queued == wanted and counted == done
        lines.append(
            Line(
                what=f"SIGTERM with {wanted} jobs at hand and {grace:g} s of grace",
                figure=f"exit {code} after {seconds:.1f} s; {done} done, {queued} given back, {counted} counted",
                bar=f"exit 0 within {grace:g} + {SLACK:g} s; each job done and counted, or given back",
                meets=code == 0 and seconds <= grace + SLACK and whole,
            )
        )
    return lines

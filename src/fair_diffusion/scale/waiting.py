"""How much work waits for the workers of a service, in seconds, and how many workers that asks for."""

from __future__ import annotations

from math import ceil

from sqlalchemy import func, select

from fair_diffusion.service.database import Database
from fair_diffusion.service.job import QUEUED, RUNNING
from fair_diffusion.service.served_model import served_models
from fair_diffusion.service.tables import jobs
from fair_diffusion.service.worker_kind import kind_of

UNKNOWN = 0.1
"""Seconds of one evaluation of a model that no worker has measured."""


def seconds_waiting(database: Database) -> float:
    """Seconds that one worker would take for all requests that wait or are being drawn.

    The cost of a job is in evaluations of the network; workers measure at their start what a step takes an image."""
    costs = select(jobs.c.kind, func.sum(jobs.c.cost).label("cost")).where(jobs.c.state.in_([QUEUED, RUNNING]))
    with database.reading() as connection:
        rows = connection.execute(costs.group_by(jobs.c.kind)).all()
    each = {}
    for model in served_models(database):
        step = min(model.image_step.values(), default=UNKNOWN * max(1, model.passes))
        each[kind_of(model.name)] = step / max(1, model.passes)
    return sum(float(row.cost) * each[row.kind] for row in rows if row.kind in each)


def workers_for(seconds: float, *, patience: float, least: int, most: int) -> int:
    """How many workers draw what waits within `patience` seconds, of at least `least` and at most `most`."""
    return max(least, min(most, ceil(seconds / patience)))

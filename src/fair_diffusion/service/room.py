"""Whether a job fits into the queue now, by the limits of its key and by the cap of the queue."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import Connection, func, or_, select

from fair_diffusion.service.database import now
from fair_diffusion.service.limits import LimitError, Limits
from fair_diffusion.service.tables import is_queued
from fair_diffusion.service.tables import jobs as table

MINUTE = 60.0


def check_room(
    connection: Connection,
    key: str,
    kind: str,
    images: int,
    limits: Limits,
    most_waiting: int | None,
    ahead: Callable[[], int] = int,
) -> None:
    """`LimitError` if a job of this key does not fit into the queue now. All models have one queue.

    `ahead` tells how many jobs come before it and are not in the queue yet. It is asked last: so none counts twice."""
    sort = kind.partition(" ")[0]  # "draw" of "draw pocket": cells of campaigns and audits are no drawings
    waiting = (is_queued, or_(table.c.kind == sort, table.c.kind.startswith(f"{sort} ", autoescape=True)))
    for most, who, more, whose, name in (
        (limits.queued, (table.c.key == key,), int, "of this key ", "queued"),
        (most_waiting, (), ahead, "", "waiting"),
    ):
        if most is None:
            continue
        few = select(table.c.id).where(*waiting, *who).limit(most).subquery()
        if (connection.scalar(select(func.count()).select_from(few)) or 0) + more() >= most:
            raise LimitError(f"{most} jobs {whose}wait already; try again when some have ended", name, 1.0)
    if limits.images_per_minute is not None:
        _check_rate(recent_of(connection, key), images, limits.images_per_minute)


def recent_of(connection: Connection, key: str) -> Sequence[tuple[float, int]]:
    """For each job that a key put in the last 60 seconds, its age in seconds and its images; the oldest first."""
    age = now() - table.c.created
    minute = table.c.created.between(now() - MINUTE, now() + 1.0)  # a clock may have been ahead
    found = select(age, table.c.images).where(table.c.key == key, minute)
    return [(float(old), int(images)) for old, images in connection.execute(found.order_by(table.c.created))]


def _check_rate(recent: Sequence[tuple[float, int]], images: int, most: int) -> None:
    over = sum(before for _, before in recent) + images - most
    if over <= 0:
        return
    message = f"this key may ask for {most} images per minute"
    for age, before in recent:
        over -= before
        if over <= 0:
            wait = max(MINUTE - age, 0.001)
            raise LimitError(f"{message}; try again in {wait:.0f} seconds", "images_per_minute", wait)
    raise LimitError(f"{message}, and {images} are asked for at once; ask for fewer", "images_per_minute")

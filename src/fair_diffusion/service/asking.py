"""From a checked request to its job, for the routes that draw."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from math import ceil
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from fair_diffusion.service import uploads
from fair_diffusion.service.draw_body import DrawBody
from fair_diffusion.service.edit_request import EditRequest, edit_body
from fair_diffusion.service.image_request import ImageRequest, chosen_model, draw_body, lane_of
from fair_diffusion.service.keys import Key
from fair_diffusion.service.limits import LimitError
from fair_diffusion.service.problems import problem_of
from fair_diffusion.service.room import check_room
from fair_diffusion.service.served_model import ServedModel
from fair_diffusion.service.tables import jobs as table
from fair_diffusion.service.uploads import Upload
from fair_diffusion.service.worker_kind import kind_of, model_of

if TYPE_CHECKING:
    from fair_diffusion.service.job import Job
    from fair_diffusion.service.server import Server


def put(
    server: Server, key: Key, asked: ImageRequest, *, request: str, idempotency: str | None, waits: bool = False
) -> tuple[Job, str]:
    """Put the job of a request into the queue.

    Args:
        server: has the queue.
        key: of the caller.
        asked: the request.
        request: its id.
        idempotency: the header Idempotency-Key. The same text again gives the job that is there.
        waits: whether the client waits for the job.

    Returns:
        The job, and the name of its model.
    """
    model = chosen_model(server, asked.model)
    body = draw_body(server, key, asked, model, request)
    job, _ = put_body(server, key, body, model, asked=asked.asked(), idempotency=idempotency, waits=waits)
    return job, model_of(job.kind)


def put_body(
    server: Server,
    key: Key,
    body: DrawBody,
    model: ServedModel,
    *,
    asked: dict[str, Any] | None = None,
    idempotency: str | None = None,
    priority: int = 0,
    waits: bool = False,
) -> tuple[Job, bool]:
    """Put a job with this body into the queue.

    Args:
        server: has the queue.
        key: of the caller.
        body: it was checked.
        model: of the job.
        asked: what the client sent; the body itself if None.
        idempotency: as in `put`.
        priority: jobs of a higher one go first.
        waits: as in `put`.

    Returns:
        The job, and whether it is new.
    """
    told = asked or body.stored()
    lane = lane_of(body, model)
    return _queued(server, key, body, model, told, lane, idempotency, priority=priority, waits=waits)


def put_edit(
    server: Server,
    key: Key,
    asked: EditRequest,
    pictures: Sequence[Upload],
    *,
    request: str,
    idempotency: str | None,
    waits: bool = False,
) -> tuple[Job, str]:
    """Store pictures and put the job that moves them into the queue. If no job is put, they are deleted again.

    Args:
        server: has the queue.
        key: of the caller.
        asked: the request.
        pictures: to be moved.
        request: its id.
        idempotency: as in `put`.
        waits: as in `put`.
    """
    model = chosen_model(server, asked.model)
    body = edit_body(server, key, asked, pictures, model, request)
    _check_room(server, key, kind_of(model.name), len(pictures), idempotency)
    upload = uploads.store(server.images, pictures, key=key.id, kept=server.settings.kept)
    new = False
    try:
        body = replace(body, upload=upload)
        told = asked_edit(asked, pictures)
        job, new = _queued(server, key, body, model, told, f"edit {upload}", idempotency, waits=waits)
    finally:
        if not new:
            uploads.forget(server.images, body.originals or (), key=key.id, upload=upload)
    return job, model_of(job.kind)


def asked_edit(asked: EditRequest, pictures: Sequence[Upload]) -> dict[str, Any]:
    """What the client sent, as `ImageRequest.asked`."""
    return {**asked.asked(), "pictures": [picture.hash for picture in pictures]}


def _check_room(server: Server, key: Key, kind: str, n: int, idempotency: str | None) -> None:
    """`Problem` if a job of n images does not fit into the queue now, unless it is there already."""
    same = select(table.c.id).where(table.c.key == key.id, table.c.idempotency == idempotency)
    with _limits_told(server, key), server.database.looking() as connection:
        if idempotency is None or connection.execute(same).first() is None:
            check_room(connection, key.id, kind, n, key.limits, server.settings.most_waiting)


@contextmanager
def _limits_told(server: Server, key: Key) -> Iterator[None]:
    """Turn a `LimitError` into a `Problem` with the headers of the rate."""
    try:
        yield
    except LimitError as error:
        problem = problem_of(error)
        problem.headers = rate_headers(server, key)
        raise problem from None


def _queued(
    server: Server,
    key: Key,
    body: DrawBody,
    model: ServedModel,
    asked: dict[str, Any],
    lane: str,
    idempotency: str | None,
    *,
    priority: int = 0,
    waits: bool = False,
) -> tuple[Job, bool]:
    """The job of a body, and whether it is new."""
    passes = model.passes + bool(body.upload)  # a picture is taken back to noise first
    with _limits_told(server, key):
        return server.jobs.put(
            kind_of(model.name),
            body.stored(),
            key=key.id,
            lane=lane,
            cost=body.n * body.steps * passes * _larger(body, model),
            images=body.n,
            priority=priority,
            idempotency=idempotency,
            limits=key.limits,
            most_waiting=server.settings.most_waiting,
            kept=server.settings.kept,
            asked=asked,
            waits=waits,
        )


def _larger(body: DrawBody, model: ServedModel) -> float:
    """How many times the pixels of the model's usual image one of a request has; 1 where that is not known."""
    if body.size is None or model.upstream:
        return 1.0
    width, height = map(int, body.size.split("x"))
    return width * height / (model.width * model.height)


def rate_headers(server: Server, key: Key) -> dict[str, str]:
    """How many images the key may still ask for in this minute; nothing if it has no such limit."""
    most = key.limits.images_per_minute
    if most is None:
        return {}
    asked, reset = server.jobs.last_minute(key.id)
    return {
        "x-ratelimit-limit-images": str(most),
        "x-ratelimit-remaining-images": str(max(0, most - asked)),
        "x-ratelimit-reset-images": f"{ceil(reset)}s",
    }

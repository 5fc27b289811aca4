"""From a checked request to its job, for the routes that draw."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from fair_diffusion.service.draw_body import DrawBody
from fair_diffusion.service.image_request import ImageRequest, chosen_model, draw_body, lane_of
from fair_diffusion.service.keys import Key
from fair_diffusion.service.limits import LimitError
from fair_diffusion.service.problems import problem_of
from fair_diffusion.service.worker_kind import kind_of

if TYPE_CHECKING:
    from fair_diffusion.service.job import Job
    from fair_diffusion.service.server import Server


def put(server: Server, key: Key, asked: ImageRequest, *, request: str, idempotency: str | None) -> tuple[Job, str]:
    """Put the job of a request into the queue.

    Args:
        server: has the queue.
        key: of the caller.
        asked: the request.
        request: its id.
        idempotency: the header Idempotency-Key. The same text again gives the job that is there.

    Returns:
        The job, and the name of its model.
    """
    model = chosen_model(server, asked.model)
    body: DrawBody = draw_body(server, key, asked, model, request)
    try:
        job, _ = server.jobs.put(
            kind_of(model.name),
            body.stored(),
            key=key.id,
            lane=lane_of(body, model),
            cost=float(body.n * body.steps * model.passes),
            images=body.n,
            idempotency=idempotency,
            limits=key.limits,
            most_waiting=server.settings.most_waiting,
            kept=server.settings.kept,
            asked=asked.asked(),
        )
    except LimitError as error:
        problem = problem_of(error)
        problem.headers = rate_headers(server, key)
        raise problem from None
    return job, model.name


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

"""`/v1/images`: generations and edits as in the OpenAI images contract, and the stored files."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response, StreamingResponse

from fair_diffusion.service.answer_shapes import ImagesAnswer, event_stream
from fair_diffusion.service.answers import answer, check_ended, completed_events, partial_event
from fair_diffusion.service.asking import asked_edit, put, put_edit, rate_headers
from fair_diffusion.service.comebacks import BACK, come_back
from fair_diffusion.service.edit_request import FORM, read_form
from fair_diffusion.service.image_request import ImageRequest, chosen_model
from fair_diffusion.service.job import DONE, Event, Job, UnknownJobError
from fair_diffusion.service.jobs import ATTENDED, digest_of
from fair_diffusion.service.key_data import erased_since
from fair_diffusion.service.keys import OPERATOR, Key
from fair_diffusion.service.problems import RATES, documented, no_such, overloaded, problem_of
from fair_diffusion.service.server import TICK, Asker, Here, Server
from fair_diffusion.service.worker_kind import kind_of, model_of

router = APIRouter(prefix="/v1/images", tags=["images"])
RETRIES = "x-stainless-retry-count"
"""The header in which the SDK says how often it tried before; it sends no idempotency key."""
MISSED = ATTENDED + TICK
"""Seconds after which a server has missed a client that went away, and others a server that did."""
Idempotency = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=r"^[\x21-\x7e]{1,255}$",
        description="a text of the client: sent again with the same request, it gives the same images",
    ),
]


def _answers(kind: str, *also: int) -> dict[int | str, dict[str, Any]]:
    """The answers of a route, whose events begin with `kind`, for the OpenAPI document."""
    stream = event_stream(f"{kind}.partial_image", f"{kind}.completed", "error")
    found = {"description": "the images", "model": ImagesAnswer, "content": stream, "headers": RATES}
    return {200: found, **documented(400, 403, 404, 409, 429, *also)}


@router.post("/generations", responses=_answers("image_generation", 502, 504), response_model=None)
async def generate(
    asked: ImageRequest, request: Request, server: Here, key: Asker, idempotency: Idempotency = None
) -> Response:
    """Draw images by the server's policy.

    With `stream`, the answer is server-sent events: partial images, then each image. A client that goes away cancels
    its job, unless it sent an Idempotency-Key, by which it can come back for the images."""
    leave, ours = idempotency is not None, request.state.request_id
    queue = partial(put, server, key, asked, request=ours, idempotency=idempotency, waits=not leave)
    return await _delivered(server, request, key, asked, asked.asked(), queue, leave=leave)


@router.post("/edits", responses=_answers("image_edit"), response_model=None, openapi_extra=FORM)
async def edit(request: Request, server: Here, key: Asker, idempotency: Idempotency = None) -> Response:
    """Move pictures to the groups that the server's policy asks for: the fewest, and as little as can be.

    The pictures are those of one prompt, and each gives one image; those that fit come back as they were sent. With
    `stream` and an Idempotency-Key as for generations."""
    try:
        asked, pictures = await read_form(request, server, key)
        leave, ours = idempotency is not None, request.state.request_id
        queue = partial(put_edit, server, key, asked, pictures, request=ours, idempotency=idempotency, waits=not leave)
        return await _delivered(server, request, key, asked, asked_edit(asked, pictures), queue, leave=leave)
    finally:
        await request.close()


async def _delivered(
    server: Server,
    request: Request,
    key: Key,
    asked: ImageRequest,
    told: dict[str, Any],
    queue: Callable[[], tuple[Job, str]],
    *,
    leave: bool,
) -> Response:
    """The answer to a request, when its job has ended.

    Args:
        server, request, key, asked: the request.
        told: what it asks for: by this a client that tries again by itself finds the job that it left.
        queue: puts the job.
        leave: whether the job goes on when the client goes away.
    """
    identity: str = request.state.request_id
    retry = request.headers.get(RETRIES, "")
    left = await _left(server, request, key, asked.model, told) if retry not in ("", "0") and not leave else None

    def begun() -> tuple[Job, str, dict[str, str]]:
        job, model = queue() if left is None else (left, model_of(left.kind))
        return job, model, rate_headers(server, key)

    job, model, headers = await server.putting(begun)
    if asked.stream:
        waiting = _waiting(server, job, leave=leave, back=False)  # no client begins a stream again by itself
        events = _stream(server, key, job, waiting, model=model, request=identity)
        return StreamingResponse(events, media_type="text/event-stream", headers={**headers, **UNBUFFERED})
    url = f"{request.base_url}v1/images/files/" if asked.response_format == "url" else None
    make = partial(answer, server, key, model=model, url=url, request=identity)
    with _waiting(server, job, leave=leave, back=bool(retry)):
        ended = await _ended(server, request, job)
        whole = await run_in_threadpool(make, job=ended) if ended.state == DONE else None
        if await request.is_disconnected():
            raise no_such("client")  # nobody reads it, and the job is for the client's next try
    check_ended(ended)
    return JSONResponse(whole, headers=headers)


def _waiting(server: Server, job: Job, *, leave: bool, back: bool) -> AbstractContextManager[None]:
    """The time in which the client waits. Nothing depends on it if it leaves its job when it goes away."""
    return nullcontext() if leave else server.attendance.waiting(job.id, back=back)


UNBUFFERED = {"cache-control": "no-store", "x-accel-buffering": "no"}
"""For proxies: every event goes on at once."""


async def _left(server: Server, request: Request, key: Key, model: str | None, told: dict[str, Any]) -> Job | None:
    """The job of the same request that the client left, on this server or another. It may not be missed there yet."""
    digests = [digest_of(kind_of(name), told) for name in await run_in_threadpool(_meant, server, model)]
    until = time.monotonic() + MISSED
    while True:
        if await request.is_disconnected():
            raise no_such("client")  # nobody reads it, and the job is for the client's next try
        there = server.attendance.jobs
        look = partial(come_back, server.database, key.id, digests, within=BACK, but=there)
        job, at_work = await server.putting(look)
        if job is not None or not at_work or time.monotonic() > until:
            return job
        await asyncio.sleep(TICK / 4)


def _meant(server: Server, model: str | None) -> list[str]:
    """The models that a request may have been meant for before: any, if it names none."""
    chosen = chosen_model(server, model)
    return [chosen.name] if model is not None else [each.name for each in server.models()]


async def _followed(server: Server, job: Job) -> AsyncIterator[tuple[Job, list[Event]]]:
    """As `Server.follow`, for a job that PostgreSQL may lose with its power: see `Jobs.put`. 503 then.

    404 if somebody erased the data of its key meanwhile."""
    try:
        async for each in server.follow(job):
            yield each
    except UnknownJobError:
        if await run_in_threadpool(erased_since, server.database, job.key, job.created):
            raise
        raise overloaded("the job was lost, as when the database loses its power; try again") from None


async def _ended(server: Server, request: Request, job: Job) -> Job:
    """The job when it has ended. 404 if its client goes away first: nobody reads it."""
    async for now, _ in _followed(server, job):
        if await request.is_disconnected():
            break
        if now.over:
            return now
    raise no_such("client")


async def _stream(
    server: Server, key: Key, job: Job, waiting: AbstractContextManager[None], *, model: str, request: str
) -> AsyncIterator[bytes]:
    try:
        with waiting:  # whatever ends it before its end cancels the job
            async for now, events in _followed(server, job):
                for event in events:
                    if event.kind == "partial":
                        partial_image = await run_in_threadpool(partial_event, server, now, event)
                        if partial_image is not None:
                            yield _event(partial_image)
                if now.over:
                    check_ended(now)
                    ends = await run_in_threadpool(completed_events, server, key, now, model=model, request=request)
                    for end in ends:
                        yield _event(end)
                else:
                    yield b": waiting\n\n"  # shows that the connection lives, and finds out that it does not
    except Exception as error:
        yield _event({"type": "error", "error": problem_of(error).error})


def _event(data: dict[str, Any]) -> bytes:
    """One server-sent event. JSON has no line ends, so it is one line."""
    return f"event: {data['type']}\ndata: {json.dumps(data)}\n\n".encode()


@router.get(
    "/files/{image}",
    responses={200: {"description": "the file", "content": {"image/*": {}}}, **documented(400, 403, 404)},
    response_class=Response,
)
def file(image: Annotated[str, Path(pattern="^[0-9a-f]{64}$")], server: Here, key: Asker) -> Response:
    """A stored image of the caller's key. Operators see those of all keys."""
    try:
        content, media = server.images.get(image, key=None if key.role == OPERATOR else key.id)
    except (LookupError, OSError):
        raise no_such("image") from None
    headers = {"cache-control": "private, max-age=3600", "content-security-policy": "default-src 'none'"}
    return Response(content, media_type=media, headers=headers)

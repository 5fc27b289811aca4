"""`/v1/jobs`: the same requests without waiting: put, look, follow, cancel."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated, cast

from fastapi import APIRouter, Body, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response, StreamingResponse

from fair_diffusion.service.answer_shapes import JobList, JobPlain, JobShown, State, event_stream
from fair_diffusion.service.answers import answer
from fair_diffusion.service.asking import put, rate_headers
from fair_diffusion.service.image_request import ImageRequest
from fair_diffusion.service.job import CANCELLING, ENDS, QUEUED, Job
from fair_diffusion.service.keys import OPERATOR, Key
from fair_diffusion.service.problems import RATES, Problem, documented, no_such, wrong
from fair_diffusion.service.routes.images import UNBUFFERED, Idempotency
from fair_diffusion.service.server import Asker, Here, Server
from fair_diffusion.service.worker_kind import model_of

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
KINDS = ("partial", CANCELLING, QUEUED, *ENDS)
"""What can happen to a job."""
_ID = re.compile(r"job_[0-9a-f]{32}")


class _Exact(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class Which(_Exact):
    """Which jobs are listed."""

    state: State | None = None
    most: Annotated[int, Field(ge=1, le=1000)] = 100


class Since(_Exact):
    """From where on events are told."""

    after: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0


@router.post(
    "",
    status_code=202,
    responses={202: {"model": JobShown, "description": "the job", "headers": RATES}, **documented(400, 403, 409, 429)},
)
async def create(
    asked: Annotated[ImageRequest, Body(examples=[{"prompt": "a photo of a firefighter", "n": 2}])],
    request: Request,
    server: Here,
    key: Asker,
    idempotency: Idempotency = None,
) -> JSONResponse:
    """Put a request into the queue, and answer at once. `stream` is of no use here."""
    if asked.stream:
        raise wrong("stream", "a job is not streamed; follow its events, or ask for images with stream")

    def queue() -> tuple[JobShown, dict[str, str]]:
        job, _ = put(server, key, asked, request=request.state.request_id, idempotency=idempotency)
        return _shown(server, key, job), {"location": f"/v1/jobs/{job.id}", **rate_headers(server, key)}

    shown, headers = await server.putting(queue)
    return JSONResponse(shown, 202, headers)


@router.get("", responses=documented(400, 403))
def newest(server: Here, key: Asker, asked: Annotated[Which, Query()]) -> JobList:
    """The newest jobs of the caller's key, without their images."""
    found = server.jobs.newest(key=key.id, states=[asked.state] if asked.state else (), most=asked.most)
    return {"object": "list", "data": [_plain(job) for job in found]}


@router.get("/{job}", responses=documented(400, 403, 404))
def look(job: str, request: Request, server: Here, key: Asker) -> JobShown:
    """A job. `result` is the same as the answer of `/v1/images/generations`, with addresses, when there are images."""
    found = _found(server, key, job)
    shown = _shown(server, key, found)
    if (found.result or {}).get("images"):
        url, identity = f"{request.base_url}v1/images/files/", request.state.request_id
        shown["result"] = answer(server, key, found, model=model_of(found.kind), url=url, request=identity)
    return shown


@router.post("/{job}/cancel", responses=documented(400, 403, 404))
def cancel(job: str, server: Here, key: Asker) -> JobShown:
    """Cancel a job. One that waits has ended then.

    One that runs is `cancelling` from then on, which is an event, too, and ends at its next step. One that had ended
    stays as it is."""
    return _shown(server, key, server.jobs.cancel(_found(server, key, job).id))


@router.get(
    "/{job}/events",
    responses={200: {"description": "events", "content": event_stream(*KINDS)}, **documented(400, 403, 404)},
    response_class=StreamingResponse,
)
async def events(job: str, server: Here, key: Asker, asked: Annotated[Since, Query()]) -> Response:
    """What happens to a job, as server-sent events, until it ends; `after` is the number of the last one seen."""
    found = await run_in_threadpool(_found, server, key, job)
    return StreamingResponse(_follow(server, found, asked.after), media_type="text/event-stream", headers=UNBUFFERED)


async def _follow(server: Server, job: Job, after: int) -> AsyncIterator[bytes]:
    with suppress(Problem):  # the server ends; the client goes on after the last number that it saw
        async for _, happened in server.follow(job, after=after):
            for event in happened:
                yield f"id: {event.number}\nevent: {event.kind}\ndata: {json.dumps(event.data)}\n\n".encode()
            yield b": waiting\n\n"


def _found(server: Server, key: Key, job: str) -> Job:
    """A job that a key may see: its own, and for operators every one. 404 if there is none."""
    if not _ID.fullmatch(job):  # PostgreSQL takes no zero byte
        raise no_such("job")
    return server.jobs.get(job, key=None if key.role == OPERATOR else key.id)


def _plain(job: Job) -> JobPlain:
    """What a job is, without what was asked and what came out."""
    return {
        "id": job.id,
        "object": "job",
        "model": model_of(job.kind),
        "state": cast(State, job.state),
        "cancelling": job.cancelling,
        "images": job.images,
        "created": job.created,
        "began": job.began,
        "ended": job.ended,
        "expires": job.expires,
        "attempts": job.attempts,
        "progress": job.progress,
        "reason": job.reason,
    }


def _shown(server: Server, key: Key, job: Job) -> JobShown:
    ahead = server.jobs.ahead(job) if job.state == QUEUED else 0
    return cast(JobShown, {**_plain(job), "ahead": ahead})

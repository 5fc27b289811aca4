"""A drawing: how far it is, its images, what came out, images made again, and files to take away."""

from __future__ import annotations

import asyncio
import json
import time
import zipfile
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from io import BytesIO
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response, StreamingResponse

from fair_diffusion.files.csv_rows import csv_text
from fair_diffusion.seeds import SEEDS
from fair_diffusion.service.asking import put_body
from fair_diffusion.service.image_request import chosen_model
from fair_diffusion.service.job import QUEUED, Job
from fair_diffusion.service.keys import Key
from fair_diffusion.service.labels import Labels
from fair_diffusion.service.problems import Problem, forbidden, no_such
from fair_diffusion.service.routes.images import UNBUFFERED
from fair_diffusion.service.routes.images import file as stored_file
from fair_diffusion.service.served_model import served_models
from fair_diffusion.service.server import Asker, Here, Server
from fair_diffusion.studio.drawings import Drawing, Tile, again_name, drawing
from fair_diffusion.studio.outcome import delivered_of, moved, name_of, outcome, rows
from fair_diffusion.studio.view import page, root_of, text_of

router = APIRouter()
GUIDELINE = "studio: not what I asked"
"""The guideline of a label that such a click leaves."""
NOT_ASKED = "not what was asked"
Place = Annotated[int, Path(ge=0, le=1000)]
Digest = Annotated[str, Path(pattern="^[0-9a-f]{64}$")]


@router.get("/images/{image}")
def picture(image: Digest, server: Here, key: Asker) -> Response:
    """A stored image, as the API gives it."""
    return stored_file(image, server, key)


@router.get("/instruct/{job}")
def show(
    request: Request, job: str, server: Here, key: Asker, only: Annotated[str, Query(max_length=200)] = "all"
) -> Response:
    """A drawing: how far it is, or what came out."""
    drawn = drawing(server, key, job)
    title = drawn.prompt or "A drawing"
    context = _result(drawn, only) if drawn.over else _progress(server, drawn)
    if request.headers.get("hx-request"):
        return page(request, "drawing_now.html.j2", drawn=drawn, **context)
    return page(request, "drawing.html.j2", title=title, drawn=drawn, **context)


def _result(drawn: Drawing, only: str) -> dict[str, Any]:
    """What the page of a finished drawing shows."""
    kept = [tile for tile in drawn.tiles if _shown(drawn, tile, only)]
    return {
        "over": True,
        "said": outcome(drawn) if drawn.images else [],
        "deliveries": [(names, delivered_of(drawn, names)) for names in drawn.targets] if drawn.images else [],
        "moved": [one for one in moved(drawn) if one.steered],
        "tiles": kept,
        "filters": _filters(drawn),
        "only": only,
    }


def _shown(drawn: Drawing, tile: Tile, only: str) -> bool:
    """Whether a filter lets an image through."""
    if only == "steered":
        return bool(tile.image and tile.image["steered"])
    if only == "missed":
        return tile.missed
    if only == "otherwise":
        return tile.otherwise
    if only == "unknown":
        return tile.unknown(drawn.asked or drawn.attributes)
    attribute, _, group = only.partition(":")
    return tile.image is None or not group or tile.image["judged"].get(attribute) == group


def _filters(drawn: Drawing) -> list[tuple[str, str, int]]:
    """The filters of the gallery: name, words, and how many images they let through; those of none are left out."""
    wanted = [("all", "all"), ("steered", "steered"), ("missed", "missed")]
    wanted += [("otherwise", "judge reads otherwise"), ("unknown", "could not be read")]
    wanted += [
        (f"{name}:{group}", group) for name in drawn.asked or drawn.attributes[:1] for group in drawn.groups(name)
    ]
    counted = [(name, words, sum(_shown(drawn, tile, name) for tile in drawn.tiles)) for name, words in wanted]
    return [each for each in counted if each[2] or each[0] == "all"]


def _progress(server: Server, drawn: Drawing) -> dict[str, Any]:
    """How far a drawing is."""
    jobs = [job for job in (drawn.job, drawn.plain) if job is not None]
    partial: dict[int, str] = {}
    for event in server.jobs.events(drawn.job.id):
        if event.kind == "partial":
            partial[event.data["index"]] = event.data["image"]
    waiting = drawn.job.state == QUEUED
    return {
        "over": False,
        "ahead": server.jobs.ahead(drawn.job) if waiting else 0,
        "ready": any(model.ready for model in served_models(server.database)),
        "share": _share(drawn.job),
        "left": _left(drawn.job),
        "partial": [partial.get(place) for place in range(drawn.body.n)],
        "jobs": jobs,
    }


def _share(job: Job) -> float | None:
    """How much of a job is done, 0 to 1, as far as its worker said."""
    if job.over:
        return 1.0
    told = job.progress or {}
    return told["step"] / told["steps"] if told.get("steps") else None


def _left(job: Job) -> int | None:
    """Seconds until a job is likely to be done: what it took so far, over what is done."""
    share = _share(job)
    if share is None or job.began is None or not 0 < share < 1:
        return None
    return max(1, round((time.time() - job.began) * (1 - share) / share))


@router.get("/instruct/{job}/events")
async def events(request: Request, job: str, server: Here, key: Asker) -> Response:
    """What happens to a drawing, as parts of its page, until it is over."""
    drawn = await run_in_threadpool(drawing, server, key, job)
    return StreamingResponse(_told(request, server, key, drawn), media_type="text/event-stream", headers=UNBUFFERED)


async def _told(request: Request, server: Server, key: Key, drawn: Drawing) -> AsyncIterator[bytes]:
    before: dict[str, str] = {}

    def now() -> tuple[Drawing, dict[str, str]]:
        seen = drawing(server, key, drawn.job.id)
        context = _progress(server, seen)
        parts = ("drawing_progress", "drawing_previews")
        return seen, {name: text_of(request, f"{name}.html.j2", root="../", drawn=seen, **context) for name in parts}

    with suppress(Problem):  # the server ends; the browser comes again
        async for _ in server.follow(drawn.job):
            seen, parts = await run_in_threadpool(now)
            for name, text in parts.items():
                if before.get(name) != text:
                    yield _event(name, text)
            before = parts
            yield b": waiting\n\n"
        while seen.plain is not None and not seen.plain.over:
            await asyncio.sleep(0.5)
            seen, _ = await run_in_threadpool(now)
            yield b": waiting\n\n"
        yield _event("over", "")


def _event(name: str, text: str) -> bytes:
    lines = "".join(f"data: {line}\n" for line in text.splitlines() or [""])
    return f"event: {name}\n{lines}\n".encode()


@router.post("/instruct/{job}/cancel")
def cancel(request: Request, job: str, server: Here, key: Asker) -> Response:
    """Cancel a drawing; images that are finished are kept."""
    drawn = drawing(server, key, job)
    for each in (drawn.job, drawn.plain):
        if each is not None:
            server.jobs.cancel(each.id)
    return RedirectResponse(f"{root_of(request)}instruct/{job}", 303)


@router.post("/instruct/{job}/again/{place}")
def again(request: Request, job: str, place: Place, server: Here, key: Asker) -> Response:
    """Make an image again that is not what was asked, and keep the click as a label of its own kind."""
    drawn = drawing(server, key, job)
    tile = _tile(drawn, place)
    if tile.image is not None:
        if key.id != drawn.job.key:
            raise forbidden("this drawing is of another key, so no image of it can be made again here")
        if drawn.prompt is None:
            raise Problem(409, "the prompt of this drawing is not kept, so no image of it can be made again")
        if make_again(server, key, drawn, tile, request=request.state.request_id):
            _keep_click(server, key, drawn, tile.image["file"])
    return tile_of(request, job, place, server, key)


def make_again(server: Server, key: Key, drawn: Drawing, tile: Tile, *, request: str) -> bool:
    """Put the job that makes an image again into the queue. False if it is there: a click that comes twice counts once.

    `request` is the id of the request."""
    attempt = sum(each.place == tile.place for each in drawn.again) + 1
    body = replace(
        drawn.body,
        n=1,
        seed=(drawn.body.seed + 1_000_003 * attempt + 7919 * tile.place) % (SEEDS - 1),
        plain="",
        partials=0,
        instead=dict(tile.first["assigned"]) or None,
        request=request,
    )
    asked = replace(body, request="").stored()  # the second click is another request for the same
    name, model = again_name(drawn.job.id, tile.place, attempt), chosen_model(server, drawn.model)
    return put_body(server, key, body, model, asked=asked, idempotency=name)[1]


def _keep_click(server: Server, key: Key, drawn: Drawing, image: str) -> None:
    """Keep that an image is not what was asked, as a label of each attribute that somebody asked for."""
    labels = Labels(server.database)
    for name in drawn.asked:
        labels.add(
            image,
            name,
            None,
            rater=key.id,
            queue="correction",
            guideline=GUIDELINE,
            reason=NOT_ASKED,
            groups=drawn.groups(name),  # a policy may have attributes of its own
        )


@router.get("/instruct/{job}/tile/{place}")
def tile_of(request: Request, job: str, place: Place, server: Here, key: Asker) -> Response:
    """One image of a drawing, as it is now."""
    drawn = drawing(server, key, job)
    tile = _tile(drawn, place)
    headers = {} if tile.image is None else {"hx-trigger": "changed"}
    return page(request, "drawing_tile.html.j2", drawn=drawn, tile=tile, headers=headers)


@router.get("/instruct/{job}/said")
def said(request: Request, job: str, server: Here, key: Asker) -> Response:
    """What came out, in words and numbers, as it is now."""
    drawn = drawing(server, key, job)
    return page(request, "drawing_said.html.j2", drawn=drawn, **_result(drawn, "all"))


def _tile(drawn: Drawing, place: int) -> Tile:
    if not 0 <= place < len(drawn.tiles):
        raise no_such("image")
    return drawn.tiles[place]


@router.get("/instruct/{job}/images.zip")
def archive(job: str, server: Here, key: Asker) -> Response:
    """The images, their plain twins, and the table."""
    drawn = drawing(server, key, job)
    content = BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as files:
        files.writestr("images.csv", _csv(drawn))
        files.writestr("settings.json", json.dumps(_settings(drawn), indent=2))
        for tile in drawn.tiles:
            for kind, image in (("image", tile.image or tile.first), ("plain", tile.plain)):
                if image is not None:
                    with suppress(LookupError, OSError):  # its time is over
                        files.writestr(name_of(drawn, tile.place, kind), server.images.get(image["file"])[0])
    return _file(content.getvalue(), "application/zip", f"{drawn.job.id}.zip")


@router.get("/instruct/{job}/images.csv")
def table(job: str, server: Here, key: Asker) -> Response:
    """The table: one row for each image."""
    drawn = drawing(server, key, job)
    return _file(_csv(drawn).encode(), "text/csv; charset=utf-8", f"{drawn.job.id}.csv")


def _csv(drawn: Drawing) -> str:
    found = list(rows(drawn))
    return csv_text(list(found[0]) if found else ["image"], found)


def _settings(drawn: Drawing) -> dict[str, Any]:
    texts = {"prompt": drawn.prompt, "sentence": drawn.sentence}
    numbers = {name: getattr(drawn.body, name) for name in ("n", "seed", "steps", "guidance", "method", "policy")}
    return {"model": drawn.model, **texts, **numbers, "said": outcome(drawn)}


def _file(content: bytes, media: str, name: str) -> Response:
    return Response(content, media_type=media, headers={"content-disposition": f'attachment; filename="{name}"'})

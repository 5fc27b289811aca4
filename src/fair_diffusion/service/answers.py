"""The answers of the images contract: from a job that has ended to its JSON and its events."""

from __future__ import annotations

import base64
from fractions import Fraction
from typing import Any, cast

from sqlalchemy import bindparam, select

from fair_diffusion.service.answer_shapes import (
    FairnessTold,
    Format,
    ImageData,
    ImageFairness,
    ImagesAnswer,
    StreamSoFar,
    Tokens,
    Usage,
)
from fair_diffusion.service.database import Database
from fair_diffusion.service.draw_body import DrawBody
from fair_diffusion.service.draw_result import ASSIGNED, MOVED
from fair_diffusion.service.job import CANCELLED, FAILED, Event, Job
from fair_diffusion.service.keys import OPERATOR, Key
from fair_diffusion.service.picture_file import MEDIA
from fair_diffusion.service.problems import INVALID, Problem, wrong
from fair_diffusion.service.server import Server
from fair_diffusion.service.tables import cells, streams


def check_ended(job: Job) -> None:
    """`Problem` if a job ended otherwise than with images."""
    if job.state == CANCELLED:
        raise Problem(409, "the job was cancelled", code="cancelled", retry=False)
    if job.state == FAILED:
        if (job.result or {}).get("wrong_request"):
            param = "fairness" if DrawBody.of(job.body).own else "model"
            raise wrong(param, job.reason or "the request cannot be drawn")
        if upstream := (job.result or {}).get("upstream"):
            kinds = {400: INVALID, 429: "rate_limit_error"}
            raise Problem(**upstream, kind=kinds.get(upstream["status"], "server_error"))
        said = f"the images could not be drawn: {job.reason}"
        raise Problem(500, said, kind="server_error", code="drawing_failed", retry=False)


def answer(server: Server, key: Key, job: Job, *, model: str, url: str | None, request: str) -> ImagesAnswer:
    """The answer with the images of a job that is done.

    Args:
        server: has the images.
        key: of the caller: operators see more.
        job: it is done.
        model: the name of the model.
        url: the address before the hash of an image; None: images are in the answer.
        request: the id of the HTTP request.
    """
    body, result = DrawBody.of(job.body), job.result or {}
    return {
        "created": int(job.ended or job.created),
        "background": "opaque",
        "data": [_image(server, job, image["file"], url) for image in result["images"]],
        "output_format": cast(Format, body.format),
        "quality": body.quality,
        "size": f"{result['width']}x{result['height']}" if result["width"] else "auto",
        "usage": usage(result),
        "fairness": fairness(server, key, job, model=model, request=request),
    }


def _image(server: Server, job: Job, file: str, url: str | None) -> ImageData:
    if url is not None:
        return {"url": f"{url}{file}"}
    return {"b64_json": encoded(server, job, file)}


def encoded(server: Server, job: Job, file: str) -> str:
    """A stored image of a job in base64. `Problem` if its time is over."""
    try:
        content = server.images.content(file, MEDIA[DrawBody.of(job.body).format])
    except OSError:
        raise Problem(404, "the image is not kept any more", code="expired") from None
    return base64.b64encode(content).decode()


def usage(result: dict[str, Any]) -> Usage:
    """What a job took. We count network evaluations as output, and nothing as input: no text is billed."""
    spent = int(result.get("evaluations", 0))
    none: Tokens = {"image_tokens": 0, "text_tokens": 0}
    return {"input_tokens": 0, "input_tokens_details": none, "output_tokens": spent, "total_tokens": spent}


def fairness(server: Server, key: Key, job: Job, *, model: str, request: str) -> FairnessTold:
    """What was done for fairness: the rule, what the images show, and the shares of the streams so far."""
    result, body = job.result or {}, DrawBody.of(job.body)
    private = key.role == OPERATOR
    told = ("steered", "judged", *MOVED, *(ASSIGNED if private else ()))
    images = [
        cast(ImageFairness, {"index": k, **{name: image[name] for name in told if name in image}})
        for k, image in enumerate(result.get("images", ()))
    ]
    return {
        "rule": result.get("rule"),
        "reason": result.get("reason"),
        "policy": body.policy,
        "images": images,
        "streams": shares_so_far(server.database, result.get("streams", ()), model),
        "notes": result.get("notes", []),
        "job": job.id,
        "request_id": request,
    }


def shares_so_far(database: Database, wanted: Any, model: str) -> list[StreamSoFar]:
    """The streams of a model that a job counted in, with their shares so far. `wanted` is as its result names them."""
    if not wanted:
        return []
    names = {(stream["rule"], stream["attributes"], stream["target"]) for stream in wanted}
    found: dict[int, StreamSoFar] = {}
    with database.looking() as connection:
        rows = connection.execute(_SO_FAR, {"rules": [rule for rule, _, _ in names], "of": model}).all()
    for row in rows:
        if (row.rule, row.attributes, row.target) not in names:
            continue
        stream = found.setdefault(row.id, {"rule": row.rule, "attributes": row.attributes, "n": 0, "groups": {}})
        stream["n"] += row.asked
        stream["groups"][row.name] = {
            "target": round(float(Fraction(row.share)), 6),
            "asked": row.asked,
            "judged": row.judged,
            "perceived": row.perceived,
        }
    return list(found.values())


# Built once: to build a statement takes longer than to run it.
_SO_FAR = (
    select(streams.c.id, streams.c.rule, streams.c.attributes, streams.c.target, cells)
    .join(cells)
    .where(streams.c.rule.in_(bindparam("rules", expanding=True)), streams.c.model == bindparam("of"))
    .order_by(streams.c.id, cells.c.position)
)


def partial_event(server: Server, job: Job, event: Event) -> dict[str, Any] | None:
    """The event of a partial image; None if its file is not kept any more, as it is for a shorter time than others."""
    body = DrawBody.of(job.body)
    try:
        content = encoded(server, job, event.data["image"])
    except Problem:
        return None
    return {
        "type": f"{_events(body)}.partial_image",
        "b64_json": content,
        "background": "opaque",
        "created_at": int(event.time),
        "output_format": body.format,
        "partial_image_index": event.data["number"],
        "quality": body.quality,
        "size": event.data["size"],
        "fairness": {"index": event.data["index"], "job": job.id},
    }


def _events(body: DrawBody) -> str:
    """How the contract names the events of a stream."""
    return "image_edit" if body.upload else "image_generation"


def completed_events(server: Server, key: Key, job: Job, *, model: str, request: str) -> list[dict[str, Any]]:
    """The last events of a stream: one for each image."""
    whole = answer(server, key, job, model=model, url=None, request=request)
    said = whole["fairness"]
    return [
        {
            "type": f"{_events(DrawBody.of(job.body))}.completed",
            "b64_json": image["b64_json"],
            "background": whole["background"],
            "created_at": whole["created"],
            "output_format": whole["output_format"],
            "quality": whole["quality"],
            "size": whole["size"],
            "usage": whole["usage"],
            "fairness": {**said, "index": k},
        }
        for k, image in enumerate(whole["data"])
    ]

"""What `POST /v1/images/edits` takes: a form with pictures, checked before anything is decoded or stored."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from fair_diffusion.methods import METHODS, named
from fair_diffusion.service.draw_body import DrawBody
from fair_diffusion.service.image_request import Fairness, ImageRequest, chosen_model, draw_body
from fair_diffusion.service.keys import Key
from fair_diffusion.service.problems import wrong
from fair_diffusion.service.served_model import ServedModel
from fair_diffusion.service.server import Server
from fair_diffusion.service.uploads import Upload

MOST = 10
"""Pictures of one request."""
FIELDS = 64
TEXT = 262_144
"""Bytes of one field of text."""
_FORMED = ConfigDict(strict=False, extra="forbid")
_FAIRNESS = re.compile(r"fairness\[(\w{1,40})\](\[\])?")
_NOT_DONE = {
    "mask": "this server moves whole pictures; leave the mask out",
    "markup": "this server takes no markup; say it in the prompt",
}


class FormFairness(Fairness):
    """The same in a form, whose values are texts: `fairness[steps]`, or `fairness` as JSON."""

    model_config = _FORMED


class EditRequest(ImageRequest):
    """The fields of the form beside its pictures."""

    model_config = _FORMED

    fairness: FormFairness | None = None
    input_fidelity: Literal["high", "low"] | None = Field(default=None, description="taken, and without effect")


def _form() -> dict[str, Any]:
    """The form, for the OpenAPI document."""
    fields = EditRequest.model_json_schema()["properties"]
    fields["fairness"] = {
        "type": "string",
        "description": "for operators: JSON, as for generations; or fields such as fairness[steps]",
    }
    pictures = {
        "type": "array",
        "items": {"type": "string", "format": "binary"},
        "minItems": 1,
        "maxItems": MOST,
        "description": "PNG, JPEG or WebP; a picture alone may be called image",
    }
    schema = {
        "type": "object",
        "required": ["image[]", "prompt"],
        "properties": {"image[]": pictures, **fields},
        "examples": [{"image[]": "@picture.png", "prompt": "a photo of a firefighter"}],
    }
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


FORM = _form()


async def read_form(request: Request, server: Server, key: Key) -> tuple[EditRequest, list[Upload]]:
    """The form of a request. Its pictures are decoded when all else is found to be right.

    Raises:
        Problem: naming the first field that is wrong, or that this key may not set.
        LimitError: it is more than the key may ask for.
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise wrong(None, "send the pictures and fields as multipart/form-data", "invalid_multipart")
    try:
        form = await request.form(max_files=MOST + 2, max_fields=FIELDS, max_part_size=TEXT)
    except HTTPException as error:
        raise wrong(None, f"the form cannot be read: {error.detail}", "invalid_multipart") from None
    files = _files(form)
    try:
        asked = EditRequest.model_validate(_values(form))
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_input=False, include_url=False)) from None
    await run_in_threadpool(_check, server, key, asked, len(files))
    pixels = server.settings.most_pixels
    uploads = [await run_in_threadpool(Upload.of, file.file, name, pixels=pixels) for name, file in files]
    return asked, uploads


def _files(form: FormData) -> list[tuple[str, UploadFile]]:
    """The pictures, each with the name of its field."""
    found = [(name, value) for name, value in form.multi_items() if isinstance(value, UploadFile)]
    for name, _ in found:
        if name in _NOT_DONE:
            raise wrong(name, _NOT_DONE[name], "unsupported_parameter")
        if name not in ("image", "image[]"):
            raise wrong(name, f"unknown parameter: {name}", "unknown_parameter")
    if not 1 <= len(found) <= MOST:
        raise wrong("image", f"{len(found)} pictures; give 1 to {MOST}, as files", "missing_required_parameter")
    return found


def _values(form: FormData) -> dict[str, Any]:
    """The fields of text, with `fairness` as an object."""
    found: dict[str, Any] = {}
    fairness: dict[str, Any] = {}
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            continue
        if name in _NOT_DONE or name in ("image", "image[]"):
            raise wrong(name, _NOT_DONE.get(name, "give the picture as a file"), "unsupported_parameter")
        if part := _FAIRNESS.fullmatch(name):
            if part[2]:
                fairness.setdefault(part[1], []).append(value)
                continue
            into, field = fairness, part[1]
        else:
            into, field = found, name
        if field in into:
            raise wrong(name, f"{name} is given twice; give it once")
        into[field] = value
    if "fairness" in found:
        try:
            found["fairness"] = json.loads(found["fairness"])
        except (ValueError, RecursionError):
            raise wrong("fairness", "fairness is no JSON; give an object, or fields such as fairness[steps]") from None
    return {**found, "fairness": fairness} if fairness else found


def _check(server: Server, key: Key, asked: EditRequest, n: int) -> None:
    """Check all that can be checked of a request with n pictures before they are decoded."""
    _plain_body(server, key, asked, n, chosen_model(server, asked.model), "")


def edit_body(
    server: Server, key: Key, asked: EditRequest, uploads: Sequence[Upload], model: ServedModel, request: str
) -> DrawBody:
    """The body of the job that moves pictures, without the name of their upload.

    Raises:
        Problem, LimitError: as `draw_body`.
    """
    sizes = {f"{upload.width}x{upload.height}" for upload in uploads}
    if asked.size not in (None, "auto") and {asked.size} != sizes:
        raise wrong("size", 'each picture keeps its size; leave size out, or give "auto"')
    key.limits.check(pixels=max(upload.width * upload.height for upload in uploads))
    body = _plain_body(server, key, asked, len(uploads), model, request)
    return replace(body, originals=[upload.hash for upload in uploads])


def _plain_body(server: Server, key: Key, asked: EditRequest, n: int, model: ServedModel, request: str) -> DrawBody:
    """The body without its pictures, of which there are n."""
    if model.upstream:
        raise wrong("model", f"another server draws for {model.name!r}, and cannot move pictures; name another model")
    if asked.n not in (None, n):
        raise wrong("n", f"each of {n} pictures gives one image; leave n out, or give {n}")
    if asked.fairness is not None and asked.fairness.method is not None:
        row = METHODS.get(asked.fairness.method)
        if row is not None and not row.midway:
            able = ", ".join(row.name for row in METHODS.values() if row.midway)
            raise wrong("fairness.method", f"method {row.name!r} cannot move pictures; use one of {able}")
    body = draw_body(server, key, asked.model_copy(update={"n": n, "size": None}), model, request)
    assert named(body.method).midway
    return body

"""What goes wrong with a request, as the OpenAI API says it: a status and an object of four fields."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from math import ceil
from types import MappingProxyType
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from fair_diffusion.policy.errors import PolicyError
from fair_diffusion.service.answer_shapes import ErrorAnswer, ErrorFields
from fair_diffusion.service.database import DatabaseError
from fair_diffusion.service.job import IdempotencyError, UnknownJobError
from fair_diffusion.service.limits import LimitError

LOG = logging.getLogger("fair_diffusion.api")
INVALID = "invalid_request_error"
RETRY = 2.0
"""Seconds after which a client may try again, where nobody knows better."""


class Problem(Exception):
    """An answer other than the one that was asked for.

    Args:
        status: of HTTP.
        message: what is wrong, and the mend.
        kind: `type` in the answer.
        param: the field that is wrong.
        code: a word for programs.
        retry_after: seconds after which it may work.
        retry: whether clients may try the same again; None: as they usually do for the status.
        headers: further ones.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = INVALID,
        param: str | None = None,
        code: str | None = None,
        retry_after: float | None = None,
        retry: bool | None = None,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        super().__init__(message)
        self.status, self.retry_after, self.retry, self.headers = status, retry_after, retry, headers
        self.error: ErrorFields = {"message": message, "type": kind, "param": param, "code": code}

    def answer(self) -> Response:
        """The answer."""
        headers = dict(self.headers)
        if self.retry_after is not None:
            headers["retry-after"] = str(max(1, ceil(self.retry_after)))
        if self.retry is not None:
            headers["x-should-retry"] = "true" if self.retry else "false"
        if self.status == 401:
            headers["www-authenticate"] = "Bearer"
        return JSONResponse({"error": self.error}, self.status, headers)


def wrong(param: str | None, message: str, code: str = "invalid_value") -> Problem:
    """400: a field is wrong."""
    return Problem(400, message, param=param, code=code)


def no_such(what: str) -> Problem:
    """404: it is not there, or it is somebody else's."""
    return Problem(404, f"there is no such {what}", code="not_found")


def forbidden(message: str, param: str | None = None) -> Problem:
    """403: this key may not."""
    return Problem(403, message, kind="permission_error", param=param, code="forbidden")


def overloaded(message: str, retry_after: float = RETRY) -> Problem:
    """503: not now."""
    return Problem(503, message, kind="server_error", code="server_is_overloaded", retry_after=retry_after)


def problem_of(error: Exception) -> Problem:
    """The answer to an exception of ours."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, DatabaseError):
        LOG.error("%s", error)
        return overloaded("the server cannot use its database at the moment; try again")
    if isinstance(error, LimitError):
        if error.retry_after is None:
            param = "size" if error.limit == "pixels" else "n" if error.limit == "images_per_minute" else error.limit
            return wrong(param, str(error), "over_limit")
        if error.limit == "waiting":
            return overloaded(str(error), error.retry_after)
        return Problem(429, str(error), kind="rate_limit_error", code="slow_down", retry_after=error.retry_after)
    if isinstance(error, IdempotencyError):
        return Problem(409, str(error), param="Idempotency-Key", code="idempotency_key_reused", retry=False)
    if isinstance(error, UnknownJobError):
        return no_such("job")
    if isinstance(error, PolicyError):
        return wrong("policy", str(error), "invalid_policy")
    return Problem(500, "the server failed; the log tells why", kind="server_error", code="server_error")


def of_validation(error: RequestValidationError) -> Problem:
    """400 that names the first field that is wrong, without the value, which may be long or private."""
    first = error.errors()[0]
    place = [str(part) for part in first["loc"] if part not in ("body", "query", "path", "header")]
    param = ".".join(place) or None
    if first["type"] == "json_invalid":
        return wrong(None, "the body is no JSON", "invalid_json")
    if first["type"] == "extra_forbidden":
        return wrong(param, f"unknown parameter: {param}", "unknown_parameter")
    if first["type"] == "missing":
        return wrong(param, f"missing required parameter: {param or 'a JSON body'}", "missing_required_parameter")
    if not place:
        return wrong(None, "the body is no JSON object; send one, with Content-Type: application/json", "invalid_json")
    return wrong(param, f"{param}: {first['msg']}")


def add_handlers(app: FastAPI) -> None:
    """Answer every error of `app` in this form."""

    async def ours(request: Request, error: Exception) -> Response:
        return problem_of(error).answer()

    async def validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return of_validation(error).answer()

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        said = {
            400: ("the body is no JSON in UTF-8", "invalid_json"),
            404: ("there is no such route", "not_found"),
            405: ("this route has no such method", "not_found"),
        }
        message, code = said.get(error.status_code, (str(error.detail), None))
        answer = Problem(error.status_code, message, code=code).answer()
        answer.headers.update(error.headers or {})
        return answer

    for kind in (Problem, DatabaseError, LimitError, IdempotencyError, UnknownJobError, PolicyError, Exception):
        app.add_exception_handler(kind, ours)
    app.add_exception_handler(RequestValidationError, validation)
    app.add_exception_handler(HTTPException, http)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The answers of a route other than the usual one, for the OpenAPI document."""
    said = {
        400: "a field is wrong, or unknown",
        401: "no key, or no valid one",
        403: "this key may not",
        404: "not there, or somebody else's",
        408: "the body did not come in time",
        409: "the idempotency key was used for another request",
        413: "the body is too large",
        429: "over a limit of the key; Retry-After says when it fits",
        500: "the server failed",
        502: "the upstream server failed, or gave no image",
        504: "the upstream server did not answer in time",
        503: "the server is full, or cannot draw at the moment; Retry-After says when to try again",
    }
    headers = {429: {"retry-after": _SECONDS, **RATES}, 503: {"retry-after": _SECONDS}}
    return {
        status: {"description": said[status], "model": ErrorAnswer, "headers": headers.get(status, {})}
        for status in sorted({401, 408, 413, 500, 503, *statuses})
    }


_SECONDS = {"description": "seconds after which it may work", "schema": {"type": "string", "pattern": "^[0-9]+$"}}
RATES: dict[str, Any] = {
    f"x-ratelimit-{name}-images": {"description": said, "schema": {"type": "string", "pattern": pattern}}
    for name, said, pattern in (
        ("limit", "images per minute; of keys that have such a limit", "^[0-9]+$"),
        ("remaining", "images that the key may still ask for", "^[0-9]+$"),
        ("reset", "seconds until it may ask for all of them again", "^[0-9]+s$"),
    )
}
"""The headers of the rate, for the OpenAPI document."""

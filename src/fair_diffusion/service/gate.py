"""In front of every route: a key, a request id, a body of a sensible size. Written for ASGI itself, so it is first."""

from __future__ import annotations

import asyncio
import logging
import re
import time
import uuid
from functools import partial
from typing import TYPE_CHECKING

from anyio import CapacityLimiter, to_thread
from starlette.datastructures import Headers, MutableHeaders

from fair_diffusion.files.csv_rows import LARGEST as LARGEST_TABLE
from fair_diffusion.service.database import DatabaseError
from fair_diffusion.service.keys import OPERATOR, Key
from fair_diffusion.service.problems import Problem, problem_of
from fair_diffusion.service.route_path import route_path

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from fair_diffusion.service.server import Server

LOG = logging.getLogger("fair_diffusion.api")
OPEN = ("/health",)
"""The only paths that need no key."""
LARGEST = 1_048_576
"""Bytes of a body at most, if it is none of those below."""
TABLES = re.compile("/v1/label/sets/[^/]+/table")
"""Paths to which operators send tables of labels."""
SLOWEST = 60.0
"""Seconds in which a body has to be there."""
FINDERS = 6
"""Threads that find keys. They do nothing else, so a key is found although all others wait."""
UPLOADS = ("/v1/images/edits",)
"""Paths whose bodies hold pictures: they may be larger, and are not gathered in memory."""
_BEARER = re.compile(r"Bearer\s+(\S+)\s*", re.IGNORECASE)


class Gate:
    """Lets requests with a valid key through, with `key` and `request_id` in their state.

    Args:
        app: what is behind it.
        server: has the keys.
    """

    def __init__(self, app: ASGIApp, server: Server) -> None:
        self._app, self._server, self._finders = app, server, CapacityLimiter(FINDERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        identity, began, status = f"req_{uuid.uuid4().hex}", time.perf_counter(), 0
        state = scope.setdefault("state", {})
        state["request_id"] = identity

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message).update({"x-request-id": identity, "x-content-type-options": "nosniff"})
            await send(message)

        try:
            refused = await self._refused(scope, state)
            behind, most = receive, self._server.settings.most_upload
            if refused is None and route_path(scope) in UPLOADS:
                refused = _too_large(most, "image") if declared_length(scope) > most else None
                behind = _bounded(receive, most)
            elif refused is None:
                body, refused = await _gathered(scope, receive, _most(scope))
                behind = _replayed(body, receive)
            if refused is not None:
                await refused.answer()(scope, receive, answer)
                return
            await self._app(scope, behind, answer)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            seconds = time.perf_counter() - began
            self._server.metrics.answered(route, status, seconds)
            LOG.info("%s %s %s %s %.0f ms", identity, scope["method"], route, status or "gone", seconds * 1000)

    async def _refused(self, scope: Scope, state: dict[str, object]) -> Problem | None:
        """Why a request is not let through; None if it is. Its key goes into the state."""
        if route_path(scope) in OPEN:
            return None
        found = _BEARER.fullmatch(Headers(scope=scope).get("authorization", ""))
        try:
            find = partial(self._server.keys.find, found[1] if found else "")
            key = await to_thread.run_sync(find, limiter=self._finders) if found else None
        except DatabaseError as error:
            return problem_of(error)
        if key is None:
            said = "the key is not valid" if found else "no key is given; send it as Authorization: Bearer fd-…"
            return Problem(401, said, kind="authentication_error", code="invalid_api_key")
        state["key"] = key
        return None


def _too_large(most: int, param: str | None = None) -> Problem:
    return Problem(413, f"the body is larger than {most:,} bytes", param=param, code="body_too_large")


def _too_slow() -> Problem:
    return Problem(408, f"the body was not there after {SLOWEST:g} seconds", code="body_too_slow")


def _most(scope: Scope) -> int:
    """Bytes that a body may have which is gathered in memory."""
    key: Key | None = scope["state"].get("key")
    is_table = key is not None and key.role == OPERATOR and TABLES.fullmatch(route_path(scope))
    return LARGEST_TABLE if is_table else LARGEST


def declared_length(scope: Scope) -> int:
    """The length that a body is said to have; 0 if none is said."""
    said = Headers(scope=scope).get("content-length", "")
    return int(said) if said.isascii() and said.isdigit() and len(said) < 20 else 0


def _bounded(receive: Receive, most: int) -> Receive:
    """Gives the body as it comes. `Problem` once it is too large, whatever length it was said to have, or too late."""
    size, whole, until = 0, False, asyncio.get_running_loop().time() + SLOWEST

    async def bounded() -> Message:
        nonlocal size, whole
        try:
            async with asyncio.timeout_at(None if whole else until):
                message = await receive()
        except TimeoutError:
            raise _too_slow() from None
        whole = not message.get("more_body")
        size += len(message.get("body", b""))
        if size > most:
            raise _too_large(most, "image")
        return message

    return bounded


async def _gathered(scope: Scope, receive: Receive, most: int) -> tuple[bytes, Problem | None]:
    """The whole body; or why it is refused. Nothing is read of one that is said to be larger than any may be."""
    if declared_length(scope) > LARGEST_TABLE:
        return b"", _too_large(most)
    try:
        async with asyncio.timeout(SLOWEST):
            body = await _body(receive, most)
    except TimeoutError:
        return b"", _too_slow()
    return (b"", _too_large(most)) if body is None else (body, None)


async def _body(receive: Receive, most: int) -> bytes | None:
    """The whole body; None if it has more than `most` bytes."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b"".join(parts)
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > most:
            return None
        if not message.get("more_body"):
            return b"".join(parts)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Gives the body that was read, then what comes after it, such as the end of the connection."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again

"""In front of every page: who is signed in, bodies of a sensible size, and what browsers may do with the answer."""

from __future__ import annotations

import logging
import re
import time
import uuid
from typing import TYPE_CHECKING, Any

from fastapi import HTTPException
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from fair_diffusion.files.csv_rows import LARGEST as LARGEST_TABLE
from fair_diffusion.service.gate import declared_length
from fair_diffusion.service.keys import OPERATOR
from fair_diffusion.service.route_path import route_path
from fair_diffusion.studio.sessions import signed_in
from fair_diffusion.studio.view import root_of

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from fair_diffusion.service.server import Server

LOG = logging.getLogger("fair_diffusion.studio")
OPEN = ("/sign-in", "/enter", "/static/", "/shared/")
"""The beginnings of paths that need nobody to be signed in."""
READABLE = ("/api",)
"""Paths that need nobody to be signed in, and show who is."""
UPLOADS = ("/audits", "/instruct/settings")
"""The beginnings of paths whose bodies may be files."""
TABLES = re.compile("/label/[^/]+/labels[.]csv")
"""Paths to which operators send tables of labels."""
LARGEST = 1_048_576
"""Bytes of any other body at most."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
"""What a page may load: our own files alone, and nothing that stands in the page itself."""
HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


class Gate:
    """Lets people through who are signed in, with `key` and `request_id` in the state of the request.

    Args:
        app: the pages.
        server: has the keys.
    """

    def __init__(self, app: ASGIApp, server: Server) -> None:
        self._app, self._server = app, server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        identity, began, status = f"req_{uuid.uuid4().hex}", time.perf_counter(), 0
        scope.setdefault("state", {})["request_id"] = identity

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers.update({"x-request-id": identity, **HEADERS})
                headers.setdefault("content-security-policy", POLICY)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        try:
            await self._let_in(scope, receive, answer)
        finally:
            route = f"studio{getattr(scope.get('route'), 'path', '')}"
            seconds = time.perf_counter() - began
            self._server.metrics.answered(route, status, seconds)
            LOG.info("%s %s %s %s %.0f ms", identity, scope["method"], route, status or "gone", seconds * 1000)

    async def _let_in(self, scope: Scope, receive: Receive, answer: Send) -> None:
        path, request = route_path(scope), Request(scope)
        if not path.startswith(OPEN):
            key = await run_in_threadpool(signed_in, self._server, request)
            if key is None and path not in READABLE:
                await _refusal(request, path)(scope, receive, answer)
                return
            if key is not None:
                scope["state"]["key"] = key
        await self._app(scope, _bounded(receive, self._most(path, scope["state"]), declared_length(scope)), answer)

    def _most(self, path: str, state: dict[str, Any]) -> int:
        """Bytes that a body may have."""
        if path.startswith(UPLOADS):
            return self._server.settings.most_upload
        is_table = "key" in state and state["key"].role == OPERATOR and TABLES.fullmatch(path)
        return LARGEST_TABLE if is_table else LARGEST


def _refusal(request: Request, path: str) -> Response:
    """The way to the page of signing in, for whoever is not."""
    page = f"{root_of(request)}sign-in"
    if request.headers.get("hx-request"):
        return Response(status_code=401, headers={"hx-redirect": page})
    if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
        return RedirectResponse(f"{page}?to={path.removeprefix('/')}", 303)
    return Response("sign in first", 401, media_type="text/plain")


def _bounded(receive: Receive, most: int, declared: int) -> Receive:
    """Gives the body as it comes. `HTTPException` once it is too large, as FastAPI hides other errors.

    Nothing is read of one that is said to be larger; `declared` is the length that it is said to have."""
    size = 0

    async def bounded() -> Message:
        nonlocal size
        message: Message = {} if declared > most else await receive()
        size += len(message.get("body", b""))
        if max(size, declared) > most:
            raise HTTPException(413, f"what you sent is larger than {most:,} bytes; send less")
        return message

    return bounded

"""The studio as an application, and its place beside the API."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import Depends, FastAPI
from starlette.responses import RedirectResponse
from starlette.staticfiles import StaticFiles

from fair_diffusion.service.route_path import route_path
from fair_diffusion.service.routes import labels
from fair_diffusion.service.server import Server
from fair_diffusion.studio import sessions
from fair_diffusion.studio.gate import Gate
from fair_diffusion.studio.pages import (
    api,
    audits,
    card,
    drawing,
    instruct,
    label,
    label_review,
    policies,
    start,
    streams,
)
from fair_diffusion.studio.problems import add_handlers
from fair_diffusion.studio.sessions import same_site

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

PREFIX = "/studio"
"""Where the studio is, below the address of the server."""
HOME = "/"
"""The address of the server by itself, which people open: the studio is what it has for them."""
DOCS = "/docs"
"""Where people look for the page that describes an API."""
STATIC = Path(__file__).parent / "static"


def studio(server: Server, described: FastAPI) -> FastAPI:
    """The studio of a server, as an application.

    Args:
        server: what it works on.
        described: the API that its page of the API describes.
    """
    app = FastAPI(openapi_url=None, redirect_slashes=False, dependencies=[Depends(same_site)])
    app.state.server, app.state.api = server, described
    pages = (start, instruct, drawing, label, label_review, streams, policies, card, audits, api)
    for group in (sessions, *pages, labels):
        app.include_router(group.router)
    app.include_router(audits.shared)
    app.mount("/static", StaticFiles(directory=STATIC))
    add_handlers(app)
    return app


def mount(described: FastAPI, server: Server) -> ASGIApp:
    """The API with the studio beside it.

    Args:
        described: the API, which answers whatever is not the studio's.
        server: what both work on.
    """
    pages = Gate(studio(server, described), server)  # around all of it, so that what goes wrong has the headers, too

    async def both(scope: Scope, receive: Receive, send: Send) -> None:
        path = route_path(scope) if scope["type"] == "http" else ""
        if path == PREFIX:  # links of pages are relative, and count from the slash on
            await RedirectResponse(f".{PREFIX}/", 308)(scope, receive, send)
        elif path == HOME:
            await RedirectResponse(f".{PREFIX}/", 307)(scope, receive, send)
        elif path == DOCS:
            await RedirectResponse(f".{PREFIX}/api", 307)(scope, receive, send)
        elif path.startswith(f"{PREFIX}/"):
            await pages({**scope, "root_path": scope.get("root_path", "") + PREFIX}, receive, send)
        else:
            await described(scope, receive, send)

    return both

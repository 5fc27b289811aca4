"""HTTP API: every route with its fields, its answers, and examples. It shows nothing private, and needs no key."""

from __future__ import annotations

import re
import shlex
from itertools import groupby
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from starlette.responses import Response

from fair_diffusion.service.api_reference import Route, routes_of
from fair_diffusion.studio.view import page

router = APIRouter(prefix="/api")
TITLES = {
    "images": "Images",
    "jobs": "Jobs: the same without waiting",
    "policies": "Policies",
    "streams": "Streams",
    "trail": "Who changed what",
    "labels": "Labels",
    "keys": "What is stored of a key",
    "status": "The server",
}
"""What each group of routes is called."""


@router.api_route("", methods=["GET", "HEAD"])
def api(request: Request) -> Response:
    """Every route, by groups."""
    described: FastAPI = request.app.state.api
    routes = routes_of(described.openapi())
    groups = [(TITLES[tag], list(each)) for tag, each in groupby(routes, key=lambda route: route.tag)]
    address = str(request.base_url).removesuffix("/").removesuffix("/studio")
    context: dict[str, Any] = {"groups": groups, "address": shlex.quote(address), "anchor": _anchor}
    return page(request, "api.html.j2", title="HTTP API", **context)


def _anchor(route: Route) -> str:
    """The id of a route on the page."""
    return re.sub(r"\W+", "-", f"{route.method} {route.path}").strip("-").lower()

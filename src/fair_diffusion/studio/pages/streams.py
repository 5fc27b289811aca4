"""Streams: every rule with its target, and what its images show so far."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from fair_diffusion.service.server import Here, Operator
from fair_diffusion.studio.flows import LAST, TOLERANCE, flows, title_of
from fair_diffusion.studio.view import page

router = APIRouter(prefix="/streams")


@router.get("")
def streams(request: Request, server: Here, key: Operator) -> Response:
    """Every stream."""
    found = flows(server)
    context: dict[str, Any] = {"flows": found, "last": LAST, "tolerance": TOLERANCE, "title_of": title_of}
    return page(request, "streams.html.j2", title="Streams", **context)

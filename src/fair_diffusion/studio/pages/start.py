"""The first page: what can be done here."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from fair_diffusion.service.server import Anybody
from fair_diffusion.studio.view import page

router = APIRouter()


@router.get("/")
def start(request: Request, key: Anybody) -> Response:
    """The first page."""
    return page(request, "start.html.j2", title="Start")

"""The first page: what can be done here."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from fair_diffusion.service.keys import RATER
from fair_diffusion.service.server import Anybody, Here, Operator
from fair_diffusion.studio.drawings import latest
from fair_diffusion.studio.pages.instruct import Asked, put_drawing
from fair_diffusion.studio.view import page, root_of

router = APIRouter()


SENTENCE = "firefighter: half women, half men"
EXAMPLE = Asked(prompt="a photo of a firefighter", sentence=SENTENCE, n=8, seed=0, twins=True)
"""The worked example."""


@router.get("/")
def start(request: Request, server: Here, key: Anybody) -> Response:
    """The first page; where nothing was drawn yet, it explains itself."""
    drawn = latest(server, key, 4) if key.role != RATER else []
    return page(request, "start.html.j2", title="Start", drawn=drawn, example=EXAMPLE, models=server.models())


@router.get("/example")
def ready(request: Request, server: Here, key: Operator) -> Response:
    """The button that draws the worked example; until there is a model, a note that asks again."""
    return page(request, "start_example.html.j2", models=server.models())


@router.post("/example")
def example(request: Request, server: Here, key: Operator) -> Response:
    """Draw the worked example."""
    job = put_drawing(server, key, EXAMPLE, request=request.state.request_id)
    return RedirectResponse(f"{root_of(request)}instruct/{job}", 303)

"""The system card: one page to print for everybody who asks how this service works, and how well."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from fair_diffusion.service.served_model import served_models
from fair_diffusion.service.server import Here, Operator
from fair_diffusion.studio.flows import flows, title_of
from fair_diffusion.studio.system_card import (
    LIMITS,
    Texts,
    agreement,
    before,
    drawings,
    rules_in_force,
    texts_of,
    write,
)
from fair_diffusion.studio.versions import calibration_made, calibrations_of, guidelines_of, readers_of
from fair_diffusion.studio.view import page, root_of

router = APIRouter(prefix="/card")
Text = Annotated[str, Form(max_length=8000, pattern="^[^\\x00]*$")]


@router.get("")
def card(request: Request, server: Here, key: Operator) -> Response:
    """The card."""
    found, drawn = flows(server), drawings(server)
    texts, written = texts_of(server.database)
    names = {each.id: each.name for each in server.keys.all()}
    active = server.policies.active()
    context: dict[str, Any] = {
        "texts": texts,
        "written": written,
        "active": active,
        "rules": rules_in_force(server),
        "history": [
            {"time": each.time, "version": each.version, "by": names.get(each.by, each.by), "why": each.why}
            for each in server.policies.history()
        ],
        "flows": found,
        "title_of": title_of,
        "before": before(drawn, found),
        "agreement": agreement(server.database),
        "models": served_models(server.database),
        "readers": readers_of(drawn),
        "calibrations": calibrations_of(drawn),
        "calibration_made": calibration_made(server.database),
        "guidelines": guidelines_of(server.database),
        "limits": LIMITS,
        "now": time.time(),
    }
    return page(request, "card.html.j2", title="System card", **context)


@router.post("")
def write_card(
    request: Request,
    server: Here,
    key: Operator,
    purpose: Text = "",
    source: Text = "",
    contact: Text = "",
    limits: Text = "",
) -> Response:
    """Write the texts of the card."""
    texts = Texts(purpose.strip(), source.strip(), contact.strip(), limits.strip())
    write(server.database, texts, by=key.id)
    return RedirectResponse(f"{root_of(request)}card", 303)

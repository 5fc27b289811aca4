"""Label: the sets that there are, the guideline with consent, and the page on which a person labels."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from fair_diffusion.files.csv_rows import LARGEST
from fair_diffusion.policy.guideline import SKIPS
from fair_diffusion.service.calibrations import Calibrations
from fair_diffusion.service.keys import OPERATOR
from fair_diffusion.service.label_progress import progress
from fair_diffusion.service.label_queue import UNDOABLE
from fair_diffusion.service.problems import forbidden
from fair_diffusion.service.routes.labels import Set, found, sets_of
from fair_diffusion.service.server import Here, Labeller, Server
from fair_diffusion.studio.flows import flows
from fair_diffusion.studio.label_next import label_next
from fair_diffusion.studio.view import page, root_of

router = APIRouter(prefix="/label")
AHEAD = 4
"""Pictures that the page holds: the one that is shown, and those that are fetched before they are."""


@router.get("")
def sets(request: Request, server: Here, key: Labeller) -> Response:
    """The sets that can be labelled."""
    every = sets_of(server).all()
    told = [(each, progress(server.database, each)) for each in every]
    context: dict[str, Any] = {
        "sets": told,
        "rules": _rules(server),
        "attributes": _attributes(server),
        "may_make": key.role == OPERATOR,
        "megabytes": LARGEST // 2**20,
        "calibrations": Calibrations(server.database).newest(),
        "wanted": label_next(flows(server)) if key.role == OPERATOR else None,
    }
    return page(request, "label_sets.html.j2", title="Label", **context)


@router.get("/{label_set}")
def label(request: Request, label_set: Set, server: Here, key: Labeller) -> Response:
    """Label the pictures of a set; first its guideline, once."""
    ours = found(server, label_set)
    guideline = sets_of(server).guideline(ours.guideline)
    context: dict[str, Any] = {"set": ours, "guideline": guideline, "title": ours.name, "rater": key.id}
    if not sets_of(server).agreed(key.id, ours.guideline):
        return page(request, "label_consent.html.j2", **context)
    return page(request, "label.html.j2", skips=SKIPS, ahead=AHEAD, undoable=UNDOABLE, **context)


@router.post("/{label_set}/agree")
def agree(
    request: Request, label_set: Set, server: Here, key: Labeller, guideline: Annotated[str, Form(max_length=64)] = ""
) -> Response:
    """Agree to the guideline of a set."""
    ours = found(server, label_set)
    if guideline != ours.guideline:
        raise forbidden("the guideline changed meanwhile; read it anew")
    sets_of(server).consent(key.id, ours.guideline)
    return RedirectResponse(f"{root_of(request)}label/{ours.id}", 303)


def _rules(server: Server) -> list[str]:
    """The rules of the policy that holds."""
    active = server.policies.active()
    return [rule.name for rule in active.policy.rules] if active else []


def _attributes(server: Server) -> dict[str, str]:
    """What can be asked: names for programs and for people."""
    from fair_diffusion.service.routes.label_review import known_attributes

    return {name: each.label for name, each in known_attributes(server).items()}

"""Label, for who looks after the labels: sets, raters, disagreements, tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Form, Path, Request, UploadFile
from starlette.responses import RedirectResponse, Response

from fair_diffusion.service.calibrations import Calibrations
from fair_diffusion.service.keys import OPERATOR, Key
from fair_diffusion.service.label_calibration import calibration_of
from fair_diffusion.service.label_decisions import Adjudications
from fair_diffusion.service.label_raters import raters_of
from fair_diffusion.service.label_sets import SECOND
from fair_diffusion.service.label_sources import known_answers, pictures_of
from fair_diffusion.service.label_table import What, import_labels, labels_text
from fair_diffusion.service.problems import forbidden, no_such, wrong
from fair_diffusion.service.routes.label_review import known_attributes
from fair_diffusion.service.routes.labels import Set, found, sets_of
from fair_diffusion.service.server import Here, Labeller, Operator, Server
from fair_diffusion.studio.view import page, root_of

router = APIRouter(prefix="/label")
SHOWN = 20
"""Disagreements on one page."""
MOST_GOLD = 1000
"""Gold questions of a set."""


@router.post("")
def make(
    request: Request,
    server: Here,
    key: Operator,
    name: Annotated[str, Form(max_length=200)] = "",
    attribute: Annotated[str, Form(max_length=100)] = "",
    rule: Annotated[str, Form(max_length=200)] = "",
    queue: Annotated[str, Form(max_length=20)] = "random",
    second: Annotated[float, Form(ge=0, le=100)] = 100 * SECOND,
    gold: Annotated[int, Form(ge=0, le=MOST_GOLD)] = 0,
) -> Response:
    """Make a set of the drawings that are kept. `second` is in percent; `gold` counts questions with known answers."""
    try:
        asked = known_attributes(server).attribute(attribute)
        pictures = pictures_of(server.database, attribute, rule=rule or None)
        if not pictures:
            raise ValueError("no drawing of this rule is kept; draw first, or choose another rule")
        if gold:
            known = known_answers(server.database, asked, gold, {each.image for each in pictures})
            pictures = pictures_of(server.database, attribute, rule=rule or None, gold=known)
        called = name or f"{asked.label}, {rule or 'all drawings'}"
        made = sets_of(server).add(called, asked, pictures, queue=queue, second=second / 100, by=key.id)
    except ValueError as error:
        raise wrong(None, str(error)) from None
    return RedirectResponse(f"{root_of(request)}label/{made.id}", 303)


@router.post("/calibration")
def calibrate(request: Request, server: Here, key: Operator, sets: Annotated[Sequence[str], Form()] = ()) -> Response:
    """Calibrate by the labels of some sets: what they say of each reader, to be downloaded. The trail knows."""
    if not sets:
        raise wrong("sets", "choose at least one set whose labels the calibration rests on")
    try:
        made = calibration_of(server.database, sets)
    except ValueError as error:
        raise wrong(None, str(error)) from None
    Calibrations(server.database).keep(made, by=key.id)
    return page(request, "label_calibrated.html.j2", title="Calibrated", made=made)


@router.get("/calibration/{version}")
def download(version: Annotated[str, Path(pattern="^[0-9a-f]{12}$")], server: Here, key: Operator) -> Response:
    """The file of a calibration, as it was when it was made."""
    try:
        content = Calibrations(server.database).get(version).content
    except LookupError:
        raise no_such("calibration") from None
    headers = {"content-disposition": f'attachment; filename="calibration-{version}.json"'}
    return Response(content, media_type="application/json", headers=headers)


@router.get("/{label_set}/raters")
def raters(request: Request, label_set: Set, server: Here, key: Labeller) -> Response:
    """How raters do; a rater sees the own line alone."""
    ours = found(server, label_set)
    told = raters_of(server.database, ours)
    rows = [each for each in told.raters if key.role == OPERATOR or each.rater == key.id]
    context: dict[str, Any] = {
        "set": ours,
        "told": told,
        "rows": rows,
        "names": _names(server, key),
        "every": key.role == OPERATOR,
    }
    return page(request, "label_raters.html.j2", title="Raters", **context)


@router.get("/{label_set}/disagreements")
def disagreements(request: Request, label_set: Set, server: Here, key: Operator) -> Response:
    """Pictures of which raters disagree, and what was decided."""
    ours = found(server, label_set)
    desk = Adjudications(server.database, ours)
    differ, decided = desk.disagreements(), desk.all()
    pictures = desk.pictures([*differ, *(each.image for each in decided)])
    differ = {image: one for image, one in differ.items() if image in pictures}  # of others the labels alone are kept
    first = dict(list(differ.items())[:SHOWN])
    context: dict[str, Any] = {
        "set": ours,
        "differ": first,
        "left": len(differ) - len(first),
        "pictures": pictures,
        "decided": decided,
    }
    return page(request, "label_disagreements.html.j2", title="Disagreements", names=_names(server, key), **context)


@router.post("/{label_set}/disagreements")
def decide(
    request: Request,
    label_set: Set,
    server: Here,
    key: Operator,
    image: Annotated[str, Form(pattern="^[0-9a-f]{64}$")],
    answer: Annotated[str, Form(max_length=200)] = "",
    why: Annotated[str, Form(max_length=200)] = "",
    back: Annotated[bool, Form()] = False,
) -> Response:
    """Decide what a picture shows, or take a decision back. The labels stay as they are."""
    desk = Adjudications(server.database, found(server, label_set))
    try:
        if back:
            desk.take_back(image)
        else:
            desk.decide(image, answer or None, why=why, by=key.id)
    except (ValueError, LookupError) as error:
        raise wrong(None, str(error)) from None
    return RedirectResponse(f"{root_of(request)}label/{label_set}/disagreements", 303)


@router.get("/{label_set}/labels.csv")
def table(label_set: Set, server: Here, key: Operator, what: What = "labels") -> Response:
    """The labels as an audit reads them."""
    ours = found(server, label_set)
    headers = {"content-disposition": f'attachment; filename="{ours.id}-{what}.csv"'}
    return Response(labels_text(server.database, ours, what=what), media_type="text/csv", headers=headers)


@router.post("/{label_set}/labels.csv")
def take(request: Request, label_set: Set, server: Here, key: Operator, file: UploadFile) -> Response:
    """Add the labels of a table."""
    content = file.file.read()
    try:
        ours, text, known = found(server, label_set), content.decode("utf-8-sig"), known_attributes(server)
        told = import_labels(server.database, ours, text, attributes=known, by=key.id)
    except UnicodeDecodeError:
        raise wrong(None, "the file is not UTF-8 text; save it as CSV in UTF-8") from None
    except ValueError as error:
        raise wrong(None, str(error)) from None
    return page(request, "label_imported.html.j2", title="Labels added", set=label_set, told=told)


@router.post("/{label_set}/remove")
def remove(
    request: Request, label_set: Set, server: Here, key: Operator, sure: Annotated[bool, Form()] = False
) -> Response:
    """Remove a set and its pictures; labels stay."""
    if not sure:
        raise forbidden("tick that you are sure, to remove a set with its pictures")
    sets_of(server).remove(found(server, label_set).id, by=key.id)
    return RedirectResponse(f"{root_of(request)}label", 303)


def _names(server: Server, key: Key) -> dict[str, str]:
    """What raters are called, for operators; oneself otherwise."""
    known = server.keys.all() if key.role == OPERATOR else [key]
    return {each.id: each.name for each in known}

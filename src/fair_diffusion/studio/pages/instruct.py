"""Instruct: a prompt and a sentence, what is understood of them, and the way to a drawing."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Form, Query, Request, UploadFile
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from fair_diffusion.methods import METHODS
from fair_diffusion.policy import Policy, match
from fair_diffusion.policy.target import Cell
from fair_diffusion.request import MAX_PROMPT
from fair_diffusion.seeds import SEEDS
from fair_diffusion.service.asking import put_body
from fair_diffusion.service.image_request import Fairness, ImageRequest, chosen_model, draw_body
from fair_diffusion.service.keys import CLIENT, Key
from fair_diffusion.service.policies import Version
from fair_diffusion.service.problems import Problem, no_such
from fair_diffusion.service.served_model import served_models
from fair_diffusion.service.server import Asker, Here, Server
from fair_diffusion.studio.drawings import Drawing, drawing, latest
from fair_diffusion.studio.settings_of_drawing import WITHOUT_POLICY, settings_of_drawing
from fair_diffusion.studio.settings_of_png import settings_of
from fair_diffusion.studio.understanding import Understood, understood, written
from fair_diffusion.studio.view import page, root_of, text_of

router = APIRouter(prefix="/instruct")
WAYS = {
    name: row.does for name, row in METHODS.items() if row.assigns and not row.needs_file and row.drawn_by == "everyone"
}
"""The methods that forms offer, with what each does: those that cost no more than some plain images."""
MOST = 32
"""Images of one drawing at most."""
USUAL = 8
VERSION = f"^({WITHOUT_POLICY}|[1-9][0-9]{{0,8}})?$"
PARTIALS = 3
"""Previews of each image while it is drawn."""


class Asked(BaseModel):
    """The form."""

    model_config = ConfigDict(hide_input_in_errors=True)

    prompt: str = Field(default="", max_length=MAX_PROMPT)
    sentence: str = Field(default="", max_length=4000)
    n: int = Field(default=USUAL, ge=1, le=MOST)
    seed: int | None = Field(default=None, ge=0, le=SEEDS - MOST)
    model: str | None = Field(default=None, max_length=300)
    steps: int | None = Field(default=None, ge=1, le=1000)
    negative_prompt: str = Field(default="", max_length=MAX_PROMPT)
    twins: bool = False
    guidance: float | None = Field(default=None, ge=0, le=100, allow_inf_nan=False)
    method: str | None = Field(default=None, max_length=100)
    policy: str = Field(default="", pattern=VERSION, description='"": in force; "none": without one; or a version')


@router.get("")
def instruct(
    request: Request,
    server: Here,
    key: Asker,
    tasks: BackgroundTasks,
    like: Annotated[str | None, Query()] = None,
    place: Annotated[int | None, Query(ge=0, le=1000)] = None,
) -> Response:
    """The form; `like` names the job of a drawing whose settings stand in it, `place` the one image that is wanted."""
    tasks.add_task(_warm)
    given = _given(server, drawing(server, key, like), place) if like else {}
    shown = page(request, "instruct.html.j2", title="Instruct", **_form(server, key, given))
    shown.background = tasks
    return shown


def _given(server: Server, drawn: Drawing, place: int | None = None) -> dict[str, Any]:
    """The settings of a drawing, or of one of its images."""
    active = server.policies.active()
    upstream = any(model.upstream for model in served_models(server.database) if model.name == drawn.model)
    version = active.version if active else None
    return settings_of_drawing(drawn, place=place, active=version, upstream=upstream)


def _form(server: Server, key: Key, given: Mapping[str, Any]) -> dict[str, Any]:
    """What the form shows."""
    models = served_models(server.database)
    active = server.policies.active()
    return {
        "given": given,
        "models": models,
        "ready": any(model.ready for model in models),
        "may_instruct": key.role != CLIENT,
        "active": active.version if active else None,
        "methods": {name: row.does for name, row in METHODS.items() if name in WAYS or name == given.get("method")},
        "most": MOST,
        "usual": USUAL,
        "latest": latest(server, key),
    }


@router.get("/ready")
def ready(request: Request, server: Here, key: Asker) -> Response:
    """The note that no model is there; empty once one is."""
    models = served_models(server.database)
    there = any(model.ready for model in models)
    return page(request, "instruct_ready.html.j2", models=models, ready=there)


@router.post("/understood")
async def understand(request: Request, server: Here, key: Asker) -> Response:
    """What is understood of the form as it stands. Sliders write the sentence; a sentence sets the sliders."""
    form = await request.form()
    prompt, sentence = str(form.get("prompt", "")), str(form.get("sentence", "")) if key.role != CLIENT else ""
    policy = str(form.get("policy", "")) if key.role != CLIENT else ""
    n = _whole(form.get("n"), USUAL, MOST)
    given = {name: _whole(value, 0, 100) for name, value in form.items() if name.startswith("share.")}
    return await run_in_threadpool(
        _understood, request, server, key, prompt, sentence, n, policy, given, bool(form.get("moved"))
    )


def _understood(
    request: Request,
    server: Server,
    key: Key,
    prompt: str,
    sentence: str,
    n: int,
    policy: str,
    given: Mapping[str, int],
    moved: bool,
) -> Response:
    found = _read(server, prompt, sentence, n, policy)
    new = None
    if moved and found.matched is not None and found.sliders:
        shares = dict[tuple[int, Cell], int]()
        for k, target in enumerate(found.matched.targets):
            mine = {
                (k, cell): given[name] for cell in target.shares if (name := f"share.{k}.{'+'.join(cell)}") in given
            }
            shares |= mine if sum(mine.values()) == 100 else {}
        new = written(found.matched, sentence, shares) if shares else None
        if new is not None:
            found = _read(server, prompt, new, n, policy)
    context: dict[str, Any] = {
        "found": found,
        "n": n,
        "sliders": not moved,
        "sentence": new,
        "may_instruct": key.role != CLIENT,
    }
    return page(request, "instruct_understood.html.j2", **context)


def _read(server: Server, prompt: str, sentence: str, n: int, policy: str) -> Understood:
    held = _held(server, sentence, policy)
    return understood(
        prompt[:MAX_PROMPT],
        sentence[:4000],
        n,
        held.policy if held else Policy(),
        held.version if held else None,
    )


def _held(server: Server, sentence: str, policy: str) -> Version | None:
    """The policy that holds for a drawing, or whose definitions its sentence may use; `policy` as in the form."""
    if sentence.strip() or not policy:
        return server.policies.active()
    if policy == WITHOUT_POLICY:
        return None
    try:
        return server.policies.get(_whole(policy, 0, 10**9))
    except ValueError:
        raise no_such("policy") from None


def _whole(text: Any, usual: int, most: int) -> int:
    """A whole number from 0 to `most`, as far as one is given."""
    try:
        return min(most, max(0, int(str(text))))
    except ValueError:
        return usual


@router.post("")
def draw(request: Request, server: Here, key: Asker, asked: Annotated[Asked, Form()]) -> Response:
    """Put a drawing into the queue, and its plain twins if they are wanted and differ."""
    job = put_drawing(server, key, asked, request=request.state.request_id)
    return RedirectResponse(f"{root_of(request)}instruct/{job}", 303)


def put_drawing(server: Server, key: Key, asked: Asked, *, request: str, group: str = "", priority: int = 0) -> str:
    """The id of the job of a new drawing.

    Args:
        server: has the queue.
        key: of the caller.
        asked: the form.
        request: the id of the request.
        group: what the drawing is a part of.
        priority: drawings of a higher one go first.

    Raises:
        Problem: a field is wrong; nothing is drawn then.
        LimitError: it is more than the key may ask for.
    """
    model = chosen_model(server, asked.model or None)
    sentence = asked.sentence.strip()
    fairness: dict[str, Any] = {}
    if key.role != CLIENT:
        fairness = {
            "instruct": sentence or None,
            "policy": None if sentence else _version(asked.policy),
            "method": asked.method,
            "steps": asked.steps,
            "guidance": asked.guidance,
            "negative_prompt": asked.negative_prompt.strip() or None,
            "seed": secrets.randbelow(SEEDS - MOST) if asked.seed is None and not model.upstream else asked.seed,
        }
        fairness = {name: value for name, value in fairness.items() if value is not None}
    wanted = ImageRequest(prompt=asked.prompt, fairness=Fairness(**fairness) if fairness else None)
    body = draw_body(server, key, wanted, model, request)
    key.limits.check(n=asked.n)
    partials = 0 if model.upstream or group else PARTIALS
    body = replace(body, n=asked.n, partials=partials, group=group)
    twins = asked.twins and key.role != CLIENT and not model.upstream  # for clients the policy holds
    if twins and _read(server, asked.prompt, sentence, asked.n, asked.policy).fires:
        plain = replace(body, instruct=None, policy=None, defined_by=None, policy_hash=None)
        twin, _ = put_body(server, key, plain, model, priority=priority)
        body = replace(body, plain=twin.id)
    try:
        job, _ = put_body(server, key, body, model, priority=priority)
    except Exception:  # nobody would look at the twins
        if body.plain:
            server.jobs.cancel(body.plain)
        raise
    return job.id


def _version(policy: str) -> int | str | None:
    """What holds, as a request names it; `policy` as in the form."""
    return int(policy) if policy.isdigit() else policy or None


@router.post("/settings")
async def settings(request: Request, server: Here, key: Asker, picture: UploadFile) -> Response:
    """The form with the settings of a picture that was dropped."""
    content = await picture.read()
    given = await run_in_threadpool(settings_of, server, key, content)
    if given is None:
        raise Problem(400, "this picture does not say how it was made; drop a PNG of this studio or of `generate`")
    if given.get("job"):
        given = _given(server, drawing(server, key, given["job"]))
    text = await run_in_threadpool(
        lambda: text_of(request, "instruct_form.html.j2", **_form(server, key, {"n": USUAL, **given}), dropped=True)
    )
    return Response(text, media_type="text/html")


_warming = threading.Lock()


def _warm() -> None:
    """Read one sentence and one strange word, so that what people type is understood at once."""
    with _warming:
        match(Policy.from_sentence("every occupation: gender equal"), "a photo of a blorfsmith")

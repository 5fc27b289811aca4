"""Audits and comparisons: start one, watch it, read its report, share it by a link."""

from __future__ import annotations

import math
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Form, Path, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from fair_diffusion.files.csv_rows import inner_path
from fair_diffusion.methods import USUAL
from fair_diffusion.report.headline import units
from fair_diffusion.seeds import SEEDS
from fair_diffusion.service import uploads
from fair_diffusion.service.audit_body import COUNTS, DRAWINGS, PICTURES, AuditBody
from fair_diffusion.service.image_request import chosen_model
from fair_diffusion.service.job import DONE, Job, UnknownJobError
from fair_diffusion.service.keys import Key
from fair_diffusion.service.problems import Problem, no_such, wrong
from fair_diffusion.service.server import Here, Operator, Server
from fair_diffusion.service.signing import Signer
from fair_diffusion.service.uploads import Upload
from fair_diffusion.service.worker_kind import audit_kind_of
from fair_diffusion.studio.drawings import drawing
from fair_diffusion.studio.pages.instruct import MOST, WAYS, Asked, put_drawing
from fair_diffusion.studio.view import page, root_of

router = APIRouter(prefix="/audits")
shared = APIRouter(prefix="/shared")
OCCUPATIONS = "firefighter\nnurse\nteacher\nfarmer\nscientist\nsoftware developer"
"""What the form begins with."""
CONCEPTS = 50
"""Occupations of one audit at most."""
SHARED = 30 * 24 * 3600
"""Seconds for which a link to a report is valid."""
EXAMPLE = """\
prompt,attribute,group,count
nurse,gender,woman,46
nurse,gender,man,4
pilot,gender,woman,6
pilot,gender,man,44
"""
ID = "^job_[0-9a-f]{32}$"
_POLICY = re.compile(r'http-equiv="Content-Security-Policy" content="([^"]*)"')


@dataclass(frozen=True)
class Shown:
    """An audit, as the list shows it."""

    job: Job
    body: AuditBody

    @property
    def share(self) -> float | None:
        """How much of it is done."""
        told = self.job.progress or {}
        return told["step"] / told["steps"] if told.get("steps") else None


@router.get("")
def audits(request: Request, server: Here, key: Operator) -> Response:
    """The forms, and the audits so far."""
    context: dict[str, Any] = {
        "audits": _all(server),
        "occupations": OCCUPATIONS,
        "example": EXAMPLE,
        "most": MOST,
        "megabytes": server.settings.most_upload // 2**20,
        "active": server.policies.active(),
        "ways": WAYS,
        "usual": USUAL,
    }
    return page(request, "audits.html.j2", title="Audits and comparisons", **context)


def _all(server: Server) -> list[Shown]:
    found = server.jobs.newest(kinds=["audit "], most=50)
    return [Shown(job, AuditBody.of(job.body)) for job in found]


@router.post("/suite")
def suite(
    request: Request,
    server: Here,
    key: Operator,
    occupations: Annotated[str, Form(max_length=20_000)],
    prompt: Annotated[str, Form(max_length=2000)] = "a photo of a {}",
    sentence: Annotated[str, Form(max_length=4000)] = "",
    n: Annotated[int, Form(ge=1, le=MOST)] = 8,
    title: Annotated[str, Form(max_length=200)] = "",
    ways: Annotated[Sequence[str], Form()] = (),
) -> Response:
    """Draw images of several occupations, with and without the instruction, in one or several ways, and audit them."""
    concepts = list(dict.fromkeys(line.strip() for line in occupations.splitlines() if line.strip()))
    if not 1 <= len(concepts) <= CONCEPTS:
        raise wrong("occupations", f"{len(concepts)} occupations; give 1 to {CONCEPTS}, one on each line")
    if prompt.count("{}") != 1:
        raise wrong("prompt", "mark the place of the occupation in the prompt with {}, once")
    chosen = [way for way in WAYS if way in ways]
    if not chosen or len(chosen) < len(set(ways)):
        raise wrong("ways", f"choose at least one way to draw it, of {', '.join(WAYS)}")
    identity = request.state.request_id
    drawings = list[tuple[str, str]]()
    try:
        for concept in concepts:
            text, seed = prompt.replace("{}", concept), secrets.randbelow(SEEDS - MOST)
            asked = Asked(prompt=text, sentence=sentence.replace("{}", concept), n=n, seed=seed)
            for way in chosen:  # the same seeds in each, and one set of plain twins
                drawn = asked.model_copy(update={"method": None if way == USUAL else way, "twins": way == chosen[0]})
                job = put_drawing(server, key, drawn, request=identity, group=identity, priority=-1)
                drawings.append((concept, job))
    except Exception:  # no audit would count those that are in the queue already
        for _, job in drawings:
            twin = server.jobs.cancel(job).body.get("plain")
            if twin:
                server.jobs.cancel(twin)
        raise
    named = title.strip() or f"{units(len(concepts), 'occupation')}, {n} images each"
    return _put(request, server, key, AuditBody(subject=DRAWINGS, title=named, drawings=drawings), n * len(drawings))


@router.post("/drawing/{job}")
def of_drawing(request: Request, job: Annotated[str, Path(pattern=ID)], server: Here, key: Operator) -> Response:
    """Make the report of one drawing."""
    drawn = drawing(server, key, job)
    title = drawn.prompt or "A drawing"
    return _put(request, server, key, AuditBody(subject=DRAWINGS, title=title, drawings=[(title, job)]), drawn.body.n)


@router.post("/counts")
async def counts(request: Request, server: Here, key: Operator) -> Response:
    """Audit a table of counts: as text, or as a file."""
    try:
        body = await _table(request)
        return await run_in_threadpool(_put, request, server, key, body, 1)
    finally:
        await request.close()


async def _table(request: Request) -> AuditBody:
    """The table that a form holds."""
    form = await request.form()
    table, text = form.get("file"), str(form.get("text", ""))
    if not isinstance(table, str) and table is not None and table.size:
        try:
            text = (await table.read()).decode("utf-8-sig")
        except UnicodeDecodeError:
            raise wrong("file", "the table is no text in UTF-8; save it so") from None
    if not text.strip():
        raise wrong("text", "there is no table; paste one, or choose a file")
    if len(text) > 1_000_000:
        raise wrong("text", "the table has more than a million characters; audit it with the command line")
    title = str(form.get("title", "")).strip()[:200] or "Counts"
    return AuditBody(subject=COUNTS, title=title, text=text)


@router.post("/pictures")
async def pictures(request: Request, server: Here, key: Operator) -> Response:
    """Audit pictures that are sent: a folder for each concept, or names that tell it."""
    try:
        form = await request.form()
        files = [each for each in form.getlist("pictures") if not isinstance(each, str) and each.size]
        title = str(form.get("title", "")).strip()[:200]
        return await run_in_threadpool(_store, request, server, key, files, title)
    finally:
        await request.close()


def _store(request: Request, server: Server, key: Key, files: Sequence[Any], title: str) -> Response:
    found, names, pixels = list[Upload](), list[str](), server.settings.most_pixels
    for file in files:
        try:
            names.append(inner_path(file.filename or "picture"))
            found.append(Upload.of(file.file, "pictures", pixels=pixels))
        except (Problem, ValueError):  # another file of the folder, or one that is broken
            del names[len(found) :]
    if not found:
        raise wrong("pictures", "there is no picture that can be read; choose a folder with PNG, JPEG or WebP files")
    upload = uploads.store(server.images, found, key=key.id, kept=server.settings.kept)
    places = [(name, each.hash) for name, each in zip(names, found, strict=True)]
    title = title or units(len(found), "picture")
    body = AuditBody(subject=PICTURES, title=title, pictures=places, upload=upload)
    return _put(request, server, key, body, len(found))


def _put(request: Request, server: Server, key: Key, body: AuditBody, images: int) -> Response:
    model = chosen_model(server, None)
    body = replace(body, request=request.state.request_id)
    server.jobs.put(
        audit_kind_of(model.name),
        body.stored(),
        key=key.id,
        lane=f"audit {request.state.request_id}",
        cost=float(images),
        images=0,
        kept=server.settings.kept,
    )
    return RedirectResponse(f"{root_of(request)}audits", 303)


Id = Annotated[str, Path(pattern=ID)]


@router.get("/{job}")
def row(request: Request, job: Id, server: Here, key: Operator) -> Response:
    """One audit of the list, as it is now."""
    found = _found(server, job)
    return page(request, "audit_row.html.j2", audit=Shown(found, AuditBody.of(found.body)))


@router.post("/{job}/cancel")
def cancel(request: Request, job: Id, server: Here, key: Operator) -> Response:
    """Cancel an audit, and the drawings that it waits for."""
    found = _found(server, job)
    for each in [found.id, *(name for _, name in AuditBody.of(found.body).drawings)]:
        server.jobs.cancel(each)
    return RedirectResponse(f"{root_of(request)}audits", 303)


@router.get("/{job}/report")
def report(job: Id, server: Here, key: Operator) -> Response:
    """The report."""
    return _report(server, _found(server, job))


@router.post("/{job}/share")
def share(request: Request, job: Id, server: Here, key: Operator) -> Response:
    """A link to the report for people without a key."""
    found = _found(server, job)
    token = Signer(server.database).sign("report", found.id)
    seconds = min(time.time() + SHARED, found.expires or math.inf)  # the report goes with its job
    until = datetime.fromtimestamp(seconds, UTC)
    shown = request.headers.get("hx-current-url", str(request.url))
    link = f"{shown.partition('/studio/')[0]}/studio/shared/{token}"
    return page(request, "audit_link.html.j2", link=link, until=f"{until:%-d %B %Y}")


@shared.get("/{token}")
def shared_report(token: Annotated[str, Path(max_length=1000)], server: Here) -> Response:
    """The report that a link leads to."""
    job = Signer(server.database).read("report", token, seconds=SHARED)
    if job is None:
        raise no_such("report: the link is wrong, or older than 30 days")
    return _report(server, _found(server, job))


def _found(server: Server, job: str) -> Job:
    found = server.jobs.get(job)
    if not found.kind.startswith("audit "):
        raise UnknownJobError("this job is no audit")
    return found


def _report(server: Server, job: Job) -> Response:
    """The page of the report. It says itself what it may load: its own style alone."""
    if job.state != DONE or not job.result:
        raise no_such("report yet")
    try:
        content, media = server.images.get(job.result["report"], key=job.key)
    except (LookupError, OSError):
        raise no_such("report any more: its time is over") from None
    own = _POLICY.search(content[:4000].decode(errors="replace"))
    policy = f"{own[1] if own else 'sandbox'}; frame-ancestors 'none'".replace("&#39;", "'")
    return Response(content, media_type=media, headers={"content-security-policy": policy})

"""Who is signed in: a cookie that the server signed names the key. And the proof that a form came from our own page."""

from __future__ import annotations

import hmac
import re
import time
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from fair_diffusion.service.database import Database
from fair_diffusion.service.keys import Key
from fair_diffusion.service.problems import forbidden
from fair_diffusion.service.server import Here, Server
from fair_diffusion.service.signing import Signer
from fair_diffusion.studio.view import page, root_of

router = APIRouter()
LASTS = 12 * 3600
"""Seconds after which people sign in again."""
ENTRY = 600
"""Seconds for which a link that signs in is valid."""
SAFE = ("GET", "HEAD")
_INSIDE = re.compile(r"[a-z][a-z0-9/_-]*")


def cookie_of(database: Database) -> str:
    """The name of the cookie. Browsers send cookies to all ports of a machine: each database has a name of its own, so
    that who signs in to one studio stays signed in to another."""
    return f"fair-diffusion-studio-{Signer(database).mark('cookie', '')[:12]}"


def signed_in(server: Server, request: Request) -> Key | None:
    """The key of whoever is signed in; None if nobody is, or if the key was revoked since."""
    token = request.cookies.get(cookie_of(server.database), "")
    key = Signer(server.database).read("session", token, seconds=LASTS) if token else None
    return None if key is None else server.keys.valid(key)


def entry(server: Server, key: Key) -> str:
    """The path, below the studio, of a link that signs in with a key: for whoever starts the server."""
    return f"enter?token={Signer(server.database).sign('entry', key.id)}"


def proof(request: Request) -> str:
    """What the forms of a page send along, and no page of another site can know."""
    server: Server = request.app.state.server
    return Signer(server.database).mark("form", request.cookies.get(cookie_of(server.database), ""))


async def same_site(request: Request) -> None:
    """`Problem` 403 if a request that changes something does not come from a page of ours."""
    if request.method in SAFE:
        return
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise forbidden("this request comes from another site; open the page here")
    if not hasattr(request.state, "key"):  # nobody is signed in: there is nothing to misuse
        return
    given = request.headers.get("x-proof") or (await request.form()).get("proof")
    if not isinstance(given, str) or not hmac.compare_digest(given, proof(request)):
        raise forbidden("the page is older than your session; load it again")


@router.get("/sign-in")
def sign_in(request: Request, to: Annotated[str, Query(max_length=300)] = "") -> Response:
    """The page of signing in."""
    return page(request, "sign_in.html.j2", title="Sign in", to=_inside(to), wrong=False)


@router.post("/sign-in")
def enter_key(
    request: Request,
    server: Here,
    key: Annotated[str, Form(max_length=300)] = "",
    to: Annotated[str, Form(max_length=300)] = "",
) -> Response:
    """Sign in with a key."""
    found = server.keys.find(key.strip())
    if found is None:
        time.sleep(0.5)
        return page(request, "sign_in.html.j2", title="Sign in", to=_inside(to), wrong=True, status=401)
    return _into(request, server, found, _inside(to))


@router.get("/enter")
def enter_link(
    request: Request,
    server: Here,
    token: Annotated[str, Query(max_length=1000)],
    to: Annotated[str, Query(max_length=300)] = "",
) -> Response:
    """Sign in with a link, and open a page."""
    key = Signer(server.database).read("entry", token, seconds=ENTRY)
    found = None if key is None else server.keys.valid(key)
    if found is None:
        return page(request, "sign_in.html.j2", title="Sign in", to=_inside(to), wrong=True, status=401)
    return _into(request, server, found, _inside(to))


@router.post("/sign-out")
def sign_out(request: Request, server: Here) -> Response:
    """Sign out."""
    answer = RedirectResponse(f"{root_of(request)}sign-in", 303)
    answer.set_cookie(cookie_of(server.database), "", max_age=0, path=None, httponly=True, samesite="strict")
    return answer


def _into(request: Request, server: Server, key: Key, to: str) -> Response:
    answer = RedirectResponse(f"{root_of(request)}{to}", 303)
    answer.set_cookie(
        cookie_of(server.database),
        Signer(server.database).sign("session", key.id),
        max_age=LASTS,
        path=None,  # the browser takes the folder of this page: the studio, behind any prefix
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return answer


def _inside(to: str) -> str:
    """A path within the studio; "" for anything else."""
    return to if _INSIDE.fullmatch(to) else ""

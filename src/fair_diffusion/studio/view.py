"""How a page is made: its template, what every page shows, and addresses that hold behind any prefix."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import Request
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette._utils import get_route_path
from starlette.responses import HTMLResponse

from fair_diffusion import __version__
from fair_diffusion.report.headline import plural, spoken, units
from fair_diffusion.service.keys import Key
from fair_diffusion.studio.navigation import links


def root_of(request: Request) -> str:
    """The address of the studio as the page sees it that is shown, such as "../".

    All addresses are relative, so no part of ours has to know the prefix behind which it is served. A part of a page
    counts from the address of its page, which htmx tells."""
    shown = request.headers.get("hx-current-url", "").partition("?")[0].partition("#")[0]
    path = shown.rpartition("/studio/")[2] if "/studio/" in shown else get_route_path(request.scope).lstrip("/")
    return "../" * path.count("/") or "./"


def page(
    request: Request,
    template: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    root: str | None = None,
    **context: Any,
) -> HTMLResponse:
    """A page, or a part of one.

    Args:
        request: what is answered.
        template: the name of the file. A whole page needs `title` in its context.
        status: of HTTP.
        headers: further ones.
        root: the address of the studio, where it is not that of `root_of`.
        context: what the template shows.
    """
    return HTMLResponse(text_of(request, template, root=root, **context), status, headers)


def text_of(request: Request, template: str, *, root: str | None = None, **context: Any) -> str:
    """The text of a page, or of a part of one; the arguments are those of `page`."""
    from fair_diffusion.studio.sessions import proof

    key: Key | None = getattr(request.state, "key", None)
    path = get_route_path(request.scope).strip("/")
    shared = {
        "root": root_of(request) if root is None else root,
        "key": key,
        "links": links(key.role, path) if key else [],
        "proof": proof(request) if key else "",
        "version": __version__,
        "stamp": _stamp(),
    }
    return _templates().get_template(template).render(shared | context)


@cache
def _templates() -> Environment:
    made = Environment(
        loader=PackageLoader("fair_diffusion.studio"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(spoken=spoken, plural=plural, units=units, percent=percent, at=at, iso=iso, colour=colour)
    return made


@cache
def _stamp() -> str:
    """Changes with the files that pages load, so that browsers keep them until then."""
    files = sorted(path for path in (Path(__file__).parent / "static").rglob("*") if path.is_file())
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]


def percent(share: float | None) -> str:
    """A share in whole percent: "48 %"; "–" if there is none."""
    return "–" if share is None else f"{100 * float(share):.0f}\u00a0%"


def at(seconds: float | None) -> str:
    """A time for people, in UTC: "30 Nov 2026, 10:31"."""
    return "–" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%-d %b %Y, %H:%M}"


def iso(seconds: float) -> str:
    """A time for programs."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def colour(group: str | None, groups: list[str]) -> str:
    """The class that colours a group, the same wherever it is shown; letters and words go beside it."""
    return f"g{groups.index(group) % 8}" if group in groups else "g-none"

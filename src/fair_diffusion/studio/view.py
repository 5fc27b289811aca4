"""How a page is made: its template, what every page shows, and addresses that hold behind any prefix."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import Request
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse

from fair_diffusion import __version__
from fair_diffusion.audit.table import JOINT
from fair_diffusion.policy.target import percent as of_target
from fair_diffusion.report.headline import plural, spoken, units
from fair_diffusion.service.keys import Key
from fair_diffusion.service.route_path import route_path
from fair_diffusion.studio.drawings import Drawing
from fair_diffusion.studio.navigation import links
from fair_diffusion.studio.understanding import Asked


def root_of(request: Request) -> str:
    """The address of the studio as the page sees it that is shown, such as "../".

    All addresses are relative, so no part of ours has to know the prefix behind which it is served. A part of a page
    counts from the address of its page, which htmx tells."""
    shown = request.headers.get("hx-current-url", "").partition("?")[0].partition("#")[0]
    path = shown.rpartition("/studio/")[2] if "/studio/" in shown else route_path(request.scope).lstrip("/")
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
    path = route_path(request.scope).strip("/")
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
    made.globals.update(units=units)
    filters = (spoken, plural, percent, ends, sentence, share, shown, at, iso, colour, plain_count)
    made.filters.update({each.__name__: each for each in filters})
    return made


@cache
def _stamp() -> str:
    """Changes with the files that pages load, so that browsers keep them until then."""
    files = sorted(path for path in (Path(__file__).parent / "static").rglob("*") if path.is_file())
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]


def percent(share: float | None) -> str:
    """A share in whole percent: "48 %"; "–" if there is none."""
    return "–" if share is None else f"{100 * float(share):.0f}\u00a0%"


def share(percents: Fraction) -> str:
    """A share of a target in percent, with one decimal where it needs one."""
    return of_target(percents / 100)


def sentence(text: str) -> str:
    """A remark as a sentence: a capital letter in front, a full stop at the end unless there is one."""
    return f"{text[:1].upper()}{text[1:]}{'' if text[-1:] in '.?!' else '.'}"


def ends(interval: tuple[float, float]) -> str:
    """An interval of a share: "42–58 %"."""
    low, high = interval
    return f"{100 * low:.0f}–{100 * high:.0f}\u00a0%"


def shown(asked: Asked, n: int) -> str:
    """How many of n images are to show each group: "Of 8 images, 7 women and 1 man"."""
    parts = [
        f"{part.quota} {part.name if part.quota == 1 else plural(part.name)}" for part in asked.parts if part.quota
    ]
    *first, last = parts
    return f"Of {units(n, 'image')}, {', '.join(first)}{' and ' if first else ''}{last}"


def plain_count(drawn: Drawing, names: Sequence[str], group: str) -> str:
    """How many plain twins show a group; "–" without twins."""
    read = [tile.plain["judged"] for tile in drawn.tiles if tile.plain]
    return str(sum(JOINT.join(str(one.get(name)) for name in names) == group for one in read)) if read else "–"


def at(seconds: float | None) -> str:
    """A time for people, in UTC: "30 Nov 2026, 10:31"."""
    return "–" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%-d %b %Y, %H:%M}"


def iso(seconds: float) -> str:
    """A time for programs."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def colour(group: str | None, groups: list[str]) -> str:
    """The class that colours a group, the same wherever it is shown; letters and words go beside it."""
    return f"g{groups.index(group) % 8}" if group in groups else "g-none"

"""What goes wrong, as a page or as a note on the page that is open."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from fair_diffusion.policy.errors import PolicyError
from fair_diffusion.service.database import DatabaseError
from fair_diffusion.service.job import IdempotencyError, UnknownJobError
from fair_diffusion.service.limits import LimitError
from fair_diffusion.service.problems import Problem, no_such, of_validation, problem_of
from fair_diffusion.studio.view import page

TITLES = {
    401: "Sign in first",
    403: "Not allowed",
    404: "Not there",
    413: "Too large",
    429: "Too much at once",
    503: "Not now",
}


def add_handlers(app: FastAPI) -> None:
    """Answer every error of the studio for people."""

    async def ours(request: Request, error: Exception) -> Response:
        return shown(request, problem_of(error))

    async def validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return shown(request, of_validation(error))

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        known = error.status_code in (404, 405)
        return shown(request, no_such("page") if known else Problem(error.status_code, str(error.detail)))

    for kind in (Problem, DatabaseError, LimitError, IdempotencyError, UnknownJobError, PolicyError, Exception):
        app.add_exception_handler(kind, ours)
    app.add_exception_handler(RequestValidationError, validation)
    app.add_exception_handler(HTTPException, http)


def shown(request: Request, problem: Problem) -> Response:
    """A problem as a page; where a part of a page was asked for, as the note above the page that is open."""
    if request.headers.get("accept") == "application/json":  # a script of a page asks
        return problem.answer()
    said, title = problem.error["message"], TITLES.get(problem.status, "That did not work")
    if request.headers.get("hx-request"):
        headers = {"hx-retarget": "#note", "hx-reswap": "innerHTML"}
        return page(request, "note.html.j2", status=problem.status, headers=headers, said=said, heading=title)
    return page(request, "problem.html.j2", status=problem.status, title=title, said=said)

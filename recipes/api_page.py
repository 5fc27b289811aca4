"""docs/reference/http-api.md: the routes of the service, as its OpenAPI document has them, with examples of each.

python -m recipes.api_page        write the page anew
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from textwrap import fill

from fair_diffusion.service.api import application
from fair_diffusion.service.api_reference import Field, Route, routes_of
from fair_diffusion.service.database import Database
from fair_diffusion.service.server import Server
from fair_diffusion.service.settings import Settings

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "http-api.md"
COMMAND = "python -m recipes.api_page"
SET = "<!-- set, not measured -->"
"""What tells of figures that nobody measured, such as defaults."""
HEAD = f"""# The HTTP API

Every route of `fair-diffusion serve`, from the OpenAPI document that the server gives at `/openapi.json`. A server
shows them at `/docs`, with the fields of the answers. [The service](service.md) says more. This page is made
by `{COMMAND}`; a test runs every example.

`$FAIR` is the address of the server, `$FAIR_DIFFUSION_KEY` a key of role operator; `$JOB`, `$IMAGE`, `$KEY`, `$SET` and
`$GUIDELINE` are ids that earlier answers told. Errors have one form,
`{{"error": {{"message", "type", "param", "code"}}}}`.
"""


def page() -> str:
    """The text of the page."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data=Path(folder))
        server = Server(settings, Database(settings.database_url))
        try:
            document = application(server).openapi()
        finally:
            server.close()
    return "\n".join([HEAD, *map(_part, routes_of(document))])


def _part(route: Route) -> str:
    """One route: what it does, what it takes, what it answers, and examples."""
    said = fill(route.said, 120)
    lines = [f"## {route.method} {route.path}", "", *([SET] if "%" in said else []), said, ""]
    lines += [f"For keys of role {' or '.join(route.roles)}." if route.roles else "Needs no key.", ""]
    if route.fields:
        lines += [SET] if any("." in (field.usual or "") for field in route.fields) else []
        lines += ["| field | takes | |", "|---|---|---|", *map(_row, route.fields), ""]
    answers = ", ".join(
        f"{answer.status} ({', '.join(answer.media)})" if answer.status < "300" else answer.status
        for answer in route.answers
    )
    lines += [f"Answers: {answers}.", "", "```sh", *route.curl, "```", ""]
    for program in route.python:
        lines += ["```python", program.rstrip(), "```", ""]
    return "\n".join(lines)


def _row(field: Field) -> str:
    name = f"`{field.name}`" if field.place == "body" else f"`{field.name}` ({field.place})"
    usual = "" if field.usual is None else f"{field.usual} if not given"
    said = "; ".join(part for part in (field.said, usual) if part)
    return f"| {name} | {field.takes}{'' if field.required else ', or nothing'} | {said} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

"""docs/reference/http-api.md: the routes of the service, as its OpenAPI document has them, with an example of each.

python -m recipes.api_page        write the page anew
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from textwrap import fill
from typing import Any

from fair_diffusion.service.api import application
from fair_diffusion.service.database import Database
from fair_diffusion.service.server import Server
from fair_diffusion.service.settings import Settings

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "http-api.md"
COMMAND = "python -m recipes.api_page"
PLACES = {"{job}": "$JOB", "{image}": "$IMAGE", "{version}": "1", "{model}": "pocket", "{key}": "$KEY"} | {
    "{label_set}": "$SET"
}
"""What stands in examples for what differs."""
HEAD = f"""# The HTTP API

Every route of `fair-diffusion serve`, from the OpenAPI document that the server gives at `/openapi.json`.
[The service](service.md) says more of the fields. This page is made by `{COMMAND}`; a test sends every example.

`$FAIR` is the address of the server, `$FAIR_DIFFUSION_KEY` a key of role operator; `$JOB`, `$IMAGE`, `$KEY`, `$SET` and
`$GUIDELINE` are ids that earlier answers told. Errors have one form,
`{{"error": {{"message", "type", "param", "code"}}}}`.
"""


def document() -> dict[str, Any]:
    """The OpenAPI document."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data=Path(folder))
        server = Server(settings, Database(settings.database_url))
        try:
            return application(server).openapi()
        finally:
            server.close()


def page() -> str:
    """The text of the page."""
    content = document()
    parts = [
        _route(content, path, method, about)
        for path, methods in content["paths"].items()
        for method, about in methods.items()
    ]
    return "\n".join([HEAD, *parts])


def _route(content: dict[str, Any], path: str, method: str, about: dict[str, Any]) -> str:
    """One route: what it does, what it takes, what it answers, and an example."""
    said = fill(about.get("description", ""), 120)
    lines = [f"## {method.upper()} {path}", "", *(["<!-- set, not measured -->"] if "%" in said else []), said, ""]
    fields = list(_fields(content, about))
    if fields:
        lines += ["| field | takes | |", "|---|---|---|", *fields, ""]
    answers = ", ".join(
        f"{status} ({', '.join(answer.get('content', {'nothing': None}))})" if status < "300" else status
        for status, answer in about["responses"].items()
    )
    lines += [f"Answers: {answers}.", "", "```sh", *_examples(content, path, method, about), "```", ""]
    return "\n".join(lines)


def _fields(content: dict[str, Any], about: dict[str, Any]) -> Iterator[str]:
    """A row of a table for each parameter, and for each field of the body."""
    for parameter in about.get("parameters", ()):
        yield _row(f"`{parameter['name']}` ({parameter['in']})", parameter["schema"], parameter.get("required", False))
    for schema in _bodies(content, about).values():
        yield from _inner(content, schema, "")


def _inner(content: dict[str, Any], schema: dict[str, Any], of: str) -> Iterator[str]:
    """A row for each field of an object, and for each field of the objects in it."""
    for name, field in schema.get("properties", {}).items():
        yield _row(f"`{of}{name}`", field, name in schema.get("required", ()))
        for part in field.get("anyOf", ()):
            if "$ref" in part:
                yield from _inner(content, _resolved(content, part), f"{of}{name}.")


def _row(name: str, schema: dict[str, Any], required: bool) -> str:
    said = schema.get("description", "")
    return f"| {name} | {_taken(schema)}{'' if required else ', or nothing'} | {said} |"


def _taken(schema: dict[str, Any]) -> str:
    """What a field takes, in words."""
    if "anyOf" in schema:
        return " or ".join(_taken(part) for part in schema["anyOf"] if part.get("type") != "null")
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    if "const" in schema:
        return f'"{schema["const"]}"'
    if "$ref" in schema:
        return "an object"
    kind = str(schema.get("type", "anything"))
    if kind == "integer" and "minimum" in schema:
        most = schema["maximum"] if "maximum" in schema else schema["exclusiveMaximum"] - 1
        return f"{int(schema['minimum']):,} to {int(most):,}"
    if kind == "array":
        return f"list of {_taken(schema.get('items', {}))}"
    if "maxLength" in schema:
        return f"{kind} of at most {schema['maxLength']:,} characters"
    return "file" if schema.get("format") == "binary" or "contentMediaType" in schema else kind


def _bodies(content: dict[str, Any], about: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The schemas of the body, by media type."""
    found = about.get("requestBody", {}).get("content", {})
    return {media: _resolved(content, body["schema"]) for media, body in found.items()}


def _resolved(content: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        return {**content["components"]["schemas"][schema["$ref"].rpartition("/")[2]], **schema}
    return schema


def _examples(content: dict[str, Any], path: str, method: str, about: dict[str, Any]) -> Iterator[str]:
    """The command lines of the examples."""
    for place, value in PLACES.items():
        path = path.replace(place, value)
    words = [] if method in ("get", "post") and (method == "get" or "requestBody" in about) else ["-X", method.upper()]
    begin = " ".join(["curl", *words, f'"$FAIR{path}"', '-H "Authorization: Bearer $FAIR_DIFFUSION_KEY"'])
    bodies = _bodies(content, about)
    if not bodies:
        yield begin
    for media, schema in bodies.items():
        for example in examples_of(schema):
            if media == "multipart/form-data":
                yield f"{begin} \\\n  " + " ".join(f"-F '{name}={value}'" for name, value in example.items())
            else:
                yield f"{begin} \\\n  -H 'Content-Type: application/json' -d '{_named(json.dumps(example))}'"


def _named(body: str) -> str:
    """A body with names for the hash of an image and the version of a guideline."""
    return body.replace("0" * 64, "$IMAGE").replace("0" * 12, "$GUIDELINE")


def examples_of(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """The examples of a body: those of the whole, or one made of the examples of its fields."""
    if "examples" in schema:
        return list(schema["examples"])
    return [{name: field["examples"][0] for name, field in schema["properties"].items() if field.get("examples")}]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

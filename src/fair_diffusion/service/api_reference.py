"""Every route of an API in words, from its OpenAPI document: what it takes, what it answers, and examples to run."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Schema = dict[str, Any]
PLACES = {"job": "$JOB", "image": "$IMAGE", "version": "1", "model": "pocket", "key": "$KEY", "label_set": "$SET"}
"""What stands in the addresses of examples for what differs."""
NAMED = {"0" * 64: "$IMAGE", "0" * 12: "$GUIDELINE"}
"""What stands in their bodies for the hash of an image and the version of a guideline."""
FILES = {"image/*": "image.png", "application/zip": "key-data.zip"}
"""Where examples put answers that are no text, by media type."""
PROMPT = "a photo of a firefighter"
CLIENT = """\
import base64
import os
from pathlib import Path

import openai

client = openai.OpenAI(base_url=os.environ["FAIR"] + "/v1", api_key=os.environ["FAIR_DIFFUSION_KEY"])
"""
KEPT = """\
for number, image in enumerate(answer.data):
    Path(f"firefighter-{number}.png").write_bytes(base64.b64decode(image.b64_json))
print(answer.fairness["images"])
"""
PYTHON = {
    "/v1/images/generations": f'{CLIENT}answer = client.images.generate(prompt="{PROMPT}", n=2)\n{KEPT}',
    "/v1/images/edits": f'{CLIENT}answer = client.images.edit(image=[Path("picture.png")], prompt="{PROMPT}")\n{KEPT}',
}
"""Examples with the package `openai`, by path."""


@dataclass(frozen=True)
class Field:
    """A parameter, a field of a body, or a field of an answer.

    Attributes:
        name: with the names of the objects that it is in, such as "fairness.steps" or "data[].url".
        place: "header", "path", "query" or "body".
        takes: its values, in words.
        required: whether it has to be there.
        usual: its value where it is not given; None if the description says it.
        said: what it means; may be empty.
    """

    name: str
    place: str
    takes: str
    required: bool
    usual: str | None
    said: str


@dataclass(frozen=True)
class Answer:
    """A kind of answer.

    Attributes:
        status: of HTTP.
        said: when it comes.
        media: its media types.
        fields: of its JSON; none if it is an error, which all have the same form.
    """

    status: str
    said: str
    media: tuple[str, ...]
    fields: tuple[Field, ...]


@dataclass(frozen=True)
class Route:
    """A route of the API.

    Attributes:
        method, path, tag: as in the document.
        said: what it does.
        roles: the roles whose keys it takes; none if it needs no key.
        fields: its parameters, then the fields of its body.
        answers: by status.
        curl: command lines that ask for it.
        python: programs that do so with the package `openai`.
    """

    method: str
    path: str
    tag: str
    said: str
    roles: tuple[str, ...]
    fields: tuple[Field, ...]
    answers: tuple[Answer, ...]
    curl: tuple[str, ...]
    python: tuple[str, ...]


def routes_of(document: Schema) -> list[Route]:
    """The routes of an OpenAPI document, in its order."""
    return [
        _route(document, path, method, about)
        for path, methods in document["paths"].items()
        for method, about in methods.items()
    ]


def _route(document: Schema, path: str, method: str, about: Schema) -> Route:
    return Route(
        method=method.upper(),
        path=path,
        tag=about["tags"][0],
        said=" ".join(about.get("description", "").split()),
        roles=tuple(about["x-roles"]),
        fields=tuple(_taken_by(document, about)),
        answers=tuple(_answer(document, status, answer) for status, answer in sorted(about["responses"].items())),
        curl=tuple(_curl(document, path, method, about)),
        python=(PYTHON[path],) if path in PYTHON else (),
    )


def _taken_by(document: Schema, about: Schema) -> Iterator[Field]:
    for parameter in about.get("parameters", ()):
        schema = {"description": parameter.get("description", ""), **parameter["schema"]}
        yield _field(parameter["name"], parameter["in"], schema, parameter.get("required", False))
    for schema in _bodies(document, about).values():
        yield from _inner(document, schema, "")


def _answer(document: Schema, status: str, answer: Schema) -> Answer:
    content = answer.get("content", {})
    schema = content.get("application/json", {}).get("schema") if status < "300" else None
    fields = _inner(document, _resolved(document, schema), "") if schema else ()
    return Answer(status, answer["description"], tuple(content), tuple(fields))


def _inner(document: Schema, schema: Schema, of: str) -> Iterator[Field]:
    """The fields of an object, and those of the objects in it."""
    for name, field in schema.get("properties", {}).items():
        yield _field(f"{of}{name}", "body", field, name in schema.get("required", ()))
        for part in field.get("anyOf", (field,)):
            items = part.get("items", part)
            if "$ref" in items:
                yield from _inner(document, _resolved(document, items), f"{of}{name}{'[]' * ('items' in part)}.")


def _field(name: str, place: str, schema: Schema, required: bool) -> Field:
    usual = schema.get("default")
    return Field(
        name=name,
        place=place,
        takes=_taken(schema),
        required=required,
        usual=None if usual in (None, {}) else str(usual),
        said=schema.get("description", ""),
    )


def _taken(schema: Schema) -> str:
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
    if kind in ("integer", "number") and "minimum" in schema:
        most = schema["maximum"] if "maximum" in schema else schema.get("exclusiveMaximum", 1) - 1
        return f"{'' if kind == 'integer' else 'a number from '}{int(schema['minimum']):,} to {int(most):,}"
    if kind == "array":
        most = f", at most {schema['maxItems']:,}" if "maxItems" in schema else ""
        return f"list of {_taken(schema.get('items', {}))}{most}"
    if "maxLength" in schema:
        return f"{kind} of at most {schema['maxLength']:,} characters"
    return "file" if schema.get("format") == "binary" or "contentMediaType" in schema else kind


def _bodies(document: Schema, about: Schema) -> dict[str, Schema]:
    """The schemas of the body, by media type."""
    found = about.get("requestBody", {}).get("content", {})
    return {media: _resolved(document, body["schema"]) for media, body in found.items()}


def _resolved(document: Schema, schema: Schema) -> Schema:
    if "$ref" in schema:
        return {**document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], **schema}
    return schema


def _curl(document: Schema, path: str, method: str, about: Schema) -> Iterator[str]:
    address = re.sub(r"\{(\w+)\}", lambda found: PLACES[found[1]], path)
    usual = method == "get" or (method == "post" and "requestBody" in about)
    begin = f'curl{"" if usual else f" -X {method.upper()}"} "$FAIR{address}"'
    begin += ' -H "Authorization: Bearer $FAIR_DIFFUSION_KEY"' if about["x-roles"] else ""
    media = next((FILES[each] for each in about["responses"].get("200", {}).get("content", ()) if each in FILES), None)
    begin += f" --output {media}" if media else ""
    bodies = _bodies(document, about)
    if not bodies:
        yield begin
    for kind, schema in bodies.items():
        for example in _examples_of(schema):
            if kind == "multipart/form-data":
                yield " \\\n  ".join([begin, *(f"-F {shlex.quote(f'{k}={v}')}" for k, v in example.items())])
            else:
                unbuffered = " --no-buffer" if example.get("stream") else ""
                yield f"{begin}{unbuffered} \\\n  -H 'Content-Type: application/json' -d {_quoted(json.dumps(example))}"


def _quoted(body: str) -> str:
    """A body as a word of a shell, which fills in what is named in it."""
    word = shlex.quote(body)
    for value, name in NAMED.items():
        word = word.replace(value, f"'{name}'")
    return word


def _examples_of(schema: Schema) -> list[dict[str, Any]]:
    """The examples of a body: those of the whole, or one made of the examples of its fields."""
    if "examples" in schema:
        return list(schema["examples"])
    return [{name: field["examples"][0] for name, field in schema["properties"].items() if field.get("examples")}]

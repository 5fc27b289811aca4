"""Holds answers against the OpenAPI document: their status, content type, headers and body must be in it."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any

import httpx2
from fastapi import FastAPI
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012


class Document:
    """The document of an API.

    Args:
        app: the API.
    """

    def __init__(self, app: FastAPI) -> None:
        self.content = app.openapi()
        whole = Resource.from_contents(self.content, default_specification=DRAFT202012)
        self._registry: Any = Registry().with_resource("urn:document", whole)
        self._routes = [
            (re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), path)
            for path in sorted(self.content["paths"], key=lambda path: path.count("{"))
        ]

    def check(self, answer: httpx2.Response) -> None:
        """Fail if an answer of a route is not as documented. What is no route is a 401, 404 or 405."""
        request, status = answer.request, str(answer.status_code)
        said = f"{request.method} {request.url.path} answers {status}"
        found = next((path for pattern, path in self._routes if pattern.fullmatch(request.url.path)), None)
        operation = self.content["paths"].get(found, {}).get(request.method.lower())
        answer.read()
        if operation is None:
            assert status in ("200", "401", "404", "405"), said
            if status != "200":
                self._hold(answer.json(), "#/components/schemas/ErrorAnswer", said)
            return
        assert status in operation["responses"], f"{said}, which is not documented"
        known = operation["responses"][status]
        media = answer.headers.get("content-type", "").partition(";")[0]
        kinds = known.get("content", {})
        kind = media if media in kinds else f"{media.partition('/')[0]}/*"
        assert kind in kinds, f"{said} as {media}, which is not documented"
        for name, header in known.get("headers", {}).items():
            if name in answer.headers:
                assert re.search(header["schema"]["pattern"], answer.headers[name]), f"{said} with {name}"
        assert answer.headers.get("retry-after") or status not in ("429", "503"), said
        place = f"#/paths/{_escaped(found)}/{request.method.lower()}/responses/{status}/content/{_escaped(kind)}/schema"
        if media == "text/event-stream":
            for event in _events(answer.text):
                self._hold(event, place, said)
                json.loads(event["data"])
        elif media == "application/json":
            self._hold(answer.json(), place, said)

    def _hold(self, body: Any, place: str, said: str) -> None:
        error = next(iter(self._validator(place).iter_errors(body)), None)
        assert error is None, f"{said} with {error.json_path if error else ''}: {error.message if error else ''}"

    @lru_cache  # noqa: B019
    def _validator(self, place: str) -> Any:
        return Draft202012Validator({"$ref": f"urn:document{place}"}, registry=self._registry)


def _escaped(part: str | None) -> str:
    return (part or "").replace("~", "~0").replace("/", "~1").replace("{", "%7B").replace("}", "%7D")


def _events(text: str) -> list[dict[str, str]]:
    """The server-sent events of an answer, without comments."""
    blocks = [[line for line in block.splitlines() if not line.startswith(":")] for block in text.split("\n\n")]
    return [dict(line.split(": ", 1) for line in block) for block in blocks if block]

"""The path behind a prefix, as the router of Starlette sees it."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from fair_diffusion.service.route_path import route_path


@pytest.mark.parametrize(
    ("prefix", "path", "behind"),
    [
        ("", "/v1/models", "/v1/models"),
        ("/fair", "/fair/v1/models", "/v1/models"),
        ("/fair", "/fair", ""),
        ("/fair", "/fairness", "/fairness"),
        ("/fair", "/v1/fair", "/v1/fair"),
    ],
)
def test_the_prefix_is_taken_off_once_and_whole(prefix: str, path: str, behind: str) -> None:
    assert route_path({"type": "http", "path": path, "root_path": prefix}) == behind


def test_a_mounted_app_sees_the_path_of_its_own_routes() -> None:
    async def told(request: Request) -> PlainTextResponse:
        return PlainTextResponse(route_path(request.scope))

    app = Starlette(routes=[Mount("/studio", routes=[Route("/streams/{name}", told)])])
    assert TestClient(app, root_path="/fair").get("/fair/studio/streams/nurse").text == "/streams/nurse"

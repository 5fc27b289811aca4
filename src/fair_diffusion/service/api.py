"""The HTTP API as an application of FastAPI."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from fair_diffusion import __version__
from fair_diffusion.service.database import DatabaseError
from fair_diffusion.service.gate import Gate
from fair_diffusion.service.problems import add_handlers
from fair_diffusion.service.routes import images, jobs, keys, label_review, labels, policies, status, streams, trail
from fair_diffusion.service.server import Server, roles_of

LOG = logging.getLogger("fair_diffusion.api")
ROUTES = (images, jobs, policies, streams, trail, labels, label_review, keys, status)
CLEAN = 60.0
"""Seconds between two times that what is over is forgotten."""


def application(server: Server) -> FastAPI:
    """The API of a server. It needs a key for everything but `/health`."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        cleaning = asyncio.create_task(_clean(server))
        yield
        cleaning.cancel()
        with suppress(asyncio.CancelledError):
            await cleaning

    app = FastAPI(
        title="fair-diffusion",
        version=__version__,
        summary="Images with measured proportions, behind the OpenAI images contract.",
        lifespan=lifespan,
        docs_url=None,  # the page that FastAPI brings loads scripts from other hosts; ours is one of the studio's
        redoc_url=None,
    )
    app.state.server = server
    for group in ROUTES:
        app.include_router(group.router)
    add_handlers(app)
    app.add_middleware(Gate, server=server)
    usual = app.openapi

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            found = usual()
            bearer = {"type": "http", "scheme": "bearer"}
            found.setdefault("components", {})["securitySchemes"] = {"key": bearer}
            found["security"] = [{"key": []}]
            found["paths"]["/health"]["get"]["security"] = []
            for path in found["paths"].values():
                for method in path.values():
                    method["responses"].pop("422", None)  # a wrong field is a 400
            for route in (each for group in ROUTES for each in group.router.routes if isinstance(each, APIRoute)):
                for name in route.methods or ():
                    found["paths"][route.path_format][name.lower()]["x-roles"] = list(roles_of(route))
        return app.openapi_schema or {}

    app.openapi = document  # type: ignore[method-assign]
    return app


async def _clean(server: Server) -> None:
    while True:
        try:
            await run_in_threadpool(server.clean)
        except (DatabaseError, OSError) as error:
            LOG.error("what is over could not be forgotten: %s", error)
        await asyncio.sleep(CLEAN)

"""`/v1/trail`: who changed what, and when."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, cast

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from fair_diffusion.service.answer_shapes import ChangeShown, Trail
from fair_diffusion.service.problems import documented
from fair_diffusion.service.server import Here, Operator
from fair_diffusion.service.trail import changes

router = APIRouter(prefix="/v1", tags=["trail"])


class Which(BaseModel):
    """Which changes are listed."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    subject: Annotated[str, Field(max_length=300, pattern=r"^[^\u0000]+$")] | None = Field(
        default=None, description='only those of this key, policy ("policy 2") or set'
    )
    most: Annotated[int, Field(ge=1, le=1000)] = 100


@router.get("/trail", responses=documented(400, 403))
def trail(server: Here, key: Operator, asked: Annotated[Which, Query()]) -> Trail:
    """Who changed what, and when, the newest first: keys, limits, policies, labels, and data that left the server."""
    found = changes(server.database, subject=asked.subject, most=asked.most)
    return {"object": "list", "data": [cast(ChangeShown, asdict(each)) for each in found]}

"""`/v1/keys`: what the service has of a key: as an archive, or deleted."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import IO, Annotated

from fastapi import APIRouter, Path
from starlette.responses import StreamingResponse

from fair_diffusion.service.answer_shapes import Erased
from fair_diffusion.service.key_data import KeyData, RecentError, RunningError
from fair_diffusion.service.keys import OPERATOR, Key
from fair_diffusion.service.problems import Problem, documented, no_such
from fair_diffusion.service.server import Anybody, Here, Server

router = APIRouter(prefix="/v1/keys", tags=["keys"])
OWN = "own"
Id = Annotated[str, Path(pattern=f"^({OWN}|key_[0-9a-f]{{12}})$", description=f'the id of a key, or "{OWN}"')]
SPOOLED = 1 << 24
"""Bytes of an archive that are held in memory; a larger one is a file on disk until it is sent."""
_ZIP = {"application/zip": {"schema": {"type": "string", "format": "binary"}}}


@router.get(
    "/{key}/data",
    responses={200: {"description": "the archive", "content": _ZIP}, **documented(400, 404)},
    response_class=StreamingResponse,
)
def export(key: Id, server: Here, caller: Anybody) -> StreamingResponse:
    """Everything that the service has of a key, as a ZIP: jobs, images and labels. Operators may ask for any key."""
    found = _found(server, caller, key)
    archive: IO[bytes] = tempfile.SpooledTemporaryFile(SPOOLED)  # noqa: SIM115
    try:
        KeyData(server.database, server.images).export(found, archive, by=caller.id)
    except BaseException:
        archive.close()
        raise
    headers = {"content-disposition": f'attachment; filename="{found.id}.zip"', "cache-control": "no-store"}
    return StreamingResponse(_read(archive), media_type="application/zip", headers=headers)


@router.delete("/{key}/data", responses=documented(400, 404, 409))
def erase(key: Id, server: Here, caller: Anybody) -> Erased:
    """Delete everything that the service has of a key: its jobs with prompts, its images and labels.

    The key itself, the trail of changes and the counts of streams stay. Operators may do this for any key."""
    found = _found(server, caller, key)
    try:
        had = KeyData(server.database, server.images).erase(found, by=caller.id)
    except RecentError as error:
        raise Problem(409, str(error), code="still_counted", retry_after=error.seconds) from None
    except RunningError as error:
        raise Problem(409, str(error), code="still_running", retry_after=2.0) from None
    return {"object": "erased", "key": found.id, "jobs": had.jobs, "images": had.images, "labels": had.labels}


def _found(server: Server, caller: Key, key: str) -> Key:
    """The key that is asked for: one's own, and for operators every one. 404 if there is none."""
    if key in (OWN, caller.id):
        return caller
    if caller.role == OPERATOR:
        for each in server.keys.all():
            if each.id == key:
                return each
    raise no_such("key")


def _read(archive: IO[bytes]) -> Iterator[bytes]:
    with archive:
        archive.seek(0)
        while part := archive.read(1 << 20):
            yield part

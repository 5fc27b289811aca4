"""The settings that made a picture: from the job that drew it, or from the record that `generate` wrote into it."""

from __future__ import annotations

import hashlib
import json
from io import BytesIO
from typing import Any

from PIL import Image
from sqlalchemy import select

from fair_diffusion.runs.format import PNG_KEY
from fair_diffusion.service.keys import OPERATOR, Key
from fair_diffusion.service.server import Server
from fair_diffusion.service.tables import images

LARGEST = 32_000
"""Characters of a record at most."""


def settings_of(server: Server, key: Key, content: bytes) -> dict[str, Any] | None:
    """What the form of instructing is to show; None if nobody knows how the picture was made.

    Args:
        server: may have drawn it.
        key: of the caller, who sees its own drawings; operators see all.
        content: the file.
    """
    job = _job(server, key, hashlib.sha256(content).hexdigest())
    record = _record(content)
    kinds = {"prompt": str, "negative_prompt": str, "seed": int, "steps": int}
    found = {name: record[name] for name, kind in kinds.items() if type(record.get(name)) is kind}
    if "prompt" in found:
        return {"negative_prompt": "", **found, "n": 1}
    return None if job is None else {"job": job}


def _job(server: Server, key: Key, digest: str) -> str | None:
    """The job that drew a picture of ours."""
    wanted = select(images.c.job).where(images.c.hash == digest, images.c.job.is_not(None)).limit(1)
    if key.role != OPERATOR:
        wanted = wanted.where(images.c.key == key.id)
    with server.database.reading() as connection:
        found: str | None = connection.scalar(wanted)
    return found


def _record(content: bytes) -> dict[str, Any]:
    """The record in a picture that `generate` wrote; empty if there is none."""
    try:
        with Image.open(BytesIO(content), formats=["PNG"]) as picture:
            text = picture.info.get(PNG_KEY)
        found = json.loads(text) if isinstance(text, str) and len(text) <= LARGEST else None
    except (OSError, ValueError, SyntaxError, RecursionError, Image.DecompressionBombError):
        return {}
    return found if isinstance(found, dict) else {}

"""The settings that made a picture: from the job that drew it, or from the record that `generate` wrote into it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from io import BytesIO
from pathlib import PurePath
from typing import Any

from PIL import Image
from sqlalchemy import select

from fair_diffusion.methods import CONTROLS, METHODS
from fair_diffusion.request import MAX_PROMPT
from fair_diffusion.runs.format import PNG_KEY
from fair_diffusion.seeds import SEEDS
from fair_diffusion.service.keys import OPERATOR, Key
from fair_diffusion.service.served_model import served_models
from fair_diffusion.service.server import Server
from fair_diffusion.service.tables import images
from fair_diffusion.studio.settings_of_drawing import WITHOUT_POLICY

LARGEST = 32_000
"""Characters of a record at most."""
USABLE = [name for name, row in METHODS.items() if not row.needs_file]
"""The methods that a drawing may have."""


def settings_of(server: Server, key: Key, content: bytes) -> dict[str, Any] | None:
    """What the form of instructing is to show; None if nobody knows how the picture was made.

    A picture of a drawing names its job (`job`), which knows everything. The record of `generate` holds no sentence and
    no policy; what else it lacks, or what cannot be had here, stands in `untold`, a sentence each.

    Args:
        server: may have drawn it.
        key: of the caller, who sees its own drawings; operators see all.
        content: the file.
    """
    job = _job(server, key, hashlib.sha256(content).hexdigest())
    record = _record(content)
    found = {name: record[name] for name, is_valid in _VALID.items() if is_valid(record.get(name))}
    if "prompt" not in found:
        return None if job is None else {"job": job}
    served = [each.name for each in served_models(server.database)]
    if "model" in found:
        found["model"] = _served(served, found["model"]) or found["model"]
    untold = [*_lacking(found), *_elsewhere(found, served, record)]
    plain = {"policy": WITHOUT_POLICY} if "rule" in record and record["rule"] is None else {}
    return {"negative_prompt": "", **found, **plain, "n": 1, "untold": untold}


def _served(served: Sequence[str], model: str) -> str | None:
    """The model as it is served; a folder is known by its last part. None if it is not served."""
    return next((name for name in served if name in (model, PurePath(model).name)), None)


def _whole(least: int, most: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and least <= value <= most


def _text(value: Any) -> bool:
    return type(value) is str and len(value) <= MAX_PROMPT


_VALID: dict[str, Callable[[Any], bool]] = {
    "prompt": _text,
    "negative_prompt": _text,
    "seed": _whole(0, SEEDS - 1),
    "steps": _whole(1, 1000),
    "guidance": lambda value: type(value) in (int, float) and 0 <= value <= 100,
    "method": lambda value: value in USABLE,
    "model": _text,
}
"""What of a record the form can show, and what it must be."""


def _lacking(found: Mapping[str, Any]) -> list[str]:
    """What the record does not say, or says in a way that the form cannot take."""
    lacking = [name for name in ("model", "method", "seed", "steps", "guidance") if name not in found]
    return [f"The file does not tell, or not so that it can be used here: {', '.join(lacking)}"] if lacking else []


def _elsewhere(found: Mapping[str, Any], served: Sequence[str], record: Mapping[str, Any]) -> Iterator[str]:
    """What the picture was made with that is not in its file, or that is not to be had here."""
    rule, method, control = record.get("rule"), found.get("method"), record.get("control")
    if rule is not None or "rule" not in record:
        named = f", only the rule: {rule[:100]}" if isinstance(rule, str) else ""
        yield f"The file does not tell the sentence or the policy that it was drawn by{named}. Write a sentence"
    if "model" in found and found["model"] not in served:
        yield f"It was drawn by the model {found['model'][:100]}, which is not served here"
    if method is not None and control in CONTROLS and control != METHODS[method].controls[0]:
        yield f"It was drawn with the control “{control}”; here the method has “{METHODS[method].controls[0]}”"
    if record.get("guidance_rescale"):
        yield "Its guidance was rescaled, which is not done here"


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

"""Jobs of a stream that nobody drew: their images are said to show what a test wants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fair_diffusion.policy.target import Target, uniform
from fair_diffusion.service.claims import Claims, Ended
from fair_diffusion.service.server import Server
from fair_diffusion.service.streams import Counted

Read = Sequence[str | None]
HALF = uniform("gender")


def drawn(
    server: Server,
    judged: Sequence[str | None],
    *,
    perceived: Sequence[str | None] | None = None,
    target: Target = HALF,
    plain: Read = (),
    files: Sequence[str] = (),
    body: Mapping[str, Any] | None = None,
    key: str = "key_x",
    result: Mapping[str, Any] | None = None,
) -> list[str]:
    """A job that drew images of a stream, each read so; half of them were asked to show women. Returns their files."""
    perceived = perceived or judged
    n = len(judged)
    claims, body = Claims(server.database, "a test"), dict(body or {})
    if plain:
        twin, _ = server.jobs.put("draw pocket", {}, key="key_x", images=n)
        claims.end_all([Ended(claims.claim(["draw pocket"])[0], result={"images": [_image(read) for read in plain]})])
        body |= {"plain": twin.id}
    job, _ = server.jobs.put("draw pocket", body, key=key, images=n)
    claimed = claims.claim(["draw pocket"])[0]
    turn = claims.reserve(claimed, rule="every occupation: nurse", target=target, n=n, model="pocket")
    cells = [cell for cell, count in zip(target.shares, turn.quotas, strict=True) for _ in range(count)]
    files = list(files) or [f"{hash((job.id, k)) % 16**16:064x}" for k in range(n)]
    images: list[dict[str, Any]] = [
        {"file": file, "judged": {"gender": read}, "perceived": {"gender": other}, "assigned": {"gender": cell[0]}}
        for file, read, other, cell in zip(files, judged, perceived, cells, strict=True)
    ]
    stream = {"rule": "every occupation: nurse", "attributes": "gender", "target": target.key}
    both = [[None if read is None else (read,) for read in reads] for reads in (perceived, judged)]
    counted = Counted(turn, cells, *both)
    told = {"images": images, "streams": [stream], **(result or {})}
    claims.end_all([Ended(claimed, result=told, counted=[counted])])
    return files


def _image(read: str | None) -> dict[str, Any]:
    return {"judged": {"gender": read}}

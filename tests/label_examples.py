"""Sets of small pictures, for tests."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from fair_diffusion.policy import built_in
from fair_diffusion.service.database import Database
from fair_diffusion.service.images import Images
from fair_diffusion.service.label_sets import LabelSet, LabelSets, NewPicture

GENDER = built_in()["gender"]


def picture_file(number: int) -> bytes:
    """A small PNG that no other number has."""
    out = io.BytesIO()
    Image.new("RGB", (8, 8), (number % 256, number // 256, 77)).save(out, "PNG")
    return out.getvalue()


def sets_of(database: Database, folder: Path) -> LabelSets:
    return LabelSets(database, Images(database, folder / "images"))


def new_pictures(
    database: Database, folder: Path, count: int, *, readings: Sequence[str | None] = (), gold: int = 0, owner: str = ""
) -> list[NewPicture]:
    """Pictures that are stored; the last `gold` ones are gold questions whose answer is "woman"."""
    images = Images(database, folder / "images")
    hashes = [images.put(picture_file(k), key=owner) for k in range(count + gold)]
    return [
        NewPicture(
            image=digest,
            file=f"{k:03d}.png",
            owner=owner,
            reading=readings[k] if k < len(readings) else None,
            confidence=0.9 if k < len(readings) else None,
            gold="woman" if k >= count else None,
        )
        for k, digest in enumerate(hashes)
    ]


def made_set(database: Database, folder: Path, count: int = 12, **given: Any) -> tuple[LabelSets, LabelSet]:
    """A set of gender, without second opinions if none are asked for."""
    told = {name: given.pop(name) for name in ("readings", "gold", "owner") if name in given}
    sets = sets_of(database, folder)
    pictures = new_pictures(database, folder, count, **told)
    return sets, sets.add("a set", GENDER, pictures, **{"second": 0.0, "seed": 1, **given})

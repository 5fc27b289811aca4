"""Pictures of the service for a set: images by hash, or those of a rule, with what the judge said of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, select

from fair_diffusion.service.database import Database
from fair_diffusion.service.label_sets import MOST, NewPicture
from fair_diffusion.service.tables import images, jobs, label_sets


def pictures_of(
    database: Database,
    attribute: str,
    *,
    hashes: Sequence[str] | None = None,
    rule: str | None = None,
    gold: Mapping[str, str] | None = None,
) -> list[NewPicture]:
    """Stored images as pictures of a set.

    Args:
        database: where they are.
        attribute: what will be asked.
        hashes: which images; None: all those of `rule` that are kept.
        rule: the rule that fired for them; the images of this rule alone. None: any.
        gold: known answers by hash; these pictures check raters.

    Raises:
        ValueError: one of the images is not stored.
    """
    gold = gold or {}
    wanted = [*dict.fromkeys((*(hashes or ()), *gold))]
    ours = select(images).where(images.c.key.not_in(select(label_sets.c.id)), ~images.c.key.contains("/"))
    if hashes is not None:
        ours = ours.where(images.c.hash.in_(wanted))
    elif rule is not None:
        of_rule = select(jobs.c.id).where(jobs.c.result["rule"].as_string() == rule)
        ours = ours.where(images.c.job.in_(of_rule))
    ours = ours.order_by(images.c.created, images.c.hash).limit(MOST)
    drawn_by = jobs.c.id.in_(select(ours.subquery().c.job))  # a list of them may be longer than a statement may be
    with database.reading() as connection:
        rows = connection.execute(ours).all()
        told = _told(connection.execute(select(jobs.c.id, jobs.c.kind, jobs.c.result).where(drawn_by)).all())
    found = {row.hash: _picture(row, told.get((row.job, row.hash)), attribute, gold.get(row.hash)) for row in rows}
    if hashes is not None and (missing := [each for each in wanted if each not in found]):
        raise ValueError(f"there is no image {missing[0]}; give the hashes of images that are kept")
    drawn = {image for (_, image), each in told.items() if rule is None or each["rule"] == rule}
    return [each for each in found.values() if hashes is not None or each.image in drawn]


def _told(rows: Sequence[Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """What the results of jobs say of each image, by job and hash."""
    return {
        (row.id, image["file"]): {**image, "rule": (row.result or {}).get("rule"), "model": row.kind}
        for row in rows
        for image in (row.result or {}).get("images", ())
    }


def _picture(row: Row[Any], told: dict[str, Any] | None, attribute: str, gold: str | None) -> NewPicture:
    told = told or {}
    return NewPicture(
        image=row.hash,
        concept=told.get("rule") or "",
        reading=(told.get("judged") or {}).get(attribute),
        confidence=(told.get("confidence") or {}).get(attribute),
        gold=gold,
        owner=row.key,
    )

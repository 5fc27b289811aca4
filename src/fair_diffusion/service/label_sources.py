"""Pictures of the service for a set: images by hash, or those of a rule, with what the judge said of them; and images
whose answer people know, for gold questions."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Row, select

from fair_diffusion.policy.attributes import Attribute
from fair_diffusion.policy.defined_as import defined_as
from fair_diffusion.service.database import Database
from fair_diffusion.service.label_decisions import ADJUDICATED, AGREED, DecidedEverywhere, Decision
from fair_diffusion.service.label_sets import MOST, NewPicture
from fair_diffusion.service.tables import images, jobs, label_sets, labels

_OURS = (images.c.key.not_in(select(label_sets.c.id)), ~images.c.key.contains("/"))
"""Images of keys: neither a set's own, nor sent by somebody."""


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
        gold: known answers by hash; these pictures check raters, and may be of another rule.

    Raises:
        ValueError: one of the images is not stored.
    """
    gold = gold or {}
    wanted = [*dict.fromkeys((*(hashes or ()), *gold))]
    ours = select(images).where(*_OURS)
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
    if hashes is not None:
        return [*found.values()]
    drawn = {image for (_, image), each in told.items() if rule is None or each["rule"] == rule}
    pictures = [each for each in found.values() if each.image in drawn]
    others = {image: answer for image, answer in gold.items() if image not in drawn}
    return pictures + pictures_of(database, attribute, hashes=(), gold=others) if others else pictures


def known_answers(database: Database, attribute: Attribute, count: int, drawn: Collection[str]) -> dict[str, str]:
    """Images whose answer people know, for gold questions: those on which two raters or more agree, or that somebody
    decided.

    Args:
        database: where they are.
        attribute: what will be asked; answers by another definition count for another attribute.
        count: how many.
        drawn: images of the set. They are taken last, as a gold question is not drawn.

    Returns:
        The answers by hash.

    Raises:
        ValueError: fewer are known.
    """
    told = DecidedEverywhere(database).of(attribute.name, defined_as(attribute)).every
    known = {image: one.answer for image, one in told.items() if one.answer is not None and _is_sure(one)}
    with database.reading() as connection:
        kept = set(connection.scalars(select(images.c.hash).where(*_OURS, images.c.hash.in_(select(labels.c.image)))))
    first = sorted(known.keys() & kept, key=lambda image: (image in drawn, image))[:count]
    if len(first) < count:
        raise ValueError(
            f"gold questions that are wanted: {count}; images that are kept whose answer people know: {len(first)}; "
            "want fewer, or let two raters label the same pictures first"
        )
    return {image: known[image] for image in first}


def _is_sure(one: Decision) -> bool:
    return one.how == ADJUDICATED or (one.how == AGREED and len(one.said) > 1)


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

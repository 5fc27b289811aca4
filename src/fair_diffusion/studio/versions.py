"""Which readers, calibrations and guidelines stand behind the numbers of a service, and what rests on each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from fair_diffusion.service.calibrations import MADE
from fair_diffusion.service.database import Database
from fair_diffusion.service.job import Job
from fair_diffusion.service.tables import labels, trail
from fair_diffusion.service.worker_kind import model_of

READERS = ("perceiver", "judge")


@dataclass(frozen=True, kw_only=True)
class Reader:
    """A reader of images.

    Attributes:
        model: for whose images.
        role: "perceiver", by which images are steered, or "judge", whose word counts.
        fingerprint: its class, and the hash of all that determines its readings; "" where nobody kept it.
        images: that it read.
    """

    model: str
    role: str
    fingerprint: str
    images: int


@dataclass(frozen=True, kw_only=True)
class Used:
    """A version, with how many images or labels rest on it; `attribute` is what raters were asked by a guideline."""

    version: str
    count: int
    attribute: str = ""


def readers_of(drawn: Sequence[Job]) -> list[Reader]:
    """The readers of these drawings, those of most images first."""
    counts = Counter[tuple[str, str, str]]()
    for job in drawn:
        told = job.result or {}
        for role in READERS:
            counts[model_of(job.kind), role, (told.get("readers") or {}).get(role, "")] += len(told.get("images", ()))
    return [
        Reader(model=model, role=role, fingerprint=fingerprint, images=count)
        for (model, role, fingerprint), count in counts.most_common()
        if count
    ]


def calibrations_of(drawn: Sequence[Job]) -> list[Used]:
    """The calibrations by which images of streams were steered, that of most images first; "" where it was by none."""
    counts = Counter[str]()
    for job in drawn:
        told = job.result or {}
        if told.get("streams"):
            counts[told.get("calibration") or ""] += len(told.get("images", ()))
    return [Used(version=version, count=count) for version, count in counts.most_common() if count]


def calibration_made(database: Database) -> tuple[str, float] | None:
    """The version of the calibration that was made of labels last, and when; None if none was."""
    wanted = select(trail.c.subject, trail.c.time).where(trail.c.change == MADE)
    with database.reading() as connection:
        row = connection.execute(wanted.order_by(trail.c.id.desc()).limit(1)).first()
    return None if row is None else (row.subject, row.time)


def guidelines_of(database: Database) -> list[Used]:
    """The guidelines of the labels that stand, those of most labels first. Clicks on a drawing have none."""
    number = func.count().label("number")
    wanted = select(labels.c.attribute, labels.c.guideline, number).group_by(labels.c.attribute, labels.c.guideline)
    wanted = wanted.where(labels.c.undone.is_(None), labels.c.queue != "correction")
    with database.reading() as connection:
        rows = connection.execute(wanted.order_by(number.desc(), labels.c.attribute, labels.c.guideline)).all()
    return [Used(version=row.guideline, count=row.number, attribute=row.attribute) for row in rows]

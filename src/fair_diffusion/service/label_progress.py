"""What the labels of a set have bought so far: the shares that people would see, how sure they are, what more buy.

A picture that cannot be told, or on which raters are tied, shows no group, as in an audit: it counts against every one.
Pictures that everybody skipped are not labelled: the shares are those among the pictures that can be. Whoever labels
looks at them after each label, so the intervals of a random queue hold however often somebody looks, as on the page of
streams; they are of the pictures of the set (`random_share`). Those of an active queue are of the process that made the
pictures, and hold for one look.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row, and_, exists, func, select

from fair_diffusion.service.database import Database
from fair_diffusion.service.label_decisions import TIED, Adjudications, Decision
from fair_diffusion.service.label_sets import LabelSet
from fair_diffusion.service.labels import ACTIVE
from fair_diffusion.service.random_share import Shown, random_share
from fair_diffusion.service.tables import label_pictures, labels
from fair_diffusion.statistics.active import weighted_share
from fair_diffusion.statistics.drawing_order import chance_so_far
from fair_diffusion.statistics.prediction_powered import FEWEST_IN_ALL

STEPS = (0.2, 0.1, 0.05, 0.03, 0.02, 0.01)
"""Half widths of intervals that people may want next."""

LASTS = 30.0
_COUNTED: dict[tuple[str, str], tuple[float, dict[str | None, int]]] = {}


@dataclass(frozen=True)
class GroupShare:
    """One group of the attribute.

    Attributes:
        group: its name.
        labelled: pictures in which people saw it.
        read: pictures in which the reader saw it; None if they were not read.
        share, low, high: the share that people would see, with its 95 % interval; None before it can be told.
        wanted: half the width of the interval that more labels would buy; None if they would not buy a narrower one.
        more: about how many more pictures that takes.
    """

    group: str
    labelled: int
    read: int | None = None
    share: float | None = None
    low: float | None = None
    high: float | None = None
    wanted: float | None = None
    more: int | None = None


@dataclass(frozen=True)
class Progress:
    """How far a set is.

    Attributes:
        pictures: of the set, without gold questions.
        labelled: those that people labelled.
        cannot_tell: those of them that cannot be told.
        tied: those of them on which raters disagree and nobody has decided.
        skipped: those that everybody who saw them skipped.
        by: "labels", or "labels and reader": what the shares rest on.
        anytime: whether the intervals hold however often somebody looks; if not, for one look.
        groups: in the order of the keys.
    """

    pictures: int
    labelled: int
    cannot_tell: int
    tied: int
    skipped: int
    by: str
    anytime: bool
    groups: list[GroupShare]


def progress(database: Database, label_set: LabelSet) -> Progress:
    """How far a set is."""
    with database.reading() as connection:
        decisions = Adjudications(database, label_set).decisions(connection)
        drawn = and_(label_pictures.c.label_set == label_set.id, label_pictures.c.place.is_not(None))
        read = _read(database, connection, label_set)
        ours = (labels.c.label_set == label_set.id, labels.c.undone.is_(None))
        met = select(labels.c.image).where(*ours).group_by(labels.c.image).order_by(func.min(labels.c.id))
        order = connection.scalars(met).all()
        told = select(label_pictures).where(drawn, label_pictures.c.image.in_(met.order_by(None)))
        rows = {row.image: row for row in connection.execute(told)}
        seen = [rows[image] for image in order if image in rows]  # as they were labelled or skipped first
        chances = _chances(connection, label_set, seen) if label_set.queue == ACTIVE else [1.0] * len(seen)
    here = {image: one for image, one in decisions.items() if image in rows}
    shown = [
        Shown(here[row.image].answer if row.image in here else None, row.image not in here, row.reading, chance)
        for row, chance in zip(seen, chances, strict=True)
    ]
    by, groups = _shares(label_set, shown, read)
    return Progress(
        pictures=sum(read.values()),
        labelled=len(here),
        cannot_tell=_cannot_tell([*here.values()]),
        tied=sum(one.how == TIED for one in here.values()),
        skipped=len(seen) - len(here),
        by=by,
        anytime=label_set.queue != ACTIVE,
        groups=groups,
    )


def _read(database: Database, connection: Connection, label_set: LabelSet) -> dict[str | None, int]:
    """By what the reader said, how many pictures; counted anew every `LASTS` seconds, as only an erasure changes it."""
    key, now = (database.url, label_set.id), time.monotonic()
    known = _COUNTED.get(key)
    if known is not None and now - known[0] < LASTS:
        return known[1]
    ours = (label_pictures.c.label_set == label_set.id, label_pictures.c.place.is_not(None))
    counted = select(label_pictures.c.reading, func.count()).where(*ours).group_by(label_pictures.c.reading)
    found = {reading: int(count) for reading, count in connection.execute(counted)}
    _COUNTED[key] = now, found
    return found


def _chances(connection: Connection, label_set: LabelSet, seen: Sequence[Row[Any]]) -> list[float]:
    """The probability with which each picture that people labelled or skipped was shown by now."""
    if not seen:
        return []
    ours = and_(labels.c.label_set == label_pictures.c.label_set, labels.c.image == label_pictures.c.image)
    met = exists().where(ours, labels.c.undone.is_(None))
    place, last = label_pictures.c.place, max(row.place for row in seen)
    left = select(label_pictures.c.probability, label_pictures.c.priority)
    left = left.where(label_pictures.c.label_set == label_set.id, ~met)
    rows = [*seen, *connection.execute(left.where(place < last))]
    rows += connection.execute(left.where(place > last).order_by(place).limit(1))
    told = chance_so_far(
        [row.probability for row in rows], [row.priority for row in rows], [k < len(seen) for k in range(len(rows))]
    )
    return [float(chance) for chance in told[: len(seen)]]


def _cannot_tell(decisions: Sequence[Decision]) -> int:
    return sum(one.answer is None and one.how != TIED for one in decisions)


def _shares(label_set: LabelSet, shown: Sequence[Shown], read: dict[str | None, int]) -> tuple[str, list[GroupShare]]:
    """The shares of all groups, and what they rest on."""
    every, has_reader = sum(read.values()), any(reading is not None for reading in read)
    said = Counter(each.said for each in shown)
    labelled = sum(not each.skipped for each in shown)
    plain = [GroupShare(group, said[group], read.get(group, 0) if has_reader else None) for group in label_set.groups]
    if label_set.queue == ACTIVE:
        if labelled < FEWEST_IN_ALL:
            return "labels and reader", plain
        return "labels and reader", [_weighted(one, shown, every) for one in plain]
    by = "labels and reader" if has_reader else "labels"
    return by, [_anytime(one, shown, read) for one in plain] if labelled else plain


def _anytime(one: GroupShare, shown: Sequence[Shown], read: dict[str | None, int]) -> GroupShare:
    """The share in a random queue, among the pictures that can be labelled.

    Half the interval shrinks about as √(1/n − 1/N): so many more pictures are told."""
    share, (low, high) = random_share(one.group, shown, read)
    n, every, half = len(shown), sum(read.values()), (high - low) / 2
    told = GroupShare(one.group, one.labelled, one.read, share, low, high)
    step = next((each for each in STEPS if each < 0.8 * half), None)
    if step is None or n == every:
        return told
    square = half**2 / (1 / n - 1 / every)
    total = math.ceil(1 / (step**2 / square + 1 / every))
    return replace(told, wanted=step, more=max(1, total - n))


def _weighted(one: GroupShare, shown: Sequence[Shown], every: int) -> GroupShare:
    found = weighted_share(
        [each.shows(one.group) for each in shown],
        [float(each.reading == one.group) for each in shown],
        [each.chance for each in shown],
        one.read or 0,
        every,
    )
    labelled = sum(not each.skipped for each in shown)
    told = _with(one, found.estimate, found.low, found.high, labelled, every)
    return _replaced(told, told.more)


def _with(one: GroupShare, share: float, low: float, high: float, n: int, every: int) -> GroupShare:
    """The share, and how many more labels a clearly narrower interval takes, as widths fall with the root of labels."""
    half = (high - low) / 2
    step = next((each for each in STEPS if each < 0.8 * half), None)
    told = GroupShare(one.group, one.labelled, one.read, share, low, high, step)
    more = math.ceil(n * ((half / step) ** 2 - 1)) if step else every
    return _replaced(told, more) if n + more <= every else told


def _replaced(one: GroupShare, more: int | None) -> GroupShare:
    """The same with another number of labels; without one, nothing narrower is promised."""
    wanted = one.wanted if more is not None else None
    return GroupShare(one.group, one.labelled, one.read, one.share, one.low, one.high, wanted, more)

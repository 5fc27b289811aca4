"""Which picture a rater sees next, and what comes of it: a label, a skip, a step back.

A rater holds the pictures that were given out; no other rater gets them meanwhile, and only they can be labelled. A
hold that ran out still lets its rater label: then the picture has two labels, and both are kept. The same answer sent
twice, as where the first one's receipt was lost, is one label. A hold ends, too, where the rater's label of the picture
comes in with a table.

A rater may take back the last `UNDOABLE` labels. What was hidden of a picture is told once its label can no longer be
taken back, so every label that stands was given without it.

In this order: what the rater holds; now and then a gold question; a second opinion that is waited for; the next picture
of the draw. So a reload shows the same picture, and the labels are those of the first pictures of the draw.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, delete, exists, func, insert, or_, select, update

from fair_diffusion.service.database import Database, now
from fair_diffusion.service.label_sets import LabelSet
from fair_diffusion.service.labels import CANNOT_TELL, DRAWN, Label, Labels
from fair_diffusion.service.tables import label_holds, label_pictures, labels

GOLD, SECOND = "gold", "second"
HELD = 600.0
"""Seconds for which no other rater gets a picture that was given out."""
MOST_HELD = 8
"""Pictures that a rater may hold at once."""
UNDOABLE = 3
"""How many labels a rater may take back."""
GOLD_SHARE = 1 / 20
"""How often a picture is a gold question, while there are any that the rater has not seen."""
_skipped = and_(labels.c.answer.is_(None), labels.c.reason != CANNOT_TELL)


class NotHeldError(ValueError):
    """The picture was not given to the rater."""


class LabelledError(ValueError):
    """The rater said something else of the picture before."""


class NothingToUndoError(LookupError):
    """The rater has no label in this set that can be taken back."""


@dataclass(frozen=True)
class Task:
    """A picture that a rater holds.

    Attributes:
        image: its hash.
        queue: why it was given.
    """

    image: str
    queue: str


@dataclass(frozen=True)
class Given:
    """A label that was given, and what is hidden of its picture while it can be taken back.

    Attributes:
        label: as it is stored.
        reading, confidence: what the reader said; None if it was not read.
        gold: the known answer of a gold question.
    """

    label: Label
    reading: str | None
    confidence: float | None
    gold: str | None


class LabelQueue:
    """The queue of one set.

    Args:
        database: where it is.
        label_set: the set.
        chance: gives random numbers in [0, 1); they decide when a gold question comes.
    """

    def __init__(self, database: Database, label_set: LabelSet, chance: Callable[[], float] = random.random) -> None:
        self._database, self._set, self._chance = database, label_set, chance
        self._labels = Labels(database)

    def next(self, rater: str, *, most: int = 1) -> list[Task]:
        """The pictures that a rater holds, and new ones until there are `most`. Fewer are there when the set is done.

        Raises:
            ValueError: `most` is none.
        """
        if not 1 <= most <= MOST_HELD:
            raise ValueError(f"{most} pictures are asked for; ask for 1 to {MOST_HELD}")
        with self._writing() as connection:
            return self._held(connection, rater, most)

    def label(
        self,
        rater: str,
        image: str,
        answer: str | None = None,
        *,
        reason: str | None = None,
        guideline: str,
        most: int = 0,
    ) -> tuple[Given, list[Task]]:
        """Store a label of a picture that the rater holds.

        Args:
            rater: a pseudonym.
            image: the picture's hash.
            answer: the group; None if the rater cannot tell, or skips the picture.
            reason: why it is skipped; None if the rater cannot tell.
            guideline: the version that the rater sees.
            most: how many pictures the rater holds then; 0: what is left.

        Returns:
            The label with what is hidden, and the pictures that the rater holds.

        Raises:
            NotHeldError: the picture was not given to this rater.
            LabelledError: the rater said something else of it before, and that stands.
            ValueError: the answer is no group, or the guideline is another one.
        """
        if guideline != self._set.guideline:
            raise ValueError(
                f"the guideline of the set is {self._set.guideline!r}, not {guideline!r}; load the page anew"
            )
        with self._writing() as connection:
            picture = self._picture(connection, image)
            given = self._sent_before(connection, image, rater, answer, reason)
            mine = delete(label_holds).where(*self._of_rater(label_holds, rater, label_holds.c.image == image))
            if given is None and picture is not None and connection.execute(mine).rowcount:
                given = self._store(connection, picture, rater, answer, reason)
            if picture is None or given is None:
                raise NotHeldError("this picture was not given to this rater; take the next one")
            held = self._held(connection, rater, most) if most else []
        return Given(given, picture.reading, picture.confidence, picture.gold), held

    def final(self, label: Label) -> Given | None:
        """The label that cannot be taken back since `label` was given, with what was hidden; None if there is none."""
        before = select(labels).where(*self._of_rater(labels, label.rater, labels.c.id < label.id))
        with self._database.reading() as connection:
            row = connection.execute(before.order_by(labels.c.id.desc()).offset(UNDOABLE - 1).limit(1)).first()
            if row is None or row.undone is not None:
                return None
            picture = self._picture(connection, row.image)
        return picture and Given(Label.of(row), picture.reading, picture.confidence, picture.gold)

    def undo(self, rater: str) -> tuple[Label, Task]:
        """Take back the rater's last label of the set. The picture comes first again.

        Raises:
            NothingToUndoError: there is none among the last `UNDOABLE` labels.
        """
        with self._writing() as connection:
            standing = self._of_rater(labels, rater, labels.c.undone.is_(None))
            last = connection.scalar(select(func.max(labels.c.id)).where(*standing))
            if last is None:
                raise NothingToUndoError("there is no label of yours to take back")
            later = select(func.count()).where(*self._of_rater(labels, rater, labels.c.id > last))
            if connection.execute(later).scalar_one() >= UNDOABLE:
                raise NothingToUndoError(
                    f"only your last {UNDOABLE} labels can be taken back: of pictures before, what was hidden was shown"
                )
            undone = update(labels).where(labels.c.id == last).values(undone=now()).returning(labels)
            label = Label.of(connection.execute(undone).one())
            first = connection.scalar(select(func.min(label_holds.c.number)).where(*self._of_rater(label_holds, rater)))
            self._hold(connection, rater, [(label.image, label.queue)], (first or 0) - 1)
        return label, Task(label.image, label.queue)

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """A transaction in which nobody else changes holds and labels, and no rater holds what that rater labelled."""
        labelled = exists().where(*self._standing(label_holds.c.image, label_holds.c.rater))
        with self._database.writing() as connection:
            self._database.lock(connection, f"fair-diffusion: label set {self._set.id}")
            connection.execute(delete(label_holds).where(label_holds.c.label_set == self._set.id, labelled))
            yield connection

    def _picture(self, connection: Connection, image: str) -> Any:
        """The row of a picture of the set; None if there is none."""
        return connection.execute(select(label_pictures).where(*self._of_set(label_pictures, image))).first()

    def _store(
        self, connection: Connection, picture: Row[Any], rater: str, answer: str | None, reason: str | None
    ) -> Label:
        ours, queue = self._set, self._queue_now(connection, picture, rater)
        told: dict[str, Any] = {"attribute": ours.attribute, "groups": ours.groups, "definition": ours.definition}
        told |= {"answer": answer, "reason": reason, "rater": rater, "guideline": ours.guideline, "label_set": ours.id}
        chance = picture.probability if queue in DRAWN else None
        return self._labels.add(picture.image, **told, queue=queue, probability=chance, connection=connection)

    def _sent_before(
        self, connection: Connection, image: str, rater: str, answer: str | None, reason: str | None
    ) -> Label | None:
        """The label that stands of this picture, if there is one. `LabelledError` if the rater said something else."""
        row = connection.execute(select(labels).where(*self._standing(image, rater))).first()
        if row is None:
            return None
        if (row.answer, row.reason) != (answer, reason or (CANNOT_TELL if answer is None else None)):
            raise LabelledError(f"you answered this picture already ({row.answer or row.reason}), and that stands")
        return Label.of(row)

    def _of_set(self, table: Any, image: Any) -> tuple[ColumnElement[bool], ...]:
        return table.c.label_set == self._set.id, table.c.image == image

    def _standing(self, image: Any, rater: Any) -> tuple[ColumnElement[bool], ...]:
        """What a rater says of a picture, as far as it stands; skips, too."""
        return *self._of_set(labels, image), labels.c.rater == rater, labels.c.undone.is_(None)

    def _of_rater(self, table: Any, rater: str, *rest: ColumnElement[bool]) -> tuple[ColumnElement[bool], ...]:
        return table.c.label_set == self._set.id, table.c.rater == rater, *rest

    def _held(self, connection: Connection, rater: str, most: int) -> list[Task]:
        """What the rater holds, renewed, and new pictures until there are `most`."""
        mine = self._of_rater(label_holds, rater)
        connection.execute(update(label_holds).where(*mine).values(until=now() + HELD))
        order = select(label_holds).where(*mine).order_by(label_holds.c.number)
        held = [Task(row.image, row.queue) for row in connection.execute(order)]
        wanted = most - len(held)
        if wanted > 0:
            last = connection.scalar(select(func.max(label_holds.c.number)).where(*mine))
            more = self._more(connection, rater, wanted)
            self._hold(connection, rater, more, (last or 0) + 1)
            held += [Task(*each) for each in more]
        return held

    def _hold(self, connection: Connection, rater: str, pictures: Sequence[tuple[str, str]], number: int) -> None:
        for place, (image, queue) in enumerate(pictures):
            ours = {"label_set": self._set.id, "rater": rater, "image": image, "queue": queue}
            connection.execute(insert(label_holds).values(**ours, number=number + place, until=now() + HELD))

    def _more(self, connection: Connection, rater: str, wanted: int) -> list[tuple[str, str]]:
        """New pictures for a rater, with their queues."""
        asked = sum(self._chance() < GOLD_SHARE for _ in range(wanted))
        place = label_pictures.c.place
        is_gold = and_(place.is_(None), label_pictures.c.gold.is_not(None))
        found = [(image, GOLD) for image in self._free(connection, rater, asked, is_gold, shared=True)]
        # By `place + 0`, so that SQLite begins with the few that are labelled, and not with all pictures by place.
        waited = and_(label_pictures.c.second, label_pictures.c.image.in_(self._labelled_once()))
        others = self._free(connection, rater, wanted - len(found), waited, order=place + 0)
        found += [(image, SECOND) for image in others]
        drawn = and_(place.is_not(None), ~self._is_labelled())
        found += [(image, self._set.label_queue) for image in self._free(connection, rater, wanted - len(found), drawn)]
        return found

    def _free(
        self,
        connection: Connection,
        rater: str,
        most: int,
        which: ColumnElement[bool],
        *,
        shared: bool = False,
        order: ColumnElement[Any] = label_pictures.c.place,
    ) -> Sequence[str]:
        """Pictures that the rater has neither labelled nor holds, nor somebody else holds, unless they are `shared`."""
        if most < 1:
            return []
        ours = label_pictures.c.image
        own = exists().where(*self._standing(ours, rater))
        holding = label_holds.c.rater == rater
        if not shared:
            holding = or_(holding, label_holds.c.until > now())
        held = exists().where(*self._of_set(label_holds, ours), holding)
        free = select(ours).where(label_pictures.c.label_set == self._set.id, which, ~own, ~held)
        return connection.scalars(free.order_by(order, ours).limit(most)).all()

    def _is_labelled(self) -> ColumnElement[bool]:
        """Whether somebody labelled a picture; skips are no labels."""
        return exists().where(*self._of_set(labels, label_pictures.c.image), labels.c.undone.is_(None), ~_skipped)

    def _labelled_once(self) -> Select[tuple[str]]:
        """The pictures that one rater labelled."""
        ours = (labels.c.label_set == self._set.id, labels.c.undone.is_(None), ~_skipped)
        return select(labels.c.image).where(*ours).group_by(labels.c.image).having(func.count() == 1)

    def _queue_now(self, connection: Connection, picture: Row[Any], rater: str) -> str:
        """The queue of a label that is given now: who comes second gives a second opinion, whatever was planned."""
        if picture.gold is not None:
            return GOLD
        others = (*self._of_set(labels, picture.image), labels.c.rater != rater, labels.c.undone.is_(None), ~_skipped)
        return SECOND if connection.scalar(select(exists().where(*others))) else self._set.label_queue
